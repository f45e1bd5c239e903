/* GkvRumours: dissemination: new records are sent on at once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-ring.h"

G_BEGIN_DECLS

typedef struct _GkvRumours GkvRumours;

typedef struct
{
  /* A record has come. TRUE: it is new here. */
  gboolean (*received) (GkvLink *link, GkvRecord *record, gint64 left_ms, gpointer data);
  /* A member has received all of @records, and each as a whole. */
  void (*acknowledged) (GkvMember *member, GPtrArray *records, gpointer data);
  /* There are too many: one is left to anti-entropy. */
  void (*dropped) (gpointer data);
} GkvRumoursListener;

GkvRumours *gkv_rumours_new (GkvRuntime *runtime,
                             GkvLinks *links,
                             GkvMembers *members,
                             GkvRing *ring,
                             const GkvRumoursListener *listener,
                             gpointer data);
void gkv_rumours_free (GkvRumours *self);
void gkv_rumours_tick (GkvRumours *self);

/* To all. */
void gkv_rumours_add (GkvRumours *self, GkvRecord *record);
/* To those in the arcs (GkvArc), which don't change any more. */
void gkv_rumours_pass_on (GkvRumours *self, GkvRecord *record, GArray *arcs);
/* To the one member at a place, once. */
void gkv_rumours_send_to (GkvRumours *self, GkvRecord *record, guint64 place);
void gkv_rumours_forget_member (GkvRumours *self, const GkvMember *member);

/* A datagram begins: it hasn't said yet for whom its rumours are. */
void gkv_rumours_begin_datagram (GkvRumours *self);
void gkv_rumours_handle (GkvRumours *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* Those for whom the rumours of this datagram are, together with others (nullable): GkvArc. NULL: it hasn't said so.
 * (transfer full) */
GArray *gkv_rumours_join_arcs (GkvRumours *self, GArray *arcs);
/* A record has come for those in @arcs (nullable: nobody). One that isn't new is passed on only where not everybody
 * reaches everybody, and once. */
void gkv_rumours_serve (GkvRumours *self, GkvRecord *record, GArray *arcs, gboolean is_new);

/* Rumours that wait to be sent, and datagrams of them that wait to be acknowledged. */
guint gkv_rumours_get_n_waiting (GkvRumours *self);
guint gkv_rumours_get_n_delegated (GkvRumours *self);
/* Whether something that was sent to it isn't acknowledged yet. */
gboolean gkv_rumours_is_delegated (const GkvMember *member);

G_END_DECLS
