/* GkvPrefixes: items that each want to know of the keys under one prefix, such as list models and watches.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-prefixes.h"

#include <string.h>

/* Bytes with their hash, which for a key is computed once for all the prefixes that it has. */
typedef struct
{
  const char *bytes;
  gsize len;
  guint hash;
} GkvPrefixName;

typedef struct
{
  GkvPrefixName name; /* first, so that it is the key of the table */
  GPtrArray *items;   /* borrowed, in the order in which they came */
  char bytes[];
} GkvPrefix;

/* A length that prefixes have. */
typedef struct
{
  gsize len;
  guint n_prefixes;
} GkvPrefixLength;

struct _GkvPrefixes
{
  int n_items; /* atomic */
  GkvPrefixesRef ref_item;

  GMutex lock; /* guards what follows */
  GHashTable *by_name;
  GArray *lengths; /* GkvPrefixLength, sorted */
};

#define HASH_START (5381)

static guint
add_to_hash (guint hash, const char *bytes, gsize len)
{
  for (gsize i = 0; i < len; i++)
    hash = hash * 33 + (guchar) bytes[i];

  return hash;
}

static guint
hash_name (gconstpointer key)
{
  const GkvPrefixName *name = key;

  return name->hash;
}

static gboolean
equal_names (gconstpointer a, gconstpointer b)
{
  const GkvPrefixName *x = a, *y = b;

  return x->hash == y->hash && x->len == y->len && memcmp (x->bytes, y->bytes, x->len) == 0;
}

static void
free_prefix (gpointer data)
{
  GkvPrefix *prefix = data;

  g_ptr_array_unref (prefix->items);
  g_free (prefix);
}

/* The place of @len among the lengths, where it is or would be. */
static guint
find_length (GkvPrefixes *self, gsize len)
{
  guint i = 0;

  while (i < self->lengths->len && g_array_index (self->lengths, GkvPrefixLength, i).len < len)
    i++;

  return i;
}

static void
count_length (GkvPrefixes *self, gsize len, int change)
{
  guint i = find_length (self, len);
  GkvPrefixLength *length;

  if (i == self->lengths->len || g_array_index (self->lengths, GkvPrefixLength, i).len != len)
    {
      GkvPrefixLength added = { len, 0 };

      g_array_insert_val (self->lengths, i, added);
    }

  length = &g_array_index (self->lengths, GkvPrefixLength, i);
  length->n_prefixes += change;
  if (length->n_prefixes == 0)
    g_array_remove_index (self->lengths, i);
}

static GkvPrefix *
lookup_locked (GkvPrefixes *self, const char *bytes)
{
  gsize len = strlen (bytes);
  GkvPrefixName name = { bytes, len, add_to_hash (HASH_START, bytes, len) };

  return g_hash_table_lookup (self->by_name, &name);
}

static GkvPrefix *
ensure_locked (GkvPrefixes *self, const char *bytes)
{
  GkvPrefix *prefix = lookup_locked (self, bytes);
  gsize len = strlen (bytes);

  if (prefix != NULL)
    return prefix;

  prefix = g_malloc (sizeof *prefix + len + 1);
  memcpy (prefix->bytes, bytes, len + 1);
  prefix->name = (GkvPrefixName){ prefix->bytes, len, add_to_hash (HASH_START, bytes, len) };
  prefix->items = g_ptr_array_new ();
  g_hash_table_add (self->by_name, prefix);
  count_length (self, len, 1);

  return prefix;
}

static void
clear (gpointer data)
{
  GkvPrefixes *self = data;

  g_hash_table_unref (self->by_name);
  g_array_unref (self->lengths);
  g_mutex_clear (&self->lock);
}

/* internal */

GkvPrefixes *
gkv_prefixes_new (GkvPrefixesRef ref_item)
{
  GkvPrefixes *self = g_atomic_rc_box_new0 (GkvPrefixes);

  g_mutex_init (&self->lock);
  self->ref_item = ref_item;
  self->by_name = g_hash_table_new_full (hash_name, equal_names, free_prefix, NULL);
  self->lengths = g_array_new (FALSE, FALSE, sizeof (GkvPrefixLength));

  return self;
}

GkvPrefixes *
gkv_prefixes_ref (GkvPrefixes *self)
{
  return g_atomic_rc_box_acquire (self);
}

void
gkv_prefixes_unref (GkvPrefixes *self)
{
  g_atomic_rc_box_release_full (self, clear);
}

void
gkv_prefixes_add (GkvPrefixes *self, const char *prefix, gpointer item)
{
  g_mutex_lock (&self->lock);
  g_ptr_array_add (ensure_locked (self, prefix)->items, item);
  g_atomic_int_inc (&self->n_items);
  g_mutex_unlock (&self->lock);
}

void
gkv_prefixes_remove (GkvPrefixes *self, const char *prefix, gpointer item)
{
  GkvPrefix *place;

  g_mutex_lock (&self->lock);
  place = lookup_locked (self, prefix);
  if (place != NULL && g_ptr_array_remove (place->items, item))
    {
      g_atomic_int_add (&self->n_items, -1);
      if (place->items->len == 0)
        {
          count_length (self, place->name.len, -1);
          g_hash_table_remove (self->by_name, place);
        }
    }
  g_mutex_unlock (&self->lock);
}

gboolean
gkv_prefixes_is_empty (GkvPrefixes *self)
{
  return g_atomic_int_get (&self->n_items) == 0;
}

gpointer
gkv_prefixes_lookup (GkvPrefixes *self, const char *prefix)
{
  GkvPrefix *place;
  gpointer item = NULL;

  g_mutex_lock (&self->lock);
  place = lookup_locked (self, prefix);
  for (guint i = 0; place != NULL && item == NULL && i < place->items->len; i++)
    item = self->ref_item (place->items->pdata[i]);
  g_mutex_unlock (&self->lock);

  return item;
}

void
gkv_prefixes_find (GkvPrefixes *self, const char *key, GPtrArray *items)
{
  GkvPrefixName name = { key, 0, HASH_START };
  gsize key_len;

  if (gkv_prefixes_is_empty (self))
    return;

  key_len = strlen (key);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->lengths->len; i++)
    {
      gsize len = g_array_index (self->lengths, GkvPrefixLength, i).len;
      GkvPrefix *prefix;

      if (len > key_len)
        break;

      name.hash = add_to_hash (name.hash, key + name.len, len - name.len);
      name.len = len;
      prefix = g_hash_table_lookup (self->by_name, &name);
      for (guint k = 0; prefix != NULL && k < prefix->items->len; k++)
        {
          gpointer item = self->ref_item (prefix->items->pdata[k]);

          if (item != NULL)
            g_ptr_array_add (items, item);
        }
    }
  g_mutex_unlock (&self->lock);
}

gboolean
gkv_prefixes_has (GkvPrefixes *self, const char *key, GDestroyNotify unref_item)
{
  g_autoptr (GPtrArray) found = NULL;

  if (gkv_prefixes_is_empty (self))
    return FALSE;

  found = g_ptr_array_new_with_free_func (unref_item);
  gkv_prefixes_find (self, key, found);

  return found->len > 0;
}
