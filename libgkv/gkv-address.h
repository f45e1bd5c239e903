/* Addresses as people write them: "host:port", "[v6]:port", "name:port".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Splits and judges @text without asking any name server. @host comes out without brackets, names in ASCII.
 * The error is GKV_ERROR_INVALID_ADDRESS. */
gboolean gkv_address_parse (const char *text, char **host, guint16 *port, GError **error);

/* "host:port", with brackets around IPv6. */
char *gkv_address_format (const char *host, guint16 port);

gboolean gkv_address_is_numeric (const char *host);

/* Whether a numeric "host:port" has the unspecified address, which stands for every address of the machine. */
gboolean gkv_address_is_unspecified (const char *address);

/* What can be known of a host name at once, without a name server: numeric ones as they are, "localhost", and what
 * /etc/hosts says. NULL: a name server must be asked. */
char *gkv_address_lookup_local (const char *host);

G_END_DECLS
