/* Synced: whether this node holds what the cluster held when it came.
 *
 * What one synced peer held when an exchange with it began is enough, so that no other holds a joiner up. That a peer
 * says that it is synced counts where the application has named it, or where two others say the same and hold no more
 * than what was got: each of the three has been exchanged with, which costs a datagram each way once one of them was.
 * Where nobody can be relied on like that, all have begun at once, or this node is the one that the others have named:
 * then it takes an exchange with each that answers, or with enough of them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-synced.h"

/* Of the peers that nobody can rely on, so many are enough. */
#define MAX_AWAITED 8

/* Peers that the application hasn't named, and that say that they are synced. */
#define MIN_VOUCHING 3

/* A second peer that is met so soon after the first, and says that it holds more than twice as much, is needed, too. */
#define SECOND_AFTER GKV_SECOND

struct _GkvSynced
{
  GkvRuntime *runtime;
  GkvContacts *contacts;
  GkvMembers *members;
  GkvMembership *membership;
  gint64 since; /* when it began to look for peers */
  guint n_unresolved;
};

/* What is known of the peers that are alive. */
typedef struct
{
  const GkvStanding *first; /* named, synced, exchanged with, and the one that says it holds most; NULL: none is */
  guint n_vouching;
  guint n_matched; /* exchanged with */
  guint n_awaited; /* those that may still answer */
  gboolean awaits_named;
  gboolean awaits_synced;
  gboolean is_alone; /* nobody but the silent was met */
} Peers;

GkvSynced *
gkv_synced_new (GkvRuntime *runtime, GkvContacts *contacts, GkvMembers *members, GkvMembership *membership)
{
  GkvSynced *self = g_new0 (GkvSynced, 1);

  self->runtime = runtime;
  self->contacts = contacts;
  self->members = members;
  self->membership = membership;
  self->since = runtime->now.mono;
  return self;
}

void
gkv_synced_free (GkvSynced *self)
{
  g_free (self);
}

void
gkv_synced_set_n_unresolved (GkvSynced *self, guint n_unresolved)
{
  self->n_unresolved = n_unresolved;
}

void
gkv_synced_note_statement (GkvSynced *self, GkvLink *link, gboolean synced, guint64 n_records)
{
  GkvStanding *standing;

  if (!gkv_link_is_current (link))
    return;

  standing = gkv_standing_of (link->member);
  standing->says_synced = synced;
  if (standing->claimed_at != 0)
    return;

  standing->n_claimed = n_records;
  standing->claimed_at = self->runtime->now.mono;
}

/* It is at an address that the application has given, or discovery: where it is seen, not where it says that it is. */
static gboolean
is_named (GkvSynced *self, const GkvMember *member)
{
  return gkv_member_has_link (member) && gkv_contacts_is_named (self->contacts, member->link->address);
}

/* A peer that answers pings and nothing else is waited for no longer than one that doesn't. One of which only others
 * have reported is waited for only as long as it may take to meet it. */
static gboolean
is_awaited (GkvSynced *self, const GkvMember *member)
{
  if (gkv_member_has_link (member))
    return !gkv_conversation_withholds (member->link, self->runtime->now.mono,
                                        gkv_membership_get_suspicion (self->membership));

  return self->runtime->now.mono - MAX (gkv_standing_get_live_since (member), self->since) < GKV_ALONE_AFTER;
}

static void
look_at_peers (GkvSynced *self, Peers *peers)
{
  GkvMembersIter iter;
  GkvMember *member;

  *peers = (Peers){ .is_alone = TRUE };
  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    {
      const GkvStanding *standing = gkv_standing_peek (member);
      gboolean named;

      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (!gkv_member_is_live (member))
        continue;

      named = is_named (self, member);
      if (standing->matched)
        {
          peers->n_matched++;
          peers->is_alone = FALSE;
          peers->n_vouching += standing->matched_synced && !named;
          if (standing->matched_synced && named &&
              (peers->first == NULL || standing->n_claimed > peers->first->n_claimed))
            peers->first = standing;
        }
      else if (is_awaited (self, member))
        {
          peers->n_awaited++;
          peers->is_alone = FALSE;
          peers->awaits_named |= named;
          peers->awaits_synced |= standing->says_synced;
        }
      else if (!gkv_member_has_link (member) || !gkv_conversation_withholds_all (member->link))
        {
          peers->is_alone = FALSE;
        }
    }
}

/* The first may have begun anew, before it met anybody. */
static gboolean
is_second_needed (GkvSynced *self, const GkvStanding *first)
{
  GkvMembersIter iter;
  GkvMember *member;

  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    {
      const GkvStanding *standing = gkv_standing_peek (member);

      if (gkv_member_is_live (member) && !standing->matched && standing->says_synced && is_named (self, member) &&
          is_awaited (self, member) && standing->n_claimed / 2 > first->n_claimed &&
          standing->claimed_at - first->claimed_at <= SECOND_AFTER)
        return TRUE;
    }

  return FALSE;
}

/* All seeds have answered, or have had the time for it. */
static gboolean
are_seeds_settled (GkvSynced *self)
{
  return (self->n_unresolved == 0 && !gkv_contacts_have_unreached (self->contacts)) ||
         self->runtime->now.mono - self->since >= GKV_ALONE_AFTER;
}

static gboolean
is_enough (GkvSynced *self, const Peers *peers)
{
  if (peers->first != NULL)
    return !is_second_needed (self, peers->first);

  if (peers->n_vouching >= MIN_VOUCHING)
    return TRUE;

  if (peers->awaits_named || peers->awaits_synced || peers->n_matched == 0)
    return FALSE;

  return peers->n_matched >= MAX_AWAITED || (peers->n_awaited == 0 && are_seeds_settled (self));
}

/* There is nobody to be found. Where the application has named somebody, it is waited for. */
static gboolean
is_done_looking (GkvSynced *self)
{
  GkvMembersIter iter;
  GkvMember *member;

  if (self->n_unresolved > 0 || gkv_contacts_have_unreached (self->contacts))
    return FALSE;

  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    if (gkv_member_is_live (member) && is_named (self, member))
      return FALSE;

  if (self->runtime->now.mono - self->since >= GKV_ALONE_AFTER)
    return TRUE;

  gkv_runtime_wake_at (self->runtime, self->since + GKV_ALONE_AFTER);
  return FALSE;
}

void
gkv_synced_consider (GkvSynced *self)
{
  Peers peers;

  if (self->runtime->synced)
    return;

  look_at_peers (self, &peers);
  if (peers.is_alone ? is_done_looking (self) : is_enough (self, &peers))
    gkv_runtime_set_synced (self->runtime, TRUE);
}

void
gkv_synced_note_slept (GkvSynced *self)
{
  self->since = self->runtime->now.mono;
}

void
gkv_synced_part (GkvSynced *self)
{
  GkvMembersIter iter;
  GkvMember *member;

  self->since = self->runtime->now.mono;
  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    if (gkv_standing_exists (member))
      {
        gkv_standing_of (member)->matched = gkv_standing_of (member)->matched_synced = FALSE;
        gkv_standing_of (member)->n_checks = 0;
      }
  gkv_runtime_set_synced (self->runtime, FALSE);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}
