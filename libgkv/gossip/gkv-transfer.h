/* GkvTransfers: getting what was found to be missing, at the receiver's pace.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-partings.h"
#include "gkv-pieces.h"

G_BEGIN_DECLS

typedef struct _GkvTransfers GkvTransfers;

typedef struct
{
  /* A record has come. @left_ms: how long it still lives, or, as a dead one, is kept there; -1: without an end.
   * @away: GKV_AWAY_MAKE (), where the sender was away and has held it since before; 0: it wasn't. TRUE: it is new
   * here. */
  gboolean (*received) (GkvLink *link, GkvRecord *record, gint64 left_ms, guint64 away, gpointer data);
  /* Something that an exchange waited for has been got, or given up. */
  void (*progressed) (GkvLink *link, gpointer data);
} GkvTransfersListener;

GkvTransfers *gkv_transfers_new (GkvRuntime *runtime,
                                 GkvLinks *links,
                                 GkvPartings *partings,
                                 GkvPieces *pieces,
                                 const GkvTransfersListener *listener,
                                 gpointer data);
void gkv_transfers_free (GkvTransfers *self);
void gkv_transfers_tick (GkvTransfers *self);
void gkv_transfers_handle (GkvTransfers *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* A record has come. TRUE: it was new here. One that is refused isn't fetched again. */
gboolean gkv_transfers_take (GkvTransfers *self, GkvLink *link, GkvRecord *record, gint64 left_ms, guint64 away);
/* There is room for more. */
void gkv_transfers_hasten (GkvTransfers *self);
/* With how many something is under way. */
guint gkv_transfers_get_n (GkvTransfers *self);

/* Whether a record was refused: then it isn't fetched, and the node there is told. */
gboolean gkv_transfers_refuse (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version);
/* What was refused may be taken now. */
void gkv_transfers_judge_anew (GkvTransfers *self);
/* Whether the node there refuses @record, which it lacks: then the two sides differ in that rightly. */
gboolean gkv_transfer_is_refused (GkvLink *link, const GkvRecord *record);

/* A record is named by the hash of its key and the low bits of its fingerprint. @wins: over what is held here. */
void gkv_transfer_want (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version, gboolean wins);
/* Ours was offered: the other sends its own if that is newer, or wants ours. If neither comes, theirs is wanted. */
void gkv_transfer_expect (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version);
void gkv_transfer_pull (GkvTransfers *self, GkvLink *link, GkvRange range);
/* FALSE: nothing was wanted. */
gboolean gkv_transfer_forget_want (GkvLink *link, guint64 hash, guint32 version);
gboolean gkv_transfer_is_idle (const GkvLink *link);
/* Nothing is got from there any more. */
void gkv_transfer_end (GkvTransfers *self, GkvLink *link);

G_END_DECLS
