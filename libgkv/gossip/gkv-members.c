/* Members: which nodes are alive, as far as is known.
 *
 * A member that doesn't answer (gkv-probes) is suspected; a suspect that doesn't refute in time is dead. Whoever hears
 * of a suspicion asks the suspect itself, again and again, and believes its own ears: so the loss of datagrams, however
 * bad, kills nobody. News of members ride on probes, the newest first, and the member itself overrules them by a higher
 * incarnation. A later life of a node overrules all that was said of an earlier one.
 *
 * Source: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
 * Protocol", DSN 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"
#include "gkv-horizons.h"

#include "../gkv-error.h"

#include <math.h>
#include <string.h>

/* Who was heard so lately speaks at that address still. */
#define LATELY (3 * GKV_SECOND)

/* Who was heard within this time lives, whatever others say. */
#define JUST_HEARD (GKV_SECOND)

/* A suspicion lasts this long, times the decimal logarithm of the number of nodes where that is over 1. */
#define SUSPICION (1600 * GKV_MS)

/* A suspect is asked so often in that time. With a third of all datagrams lost, one answer in two comes back. */
#define SUSPECT_QUESTIONS 20

/* All members are looked at to find the suspects: not more often than that. */
#define SUSPECTS_PERIOD (10 * GKV_MS)

/* Who has never spoken with the suspect leaves it to others to judge, so many times longer, and keeps it to himself. */
#define UNHEARD 3

/* The dead are remembered, and tried now and then, for a day; those that left, for as long as gossip may still echo. */
#define FORGET_LEFT   (10 * 60 * GKV_SECOND)
#define FORGET_PERIOD (60 * GKV_SECOND)

/* A member that speaks from another address than it states is greeted there for so long. */
#define ADDRESS_PATIENCE (10 * GKV_SECOND)

/* A life above one that has ended is at most so far above it, by chance: others may have heard only of the one before,
 * and two starts must not take the same. */
#define LIFE_STEP 65536

/* A member is told at most so often that it is thought to be dead, or that another has its id. */
#define TELL_PERIOD      GKV_SECOND
#define DUPLICATE_PERIOD (60 * GKV_SECOND)

#define MAX_MEMBERS 16384

/* Members that die, or are forgotten, in one turn: each has much in its wake. */
#define MAX_LOST 32

static void
member_free (GkvMember *member)
{
  g_free (member->id);
  gkv_given_clear (&member->owed);
  g_free (member->unreached);
  g_free (member->address);
  g_free (member);
}

void
gkv_members_init (GkvEngine *self)
{
  self->members = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) member_free);
  self->forget_due = self->now.mono + FORGET_PERIOD;
  self->suspects_due = G_MAXINT64;
}

void
gkv_members_clear (GkvEngine *self)
{
  g_hash_table_unref (self->members);
}

gboolean
gkv_member_is_live (const GkvMember *member)
{
  return member->status == GKV_PEER_STATE_ALIVE || member->status == GKV_PEER_STATE_SUSPECT;
}

static void
count (GkvEngine *self, const GkvMember *member, int by)
{
  gkv_ring_touch (self);
  if (gkv_member_is_live (member))
    self->n_alive += by;
  if (member->status == GKV_PEER_STATE_SUSPECT)
    self->n_suspect += by;
}

/* Suspects are looked at again at @when, or soon after. */
static void
look_at_suspects (GkvEngine *self, gint64 when)
{
  self->suspects_due = MIN (self->suspects_due, MAX (when, self->now.mono + SUSPECTS_PERIOD));
  gkv_engine_wake_at (self, self->suspects_due);
}

static void
member_lost (GkvEngine *self, GkvMember *member)
{
  member->matched = FALSE;
  member->n_checks = 0;
  gkv_horizons_part (self, member);
  gkv_ephemerals_hasten (self);
  gkv_given_clear (&member->owed);
  gkv_probes_cancel (self, member);
  if (member->link != NULL)
    gkv_exchange_free (self, member->link);

  if (member->status == GKV_PEER_STATE_LEFT)
    gkv_contacts_drop_hearsay (self, member->address);
  else if (member->address != NULL)
    gkv_contacts_add (self, member->address, FALSE);
}

/* Flushes that are under way don't wait for it: it wasn't there when they began, or isn't any more. */
static void
note_liveness (GkvEngine *self, GkvMember *member)
{
  member->live_ticket = self->flush_ticket;
  gkv_flushes_members_changed (self);
}

static void
set_status (GkvEngine *self, GkvMember *member, GkvPeerState status)
{
  gboolean was_live = gkv_member_is_live (member);

  if (member->status == status)
    return;

  count (self, member, -1);
  member->status = status;
  count (self, member, 1);
  if (was_live != gkv_member_is_live (member))
    note_liveness (self, member);
  member->status_since = self->now.mono;
  if (status == GKV_PEER_STATE_SUSPECT)
    look_at_suspects (self, self->now.mono);
  gkv_news_spread (self, member);

  if (was_live && !gkv_member_is_live (member))
    member_lost (self, member);

  if (!member->hidden)
    gkv_events_add_peer (self, GKV_EVENT_PEER_CHANGED, member);
  else if (gkv_member_is_live (member))
    {
      member->hidden = FALSE;
      gkv_events_add_peer (self, GKV_EVENT_PEER_ADDED, member);
    }

  if (status == GKV_PEER_STATE_LEFT && !member->hidden)
    {
      member->hidden = TRUE;
      gkv_events_add_peer (self, GKV_EVENT_PEER_REMOVED, member);
    }

  gkv_engine_wake_at (self, self->now.mono);
}

/* In a table that isn't full. */
static GkvMember *
insert_member (
    GkvEngine *self, const char *id, guint64 life, guint32 incarnation, GkvPeerState status, const char *address)
{
  GkvMember *member = g_new0 (GkvMember, 1);

  member->id = g_strdup (id);
  member->news.data = member;
  member->place = gkv_ring_get_place (self, id);
  member->life = life;
  member->incarnation = incarnation;
  member->status = status;
  member->address = g_strdup (address);
  member->life_since = member->status_since = member->last_seen = self->now.mono;
  member->last_seen_wall = self->now.wall;
  member->round_trip_us = -1;
  g_hash_table_insert (self->members, member->id, member);
  count (self, member, 1);
  gkv_probes_add (self, member);
  return member;
}

static GkvMember *
add_member (GkvEngine *self, const char *id, guint64 life, guint32 incarnation, const char *address)
{
  GkvMember *member;

  if (g_hash_table_size (self->members) >= MAX_MEMBERS)
    return NULL;

  member = insert_member (self, id, life, incarnation, GKV_PEER_STATE_ALIVE, address);
  gkv_news_spread (self, member);
  note_liveness (self, member);
  gkv_events_add_peer (self, GKV_EVENT_PEER_ADDED, member);
  gkv_engine_wake_at (self, self->now.mono);
  return member;
}

/* One that left before it was known is remembered all the same: what it said before may come in late, and others may
 * still tell of it. */
static void
remember_left (GkvEngine *self, const char *id, guint64 life, guint32 incarnation, const char *address)
{
  GkvMember *member;

  if (g_hash_table_size (self->members) >= MAX_MEMBERS)
    return;

  member = insert_member (self, id, life, incarnation, GKV_PEER_STATE_LEFT, address);
  member->hidden = TRUE;
  member->last_told = self->now.mono;
  gkv_contacts_drop_hearsay (self, address);
}

static void
remove_member (GkvEngine *self, GkvMember *member)
{
  GHashTableIter iter;
  GkvLink *link;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    if (link->member == member)
      gkv_members_forget_link (self, link);

  gkv_news_forget (self, member);
  gkv_probes_remove (self, member);
  gkv_rumours_forget_member (self, member);
  gkv_contacts_drop_hearsay (self, member->address);
  if (!member->hidden)
    gkv_events_add_peer (self, GKV_EVENT_PEER_REMOVED, member);
  count (self, member, -1);
  g_hash_table_remove (self->members, member->id);
}

/* For one that has proved itself: the place of a dead one, if need be, best of one that nobody here ever spoke with. */
static void
make_room (GkvEngine *self)
{
  GHashTableIter iter;
  GkvMember *member, *lost = NULL;

  if (g_hash_table_size (self->members) < MAX_MEMBERS)
    return;

  g_hash_table_iter_init (&iter, self->members);
  while ((lost == NULL || lost->link != NULL) && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    if (!gkv_member_is_live (member) && (lost == NULL || member->link == NULL))
      lost = member;

  if (lost != NULL)
    remove_member (self, lost);
}

static void
set_address (GkvEngine *self, GkvMember *member, const char *address)
{
  if (g_strcmp0 (member->address, address) == 0)
    return;

  gkv_contacts_drop_hearsay (self, member->address);
  g_free (member->address);
  member->address = g_strdup (address);
}

/* What is under way on a link is between us and one life of one member: with the next one it would be held to be got
 * although some of it got lost before. Nothing is sent, as the link may be about to be freed. */
static void
end_conversation (GkvEngine *self, GkvLink *link)
{
  gkv_exchange_free (self, link);
  gkv_transfer_free (self, link);
}

/* A later life than the one that we knew: a restart, here or elsewhere. */
static void
begin_life (GkvEngine *self, GkvMember *member, guint64 life, guint32 incarnation)
{
  member->life = life;
  member->life_since = self->now.mono;
  member->incarnation = incarnation;
  member->matched = FALSE;
  member->n_checks = 0;
  member->confirmed = 0;
  member->refuses = FALSE;
  gkv_given_clear (&member->owed);
  note_liveness (self, member);
  member->horizon = 0;
  member->clock_reported = FALSE;
  g_clear_pointer (&member->unreached, g_free);
  member->address_good = FALSE;
  member->address_asked = 0;
  member->round_trip_us = -1;
  gkv_ephemerals_hasten (self);
  if (member->link != NULL && member->link->life != life)
    {
      end_conversation (self, member->link);
      member->link = NULL;
      gkv_ring_touch (self);
    }
  gkv_news_spread (self, member);
}

void
gkv_members_forget_link (GkvEngine *self, GkvLink *link)
{
  end_conversation (self, link);
  if (link->member != NULL && link->member->link == link)
    link->member->link = NULL;
  link->member = NULL;
  link->introduced = FALSE;
  link->n_repeats = 0;
  link->full_interval = link->full_due = 0;
  gkv_ring_touch (self);
}

void
gkv_members_suspect (GkvEngine *self, GkvMember *member)
{
  if (member->status == GKV_PEER_STATE_ALIVE)
    set_status (self, member, GKV_PEER_STATE_SUSPECT);
}

void
gkv_members_answered (GkvEngine *self, GkvMember *member, gint64 round_trip_us)
{
  /* Smoothed, as TCP does it. */
  member->round_trip_us = member->round_trip_us < 0 ? round_trip_us : (7 * member->round_trip_us + round_trip_us) / 8;
  if (!member->hidden)
    gkv_events_add_peer (self, GKV_EVENT_PEER_CHANGED, member);
}

/* Introductions */

static void
tell_duplicate (GkvEngine *self, GkvMember *member, GkvLink *other)
{
  if (member->last_duplicate != 0 && self->now.mono - member->last_duplicate < DUPLICATE_PERIOD)
    return;

  member->last_duplicate = self->now.mono;
  gkv_put_string (gkv_engine_begin_message (self), other->address);
  gkv_link_send (self, member->link, GKV_MESSAGE_DUPLICATE);
  gkv_put_string (gkv_engine_begin_message (self), member->link->address);
  gkv_link_send (self, other, GKV_MESSAGE_DUPLICATE);
}

/* Tells a member what is thought of it, so that it can refute, or take a life above the one that has ended. */
static void
tell_status (GkvEngine *self, GkvMember *member, GkvLink *link)
{
  member->last_told = self->now.mono;
  gkv_news_tell (self, link, member);
}

/* Somebody speaks there in an earlier life than we know of. Either there are two, or the clock was set back before it
 * was started again: then the later life is one that has ended. */
static gboolean
identify_earlier (GkvEngine *self, GkvLink *link)
{
  GkvMember *member = link->member;

  if (gkv_member_is_live (member) && member->link != NULL && member->link != link)
    {
      if (self->now.mono - member->link->last_heard < LATELY)
        {
          tell_duplicate (self, member, link);
          link->quiet_until = self->now.mono + 2 * LATELY;
          return TRUE;
        }

      /* It is asked whether it is still there; who speaks here tries again. */
      gkv_members_suspect (self, member);
      link->quiet_until = self->now.mono + GKV_SECOND;
      return FALSE;
    }

  if (gkv_member_is_live (member))
    set_status (self, member, GKV_PEER_STATE_DEAD);
  link->quiet_until = self->now.mono + GKV_SECOND;
  gkv_links_send_ident (self, link, FALSE);
  tell_status (self, member, link);
  return FALSE;
}

/* Whether it is to be spoken with where it speaks now. What works is kept: a node may be seen at several addresses. */
static gboolean
needs_link (GkvEngine *self, const GkvMember *member)
{
  const GkvLink *link = member->link;

  return link == NULL || link->life != member->life || !gkv_link_is_usable (link) ||
         self->now.mono - link->last_heard > LATELY;
}

/* An address that a member states, where it is of no use to others than itself, or to nobody. */
static gboolean
is_confined (GkvEngine *self, const char *address, const char *seen_at)
{
  return self->is_confined != NULL && *address != '\0' && self->is_confined (address) && !self->is_confined (seen_at);
}

/* From here on it is at the address where it speaks, for us and for those whom we tell of it. */
static void
refuse_address (GkvEngine *self, GkvMember *member, GkvLink *link, const char *stated)
{
  if (g_strcmp0 (member->unreached, stated) != 0)
    {
      g_free (member->unreached);
      member->unreached = g_strdup (stated);
      gkv_engine_report (self, link, GKV_ERROR_TRANSPORT,
                         "The node \"%s\" is seen at %s, and states the address %s, where it can't be reached from "
                         "here; "
                         "give it an advertise-address that others can reach",
                         member->id, link->address, stated);
    }
  set_address (self, member, link->address);
}

void
gkv_members_check_address (GkvEngine *self, GkvMember *member)
{
  GkvLink *stated;

  if (member->link == NULL || !gkv_link_is_usable (member->link) || member->address == NULL || member->address_good ||
      strcmp (member->address, member->link->address) == 0)
    return;

  stated = gkv_links_lookup (self, member->address);
  if (stated != NULL && stated->member == member && gkv_link_is_usable (stated))
    {
      member->address_good = TRUE;
    }
  else if (member->address_asked == 0)
    {
      member->address_asked = self->now.mono;
      gkv_contacts_add (self, member->address, FALSE);
    }
  else if (self->now.mono - member->address_asked >= ADDRESS_PATIENCE)
    {
      g_autofree char *address = g_strdup (member->address);

      member->address_asked = 0;
      refuse_address (self, member, member->link, address);
    }
}

gboolean
gkv_members_identify (
    GkvEngine *self, GkvLink *link, const char *id, guint64 life, guint32 incarnation, const char *advertise)
{
  const char *address = *advertise != '\0' ? advertise : link->address;
  GkvMember *member = g_hash_table_lookup (self->members, id);

  /* Who spoke there before is gone, even if there is no room for who speaks there now. */
  if (member == NULL || link->member != member || link->life != life)
    gkv_members_forget_link (self, link);

  if (member == NULL)
    {
      make_room (self);
      member = add_member (self, id, life, incarnation, address);
      if (member == NULL)
        return FALSE;
    }
  link->member = member;
  link->life = life;

  if (life < member->life)
    return identify_earlier (self, link);

  /* It left; then this comes in late, or somebody else said so, and it refutes that by a higher incarnation. */
  if (life == member->life && member->status == GKV_PEER_STATE_LEFT && incarnation <= member->incarnation)
    {
      if (self->now.mono - member->last_told >= TELL_PERIOD)
        tell_status (self, member, link);
      return FALSE;
    }

  if (life > member->life)
    begin_life (self, member, life, incarnation);
  else
    member->incarnation = MAX (member->incarnation, incarnation);

  if (needs_link (self, member))
    {
      member->link = link;
      gkv_ring_touch (self);
    }
  if (member->link == link && is_confined (self, advertise, link->address))
    {
      refuse_address (self, member, link, advertise);
    }
  else if (member->link == link && g_strcmp0 (member->unreached, address) != 0)
    {
      if (g_strcmp0 (member->address, address) != 0)
        {
          member->address_good = FALSE;
          member->address_asked = 0;
        }
      set_address (self, member, address);
    }

  if (!gkv_member_is_live (member))
    set_status (self, member, GKV_PEER_STATE_ALIVE);
  return TRUE;
}

void
gkv_members_leave (GkvEngine *self, GkvLink *link, const char *id, guint64 life, guint32 incarnation)
{
  GkvMember *member = g_hash_table_lookup (self->members, id);

  if (member == NULL)
    {
      gkv_members_forget_link (self, link);
      link->last_ident = self->now.mono;
      remember_left (self, id, life, incarnation, link->address);
      link->member = g_hash_table_lookup (self->members, id);
      link->life = life;
      return;
    }

  /* Who is heard where he is spoken with says so there as well. */
  if (life < member->life || (member->link != NULL && member->link != link && gkv_member_is_live (member) &&
                              self->now.mono - member->link->last_heard < LATELY))
    return;

  if (link->member != member || link->life != life)
    gkv_members_forget_link (self, link);
  link->member = member;
  link->life = life;
  link->last_ident = self->now.mono;
  if (life > member->life)
    begin_life (self, member, life, incarnation);
  else
    member->incarnation = MAX (member->incarnation, incarnation);
  gkv_contacts_drop_hearsay (self, link->address);
  member->last_told = self->now.mono;
  set_status (self, member, GKV_PEER_STATE_LEFT);
}

void
gkv_members_introduce (GkvEngine *self, GkvLink *link, guint64 n_known)
{
  if (link->introduced)
    return;
  link->introduced = TRUE;

  gkv_news_introduce (self, link, n_known);

  /* Both are new to each other; one of them asks what differs. */
  if (strcmp (self->id, link->member->id) < 0)
    gkv_exchange_begin (self, link);
}

void
gkv_members_heard (GkvEngine *self, GkvLink *link)
{
  GkvMember *member = link->member;

  if (link->life != member->life)
    {
      /* An earlier life that goes on speaking is no restart: two nodes have this id. */
      if (member->link != NULL && member->link != link && gkv_member_is_live (member) &&
          self->now.mono - member->life_since > LATELY && self->now.mono - member->link->last_heard < LATELY)
        tell_duplicate (self, member, link);
      return;
    }

  member->last_seen = self->now.mono;
  member->last_seen_wall = self->now.wall;

  /* It has moved without a new start, or another is at the address where it was. It may have others told of another
   * address than where it is seen: that is asked. */
  if (gkv_link_is_usable (link) && needs_link (self, member))
    {
      member->link = link;
      link->last_ident = 0;
      set_address (self, member, link->address);
      gkv_ring_touch (self);
    }

  if (member->status != GKV_PEER_STATE_ALIVE && gkv_link_is_usable (link) &&
      self->now.mono - member->last_told >= TELL_PERIOD)
    tell_status (self, member, link);

  /* Others may still suspect it: that is for itself to refute. */
  if (member->status == GKV_PEER_STATE_SUSPECT)
    set_status (self, member, GKV_PEER_STATE_ALIVE);
}

/* Hearsay */

static gint64
get_suspicion (GkvEngine *self)
{
  return (gint64) (SUSPICION * MAX (1.0, log10 (self->n_alive + 1)));
}

/* Any answer clears it. What is thought of it is told as well, now and then, so that it can refute. */
static void
ask_suspect (GkvEngine *self, GkvMember *member)
{
  if (member->link == NULL || !gkv_link_is_usable (member->link) || self->now.mono < member->ask_due)
    return;

  member->ask_due = self->now.mono + get_suspicion (self) / SUSPECT_QUESTIONS;
  gkv_probes_ask (self, member->link);
  if (self->now.mono - member->last_told >= TELL_PERIOD)
    tell_status (self, member, member->link);
}

static void
hear_of_self (GkvEngine *self, GkvLink *link, guint64 life, guint32 incarnation, GkvPeerState status)
{
  if (self->leaving)
    return;

  /* One that has ended, and that we can't have been in before: the clock was set back since. */
  if (life > self->life && life < G_MAXUINT64 && (status == GKV_PEER_STATE_DEAD || status == GKV_PEER_STATE_LEFT))
    {
      gkv_engine_take_life (self, life + 1 + gkv_engine_random (self, MIN (LIFE_STEP, G_MAXUINT64 - life)));
      gkv_news_spread_self (self);
      gkv_links_send_ident (self, link, TRUE);
      return;
    }

  if (life != self->life || status == GKV_PEER_STATE_ALIVE || incarnation < self->incarnation)
    return;

  if (incarnation == G_MAXUINT32)
    gkv_engine_take_life (self, self->life + 1);
  else
    self->incarnation = incarnation + 1;
  gkv_news_spread_self (self);
  gkv_news_tell_self (self, link, GKV_PEER_STATE_ALIVE);
}

static void
hear_of_member (GkvEngine *self,
                GkvLink *link,
                const char *id,
                guint64 life,
                guint32 incarnation,
                GkvPeerState status,
                const char *address)
{
  static const guint rank[] = {
    [GKV_PEER_STATE_ALIVE] = 0, [GKV_PEER_STATE_SUSPECT] = 1, [GKV_PEER_STATE_DEAD] = 2, [GKV_PEER_STATE_LEFT] = 3
  };
  GkvMember *member = g_hash_table_lookup (self->members, id);

  if (is_confined (self, address, link->address))
    address = "";

  /* A node that tells of itself may not know where it is seen. */
  if (*address == '\0' && link->member == member)
    address = link->address;

  if (member == NULL)
    {
      if (status == GKV_PEER_STATE_DEAD || status == GKV_PEER_STATE_LEFT || *address == '\0')
        return;

      member = add_member (self, id, life, incarnation, address);
      if (member != NULL)
        gkv_contacts_add (self, address, FALSE);
      return;
    }

  if (life < member->life ||
      (life == member->life && (incarnation < member->incarnation ||
                                (incarnation == member->incarnation && rank[status] <= rank[member->status]))))
    return;

  /* We know better; but it should know what is said of it. */
  if (life == member->life && (status == GKV_PEER_STATE_SUSPECT || status == GKV_PEER_STATE_DEAD) &&
      member->link != NULL && gkv_link_is_usable (member->link) && self->now.mono - member->last_seen < JUST_HEARD)
    {
      ask_suspect (self, member);
      return;
    }

  if (life > member->life)
    begin_life (self, member, life, incarnation);
  else if (incarnation > member->incarnation)
    {
      member->incarnation = incarnation;
      /* It refutes what it has heard. Who suspects it may be out of its reach, but not out of ours; from there on only
       * those pass it on whom it tells anything. */
      if (link->member == member)
        gkv_news_spread (self, member);
    }

  if (member->link == NULL && *address != '\0')
    {
      set_address (self, member, address);
      if (status == GKV_PEER_STATE_ALIVE || status == GKV_PEER_STATE_SUSPECT)
        gkv_contacts_add (self, address, FALSE);
    }

  set_status (self, member, status);
}

void
gkv_members_handle (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  while (gkv_reader_get_left (reader) > 0)
    {
      guint8 status = gkv_reader_u8 (reader);
      guint64 life = gkv_reader_u64 (reader);
      guint32 incarnation = gkv_reader_varint (reader);
      g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
      g_autofree char *address = gkv_reader_string (reader, GKV_WIRE_MAX_ADDRESS);

      if (reader->failed || status > GKV_PEER_STATE_DEAD || *id == '\0')
        return;

      if (strcmp (id, self->id) == 0)
        hear_of_self (self, link, life, incarnation, status);
      else
        hear_of_member (self, link, id, life, incarnation, status, address);
    }
}

GPtrArray *
gkv_members_pick (GkvEngine *self, guint max, const GkvMember *except)
{
  GPtrArray *picked = g_ptr_array_new ();
  GHashTableIter iter;
  GkvMember *member;

  g_hash_table_iter_init (&iter, self->members);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      gkv_engine_breathe (self, GKV_COST_MEMBER);
      if (member != except && gkv_member_is_live (member) && member->link != NULL && gkv_link_is_usable (member->link))
        g_ptr_array_add (picked, member);
    }

  for (guint i = 0; i < MIN (max, picked->len); i++)
    {
      guint j = i + gkv_engine_random (self, picked->len - i);
      gpointer swap = picked->pdata[i];

      picked->pdata[i] = picked->pdata[j];
      picked->pdata[j] = swap;
    }
  if (picked->len > max)
    g_ptr_array_set_size (picked, max);

  return picked;
}

/* Time */

static void
tick_suspects (GkvEngine *self)
{
  gint64 suspicion = get_suspicion (self);
  GHashTableIter iter;
  GkvMember *member;
  guint n_lost = 0;
  gboolean can_ask;
  gint64 patience;

  if (self->now.mono < self->suspects_due)
    {
      gkv_engine_wake_at (self, self->suspects_due);
      return;
    }

  self->suspects_due = G_MAXINT64;
  if (self->n_suspect == 0)
    return;

  g_hash_table_iter_init (&iter, self->members);
  while (n_lost < MAX_LOST && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      gkv_engine_breathe (self, GKV_COST_MEMBER);
      if (member->status != GKV_PEER_STATE_SUSPECT)
        continue;

      can_ask = member->link != NULL && gkv_link_is_usable (member->link);
      patience = can_ask ? suspicion : UNHEARD * suspicion;
      if (self->now.mono - member->status_since >= patience)
        {
          n_lost++;
          set_status (self, member, GKV_PEER_STATE_DEAD);
          if (can_ask)
            gkv_news_tell_death (self, member);
          else
            gkv_news_forget (self, member);
          continue;
        }

      ask_suspect (self, member);
      look_at_suspects (self, member->status_since + patience);
      look_at_suspects (self, MAX (member->ask_due, self->now.mono + suspicion / SUSPECT_QUESTIONS));
    }
  if (n_lost == MAX_LOST)
    look_at_suspects (self, self->now.mono + GKV_MS);
}

static void
tick_forget (GkvEngine *self)
{
  g_autoptr (GPtrArray) forgotten = NULL;
  GHashTableIter iter;
  GkvMember *member;

  if (self->now.mono >= self->forget_due)
    {
      self->forget_due = self->now.mono + FORGET_PERIOD;
      forgotten = g_ptr_array_new ();
      g_hash_table_iter_init (&iter, self->members);
      gkv_engine_breathe (self, g_hash_table_size (self->members) * GKV_COST_MEMBER);
      while (forgotten->len < MAX_LOST && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
        if (!gkv_member_is_live (member) &&
            self->now.mono - member->status_since >=
                (member->status == GKV_PEER_STATE_LEFT ? FORGET_LEFT : self->forget_dead))
          g_ptr_array_add (forgotten, member);

      for (guint i = 0; i < forgotten->len; i++)
        remove_member (self, g_ptr_array_index (forgotten, i));
      if (forgotten->len == MAX_LOST)
        self->forget_due = self->now.mono + GKV_MS;
    }

  gkv_engine_wake_at (self, self->forget_due);
}

void
gkv_members_tick (GkvEngine *self)
{
  tick_suspects (self);
  tick_forget (self);
}
