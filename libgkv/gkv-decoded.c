/* GkvDecoded: the values that were decoded last: sets of four, each record belonging to one of them. The first of a set
 * is the one read last.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-decoded.h"

#define N_SETS (1024)
#define N_WAYS (4)
/* Larger contents are decoded at each reading: they would make the cache's memory unbounded for practical purposes. */
#define MAX_CONTENT_LEN (4096)

typedef struct
{
  GkvRecord *record;
  GVariant *value;
} GkvDecodedSlot;

struct _GkvDecoded
{
  GkvDecodedSlot slots[N_SETS][N_WAYS];
  guint8 missed[N_SETS]; /* a part of the hash of the record that was missed last */
};

static guint
gkv_decoded_get_set (GkvRecord *record)
{
  return record->hash % N_SETS;
}

static void
gkv_decoded_slot_clear (GkvDecodedSlot *slot)
{
  g_clear_pointer (&slot->record, gkv_record_unref);
  g_clear_pointer (&slot->value, g_variant_unref);
}

GkvDecoded *
gkv_decoded_new (void)
{
  return g_new0 (GkvDecoded, 1);
}

void
gkv_decoded_free (GkvDecoded *self)
{
  for (guint i = 0; i < N_SETS * N_WAYS; i++)
    gkv_decoded_slot_clear (&self->slots[i / N_WAYS][i % N_WAYS]);

  g_free (self);
}

gboolean
gkv_decoded_admit (GkvDecoded *self, GkvRecord *record)
{
  guint set = gkv_decoded_get_set (record);
  guint8 mark = record->hash >> 56;

  if (record->content_len > MAX_CONTENT_LEN)
    return FALSE;

  if (self->slots[set][N_WAYS - 1].record == NULL || self->missed[set] == mark)
    return TRUE;

  self->missed[set] = mark;
  return FALSE;
}

void
gkv_decoded_insert (GkvDecoded *self, GkvRecord *record, GVariant *value)
{
  GkvDecodedSlot *slot = &self->slots[gkv_decoded_get_set (record)][N_WAYS - 1];

  if (gkv_decoded_lookup (self, record) != NULL)
    return;

  gkv_decoded_slot_clear (slot);
  slot->record = gkv_record_ref (record);
  slot->value = g_variant_ref (value);
}

void
gkv_decoded_drop (GkvDecoded *self, GkvRecord *record)
{
  GkvDecodedSlot *slots = self->slots[gkv_decoded_get_set (record)];

  for (guint i = 0; i < N_WAYS; i++)
    if (slots[i].record == record)
      gkv_decoded_slot_clear (&slots[i]);
}

GVariant *
gkv_decoded_lookup (GkvDecoded *self, GkvRecord *record)
{
  GkvDecodedSlot *slots = self->slots[gkv_decoded_get_set (record)];

  for (guint i = 0; i < N_WAYS; i++)
    if (slots[i].record == record)
      {
        GkvDecodedSlot found = slots[i];

        for (; i > 0; i--)
          slots[i] = slots[i - 1];
        slots[0] = found;
        return found.value;
      }

  return NULL;
}
