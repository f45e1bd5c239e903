/* Membership updates: which peers receive them, how often, and in which order.
 *
 * They ride on probes, the least sent first and of these the newest, until each has been sent often enough to reach
 * everybody. What can't wait for that, a suspicion and the answer to it before all, is sent on at once as well, by
 * everybody to whom it is new.
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

/* Where there are no more members than that, each is sent at once what can't wait; else so many of them, fewer where
 * nothing worse follows when somebody gets it a second later, and those that need others to be reached or through whom
 * others are reached. */
#define FLOOD_ALL    16
#define FLOOD_SOME   3
#define FLOOD_FEW    2
#define RELAYS_LASTS (120 * GKV_SECOND)

/* New members that are announced at once, and a second. */
#define MAX_JOINS      16
#define JOINS_A_SECOND 4

/* So much is sent at once, at the most, and a second; the rest goes with the probes. */
#define MAX_FLOODS      64
#define FLOODS_A_SECOND 10

struct _GkvUpdates
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvRoster *roster;
  guint n_own;                        /* how often the update about this node is still to be piggybacked */
  GkvBudget joins;                    /* that may still be announced */
  GkvBudget floods;                   /* that may still be sent at once */
  GQueue queues[MAX_RETRANSMITS + 1]; /* GkvMember by n_updates */
};

GkvUpdates *
gkv_updates_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvRoster *roster)
{
  GkvUpdates *self = g_new0 (GkvUpdates, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->roster = roster;
  self->joins = (GkvBudget){ MAX_JOINS, runtime->now.mono };
  self->floods = (GkvBudget){ MAX_FLOODS, runtime->now.mono };
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
  GkvMemberExtra *extra = gkv_member_extra (member);

  if (extra->n_updates > 0)
    g_queue_unlink (&self->queues[extra->n_updates], &extra->update);

  extra->n_updates = n_updates;
  if (n_updates > 0)
    g_queue_push_head_link (&self->queues[n_updates], &extra->update);
}

void
gkv_updates_add (GkvUpdates *self, GkvMember *member)
{
  gkv_member_extra (member)->update_since = self->runtime->now.mono;
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
  if (gkv_member_peek (member)->n_updates > 0)
    set_n_updates (self, member, 0);
}

/* Sending */

void
gkv_updates_send (GkvUpdates *self, GkvLink *link, const GkvMember *member)
{
  gkv_roster_put_member (self->roster, gkv_links_begin_message (self->links), member, member->status);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_updates_send_doubt (GkvUpdates *self, GkvLink *link, const GkvMember *member)
{
  gkv_roster_put_member (self->roster, gkv_links_begin_message (self->links), member, GKV_PEER_STATE_SUSPECT);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

void
gkv_updates_send_self (GkvUpdates *self, GkvLink *link, GkvPeerState status)
{
  gkv_roster_put_self (self->roster, gkv_links_begin_message (self->links), status);
  gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}

/* At once */

static gboolean
spend (GkvUpdates *self, GkvBudget *budget, gsize a_second, gsize most)
{
  if (gkv_runtime_refill (self->runtime, budget, a_second, most) == 0)
    return FALSE;

  budget->left--;
  return TRUE;
}

static gboolean
is_relay (GkvUpdates *self, const GkvMember *member)
{
  gint64 last_relayed = gkv_member_peek (member)->last_relayed;

  return last_relayed != 0 && self->runtime->now.mono - last_relayed < RELAYS_LASTS && gkv_member_is_live (member) &&
         gkv_member_has_link (member);
}

static void
add_for_flood (GPtrArray *peers, GkvMember *member)
{
  if (member != NULL && !g_ptr_array_find (peers, member, NULL))
    g_ptr_array_add (peers, member);
}

/* Those that get it at once, about @some of them where there are many. That the next one on the ring is among them
 * reaches those as well that chance leaves out. (transfer container) */
static GPtrArray *
pick_for_flood (GkvUpdates *self, const GkvMember *except, guint some)
{
  GPtrArray *peers;

  if (gkv_members_get_n (self->members) <= FLOOD_ALL)
    return gkv_members_pick (self->members, G_MAXUINT, except);

  peers = gkv_members_pick_some (self->members, some - 1, except);
  add_for_flood (peers, gkv_members_pick_next (self->members, except));
  for (guint i = 0; i < gkv_members_get_n_linked (self->members); i++)
    {
      GkvMember *peer = gkv_members_get_nth_linked (self->members, i);

      if (peer != except && is_relay (self, peer))
        add_for_flood (peers, peer);
    }
  return peers;
}

static void
flood (GkvUpdates *self, const GkvMember *member, const GkvMember *except, guint some)
{
  g_autoptr (GPtrArray) peers = NULL;

  if (!spend (self, &self->floods, FLOODS_A_SECOND, MAX_FLOODS))
    return;

  peers = pick_for_flood (self, except, some);
  for (guint i = 0; i < peers->len; i++)
    {
      GkvMember *peer = g_ptr_array_index (peers, i);

      if (member == NULL)
        gkv_updates_send_self (self, peer->link, GKV_PEER_STATE_ALIVE);
      else if (peer != member)
        gkv_updates_send (self, peer->link, member);
    }
}

void
gkv_updates_flood (GkvUpdates *self, const GkvMember *member, const GkvMember *except)
{
  flood (self, member, except, member != NULL && member->status == GKV_PEER_STATE_LEFT ? FLOOD_FEW : FLOOD_SOME);
}

/* Where many join at once, lists are cheaper. */
void
gkv_updates_announce (GkvUpdates *self, GkvMember *member, const GkvMember *except)
{
  if (gkv_members_get_n (self->members) > FLOOD_ALL &&
      (gkv_roster_is_learning (self->roster) || !spend (self, &self->joins, JOINS_A_SECOND, MAX_JOINS)))
    return;

  gkv_updates_add (self, member);
  flood (self, member, except, FLOOD_FEW);
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
        if (self->runtime->now.mono - member->extra->update_since > UPDATE_LASTS)
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
      gkv_roster_put_member (self->roster, body, link->member, link->member->status);
      n++;
    }

  if (self->n_own > 0)
    {
      self->n_own--;
      gkv_roster_put_self (self->roster, body, GKV_PEER_STATE_ALIVE);
      n++;
    }

  n_picked = pick_updates (self, link->member, updates);
  for (guint i = 0; i < n_picked && n < MAX_PIGGYBACKED; i++)
    {
      if (body->len + MAX_MEMBER_SIZE >= gkv_links_get_max_body (self->links, link) / 2)
        break;

      set_n_updates (self, updates[i], updates[i]->extra->n_updates - 1);
      gkv_roster_put_member (self->roster, body, updates[i], updates[i]->status);
      n++;
    }

  if (n > 0)
    gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
}
