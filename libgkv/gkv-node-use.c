/* GkvNode: whether it can be used, by whom, and what it needs for that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-modules.h"

GkvNodeState
gkv_node_get_state (GkvNode *self)
{
  GkvNodeState state;

  if (!gkv_owner_is_here (self->owner))
    return GKV_NODE_CLOSED;

  g_mutex_lock (&self->lock);
  state = self->state;
  g_mutex_unlock (&self->lock);

  return state;
}

gboolean
gkv_node_check_owner (GkvNode *self, const char *call)
{
  g_autoptr (GError) error = NULL;

  /* In a forked child the parts do nothing. */
  if (!gkv_owner_is_here (self->owner) || gkv_owner_check (self->owner, call, &error))
    return TRUE;

  g_critical ("%s", error->message);

  return FALSE;
}

gboolean
gkv_node_check_usable (GkvNode *self, GError **error)
{
  g_autoptr (GkvTransport) transport = NULL;
  gboolean ok;

  if (!gkv_owner_is_here (self->owner))
    return gkv_owner_check_here (self->owner, error);

  if (gkv_map_is_ready (self->map))
    return TRUE;

  if (gkv_node_get_state (self) == GKV_NODE_CLOSED)
    return gkv_map_fail_closed (error);

  if (gkv_map_ensure_codec (self->map, error) == NULL)
    return FALSE;

  if (self->options.bind_address != NULL)
    {
      transport = gkv_node_dup_transport (self, error);
      if (transport == NULL)
        return FALSE;

      /* It is to validate addresses, which one that isn't movable does in its own thread only. */
      if (!gkv_transport_is_thread_movable (transport) &&
          !gkv_owner_check (self->owner, "The first use of a node with this transport", error))
        return FALSE;
    }

  g_mutex_lock (&self->lock);
  ok = gkv_options_validate (&self->options, transport, error);
  if (ok)
    gkv_map_set_ready (self->map, TRUE); /* under the lock, so that these are the options that there are */
  g_mutex_unlock (&self->lock);

  return ok;
}

GkvTransport *
gkv_node_dup_transport (GkvNode *self, GError **error)
{
  g_autofree char *message = NULL;
  g_autoptr (GkvTransport) made = NULL;
  GkvTransport *transport;

  g_mutex_lock (&self->lock);
  transport = self->options.transport != NULL ? self->options.transport : self->default_transport;
  if (transport != NULL)
    g_object_ref (transport);
  g_mutex_unlock (&self->lock);

  if (transport != NULL)
    return transport;

  made = gkv_transport_new_for_name ("udp", error);
  if (made == NULL)
    return NULL;

  message = gkv_modules_describe_fallback (GKV_TRANSPORT_EXTENSION_POINT_NAME, "udp");
  if (message != NULL)
    g_info ("%s", message);

  g_mutex_lock (&self->lock);
  if (self->default_transport == NULL)
    self->default_transport = g_steal_pointer (&made);
  transport = g_object_ref (self->default_transport);
  g_mutex_unlock (&self->lock);

  return transport;
}
