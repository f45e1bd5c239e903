/* Where this node is itself, and what it can send to from there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-dns-self.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

/* Whether the machine has that address. Those of its loopback interface are more than the interface lists. */
static gboolean
is_of_machine (GInetAddress *address)
{
  struct ifaddrs *items = NULL;
  gboolean found = FALSE;

  if (g_inet_address_get_is_loopback (address))
    return TRUE;

  if (getifaddrs (&items) != 0)
    return FALSE;

  for (const struct ifaddrs *item = items; item != NULL && !found; item = item->ifa_next)
    {
      g_autoptr (GSocketAddress) own = NULL;

      if (item->ifa_addr == NULL)
        continue;

      if (item->ifa_addr->sa_family == AF_INET)
        own = g_socket_address_new_from_native (item->ifa_addr, sizeof (struct sockaddr_in));
      else if (item->ifa_addr->sa_family == AF_INET6)
        own = g_socket_address_new_from_native (item->ifa_addr, sizeof (struct sockaddr_in6));

      if (own != NULL)
        found = g_inet_address_equal (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (own)), address);
    }
  freeifaddrs (items);

  return found;
}

static gboolean
is_broadcast (GInetAddress *address)
{
  static const guint8 broadcast[] = { 255, 255, 255, 255 };

  return g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV4 &&
         memcmp (g_inet_address_to_bytes (address), broadcast, sizeof broadcast) == 0;
}

/* A node that is bound to one address reaches those of its family; one that is bound to "::" reaches all. */
static gboolean
is_reachable_from (GInetAddress *own, GInetAddress *address)
{
  gboolean is_ipv6 = g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV6;

  /* DNS doesn't say on which interface a link-local address is. */
  if (is_ipv6 && g_inet_address_get_is_link_local (address))
    return FALSE;

  return g_inet_address_get_family (own) == g_inet_address_get_family (address) ||
         (g_inet_address_get_is_any (own) && !is_ipv6);
}

GInetSocketAddress *
gkv_dns_self_parse (const char *address)
{
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (address, 0, NULL);
  GNetworkAddress *network = (GNetworkAddress *) parsed;
  GSocketAddress *own;

  if (network == NULL || g_network_address_get_port (network) == 0)
    return NULL;

  own = g_inet_socket_address_new_from_string (g_network_address_get_hostname (network),
                                               g_network_address_get_port (network));
  return own != NULL ? G_INET_SOCKET_ADDRESS (own) : NULL;
}

gboolean
gkv_dns_self_may_meet (GInetSocketAddress *own, GInetSocketAddress *address)
{
  GInetAddress *own_host = g_inet_socket_address_get_address (own);
  GInetAddress *host = g_inet_socket_address_get_address (address);

  if (g_inet_address_get_is_any (host) || g_inet_address_get_is_multicast (host) || is_broadcast (host) ||
      !is_reachable_from (own_host, host))
    return FALSE;

  if (g_inet_socket_address_get_port (own) != g_inet_socket_address_get_port (address))
    return TRUE;

  return g_inet_address_get_is_any (own_host) ? !is_of_machine (host) : !g_inet_address_equal (own_host, host);
}
