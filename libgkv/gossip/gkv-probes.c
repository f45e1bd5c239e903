/* Probes: pinging members to learn whether they are alive.
 *
 * Each second one member is pinged, in a shuffled round, so that each has its turn; when it doesn't answer, it is
 * pinged again, and three others are asked to ping it, too; when that brings nothing either, it is suspected.
 *
 * Source: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
 * Protocol", DSN 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#define PROBE_PERIOD  GKV_SECOND
#define PROBE_DIRECT  (400 * GKV_MS)
#define PROBE_REPEAT  (130 * GKV_MS) /* or twice the round trip, where that is longer */
#define PROBE_HELPERS 3
#define MAX_RELAYS    1024

/* What it costs to look at a member for news. */
#define NEWS_COST 32

/* A ping sent for another. */
typedef struct
{
  guint16 sequence;
  guint16 their_sequence;
  gint64 expires;
  char *address;
} Relay;

static void
relay_free (Relay *relay)
{
  g_free (relay->address);
  g_free (relay);
}

void
gkv_probes_init (GkvEngine *self)
{
  self->probe_order = g_ptr_array_new ();
  self->probe_due = self->now.mono + PROBE_PERIOD;
  g_queue_init (&self->relays);
}

void
gkv_probes_clear (GkvEngine *self)
{
  g_queue_clear_full (&self->relays, (GDestroyNotify) relay_free);
  g_ptr_array_unref (self->probe_order);
}

void
gkv_probes_cancel (GkvEngine *self, const GkvMember *member)
{
  if (self->probe.member == member)
    self->probe.member = NULL;
}

void
gkv_probes_add (GkvEngine *self, GkvMember *member)
{
  /* Somewhere among those still to be probed in this round. */
  guint place = gkv_engine_random (self, self->probe_order->len - self->probe_next + 1);

  g_ptr_array_insert (self->probe_order, self->probe_next + place, member);
}

void
gkv_probes_remove (GkvEngine *self, GkvMember *member)
{
  guint index;

  gkv_probes_cancel (self, member);
  if (!g_ptr_array_find (self->probe_order, member, &index))
    return;

  g_ptr_array_remove_index (self->probe_order, index);
  if (index < self->probe_next)
    self->probe_next--;
}

static void
send_ping (GkvEngine *self, GkvLink *link, guint16 sequence)
{
  gkv_put_u16 (gkv_engine_begin_message (self), sequence);
  gkv_link_send (self, link, GKV_MESSAGE_PING);
}

void
gkv_probes_ask (GkvEngine *self, GkvLink *link)
{
  send_ping (self, link, ++self->next_sequence);
}

static void
handle_ping (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);

  if (reader->failed)
    return;

  gkv_put_u16 (gkv_engine_begin_message (self), sequence);
  gkv_link_send (self, link, GKV_MESSAGE_ACK);
  if (gkv_engine_spend (self, (gsize) g_hash_table_size (self->members) * NEWS_COST))
    gkv_news_add (self, link);
}

static void
handle_ack (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);
  GkvMember *member = self->probe.member;

  if (member != NULL && sequence == self->probe.sequence)
    {
      self->probe.member = NULL;
      /* Which of several pings was answered can't be told (Karn's rule); nor when, if we slept meanwhile. */
      if (link->member == member && link->life == member->life && !self->probe.repeated &&
          self->now.mono < self->probe.ends)
        gkv_members_answered (self, member, self->now.mono - self->probe.sent);
      return;
    }

  for (GList *l = self->relays.head; l != NULL; l = l->next)
    {
      Relay *relay = l->data;
      GkvLink *requester;

      if (relay->sequence != sequence)
        continue;

      requester = gkv_links_lookup (self, relay->address);
      if (requester != NULL && gkv_link_is_usable (requester))
        {
          gkv_put_u16 (gkv_engine_begin_message (self), relay->their_sequence);
          gkv_link_send (self, requester, GKV_MESSAGE_ACK);
        }
      relay_free (relay);
      g_queue_delete_link (&self->relays, l);
      return;
    }
}

static void
handle_probe (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  guint16 their_sequence = gkv_reader_u16 (reader);
  g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
  GkvMember *member = id != NULL ? g_hash_table_lookup (self->members, id) : NULL;
  Relay *relay;

  while (self->relays.length > 0)
    {
      relay = g_queue_peek_head (&self->relays);
      if (relay->expires > self->now.mono && self->relays.length < MAX_RELAYS)
        break;
      relay_free (g_queue_pop_head (&self->relays));
    }

  if (member == NULL || member->link == NULL || !gkv_link_is_usable (member->link))
    return;

  relay = g_new0 (Relay, 1);
  relay->sequence = ++self->next_sequence;
  relay->their_sequence = their_sequence;
  relay->expires = self->now.mono + 2 * PROBE_PERIOD;
  relay->address = g_strdup (link->address);
  g_queue_push_tail (&self->relays, relay);
  send_ping (self, member->link, relay->sequence);
}

void
gkv_probes_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_PING)
    handle_ping (self, link, reader);
  else if (kind == GKV_MESSAGE_ACK)
    handle_ack (self, link, reader);
  else
    handle_probe (self, link, reader);
}

/* Time */

static void
probe_indirectly (GkvEngine *self)
{
  g_autoptr (GPtrArray) helpers = gkv_members_pick (self, PROBE_HELPERS, self->probe.member);

  self->probe.indirect = TRUE;
  for (guint i = 0; i < helpers->len; i++)
    {
      GkvMember *helper = g_ptr_array_index (helpers, i);
      GByteArray *body = gkv_engine_begin_message (self);

      gkv_put_u16 (body, self->probe.sequence);
      gkv_put_string (body, self->probe.member->id);
      gkv_link_send (self, helper->link, GKV_MESSAGE_PROBE);
    }
}

static gint64
get_next_repeat (GkvEngine *self)
{
  return self->now.mono + MAX (PROBE_REPEAT, 2 * self->probe.member->round_trip_us);
}

static GkvMember *
get_next_to_probe (GkvEngine *self)
{
  for (guint n = 0; n <= self->probe_order->len; n++)
    {
      GkvMember *member;

      if (self->probe_next >= self->probe_order->len)
        {
          self->probe_next = 0;
          for (guint i = self->probe_order->len; i > 1; i--)
            {
              guint j = gkv_engine_random (self, i);
              gpointer swap = self->probe_order->pdata[i - 1];

              self->probe_order->pdata[i - 1] = self->probe_order->pdata[j];
              self->probe_order->pdata[j] = swap;
            }
          if (self->probe_order->len == 0)
            return NULL;
        }

      member = g_ptr_array_index (self->probe_order, self->probe_next++);
      if (gkv_member_is_live (member))
        return member;
    }

  return NULL;
}

static void
begin_probe (GkvEngine *self)
{
  GkvMember *member = get_next_to_probe (self);

  if (member == NULL)
    return;

  self->counters.probes++;
  self->probe.member = member;
  self->probe.sequence = ++self->next_sequence;
  self->probe.sent = self->now.mono;
  self->probe.indirect = FALSE;
  self->probe.repeated = FALSE;
  self->probe.repeat_at = get_next_repeat (self);
  self->probe.indirect_at = self->now.mono + PROBE_DIRECT;
  self->probe.ends = self->now.mono + PROBE_PERIOD;

  gkv_members_check_address (self, member);
  if (member->link != NULL && gkv_link_is_usable (member->link))
    {
      send_ping (self, member->link, self->probe.sequence);
      gkv_news_add (self, member->link);

      /* The question whether we differ rides along when it is due; but where something is missing, several are asked,
       * not this one alone. */
      if (!self->hastened && self->gossip_due <= self->now.mono + PROBE_PERIOD / 2 &&
          self->gossip_interval >= PROBE_PERIOD)
        {
          self->gossip_due = self->now.mono + self->gossip_interval;
          gkv_exchange_begin (self, member->link);
        }
    }
  else
    {
      if (member->address != NULL)
        {
          gkv_contacts_add (self, member->address, FALSE);
          gkv_contacts_hasten (self, member->address);
        }
      self->probe.indirect_at = self->now.mono;
    }
}

void
gkv_probes_tick (GkvEngine *self)
{
  if (self->probe.member != NULL && self->now.mono >= self->probe.ends)
    {
      GkvMember *failed = self->probe.member;

      self->counters.probes_failed++;
      self->probe.member = NULL;
      gkv_members_suspect (self, failed);
    }

  if (self->now.mono >= self->probe_due)
    {
      /* A little uneven, so that nodes started together don't stay together. */
      self->probe_due = self->now.mono + PROBE_PERIOD - PROBE_PERIOD / 20 + gkv_engine_random (self, PROBE_PERIOD / 10);
      if (self->probe.member == NULL)
        begin_probe (self);
    }

  if (self->probe.member != NULL && self->now.mono >= self->probe.repeat_at)
    {
      self->probe.repeat_at = get_next_repeat (self);
      self->probe.repeated = TRUE;
      if (self->probe.member->link != NULL && gkv_link_is_usable (self->probe.member->link))
        send_ping (self, self->probe.member->link, self->probe.sequence);
    }

  if (self->probe.member != NULL && !self->probe.indirect && self->now.mono >= self->probe.indirect_at)
    probe_indirectly (self);

  gkv_engine_wake_at (self, self->probe_due);
  if (self->probe.member != NULL)
    {
      gkv_engine_wake_at (self, self->probe.indirect ? self->probe.ends : self->probe.indirect_at);
      gkv_engine_wake_at (self, self->probe.repeat_at);
    }
}
