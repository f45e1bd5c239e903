/* GkvUpdates: membership updates: which peers receive them, how often, and in which order.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-roster.h"

G_BEGIN_DECLS

typedef struct _GkvUpdates GkvUpdates;

GkvUpdates *gkv_updates_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvRoster *roster);
void gkv_updates_free (GkvUpdates *self);

/* The state of a member, or of this node, has changed: the next probes piggyback it. */
void gkv_updates_add (GkvUpdates *self, GkvMember *member);
void gkv_updates_add_self (GkvUpdates *self);
void gkv_updates_remove (GkvUpdates *self, GkvMember *member);
/* Piggybacks updates on a probe; one about the receiver itself comes first, so that it can refute. */
void gkv_updates_piggyback (GkvUpdates *self, GkvLink *link);

/* At once. */
void gkv_updates_send (GkvUpdates *self, GkvLink *link, const GkvMember *member);
/* As one that is suspected, whatever we think of it: so that it shows its next incarnation. */
void gkv_updates_send_doubt (GkvUpdates *self, GkvLink *link, const GkvMember *member);
void gkv_updates_send_self (GkvUpdates *self, GkvLink *link, GkvPeerState status);
/* What can't wait, to so many that all get it, if each to whom it is new does the same. @member: NULL: this node.
 * @except: (nullable): the one that has sent it. */
void gkv_updates_flood (GkvUpdates *self, const GkvMember *member, const GkvMember *except);
/* A member that is new here: at once, and with the next probes. A node that has just joined itself leaves that to
 * others. */
void gkv_updates_announce (GkvUpdates *self, GkvMember *member, const GkvMember *except);

G_END_DECLS
