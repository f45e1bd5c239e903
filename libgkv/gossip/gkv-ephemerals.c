/* Ephemeral records: each belongs to one generation of its owner, and is marked dead when that has ended.
 *
 * They are kept by owner, so that a look at each owner shows what has ended, however many records it has; those of one
 * that has ended are marked a few at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-ephemerals.h"

#include "gkv-standing.h"

#include "../store/gkv-table.h"

#include <string.h>

/* Owners are looked at this often, and when one is lost. */
#define PERIOD GKV_SECOND

/* An owner that nobody here knows, or that has written although it is held dead, is waited for so many suspicion times,
 * and so much longer. */
#define PATIENCE      2
#define PATIENCE_MORE GKV_SECOND

/* One that nobody here knows is waited for so much longer while we learn of members, and one that has written although
 * it is held dead while others are asked whether it is. */
#define PATIENCE_LEARNING (60 * GKV_SECOND)
#define PATIENCE_DEAD     (30 * GKV_SECOND)

/* Who is back has heard by then of the owners that live, or holds them dead. */
#define PATIENCE_RETURNED 4

/* Records marked in one turn. */
#define MAX_MARKED 256

/* One generation of a node, and the live records that it owns. */
typedef struct
{
  char *id;
  guint64 generation;
  guint hash;     /* of both */
  gint64 fine;    /* until when nothing spoke against it: when it was known to live, or something new of it came */
  GQueue records; /* Entry */
} Owner;

/* What an owner has of one hash: one record, or several keys have that hash. */
typedef struct _Entry
{
  guint64 hash;
  Owner *owner;
  GList link;          /* in its records */
  struct _Entry *next; /* of another owner; NULL: that is all of this hash */
} Entry;

struct _GkvEphemerals
{
  GkvRuntime *runtime;
  GkvMembers *members;
  GkvMembership *membership;
  GkvEphemeralsListener listener;
  gpointer data;
  GkvTable *records; /* hash* → the first Entry; all are owned */
  guint n_entries;
  GHashTable *owners; /* set of Owner, owned */
  gint64 due;
};

static guint
owner_hash (gconstpointer data)
{
  return ((const Owner *) data)->hash;
}

static gboolean
owner_equal (gconstpointer a, gconstpointer b)
{
  const Owner *x = a, *y = b;

  return x->generation == y->generation && strcmp (x->id, y->id) == 0;
}

static void
owner_free (Owner *owner)
{
  g_free (owner->id);
  g_free (owner);
}

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  while (entry != NULL)
    {
      Entry *next = entry->next;

      g_free (entry);
      entry = next;
    }
}

GkvEphemerals *
gkv_ephemerals_new (GkvRuntime *runtime,
                    GkvMembers *members,
                    GkvMembership *membership,
                    const GkvEphemeralsListener *listener,
                    gpointer data)
{
  GkvEphemerals *self = g_new0 (GkvEphemerals, 1);

  self->runtime = runtime;
  self->members = members;
  self->membership = membership;
  self->listener = *listener;
  self->data = data;
  self->records = gkv_table_new (g_int64_hash, g_int64_equal, entry_free);
  self->owners = g_hash_table_new_full (owner_hash, owner_equal, (GDestroyNotify) owner_free, NULL);
  return self;
}

void
gkv_ephemerals_free (GkvEphemerals *self)
{
  gkv_table_free (self->records);
  g_hash_table_unref (self->owners);
  g_free (self);
}

static gboolean
is_watched (const GkvRecord *record)
{
  return (record->flags & (GKV_RECORD_EPHEMERAL | GKV_RECORD_DEAD | GKV_RECORD_QUARANTINED)) == GKV_RECORD_EPHEMERAL;
}

static gboolean
is_owned (const Owner *owner, const GkvRecord *record)
{
  return owner->generation == gkv_record_get_generation (record) &&
         strcmp (owner->id, gkv_record_get_origin (record)) == 0;
}

static Owner *
ensure_owner (GkvEphemerals *self, GkvRecord *record)
{
  Owner wanted = { .id = (char *) gkv_record_get_origin (record), .generation = gkv_record_get_generation (record) };
  Owner *owner;

  wanted.hash = gkv_runtime_hash_id (self->runtime, wanted.id) ^ wanted.generation;
  owner = g_hash_table_lookup (self->owners, &wanted);

  if (owner == NULL)
    {
      owner = g_new0 (Owner, 1);
      owner->id = g_strdup (wanted.id);
      owner->generation = wanted.generation;
      owner->hash = wanted.hash;
      g_queue_init (&owner->records);
      g_hash_table_add (self->owners, owner);
    }

  return owner;
}

/* The table has the first of them by its own hash. */
static void
remove_entry (GkvEphemerals *self, Entry *entry)
{
  Owner *owner = entry->owner;
  Entry *first = gkv_table_lookup (self->records, &entry->hash);

  g_queue_unlink (&owner->records, &entry->link);
  if (owner->records.length == 0)
    g_hash_table_remove (self->owners, owner);

  self->n_entries--;
  if (first != entry)
    {
      while (first->next != entry)
        first = first->next;
      first->next = entry->next;
      g_free (entry);
      return;
    }

  first = g_steal_pointer (&entry->next);
  gkv_table_remove (self->records, &entry->hash);
  if (first != NULL)
    gkv_table_insert (self->records, &first->hash, first);
}

/* What is seen of a key that has this hash, and belongs to the owner; NULL: nothing. */
static GkvRecord *
find_owned (GkvEphemerals *self, const Owner *owner, guint64 hash)
{
  GkvRecord *record;

  for (guint n = 0; (record = gkv_store_lookup_nth (self->runtime->store, hash, n)) != NULL; n++)
    {
      GkvRecord *visible = gkv_store_get_visible (self->runtime->store, record);

      if (visible != NULL && is_watched (visible) && is_owned (owner, visible))
        return visible;
    }

  return NULL;
}

/* Those of the hash of @record whose owners have nothing of it any more go. Returns that of its own owner, or NULL. */
static Entry *
look_at_entries (GkvEphemerals *self, GkvRecord *record)
{
  Entry *entry = gkv_table_lookup (self->records, &record->hash);
  Entry *found = NULL;

  while (entry != NULL)
    {
      Entry *next = entry->next;

      if (is_watched (record) && is_owned (entry->owner, record))
        found = entry;
      else if (find_owned (self, entry->owner, entry->hash) == NULL)
        remove_entry (self, entry);
      entry = next;
    }

  return found;
}

void
gkv_ephemerals_watch (GkvEphemerals *self, GkvRecord *record)
{
  Entry *entry = self->n_entries > 0 ? look_at_entries (self, record) : NULL;
  Entry *last;

  if (entry != NULL)
    entry->owner->fine = self->runtime->now.mono;
  if (entry != NULL || !is_watched (record))
    return;

  entry = g_new0 (Entry, 1);
  entry->hash = record->hash;
  entry->owner = ensure_owner (self, record);
  entry->owner->fine = self->runtime->now.mono;
  entry->link.data = entry;
  g_queue_push_tail_link (&entry->owner->records, &entry->link);
  self->n_entries++;
  last = gkv_table_lookup (self->records, &entry->hash);
  while (last != NULL && last->next != NULL)
    last = last->next;
  if (last != NULL)
    last->next = entry;
  else
    gkv_table_insert (self->records, &entry->hash, entry);
  gkv_runtime_wake_at (self->runtime, self->due);
}

/* Whether the owner's generation has certainly ended. */
static gboolean
has_ended (GkvEphemerals *self, Owner *owner)
{
  gint64 suspicion = gkv_membership_get_suspicion (self->membership);
  GkvMember *member;
  gint64 ends;

  if (strcmp (owner->id, self->runtime->id) == 0)
    return owner->generation < self->runtime->generation;

  member = gkv_members_lookup (self->members, owner->id);
  if (member != NULL && member->profile->generation == owner->generation && gkv_member_is_live (member))
    {
      owner->fine = self->runtime->now.mono;
      return FALSE;
    }

  ends = owner->fine + PATIENCE * suspicion + PATIENCE_MORE;
  if (member == NULL)
    ends = CLAMP (gkv_members_get_sum_since (self->members) + PATIENCE * suspicion + PATIENCE_MORE, ends,
                  ends + PATIENCE_LEARNING);

  /* A node that takes a later generation without a new start writes its records again: for one suspicion time those of
   * the earlier one are left alone. */
  if (member != NULL && member->profile->generation > owner->generation)
    ends = MIN (ends, MAX (gkv_member_get_generation_since (member), owner->fine) + suspicion);
  /* An owner that lives writes again what others mark. A node that still holds it dead then waits, or both would write
   * in turns. */
  else if (member != NULL && member->profile->generation == owner->generation &&
           gkv_member_get_status_since (member) >= owner->fine)
    return TRUE;
  else if (member != NULL && member->profile->generation == owner->generation && member->status == GKV_PEER_STATE_DEAD)
    {
      ends += PATIENCE_DEAD;
      gkv_membership_doubt_death (self->membership, member);
    }
  if (self->runtime->now.mono >= ends)
    return TRUE;

  self->due = MIN (self->due, ends);
  return FALSE;
}

/* An owner that lives writes again what others mark, and then all have that. */
gboolean
gkv_ephemerals_doubt (GkvEphemerals *self, GkvRecord *record)
{
  Entry *entry;
  GkvMember *member;

  if ((record->flags & (GKV_RECORD_EPHEMERAL | GKV_RECORD_DEAD)) != (GKV_RECORD_EPHEMERAL | GKV_RECORD_DEAD) ||
      strcmp (gkv_record_get_origin (record), self->runtime->id) == 0)
    return FALSE;

  entry = gkv_table_lookup (self->records, &record->hash);
  if (entry == NULL || !is_owned (entry->owner, record))
    return FALSE;

  member = gkv_members_lookup (self->members, gkv_record_get_origin (record));
  if (member == NULL || member->profile->generation < entry->owner->generation)
    return TRUE;

  /* What has come of it since it was held dead says that it may live. */
  return member->profile->generation == entry->owner->generation &&
         (gkv_member_is_live (member) ||
          (member->status == GKV_PEER_STATE_DEAD && entry->owner->fine > gkv_member_get_status_since (member)));
}

gboolean
gkv_ephemerals_awaits_owner (GkvEphemerals *self, GkvRecord *record, const GkvMember *giver, gboolean is_rumour)
{
  GkvMember *owner;

  if (!is_watched (record) || strcmp (gkv_record_get_origin (record), self->runtime->id) == 0 ||
      self->runtime->now.mono - gkv_standing_get_live_since (giver) >=
          PATIENCE_RETURNED * gkv_membership_get_suspicion (self->membership))
    return FALSE;

  owner = gkv_members_lookup (self->members, gkv_record_get_origin (record));
  if (is_rumour)
    return owner != NULL && owner->status == GKV_PEER_STATE_DEAD &&
           owner->profile->generation == gkv_record_get_generation (record);

  if (owner != NULL && gkv_member_is_live (owner) && !owner->heard)
    gkv_membership_seek (self->membership, owner);

  return owner == NULL || !owner->heard || !gkv_member_is_live (owner) ||
         owner->profile->generation != gkv_record_get_generation (record);
}

/* Or written again, if they are ours and we have another generation now. At most @max. Returns how many; with the last
 * one the owner goes. */
static guint
mark_records (GkvEphemerals *self, Owner *owner, guint max)
{
  guint n = MIN (owner->records.length, max);
  gboolean ours = self->runtime->past_generation != 0 && owner->generation == self->runtime->past_generation &&
                  strcmp (owner->id, self->runtime->id) == 0;

  for (guint i = 0; i < n; i++)
    {
      Entry *entry = g_queue_peek_head (&owner->records);
      GkvRecord *record = find_owned (self, owner, entry->hash);

      /* What is done to it may watch its key anew. The last one takes the owner with it. */
      remove_entry (self, entry);
      if (record != NULL && ours)
        self->listener.is_past (record, self->data);
      else if (record != NULL)
        self->listener.ended (record, self->data);
      gkv_runtime_breathe (self->runtime, 2 * GKV_COST_RECORD);
    }

  return n;
}

static void
consider_owners (GkvEphemerals *self)
{
  g_autoptr (GPtrArray) ended = g_ptr_array_new ();
  guint left = MAX_MARKED;
  GHashTableIter iter;
  Owner *owner;

  g_hash_table_iter_init (&iter, self->owners);
  while (g_hash_table_iter_next (&iter, (gpointer *) &owner, NULL))
    {
      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (has_ended (self, owner))
        g_ptr_array_add (ended, owner);
    }

  for (guint i = 0; i < ended->len && left > 0; i++)
    left -= mark_records (self, g_ptr_array_index (ended, i), left);
  if (left == 0)
    self->due = self->runtime->now.mono + GKV_MS;
}

guint
gkv_ephemerals_get_n (GkvEphemerals *self)
{
  return self->n_entries;
}

void
gkv_ephemerals_hasten (GkvEphemerals *self)
{
  self->due = MIN (self->due, self->runtime->now.mono);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}

void
gkv_ephemerals_tick (GkvEphemerals *self)
{
  if (self->n_entries == 0)
    return;

  if (self->runtime->now.mono >= self->due)
    {
      self->due = self->runtime->now.mono + PERIOD;
      consider_owners (self);
    }
  gkv_runtime_wake_at (self->runtime, self->due);
}
