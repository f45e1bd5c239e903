/* The addresses of this machine, and a source that is dispatched when they change, from the kernel itself:
 * GNetworkMonitor may speak to a bus synchronously, and belongs to the context that used it first.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-addresses.h"

#include <glib-unix.h>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* GKV_PORTABLE has the library do without what only Linux has, to test that. */
#if defined __linux__ && !defined GKV_PORTABLE
#define USE_NETLINK
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#endif

/* Elsewhere they are looked at so often, in seconds. */
#define LOOK_INTERVAL 5

/* internal methods */

static GkvMdnsAddress *
address_new (int interface, GInetAddress *address)
{
  GkvMdnsAddress *self = g_new0 (GkvMdnsAddress, 1);

  self->interface = interface;
  self->address = g_object_ref (address);
  return self;
}

static int
address_compare (gconstpointer a, gconstpointer b)
{
  const GkvMdnsAddress *one = *(GkvMdnsAddress *const *) a;
  const GkvMdnsAddress *other = *(GkvMdnsAddress *const *) b;
  GSocketFamily family = g_inet_address_get_family (one->address);
  GSocketFamily other_family = g_inet_address_get_family (other->address);

  if (one->interface != other->interface)
    return one->interface < other->interface ? -1 : 1;
  if (family != other_family)
    return family == G_SOCKET_FAMILY_IPV4 ? -1 : 1;

  return memcmp (g_inet_address_to_bytes (one->address), g_inet_address_to_bytes (other->address),
                 g_inet_address_get_native_size (one->address));
}

/* NULL for what can't be announced: an interface that is down, or one that mDNS leaves alone. */
static GkvMdnsAddress *
address_new_from_interface (const struct ifaddrs *item)
{
  g_autoptr (GInetAddress) address = NULL;

  if (item->ifa_addr == NULL || !(item->ifa_flags & IFF_UP) || (item->ifa_flags & IFF_POINTOPOINT))
    return NULL;
  if (!(item->ifa_flags & (IFF_LOOPBACK | IFF_MULTICAST)))
    return NULL;

  if (item->ifa_addr->sa_family == AF_INET)
    address = g_inet_address_new_from_bytes ((const guint8 *) &((struct sockaddr_in *) item->ifa_addr)->sin_addr,
                                             G_SOCKET_FAMILY_IPV4);
  else if (item->ifa_addr->sa_family == AF_INET6)
    address = g_inet_address_new_from_bytes ((const guint8 *) &((struct sockaddr_in6 *) item->ifa_addr)->sin6_addr,
                                             G_SOCKET_FAMILY_IPV6);
  else
    return NULL;

  return address_new (if_nametoindex (item->ifa_name), address);
}

static gboolean
stands_for (GInetAddress *bound, GInetAddress *address, gboolean with_loopback)
{
  if (!g_inet_address_get_is_any (bound))
    return g_inet_address_equal (bound, address);
  if (g_inet_address_get_is_loopback (address) != with_loopback)
    return FALSE;

  return g_inet_address_get_family (bound) == G_SOCKET_FAMILY_IPV6 ||
         g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV4;
}

static void
collect (GPtrArray *addresses, const struct ifaddrs *items, GInetAddress *bound, gboolean with_loopback)
{
  for (const struct ifaddrs *item = items; item != NULL; item = item->ifa_next)
    {
      g_autoptr (GkvMdnsAddress) address = address_new_from_interface (item);

      if (address != NULL && stands_for (bound, address->address, with_loopback))
        g_ptr_array_add (addresses, g_steal_pointer (&address));
    }
}

/* public methods */

void
gkv_mdns_address_free (GkvMdnsAddress *self)
{
  g_object_unref (self->address);
  g_free (self);
}

GPtrArray *
gkv_mdns_addresses_for (GInetAddress *bound)
{
  g_autoptr (GPtrArray) addresses = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_mdns_address_free);
  struct ifaddrs *items = NULL;

  if (getifaddrs (&items) == 0)
    {
      collect (addresses, items, bound, FALSE);
      if (addresses->len == 0)
        collect (addresses, items, bound, TRUE);
      freeifaddrs (items);
    }

  /* Not of this machine: an address that others reach through a translation. */
  if (addresses->len == 0 && !g_inet_address_get_is_any (bound))
    g_ptr_array_add (addresses, address_new (GKV_MDNS_ANY_INTERFACE, bound));

  g_ptr_array_sort (addresses, address_compare);
  return g_steal_pointer (&addresses);
}

gboolean
gkv_mdns_addresses_equal (GPtrArray *one, GPtrArray *other)
{
  if (one->len != other->len)
    return FALSE;

  for (guint i = 0; i < one->len; i++)
    if (address_compare (&one->pdata[i], &other->pdata[i]) != 0)
      return FALSE;

  return TRUE;
}

#ifdef USE_NETLINK

typedef struct
{
  GSourceFunc func;
  gpointer user_data;
  int fd;
} AddressWatch;

static gboolean
address_watch_ready (int fd, GIOCondition condition, gpointer user_data)
{
  AddressWatch *watch = user_data;
  char message[8192];

  /* What changed doesn't matter, as all is read anew; even a message lost to a full queue only says the same. */
  while (recv (fd, message, sizeof message, 0) > 0)
    ;

  return watch->func (watch->user_data);
}

static void
address_watch_free (gpointer data)
{
  AddressWatch *watch = data;

  close (watch->fd);
  g_free (watch);
}

GSource *
gkv_mdns_address_watch_new (GSourceFunc func, gpointer user_data)
{
  struct sockaddr_nl name = { .nl_family = AF_NETLINK,
                              .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  AddressWatch *watch;
  GSource *source;

  if (fd < 0)
    return NULL;
  if (bind (fd, (struct sockaddr *) &name, sizeof name) < 0)
    {
      close (fd);
      return NULL;
    }

  watch = g_new0 (AddressWatch, 1);
  watch->func = func;
  watch->user_data = user_data;
  watch->fd = fd;

  source = g_unix_fd_source_new (fd, G_IO_IN);
  g_source_set_callback (source, G_SOURCE_FUNC (address_watch_ready), watch, address_watch_free);
  g_source_set_static_name (source, "[gkv] mdns addresses");
  return source;
}

#else

GSource *
gkv_mdns_address_watch_new (GSourceFunc func, gpointer user_data)
{
  GSource *source = g_timeout_source_new_seconds (LOOK_INTERVAL);

  g_source_set_callback (source, func, user_data, NULL);
  g_source_set_static_name (source, "[gkv] mdns addresses");
  return source;
}

#endif
