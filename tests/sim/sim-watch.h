/* SimWatch: what must hold at each moment of a run, not only once it has settled.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-cluster.h"

G_BEGIN_DECLS

typedef enum
{
  SIM_CHECK_REMOVED = 1 << 0,   /* a node that has applied a removal never shows what was removed */
  SIM_CHECK_CONFIRMED = 1 << 1, /* who confirmed a write holds it, then and later */
  SIM_CHECK_SYNCED = 1 << 2,    /* who says that it is synced holds what one that was before it held */
  SIM_CHECK_FLUSHES = 1 << 3,   /* a flush ends */
  SIM_CHECK_DEATHS = 1 << 4,    /* nobody is held dead to whom there was a path */
  SIM_CHECK_LEASES = 1 << 5,    /* a split takes a lease away once, at most */
  SIM_CHECK_STARVED = 1 << 6,   /* no key lags for long where there is a path to who wrote it */
} SimChecks;

#define SIM_ALL_CHECKS 127

/* Looks at @cluster from now on. */
SimWatch *sim_watch_new (SimCluster *cluster, SimChecks checks);
void sim_watch_free (SimWatch *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimWatch, sim_watch_free)

/* Begins a flush at @node, which has to come to an end. */
void sim_watch_flush (SimNode *node, guint n_peers);
/* How many flushes haven't ended, of nodes that still run. */
guint sim_watch_count_flushes (SimCluster *cluster);
/* How often a lease of a live owner was taken away, at all nodes. */
guint sim_watch_count_lost_leases (SimCluster *cluster);
/* In the end. */
void sim_watch_finish (SimCluster *cluster);

/* What a node has to say, before anything else looks at it. */
void sim_watch_started (SimNode *node);
void sim_watch_changed (SimNode *node, GkvRecord *record, GkvRecord *replaced);
void sim_watch_peer_changed (SimNode *node, const GkvPeerInfo *peer);
void sim_watch_synced (SimNode *node);
void sim_watch_confirmed (SimNode *node);

const char *sim_checks_get_name (SimChecks check);
/* 0: there is none named so. */
SimChecks sim_checks_find (const char *name);

G_END_DECLS
