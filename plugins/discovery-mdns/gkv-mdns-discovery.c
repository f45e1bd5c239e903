/* GkvMdnsDiscovery: finds the nodes of a cluster on the local network by mDNS.
 *
 * There are two back ends: the Avahi daemon, where one is on the system bus, and Avahi inside this process. Which of
 * them is used is decided whenever the daemon comes or goes. What they see is kept here, service by service, so that an
 * address is found and lost once however many ways lead to it. On a change of back end all is lost and found anew.
 *
 * Nothing is emitted from inside a back end's callback: findings go through a queue, which an idle source empties. So a
 * handler may stop the discovery, start it again, or drop its last reference, while no part of Avahi is on the stack.
 *
 * All runs in the context that the discovery was started in, in whatever thread. What is begun in a callback takes the
 * thread-default context for its own, so that one is set there first: who iterates a context need not have done so.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-daemon.h"
#include "gkv-mdns-discovery.h"
#include "gkv-mdns-embedded.h"

#define AVAHI_BUS_NAME "org.freedesktop.Avahi"

/* How long to wait before trying again, in seconds, for a system bus, or for the port that another mDNS stack keeps to
 * itself: doubled each time up to the maximum, as neither comes often, and a machine may never have a bus. A daemon
 * that ends gives up its name before its port, so a failure is reported only when it has repeated a few times. */
#define RETRY_INTERVAL_MAX 60
#define N_TRIES_UNTIL_TOLD 3

/* Services kept: a network that invents names must not fill the memory. */
#define MAX_SERVICES 4096

enum
{
  INET,
  INET6,
  N_FAMILIES
};

static const GSocketFamily families[N_FAMILIES] = { G_SOCKET_FAMILY_IPV4, G_SOCKET_FAMILY_IPV6 };

/* An instance of the service type on one interface. */
typedef struct
{
  GkvMdnsBackend *backend;
  int interface;
  char *name;
  guint protocols; /* those it was seen on, a bit each */
  gpointer resolvers[N_FAMILIES];

  char *node_ids[N_FAMILIES]; /* with the address, NULL until found to be a peer */
  char *addresses[N_FAMILIES];
} Service;

typedef struct
{
  enum
  {
    FOUND,
    LOST,
    FAILED
  } type;
  char *node_id;
  char *address;
  GError *error;
} Event;

static void gkv_mdns_discovery_iface_init (GkvDiscoveryInterface *iface);

struct _GkvMdnsDiscovery
{
  GObject parent;

  /* from start to stop */
  char *cluster;
  char *node_id;
  GMainContext *context;
  GkvMdnsAnnouncement *announcement;
  GSource *address_watch;
  GSource *retry;
  guint n_retries;

  /* the system bus */
  GCancellable *connecting;
  GDBusConnection *bus;
  guint name_watch;

  /* what is seen */
  GkvMdnsBackend *backend;
  gboolean is_daemon;
  GHashTable *services; /* Service, in itself */
  GQueue events;        /* Event */
  GSource *dispatch;
  char *last_failure;
};

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvMdnsDiscovery,
                               gkv_mdns_discovery,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_DISCOVERY, gkv_mdns_discovery_iface_init))

static guint service_hash (gconstpointer data);
static gboolean service_equal (gconstpointer a, gconstpointer b);
static void service_free (gpointer data);
static void discovery_stop (GkvMdnsDiscovery *self);
static void discovery_connect (GkvMdnsDiscovery *self);
static void discovery_schedule_retry (GkvMdnsDiscovery *self);

static void
gkv_mdns_discovery_dispose (GObject *object)
{
  discovery_stop (GKV_MDNS_DISCOVERY (object));

  G_OBJECT_CLASS (gkv_mdns_discovery_parent_class)->dispose (object);
}

static void
gkv_mdns_discovery_finalize (GObject *object)
{
  GkvMdnsDiscovery *self = GKV_MDNS_DISCOVERY (object);

  g_hash_table_unref (self->services);

  G_OBJECT_CLASS (gkv_mdns_discovery_parent_class)->finalize (object);
}

static void
gkv_mdns_discovery_init (GkvMdnsDiscovery *self)
{
  self->services = g_hash_table_new_full (service_hash, service_equal, service_free, NULL);
  g_queue_init (&self->events);
}

static void
gkv_mdns_discovery_class_init (GkvMdnsDiscoveryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = gkv_mdns_discovery_dispose;
  object_class->finalize = gkv_mdns_discovery_finalize;
}

/* internal methods: services */

static guint
service_hash (gconstpointer data)
{
  const Service *service = data;

  return g_str_hash (service->name) ^ (guint) service->interface;
}

static gboolean
service_equal (gconstpointer a, gconstpointer b)
{
  const Service *one = a;
  const Service *other = b;

  return one->interface == other->interface && g_str_equal (one->name, other->name);
}

static void
service_free (gpointer data)
{
  Service *service = data;

  for (guint i = 0; i < N_FAMILIES; i++)
    {
      if (service->resolvers[i] != NULL)
        service->backend->cancel (service->backend, service->resolvers[i]);
      g_free (service->node_ids[i]);
      g_free (service->addresses[i]);
    }
  g_free (service->name);
  g_free (service);
}

static Service *
service_find (GkvMdnsDiscovery *self, int interface, const char *name)
{
  Service key = { .interface = interface, .name = (char *) name };

  return g_hash_table_lookup (self->services, &key);
}

/* Whether some service leads to that address of that node. */
static gboolean
is_known (GkvMdnsDiscovery *self, const char *node_id, const char *address)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->services);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Service *service = value;

      for (guint i = 0; i < N_FAMILIES; i++)
        if (g_strcmp0 (service->addresses[i], address) == 0 && g_str_equal (service->node_ids[i], node_id))
          return TRUE;
    }

  return FALSE;
}

/* internal methods: events */

static void
event_free (gpointer data)
{
  Event *event = data;

  g_free (event->node_id);
  g_free (event->address);
  g_clear_error (&event->error);
  g_free (event);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Event, event_free)

static gboolean
discovery_dispatch (gpointer user_data)
{
  g_autoptr (GkvMdnsDiscovery) self = g_object_ref (GKV_MDNS_DISCOVERY (user_data));
  GkvDiscovery *discovery = GKV_DISCOVERY (self);

  g_clear_pointer (&self->dispatch, g_source_unref);

  /* A handler that stops the discovery empties the queue. */
  while (!g_queue_is_empty (&self->events))
    {
      g_autoptr (Event) event = g_queue_pop_head (&self->events);

      if (event->type == FOUND)
        gkv_discovery_emit_found (discovery, event->node_id, event->address);
      else if (event->type == LOST)
        gkv_discovery_emit_lost (discovery, event->node_id, event->address);
      else
        gkv_discovery_emit_failed (discovery, event->error);
    }

  return G_SOURCE_REMOVE;
}

static Event *
discovery_queue_event (GkvMdnsDiscovery *self, int type)
{
  Event *event = g_new0 (Event, 1);

  event->type = type;
  g_queue_push_tail (&self->events, event);

  if (self->dispatch == NULL)
    {
      self->dispatch = g_idle_source_new ();
      g_source_set_priority (self->dispatch, G_PRIORITY_DEFAULT);
      g_source_set_callback (self->dispatch, discovery_dispatch, self, NULL);
      g_source_set_static_name (self->dispatch, "[gkv] mdns events");
      g_source_attach (self->dispatch, self->context);
    }

  return event;
}

/* Takes the service's address of that family away. */
static void
discovery_forget (GkvMdnsDiscovery *self, Service *service, guint family)
{
  g_autofree char *node_id = g_steal_pointer (&service->node_ids[family]);
  g_autofree char *address = g_steal_pointer (&service->addresses[family]);
  Event *event;

  if (address == NULL || is_known (self, node_id, address))
    return;

  event = discovery_queue_event (self, LOST);
  event->node_id = g_steal_pointer (&node_id);
  event->address = g_steal_pointer (&address);
}

/* what a back end reports */

static void
on_appeared (int interface, int protocol, const char *name, const char *domain, gpointer data)
{
  GkvMdnsDiscovery *self = data;
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (self->context);
  Service *service = service_find (self, interface, name);

  if (service != NULL)
    {
      service->protocols |= 1u << protocol;
      return;
    }

  if (g_hash_table_size (self->services) >= MAX_SERVICES)
    {
      g_debug ("mdns: over %d services, \"%s\" is left out", MAX_SERVICES, name);
      return;
    }

  service = g_new0 (Service, 1);
  service->backend = self->backend;
  service->interface = interface;
  service->name = g_strdup (name);
  service->protocols = 1u << protocol;
  g_hash_table_add (self->services, service);

  for (guint i = 0; i < N_FAMILIES; i++)
    service->resolvers[i] = self->backend->resolve (self->backend, interface, name, domain, families[i]);
}

static void
on_vanished (int interface, int protocol, const char *name, gpointer data)
{
  GkvMdnsDiscovery *self = data;
  Service *service = service_find (self, interface, name);

  if (service == NULL)
    return;

  service->protocols &= ~(1u << protocol);
  if (service->protocols != 0)
    return;

  for (guint i = 0; i < N_FAMILIES; i++)
    discovery_forget (self, service, i);
  g_hash_table_remove (self->services, service);
}

static void
on_resolved (int interface, const char *name, const char *host, guint16 port, GStrv txt, gpointer data)
{
  GkvMdnsDiscovery *self = data;
  g_autoptr (GInetAddress) inet_address = g_inet_address_new_from_string (host);
  g_autofree char *node_id = gkv_mdns_txt_lookup (txt, "id");
  g_autofree char *cluster = gkv_mdns_txt_lookup (txt, "cluster");
  g_autofree char *address = NULL;
  Service *service = service_find (self, interface, name);
  gboolean is_new;
  guint family;

  if (service == NULL || inet_address == NULL)
    return;

  family = g_inet_address_get_family (inet_address) == G_SOCKET_FAMILY_IPV6 ? INET6 : INET;
  if (family == INET)
    address = g_strdup_printf ("%s:%u", host, port);
  else if (g_inet_address_get_is_link_local (inet_address))
    address = g_strdup_printf ("[%s%%%d]:%u", host, interface, port);
  else
    address = g_strdup_printf ("[%s]:%u", host, port);

  /* What we announced ourselves comes back, too. Our id at another address is a second node of that id, as where a
   * machine was cloned: these two must meet to notice. */
  if (node_id == NULL || port == 0 || g_strcmp0 (cluster, self->cluster) != 0 ||
      (g_str_equal (node_id, self->node_id) &&
       gkv_mdns_announcement_has_address (self->announcement, inet_address, port)))
    {
      discovery_forget (self, service, family);
      return;
    }

  if (g_strcmp0 (service->addresses[family], address) == 0 && g_str_equal (service->node_ids[family], node_id))
    return;

  discovery_forget (self, service, family);
  is_new = !is_known (self, node_id, address);
  service->node_ids[family] = g_strdup (node_id);
  service->addresses[family] = g_strdup (address);

  if (is_new)
    {
      Event *event = discovery_queue_event (self, FOUND);

      event->node_id = g_steal_pointer (&node_id);
      event->address = g_steal_pointer (&address);
    }
}

static void
on_collided (gpointer data)
{
  GkvMdnsDiscovery *self = data;
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (self->context);

  gkv_mdns_announcement_rename (self->announcement);
  g_debug ("mdns: the name is taken, now \"%s\"", self->announcement->instance);
  self->backend->announce (self->backend, self->announcement);
}

static void
on_failed (const char *message, gpointer data)
{
  GkvMdnsDiscovery *self = data;

  /* A failure that repeats is reported once. */
  if (g_strcmp0 (message, self->last_failure) == 0)
    return;

  g_free (self->last_failure);
  self->last_failure = g_strdup (message);
  discovery_queue_event (self, FAILED)->error = g_error_new_literal (GKV_ERROR, GKV_ERROR_DISCOVERY, message);
}

static const GkvMdnsListener discovery_listener = {
  .appeared = on_appeared,
  .vanished = on_vanished,
  .resolved = on_resolved,
  .collided = on_collided,
  .failed = on_failed,
};

/* internal methods: back ends */

static void
discovery_drop_backend (GkvMdnsDiscovery *self)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->services);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    for (guint i = 0; i < N_FAMILIES; i++)
      discovery_forget (self, value, i);
  g_hash_table_remove_all (self->services);

  if (self->backend != NULL)
    self->backend->free (g_steal_pointer (&self->backend));
  self->is_daemon = FALSE;
}

static void
discovery_clear_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
discovery_use_daemon (GkvMdnsDiscovery *self)
{
  g_debug ("mdns: through the Avahi daemon");
  self->n_retries = 0;
  discovery_drop_backend (self);
  self->backend = gkv_mdns_daemon_new (self->bus, &discovery_listener, self);
  self->is_daemon = TRUE;
  self->backend->announce (self->backend, self->announcement);
}

static void
discovery_use_embedded (GkvMdnsDiscovery *self)
{
#ifdef GKV_MDNS_EMBEDDED
  g_autoptr (GError) error = NULL;

  g_debug ("mdns: with Avahi inside this process");
  discovery_drop_backend (self);
  self->backend = gkv_mdns_embedded_new (self->announcement->host, &discovery_listener, self, &error);
  if (self->backend != NULL)
    self->backend->announce (self->backend, self->announcement);
  if (self->backend == NULL)
    {
      g_debug ("mdns: %s", error->message);
      if (self->n_retries + 1 >= N_TRIES_UNTIL_TOLD)
        on_failed (error->message, self);
      discovery_schedule_retry (self);
    }
#else
  discovery_drop_backend (self);
  on_failed ("no Avahi daemon runs on the system bus, and this module was built without an Avahi of "
             "its own: start avahi-daemon",
             self);
#endif
}

static void
discovery_disconnect (GkvMdnsDiscovery *self)
{
  g_cancellable_cancel (self->connecting);
  g_clear_object (&self->connecting);
  g_clear_handle_id (&self->name_watch, g_bus_unwatch_name);

  /* The daemon withdraws what a client published when its connection ends. */
  if (self->bus != NULL)
    g_dbus_connection_close (self->bus, NULL, NULL, NULL);
  g_clear_object (&self->bus);
}

static gboolean
retry_cb (gpointer user_data)
{
  GkvMdnsDiscovery *self = GKV_MDNS_DISCOVERY (user_data);
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (self->context);

  g_clear_pointer (&self->retry, g_source_unref);

  if (self->backend == NULL)
    discovery_use_embedded (self);
  if (self->bus == NULL && self->connecting == NULL)
    discovery_connect (self);

  return G_SOURCE_REMOVE;
}

static void
discovery_schedule_retry (GkvMdnsDiscovery *self)
{
  if (self->retry != NULL)
    return;

  self->retry = g_timeout_source_new_seconds (MIN (1u << MIN (self->n_retries, 6), RETRY_INTERVAL_MAX));
  self->n_retries++;
  g_source_set_callback (self->retry, retry_cb, self, NULL);
  g_source_set_static_name (self->retry, "[gkv] mdns retry");
  g_source_attach (self->retry, self->context);
}

static void
name_appeared_cb (GDBusConnection *bus, const char *name, const char *owner, gpointer user_data)
{
  GkvMdnsDiscovery *self = GKV_MDNS_DISCOVERY (user_data);
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (self->context);

  discovery_use_daemon (self);
}

static void
name_vanished_cb (GDBusConnection *bus, const char *name, gpointer user_data)
{
  GkvMdnsDiscovery *self = GKV_MDNS_DISCOVERY (user_data);
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (self->context);

  /* A bus that ends takes the connection with it; another may come. */
  if (g_dbus_connection_is_closed (self->bus))
    {
      discovery_disconnect (self);
      discovery_schedule_retry (self);
    }

  /* This comes at the start, too, when there never was one. */
  if (self->backend == NULL || self->is_daemon)
    discovery_use_embedded (self);
}

static void
connected_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = g_dbus_connection_new_for_address_finish (result, &error);
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = NULL;
  GkvMdnsDiscovery *self = user_data;

  /* Cancelled by stop: there may be no discovery any more. */
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;

  pusher = g_main_context_pusher_new (self->context);
  g_clear_object (&self->connecting);
  if (bus == NULL)
    {
      g_debug ("mdns: no system bus: %s", error->message);
      if (self->backend == NULL)
        discovery_use_embedded (self);
      discovery_schedule_retry (self);
      return;
    }

  self->bus = g_steal_pointer (&bus);
  self->name_watch = g_bus_watch_name_on_connection (self->bus, AVAHI_BUS_NAME, G_BUS_NAME_WATCHER_FLAGS_NONE,
                                                     name_appeared_cb, name_vanished_cb, self, NULL);
}

/* A connection of our own: the shared one ends the process when the bus ends, and with this one, closing it is enough
 * to take all back. */
static void
discovery_connect (GkvMdnsDiscovery *self)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *address = g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, &error); /* does no I/O */

  if (address == NULL)
    {
      g_debug ("mdns: no system bus: %s", error->message);
      if (self->backend == NULL)
        discovery_use_embedded (self);
      return;
    }

  self->connecting = g_cancellable_new ();
  g_dbus_connection_new_for_address (address,
                                     G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                         G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                     NULL, self->connecting, connected_cb, self);
}

static gboolean
addresses_changed_cb (gpointer user_data)
{
  GkvMdnsDiscovery *self = GKV_MDNS_DISCOVERY (user_data);
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (self->context);

  if (gkv_mdns_announcement_refresh (self->announcement) && self->backend != NULL)
    self->backend->announce (self->backend, self->announcement);

  return G_SOURCE_CONTINUE;
}

static void
discovery_stop (GkvMdnsDiscovery *self)
{
  if (self->announcement == NULL)
    return;

  discovery_clear_source (&self->address_watch);
  discovery_clear_source (&self->retry);
  discovery_drop_backend (self);
  discovery_disconnect (self);

  discovery_clear_source (&self->dispatch);
  g_queue_clear_full (&self->events, event_free);

  g_clear_pointer (&self->announcement, gkv_mdns_announcement_free);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_pointer (&self->cluster, g_free);
  g_clear_pointer (&self->node_id, g_free);
  g_clear_pointer (&self->last_failure, g_free);
  self->n_retries = 0;
}

/* GkvDiscovery */

static gboolean
gkv_mdns_discovery_start (
    GkvDiscovery *discovery, const char *cluster, const char *node_id, const char *address, GError **error)
{
  GkvMdnsDiscovery *self = GKV_MDNS_DISCOVERY (discovery);

  if (self->announcement != NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                   "this mDNS discovery has been started already: each node needs its own");
      return FALSE;
    }

  self->announcement = gkv_mdns_announcement_new (cluster, node_id, address, error);
  if (self->announcement == NULL)
    return FALSE;

  self->cluster = g_strdup (cluster);
  self->node_id = g_strdup (node_id);
  self->context = g_main_context_ref_thread_default ();

  self->address_watch = gkv_mdns_address_watch_new (addresses_changed_cb, self);
  if (self->address_watch != NULL)
    g_source_attach (self->address_watch, self->context);

  discovery_connect (self);
  return TRUE;
}

static void
gkv_mdns_discovery_stop (GkvDiscovery *discovery)
{
  discovery_stop (GKV_MDNS_DISCOVERY (discovery));
}

static gboolean
gkv_mdns_discovery_is_thread_movable (GkvDiscovery *discovery)
{
  return TRUE;
}

static void
gkv_mdns_discovery_iface_init (GkvDiscoveryInterface *iface)
{
  iface->start = gkv_mdns_discovery_start;
  iface->stop = gkv_mdns_discovery_stop;
  iface->is_thread_movable = gkv_mdns_discovery_is_thread_movable;
}
