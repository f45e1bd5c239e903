/* GkvConversation: what is under way with the node at a link, and what is remembered of what was.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-links.h"

G_BEGIN_DECLS

typedef struct
{
  struct _GkvExchange *exchange; /* gkv-exchange; NULL: none under way */
  struct _GkvTransfer *transfer; /* gkv-transfer; NULL: nothing to get */
  guint n_assemblies;            /* of pieces that come from here */
  gint64 stirred;                /* when a query or a record came last; 0: never */
  gint64 unmatched_asked;        /* when it was queried last because this node wasn't synced */
  gboolean incomplete;           /* since the last exchange began, something wasn't got that is there */

  gboolean gave_old;  /* or something was given, or offered, that may have been held before a parting */
  gint64 heard_at[3]; /* when it was known to have received something, the latest first (gkv-partings) */

  /* The last exchange that ended here: both sides' digests when it began, and how often it began with just these. */
  guint64 ended_mine;
  guint64 ended_theirs;
  guint n_repeats;
  gint64 differed_since; /* the first of these */
  gint64 pieces_sent;    /* when the other was getting a record in pieces */
  gint64 full_interval;  /* between full exchanges; 0: there was none since both agreed */
  gint64 full_due;
} GkvConversation;

static inline GkvConversation *
gkv_conversation_of (const GkvLink *link)
{
  return link->of_repair;
}

/* A link was added, or is about to be freed: nothing is under way on it. */
void gkv_conversation_init (GkvLink *link);
void gkv_conversation_clear (GkvLink *link);
/* Another node may be there, or both hold the same: exchanges in vain are counted from the start. */
void gkv_conversation_forget_repeats (GkvLink *link);

G_END_DECLS
