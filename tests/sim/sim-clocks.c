/* SimClocks: what the clocks of one machine say, given the time of the simulation.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-clocks.h"

#define MILLION G_GINT64_CONSTANT (1000000)

static gint64
get_drift (const SimClocks *self, gint64 now)
{
  return self->drifted + (now - self->drift_from) * self->drift_ppm / MILLION;
}

SimTime
sim_clocks_read (const SimClocks *self, gint64 now)
{
  gint64 drift = get_drift (self, now);
  gint64 mono = self->mono_base + now - self->slept + drift;

  return (SimTime){
    .mono = mono,
    .boot = mono + self->slept - self->paused,
    .wall = SIM_WALL_BASE + now + self->wall_offset + drift,
  };
}

gint64
sim_clocks_find (const SimClocks *self, gint64 mono)
{
  /* From .drift_from on the clock runs (1 + ppm / 1,000,000) times as fast. */
  gint64 elapsed = mono - self->mono_base + self->slept - self->drifted - self->drift_from;

  return self->drift_from + elapsed - elapsed * self->drift_ppm / (MILLION + self->drift_ppm);
}

void
sim_clocks_set_drift (SimClocks *self, int ppm, gint64 now)
{
  self->drifted = get_drift (self, now);
  self->drift_from = now;
  self->drift_ppm = ppm;
}

void
sim_clocks_sleep (SimClocks *self, gint64 duration, gboolean pause, gboolean wall_ran)
{
  self->slept += duration;
  if (pause)
    self->paused += duration;
  if (!wall_ran)
    self->wall_offset -= duration;
}
