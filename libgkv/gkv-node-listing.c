/* GkvNode: what keys there are, as strings, as entries and as live lists; and the numbers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

typedef struct
{
  GkvNode *node;
  const char *prefix;
  GPtrArray *records;
  gint64 mono;
} GkvGathering;

static gboolean
gkv_node_gather (GkvRecord *record, gpointer user_data)
{
  GkvGathering *gathering = user_data;
  GkvRecord *visible = gkv_store_get_visible (gathering->node->store, record);

  if (visible == NULL || !g_str_has_prefix (gkv_record_get_key (visible), gathering->prefix))
    return TRUE;

  if ((visible->flags & GKV_RECORD_TTL) != 0)
    {
      gint64 deadline = gkv_store_get_deadline (gathering->node->store, visible);

      if (deadline >= 0 && deadline <= gathering->mono)
        return TRUE;
    }

  g_ptr_array_add (gathering->records, gkv_record_ref (visible));

  return TRUE;
}

static int
gkv_node_compare_keys (gconstpointer a, gconstpointer b)
{
  return strcmp (gkv_record_get_key (*(GkvRecord *const *) a), gkv_record_get_key (*(GkvRecord *const *) b));
}

/* All visible records under @prefix, sorted by key. */
static GPtrArray *
gkv_node_dup_records (GkvNode *self, const char *prefix)
{
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  GkvGathering gathering = { self, prefix != NULL ? prefix : "", records, g_get_monotonic_time () };
  GkvRange all = { 0, 0 };

  g_mutex_lock (&self->lock);
  if (self->state != GKV_NODE_CLOSED)
    gkv_store_foreach (self->store, all, 0, gkv_node_gather, &gathering);
  g_mutex_unlock (&self->lock);

  g_ptr_array_sort (records, gkv_node_compare_keys);

  return g_steal_pointer (&records);
}

/**
 * gkv_node_list_keys:
 * @self: a node
 * @prefix: (nullable): what the keys begin with; %NULL for all keys
 *
 * Gets the keys that there are, sorted by their bytes. Takes time in proportion to all keys. May be called from any
 * thread.
 *
 * Returns: (transfer full): the keys; none when the node is closed
 */
char **
gkv_node_list_keys (GkvNode *self, const char *prefix)
{
  g_autoptr (GPtrArray) records = NULL;
  char **keys;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  records = gkv_node_dup_records (self, prefix);
  keys = g_new0 (char *, records->len + 1);
  for (guint i = 0; i < records->len; i++)
    keys[i] = g_strdup (gkv_record_get_key (records->pdata[i]));

  return keys;
}

/**
 * gkv_node_get_n_keys:
 * @self: a node
 *
 * Gets how many keys there are. May be called from any thread. A key whose life has ended is counted until the node's
 * main context has run.
 *
 * Returns: the number of keys; 0 when the node is closed
 */
guint
gkv_node_get_n_keys (GkvNode *self)
{
  guint64 n_keys;

  g_return_val_if_fail (GKV_IS_NODE (self), 0);

  g_mutex_lock (&self->lock);
  n_keys = self->state != GKV_NODE_CLOSED ? gkv_store_get_n_visible (self->store) : 0;
  g_mutex_unlock (&self->lock);

  return (guint) MIN (n_keys, G_MAXUINT);
}

/**
 * gkv_node_get_entry:
 * @self: a node
 * @key: a key
 *
 * Gets a key as an object that also tells who wrote it and when. The entry is a snapshot: it doesn't follow the map.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer full) (nullable): an entry, or %NULL if there is no such key, or the node is closed
 */
GkvEntry *
gkv_node_get_entry (GkvNode *self, const char *key)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GVariant) value = NULL;
  gint64 expires_us = -1;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (key != NULL, NULL);
  g_return_val_if_fail (gkv_node_check_context (self), NULL);

  g_mutex_lock (&self->lock);
  record = self->state != GKV_NODE_CLOSED ? gkv_node_find_locked (self, key) : NULL;
  if (record != NULL)
    {
      gkv_record_ref (record);
      expires_us = gkv_node_get_expires_locked (self, record);
    }
  g_mutex_unlock (&self->lock);

  if (record == NULL)
    return NULL;

  value = gkv_node_dup_value (self, record, NULL);

  return gkv_entry_new (key, value, record, expires_us);
}

/**
 * gkv_node_list:
 * @self: a node
 * @prefix: (nullable): what the keys begin with; %NULL for all keys
 *
 * Gets the keys under a prefix as a list model of [class@Gkv.Entry], sorted by key, that follows the map: entries come
 * and go, and notify when their value changes. It is up to date before [signal@Gkv.Node::changed] is emitted.
 *
 * The list doesn't keep the node alive; after the node has been closed it stays as it is. Asking again for a prefix
 * whose list is still in use gives the same list. Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer full): a list model of [class@Gkv.Entry]
 */
GListModel *
gkv_node_list (GkvNode *self, const char *prefix)
{
  g_autoptr (GPtrArray) records = NULL;
  GkvList *list;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (gkv_node_check_context (self), NULL);

  list = gkv_list_index_lookup (self->lists, prefix != NULL ? prefix : "");
  if (list != NULL)
    return G_LIST_MODEL (list);

  list = gkv_list_new (self->lists, prefix != NULL ? prefix : "");
  records = gkv_node_dup_records (self, prefix);
  for (guint i = 0; i < records->len; i++)
    {
      GkvRecord *record = records->pdata[i];
      g_autoptr (GVariant) value = gkv_node_dup_value (self, record, NULL);
      gint64 expires_us;

      g_mutex_lock (&self->lock);
      expires_us = gkv_node_get_expires_locked (self, record);
      g_mutex_unlock (&self->lock);

      gkv_list_update (list, gkv_record_get_key (record), record, value, expires_us);
    }

  return G_LIST_MODEL (list);
}

/**
 * gkv_node_get_stats:
 * @self: a node
 *
 * Gets numbers for people and for monitoring. All are there on every node:
 *
 * - `n-keys` (t): keys that there are
 * - `n-records` (t): records held, those of deleted keys included
 * - `n-tombstones` (t): records of deleted keys
 * - `n-bytes` (t): bytes of keys and values held
 * - `n-aside` (t): records set aside, because the clock of their writer is more than an hour ahead
 * - `n-peers` (t): peers known
 * - `send-errors` (t): datagrams that the transport could not send
 *
 * A node on the network adds `peers-alive`, `datagrams-sent`, `datagrams-received`, `bytes-sent`, `bytes-received` (t),
 * and the other numbers of its protocol; the names of those may change between versions. May be called from any thread.
 *
 * Returns: (transfer full): a dictionary (`a{sv}`)
 */
GVariant *
gkv_node_get_stats (GkvNode *self)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  GkvRange all = { 0, 0 };
  GkvSummary summary;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  g_mutex_lock (&self->lock);
  gkv_store_summarise (self->store, all, &summary);
  g_variant_builder_add (&builder, "{sv}", "n-keys", g_variant_new_uint64 (gkv_store_get_n_visible (self->store)));
  g_variant_builder_add (&builder, "{sv}", "n-records", g_variant_new_uint64 (summary.count));
  g_variant_builder_add (&builder, "{sv}", "n-tombstones",
                         g_variant_new_uint64 (gkv_store_get_n_tombstones (self->store)));
  g_variant_builder_add (&builder, "{sv}", "n-bytes", g_variant_new_uint64 (gkv_store_get_n_bytes (self->store)));
  g_variant_builder_add (&builder, "{sv}", "n-aside", g_variant_new_uint64 (gkv_store_get_n_aside (self->store)));
  g_variant_builder_add (&builder, "{sv}", "n-peers", g_variant_new_uint64 (self->n_peers));
  g_variant_builder_add (&builder, "{sv}", "send-errors", g_variant_new_uint64 (self->n_send_errors));
  if (self->engine != NULL)
    gkv_engine_add_stats (self->engine, &builder);
  g_mutex_unlock (&self->lock);

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
