/* GkvDiscovery: finds peers without seeds. This is the wrapper through which every discovery is called. It never trusts
 * the implementation, which may lack a method, or fail without an error.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-discovery.h"

#include "gkv-error.h"
#include "gkv-modules.h"

/**
 * GkvDiscovery:
 *
 * Finds peers without seeds.
 *
 * A discovery announces the node, and reports contacts: addresses where nodes of its cluster may be. It need not know
 * which of them are alive: the node greets the addresses, and gossip decides. All methods are called in one main
 * context, and the signals are emitted there; see [method@Gkv.Discovery.is_thread_movable]. The signals are for the
 * node.
 *
 * Addresses are those of the node's transport, in canonical form. A discovery that can't use them fails to start. The
 * library has two, which need "host:port" with a numeric host: "mdns" for the local network, and "dns:NAME:PORT" for
 * the nodes that a name stands for.
 *
 * A discovery that has a writable property `given-address`, a string, finds there, when it is started, what the
 * application gave as [property@Gkv.Node:advertise-address], or else as [property@Gkv.Node:bind-address]: with the port
 * 0 the one in the address that it is started with was picked by the system.
 *
 * Since: 1.0
 */

enum
{
  SIGNAL_FOUND,
  SIGNAL_LOST,
  SIGNAL_FAILED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_INTERFACE (GkvDiscovery, gkv_discovery, G_TYPE_OBJECT)

static gboolean
gkv_discovery_default_is_thread_movable (GkvDiscovery *self)
{
  return FALSE;
}

static void
gkv_discovery_default_init (GkvDiscoveryInterface *iface)
{
  iface->is_thread_movable = gkv_discovery_default_is_thread_movable;

  /**
   * GkvDiscovery::found:
   * @self: the discovery
   * @node_id: (nullable): the id of a node of this cluster; %NULL where only the address is known
   * @address: its address
   *
   * A node of the cluster may be at an address. A node with several addresses is found once at each. A node that has
   * the id of this one, at an address that isn't this one's, is found like any other: the nodes then report the
   * duplicate.
   *
   * Emitted in the context that the discovery was started in.
   *
   * Since: 1.0
   */
  signals[SIGNAL_FOUND] = g_signal_new ("found", GKV_TYPE_DISCOVERY, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                        G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_STRING);

  /**
   * GkvDiscovery::lost:
   * @self: the discovery
   * @node_id: (nullable): the id that it was found with
   * @address: the address where it was found
   *
   * A node is no longer announced at an address.
   *
   * Emitted in the context that the discovery was started in.
   *
   * Since: 1.0
   */
  signals[SIGNAL_LOST] = g_signal_new ("lost", GKV_TYPE_DISCOVERY, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE,
                                       2, G_TYPE_STRING, G_TYPE_STRING);

  /**
   * GkvDiscovery::failed:
   * @self: the discovery
   * @error: what went wrong
   *
   * Something failed outside of any call. The discovery goes on.
   *
   * Emitted in the context that the discovery was started in.
   *
   * Since: 1.0
   */
  signals[SIGNAL_FAILED] = g_signal_new ("failed", GKV_TYPE_DISCOVERY, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                         G_TYPE_NONE, 1, G_TYPE_ERROR | G_SIGNAL_TYPE_STATIC_SCOPE);
}

/**
 * gkv_discovery_new_for_name:
 * @name: the name of a discovery, for example "mdns"; what follows a colon is for its property `argument`
 * @error: return location for an error
 *
 * Creates a discovery by its name, loading its module when need be. May be called from any thread.
 *
 * Fails with %GKV_ERROR_MODULE when there is none of that name; the message lists the names that there are and the
 * folders searched. It fails so, too, where an argument is given to a discovery that takes none.
 *
 * Returns: (transfer full): a new discovery
 *
 * Since: 1.0
 */
GkvDiscovery *
gkv_discovery_new_for_name (const char *name, GError **error)
{
  GObject *object;

  g_return_val_if_fail (name != NULL, NULL);

  object = gkv_modules_new_object (GKV_DISCOVERY_EXTENSION_POINT_NAME, "discovery", name, error);
  return object != NULL ? GKV_DISCOVERY (object) : NULL;
}

/**
 * gkv_discovery_list_names:
 *
 * Lists the discoveries that [func@Gkv.Discovery.new_for_name] can create. This loads every module. May be called from
 * any thread.
 *
 * Returns: (transfer full) (array zero-terminated=1): the names, sorted
 *
 * Since: 1.0
 */
char **
gkv_discovery_list_names (void)
{
  return gkv_modules_list_names (GKV_DISCOVERY_EXTENSION_POINT_NAME);
}

/**
 * gkv_discovery_start:
 * @self: a discovery
 * @cluster: the cluster to find nodes of
 * @node_id: the id to announce
 * @address: the address that peers shall use; with "host:port", an unspecified host stands for every address of the
 *   machine
 * @error: return location for an error
 *
 * Begins to announce the node and to look for others, in the thread-default main context. Doesn't block.
 *
 * Fails with %GKV_ERROR_DISCOVERY, also where it can't use addresses of that kind.
 *
 * Belongs to the thread that created the discovery, unless [method@Gkv.Discovery.is_thread_movable] returns %TRUE.
 *
 * Returns: %TRUE if it has begun, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_discovery_start (GkvDiscovery *self, const char *cluster, const char *node_id, const char *address, GError **error)
{
  g_autofree char *who = NULL;
  GkvDiscoveryInterface *iface;
  GError *cause = NULL;

  g_return_val_if_fail (GKV_IS_DISCOVERY (self), FALSE);
  g_return_val_if_fail (cluster != NULL && node_id != NULL && address != NULL, FALSE);

  iface = GKV_DISCOVERY_GET_IFACE (self);
  who = g_strdup_printf ("The discovery %s", G_OBJECT_TYPE_NAME (self));
  if (iface->start == NULL)
    return gkv_modules_fail (error, GKV_ERROR_DISCOVERY, who, "has no method to start", NULL);
  if (!iface->start (self, cluster, node_id, address, &cause) || cause != NULL)
    return gkv_modules_fail (error, GKV_ERROR_DISCOVERY, who, "could not start", cause);
  return TRUE;
}

/**
 * gkv_discovery_stop:
 * @self: a discovery
 *
 * Withdraws the announcement and ends the search. Does nothing when it isn't started. It can be started again.
 *
 * Belongs to the thread that the discovery was started in.
 *
 * Since: 1.0
 */
void
gkv_discovery_stop (GkvDiscovery *self)
{
  g_return_if_fail (GKV_IS_DISCOVERY (self));

  if (GKV_DISCOVERY_GET_IFACE (self)->stop != NULL)
    GKV_DISCOVERY_GET_IFACE (self)->stop (self);
}

/**
 * gkv_discovery_is_thread_movable:
 * @self: a discovery
 *
 * Checks whether the discovery can be used in another thread than the one that created it. Then all from start to stop,
 * signals included, happens in one thread, in that thread's default main context. A discovery written in JavaScript
 * must leave it %FALSE.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if it can; %FALSE unless the discovery overrides it
 *
 * Since: 1.0
 */
gboolean
gkv_discovery_is_thread_movable (GkvDiscovery *self)
{
  g_return_val_if_fail (GKV_IS_DISCOVERY (self), FALSE);

  return GKV_DISCOVERY_GET_IFACE (self)->is_thread_movable (self);
}

/**
 * gkv_discovery_emit_found:
 * @self: a discovery
 * @node_id: (nullable): the id of a node; %NULL where only the address is known
 * @address: its address
 *
 * Emits [signal@Gkv.Discovery::found]. For implementations.
 *
 * Belongs to the thread that the discovery was started in.
 *
 * Since: 1.0
 */
void
gkv_discovery_emit_found (GkvDiscovery *self, const char *node_id, const char *address)
{
  g_return_if_fail (GKV_IS_DISCOVERY (self));
  g_return_if_fail (address != NULL);

  g_signal_emit (self, signals[SIGNAL_FOUND], 0, node_id, address);
}

/**
 * gkv_discovery_emit_lost:
 * @self: a discovery
 * @node_id: (nullable): the id that it was found with
 * @address: the address where it was found
 *
 * Emits [signal@Gkv.Discovery::lost]. For implementations.
 *
 * Belongs to the thread that the discovery was started in.
 *
 * Since: 1.0
 */
void
gkv_discovery_emit_lost (GkvDiscovery *self, const char *node_id, const char *address)
{
  g_return_if_fail (GKV_IS_DISCOVERY (self));
  g_return_if_fail (address != NULL);

  g_signal_emit (self, signals[SIGNAL_LOST], 0, node_id, address);
}

/**
 * gkv_discovery_emit_failed:
 * @self: a discovery
 * @error: what went wrong
 *
 * Emits [signal@Gkv.Discovery::failed]. For implementations.
 *
 * Belongs to the thread that the discovery was started in.
 *
 * Since: 1.0
 */
void
gkv_discovery_emit_failed (GkvDiscovery *self, const GError *error)
{
  g_return_if_fail (GKV_IS_DISCOVERY (self));
  g_return_if_fail (error != NULL);

  g_signal_emit (self, signals[SIGNAL_FAILED], 0, error);
}
