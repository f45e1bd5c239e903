/* GkvConversation: what is under way with the node at a link, and what is remembered of what was.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-links.h"
#include "gkv-names.h"

G_BEGIN_DECLS

typedef struct
{
  struct _GkvExchange *exchange; /* gkv-exchange; NULL: none under way */
  struct _GkvTransfer *transfer; /* gkv-transfer; NULL: nothing to get */
  guint n_assemblies;            /* of pieces that come from here */
  gint64 stirred;                /* when a query or a record came last; 0: never */
  gint64 unmatched_asked;        /* when it was queried last because this node wasn't synced */
  gboolean incomplete;           /* since the last exchange began, something wasn't got that is there */

  gboolean declined;   /* or wasn't taken, for now */
  gboolean refused;    /* what has come last isn't taken, as long as this clock is what it is */
  guint n_taken;       /* and so much was taken */
  guint n_explained;   /* and so much of what differs is refused, here or there */
  gboolean is_lacking; /* something is, there */
  gboolean gave_old;   /* or something was given, or offered, that may have been held before a parting */
  gint64 heard_at[3];  /* when it was known to have received something, the latest first (gkv-partings) */
  /* Whether it gives what it is asked for. */
  gint64 asked_since; /* since when it was asked, and gave nothing; 0: there is nothing to be got */
  gint64 asked_at;    /* when it was asked, and nothing else came since; 0: it isn't counted yet */
  guint n_refusals;   /* how often it was asked, something else came, and nothing of what was asked for */

  /* Names of what came in pieces from other nodes when it was found to be there as well: since the last exchange
   * began; and those that an exchange which has ended is waiting for, with its number. NULL: none. */
  GArray *elsewhere;
  GArray *awaited;
  guint64 awaited_by;
  gboolean awaited_refused; /* something is refused here */
  gboolean awaited_synced;  /* the node there said that it is, when that began */

  gboolean has_refused; /* something that has come from there was refused here */
  /* What the node there has said that it refuses. NULL: nothing. */
  GkvNames *refused_there;
  /* By how much its sum is above ours, as what differs is refused here or there. 0: it should be the same. */
  GkvFingerprint accepted;
  gboolean accepted_here; /* some of it is refused here */

  /* The last exchange that ended here: by how much their sum was above ours when it began, and how often it began with
   * just that. */
  GkvFingerprint ended_difference;
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
/* Something is asked for there; something has come from there; and that was something of what was asked for. */
void gkv_conversation_note_asked (GkvLink *link, gint64 now);
void gkv_conversation_note_received (GkvLink *link, gint64 now);
void gkv_conversation_note_got (GkvLink *link);
/* Whether the node there lives, and gives nothing of what it is asked for, for longer than @patience. Of one from which
 * nothing comes at all that isn't said. */
gboolean gkv_conversation_withholds (const GkvLink *link, gint64 now, gint64 patience);
/* The same beyond all doubt. */
gboolean gkv_conversation_withholds_all (const GkvLink *link);
/* What is wanted from there comes in pieces from another node. FALSE: there is no room to remember it. */
gboolean gkv_conversation_add_elsewhere (GkvLink *link, guint64 hash, guint32 version);
/* The node there refuses that; or has said that it does. */
void gkv_conversation_add_refused (GkvLink *link, guint64 hash, guint32 version);
gboolean gkv_conversation_is_refused (const GkvLink *link, guint64 hash, guint32 version);
/* What differs is refused; @here: some of it by this node. */
void gkv_conversation_accept (GkvLink *link, const GkvFingerprint *difference, gboolean here);
/* All that is refused is judged anew. */
void gkv_conversation_forget_refused (GkvLink *link);
/* Another node may be there, or both hold the same: exchanges in vain are counted from the start. */
void gkv_conversation_forget_repeats (GkvLink *link);

G_END_DECLS
