/* GkvList: the entries under a prefix, as a live GListModel.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-list.h"

#include "store/gkv-hash.h"
#include "store/gkv-table.h"

/* GkvListIndex */

struct _GkvListIndex
{
  GHashTable *by_prefix; /* prefix → GkvList, borrowed both */
  GArray *lengths;       /* gsize: those of the prefixes, each once */
  int n_lists;           /* atomic, for other threads */
};

GkvListIndex *
gkv_list_index_new (void)
{
  GkvListIndex *self = g_atomic_rc_box_new0 (GkvListIndex);

  self->by_prefix = g_hash_table_new (g_str_hash, g_str_equal);
  self->lengths = g_array_new (FALSE, FALSE, sizeof (gsize));

  return self;
}

static void
gkv_list_index_clear (gpointer data)
{
  GkvListIndex *self = data;

  g_clear_pointer (&self->by_prefix, g_hash_table_unref);
  g_clear_pointer (&self->lengths, g_array_unref);
}

void
gkv_list_index_unref (GkvListIndex *self)
{
  g_atomic_rc_box_release_full (self, gkv_list_index_clear);
}

gboolean
gkv_list_index_is_empty (GkvListIndex *self)
{
  return g_atomic_int_get (&self->n_lists) == 0;
}

static void
gkv_list_index_measure (GkvListIndex *self)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_direct_hash, g_direct_equal);
  GHashTableIter iter;
  gpointer prefix;

  g_atomic_int_set (&self->n_lists, (int) g_hash_table_size (self->by_prefix));
  g_array_set_size (self->lengths, 0);
  g_hash_table_iter_init (&iter, self->by_prefix);
  while (g_hash_table_iter_next (&iter, &prefix, NULL))
    {
      gsize length = strlen (prefix);

      if (g_hash_table_add (seen, GSIZE_TO_POINTER (length)))
        g_array_append_val (self->lengths, length);
    }
}

GkvList *
gkv_list_index_lookup (GkvListIndex *self, const char *prefix)
{
  GkvList *list = g_hash_table_lookup (self->by_prefix, prefix);

  return list != NULL ? g_object_ref (list) : NULL;
}

GPtrArray *
gkv_list_index_find (GkvListIndex *self, const char *key)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_object_unref);
  g_autofree char *prefix = g_strdup (key);
  gsize key_length = strlen (key);

  for (guint i = 0; i < self->lengths->len; i++)
    {
      gsize length = g_array_index (self->lengths, gsize, i);
      GkvList *list;

      if (length > key_length)
        continue;

      prefix[length] = '\0';
      list = g_hash_table_lookup (self->by_prefix, prefix);
      prefix[length] = key[length];

      if (list != NULL)
        g_ptr_array_add (found, g_object_ref (list));
    }

  return g_steal_pointer (&found);
}

/* GkvList */

struct _GkvList
{
  GObject parent_instance;

  GkvListIndex *index;
  char *prefix;

  GSequence *entries; /* GkvEntry, by key */
  GkvTable *by_key;   /* key → GSequenceIter, both borrowed of the entries */
};

static void gkv_list_model_iface_init (GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvList,
                               gkv_list,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, gkv_list_model_iface_init))

static void
gkv_list_dispose (GObject *object)
{
  GkvList *self = GKV_LIST (object);

  if (self->index != NULL)
    {
      g_hash_table_remove (self->index->by_prefix, self->prefix);
      gkv_list_index_measure (self->index);
      g_clear_pointer (&self->index, gkv_list_index_unref);
    }

  G_OBJECT_CLASS (gkv_list_parent_class)->dispose (object);
}

static void
gkv_list_finalize (GObject *object)
{
  GkvList *self = GKV_LIST (object);

  g_clear_pointer (&self->by_key, gkv_table_free);
  g_clear_pointer (&self->entries, g_sequence_free);
  g_clear_pointer (&self->prefix, g_free);

  G_OBJECT_CLASS (gkv_list_parent_class)->finalize (object);
}

static void
gkv_list_init (GkvList *self)
{
  self->entries = g_sequence_new (g_object_unref);
  self->by_key = gkv_table_new (gkv_hash_string, g_str_equal, NULL);
}

static GType
gkv_list_get_item_type (GListModel *model)
{
  return GKV_TYPE_ENTRY;
}

static guint
gkv_list_get_n_items (GListModel *model)
{
  return (guint) g_sequence_get_length (GKV_LIST (model)->entries);
}

static gpointer
gkv_list_get_item (GListModel *model, guint position)
{
  GkvList *self = GKV_LIST (model);
  GSequenceIter *iter;

  if (position >= (guint) g_sequence_get_length (self->entries))
    return NULL;

  iter = g_sequence_get_iter_at_pos (self->entries, (int) position);

  return g_object_ref (g_sequence_get (iter));
}

static void
gkv_list_model_iface_init (GListModelInterface *iface)
{
  iface->get_item_type = gkv_list_get_item_type;
  iface->get_n_items = gkv_list_get_n_items;
  iface->get_item = gkv_list_get_item;
}

static void
gkv_list_class_init (GkvListClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = gkv_list_dispose;
  object_class->finalize = gkv_list_finalize;
}

/* internal */

static int
gkv_list_compare (gconstpointer a, gconstpointer b, gpointer user_data)
{
  return strcmp (gkv_entry_get_key ((GkvEntry *) a), gkv_entry_get_key ((GkvEntry *) b));
}

GkvList *
gkv_list_new (GkvListIndex *index, const char *prefix)
{
  GkvList *self = g_object_new (GKV_TYPE_LIST, NULL);

  self->prefix = g_strdup (prefix);
  self->index = g_atomic_rc_box_acquire (index);
  g_hash_table_insert (index->by_prefix, self->prefix, self);
  gkv_list_index_measure (index);

  return self;
}

void
gkv_list_update (GkvList *self, const char *key, GkvRecord *record, GVariant *value, gint64 expires_us)
{
  GSequenceIter *iter = gkv_table_lookup (self->by_key, key);
  g_autoptr (GkvEntry) entry = NULL;
  guint position;

  if (iter == NULL && record == NULL)
    return;

  if (iter != NULL && record != NULL)
    {
      entry = g_object_ref (g_sequence_get (iter));
      gkv_entry_update (entry, value, record, expires_us);
      return;
    }

  if (record != NULL)
    {
      entry = gkv_entry_new (key, value, record, expires_us);
      iter = g_sequence_insert_sorted (self->entries, g_object_ref (entry), gkv_list_compare, NULL);
      position = (guint) g_sequence_iter_get_position (iter);
      gkv_table_insert (self->by_key, (char *) gkv_entry_get_key (entry), iter);
      g_list_model_items_changed (G_LIST_MODEL (self), position, 0, 1);
    }
  else
    {
      position = (guint) g_sequence_iter_get_position (iter);
      gkv_table_remove (self->by_key, key);
      g_sequence_remove (iter);
      g_list_model_items_changed (G_LIST_MODEL (self), position, 1, 0);
    }
}
