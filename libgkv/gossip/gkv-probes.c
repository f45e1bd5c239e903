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

#include "gkv-probes.h"

#define PROBE_DIRECT  (400 * GKV_MS)
#define PROBE_REPEAT  (130 * GKV_MS) /* or twice the round trip, where that is longer */
#define PROBE_HELPERS 3
#define MAX_RELAYS    1024

/* What it costs to look at a member for updates. */
#define UPDATE_COST 32

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

struct _GkvProbes
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvContacts *contacts;
  GkvMembers *members;
  GkvUpdates *updates;
  GkvProbesListener listener;
  gpointer data;
  gint64 due;
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
  } probe;
  guint16 next_sequence;
  GQueue relays;
};

GkvProbes *
gkv_probes_new (GkvRuntime *runtime,
                GkvLinks *links,
                GkvContacts *contacts,
                GkvMembers *members,
                GkvUpdates *updates,
                const GkvProbesListener *listener,
                gpointer data)
{
  GkvProbes *self = g_new0 (GkvProbes, 1);

  self->runtime = runtime;
  self->links = links;
  self->contacts = contacts;
  self->members = members;
  self->updates = updates;
  self->listener = *listener;
  self->data = data;
  self->due = runtime->now.mono + GKV_PROBE_PERIOD;
  g_queue_init (&self->relays);
  return self;
}

void
gkv_probes_free (GkvProbes *self)
{
  g_queue_clear_full (&self->relays, (GDestroyNotify) relay_free);
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

static void
send_ping (GkvProbes *self, GkvLink *link, guint16 sequence)
{
  gkv_put_u16 (gkv_links_begin_message (self->links), sequence);
  gkv_links_send (self->links, link, GKV_MESSAGE_PING);
}

void
gkv_probes_ask (GkvProbes *self, GkvLink *link)
{
  send_ping (self, link, ++self->next_sequence);
}

static void
handle_ping (GkvProbes *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);

  if (reader->failed)
    return;

  gkv_put_u16 (gkv_links_begin_message (self->links), sequence);
  gkv_links_send (self->links, link, GKV_MESSAGE_ACK);
  if (gkv_links_spend (self->links, (gsize) gkv_members_get_n (self->members) * UPDATE_COST))
    gkv_updates_piggyback (self->updates, link);
}

static void
handle_ack (GkvProbes *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);
  GkvMember *member = self->probe.member;

  if (member != NULL && sequence == self->probe.sequence)
    {
      self->probe.member = NULL;
      /* It can't be known which of several pings got the reply (Karn's rule); nor when, if we slept meanwhile. */
      if (link->member == member && gkv_link_is_current (link) && !self->probe.repeated &&
          self->runtime->now.mono < self->probe.ends)
        self->listener.replied (member, self->runtime->now.mono - self->probe.sent, self->data);
      return;
    }

  for (GList *l = self->relays.head; l != NULL; l = l->next)
    {
      Relay *relay = l->data;
      GkvLink *requester;

      if (relay->sequence != sequence)
        continue;

      requester = gkv_links_lookup (self->links, relay->address);
      if (requester != NULL && gkv_link_is_usable (requester))
        {
          gkv_put_u16 (gkv_links_begin_message (self->links), relay->their_sequence);
          gkv_links_send (self->links, requester, GKV_MESSAGE_ACK);
        }
      relay_free (relay);
      g_queue_delete_link (&self->relays, l);
      return;
    }
}

static void
handle_probe (GkvProbes *self, GkvLink *link, GkvReader *reader)
{
  guint16 their_sequence = gkv_reader_u16 (reader);
  g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
  GkvMember *member = id != NULL ? gkv_members_lookup (self->members, id) : NULL;
  Relay *relay;

  while (self->relays.length > 0)
    {
      relay = g_queue_peek_head (&self->relays);
      if (relay->expires > self->runtime->now.mono && self->relays.length < MAX_RELAYS)
        break;
      relay_free (g_queue_pop_head (&self->relays));
    }

  if (member == NULL || member->link == NULL || !gkv_link_is_usable (member->link))
    return;

  relay = g_new0 (Relay, 1);
  relay->sequence = ++self->next_sequence;
  relay->their_sequence = their_sequence;
  relay->expires = self->runtime->now.mono + 2 * GKV_PROBE_PERIOD;
  relay->address = g_strdup (link->address);
  g_queue_push_tail (&self->relays, relay);
  send_ping (self, member->link, relay->sequence);
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

static void
probe_indirectly (GkvProbes *self)
{
  g_autoptr (GPtrArray) helpers = gkv_members_pick (self->members, PROBE_HELPERS, self->probe.member);

  self->probe.indirect = TRUE;
  for (guint i = 0; i < helpers->len; i++)
    {
      GkvMember *helper = g_ptr_array_index (helpers, i);
      GByteArray *body = gkv_links_begin_message (self->links);

      gkv_put_u16 (body, self->probe.sequence);
      gkv_put_string (body, self->probe.member->id);
      gkv_links_send (self->links, helper->link, GKV_MESSAGE_PROBE);
    }
}

static gint64
get_next_repeat (GkvProbes *self)
{
  return self->runtime->now.mono + MAX (PROBE_REPEAT, 2 * self->probe.member->round_trip_us);
}

static void
begin_probe (GkvProbes *self)
{
  GkvMember *member = gkv_members_next (self->members);

  if (member == NULL)
    return;

  self->runtime->counters.probes++;
  self->probe.member = member;
  self->probe.sequence = ++self->next_sequence;
  self->probe.sent = self->runtime->now.mono;
  self->probe.indirect = FALSE;
  self->probe.repeated = FALSE;
  self->probe.repeat_at = get_next_repeat (self);
  self->probe.indirect_at = self->runtime->now.mono + PROBE_DIRECT;
  self->probe.ends = self->runtime->now.mono + GKV_PROBE_PERIOD;

  self->listener.begins (member, self->data);
  if (member->link != NULL && gkv_link_is_usable (member->link))
    {
      send_ping (self, member->link, self->probe.sequence);
      gkv_updates_piggyback (self->updates, member->link);
      self->listener.pinged (member, self->data);
    }
  else
    {
      if (member->address != NULL)
        {
          gkv_contacts_add (self->contacts, member->address, FALSE);
          gkv_contacts_hasten (self->contacts, member->address);
        }
      self->probe.indirect_at = self->runtime->now.mono;
    }
}

void
gkv_probes_tick (GkvProbes *self)
{
  if (self->probe.member != NULL && self->runtime->now.mono >= self->probe.ends)
    {
      GkvMember *failed = self->probe.member;

      self->runtime->counters.probes_failed++;
      self->probe.member = NULL;
      self->listener.failed (failed, self->data);
    }

  if (self->runtime->now.mono >= self->due)
    {
      /* A little uneven, so that nodes started together don't stay together. */
      self->due = self->runtime->now.mono + GKV_PROBE_PERIOD - GKV_PROBE_PERIOD / 20 +
                  gkv_runtime_random (self->runtime, GKV_PROBE_PERIOD / 10);
      if (self->probe.member == NULL)
        begin_probe (self);
    }

  if (self->probe.member != NULL && self->runtime->now.mono >= self->probe.repeat_at)
    {
      self->probe.repeat_at = get_next_repeat (self);
      self->probe.repeated = TRUE;
      if (self->probe.member->link != NULL && gkv_link_is_usable (self->probe.member->link))
        send_ping (self, self->probe.member->link, self->probe.sequence);
    }

  if (self->probe.member != NULL && !self->probe.indirect && self->runtime->now.mono >= self->probe.indirect_at)
    probe_indirectly (self);

  gkv_runtime_wake_at (self->runtime, self->due);
  if (self->probe.member != NULL)
    {
      gkv_runtime_wake_at (self->runtime, self->probe.indirect ? self->probe.ends : self->probe.indirect_at);
      gkv_runtime_wake_at (self->runtime, self->probe.repeat_at);
    }
}
