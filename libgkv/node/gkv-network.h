/* GkvNetwork: a node's part in its cluster: the transport and the discovery, with the engine between them and the map.
 *
 * It runs in a main context. Its lock guards the engine and the seeds; modules are never called under it, nor under the
 * map's. What it receives goes into the map, and what there is to report to the emitter. Counted; any thread may use it
 * unless a function says otherwise.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-discovery.h"
#include "gkv-emitter.h"
#include "gkv-map.h"
#include "gkv-owner.h"
#include "gkv-transport.h"

typedef struct _GkvNetwork GkvNetwork;

/* What it is opened with; borrowed for the call. */
typedef struct
{
  const char *node_id;
  const char *cluster;
  const char *const *bind_addresses; /* numeric; the first that can be bound is */
  const char *advertise_address;     /* nullable */
  const char *const *seeds;
  guint gossip_interval_ms;
  GkvTransport *transport;
  GkvDiscovery *discovery; /* nullable */
} GkvNetworkConfig;

/* @synced: notified of by the emitter when it changes. */
GkvNetwork *gkv_network_new (GkvOwner *owner, GkvMap *map, GkvEmitter *emitter, GParamSpec *synced);
GkvNetwork *gkv_network_ref (GkvNetwork *self);
void gkv_network_unref (GkvNetwork *self);

/* In the node's context. A node without a network is opened with NULL: it is synced. */
gboolean gkv_network_open (GkvNetwork *self, const GkvNetworkConfig *config, GError **error);
/* Leaves the cluster and releases the address. From another thread than the node's context's, what belongs there is
 * sent there. */
void gkv_network_close (GkvNetwork *self);

/* Something was written: it is sent, and its life ends in time. */
void gkv_network_poke (GkvNetwork *self);

void gkv_network_add_seed (GkvNetwork *self, const char *address);
void gkv_network_set_gossip_interval (GkvNetwork *self, guint interval_ms);

/* Whether there is a network. Cheap. */
gboolean gkv_network_is_active (GkvNetwork *self);
gboolean gkv_network_get_synced (GkvNetwork *self);
/* Stays valid as long as the network; NULL while there is none. */
const char *gkv_network_get_local_address (GkvNetwork *self);
void gkv_network_add_stats (GkvNetwork *self, GVariantBuilder *builder);

/* Waiting; takes @task. */
void gkv_network_wait_synced (GkvNetwork *self, guint timeout_ms, GTask *task);
void gkv_network_flush (GkvNetwork *self, guint n_peers, guint timeout_ms, GTask *task);

G_END_DECLS
