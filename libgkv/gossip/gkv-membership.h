/* GkvMembership: which members are alive, as far as is known: suspicions, and what others say.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-probes.h"

G_BEGIN_DECLS

/* A member is notified at most so often that it is thought to be dead. */
#define GKV_NOTIFY_PERIOD GKV_SECOND

typedef struct _GkvMembership GkvMembership;

typedef struct
{
  /* A member came, came back, or was lost. */
  void (*liveness_changed) (GkvMember *member, gpointer data);
  /* It is dead, or has left. */
  void (*lost) (GkvMember *member, gpointer data);
  /* A later generation of it has begun. */
  void (*generation_began) (GkvMember *member, gpointer data);
  /* It is forgotten. */
  void (*forgotten) (GkvMember *member, gpointer data);
  /* What was under way on a link was between this node and a generation that speaks there no more. Nothing is to be
   * sent, as the link may be about to be freed. */
  void (*conversation_ended) (GkvLink *link, gpointer data);
  /* After that: it isn't known any more which node is there. */
  void (*link_forgotten) (GkvLink *link, gpointer data);
  /* This node has another generation than before, without a new start. */
  void (*generation_raised) (gpointer data);
} GkvMembershipListener;

/* @forget_dead: after how many microseconds the dead are forgotten; 0: the usual. @chain_length: of the
 * incarnations of a generation; 0: the usual. @suspect_questions: pings that a suspect gets, and nothing else; 0: the
 * usual. @is_confined: (nullable): whether an address can be reached from its own machine only, or from nowhere. */
GkvMembership *gkv_membership_new (GkvRuntime *runtime,
                                   GkvLinks *links,
                                   GkvContacts *contacts,
                                   GkvMembers *members,
                                   GkvUpdates *updates,
                                   GkvProbes *probes,
                                   gint64 forget_dead,
                                   guint chain_length,
                                   guint suspect_questions,
                                   gboolean (*is_confined) (const char *address),
                                   const GkvMembershipListener *listener,
                                   gpointer data);
void gkv_membership_free (GkvMembership *self);
void gkv_membership_tick (GkvMembership *self);
/* Updates have come; or, if they are @listed, members that we have asked for. */
void gkv_membership_handle (GkvMembership *self, GkvLink *link, GkvReader *reader, gboolean listed);

/* A probe of it has failed. */
void gkv_membership_suspect (GkvMembership *self, GkvMember *member);
/* It has replied on its link; or through others. */
void gkv_membership_note_heard (GkvMembership *self, GkvMember *member);
void gkv_membership_note_relayed (GkvMembership *self, GkvMember *member);
/* The turn of one that is dead: it is greeted. */
void gkv_membership_remember (GkvMembership *self, GkvMember *member);
/* A link to it is opened, if it can be, so that it is seen whether it lives. */
void gkv_membership_seek (GkvMembership *self, GkvMember *member);
/* Something new has come of one that is dead: whether others know better is asked. */
void gkv_membership_doubt_death (GkvMembership *self, GkvMember *member);
/* This node has slept for so long, and nothing is decided by what it slept through. */
void gkv_membership_note_slept (GkvMembership *self, gint64 slept);
/* How long a suspicion lasts. */
gint64 gkv_membership_get_suspicion (GkvMembership *self);
void gkv_membership_note_round_trip (GkvMembership *self, GkvMember *member, gint64 round_trip_us);

/* NULL: there is no room. */
GkvMember *gkv_membership_add (
    GkvMembership *self, const char *id, guint64 generation, const GkvIncarnation *incarnation, const char *address);
/* For one that has proved itself. */
void gkv_membership_make_room (GkvMembership *self);
void gkv_membership_set_status (GkvMembership *self, GkvMember *member, GkvPeerState status);
void gkv_membership_set_address (GkvMembership *self, GkvMember *member, const char *address);
/* A later generation than the one that we knew: a restart, here or elsewhere. */
void gkv_membership_begin_generation (GkvMembership *self,
                                      GkvMember *member,
                                      guint64 generation,
                                      const GkvIncarnation *incarnation);
/* Reports to a member what is thought of it, so that it can refute, or take a generation above the one that has ended.
 */
void gkv_membership_notify (GkvMembership *self, GkvMember *member, GkvLink *link);
/* The member isn't at that address any more, and nothing is under way with it. It isn't known which node is. */
void gkv_membership_forget_link (GkvMembership *self, GkvLink *link);
/* It is at another link from here on. */
void gkv_membership_move (GkvMembership *self, GkvMember *member, GkvLink *link);
/* An address that a member states, where it is of no use to others than itself, or to nobody. */
gboolean gkv_membership_is_confined (GkvMembership *self, const char *address, const char *seen_at);

/* This node */

/* From here on what it says of itself says that it leaves. */
void gkv_membership_leave (GkvMembership *self);
/* Whether an incarnation is one of this very run, which nobody else can have shown. */
gboolean gkv_membership_is_own_run (GkvMembership *self, guint64 generation, const GkvIncarnation *incarnation);
/* A peer sees this node at another address than before: the others are shown that, too. */
void gkv_membership_note_moved (GkvMembership *self);
/* Another node is in the same run, as a copy of this process: a new one is drawn. @distinction isn't the same at the
 * two.
 */
void gkv_membership_renew (GkvMembership *self, const char *distinction);

G_END_DECLS
