/* Stamps, which order the versions of a key, and how far from the wall clock they may be. Nothing here reads a clock:
 * wall time is handed in.
 *
 * A stamp follows the wall clock of its writer, and is above every stamp that is held of its key. It isn't raised by
 * those of other keys, so that one wrong clock spreads to nothing but the keys that it has written. Writes of different
 * keys need no order among each other: no clock has to rise from one to the next.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A stamp: 48 bits of milliseconds since 1970, above 16 bits of a counter. 0 is before every stamp. */
typedef guint64 GkvStamp;

/* How far ahead of the wall clock a record may have been written, and still be taken at once. */
#define GKV_CLOCK_DRIFT_BOUND_MS (G_GINT64_CONSTANT (60) * 60 * 1000)

/* One that is further ahead than the drift bound is quarantined, and one that is further ahead than this is refused. */
#define GKV_CLOCK_QUARANTINE_BOUND_MS (G_GINT64_CONSTANT (24) * 60 * 60 * 1000)

/* A stamp may be ahead by so much where the record says when it was written: about a hundred years. */
#define GKV_CLOCK_STAMP_BOUND_MS (G_GINT64_CONSTANT (36525) * 24 * 60 * 60 * 1000)

/* When this was written: a clock that is before it is wrong. */
#define GKV_CLOCK_EARLIEST_MS (G_GINT64_CONSTANT (1793491200) * 1000)

/* What becomes of a record by the time at which it was written. */
typedef enum
{
  GKV_TIME_VALID,
  GKV_TIME_QUARANTINED,
  GKV_TIME_REFUSED,
} GkvTimeVerdict;

#define gkv_stamp_get_ms(stamp) ((gint64) ((stamp) >> 16))

/* The stamp of a write at @wall_us, in microseconds since 1970, of a key of which nothing is held above @floor. */
GkvStamp gkv_stamp_new (gint64 wall_us, GkvStamp floor);

/* Milliseconds that a time is ahead of the wall clock, 0 when it isn't. */
gint64 gkv_clock_get_ahead_ms (gint64 time_ms, gint64 wall_us);

/* What a record is of which the stamp, and the time at which it was written, are these. */
GkvTimeVerdict gkv_clock_judge (GkvStamp stamp, gint64 time_ms, gint64 wall_us);

G_END_DECLS
