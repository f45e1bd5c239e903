/* GkvNode: waiting for the cluster: until the node is synced, and until peers have confirmed what was written.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"

typedef struct
{
  GkvNode *node; /* held by the task */
  GTask *task;
  gint64 deadline;
  GSource *cancelled;

  gboolean is_flush;
  guint64 ticket;
  guint n_peers;
} GkvWait;

static void
gkv_wait_free (gpointer data)
{
  GkvWait *wait = data;

  if (wait->cancelled != NULL)
    g_source_destroy (wait->cancelled);

  g_clear_pointer (&wait->cancelled, g_source_unref);
  g_clear_object (&wait->task);
  g_free (wait);
}

/* Takes @wait off the list, for the caller to answer its task. */
static GTask *
gkv_node_end_wait (GkvNode *self, GkvWait *wait)
{
  g_autoptr (GTask) task = g_object_ref (wait->task);

  if (wait->is_flush)
    {
      g_mutex_lock (&self->lock);
      if (self->engine != NULL)
        gkv_engine_end_flush (self->engine, wait->ticket);
      g_mutex_unlock (&self->lock);
    }

  g_ptr_array_remove (self->waits, wait);

  return g_steal_pointer (&task);
}

static gboolean
gkv_node_wait_cancelled (GCancellable *cancellable, gpointer user_data)
{
  GkvWait *wait = user_data;
  g_autoptr (GTask) task = gkv_node_end_wait (wait->node, wait);

  g_task_return_error_if_cancelled (task);

  return G_SOURCE_REMOVE;
}

static GkvWait *
gkv_node_begin_wait (GkvNode *self, GTask *task, guint timeout_ms)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  GkvWait *wait = g_new0 (GkvWait, 1);

  wait->node = self;
  wait->task = g_object_ref (task);
  wait->deadline = timeout_ms > 0 ? g_get_monotonic_time () + (gint64) timeout_ms * 1000 : G_MAXINT64;

  if (cancellable != NULL)
    {
      wait->cancelled = g_cancellable_source_new (cancellable);
      g_source_set_static_name (wait->cancelled, "GkvNode wait");
      g_source_set_callback (wait->cancelled, G_SOURCE_FUNC (gkv_node_wait_cancelled), wait, NULL);
      g_source_attach (wait->cancelled, self->context);
    }

  if (self->waits == NULL)
    self->waits = g_ptr_array_new_with_free_func (gkv_wait_free);
  g_ptr_array_add (self->waits, wait);

  g_mutex_lock (&self->lock);
  gkv_node_wake_locked (self, wait->deadline);
  g_mutex_unlock (&self->lock);

  return wait;
}

static void
gkv_node_count_confirmed (GkvNode *self, GkvWait *wait, guint *n_confirmed, guint *n_wanted)
{
  guint n_alive = 0;

  *n_confirmed = 0;
  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    gkv_engine_get_flush (self->engine, wait->ticket, n_confirmed, &n_alive);
  g_mutex_unlock (&self->lock);
  *n_wanted = wait->n_peers > 0 ? wait->n_peers : n_alive;
}

static gboolean
gkv_node_is_wait_done (GkvNode *self, GkvWait *wait)
{
  guint n_confirmed, n_wanted;

  if (!wait->is_flush)
    return self->synced;

  gkv_node_count_confirmed (self, wait, &n_confirmed, &n_wanted);

  return n_confirmed >= n_wanted;
}

static GError *
gkv_node_make_timeout (GkvNode *self, GkvWait *wait)
{
  g_autofree char *unreached = NULL;
  guint n_confirmed, n_wanted;

  if (wait->is_flush)
    {
      gkv_node_count_confirmed (self, wait, &n_confirmed, &n_wanted);
      return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                          "Of the %u peers that were to confirm what was written, %u have in time", n_wanted,
                          n_confirmed);
    }

  if (self->state == GKV_NODE_NEW)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The node isn't synced: it was not started");

  unreached = gkv_node_describe_unreached (self);
  if (*unreached != '\0')
    return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "The node is not synced in time; these seeds did not answer: %s", unreached);

  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                              "The node is not synced in time; its peers still have what it lacks");
}

/* internal */

gint64
gkv_node_run_waits (GkvNode *self, gint64 mono)
{
  gint64 next = G_MAXINT64;

  /* Answering a task can end or begin others. */
  for (guint i = 0; self->waits != NULL && i < self->waits->len;)
    {
      GkvWait *wait = self->waits->pdata[i];

      if (gkv_node_is_wait_done (self, wait))
        {
          g_autoptr (GTask) task = gkv_node_end_wait (self, wait);

          g_task_return_boolean (task, TRUE);
          i = 0;
        }
      else if (wait->deadline <= mono)
        {
          g_autoptr (GError) error = gkv_node_make_timeout (self, wait);
          g_autoptr (GTask) task = gkv_node_end_wait (self, wait);

          g_task_return_error (task, g_steal_pointer (&error));
          i = 0;
        }
      else
        {
          next = MIN (next, wait->deadline);
          i++;
        }
    }

  return next;
}

static gboolean
gkv_node_answer_closed (gpointer user_data)
{
  GError *error = NULL;

  gkv_node_fail_closed (&error);
  g_task_return_error (G_TASK (user_data), error);

  return G_SOURCE_REMOVE;
}

void
gkv_node_close_waits (GkvNode *self)
{
  while (self->waits != NULL && self->waits->len > 0)
    {
      g_autoptr (GTask) task = gkv_node_end_wait (self, self->waits->pdata[0]);
      g_autoptr (GSource) source = g_idle_source_new ();

      /* Later, so that close () calls nobody back. */
      g_source_set_priority (source, G_PRIORITY_DEFAULT);
      g_source_set_callback (source, gkv_node_answer_closed, g_steal_pointer (&task), g_object_unref);
      g_source_attach (source, self->context);
    }

  g_clear_pointer (&self->waits, g_ptr_array_unref);
}

/* public methods */

/**
 * gkv_node_wait_synced_async:
 * @self: a node
 * @timeout_ms: how long to wait, in milliseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called when it has ended
 * @user_data: data for @callback
 *
 * Waits until [property@Gkv.Node:synced] is %TRUE.
 *
 * Ends in %G_IO_ERROR_TIMED_OUT, naming the seeds that did not answer, in %G_IO_ERROR_CANCELLED, or in
 * %GKV_ERROR_CLOSED when the node is closed meanwhile. It may be begun before the node is started. The node is kept
 * alive until it ends. Belongs to the thread that runs the node's main context.
 */
void
gkv_node_wait_synced_async (
    GkvNode *self, guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (GError) error = NULL;

  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (gkv_node_check_context (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_wait_synced_async);

  if (g_task_return_error_if_cancelled (task))
    return;

  if (self->state == GKV_NODE_CLOSED)
    {
      gkv_node_fail_closed (&error);
      g_task_return_error (task, g_steal_pointer (&error));
    }
  else if (self->synced)
    {
      g_task_return_boolean (task, TRUE);
    }
  else
    {
      gkv_node_begin_wait (self, task, timeout_ms);
    }
}

/**
 * gkv_node_wait_synced_finish:
 * @self: a node
 * @result: what the callback got
 * @error: return location for an error
 *
 * Ends [method@Gkv.Node.wait_synced_async].
 *
 * Returns: %TRUE if the node is synced, %FALSE with @error set otherwise
 */
gboolean
gkv_node_wait_synced_finish (GkvNode *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * gkv_node_flush_async:
 * @self: a node
 * @n_peers: how many peers are to confirm; 0 for all that are alive
 * @timeout_ms: how long to wait, in milliseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called when it has ended
 * @user_data: data for @callback
 *
 * Waits until all that was written here before is confirmed by peers.
 *
 * With @n_peers 0 and no peer alive it succeeds: there is nobody to tell. Ends in %G_IO_ERROR_TIMED_OUT, telling how
 * many have confirmed, in %G_IO_ERROR_CANCELLED, in %GKV_ERROR_CLOSED when the node is closed meanwhile, or in
 * %GKV_ERROR_INVALID_OPTION when peers are asked for of a node that has no network. The node is kept alive until it
 * ends. Belongs to the thread that runs the node's main context.
 */
void
gkv_node_flush_async (GkvNode *self,
                      guint n_peers,
                      guint timeout_ms,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (GError) error = NULL;
  GkvWait *wait;
  GkvTime now = gkv_node_now ();

  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (gkv_node_check_context (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_flush_async);

  if (g_task_return_error_if_cancelled (task))
    return;

  if (self->state == GKV_NODE_CLOSED)
    {
      gkv_node_fail_closed (&error);
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }

  if (self->engine == NULL)
    {
      if (n_peers > 0)
        g_task_return_new_error (task, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                                 "The node has no peers to confirm what was written: it needs bind-address, and to be "
                                 "started");
      else
        g_task_return_boolean (task, TRUE);
      return;
    }

  wait = gkv_node_begin_wait (self, task, timeout_ms);
  wait->is_flush = TRUE;
  wait->n_peers = n_peers;
  g_mutex_lock (&self->lock);
  wait->ticket = gkv_engine_begin_flush (self->engine, &now);
  gkv_node_wake_locked (self, 0);
  g_mutex_unlock (&self->lock);
}

/**
 * gkv_node_flush_finish:
 * @self: a node
 * @result: what the callback got
 * @error: return location for an error
 *
 * Ends [method@Gkv.Node.flush_async].
 *
 * Returns: %TRUE if it was confirmed, %FALSE with @error set otherwise
 */
gboolean
gkv_node_flush_finish (GkvNode *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
