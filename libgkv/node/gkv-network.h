/* GkvNetwork: a node's part in its cluster: the transport and the discovery, with the engine between them and the map.
 *
 * It runs in the worker, where transport and discovery may be moved there; otherwise in the node's main context. Its
 * lock guards the engine and the seeds. What it receives goes into the map, and what there is to report to the emitter;
 * of the application's objects it knows only the transport and the discovery. Counted; any thread may use it unless a
 * function says otherwise.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-discovery.h"
#include "gkv-emitter.h"
#include "gkv-goals.h"
#include "gkv-map.h"
#include "gkv-owner.h"
#include "gkv-transport.h"

typedef struct _GkvNetwork GkvNetwork;

/* What it is opened with; borrowed for the call. */
typedef struct
{
  const char *node_id;
  const char *cluster;
  const char *bind_address;
  const char *advertise_address; /* nullable */
  const char *const *seeds;
  guint gossip_interval_ms;
  gboolean own_thread; /* the worker is wanted */
  guint max_removals;
  GkvTransport *transport;
  GkvDiscovery *discovery; /* nullable */
} GkvNetworkConfig;

/* @error: NULL when it is open. Called in the node's context. */
typedef void (*GkvNetworkOpened) (const GError *error, gpointer data);

/* @synced: notified of by the emitter when it changes. */
GkvNetwork *gkv_network_new (GkvOwner *owner, GkvMap *map, GkvEmitter *emitter, GParamSpec *synced);
GkvNetwork *gkv_network_ref (GkvNetwork *self);
void gkv_network_unref (GkvNetwork *self);

/* Opening, in the node's context */

/* A node without a network is synced at once. */
void gkv_network_open_local (GkvNetwork *self);
/* Blocks only where the network gets its own thread: until names are looked up. */
gboolean gkv_network_open (GkvNetwork *self, const GkvNetworkConfig *config, GCancellable *cancellable, GError **error);
void gkv_network_begin_open (GkvNetwork *self,
                             const GkvNetworkConfig *config,
                             GCancellable *cancellable,
                             GkvNetworkOpened opened,
                             gpointer data);

/* Closing */

/* Leaves the cluster and releases the address, as soon as the context that it runs in gets to it; at once in that. */
void gkv_network_close (GkvNetwork *self);
/* Waits until that is done; for a moment only where the network runs in the node's context, and not at all there. */
void gkv_network_join (GkvNetwork *self);

/* Something was written: it is sent, and expires in time. */
void gkv_network_poke (GkvNetwork *self);
/* Has the context build the map's index where that was requested, when there is nothing else to be done. */
void gkv_network_build_index (GkvNetwork *self);

void gkv_network_add_seed (GkvNetwork *self, const char *address);
void gkv_network_set_gossip_interval (GkvNetwork *self, guint interval_ms);

/* Whether there is a network. Cheap. */
gboolean gkv_network_is_active (GkvNetwork *self);
gboolean gkv_network_get_synced (GkvNetwork *self);
/* Stays valid as long as the network; NULL while there is none. */
const char *gkv_network_get_local_address (GkvNetwork *self);
void gkv_network_add_stats (GkvNetwork *self, GVariantBuilder *builder);

/* Waiting */

/* Until @task is returned; takes @task. */
void gkv_network_wait_async (GkvNetwork *self, GkvGoalKind goal, guint n_peers, guint timeout_ms, GTask *task);
/* Blocks this thread. G_IO_ERROR_WOULD_BLOCK where it would wait for itself. */
gboolean gkv_network_wait (
    GkvNetwork *self, GkvGoalKind goal, guint n_peers, guint timeout_ms, GCancellable *cancellable, GError **error);
/* Whether this thread may wait. */
gboolean gkv_network_may_block (GkvNetwork *self);
/* How many writes nobody else is known to hold. */
guint64 gkv_network_get_n_undelivered (GkvNetwork *self);

G_END_DECLS
