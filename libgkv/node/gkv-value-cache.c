/* GkvValueCache: the values that were decoded last: sets of four, each record belonging to one of them. The first of a
 * set is the one read last.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-value-cache.h"

#include <string.h>

#define N_SETS (1024)
#define N_WAYS (4)
/* Larger contents are decoded at each reading: they would make the cache's memory unbounded for practical purposes. */
#define MAX_CONTENT_LEN (4096)

typedef struct
{
  GkvRecord *record;
  GVariant *value;
} GkvValueCacheSlot;

typedef struct
{
  guint16 tags[N_SETS][N_WAYS]; /* a part of each record's hash: most others differ in it, and need not be read */
  GkvValueCacheSlot slots[N_SETS][N_WAYS];
  guint8 missed[N_SETS]; /* a part of the hash of the record that was missed last */
} GkvValueCacheSets;

struct _GkvValueCache
{
  GkvValueCacheSets *sets; /* NULL: nothing was kept yet; many a node never is read */
};

static guint
gkv_value_cache_get_set (guint64 hash)
{
  return hash % N_SETS;
}

static guint16
gkv_value_cache_get_tag (guint64 hash)
{
  return hash >> 48;
}

static void
gkv_value_cache_slot_clear (GkvValueCacheSlot *slot)
{
  g_clear_pointer (&slot->record, gkv_record_unref);
  g_clear_pointer (&slot->value, g_variant_unref);
}

GkvValueCache *
gkv_value_cache_new (void)
{
  return g_new0 (GkvValueCache, 1);
}

void
gkv_value_cache_free (GkvValueCache *self)
{
  for (guint i = 0; self->sets != NULL && i < N_SETS * N_WAYS; i++)
    gkv_value_cache_slot_clear (&self->sets->slots[i / N_WAYS][i % N_WAYS]);

  g_free (self->sets);
  g_free (self);
}

gboolean
gkv_value_cache_admit (GkvValueCache *self, GkvRecord *record)
{
  guint set = gkv_value_cache_get_set (record->hash);
  guint8 mark = record->hash >> 56;

  if (record->content_len > MAX_CONTENT_LEN)
    return FALSE;

  if (self->sets == NULL || self->sets->slots[set][N_WAYS - 1].record == NULL || self->sets->missed[set] == mark)
    return TRUE;

  self->sets->missed[set] = mark;
  return FALSE;
}

void
gkv_value_cache_insert (GkvValueCache *self, GkvRecord *record, GVariant *value)
{
  guint set = gkv_value_cache_get_set (record->hash);
  GkvValueCacheSlot *slot;

  if (self->sets == NULL)
    self->sets = g_new0 (GkvValueCacheSets, 1);
  else if (gkv_value_cache_lookup (self, record) != NULL)
    return;

  slot = &self->sets->slots[set][N_WAYS - 1];
  gkv_value_cache_slot_clear (slot);
  slot->record = gkv_record_ref (record);
  slot->value = g_variant_ref (value);
  self->sets->tags[set][N_WAYS - 1] = gkv_value_cache_get_tag (record->hash);
}

void
gkv_value_cache_drop (GkvValueCache *self, GkvRecord *record)
{
  GkvValueCacheSlot *slots;

  if (self->sets == NULL)
    return;

  slots = self->sets->slots[gkv_value_cache_get_set (record->hash)];
  for (guint i = 0; i < N_WAYS; i++)
    if (slots[i].record == record)
      gkv_value_cache_slot_clear (&slots[i]);
}

/* Moves the one at @index to the front. */
static GVariant *
gkv_value_cache_use (GkvValueCache *self, guint set, guint index)
{
  GkvValueCacheSlot found = self->sets->slots[set][index];
  guint16 tag = self->sets->tags[set][index];

  for (; index > 0; index--)
    {
      self->sets->slots[set][index] = self->sets->slots[set][index - 1];
      self->sets->tags[set][index] = self->sets->tags[set][index - 1];
    }
  self->sets->slots[set][0] = found;
  self->sets->tags[set][0] = tag;

  return found.value;
}

GVariant *
gkv_value_cache_lookup (GkvValueCache *self, GkvRecord *record)
{
  guint set = gkv_value_cache_get_set (record->hash);

  for (guint i = 0; self->sets != NULL && i < N_WAYS; i++)
    if (self->sets->slots[set][i].record == record)
      return gkv_value_cache_use (self, set, i);

  return NULL;
}

GkvRecord *
gkv_value_cache_find (GkvValueCache *self, guint64 hash, const char *key, gsize key_len, GVariant **value)
{
  guint set = gkv_value_cache_get_set (hash);

  for (guint i = 0; self->sets != NULL && i < N_WAYS; i++)
    {
      GkvRecord *record = self->sets->slots[set][i].record;

      if (record == NULL || self->sets->tags[set][i] != gkv_value_cache_get_tag (hash) || record->hash != hash ||
          record->key_len != key_len || (record->flags & GKV_RECORD_GONE) != 0 ||
          memcmp (gkv_record_get_key (record), key, key_len) != 0)
        continue;

      *value = gkv_value_cache_use (self, set, i);
      return record;
    }

  return NULL;
}
