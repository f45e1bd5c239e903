/* GkvWaits: the calls that wait for the cluster, blocking a thread or until a task is returned.
 *
 * It knows nothing of what is waited for: the network says whether it has come. Any thread may use it. A task is
 * returned in the context that it was made in, never in the network's thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* What is waited for. */
typedef struct
{
  int kind; /* as the network has it */
  guint n_peers;
  guint64 ticket; /* what the network notes of it; 0: nothing yet */
} GkvWaitGoal;

/* TRUE: it has come; or @error is set, when it can't come any more. Called by gkv_waits_check (), in its thread. */
typedef gboolean (*GkvWaitReached) (GkvWaitGoal *goal, gpointer data, GError **error);
/* Why it has not come in time. Called in any thread without a lock. */
typedef GError *(*GkvWaitExplain) (const GkvWaitGoal *goal, gpointer data);
/* Nobody waits for it any more. Called in any thread without a lock. */
typedef void (*GkvWaitEnded) (const GkvWaitGoal *goal, gpointer data);

typedef struct
{
  GkvWaitReached reached;
  GkvWaitExplain explain;
  GkvWaitEnded ended;
} GkvWaitFuncs;

typedef struct _GkvWaits GkvWaits;

/* @data: handed to @funcs, borrowed. */
GkvWaits *gkv_waits_new (const GkvWaitFuncs *funcs, gpointer data);
void gkv_waits_free (GkvWaits *self);

/* Waits until @task is returned. @timeout_ms: 0 for ever. Takes @task. The caller sees to it that gkv_waits_check ()
 * follows. */
void gkv_waits_add_task (GkvWaits *self, const GkvWaitGoal *goal, guint timeout_ms, GTask *task);
/* Blocks this thread. @begun: called when waiting has begun, to have gkv_waits_check () follow. */
gboolean gkv_waits_block (GkvWaits *self,
                          const GkvWaitGoal *goal,
                          guint timeout_ms,
                          void (*begun) (gpointer data),
                          GCancellable *cancellable,
                          GError **error);

/* Ends what has come. */
void gkv_waits_check (GkvWaits *self);
/* Ends all with GKV_ERROR_CLOSED, and what comes later, too. */
void gkv_waits_close (GkvWaits *self);

G_END_DECLS
