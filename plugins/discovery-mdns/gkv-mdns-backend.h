/* What the discovery and its two back ends, the Avahi daemon and the embedded Avahi, call of each other.
 *
 * A back end browses and resolves, and publishes an announcement. It decides nothing: which services are peers, and
 * what to do about a name that is taken, is the discovery's part. All runs in the context that the discovery was
 * started in. A back end may call the discovery from inside Avahi's callbacks, as the discovery does not free a back
 * end there and reports nothing before the next iteration of the main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-mdns-announcement.h"
#include "gkv-mdns-discovery.h"

G_BEGIN_DECLS

#define GKV_MDNS_SERVICE_TYPE "_gkv._udp"

typedef struct _GkvMdnsBackend GkvMdnsBackend;

struct _GkvMdnsBackend
{
  /* Publishes, in place of what it published before. */
  void (*announce) (GkvMdnsBackend *self, const GkvMdnsAnnouncement *announcement);

  /* Begins to resolve a service to addresses of one family; gives what cancel takes, or NULL after a failure. */
  gpointer (*resolve) (GkvMdnsBackend *self, int interface, const char *name, const char *domain, GSocketFamily family);
  void (*cancel) (GkvMdnsBackend *self, gpointer resolver);

  /* Withdraws, ends the search and every resolver. */
  void (*free) (GkvMdnsBackend *self);
};

/* What a back end reports. Protocols are Avahi's numbers: 0 for IPv4, 1 for IPv6. */
void
gkv_mdns_discovery_appeared (GkvMdnsDiscovery *self, int interface, int protocol, const char *name, const char *domain);
void gkv_mdns_discovery_vanished (GkvMdnsDiscovery *self, int interface, int protocol, const char *name);
void gkv_mdns_discovery_resolved (
    GkvMdnsDiscovery *self, int interface, const char *name, const char *host, guint16 port, GStrv txt);
void gkv_mdns_discovery_collided (GkvMdnsDiscovery *self);

void gkv_mdns_discovery_failed (GkvMdnsDiscovery *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

GkvMdnsBackend *gkv_mdns_daemon_new (GkvMdnsDiscovery *owner, GDBusConnection *bus);
GkvMdnsBackend *gkv_mdns_embedded_new (GkvMdnsDiscovery *owner, const char *host, GError **error);

G_END_DECLS
