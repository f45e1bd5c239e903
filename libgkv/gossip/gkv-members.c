/* Members: who lives, by probing and by hearsay.
 *
 * Each second one member is probed: directly, then through three others, then it is suspected; a suspect that doesn't
 * refute in time is dead. News of members ride on probes, and the member itself overrules them by a higher
 * incarnation. A later life of a node overrules all that was said of an earlier one.
 *
 * Source: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
 * Protocol", DSN 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include "../gkv-error.h"

#include <math.h>
#include <string.h>

#define PROBE_PERIOD  GKV_SECOND
#define PROBE_DIRECT  (400 * GKV_MS)
#define PROBE_HELPERS 3

/* A suspicion lasts this long, times the decimal logarithm of the number of nodes where that is over 1. */
#define SUSPICION (2 * GKV_SECOND)

/* The dead are remembered, and tried now and then, for a day; those that left, for as long as gossip may still echo. */
#define FORGET_DEAD   (24 * 60 * 60 * GKV_SECOND)
#define FORGET_LEFT   (10 * 60 * GKV_SECOND)
#define FORGET_PERIOD (60 * GKV_SECOND)

/* A member is told at most so often that it is thought to be dead, or that another has its id. */
#define TELL_PERIOD      GKV_SECOND
#define DUPLICATE_PERIOD (60 * GKV_SECOND)

#define MAX_MEMBERS       16384
#define MAX_INTRODUCTIONS 256
#define MAX_GOSSIP        8
#define MAX_RELAYS        1024

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

static void
member_free (GkvMember *member)
{
  g_free (member->id);
  g_free (member->address);
  g_free (member);
}

void
gkv_members_init (GkvEngine *self)
{
  self->members = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) member_free);
  self->probe_order = g_ptr_array_new ();
  self->probe_due = self->now.mono + PROBE_PERIOD;
  self->forget_due = self->now.mono + FORGET_PERIOD;
  g_queue_init (&self->relays);
}

void
gkv_members_clear (GkvEngine *self)
{
  g_queue_clear_full (&self->relays, (GDestroyNotify) relay_free);
  g_ptr_array_unref (self->probe_order);
  g_hash_table_unref (self->members);
}

gboolean
gkv_member_is_live (const GkvMember *member)
{
  return member->status == GKV_PEER_ALIVE || member->status == GKV_PEER_SUSPECT;
}

static void
add_event (GkvEngine *self, GkvEventKind kind, const GkvMember *member)
{
  GkvPeerInfo *info = g_new0 (GkvPeerInfo, 1);

  info->node_id = g_strdup (member->id);
  info->address = g_strdup (member->address);
  info->status = member->status;
  info->round_trip_us = member->round_trip_us;
  info->last_seen_wall = member->last_seen_wall;
  gkv_engine_add_event (self, kind)->peer = info;
}

/* So often are news passed on that they reach everybody with high probability. */
static guint
get_n_retransmits (GkvEngine *self)
{
  return 3 * (guint) ceil (log2 (self->n_alive + 2));
}

static void
spread (GkvEngine *self, GkvMember *member)
{
  member->n_gossip = get_n_retransmits (self);
}

static void
count (GkvEngine *self, const GkvMember *member, int by)
{
  if (gkv_member_is_live (member))
    self->n_alive += by;
  if (member->status == GKV_PEER_SUSPECT)
    self->n_suspect += by;
}

static void
member_lost (GkvEngine *self, GkvMember *member)
{
  member->matched = FALSE;
  if (self->probe.member == member)
    self->probe.member = NULL;
  if (member->link != NULL)
    gkv_exchange_free (self, member->link);

  if (member->status == GKV_PEER_LEFT)
    gkv_links_drop_hearsay (self, member->address);
  else if (member->address != NULL)
    gkv_links_add_contact (self, member->address, FALSE);
}

static void
set_status (GkvEngine *self, GkvMember *member, GkvPeerStatus status)
{
  gboolean was_live = gkv_member_is_live (member);

  if (member->status == status)
    return;

  count (self, member, -1);
  member->status = status;
  count (self, member, 1);
  member->status_since = self->now.mono;
  spread (self, member);

  if (was_live && !gkv_member_is_live (member))
    member_lost (self, member);

  if (!member->hidden)
    add_event (self, GKV_EVENT_PEER_CHANGED, member);
  else if (gkv_member_is_live (member))
    {
      member->hidden = FALSE;
      add_event (self, GKV_EVENT_PEER_ADDED, member);
    }

  if (status == GKV_PEER_LEFT && !member->hidden)
    {
      member->hidden = TRUE;
      add_event (self, GKV_EVENT_PEER_REMOVED, member);
    }

  gkv_engine_wake_at (self, self->now.mono);
}

static GkvMember *
add_member (GkvEngine *self, const char *id, guint64 life, guint32 incarnation, const char *address)
{
  GkvMember *member;

  if (g_hash_table_size (self->members) >= MAX_MEMBERS)
    return NULL;

  member = g_new0 (GkvMember, 1);
  member->id = g_strdup (id);
  member->life = life;
  member->incarnation = incarnation;
  member->address = g_strdup (address);
  member->life_since = member->status_since = member->last_seen = self->now.mono;
  member->last_seen_wall = self->now.wall;
  member->round_trip_us = -1;
  g_hash_table_insert (self->members, member->id, member);
  count (self, member, 1);
  spread (self, member);

  /* Somewhere among those still to be probed in this round. */
  g_ptr_array_insert (self->probe_order,
                      self->probe_next + gkv_engine_random (self, self->probe_order->len - self->probe_next + 1),
                      member);

  add_event (self, GKV_EVENT_PEER_ADDED, member);
  gkv_engine_wake_at (self, self->now.mono);
  return member;
}

static void
remove_member (GkvEngine *self, GkvMember *member)
{
  GHashTableIter iter;
  GkvLink *link;
  guint index;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    if (link->member == member)
      {
        gkv_exchange_free (self, link);
        link->member = NULL;
      }

  if (g_ptr_array_find (self->probe_order, member, &index))
    {
      g_ptr_array_remove_index (self->probe_order, index);
      if (index < self->probe_next)
        self->probe_next--;
    }
  if (self->probe.member == member)
    self->probe.member = NULL;

  gkv_links_drop_hearsay (self, member->address);
  if (!member->hidden)
    add_event (self, GKV_EVENT_PEER_REMOVED, member);
  count (self, member, -1);
  g_hash_table_remove (self->members, member->id);
}

static void
set_address (GkvEngine *self, GkvMember *member, const char *address)
{
  if (g_strcmp0 (member->address, address) == 0)
    return;

  gkv_links_drop_hearsay (self, member->address);
  g_free (member->address);
  member->address = g_strdup (address);
}

/* A later life than the one that we knew: a restart, here or elsewhere. */
static void
begin_life (GkvEngine *self, GkvMember *member, guint64 life, guint32 incarnation)
{
  member->life = life;
  member->life_since = self->now.mono;
  member->incarnation = incarnation;
  member->matched = FALSE;
  member->confirmed = 0;
  member->clock_reported = FALSE;
  member->round_trip_us = -1;
  if (member->link != NULL && member->link->life != life)
    {
      gkv_exchange_free (self, member->link);
      member->link = NULL;
    }
  spread (self, member);
}

void
gkv_members_forget_link (GkvEngine *self, GkvLink *link)
{
  if (link->member != NULL && link->member->link == link)
    link->member->link = NULL;
  link->member = NULL;
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

gboolean
gkv_members_identify (
    GkvEngine *self, GkvLink *link, const char *id, guint64 life, guint32 incarnation, const char *advertise)
{
  const char *address = *advertise != '\0' ? advertise : link->address;
  GkvMember *member = g_hash_table_lookup (self->members, id);

  if (member == NULL)
    {
      member = add_member (self, id, life, incarnation, address);
      if (member == NULL)
        return FALSE;
    }

  if (link->member != member || link->life != life)
    {
      gkv_exchange_free (self, link);
      gkv_members_forget_link (self, link);
      link->introduced = FALSE;
      link->n_repeats = 0;
    }
  link->member = member;
  link->life = life;

  if (life < member->life && gkv_member_is_live (member))
    {
      if (member->link != NULL && member->link != link && self->now.mono - member->link->last_heard < 3 * PROBE_PERIOD)
        tell_duplicate (self, member, link);
      return TRUE;
    }

  if (life != member->life)
    begin_life (self, member, life, incarnation);
  else
    member->incarnation = MAX (member->incarnation, incarnation);

  /* One that works is kept: a node may be seen at several addresses. */
  if (member->link == NULL || member->link->life != life || !gkv_link_is_usable (member->link) ||
      self->now.mono - member->link->last_heard > 3 * PROBE_PERIOD)
    {
      member->link = link;
      set_address (self, member, address);
    }

  if (!gkv_member_is_live (member))
    set_status (self, member, GKV_PEER_ALIVE);
  return TRUE;
}

static void
put_member (GByteArray *body, const GkvMember *member)
{
  gkv_put_u8 (body, member->status);
  gkv_put_u64 (body, member->life);
  gkv_put_varint (body, member->incarnation);
  gkv_put_string (body, member->id);
  gkv_put_string (body, member->address != NULL ? member->address : "");
}

static void
put_self (GkvEngine *self, GByteArray *body, GkvPeerStatus status)
{
  gkv_put_u8 (body, status);
  gkv_put_u64 (body, self->life);
  gkv_put_varint (body, self->incarnation);
  gkv_put_string (body, self->id);
  gkv_put_string (body, self->advertise != NULL ? self->advertise : "");
}

#define MAX_MEMBER_SIZE (1 + 8 + 5 + 2 + GKV_WIRE_MAX_ID + 2 + GKV_WIRE_MAX_ADDRESS)

void
gkv_members_introduce (GkvEngine *self, GkvLink *link)
{
  GHashTableIter iter;
  GkvMember *member;
  GByteArray *body;
  guint n = 0;

  if (link->introduced)
    return;
  link->introduced = TRUE;

  body = gkv_engine_begin_message (self);
  g_hash_table_iter_init (&iter, self->members);
  while (n < MAX_INTRODUCTIONS && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      if (member == link->member || !gkv_member_is_live (member) || member->address == NULL)
        continue;

      put_member (body, member);
      n++;
      if (body->len + MAX_MEMBER_SIZE > gkv_engine_get_max_body (self))
        {
          gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
          body = gkv_engine_begin_message (self);
        }
    }
  if (body->len > 0)
    gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);

  /* Both are new to each other; one of them asks what differs. */
  if (strcmp (self->id, link->member->id) < 0)
    gkv_exchange_begin (self, link);
}

/* News that ride on a probe; what @about the receiver itself is said first, so that it can refute. */
static void
add_gossip (GkvEngine *self, GkvLink *link)
{
  GByteArray *body = gkv_engine_begin_message (self);
  GHashTableIter iter;
  GkvMember *member;
  guint n = 0;

  if (link->member != NULL && link->member->status != GKV_PEER_ALIVE && link->life == link->member->life)
    {
      put_member (body, link->member);
      n++;
    }

  if (self->n_gossip > 0)
    {
      self->n_gossip--;
      put_self (self, body, GKV_PEER_ALIVE);
      n++;
    }

  g_hash_table_iter_init (&iter, self->members);
  while (n < MAX_GOSSIP && body->len + MAX_MEMBER_SIZE < gkv_engine_get_max_body (self) / 2 &&
         g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      if (member->n_gossip == 0 || member == link->member)
        continue;

      member->n_gossip--;
      put_member (body, member);
      n++;
    }

  if (n > 0)
    gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_members_heard (GkvEngine *self, GkvLink *link)
{
  GkvMember *member = link->member;

  if (link->life != member->life)
    {
      /* An earlier life that goes on speaking is no restart: two nodes have this id. */
      if (member->link != NULL && member->link != link && gkv_member_is_live (member) &&
          self->now.mono - member->life_since > 3 * PROBE_PERIOD &&
          self->now.mono - member->link->last_heard < 3 * PROBE_PERIOD)
        tell_duplicate (self, member, link);
      return;
    }

  member->last_seen = self->now.mono;
  member->last_seen_wall = self->now.wall;

  if ((member->status == GKV_PEER_SUSPECT || member->status == GKV_PEER_DEAD) && gkv_link_is_usable (link) &&
      self->now.mono - member->last_told >= TELL_PERIOD)
    {
      member->last_told = self->now.mono;
      put_member (gkv_engine_begin_message (self), member);
      gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
    }
}

void
gkv_members_leave (GkvEngine *self)
{
  GHashTableIter iter;
  GkvLink *link;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    {
      if (link->member == NULL || !gkv_link_is_usable (link))
        continue;

      put_self (self, gkv_engine_begin_message (self), GKV_PEER_LEFT);
      gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
    }
}

/* Hearsay */

static void
hear_of_self (GkvEngine *self, GkvLink *link, guint64 life, guint32 incarnation, GkvPeerStatus status)
{
  if (life != self->life || status == GKV_PEER_ALIVE || incarnation < self->incarnation || self->leaving)
    return;

  self->incarnation = incarnation + 1;
  self->n_gossip = get_n_retransmits (self);
  put_self (self, gkv_engine_begin_message (self), GKV_PEER_ALIVE);
  gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
}

static void
hear_of_member (GkvEngine *self,
                GkvLink *link,
                const char *id,
                guint64 life,
                guint32 incarnation,
                GkvPeerStatus status,
                const char *address)
{
  static const guint rank[] = {
    [GKV_PEER_ALIVE] = 0, [GKV_PEER_SUSPECT] = 1, [GKV_PEER_DEAD] = 2, [GKV_PEER_LEFT] = 3
  };
  GkvMember *member = g_hash_table_lookup (self->members, id);

  /* A node that tells of itself may not know where it is seen. */
  if (*address == '\0' && link->member == member)
    address = link->address;

  if (member == NULL)
    {
      if (status == GKV_PEER_DEAD || status == GKV_PEER_LEFT || *address == '\0')
        return;

      member = add_member (self, id, life, incarnation, address);
      if (member != NULL)
        gkv_links_add_contact (self, address, FALSE);
      return;
    }

  if (life < member->life ||
      (life == member->life && (incarnation < member->incarnation ||
                                (incarnation == member->incarnation && rank[status] <= rank[member->status]))))
    return;

  if (life > member->life)
    begin_life (self, member, life, incarnation);
  else if (incarnation > member->incarnation)
    {
      member->incarnation = incarnation;
      spread (self, member);
    }

  if (member->link == NULL && *address != '\0')
    {
      set_address (self, member, address);
      if (status == GKV_PEER_ALIVE || status == GKV_PEER_SUSPECT)
        gkv_links_add_contact (self, address, FALSE);
    }

  set_status (self, member, status);
}

static void
handle_members (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  while (gkv_reader_get_left (reader) > 0)
    {
      guint8 status = gkv_reader_u8 (reader);
      guint64 life = gkv_reader_u64 (reader);
      guint32 incarnation = gkv_reader_varint (reader);
      g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
      g_autofree char *address = gkv_reader_string (reader, GKV_WIRE_MAX_ADDRESS);

      if (reader->failed || status > GKV_PEER_DEAD || *id == '\0')
        return;

      if (strcmp (id, self->id) == 0)
        hear_of_self (self, link, life, incarnation, status);
      else
        hear_of_member (self, link, id, life, incarnation, status, address);
    }
}

/* Probing */

static void
send_ping (GkvEngine *self, GkvLink *link, guint16 sequence)
{
  gkv_put_u16 (gkv_engine_begin_message (self), sequence);
  gkv_link_send (self, link, GKV_MESSAGE_PING);
}

static void
handle_ping (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);

  if (reader->failed)
    return;

  gkv_put_u16 (gkv_engine_begin_message (self), sequence);
  gkv_link_send (self, link, GKV_MESSAGE_ACK);
  add_gossip (self, link);
}

static void
handle_ack (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  guint16 sequence = gkv_reader_u16 (reader);
  GkvMember *member = self->probe.member;

  if (member != NULL && sequence == self->probe.sequence)
    {
      self->probe.member = NULL;
      if (link->member == member && link->life == member->life)
        {
          gint64 round_trip = self->now.mono - self->probe.sent;

          member->round_trip_us = member->round_trip_us < 0 ? round_trip : (7 * member->round_trip_us + round_trip) / 8;
          member->last_seen_wall = self->now.wall;
          if (!member->hidden)
            add_event (self, GKV_EVENT_PEER_CHANGED, member);
        }
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
gkv_members_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_MEMBERS)
    handle_members (self, link, reader);
  else if (kind == GKV_MESSAGE_PING)
    handle_ping (self, link, reader);
  else if (kind == GKV_MESSAGE_ACK)
    handle_ack (self, link, reader);
  else
    handle_probe (self, link, reader);
}

GPtrArray *
gkv_members_pick (GkvEngine *self, guint max, const GkvMember *except)
{
  GPtrArray *picked = g_ptr_array_new ();
  GHashTableIter iter;
  GkvMember *member;

  g_hash_table_iter_init (&iter, self->members);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    if (member != except && gkv_member_is_live (member) && member->link != NULL && gkv_link_is_usable (member->link))
      g_ptr_array_add (picked, member);

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
  self->probe.indirect_at = self->now.mono + PROBE_DIRECT;
  self->probe.ends = self->now.mono + PROBE_PERIOD;

  if (member->link != NULL && gkv_link_is_usable (member->link))
    {
      send_ping (self, member->link, self->probe.sequence);
      add_gossip (self, member->link);

      /* The question whether we differ rides along when it is due. */
      if (self->gossip_due <= self->now.mono + PROBE_PERIOD / 2 && self->gossip_interval >= PROBE_PERIOD)
        {
          self->gossip_due = self->now.mono + self->gossip_interval;
          gkv_exchange_begin (self, member->link);
        }
    }
  else
    {
      if (member->address != NULL)
        gkv_links_add_contact (self, member->address, FALSE);
      self->probe.indirect_at = self->now.mono;
    }
}

static void
tick_probe (GkvEngine *self)
{
  if (self->probe.member != NULL && self->now.mono >= self->probe.ends)
    {
      GkvMember *failed = self->probe.member;

      self->counters.probes_failed++;
      self->probe.member = NULL;
      if (failed->status == GKV_PEER_ALIVE)
        set_status (self, failed, GKV_PEER_SUSPECT);
    }

  if (self->now.mono >= self->probe_due)
    {
      /* A little uneven, so that nodes started together don't stay together. */
      self->probe_due = self->now.mono + PROBE_PERIOD - PROBE_PERIOD / 20 + gkv_engine_random (self, PROBE_PERIOD / 10);
      if (self->probe.member == NULL)
        begin_probe (self);
    }

  if (self->probe.member != NULL && !self->probe.indirect && self->now.mono >= self->probe.indirect_at)
    probe_indirectly (self);

  gkv_engine_wake_at (self, self->probe_due);
  if (self->probe.member != NULL)
    gkv_engine_wake_at (self, self->probe.indirect ? self->probe.ends : self->probe.indirect_at);
}

static gint64
get_suspicion (GkvEngine *self)
{
  return (gint64) (SUSPICION * MAX (1.0, log10 (self->n_alive + 1)));
}

static void
tick_suspects (GkvEngine *self)
{
  gint64 suspicion = get_suspicion (self);
  GHashTableIter iter;
  GkvMember *member;

  if (self->n_suspect == 0)
    return;

  g_hash_table_iter_init (&iter, self->members);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      if (member->status != GKV_PEER_SUSPECT)
        continue;

      if (self->now.mono - member->status_since >= suspicion)
        set_status (self, member, GKV_PEER_DEAD);
      else
        gkv_engine_wake_at (self, member->status_since + suspicion);
    }
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
      while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
        if (!gkv_member_is_live (member) &&
            self->now.mono - member->status_since >= (member->status == GKV_PEER_LEFT ? FORGET_LEFT : FORGET_DEAD))
          g_ptr_array_add (forgotten, member);

      for (guint i = 0; i < forgotten->len; i++)
        remove_member (self, g_ptr_array_index (forgotten, i));
    }

  gkv_engine_wake_at (self, self->forget_due);
}

void
gkv_members_tick (GkvEngine *self)
{
  tick_suspects (self);
  tick_probe (self);
  tick_forget (self);
}
