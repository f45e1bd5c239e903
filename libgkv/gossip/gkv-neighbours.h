/* GkvNeighbours: the members that a node keeps links to, and probes in turn.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-probes.h"
#include "gkv-ring.h"

G_BEGIN_DECLS

typedef struct _GkvNeighbours GkvNeighbours;

GkvNeighbours *gkv_neighbours_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvRing *ring);
void gkv_neighbours_free (GkvNeighbours *self);
void gkv_neighbours_tick (GkvNeighbours *self);

/* Whose turn it is to be probed; NULL: there is nobody. */
GkvMember *gkv_neighbours_next (GkvNeighbours *self, GkvTurn *turn);

G_END_DECLS
