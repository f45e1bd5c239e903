/* GkvWatches: the functions that an application has called for the changes of keys under a prefix.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-watches.h"

#include "gkv-prefixes.h"

typedef struct
{
  guint id;
  char *prefix;
  GkvWatchesFunc func; /* NULL: it was removed */
  gpointer user_data;
  GDestroyNotify destroy;

  /* What was there when it came, and isn't reported yet: from @next on. NULL: none, or not looked for yet. */
  gboolean wants_initial;
  GPtrArray *initial; /* GkvRecord, sorted by key; what was reported is what the watch has got */
  guint next;
} GkvWatch;

struct _GkvWatches
{
  GkvMap *map;
  GkvPrefixes *by_prefix; /* GkvWatch */
  GHashTable *by_id;      /* id → GkvWatch, owned */
  GQueue initial;         /* GkvWatch, owned: those that want what is there */
  guint last_id;
};

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
  g_clear_pointer (&watch->initial, g_ptr_array_unref);
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
  GHashTableIter iter;
  GkvWatch *watch;

  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &watch))
    watch->func = NULL;
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
  g_autoptr (GPtrArray) found = NULL;

  if (gkv_prefixes_is_empty (self->by_prefix))
    return FALSE;

  found = g_ptr_array_new_with_free_func (gkv_watch_unref);
  gkv_prefixes_find (self->by_prefix, key, found);

  return found->len > 0;
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
  watch->wants_initial = initial;

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

static int
gkv_watch_compare_key (const char *key, GkvRecord *record)
{
  return strcmp (key, gkv_record_get_key (record));
}

/* The place of @key among what was there at first. */
static gboolean
gkv_watch_find_initial (GkvWatch *watch, const char *key, guint *position)
{
  guint low = 0;
  guint high = watch->initial != NULL ? watch->initial->len : 0;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      int order = gkv_watch_compare_key (key, watch->initial->pdata[middle]);

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

/* Whether a change is nothing new to @watch: the key is still to come, or has come with just this record. */
static gboolean
gkv_watch_has_got (GkvWatch *watch, const char *key, GkvRecord *record)
{
  guint position;

  if (watch->wants_initial && watch->initial == NULL)
    return TRUE;

  return gkv_watch_find_initial (watch, key, &position) &&
         (position >= watch->next || watch->initial->pdata[position] == record);
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

      if (watch->func != NULL && !gkv_watch_has_got (watch, key, record))
        watch->func (node, key, value, origin, watch->user_data);
    }
}

gboolean
gkv_watches_has_initial (GkvWatches *self)
{
  return self->initial.length > 0;
}

/* Takes the next of what was there: what is visible of it by now. NULL: it has gone meanwhile, or can't be decoded. */
static GVariant *
gkv_watch_take_initial (GkvWatch *watch, GkvMap *map, GkvRecord **record)
{
  GkvRecord *listed = watch->initial->pdata[watch->next];
  gint64 expires_us;

  *record = gkv_map_dup_record (map, gkv_record_get_key (listed), &expires_us);
  if (*record == NULL)
    {
      watch->next++;
      return NULL;
    }

  gkv_record_ref (*record);
  gkv_record_unref (listed);
  watch->initial->pdata[watch->next++] = *record;

  return gkv_map_decode (map, *record, NULL);
}

gboolean
gkv_watches_emit_initial (GkvWatches *self, GObject *node)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GVariant) value = NULL;
  GkvWatch *watch = g_queue_peek_head (&self->initial);

  if (watch == NULL)
    return FALSE;

  if (watch->initial == NULL)
    {
      watch->initial = gkv_map_dup_records (self->map, watch->prefix);
      return TRUE;
    }

  if (watch->next == watch->initial->len)
    {
      /* What it has got stays known until the changes that were queued by then are emitted, which is now. */
      watch->wants_initial = FALSE;
      g_clear_pointer (&watch->initial, g_ptr_array_unref);
      gkv_watch_unref (g_queue_pop_head (&self->initial));
      return TRUE;
    }

  gkv_watch_ref (watch);
  value = gkv_watch_take_initial (watch, self->map, &record);
  if (value != NULL && watch->func != NULL)
    watch->func (node, gkv_record_get_key (record), value, gkv_record_get_origin (record), watch->user_data);
  gkv_watch_unref (watch);

  return TRUE;
}
