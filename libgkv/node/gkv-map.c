/* GkvMap: what a node holds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-map.h"

#include "gkv-boot-time.h"
#include "gkv-changes.h"
#include "gkv-error.h"
#include "gkv-listing.h"
#include "gkv-value-cache.h"
#include "store/gkv-expiry.h"

#include <time.h>

#define MAX_LIFETIME_US ((gint64) GKV_RECORD_MAX_LIFE_MS * 1000)

/* How many records one call lets expire. */
#define MAX_EXPIRED (64)

/* The next record that expires is slept for no longer than that: lifetimes go on while the machine is suspended, and
 * sleeping doesn't. */
#define MAX_EXPIRY_WAIT_US (60 * G_USEC_PER_SEC)

/* What is written while the network can't take it is queued up to here. Beyond it the queue is dropped: the records are
 * in the store, where anti-entropy finds them. */
#define MAX_WRITTEN (16384)

/* A slice of the engine lets those that wait for the map go first, up to so many turns of the scheduler. */
#define MAX_YIELDS (100)

/* The lock is held for so many records at a time, for less than 100 us: that are walked over, read in the order of
 * their keys, or put into that order. */
#define WALK_SLICE  (512)
#define READ_SLICE  (256)
#define BUILD_SLICE (64)
/* A call that would need the order builds so many of it. So it is there at once for few keys, and in the end also where
 * no context runs. */
#define BUILD_AT_ONCE (4096)

typedef struct
{
  GkvRecord *record; /* owned */
  GkvChangesKind kind;
} GkvAppliedChange;

struct _GkvMap
{
  /* never change */
  GkvOwner *owner;
  char *node_id;

  GMutex lock;
  int n_waiting;  /* atomic: threads that wait for the lock */
  gboolean ready; /* atomic: the options were validated, and the map isn't closed */
  gboolean closed;
  gboolean refusing;     /* what is to be written */
  GkvCodecHandle *codec; /* NULL: the default, not made yet */
  GPtrArray *codecs;     /* GkvCodecHandle: all that there were, as other threads may be using them */
  GkvStore *store;
  guint64 generation;
  GkvWriter *writer;      /* of values written here; NULL: not known yet */
  GkvWriter *dead_writer; /* of removals */
  GkvValueCache *cache;
  GkvChanges changes;
  GArray *applied;        /* GkvAppliedChange: since the lock was taken, for the queue if anybody listens */
  GkvMapIsHeard is_heard; /* NULL: it isn't known, and all is queued */
  gpointer is_heard_data;
  GkvListing *listing; /* NULL: an order of the keys has not been needed yet */
  gboolean networked;
  GPtrArray *written; /* GkvRecord, for the network; NULL: nothing */
};

void
gkv_change_clear (GkvChange *self)
{
  g_clear_pointer (&self->key, gkv_record_unref);
  g_clear_pointer (&self->record, gkv_record_unref);
}

static void
gkv_applied_change_clear (gpointer change)
{
  gkv_record_unref (((GkvAppliedChange *) change)->record);
}

GkvMap *
gkv_map_new (GkvOwner *owner, const char *node_id, const char *cluster, guint64 generation)
{
  GkvMap *self = g_atomic_rc_box_new0 (GkvMap);
  GkvHashKey hash_key = gkv_hash_key_for_cluster (cluster);

  g_mutex_init (&self->lock);
  self->owner = gkv_owner_ref (owner);
  self->node_id = g_strdup (node_id);
  self->generation = generation;
  self->codecs = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_codec_handle_free);
  self->store = gkv_store_new (&hash_key);
  self->cache = gkv_value_cache_new ();
  gkv_changes_init (&self->changes);
  self->applied = g_array_new (FALSE, FALSE, sizeof (GkvAppliedChange));
  g_array_set_clear_func (self->applied, gkv_applied_change_clear);

  return self;
}

GkvMap *
gkv_map_ref (GkvMap *self)
{
  return g_atomic_rc_box_acquire (self);
}

static void
gkv_map_clear (gpointer data)
{
  GkvMap *self = data;

  gkv_changes_clear (&self->changes);
  g_array_unref (self->applied);
  g_clear_pointer (&self->written, g_ptr_array_unref);
  gkv_value_cache_free (self->cache);
  g_clear_pointer (&self->listing, gkv_listing_free);
  gkv_store_free (self->store);
  g_clear_pointer (&self->writer, gkv_writer_unref);
  g_clear_pointer (&self->dead_writer, gkv_writer_unref);
  g_ptr_array_unref (self->codecs);
  g_free (self->node_id);
  gkv_owner_unref (self->owner);
  g_mutex_clear (&self->lock);
}

void
gkv_map_unref (GkvMap *self)
{
  g_atomic_rc_box_release_full (self, gkv_map_clear);
}

static void gkv_map_settle_changes_locked (GkvMap *self);

void
gkv_map_lock (GkvMap *self)
{
  if (g_mutex_trylock (&self->lock))
    return;

  g_atomic_int_inc (&self->n_waiting);
  g_mutex_lock (&self->lock);
  g_atomic_int_add (&self->n_waiting, -1);
}

/* A mutex goes to whoever comes first after it was left, which is whoever has just left it. So those that wait are let
 * in, for a bounded time, as one of them may not be running. */
void
gkv_map_lock_after_others (gpointer self)
{
  GkvMap *map = self;

  for (guint i = 0; i < MAX_YIELDS && g_atomic_int_get (&map->n_waiting) > 0; i++)
    g_thread_yield ();

  g_mutex_lock (&map->lock);
}

void
gkv_map_unlock_after_slice (gpointer self)
{
  gkv_map_unlock (self);
}

/* For what can be called in a forked child, too. */
static gboolean
gkv_map_lock_here (GkvMap *self)
{
  if (!gkv_owner_is_here (self->owner))
    return FALSE;

  gkv_map_lock (self);

  return TRUE;
}

void
gkv_map_unlock (GkvMap *self)
{
  gkv_map_settle_changes_locked (self);
  g_mutex_unlock (&self->lock);
}

void
gkv_map_refuse_writes (GkvMap *self)
{
  gkv_map_lock (self);
  self->refusing = TRUE;
  gkv_map_unlock (self);
}

void
gkv_map_close (GkvMap *self)
{
  gkv_map_lock (self);
  self->closed = TRUE;
  g_atomic_int_set (&self->ready, FALSE);
  gkv_changes_drop (&self->changes);
  g_clear_pointer (&self->listing, gkv_listing_free); /* as what changes from now on isn't reported to it */
  gkv_map_unlock (self);
}

gboolean
gkv_map_fail_closed (GError **error)
{
  g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CLOSED, "The node has been closed");

  return FALSE;
}

/* The codec */

static void
gkv_map_take_codec_locked (GkvMap *self, GkvCodecHandle *codec)
{
  /* Values that were decoded with another codec are of no use to this one. */
  gkv_value_cache_free (self->cache);
  self->cache = gkv_value_cache_new ();
  g_clear_pointer (&self->writer, gkv_writer_unref); /* has the name of the codec */
  if (codec != NULL)
    g_ptr_array_add (self->codecs, codec);
  g_atomic_pointer_set (&self->codec, codec);
}

void
gkv_map_set_codec (GkvMap *self, GkvCodecHandle *codec)
{
  gkv_map_lock (self);
  gkv_map_take_codec_locked (self, codec);
  gkv_map_unlock (self);
}

const GkvCodecHandle *
gkv_map_get_codec (GkvMap *self)
{
  /* Without the lock: each write asks, and one that was replaced lives as long as the map. */
  return gkv_owner_is_here (self->owner) ? g_atomic_pointer_get (&self->codec) : NULL;
}

const GkvCodecHandle *
gkv_map_ensure_codec (GkvMap *self, GError **error)
{
  const GkvCodecHandle *codec = gkv_map_get_codec (self);
  g_autoptr (GkvCodec) made = NULL;
  GkvCodecHandle *handle;

  if (codec != NULL)
    return codec;

  if (!gkv_owner_check_here (self->owner, error))
    return NULL;

  made = gkv_codec_new_for_name ("variant", error);
  if (made == NULL)
    return NULL;

  handle = gkv_codec_handle_new (made);
  gkv_map_lock (self);
  if (self->codec == NULL)
    gkv_map_take_codec_locked (self, g_steal_pointer (&handle));
  codec = self->codec;
  gkv_map_unlock (self);
  g_clear_pointer (&handle, gkv_codec_handle_free);

  return codec;
}

gboolean
gkv_map_check_codec (GkvMap *self, const GkvCodecHandle *codec, GError **error)
{
  if (codec->is_thread_safe)
    return TRUE;

  if (!gkv_owner_enter (self->owner))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                   "The codec \"%s\" works only in the thread that runs the node's main context; read and write "
                   "there, or use a thread-safe codec, such as \"variant\"",
                   codec->name);
      return FALSE;
    }

  gkv_owner_leave (self->owner);

  return TRUE;
}

gboolean
gkv_map_is_ready (GkvMap *self)
{
  return g_atomic_int_get (&self->ready);
}

void
gkv_map_set_ready (GkvMap *self, gboolean ready)
{
  gkv_map_lock (self);
  ready = ready && !self->closed && self->codec != NULL; /* which may have been taken away meanwhile */
  if (ready)
    {
      g_clear_pointer (&self->writer, gkv_writer_unref);
      g_clear_pointer (&self->dead_writer, gkv_writer_unref);
      self->writer = gkv_writer_intern (self->node_id, -1, self->codec->name, -1);
      self->dead_writer = gkv_writer_intern (self->node_id, -1, "", 0);
    }
  g_atomic_int_set (&self->ready, ready);
  gkv_map_unlock (self);
}

/* Expiry */

static void gkv_map_queue_written_locked (GkvMap *self, GkvRecord *record);

static void
gkv_map_expired_locked (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GkvMap *self = user_data;

  gkv_map_queue_change_locked (self, record, replaced);
  gkv_map_queue_written_locked (self, record);
}

gint64
gkv_map_expire_locked (GkvMap *self)
{
  gint64 deadline;
  gint64 now;

  if (gkv_store_peek_deadline (self->store, &deadline) == NULL)
    return G_MAXINT64;

  now = gkv_get_boot_time ();
  if (deadline <= now && self->networked)
    gkv_store_expire_due (self->store, now, MAX_EXPIRED, gkv_map_expired_locked, self);
  else if (deadline <= now)
    gkv_store_drop_due (self->store, now, MAX_EXPIRED, gkv_map_expired_locked, self);

  if (gkv_store_peek_deadline (self->store, &deadline) == NULL)
    return G_MAXINT64;

  return g_get_monotonic_time () + CLAMP (deadline - now, 0, MAX_EXPIRY_WAIT_US);
}

/* Without a network no context has to run for records to expire: each read and write ends those that are due. */
static void
gkv_map_expire_alone_locked (GkvMap *self)
{
  if (!self->networked)
    gkv_map_expire_locked (self);
}

/* Reading */

/* Whether its lifetime has ended: then it isn't visible, although it may not be marked dead yet. */
static gboolean
gkv_map_has_expired_locked (GkvMap *self, GkvRecord *record)
{
  gint64 deadline;

  if ((record->flags & GKV_RECORD_DEADLINE) == 0)
    return FALSE;

  deadline = gkv_store_get_deadline (self->store, record);

  return deadline >= 0 && deadline <= gkv_get_boot_time ();
}

GkvRecord *
gkv_map_find_locked (GkvMap *self, const char *key)
{
  GkvRecord *record = gkv_store_lookup_visible (self->store, key, strlen (key));

  return record != NULL && !gkv_map_has_expired_locked (self, record) ? record : NULL;
}

/* The same with what was decoded of it in @value, or NULL there if that isn't kept. The shorter way is tried first. */
static GkvRecord *
gkv_map_find_with_value_locked (GkvMap *self, const char *key, GVariant **value)
{
  gsize key_len = strlen (key);
  guint64 hash = gkv_hash_place (gkv_store_get_hash_key (self->store), key, key_len);
  GkvRecord *record = gkv_value_cache_find (self->cache, hash, key, key_len, value);

  if (record == NULL)
    {
      *value = NULL;
      record = gkv_store_find_visible (self->store, hash, key, key_len);
    }

  return record != NULL && !gkv_map_has_expired_locked (self, record) ? record : NULL;
}

static gint64
gkv_map_get_expires_locked (GkvMap *self, GkvRecord *record)
{
  gint64 deadline = gkv_store_get_deadline (self->store, record);

  return deadline < 0 ? -1 : g_get_real_time () + (deadline - gkv_get_boot_time ());
}

gboolean
gkv_map_contains (GkvMap *self, const char *key)
{
  gboolean found;

  if (!gkv_map_lock_here (self))
    return FALSE;

  gkv_map_expire_alone_locked (self);
  found = !self->closed && gkv_map_find_locked (self, key) != NULL;
  gkv_map_unlock (self);

  return found;
}

gint64
gkv_map_get_expires (GkvMap *self, GkvRecord *record)
{
  gint64 expires_us;

  if (!gkv_map_lock_here (self))
    return -1;

  expires_us = gkv_map_get_expires_locked (self, record);
  gkv_map_unlock (self);

  return expires_us;
}

GkvRecord *
gkv_map_dup_record (GkvMap *self, const char *key, gint64 *expires_us)
{
  GkvRecord *record;

  if (!gkv_map_lock_here (self))
    return NULL;

  gkv_map_expire_alone_locked (self);
  record = self->closed ? NULL : gkv_map_find_locked (self, key);
  if (record != NULL)
    {
      gkv_record_ref (record);
      *expires_us = gkv_map_get_expires_locked (self, record);
    }
  gkv_map_unlock (self);

  return record;
}

/* A record that has expired isn't counted, although it may not be marked dead yet. */
static guint64
gkv_map_get_n_keys_locked (GkvMap *self)
{
  guint64 n_visible = gkv_store_get_n_visible (self->store);
  guint64 n_due = gkv_store_count_due (self->store, gkv_get_boot_time ());

  return n_visible - MIN (n_due, n_visible);
}

guint64
gkv_map_get_n_keys (GkvMap *self)
{
  guint64 n_keys;

  if (!gkv_map_lock_here (self))
    return 0;

  gkv_map_expire_alone_locked (self);
  n_keys = self->closed ? 0 : gkv_map_get_n_keys_locked (self);
  gkv_map_unlock (self);

  return n_keys;
}

static guint64
gkv_map_count_records_locked (GkvMap *self)
{
  GkvRange all = { 0, 0 };
  GkvSummary summary;

  gkv_store_summarise (self->store, all, &summary);

  return summary.count;
}

guint64
gkv_map_get_n_records (GkvMap *self)
{
  guint64 n_records;

  gkv_map_lock (self);
  n_records = gkv_map_count_records_locked (self);
  gkv_map_unlock (self);

  return n_records;
}

static void
gkv_map_add_number (GVariantBuilder *builder, const char *name, guint64 number)
{
  g_variant_builder_add (builder, "{sv}", name, g_variant_new_uint64 (number));
}

void
gkv_map_add_stats (GkvMap *self, GVariantBuilder *builder)
{
  guint64 n_keys = 0;
  guint64 n_records = 0;
  guint64 n_tombstones = 0;
  guint64 n_bytes = 0;
  guint64 n_quarantined = 0;

  if (gkv_map_lock_here (self))
    {
      gkv_map_expire_alone_locked (self);
      n_keys = self->closed ? 0 : gkv_map_get_n_keys_locked (self);
      n_records = gkv_map_count_records_locked (self);
      n_tombstones = gkv_store_get_n_tombstones (self->store);
      n_bytes = gkv_store_get_n_bytes (self->store);
      n_quarantined = gkv_store_get_n_quarantined (self->store);
      gkv_map_unlock (self);
    }

  gkv_map_add_number (builder, "n-keys", n_keys);
  gkv_map_add_number (builder, "n-records", n_records);
  gkv_map_add_number (builder, "n-tombstones", n_tombstones);
  gkv_map_add_number (builder, "n-bytes", n_bytes);
  gkv_map_add_number (builder, "n-quarantined", n_quarantined);
}

GkvRecord *
gkv_map_dup_waiting_record (GkvMap *self, const char *key, gboolean *waits)
{
  GkvRecord *record;

  gkv_map_lock (self);
  gkv_map_expire_alone_locked (self);
  record = self->closed ? NULL : gkv_map_find_locked (self, key);
  if (record != NULL)
    gkv_record_ref (record);
  gkv_map_settle_changes_locked (self);
  *waits = gkv_changes_has (&self->changes, key);
  gkv_map_unlock (self);

  return record;
}

/* Reading many keys */

/* Refers to those of @found that an application sees. */
static void
gkv_map_take_seen_locked (GkvMap *self, GkvRecord *const *found, guint n, GPtrArray *records)
{
  for (guint i = 0; i < n; i++)
    if (!gkv_map_has_expired_locked (self, found[i]))
      g_ptr_array_add (records, gkv_record_ref (found[i]));
}

static gboolean
gkv_map_has_index_locked (GkvMap *self)
{
  return self->listing != NULL && gkv_listing_is_complete (self->listing);
}

/* Builds a slice more. TRUE: there is more to be built. */
static gboolean
gkv_map_build_slice (GkvMap *self)
{
  gboolean more;

  gkv_map_lock_after_others (self);
  more = self->listing != NULL && !gkv_listing_build (self->listing, BUILD_SLICE);
  gkv_map_unlock (self);

  return more;
}

gboolean
gkv_map_build_index (GkvMap *self, gint64 until)
{
  while (gkv_map_build_slice (self))
    if (g_get_monotonic_time () >= until)
      return TRUE;

  return FALSE;
}

void
gkv_map_want_index (GkvMap *self)
{
  if (!gkv_map_lock_here (self))
    return;

  if (self->listing == NULL && !self->closed)
    self->listing = gkv_listing_new (self->store);
  gkv_map_unlock (self);
}

gboolean
gkv_map_is_index_due (GkvMap *self)
{
  gboolean due;

  if (!gkv_map_lock_here (self))
    return FALSE;

  due = self->listing != NULL && !gkv_listing_is_complete (self->listing);
  gkv_map_unlock (self);

  return due;
}

/* The same as gkv_map_read_records () without an index, and not sorted. */
static gboolean
gkv_map_walk_records (GkvMap *self, const char *prefix, guint64 *from, GPtrArray *found, GPtrArray *records)
{
  gboolean more = FALSE;

  g_ptr_array_set_size (found, 0);
  gkv_map_lock_after_others (self);
  if (!self->closed)
    {
      more = gkv_listing_walk (self->store, prefix, from, WALK_SLICE, found);
      gkv_map_take_seen_locked (self, (GkvRecord *const *) found->pdata, found->len, records);
    }
  gkv_map_unlock (self);

  return more;
}

gboolean
gkv_map_read_records (GkvMap *self, const char *prefix, char **after, guint n, GPtrArray *records)
{
  GkvRecord *found[READ_SLICE];
  guint n_read = 0;

  while (n_read < n)
    {
      guint n_found = 0;

      gkv_map_lock_after_others (self);
      if (gkv_map_has_index_locked (self))
        n_found = gkv_listing_read (self->listing, prefix, *after, found, READ_SLICE);
      if (n_found > 0)
        {
          gkv_map_take_seen_locked (self, found, n_found, records);
          g_free (*after);
          *after = g_strdup (gkv_record_get_key (found[n_found - 1]));
        }
      gkv_map_unlock (self);

      if (n_found < READ_SLICE)
        return FALSE;
      n_read += n_found;
    }

  return TRUE;
}

static int
gkv_map_compare_keys (gconstpointer a, gconstpointer b)
{
  return strcmp (gkv_record_get_key (*(GkvRecord *const *) a), gkv_record_get_key (*(GkvRecord *const *) b));
}

static void
gkv_map_dup_in_order (GkvMap *self, const char *prefix, GPtrArray *records)
{
  g_autofree char *after = NULL;

  while (gkv_map_read_records (self, prefix, &after, READ_SLICE, records))
    ;
}

/* FALSE: there are more than @max. */
static gboolean
gkv_map_dup_by_walking (GkvMap *self, const char *prefix, guint max, GPtrArray *records)
{
  g_autoptr (GPtrArray) found = g_ptr_array_sized_new (WALK_SLICE);
  guint64 from = 0;

  while (gkv_map_walk_records (self, prefix, &from, found, records))
    if (records->len > max)
      return FALSE;

  g_ptr_array_sort (records, gkv_map_compare_keys);

  return records->len <= max;
}

GPtrArray *
gkv_map_dup_records (GkvMap *self, const char *prefix, guint max)
{
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  gboolean complete;
  guint n = 0;

  if (!gkv_owner_is_here (self->owner))
    return g_steal_pointer (&records);

  if (*prefix != '\0')
    gkv_map_want_index (self);
  for (guint built = 0; built < BUILD_AT_ONCE && gkv_map_build_slice (self); built += BUILD_SLICE)
    ;

  gkv_map_lock (self);
  gkv_map_expire_alone_locked (self);
  complete = gkv_map_has_index_locked (self);
  if (complete)
    n = gkv_listing_count (self->listing, prefix);
  gkv_map_unlock (self);

  if (n > max)
    return NULL;

  if (complete)
    gkv_map_dup_in_order (self, prefix, records);
  else if (!gkv_map_dup_by_walking (self, prefix, max, records))
    return NULL;

  return g_steal_pointer (&records);
}

/* Decodes @record. @keep: whether the value belongs into the cache. */
static GVariant *
gkv_map_decode_with (GkvMap *self, GkvRecord *record, const GkvCodecHandle *codec, gboolean keep, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  GVariant *value;

  if (!gkv_map_check_codec (self, codec, error))
    return NULL;

  if (strcmp (gkv_record_get_codec (record), codec->name) != 0)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                   "The value of \"%s\" was written with the codec \"%s\", and this node has the codec "
                   "\"%s\"; all nodes of a cluster need the same codec",
                   gkv_record_get_key (record), gkv_record_get_codec (record), codec->name);
      return NULL;
    }

  bytes = g_bytes_new_with_free_func (gkv_record_get_content (record), record->content_len,
                                      (GDestroyNotify) gkv_record_unref, gkv_record_ref (record));
  value = gkv_codec_decode (codec->codec, bytes, error);

  if (value != NULL && keep)
    {
      /* It may have been replaced meanwhile; then it is in the way of nothing, and goes when its slot is needed. */
      gkv_map_lock (self);
      if (codec == self->codec)
        gkv_value_cache_insert (self->cache, record, value);
      gkv_map_unlock (self);
    }

  return value;
}

GVariant *
gkv_map_decode (GkvMap *self, GkvRecord *record, GError **error)
{
  const GkvCodecHandle *codec = gkv_map_ensure_codec (self, error);
  gboolean keep = FALSE;
  GVariant *value;

  if (codec == NULL)
    return NULL;

  gkv_map_lock (self);
  value = gkv_value_cache_lookup (self->cache, record);
  if (value != NULL)
    g_variant_ref (value);
  else
    keep = gkv_value_cache_admit (self->cache, record);
  gkv_map_unlock (self);

  return value != NULL ? value : gkv_map_decode_with (self, record, codec, keep, error);
}

static void
gkv_map_fail_not_found (const char *key, GError **error)
{
  g_autofree char *shown = g_utf8_make_valid (key, -1);

  g_set_error (error, GKV_ERROR, GKV_ERROR_NOT_FOUND, "There is no key \"%s\"", shown);
}

GVariant *
gkv_map_get_value (GkvMap *self, const char *key, GError **error)
{
  g_autoptr (GkvRecord) record = NULL;
  const GkvCodecHandle *codec = NULL;
  GVariant *value = NULL;
  GVariant *cached;
  GkvRecord *found;
  gboolean keep = FALSE;

  gkv_map_lock (self);
  gkv_map_expire_alone_locked (self);
  if (self->closed)
    {
      gkv_map_fail_closed (error);
    }
  else if ((found = gkv_map_find_with_value_locked (self, key, &cached)) == NULL)
    {
      gkv_map_fail_not_found (key, error);
    }
  else if (cached != NULL)
    {
      value = g_variant_ref (cached);
    }
  else
    {
      codec = self->codec;
      keep = gkv_value_cache_admit (self->cache, found);
      record = gkv_record_ref (found);
    }
  gkv_map_unlock (self);

  if (record == NULL)
    return value;

  /* It was taken away after the node was seen to be usable. */
  if (codec == NULL)
    codec = gkv_map_ensure_codec (self, error);

  return codec != NULL ? gkv_map_decode_with (self, record, codec, keep, error) : NULL;
}

/* Writing */

/* For stamps, which have milliseconds: to within a few of them, in a fifth of the time that it takes exactly. */
static gint64
gkv_map_get_wall_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME_COARSE, &now);

  return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void
gkv_map_queue_written_locked (GkvMap *self, GkvRecord *record)
{
  if (!self->networked)
    return;

  if (self->written == NULL)
    self->written = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  else if (self->written->len >= MAX_WRITTEN)
    g_ptr_array_set_size (self->written, 0);

  g_ptr_array_add (self->written, gkv_record_ref (record));
}

gboolean
gkv_map_check_write_locked (GkvMap *self, const GkvWrite *write, GError **error)
{
  GkvRecord *visible;

  if (self->closed || self->refusing)
    return gkv_map_fail_closed (error);

  if (write->codec != NULL && !write->conditional)
    return TRUE;

  visible = gkv_map_find_locked (self, write->key);
  if (write->conditional && visible != write->expected)
    {
      if (write->expected == NULL)
        g_set_error (error, GKV_ERROR, GKV_ERROR_EXISTS, "The key \"%s\" is there already", write->key);
      else
        g_set_error (error, GKV_ERROR, GKV_ERROR_MISMATCH, "The key \"%s\" has another value than the expected one",
                     write->key);
      return FALSE;
    }

  if (write->codec == NULL && visible == NULL)
    {
      gkv_map_fail_not_found (write->key, error);
      return FALSE;
    }

  return TRUE;
}

GkvRecord *
gkv_map_put_locked (GkvMap *self, const GkvWrite *write, GkvRecord **replaced, GError **error)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvWriter) other = NULL;
  GkvWriter *writer = write->codec != NULL ? self->writer : self->dead_writer;
  gint64 lifetime_us = 0;
  gsize len = 0;
  gconstpointer data = write->bytes != NULL ? g_bytes_get_data (write->bytes, &len) : NULL;

  gkv_map_expire_alone_locked (self);

  if (!gkv_map_check_write_locked (self, write, error))
    return NULL;

  /* Another codec was set while this one encoded the value, or the new one isn't validated yet. */
  if (write->codec != NULL && (write->codec != self->codec || writer == NULL))
    writer = other = gkv_writer_intern (self->node_id, -1, write->codec->name, -1);

  if ((write->flags & GKV_RECORD_TTL) != 0)
    lifetime_us = CLAMP (write->lifetime_us, 1, MAX_LIFETIME_US);
  record = gkv_store_new_write (self->store, writer, write->key, write->key_len, write->flags, gkv_map_get_wall_time (),
                                self->generation, (lifetime_us + 999) / 1000, data, len);
  gkv_store_put (self->store, record, replaced);
  if (lifetime_us > 0)
    gkv_store_set_deadline (self->store, record, gkv_get_boot_time () + lifetime_us);

  gkv_map_queue_written_locked (self, record);

  return g_steal_pointer (&record);
}

/* What has changed, for the application */

/* Takes note of what is visible of a key now: whoever changes that comes by here. Gives why it is a change, where @kind
 * isn't NULL. FALSE when an application sees what it saw. */
static gboolean
gkv_map_note_locked (GkvMap *self, GkvRecord *record, GkvRecord *replaced, GkvChangesKind *kind)
{
  GkvRecord *visible = gkv_store_get_visible (self->store, record);

  if (visible == replaced)
    return FALSE;

  if (self->listing != NULL)
    gkv_listing_update (self->listing, gkv_record_get_key (record), visible);

  if (replaced != NULL)
    gkv_value_cache_drop (self->cache, replaced);

  if (kind == NULL)
    return TRUE;

  if (visible == NULL)
    *kind = GKV_CHANGES_VANISHED;
  else if (replaced == NULL)
    *kind = GKV_CHANGES_APPEARED;
  else
    *kind = gkv_record_same_value (visible, replaced) ? GKV_CHANGES_REWRITTEN : GKV_CHANGES_REPLACED;

  return TRUE;
}

/* Where nobody listens, what was applied since the lock was taken isn't queued: to queue it costs more than to apply
 * it. Nobody has read the map meanwhile, so whoever listens from now on misses nothing. */
static void
gkv_map_settle_changes_locked (GkvMap *self)
{
  if (self->applied->len == 0)
    return;

  if (!self->closed && (self->is_heard == NULL || self->is_heard (self->is_heard_data)))
    for (guint i = 0; i < self->applied->len; i++)
      {
        const GkvAppliedChange *change = &g_array_index (self->applied, GkvAppliedChange, i);

        gkv_changes_push (&self->changes, change->record, change->kind);
      }

  g_array_set_size (self->applied, 0);
}

void
gkv_map_set_is_heard (GkvMap *self, GkvMapIsHeard is_heard, gpointer data)
{
  gkv_map_lock (self);
  self->is_heard = is_heard;
  self->is_heard_data = data;
  gkv_map_unlock (self);
}

void
gkv_map_queue_change_locked (GkvMap *self, GkvRecord *record, GkvRecord *replaced)
{
  GkvChangesKind kind;

  if (!self->closed && gkv_map_note_locked (self, record, replaced, &kind))
    {
      GkvAppliedChange change = { gkv_record_ref (record), kind };

      g_array_append_val (self->applied, change);
    }
}

void
gkv_map_ignore_change_locked (GkvMap *self, GkvRecord *record, GkvRecord *replaced)
{
  gkv_map_note_locked (self, record, replaced, NULL);
  if (gkv_changes_get_n (&self->changes) > 0)
    gkv_changes_drop (&self->changes);
}

gboolean
gkv_map_skip_change_locked (GkvMap *self, GkvRecord *record, GkvRecord *replaced, gboolean *value_changed)
{
  GkvChangesKind kind;
  gboolean queued;

  if (!gkv_map_note_locked (self, record, replaced, &kind))
    return FALSE;

  *value_changed = kind != GKV_CHANGES_REWRITTEN;
  /* What another thread wrote of the key may be queued: then one report is for both. */
  gkv_map_settle_changes_locked (self);
  if (gkv_changes_get_n (&self->changes) > 0 && gkv_changes_take (&self->changes, gkv_record_get_key (record), &queued))
    *value_changed = *value_changed || queued;

  return TRUE;
}

gboolean
gkv_map_take_change_locked (GkvMap *self, GkvChange *change)
{
  GkvRecord *visible;
  GkvRecord *first = NULL;

  gkv_map_expire_alone_locked (self);
  gkv_map_settle_changes_locked (self);
  change->key = gkv_changes_pop (&self->changes, &change->value_changed);
  if (change->key == NULL)
    return FALSE;

  visible = gkv_map_find_locked (self, gkv_record_get_key (change->key));
  change->record = visible != NULL ? gkv_record_ref (visible) : NULL;

  /* Where nothing is visible, the origin is that of the record that made it so. */
  if (visible == NULL)
    first = gkv_store_lookup_valid (self->store, gkv_record_get_key (change->key), change->key->key_len);
  if (first != NULL && first != change->key)
    {
      gkv_record_ref (first);
      gkv_record_unref (change->key);
      change->key = first;
    }

  return TRUE;
}

void
gkv_map_drop_changes (GkvMap *self)
{
  gkv_map_lock (self);
  gkv_changes_drop (&self->changes);
  gkv_map_unlock (self);
}

guint
gkv_map_get_n_changes_locked (GkvMap *self)
{
  gkv_map_settle_changes_locked (self);

  return gkv_changes_get_n (&self->changes);
}

gboolean
gkv_map_has_changes (GkvMap *self)
{
  gboolean has;

  gkv_map_lock (self);
  has = gkv_map_get_n_changes_locked (self) > 0;
  gkv_map_unlock (self);

  return has;
}

/* For the network */

void
gkv_map_set_networked_locked (GkvMap *self, gboolean networked)
{
  self->networked = networked;
  if (!networked)
    g_clear_pointer (&self->written, g_ptr_array_unref);
}

GPtrArray *
gkv_map_take_written_locked (GkvMap *self)
{
  return g_steal_pointer (&self->written);
}

guint
gkv_map_get_n_written (GkvMap *self)
{
  guint n_written;

  gkv_map_lock (self);
  n_written = self->written != NULL ? self->written->len : 0;
  gkv_map_unlock (self);

  return n_written;
}

GkvStore *
gkv_map_get_store (GkvMap *self)
{
  return self->store;
}

guint64
gkv_map_get_generation (GkvMap *self)
{
  return self->generation;
}

void
gkv_map_set_generation_locked (GkvMap *self, guint64 generation)
{
  self->generation = generation;
}
