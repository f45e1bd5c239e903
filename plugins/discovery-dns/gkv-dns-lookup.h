/* Looking up where the nodes behind a name are: by its SRV records, or else at its addresses.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _GkvDnsLookup GkvDnsLookup;

/* @addresses: "host:port" → GInetSocketAddress. @error: why not all could be looked up, so that others may be missing;
 * NULL: these are all, and there may be none. The lookup is freed after the call. */
typedef void (*GkvDnsLookupFunc) (GHashTable *addresses, const GError *error, gpointer user_data);

/* The result comes in the thread's default main context, never before this returns. @port: that of nodes whose name has
 * no SRV record. */
GkvDnsLookup *gkv_dns_lookup_begin (const char *name, guint16 port, GkvDnsLookupFunc func, gpointer user_data);
/* Frees it; the function isn't called any more. */
void gkv_dns_lookup_cancel (GkvDnsLookup *self);

G_END_DECLS
