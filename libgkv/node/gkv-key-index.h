/* GkvKeyIndex: records in the order of their keys, each of which has a position.
 *
 * The order is strcmp's; a prefix is a prefix of bytes. Every call costs a logarithm of the number of keys, and memory
 * stays under 24 bytes a key, slack included.
 *
 * The index reads the keys in the records themselves. So each record that it holds must stay until the call has
 * returned that replaces it or removes its key. An index that owns its records holds a reference on each and needs no
 * such care.
 *
 * Not thread-safe: the owner holds a lock where there are several threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "store/gkv-record.h"

typedef struct _GkvKeyIndex GkvKeyIndex;

/* @owns_records: whether it takes a reference on each record, or the owner keeps them alive. */
GkvKeyIndex *gkv_key_index_new (gboolean owns_records);
void gkv_key_index_free (GkvKeyIndex *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvKeyIndex, gkv_key_index_free)

guint gkv_key_index_get_size (GkvKeyIndex *self);
/* Memory of the index in bytes, with what the allocator adds, without the records. */
gsize gkv_key_index_get_bytes (GkvKeyIndex *self);

/* Puts @record in the place of its key. FALSE: the key was there, and @record has replaced its record, which may be
 * @record itself. @position: (out) (optional): where it stands now. */
gboolean gkv_key_index_insert (GkvKeyIndex *self, GkvRecord *record, guint *position);

/* FALSE: there was no such key. @position: (out) (optional): where it stood, or would. */
gboolean gkv_key_index_remove (GkvKeyIndex *self, const char *key, guint *position);

/* The record of @key, borrowed, or NULL. @position: (out) (optional): where it stands; without one, where it would:
 * that of the first key after it. */
GkvRecord *gkv_key_index_lookup (GkvKeyIndex *self, const char *key, guint *position);

/* The record at @position, borrowed; NULL behind the last. */
GkvRecord *gkv_key_index_get (GkvKeyIndex *self, guint position);

/* How many keys begin with @prefix. @position: (out) (optional): where the first of them stands, or would. */
guint gkv_key_index_find_prefix (GkvKeyIndex *self, const char *prefix, guint *position);

/* Reads up to @n records from @position on into @records, borrowed. Returns how many there were. */
guint gkv_key_index_read (GkvKeyIndex *self, guint position, GkvRecord **records, guint n);

/* Reads up to @n records that begin with @prefix, from the first behind the key @after on, which may be there or not;
 * NULL: from the first. So slices follow each other, whatever comes and goes between them. */
guint
gkv_key_index_read_prefix (GkvKeyIndex *self, const char *prefix, const char *after, GkvRecord **records, guint n);

G_END_DECLS
