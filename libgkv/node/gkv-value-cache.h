/* GkvValueCache: the values that were decoded last, so that reading a key again doesn't decode it again.
 *
 * Bounded in number and in size of each. A record's value never changes, so an entry is never wrong; it is dropped when
 * its record is replaced, to free the memory. Not thread-safe: the map's lock guards it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "store/gkv-record.h"

typedef struct _GkvValueCache GkvValueCache;

GkvValueCache *gkv_value_cache_new (void);
void gkv_value_cache_free (GkvValueCache *self);

/* To be called after a miss, before decoding: whether the value is to be inserted. Where that would push another out,
 * only what is missed twice is let in: otherwise one walk over a large map would push out all others. */
gboolean gkv_value_cache_admit (GkvValueCache *self, GkvRecord *record);
void gkv_value_cache_insert (GkvValueCache *self, GkvRecord *record, GVariant *value);
void gkv_value_cache_drop (GkvValueCache *self, GkvRecord *record);

/* Borrowed, NULL when it isn't there. */
GVariant *gkv_value_cache_lookup (GkvValueCache *self, GkvRecord *record);
/* The same for whatever record the store holds of a key: shorter than the way there. Both borrowed. */
GkvRecord *gkv_value_cache_find (GkvValueCache *self, guint64 hash, const char *key, gsize key_len, GVariant **value);

G_END_DECLS
