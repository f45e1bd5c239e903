/* What is promised, and whether it was kept.
 *
 * The ledger has every write that was acknowledged. While the run goes on it is checked that a write wins over what its
 * writer saw, and that events tell the map; in the end, that all maps are equal and nothing was lost or has come back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-cluster.h"

G_BEGIN_DECLS

GHashTable *sim_ledger_new (void);

/* A node wrote @record after having seen @seen (nullable); @result is what its store said. */
void sim_check_wrote (SimNode *node, GkvRecord *record, GkvRecord *seen, GkvStoreResult result);
/* What @node has written is held by others: it isn't lost with it. */
void sim_check_gave (SimNode *node);
/* A node has lost its memory without a word: it may have been the only one that held what was given. */
void sim_check_forgot (SimNode *node);
/* A node told of a change. */
void sim_check_changed (SimNode *node, GkvRecord *record, GkvRecord *replaced);

/* What the ledger knows. Whether the key of @record was ended by a later write, or @record ends by itself. */
gboolean sim_check_has_ended (SimCluster *cluster, GkvRecord *record);
/* Whether @record is a write that removes its key. */
gboolean sim_check_is_removal (SimCluster *cluster, GkvRecord *record);
/* Whether the run of the node that owns the ephemeral @record has ended. */
gboolean sim_check_has_owner_ended (SimCluster *cluster, GkvRecord *record);

/* The first write of @key that wins over @held (nullable), that hasn't ended, and that isn't @node's own; NULL: there
 * is none. @writer, @at (out): whose it is, and when it was made. */
GkvRecord *sim_check_find_overtaken (SimNode *node, const char *key, GkvRecord *held, SimNode **writer, gint64 *at);

/* All live nodes of the cluster hold the same records. */
gboolean sim_check_converged (SimCluster *cluster);
/* The same, and nobody has a record waiting for its clock, nor an expiry outstanding. */
gboolean sim_check_settled (SimCluster *cluster);
/* Every promise that can be judged once faults have ended and the cluster has settled; complains to the cluster. */
void sim_check_promises (SimCluster *cluster);
/* Tells who differs from node 0 and in what. */
char *sim_check_describe_difference (SimCluster *cluster);

G_END_DECLS
