/* GkvRoster: the anti-entropy of the members: one sum over all that are alive, and where that differs the members that
 * one of the two lacks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-contacts.h"
#include "gkv-members.h"

G_BEGIN_DECLS

typedef struct _GkvRoster GkvRoster;

GkvRoster *gkv_roster_new (GkvRuntime *runtime, GkvLinks *links, GkvContacts *contacts, GkvMembers *members);
void gkv_roster_free (GkvRoster *self);
void gkv_roster_tick (GkvRoster *self);

/* An entry, as it is in all messages that have members in them. */
void gkv_roster_put_member (GkvRoster *self, GByteArray *body, const GkvMember *member, GkvPeerState status);
void gkv_roster_put_self (GkvRoster *self, GByteArray *body, GkvPeerState status);

/* What members this node knows, in short. */
void gkv_roster_put_summary (GkvRoster *self, GByteArray *body);
/* A ping has said so of those that its sender knows: one of the two gets what it lacks. */
void gkv_roster_compare (GkvRoster *self, GkvLink *link, GkvReader *reader);
/* The node at @link is new to us, and has said that it knows so many, with that sum. */
void gkv_roster_meet (GkvRoster *self, GkvLink *link, guint32 sum, guint64 n_known);
/* LACKING and LISTED; the entries between are for the membership. */
void gkv_roster_handle (GkvRoster *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* It is about to be freed, or another node is there. */
void gkv_roster_forget_link (GkvRoster *self, const GkvLink *link);
/* Whether this node is still getting the members of a cluster that it has joined, so that others know better. */
gboolean gkv_roster_is_learning (GkvRoster *self);

G_END_DECLS
