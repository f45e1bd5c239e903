/* GkvOffers: what one side holds, by hash, stamp and fingerprint, so that the other can find what it lacks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-transfer.h"

G_BEGIN_DECLS

typedef struct _GkvOffers GkvOffers;

/* A version of a record. */
typedef struct
{
  guint64 hash;  /* of the key */
  guint32 check; /* another one of it: two keys may have one hash */
  GkvStamp stamp;
  guint32 fingerprint;
} GkvItem;

#define GKV_ITEM_SIZE (8 + 4 + 8 + 4)

void gkv_put_item (GByteArray *body, const GkvHashKey *hash_key, const GkvRecord *record);
GkvItem gkv_reader_item (GkvReader *reader);

GkvOffers *gkv_offers_new (GkvRuntime *runtime, GkvLinks *links, GkvPartings *partings, GkvTransfers *transfers);
void gkv_offers_free (GkvOffers *self);

/* Whether they are of one key. */
gboolean gkv_item_is_of (const GkvItem *item, const GkvHashKey *hash_key, const GkvRecord *record);
/* Has a record of the other side be fetched if it may win over what is held here. */
void gkv_offers_consider (GkvOffers *self, GkvLink *link, const GkvItem *theirs);
/* Gives records, each with a reference, to one that lacks them: few and small ones are sent at once; otherwise they are
 * offered, and the other fetches them at its own pace: TRUE. */
gboolean gkv_offers_give (GkvOffers *self, GkvLink *link, GPtrArray *records);
void gkv_offers_send (GkvOffers *self, GkvLink *link, GPtrArray *records);
void gkv_offers_handle (GkvOffers *self, GkvLink *link, GkvReader *reader);

G_END_DECLS
