/* GkvPrefixes: items that each want to know of the keys under one prefix, such as list models and watches.
 *
 * It finds the items that a key belongs to: a change costs as much as the key is long and the prefixes have different
 * lengths, however many items there are. It holds no reference on an item: an item takes itself out before its end.
 * A search returns references, as a snapshot: the caller may call out to each of them while items come and go. An item
 * that has been taken out meanwhile has to know that itself.
 *
 * Thread-safe, as a list model may be dropped in any thread; and counted, as it goes after the last of its items.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _GkvPrefixes GkvPrefixes;

/* Takes a reference on an item, and returns it; NULL where it is at its end. Called under the lock of the GkvPrefixes.
 */
typedef gpointer (*GkvPrefixesRef) (gpointer item);

GkvPrefixes *gkv_prefixes_new (GkvPrefixesRef ref_item);
GkvPrefixes *gkv_prefixes_ref (GkvPrefixes *self);
void gkv_prefixes_unref (GkvPrefixes *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvPrefixes, gkv_prefixes_unref)

void gkv_prefixes_add (GkvPrefixes *self, const char *prefix, gpointer item);
/* Takes @item out, once if it is there more than once. */
void gkv_prefixes_remove (GkvPrefixes *self, const char *prefix, gpointer item);

/* Takes no lock. */
gboolean gkv_prefixes_is_empty (GkvPrefixes *self);

/* The first item of exactly @prefix, or NULL. (transfer full) */
gpointer gkv_prefixes_lookup (GkvPrefixes *self, const char *prefix);

/* Appends a reference on each item that @key belongs to to @items: those of shorter prefixes first, then those that
 * came first. */
void gkv_prefixes_find (GkvPrefixes *self, const char *key, GPtrArray *items);
/* Whether @key belongs to any. @unref_item: gives up what GkvPrefixesRef took. */
gboolean gkv_prefixes_has (GkvPrefixes *self, const char *key, GDestroyNotify unref_item);

G_END_DECLS
