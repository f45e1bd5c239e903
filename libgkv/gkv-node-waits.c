/* GkvNode: waiting for the cluster: until the node is synced, and until peers have confirmed what was written.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"

/* internal */

/* Whether the node can be waited for at all: @done is set where there is nothing to wait for. */
static gboolean
gkv_node_check_flushable (GkvNode *self, guint n_peers, gboolean *done, GError **error)
{
  *done = FALSE;

  if (!gkv_owner_check_here (self->owner, error))
    return FALSE;

  if (gkv_node_get_state (self) >= GKV_NODE_CLOSING)
    return gkv_map_fail_closed (error);

  if (self->options.bind_address == NULL)
    {
      *done = n_peers == 0;
      if (n_peers > 0)
        g_set_error_literal (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                             "The node has no peers to confirm what was written: it needs bind-address");
      return *done;
    }

  if (!gkv_network_is_active (self->network))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_FAILED,
                           "What was written can't be confirmed by peers before the node has been started");
      return FALSE;
    }

  return TRUE;
}

static gboolean
gkv_node_check_syncable (GkvNode *self, gboolean *done, GError **error)
{
  *done = gkv_network_get_synced (self->network);

  if (!gkv_owner_check_here (self->owner, error))
    return FALSE;

  return gkv_node_get_state (self) >= GKV_NODE_CLOSING ? gkv_map_fail_closed (error) : TRUE;
}

/* public methods */

/**
 * gkv_node_wait_synced:
 * @self: a node
 * @timeout_ms: how long to wait, in milliseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Waits until [property@Gkv.Node:synced] is %TRUE, blocking this thread. No main context is iterated meanwhile.
 *
 * Fails as [method@Gkv.Node.wait_synced_async] does, and with %G_IO_ERROR_WOULD_BLOCK where the network runs in this
 * thread, which would wait for itself.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the node is synced, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_wait_synced (GkvNode *self, guint timeout_ms, GCancellable *cancellable, GError **error)
{
  gboolean done;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) || !gkv_node_check_syncable (self, &done, error))
    return FALSE;

  return done || gkv_network_wait (self->network, GKV_GOAL_SYNCED, 0, timeout_ms, cancellable, error);
}

/**
 * gkv_node_flush:
 * @self: a node
 * @n_peers: how many peers have to confirm; 0 for all that are alive
 * @timeout_ms: how long to wait, in milliseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Waits until peers have confirmed that they hold all that was written here before, blocking this thread. No main
 * context is iterated meanwhile.
 *
 * Fails as [method@Gkv.Node.flush_async] does, and with %G_IO_ERROR_WOULD_BLOCK where the network runs in this thread,
 * which would wait for itself.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if enough peers have confirmed, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_flush (GkvNode *self, guint n_peers, guint timeout_ms, GCancellable *cancellable, GError **error)
{
  gboolean done;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) ||
      !gkv_node_check_flushable (self, n_peers, &done, error))
    return FALSE;

  return done || gkv_network_wait (self->network, GKV_GOAL_FLUSHED, n_peers, timeout_ms, cancellable, error);
}

/**
 * gkv_node_wait_synced_async:
 * @self: a node
 * @timeout_ms: how long to wait, in milliseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called when the waiting has ended
 * @user_data: data for @callback
 *
 * Waits until [property@Gkv.Node:synced] is %TRUE.
 *
 * Ends in %G_IO_ERROR_TIMED_OUT, naming the seeds that did not reply, in %G_IO_ERROR_CANCELLED, or in %GKV_ERROR_CLOSED
 * when the node is closed meanwhile. It may be begun before the node is started. The node is kept alive until it ends.
 *
 * May be called from any thread; @callback is called in its thread-default main context.
 *
 * Since: 1.0
 */
void
gkv_node_wait_synced_async (
    GkvNode *self, guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;
  gboolean done;

  g_return_if_fail (GKV_IS_NODE (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_wait_synced_async);

  if (g_task_return_error_if_cancelled (task))
    return;

  if (!gkv_node_check_syncable (self, &done, &error))
    g_task_return_error (task, error);
  else if (done)
    g_task_return_boolean (task, TRUE);
  else
    gkv_network_wait_async (self->network, GKV_GOAL_SYNCED, 0, timeout_ms, g_steal_pointer (&task));
}

/**
 * gkv_node_wait_synced_finish:
 * @self: a node
 * @result: the result that the callback received
 * @error: return location for an error
 *
 * Ends [method@Gkv.Node.wait_synced_async].
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the node is synced, %FALSE with @error set otherwise
 *
 * Since: 1.0
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
 * @n_peers: how many peers have to confirm; 0 for all that are alive
 * @timeout_ms: how long to wait, in milliseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called when the waiting has ended
 * @user_data: data for @callback
 *
 * Waits until peers have confirmed that they hold all that was written here before.
 *
 * With @n_peers 0 all peers have to confirm that are alive when it begins, and at least one: while there is none it
 * waits for the first that comes. A node without bind-address has no peers: 0 succeeds at once, more is
 * %GKV_ERROR_INVALID_OPTION.
 *
 * Ends in %GKV_ERROR_CLOCK where too many refuse what was written, and all others have confirmed, in
 * %G_IO_ERROR_TIMED_OUT, saying how many have confirmed, in %G_IO_ERROR_CANCELLED, in %GKV_ERROR_CLOSED when
 * the node is closed meanwhile, or in %GKV_ERROR_FAILED when it was not started. The node is kept alive until it ends.
 *
 * May be called from any thread; @callback is called in its thread-default main context.
 *
 * Since: 1.0
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
  GError *error = NULL;
  gboolean done;

  g_return_if_fail (GKV_IS_NODE (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_flush_async);

  if (g_task_return_error_if_cancelled (task))
    return;

  if (!gkv_node_check_flushable (self, n_peers, &done, &error))
    g_task_return_error (task, error);
  else if (done)
    g_task_return_boolean (task, TRUE);
  else
    gkv_network_wait_async (self->network, GKV_GOAL_FLUSHED, n_peers, timeout_ms, g_steal_pointer (&task));
}

/**
 * gkv_node_flush_finish:
 * @self: a node
 * @result: the result that the callback received
 * @error: return location for an error
 *
 * Ends [method@Gkv.Node.flush_async].
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if enough peers have confirmed, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_flush_finish (GkvNode *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
