/* GkvNode: waiting for the cluster: until the node is synced, and until peers have confirmed what was written.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"

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
  g_return_if_fail (gkv_node_check_owner (self, "gkv_node_wait_synced_async ()"));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_wait_synced_async);

  if (g_task_return_error_if_cancelled (task))
    return;

  if (self->state == GKV_NODE_CLOSED)
    {
      gkv_map_fail_closed (&error);
      g_task_return_error (task, g_steal_pointer (&error));
    }
  else if (gkv_network_get_synced (self->network))
    {
      g_task_return_boolean (task, TRUE);
    }
  else
    {
      gkv_network_wait_synced (self->network, timeout_ms, g_steal_pointer (&task));
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

  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (gkv_node_check_owner (self, "gkv_node_flush_async ()"));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_flush_async);

  if (g_task_return_error_if_cancelled (task))
    return;

  if (self->state == GKV_NODE_CLOSED)
    {
      gkv_map_fail_closed (&error);
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }

  if (!gkv_network_is_active (self->network))
    {
      if (n_peers > 0)
        g_task_return_new_error (task, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                                 "The node has no peers to confirm what was written: it needs bind-address, and to be "
                                 "started");
      else
        g_task_return_boolean (task, TRUE);
      return;
    }

  gkv_network_flush (self->network, n_peers, timeout_ms, g_steal_pointer (&task));
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
