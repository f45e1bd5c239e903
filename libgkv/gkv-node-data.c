/* GkvNode: reading and writing the map.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"
#include "store/gkv-expiry.h"
#include "store/gkv-utf8.h"

#include <time.h>

/* How many records one dispatch lets expire. */
#define MAX_EXPIRED (1000)

/* What is to be written of a key, next to its value. */
typedef struct
{
  GkvRecordFlags flags;
  guint ttl_ms; /* with GKV_RECORD_TTL */
} GkvWrite;

/* internal: reading */

/* Expired, and only not yet marked: nobody is to see it. */
static gboolean
gkv_node_has_expired_locked (GkvNode *self, GkvRecord *record)
{
  gint64 deadline;

  if ((record->flags & GKV_RECORD_TTL) == 0)
    return FALSE;

  deadline = gkv_store_get_deadline (self->store, record);

  return deadline >= 0 && deadline <= g_get_monotonic_time ();
}

GkvRecord *
gkv_node_find_locked (GkvNode *self, const char *key)
{
  GkvRecord *record = gkv_store_lookup_visible (self->store, key, strlen (key));

  return record != NULL && !gkv_node_has_expired_locked (self, record) ? record : NULL;
}

/* The same with what was decoded of it in @value, or NULL there if that isn't kept. The shorter way is tried first. */
static GkvRecord *
gkv_node_find_with_value_locked (GkvNode *self, const char *key, GVariant **value)
{
  gsize key_len = strlen (key);
  guint64 hash = gkv_hash_64 (gkv_store_get_hash_key (self->store), key, key_len);
  GkvRecord *record = gkv_decoded_find (self->decoded, hash, key, key_len, value);

  if (record == NULL)
    {
      *value = NULL;
      record = gkv_store_find_visible (self->store, hash, key, key_len);
    }

  return record != NULL && !gkv_node_has_expired_locked (self, record) ? record : NULL;
}

gint64
gkv_node_get_expires_locked (GkvNode *self, GkvRecord *record)
{
  gint64 deadline = gkv_store_get_deadline (self->store, record);

  return deadline < 0 ? -1 : g_get_real_time () + (deadline - g_get_monotonic_time ());
}

static void
gkv_node_expired (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  gkv_node_queue_change_locked (GKV_NODE (user_data), record, replaced, TRUE);
}

gint64
gkv_node_expire_locked (GkvNode *self, gint64 mono)
{
  gint64 deadline;

  gkv_store_expire_due (self->store, mono, MAX_EXPIRED, gkv_node_expired, self);

  return gkv_store_peek_deadline (self->store, &deadline) != NULL ? MAX (deadline, 1) : G_MAXINT64;
}

static gboolean
gkv_node_check_thread (GkvNode *self, const GkvCoding *coding, GError **error)
{
  if (coding->is_thread_safe)
    return TRUE;

  if (!gkv_node_enter_context (self))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                   "The codec \"%s\" works only in the thread that runs the node's main context; read and write "
                   "there, or use a thread-safe codec, such as \"variant\"",
                   coding->name);
      return FALSE;
    }

  gkv_node_leave_context (self);

  return TRUE;
}

/* How this thread is to code values. */
static const GkvCoding *
gkv_node_get_coding (GkvNode *self, GError **error)
{
  const GkvCoding *coding = g_atomic_pointer_get (&self->ready);

  if (coding == NULL)
    {
      g_mutex_lock (&self->lock);
      if (gkv_node_check_usable_locked (self, error))
        coding = self->coding;
      g_mutex_unlock (&self->lock);
    }

  return coding != NULL && gkv_node_check_thread (self, coding, error) ? coding : NULL;
}

/* What reading needs besides the record, taken under the lock: nothing calls out under it. */
typedef struct
{
  const GkvCoding *coding;
  gboolean keep; /* whether the value belongs into the cache */
} GkvRead;

static gboolean
gkv_node_begin_read_locked (GkvNode *self, GkvRecord *record, GkvRead *read, GError **error)
{
  read->coding = self->coding;
  if (!gkv_node_check_thread (self, read->coding, error))
    return FALSE;

  read->keep = gkv_decoded_admit (self->decoded, record);

  return TRUE;
}

static GVariant *
gkv_node_end_read (GkvNode *self, GkvRecord *record, const GkvRead *read, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  GVariant *value;

  if (strcmp (gkv_record_get_codec (record), read->coding->name) != 0)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                   "The value of \"%s\" was written with the codec \"%s\", and this node has the codec \"%s\"",
                   gkv_record_get_key (record), gkv_record_get_codec (record), read->coding->name);
      return NULL;
    }

  bytes = g_bytes_new_with_free_func (gkv_record_get_content (record), record->content_len,
                                      (GDestroyNotify) gkv_record_unref, gkv_record_ref (record));
  value = gkv_codec_decode (read->coding->codec, bytes, error);

  if (value != NULL && read->keep)
    {
      /* It may have been replaced meanwhile; then it is in the way of nothing, and goes when its slot is needed. */
      g_mutex_lock (&self->lock);
      if (read->coding == self->coding)
        gkv_decoded_insert (self->decoded, record, value);
      g_mutex_unlock (&self->lock);
    }

  return value;
}

GVariant *
gkv_node_dup_value (GkvNode *self, GkvRecord *record, GError **error)
{
  GkvRead read;
  GVariant *value;
  gboolean begun = FALSE;

  g_mutex_lock (&self->lock);
  value = gkv_decoded_lookup (self->decoded, record);
  if (value != NULL)
    g_variant_ref (value);
  else if (self->coding != NULL || gkv_node_check_usable_locked (self, error))
    begun = gkv_node_begin_read_locked (self, record, &read, error);
  g_mutex_unlock (&self->lock);

  return begun ? gkv_node_end_read (self, record, &read, error) : value;
}

static gboolean
gkv_node_check_cancelled (GCancellable *cancellable, GError **error)
{
  return cancellable == NULL || !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static gboolean
gkv_node_fail_not_found (const char *key, GError **error)
{
  g_autofree char *shown = g_utf8_make_valid (key, -1);

  g_set_error (error, GKV_ERROR, GKV_ERROR_NOT_FOUND, "There is no key \"%s\"", shown);

  return FALSE;
}

/* internal: writing */

static gboolean
gkv_node_check_key (const char *key, GError **error)
{
  gsize len = strlen (key);

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

/* For stamps, which have milliseconds: to within a few of them, in a fifth of the time that it takes exactly. */
static gint64
gkv_node_get_wall_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME_COARSE, &now);

  return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* Puts a record with a new stamp, without @coding a deletion. The record, or NULL with an error; what was visible
 * before in @replaced. */
static GkvRecord *
gkv_node_put_locked (GkvNode *self,
                     const char *key,
                     const GkvWrite *write,
                     const GkvCoding *coding,
                     GBytes *bytes,
                     GkvRecord **replaced,
                     GError **error)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvWriter) other = NULL;
  GkvWriter *writer = coding != NULL ? self->writer : self->dead_writer;
  GkvTime now = { 0, gkv_node_get_wall_time () };
  gsize len = 0;
  gconstpointer data = bytes != NULL ? g_bytes_get_data (bytes, &len) : NULL;

  /* The node was given another codec while this one was at work. */
  if (coding != NULL && coding != self->coding)
    writer = other = gkv_writer_intern (self->node_id, -1, coding->name, -1);

  record = gkv_record_new (gkv_store_get_hash_key (self->store), writer, key, strlen (key), write->flags,
                           gkv_clock_next (&self->clock, now.wall),
                           self->engine != NULL ? gkv_engine_get_life (self->engine) : self->life, data, len);

  /* Stamps are above all that was seen, apart from what is set aside. */
  if (gkv_store_put (self->store, record, replaced) == GKV_STORE_KEPT)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CLOCK,
                   "\"%s\" was written by a node whose clock is more than an hour ahead, and can't be written until "
                   "this "
                   "node's clock comes near; check the clocks of the cluster",
                   key);
      return NULL;
    }

  if (self->engine != NULL || (write->flags & GKV_RECORD_TTL) != 0)
    now.mono = g_get_monotonic_time ();

  if ((write->flags & GKV_RECORD_TTL) != 0)
    {
      gint64 deadline = now.mono + (gint64) write->ttl_ms * 1000;

      gkv_store_set_deadline (self->store, record, deadline);
      gkv_node_wake_locked (self, deadline);
    }

  if (self->engine != NULL)
    {
      gkv_engine_push (self->engine, record, &now);
      gkv_node_wake_locked (self, 0);
    }

  return g_steal_pointer (&record);
}

/* Puts a record and emits the change, if this is where it may leave; the node's source does otherwise. Without @coding
 * it deletes a key, which must be there. @value: what @bytes decode to, when that is known. */
static gboolean
gkv_node_commit (GkvNode *self,
                 const char *key,
                 const GkvWrite *write,
                 const GkvCoding *coding,
                 GBytes *bytes,
                 GVariant *value,
                 GError **error)
{
  g_autoptr (GkvNode) alive G_GNUC_UNUSED = NULL;
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvRecord) replaced = NULL;
  gboolean entered = FALSE;
  gboolean emit = FALSE;
  gboolean loud;

  g_mutex_lock (&self->lock);
  if (!gkv_node_check_usable_locked (self, error))
    ;
  else if (coding == NULL && gkv_node_find_locked (self, key) == NULL)
    gkv_node_fail_not_found (key, error);
  else
    record = gkv_node_put_locked (self, key, write, coding, bytes, &replaced, error);

  /* Looked for after the record was put: a list that comes later finds it in the map. */
  if (record != NULL && !gkv_node_has_audience (self))
    {
      gkv_node_queue_change_locked (self, record, replaced, FALSE);
    }
  else if (record != NULL)
    {
      entered = gkv_node_enter_context (self);
      emit = gkv_node_take_change_locked (self, record, replaced, entered, &loud);
    }
  g_mutex_unlock (&self->lock);

  if (emit)
    {
      alive = g_object_ref (self);
      gkv_node_emit_key (self, key, gkv_record_is_dead (record) ? NULL : record, value, loud);
    }

  if (entered)
    gkv_node_leave_context (self);

  return record != NULL;
}

static gboolean
gkv_node_write (
    GkvNode *self, const char *key, GVariant *value, const GkvWrite *write, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) owned G_GNUC_UNUSED =
      value != NULL && g_variant_is_floating (value) ? g_variant_ref_sink (value) : NULL;
  g_autoptr (GVariant) decoded = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const GkvCoding *coding;

  if (!gkv_node_check_cancelled (cancellable, error))
    return FALSE;

  coding = gkv_node_get_coding (self, error);
  if (coding == NULL || !gkv_node_check_key (key, error))
    return FALSE;

  if (value == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE,
                   "There is no value to set \"%s\" to; to take the key away, delete it", key);
      return FALSE;
    }

  if ((write->flags & GKV_RECORD_TTL) != 0 && write->ttl_ms == 0)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE,
                   "The life of \"%s\" must be at least 1 ms; to have it live for ever, set it without one", key);
      return FALSE;
    }

  bytes = gkv_codec_encode (coding->codec, value, error);
  if (bytes == NULL)
    return FALSE;

  if (g_bytes_get_size (bytes) > GKV_MAX_VALUE_SIZE)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_TOO_LARGE,
                   "The value of \"%s\" takes %" G_GSIZE_FORMAT " bytes with the codec \"%s\"; the limit is %d", key,
                   g_bytes_get_size (bytes), coding->name, GKV_MAX_VALUE_SIZE);
      return FALSE;
    }

  /* What everybody will see, the writer included. A value that doesn't come back is none to keep. */
  if (!coding->is_lossless)
    {
      decoded = gkv_codec_decode (coding->codec, bytes, error);
      if (decoded == NULL)
        return FALSE;
    }

  return gkv_node_commit (self, key, write, coding, bytes, decoded, error);
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
  GkvWrite write = { 0, 0 };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, &write, cancellable, error);
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
  GkvWrite write = { GKV_RECORD_TTL, ttl_ms };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, &write, cancellable, error);
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
  GkvWrite write = { GKV_RECORD_EPHEMERAL, 0 };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  return gkv_node_write (self, key, value, &write, cancellable, error);
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
  g_autoptr (GkvRecord) record = NULL;
  GVariant *value = NULL;
  GkvRead read;
  gboolean begun = FALSE;

  g_return_val_if_fail (GKV_IS_NODE (self), NULL);
  g_return_val_if_fail (key != NULL, NULL);

  if (!gkv_node_check_cancelled (cancellable, error))
    return NULL;

  g_mutex_lock (&self->lock);
  if (gkv_node_check_usable_locked (self, error))
    {
      GVariant *kept;
      GkvRecord *found = gkv_node_find_with_value_locked (self, key, &kept);

      if (found == NULL)
        gkv_node_fail_not_found (key, error);
      else if (kept != NULL)
        value = g_variant_ref (kept);
      else if ((begun = gkv_node_begin_read_locked (self, found, &read, error)))
        record = gkv_record_ref (found);
    }
  g_mutex_unlock (&self->lock);

  return begun ? gkv_node_end_read (self, record, &read, error) : value;
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
  GkvWrite write = { GKV_RECORD_DEAD, 0 };

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  if (!gkv_node_check_cancelled (cancellable, error))
    return FALSE;

  return gkv_node_commit (self, key, &write, NULL, NULL, NULL, error);
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
  gboolean found;

  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  g_mutex_lock (&self->lock);
  found = self->state != GKV_NODE_CLOSED && gkv_node_find_locked (self, key) != NULL;
  g_mutex_unlock (&self->lock);

  return found;
}
