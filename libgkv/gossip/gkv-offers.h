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
  guint64 hash; /* of the key */
  GkvStamp stamp;
  guint32 fingerprint;
} GkvItem;

#define GKV_ITEM_SIZE (8 + 8 + 4)

void gkv_put_item (GByteArray *body, const GkvRecord *record);
GkvItem gkv_reader_item (GkvReader *reader);
/* Whether what the other has may win over what we have. When the stamps tie, both sides show theirs. */
gboolean gkv_item_is_wanted (const GkvItem *theirs, const GkvRecord *mine);
gboolean gkv_item_is_given (const GkvItem *theirs, const GkvRecord *mine);

GkvOffers *gkv_offers_new (GkvRuntime *runtime, GkvLinks *links, GkvPartings *partings, GkvTransfers *transfers);
void gkv_offers_free (GkvOffers *self);

/* Gives records, each with a reference, to one that lacks them: few and small ones are sent at once; otherwise they are
 * offered, and the other fetches them at its own pace: TRUE. */
gboolean gkv_offers_give (GkvOffers *self, GkvLink *link, GPtrArray *records);
void gkv_offers_send (GkvOffers *self, GkvLink *link, GPtrArray *records);
void gkv_offers_handle (GkvOffers *self, GkvLink *link, GkvReader *reader);

G_END_DECLS
