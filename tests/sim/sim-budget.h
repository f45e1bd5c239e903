/* What a node may take: memory while the run goes on, and bytes on the wire.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-cluster.h"

G_BEGIN_DECLS

/* Looks at the memory of each node now and each second from now on. */
void sim_budget_watch (SimCluster *cluster);
/* Once the cluster has settled: what it has sent, what it sends when nothing happens, and that nothing is left over. */
void sim_budget_check (SimCluster *cluster);

G_END_DECLS
