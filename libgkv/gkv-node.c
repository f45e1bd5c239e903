/* GkvNode: the class, with its properties and signals, and how a node is started and closed. The parts in node/ do the
 * rest.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"
#include "gkv-marshal.h"
#include "gkv-modules.h"
#include "gkv-peer.h"

/**
 * GkvNode:
 *
 * A map that lives in the application, and that every copy of the application shares.
 *
 * A node keeps values by key in memory, gossips them with the nodes of its cluster, and emits
 * [signal@Gkv.Node::changed] when a value changes, wherever it was written. There is no server.
 *
 * Without options a node is local: it has no network. With [property@Gkv.Node:bind-address] and
 * [property@Gkv.Node:seeds] or [property@Gkv.Node:discovery] it joins others once it is started:
 *
 * ```c
 * g_autoptr (GkvNode) node = gkv_node_new ();
 *
 * gkv_node_set_bind_address (node, "0.0.0.0:7000");
 * gkv_node_add_seed (node, "192.0.2.1:7000", NULL);
 * g_signal_connect (node, "changed::greeting",
 *                   G_CALLBACK (on_greeting), NULL);
 * if (!gkv_node_start (node, NULL, &error))
 *   g_error ("%s", error->message);
 *
 * gkv_node_set_string (node, "greeting", "Hello", NULL);
 * ```
 *
 * Options are properties. They can be set until the node is started, in the thread that runs its main context. They are
 * validated then, or by the first read or write before. Keys that are set before the start are sent after it.
 *
 * # Threads
 *
 * A node belongs to the main context that was the thread's default when the node was created: its signals are emitted
 * there, and only there. Values may be read and written in any thread; the page of every function says from which
 * threads it may be called. The last reference may be dropped in any thread, and inside any handler: that stops the
 * node.
 *
 * It also belongs to the process that created it. In a forked child it is as if it were closed: calls fail with
 * %GKV_ERROR_CLOSED, nothing is emitted or sent, and dropping it doesn't concern the cluster. A node that the child
 * creates itself works.
 *
 * Since: 1.0
 */

/* How long closing waits for what was written here to reach a peer. */
#define CLOSE_TIMEOUT_MS (2000)

enum
{
  PROP_0,

  PROP_NODE_ID,
  PROP_CLUSTER,
  PROP_BIND_ADDRESS,
  PROP_ADVERTISE_ADDRESS,
  PROP_LOCAL_ADDRESS,
  PROP_SEEDS,
  PROP_GOSSIP_INTERVAL,
  PROP_CODEC,
  PROP_TRANSPORT,
  PROP_DISCOVERY,
  PROP_NETWORK_THREAD,
  PROP_REMEMBERED_REMOVALS,
  PROP_PEERS,
  PROP_SYNCED,

  N_PROPS
};

static GParamSpec *props[N_PROPS] = {
  NULL,
};

static GkvEmitterSignals signals;

G_DEFINE_FINAL_TYPE (GkvNode, gkv_node, G_TYPE_OBJECT)

G_DEFINE_FLAGS_TYPE (GkvSetFlags,
                     gkv_set_flags,
                     G_DEFINE_ENUM_VALUE (GKV_SET_NONE, "none"),
                     G_DEFINE_ENUM_VALUE (GKV_SET_EPHEMERAL, "ephemeral"),
                     G_DEFINE_ENUM_VALUE (GKV_SET_CREATE, "create"))

G_DEFINE_FLAGS_TYPE (GkvWatchFlags,
                     gkv_watch_flags,
                     G_DEFINE_ENUM_VALUE (GKV_WATCH_NONE, "none"),
                     G_DEFINE_ENUM_VALUE (GKV_WATCH_INITIAL, "initial"))

/* Closes the parts, once. */
static void
gkv_node_end (GkvNode *self)
{
  gboolean ended;

  g_mutex_lock (&self->lock);
  ended = self->state == GKV_NODE_CLOSED;
  self->state = GKV_NODE_CLOSED;
  g_mutex_unlock (&self->lock);

  if (ended)
    return;

  gkv_map_close (self->map);
  gkv_emitter_close (self->emitter);
  gkv_network_close (self->network);
}

static void
gkv_node_dispose (GObject *object)
{
  GkvNode *self = GKV_NODE (object);

  if (gkv_owner_is_here (self->owner))
    gkv_node_end (self);

  G_OBJECT_CLASS (gkv_node_parent_class)->dispose (object);
}

static void
gkv_node_finalize (GObject *object)
{
  GkvNode *self = GKV_NODE (object);

  /* The parts are left as they are in a forked child: ending them takes locks. */
  if (!gkv_owner_is_here (self->owner))
    {
      G_OBJECT_CLASS (gkv_node_parent_class)->finalize (object);
      return;
    }

  gkv_emitter_drop_objects (self->emitter);
  gkv_network_unref (self->network);
  gkv_emitter_unref (self->emitter);
  gkv_map_unref (self->map);
  gkv_owner_unref (self->owner);
  gkv_options_clear (&self->options);
  g_clear_object (&self->default_transport);
  g_mutex_clear (&self->lock);

  G_OBJECT_CLASS (gkv_node_parent_class)->finalize (object);
}

static void
gkv_node_init (GkvNode *self)
{
  g_mutex_init (&self->lock);
  self->owner = gkv_owner_new ();
  gkv_options_init (&self->options);
}

static void
gkv_node_constructed (GObject *object)
{
  GkvNode *self = GKV_NODE (object);
  GkvCodec *codec = g_steal_pointer (&self->options.codec);
  /* With low bits by chance, so that no two that begin at once have the same. */
  guint64 generation = (guint64) g_get_real_time () << 8 | g_random_int_range (0, 256);

  G_OBJECT_CLASS (gkv_node_parent_class)->constructed (object);

  if (self->options.node_id == NULL)
    self->options.node_id = g_strdup_printf ("%08x%08x", g_random_int (), g_random_int ());

  /* An empty cluster is refused later, as is an empty id. */
  self->map = gkv_map_new (self->owner, self->options.node_id, gkv_options_get_cluster (&self->options), generation);
  self->emitter = gkv_emitter_new (self->owner, self->map, &signals);
  self->network = gkv_network_new (self->owner, self->map, self->emitter, props[PROP_SYNCED]);
  gkv_emitter_set_node (self->emitter, object);

  if (codec != NULL)
    gkv_map_set_codec (self->map, gkv_codec_handle_new (codec));
  g_clear_object (&codec);
}

static void
gkv_node_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GkvNode *self = GKV_NODE (object);

  switch (prop_id)
    {
    case PROP_NODE_ID:
      g_value_set_string (value, self->options.node_id);
      break;

    case PROP_CLUSTER:
      g_value_set_string (value, self->options.cluster);
      break;

    case PROP_BIND_ADDRESS:
      g_value_set_string (value, self->options.bind_address);
      break;

    case PROP_ADVERTISE_ADDRESS:
      g_value_set_string (value, self->options.advertise_address);
      break;

    case PROP_LOCAL_ADDRESS:
      g_value_set_string (value, gkv_node_get_local_address (self));
      break;

    case PROP_SEEDS:
      g_mutex_lock (&self->lock); /* any thread may add one meanwhile */
      g_value_set_boxed (value, self->options.seeds);
      g_mutex_unlock (&self->lock);
      break;

    case PROP_GOSSIP_INTERVAL:
      g_value_set_uint (value, self->options.gossip_interval);
      break;

    case PROP_CODEC:
      g_value_set_object (value, gkv_node_get_codec (self));
      break;

    case PROP_TRANSPORT:
      g_value_set_object (value, self->options.transport);
      break;

    case PROP_DISCOVERY:
      g_value_set_object (value, self->options.discovery);
      break;

    case PROP_NETWORK_THREAD:
      g_value_set_boolean (value, self->options.network_thread);
      break;

    case PROP_REMEMBERED_REMOVALS:
      g_value_set_uint (value, self->options.remembered_removals);
      break;

    case PROP_PEERS:
      g_value_set_object (value, gkv_node_get_peers (self));
      break;

    case PROP_SYNCED:
      g_value_set_boolean (value, gkv_node_get_synced (self));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_node_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  GkvNode *self = GKV_NODE (object);

  switch (prop_id)
    {
    case PROP_NODE_ID:
      self->options.node_id = g_value_dup_string (value);
      break;

    case PROP_CLUSTER:
      self->options.cluster = g_value_dup_string (value);
      break;

    case PROP_BIND_ADDRESS:
      gkv_node_set_bind_address (self, g_value_get_string (value));
      break;

    case PROP_ADVERTISE_ADDRESS:
      gkv_node_set_advertise_address (self, g_value_get_string (value));
      break;

    case PROP_SEEDS:
      gkv_node_set_seeds (self, g_value_get_boxed (value));
      break;

    case PROP_GOSSIP_INTERVAL:
      gkv_node_set_gossip_interval (self, g_value_get_uint (value));
      break;

    case PROP_CODEC:
      gkv_node_set_codec (self, g_value_get_object (value));
      break;

    case PROP_TRANSPORT:
      gkv_node_set_transport (self, g_value_get_object (value));
      break;

    case PROP_DISCOVERY:
      gkv_node_set_discovery (self, g_value_get_object (value));
      break;

    case PROP_NETWORK_THREAD:
      gkv_node_set_network_thread (self, g_value_get_boolean (value));
      break;

    case PROP_REMEMBERED_REMOVALS:
      gkv_node_set_remembered_removals (self, g_value_get_uint (value));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_node_install_properties (GObjectClass *object_class)
{
  GParamFlags known = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
  GParamFlags identity = known | G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY;
  GParamFlags option = known | G_PARAM_WRITABLE | G_PARAM_CONSTRUCT;

  /**
   * GkvNode:node-id: (getter get_node_id)
   *
   * The node's id, 1 to 255 bytes of UTF-8: the origin of what it writes. It decides between two writes at the same
   * time. If none is set, the node gets 16 random hexadecimal digits. Two nodes of a cluster must not have the same id.
   *
   * Since: 1.0
   */
  props[PROP_NODE_ID] = g_param_spec_string ("node-id", NULL, NULL, NULL, identity);

  /**
   * GkvNode:cluster: (getter get_cluster)
   *
   * The cluster's name, 1 to 255 bytes of UTF-8. Nodes of different clusters ignore each other, on the network and in
   * discovery. %NULL stands for the cluster "default". With [property@Gkv.Node:discovery] a cluster is required, so
   * that the node doesn't meet those of other applications nearby: the application's id is a good name.
   *
   * Since: 1.0
   */
  props[PROP_CLUSTER] = g_param_spec_string ("cluster", NULL, NULL, NULL, identity);

  /**
   * GkvNode:bind-address: (getter get_bind_address) (setter set_bind_address)
   *
   * Where the node listens: "192.0.2.1:7000", "[2001:db8::1]:7000" or "name:7000". The host "0.0.0.0" or "[::]" stands
   * for every address of the machine, the port 0 for any free one. %NULL: the node has no network.
   *
   * Since: 1.0
   */
  props[PROP_BIND_ADDRESS] = g_param_spec_string ("bind-address", NULL, NULL, NULL, option);

  /**
   * GkvNode:advertise-address: (getter get_advertise_address) (setter set_advertise_address)
   *
   * The address that peers are to use, "host:port", where it isn't the one that is bound: behind NAT, and in
   * containers. %NULL: the one that is bound.
   *
   * Since: 1.0
   */
  props[PROP_ADVERTISE_ADDRESS] = g_param_spec_string ("advertise-address", NULL, NULL, NULL, option);

  /**
   * GkvNode:local-address: (getter get_local_address)
   *
   * The address that is bound, with the real port, in the transport's canonical form: with "udp" a numeric "host:port".
   * %NULL while the node has no network.
   *
   * Since: 1.0
   */
  props[PROP_LOCAL_ADDRESS] = g_param_spec_string ("local-address", NULL, NULL, NULL, known);

  /**
   * GkvNode:seeds: (getter get_seeds) (setter set_seeds)
   *
   * The seeds: "host:port" of peers to join. One that runs is enough, as peers report each other. A name is resolved
   * again while no peer replies at its addresses. Needs [property@Gkv.Node:bind-address].
   *
   * Since: 1.0
   */
  props[PROP_SEEDS] = g_param_spec_boxed ("seeds", NULL, NULL, G_TYPE_STRV, option);

  /**
   * GkvNode:gossip-interval: (getter get_gossip_interval) (setter set_gossip_interval)
   *
   * How often the node compares its map with a peer's, in milliseconds. It can be changed at any time. 0 is refused.
   *
   * Since: 1.0
   */
  props[PROP_GOSSIP_INTERVAL] = g_param_spec_uint ("gossip-interval", NULL, NULL, 0, G_MAXUINT, 2000, option);

  /**
   * GkvNode:codec: (getter get_codec) (setter set_codec)
   *
   * The codec that values are sent with. If none is set, the codec named "variant", which carries any value.
   *
   * Since: 1.0
   */
  props[PROP_CODEC] = g_param_spec_object ("codec", NULL, NULL, GKV_TYPE_CODEC, option);

  /**
   * GkvNode:transport: (getter get_transport) (setter set_transport)
   *
   * The transport that carries datagrams. If none is set, the transport named "udp".
   *
   * Since: 1.0
   */
  props[PROP_TRANSPORT] = g_param_spec_object ("transport", NULL, NULL, GKV_TYPE_TRANSPORT, option);

  /**
   * GkvNode:discovery: (getter get_discovery) (setter set_discovery)
   *
   * The discovery that finds peers without seeds, for example the one named "mdns", or "dns:nodes.example:7000"; %NULL
   * for none. Needs [property@Gkv.Node:bind-address] and [property@Gkv.Node:cluster].
   *
   * Since: 1.0
   */
  props[PROP_DISCOVERY] = g_param_spec_object ("discovery", NULL, NULL, GKV_TYPE_DISCOVERY, option);

  /**
   * GkvNode:network-thread: (getter get_network_thread) (setter set_network_thread)
   *
   * Whether the network runs in a thread of the library, if transport and discovery can be moved there; otherwise it
   * runs in the node's main context. With a thread the node stays a full member while the application blocks its main
   * loop, or has none: it replies to peers, its map stays current, its writes are sent, and keys expire.
   *
   * Since: 1.0
   */
  props[PROP_NETWORK_THREAD] = g_param_spec_boolean ("network-thread", NULL, NULL, TRUE, option);

  /**
   * GkvNode:remembered-removals: (getter get_remembered_removals) (setter set_remembered_removals)
   *
   * How many removed keys the node remembers, at least 1: for as long as fewer were removed since a peer was last in
   * touch, none of them returns with it. Each takes 32 bytes, and memory is taken as they are made.
   *
   * A key that a peer brings back after more removals than that is kept, counted as `records-doubted` in
   * [method@Gkv.Node.get_stats], and reported by [signal@Gkv.Node::error].
   *
   * Since: 1.0
   */
  props[PROP_REMEMBERED_REMOVALS] =
      g_param_spec_uint ("remembered-removals", NULL, NULL, 1, G_MAXUINT, GKV_MAX_REMOVALS, option);

  /**
   * GkvNode:peers: (getter get_peers)
   *
   * The peers that are alive or suspect: a list of [class@Gkv.Peer], sorted by node id, that follows the membership.
   * Only the node changes it.
   *
   * Since: 1.0
   */
  props[PROP_PEERS] = g_param_spec_object ("peers", NULL, NULL, G_TYPE_LIST_MODEL, known);

  /**
   * GkvNode:synced: (getter get_synced)
   *
   * Whether the node has caught up with the cluster: it has all that a synced peer had, or all that every peer alive
   * had. It becomes %TRUE once, and stays so. A node without a network is synced when it is started; one that has no
   * seeds and finds no peer, after 3 seconds. While no seed has replied, nor any other peer, it stays %FALSE.
   *
   * Since: 1.0
   */
  props[PROP_SYNCED] = g_param_spec_boolean ("synced", NULL, NULL, FALSE, known);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
gkv_node_class_init (GkvNodeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = gkv_node_constructed;
  object_class->dispose = gkv_node_dispose;
  object_class->finalize = gkv_node_finalize;
  object_class->get_property = gkv_node_get_property;
  object_class->set_property = gkv_node_set_property;

  gkv_node_install_properties (object_class);

  /**
   * GkvNode::changed:
   * @self: the node
   * @key: the key
   * @value: (nullable): its value; %NULL when the key was removed or has expired
   * @origin: the id of the node that wrote or removed it, or whose value has expired
   *
   * A value has changed, here or on a peer. Connect to `changed::KEY` to be notified of one key only, and see
   * [method@Gkv.Node.watch] for all keys under a prefix.
   *
   * A write in the thread that runs the node's main context emits before it returns. What other threads and peers write
   * is emitted by that main context, in the order in which it was applied; a key that changes often emits once, with
   * its latest value. A write that sets a key to the value that it has doesn't emit. A value that this node can't
   * decode isn't emitted: [signal@Gkv.Node::error] reports it. Lists are up to date before handlers run.
   *
   * Handlers may do anything: write, close the node, or drop its last reference. Nothing is emitted after
   * [method@Gkv.Node.close].
   *
   * Since: 1.0
   */
  signals.changed =
      g_signal_new ("changed", GKV_TYPE_NODE, G_SIGNAL_RUN_LAST | G_SIGNAL_DETAILED, 0, NULL, NULL,
                    gkv_marshal_VOID__STRING_VARIANT_STRING, G_TYPE_NONE, 3, G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE,
                    G_TYPE_VARIANT | G_SIGNAL_TYPE_STATIC_SCOPE, G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE);
  g_signal_set_va_marshaller (signals.changed, GKV_TYPE_NODE, gkv_marshal_VOID__STRING_VARIANT_STRINGv);

  /**
   * GkvNode::peer-added:
   * @self: the node
   * @peer: the peer
   *
   * The node has met a peer, or met it again.
   *
   * Emitted in the node's main context, after [property@Gkv.Node:peers] has it.
   *
   * Since: 1.0
   */
  signals.peer_added =
      g_signal_new ("peer-added", GKV_TYPE_NODE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, GKV_TYPE_PEER);

  /**
   * GkvNode::peer-removed:
   * @self: the node
   * @peer: the peer
   *
   * A peer has left or is dead: its [property@Gkv.Peer:state] says which.
   *
   * Emitted in the node's main context, after it was taken out of [property@Gkv.Node:peers].
   *
   * Since: 1.0
   */
  signals.peer_removed = g_signal_new ("peer-removed", GKV_TYPE_NODE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                       G_TYPE_NONE, 1, GKV_TYPE_PEER);

  /**
   * GkvNode::error:
   * @self: the node
   * @error: what went wrong
   *
   * Something failed outside of any call: a seed can't be resolved, a peer's value can't be decoded, a peer has the
   * same id. The node goes on. The same message is emitted at most once a minute. Where no handler is connected, it is
   * logged as a warning.
   *
   * Emitted in the node's main context.
   *
   * Since: 1.0
   */
  signals.error = g_signal_new ("error", GKV_TYPE_NODE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1,
                                G_TYPE_ERROR | G_SIGNAL_TYPE_STATIC_SCOPE);
}

/* internal */

/* Whether the node can be started now; its options are validated. */
static gboolean
gkv_node_check_startable (GkvNode *self, GCancellable *cancellable, GError **error)
{
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;

  if (self->state == GKV_NODE_STARTING || self->state == GKV_NODE_STARTED)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_FAILED,
                           "The node has been started already; it can be started once");
      return FALSE;
    }

  if (self->state == GKV_NODE_CLOSING)
    return gkv_map_fail_closed (error);

  return gkv_node_check_usable (self, error) && gkv_options_validate_start (&self->options, error);
}

/* The address that a discovery starts with doesn't tell whether the application has chosen its port. One that has to
 * know has a property for what was given. */
static void
gkv_node_brief_discovery (GkvNode *self)
{
  static const char property[] = "given-address";
  const GkvOptions *options = &self->options;

  if (options->discovery != NULL && g_object_class_find_property (G_OBJECT_GET_CLASS (options->discovery), property))
    g_object_set (options->discovery, property,
                  options->advertise_address != NULL ? options->advertise_address : options->bind_address, NULL);
}

/* Gives the seeds that there are then: what is added later is handed over to the network. FALSE: another thread has
 * closed the node meanwhile. */
static gboolean
gkv_node_begin_start (GkvNode *self, GStrv *seeds, GError **error)
{
  gboolean begun;

  g_mutex_lock (&self->lock);
  begun = self->state == GKV_NODE_NEW;
  if (begun)
    {
      self->state = GKV_NODE_STARTING;
      *seeds = g_strdupv (self->options.seeds);
    }
  g_mutex_unlock (&self->lock);

  if (!begun)
    return gkv_map_fail_closed (error);

  gkv_node_brief_discovery (self);

  return TRUE;
}

static gboolean
gkv_node_is_local (GkvNode *self)
{
  return self->options.bind_address == NULL;
}

static GkvNetworkConfig
gkv_node_make_config (GkvNode *self, const char *const *seeds, GkvTransport *transport)
{
  GkvNetworkConfig config = {
    .node_id = self->options.node_id,
    .cluster = gkv_options_get_cluster (&self->options),
    .bind_address = self->options.bind_address,
    .advertise_address = self->options.advertise_address,
    .seeds = seeds,
    .gossip_interval_ms = self->options.gossip_interval,
    .own_thread = self->options.network_thread,
    .max_removals = self->options.remembered_removals,
    .transport = transport,
    .discovery = self->options.discovery,
  };

  return config;
}

/* The network is open, or could not be opened. Consumes @cause. */
static gboolean
gkv_node_end_start (GkvNode *self, GError *cause, GError **error)
{
  gboolean started = FALSE;

  g_mutex_lock (&self->lock);
  if (self->state == GKV_NODE_STARTING)
    {
      started = cause == NULL;
      self->state = started ? GKV_NODE_STARTED : GKV_NODE_NEW;
    }
  g_mutex_unlock (&self->lock);

  if (cause != NULL)
    {
      g_propagate_prefixed_error (error, cause, "The node can't start at \"%s\": ", self->options.bind_address);
      return FALSE;
    }

  if (!started)
    return gkv_map_fail_closed (error);

  g_object_freeze_notify (G_OBJECT (self));
  if (gkv_node_is_local (self))
    {
      g_object_notify_by_pspec (G_OBJECT (self), props[PROP_SYNCED]);
    }
  else
    {
      g_object_notify_by_pspec (G_OBJECT (self), props[PROP_LOCAL_ADDRESS]);
      if (self->options.transport == NULL)
        {
          self->options.transport = gkv_node_dup_transport (self, NULL);
          g_object_notify_by_pspec (G_OBJECT (self), props[PROP_TRANSPORT]);
        }
    }
  g_object_thaw_notify (G_OBJECT (self));

  return TRUE;
}

static void
gkv_node_opened (const GError *cause, gpointer data)
{
  g_autoptr (GTask) task = data;
  GError *error = NULL;

  if (gkv_node_end_start (g_task_get_source_object (task), cause != NULL ? g_error_copy (cause) : NULL, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* public methods */

/**
 * gkv_node_new:
 *
 * Creates a node without options, and so without a network: it needs no start. Set options as properties, by
 * g_object_new() or before the node is started.
 *
 * May be called from any thread: the node belongs to the thread-default main context of the one that creates it.
 *
 * Returns: (transfer full): a new node
 *
 * Since: 1.0
 */
GkvNode *
gkv_node_new (void)
{
  return g_object_new (GKV_TYPE_NODE, NULL);
}

/**
 * gkv_node_start:
 * @self: a node
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Binds the node to its address and joins its cluster. A node without bind-address has nothing to bind, and succeeds.
 *
 * A host name in [property@Gkv.Node:bind-address] or [property@Gkv.Node:advertise-address] has to be looked up: this
 * call waits for that, for 10 s at most (then %G_IO_ERROR_TIMED_OUT). Where the network has no thread of its own
 * ([property@Gkv.Node:network-thread]) it can't wait: such a name is %GKV_ERROR_INVALID_OPTION there; use
 * [method@Gkv.Node.start_async].
 *
 * A wrong option is %GKV_ERROR_INVALID_OPTION or %GKV_ERROR_INVALID_ADDRESS, and the message names it; an address that
 * can't be bound is %GKV_ERROR_TRANSPORT. After an error the options can be changed, and the node started again. A
 * second start is %GKV_ERROR_FAILED and does no harm; one after [method@Gkv.Node.close] is %GKV_ERROR_CLOSED.
 *
 * Belongs to the thread that runs the node's main context: elsewhere it is %GKV_ERROR_WRONG_THREAD.
 *
 * Returns: %TRUE if the node was started, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_start (GkvNode *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (GkvNode) alive G_GNUC_UNUSED = NULL;
  g_autoptr (GkvTransport) transport = NULL;
  g_auto (GStrv) seeds = NULL;
  GkvNetworkConfig config;
  GError *cause = NULL;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);

  if (!gkv_owner_check (self->owner, "gkv_node_start ()", error) ||
      !gkv_node_check_startable (self, cancellable, error) || !gkv_node_begin_start (self, &seeds, error))
    return FALSE;

  alive = g_object_ref (self);

  if (gkv_node_is_local (self))
    {
      gkv_network_open_local (self->network);
    }
  else
    {
      transport = gkv_node_dup_transport (self, NULL);
      config = gkv_node_make_config (self, (const char *const *) seeds, transport);
      gkv_network_open (self->network, &config, cancellable, &cause);
    }

  return gkv_node_end_start (self, cause, error);
}

/**
 * gkv_node_start_async:
 * @self: a node
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called when the node was started, or could not be
 * @user_data: data for @callback
 *
 * Starts the node as [method@Gkv.Node.start] does, without waiting for name servers.
 *
 * When @cancellable is cancelled late, either the node is started, or it is as it was before and this ends in
 * %G_IO_ERROR_CANCELLED.
 *
 * Belongs to the thread that runs the node's main context: elsewhere it ends in %GKV_ERROR_WRONG_THREAD.
 *
 * Since: 1.0
 */
void
gkv_node_start_async (GkvNode *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (GkvTransport) transport = NULL;
  g_auto (GStrv) seeds = NULL;
  GkvNetworkConfig config;
  GError *error = NULL;

  g_return_if_fail (GKV_IS_NODE (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_start_async);
  g_task_set_check_cancellable (task, FALSE);

  if (!gkv_owner_check (self->owner, "gkv_node_start_async ()", &error) ||
      !gkv_node_check_startable (self, cancellable, &error) || !gkv_node_begin_start (self, &seeds, &error))
    {
      g_task_return_error (task, error);
      return;
    }

  if (gkv_node_is_local (self))
    {
      gkv_network_open_local (self->network);
      gkv_node_opened (NULL, g_steal_pointer (&task));
      return;
    }

  transport = gkv_node_dup_transport (self, NULL);
  config = gkv_node_make_config (self, (const char *const *) seeds, transport);
  gkv_network_begin_open (self->network, &config, cancellable, gkv_node_opened, g_steal_pointer (&task));
}

/**
 * gkv_node_start_finish:
 * @self: a node
 * @result: the result that the callback received
 * @error: return location for an error
 *
 * Ends [method@Gkv.Node.start_async].
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the node was started, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_start_finish (GkvNode *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * gkv_node_watch:
 * @self: a node
 * @prefix: (nullable): the prefix of the keys; %NULL for all keys
 * @flags: how they are watched
 * @func: (scope notified) (closure user_data) (destroy destroy): called for each change
 * @user_data: data for @func
 * @destroy: (nullable): called with @user_data, in the node's main context, when the watch has ended
 *
 * Watches the keys under a prefix: @func is called for each change that [signal@Gkv.Node::changed] is emitted for, and
 * in the same order. What a change of a key costs doesn't depend on the number of watches of other keys.
 *
 * With %GKV_WATCH_INITIAL @func is first called by the main loop for the keys that are there, in their order; each
 * once, before its later changes.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: the id of the watch, for [method@Gkv.Node.unwatch]; 0, with a critical warning, in another thread
 *
 * Since: 1.0
 */
guint
gkv_node_watch (GkvNode *self,
                const char *prefix,
                GkvWatchFlags flags,
                GkvWatchFunc func,
                gpointer user_data,
                GDestroyNotify destroy)
{
  guint id;

  g_return_val_if_fail (GKV_IS_NODE (self), 0);
  g_return_val_if_fail (func != NULL, 0);
  g_return_val_if_fail (gkv_node_check_owner (self, "gkv_node_watch ()"), 0);

  if (!gkv_owner_is_here (self->owner))
    return 0;

  id = gkv_emitter_watch (self->emitter, prefix != NULL ? prefix : "", (flags & GKV_WATCH_INITIAL) != 0,
                          (GkvWatchesFunc) func, user_data, destroy);
  gkv_network_build_index (self->network);

  return id;
}

/**
 * gkv_node_unwatch:
 * @self: a node
 * @id: the id of a watch of this node
 *
 * Ends a watch. Its function isn't called any more. May be called inside that function.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
void
gkv_node_unwatch (GkvNode *self, guint id)
{
  g_autoptr (GkvNode) alive G_GNUC_UNUSED = NULL;

  g_return_if_fail (GKV_IS_NODE (self));
  g_return_if_fail (gkv_node_check_owner (self, "gkv_node_unwatch ()"));

  if (!gkv_owner_is_here (self->owner))
    return;

  alive = g_object_ref (self); /* the watch may have the last other one */
  if (!gkv_emitter_unwatch (self->emitter, id))
    g_critical ("The node has no watch with the id %u", id);
}

/* Refuses writes from now on. Returns how many have yet to reach a peer. */
static guint64
gkv_node_begin_close (GkvNode *self)
{
  g_mutex_lock (&self->lock);
  if (self->state != GKV_NODE_CLOSED)
    self->state = GKV_NODE_CLOSING;
  g_mutex_unlock (&self->lock);

  gkv_map_refuse_writes (self->map);

  return gkv_network_get_n_undelivered (self->network);
}

/* Consumes @undelivered: writes have reached no peer, or the call did not wait for them. */
static gboolean
gkv_node_end_close (GkvNode *self, GError *undelivered, GError **error)
{
  gkv_node_end (self);
  gkv_network_join (self->network);

  /* Another call has closed the node meanwhile, and reports what was not delivered. */
  if (g_error_matches (undelivered, GKV_ERROR, GKV_ERROR_CLOSED))
    g_clear_error (&undelivered);

  if (undelivered != NULL)
    g_propagate_prefixed_error (error, undelivered, "The node is closed: ");

  return undelivered == NULL;
}

/**
 * gkv_node_close:
 * @self: a node
 * @cancellable: (nullable): a cancellable; cancelling ends the waiting, not the closing
 * @error: return location for an error
 *
 * Closes the node: it gives what was written here up to 2 s to reach a peer, announces to the peers that it leaves, and
 * releases its address before it returns.
 *
 * The node is closed in any case. %FALSE means that some writes may have reached no peer: %G_IO_ERROR_TIMED_OUT says
 * how many, %G_IO_ERROR_CANCELLED that the call did not wait for them, and %G_IO_ERROR_WOULD_BLOCK that it could not,
 * because the network runs in this thread ([property@Gkv.Node:network-thread]); [method@Gkv.Node.close_async] waits
 * there, too. A node without a network, or whose writes have all reached a peer, is closed at once.
 *
 * From the call on, writes fail with %GKV_ERROR_CLOSED. Afterwards nothing is emitted, and every call that can fail
 * fails with %GKV_ERROR_CLOSED, those that wait for the cluster included. Closing again does nothing and succeeds.
 *
 * May be called from any thread, and inside any handler.
 *
 * Returns: %TRUE if all that was written here had reached a peer, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_close (GkvNode *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (GkvNode) alive G_GNUC_UNUSED = NULL;
  GError *undelivered = NULL;
  guint64 n_undelivered;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);

  if (gkv_node_get_state (self) == GKV_NODE_CLOSED)
    return TRUE;

  alive = g_object_ref (self);
  n_undelivered = gkv_node_begin_close (self);
  if (n_undelivered > 0 && !gkv_network_may_block (self->network))
    g_set_error (&undelivered, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
                 "%" G_GUINT64_FORMAT " of its writes may have reached nobody, and this thread can't wait for its own "
                 "network; gkv_node_close_async () does",
                 n_undelivered);
  else if (n_undelivered > 0)
    gkv_network_wait (self->network, GKV_GOAL_DELIVERED, 0, CLOSE_TIMEOUT_MS, cancellable, &undelivered);

  return gkv_node_end_close (self, undelivered, error);
}

static void
gkv_node_delivered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  GError *undelivered = NULL;
  GError *error = NULL;

  g_task_propagate_boolean (G_TASK (result), &undelivered);

  if (gkv_node_end_close (GKV_NODE (source), undelivered, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/**
 * gkv_node_close_async:
 * @self: a node
 * @cancellable: (nullable): a cancellable; cancelling ends the waiting, not the closing
 * @callback: (scope async): called when the node is closed
 * @user_data: data for @callback
 *
 * Closes the node as [method@Gkv.Node.close] does, without blocking. Until it ends values can be read, and signals go
 * on.
 *
 * May be called from any thread; @callback is called in its thread-default main context.
 *
 * Since: 1.0
 */
void
gkv_node_close_async (GkvNode *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;

  g_return_if_fail (GKV_IS_NODE (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gkv_node_close_async);
  g_task_set_check_cancellable (task, FALSE);

  if (gkv_node_get_state (self) != GKV_NODE_CLOSED && gkv_node_begin_close (self) > 0)
    {
      GTask *wait = g_task_new (self, cancellable, gkv_node_delivered, g_steal_pointer (&task));

      gkv_network_wait_async (self->network, GKV_GOAL_DELIVERED, 0, CLOSE_TIMEOUT_MS, wait);
      return;
    }

  gkv_node_end_close (self, NULL, NULL);
  g_task_return_boolean (task, TRUE);
}

/**
 * gkv_node_close_finish:
 * @self: a node
 * @result: the result that the callback received
 * @error: return location for an error
 *
 * Ends [method@Gkv.Node.close_async].
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if all that was written here had reached a peer, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_close_finish (GkvNode *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
