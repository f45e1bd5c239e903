/* Looking up host names, a few at a time in the whole process.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* A name that somebody waits for. */
typedef struct _GkvUdpLookup GkvUdpLookup;

/* @addresses: a list of GInetAddress; NULL: @error says why. */
typedef void (*GkvUdpLookupFunc) (GList *addresses, const GError *error, gpointer user_data);

/* Calls @func later in the thread-default main context, once. The lookup is gone then. */
GkvUdpLookup *gkv_udp_lookup_begin (const char *host, GkvUdpLookupFunc func, gpointer user_data);

/* @func isn't called any more. In the thread that began it. */
void gkv_udp_lookup_cancel (GkvUdpLookup *self);

G_END_DECLS
