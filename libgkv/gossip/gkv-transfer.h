/* GkvTransfers: getting what was found to be missing, at the receiver's pace.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-horizons.h"
#include "gkv-pieces.h"

G_BEGIN_DECLS

typedef struct _GkvTransfers GkvTransfers;

typedef struct
{
  /* A record has come. TRUE: it is new here. */
  gboolean (*received) (GkvLink *link, GkvRecord *record, gint64 left_ms, gpointer data);
  /* Something that an exchange waited for has been got, or given up. */
  void (*progressed) (GkvLink *link, gpointer data);
} GkvTransfersListener;

GkvTransfers *gkv_transfers_new (GkvRuntime *runtime,
                                 GkvLinks *links,
                                 GkvHorizons *horizons,
                                 GkvPieces *pieces,
                                 const GkvTransfersListener *listener,
                                 gpointer data);
void gkv_transfers_free (GkvTransfers *self);
void gkv_transfers_tick (GkvTransfers *self);
void gkv_transfers_handle (GkvTransfers *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* There is room for more. */
void gkv_transfers_hasten (GkvTransfers *self);
/* With how many something is under way. */
guint gkv_transfers_get_n (GkvTransfers *self);

void gkv_transfer_want (GkvTransfers *self, GkvLink *link, guint64 hash);
/* Ours was offered: the other sends its own if that is newer, or wants ours. If neither comes, theirs is wanted. */
void gkv_transfer_expect (GkvTransfers *self, GkvLink *link, guint64 hash);
/* @empty: nothing of it is held here. */
void gkv_transfer_pull (GkvTransfers *self, GkvLink *link, GkvRange range, gboolean empty);
void gkv_transfer_forget_want (GkvLink *link, guint64 hash);
gboolean gkv_transfer_is_idle (const GkvLink *link);
/* Nothing is got from there any more. */
void gkv_transfer_end (GkvTransfers *self, GkvLink *link);

G_END_DECLS
