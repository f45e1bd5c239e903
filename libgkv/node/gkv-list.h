/* GkvList: the entries under a prefix, sorted by key, as a GListModel that follows the map.
 *
 * It holds the records that were reported to the application so far, and makes the object of an entry only when the
 * application gets it. At each emission the list is as its signals have reported it, no more and no less: a copy that a
 * listener keeps by the signals alone is right after each of them.
 *
 * Belongs to the thread that runs the node's context; it and its entries may be dropped in any.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-prefixes.h"
#include "store/gkv-record.h"

#define GKV_TYPE_LIST (gkv_list_get_type ())
G_DECLARE_FINAL_TYPE (GkvList, gkv_list, GKV, LIST, GObject)

/* How a list turns a record into an entry. It outlives the node: so does @data. */
typedef struct
{
  /* (transfer full) (nullable): NULL where the value can't be decoded here. */
  GVariant *(*decode) (gpointer data, GkvRecord *record, GError **error);
  /* When the record expires, in microseconds since 1970; -1 for never. */
  gint64 (*get_expires_us) (gpointer data, GkvRecord *record);
  gpointer data;
  GDestroyNotify destroy; /* in whichever thread the list is dropped */
} GkvListSource;

/* The newest state of a key. */
typedef struct
{
  const char *key;   /* valid during the call; may be @record's */
  GkvRecord *record; /* NULL: there is no such key any more */
} GkvListChange;

/* For the prefixes that have it. NULL: its last reference is being dropped in another thread. */
gpointer gkv_list_ref_if_alive (gpointer self);

/* Takes over @source's data. Adds itself to @prefixes, and takes itself out at its end. */
GkvList *gkv_list_new (const char *prefix, GkvPrefixes *prefixes, const GkvListSource *source);

/* Applies @changes, at most about 1,000: in as few items-changed as their positions allow, and each run of positions
 * just before its signal. Where a key is there twice the later counts. The objects of changed keys notify before that.
 *
 * All these may be called inside a signal of the list or of one of its entries: then the changes are queued, and are
 * applied after all handlers of that signal were called, before the outermost call returns. Changes of keys that don't
 * belong to the list must not be given. */
void gkv_list_apply (GkvList *self, const GkvListChange *changes, guint n);
/* The same in two steps, for changes that several lists take: all have them queued before the first of them emits, so
 * that what a handler has changed meanwhile comes after them in each. */
void gkv_list_queue (GkvList *self, const GkvListChange *change);
void gkv_list_work (GkvList *self);

/* Adds @records, a slice of what is under the prefix: what the store shows of their keys at the time of the call.
 * Slices that follow each other in the order of the keys make one signal each. A record that is there already may come
 * again. */
void gkv_list_fill (GkvList *self, GkvRecord *const *records, guint n);

/* Whether the list is still being filled; FALSE at first. */
void gkv_list_set_pending (GkvList *self, gboolean pending);

G_END_DECLS
