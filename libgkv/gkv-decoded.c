/* GkvDecoded: the values that were decoded last. Direct-mapped: each record has one slot that it can be in.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-decoded.h"

#define N_SLOTS (4096)
/* Larger contents are decoded at each reading: they would make the cache's memory unbounded for practical purposes. */
#define MAX_CONTENT_LEN (4096)

typedef struct
{
  GkvRecord *record;
  GVariant *value;
} GkvDecodedSlot;

struct _GkvDecoded
{
  GkvDecodedSlot slots[N_SLOTS];
};

static GkvDecodedSlot *
gkv_decoded_get_slot (GkvDecoded *self, GkvRecord *record)
{
  return &self->slots[record->hash % N_SLOTS];
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
  for (guint i = 0; i < N_SLOTS; i++)
    gkv_decoded_slot_clear (&self->slots[i]);

  g_free (self);
}

void
gkv_decoded_insert (GkvDecoded *self, GkvRecord *record, GVariant *value)
{
  GkvDecodedSlot *slot = gkv_decoded_get_slot (self, record);

  if (record->content_len > MAX_CONTENT_LEN || slot->record == record)
    return;

  gkv_decoded_slot_clear (slot);
  slot->record = gkv_record_ref (record);
  slot->value = g_variant_ref (value);
}

void
gkv_decoded_drop (GkvDecoded *self, GkvRecord *record)
{
  GkvDecodedSlot *slot = gkv_decoded_get_slot (self, record);

  if (slot->record == record)
    gkv_decoded_slot_clear (slot);
}

GVariant *
gkv_decoded_lookup (GkvDecoded *self, GkvRecord *record)
{
  GkvDecodedSlot *slot = gkv_decoded_get_slot (self, record);

  return slot->record == record ? slot->value : NULL;
}
