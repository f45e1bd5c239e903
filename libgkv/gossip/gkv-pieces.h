/* GkvPieces: getting a record that doesn't fit a datagram.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-conversation.h"
#include "gkv-partings.h"
#include "gkv-rumours.h"

G_BEGIN_DECLS

typedef struct _GkvPieces GkvPieces;

typedef struct
{
  /* A record has come, as of gkv-transfer. TRUE: it is new here. */
  gboolean (*received) (GkvLink *link, GkvRecord *record, gint64 left_ms, guint64 away, gpointer data);
  /* TRUE: it isn't taken now, so that its pieces need not be got. @away: as of gkv-transfer. */
  gboolean (*refuses) (GkvLink *link, guint64 hash, guint32 version, guint64 away, gpointer data);
  /* That it is there was announced, and its pieces are got, or it is held already. */
  void (*announced) (GkvLink *link, guint64 hash, guint32 version, gpointer data);
  /* There is no room for it now: it is to be asked for again in a while. */
  void (*postponed) (GkvLink *link, guint64 hash, guint32 version, gpointer data);
  /* There is room for more. */
  void (*has_room) (gpointer data);
  /* The pieces of a record have come, or don't come any more: exchanges with others have passed over it. */
  void (*ended) (guint64 hash, guint32 version, gboolean got, gpointer data);
  /* Something that an exchange waited for has been got, or given up. */
  void (*progressed) (GkvLink *link, gpointer data);
} GkvPiecesListener;

GkvPieces *gkv_pieces_new (GkvRuntime *runtime,
                           GkvLinks *links,
                           GkvPartings *partings,
                           GkvRumours *rumours,
                           const GkvPiecesListener *listener,
                           gpointer data);
void gkv_pieces_free (GkvPieces *self);
void gkv_pieces_tick (GkvPieces *self);
void gkv_pieces_handle (GkvPieces *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* Nothing comes from there any more. */
void gkv_pieces_drop_link (GkvPieces *self, GkvLink *link);

gboolean gkv_pieces_have_room (GkvPieces *self);
/* Pieces of this record, named by the hash of its key and the low bits of its fingerprint, have come lately. */
gboolean gkv_pieces_are_coming (GkvPieces *self, guint64 hash, guint32 version);
/* Records that come in pieces, and their bytes. */
guint gkv_pieces_get_n (GkvPieces *self);
gsize gkv_pieces_get_n_bytes (GkvPieces *self);

G_END_DECLS
