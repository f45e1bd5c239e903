/* The floor of filling a node: the same bytes through a bare pair of UDP sockets.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Seconds that @bytes take between two processes in datagrams of 1,200 bytes, batched, with a window so that none is
 * lost. */
double bench_floor_measure (gsize bytes);

G_END_DECLS
