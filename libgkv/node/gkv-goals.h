/* GkvGoal: what the calls that wait for the cluster wait for: whether it has come, and why it hasn't.
 *
 * It knows the engine and the seeds; their lock is the caller's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-seeds.h"
#include "gkv-waits.h"
#include "gossip/gkv-engine.h"

typedef enum
{
  GKV_GOAL_SYNCED,
  GKV_GOAL_FLUSHED,   /* n_peers hold all that was written here before, 0 for all */
  GKV_GOAL_DELIVERED, /* some peer does */
} GkvGoalKind;

/* What there is to look at. */
typedef struct
{
  GkvEngine *engine; /* nullable */
  GkvSeeds *seeds;   /* nullable */
  gboolean started;
  gboolean synced;
} GkvGoalState;

GkvWaitGoal gkv_goal_make (GkvGoalKind kind, guint n_peers);

/* @begun: set to TRUE when the engine has something to do for it now. */
gboolean gkv_goal_is_reached (GkvWaitGoal *goal, const GkvGoalState *state, const GkvTime *now, gboolean *begun);
/* That it can't be reached as things are, which ends it; NULL: it may be. */
GError *gkv_goal_fail (const GkvWaitGoal *goal, const GkvGoalState *state);
/* Nobody waits for it any more. */
void gkv_goal_end (const GkvWaitGoal *goal, const GkvGoalState *state);
/* G_IO_ERROR_TIMED_OUT, with the reason. */
GError *gkv_goal_explain (const GkvWaitGoal *goal, const GkvGoalState *state);

G_END_DECLS
