/* SimLag: how late each write arrives where, and how much of it.
 *
 * A key lags at a node from the first write that wins over what the node shows; a node that starts later lags from then
 * on. What has ended, and what a node has written itself, doesn't count.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-cluster.h"

G_BEGIN_DECLS

/* @node takes @record, in place of @held (nullable), from others. */
void sim_lag_took (SimNode *node, GkvRecord *record, GkvRecord *held);
/* The longest time, so far, that a key beginning with @prefix has lagged at @node; @key (out) (nullable): which one. */
gint64 sim_lag_get_longest (SimNode *node, const char *prefix, const char **key);
/* From now on no key has lagged, and nothing has come. */
void sim_lag_reset (SimNode *node);

/* Called with each key that lags at @node now: the oldest @write that it lacks, by @writer, and since when it does. */
typedef void (*SimLagFunc) (SimNode *node, GkvRecord *write, SimNode *writer, gint64 since, gpointer user_data);
void sim_lag_foreach (SimNode *node, SimLagFunc func, gpointer user_data);

G_END_DECLS
