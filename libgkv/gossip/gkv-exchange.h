/* GkvExchanges: anti-entropy: finding what differs from one peer, range by range.
 *
 * Here is what an exchange is, and how it goes on and ends; gkv-sketches finds what differs all at once, where that is
 * little, and gkv-answers has what is said to a query, and what follows from the reply.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-membership.h"
#include "gkv-standing.h"
#include "gkv-transfer.h"

G_BEGIN_DECLS

typedef struct _GkvExchange GkvExchange;
typedef struct _GkvExchanges GkvExchanges;

/* A query that waits for its reply. */
typedef struct
{
  GkvRange range;
  guint chunk; /* of a sketch; 0: the query is about the range */
  guint32 sum; /* a part of ours, when it was sent last */
  gint64 sent;
  guint tries;
} GkvAsked;

struct _GkvExchange
{
  GQueue todo;        /* GkvRange*, deepest first */
  GArray *asked;      /* GkvAsked */
  gpointer sketching; /* gkv-sketches; a single block; NULL: none under way */
  gboolean gave;      /* the other side lacked something */
  guint64 mark;       /* the listener's */
  guint64 n_too_new;  /* records that this node had refused when it began */
  gboolean invited;   /* the other fetches what it lacks at its own pace */
  gboolean full;      /* no sums are trusted: all is listed */
  gboolean differs;
  guint64 number;            /* of those that this node has begun */
  gboolean synced;           /* the node there said that it is, when it began */
  GkvFingerprint difference; /* by how much their sum was above ours at the start */
};

/* In ASK: the sum is that which the other should have, as what differs is refused here or there. */
#define GKV_ASK_FLAG_ACCEPTED 1

/* Queries under way at once. */
#define GKV_EXCHANGE_MAX_ASKED 16

typedef struct
{
  /* Returns a mark that it is given back in the end. */
  guint64 (*began) (GkvLink *link, gpointer data);
  /* It has looked at everything, and the other side lacked nothing. */
  void (*ended) (GkvLink *link, guint64 mark, gpointer data);
  /* The node there is asked again: whether it lives is to be asked as well. */
  void (*repeats) (GkvLink *link, gpointer data);
  /* All is here that the member there held when the exchange with this @number began, or before. */
  void (*matched) (GkvLink *link, guint64 number, gboolean refused, gpointer data);
} GkvExchangesListener;

GkvExchanges *gkv_exchanges_new (GkvRuntime *runtime,
                                 GkvLinks *links,
                                 GkvMembers *members,
                                 GkvMembership *membership,
                                 GkvPieces *pieces,
                                 GkvTransfers *transfers,
                                 gint64 interval,
                                 const GkvExchangesListener *listener,
                                 gpointer data);
void gkv_exchanges_free (GkvExchanges *self);
void gkv_exchanges_tick (GkvExchanges *self);
void gkv_exchanges_set_interval (GkvExchanges *self, gint64 interval);
/* Has exchanges begin soon. */
void gkv_exchanges_hasten (GkvExchanges *self);
/* All is judged anew. */
void gkv_exchanges_begin_anew (GkvExchanges *self);
/* The pieces of a record have come, or don't come any more. */
void gkv_exchanges_end_pieces (GkvExchanges *self, guint64 hash, guint32 version, gboolean got);
/* The number of the one that was begun last. */
guint64 gkv_exchanges_get_number (GkvExchanges *self);
/* A member was just probed: what is due is asked along with that. */
void gkv_exchanges_ride (GkvExchanges *self, GkvMember *member);
guint gkv_exchanges_get_n (GkvExchanges *self);
/* One under way that waits for nothing, which must not be; NULL: none. */
GkvLink *gkv_exchanges_find_stuck (GkvExchanges *self);

/* NULL: none is under way. */
static inline GkvExchange *
gkv_exchange_of (const GkvLink *link)
{
  return gkv_conversation_of (link)->exchange;
}

void gkv_exchange_begin (GkvExchanges *self, GkvLink *link);
void gkv_exchange_free (GkvExchanges *self, GkvLink *link);
/* Neither that one nor what it waits for goes on. */
void gkv_exchange_end_all (GkvExchanges *self, GkvLink *link);
/* Something that the exchange waited for has been got, or given up: it may have ended. */
void gkv_exchange_consider_end (GkvExchanges *self, GkvLink *link);
/* They hold just what we hold. */
void gkv_exchange_agree (GkvExchanges *self, GkvLink *link, guint64 number);
/* One side's full exchange is enough for both. */
void gkv_exchange_put_off_full (GkvExchanges *self, GkvLink *link);
/* Whether it is the sum that a full exchange asks with. */
gboolean gkv_exchange_is_full_sum (const GkvFingerprint *sum);

/* One of the sixteen parts of a range. */
GkvRange gkv_exchange_get_part (GkvRange range, guint index);
void gkv_exchange_ask (GkvExchanges *self, GkvLink *link, GkvRange range, guint chunk);
/* The query that is under way about it; NULL: none. */
const GkvAsked *gkv_exchange_find_asked (const GkvLink *link, const GkvRange *range, guint chunk);
/* Takes away the query that this is the reply to; FALSE when there was none. */
gboolean gkv_exchange_is_answer (GkvLink *link, const GkvRange *range, guint chunk);
/* Whether each record is looked at: as no sums are trusted, or because some are refused, here or there. */
gboolean gkv_exchange_is_picky (const GkvLink *link);
/* Has the range be asked about. */
void gkv_exchange_look_into (GkvLink *link, GkvRange range);
/* Goes on with those parts of a range that differ from @theirs, or with all of them for NULL. */
void gkv_exchange_split (GkvExchanges *self, GkvLink *link, GkvRange range, const guint64 *theirs);
/* What follows from the first reply, when the two sides differ. FALSE: nothing; it has ended, as the same two sides
 * have met often enough for now, or it begins again as a full one. */
gboolean gkv_exchange_goes_on (GkvExchanges *self, GkvLink *link, const GkvFingerprint *theirs);

G_END_DECLS
