/* GkvGoal: what the calls that wait for the cluster wait for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-goals.h"

#include "../gkv-error.h"

GkvWaitGoal
gkv_goal_make (GkvGoalKind kind, guint n_peers)
{
  /* What has reached one has reached somebody. */
  GkvWaitGoal goal = { kind, kind == GKV_GOAL_DELIVERED ? 1 : n_peers, 0 };

  return goal;
}

static gboolean
gkv_goal_is_flushed (GkvWaitGoal *goal, const GkvGoalState *state, const GkvTime *now, gboolean *begun)
{
  GkvFlushState flush;

  if (goal->ticket == 0)
    {
      goal->ticket = gkv_engine_begin_flush (state->engine, goal->n_peers, now);
      *begun = TRUE;
    }

  gkv_engine_get_flush (state->engine, goal->ticket, &flush);
  if (flush.done)
    gkv_engine_end_flush (state->engine, goal->ticket);

  return flush.done;
}

gboolean
gkv_goal_is_reached (GkvWaitGoal *goal, const GkvGoalState *state, const GkvTime *now, gboolean *begun)
{
  switch ((GkvGoalKind) goal->kind)
    {
    case GKV_GOAL_SYNCED:
      return state->synced;

    case GKV_GOAL_FLUSHED:
      return state->engine != NULL && gkv_goal_is_flushed (goal, state, now, begun);

    case GKV_GOAL_DELIVERED:
    default:
      return state->engine == NULL || gkv_engine_get_n_unconfirmed (state->engine) == 0 ||
             gkv_goal_is_flushed (goal, state, now, begun);
    }
}

GError *
gkv_goal_fail (const GkvWaitGoal *goal, const GkvGoalState *state)
{
  g_autofree char *refusers = NULL;
  GkvFlushState flush;

  if (goal->kind != GKV_GOAL_FLUSHED || goal->ticket == 0 || state->engine == NULL)
    return NULL;

  gkv_engine_get_flush (state->engine, goal->ticket, &flush);
  if (!flush.failed)
    return NULL;

  refusers = gkv_engine_describe_refusers (state->engine);
  gkv_engine_end_flush (state->engine, goal->ticket);
  return g_error_new (GKV_ERROR, GKV_ERROR_CLOCK,
                      "Of the %u peers that were to confirm what was written, %u have, and %s refuse some of it: the "
                      "clocks differ too much",
                      flush.n_wanted, flush.n_confirmed, refusers);
}

void
gkv_goal_end (const GkvWaitGoal *goal, const GkvGoalState *state)
{
  if (goal->ticket != 0 && state->engine != NULL)
    gkv_engine_end_flush (state->engine, goal->ticket);
}

static GError *
gkv_goal_explain_flush (const GkvWaitGoal *goal, const GkvGoalState *state)
{
  GkvFlushState flush = {
    0,
  };

  if (state->engine != NULL && goal->ticket != 0)
    gkv_engine_get_flush (state->engine, goal->ticket, &flush);

  if (flush.n_wanted == 0)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                "Nobody has confirmed what was written: no peer was met in time");

  return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                      "Of the %u peers that were to confirm what was written, %u have in time%s", flush.n_wanted,
                      flush.n_confirmed,
                      flush.n_refused > 0 ? "; some refuse it, as the clocks differ by more than an hour" : "");
}

static GError *
gkv_goal_explain_sync (const GkvGoalState *state)
{
  g_autofree char *unreached = state->seeds != NULL ? gkv_seeds_describe_unreached (state->seeds) : NULL;

  if (!state->started)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The node isn't synced: it was not started");

  if (unreached != NULL && *unreached != '\0')
    return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "The node is not synced in time; these seeds did not answer: %s", unreached);

  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                              "The node is not synced in time; its peers still have what it lacks");
}

GError *
gkv_goal_explain (const GkvWaitGoal *goal, const GkvGoalState *state)
{
  switch ((GkvGoalKind) goal->kind)
    {
    case GKV_GOAL_SYNCED:
      return gkv_goal_explain_sync (state);

    case GKV_GOAL_FLUSHED:
      return gkv_goal_explain_flush (goal, state);

    case GKV_GOAL_DELIVERED:
    default:
      return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                          "%" G_GUINT64_FORMAT " of the writes of this node have reached nobody in time",
                          state->engine != NULL ? gkv_engine_get_n_unconfirmed (state->engine) : 0);
    }
}
