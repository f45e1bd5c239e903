/* SimClocks: what the clocks of one machine say, given the time of the simulation.
 *
 * There are three, as Linux has them: the monotonic one stands still while the machine is suspended, boot time runs on
 * then, and the wall clock may be off. All three drift together. The pause of a virtual machine is one that boot time
 * doesn't know of either.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* When the simulated world begins, in µs since 1970. */
#define SIM_WALL_BASE (G_GINT64_CONSTANT (1800000000) * 1000000)

typedef struct
{
  gint64 mono_base;   /* what the monotonic clock says at time 0 */
  gint64 slept;       /* how long it has stood still since */
  gint64 paused;      /* the part of that in which boot time stood still, too */
  gint64 wall_offset; /* how far the wall clock is off */

  int drift_ppm; /* since .drift_from, on top of what drift there was before */
  gint64 drift_from;
  gint64 drifted;
} SimClocks;

/* All in µs. */
typedef struct
{
  gint64 mono;
  gint64 boot;
  gint64 wall;
} SimTime;

SimTime sim_clocks_read (const SimClocks *self, gint64 now);
/* The time of the simulation at which the monotonic clock says @mono, if the machine isn't suspended until then. */
gint64 sim_clocks_find (const SimClocks *self, gint64 mono);
void sim_clocks_set_drift (SimClocks *self, int ppm, gint64 now);
/* The machine has been suspended for @duration; @pause: so that it doesn't know; @wall_ran: its wall clock is right. */
void sim_clocks_sleep (SimClocks *self, gint64 duration, gboolean pause, gboolean wall_ran);

G_END_DECLS
