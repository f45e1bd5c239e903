/* GkvPeer: another node, as this one knows it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-peer.h"

#include "gkv-objects.h"

/**
 * GkvPeer:
 *
 * Another node of the cluster, as this one knows it.
 *
 * The list [property@Gkv.Node:peers] has those that are alive or suspect, and their properties notify. A peer that dies
 * or leaves is taken out of the list, and its [property@Gkv.Peer:state] says which; one that comes back gets a new
 * object. See [signal@Gkv.Node::peer-added] and [signal@Gkv.Node::peer-removed].
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
struct _GkvPeer
{
  GObject parent_instance;

  char *node_id;
  char *address;
  GkvPeerState state;
  gint64 round_trip_time;
  gint64 last_seen_us;
  GDateTime *last_seen;
};

enum
{
  PROP_0,

  PROP_NODE_ID,
  PROP_ADDRESS,
  PROP_STATE,
  PROP_ROUND_TRIP_TIME,
  PROP_LAST_SEEN,

  N_PROPS
};

static GParamSpec *props[N_PROPS] = {
  NULL,
};

G_DEFINE_ENUM_TYPE (GkvPeerState,
                    gkv_peer_state,
                    G_DEFINE_ENUM_VALUE (GKV_PEER_STATE_ALIVE, "alive"),
                    G_DEFINE_ENUM_VALUE (GKV_PEER_STATE_SUSPECT, "suspect"),
                    G_DEFINE_ENUM_VALUE (GKV_PEER_STATE_LEFT, "left"),
                    G_DEFINE_ENUM_VALUE (GKV_PEER_STATE_DEAD, "dead"))

G_DEFINE_FINAL_TYPE (GkvPeer, gkv_peer, G_TYPE_OBJECT)

static void
gkv_peer_finalize (GObject *object)
{
  GkvPeer *self = GKV_PEER (object);

  g_clear_pointer (&self->node_id, g_free);
  g_clear_pointer (&self->address, g_free);
  g_clear_pointer (&self->last_seen, g_date_time_unref);

  G_OBJECT_CLASS (gkv_peer_parent_class)->finalize (object);
}

static void
gkv_peer_init (GkvPeer *self)
{
  self->round_trip_time = -1;
}

static void
gkv_peer_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GkvPeer *self = GKV_PEER (object);

  switch (prop_id)
    {
    case PROP_NODE_ID:
      g_value_set_string (value, self->node_id);
      break;

    case PROP_ADDRESS:
      g_value_set_string (value, self->address);
      break;

    case PROP_STATE:
      g_value_set_enum (value, self->state);
      break;

    case PROP_ROUND_TRIP_TIME:
      g_value_set_int64 (value, self->round_trip_time);
      break;

    case PROP_LAST_SEEN:
      g_value_set_boxed (value, gkv_peer_get_last_seen (self));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_peer_class_init (GkvPeerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = gkv_peer_finalize;
  object_class->get_property = gkv_peer_get_property;

  /**
   * GkvPeer:node-id: (getter get_node_id)
   *
   * The peer's node id.
   *
   * Since: 1.0
   */
  props[PROP_NODE_ID] = g_param_spec_string ("node-id", NULL, NULL, NULL, flags);

  /**
   * GkvPeer:address: (getter get_address)
   *
   * The address of the peer in the transport's canonical form, with "udp" a numeric "host:port"; %NULL while it isn't
   * known.
   *
   * Since: 1.0
   */
  props[PROP_ADDRESS] = g_param_spec_string ("address", NULL, NULL, NULL, flags);

  /**
   * GkvPeer:state: (getter get_state)
   *
   * Whether the peer is alive, as far as is known.
   *
   * Since: 1.0
   */
  props[PROP_STATE] = g_param_spec_enum ("state", NULL, NULL, GKV_TYPE_PEER_STATE, GKV_PEER_STATE_ALIVE, flags);

  /**
   * GkvPeer:round-trip-time: (getter get_round_trip_time)
   *
   * How long a reply of the peer takes, in microseconds, as a moving average; -1 while it isn't known.
   *
   * Since: 1.0
   */
  props[PROP_ROUND_TRIP_TIME] = g_param_spec_int64 ("round-trip-time", NULL, NULL, -1, G_MAXINT64, -1, flags);

  /**
   * GkvPeer:last-seen: (getter get_last_seen)
   *
   * When a datagram of the peer was last received, in UTC, by the clock of this machine.
   *
   * Since: 1.0
   */
  props[PROP_LAST_SEEN] = g_param_spec_boxed ("last-seen", NULL, NULL, G_TYPE_DATE_TIME, flags);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

/* internal */

GkvPeer *
gkv_peer_new (const GkvPeerInfo *info)
{
  g_autoptr (GkvPeer) self = g_object_new (GKV_TYPE_PEER, NULL);

  self->node_id = g_strdup (info->node_id);
  gkv_peer_update (self, info);

  return g_steal_pointer (&self);
}

void
gkv_peer_update (GkvPeer *self, const GkvPeerInfo *info)
{
  GObject *object = G_OBJECT (self);
  GkvPeerState state = info->state;

  g_object_freeze_notify (object);

  if (g_strcmp0 (self->address, info->address) != 0)
    {
      g_free (self->address);
      self->address = g_strdup (info->address);
      g_object_notify_by_pspec (object, props[PROP_ADDRESS]);
    }

  if (self->state != state)
    {
      self->state = state;
      g_object_notify_by_pspec (object, props[PROP_STATE]);
    }

  if (self->round_trip_time != info->round_trip_us)
    {
      self->round_trip_time = info->round_trip_us;
      g_object_notify_by_pspec (object, props[PROP_ROUND_TRIP_TIME]);
    }

  if (self->last_seen_us != info->last_seen_wall)
    {
      g_clear_pointer (&self->last_seen, g_date_time_unref);
      self->last_seen_us = info->last_seen_wall;
      g_object_notify_by_pspec (object, props[PROP_LAST_SEEN]);
    }

  g_object_thaw_notify (object);
}

/* public methods */

/**
 * gkv_peer_get_node_id: (get-property node-id)
 * @self: a peer
 *
 * Gets the peer's node id.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer none): a node id
 *
 * Since: 1.0
 */
const char *
gkv_peer_get_node_id (GkvPeer *self)
{
  g_return_val_if_fail (GKV_IS_PEER (self), NULL);

  return self->node_id;
}

/**
 * gkv_peer_get_address: (get-property address)
 * @self: a peer
 *
 * Gets the address of the peer in the transport's canonical form.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer none) (nullable): an address, valid until it changes, or %NULL while it isn't known
 *
 * Since: 1.0
 */
const char *
gkv_peer_get_address (GkvPeer *self)
{
  g_return_val_if_fail (GKV_IS_PEER (self), NULL);

  return self->address;
}

/**
 * gkv_peer_get_state: (get-property state)
 * @self: a peer
 *
 * Gets whether the peer is alive, as far as is known.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: the peer's state
 *
 * Since: 1.0
 */
GkvPeerState
gkv_peer_get_state (GkvPeer *self)
{
  g_return_val_if_fail (GKV_IS_PEER (self), GKV_PEER_STATE_DEAD);

  return self->state;
}

/**
 * gkv_peer_get_round_trip_time: (get-property round-trip-time)
 * @self: a peer
 *
 * Gets how long a reply of the peer takes, as a moving average.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: microseconds, or -1 while that isn't known
 *
 * Since: 1.0
 */
gint64
gkv_peer_get_round_trip_time (GkvPeer *self)
{
  g_return_val_if_fail (GKV_IS_PEER (self), -1);

  return self->round_trip_time;
}

/**
 * gkv_peer_get_last_seen: (get-property last-seen)
 * @self: a peer
 *
 * Gets when a datagram of the peer was last received, by the clock of this machine.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer none): a time in UTC, valid until it changes
 *
 * Since: 1.0
 */
GDateTime *
gkv_peer_get_last_seen (GkvPeer *self)
{
  g_return_val_if_fail (GKV_IS_PEER (self), NULL);

  /* It is made when it is needed: datagrams come every second, and few applications look. */
  if (self->last_seen == NULL)
    {
      g_autoptr (GDateTime) second = g_date_time_new_from_unix_utc (self->last_seen_us / G_USEC_PER_SEC);

      self->last_seen = g_date_time_add (second, self->last_seen_us % G_USEC_PER_SEC);
    }

  return self->last_seen;
}
