/* GkvRing: members that are alive, in the order of their places, and the few of them through which a node reaches all
 * others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-members.h"

G_BEGIN_DECLS

typedef struct _GkvRing GkvRing;

/* A part of the ring: the places after @from, up to and including @to. */
typedef struct
{
  guint64 from;
  guint64 to;
} GkvArc;

/* A member, and what it has to pass rumours on to: places up to which it has to do so from its own on, or its own where
 * that is nothing; and other arcs, which may be anywhere. */
typedef struct
{
  GkvMember *member;
  guint64 to;
  GArray *others; /* GkvArc; NULL: none */
} GkvShare;

GkvRing *gkv_ring_new (GkvRuntime *runtime, GkvMembers *members);
void gkv_ring_free (GkvRing *self);

/* So many members after it a node probes more often than others. */
#define GKV_RING_NEIGHBOURS 3

/* Of this node. */
guint64 gkv_ring_get_place (GkvRing *self);
/* Divides arcs (GkvArc) among a few members: GkvShare. Those that can't be reached from here are left to the members
 * through whom they can. @avoid: (nullable): one that isn't to get a share. (transfer full) */
GArray *gkv_ring_divide (GkvRing *self, const GArray *arcs, const GkvMember *avoid);
/* Those that a rumour of this node goes to, in the order of their places after its own. (transfer container) */
GPtrArray *gkv_ring_list_fingers (GkvRing *self);
/* One of the next members after this node, whether it can be reached or not: they take turns. NULL: there is none. */
GkvMember *gkv_ring_get_neighbour (GkvRing *self, guint index);
/* Whether there is anybody else to pass something on to. */
gboolean gkv_ring_has_members (GkvRing *self, const GArray *arcs);
/* Whether there is a member that can be reached only through others. */
gboolean gkv_ring_is_partial (GkvRing *self);

G_END_DECLS
