/* The back end with Avahi inside this process, for machines without a daemon; it works beside one, too.
 *
 * Two mDNS stacks on one machine that each claim its addresses collide for ever on the reverse pointers. So nothing of
 * the machine is published, only a host of the node's own, with the addresses it is bound to and no reverse pointers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-embedded.h"

#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>
#include <avahi-glib/glib-watch.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define MDNS_PORT 5353

typedef struct
{
  GkvMdnsBackend parent;

  AvahiGLibPoll *poll;
  AvahiServer *server;
  AvahiSServiceBrowser *browser;
  AvahiSEntryGroup *group;
} GkvMdnsEmbedded;

/* internal methods */

static void
log_cb (AvahiLogLevel level, const char *text)
{
  g_debug ("avahi: %s", text);
}

static void
server_cb (AvahiServer *server, AvahiServerState state, void *user_data)
{
  GkvMdnsEmbedded *self = user_data;

  if (state == AVAHI_SERVER_FAILURE)
    gkv_mdns_backend_fail (&self->parent, "mDNS stopped working: %s", avahi_strerror (avahi_server_errno (server)));
}

static void
group_cb (AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state, void *user_data)
{
  GkvMdnsEmbedded *self = user_data;

  if (state == AVAHI_ENTRY_GROUP_COLLISION)
    self->parent.listener->collided (self->parent.data);
  else if (state == AVAHI_ENTRY_GROUP_FAILURE)
    gkv_mdns_backend_fail (&self->parent, "could not announce this node by mDNS: %s",
                           avahi_strerror (avahi_server_errno (server)));
}

static void
browser_cb (AvahiSServiceBrowser *browser,
            AvahiIfIndex interface,
            AvahiProtocol protocol,
            AvahiBrowserEvent event,
            const char *name,
            const char *type,
            const char *domain,
            AvahiLookupResultFlags flags,
            void *user_data)
{
  GkvMdnsEmbedded *self = user_data;

  if (event == AVAHI_BROWSER_NEW)
    self->parent.listener->appeared (interface, protocol, name, domain, self->parent.data);
  else if (event == AVAHI_BROWSER_REMOVE)
    self->parent.listener->vanished (interface, protocol, name, self->parent.data);
  else if (event == AVAHI_BROWSER_FAILURE)
    gkv_mdns_backend_fail (&self->parent, "could not look for other nodes by mDNS: %s",
                           avahi_strerror (avahi_server_errno (self->server)));
}

static void
resolver_cb (AvahiSServiceResolver *resolver,
             AvahiIfIndex interface,
             AvahiProtocol protocol,
             AvahiResolverEvent event,
             const char *name,
             const char *type,
             const char *domain,
             const char *host,
             const AvahiAddress *address,
             uint16_t port,
             AvahiStringList *txt,
             AvahiLookupResultFlags flags,
             void *user_data)
{
  GkvMdnsEmbedded *self = user_data;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) strings = NULL;
  char numeric[AVAHI_ADDRESS_STR_MAX];

  /* A host without an address of that family is a failure after a while, and none of ours. */
  if (event != AVAHI_RESOLVER_FOUND)
    return;

  for (AvahiStringList *item = txt; item != NULL; item = avahi_string_list_get_next (item))
    {
      g_autofree char *string =
          g_strndup ((const char *) avahi_string_list_get_text (item), avahi_string_list_get_size (item));

      g_strv_builder_add (builder, string);
    }
  strings = g_strv_builder_end (builder);

  avahi_address_snprint (numeric, sizeof numeric, address);
  self->parent.listener->resolved (interface, name, numeric, port, strings, self->parent.data);
}

static int
add_address (GkvMdnsEmbedded *self, const GkvMdnsAnnouncement *announcement, const GkvMdnsAddress *item)
{
  g_autofree char *host = g_strconcat (announcement->host, ".local", NULL);
  g_autofree char *numeric = g_inet_address_to_string (item->address);
  AvahiAddress address;

  if (avahi_address_parse (numeric, AVAHI_PROTO_UNSPEC, &address) == NULL)
    return AVAHI_ERR_INVALID_ADDRESS;

  return avahi_server_add_address (self->server, self->group, item->interface, AVAHI_PROTO_UNSPEC,
                                   AVAHI_PUBLISH_NO_REVERSE, host, &address);
}

static int
add_service (GkvMdnsEmbedded *self, const GkvMdnsAnnouncement *announcement, int interface)
{
  g_autofree char *host = g_strconcat (announcement->host, ".local", NULL);
  AvahiStringList *txt = avahi_string_list_new_from_array ((const char **) announcement->txt, -1);
  int result = avahi_server_add_service_strlst (self->server, self->group, interface, AVAHI_PROTO_UNSPEC, 0,
                                                announcement->instance, GKV_MDNS_SERVICE_TYPE, NULL, host,
                                                announcement->port, txt);

  avahi_string_list_free (txt);
  return result;
}

static int
fill_group (GkvMdnsEmbedded *self, const GkvMdnsAnnouncement *announcement)
{
  int last_interface = 0;

  for (guint i = 0; i < announcement->addresses->len; i++)
    {
      const GkvMdnsAddress *item = g_ptr_array_index (announcement->addresses, i);
      int result = add_address (self, announcement, item);

      /* Sorted by interface: the service is added once on each. */
      if (result >= 0 && item->interface != last_interface)
        result = add_service (self, announcement, item->interface);
      if (result < 0)
        return result;
      last_interface = item->interface;
    }

  return avahi_s_entry_group_is_empty (self->group) ? 0 : avahi_s_entry_group_commit (self->group);
}

/* GkvMdnsBackend */

static void
gkv_mdns_embedded_announce (GkvMdnsBackend *backend, const GkvMdnsAnnouncement *announcement)
{
  GkvMdnsEmbedded *self = (GkvMdnsEmbedded *) backend;
  int result;

  avahi_s_entry_group_reset (self->group);
  result = fill_group (self, announcement);
  if (result < 0)
    gkv_mdns_backend_fail (&self->parent, "could not announce this node by mDNS: %s", avahi_strerror (result));
}

static gpointer
gkv_mdns_embedded_resolve (
    GkvMdnsBackend *backend, int interface, const char *name, const char *domain, GSocketFamily family)
{
  GkvMdnsEmbedded *self = (GkvMdnsEmbedded *) backend;

  return avahi_s_service_resolver_new (self->server, interface, AVAHI_PROTO_UNSPEC, name, GKV_MDNS_SERVICE_TYPE, domain,
                                       family == G_SOCKET_FAMILY_IPV6 ? AVAHI_PROTO_INET6 : AVAHI_PROTO_INET, 0,
                                       resolver_cb, self);
}

static void
gkv_mdns_embedded_cancel (GkvMdnsBackend *backend, gpointer resolver)
{
  avahi_s_service_resolver_free (resolver);
}

static void
gkv_mdns_embedded_free (GkvMdnsBackend *backend)
{
  GkvMdnsEmbedded *self = (GkvMdnsEmbedded *) backend;

  g_clear_pointer (&self->browser, avahi_s_service_browser_free);
  g_clear_pointer (&self->group, avahi_s_entry_group_free); /* says good-bye */
  g_clear_pointer (&self->server, avahi_server_free);
  g_clear_pointer (&self->poll, avahi_glib_poll_free);
  g_free (self);
}

/* Whether some other stack keeps the port of a family to itself. */
static gboolean
is_port_kept (int family, const struct sockaddr *any, socklen_t len)
{
  int fd = socket (family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int on = 1;
  gboolean kept;

  if (fd < 0)
    return FALSE;

  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt (fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  kept = bind (fd, any, len) < 0 && errno == EADDRINUSE;
  close (fd);
  return kept;
}

/* Avahi would go on with the other family alone, for good: so would a node that starts while a daemon is ending. */
static gboolean
is_any_port_kept (void)
{
  const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons (MDNS_PORT) };
  const struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons (MDNS_PORT) };

  return is_port_kept (AF_INET, (const struct sockaddr *) &any, sizeof any) ||
         is_port_kept (AF_INET6, (const struct sockaddr *) &any6, sizeof any6);
}

/* public methods */

GkvMdnsBackend *
gkv_mdns_embedded_new (const char *host, const GkvMdnsListener *listener, gpointer data, GError **error)
{
  static gsize log_is_set = 0;
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  GkvMdnsEmbedded *self = g_new0 (GkvMdnsEmbedded, 1);
  AvahiServerConfig config;
  int code = 0;

  /* Avahi has one log for the process. */
  if (g_once_init_enter (&log_is_set))
    {
      avahi_set_log_function (log_cb);
      g_once_init_leave (&log_is_set, 1);
    }

  self->parent.announce = gkv_mdns_embedded_announce;
  self->parent.resolve = gkv_mdns_embedded_resolve;
  self->parent.cancel = gkv_mdns_embedded_cancel;
  self->parent.free = gkv_mdns_embedded_free;
  self->parent.listener = listener;
  self->parent.data = data;
  self->poll = avahi_glib_poll_new (context, G_PRIORITY_DEFAULT);

  avahi_server_config_init (&config);
  avahi_free (config.host_name);
  config.host_name = avahi_strdup (host);
  config.publish_addresses = 0;
  config.publish_hinfo = 0;
  config.publish_workstation = 0;
  config.publish_domain = 0;
  config.enable_wide_area = 0;
  if (is_any_port_kept ())
    code = AVAHI_ERR_NO_NETWORK;
  else
    self->server = avahi_server_new (avahi_glib_poll_get (self->poll), &config, server_cb, self, &code);
  avahi_server_config_free (&config);

  if (self->server != NULL)
    {
      self->group = avahi_s_entry_group_new (self->server, group_cb, self);
      self->browser = avahi_s_service_browser_new (self->server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                                   GKV_MDNS_SERVICE_TYPE, NULL, 0, browser_cb, self);
      code = avahi_server_errno (self->server);
    }

  if (self->group == NULL || self->browser == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                   "mDNS can't be used: %s; another mDNS stack may keep port 5353 to itself, then let it be reached "
                   "through the system bus",
                   avahi_strerror (code));
      gkv_mdns_embedded_free (&self->parent);
      return NULL;
    }

  return &self->parent;
}
