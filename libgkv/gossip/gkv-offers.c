/* Offers: what one side holds, by hash, stamp and fingerprint, so that the other can find what it lacks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-offers.h"

/* What is given in one answer without being asked for. */
#define MAX_GIVEN_BYTES (48 * 1024)

struct _GkvOffers
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvPartings *partings;
  GkvTransfers *transfers;
};

GkvOffers *
gkv_offers_new (GkvRuntime *runtime, GkvLinks *links, GkvPartings *partings, GkvTransfers *transfers)
{
  GkvOffers *self = g_new0 (GkvOffers, 1);

  self->runtime = runtime;
  self->links = links;
  self->partings = partings;
  self->transfers = transfers;
  return self;
}

void
gkv_offers_free (GkvOffers *self)
{
  g_free (self);
}

void
gkv_put_item (GByteArray *body, const GkvHashKey *hash_key, const GkvRecord *record)
{
  gkv_put_u64 (body, record->hash);
  gkv_put_u32 (body, (guint32) gkv_record_get_check (hash_key, record));
  gkv_put_u64 (body, record->stamp);
  gkv_put_u32 (body, record->fingerprint.lo);
}

GkvItem
gkv_reader_item (GkvReader *reader)
{
  GkvItem item;

  item.hash = gkv_reader_u64 (reader);
  item.check = gkv_reader_u32 (reader);
  item.stamp = gkv_reader_u64 (reader);
  item.fingerprint = gkv_reader_u32 (reader);
  return item;
}

gboolean
gkv_item_is_of (const GkvItem *item, const GkvHashKey *hash_key, const GkvRecord *record)
{
  return item->hash == record->hash && item->check == (guint32) gkv_record_get_check (hash_key, record);
}

/* What is held of the key of @item; NULL: nothing. */
static GkvRecord *
find_same (GkvOffers *self, const GkvItem *item)
{
  GkvRecord *mine;

  for (guint n = 0; (mine = gkv_store_lookup_nth (self->runtime->store, item->hash, n)) != NULL; n++)
    if (gkv_item_is_of (item, gkv_store_get_hash_key (self->runtime->store), mine))
      return mine;

  return NULL;
}

void
gkv_offers_consider (GkvOffers *self, GkvLink *link, const GkvItem *theirs)
{
  GkvRecord *mine = find_same (self, theirs);

  /* When the stamps tie, both sides show theirs. */
  if (mine == NULL || theirs->stamp > mine->stamp ||
      (theirs->stamp == mine->stamp && theirs->fingerprint != (guint32) mine->fingerprint.lo))
    gkv_transfer_want (self->transfers, link, theirs->hash, theirs->fingerprint,
                       mine != NULL ? theirs->stamp > mine->stamp
                                    : gkv_store_lookup_nth (self->runtime->store, theirs->hash, 0) == NULL);
}

void
gkv_offers_send (GkvOffers *self, GkvLink *link, GPtrArray *records)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_conversation_of (link)->gave_old |= records->len > 0;
  for (guint i = 0; i < records->len; i++)
    {
      gkv_put_item (body, gkv_store_get_hash_key (self->runtime->store), g_ptr_array_index (records, i));
      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (body->len + GKV_ITEM_SIZE > gkv_links_get_max_body (self->links, link) || i + 1 == records->len)
        {
          gkv_links_send (self->links, link, GKV_MESSAGE_OFFER);
          body = gkv_links_begin_message (self->links);
        }
    }
}

gboolean
gkv_offers_give (GkvOffers *self, GkvLink *link, GPtrArray *records)
{
  gsize bytes = 0;

  for (guint i = 0; i < records->len; i++)
    bytes += gkv_record_get_wire_size (g_ptr_array_index (records, i));

  if (bytes > MAX_GIVEN_BYTES)
    {
      gkv_offers_send (self, link, records);
      return TRUE;
    }

  for (guint i = 0; i < records->len; i++)
    {
      GkvRecord *record = g_ptr_array_index (records, i);

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 2);
      /* What was replaced just now is on its way as a rumour. */
      if (!(record->flags & GKV_RECORD_GONE))
        gkv_partings_give (self->partings, link, record);
    }
  return FALSE;
}

void
gkv_offers_handle (GkvOffers *self, GkvLink *link, GkvReader *reader)
{
  while (gkv_reader_get_left (reader) > 0)
    {
      GkvItem item = gkv_reader_item (reader);
      GkvRecord *mine;

      if (reader->failed)
        break;

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      gkv_offers_consider (self, link, &item);
      mine = find_same (self, &item);
      if (mine != NULL &&
          (mine->stamp > item.stamp ||
           (mine->stamp == item.stamp && (guint32) mine->fingerprint.lo != item.fingerprint)) &&
          gkv_links_spend (self->links, MIN (gkv_record_get_wire_size (mine), self->runtime->max_datagram)))
        gkv_partings_give (self->partings, link, mine);
    }
}
