/* GkvNode: the getters and setters of its properties.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"

/* internal */

/* Options are written in the thread of the node's main context, where their notifications belong. */
static gboolean
gkv_node_check_option_owner (GkvNode *self, const char *option)
{
  g_autofree char *call = NULL;

  /* While it is being made nobody else has it. */
  if (self->map == NULL)
    return TRUE;

  call = g_strdup_printf ("Setting the option %s", option);

  return gkv_node_check_owner (self, call);
}

/* Options can be written until the node is started. */
static gboolean
gkv_node_begin_change_and_lock (GkvNode *self, const char *option)
{
  if (!gkv_node_check_option_owner (self, option))
    return FALSE;

  if (gkv_node_get_state (self) != GKV_NODE_NEW)
    {
      g_warning ("The option %s of a GkvNode can't be changed once the node has been started", option);
      return FALSE;
    }

  g_mutex_lock (&self->lock);
  if (self->map != NULL)
    gkv_map_set_ready (self->map, FALSE);

  return TRUE;
}

/* Takes @value. TRUE if that changed anything. */
static gboolean
gkv_node_take_string (char **place, const char *value)
{
  if (g_strcmp0 (*place, value) == 0)
    return FALSE;

  g_free (*place);
  *place = g_strdup (value);

  return TRUE;
}

static gboolean
gkv_node_set_string_option (GkvNode *self, const char *option, char **place, const char *value)
{
  gboolean changed;

  if (!gkv_node_begin_change_and_lock (self, option))
    return FALSE;

  changed = gkv_node_take_string (place, value);
  g_mutex_unlock (&self->lock);

  return changed;
}

/* public methods */

/**
 * gkv_node_get_node_id: (get-property node-id)
 * @self: a node
 *
 * Gets the node's id. May be called from any thread.
 *
 * Returns: (transfer none): the id
 *
 * Since: 1.0
 */
const char *
gkv_node_get_node_id (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return self->options.node_id;
}

/**
 * gkv_node_get_cluster: (get-property cluster)
 * @self: a node
 *
 * Gets the name of the node's cluster, as it was set. May be called from any thread.
 *
 * Returns: (transfer none) (nullable): the name, or %NULL for the cluster "default"
 *
 * Since: 1.0
 */
const char *
gkv_node_get_cluster (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return self->options.cluster;
}

/**
 * gkv_node_get_bind_address: (get-property bind-address)
 * @self: a node
 *
 * Gets the address that the node is to be bound to, as it was set.
 *
 * May be called from any thread. The string is valid until the option is set again.
 *
 * Returns: (transfer none) (nullable): "host:port", or %NULL for a node without a network
 *
 * Since: 1.0
 */
const char *
gkv_node_get_bind_address (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return self->options.bind_address;
}

/**
 * gkv_node_set_bind_address: (set-property bind-address)
 * @self: a node
 * @bind_address: (nullable): "host:port", or %NULL for a node without a network
 *
 * Sets the address that the node is to be bound to. Ignored with a warning once the node has been started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_bind_address (GkvNode *self, const char *bind_address)
{
  g_return_if_fail (GKV_IS_NODE (self));

  if (gkv_node_set_string_option (self, "bind-address", &self->options.bind_address, bind_address))
    g_object_notify (G_OBJECT (self), "bind-address");
}

/**
 * gkv_node_get_advertise_address: (get-property advertise-address)
 * @self: a node
 *
 * Gets the address that peers are to use, as it was set.
 *
 * May be called from any thread. The string is valid until the option is set again.
 *
 * Returns: (transfer none) (nullable): "host:port", or %NULL for the one that is bound
 *
 * Since: 1.0
 */
const char *
gkv_node_get_advertise_address (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return self->options.advertise_address;
}

/**
 * gkv_node_set_advertise_address: (set-property advertise-address)
 * @self: a node
 * @advertise_address: (nullable): "host:port", or %NULL for the one that is bound
 *
 * Sets the address that peers are to use. Ignored with a warning once the node has been started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_advertise_address (GkvNode *self, const char *advertise_address)
{
  g_return_if_fail (GKV_IS_NODE (self));

  if (gkv_node_set_string_option (self, "advertise-address", &self->options.advertise_address, advertise_address))
    g_object_notify (G_OBJECT (self), "advertise-address");
}

/**
 * gkv_node_get_local_address: (get-property local-address)
 * @self: a node
 *
 * Gets the address that is bound, with the real port.
 *
 * May be called from any thread. The string is valid as long as the node.
 *
 * Returns: (transfer none) (nullable): an address in the transport's canonical form, with "udp" a numeric "host:port";
 *   %NULL while the node has no network
 *
 * Since: 1.0
 */
const char *
gkv_node_get_local_address (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return gkv_network_get_local_address (self->network);
}

/**
 * gkv_node_get_seeds: (get-property seeds)
 * @self: a node
 *
 * Gets the seeds, as they were set or added.
 *
 * May be called from any thread. The array is valid until a seed is added.
 *
 * Returns: (transfer none) (array zero-terminated=1): "host:port" of each
 *
 * Since: 1.0
 */
const char *const *
gkv_node_get_seeds (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return (const char *const *) self->options.seeds;
}

/**
 * gkv_node_set_seeds: (set-property seeds)
 * @self: a node
 * @seeds: (nullable) (array zero-terminated=1): "host:port" of each peer; %NULL for none
 *
 * Sets the seeds: the addresses of peers to join. Ignored with a warning once the node has been started;
 * [method@Gkv.Node.add_seed] works then, too.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_seeds (GkvNode *self, const char *const *seeds)
{
  const char *const none[] = { NULL };
  gboolean changed;

  g_return_if_fail (GKV_IS_NODE (self));

  if (!gkv_node_begin_change_and_lock (self, "seeds"))
    return;

  seeds = seeds != NULL ? seeds : none;
  changed = self->options.seeds == NULL || !g_strv_equal ((const char *const *) self->options.seeds, seeds);
  if (changed)
    {
      g_strfreev (self->options.seeds);
      self->options.seeds = g_strdupv ((char **) seeds);
    }
  g_mutex_unlock (&self->lock);

  if (changed)
    g_object_notify (G_OBJECT (self), "seeds");
}

/**
 * gkv_node_add_seed:
 * @self: a node
 * @address: the address of a peer, "host:port"
 * @error: return location for an error
 *
 * Adds a seed, before the node is started or after. One that is there already is left as it is.
 *
 * An address that can't be a peer's is %GKV_ERROR_INVALID_ADDRESS. A node that was started without bind-address can't
 * have seeds, which is %GKV_ERROR_INVALID_OPTION. A closed node is %GKV_ERROR_CLOSED.
 *
 * May be called from any thread. With a transport that can't be moved to another thread it belongs to the thread that
 * runs the node's main context: elsewhere it is %GKV_ERROR_WRONG_THREAD.
 *
 * Returns: %TRUE if the node has that seed, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_add_seed (GkvNode *self, const char *address, GError **error)
{
  g_autoptr (GkvTransport) transport = NULL;
  g_autoptr (GStrvBuilder) builder = NULL;
  g_auto (GStrv) old = NULL;
  gboolean started;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (address != NULL, FALSE);

  if (gkv_node_get_state (self) >= GKV_NODE_CLOSING)
    return gkv_map_fail_closed (error);

  transport = gkv_node_dup_transport (self, error);
  if (transport == NULL || (!gkv_transport_is_thread_movable (transport) &&
                            !gkv_owner_check (self->owner, "gkv_node_add_seed () with this transport", error)))
    return FALSE;

  if (!gkv_options_validate_seed (address, transport, error))
    return FALSE;

  builder = g_strv_builder_new ();
  g_mutex_lock (&self->lock);
  started = self->state != GKV_NODE_NEW;
  if (started && self->options.bind_address == NULL)
    {
      g_mutex_unlock (&self->lock);
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                           "The option seeds needs bind-address, and the node has been started without");
      return FALSE;
    }
  if (g_strv_contains ((const char *const *) self->options.seeds, address))
    {
      g_mutex_unlock (&self->lock);
      return TRUE;
    }
  g_strv_builder_addv (builder, (const char **) self->options.seeds);
  g_strv_builder_add (builder, address);
  old = self->options.seeds;
  self->options.seeds = g_strv_builder_end (builder);
  g_mutex_unlock (&self->lock);

  if (started)
    gkv_network_add_seed (self->network, address);
  else
    gkv_map_set_ready (self->map, FALSE);

  gkv_emitter_post_notify (self->emitter, g_object_class_find_property (G_OBJECT_GET_CLASS (self), "seeds"));

  return TRUE;
}

/**
 * gkv_node_get_gossip_interval: (get-property gossip-interval)
 * @self: a node
 *
 * Gets how often the node compares its map with a peer's.
 *
 * May be called from any thread.
 *
 * Returns: milliseconds
 *
 * Since: 1.0
 */
guint
gkv_node_get_gossip_interval (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), 0);

  return self->options.gossip_interval;
}

/**
 * gkv_node_set_gossip_interval: (set-property gossip-interval)
 * @self: a node
 * @gossip_interval: milliseconds, at least 1
 *
 * Sets how often the node compares its map with a peer's. This repairs losses: writes are sent at once, whatever the
 * interval. It may be changed at any time. 0 is refused: by [method@Gkv.Node.start], and with a warning once the node
 * has been started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_gossip_interval (GkvNode *self, guint gossip_interval)
{
  g_return_if_fail (GKV_IS_NODE (self));

  if (!gkv_node_check_option_owner (self, "gossip-interval"))
    return;

  if (gossip_interval == 0 && self->state != GKV_NODE_NEW)
    {
      g_warning ("The option gossip-interval of a GkvNode can't be 0");
      return;
    }

  if (self->options.gossip_interval == gossip_interval ||
      (self->map != NULL && !gkv_node_check_owner (self, "Setting an option of a GkvNode")))
    return;

  g_mutex_lock (&self->lock);
  self->options.gossip_interval = gossip_interval;
  g_mutex_unlock (&self->lock);

  if (gossip_interval == 0 && self->map != NULL)
    gkv_map_set_ready (self->map, FALSE);
  if (self->network != NULL)
    gkv_network_set_gossip_interval (self->network, gossip_interval);

  g_object_notify (G_OBJECT (self), "gossip-interval");
}

/**
 * gkv_node_get_codec: (get-property codec)
 * @self: a node
 *
 * Gets the codec that values are sent with.
 *
 * May be called from any thread.
 *
 * Returns: (transfer none) (nullable): a codec, or %NULL while none was set and the one named "variant" wasn't needed
 *   yet
 *
 * Since: 1.0
 */
GkvCodec *
gkv_node_get_codec (GkvNode *self)
{
  const GkvCodecHandle *codec;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  codec = gkv_map_get_codec (self->map);

  return codec != NULL ? codec->codec : NULL;
}

/**
 * gkv_node_set_codec: (set-property codec)
 * @self: a node
 * @codec: (nullable): a codec, or %NULL for the one named "variant"
 *
 * Sets the codec that values are sent with. Values that were written before with another can't be read then. Ignored
 * with a warning once the node has been started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_codec (GkvNode *self, GkvCodec *codec)
{
  const GkvCodecHandle *old;

  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (codec == NULL || GKV_IS_CODEC (codec));

  if (self->map == NULL)
    {
      g_set_object (&self->options.codec, codec);
      return;
    }

  old = gkv_map_get_codec (self->map);
  if (codec == (old != NULL ? old->codec : NULL) || !gkv_node_begin_change_and_lock (self, "codec"))
    return;

  g_mutex_unlock (&self->lock);
  gkv_map_set_codec (self->map, codec != NULL ? gkv_codec_handle_new (codec) : NULL);

  g_object_notify (G_OBJECT (self), "codec");
}

/**
 * gkv_node_get_transport: (get-property transport)
 * @self: a node
 *
 * Gets the transport that carries datagrams.
 *
 * May be called from any thread.
 *
 * Returns: (transfer none) (nullable): a transport, or %NULL while none was set: the one named "udp" is created when
 *   the node is started
 *
 * Since: 1.0
 */
GkvTransport *
gkv_node_get_transport (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return self->options.transport;
}

/**
 * gkv_node_set_transport: (set-property transport)
 * @self: a node
 * @transport: (nullable): a transport, or %NULL for the one named "udp"
 *
 * Sets the transport that carries datagrams. It serves one node. Ignored with a warning once the node has been started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_transport (GkvNode *self, GkvTransport *transport)
{
  g_autoptr (GkvTransport) old = NULL;

  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (transport == NULL || GKV_IS_TRANSPORT (transport));

  if (self->options.transport == transport || !gkv_node_begin_change_and_lock (self, "transport"))
    return;

  old = g_steal_pointer (&self->options.transport);
  self->options.transport = transport != NULL ? g_object_ref (transport) : NULL;
  g_mutex_unlock (&self->lock);

  g_object_notify (G_OBJECT (self), "transport");
}

/**
 * gkv_node_get_discovery: (get-property discovery)
 * @self: a node
 *
 * Gets the discovery that finds peers without seeds.
 *
 * May be called from any thread.
 *
 * Returns: (transfer none) (nullable): a discovery, or %NULL for none
 *
 * Since: 1.0
 */
GkvDiscovery *
gkv_node_get_discovery (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return self->options.discovery;
}

/**
 * gkv_node_set_discovery: (set-property discovery)
 * @self: a node
 * @discovery: (nullable): a discovery, or %NULL for none
 *
 * Sets the discovery that finds peers without seeds. It serves one node. Ignored with a warning once the node has been
 * started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_discovery (GkvNode *self, GkvDiscovery *discovery)
{
  g_autoptr (GkvDiscovery) old = NULL;

  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (discovery == NULL || GKV_IS_DISCOVERY (discovery));

  if (self->options.discovery == discovery || !gkv_node_begin_change_and_lock (self, "discovery"))
    return;

  old = g_steal_pointer (&self->options.discovery);
  self->options.discovery = discovery != NULL ? g_object_ref (discovery) : NULL;
  g_mutex_unlock (&self->lock);

  g_object_notify (G_OBJECT (self), "discovery");
}

/**
 * gkv_node_get_remembered_removals: (get-property remembered-removals)
 * @self: a node
 *
 * Gets how many removed keys the node remembers.
 *
 * May be called from any thread.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
gkv_node_get_remembered_removals (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), 0);

  return self->options.remembered_removals;
}

/**
 * gkv_node_set_remembered_removals: (set-property remembered-removals)
 * @self: a node
 * @remembered_removals: how many, at least 1
 *
 * Sets how many removed keys the node remembers. Ignored with a warning once the node has been started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_remembered_removals (GkvNode *self, guint remembered_removals)
{
  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (remembered_removals > 0);

  if (self->options.remembered_removals == remembered_removals ||
      !gkv_node_begin_change_and_lock (self, "remembered-removals"))
    return;

  self->options.remembered_removals = remembered_removals;
  g_mutex_unlock (&self->lock);

  g_object_notify (G_OBJECT (self), "remembered-removals");
}

/**
 * gkv_node_get_network_thread: (get-property network-thread)
 * @self: a node
 *
 * Gets whether the network may run in a thread of its own. May be called from any thread.
 *
 * Returns: %TRUE if it may
 *
 * Since: 1.0
 */
gboolean
gkv_node_get_network_thread (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);

  return self->options.network_thread;
}

/**
 * gkv_node_set_network_thread: (set-property network-thread)
 * @self: a node
 * @network_thread: whether the network may run in a thread of its own
 *
 * Sets whether the network may run in a thread of its own. Ignored with a warning once the node has been started.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_set_network_thread (GkvNode *self, gboolean network_thread)
{
  g_return_if_fail (GKV_IS_NODE (self));

  if (self->options.network_thread == !!network_thread || !gkv_node_begin_change_and_lock (self, "network-thread"))
    return;

  self->options.network_thread = !!network_thread;
  g_mutex_unlock (&self->lock);

  g_object_notify (G_OBJECT (self), "network-thread");
}

/**
 * gkv_node_get_peers: (get-property peers)
 * @self: a node
 *
 * Gets the peers that are alive or suspect, as a list model of [class@Gkv.Peer] that follows the membership. It has the
 * properties `item-type` and `n-items`. It stays the same as long as the node.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer none): a list model of [class@Gkv.Peer]
 *
 * Since: 1.0
 */
GListModel *
gkv_node_get_peers (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  return gkv_emitter_get_peers (self->emitter);
}

/**
 * gkv_node_get_synced: (get-property synced)
 * @self: a node
 *
 * Gets whether the node has caught up with the cluster.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if it has
 *
 * Since: 1.0
 */
gboolean
gkv_node_get_synced (GkvNode *self)
{
  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);

  return gkv_network_get_synced (self->network);
}
