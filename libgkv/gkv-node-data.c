/* GkvNode: reading and writing, listing, and the numbers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"
#include "gkv-objects.h"
#include "store/gkv-utf8.h"

/* What is to be written of a key, next to its value. */
typedef struct
{
  GkvRecordFlags flags;
  guint ttl_ms; /* with GKV_RECORD_TTL */
} GkvLifetime;

/* internal */

static gboolean
gkv_node_check_cancelled (GCancellable *cancellable, GError **error)
{
  return cancellable == NULL || !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static gboolean
gkv_node_check_key (const char *key, gsize len, GError **error)
{
  if (len == 0)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_INVALID_KEY, "The key is empty");
      return FALSE;
    }

  if (len > GKV_MAX_KEY_SIZE)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_TOO_LARGE, "The key is %" G_GSIZE_FORMAT " bytes long; the limit is %d",
                   len, GKV_MAX_KEY_SIZE);
      return FALSE;
    }

  if (!gkv_utf8_validate (key, len))
    {
      g_autofree char *shown = g_utf8_make_valid (key, (gssize) len);

      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_KEY, "The key \"%s\" is not UTF-8", shown);
      return FALSE;
    }

  return TRUE;
}

/* Puts a record, has it sent, and emits the change where it may leave here. @value: what the bytes decode to, where
 * that is known; nullable. */
static gboolean
gkv_node_commit (GkvNode *self, const GkvWrite *write, GVariant *value, GError **error)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvRecord) replaced = NULL;
  GkvEmission emission;

  gkv_map_lock (self->map);
  record = gkv_map_put_locked (self->map, write, &replaced, error);
  if (record != NULL)
    gkv_emitter_begin_write_locked (self->emitter, G_OBJECT (self), record, replaced, &emission);
  gkv_map_unlock (self->map);

  if (record == NULL)
    return FALSE;

  if (gkv_network_is_active (self->network) || (write->flags & GKV_RECORD_TTL) != 0)
    gkv_network_poke (self->network);

  gkv_emitter_end_write (self->emitter, G_OBJECT (self), record, value, &emission);

  return TRUE;
}

static gboolean
gkv_node_write (GkvNode *self,
                const char *key,
                GVariant *value,
                const GkvLifetime *lifetime,
                GCancellable *cancellable,
                GError **error)
{
  g_autoptr (GVariant) owned G_GNUC_UNUSED =
      value != NULL && g_variant_is_floating (value) ? g_variant_ref_sink (value) : NULL;
  g_autoptr (GVariant) decoded = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const GkvCodecHandle *codec;
  GkvWrite write = { key, strlen (key), lifetime->flags, (gint64) lifetime->ttl_ms * 1000, NULL, NULL };

  if (!gkv_node_check_cancelled (cancellable, error) || !gkv_node_check_usable (self, error))
    return FALSE;

  codec = gkv_map_get_codec (self->map);
  if (!gkv_map_check_codec (self->map, codec, error) || !gkv_node_check_key (key, write.key_len, error))
    return FALSE;

  if (value == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE,
                   "There is no value to set \"%s\" to; to take the key away, delete it", key);
      return FALSE;
    }

  if ((write.flags & GKV_RECORD_TTL) != 0 && write.lifetime_us == 0)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE,
                   "The life of \"%s\" must be at least 1 ms; to have it live for ever, set it without one", key);
      return FALSE;
    }

  bytes = gkv_codec_encode (codec->codec, value, error);
  if (bytes == NULL)
    return FALSE;

  if (g_bytes_get_size (bytes) > GKV_MAX_VALUE_SIZE)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_TOO_LARGE,
                   "The value of \"%s\" takes %" G_GSIZE_FORMAT " bytes with the codec \"%s\"; the limit is %d", key,
                   g_bytes_get_size (bytes), codec->name, GKV_MAX_VALUE_SIZE);
      return FALSE;
    }

  /* What everybody will see, the writer included. A value that doesn't come back is none to keep. */
  if (!codec->is_lossless)
    {
      decoded = gkv_codec_decode (codec->codec, bytes, error);
      if (decoded == NULL)
        return FALSE;
    }

  write.codec = codec;
  write.bytes = bytes;

  return gkv_node_commit (self, &write, decoded, error);
}

/* public methods */

/**
 * gkv_node_set_value:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: the value. A floating reference is sunk, also on an error
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key, here at once and on all peers soon.
 *
 * The value is kept as the node's codec makes it: what is read afterwards is the decoded form. A value that the codec
 * can't carry is refused. The new value wins over all that this node has seen of the key.
 *
 * In the thread that runs the node's main context, [signal@Gkv.Node::changed] is emitted before this returns, if the
 * value differs from the one before. (A handler of that signal that writes the same key again has its write emitted
 * by the main loop, so that all handlers see the values in order.)
 *
 * What is wrong is looked for in this order: @cancellable, a node that is closed (%GKV_ERROR_CLOSED) or badly
 * configured (%GKV_ERROR_INVALID_OPTION, %GKV_ERROR_INVALID_ADDRESS), a codec that can't be used in this thread
 * (%GKV_ERROR_CODEC), the key (%GKV_ERROR_INVALID_KEY, %GKV_ERROR_TOO_LARGE), the value (%GKV_ERROR_INVALID_VALUE,
 * %GKV_ERROR_CODEC, %GKV_ERROR_TOO_LARGE), and a clock that is more than an hour off (%GKV_ERROR_CLOCK).
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_value (GkvNode *self, const char *key, GVariant *value, GCancellable *cancellable, GError **error)
{
  GkvLifetime lifetime = { 0, 0 };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, &lifetime, cancellable, error);
}

/**
 * gkv_node_set_value_with_ttl:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: the value. A floating reference is sunk, also on an error
 * @ttl_ms: how long the value lives, in milliseconds, at least 1
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key for a time: on all nodes it goes when @ttl_ms has passed, as if it had been deleted. Setting it again
 * before then gives it a new life.
 *
 * The life is counted on each node's monotonic clock. Otherwise as [method@Gkv.Node.set_value]; a life of 0 is
 * %GKV_ERROR_INVALID_VALUE. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_value_with_ttl (
    GkvNode *self, const char *key, GVariant *value, guint ttl_ms, GCancellable *cancellable, GError **error)
{
  GkvLifetime lifetime = { GKV_RECORD_TTL, ttl_ms };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, &lifetime, cancellable, error);
}

/**
 * gkv_node_set_value_ephemeral:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: the value. A floating reference is sunk, also on an error
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key for as long as this node lives: when it is closed, dies or is started anew, the key goes on all nodes, as
 * if it had been deleted.
 *
 * Otherwise as [method@Gkv.Node.set_value]. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_value_ephemeral (
    GkvNode *self, const char *key, GVariant *value, GCancellable *cancellable, GError **error)
{
  GkvLifetime lifetime = { GKV_RECORD_EPHEMERAL, 0 };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, &lifetime, cancellable, error);
}

/**
 * gkv_node_get_value:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Gets the value of a key, as the node's codec decodes it.
 *
 * A key that isn't there is %GKV_ERROR_NOT_FOUND, a closed node %GKV_ERROR_CLOSED, a value written with another codec,
 * or that the codec can't decode, %GKV_ERROR_CODEC. May be called from any thread.
 *
 * Returns: (transfer full): the value, or %NULL with @error set
 */
GVariant *
gkv_node_get_value (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (key != NULL, NULL);

  if (!gkv_node_check_cancelled (cancellable, error) || !gkv_node_check_usable (self, error))
    return NULL;

  return gkv_map_get_value (self->map, key, error);
}

/**
 * gkv_node_lookup:
 * @self: a node
 * @key: a key
 *
 * Gets the value of a key, without telling why where there is none: the key isn't there, its value can't be decoded,
 * or the node is closed. May be called from any thread.
 *
 * Returns: (transfer full) (nullable): the value, or %NULL
 */
GVariant *
gkv_node_lookup (GkvNode *self, const char *key)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (key != NULL, NULL);

  return gkv_node_get_value (self, key, NULL, NULL);
}

/**
 * gkv_node_delete:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Deletes a key, here at once and on all peers soon. It stays deleted until somebody sets it again.
 *
 * A key that isn't there is %GKV_ERROR_NOT_FOUND. [signal@Gkv.Node::changed] is emitted as for
 * [method@Gkv.Node.set_value]. May be called from any thread.
 *
 * Returns: %TRUE if the key was deleted, %FALSE with @error set otherwise
 */
gboolean
gkv_node_delete (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  GkvWrite write = { key, 0, GKV_RECORD_DEAD, 0, NULL, NULL };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  if (!gkv_node_check_cancelled (cancellable, error) || !gkv_node_check_usable (self, error))
    return FALSE;

  write.key_len = strlen (key);

  return gkv_node_commit (self, &write, NULL, error);
}

/**
 * gkv_node_contains:
 * @self: a node
 * @key: a key
 *
 * Tells whether there is a key. May be called from any thread.
 *
 * Returns: whether there is such a key; %FALSE when the node is closed
 */
gboolean
gkv_node_contains (GkvNode *self, const char *key)
{
  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_map_contains (self->map, key);
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

  records = gkv_map_dup_records (self->map, prefix);
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
  g_return_val_if_fail (GKV_IS_NODE (self), 0);

  return (guint) MIN (gkv_map_get_n_keys (self->map), G_MAXUINT);
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
  g_return_val_if_fail (gkv_node_check_owner (self, "gkv_node_get_entry ()"), NULL);

  record = gkv_map_dup_record (self->map, key, &expires_us);
  if (record == NULL)
    return NULL;

  value = gkv_map_decode (self->map, record, NULL);

  return gkv_entry_new (value, record, expires_us);
}

/**
 * gkv_node_list:
 * @self: a node
 * @prefix: (nullable): what the keys begin with; %NULL for all keys
 *
 * Gets the keys under a prefix as a list model of [class@Gkv.Entry], sorted by key, that follows the map: entries come
 * and go, and notify when their value changes. It is up to date before [signal@Gkv.Node::changed] is emitted. What
 * changes while the list emits [signal@Gio.ListModel::items-changed] reaches it after all handlers were called.
 *
 * The object of an entry is made when the list is asked for it, and stays the same as long as anybody holds it. The
 * list has the properties `item-type`, `n-items` and `pending`, which is %TRUE while a long list is still being filled.
 *
 * The list doesn't keep the node alive; after the node has been closed it stays as it is. Asking again for a prefix
 * whose list is still in use gives the same list. Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer full): a list model of [class@Gkv.Entry]
 */
GListModel *
gkv_node_list (GkvNode *self, const char *prefix)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (gkv_node_check_owner (self, "gkv_node_list ()"), NULL);

  return gkv_emitter_dup_list (self->emitter, prefix != NULL ? prefix : "");
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

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  gkv_map_add_stats (self->map, &builder);
  g_variant_builder_add (&builder, "{sv}", "n-peers", g_variant_new_uint64 (gkv_emitter_get_n_peers (self->emitter)));
  gkv_network_add_stats (self->network, &builder);

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
