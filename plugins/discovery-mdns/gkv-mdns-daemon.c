/* The back end that speaks to the Avahi daemon over D-Bus.
 *
 * All signals are subscribed to before the first call, and matched by their arguments rather than by the object that
 * they come from: so no signal is lost that comes before the reply with the object's name. Nothing is freed in the
 * daemon but resolvers, as the connection is the discovery's own and ends with this back end, or the daemon has.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-daemon.h"

#define AVAHI_BUS_NAME "org.freedesktop.Avahi"

/* Avahi's numbers, as they go over the bus. */
#define AVAHI_IF_UNSPEC             -1
#define AVAHI_PROTO_UNSPEC          -1
#define AVAHI_PROTO_INET            0
#define AVAHI_PROTO_INET6           1
#define AVAHI_PUBLISH_NO_REVERSE    16u
#define AVAHI_ENTRY_GROUP_COLLISION 3
#define AVAHI_ENTRY_GROUP_FAILURE   4

typedef struct
{
  GkvMdnsBackend parent;

  GDBusConnection *bus;
  GCancellable *cancellable;
  guint subscriptions[3];

  char *group; /* object path, NULL until the daemon made it */
  const GkvMdnsAnnouncement *announcement;
} GkvMdnsDaemon;

/* One of the daemon's resolvers. It is freed by the later of the two, the reply with its path and its end. */
typedef struct
{
  char *path;
  gboolean is_pending;
  gboolean is_cancelled;
} Resolver;

static void gkv_mdns_daemon_announce (GkvMdnsBackend *backend, const GkvMdnsAnnouncement *announcement);

/* internal methods: calls */

/* The bus reports that the daemon has gone; that calls under way fail then isn't reported again. */
static gboolean
is_farewell (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_DISCONNECTED);
}

/* The reply, or NULL after a failure, which has been reported. @self may be gone when the call was cancelled. */
static GVariant *
daemon_call_finish (GkvMdnsDaemon *self, GObject *bus, GAsyncResult *result, const char *what)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (bus), result, &error);
  g_autofree char *name = NULL;

  if (reply != NULL)
    return g_steal_pointer (&reply);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) || is_farewell (error))
    return NULL;

  /* Another client of the same daemon has the name. */
  name = g_dbus_error_get_remote_error (error);
  if (g_strcmp0 (name, AVAHI_BUS_NAME ".CollisionError") == 0)
    {
      self->parent.listener->collided (self->parent.data);
      return NULL;
    }

  g_dbus_error_strip_remote_error (error);
  gkv_mdns_backend_fail (&self->parent, "could not %s through the Avahi daemon: %s", what, error->message);
  return NULL;
}

static void
daemon_call (GkvMdnsDaemon *self,
             const char *path,
             const char *interface,
             const char *method,
             GVariant *arguments,
             const char *type,
             GAsyncReadyCallback callback,
             gpointer user_data)
{
  g_autofree char *full_interface = g_strconcat (AVAHI_BUS_NAME ".", interface, NULL);

  g_dbus_connection_call (self->bus, AVAHI_BUS_NAME, path, full_interface, method, arguments, G_VARIANT_TYPE (type),
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, self->cancellable, callback, user_data);
}

static void
browser_new_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GVariant *reply = daemon_call_finish (user_data, source, result, "look for other nodes");

  g_clear_pointer (&reply, g_variant_unref);
}

static void
group_called_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GVariant *reply = daemon_call_finish (user_data, source, result, "announce this node");

  g_clear_pointer (&reply, g_variant_unref);
}

static void
group_new_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GVariant) reply = daemon_call_finish (user_data, source, result, "announce this node");
  GkvMdnsDaemon *self = user_data;

  if (reply == NULL)
    return;

  g_variant_get (reply, "(o)", &self->group);
  gkv_mdns_daemon_announce (&self->parent, self->announcement);
}

static void
resolver_free (Resolver *resolver)
{
  g_free (resolver->path);
  g_free (resolver);
}

static void
resolver_end (Resolver *resolver, GDBusConnection *bus)
{
  if (resolver->path != NULL)
    g_dbus_connection_call (bus, AVAHI_BUS_NAME, resolver->path, AVAHI_BUS_NAME ".ServiceResolver", "Free", NULL, NULL,
                            G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, NULL, NULL, NULL);
  resolver_free (resolver);
}

static void
resolver_new_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  Resolver *resolver = user_data;

  resolver->is_pending = FALSE;
  if (reply != NULL)
    g_variant_get (reply, "(o)", &resolver->path);
  else
    g_debug ("mdns: could not resolve a service: %s", error->message);

  if (resolver->is_cancelled)
    resolver_end (resolver, G_DBUS_CONNECTION (source));
}

/* internal methods: signals */

static void
browser_signal_cb (GDBusConnection *bus,
                   const char *sender,
                   const char *path,
                   const char *interface,
                   const char *signal,
                   GVariant *arguments,
                   gpointer user_data)
{
  GkvMdnsDaemon *self = user_data;
  const char *name = NULL;
  const char *domain = NULL;
  int index = 0;
  int protocol = 0;

  if (g_str_equal (signal, "Failure") && g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(s)")))
    {
      g_variant_get (arguments, "(&s)", &name);
      gkv_mdns_backend_fail (&self->parent, "could not look for other nodes through the Avahi daemon: %s", name);
      return;
    }

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(iisssu)")))
    return;

  g_variant_get (arguments, "(ii&s&s&su)", &index, &protocol, &name, NULL, &domain, NULL);
  if (protocol != AVAHI_PROTO_INET && protocol != AVAHI_PROTO_INET6)
    return;

  if (g_str_equal (signal, "ItemNew"))
    self->parent.listener->appeared (index, protocol, name, domain, self->parent.data);
  else if (g_str_equal (signal, "ItemRemove"))
    self->parent.listener->vanished (index, protocol, name, self->parent.data);
}

static void
resolver_signal_cb (GDBusConnection *bus,
                    const char *sender,
                    const char *path,
                    const char *interface,
                    const char *signal,
                    GVariant *arguments,
                    gpointer user_data)
{
  GkvMdnsDaemon *self = user_data;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autoptr (GVariant) txt = NULL;
  g_auto (GStrv) strings = NULL;
  const char *name = NULL;
  const char *address = NULL;
  guint16 port = 0;
  int index = 0;

  if (!g_str_equal (signal, "Found") || !g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(iissssisqaayu)")))
    return;

  g_variant_get (arguments, "(ii&s&s&s&si&sq@aayu)", &index, NULL, &name, NULL, NULL, NULL, NULL, &address, &port, &txt,
                 NULL);

  for (gsize i = 0; i < g_variant_n_children (txt); i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (txt, i);
      gsize size = 0;
      const char *bytes = g_variant_get_fixed_array (child, &size, 1);
      g_autofree char *string = g_strndup (bytes != NULL ? bytes : "", size);

      g_strv_builder_add (builder, string);
    }
  strings = g_strv_builder_end (builder);

  self->parent.listener->resolved (index, name, address, port, strings, self->parent.data);
}

static void
group_signal_cb (GDBusConnection *bus,
                 const char *sender,
                 const char *path,
                 const char *interface,
                 const char *signal,
                 GVariant *arguments,
                 gpointer user_data)
{
  GkvMdnsDaemon *self = user_data;
  const char *message = NULL;
  int state = 0;

  if (!g_str_equal (signal, "StateChanged") || !g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(is)")))
    return;

  g_variant_get (arguments, "(i&s)", &state, &message);
  if (state == AVAHI_ENTRY_GROUP_COLLISION)
    self->parent.listener->collided (self->parent.data);
  else if (state == AVAHI_ENTRY_GROUP_FAILURE)
    gkv_mdns_backend_fail (&self->parent, "could not announce this node through the Avahi daemon: %s", message);
}

static guint
daemon_subscribe (GkvMdnsDaemon *self, const char *interface, GDBusSignalCallback callback)
{
  g_autofree char *full_interface = g_strconcat (AVAHI_BUS_NAME ".", interface, NULL);

  return g_dbus_connection_signal_subscribe (self->bus, AVAHI_BUS_NAME, full_interface, NULL, NULL, NULL,
                                             G_DBUS_SIGNAL_FLAGS_NONE, callback, self, NULL);
}

static GVariant *
txt_to_variant (GStrv txt)
{
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("aay"));

  for (guint i = 0; txt[i] != NULL; i++)
    g_variant_builder_add_value (&builder, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, txt[i], strlen (txt[i]), 1));

  return g_variant_builder_end (&builder);
}

/* GkvMdnsBackend */

/* The calls are sent one after the other; the daemon replies in that order. */
static void
gkv_mdns_daemon_announce (GkvMdnsBackend *backend, const GkvMdnsAnnouncement *announcement)
{
  GkvMdnsDaemon *self = (GkvMdnsDaemon *) backend;
  g_autofree char *host = g_strconcat (announcement->host, ".local", NULL);
  int last_interface = 0;

  self->announcement = announcement;
  if (self->group == NULL)
    return;

  daemon_call (self, self->group, "EntryGroup", "Reset", NULL, "()", group_called_cb, self);
  for (guint i = 0; i < announcement->addresses->len; i++)
    {
      const GkvMdnsAddress *item = g_ptr_array_index (announcement->addresses, i);
      g_autofree char *address = g_inet_address_to_string (item->address);

      daemon_call (self, self->group, "EntryGroup", "AddAddress",
                   g_variant_new ("(iiuss)", item->interface, AVAHI_PROTO_UNSPEC, AVAHI_PUBLISH_NO_REVERSE, host,
                                  address),
                   "()", group_called_cb, self);

      /* Sorted by interface: the service is added once on each. */
      if (item->interface != last_interface)
        daemon_call (self, self->group, "EntryGroup", "AddService",
                     g_variant_new ("(iiussssq@aay)", item->interface, AVAHI_PROTO_UNSPEC, 0u, announcement->instance,
                                    GKV_MDNS_SERVICE_TYPE, "", host, announcement->port,
                                    txt_to_variant (announcement->txt)),
                     "()", group_called_cb, self);
      last_interface = item->interface;
    }
  if (announcement->addresses->len > 0)
    daemon_call (self, self->group, "EntryGroup", "Commit", NULL, "()", group_called_cb, self);
}

static gpointer
gkv_mdns_daemon_resolve (
    GkvMdnsBackend *backend, int interface, const char *name, const char *domain, GSocketFamily family)
{
  Resolver *resolver = g_new0 (Resolver, 1);

  resolver->is_pending = TRUE;
  daemon_call ((GkvMdnsDaemon *) backend, "/", "Server", "ServiceResolverNew",
               g_variant_new ("(iisssiu)", interface, AVAHI_PROTO_UNSPEC, name, GKV_MDNS_SERVICE_TYPE, domain,
                              family == G_SOCKET_FAMILY_IPV6 ? AVAHI_PROTO_INET6 : AVAHI_PROTO_INET, 0u),
               "(o)", resolver_new_cb, resolver);
  return resolver;
}

static void
gkv_mdns_daemon_cancel (GkvMdnsBackend *backend, gpointer data)
{
  GkvMdnsDaemon *self = (GkvMdnsDaemon *) backend;
  Resolver *resolver = data;

  if (resolver->is_pending)
    resolver->is_cancelled = TRUE;
  else
    resolver_end (resolver, self->bus);
}

static void
gkv_mdns_daemon_free (GkvMdnsBackend *backend)
{
  GkvMdnsDaemon *self = (GkvMdnsDaemon *) backend;

  g_cancellable_cancel (self->cancellable);
  for (guint i = 0; i < G_N_ELEMENTS (self->subscriptions); i++)
    g_dbus_connection_signal_unsubscribe (self->bus, self->subscriptions[i]);

  g_object_unref (self->cancellable);
  g_object_unref (self->bus);
  g_free (self->group);
  g_free (self);
}

/* public methods */

GkvMdnsBackend *
gkv_mdns_daemon_new (GDBusConnection *bus, const GkvMdnsListener *listener, gpointer data)
{
  GkvMdnsDaemon *self = g_new0 (GkvMdnsDaemon, 1);

  self->parent.announce = gkv_mdns_daemon_announce;
  self->parent.resolve = gkv_mdns_daemon_resolve;
  self->parent.cancel = gkv_mdns_daemon_cancel;
  self->parent.free = gkv_mdns_daemon_free;
  self->parent.listener = listener;
  self->parent.data = data;
  self->bus = g_object_ref (bus);
  self->cancellable = g_cancellable_new ();

  self->subscriptions[0] = daemon_subscribe (self, "ServiceBrowser", browser_signal_cb);
  self->subscriptions[1] = daemon_subscribe (self, "ServiceResolver", resolver_signal_cb);
  self->subscriptions[2] = daemon_subscribe (self, "EntryGroup", group_signal_cb);

  daemon_call (self, "/", "Server", "EntryGroupNew", NULL, "(o)", group_new_cb, self);
  daemon_call (self, "/", "Server", "ServiceBrowserNew",
               g_variant_new ("(iissu)", AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, GKV_MDNS_SERVICE_TYPE, "", 0u), "(o)",
               browser_new_cb, self);
  return &self->parent;
}
