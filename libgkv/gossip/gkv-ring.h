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

/* A member, and the arc behind it that it has to pass rumours on to. */
typedef struct
{
  GkvMember *member;
  GkvArc arc;
} GkvShare;

GkvRing *gkv_ring_new (GkvRuntime *runtime, GkvMembers *members);
void gkv_ring_free (GkvRing *self);

/* Of this node. */
guint64 gkv_ring_get_place (GkvRing *self);
/* Divides an arc among a few of its members: GkvShare. (transfer full) */
GArray *gkv_ring_divide (GkvRing *self, GkvArc arc);
/* Whether there is anybody else to pass something on to. */
gboolean gkv_ring_has_members (GkvRing *self, GkvArc arc);

G_END_DECLS
