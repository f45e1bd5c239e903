/* SimPaths: who had a path to whom, and since when.
 *
 * A path leads over links that are up in both directions, through nodes that run (semantics 5). It is looked at ten
 * times a second, so what lasts less may be missed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-cluster.h"

G_BEGIN_DECLS

/* In larger clusters nobody looks. */
#define SIM_PATHS_MAX_NODES 128

#define SIM_PATHS_PERIOD (100 * SIM_MS)

typedef struct _SimPaths SimPaths;

/* @least: for how long a node must have been parted from another that runs to call it a split. */
SimPaths *sim_paths_new (SimCluster *cluster, gint64 least);
void sim_paths_free (SimPaths *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimPaths, sim_paths_free)

/* To be called each SIM_PATHS_PERIOD. */
void sim_paths_look (SimPaths *self);

gboolean sim_paths_are_known (SimPaths *self);
/* Whether @node has a path to any other now. */
gboolean sim_paths_is_connected (SimPaths *self, SimNode *node);
/* Whether two nodes have a path between them now. */
gboolean sim_paths_are_joined (SimPaths *self, SimNode *a, SimNode *b);
/* The longest time within the last five minutes in which there was no path from @from to @to. While @to slept and @from
 * ran counts neither way: nobody judges by what it slept through. */
gint64 sim_paths_get_parted (SimPaths *self, SimNode *from, SimNode *to);
/* How many times @node was parted from another one that ran, so far: from the one where it was most often. */
guint sim_paths_count_splits (SimPaths *self, SimNode *node);

G_END_DECLS
