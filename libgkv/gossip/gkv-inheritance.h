/* GkvInheritance: taking over the removals that another node remembers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-standing.h"

G_BEGIN_DECLS

typedef struct _GkvInheritance GkvInheritance;

typedef struct
{
  /* All is remembered here that the peer at @from remembers; NULL: nobody remembers more. */
  void (*completed) (GkvLink *from, gpointer data);
} GkvInheritanceListener;

/* @max: how many removals are remembered. */
GkvInheritance *gkv_inheritance_new (GkvRuntime *runtime,
                                     GkvLinks *links,
                                     GkvMembers *members,
                                     guint max,
                                     const GkvInheritanceListener *listener,
                                     gpointer data);
void gkv_inheritance_free (GkvInheritance *self);
void gkv_inheritance_tick (GkvInheritance *self);
void gkv_inheritance_handle (GkvInheritance *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* Nothing comes from there any more. */
void gkv_inheritance_drop_link (GkvInheritance *self, const GkvLink *link);

/* Whether this node remembers all removals that it can know of. */
gboolean gkv_inheritance_is_complete (GkvInheritance *self);
/* Whether it has never remembered them, as it has joined just now. Something waits for them then: whether it was
 * removed can't be known. */
gboolean gkv_inheritance_is_awaited (GkvInheritance *self);
/* Removals that were made since @since, on the clock of remaining lifetimes, aren't known here. */
void gkv_inheritance_begin (GkvInheritance *self, gint64 since);
/* The node at @link may remember others that were made since then. */
void gkv_inheritance_ask (GkvInheritance *self, GkvLink *link, gint64 since);

G_END_DECLS
