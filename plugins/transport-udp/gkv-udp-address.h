/* Addresses of UDP: as people write them, as the kernel wants them, and the one canonical form between.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gkv.h>

#include <netinet/in.h>
#include <sys/socket.h>

G_BEGIN_DECLS

/* An address as the kernel has it. An IPv4 address that is mapped into IPv6 is kept as what it is, IPv4. */
typedef union
{
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
} GkvUdpAddress;

/* Splits "host:port" without a name server. @host comes out without brackets, a name in ASCII. The error is
 * GKV_ERROR_INVALID_ADDRESS. */
gboolean gkv_udp_address_split (const char *text, char **host, guint16 *port, GError **error);

/* FALSE without an error: @host is a name. FALSE with one: it names an interface that isn't there. */
gboolean gkv_udp_address_from_host (GkvUdpAddress *self, const char *host, guint16 port, GError **error);

void gkv_udp_address_from_inet (GkvUdpAddress *self, GInetAddress *inet, guint16 port);

/* Reads what is numeric. The error is GKV_ERROR_INVALID_ADDRESS. */
gboolean gkv_udp_address_parse (GkvUdpAddress *self, const char *text, GError **error);

/* The canonical form: a numeric "host:port", IPv6 as RFC 5952 has it, in brackets, with the number of the interface
 * where it is link-local. */
char *gkv_udp_address_format (const GkvUdpAddress *self);

/* Turns what the kernel reports into the form in which an address is kept. */
void gkv_udp_address_unmap (GkvUdpAddress *self);

/* Turns an IPv4 address into the form that a socket of IPv6 sends to. */
void gkv_udp_address_map (GkvUdpAddress *self);

/* Whether an address can serve its use. The error is GKV_ERROR_INVALID_ADDRESS and names @text. */
gboolean gkv_udp_address_check_use (const GkvUdpAddress *self, const char *text, GkvAddressUse use, GError **error);

gboolean gkv_udp_address_is_unspecified (const GkvUdpAddress *self);

socklen_t gkv_udp_address_get_size (const GkvUdpAddress *self);

guint gkv_udp_address_hash (gconstpointer self);
gboolean gkv_udp_address_equal (gconstpointer one, gconstpointer other);

G_END_DECLS
