/* Membership updates: which peers receive them, how often, and in which order.
 *
 * They ride on probes, the least sent first and of these the newest, until each has been sent often enough to reach
 * everybody. A node that is new is sent some of those that live; a death is sent at once.
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

#define MAX_MEMBER_SIZE (1 + 8 + 5 + 2 + GKV_WIRE_MAX_ID + 2 + GKV_WIRE_MAX_ADDRESS)

/* After that they are new to nobody, however seldom they were sent: those of a thousand that came at once would hold
 * up others for half an hour. */
#define UPDATE_LASTS (30 * GKV_SECOND)

/* A node that is new to us is sent as many members as it knows fewer than we do, but so many at least and at most. */
#define MIN_INTRODUCTIONS 8
#define MAX_INTRODUCTIONS 64

/* Peers that are sent a death at once; others receive it as other updates. */
#define MAX_NOTIFIED 256

struct _GkvUpdates
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  guint n_own;                        /* how often the update about this node is still to be piggybacked */
  GQueue queues[MAX_RETRANSMITS + 1]; /* GkvMember by n_updates */
};

GkvUpdates *
gkv_updates_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members)
{
  GkvUpdates *self = g_new0 (GkvUpdates, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  for (guint i = 0; i < G_N_ELEMENTS (self->queues); i++)
    g_queue_init (&self->queues[i]);
  return self;
}

void
gkv_updates_free (GkvUpdates *self)
{
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

static void
put_member (GByteArray *body, const GkvMember *member)
{
  gkv_put_u8 (body, member->status);
  gkv_put_u64 (body, member->generation);
  gkv_put_varint (body, member->incarnation);
  gkv_put_string (body, member->id);
  gkv_put_string (body, member->address != NULL ? member->address : "");
}

static void
put_self (GkvUpdates *self, GByteArray *body, GkvPeerState status)
{
  gkv_put_u8 (body, status);
  gkv_put_u64 (body, self->runtime->generation);
  gkv_put_varint (body, self->runtime->incarnation);
  gkv_put_string (body, self->runtime->id);
  gkv_put_string (body, self->runtime->advertise != NULL ? self->runtime->advertise : "");
}

void
gkv_updates_send (GkvUpdates *self, GkvLink *link, const GkvMember *member)
{
  put_member (gkv_links_begin_message (self->links), member);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_updates_send_self (GkvUpdates *self, GkvLink *link, GkvPeerState status)
{
  put_self (self, gkv_links_begin_message (self->links), status);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

/* Some of those that live, from anywhere in the order of probes, which is shuffled in each round: a node that meets
 * many is sent others by each. */
void
gkv_updates_introduce (GkvUpdates *self, GkvLink *link, guint64 n_known)
{
  guint n_fewer = n_known < self->runtime->n_alive ? self->runtime->n_alive - n_known : 0;
  guint n_sent = CLAMP (n_fewer, MIN_INTRODUCTIONS, MAX_INTRODUCTIONS);
  guint n_members = gkv_members_get_n (self->members);
  guint start = gkv_runtime_random (self->runtime, n_members);
  GByteArray *body = gkv_links_begin_message (self->links);

  for (guint i = 0; i < n_members && n_sent > 0; i++)
    {
      GkvMember *member = gkv_members_get_nth (self->members, (start + i) % n_members);

      if (member == link->member || !gkv_member_is_live (member) || member->address == NULL)
        continue;

      put_member (body, member);
      n_sent--;
      if (body->len + MAX_MEMBER_SIZE > gkv_links_get_max_body (self->links))
        {
          gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
          body = gkv_links_begin_message (self->links);
        }
    }
  if (body->len > 0)
    gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
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
      put_member (body, link->member);
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
      if (body->len + MAX_MEMBER_SIZE >= gkv_links_get_max_body (self->links) / 2)
        break;

      set_n_updates (self, updates[i], updates[i]->n_updates - 1);
      put_member (body, updates[i]);
      n++;
    }

  if (n > 0)
    gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

/* Others suspect it as well by now, each with a clock of its own: the first to be sure spares them the wait. */
void
gkv_updates_send_death (GkvUpdates *self, GkvMember *member)
{
  g_autoptr (GPtrArray) peers = gkv_members_pick (self->members, MAX_NOTIFIED, member);

  for (guint i = 0; i < peers->len; i++)
    {
      GkvMember *peer = g_ptr_array_index (peers, i);

      gkv_updates_send (self, peer->link, member);
    }
}
