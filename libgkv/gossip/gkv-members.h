/* GkvMembers: the table of the members that are known, how many of them are alive, and the order in which they are
 * probed. What is thought of them is decided elsewhere (gkv-membership, gkv-identities).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-links.h"
#include "gkv-profiles.h"

G_BEGIN_DECLS

typedef struct _GkvMember GkvMember;
typedef struct _GkvMembers GkvMembers;

/* What is kept of a member only while it is spoken with, or suspected, or was lately. */
typedef struct
{
  gint64 generation_since;
  gint64 status_since;
  gint64 last_seen;
  gint64 last_seen_wall;
  gint64 last_relayed;  /* when it relayed something for us, or asked us to */
  gint64 last_greeted;  /* at its address, though it can be reached only through others */
  gint64 last_notified; /* when a report of its death was sent to it, or of what we think of it to others */
  gint64 ask_due;       /* while it is suspected: when it is probed again */
  guint n_asked;        /* and how often it was */
  gint64 last_duplicate;
  gint64 round_trip_us; /* -1: not known */
  guint64 asked;        /* the number of the last WHO from it; 0: none (gkv-moves) */

  /* The address that it reports, where that isn't the one that it sends from */
  char *unreached;       /* it has not replied there, so that the link's address is used; NULL: none */
  gboolean address_good; /* it has replied there */
  gint64 address_asked;  /* since when it is greeted there; 0: it isn't */

  /* gkv-membership: a later generation that others report; NULL: none */
  struct _GkvSuccessor *successor;

  /* gkv-updates */
  guint n_updates; /* how often its update is still to be piggybacked */
  GList update;    /* its place among those of which there are so many */
  gint64 update_since;

  /* gkv-rumours: delegations in a row that it hasn't acknowledged */
  guint n_unacknowledged;

  /* What layers above keep of it. */
  gpointer of_rumours;
  gpointer of_repair;
} GkvMemberExtra;

/* Another node. What a node keeps of most members is this, their profiles, and their places in the table. */
struct _GkvMember
{
  GkvProfile *profile;   /* gkv_members_state () changes it */
  GkvMemberExtra *extra; /* NULL: none */
  GkvLink *link;         /* where datagrams are sent to it; gkv_members_set_link () changes it; NULL: nowhere yet */
  GkvMember *via;        /* through which something fresh of it came last; NULL: through none */
  gint64 since : 56;     /* where there is no extra: since when its status, and its generation, is what it is */
  guint64 status : 2;    /* a GkvPeerState; gkv_members_set_status () changes it */
  guint64 hidden : 1;    /* its removal was reported to the application */
  guint64 indirect : 1;  /* it doesn't reply on its link, though it replies through others */
  guint64 heard : 1;     /* since this generation of it began, it was known to live, from itself or through others */
};

typedef struct
{
  void (*added) (GkvMember *member, gpointer data);
  /* It is about to be freed. */
  void (*removed) (GkvMember *member, gpointer data);
  /* Its extra is to be freed: what layers above keep there has to go, unless it is needed (FALSE). */
  gboolean (*fades) (GkvMember *member, gpointer data);
} GkvMembersListener;

/* @profiles: nullable: shared with others. */
GkvMembers *
gkv_members_new (GkvRuntime *runtime, GkvProfiles *profiles, const GkvMembersListener *listener, gpointer data);
void gkv_members_free (GkvMembers *self);

GkvMember *gkv_members_lookup (GkvMembers *self, const char *id);
/* The one that is alive at that place on the ring; NULL: there is none. */
GkvMember *gkv_members_find_live (GkvMembers *self, guint64 place);
guint gkv_members_get_n (GkvMembers *self);
guint gkv_members_get_n_suspect (GkvMembers *self);
/* When it is one no longer, the last one takes its place. */
GkvMember *gkv_members_get_nth_suspect (GkvMembers *self, guint index);
gboolean gkv_members_are_full (GkvMembers *self);

/* All of them, in the order of their places on the ring. Nobody may be added or removed meanwhile. */
typedef struct
{
  GkvMembers *members;
  guint next;
} GkvMembersIter;

void gkv_members_init_iter (GkvMembers *self, GkvMembersIter *iter);
gboolean gkv_members_iter_next (GkvMembersIter *iter, GkvMember **member);
/* The first whose place is at least @place, or the number of members. */
guint gkv_members_find_place (GkvMembers *self, guint64 place);

/* Adds one to a table that isn't full. */
GkvMember *gkv_members_insert (GkvMembers *self,
                               const char *id,
                               guint64 generation,
                               const GkvIncarnation *incarnation,
                               GkvPeerState status,
                               const char *address);
void gkv_members_remove (GkvMembers *self, GkvMember *member);
/* It states this of itself from now on. @address: nullable. */
void gkv_members_state (
    GkvMembers *self, GkvMember *member, guint64 generation, const GkvIncarnation *incarnation, const char *address);
/* @link: nullable */
void gkv_members_set_link (GkvMembers *self, GkvMember *member, GkvLink *link);
void gkv_members_set_status (GkvMembers *self, GkvMember *member, GkvPeerState status);

/* The extra of a member, which may be made for it. */
GkvMemberExtra *gkv_member_extra (GkvMember *member);
/* As it is, or as it would be made. */
const GkvMemberExtra *gkv_member_peek (const GkvMember *member);
gint64 gkv_member_get_generation_since (const GkvMember *member);
gint64 gkv_member_get_status_since (const GkvMember *member);
/* Frees the extras of those that nothing was heard of for long. A few at a time. */
void gkv_members_fade (GkvMembers *self);

static inline gboolean
gkv_member_is_live (const GkvMember *member)
{
  return member->status == GKV_PEER_STATE_ALIVE || member->status == GKV_PEER_STATE_SUSPECT;
}

/* Whether datagrams can be sent to it at once. */
static inline gboolean
gkv_member_has_link (const GkvMember *member)
{
  return member->link != NULL && gkv_link_is_usable (member->link);
}

/* Whether what is sent to it arrives without others, as far as is known: there may be no link to it now. */
gboolean gkv_member_is_direct (const GkvMember *member);
/* The link to it, which is opened where there is none; NULL: it can't be reached without others. */
GkvLink *gkv_member_open_link (const GkvMember *member, GkvLinks *links);
/* The same, though it couldn't be reached when that was tried last. NULL: its address isn't known. */
GkvLink *gkv_member_try_link (const GkvMember *member, GkvLinks *links);
/* The member to ask where it can't be reached directly; NULL: none is known. */
GkvMember *gkv_member_get_via (const GkvMember *member);
/* Something fresh of it has come through @via (nullable: from itself). */
void gkv_members_note_heard (GkvMembers *self, GkvMember *member, GkvMember *via);
/* Whether what is sent on its link arrives. */
void gkv_members_set_indirect (GkvMembers *self, GkvMember *member, gboolean indirect);
/* Whether the node at @link is known, and the generation that speaks there is the latest one that is known of it. */
static inline gboolean
gkv_link_is_current (const GkvLink *link)
{
  return link->member != NULL && link->generation == link->member->profile->generation;
}

/* Whether that generation is alive, too. */
static inline gboolean
gkv_link_is_live (const GkvLink *link)
{
  return gkv_link_is_current (link) && gkv_member_is_live (link->member);
}

/* As it is reported. (transfer full) */
GkvPeerInfo *gkv_member_describe (const GkvMember *member);

/* Rises when members that are alive and can be reached have changed. */
guint64 gkv_members_get_revision (GkvMembers *self);
void gkv_members_touch (GkvMembers *self);

/* Of those that are alive and this node: where two nodes know the same generations of the same ones it is the same; and
 * what one member adds to it. */
guint32 gkv_members_get_sum (GkvMembers *self);
guint32 gkv_member_get_term (const GkvMember *member);
guint32 gkv_members_get_own_term (GkvMembers *self);
/* Since when it is what it is. */
gint64 gkv_members_get_sum_since (GkvMembers *self);

/* In the order of their places. */
GkvMember *gkv_members_get_nth (GkvMembers *self, guint index);
/* The next one that is alive, in that order; each round begins anywhere. NULL: none is. */
GkvMember *gkv_members_next (GkvMembers *self);
/* The next one that is dead; NULL: none is. */
GkvMember *gkv_members_next_dead (GkvMembers *self);
/* Members that are alive, with a usable link, in random order, at most @max. (transfer container) */
GPtrArray *gkv_members_pick (GkvMembers *self, guint max, const GkvMember *except);
/* Some of them, without a look at all. (transfer container) */
GPtrArray *gkv_members_pick_some (GkvMembers *self, guint max, const GkvMember *except);
/* The first of them after this node on the ring. NULL: there is none. */
GkvMember *gkv_members_pick_next (GkvMembers *self, const GkvMember *except);
/* One of them, by chance. NULL: there is none. */
GkvMember *gkv_members_pick_one (GkvMembers *self, const GkvMember *except);
/* Those with a link, in any order. */
guint gkv_members_get_n_linked (GkvMembers *self);
GkvMember *gkv_members_get_nth_linked (GkvMembers *self, guint index);

G_END_DECLS
