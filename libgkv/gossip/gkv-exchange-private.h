/* What gkv-exchange, gkv-sketches and gkv-offers share: the state of an exchange, and what is sent of a single record.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-engine-private.h"

G_BEGIN_DECLS

typedef struct _GkvSketching GkvSketching;

/* A query that waits for its reply. */
typedef struct
{
  GkvRange range;
  guint chunk;   /* of a sketch; 0: the query is about the range */
  guint32 epoch; /* of our store, when it was sent first */
  guint32 sum;   /* a part of ours, when it was sent last */
  gint64 sent;
  guint tries;
} GkvAsked;

struct _GkvExchange
{
  GQueue todo;             /* GkvRange*, deepest first */
  GArray *asked;           /* GkvAsked */
  GkvSketching *sketching; /* NULL: none under way */
  GkvGiven given;          /* what the other side lacked */
  gboolean invited;        /* the other fetches what it lacks at its own pace */
  gboolean full;           /* no sums are trusted: all is listed */
  gboolean differs;
  guint64 mine, theirs; /* both sides' digests at the start */
};

/* A version of a record. */
typedef struct
{
  guint64 hash; /* of the key */
  GkvStamp stamp;
  guint32 fingerprint;
} GkvItem;

#define GKV_ITEM_SIZE (8 + 8 + 4)

/* Queries under way at once. */
#define GKV_EXCHANGE_MAX_ASKED 16

/* gkv-exchange */
/* Messages about the whole map have the horizon, too. */
void gkv_exchange_put_range (GkvEngine *self, GByteArray *body, GkvRange range);
GkvRange gkv_exchange_read_range (GkvEngine *self, GkvLink *link, GkvReader *reader);
void gkv_exchange_ask (GkvEngine *self, GkvLink *link, GkvRange range, guint chunk);
/* Takes away the query that this is the reply to; FALSE when there was none. @epoch: (optional): when it was sent. */
gboolean gkv_exchange_is_answer (GkvLink *link, const GkvRange *range, guint chunk, guint32 *epoch);
/* Goes on with those parts of a range that differ from @theirs, or with all of them for NULL. */
void gkv_exchange_split (GkvEngine *self, GkvLink *link, GkvRange range, const guint64 *theirs);
/* What follows from the first reply, when the two sides differ. FALSE: nothing; it has ended, as the same two sides
 * have met often enough for now, or it begins again as a full one. */
gboolean gkv_exchange_goes_on (GkvEngine *self, GkvLink *link, const guint8 *theirs, gsize len);

/* gkv-sketches */
gboolean gkv_sketches_can_send (GkvEngine *self);
void gkv_sketches_send (GkvEngine *self, GkvLink *link, guint chunk);
void gkv_sketches_handle (GkvEngine *self, GkvLink *link, GkvReader *reader);
void gkv_sketches_handle_ask (GkvEngine *self, GkvLink *link, GkvReader *reader);
void gkv_sketching_free (GkvSketching *sketching);

/* gkv-offers */
void gkv_put_item (GByteArray *body, const GkvRecord *record);
GkvItem gkv_reader_item (GkvReader *reader);
/* Whether what the other has may win over what we have. When the stamps tie, both sides show theirs. */
gboolean gkv_item_is_wanted (const GkvItem *theirs, const GkvRecord *mine);
gboolean gkv_item_is_given (const GkvItem *theirs, const GkvRecord *mine);
/* Gives records, each with a reference, to one who lacks them: few and small ones are sent at once; otherwise they are
 * offered, and the other fetches them at its own pace. */
void gkv_offers_give (GkvEngine *self, GkvLink *link, GPtrArray *records);
void gkv_offers_send (GkvEngine *self, GkvLink *link, GPtrArray *records);
void gkv_offers_handle (GkvEngine *self, GkvLink *link, GkvReader *reader);

G_END_DECLS
