/* Probes: pinging members to learn whether they are alive.
 *
 * Each second one member is pinged (gkv-neighbours says which); when it doesn't answer, it is pinged again, and three
 * others are asked to ping it, too; when that brings nothing either, it is suspected.
 *
 * A question that goes through others is passed on from each to the next, where the next one can't reach the member
 * either; the reply comes back the same way. So a pair that can't reach each other needs no more than a path, and where
 * the direct way has once failed the other one is tried first.
 *
 * Source: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
 * Protocol", DSN 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-probes.h"

#include <string.h>

#define PROBE_DIRECT  (400 * GKV_MS)
#define PROBE_REPEAT  (130 * GKV_MS) /* or twice the round trip, where that is longer */
#define PROBE_HELPERS 3

/* A question waits for its reply so long, at each node that it has come through. */
#define RELAY_LASTS (2 * GKV_PROBE_PERIOD)
#define MAX_RELAYS  4096

/* Questions at addresses wait so long for their replies. */
#define QUESTION_LASTS (2 * GKV_PROBE_PERIOD)
#define MAX_QUESTIONS  4096

/* It is passed on so often at the most; where no way to the member is known, and it is passed on at random, less. */
#define MAX_HOPS    64
#define BY_VIA      0x80 /* beside these: the receiver is the one through whom the member can be reached */
#define MAX_GUESSES 4

/* Members that reply only through others are tried at their addresses now and then, each and all of them. */
#define GREET_PERIOD     (60 * GKV_SECOND)
#define GREET_ALL_PERIOD (10 * GKV_SECOND)

/* For so long after the last change dead ones are remembered so often in a period. */
#define REMEMBER_AT_FIRST (60 * GKV_SECOND)
#define REMEMBER_OFTEN    3

/* What it costs to look at a member for updates. */
#define UPDATE_COST 32

/* A question to @subject, of this node or of another. */
typedef struct
{
  guint16 sequence;
  guint16 their_sequence;
  guint32 number; /* the same at all nodes that it comes through */
  gint64 expires;
  GkvMember *subject;
  GkvMember *requester; /* NULL: this node */
} Relay;

/* A question at an address without a link. */
typedef struct
{
  guint64 number; /* the reply echoes it */
  guint64 place;  /* of the member that should be there */
  guint16 relay;  /* the sequence of the relay that it is for; 0: for none */
  gint64 expires;
} Question;

struct _GkvProbes
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvContacts *contacts;
  GkvMembers *members;
  GkvRoster *roster;
  GkvUpdates *updates;
  GkvProbesListener listener;
  gpointer data;
  gint64 due;
  gint64 remember_due;
  gint64 greeted; /* when a member was that replies only through others */
  struct
  {
    GkvMember *member; /* NULL: none under way */
    guint16 sequence;
    gint64 sent;
    gint64 repeat_at;
    gint64 indirect_at;
    gint64 ends;
    gboolean indirect;
    gboolean repeated;
    gboolean relayed; /* it has replied through others */
  } probe;
  guint16 next_sequence;
  GQueue relays;           /* Relay, owned, the oldest first */
  GHashTable *by_sequence; /* sequence → the node of the queue */
  GHashTable *by_number;   /* number → a Relay that has it */
  GQueue questions;        /* Question, owned, the oldest first */
  GHashTable *by_question; /* its number → the node of the queue */
};

GkvProbes *
gkv_probes_new (GkvRuntime *runtime,
                GkvLinks *links,
                GkvContacts *contacts,
                GkvMembers *members,
                GkvRoster *roster,
                GkvUpdates *updates,
                const GkvProbesListener *listener,
                gpointer data)
{
  GkvProbes *self = g_new0 (GkvProbes, 1);

  self->runtime = runtime;
  self->links = links;
  self->contacts = contacts;
  self->members = members;
  self->roster = roster;
  self->updates = updates;
  self->listener = *listener;
  self->data = data;
  self->due = self->remember_due = runtime->now.mono + GKV_PROBE_PERIOD;
  g_queue_init (&self->relays);
  self->by_sequence = g_hash_table_new (NULL, NULL);
  self->by_number = g_hash_table_new (NULL, NULL);
  g_queue_init (&self->questions);
  self->by_question = g_hash_table_new (g_int64_hash, g_int64_equal);
  return self;
}

void
gkv_probes_free (GkvProbes *self)
{
  g_hash_table_unref (self->by_sequence);
  g_hash_table_unref (self->by_number);
  g_queue_clear_full (&self->relays, g_free);
  g_hash_table_unref (self->by_question);
  g_queue_clear_full (&self->questions, g_free);
  g_free (self);
}

guint
gkv_probes_get_n_relays (GkvProbes *self)
{
  return self->relays.length;
}

void
gkv_probes_cancel (GkvProbes *self, const GkvMember *member)
{
  if (member == NULL || self->probe.member == member)
    self->probe.member = NULL;
}

/* Questions that go through others */

static void
remove_relay (GkvProbes *self, GList *l)
{
  Relay *relay = l->data;

  g_hash_table_remove (self->by_sequence, GUINT_TO_POINTER (relay->sequence));
  if (g_hash_table_lookup (self->by_number, GUINT_TO_POINTER (relay->number)) == relay)
    g_hash_table_remove (self->by_number, GUINT_TO_POINTER (relay->number));
  g_queue_delete_link (&self->relays, l);
  g_free (relay);
}

void
gkv_probes_forget_member (GkvProbes *self, const GkvMember *member)
{
  gkv_probes_cancel (self, member);
  for (GList *l = self->relays.head, *next; l != NULL; l = next)
    {
      Relay *relay = l->data;

      next = l->next;
      if (relay->subject == member || relay->requester == member)
        remove_relay (self, l);
    }
}

static void
drop_expired (GkvProbes *self)
{
  while (self->relays.length > 0 &&
         (((Relay *) self->relays.head->data)->expires <= self->runtime->now.mono || self->relays.length >= MAX_RELAYS))
    remove_relay (self, self->relays.head);
}

static Relay *
add_relay (GkvProbes *self, GkvMember *subject, GkvMember *requester, guint32 number)
{
  Relay *relay = g_new0 (Relay, 1);
  GList *l;

  drop_expired (self);
  relay->sequence = ++self->next_sequence;
  l = g_hash_table_lookup (self->by_sequence, GUINT_TO_POINTER (relay->sequence));
  if (l != NULL)
    remove_relay (self, l);
  relay->number = number;
  relay->subject = subject;
  relay->requester = requester;
  relay->expires = self->runtime->now.mono + RELAY_LASTS;
  g_queue_push_tail (&self->relays, relay);
  g_hash_table_insert (self->by_sequence, GUINT_TO_POINTER (relay->sequence), self->relays.tail);
  g_hash_table_insert (self->by_number, GUINT_TO_POINTER (number), relay);
  return relay;
}

static void
send_ping (GkvProbes *self, GkvLink *link, guint16 sequence, gboolean with_summary)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_put_u16 (body, sequence);
  if (with_summary)
    gkv_roster_put_summary (self->roster, body);
  gkv_links_send (self->links, link, GKV_MESSAGE_PING);
}

/* Questions at addresses */

static void
remove_question (GkvProbes *self, GList *l)
{
  g_hash_table_remove (self->by_question, &((Question *) l->data)->number);
  g_free (l->data);
  g_queue_delete_link (&self->questions, l);
}

static void
ask_at_address (GkvProbes *self, GkvMember *member, guint16 relay)
{
  Question *question;

  if (member->profile->address == NULL || gkv_contacts_is_own (self->contacts, member->profile->address))
    return;

  while (self->questions.length > 0 && (((Question *) self->questions.head->data)->expires <= self->runtime->now.mono ||
                                        self->questions.length >= MAX_QUESTIONS))
    remove_question (self, self->questions.head);

  question = g_new0 (Question, 1);
  question->number = (guint64) gkv_runtime_random (self->runtime, G_MAXINT32) << 31 |
                     gkv_runtime_random (self->runtime, G_MAXINT32) | 1;
  question->place = member->profile->place;
  question->relay = relay;
  question->expires = self->runtime->now.mono + QUESTION_LASTS;
  g_queue_push_tail (&self->questions, question);
  g_hash_table_insert (self->by_question, &question->number, self->questions.tail);
  gkv_links_send_question (self->links, member->profile->address, question->number);
}

void
gkv_probes_ask_at_address (GkvProbes *self, GkvMember *member)
{
  ask_at_address (self, member, 0);
}

static void
send_question (GkvProbes *self, GkvMember *helper, const Relay *relay, guint hops)
{
  GByteArray *body = gkv_links_begin_message (self->links);
  gboolean by_via = helper == gkv_member_get_via (relay->subject);

  gkv_put_u16 (body, relay->sequence);
  gkv_put_u8 (body, hops | (by_via ? BY_VIA : 0));
  gkv_put_u32 (body, relay->number);
  gkv_put_string (body, relay->subject->profile->id);
  if (relay->requester == NULL)
    gkv_roster_put_summary (self->roster, body);
  gkv_links_send (self->links, helper->link, GKV_MESSAGE_PROBE);
  if (by_via)
    gkv_member_extra (helper)->last_relayed = self->runtime->now.mono;
}

void
gkv_probes_ask (GkvProbes *self, GkvLink *link)
{
  send_ping (self, link, ++self->next_sequence, FALSE);
}

void
gkv_probes_ask_through (GkvProbes *self, GkvMember *member, guint n_helpers)
{
  GkvMember *via = gkv_member_get_via (member);
  g_autoptr (GPtrArray) helpers = n_helpers > 0 ? gkv_members_pick (self->members, n_helpers, member) : NULL;
  Relay *relay;

  if (via == NULL && (helpers == NULL || helpers->len == 0))
    return;

  relay = add_relay (self, member, NULL, (guint32) gkv_runtime_random (self->runtime, G_MAXINT32));
  if (via != NULL)
    send_question (self, via, relay, MAX_HOPS);
  for (guint i = 0; helpers != NULL && i < helpers->len; i++)
    if (g_ptr_array_index (helpers, i) != via)
      send_question (self, g_ptr_array_index (helpers, i), relay, MAX_HOPS);
}

/* To the member itself where it can be reached, and else to the one through whom it can; at random where nobody is
 * known. */
static void
pass_on (GkvProbes *self, Relay *relay, guint hops)
{
  GkvMember *subject = relay->subject;
  GkvMember *next = gkv_member_get_via (subject);

  if (gkv_member_has_link (subject))
    {
      send_ping (self, subject->link, relay->sequence, FALSE);
      if (!subject->indirect)
        return;
    }
  else if (gkv_member_is_direct (subject))
    {
      ask_at_address (self, subject, relay->sequence);
      return;
    }

  if (hops == 0)
    return;

  if (next == NULL || next == relay->requester)
    {
      g_autoptr (GPtrArray) helpers = gkv_members_pick (self->members, 2, subject);

      next = NULL;
      for (guint i = 0; i < helpers->len; i++)
        if (g_ptr_array_index (helpers, i) != relay->requester)
          next = g_ptr_array_index (helpers, i);
      hops = MIN (hops, MAX_GUESSES);
    }
  if (next != NULL)
    send_question (self, next, relay, hops - 1);
}

static void
send_ack (GkvProbes *self, GkvLink *link, guint16 sequence)
{
  gkv_put_u16 (gkv_links_begin_message (self->links), sequence);
  gkv_links_send (self->links, link, GKV_MESSAGE_ACK);
}

static void
handle_ping (GkvProbes *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);

  if (reader->failed)
    return;

  send_ack (self, link, sequence);
  if (!gkv_links_spend (self->links, (gsize) gkv_members_get_n (self->members) * UPDATE_COST))
    return;

  if (gkv_reader_get_left (reader) > 0)
    gkv_roster_compare (self->roster, link, reader);
  gkv_updates_piggyback (self->updates, link);
}

/* @by: (nullable): the one that the reply comes from; NULL: the subject itself. */
static void
handle_relayed (GkvProbes *self, GkvMember *by, GList *l)
{
  Relay *relay = l->data;
  GkvMember *subject = relay->subject;

  if (relay->requester != NULL && gkv_member_has_link (relay->requester))
    send_ack (self, relay->requester->link, relay->their_sequence);

  remove_relay (self, l);
  if (by == NULL || by == subject)
    return;

  gkv_members_note_heard (self->members, subject, by);
  if (self->probe.member == subject)
    self->probe.relayed = TRUE;
  self->listener.relayed (subject, self->data);
}

static void
handle_ack (GkvProbes *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);
  GkvMember *member = self->probe.member;
  GList *l;

  if (reader->failed)
    return;

  if (member != NULL && sequence == self->probe.sequence && link->member == member)
    {
      self->probe.member = NULL;
      if (!gkv_link_is_current (link))
        return;

      if (member->link == link)
        gkv_members_set_indirect (self->members, member, FALSE);
      /* It can't be known which of several pings got the reply (Karn's rule); nor when, if we slept meanwhile. */
      if (!self->probe.repeated && self->runtime->now.mono < self->probe.ends)
        self->listener.replied (member, self->runtime->now.mono - self->probe.sent, self->data);
      return;
    }

  l = g_hash_table_lookup (self->by_sequence, GUINT_TO_POINTER (sequence));
  if (l != NULL && ((Relay *) l->data)->expires > self->runtime->now.mono)
    handle_relayed (self, link->member, l);
}

static void
note_answered (GkvProbes *self, GkvMember *member)
{
  gkv_members_note_heard (self->members, member, NULL);
  gkv_members_set_indirect (self->members, member, FALSE);
  if (self->probe.member == member)
    {
      self->probe.member = NULL;
      if (!self->probe.repeated && self->runtime->now.mono < self->probe.ends)
        self->listener.replied (member, self->runtime->now.mono - self->probe.sent, self->data);
    }
  self->listener.answered (member, self->data);
}

gboolean
gkv_probes_handle_unproved (GkvProbes *self, const char *address, guint64 number, guint32 run)
{
  GList *l = number != 0 ? g_hash_table_lookup (self->by_question, &number) : NULL;
  GList *relay;
  Question question;
  GkvMember *member;

  if (l == NULL)
    return FALSE;

  question = *(Question *) l->data;
  remove_question (self, l);
  member = gkv_members_find_live (self->members, question.place);
  if (member == NULL || g_strcmp0 (member->profile->address, address) != 0)
    return TRUE;

  if (run != (guint32) member->profile->generation)
    {
      /* Another generation, or another node, is there. */
      gkv_links_open (self->links, address, question.place);
      return TRUE;
    }

  note_answered (self, member);
  relay = question.relay != 0 ? g_hash_table_lookup (self->by_sequence, GUINT_TO_POINTER (question.relay)) : NULL;
  if (relay != NULL && ((Relay *) relay->data)->subject == member)
    handle_relayed (self, NULL, relay);
  return TRUE;
}

static void
handle_probe (GkvProbes *self, GkvLink *link, GkvReader *reader)
{
  guint16 their_sequence = gkv_reader_u16 (reader);
  guint8 hops = gkv_reader_u8 (reader);
  guint32 number = gkv_reader_u32 (reader);
  g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
  GkvMember *member;
  Relay *relay;

  if (reader->failed)
    return;

  if (strcmp (id, self->runtime->id) == 0)
    {
      send_ack (self, link, their_sequence);
      return;
    }

  drop_expired (self);
  if (hops & BY_VIA)
    gkv_member_extra (link->member)->last_relayed = self->runtime->now.mono;
  hops &= ~BY_VIA;
  if (gkv_reader_get_left (reader) > 0 &&
      gkv_links_spend (self->links, (gsize) gkv_members_get_n (self->members) * UPDATE_COST))
    {
      gkv_roster_compare (self->roster, link, reader);
      gkv_updates_piggyback (self->updates, link);
    }

  member = gkv_members_lookup (self->members, id);
  if (member == NULL || member == link->member || g_hash_table_contains (self->by_number, GUINT_TO_POINTER (number)))
    return;

  relay = add_relay (self, member, link->member, number);
  relay->their_sequence = their_sequence;
  pass_on (self, relay, MIN (hops, MAX_HOPS));
}

void
gkv_probes_handle (GkvProbes *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_PING)
    handle_ping (self, link, reader);
  else if (kind == GKV_MESSAGE_ACK)
    handle_ack (self, link, reader);
  else
    handle_probe (self, link, reader);
}

/* Time */

static gint64
get_next_repeat (GkvProbes *self)
{
  return self->runtime->now.mono + MAX (PROBE_REPEAT, 2 * gkv_member_peek (self->probe.member)->round_trip_us);
}

/* One that has replied through others doesn't need to be greeted each time: it is known where it is. */
static void
greet (GkvProbes *self, GkvMember *member)
{
  gint64 last_greeted = gkv_member_peek (member)->last_greeted;

  if (member->profile->address == NULL)
    return;

  if (member->via != NULL && (self->runtime->now.mono - self->greeted < GREET_ALL_PERIOD ||
                              (last_greeted != 0 && self->runtime->now.mono - last_greeted < GREET_PERIOD)))
    return;

  self->greeted = gkv_member_extra (member)->last_greeted = self->runtime->now.mono;
  gkv_contacts_greet (self->contacts, member->profile->address);
}

/* A member that a link is kept to is pinged on that, and one that isn't is asked at its address. */
static void
probe_directly (GkvProbes *self, GkvMember *member, GkvTurn turn)
{
  GkvLink *link =
      turn == GKV_TURN_ANYBODY && !gkv_member_has_link (member) ? NULL : gkv_member_open_link (member, self->links);

  if (link == NULL)
    {
      ask_at_address (self, member, 0);
      return;
    }

  send_ping (self, link, self->probe.sequence, turn == GKV_TURN_FINGER);
  gkv_updates_piggyback (self->updates, link);
  if (turn == GKV_TURN_FINGER && gkv_member_has_link (member))
    self->listener.pinged (member, self->data);
}

static void
begin_probe (GkvProbes *self)
{
  GkvTurn turn;
  GkvMember *member = self->listener.next (&turn, self->data);
  GkvMember *via;

  if (member == NULL)
    return;

  self->runtime->counters.probes++;
  self->probe.member = member;
  self->probe.sequence = ++self->next_sequence;
  self->probe.sent = self->runtime->now.mono;
  self->probe.indirect = FALSE;
  self->probe.repeated = FALSE;
  self->probe.relayed = FALSE;
  self->probe.repeat_at = get_next_repeat (self);
  self->probe.indirect_at = self->runtime->now.mono + PROBE_DIRECT;
  self->probe.ends = self->runtime->now.mono + GKV_PROBE_PERIOD;

  self->listener.begins (member, self->data);
  if (gkv_member_is_direct (member))
    {
      probe_directly (self, member, turn);
      return;
    }

  if (gkv_member_has_link (member))
    send_ping (self, member->link, self->probe.sequence, FALSE);
  else
    greet (self, member);

  via = gkv_member_get_via (member);
  if (via == NULL)
    {
      self->probe.indirect_at = self->runtime->now.mono;
      return;
    }

  gkv_probes_ask_through (self, member, 0);
  gkv_updates_piggyback (self->updates, via->link);
  if (member->link == NULL)
    self->listener.pinged (via, self->data);
}

static void
end_probe (GkvProbes *self)
{
  GkvMember *member = self->probe.member;

  self->probe.member = NULL;
  if (self->probe.relayed)
    {
      gkv_members_set_indirect (self->members, member, TRUE);
      return;
    }

  self->runtime->counters.probes_failed++;
  self->listener.failed (member, self->data);
}

/* Then it is greeted already. */
static gboolean
is_being_opened (GkvProbes *self, const GkvMember *member)
{
  const GkvLink *link = gkv_links_lookup (self->links, member->profile->address);

  return link != NULL && link->opened != 0;
}

static void
repeat_probe (GkvProbes *self)
{
  GkvMember *member = self->probe.member;

  self->probe.repeat_at = get_next_repeat (self);
  if (gkv_member_is_direct (member))
    {
      self->probe.repeated = TRUE;
      if (gkv_member_has_link (member))
        send_ping (self, member->link, self->probe.sequence, FALSE);
      else if (!is_being_opened (self, member))
        ask_at_address (self, member, 0);
    }
  else if (!self->probe.relayed)
    {
      gkv_probes_ask_through (self, member, 1);
    }
}

/* A dead one is remembered, the more seldom the more there are who do: so its address gets few datagrams from all of
 * them together; one a second, and some more at first. */
static void
remember_dead (GkvProbes *self)
{
  gint64 period = self->runtime->now.mono - gkv_members_get_sum_since (self->members) < REMEMBER_AT_FIRST
                      ? GKV_PROBE_PERIOD / REMEMBER_OFTEN
                      : GKV_PROBE_PERIOD;
  guint n_dead = gkv_members_get_n (self->members) - self->runtime->n_alive;

  /* Nothing is waked for nothing. */
  self->remember_due = n_dead > 0 ? self->runtime->now.mono + period : MAX (self->due, self->runtime->now.mono + 1);
  if (n_dead > 0 && gkv_runtime_random (self->runtime, self->runtime->n_alive + 1) < n_dead)
    {
      GkvMember *member = gkv_members_next_dead (self->members);

      if (member != NULL)
        self->listener.remembers (member, self->data);
    }
}

void
gkv_probes_tick (GkvProbes *self)
{
  if (self->probe.member != NULL && self->runtime->now.mono >= self->probe.ends)
    end_probe (self);

  if (self->runtime->now.mono >= self->due)
    {
      /* A little uneven, so that nodes started together don't stay together. */
      self->due = self->runtime->now.mono + GKV_PROBE_PERIOD - GKV_PROBE_PERIOD / 20 +
                  gkv_runtime_random (self->runtime, GKV_PROBE_PERIOD / 10);
      if (self->probe.member == NULL)
        begin_probe (self);
    }
  if (self->runtime->now.mono >= self->remember_due)
    remember_dead (self);

  if (self->probe.member != NULL && self->runtime->now.mono >= self->probe.repeat_at)
    repeat_probe (self);

  if (self->probe.member != NULL && !self->probe.indirect && self->runtime->now.mono >= self->probe.indirect_at)
    {
      self->probe.indirect = TRUE;
      if (!self->probe.relayed)
        gkv_probes_ask_through (self, self->probe.member, PROBE_HELPERS);
    }

  gkv_runtime_wake_at (self->runtime, MIN (self->due, self->remember_due));
  if (self->probe.member != NULL)
    {
      gkv_runtime_wake_at (self->runtime, self->probe.indirect ? self->probe.ends : self->probe.indirect_at);
      gkv_runtime_wake_at (self->runtime, self->probe.repeat_at);
    }
}
