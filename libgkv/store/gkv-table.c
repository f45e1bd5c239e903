/* GkvTable: a hash table that grows in small steps.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-table.h"

#define PARTS_BITS 8

struct _GkvTable
{
  GHashFunc hash_func;
  GEqualFunc equal_func;
  GDestroyNotify value_destroy_func;
  guint size;
  GHashTable *parts[1 << PARTS_BITS]; /* NULL: never needed */
};

GkvTable *
gkv_table_new (GHashFunc hash_func, GEqualFunc equal_func, GDestroyNotify value_destroy_func)
{
  GkvTable *self = g_new0 (GkvTable, 1);

  self->hash_func = hash_func != NULL ? hash_func : g_direct_hash;
  self->equal_func = equal_func;
  self->value_destroy_func = value_destroy_func;
  return self;
}

void
gkv_table_free (GkvTable *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->parts); i++)
    g_clear_pointer (&self->parts[i], g_hash_table_unref);
  g_free (self);
}

/* By the upper bits of the hash, spread over all of them: inside the part the lower bits count. */
static GHashTable **
get_part (GkvTable *self, gconstpointer key)
{
  return &self->parts[(self->hash_func (key) * 2654435769u) >> (32 - PARTS_BITS)];
}

guint
gkv_table_get_size (GkvTable *self)
{
  return self->size;
}

gboolean
gkv_table_find (GkvTable *self, gconstpointer key, gpointer *value)
{
  GHashTable *part = *get_part (self, key);

  return part != NULL && g_hash_table_lookup_extended (part, key, NULL, value);
}

gpointer
gkv_table_lookup (GkvTable *self, gconstpointer key)
{
  gpointer value = NULL;

  return gkv_table_find (self, key, &value) ? value : NULL;
}

void
gkv_table_insert (GkvTable *self, gpointer key, gpointer value)
{
  GHashTable **part = get_part (self, key);

  if (*part == NULL)
    *part = g_hash_table_new_full (self->hash_func, self->equal_func, NULL, self->value_destroy_func);
  self->size += g_hash_table_replace (*part, key, value);
}

gboolean
gkv_table_remove (GkvTable *self, gconstpointer key)
{
  GHashTable *part = *get_part (self, key);
  gboolean removed = part != NULL && g_hash_table_remove (part, key);

  self->size -= removed;
  return removed;
}
