/* The addresses of this machine, and a source that is dispatched when they change.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Every interface, for an address that is not of this machine (as Avahi counts). */
#define GKV_MDNS_ANY_INTERFACE -1

typedef struct
{
  int interface; /* index */
  GInetAddress *address;
} GkvMdnsAddress;

void gkv_mdns_address_free (GkvMdnsAddress *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvMdnsAddress, gkv_mdns_address_free)

/* The addresses to announce for @bound, as GkvMdnsAddress, in a steady order. The unspecified address stands for all
 * that others can reach, IPv6's for IPv4's too; loopback is among them only when there is nothing else. */
GPtrArray *gkv_mdns_addresses_for (GInetAddress *bound);

gboolean gkv_mdns_addresses_equal (GPtrArray *one, GPtrArray *other);

/* Calls @func whenever an address of this machine comes or goes. NULL, with errno set, where the kernel can't report
 * that. */
GSource *gkv_mdns_address_watch_new (GSourceFunc func, gpointer user_data);

G_END_DECLS
