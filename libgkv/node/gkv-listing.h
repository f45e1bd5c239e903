/* GkvListing: what an application sees of a store, in the order of the keys.
 *
 * There is none until an order is needed, so that a node that lists nothing pays for nothing. From then on it is built
 * a little at a time, in the order of the hashes, while the store goes on changing, and is kept for good. Each change
 * of what is visible of a key has to be reported to it, also while it is being built.
 *
 * It borrows the records: one that was visible has to stay until its replacement or its removal was reported.
 *
 * Not thread-safe: the map's lock guards it together with the store.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "store/gkv-store.h"

typedef struct _GkvListing GkvListing;

GkvListing *gkv_listing_new (GkvStore *store);
void gkv_listing_free (GkvListing *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvListing, gkv_listing_free)

gboolean gkv_listing_is_complete (GkvListing *self);
/* Reads over about @max records more. TRUE: it is complete. */
gboolean gkv_listing_build (GkvListing *self, guint max);
/* @visible: what is visible of @key from now on; NULL for nothing. */
void gkv_listing_update (GkvListing *self, const char *key, GkvRecord *visible);

/* Once it is complete */

/* How many keys begin with @prefix. */
guint gkv_listing_count (GkvListing *self, const char *prefix);
/* Reads up to @n records that begin with @prefix, from the first behind the key @after on, which may be there or not;
 * NULL: from the first. Borrowed. */
guint gkv_listing_read (GkvListing *self, const char *prefix, const char *after, GkvRecord **records, guint n);

/* Without one */

/* Reads over about @max records of @store, from the hash *@from on, and appends to @records, borrowed, what is visible
 * of those that begin with @prefix. FALSE: the end was reached; otherwise *@from is where to go on. */
gboolean gkv_listing_walk (GkvStore *store, const char *prefix, guint64 *from, guint max, GPtrArray *records);

G_END_DECLS
