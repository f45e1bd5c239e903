/* GkvEmitter: all that an application receives from a node leaves here, in the node's main context: signals, list
 * models and notifications.
 *
 * What happens in other threads is queued, and a source of the node's context emits it. A write in the node's own
 * context emits at once. Handlers may do anything, closing the node or dropping its last reference included: whoever
 * emits holds a reference to the node, and looks afterwards whether the emitter is still open.
 *
 * Counted. Functions may be called from any thread unless they say that they belong to the node's context.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-map.h"
#include "gkv-watches.h"
#include "gossip/gkv-engine.h"

typedef struct _GkvEmitter GkvEmitter;

/* The ids of the node's signals. */
typedef struct
{
  guint changed;
  guint peer_added;
  guint peer_removed;
  guint error;
} GkvEmitterSignals;

GkvEmitter *gkv_emitter_new (GkvOwner *owner, GkvMap *map, const GkvEmitterSignals *signals);
GkvEmitter *gkv_emitter_ref (GkvEmitter *self);
void gkv_emitter_unref (GkvEmitter *self);

/* @node emits the signals from now on. It isn't kept alive. */
void gkv_emitter_set_node (GkvEmitter *self, GObject *node);
/* Nothing is emitted afterwards. */
void gkv_emitter_close (GkvEmitter *self);
/* Drops the objects that an application may have, so that none of them ends in another thread than the node. To be
 * called when the node ends; only gkv_emitter_unref () may follow in its thread. */
void gkv_emitter_drop_objects (GkvEmitter *self);

/* Posting, to be emitted by the node's context */

/* The map has queued changes. */
void gkv_emitter_wake (GkvEmitter *self);
/* Takes @info. @live: whether the peer is alive or suspect. */
void gkv_emitter_post_peer (GkvEmitter *self, GkvPeerInfo *info, gboolean live);
/* The same message is emitted once a minute at most. */
void gkv_emitter_post_error (GkvEmitter *self, const GError *error);
void gkv_emitter_post_notify (GkvEmitter *self, GParamSpec *pspec);

/* Writes */

/* What writes by this thread are to do after they have left the map's lock. */
typedef struct
{
  gboolean begun;
  gboolean entered; /* this thread is in the node's context, and is to leave it */
  gboolean wake;    /* the node's context is to emit what was queued */
  gboolean relieve; /* so much waits that this thread is to emit some of it */
  GArray *changes;  /* GkvChange, to be emitted by this thread; NULL: none */
} GkvEmission;

#define GKV_EMISSION_INIT \
  { \
    FALSE, FALSE, FALSE, FALSE, NULL \
  }

/* @record was put by this thread, and @replaced was visible before. To be called under the map's lock, for one write or
 * several, and followed by gkv_emitter_end_writes () after it. @node: kept alive by the caller. */
void gkv_emitter_add_write_locked (
    GkvEmitter *self, GObject *node, GkvRecord *record, GkvRecord *replaced, GkvEmission *emission);
void gkv_emitter_end_writes (GkvEmitter *self, GObject *node, GkvEmission *emission);

guint gkv_emitter_get_n_peers (GkvEmitter *self);

/* In the node's context only */

/* Emits what is queued until @until on the monotonic clock. TRUE when more is left. */
gboolean gkv_emitter_run (GkvEmitter *self, gint64 until);
/* The list of the entries under @prefix, which follows the map. */
GListModel *gkv_emitter_dup_list (GkvEmitter *self, const char *prefix);
/* As gkv_node_watch () and gkv_node_unwatch (). */
guint gkv_emitter_watch (GkvEmitter *self,
                         const char *prefix,
                         gboolean initial,
                         GkvWatchesFunc func,
                         gpointer user_data,
                         GDestroyNotify destroy);
gboolean gkv_emitter_unwatch (GkvEmitter *self, guint id);
/* Borrowed. */
GListModel *gkv_emitter_get_peers (GkvEmitter *self);

G_END_DECLS
