/* The hybrid logical clock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-clock.h"

GkvStamp
gkv_clock_next (GkvClock *clock, gint64 wall_us)
{
  GkvStamp wall = (GkvStamp) MAX (wall_us / 1000, 0) << 16;

  clock->last = MAX (wall, clock->last + 1);
  return clock->last;
}

void
gkv_clock_observe (GkvClock *clock, GkvStamp stamp)
{
  clock->last = MAX (clock->last, stamp);
}

gint64
gkv_stamp_get_ahead_ms (GkvStamp stamp, gint64 wall_us)
{
  return MAX (gkv_stamp_get_ms (stamp) - wall_us / 1000, 0);
}
