/* Members: which nodes are alive, as far as is known.
 *
 * A member that doesn't answer (gkv-probes) is suspected. A suspicion names the last incarnation that is known, and is
 * sent on at once by all to whom it is new; the suspect shows the next one, which is sent on the same way. Each node
 * decides for itself: it asks the suspect again and again, directly and through others, and holds it dead when in a
 * whole suspicion time neither a reply nor a later incarnation has come. What others say of a member is a reason to ask
 * it, no more; but a later incarnation proves itself (gkv-incarnation), whoever brings it. So neither the loss of
 * datagrams, nor a pair that can't reach each other, kills anybody.
 *
 * Source: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
 * Protocol", DSN 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-membership.h"

#include <math.h>
#include <string.h>

/* A node that was received from within this time lives, whatever others say. */
#define JUST_HEARD (GKV_SECOND)

/* A suspicion lasts this long, times the decimal logarithm of the number of nodes where that is over 1; and so much
 * longer, in which what came at its end is answered. */
#define SUSPICION      (1600 * GKV_MS)
#define SUSPICION_MORE (400 * GKV_MS)

/* A suspect is asked so often in that time, by pings and each fourth time by a claim that it is suspected; and each
 * eighth time others are as well, who may know a later incarnation: where it doesn't reply on its link, each time and
 * twice as often. With a third of all datagrams lost, one answer in two comes back. Each that is asked asks likewise,
 * so over several hops loss costs time only. */
#define SUSPECT_QUESTIONS 50
#define CLAIMS            4
#define THROUGH_OTHERS    8

/* Where there are more suspects than that, the cluster has come apart, and most of the others know no better: these are
 * asked as seldom as at first. */
#define MANY_SUSPECTS 16

/* Suspects without a link that are asked in one turn: somebody may have invented many of them. The others are first in
 * the next one. */
#define MAX_ASKED 4

/* A member that nothing but hearsay is known of is held dead only so many suspicion times after that, as one of us may
 * have begun just now, and hasn't met those between us yet. */
#define UNHEARD 3

/* The suspicion is sent on so often in that time. */
#define SUSPECT_FLOODS 2

/* All members are looked at to find the suspects: not more often than that. */
#define SUSPECTS_PERIOD (10 * GKV_MS)

/* Who looks at the suspects so much later than it wanted to has slept, and decides nothing by what it slept through. */
#define SLEPT (100 * GKV_MS)

/* One incarnation is shown in this time: it answers all that suspect us by then. */
#define SHOW_PERIOD GKV_SECOND

/* Incarnations that are shown because peers say that they see this node elsewhere than before. */
#define MOVE_PERIOD (10 * GKV_SECOND)

/* What others say makes this node take another generation so often at once, and then once in the period. */
#define MAX_RAISES   5
#define RAISE_PERIOD (60 * GKV_SECOND)

/* No generation is above that: it can't be driven to the end of its numbers. */
#define MAX_GENERATION (G_GUINT64_CONSTANT (1) << 62)

/* What it costs to verify an incarnation, for each place between it and the one that is known. */
#define PLACE_COST 64

/* The dead are remembered, and tried now and then, for a day; those that left, for as long as gossip may still echo. */
#define FORGET_DEAD   (24 * 60 * 60 * GKV_SECOND)
#define FORGET_LEFT   (10 * 60 * GKV_SECOND)
#define FORGET_PERIOD (60 * GKV_SECOND)

/* What is kept of a member only for a while is looked for so often. */
#define FADE_PERIOD GKV_SECOND

/* A generation above one that has ended is at most so far above it, by chance: others may know only of the one before,
 * and two starts must not take the same. */
#define GENERATION_STEP G_MAXINT32

/* A dead member is reported to others as dead so often, so that one of them that knows better says so. */
#define REMEMBER_PERIOD (10 * GKV_SECOND)

/* In a cluster of more members than that a listed one is nothing new: its teller has it from others. */
#define LISTED_FROM 16

/* Members with which links are opened only to see whether they live, at once. */
#define MAX_SOUGHT 64

/* Members that die, or are forgotten, in one turn: each has much in its wake. */
#define MAX_LOST 32

typedef struct _GkvSuccessor GkvSuccessor;

struct _GkvMembership
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvContacts *contacts;
  GkvMembers *members;
  GkvUpdates *updates;
  GkvProbes *probes;
  gint64 forget_dead;
  gboolean (*is_confined) (const char *address); /* nullable */
  GkvMembershipListener listener;
  gpointer data;
  gint64 suspects_due;
  gint64 forget_due;
  gint64 fade_due;
  gint64 woke; /* from a long sleep */

  /* This node */
  GkvChain *chain;
  guint chain_length;
  guint suspect_questions; /* pings alone; 0: all that there is */
  gint64 shown;            /* when the last incarnation was; 0: the first one is still what is shown */
  gint64 moved;            /* when a peer last saw it at another address than before; 0: never */
  gint64 show_due;         /* somebody waits for the next one; G_MAXINT64: nobody does */
  guint n_raises;          /* generations that may still be taken because of what others say */
  gint64 raises_at;        /* when these were counted */
};

/* A generation that others report of a member, while an earlier one of it is held alive here. */
struct _GkvSuccessor
{
  guint64 generation;
  GkvIncarnation incarnation;
  char *address;
};

/* The seed of the chain of a generation. A copy of this process that was made while it ran knows the secret as well;
 * so it has a distinction, which isn't the same there. */
static void
draw_chain (GkvMembership *self, const char *distinction)
{
  g_autofree char *seed =
      g_strdup_printf ("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT
                       " %" G_GINT64_FORMAT " %s",
                       self->runtime->secret.k0, self->runtime->secret.k1, self->runtime->generation,
                       self->runtime->now.mono, self->runtime->now.wall, distinction);

  g_clear_pointer (&self->chain, gkv_chain_free);
  self->chain = gkv_chain_new (seed, strlen (seed), self->chain_length);
  self->runtime->incarnation = gkv_chain_get (self->chain, gkv_chain_get_length (self->chain));
}

GkvMembership *
gkv_membership_new (GkvRuntime *runtime,
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
                    gpointer data)
{
  GkvMembership *self = g_new0 (GkvMembership, 1);

  self->runtime = runtime;
  self->links = links;
  self->contacts = contacts;
  self->members = members;
  self->updates = updates;
  self->probes = probes;
  self->forget_dead = forget_dead > 0 ? forget_dead : FORGET_DEAD;
  self->is_confined = is_confined;
  self->listener = *listener;
  self->data = data;
  self->forget_due = runtime->now.mono + FORGET_PERIOD;
  self->suspects_due = self->show_due = G_MAXINT64;
  self->chain_length = chain_length;
  self->suspect_questions = suspect_questions;
  self->n_raises = MAX_RAISES;
  self->raises_at = runtime->now.mono;
  draw_chain (self, "");
  return self;
}

static void
forget_successor (GkvMember *member)
{
  if (gkv_member_peek (member)->successor == NULL)
    return;

  g_free (member->extra->successor->address);
  g_clear_pointer (&member->extra->successor, g_free);
}

void
gkv_membership_free (GkvMembership *self)
{
  GkvMembersIter iter;
  GkvMember *member;

  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    forget_successor (member);

  gkv_chain_free (self->chain);
  g_free (self);
}

/* Suspects are looked at again at @when, or soon after. */
static void
look_at_suspects (GkvMembership *self, gint64 when)
{
  self->suspects_due = MIN (self->suspects_due, MAX (when, self->runtime->now.mono + SUSPECTS_PERIOD));
  gkv_runtime_wake_at (self->runtime, self->suspects_due);
}

static void
member_lost (GkvMembership *self, GkvMember *member)
{
  gkv_probes_cancel (self->probes, member);
  self->listener.lost (member, self->data);

  if (member->status == GKV_PEER_STATE_LEFT)
    gkv_contacts_drop_hearsay (self->contacts, member->profile->address);
}

void
gkv_membership_set_status (GkvMembership *self, GkvMember *member, GkvPeerState status)
{
  gboolean was_live = gkv_member_is_live (member);

  if (member->status == status)
    return;

  gkv_members_set_status (self->members, member, status);
  gkv_member_extra (member)->n_asked = 0;
  if (was_live != gkv_member_is_live (member))
    self->listener.liveness_changed (member, self->data);
  gkv_member_extra (member)->status_since = self->runtime->now.mono;
  if (status == GKV_PEER_STATE_SUSPECT)
    look_at_suspects (self, self->runtime->now.mono);
  /* That a suspicion has ended here is nothing to others: each asks for itself. */
  if (self->suspect_questions == 0 && (status != GKV_PEER_STATE_ALIVE || !was_live))
    gkv_updates_add (self->updates, member);
  if (!was_live && gkv_member_is_live (member))
    gkv_updates_flood (self->updates, member, member);

  if (was_live && !gkv_member_is_live (member))
    member_lost (self, member);

  if (!member->hidden)
    gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_CHANGED, gkv_member_describe (member));
  else if (gkv_member_is_live (member))
    {
      member->hidden = FALSE;
      gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_ADDED, gkv_member_describe (member));
    }

  if (status == GKV_PEER_STATE_LEFT && !member->hidden)
    {
      member->hidden = TRUE;
      gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_REMOVED, gkv_member_describe (member));
    }

  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}

static GkvMember *
add_member (
    GkvMembership *self, const char *id, guint64 generation, const GkvIncarnation *incarnation, const char *address)
{
  GkvMember *member;

  if (gkv_members_are_full (self->members))
    return NULL;

  member = gkv_members_insert (self->members, id, generation, incarnation, GKV_PEER_STATE_ALIVE, address);
  self->listener.liveness_changed (member, self->data);
  gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_ADDED, gkv_member_describe (member));
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
  return member;
}

GkvMember *
gkv_membership_add (
    GkvMembership *self, const char *id, guint64 generation, const GkvIncarnation *incarnation, const char *address)
{
  GkvMember *member = add_member (self, id, generation, incarnation, address);

  if (member != NULL)
    gkv_updates_announce (self->updates, member, member);
  return member;
}

static void
remove_member (GkvMembership *self, GkvMember *member)
{
  GHashTableIter iter;
  GkvLink *link;

  gkv_links_init_iter (self->links, &iter);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    if (link->member == member)
      gkv_membership_forget_link (self, link);

  gkv_updates_remove (self->updates, member);
  gkv_probes_forget_member (self->probes, member);
  forget_successor (member);
  self->listener.forgotten (member, self->data);
  gkv_contacts_drop_hearsay (self->contacts, member->profile->address);
  if (!member->hidden)
    gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_REMOVED, gkv_member_describe (member));
  gkv_members_remove (self->members, member);
}

/* For one that has proved itself: the place of a dead one, if need be, best of one that nobody here ever spoke with. */
void
gkv_membership_make_room (GkvMembership *self)
{
  GkvMembersIter iter;
  GkvMember *member, *lost = NULL;

  if (!gkv_members_are_full (self->members))
    return;

  gkv_members_init_iter (self->members, &iter);
  while ((lost == NULL || lost->link != NULL) && gkv_members_iter_next (&iter, &member))
    if (!gkv_member_is_live (member) && (lost == NULL || member->link == NULL))
      lost = member;

  if (lost != NULL)
    remove_member (self, lost);
}

void
gkv_membership_set_address (GkvMembership *self, GkvMember *member, const char *address)
{
  if (g_strcmp0 (member->profile->address, address) == 0)
    return;

  gkv_contacts_drop_hearsay (self->contacts, member->profile->address);
  gkv_members_state (self->members, member, member->profile->generation, &member->profile->incarnation, address);
}

/* A later generation than the one that we knew: a restart, here or elsewhere. */
void
gkv_membership_begin_generation (GkvMembership *self,
                                 GkvMember *member,
                                 guint64 generation,
                                 const GkvIncarnation *incarnation)
{
  GkvMemberExtra *extra = gkv_member_extra (member);

  gkv_members_state (self->members, member, generation, incarnation, member->profile->address);
  extra->generation_since = self->runtime->now.mono;
  member->heard = FALSE;
  gkv_members_set_indirect (self->members, member, FALSE);
  if (extra->successor != NULL && extra->successor->generation <= generation)
    forget_successor (member);
  self->listener.generation_began (member, self->data);
  self->listener.liveness_changed (member, self->data);
  g_clear_pointer (&extra->unreached, g_free);
  extra->address_good = FALSE;
  extra->address_asked = 0;
  extra->round_trip_us = -1;
  if (member->link != NULL && member->link->generation != generation)
    {
      self->listener.conversation_ended (member->link, self->data);
      gkv_members_set_link (self->members, member, NULL);
    }
  gkv_updates_add (self->updates, member);
  if (gkv_member_is_live (member))
    gkv_updates_flood (self->updates, member, member);
}

void
gkv_membership_forget_link (GkvMembership *self, GkvLink *link)
{
  self->listener.conversation_ended (link, self->data);
  if (link->member != NULL && link->member->link == link)
    gkv_members_set_link (self->members, link->member, NULL);
  link->member = NULL;
  link->contested_since = 0;
  link->introduced = FALSE;
  self->listener.link_forgotten (link, self->data);
  gkv_members_touch (self->members);
}

void
gkv_membership_move (GkvMembership *self, GkvMember *member, GkvLink *link)
{
  GkvLink *past = member->link;

  if (past == link)
    return;

  /* It may have stated another address than where it was seen, which holds still. */
  if (past == NULL || member->profile->address == NULL || strcmp (member->profile->address, past->address) == 0)
    gkv_membership_set_address (self, member, link->address);
  if (past != NULL)
    self->listener.conversation_ended (past, self->data);
  gkv_members_set_link (self->members, member, link);
  gkv_members_set_indirect (self->members, member, FALSE);
  link->last_ident = 0;
  gkv_updates_add (self->updates, member);
  gkv_members_touch (self->members);
}

/* @from: (nullable): the one that has said so. */
static void
suspect (GkvMembership *self, GkvMember *member, const GkvMember *from)
{
  if (member->status != GKV_PEER_STATE_ALIVE)
    return;

  gkv_membership_set_status (self, member, GKV_PEER_STATE_SUSPECT);
  if (self->suspect_questions == 0)
    gkv_updates_flood (self->updates, member, from);
}

void
gkv_membership_suspect (GkvMembership *self, GkvMember *member)
{
  suspect (self, member, NULL);
}

void
gkv_membership_note_heard (GkvMembership *self, GkvMember *member)
{
  forget_successor (member);
  if (member->status == GKV_PEER_STATE_SUSPECT)
    gkv_membership_set_status (self, member, GKV_PEER_STATE_ALIVE);
}

void
gkv_membership_note_relayed (GkvMembership *self, GkvMember *member)
{
  /* It isn't greeted each minute for ever, where it can be reached through others only. */
  if (member->link == NULL)
    gkv_contacts_drop_hearsay (self->contacts, member->profile->address);

  /* A reply doesn't say of which generation it is. */
  if (gkv_member_peek (member)->successor == NULL)
    gkv_membership_note_heard (self, member);
}

void
gkv_membership_note_round_trip (GkvMembership *self, GkvMember *member, gint64 round_trip_us)
{
  GkvMemberExtra *extra = gkv_member_extra (member);

  /* Smoothed, as TCP does it. */
  extra->round_trip_us = extra->round_trip_us < 0 ? round_trip_us : (7 * extra->round_trip_us + round_trip_us) / 8;
  if (!member->hidden)
    gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_CHANGED, gkv_member_describe (member));
}

/* Reports to a member what is thought of it, so that it can refute, or take a generation above the one that has ended.
 */
void
gkv_membership_notify (GkvMembership *self, GkvMember *member, GkvLink *link)
{
  gkv_member_extra (member)->last_notified = self->runtime->now.mono;
  gkv_updates_send (self->updates, link, member);
}

/* An address that a member states, where it is of no use to others than itself, or to nobody. */
gboolean
gkv_membership_is_confined (GkvMembership *self, const char *address, const char *seen_at)
{
  return self->is_confined != NULL && *address != '\0' && self->is_confined (address) && !self->is_confined (seen_at);
}

/* Suspicions, and updates that have come */

gint64
gkv_membership_get_suspicion (GkvMembership *self)
{
  return SUSPICION_MORE + (gint64) (SUSPICION * MAX (1.0, log10 (self->runtime->n_alive + 1)));
}

/* Others, of whom one may know a later incarnation. */
static void
ask_others (GkvMembership *self, GkvMember *member)
{
  GkvMember *via = gkv_member_get_via (member);
  GkvMember *peer = gkv_members_pick_one (self->members, member);

  if (via != NULL)
    gkv_updates_send (self->updates, via->link, member);
  if (peer != NULL && peer != via)
    gkv_updates_send (self->updates, peer->link, member);
}

/* Whether it is what to try first. Loss alone doesn't swallow so many questions. */
static gboolean
may_reply (const GkvMember *member)
{
  return gkv_member_is_direct (member) && gkv_member_peek (member)->n_asked < SUSPECT_QUESTIONS / 4;
}

/* To measure what pings alone are good for. */
static void
ping_suspect (GkvMembership *self, GkvMember *member)
{
  GkvMemberExtra *extra = gkv_member_extra (member);

  if (self->runtime->now.mono < extra->ask_due || member->link == NULL)
    return;

  extra->ask_due = self->runtime->now.mono + gkv_membership_get_suspicion (self) / self->suspect_questions;
  if (extra->n_asked++ < self->suspect_questions)
    gkv_probes_ask (self->probes, member->link);
}

/* Any reply clears it. */
static void
ask_suspect (GkvMembership *self, GkvMember *member)
{
  gboolean has_link = gkv_member_has_link (member);
  gboolean is_direct = may_reply (member);
  GkvMemberExtra *extra = gkv_member_extra (member);

  if (self->runtime->now.mono < extra->ask_due)
    return;

  /* What goes over several hops gets lost more often. */
  extra->ask_due = self->runtime->now.mono +
                   gkv_membership_get_suspicion (self) / (is_direct ? SUSPECT_QUESTIONS : 2 * SUSPECT_QUESTIONS);
  if (has_link && extra->n_asked % CLAIMS == 0)
    gkv_updates_send_doubt (self->updates, member->link, member);
  else if (has_link)
    gkv_probes_ask (self->probes, member->link);
  else
    gkv_probes_ask_at_address (self->probes, member);
  if ((!is_direct && gkv_members_get_n_suspect (self->members) <= MANY_SUSPECTS) ||
      extra->n_asked % THROUGH_OTHERS == 0)
    ask_others (self, member);

  extra->n_asked++;
  if (extra->n_asked % (SUSPECT_QUESTIONS / SUSPECT_FLOODS) == 0)
    gkv_updates_flood (self->updates, member, NULL);
}

/* This node */

/* Without a new start. */
static void
take_generation (GkvMembership *self, guint64 generation, const char *distinction)
{
  self->runtime->past_generation = self->runtime->generation;
  self->runtime->generation = generation;
  draw_chain (self, distinction);
  self->shown = 0;
  self->show_due = G_MAXINT64;
  gkv_links_renew_idents (self->links);
  gkv_updates_add_self (self->updates);
  gkv_updates_flood (self->updates, NULL, NULL);
  self->listener.generation_raised (self->data);
}

/* So far above that no other that does the same takes the same. */
static guint64
draw_generation_above (GkvMembership *self, guint64 generation)
{
  return generation + 1 + gkv_runtime_random (self->runtime, GENERATION_STEP);
}

/* Because of what others say, and so not without end. */
static gboolean
raise_generation (GkvMembership *self, guint64 above, const char *distinction)
{
  gint64 more = (self->runtime->now.mono - self->raises_at) / RAISE_PERIOD;

  if (more > 0)
    {
      self->n_raises = MIN (self->n_raises + more, MAX_RAISES);
      self->raises_at = self->runtime->now.mono;
    }
  if (self->n_raises == 0 || above >= MAX_GENERATION)
    return FALSE;

  self->n_raises--;
  take_generation (self, draw_generation_above (self, above), distinction);
  return TRUE;
}

void
gkv_membership_renew (GkvMembership *self, const char *distinction)
{
  raise_generation (self, self->runtime->generation, distinction);
}

gboolean
gkv_membership_is_own_run (GkvMembership *self, guint64 generation, const GkvIncarnation *incarnation)
{
  GkvIncarnation own;

  if (generation != self->runtime->generation || incarnation->place > gkv_chain_get_length (self->chain))
    return FALSE;

  own = gkv_chain_get (self->chain, incarnation->place);
  return memcmp (own.proof, incarnation->proof, sizeof own.proof) == 0;
}

static void
show_next (GkvMembership *self)
{
  guint place = self->runtime->incarnation.place;

  self->show_due = G_MAXINT64;
  if (place > 1)
    {
      self->runtime->incarnation = gkv_chain_get (self->chain, place - 1);
      self->shown = self->runtime->now.mono;
      gkv_updates_add_self (self->updates);
      gkv_updates_flood (self->updates, NULL, NULL);
      return;
    }

  take_generation (self, draw_generation_above (self, self->runtime->generation), "");
}

void
gkv_membership_note_moved (GkvMembership *self)
{
  if (self->moved != 0 && self->runtime->now.mono - self->moved < MOVE_PERIOD)
    return;

  self->moved = self->runtime->now.mono;
  show_next (self);
}

/* @incarnation is the last one that somebody knows of us, who doubts that we live. */
static void
answer_suspicion (GkvMembership *self, GkvLink *link, const GkvIncarnation *incarnation)
{
  gint64 due = self->shown != 0 ? self->shown + SHOW_PERIOD : self->runtime->now.mono;

  if (incarnation->place == self->runtime->incarnation.place)
    {
      if (self->runtime->now.mono >= due)
        {
          show_next (self);
        }
      else
        {
          self->show_due = due;
          gkv_runtime_wake_at (self->runtime, due);
        }
    }

  /* It may have missed the one that it waits for. */
  gkv_updates_send_self (self->updates, link, GKV_PEER_STATE_ALIVE);
}

static void
receive_self (
    GkvMembership *self, GkvLink *link, guint64 generation, const GkvIncarnation *incarnation, GkvPeerState status)
{
  if (self->runtime->leaving || status == GKV_PEER_STATE_ALIVE)
    return;

  if (gkv_membership_is_own_run (self, generation, incarnation))
    {
      if (incarnation->place >= self->runtime->incarnation.place)
        answer_suspicion (self, link, incarnation);
      return;
    }

  /* One that has ended, and that we can't have been in before: the clock was set back since, or the number is the same
   * by chance. */
  if (generation >= self->runtime->generation && status != GKV_PEER_STATE_SUSPECT &&
      raise_generation (self, generation, ""))
    gkv_links_send_ident (self->links, link, GKV_IDENT_FLAG_ANSWER);
}

/* Others */

typedef struct
{
  GkvPeerState status;
  guint64 generation;
  GkvIncarnation incarnation;
  const char *id;
  const char *address;
} Entry;

static void
reply_with_own_view (GkvMembership *self, GkvLink *link, GkvMember *member)
{
  if (link->member == member || self->runtime->now.mono - gkv_member_peek (member)->last_notified < GKV_NOTIFY_PERIOD)
    return;

  gkv_membership_notify (self, member, link);
}

static void
set_hearsay_address (GkvMembership *self, GkvMember *member, const char *address)
{
  if (*address == '\0')
    return;

  /* Where it replies is where it is; where it doesn't, it may have moved, which it says there itself. */
  if (member->link != NULL)
    {
      if (self->runtime->now.mono - member->link->last_received > GKV_PROBE_PERIOD &&
          strcmp (member->link->address, address) != 0)
        {
          gkv_contacts_add (self->contacts, address, FALSE);
          gkv_contacts_hasten (self->contacts, address);
        }
      return;
    }

  if (g_strcmp0 (member->profile->address, address) != 0 && member->extra != NULL)
    member->extra->last_greeted = 0;
  gkv_membership_set_address (self, member, address);
}

static void
add_by_hearsay (GkvMembership *self, GkvLink *link, const Entry *entry, gboolean listed)
{
  gboolean is_known = listed && gkv_members_get_n (self->members) > LISTED_FROM;
  GkvMember *member;

  if (entry->status == GKV_PEER_STATE_DEAD || entry->status == GKV_PEER_STATE_LEFT || *entry->address == '\0')
    return;

  member = add_member (self, entry->id, entry->generation, &entry->incarnation, entry->address);
  if (member == NULL)
    return;

  gkv_members_note_heard (self->members, member, link->member);
  if (!is_known)
    gkv_updates_announce (self->updates, member, link->member);
}

static void
succeed (GkvMembership *self, GkvMember *member)
{
  GkvSuccessor *successor = g_steal_pointer (&gkv_member_extra (member)->successor);

  gkv_membership_begin_generation (self, member, successor->generation, &successor->incarnation);
  set_hearsay_address (self, member, successor->address);
  gkv_membership_set_status (self, member, GKV_PEER_STATE_ALIVE);
  g_free (successor->address);
  g_free (successor);
}

/* A later generation than the one that we know, by hearsay: that one is asked whether it has ended, and the new one is
 * greeted; whichever answers is taken. */
static void
receive_later_generation (GkvMembership *self, GkvLink *link, GkvMember *member, const Entry *entry)
{
  GkvLink *stated = gkv_links_lookup (self->links, entry->address);
  GkvSuccessor *successor;

  if (entry->status == GKV_PEER_STATE_DEAD || entry->status == GKV_PEER_STATE_LEFT)
    return;

  /* Where it is on a link already, what it said of itself got lost. */
  if (stated != NULL && gkv_link_is_usable (stated) &&
      self->runtime->now.mono - stated->last_ident >= GKV_NOTIFY_PERIOD)
    gkv_links_send_ident (self->links, stated, GKV_IDENT_FLAG_ANSWER);
  if (link->member == member)
    return;

  successor = gkv_member_peek (member)->successor;
  if (successor == NULL || successor->generation < entry->generation)
    {
      forget_successor (member);
      successor = gkv_member_extra (member)->successor = g_new0 (GkvSuccessor, 1);
      successor->generation = entry->generation;
      successor->incarnation = entry->incarnation;
      successor->address = g_strdup (entry->address);
    }

  if (!gkv_member_is_live (member))
    {
      gkv_members_note_heard (self->members, member, link->member);
      succeed (self, member);
      return;
    }

  if (*entry->address != '\0')
    {
      gkv_contacts_add (self->contacts, entry->address, FALSE);
      gkv_contacts_hasten (self->contacts, entry->address);
    }
  suspect (self, member, NULL);
}

/* It lives, or has lived after it was suspected. */
static void
take_incarnation (GkvMembership *self, GkvLink *link, GkvMember *member, const Entry *entry)
{
  gboolean was_live = gkv_member_is_live (member);

  gkv_members_state (self->members, member, member->profile->generation, &entry->incarnation, member->profile->address);
  gkv_members_note_heard (self->members, member, link->member);
  set_hearsay_address (self, member, entry->address);
  gkv_membership_set_status (self, member, entry->incarnation.place == 0 ? GKV_PEER_STATE_LEFT : GKV_PEER_STATE_ALIVE);
  forget_successor (member);
  gkv_updates_add (self->updates, member);
  if (was_live || !gkv_member_is_live (member))
    gkv_updates_flood (self->updates, member, link->member);
}

/* Others doubt that it lives. */
static void
receive_doubt (GkvMembership *self, GkvLink *link, GkvMember *member)
{
  if (member->status != GKV_PEER_STATE_ALIVE || self->suspect_questions > 0)
    return;

  /* We know better; but it should know what is said of it, so that it shows to all that it lives. */
  if (gkv_member_has_link (member) && !member->indirect &&
      self->runtime->now.mono - gkv_member_peek (member)->last_seen < JUST_HEARD)
    {
      if (self->runtime->now.mono < gkv_member_peek (member)->ask_due)
        return;

      gkv_member_extra (member)->ask_due =
          self->runtime->now.mono + gkv_membership_get_suspicion (self) / SUSPECT_QUESTIONS / 2;
      gkv_updates_send_doubt (self->updates, member->link, member);
      return;
    }

  suspect (self, member, link->member);
}

static void
receive_member (GkvMembership *self, GkvLink *link, Entry *entry, gboolean listed)
{
  GkvMember *member = gkv_members_lookup (self->members, entry->id);
  guint distance;

  if (gkv_membership_is_confined (self, entry->address, link->address))
    entry->address = "";
  /* A node that reports itself may not know where it is seen. */
  if (*entry->address == '\0' && link->member == member)
    entry->address = link->address;

  if (entry->generation >= MAX_GENERATION)
    return;
  if (member == NULL)
    {
      add_by_hearsay (self, link, entry, listed);
      return;
    }
  if (entry->generation != member->profile->generation)
    {
      if (entry->generation > member->profile->generation)
        receive_later_generation (self, link, member, entry);
      return;
    }

  distance = ABS ((int) entry->incarnation.place - (int) member->profile->incarnation.place);
  if (distance > 1 && !gkv_links_spend (self->links, distance * PLACE_COST))
    return;

  switch (gkv_incarnation_compare (&member->profile->incarnation, &entry->incarnation))
    {
    case GKV_INCARNATION_ALIEN:
      break;

    case GKV_INCARNATION_LATER:
      take_incarnation (self, link, member, entry);
      /* It has lived since; whoever brings this doubts that it still does. */
      if (entry->status == GKV_PEER_STATE_SUSPECT || entry->status == GKV_PEER_STATE_DEAD)
        receive_doubt (self, link, member);
      break;

    case GKV_INCARNATION_EARLIER:
      if (entry->status != GKV_PEER_STATE_ALIVE && link->member != member && gkv_links_spend (self->links, PLACE_COST))
        gkv_updates_send (self->updates, link, member);
      break;

    case GKV_INCARNATION_SAME:
      if (entry->status != GKV_PEER_STATE_ALIVE)
        receive_doubt (self, link, member);
      else if (member->status == GKV_PEER_STATE_DEAD)
        reply_with_own_view (self, link, member);
      if (gkv_member_is_live (member))
        {
          if (member->via == NULL)
            member->via = link->member;
          set_hearsay_address (self, member, entry->address);
        }
      break;
    }
}

void
gkv_membership_handle (GkvMembership *self, GkvLink *link, GkvReader *reader, gboolean listed)
{
  while (gkv_reader_get_left (reader) > 0)
    {
      gsize len = gkv_reader_varint (reader);
      const guint8 *bytes = gkv_reader_bytes (reader, len);
      g_autofree char *id = NULL;
      g_autofree char *address = NULL;
      GkvReader body;
      guint8 status;
      Entry entry;

      if (bytes == NULL)
        return;

      gkv_reader_init (&body, bytes, len);
      status = gkv_reader_u8 (&body);
      entry.generation = gkv_reader_u64 (&body);
      entry.incarnation = gkv_reader_incarnation (&body);
      entry.id = id = gkv_reader_string (&body, GKV_WIRE_MAX_ID);
      entry.address = address = gkv_reader_address (&body, link->address);

      /* One that makes no sense here may do so to a later version; what comes behind it is read. */
      if (body.failed || status > GKV_PEER_STATE_DEAD || *id == '\0')
        continue;

      entry.status = status;
      if (strcmp (id, self->runtime->id) == 0)
        receive_self (self, link, entry.generation, &entry.incarnation, entry.status);
      else
        receive_member (self, link, &entry, listed);
    }
}

void
gkv_membership_leave (GkvMembership *self)
{
  self->runtime->incarnation = gkv_chain_get (self->chain, 0);
}

void
gkv_membership_seek (GkvMembership *self, GkvMember *member)
{
  if (!gkv_member_has_link (member) && gkv_links_get_n_opening (self->links) < MAX_SOUGHT)
    gkv_member_open_link (member, self->links);
}

void
gkv_membership_doubt_death (GkvMembership *self, GkvMember *member)
{
  if (member->status != GKV_PEER_STATE_DEAD ||
      self->runtime->now.mono - gkv_member_peek (member)->last_notified < GKV_NOTIFY_PERIOD)
    return;

  gkv_member_extra (member)->last_notified = self->runtime->now.mono;
  gkv_updates_flood (self->updates, member, NULL);
  if (member->profile->address != NULL)
    gkv_contacts_greet (self->contacts, member->profile->address);
}

void
gkv_membership_remember (GkvMembership *self, GkvMember *member)
{
  GkvMember *peer = gkv_members_pick_one (self->members, member);

  if (member->profile->address != NULL)
    gkv_contacts_greet (self->contacts, member->profile->address);

  /* Where it can't be reached from here, others may reach it. */
  if (peer != NULL && self->runtime->now.mono - gkv_member_peek (member)->last_notified >= REMEMBER_PERIOD)
    gkv_membership_notify (self, member, peer->link);
}

/* Time */

/* What came of suspicions while we slept isn't known: they begin again. After a long sleep all that we know is hearsay.
 */
void
gkv_membership_note_slept (GkvMembership *self, gint64 slept)
{
  gboolean is_long = slept >= gkv_membership_get_suspicion (self);
  GkvMemberExtra *extra;
  GkvMembersIter iter;
  GkvMember *member;

  if (!is_long && gkv_members_get_n_suspect (self->members) == 0)
    return;

  if (is_long)
    self->woke = self->runtime->now.mono;
  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    {
      if (is_long)
        member->heard = FALSE;
      if (member->status != GKV_PEER_STATE_SUSPECT)
        continue;

      extra = gkv_member_extra (member);
      extra->status_since = self->runtime->now.mono;
      extra->n_asked = 0;
      extra->ask_due = 0;
    }
}

static gint64
get_patience (GkvMembership *self, const GkvMember *member, gint64 suspicion)
{
  gint64 known_since = MAX (gkv_member_get_generation_since (member), self->woke);

  return member->heard ? suspicion
                       : MAX (suspicion, known_since + UNHEARD * suspicion - gkv_member_get_status_since (member));
}

static void
tick_suspects (GkvMembership *self)
{
  gint64 suspicion = gkv_membership_get_suspicion (self);
  gint64 period = suspicion / SUSPECT_QUESTIONS / 2;
  guint n_lost = 0, n_asked = 0;
  gint64 patience;

  if (self->runtime->now.mono < self->suspects_due)
    {
      gkv_runtime_wake_at (self->runtime, self->suspects_due);
      return;
    }

  if (self->suspects_due != G_MAXINT64 && self->runtime->now.mono - self->suspects_due > SLEPT)
    gkv_membership_note_slept (self, self->runtime->now.mono - self->suspects_due);
  self->suspects_due = G_MAXINT64;
  for (guint i = gkv_members_get_n_suspect (self->members); i > 0 && n_lost < MAX_LOST; i--)
    {
      GkvMember *member = gkv_members_get_nth_suspect (self->members, i - 1);
      GkvMemberExtra *extra = gkv_member_extra (member);

      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      patience = get_patience (self, member, suspicion);
      if (self->runtime->now.mono - extra->status_since >= patience)
        {
          n_lost++;
          gkv_membership_set_status (self, member, GKV_PEER_STATE_DEAD);
          if (extra->successor != NULL)
            succeed (self, member);
          continue;
        }

      if (self->suspect_questions > 0)
        ping_suspect (self, member);
      else if ((gkv_member_has_link (member) && may_reply (member)) ||
               (self->runtime->now.mono >= extra->ask_due && n_asked++ < MAX_ASKED))
        ask_suspect (self, member);
      look_at_suspects (self,
                        MIN (extra->status_since + patience, MAX (extra->ask_due, self->runtime->now.mono + period)));
    }
  if (n_lost == MAX_LOST)
    look_at_suspects (self, self->runtime->now.mono + GKV_MS);
}

static void
tick_forget (GkvMembership *self)
{
  g_autoptr (GPtrArray) forgotten = NULL;
  GkvMembersIter iter;
  GkvMember *member;

  if (self->runtime->now.mono >= self->forget_due)
    {
      self->forget_due = self->runtime->now.mono + FORGET_PERIOD;
      forgotten = g_ptr_array_new ();
      gkv_members_init_iter (self->members, &iter);
      gkv_runtime_breathe (self->runtime, gkv_members_get_n (self->members) * GKV_COST_MEMBER);
      while (forgotten->len < MAX_LOST && gkv_members_iter_next (&iter, &member))
        if (!gkv_member_is_live (member) &&
            self->runtime->now.mono - gkv_member_get_status_since (member) >=
                (member->status == GKV_PEER_STATE_LEFT ? FORGET_LEFT : self->forget_dead))
          g_ptr_array_add (forgotten, member);

      for (guint i = 0; i < forgotten->len; i++)
        remove_member (self, g_ptr_array_index (forgotten, i));
      if (forgotten->len == MAX_LOST)
        self->forget_due = self->runtime->now.mono + GKV_MS;
    }

  gkv_runtime_wake_at (self->runtime, self->forget_due);
}

void
gkv_membership_tick (GkvMembership *self)
{
  tick_suspects (self);
  if (self->runtime->now.mono >= self->show_due)
    show_next (self);
  gkv_runtime_wake_at (self->runtime, self->show_due);
  tick_forget (self);
  if (self->runtime->now.mono >= self->fade_due)
    {
      self->fade_due = self->runtime->now.mono + FADE_PERIOD;
      gkv_members_fade (self->members);
    }
}
