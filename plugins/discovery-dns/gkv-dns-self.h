/* Where this node is itself, and what it can send to from there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* The node's own "host:port"; NULL where the host isn't numeric. */
GInetSocketAddress *gkv_dns_self_parse (const char *address);
/* Whether a peer may be at @address. It isn't where this node is, nor where nobody can be. */
gboolean gkv_dns_self_may_meet (GInetSocketAddress *own, GInetSocketAddress *address);

G_END_DECLS
