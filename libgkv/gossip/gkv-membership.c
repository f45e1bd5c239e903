/* Members: which nodes are alive, as far as is known.
 *
 * A member that doesn't answer (gkv-probes) is suspected; a suspect that doesn't refute in time is dead. A node
 * that receives a suspicion probes the suspect itself, again and again, and believes what it receives from there: so
 * the loss of datagrams, however bad, kills nobody. Membership updates ride on probes, the newest first, and the member
 * itself overrules them by a higher incarnation. A later generation of a node overrules all that was said of an earlier
 * one.
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

/* A suspicion lasts this long, times the decimal logarithm of the number of nodes where that is over 1. */
#define SUSPICION (1600 * GKV_MS)

/* A suspect is asked so often in that time. With a third of all datagrams lost, one answer in two comes back. */
#define SUSPECT_QUESTIONS 20

/* All members are looked at to find the suspects: not more often than that. */
#define SUSPECTS_PERIOD (10 * GKV_MS)

/* A node that has never spoken with the suspect leaves it to others to decide, so many times longer, and doesn't report
 * it. */
#define UNHEARD 3

/* The dead are remembered, and tried now and then, for a day; those that left, for as long as gossip may still echo. */
#define FORGET_DEAD   (24 * 60 * 60 * GKV_SECOND)
#define FORGET_LEFT   (10 * 60 * GKV_SECOND)
#define FORGET_PERIOD (60 * GKV_SECOND)

/* A generation above one that has ended is at most so far above it, by chance: others may know only of the one before,
 * and two starts must not take the same. */
#define GENERATION_STEP 65536

/* Members that die, or are forgotten, in one turn: each has much in its wake. */
#define MAX_LOST 32

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
};

GkvMembership *
gkv_membership_new (GkvRuntime *runtime,
                    GkvLinks *links,
                    GkvContacts *contacts,
                    GkvMembers *members,
                    GkvUpdates *updates,
                    GkvProbes *probes,
                    gint64 forget_dead,
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
  self->suspects_due = G_MAXINT64;
  return self;
}

void
gkv_membership_free (GkvMembership *self)
{
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
    gkv_contacts_drop_hearsay (self->contacts, member->address);
  else if (member->address != NULL)
    gkv_contacts_add (self->contacts, member->address, FALSE);
}

void
gkv_membership_set_status (GkvMembership *self, GkvMember *member, GkvPeerState status)
{
  gboolean was_live = gkv_member_is_live (member);

  if (member->status == status)
    return;

  gkv_members_set_status (self->members, member, status);
  if (was_live != gkv_member_is_live (member))
    self->listener.liveness_changed (member, self->data);
  member->status_since = self->runtime->now.mono;
  if (status == GKV_PEER_STATE_SUSPECT)
    look_at_suspects (self, self->runtime->now.mono);
  gkv_updates_add (self->updates, member);

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

GkvMember *
gkv_membership_add (GkvMembership *self, const char *id, guint64 generation, guint32 incarnation, const char *address)
{
  GkvMember *member;

  if (gkv_members_are_full (self->members))
    return NULL;

  member = gkv_members_insert (self->members, id, generation, incarnation, GKV_PEER_STATE_ALIVE, address);
  gkv_updates_add (self->updates, member);
  self->listener.liveness_changed (member, self->data);
  gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_ADDED, gkv_member_describe (member));
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
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
  gkv_probes_cancel (self->probes, member);
  self->listener.forgotten (member, self->data);
  gkv_contacts_drop_hearsay (self->contacts, member->address);
  if (!member->hidden)
    gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_REMOVED, gkv_member_describe (member));
  gkv_members_remove (self->members, member);
}

/* For one that has proved itself: the place of a dead one, if need be, best of one that nobody here ever spoke with. */
void
gkv_membership_make_room (GkvMembership *self)
{
  GHashTableIter iter;
  GkvMember *member, *lost = NULL;

  if (!gkv_members_are_full (self->members))
    return;

  gkv_members_init_iter (self->members, &iter);
  while ((lost == NULL || lost->link != NULL) && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    if (!gkv_member_is_live (member) && (lost == NULL || member->link == NULL))
      lost = member;

  if (lost != NULL)
    remove_member (self, lost);
}

void
gkv_membership_set_address (GkvMembership *self, GkvMember *member, const char *address)
{
  if (g_strcmp0 (member->address, address) == 0)
    return;

  gkv_contacts_drop_hearsay (self->contacts, member->address);
  g_free (member->address);
  member->address = g_strdup (address);
}

/* A later generation than the one that we knew: a restart, here or elsewhere. */
void
gkv_membership_begin_generation (GkvMembership *self, GkvMember *member, guint64 generation, guint32 incarnation)
{
  member->generation = generation;
  member->generation_since = self->runtime->now.mono;
  member->incarnation = incarnation;
  self->listener.generation_began (member, self->data);
  self->listener.liveness_changed (member, self->data);
  g_clear_pointer (&member->unreached, g_free);
  member->address_good = FALSE;
  member->address_asked = 0;
  member->round_trip_us = -1;
  if (member->link != NULL && member->link->generation != generation)
    {
      self->listener.conversation_ended (member->link, self->data);
      member->link = NULL;
      gkv_members_touch (self->members);
    }
  gkv_updates_add (self->updates, member);
}

void
gkv_membership_forget_link (GkvMembership *self, GkvLink *link)
{
  self->listener.conversation_ended (link, self->data);
  if (link->member != NULL && link->member->link == link)
    link->member->link = NULL;
  link->member = NULL;
  link->introduced = FALSE;
  self->listener.link_forgotten (link, self->data);
  gkv_members_touch (self->members);
}

void
gkv_membership_suspect (GkvMembership *self, GkvMember *member)
{
  if (member->status == GKV_PEER_STATE_ALIVE)
    gkv_membership_set_status (self, member, GKV_PEER_STATE_SUSPECT);
}

void
gkv_membership_note_round_trip (GkvMembership *self, GkvMember *member, gint64 round_trip_us)
{
  /* Smoothed, as TCP does it. */
  member->round_trip_us = member->round_trip_us < 0 ? round_trip_us : (7 * member->round_trip_us + round_trip_us) / 8;
  if (!member->hidden)
    gkv_events_add_peer (self->runtime->events, GKV_EVENT_PEER_CHANGED, gkv_member_describe (member));
}

/* Reports to a member what is thought of it, so that it can refute, or take a generation above the one that has ended.
 */
void
gkv_membership_notify (GkvMembership *self, GkvMember *member, GkvLink *link)
{
  member->last_notified = self->runtime->now.mono;
  gkv_updates_send (self->updates, link, member);
}

/* An address that a member states, where it is of no use to others than itself, or to nobody. */
gboolean
gkv_membership_is_confined (GkvMembership *self, const char *address, const char *seen_at)
{
  return self->is_confined != NULL && *address != '\0' && self->is_confined (address) && !self->is_confined (seen_at);
}

/* Suspicions, and updates that have come */

static gint64
get_suspicion (GkvMembership *self)
{
  return (gint64) (SUSPICION * MAX (1.0, log10 (self->runtime->n_alive + 1)));
}

/* Any reply clears it. Its status is reported to it as well, now and then, so that it can refute. */
static void
ask_suspect (GkvMembership *self, GkvMember *member)
{
  if (member->link == NULL || !gkv_link_is_usable (member->link) || self->runtime->now.mono < member->ask_due)
    return;

  member->ask_due = self->runtime->now.mono + get_suspicion (self) / SUSPECT_QUESTIONS;
  gkv_probes_ask (self->probes, member->link);
  if (self->runtime->now.mono - member->last_notified >= GKV_NOTIFY_PERIOD)
    gkv_membership_notify (self, member, member->link);
}

/* Without a new start. */
static void
take_generation (GkvMembership *self, guint64 generation)
{
  self->runtime->past_generation = self->runtime->generation;
  self->runtime->generation = generation;
  self->runtime->incarnation = 0;
  gkv_links_renew_idents (self->links);
  self->listener.generation_raised (self->data);
}

static void
receive_self (GkvMembership *self, GkvLink *link, guint64 generation, guint32 incarnation, GkvPeerState status)
{
  if (self->runtime->leaving)
    return;

  /* One that has ended, and that we can't have been in before: the clock was set back since. */
  if (generation > self->runtime->generation && generation < G_MAXUINT64 &&
      (status == GKV_PEER_STATE_DEAD || status == GKV_PEER_STATE_LEFT))
    {
      take_generation (self, generation + 1 +
                                 gkv_runtime_random (self->runtime, MIN (GENERATION_STEP, G_MAXUINT64 - generation)));
      gkv_updates_add_self (self->updates);
      gkv_links_send_ident (self->links, link, GKV_IDENT_FLAG_ANSWER);
      return;
    }

  if (generation != self->runtime->generation || status == GKV_PEER_STATE_ALIVE ||
      incarnation < self->runtime->incarnation)
    return;

  if (incarnation == G_MAXUINT32)
    take_generation (self, self->runtime->generation + 1);
  else
    self->runtime->incarnation = incarnation + 1;
  gkv_updates_add_self (self->updates);
  gkv_updates_send_self (self->updates, link, GKV_PEER_STATE_ALIVE);
}

static void
receive_member (GkvMembership *self,
                GkvLink *link,
                const char *id,
                guint64 generation,
                guint32 incarnation,
                GkvPeerState status,
                const char *address)
{
  static const guint rank[] = {
    [GKV_PEER_STATE_ALIVE] = 0, [GKV_PEER_STATE_SUSPECT] = 1, [GKV_PEER_STATE_DEAD] = 2, [GKV_PEER_STATE_LEFT] = 3
  };
  GkvMember *member = gkv_members_lookup (self->members, id);

  if (gkv_membership_is_confined (self, address, link->address))
    address = "";

  /* A node that reports itself may not know where it is seen. */
  if (*address == '\0' && link->member == member)
    address = link->address;

  if (member == NULL)
    {
      if (status == GKV_PEER_STATE_DEAD || status == GKV_PEER_STATE_LEFT || *address == '\0')
        return;

      member = gkv_membership_add (self, id, generation, incarnation, address);
      if (member != NULL)
        gkv_contacts_add (self->contacts, address, FALSE);
      return;
    }

  if (generation < member->generation || (generation == member->generation && (incarnation < member->incarnation ||
                                                                               (incarnation == member->incarnation &&
                                                                                rank[status] <= rank[member->status]))))
    return;

  /* We know better; but it should know what is said of it. */
  if (generation == member->generation && (status == GKV_PEER_STATE_SUSPECT || status == GKV_PEER_STATE_DEAD) &&
      member->link != NULL && gkv_link_is_usable (member->link) &&
      self->runtime->now.mono - member->last_seen < JUST_HEARD)
    {
      ask_suspect (self, member);
      return;
    }

  if (generation > member->generation)
    gkv_membership_begin_generation (self, member, generation, incarnation);
  else if (incarnation > member->incarnation)
    {
      member->incarnation = incarnation;
      /* It refutes what it has received. A node that suspects it may be out of its reach, but not out of ours; from
       * there on only those pass it on that it sends anything. */
      if (link->member == member)
        gkv_updates_add (self->updates, member);
    }

  if (member->link == NULL && *address != '\0')
    {
      gkv_membership_set_address (self, member, address);
      if (status == GKV_PEER_STATE_ALIVE || status == GKV_PEER_STATE_SUSPECT)
        gkv_contacts_add (self->contacts, address, FALSE);
    }

  gkv_membership_set_status (self, member, status);
}

void
gkv_membership_handle (GkvMembership *self, GkvLink *link, GkvReader *reader)
{
  while (gkv_reader_get_left (reader) > 0)
    {
      guint8 status = gkv_reader_u8 (reader);
      guint64 generation = gkv_reader_u64 (reader);
      guint32 incarnation = gkv_reader_varint (reader);
      g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
      g_autofree char *address = gkv_reader_string (reader, GKV_WIRE_MAX_ADDRESS);

      if (reader->failed || status > GKV_PEER_STATE_DEAD || *id == '\0')
        return;

      if (strcmp (id, self->runtime->id) == 0)
        receive_self (self, link, generation, incarnation, status);
      else
        receive_member (self, link, id, generation, incarnation, status, address);
    }
}

/* Time */

static void
tick_suspects (GkvMembership *self)
{
  gint64 suspicion = get_suspicion (self);
  GHashTableIter iter;
  GkvMember *member;
  guint n_lost = 0;
  gboolean can_ask;
  gint64 patience;

  if (self->runtime->now.mono < self->suspects_due)
    {
      gkv_runtime_wake_at (self->runtime, self->suspects_due);
      return;
    }

  self->suspects_due = G_MAXINT64;
  if (gkv_members_get_n_suspect (self->members) == 0)
    return;

  gkv_members_init_iter (self->members, &iter);
  while (n_lost < MAX_LOST && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (member->status != GKV_PEER_STATE_SUSPECT)
        continue;

      can_ask = member->link != NULL && gkv_link_is_usable (member->link);
      patience = can_ask ? suspicion : UNHEARD * suspicion;
      if (self->runtime->now.mono - member->status_since >= patience)
        {
          n_lost++;
          gkv_membership_set_status (self, member, GKV_PEER_STATE_DEAD);
          if (can_ask)
            gkv_updates_send_death (self->updates, member);
          else
            gkv_updates_remove (self->updates, member);
          continue;
        }

      ask_suspect (self, member);
      look_at_suspects (self, member->status_since + patience);
      look_at_suspects (self, MAX (member->ask_due, self->runtime->now.mono + suspicion / SUSPECT_QUESTIONS));
    }
  if (n_lost == MAX_LOST)
    look_at_suspects (self, self->runtime->now.mono + GKV_MS);
}

static void
tick_forget (GkvMembership *self)
{
  g_autoptr (GPtrArray) forgotten = NULL;
  GHashTableIter iter;
  GkvMember *member;

  if (self->runtime->now.mono >= self->forget_due)
    {
      self->forget_due = self->runtime->now.mono + FORGET_PERIOD;
      forgotten = g_ptr_array_new ();
      gkv_members_init_iter (self->members, &iter);
      gkv_runtime_breathe (self->runtime, gkv_members_get_n (self->members) * GKV_COST_MEMBER);
      while (forgotten->len < MAX_LOST && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
        if (!gkv_member_is_live (member) &&
            self->runtime->now.mono - member->status_since >=
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
  tick_forget (self);
}
