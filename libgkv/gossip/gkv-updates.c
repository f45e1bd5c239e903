/* Membership updates: which peers receive them, how often, and in which order.
 *
 * They ride on probes, the least sent first and of these the newest, until each has been sent often enough to reach
 * everybody. What can't wait for that, a suspicion and the answer to it before all, is sent on at once as well, by
 * everybody to whom it is new. A node that is new is sent some of those that live, and one that turns out to know
 * others than we do is sent more of them.
 *
 * Source: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
 * Protocol", DSN 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-updates.h"

#include <math.h>

/* Updates in one datagram. */
#define MAX_PIGGYBACKED 8

/* One is piggybacked so often at the most: for 16,384 members and more. */
#define MAX_RETRANSMITS 48

#define MAX_MEMBER_SIZE (2 + 1 + 8 + 2 + GKV_PROOF_SIZE + 2 + GKV_WIRE_MAX_ID + 2 + GKV_WIRE_MAX_ADDRESS)

/* After that they are new to nobody, however seldom they were sent: those of a thousand that came at once would hold
 * up others for half an hour. */
#define UPDATE_LASTS (30 * GKV_SECOND)

/* A node that is new to us is sent as many members as it knows fewer than we do, but so many at least and at most. */
#define MIN_INTRODUCTIONS 8
#define MAX_INTRODUCTIONS 64

/* Where there are no more members than that, each is sent at once what can't wait; else so many of them, by chance, and
 * those that need others to be reached or through whom others are reached. */
#define FLOOD_ALL    16
#define FLOOD_SOME   3
#define RELAYS_LASTS (120 * GKV_SECOND)

/* So much is sent at once, at the most, and a second; the rest goes with the probes. */
#define MAX_FLOODS      64
#define FLOODS_A_SECOND 10

/* A node that knows fewer is sent so many with a reply, as fit a datagram. Where it knows as many and others, and has
 * for so long, it is sent some. */
#define MAX_COMPARED  16
#define COMPARE_AFTER (5 * GKV_SECOND)
#define COMPARE_SOME  8

struct _GkvUpdates
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  guint n_own;      /* how often the update about this node is still to be piggybacked */
  guint n_floods;   /* that may still be sent at once */
  gint64 floods_at; /* when these were counted */
  GByteArray *entry;
  GQueue queues[MAX_RETRANSMITS + 1]; /* GkvMember by n_updates */
};

GkvUpdates *
gkv_updates_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members)
{
  GkvUpdates *self = g_new0 (GkvUpdates, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->n_floods = MAX_FLOODS;
  self->floods_at = runtime->now.mono;
  self->entry = g_byte_array_new ();
  for (guint i = 0; i < G_N_ELEMENTS (self->queues); i++)
    g_queue_init (&self->queues[i]);
  return self;
}

void
gkv_updates_free (GkvUpdates *self)
{
  g_byte_array_unref (self->entry);
  g_free (self);
}

/* The updates that there are */

/* An update is passed on so often that it reaches everybody with high probability. */
static guint
get_n_retransmits (GkvUpdates *self)
{
  return MIN (3 * (guint) ceil (log2 (self->runtime->n_alive + 2)), MAX_RETRANSMITS);
}

static void
set_n_updates (GkvUpdates *self, GkvMember *member, guint n_updates)
{
  if (member->n_updates > 0)
    g_queue_unlink (&self->queues[member->n_updates], &member->update);

  member->n_updates = n_updates;
  if (n_updates > 0)
    g_queue_push_head_link (&self->queues[n_updates], &member->update);
}

void
gkv_updates_add (GkvUpdates *self, GkvMember *member)
{
  member->update_since = self->runtime->now.mono;
  set_n_updates (self, member, get_n_retransmits (self));
}

void
gkv_updates_add_self (GkvUpdates *self)
{
  self->n_own = get_n_retransmits (self);
}

void
gkv_updates_remove (GkvUpdates *self, GkvMember *member)
{
  set_n_updates (self, member, 0);
}

/* Sending */

/* An entry has its length before it, so that one of a later version can be skipped, or be longer. */
static void
put_entry (GkvUpdates *self,
           GByteArray *body,
           GkvPeerState status,
           guint64 generation,
           const GkvIncarnation *incarnation,
           const char *id,
           const char *address)
{
  g_byte_array_set_size (self->entry, 0);
  gkv_put_u8 (self->entry, status);
  gkv_put_u64 (self->entry, generation);
  gkv_put_incarnation (self->entry, incarnation);
  gkv_put_string (self->entry, id);
  gkv_put_address (self->entry, address != NULL ? address : "");

  gkv_put_varint (body, self->entry->len);
  g_byte_array_append (body, self->entry->data, self->entry->len);
}

static void
put_member (GkvUpdates *self, GByteArray *body, const GkvMember *member)
{
  put_entry (self, body, member->status, member->generation, &member->incarnation, member->id, member->address);
}

static void
put_self (GkvUpdates *self, GByteArray *body, GkvPeerState status)
{
  put_entry (self, body, status, self->runtime->generation, &self->runtime->incarnation, self->runtime->id,
             self->runtime->advertise);
}

void
gkv_updates_send (GkvUpdates *self, GkvLink *link, const GkvMember *member)
{
  put_member (self, gkv_links_begin_message (self->links), member);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_updates_send_doubt (GkvUpdates *self, GkvLink *link, const GkvMember *member)
{
  put_entry (self, gkv_links_begin_message (self->links), GKV_PEER_STATE_SUSPECT, member->generation,
             &member->incarnation, member->id, member->address);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_updates_send_self (GkvUpdates *self, GkvLink *link, GkvPeerState status)
{
  put_self (self, gkv_links_begin_message (self->links), status);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

/* Members that live, from anywhere in the order of probes, which is shuffled in each round: a node that meets many is
 * sent others by each. The next time it is sent those that come next. */
static void
send_some (GkvUpdates *self, GkvLink *link, guint n_sent)
{
  guint n_members = gkv_members_get_n (self->members);
  GkvMember *receiver = link->member;
  GByteArray *body = gkv_links_begin_message (self->links);

  if (receiver->told == 0)
    receiver->told = gkv_runtime_random (self->runtime, n_members);
  for (guint i = 0; i < n_members && n_sent > 0; i++)
    {
      GkvMember *member = gkv_members_get_nth (self->members, receiver->told++ % n_members);

      if (member == receiver || !gkv_member_is_live (member) || member->address == NULL)
        continue;

      put_member (self, body, member);
      n_sent--;
      if (body->len + MAX_MEMBER_SIZE > gkv_links_get_max_body (self->links, link))
        {
          gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
          body = gkv_links_begin_message (self->links);
        }
    }
  if (body->len > 0)
    gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_updates_introduce (GkvUpdates *self, GkvLink *link, guint64 n_known)
{
  guint n_fewer = n_known < self->runtime->n_alive ? self->runtime->n_alive - n_known : 0;

  send_some (self, link, CLAMP (n_fewer, MIN_INTRODUCTIONS, MAX_INTRODUCTIONS));
}

void
gkv_updates_put_summary (GkvUpdates *self, GByteArray *body)
{
  gkv_put_u32 (body, gkv_members_get_sum (self->members));
  gkv_put_varint (body, self->runtime->n_alive);
}

/* Where it is one member that only one of us holds alive, the difference of the sums is its own. FALSE: it isn't one.
 */
static gboolean
send_difference (GkvUpdates *self, GkvLink *link, guint32 more)
{
  for (guint i = 0; i < gkv_members_get_n (self->members); i++)
    {
      const GkvMember *member = gkv_members_get_nth (self->members, i);

      if (gkv_member_get_term (member) != (gkv_member_is_live (member) ? more : -more))
        continue;

      gkv_updates_send (self, link, member);
      return TRUE;
    }

  return FALSE;
}

void
gkv_updates_compare (GkvUpdates *self, GkvLink *link, GkvReader *reader)
{
  guint32 more = gkv_members_get_sum (self->members) - gkv_reader_u32 (reader);
  guint64 n_theirs = gkv_reader_varint (reader);

  if (reader->failed || more == 0 || send_difference (self, link, more))
    return;

  if (n_theirs < self->runtime->n_alive)
    send_some (self, link, MAX_COMPARED);
  else if (n_theirs == self->runtime->n_alive &&
           self->runtime->now.mono - gkv_members_get_sum_since (self->members) >= COMPARE_AFTER)
    send_some (self, link, COMPARE_SOME);
}

/* At once */

static gboolean
may_flood (GkvUpdates *self)
{
  gint64 more = (self->runtime->now.mono - self->floods_at) * FLOODS_A_SECOND / GKV_SECOND;

  if (more > 0)
    {
      self->n_floods = MIN (self->n_floods + more, MAX_FLOODS);
      self->floods_at = self->runtime->now.mono;
    }
  if (self->n_floods == 0)
    return FALSE;

  self->n_floods--;
  return TRUE;
}

static gboolean
is_relay (GkvUpdates *self, const GkvMember *member)
{
  return member->last_relayed != 0 && self->runtime->now.mono - member->last_relayed < RELAYS_LASTS &&
         gkv_member_is_live (member) && gkv_member_has_link (member);
}

/* Those that get it at once. (transfer container) */
static GPtrArray *
pick_for_flood (GkvUpdates *self, const GkvMember *except)
{
  guint n = gkv_members_get_n (self->members);
  GPtrArray *peers;

  if (n <= FLOOD_ALL)
    return gkv_members_pick (self->members, G_MAXUINT, except);

  peers = gkv_members_pick_some (self->members, FLOOD_SOME, except);
  for (guint i = 0; i < n; i++)
    {
      GkvMember *member = gkv_members_get_nth (self->members, i);

      if (member != except && is_relay (self, member) && !g_ptr_array_find (peers, member, NULL))
        g_ptr_array_add (peers, member);
    }
  return peers;
}

void
gkv_updates_flood (GkvUpdates *self, const GkvMember *member, const GkvMember *except)
{
  g_autoptr (GPtrArray) peers = NULL;

  if (!may_flood (self))
    return;

  peers = pick_for_flood (self, except);
  for (guint i = 0; i < peers->len; i++)
    {
      GkvMember *peer = g_ptr_array_index (peers, i);

      if (member == NULL)
        gkv_updates_send_self (self, peer->link, GKV_PEER_STATE_ALIVE);
      else if (peer != member)
        gkv_updates_send (self, peer->link, member);
    }
}

/* Those with an update, the least sent first, and of these the newest. */
static guint
pick_updates (GkvUpdates *self, const GkvMember *except, GkvMember *updates[MAX_PIGGYBACKED])
{
  guint n = 0;

  for (guint left = MAX_RETRANSMITS; left > 0; left--)
    for (GList *l = self->queues[left].head, *next; l != NULL && n < MAX_PIGGYBACKED; l = next)
      {
        GkvMember *member = l->data;

        next = l->next;
        if (self->runtime->now.mono - member->update_since > UPDATE_LASTS)
          set_n_updates (self, member, 0);
        else if (member != except)
          updates[n++] = member;
      }

  return n;
}

/* Updates that ride on a probe; what is about the receiver itself is said first, so that it can refute. */
void
gkv_updates_piggyback (GkvUpdates *self, GkvLink *link)
{
  GByteArray *body = gkv_links_begin_message (self->links);
  GkvMember *updates[MAX_PIGGYBACKED];
  guint n = 0, n_picked;

  if (gkv_link_is_current (link) && link->member->status != GKV_PEER_STATE_ALIVE)
    {
      put_member (self, body, link->member);
      n++;
    }

  if (self->n_own > 0)
    {
      self->n_own--;
      put_self (self, body, GKV_PEER_STATE_ALIVE);
      n++;
    }

  n_picked = pick_updates (self, link->member, updates);
  for (guint i = 0; i < n_picked && n < MAX_PIGGYBACKED; i++)
    {
      if (body->len + MAX_MEMBER_SIZE >= gkv_links_get_max_body (self->links, link) / 2)
        break;

      set_n_updates (self, updates[i], updates[i]->n_updates - 1);
      put_member (self, body, updates[i]);
      n++;
    }

  if (n > 0)
    gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}
