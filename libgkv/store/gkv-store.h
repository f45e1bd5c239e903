/* GkvStore: all records of a node, by key, with what anti-entropy needs to know of them.
 *
 * A trie over the bits of the keyed hash of the key, four bits a level. A leaf holds a few records sorted by hash; one
 * that overflows becomes a branch of 16. Each node knows the count and the fingerprint (the sum) of what is below it.
 * So one structure serves look-ups, comparisons of any range of hashes, and ordered walks. It grows in small steps,
 * without ever rehashing the whole.
 *
 * Knows nothing of peers, sockets, main loops or threads: the owner holds a lock where there are several threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-record.h"
#include "gkv-removals.h"
#include "gkv-sketch.h"

typedef struct _GkvStore GkvStore;

/* A range of hashes: those whose first 4 × @depth bits equal @prefix's. Depth 0 is everything; 16 is one hash. */
typedef struct
{
  guint64 prefix; /* the bits below 4 × depth are 0 */
  guint depth;
} GkvRange;

#define GKV_RANGE_EVERYTHING ((GkvRange){ 0, 0 })

typedef struct
{
  guint64 count; /* records, tombstones included */
  GkvFingerprint fingerprint;
} GkvSummary;

typedef enum
{
  GKV_STORE_KEPT,    /* what the store had wins, or is the same: nothing changed */
  GKV_STORE_TAKEN,   /* the new record replaced the old one, or is the first of its key */
  GKV_STORE_REMOVED, /* nothing of the key is held, and a removal at or above the record is remembered: nothing changed
                      */
} GkvStoreResult;

/* Returning FALSE ends the walk. The store must not be changed during a walk. */
typedef gboolean (*GkvStoreFunc) (GkvRecord *record, gpointer user_data);

GkvStore *gkv_store_new (const GkvHashKey *hash_key);
void gkv_store_free (GkvStore *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvStore, gkv_store_free)

const GkvHashKey *gkv_store_get_hash_key (GkvStore *self);

/* The winning record of a key, dead and quarantined ones included; NULL if there is none. Borrowed. */
GkvRecord *gkv_store_lookup (GkvStore *self, const char *key, gsize key_len);

/* The record that an application sees: neither dead nor quarantined; for a key whose winning record is quarantined, the
 * one that it will replace. Borrowed, or NULL. */
GkvRecord *gkv_store_lookup_visible (GkvStore *self, const char *key, gsize key_len);
/* The same by a key whose @hash is known already. */
GkvRecord *gkv_store_find_visible (GkvStore *self, guint64 hash, const char *key, gsize key_len);

/* The valid record of the key of which @record is the winning one: @record itself, or the one below it while it is
 * quarantined, NULL where there is none. Borrowed; it may be dead. */
GkvRecord *gkv_store_get_valid (GkvStore *self, GkvRecord *record);
/* The same by the key. */
GkvRecord *gkv_store_lookup_valid (GkvStore *self, const char *key, gsize key_len);
/* As gkv_store_get_valid (), but NULL where that is dead: what an application sees. */
GkvRecord *gkv_store_get_visible (GkvStore *self, GkvRecord *record);

/* What is held of the version that @record is of, perhaps with a dead mark or another time. Borrowed, or NULL. */
GkvRecord *gkv_store_find_version (GkvStore *self, const GkvRecord *record);

/* Offers @record by the total order. One with GKV_RECORD_QUARANTINED that wins is held above the valid one of its key,
 * which stays visible; a valid record below a quarantined one replaces the valid one there.
 * @replaced: (out) (optional) (transfer full) (nullable): what was VISIBLE of the key before (NULL: nothing). */
GkvStoreResult gkv_store_put (GkvStore *self, GkvRecord *record, GkvRecord **replaced);

/* Takes away @record, if it is the one held for its key. TRUE if it was. */
gboolean gkv_store_remove (GkvStore *self, GkvRecord *record);

/* Each record knows when it arrived: the number that was set last. Numbers never fall. */
void gkv_store_set_arrival (GkvStore *self, guint32 arrival);

/* Tombstones and remembered removals. A dead record is kept up to its deadline; then it is collected: it leaves the
 * store, and is remembered as a removal, unless the record had an end of its own. Then what it replaced that had none
 * is remembered as removed. */

/* From now on removals are remembered, so many. Those that are remembered already stay. */
void gkv_store_remember_removals (GkvStore *self, guint max);
/* NULL: none are remembered. */
GkvRemovals *gkv_store_get_removals (GkvStore *self);
GkvFingerprint gkv_store_hash_removed (GkvStore *self, const char *key, gsize key_len);
/* The stamp of the remembered removal of a key, or 0. */
GkvStamp gkv_store_get_removed (GkvStore *self, const char *key, gsize key_len);
/* The highest stamp that is held or remembered of a key, or 0: a new write has to be above it. */
GkvStamp gkv_store_get_floor (GkvStore *self, const char *key, gsize key_len);
/* @record isn't held, as it lies too far ahead: what is written here is to be above it all the same, as it is held
 * elsewhere, and will be valid one day. */
void gkv_store_note_refused (GkvStore *self, const GkvRecord *record);
/* A write of a key at @wall_us, above all that is held or remembered of it. Where that is ahead of @wall_us the record
 * says so, and counts as written then. @life_ms: 0 without an end. (transfer full) */
GkvRecord *gkv_store_new_write (GkvStore *self,
                                GkvWriter *writer,
                                const char *key,
                                gsize key_len,
                                GkvRecordFlags flags,
                                gint64 wall_us,
                                guint64 generation,
                                guint64 life_ms,
                                gconstpointer content,
                                gsize content_len);
/* Forgets the removal of a key, as its tombstone is about to be put into the store again. */
void gkv_store_forget_removed (GkvStore *self, const char *key, gsize key_len);

/* @dead, which is held, is kept up to @deadline. */
void gkv_store_keep_dead (GkvStore *self, GkvRecord *dead, gint64 deadline);
/* When @dead is to be collected, -1: not known. */
gint64 gkv_store_get_dead_deadline (GkvStore *self, GkvRecord *dead);
/* The dead record that is to be collected first, borrowed, or NULL; its deadline in @deadline. O(1). */
GkvRecord *gkv_store_peek_dead (GkvStore *self, gint64 *deadline);
/* @dead, which is held, is collected at @now. */
void gkv_store_collect (GkvStore *self, GkvRecord *dead, gint64 now);

/* Records with GKV_RECORD_QUARANTINED: how many there are. */
guint gkv_store_get_n_quarantined (GkvStore *self);
typedef void (*GkvStoreReleaseFunc) (GkvRecord *record, GkvRecord *replaced, gpointer user_data);
/* Releases those that were written at @up_to_ms since 1970, or before, by the clocks of their writers, @max at most:
 * the flag is cleared, and each is passed to @func with what was visible in its place, or NULL. Returns how many. */
guint gkv_store_release_quarantined (
    GkvStore *self, gint64 up_to_ms, guint max, GkvStoreReleaseFunc func, gpointer user_data);

/* The remaining lifetime, beside the records (it is no part of them): a deadline on a clock of the caller, in
 * µs. Setting it again keeps the earlier one. Records leave by themselves when they are replaced or removed. */
void gkv_store_set_deadline (GkvStore *self, GkvRecord *record, gint64 deadline);
/* -1: none */
gint64 gkv_store_get_deadline (GkvStore *self, GkvRecord *record);
/* The next record due, borrowed, NULL if none; its deadline in @deadline. O(1). */
GkvRecord *gkv_store_peek_deadline (GkvStore *self, gint64 *deadline);
/* The clock of the deadlines has stood still for @by: all become nearer by that. Not those of records that arrived at
 * or after @since, as they may have come later. O(1). */
void gkv_store_shift_deadlines (GkvStore *self, gint64 by, guint32 since);
/* How many records are due at @now. Takes time in proportion to that. */
guint gkv_store_count_due (GkvStore *self, gint64 now);

/* Records that an application sees. O(1). */
guint64 gkv_store_get_n_visible (GkvStore *self);
/* Dead records. O(1). */
guint64 gkv_store_get_n_tombstones (GkvStore *self);
/* Bytes of keys and contents held. O(1). */
guint64 gkv_store_get_n_bytes (GkvStore *self);

/* Count and fingerprint of a range: O(1) for the root, O(depth) otherwise. */
void gkv_store_summarise (GkvStore *self, GkvRange range, GkvSummary *summary);

/* Keeps a sketch of all records up to date from now on: of use to nodes that have peers. It reads over all of them
 * once, if it wasn't kept already. */
void gkv_store_keep_sketch (GkvStore *self);
/* The same a little at a time: reads over about @max records more. TRUE: it is complete, and kept. In between the store
 * may change. */
gboolean gkv_store_keep_sketch_of (GkvStore *self, guint max);
/* NULL when none is kept, or it isn't complete. */
const GkvSketch *gkv_store_get_sketch (GkvStore *self);

/* Walks the winning records of a range in the order of their hashes, from the first whose hash is at least @from. */
void gkv_store_foreach (GkvStore *self, GkvRange range, guint64 from, GkvStoreFunc func, gpointer user_data);

/* The winning record with this hash of its key, borrowed, or NULL. Two keys may have the same one: @n counts them from
 * 0, and NULL comes after the last. */
GkvRecord *gkv_store_lookup_nth (GkvStore *self, guint64 hash, guint n);
/* The one with these low bits of its fingerprint. */
GkvRecord *gkv_store_lookup_version (GkvStore *self, guint64 hash, guint32 version);

G_END_DECLS
