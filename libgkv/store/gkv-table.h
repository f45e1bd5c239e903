/* GkvTable: a hash table that grows in small steps.
 *
 * A GHashTable that gets too small moves all that is in it at once: 140 ms for a million. This is 256 of them, each of
 * which moves its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _GkvTable GkvTable;

/* As g_hash_table_new_full (), with keys that are part of their values, or borrowed. */
GkvTable *gkv_table_new (GHashFunc hash_func, GEqualFunc equal_func, GDestroyNotify value_destroy_func);
void gkv_table_free (GkvTable *self);

guint gkv_table_get_size (GkvTable *self);
gboolean gkv_table_find (GkvTable *self, gconstpointer key, gpointer *value);
/* NULL: not there. */
gpointer gkv_table_lookup (GkvTable *self, gconstpointer key);
void gkv_table_insert (GkvTable *self, gpointer key, gpointer value);
gboolean gkv_table_remove (GkvTable *self, gconstpointer key);

G_END_DECLS
