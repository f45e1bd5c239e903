/* The hybrid logical clock that stamps come from. It reads no clock itself: wall time is handed in.
 *
 * Source: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A stamp: 48 bits of milliseconds since 1970, above 16 bits of a counter. 0 is before every stamp. */
typedef guint64 GkvStamp;

/* How far ahead of the wall clock a stamp may be and still be taken at once. */
#define GKV_CLOCK_DRIFT_BOUND_MS (G_GINT64_CONSTANT (60) * 60 * 1000)

/* A record with a stamp further ahead than the drift bound is quarantined, and further ahead than this it is refused.
 * */
#define GKV_CLOCK_QUARANTINE_BOUND_MS (G_GINT64_CONSTANT (24) * 60 * 60 * 1000)

typedef struct
{
  GkvStamp last;
} GkvClock;

#define gkv_stamp_get_ms(stamp) ((gint64) ((stamp) >> 16))

/* Gives a stamp above every stamp given or observed before. @wall_us: microseconds since 1970. */
GkvStamp gkv_clock_next (GkvClock *clock, gint64 wall_us);

/* Folds a stamp in, so that the next one is above it. The caller has checked that it is within the drift bound. */
void gkv_clock_observe (GkvClock *clock, GkvStamp stamp);

/* Milliseconds that @stamp is ahead of the wall clock, 0 when it isn't. */
gint64 gkv_stamp_get_ahead_ms (GkvStamp stamp, gint64 wall_us);

G_END_DECLS
