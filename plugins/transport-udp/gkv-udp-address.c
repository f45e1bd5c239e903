/* Addresses of UDP: as people write them, as the kernel wants them, and the one canonical form between.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-udp-address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#define MAX_NAME_SIZE 253

/* IPv4 begins here in a mapped address. */
#define MAPPED_SIZE 12

static const guint8 mapped[MAPPED_SIZE] = { [10] = 0xff, [11] = 0xff };

static gboolean
fail (const char *text, const char *reason, GError **error)
{
  g_autofree char *shown = g_utf8_make_valid (text, -1);

  g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
               "\"%s\" is not an address: %s. Write \"192.0.2.1:7000\", \"[2001:db8::1]:7000\" or \"name:7000\"", shown,
               reason);
  return FALSE;
}

/* A host of digits and dots is meant as an IPv4 address. */
static gboolean
is_name (const char *host)
{
  if (strspn (host, "0123456789.") == strlen (host))
    return g_hostname_is_ip_address (host);

  for (const char *p = host; *p != '\0'; p++)
    if (!g_ascii_isalnum (*p) && strchr ("-._", *p) == NULL)
      return FALSE;

  return *host != '.' && *host != '\0' && strlen (host) <= MAX_NAME_SIZE;
}

gboolean
gkv_udp_address_split (const char *text, char **host, guint16 *port, GError **error)
{
  const char *colon = strrchr (text, ':');
  g_autofree char *name = NULL;
  guint64 number;

  if (!g_utf8_validate (text, -1, NULL) || colon == NULL)
    return fail (text, "the port is missing", error);
  if (!g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, &number, NULL))
    return fail (text, "the port must be a number from 0 to 65535", error);
  if (colon == text)
    return fail (text, "the host is missing; \"0.0.0.0\" stands for every address", error);

  if (text[0] == '[')
    {
      if (colon[-1] != ']')
        return fail (text, "\"]\" must stand before the port", error);

      name = g_strndup (text + 1, colon - text - 2);
      if (strchr (name, ':') == NULL)
        return fail (text, "what is in brackets must be an IPv6 address", error);
    }
  else
    {
      g_autofree char *typed = g_strndup (text, colon - text);

      if (strchr (typed, ':') != NULL)
        return fail (text, "an IPv6 address needs brackets", error);

      name = g_hostname_to_ascii (typed);
      if (name == NULL || !is_name (name))
        return fail (text, "that is neither an IPv4 address nor a host name", error);
    }

  *host = g_steal_pointer (&name);
  *port = (guint16) number;
  return TRUE;
}

static gboolean
read_scope (const char *scope, const char *host, guint32 *index, GError **error)
{
  guint64 number;

  if (g_ascii_string_to_unsigned (scope, 10, 1, G_MAXUINT32, &number, NULL))
    *index = (guint32) number;
  else
    *index = if_nametoindex (scope);

  if (*index == 0)
    {
      g_autofree char *shown = g_utf8_make_valid (host, -1);

      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
                   "\"%s\" is not an address: there is no interface \"%s\"", shown, strchr (shown, '%') + 1);
    }
  return *index != 0;
}

gboolean
gkv_udp_address_from_host (GkvUdpAddress *self, const char *host, guint16 port, GError **error)
{
  g_autofree char *bare = g_strdup (host);
  char *scope = strchr (bare, '%');

  memset (self, 0, sizeof *self);
  if (strchr (host, ':') == NULL)
    {
      self->in.sin_family = AF_INET;
      self->in.sin_port = htons (port);
      return inet_pton (AF_INET, host, &self->in.sin_addr) == 1;
    }

  if (scope != NULL)
    *scope++ = '\0';
  self->in6.sin6_family = AF_INET6;
  self->in6.sin6_port = htons (port);
  if (inet_pton (AF_INET6, bare, &self->in6.sin6_addr) != 1)
    {
      g_autofree char *shown = g_utf8_make_valid (host, -1);

      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS, "\"%s\" is not an IPv6 address", shown);
      return FALSE;
    }
  if (scope != NULL && !read_scope (scope, host, &self->in6.sin6_scope_id, error))
    return FALSE;

  gkv_udp_address_unmap (self);
  return TRUE;
}

void
gkv_udp_address_from_inet (GkvUdpAddress *self, GInetAddress *inet, guint16 port)
{
  memset (self, 0, sizeof *self);
  if (g_inet_address_get_family (inet) == G_SOCKET_FAMILY_IPV4)
    {
      self->in.sin_family = AF_INET;
      self->in.sin_port = htons (port);
      memcpy (&self->in.sin_addr, g_inet_address_to_bytes (inet), sizeof self->in.sin_addr);
      return;
    }

  self->in6.sin6_family = AF_INET6;
  self->in6.sin6_port = htons (port);
  memcpy (&self->in6.sin6_addr, g_inet_address_to_bytes (inet), sizeof self->in6.sin6_addr);
  gkv_udp_address_unmap (self);
}

gboolean
gkv_udp_address_parse (GkvUdpAddress *self, const char *text, GError **error)
{
  g_autofree char *host = NULL;
  GError *cause = NULL;
  guint16 port;

  if (!gkv_udp_address_split (text, &host, &port, error))
    return FALSE;
  if (gkv_udp_address_from_host (self, host, port, &cause))
    return TRUE;

  if (cause == NULL)
    g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
                 "\"%s\" has a name, which must be looked up first; a numeric address is needed here", text);
  else
    g_propagate_error (error, cause);
  return FALSE;
}

static void
format_in6 (const struct sockaddr_in6 *in6, char text[INET6_ADDRSTRLEN])
{
  static const guint8 zeros[MAPPED_SIZE] = { 0 };
  const guint8 *bytes = in6->sin6_addr.s6_addr;
  guint high = bytes[12] << 8 | bytes[13], low = bytes[14] << 8 | bytes[15];

  /* The C library would write the last four bytes of these as IPv4, as was the custom before RFC 5952. */
  if (memcmp (bytes, zeros, sizeof zeros) == 0 && high != 0)
    g_snprintf (text, INET6_ADDRSTRLEN, "::%x:%x", high, low);
  else
    inet_ntop (AF_INET6, bytes, text, INET6_ADDRSTRLEN);
}

char *
gkv_udp_address_format (const GkvUdpAddress *self)
{
  char host[INET6_ADDRSTRLEN];

  if (self->any.sa_family == AF_INET)
    {
      inet_ntop (AF_INET, &self->in.sin_addr, host, sizeof host);
      return g_strdup_printf ("%s:%u", host, ntohs (self->in.sin_port));
    }

  format_in6 (&self->in6, host);
  if (self->in6.sin6_scope_id != 0)
    return g_strdup_printf ("[%s%%%u]:%u", host, self->in6.sin6_scope_id, ntohs (self->in6.sin6_port));
  return g_strdup_printf ("[%s]:%u", host, ntohs (self->in6.sin6_port));
}

void
gkv_udp_address_unmap (GkvUdpAddress *self)
{
  struct sockaddr_in6 in6 = self->in6;

  if (self->any.sa_family != AF_INET6)
    return;

  if (memcmp (in6.sin6_addr.s6_addr, mapped, sizeof mapped) == 0)
    {
      memset (self, 0, sizeof *self);
      self->in.sin_family = AF_INET;
      self->in.sin_port = in6.sin6_port;
      memcpy (&self->in.sin_addr, in6.sin6_addr.s6_addr + sizeof mapped, sizeof self->in.sin_addr);
      return;
    }

  /* The interface is a part of link-local addresses; with it others would have two forms. */
  if (!IN6_IS_ADDR_LINKLOCAL (&in6.sin6_addr) && !IN6_IS_ADDR_MC_LINKLOCAL (&in6.sin6_addr))
    self->in6.sin6_scope_id = 0;
  self->in6.sin6_flowinfo = 0;
}

void
gkv_udp_address_map (GkvUdpAddress *self)
{
  struct sockaddr_in in = self->in;

  if (self->any.sa_family != AF_INET)
    return;

  memset (self, 0, sizeof *self);
  self->in6.sin6_family = AF_INET6;
  self->in6.sin6_port = in.sin_port;
  memcpy (self->in6.sin6_addr.s6_addr, mapped, sizeof mapped);
  memcpy (self->in6.sin6_addr.s6_addr + sizeof mapped, &in.sin_addr, sizeof in.sin_addr);
}

gboolean
gkv_udp_address_is_unspecified (const GkvUdpAddress *self)
{
  if (self->any.sa_family == AF_INET)
    return self->in.sin_addr.s_addr == htonl (INADDR_ANY);
  return IN6_IS_ADDR_UNSPECIFIED (&self->in6.sin6_addr);
}

static gboolean
is_multicast (const GkvUdpAddress *self)
{
  if (self->any.sa_family == AF_INET)
    return IN_MULTICAST (ntohl (self->in.sin_addr.s_addr));
  return IN6_IS_ADDR_MULTICAST (&self->in6.sin6_addr);
}

static gboolean
is_broadcast (const GkvUdpAddress *self)
{
  return self->any.sa_family == AF_INET && self->in.sin_addr.s_addr == htonl (INADDR_BROADCAST);
}

static gboolean
lacks_scope (const GkvUdpAddress *self)
{
  return self->any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL (&self->in6.sin6_addr) &&
         self->in6.sin6_scope_id == 0;
}

gboolean
gkv_udp_address_check_use (const GkvUdpAddress *self, const char *text, GkvAddressUse use, GError **error)
{
  gboolean bind = use == GKV_ADDRESS_USE_BIND;
  const char *fault = NULL;

  if (is_multicast (self))
    fault = "is a multicast address, which no node has";
  else if (is_broadcast (self))
    fault = "is the broadcast address, which no node has";
  else if (!bind && gkv_udp_address_is_unspecified (self))
    fault = "stands for every address of a machine, and no peer can send to it; give one address";
  else if (!bind && self->in.sin_port == 0)
    fault = "has the port 0; give the one that the node there is bound to";
  else if (use != GKV_ADDRESS_USE_ADVERTISE && lacks_scope (self))
    fault = "is link-local and doesn't say on which interface: write it like \"[fe80::1%eth0]:7000\"";

  if (fault != NULL)
    g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS, "The address \"%s\" %s", text, fault);
  return fault == NULL;
}

socklen_t
gkv_udp_address_get_size (const GkvUdpAddress *self)
{
  return self->any.sa_family == AF_INET ? sizeof self->in : sizeof self->in6;
}

guint
gkv_udp_address_hash (gconstpointer data)
{
  const guint32 *words = data;
  guint hash = 0;

  /* Multiples of 4 bytes both, without padding. */
  for (gsize i = 0; i < gkv_udp_address_get_size (data) / sizeof *words; i++)
    hash = hash * 31 + words[i];
  return hash ^ hash >> 16;
}

gboolean
gkv_udp_address_equal (gconstpointer one, gconstpointer other)
{
  gsize size = gkv_udp_address_get_size (one);

  return size == gkv_udp_address_get_size (other) && memcmp (one, other, size) == 0;
}
