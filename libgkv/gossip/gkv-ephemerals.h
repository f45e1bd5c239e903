/* GkvEphemerals: records that end with their owners.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-membership.h"

G_BEGIN_DECLS

typedef struct _GkvEphemerals GkvEphemerals;

typedef struct
{
  /* The generation that @record belongs to has ended: it is to be marked dead; or, as it is of this node's past one, to
   * be written again. */
  void (*ended) (GkvRecord *record, gpointer data);
  void (*is_past) (GkvRecord *record, gpointer data);
} GkvEphemeralsListener;

GkvEphemerals *gkv_ephemerals_new (GkvRuntime *runtime,
                                   GkvMembers *members,
                                   GkvMembership *membership,
                                   const GkvEphemeralsListener *listener,
                                   gpointer data);
void gkv_ephemerals_free (GkvEphemerals *self);
void gkv_ephemerals_tick (GkvEphemerals *self);

/* @record has come into the store. */
void gkv_ephemerals_watch (GkvEphemerals *self, GkvRecord *record);
/* Whether a mark of @record (that its owner's generation has ended) isn't to be taken: it isn't ours, that generation
 * isn't known here to have ended, and we hold what is marked. */
gboolean gkv_ephemerals_doubt (GkvEphemerals *self, GkvRecord *record);
/* Whether a record of @giver, which has just come, or come back, is to wait until its owner is heard of here: that may
 * have ended meanwhile. @is_rumour: it is news at least for the giver. */
gboolean
gkv_ephemerals_awaits_owner (GkvEphemerals *self, GkvRecord *record, const GkvMember *giver, gboolean is_rumour);
/* A generation has ended. */
void gkv_ephemerals_hasten (GkvEphemerals *self);
/* Ephemeral records whose owners are alive. */
guint gkv_ephemerals_get_n (GkvEphemerals *self);

G_END_DECLS
