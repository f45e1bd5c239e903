/* GkvMap: what a node holds: the store, the codec in use, the values decoded last, and the two queues of
 * what has changed: for the application, and for the network.
 *
 * One lock guards it all. Nothing calls out under the lock: neither codecs nor anybody else's code. A function that
 * ends in _locked is called between gkv_map_lock () and gkv_map_unlock (); the others take the lock themselves.
 * Counted; any thread may use it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-codec-handle.h"
#include "gkv-owner.h"
#include "store/gkv-store.h"

typedef struct _GkvMap GkvMap;

/* What is to be written. */
typedef struct
{
  const char *key;
  gsize key_len;
  GkvRecordFlags flags;
  gint64 lifetime_us;          /* with GKV_RECORD_TTL */
  const GkvCodecHandle *codec; /* NULL with GKV_RECORD_DEAD: a removal */
  GBytes *bytes;               /* of the value; NULL for a removal */
  gboolean conditional;        /* only while what is visible of the key is this: */
  GkvRecord *expected;         /* NULL: nothing */
  gboolean lenient;            /* a removal of what isn't there is none */
} GkvWrite;

/* What has changed of a key, as an application sees it. */
typedef struct
{
  GkvRecord *key;         /* any record of the key, for the key only; owned */
  GkvRecord *record;      /* what is visible now, or NULL; owned */
  gboolean value_changed; /* and not only origin and stamp */
} GkvChange;

void gkv_change_clear (GkvChange *self);

/* @node_id and @cluster: not validated yet. */
GkvMap *gkv_map_new (GkvOwner *owner, const char *node_id, const char *cluster, guint64 generation);
GkvMap *gkv_map_ref (GkvMap *self);
void gkv_map_unref (GkvMap *self);

void gkv_map_lock (GkvMap *self);
void gkv_map_unlock (GkvMap *self);
/* The same for the engine, which works in slices: others that wait come first. */
void gkv_map_lock_after_others (gpointer self);
void gkv_map_unlock_after_slice (gpointer self);

/* Refuses writes from now on with GKV_ERROR_CLOSED. */
void gkv_map_refuse_writes (GkvMap *self);
/* Refuses what comes from now on with GKV_ERROR_CLOSED, and drops what is queued for the application. */
void gkv_map_close (GkvMap *self);
/* GKV_ERROR_CLOSED. Returns FALSE. */
gboolean gkv_map_fail_closed (GError **error);

/* The codec */

/* NULL: the default one, to be made when it is needed. Takes @codec. */
void gkv_map_set_codec (GkvMap *self, GkvCodecHandle *codec);
/* The one that was set, or the default one where it has been made; NULL otherwise. */
const GkvCodecHandle *gkv_map_get_codec (GkvMap *self);
/* Makes the default codec where none is set. */
const GkvCodecHandle *gkv_map_ensure_codec (GkvMap *self, GError **error);
/* Whether this thread may call @codec: GKV_ERROR_CODEC. */
gboolean gkv_map_check_codec (GkvMap *self, const GkvCodecHandle *codec, GError **error);

/* Whether the node's options were validated; FALSE after gkv_map_close (). Cheap. Takes the writers' names from them.
 */
gboolean gkv_map_is_ready (GkvMap *self);
void gkv_map_set_ready (GkvMap *self, gboolean ready);

/* Reading */

/* What an application sees of @key: borrowed, or NULL. */
GkvRecord *gkv_map_find_locked (GkvMap *self, const char *key);
gboolean gkv_map_contains (GkvMap *self, const char *key);
/* The record, owned, and when it expires, in microseconds since 1970, -1 for never. */
GkvRecord *gkv_map_dup_record (GkvMap *self, const char *key, gint64 *expires_us);
/* The same, with whether a change of the key waits to be emitted, which may be this very record. */
GkvRecord *gkv_map_dup_waiting_record (GkvMap *self, const char *key, gboolean *waits);
gint64 gkv_map_get_expires (GkvMap *self, GkvRecord *record);
guint64 gkv_map_get_n_keys (GkvMap *self);
/* All records that are held, those of removed keys included. */
guint64 gkv_map_get_n_records (GkvMap *self);
/* Adds the map's numbers (name → t) to a vardict. */
void gkv_map_add_stats (GkvMap *self, GVariantBuilder *builder);
/* The value of @key: GKV_ERROR_NOT_FOUND, GKV_ERROR_CODEC. */
GVariant *gkv_map_get_value (GkvMap *self, const char *key, GError **error);
/* The value of @record. */
GVariant *gkv_map_decode (GkvMap *self, GkvRecord *record, GError **error);

/* Reading many keys. Others get at the map in between: of what changes meanwhile the older or the newer state is seen,
 * and each key once at most. */

/* All visible records whose keys begin with @prefix, sorted by key, owned; NULL if they are more than @max. Where there
 * is no index of the keys it walks over the map, and for a prefix requests the index and builds a part of it. */
GPtrArray *gkv_map_dup_records (GkvMap *self, const char *prefix, guint max);
/* Appends up to about @n visible records whose keys begin with @prefix to @records, sorted by key, owned: those behind
 * the key *@after, which then is the last that was read; at first it is NULL. FALSE: there are no more. Only while
 * there is an index. */
gboolean gkv_map_read_records (GkvMap *self, const char *prefix, char **after, guint n, GPtrArray *records);
/* Requests the index of the keys. */
void gkv_map_want_index (GkvMap *self);
/* Builds the index until @until on the monotonic clock. TRUE: there is more to be built. */
gboolean gkv_map_build_index (GkvMap *self, gint64 until);
/* Whether it was requested, and isn't complete. */
gboolean gkv_map_is_index_due (GkvMap *self);

/* Writing */

/* Whether a write would be refused: GKV_ERROR_CLOSED, GKV_ERROR_NOT_FOUND for a removal, GKV_ERROR_EXISTS or
 * GKV_ERROR_MISMATCH for a conditional one. */
gboolean gkv_map_check_write_locked (GkvMap *self, const GkvWrite *write, GError **error);
/* Puts a record with a new stamp. The record, or NULL with an error; what was
 * visible before in @replaced. */
GkvRecord *gkv_map_put_locked (GkvMap *self, const GkvWrite *write, GkvRecord **replaced, GError **error);
/* Ends up to a bounded number of records that are due: with a dead mark where there is a network, otherwise by removing
 * them. Gives when to look again, on the monotonic clock; G_MAXINT64: no need to. Where there is no network every read
 * and write begins with it. */
gint64 gkv_map_expire_locked (GkvMap *self);

/* What has changed, for the application */

/* Whether anybody is to receive changes. Called under the map's lock, in any thread. */
typedef gboolean (*GkvMapIsHeard) (gpointer data);

/* NULL: it isn't known, and all that changes is queued. */
void gkv_map_set_is_heard (GkvMap *self, GkvMapIsHeard is_heard, gpointer data);

/* Queues that @record has become the first of its key, where @replaced was visible before: once the lock is left, if
 * there is a listener then. */
void gkv_map_queue_change_locked (GkvMap *self, GkvRecord *record, GkvRecord *replaced);
/* The same without queueing, where there is no listener: what is queued is dropped with it. */
void gkv_map_ignore_change_locked (GkvMap *self, GkvRecord *record, GkvRecord *replaced);
/* The same without queueing, for what is reported at once. Takes along what is queued of the key. FALSE when an
 * application sees what it saw. */
gboolean gkv_map_skip_change_locked (GkvMap *self, GkvRecord *record, GkvRecord *replaced, gboolean *value_changed);
/* Takes the change that was queued first. FALSE when there is none. */
gboolean gkv_map_take_change_locked (GkvMap *self, GkvChange *change);
/* Drops all. */
void gkv_map_drop_changes (GkvMap *self);
gboolean gkv_map_has_changes (GkvMap *self);
guint gkv_map_get_n_changes_locked (GkvMap *self);

/* For the network */

/* From now on what is written is queued for it, or no longer. */
void gkv_map_set_networked_locked (GkvMap *self, gboolean networked);
/* Takes what was written since the last call, in order; NULL for nothing. */
GPtrArray *gkv_map_take_written_locked (GkvMap *self);
guint gkv_map_get_n_written (GkvMap *self);
/* The store that the engine works on, under the lock. */
GkvStore *gkv_map_get_store (GkvMap *self);
guint64 gkv_map_get_generation (GkvMap *self);
void gkv_map_set_generation_locked (GkvMap *self, guint64 generation);

G_END_DECLS
