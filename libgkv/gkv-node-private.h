/* GkvNode inside: its state, and what its files ask of each other.
 *
 * Who may touch what. One lock guards what several threads use: the store, the clock, the engine, the queue of changes
 * and the options. Nothing calls out under it: neither codecs, transports and discoveries, nor signals, list models and
 * tasks. What is to be done is drained under the lock, and done after unlocking. All else belongs to the thread that
 * runs the node's main context ("the owner"). A function that ends in _locked is called with the lock held.
 *
 * Signals leave in the owner's thread only. A write there emits at once; one from another thread, or from a peer, is
 * queued and emitted by the node's source. A handler may do anything, closing the node or dropping its last reference
 * included: so whoever emits holds a reference, and looks afterwards whether the node still is what it was.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-changes.h"
#include "gkv-coding.h"
#include "gkv-decoded.h"
#include "gkv-list.h"
#include "gkv-node.h"
#include "gossip/gkv-engine.h"
#include "store/gkv-store.h"

typedef enum
{
  GKV_NODE_NEW,
  GKV_NODE_STARTING, /* waits for a name server */
  GKV_NODE_STARTED,
  GKV_NODE_CLOSED,
} GkvNodeState;

typedef struct _GkvNetwork GkvNetwork;

/* A change being emitted, on the stack of the emission: a write of the same key by one of its handlers is queued, so
 * that no handler sees the newer value before the older. */
typedef struct _GkvEmission GkvEmission;

struct _GkvEmission
{
  const char *key;
  GkvEmission *outer;
};

struct _GkvNode
{
  GObject parent_instance;

  /* the same for life */
  GMainContext *context;
  GThread *thread; /* that made the node */
  char *node_id;   /* GRefString, interned; NULL until constructed */
  char *cluster;
  guint64 life;

  /* options: changed by the owner under the lock */
  char *bind_address;
  char *advertise_address;
  GStrv seeds;
  guint gossip_interval;
  GkvCoding *coding;  /* NULL: the default, not made yet */
  GPtrArray *codings; /* GkvCoding: all that there were, as other threads may be using them */
  GkvTransport *transport;
  GkvDiscovery *discovery;

  GMutex lock;
  GkvNodeState state;
  GkvCoding *ready; /* atomic: the coding, once the options were found good, while the node isn't closed; or NULL */
  GkvStore *store;
  GkvClock clock;
  GkvWriter *writer;      /* of values written here; NULL: not known yet */
  GkvWriter *dead_writer; /* of deletions */
  GkvEngine *engine;      /* NULL while there is no network */
  GkvDecoded *decoded;
  GkvChanges changes;
  GSource *source;
  gboolean dirty; /* the source is to run now */
  gint64 next_run;
  guint n_peers;
  guint64 n_send_errors;

  /* the owner's */
  GkvNetwork *network;
  char *local_address;
  gboolean synced;
  GkvEmission *emission;
  GkvListIndex *lists;
  GListStore *peers;
  GHashTable *peers_by_id;
  GHashTable *told; /* errors emitted of late */
  GPtrArray *contacts;
  GPtrArray *waits;
  GCancellable *resolving; /* cancelled when the node closes */
};

/* gkv-node.c */
extern guint gkv_node_signal_changed;
extern guint gkv_node_signal_peer_added;
extern guint gkv_node_signal_peer_removed;
extern guint gkv_node_signal_error;

void gkv_node_notify_synced (GkvNode *self);
void gkv_node_notify_seeds (GkvNode *self);
void gkv_node_notify_transport (GkvNode *self);

/* Whether this thread may emit now: it runs the node's context, or it made the node and nobody runs the context. TRUE
 * is to be followed by gkv_node_leave_context (). */
gboolean gkv_node_enter_context (GkvNode *self);
void gkv_node_leave_context (GkvNode *self);

/* Whether no other thread runs the node's context. */
gboolean gkv_node_check_context (GkvNode *self);

gboolean gkv_node_fail_closed (GError **error);

/* gkv-node-options.c */
gboolean gkv_node_judge_locked (GkvNode *self, GError **error);
/* Judges the options if that hasn't been done, and that the node isn't closed. */
gboolean gkv_node_check_usable_locked (GkvNode *self, GError **error);

/* gkv-node-data.c */
/* What an application sees of @key: borrowed, or NULL. */
GkvRecord *gkv_node_find_locked (GkvNode *self, const char *key);
gint64 gkv_node_get_expires_locked (GkvNode *self, GkvRecord *record);
/* Not under the lock. */
GVariant *gkv_node_dup_value (GkvNode *self, GkvRecord *record, GError **error);
/* Marks what has expired; gives the next deadline, G_MAXINT64 for none. */
gint64 gkv_node_expire_locked (GkvNode *self, gint64 mono);

/* gkv-node-emit.c */
/* @record was taken, @replaced was visible before. Queues what there is to emit, if there is an @audience; the caller
 * sees to it that it is. */
void gkv_node_queue_change_locked (GkvNode *self, GkvRecord *record, GkvRecord *replaced, gboolean audience);
/* The same for a record that this thread wrote, with the outcome of gkv_node_enter_context (). TRUE: nothing is queued,
 * it is to be emitted by gkv_node_emit_key () as soon as the lock is left. */
gboolean
gkv_node_take_change_locked (GkvNode *self, GkvRecord *record, GkvRecord *replaced, gboolean entered, gboolean *loud);
/* Whether anybody is told of changes at all. From any thread, under the lock or not. */
gboolean gkv_node_has_audience (GkvNode *self);
/* @record: what is visible of @key now, or NULL. @value: what it decodes to, when that is known already. @loud: whether
 * the value changed, and not only who wrote it and when. */
void gkv_node_emit_key (GkvNode *self, const char *key, GkvRecord *record, GVariant *value, gboolean loud);
/* Emits what is queued until @until. TRUE if more is left. */
gboolean gkv_node_emit_queued (GkvNode *self, gint64 until);
/* Emits `error`, unless the same was emitted of late. */
void gkv_node_tell_error (GkvNode *self, const GError *error);

/* gkv-node-source.c */
/* Has the node's source run at @when on the monotonic clock, or before. 0: now. */
void gkv_node_wake_locked (GkvNode *self, gint64 when);

/* gkv-node-network.c */
gboolean gkv_node_open_network (GkvNode *self, const char *const *addresses, GError **error);
/* Lets go of the network, leaving the cluster if the node was in it. From another thread than the owner's (dispose),
 * what belongs to the owner's is sent there. */
void gkv_node_close_network (GkvNode *self, gboolean in_context);
/* Ticks the engine and does what it says. Gives the next deadline. */
gint64 gkv_node_run_network (GkvNode *self, gint64 until, gboolean *more);
GkvTime gkv_node_now (void);

/* gkv-node-contacts.c */
void gkv_node_add_contact (GkvNode *self, const char *address);
gint64 gkv_node_run_contacts (GkvNode *self, gint64 mono);
void gkv_node_close_contacts (GkvNode *self);
/* The seeds that no live peer has answered from, for people. */
char *gkv_node_describe_unreached (GkvNode *self);

/* gkv-node-waits.c */
gint64 gkv_node_run_waits (GkvNode *self, gint64 mono);
void gkv_node_close_waits (GkvNode *self);

G_END_DECLS
