/* The table of members.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-members.h"

#include <string.h>

#define MAX_MEMBERS 16384

/* A member is looked for at so many places where it is likely to be. */
#define MAX_GUESSES 8

/* What is kept only of some goes when nothing has come for so long. So many members are looked at a second. */
#define FADES_AFTER   (60 * GKV_SECOND)
#define FADED_AT_ONCE 256

struct _GkvMembers
{
  GkvRuntime *runtime;
  GkvMembersListener listener;
  gpointer data;
  GkvProfiles *profiles; /* nullable */
  GPtrArray *linked;     /* GkvMember, those with a link, in any order */
  guint next_faded;
  GPtrArray *ring; /* GkvMember, owned, by their places: hashes of their ids, which are as good as any order */
  guint next;      /* that is probed, */
  guint n_left;    /* and how many are, before another round begins somewhere else */
  guint next_dead;
  GPtrArray *suspects; /* GkvMember, in any order */
  guint64 revision;
  gint64 sum_since;
};

static void
free_extra (GkvMember *member)
{
  if (member->extra != NULL)
    g_free (member->extra->unreached);
  g_clear_pointer (&member->extra, g_free);
}

static void
free_member (GkvMembers *self, GkvMember *member)
{
  free_extra (member);
  gkv_profiles_release (self->profiles, member->profile);
  g_free (member);
}

GkvMembers *
gkv_members_new (GkvRuntime *runtime, GkvProfiles *profiles, const GkvMembersListener *listener, gpointer data)
{
  GkvMembers *self = g_new0 (GkvMembers, 1);

  self->runtime = runtime;
  self->listener = *listener;
  self->data = data;
  self->profiles = profiles;
  self->ring = g_ptr_array_new ();
  self->linked = g_ptr_array_new ();
  self->suspects = g_ptr_array_new ();
  self->sum_since = runtime->now.mono;
  return self;
}

void
gkv_members_free (GkvMembers *self)
{
  for (guint i = 0; i < self->ring->len; i++)
    {
      self->listener.removed (g_ptr_array_index (self->ring, i), self->data);
      free_member (self, g_ptr_array_index (self->ring, i));
    }
  g_ptr_array_unref (self->ring);
  g_ptr_array_unref (self->linked);
  g_ptr_array_unref (self->suspects);
  g_free (self);
}

/* Places are hashes, so they say about where a member is. Who chose its own so that they don't makes it a little
 * slower, no more. */
guint
gkv_members_find_place (GkvMembers *self, guint64 place)
{
  guint low = 0, high = self->ring->len;
  guint64 lowest = 0, highest = G_MAXUINT64; /* below high, and not below low */

  for (guint n = 0; low < high; n++)
    {
      double part = ((double) place - lowest) / ((double) highest - lowest + 1);
      guint middle = n < MAX_GUESSES ? low + (guint) (part * (high - low)) : (low + high) / 2;
      guint64 found;

      middle = CLAMP (middle, low, high - 1);
      found = gkv_members_get_nth (self, middle)->profile->place;
      if (found < place)
        {
          low = middle + 1;
          lowest = found;
        }
      else
        {
          high = middle;
          highest = found;
        }
    }

  return low;
}

/* Where it is in the ring, or where it would be. */
static guint
find (GkvMembers *self, guint64 place, const char *id)
{
  guint i = gkv_members_find_place (self, place);

  while (i < self->ring->len && gkv_members_get_nth (self, i)->profile->place == place &&
         strcmp (gkv_members_get_nth (self, i)->profile->id, id) < 0)
    i++;

  return i;
}

GkvMember *
gkv_members_lookup (GkvMembers *self, const char *id)
{
  guint i = find (self, gkv_runtime_hash_id (self->runtime, id), id);
  GkvMember *member = i < self->ring->len ? gkv_members_get_nth (self, i) : NULL;

  return member != NULL && strcmp (member->profile->id, id) == 0 ? member : NULL;
}

GkvMember *
gkv_members_find_live (GkvMembers *self, guint64 place)
{
  for (guint i = gkv_members_find_place (self, place); i < self->ring->len; i++)
    {
      GkvMember *member = gkv_members_get_nth (self, i);

      if (member->profile->place != place)
        break;
      if (gkv_member_is_live (member))
        return member;
    }

  return NULL;
}

guint
gkv_members_get_n (GkvMembers *self)
{
  return self->ring->len;
}

guint
gkv_members_get_n_suspect (GkvMembers *self)
{
  return self->suspects->len;
}

GkvMember *
gkv_members_get_nth_suspect (GkvMembers *self, guint index)
{
  return g_ptr_array_index (self->suspects, index);
}

gboolean
gkv_members_are_full (GkvMembers *self)
{
  return self->ring->len >= MAX_MEMBERS;
}

void
gkv_members_init_iter (GkvMembers *self, GkvMembersIter *iter)
{
  *iter = (GkvMembersIter){ .members = self };
}

gboolean
gkv_members_iter_next (GkvMembersIter *iter, GkvMember **member)
{
  if (iter->next >= iter->members->ring->len)
    return FALSE;

  *member = g_ptr_array_index (iter->members->ring, iter->next++);
  return TRUE;
}

GkvPeerInfo *
gkv_member_describe (const GkvMember *member)
{
  GkvPeerInfo *info = g_new0 (GkvPeerInfo, 1);

  info->node_id = g_strdup (member->profile->id);
  info->address = g_strdup (member->profile->address);
  info->state = member->status;
  info->round_trip_us = gkv_member_peek (member)->round_trip_us;
  info->last_seen_wall = gkv_member_peek (member)->last_seen_wall;
  return info;
}

guint64
gkv_members_get_revision (GkvMembers *self)
{
  return self->revision;
}

void
gkv_members_touch (GkvMembers *self)
{
  self->revision++;
}

static guint32
get_term (guint64 place, guint64 generation)
{
  guint64 mixed = (place ^ generation) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  return mixed >> 32;
}

guint32
gkv_member_get_term (const GkvMember *member)
{
  return get_term (member->profile->place, member->profile->generation);
}

static void
count (GkvMembers *self, GkvMember *member, int by)
{
  gkv_members_touch (self);
  if (gkv_member_is_live (member))
    {
      self->runtime->n_alive += by;
      self->runtime->sum_alive += by * gkv_member_get_term (member);
      self->sum_since = self->runtime->now.mono;
    }
  if (member->status == GKV_PEER_STATE_SUSPECT && by > 0)
    g_ptr_array_add (self->suspects, member);
  else if (member->status == GKV_PEER_STATE_SUSPECT)
    g_ptr_array_remove_fast (self->suspects, member);
}

void
gkv_members_set_status (GkvMembers *self, GkvMember *member, GkvPeerState status)
{
  gint64 sum_since = self->sum_since;
  guint32 sum = self->runtime->sum_alive;

  count (self, member, -1);
  member->status = status;
  count (self, member, 1);
  if (self->runtime->sum_alive == sum)
    self->sum_since = sum_since;
}

void
gkv_members_state (
    GkvMembers *self, GkvMember *member, guint64 generation, const GkvIncarnation *incarnation, const char *address)
{
  GkvProfile *past = member->profile;
  gboolean began = generation != past->generation;

  if (began)
    count (self, member, -1);
  member->profile = gkv_profiles_get (self->profiles, past->id, past->place, generation, incarnation, address);
  if (began)
    count (self, member, 1);
  gkv_profiles_release (self->profiles, past);
}

void
gkv_members_set_link (GkvMembers *self, GkvMember *member, GkvLink *link)
{
  if (member->link == link)
    return;

  if (member->link == NULL)
    g_ptr_array_add (self->linked, member);
  else if (link == NULL)
    g_ptr_array_remove_fast (self->linked, member);
  if (link != NULL)
    gkv_member_extra (member);
  member->link = link;
  gkv_members_touch (self);
}

/* What is kept only of some */

static const GkvMemberExtra no_extra = { .round_trip_us = -1 };

GkvMemberExtra *
gkv_member_extra (GkvMember *member)
{
  GkvMemberExtra *extra = member->extra;

  if (extra != NULL)
    return extra;

  extra = member->extra = g_new0 (GkvMemberExtra, 1);
  extra->generation_since = extra->status_since = extra->last_seen = member->since;
  extra->round_trip_us = -1;
  extra->update.data = member;
  return extra;
}

const GkvMemberExtra *
gkv_member_peek (const GkvMember *member)
{
  return member->extra != NULL ? member->extra : &no_extra;
}

gint64
gkv_member_get_generation_since (const GkvMember *member)
{
  return member->extra != NULL ? member->extra->generation_since : member->since;
}

gint64
gkv_member_get_status_since (const GkvMember *member)
{
  return member->extra != NULL ? member->extra->status_since : member->since;
}

static void
fade (GkvMembers *self, GkvMember *member)
{
  const GkvMemberExtra *extra = member->extra;

  if (extra == NULL || member->link != NULL || member->status == GKV_PEER_STATE_SUSPECT || extra->n_updates > 0 ||
      extra->successor != NULL || extra->unreached != NULL ||
      self->runtime->now.mono - MAX (extra->last_seen, extra->status_since) < FADES_AFTER ||
      self->runtime->now.mono - MAX (extra->last_notified, extra->last_relayed) < FADES_AFTER ||
      !self->listener.fades (member, self->data))
    return;

  member->since = gkv_member_is_live (member) ? extra->generation_since : extra->status_since;
  free_extra (member);
}

void
gkv_members_fade (GkvMembers *self)
{
  for (guint n = MIN (FADED_AT_ONCE, self->ring->len); n > 0; n--)
    {
      self->next_faded = (self->next_faded + 1) % self->ring->len;
      fade (self, gkv_members_get_nth (self, self->next_faded));
    }
}

guint32
gkv_members_get_own_term (GkvMembers *self)
{
  return get_term (self->runtime->place, self->runtime->generation);
}

guint32
gkv_members_get_sum (GkvMembers *self)
{
  return self->runtime->sum_alive + gkv_members_get_own_term (self);
}

gint64
gkv_members_get_sum_since (GkvMembers *self)
{
  return self->sum_since;
}

gboolean
gkv_member_is_direct (const GkvMember *member)
{
  return !member->indirect && (gkv_member_has_link (member) || member->profile->address != NULL);
}

GkvLink *
gkv_member_open_link (const GkvMember *member, GkvLinks *links)
{
  return gkv_member_has_link (member) || gkv_member_is_direct (member) ? gkv_member_try_link (member, links) : NULL;
}

GkvLink *
gkv_member_try_link (const GkvMember *member, GkvLinks *links)
{
  GkvLink *link;

  if (gkv_member_has_link (member))
    return member->link;
  if (member->profile->address == NULL)
    return NULL;

  link = gkv_links_open (links, member->profile->address, member->profile->place);
  return link == NULL || link->member == NULL || link->member == member ? link : NULL;
}

GkvMember *
gkv_member_get_via (const GkvMember *member)
{
  const GkvMember *via = member->via;

  return via != NULL && gkv_member_is_live (via) && gkv_member_has_link (via) ? member->via : NULL;
}

void
gkv_members_note_heard (GkvMembers *self, GkvMember *member, GkvMember *via)
{
  member->heard = self->runtime->now.mono > gkv_member_get_generation_since (member);
  if (via != NULL && via != member)
    member->via = via;
}

void
gkv_members_set_indirect (GkvMembers *self, GkvMember *member, gboolean indirect)
{
  if (member->indirect == indirect)
    return;

  member->indirect = indirect;
  gkv_members_touch (self);
}

GkvMember *
gkv_members_insert (GkvMembers *self,
                    const char *id,
                    guint64 generation,
                    const GkvIncarnation *incarnation,
                    GkvPeerState status,
                    const char *address)
{
  GkvMember *member = g_new0 (GkvMember, 1);
  guint i;

  member->profile =
      gkv_profiles_get (self->profiles, id, gkv_runtime_hash_id (self->runtime, id), generation, incarnation, address);
  member->status = status;
  member->since = self->runtime->now.mono;
  i = find (self, member->profile->place, id);
  g_ptr_array_insert (self->ring, i, member);
  if (i < self->next)
    self->next++;
  count (self, member, 1);
  self->listener.added (member, self->data);
  return member;
}

void
gkv_members_remove (GkvMembers *self, GkvMember *member)
{
  guint index = find (self, member->profile->place, member->profile->id);

  self->listener.removed (member, self->data);
  for (guint i = 0; i < self->ring->len; i++)
    {
      GkvMember *other = gkv_members_get_nth (self, i);

      if (other->via == member)
        other->via = NULL;
    }
  g_ptr_array_remove_index (self->ring, index);
  if (index < self->next)
    self->next--;
  gkv_members_set_link (self, member, NULL);
  count (self, member, -1);
  free_member (self, member);
}

GkvMember *
gkv_members_get_nth (GkvMembers *self, guint index)
{
  return g_ptr_array_index (self->ring, index);
}

GkvMember *
gkv_members_next (GkvMembers *self)
{
  for (guint n = 0; n < self->ring->len; n++)
    {
      GkvMember *member;

      if (self->n_left == 0)
        {
          self->n_left = self->ring->len;
          self->next = gkv_runtime_random (self->runtime, self->ring->len);
        }
      self->n_left--;
      member = gkv_members_get_nth (self, self->next++ % self->ring->len);
      if (gkv_member_is_live (member))
        return member;
    }

  return NULL;
}

GkvMember *
gkv_members_next_dead (GkvMembers *self)
{
  for (guint n = 0; n < self->ring->len; n++)
    {
      GkvMember *member = gkv_members_get_nth (self, self->next_dead++ % self->ring->len);

      if (member->status == GKV_PEER_STATE_DEAD)
        return member;
    }

  return NULL;
}

guint
gkv_members_get_n_linked (GkvMembers *self)
{
  return self->linked->len;
}

GkvMember *
gkv_members_get_nth_linked (GkvMembers *self, guint index)
{
  return g_ptr_array_index (self->linked, index);
}

static gboolean
can_be_picked (const GkvMember *member, const GkvMember *except)
{
  return member != except && gkv_member_is_live (member) && gkv_member_has_link (member);
}

GkvMember *
gkv_members_pick_one (GkvMembers *self, const GkvMember *except)
{
  guint start = gkv_runtime_random (self->runtime, self->linked->len);

  for (guint i = 0; i < self->linked->len; i++)
    {
      GkvMember *member = g_ptr_array_index (self->linked, (start + i) % self->linked->len);

      if (can_be_picked (member, except))
        return member;
    }

  return NULL;
}

GkvMember *
gkv_members_pick_next (GkvMembers *self, const GkvMember *except)
{
  guint start;

  if (self->linked->len == 0)
    return NULL;

  start = gkv_members_find_place (self, self->runtime->place);
  for (guint i = 0; i < self->ring->len; i++)
    {
      GkvMember *member = gkv_members_get_nth (self, (start + i) % self->ring->len);

      if (can_be_picked (member, except))
        return member;
    }

  return NULL;
}

GPtrArray *
gkv_members_pick_some (GkvMembers *self, guint max, const GkvMember *except)
{
  GPtrArray *picked = g_ptr_array_new ();

  for (guint i = 0; i < max; i++)
    {
      GkvMember *member = gkv_members_pick_one (self, except);

      if (member != NULL && !g_ptr_array_find (picked, member, NULL))
        g_ptr_array_add (picked, member);
    }

  return picked;
}

GPtrArray *
gkv_members_pick (GkvMembers *self, guint max, const GkvMember *except)
{
  GPtrArray *picked = g_ptr_array_new ();

  for (guint i = 0; i < self->linked->len; i++)
    {
      GkvMember *member = g_ptr_array_index (self->linked, i);

      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (can_be_picked (member, except))
        g_ptr_array_add (picked, member);
    }

  for (guint i = 0; i < MIN (max, picked->len); i++)
    {
      guint j = i + gkv_runtime_random (self->runtime, picked->len - i);
      gpointer swap = picked->pdata[i];

      picked->pdata[i] = picked->pdata[j];
      picked->pdata[j] = swap;
    }
  if (picked->len > max)
    g_ptr_array_set_size (picked, max);

  return picked;
}
