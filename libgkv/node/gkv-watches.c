/* GkvWatches: the functions that an application has called for the changes of keys under a prefix.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-watches.h"

#include "gkv-prefixes.h"
#include "gkv-sweep.h"

#include <string.h>

/* How a watch gets what is there. */
typedef struct
{
  GkvSweep sweep;
  gboolean at_end;    /* all was read */
  GPtrArray *records; /* GkvRecord, sorted by key: what was read last; from @next on it is still to come */
  guint next;
  char *from;        /* what was read last comes after this key; NULL: at the beginning */
  GHashTable *added; /* keys among those that weren't there when it was read, and have come since */
  /* key → GkvRecord, both owned: what it has got while a change waited that may be the same; NULL: nothing */
  GHashTable *got;
} GkvWatchSweep;

typedef struct
{
  guint id;
  char *prefix;
  GkvWatchesFunc func; /* NULL: it was removed */
  gpointer user_data;
  GDestroyNotify destroy;

  GkvWatchSweep *initial; /* while it gets what is there; otherwise NULL */
} GkvWatch;

struct _GkvWatches
{
  GkvMap *map;
  GkvPrefixes *by_prefix; /* GkvWatch */
  GHashTable *by_id;      /* id → GkvWatch, owned */
  GQueue initial;         /* GkvWatch, owned: those that want what is there */
  guint last_id;
  gboolean closed; /* atomic */
};

static void
gkv_watch_sweep_drop_got (gpointer data)
{
  GkvRecord *record = data;

  g_clear_pointer (&record, gkv_record_unref);
}

static GkvWatchSweep *
gkv_watch_sweep_new (const char *prefix)
{
  GkvWatchSweep *self = g_new0 (GkvWatchSweep, 1);

  gkv_sweep_init (&self->sweep, prefix);
  self->records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  self->got = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, gkv_watch_sweep_drop_got);
  self->added = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  return self;
}

static void
gkv_watch_sweep_free (GkvWatchSweep *self)
{
  gkv_sweep_clear (&self->sweep);
  g_ptr_array_unref (self->records);
  g_hash_table_unref (self->got);
  g_hash_table_unref (self->added);
  g_free (self->from);
  g_free (self);
}

static gpointer
gkv_watch_ref (gpointer data)
{
  return g_atomic_rc_box_acquire (data);
}

static void
gkv_watch_clear (gpointer data)
{
  GkvWatch *watch = data;

  if (watch->destroy != NULL)
    watch->destroy (watch->user_data);
  g_clear_pointer (&watch->initial, gkv_watch_sweep_free);
  g_free (watch->prefix);
}

static void
gkv_watch_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, gkv_watch_clear);
}

GkvWatches *
gkv_watches_new (GkvMap *map)
{
  GkvWatches *self = g_new0 (GkvWatches, 1);

  self->map = gkv_map_ref (map);
  self->by_prefix = gkv_prefixes_new (gkv_watch_ref);
  self->by_id = g_hash_table_new_full (NULL, NULL, NULL, gkv_watch_unref);
  g_queue_init (&self->initial);

  return self;
}

void
gkv_watches_close (GkvWatches *self)
{
  g_atomic_int_set (&self->closed, TRUE);
}

/* Whether @watch is still to be called. */
static gboolean
gkv_watches_may_call (GkvWatches *self, GkvWatch *watch)
{
  return watch->func != NULL && !g_atomic_int_get (&self->closed);
}

void
gkv_watches_free (GkvWatches *self)
{
  g_queue_clear_full (&self->initial, gkv_watch_unref);
  g_hash_table_unref (self->by_id);
  gkv_prefixes_unref (self->by_prefix);
  gkv_map_unref (self->map);
  g_free (self);
}

gboolean
gkv_watches_is_empty (GkvWatches *self)
{
  return gkv_prefixes_is_empty (self->by_prefix);
}

gboolean
gkv_watches_want (GkvWatches *self, const char *key)
{
  return gkv_prefixes_has (self->by_prefix, key, gkv_watch_unref);
}

guint
gkv_watches_add (GkvWatches *self,
                 const char *prefix,
                 gboolean initial,
                 GkvWatchesFunc func,
                 gpointer user_data,
                 GDestroyNotify destroy)
{
  GkvWatch *watch = g_atomic_rc_box_new0 (GkvWatch);

  do
    watch->id = ++self->last_id;
  while (watch->id == 0 || g_hash_table_contains (self->by_id, GUINT_TO_POINTER (watch->id)));

  watch->prefix = g_strdup (prefix);
  watch->func = func;
  watch->user_data = user_data;
  watch->destroy = destroy;
  watch->initial = initial ? gkv_watch_sweep_new (prefix) : NULL;

  g_hash_table_insert (self->by_id, GUINT_TO_POINTER (watch->id), watch);
  gkv_prefixes_add (self->by_prefix, prefix, watch);
  if (initial)
    g_queue_push_tail (&self->initial, gkv_watch_ref (watch));

  return watch->id;
}

gboolean
gkv_watches_remove (GkvWatches *self, guint id)
{
  GkvWatch *watch = g_hash_table_lookup (self->by_id, GUINT_TO_POINTER (id));

  if (watch == NULL)
    return FALSE;

  watch->func = NULL;
  gkv_prefixes_remove (self->by_prefix, watch->prefix, watch);
  if (g_queue_remove (&self->initial, watch))
    gkv_watch_unref (watch);
  g_hash_table_remove (self->by_id, GUINT_TO_POINTER (id));

  return TRUE;
}

/* The place of @key among the records that were read last. */
static gboolean
gkv_watch_sweep_find (GkvWatchSweep *self, const char *key, guint *position)
{
  guint low = 0;
  guint high = self->records->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      int order = strcmp (key, gkv_record_get_key (self->records->pdata[middle]));

      if (order == 0)
        {
          *position = middle;
          return TRUE;
        }

      if (order < 0)
        high = middle;
      else
        low = middle + 1;
    }

  return FALSE;
}

static gboolean
gkv_watch_sweep_is_to_come (GkvWatchSweep *self, const char *key)
{
  guint position;

  if (gkv_watch_sweep_find (self, key, &position))
    return position >= self->next;

  return !self->at_end && (self->sweep.after == NULL || strcmp (key, self->sweep.after) > 0);
}

/* Whether @key is gone without having come: it was removed just before what was read last was read, so that its change
 * waited. Those are emitted before more is read. */
static gboolean
gkv_watch_sweep_has_missed (GkvWatchSweep *self, const char *key, GkvRecord *record)
{
  guint position;

  if ((self->from != NULL && strcmp (key, self->from) <= 0) || gkv_watch_sweep_find (self, key, &position))
    return FALSE;

  if (record != NULL)
    g_hash_table_add (self->added, g_strdup (key));
  else
    return !g_hash_table_remove (self->added, key);

  return FALSE;
}

/* Whether a change is nothing new to @watch: the key is still to come, has come with just this record, or was removed
 * before it came. */
static gboolean
gkv_watch_has_got (GkvWatch *watch, const char *key, GkvRecord *record)
{
  gpointer got;
  gboolean same;

  if (watch->initial == NULL)
    return FALSE;

  if (gkv_watch_sweep_is_to_come (watch->initial, key) || gkv_watch_sweep_has_missed (watch->initial, key, record))
    return TRUE;

  same = g_hash_table_lookup_extended (watch->initial->got, key, NULL, &got) && got == record;
  g_hash_table_remove (watch->initial->got, key);

  return same;
}

void
gkv_watches_emit (
    GkvWatches *self, GObject *node, const char *key, GkvRecord *record, GVariant *value, const char *origin)
{
  g_autoptr (GPtrArray) found = NULL;

  if (gkv_prefixes_is_empty (self->by_prefix))
    return;

  found = g_ptr_array_new_with_free_func (gkv_watch_unref);
  gkv_prefixes_find (self->by_prefix, key, found);
  for (guint i = 0; i < found->len; i++)
    {
      GkvWatch *watch = found->pdata[i];

      if (gkv_watches_may_call (self, watch) && !gkv_watch_has_got (watch, key, record))
        watch->func (node, key, value, origin, watch->user_data);
    }
}

static void
gkv_watch_sweep_read (GkvWatchSweep *self, GkvMap *map)
{
  g_free (self->from);
  self->from = g_strdup (self->sweep.after);
  g_hash_table_remove_all (self->added);

  g_ptr_array_set_size (self->records, 0);
  self->next = 0;
  self->at_end = !gkv_sweep_step (&self->sweep, map, self->records);
}

/* Takes the next of what was read: what is visible of it by now. NULL: it has gone meanwhile. */
static GkvRecord *
gkv_watch_sweep_take (GkvWatchSweep *self, GkvMap *map, gboolean is_emitting)
{
  const char *key = gkv_record_get_key (self->records->pdata[self->next++]);
  gboolean waits;
  GkvRecord *record = gkv_map_dup_waiting_record (map, key, &waits);

  if (waits || (record != NULL && is_emitting))
    g_hash_table_replace (self->got, g_strdup (key), record != NULL ? gkv_record_ref (record) : NULL);

  return record;
}

gboolean
gkv_watches_emit_initial (GkvWatches *self, GObject *node, gboolean is_emitting)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GVariant) value = NULL;
  GkvWatch *watch = g_queue_peek_head (&self->initial);
  GkvWatchSweep *initial;

  if (watch == NULL)
    return FALSE;

  initial = watch->initial;
  if (initial->next == initial->records->len && initial->at_end)
    {
      g_clear_pointer (&watch->initial, gkv_watch_sweep_free);
      gkv_watch_unref (g_queue_pop_head (&self->initial));
      return TRUE;
    }

  if (initial->next == initial->records->len)
    {
      gkv_watch_sweep_read (initial, self->map);
      return TRUE;
    }

  record = gkv_watch_sweep_take (initial, self->map, is_emitting);
  value = record != NULL ? gkv_map_decode (self->map, record, NULL) : NULL;
  if (value == NULL || !gkv_watches_may_call (self, watch))
    return TRUE;

  gkv_watch_ref (watch);
  watch->func (node, gkv_record_get_key (record), value, gkv_record_get_origin (record), watch->user_data);
  gkv_watch_unref (watch);

  return TRUE;
}
