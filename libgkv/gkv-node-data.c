/* GkvNode: reading, writing and listing keys, and the statistics.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"
#include "gkv-objects.h"
#include "store/gkv-utf8.h"

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

/* Whether there is nothing to be done, as somebody else has just removed the key. */
static gboolean
gkv_node_is_needless_locked (GkvNode *self, const GkvWrite *write)
{
  return write->lenient && gkv_map_find_locked (self->map, write->key) == NULL;
}

/* Puts records, has them sent, and emits the changes where they may leave here. All or none is put. */
static gboolean
gkv_node_commit (GkvNode *self, const GkvWrite *writes, guint n_writes, GError **error)
{
  GkvEmission emission = GKV_EMISSION_INIT;
  GObject *object = (GObject *) self; /* a checked cast costs as much as to look for handlers */
  gboolean ok = TRUE;
  gboolean expires = FALSE;

  gkv_map_lock (self->map);

  for (guint i = 0; ok && n_writes > 1 && i < n_writes; i++)
    ok = gkv_node_is_needless_locked (self, &writes[i]) || gkv_map_check_write_locked (self->map, &writes[i], error);

  for (guint i = 0; ok && i < n_writes; i++)
    {
      g_autoptr (GkvRecord) replaced = NULL;
      g_autoptr (GkvRecord) record = NULL;

      if (gkv_node_is_needless_locked (self, &writes[i]))
        continue;

      record = gkv_map_put_locked (self->map, &writes[i], &replaced, error);
      ok = record != NULL;
      expires = expires || (writes[i].flags & GKV_RECORD_TTL) != 0;
      if (ok)
        gkv_emitter_add_write_locked (self->emitter, object, record, replaced, &emission);
    }

  gkv_map_unlock (self->map);

  if (gkv_network_is_active (self->network) || expires)
    gkv_network_poke (self->network);

  gkv_emitter_end_writes (self->emitter, object, &emission);

  return ok;
}

/* What flags and lifetime make of a write. */
static gboolean
gkv_node_take_flags (GkvWrite *write, GkvSetFlags flags, GTimeSpan lifetime, GError **error)
{
  if (lifetime < 0)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE,
                   "The lifetime of \"%s\" is negative; it is a number of microseconds, 0 for ever", write->key);
      return FALSE;
    }

  if ((flags & GKV_SET_EPHEMERAL) != 0)
    write->flags |= GKV_RECORD_EPHEMERAL;

  if (lifetime > 0)
    {
      write->flags |= GKV_RECORD_TTL;
      write->lifetime_us = lifetime;
    }

  write->conditional = (flags & GKV_SET_CREATE) != 0;

  return TRUE;
}

/* Whether this thread may write @key now. Gives the codec to write with. */
static const GkvCodecHandle *
gkv_node_check_writable (GkvNode *self, const char *key, gsize key_len, GError **error)
{
  const GkvCodecHandle *codec;

  if (!gkv_node_check_usable (self, error))
    return NULL;

  codec = gkv_map_ensure_codec (self->map, error);
  if (codec == NULL || !gkv_map_check_codec (self->map, codec, error) || !gkv_node_check_key (key, key_len, error))
    return NULL;

  return codec;
}

/* Makes the bytes of @value, which may be none: to be freed with the write. */
static gboolean
gkv_node_encode (const GkvCodecHandle *codec, GVariant *value, GkvWrite *write, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;

  if (value == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE,
                   "There is no value to set \"%s\" to; to take the key away, remove it", write->key);
      return FALSE;
    }

  bytes = gkv_codec_encode (codec->codec, value, error);
  if (bytes == NULL)
    return FALSE;

  if (g_bytes_get_size (bytes) > GKV_MAX_VALUE_SIZE)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_TOO_LARGE,
                   "The value of \"%s\" takes %" G_GSIZE_FORMAT " bytes with the codec \"%s\"; the limit is %d",
                   write->key, g_bytes_get_size (bytes), codec->name, GKV_MAX_VALUE_SIZE);
      return FALSE;
    }

  /* What everybody will see, the writer included. A value that doesn't come back is none to keep. */
  if (!codec->is_lossless)
    {
      g_autoptr (GVariant) decoded = gkv_codec_decode (codec->codec, bytes, error);

      if (decoded == NULL)
        return FALSE;
    }

  write->codec = codec;
  write->bytes = g_steal_pointer (&bytes);

  return TRUE;
}

/* A floating @value is sunk, whatever happens. */
static GVariant *
gkv_node_sink (GVariant *value)
{
  return value != NULL && g_variant_is_floating (value) ? g_variant_ref_sink (value) : NULL;
}

static gboolean
gkv_node_write (GkvNode *self,
                const char *key,
                GVariant *value,
                GkvSetFlags flags,
                GTimeSpan lifetime,
                GCancellable *cancellable,
                GError **error)
{
  g_autoptr (GVariant) owned G_GNUC_UNUSED = gkv_node_sink (value);
  GkvWrite write = { .key = key, .key_len = strlen (key) };
  const GkvCodecHandle *codec;
  gboolean ok;

  if (!gkv_node_check_cancelled (cancellable, error))
    return FALSE;

  codec = gkv_node_check_writable (self, key, write.key_len, error);
  if (codec == NULL || !gkv_node_take_flags (&write, flags, lifetime, error) ||
      !gkv_node_encode (codec, value, &write, error))
    return FALSE;

  ok = gkv_node_commit (self, &write, 1, error);
  g_bytes_unref (write.bytes);

  return ok;
}

/* public methods: writing */

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
 * The value is kept as the node's codec encodes it: what is read afterwards is the decoded form. A value that the codec
 * can't carry is refused. The new value wins over all values of the key that this node has seen.
 *
 * In the thread that runs the node's main context, [signal@Gkv.Node::changed] is emitted before this returns, if the
 * value differs from the one before. (A handler of that signal that writes the same key again has its write emitted
 * by the main loop, so that all handlers see the values in order; so has a chain of handlers that write other keys,
 * beyond a small depth.)
 *
 * Errors are looked for in this order: @cancellable, a node that is closed (%GKV_ERROR_CLOSED) or badly configured
 * (%GKV_ERROR_INVALID_OPTION, %GKV_ERROR_INVALID_ADDRESS), a codec that can't be used in this thread
 * (%GKV_ERROR_CODEC), the key (%GKV_ERROR_INVALID_KEY, %GKV_ERROR_TOO_LARGE), the value (%GKV_ERROR_INVALID_VALUE,
 * %GKV_ERROR_CODEC, %GKV_ERROR_TOO_LARGE), and the present value of the key, which must not be from a clock that is
 * more than an hour ahead (%GKV_ERROR_CLOCK).
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_value (GkvNode *self, const char *key, GVariant *value, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, GKV_SET_NONE, 0, cancellable, error);
}

/**
 * gkv_node_set_value_full:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: the value. A floating reference is sunk, also on an error
 * @flags: how it is set
 * @lifetime: the lifetime of the value, in microseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does, with flags and a lifetime.
 *
 * A key with a @lifetime expires on all nodes when that has passed, as if it had been removed; setting the key again
 * before that gives it a new lifetime. Each node counts it on its monotonic clock, to a millisecond. A key with
 * %GKV_SET_EPHEMERAL is removed when this node ends. With %GKV_SET_CREATE the call fails with %GKV_ERROR_EXISTS if this
 * node has the key; another node may create it at the same time.
 *
 * A negative @lifetime is %GKV_ERROR_INVALID_VALUE.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_value_full (GkvNode *self,
                         const char *key,
                         GVariant *value,
                         GkvSetFlags flags,
                         GTimeSpan lifetime,
                         GCancellable *cancellable,
                         GError **error)
{
  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, flags, lifetime, cancellable, error);
}

static void
gkv_write_clear (gpointer data)
{
  GkvWrite *write = data;

  g_clear_pointer (&write->bytes, g_bytes_unref);
}

/**
 * gkv_node_set_values:
 * @self: a node
 * @values: the values by key (`a{smv}`); an empty maybe removes the key. A floating reference is sunk, also on an error
 * @flags: how they are set
 * @lifetime: the lifetime of the values, in microseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets and removes several keys at once: on this node all or none. Peers receive them as separate writes, and may see a
 * part of them for a moment.
 *
 * All is checked before anything is written; the error is about the first key that can't be set. Removing a key that
 * isn't there isn't an error; a key that is there twice in @values is
 * %GKV_ERROR_INVALID_VALUE. List models are up to date before [signal@Gkv.Node::changed] is emitted for each key in
 * turn. @values of another type are %GKV_ERROR_INVALID_VALUE; otherwise it fails as [method@Gkv.Node.set_value_full]
 * does.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if all were set or removed, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_values (
    GkvNode *self, GVariant *values, GkvSetFlags flags, GTimeSpan lifetime, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) owned G_GNUC_UNUSED = gkv_node_sink (values);
  g_autoptr (GArray) writes = g_array_new (FALSE, TRUE, sizeof (GkvWrite));
  g_autoptr (GHashTable) keys = g_hash_table_new (g_str_hash, g_str_equal);
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (values != NULL, FALSE);

  if (!gkv_node_check_cancelled (cancellable, error) || !gkv_node_check_usable (self, error))
    return FALSE;

  if (!g_variant_is_of_type (values, G_VARIANT_TYPE ("a{smv}")))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE, "Values by key have the type \"a{smv}\", and not \"%s\"",
                   g_variant_get_type_string (values));
      return FALSE;
    }

  g_array_set_clear_func (writes, gkv_write_clear);
  g_variant_iter_init (&iter, values);
  while (g_variant_iter_next (&iter, "{&smv}", &key, &value))
    {
      g_autoptr (GVariant) held G_GNUC_UNUSED = value;
      GkvWrite write = { .key = key, .key_len = strlen (key), .flags = value == NULL ? GKV_RECORD_DEAD : 0 };
      const GkvCodecHandle *codec = gkv_node_check_writable (self, key, write.key_len, error);

      if (codec == NULL)
        return FALSE;

      if (!g_hash_table_add (keys, (char *) key))
        {
          g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE, "The key \"%s\" is there twice", key);
          return FALSE;
        }

      if (value == NULL)
        {
          write.lenient = TRUE;
        }
      else if (!gkv_node_take_flags (&write, flags, lifetime, error) || !gkv_node_encode (codec, value, &write, error))
        {
          return FALSE;
        }

      g_array_append_val (writes, write);
    }

  return gkv_node_commit (self, (const GkvWrite *) writes->data, writes->len, error);
}

/* Whether what is visible of a key is @expected: gives the record, owned, or NULL for none. */
static gboolean
gkv_node_compare (GkvNode *self, const char *key, GVariant *expected, GkvRecord **record, GError **error)
{
  g_autoptr (GVariant) value = NULL;
  gint64 expires_us;

  *record = gkv_map_dup_record (self->map, key, &expires_us);
  if (*record != NULL)
    {
      value = gkv_map_decode (self->map, *record, error);
      if (value == NULL)
        return FALSE;
    }

  if (value == expected || (value != NULL && expected != NULL && g_variant_equal (value, expected)))
    return TRUE;

  g_set_error (error, GKV_ERROR, GKV_ERROR_MISMATCH, "The key \"%s\" %s", key,
               value == NULL      ? "isn't there"
               : expected == NULL ? "is there already"
                                  : "has another value than the expected one");

  return FALSE;
}

/**
 * gkv_node_compare_and_set:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @expected: (nullable): the value that the key must have; %NULL if it must not be there. A floating reference is sunk,
 *   also on an error
 * @value: (nullable): the new value; %NULL to remove the key. A floating reference is sunk, also on an error
 * @flags: how it is set
 * @lifetime: the lifetime of the value, in microseconds; 0 for ever
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets or removes a key, if it has a certain value. With both %NULL it only checks that the key isn't there.
 *
 * Decoded values are compared, types included. A value that differs is %GKV_ERROR_MISMATCH, one that can't be decoded
 * %GKV_ERROR_CODEC; otherwise it fails as [method@Gkv.Node.set_value_full] does.
 *
 * No write of this process comes between the comparison and the write. Those of other nodes may: when two nodes that
 * both have 1 compare and set the key, one to 2 and the other to 3, both succeed, and the later of the two writes wins
 * everywhere. So this is not a lock for a cluster.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the key had the value and was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_compare_and_set (GkvNode *self,
                          const char *key,
                          GVariant *expected,
                          GVariant *value,
                          GkvSetFlags flags,
                          GTimeSpan lifetime,
                          GCancellable *cancellable,
                          GError **error)
{
  g_autoptr (GVariant) owned_expected G_GNUC_UNUSED = gkv_node_sink (expected);
  g_autoptr (GVariant) owned_value G_GNUC_UNUSED = gkv_node_sink (value);
  GkvWrite write = { .key = key, .flags = value == NULL ? GKV_RECORD_DEAD : 0 };
  const GkvCodecHandle *codec;
  gboolean ok = FALSE;
  gboolean again = TRUE;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  write.key_len = strlen (key);
  if (!gkv_node_check_cancelled (cancellable, error))
    return FALSE;

  codec = gkv_node_check_writable (self, key, write.key_len, error);
  if (codec == NULL || (value != NULL && (!gkv_node_take_flags (&write, flags, lifetime, error) ||
                                          !gkv_node_encode (codec, value, &write, error))))
    return FALSE;

  /* Values are decoded without the lock: what was written meanwhile is compared anew. */
  while (again)
    {
      g_autoptr (GkvRecord) record = NULL;
      g_autoptr (GError) refused = NULL;

      again = FALSE;
      if (!gkv_node_compare (self, key, expected, &record, &refused))
        {
          g_propagate_error (error, g_steal_pointer (&refused));
        }
      else if (expected == NULL && value == NULL)
        {
          ok = TRUE;
        }
      else
        {
          write.conditional = TRUE;
          write.expected = record;
          ok = gkv_node_commit (self, &write, 1, &refused);
          again = g_error_matches (refused, GKV_ERROR, GKV_ERROR_MISMATCH) ||
                  g_error_matches (refused, GKV_ERROR, GKV_ERROR_EXISTS);
          if (refused != NULL && !again)
            g_propagate_error (error, g_steal_pointer (&refused));
        }
    }

  gkv_write_clear (&write);

  return ok;
}

/**
 * gkv_node_remove:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Removes a key, here at once and on all peers soon. It stays removed until it is set again.
 *
 * A key that isn't there is %GKV_ERROR_NOT_FOUND, a closed node %GKV_ERROR_CLOSED. [signal@Gkv.Node::changed] is
 * emitted as for [method@Gkv.Node.set_value].
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if the key was removed, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_remove (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  GkvWrite write = { .key = key, .flags = GKV_RECORD_DEAD };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  if (!gkv_node_check_cancelled (cancellable, error) || !gkv_node_check_usable (self, error))
    return FALSE;

  write.key_len = strlen (key);

  return gkv_node_commit (self, &write, 1, error);
}

/* public methods: reading */

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
 *
 * Since: 1.0
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
 * Gets the value of a key, without an error. May be called from any thread.
 *
 * Returns: (transfer full) (nullable): the value, or %NULL if the key isn't there, if its value can't be decoded, or if
 *   the node is closed
 *
 * Since: 1.0
 */
GVariant *
gkv_node_lookup (GkvNode *self, const char *key)
{
  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (key != NULL, NULL);

  return gkv_node_get_value (self, key, NULL, NULL);
}

/**
 * gkv_node_contains:
 * @self: a node
 * @key: a key
 *
 * Checks whether there is a key. May be called from any thread.
 *
 * Returns: %TRUE if the key is there; %FALSE also when the node is closed
 *
 * Since: 1.0
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
 * @prefix: (nullable): the prefix of the keys; %NULL for all keys
 *
 * Gets the keys that there are, sorted by their bytes. A key that another thread or a peer sets or removes during the
 * call may be among them or not.
 *
 * The first call with a prefix looks at all keys, and has the node build an index in the background, which costs less
 * than 24 bytes a key. Once that is complete a call takes time in proportion to the number of keys that it returns.
 *
 * May be called from any thread.
 *
 * Returns: (transfer full) (array zero-terminated=1): the keys; none when the node is closed
 *
 * Since: 1.0
 */
char **
gkv_node_list_keys (GkvNode *self, const char *prefix)
{
  g_autoptr (GPtrArray) records = NULL;
  char **keys;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);

  records = gkv_map_dup_records (self->map, prefix != NULL ? prefix : "", G_MAXUINT);
  gkv_network_build_index (self->network);

  keys = g_new0 (char *, records->len + 1);
  for (guint i = 0; i < records->len; i++)
    keys[i] = g_strdup (gkv_record_get_key (records->pdata[i]));

  return keys;
}

/**
 * gkv_node_get_n_keys:
 * @self: a node
 *
 * Gets the number of keys. Those that have expired are not counted. May be called from any thread.
 *
 * Returns: the number of keys; 0 when the node is closed
 *
 * Since: 1.0
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
 * Gets a key as an object, with its origin and the time of its write. The entry is a snapshot: it doesn't follow the
 * map.
 *
 * May be called from any thread.
 *
 * Returns: (transfer full) (nullable): an entry, or %NULL if the key isn't there, or the node is closed
 *
 * Since: 1.0
 */
GkvEntry *
gkv_node_get_entry (GkvNode *self, const char *key)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GVariant) value = NULL;
  gint64 expires_us = -1;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (key != NULL, NULL);

  record = gkv_map_dup_record (self->map, key, &expires_us);
  if (record == NULL)
    return NULL;

  value = gkv_map_decode (self->map, record, NULL);

  return gkv_entry_new (value, record, expires_us);
}

/**
 * gkv_node_list_entries:
 * @self: a node
 * @prefix: (nullable): the prefix of the keys; %NULL for all keys
 *
 * Gets the keys under a prefix as a list model of [class@Gkv.Entry], sorted by key, that follows the map: entries come
 * and go, and their properties notify. It is up to date before [signal@Gkv.Node::changed] is emitted. What changes
 * while the list emits [signal@Gio.ListModel::items-changed] reaches it after all handlers were called.
 *
 * The object of an entry is created by the first [method@Gio.ListModel.get_item], and stays the same as long as there
 * is a reference to it. The list has the properties `item-type`, `n-items` and `pending`. Up to 10,000 entries are
 * there at once; a longer list grows while the node's main context runs, in the order of the keys, and `pending` is
 * %TRUE until it is complete.
 *
 * The list doesn't keep the node alive; after the node has been closed it stays as it is. A second call with the prefix
 * of a list that is still in use returns that list.
 *
 * Belongs to the thread that runs the node's main context.
 *
 * Returns: (transfer full) (nullable): a list model of [class@Gkv.Entry]; %NULL, with a critical warning, in another
 *   thread
 *
 * Since: 1.0
 */
GListModel *
gkv_node_list_entries (GkvNode *self, const char *prefix)
{
  GListModel *list;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (gkv_node_check_owner (self, "gkv_node_list_entries ()"), NULL);

  list = gkv_emitter_dup_list (self->emitter, prefix != NULL ? prefix : "");
  gkv_network_build_index (self->network);

  return list;
}

/**
 * gkv_node_get_stats:
 * @self: a node
 *
 * Gets statistics for people and for monitoring. Every node has these:
 *
 * - `n-keys` (t): keys
 * - `n-records` (t): records held, tombstones included
 * - `n-tombstones` (t): records of removed keys
 * - `n-bytes` (t): bytes of keys and values held
 * - `n-quarantined` (t): quarantined records: the clock of their writer is more than an hour ahead
 * - `n-peers` (t): peers that are alive or suspect
 * - `send-errors` (t): datagrams that the transport could not send; by cause `send-errors-no-route`,
 *   `send-errors-no-network`, `send-errors-refused`, `send-errors-too-large`, `send-errors-busy` (the machine had no
 *   memory for it; it is tried again, and each try counts), `send-errors-other` (t)
 *
 * A node on the network adds `peers-alive`, `datagrams-sent`, `datagrams-received`, `bytes-sent`, `bytes-received` (t),
 * and other numbers of its protocol, whose names may change between versions.
 *
 * May be called from any thread.
 *
 * Returns: (transfer full): a dictionary (`a{sv}`)
 *
 * Since: 1.0
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
