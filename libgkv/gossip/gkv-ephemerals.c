/* Ephemeral records: each belongs to one generation of its owner, and is marked dead when that has ended.
 *
 * They are kept by owner, so that a look at each owner tells what has ended, however many records it has; those of one
 * that has ended are marked a few at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include "../store/gkv-table.h"

#include <string.h>

/* Owners are looked at this often, and when one is lost. */
#define PERIOD GKV_SECOND

/* An owner that nobody here knows, or that has written although it is held dead, is waited for as long as a suspicion
 * lasts. */
#define PATIENCE (5 * GKV_SECOND)

/* Records marked in one turn. */
#define MAX_MARKED 256

/* One life of a node, and the live records that it owns. */
typedef struct
{
  char *id;
  guint64 life;
  guint hash;     /* of both */
  gint64 fine;    /* until when nothing spoke against it: when it was known to live, or something new of it came */
  GQueue records; /* Entry */
} Owner;

typedef struct
{
  guint64 hash;
  Owner *owner;
  GList link; /* in its records */
} Entry;

struct _GkvEphemerals
{
  GkvTable *records;  /* hash* → Entry, owned */
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

  return x->life == y->life && strcmp (x->id, y->id) == 0;
}

static void
owner_free (Owner *owner)
{
  g_free (owner->id);
  g_free (owner);
}

void
gkv_ephemerals_init (GkvEngine *self)
{
  GkvEphemerals *ephemerals = g_new0 (GkvEphemerals, 1);

  ephemerals->records = gkv_table_new (g_int64_hash, g_int64_equal, g_free);
  ephemerals->owners = g_hash_table_new_full (owner_hash, owner_equal, (GDestroyNotify) owner_free, NULL);
  self->ephemerals = ephemerals;
}

void
gkv_ephemerals_clear (GkvEngine *self)
{
  GkvEphemerals *ephemerals = g_steal_pointer (&self->ephemerals);

  gkv_table_free (ephemerals->records);
  g_hash_table_unref (ephemerals->owners);
  g_free (ephemerals);
}

static gboolean
is_watched (const GkvRecord *record)
{
  return (record->flags & (GKV_RECORD_EPHEMERAL | GKV_RECORD_DEAD | GKV_RECORD_QUARANTINED)) == GKV_RECORD_EPHEMERAL;
}

static gboolean
is_owned (const Owner *owner, const GkvRecord *record)
{
  return owner->life == gkv_record_get_generation (record) && strcmp (owner->id, gkv_record_get_origin (record)) == 0;
}

static Owner *
ensure_owner (GkvEngine *self, GkvRecord *record)
{
  GkvEphemerals *ephemerals = self->ephemerals;
  Owner wanted = { .id = (char *) gkv_record_get_origin (record), .life = gkv_record_get_generation (record) };
  Owner *owner;

  /* Ids come from elsewhere: keyed, so that nobody can make many that fall together. */
  wanted.hash = gkv_ring_get_place (self, wanted.id) ^ wanted.life;
  owner = g_hash_table_lookup (ephemerals->owners, &wanted);

  if (owner == NULL)
    {
      owner = g_new0 (Owner, 1);
      owner->id = g_strdup (wanted.id);
      owner->life = wanted.life;
      owner->hash = wanted.hash;
      g_queue_init (&owner->records);
      g_hash_table_add (ephemerals->owners, owner);
    }

  return owner;
}

static void
remove_entry (GkvEphemerals *ephemerals, Entry *entry)
{
  Owner *owner = entry->owner;

  g_queue_unlink (&owner->records, &entry->link);
  if (owner->records.length == 0)
    g_hash_table_remove (ephemerals->owners, owner);
  gkv_table_remove (ephemerals->records, &entry->hash);
}

void
gkv_ephemerals_forget (GkvEngine *self, guint64 hash)
{
  Entry *entry = gkv_table_lookup (self->ephemerals->records, &hash);

  if (entry != NULL)
    remove_entry (self->ephemerals, entry);
}

void
gkv_ephemerals_watch (GkvEngine *self, GkvRecord *record)
{
  GkvEphemerals *ephemerals = self->ephemerals;
  Entry *entry;

  if (gkv_table_get_size (ephemerals->records) > 0)
    {
      entry = gkv_table_lookup (ephemerals->records, &record->hash);
      if (entry != NULL && is_watched (record) && is_owned (entry->owner, record))
        {
          entry->owner->fine = self->now.mono;
          return;
        }
      if (entry != NULL)
        remove_entry (ephemerals, entry);
    }

  if (!is_watched (record))
    return;

  entry = g_new0 (Entry, 1);
  entry->hash = record->hash;
  entry->owner = ensure_owner (self, record);
  entry->owner->fine = self->now.mono;
  entry->link.data = entry;
  g_queue_push_tail_link (&entry->owner->records, &entry->link);
  gkv_table_insert (ephemerals->records, &entry->hash, entry);
  gkv_engine_wake_at (self, ephemerals->due);
}

/* Whether the owner's life has certainly ended. */
static gboolean
has_ended (GkvEngine *self, Owner *owner)
{
  GkvMember *member;

  if (strcmp (owner->id, self->id) == 0)
    return owner->life < self->life;

  member = g_hash_table_lookup (self->members, owner->id);
  if (member != NULL && member->life == owner->life && gkv_member_is_live (member))
    {
      owner->fine = self->now.mono;
      return FALSE;
    }

  /* An owner that lives writes again what others mark. Who still holds it dead then waits, or both would write in
   * turns. */
  if (member != NULL && member->life >= owner->life &&
      (member->life > owner->life ? member->life_since : member->status_since) >= owner->fine)
    return TRUE;
  if (self->now.mono - owner->fine >= PATIENCE)
    return TRUE;

  self->ephemerals->due = MIN (self->ephemerals->due, owner->fine + PATIENCE);
  return FALSE;
}

/* Or written again, if they are ours and we have another life now. At most @max. Returns how many; with the last one
 * the owner goes. */
static guint
mark_records (GkvEngine *self, Owner *owner, guint max)
{
  guint n = MIN (owner->records.length, max);
  gboolean ours = self->past_life != 0 && owner->life == self->past_life && strcmp (owner->id, self->id) == 0;

  for (guint i = 0; i < n; i++)
    {
      Entry *entry = g_queue_peek_head (&owner->records);
      GkvRecord *record = gkv_store_lookup_hash (self->store, entry->hash);
      GkvRecord *visible = record != NULL ? gkv_store_get_visible (self->store, record) : NULL;

      if (visible != NULL && !(is_watched (visible) && is_owned (owner, visible)))
        visible = NULL;

      /* The last one takes the owner with it. */
      remove_entry (self->ephemerals, entry);
      if (visible != NULL && visible == record && ours)
        gkv_engine_write_again (self, record);
      else if (visible != NULL && visible == record)
        gkv_engine_mark_dead (self, record);
      else if (visible != NULL)
        gkv_engine_hide (self, visible);
      gkv_engine_breathe (self, 2 * GKV_COST_RECORD);
    }

  return n;
}

static void
judge_owners (GkvEngine *self)
{
  g_autoptr (GPtrArray) ended = g_ptr_array_new ();
  guint left = MAX_MARKED;
  GHashTableIter iter;
  Owner *owner;

  g_hash_table_iter_init (&iter, self->ephemerals->owners);
  while (g_hash_table_iter_next (&iter, (gpointer *) &owner, NULL))
    {
      gkv_engine_breathe (self, GKV_COST_MEMBER);
      if (has_ended (self, owner))
        g_ptr_array_add (ended, owner);
    }

  for (guint i = 0; i < ended->len && left > 0; i++)
    left -= mark_records (self, g_ptr_array_index (ended, i), left);
  if (left == 0)
    self->ephemerals->due = self->now.mono + GKV_MS;
}

guint
gkv_ephemerals_get_n (GkvEngine *self)
{
  return gkv_table_get_size (self->ephemerals->records);
}

void
gkv_ephemerals_hasten (GkvEngine *self)
{
  self->ephemerals->due = MIN (self->ephemerals->due, self->now.mono);
  gkv_engine_wake_at (self, self->now.mono);
}

void
gkv_ephemerals_tick (GkvEngine *self)
{
  GkvEphemerals *ephemerals = self->ephemerals;

  if (gkv_table_get_size (ephemerals->records) == 0)
    return;

  if (self->now.mono >= ephemerals->due)
    {
      ephemerals->due = self->now.mono + PERIOD;
      judge_owners (self);
    }
  gkv_engine_wake_at (self, ephemerals->due);
}
