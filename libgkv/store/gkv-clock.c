/* Stamps, and how far from the wall clock they may be.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-clock.h"

GkvStamp
gkv_stamp_new (gint64 wall_us, GkvStamp floor)
{
  GkvStamp wall = (GkvStamp) MAX (wall_us / 1000, 0) << 16;

  return MAX (wall, floor + 1);
}

gint64
gkv_clock_get_ahead_ms (gint64 time_ms, gint64 wall_us)
{
  return MAX (time_ms - wall_us / 1000, 0);
}

GkvTimeVerdict
gkv_clock_judge (GkvStamp stamp, gint64 time_ms, gint64 wall_us)
{
  gint64 ahead = gkv_clock_get_ahead_ms (time_ms, wall_us);

  if (ahead > GKV_CLOCK_QUARANTINE_BOUND_MS ||
      gkv_clock_get_ahead_ms (gkv_stamp_get_ms (stamp), wall_us) > GKV_CLOCK_STAMP_BOUND_MS)
    return GKV_TIME_REFUSED;

  return ahead > GKV_CLOCK_DRIFT_BOUND_MS ? GKV_TIME_QUARANTINED : GKV_TIME_VALID;
}
