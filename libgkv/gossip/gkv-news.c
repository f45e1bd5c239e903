/* Membership updates: which peers receive them, how often, and in which order.
 *
 * They ride on probes, the least told first and of these the newest, until each has been told often enough to reach
 * everybody. Who is new is told of some of those that live; a death is told at once.
 *
 * Source: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
 * Protocol", DSN 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include <math.h>

/* News in one datagram. */
#define MAX_GOSSIP 8

#define MAX_MEMBER_SIZE (1 + 8 + 5 + 2 + GKV_WIRE_MAX_ID + 2 + GKV_WIRE_MAX_ADDRESS)

/* After that they are news to nobody, however seldom they were told: those of a thousand that came at once would hold
 * up others for half an hour. */
#define NEWS_LIFE (30 * GKV_SECOND)

/* Who is new to us is told of as many members as he knows fewer than we do, but of so many at least and at most. */
#define MIN_INTRODUCTIONS 8
#define MAX_INTRODUCTIONS 64

/* Peers that are told of a death at once; others hear of it as of other news. */
#define MAX_TOLD 256

void
gkv_news_init (GkvEngine *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->news); i++)
    g_queue_init (&self->news[i]);
}

/* Which there are */

/* So often are news passed on that they reach everybody with high probability. */
static guint
get_n_retransmits (GkvEngine *self)
{
  return MIN (3 * (guint) ceil (log2 (self->n_alive + 2)), GKV_MAX_RETRANSMITS);
}

static void
set_n_gossip (GkvEngine *self, GkvMember *member, guint n_gossip)
{
  if (member->n_gossip > 0)
    g_queue_unlink (&self->news[member->n_gossip], &member->news);

  member->n_gossip = n_gossip;
  if (n_gossip > 0)
    g_queue_push_head_link (&self->news[n_gossip], &member->news);
}

void
gkv_news_spread (GkvEngine *self, GkvMember *member)
{
  member->news_since = self->now.mono;
  set_n_gossip (self, member, get_n_retransmits (self));
}

void
gkv_news_spread_self (GkvEngine *self)
{
  self->n_gossip = get_n_retransmits (self);
}

void
gkv_news_forget (GkvEngine *self, GkvMember *member)
{
  set_n_gossip (self, member, 0);
}

/* Telling */

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
put_self (GkvEngine *self, GByteArray *body, GkvPeerState status)
{
  gkv_put_u8 (body, status);
  gkv_put_u64 (body, self->life);
  gkv_put_varint (body, self->incarnation);
  gkv_put_string (body, self->id);
  gkv_put_string (body, self->advertise != NULL ? self->advertise : "");
}

void
gkv_news_tell (GkvEngine *self, GkvLink *link, const GkvMember *member)
{
  put_member (gkv_engine_begin_message (self), member);
  gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_news_tell_self (GkvEngine *self, GkvLink *link, GkvPeerState status)
{
  put_self (self, gkv_engine_begin_message (self), status);
  gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
}

/* Some of those who live, from anywhere in the order of probes, which is shuffled in each round: who meets many is told
 * of others by each. */
void
gkv_news_introduce (GkvEngine *self, GkvLink *link, guint64 n_known)
{
  guint n_fewer = n_known < self->n_alive ? self->n_alive - n_known : 0;
  guint n_told = CLAMP (n_fewer, MIN_INTRODUCTIONS, MAX_INTRODUCTIONS);
  guint start = gkv_engine_random (self, self->probe_order->len);
  GByteArray *body = gkv_engine_begin_message (self);

  for (guint i = 0; i < self->probe_order->len && n_told > 0; i++)
    {
      GkvMember *member = g_ptr_array_index (self->probe_order, (start + i) % self->probe_order->len);

      if (member == link->member || !gkv_member_is_live (member) || member->address == NULL)
        continue;

      put_member (body, member);
      n_told--;
      if (body->len + MAX_MEMBER_SIZE > gkv_engine_get_max_body (self))
        {
          gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
          body = gkv_engine_begin_message (self);
        }
    }
  if (body->len > 0)
    gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
}

/* Those of whom there is news, the least told first, and of these the newest. */
static guint
pick_news (GkvEngine *self, const GkvMember *except, GkvMember *news[MAX_GOSSIP])
{
  guint n = 0;

  for (guint left = GKV_MAX_RETRANSMITS; left > 0; left--)
    for (GList *l = self->news[left].head, *next; l != NULL && n < MAX_GOSSIP; l = next)
      {
        GkvMember *member = l->data;

        next = l->next;
        if (self->now.mono - member->news_since > NEWS_LIFE)
          set_n_gossip (self, member, 0);
        else if (member != except)
          news[n++] = member;
      }

  return n;
}

/* News that ride on a probe; what @about the receiver itself is said first, so that it can refute. */
void
gkv_news_add (GkvEngine *self, GkvLink *link)
{
  GByteArray *body = gkv_engine_begin_message (self);
  GkvMember *news[MAX_GOSSIP];
  guint n = 0, n_news;

  if (link->member != NULL && link->member->status != GKV_PEER_STATE_ALIVE && link->life == link->member->life)
    {
      put_member (body, link->member);
      n++;
    }

  if (self->n_gossip > 0)
    {
      self->n_gossip--;
      put_self (self, body, GKV_PEER_STATE_ALIVE);
      n++;
    }

  n_news = pick_news (self, link->member, news);
  for (guint i = 0; i < n_news && n < MAX_GOSSIP; i++)
    {
      if (body->len + MAX_MEMBER_SIZE >= gkv_engine_get_max_body (self) / 2)
        break;

      set_n_gossip (self, news[i], news[i]->n_gossip - 1);
      put_member (body, news[i]);
      n++;
    }

  if (n > 0)
    gkv_link_send (self, link, GKV_MESSAGE_MEMBERS);
}

/* Others suspect it as well by now, each with a clock of its own: the first to be sure spares them the wait. */
void
gkv_news_tell_death (GkvEngine *self, GkvMember *member)
{
  g_autoptr (GPtrArray) peers = gkv_members_pick (self, MAX_TOLD, member);

  for (guint i = 0; i < peers->len; i++)
    {
      GkvMember *peer = g_ptr_array_index (peers, i);

      gkv_news_tell (self, peer->link, member);
    }
}
