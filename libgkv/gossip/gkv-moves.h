/* GkvMoves: a member that is heard at another address than the one where it is spoken with: whether it has moved, has
 * two addresses, or is there twice.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-membership.h"

G_BEGIN_DECLS

typedef struct _GkvMoves GkvMoves;

typedef struct
{
  /* Two processes are in one run of a member, each at one of these. */
  void (*copied) (GkvMember *member, GkvLink *one, GkvLink *other, gpointer data);
} GkvMovesListener;

GkvMoves *gkv_moves_new (GkvRuntime *runtime,
                         GkvLinks *links,
                         GkvMembers *members,
                         GkvMembership *membership,
                         const GkvMovesListener *listener,
                         gpointer data);
void gkv_moves_free (GkvMoves *self);
void gkv_moves_tick (GkvMoves *self);
void gkv_moves_handle (GkvMoves *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

/* A member that is spoken with at @from is heard at @to. @shown: it has shown that it received at @from, and is spoken
 * with at @to already. */
void gkv_moves_begin (GkvMoves *self, GkvMember *member, GkvLink *from, GkvLink *to, gboolean shown);

G_END_DECLS
