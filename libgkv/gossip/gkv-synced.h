/* GkvSynced: whether this node holds what the cluster held when it came.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-conversation.h"
#include "gkv-membership.h"
#include "gkv-standing.h"

G_BEGIN_DECLS

typedef struct _GkvSynced GkvSynced;

GkvSynced *gkv_synced_new (GkvRuntime *runtime, GkvContacts *contacts, GkvMembers *members, GkvMembership *membership);
void gkv_synced_free (GkvSynced *self);

/* How many seeds the application has named that have no address yet. */
void gkv_synced_set_n_unresolved (GkvSynced *self, guint n_unresolved);
/* The node at @link says whether it is synced, and how many records it holds. */
void gkv_synced_note_statement (GkvSynced *self, GkvLink *link, gboolean synced, guint64 n_records);
/* Something has changed, or time has passed: it may be synced now. */
void gkv_synced_consider (GkvSynced *self);
/* This process didn't run for a while, and nobody is missing for not having replied in that time. */
void gkv_synced_note_slept (GkvSynced *self);
/* This node was away from all others: it isn't synced any more. */
void gkv_synced_part (GkvSynced *self);

G_END_DECLS
