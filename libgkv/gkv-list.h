/* GkvList: the entries under a prefix, sorted by key, as a live GListModel. And the index of a node's lists.
 *
 * Belongs to the thread that runs the node's context; only the index's count may be touched by others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-objects.h"

#define GKV_TYPE_LIST (gkv_list_get_type ())
G_DECLARE_FINAL_TYPE (GkvList, gkv_list, GKV, LIST, GObject)

/* Finds the lists that a key belongs to, by its prefixes: a change costs nothing for the lists that it isn't in.
 * Shared by the node and its lists, as either may go first. Holds no list alive. */
typedef struct _GkvListIndex GkvListIndex;

GkvListIndex *gkv_list_index_new (void);
void gkv_list_index_unref (GkvListIndex *self);

/* May be called from any thread. */
gboolean gkv_list_index_is_empty (GkvListIndex *self);
/* The list of @prefix, with a reference for the caller, or NULL. */
GkvList *gkv_list_index_lookup (GkvListIndex *self, const char *prefix);
/* The lists that @key belongs to. */
GPtrArray *gkv_list_index_find (GkvListIndex *self, const char *key);

/* Puts itself into @index, and takes itself out at its end. */
GkvList *gkv_list_new (GkvListIndex *index, const char *prefix);

/* What is to be known of a key. @record: NULL when there is no such key any more. */
void gkv_list_update (GkvList *self, const char *key, GkvRecord *record, GVariant *value, gint64 expires_us);

G_END_DECLS
