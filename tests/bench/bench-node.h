/* What the benches of whole nodes share: making them, running the main loop, and the longest turn of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv.h"

G_BEGIN_DECLS

/* A node on loopback with default options, started. @seed: nullable. */
GkvNode *bench_node_new (const char *seed);
guint64 bench_node_get_stat (GkvNode *node, const char *name);

/* Runs one turn of the default main context, waiting for it if need be. */
void bench_turn (void);
/* Runs the loop for so long. */
void bench_spin (gint64 us);
/* How long the longest dispatch took since this was asked last, in ms; the limit is 10. */
double bench_take_longest_turn (void);

/* Sorts @times. */
gint64 bench_get_median (gint64 *times, guint n);

G_END_DECLS
