/* What a node announces of itself by mDNS: instance name, host name, port, addresses, and the strings of the TXT
 * record.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-mdns-addresses.h"

G_BEGIN_DECLS

typedef struct
{
  char *instance; /* at most 63 bytes, unlike any other node's */
  char *host;     /* a host name of the node's own, without the domain */
  guint16 port;
  GStrv txt;            /* "key=value", each at most 255 bytes */
  GPtrArray *addresses; /* GkvMdnsAddress */

  /*< private >*/
  char *stem;
  guint n_collisions;
  GInetAddress *bound;
} GkvMdnsAnnouncement;

/* @address: a numeric "host:port", IPv6 in brackets. */
GkvMdnsAnnouncement *
gkv_mdns_announcement_new (const char *cluster, const char *node_id, const char *address, GError **error);
void gkv_mdns_announcement_free (GkvMdnsAnnouncement *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvMdnsAnnouncement, gkv_mdns_announcement_free)

/* Takes other names, as somebody has these. */
void gkv_mdns_announcement_rename (GkvMdnsAnnouncement *self);

/* Reads the machine's addresses anew; TRUE when there is something else to announce. */
gboolean gkv_mdns_announcement_refresh (GkvMdnsAnnouncement *self);

/* Whether it is an address that is announced here. */
gboolean gkv_mdns_announcement_has_address (const GkvMdnsAnnouncement *self, GInetAddress *address, guint16 port);

/* The value of a key in the strings of a TXT record, or NULL when it is missing, empty or not UTF-8. */
char *gkv_mdns_txt_lookup (GStrv txt, const char *key);

G_END_DECLS
