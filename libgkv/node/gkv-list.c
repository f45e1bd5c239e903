/* GkvList: the entries under a prefix, sorted by key, as a GListModel that follows the map.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-list.h"

#include "gkv-key-index.h"
#include "gkv-objects.h"

#include <string.h>

/* GkvEntryCache: the entry objects that somebody holds, by key. They may be dropped in any thread, also after the list:
 * so it has a lock, is counted, and knows them by weak references. */

typedef struct
{
  GMutex lock;
  GHashTable *by_key; /* GkvEntrySlot */
} GkvEntryCache;

typedef struct
{
  GkvEntryCache *cache;
  GWeakRef entry;
  char key[];
} GkvEntrySlot;

static GkvEntryCache *
gkv_entry_cache_new (void)
{
  GkvEntryCache *self = g_atomic_rc_box_new0 (GkvEntryCache);

  g_mutex_init (&self->lock);
  self->by_key = g_hash_table_new (gkv_hash_string, g_str_equal);

  return self;
}

static void
gkv_entry_cache_clear (gpointer data)
{
  GkvEntryCache *self = data;

  g_hash_table_unref (self->by_key);
  g_mutex_clear (&self->lock);
}

static void
gkv_entry_cache_unref (GkvEntryCache *self)
{
  g_atomic_rc_box_release_full (self, gkv_entry_cache_clear);
}

static GkvEntry *
gkv_entry_cache_dup (GkvEntryCache *self, const char *key)
{
  GkvEntrySlot *slot;
  GkvEntry *entry;

  g_mutex_lock (&self->lock);
  slot = g_hash_table_lookup (self->by_key, key);
  entry = slot != NULL ? g_weak_ref_get (&slot->entry) : NULL;
  g_mutex_unlock (&self->lock);

  return entry;
}

/* Its place may have been taken by a newer object, if this one was dropped in another thread. */
static void
gkv_entry_cache_entry_gone (gpointer data, GObject *where_it_was)
{
  GkvEntrySlot *slot = data;
  GkvEntryCache *self = slot->cache;

  g_mutex_lock (&self->lock);
  if (g_hash_table_lookup (self->by_key, slot->key) == slot)
    g_hash_table_remove (self->by_key, slot->key);
  g_mutex_unlock (&self->lock);

  g_weak_ref_clear (&slot->entry);
  g_free (slot);
  gkv_entry_cache_unref (self);
}

static void
gkv_entry_cache_add (GkvEntryCache *self, GkvEntry *entry)
{
  const char *key = gkv_entry_get_key (entry);
  gsize len = strlen (key);
  GkvEntrySlot *slot = g_malloc (sizeof *slot + len + 1);

  slot->cache = g_atomic_rc_box_acquire (self);
  g_weak_ref_init (&slot->entry, entry);
  memcpy (slot->key, key, len + 1);

  g_mutex_lock (&self->lock);
  g_hash_table_replace (self->by_key, slot->key, slot);
  g_mutex_unlock (&self->lock);

  g_object_weak_ref (G_OBJECT (entry), gkv_entry_cache_entry_gone, slot);
}

/* GkvListTask: a change that waits to be applied. */

typedef struct
{
  GkvRecord *record; /* NULL: the key is gone */
  char *key;         /* of a key that is gone; else the record's */
} GkvListTask;

static const char *
gkv_list_task_get_key (const GkvListTask *task)
{
  return task->record != NULL ? gkv_record_get_key (task->record) : task->key;
}

static void
gkv_list_task_clear (gpointer data)
{
  GkvListTask *task = data;

  g_clear_pointer (&task->record, gkv_record_unref);
  g_clear_pointer (&task->key, g_free);
}

static GArray *
gkv_list_make_tasks (void)
{
  GArray *tasks = g_array_new (FALSE, FALSE, sizeof (GkvListTask));

  g_array_set_clear_func (tasks, gkv_list_task_clear);

  return tasks;
}

static int
gkv_list_compare_tasks (gconstpointer a, gconstpointer b, gpointer user_data)
{
  return strcmp (gkv_list_task_get_key (a), gkv_list_task_get_key (b));
}

/* GkvList */

/* Positions that follow each other: their content has changed, and no signal has said so yet. */
typedef struct
{
  guint position;
  guint n_removed;
  guint n_added;
} GkvListRun;

struct _GkvList
{
  GObject parent_instance;

  GWeakRef itself; /* as the last reference may be dropped in another thread at any time */
  char *prefix;
  GkvPrefixes *prefixes;
  GkvListSource source;

  GkvKeyIndex *records; /* as the signals have reported them */
  GkvEntryCache *entries;
  gboolean pending;

  GArray *tasks; /* changes that come inside an emission wait here for its end */
  gboolean is_working;
  gboolean pending_to_be; /* when the tasks are done */
};

enum
{
  PROP_0,

  PROP_ITEM_TYPE,
  PROP_N_ITEMS,
  PROP_PENDING,

  N_PROPS
};

static GParamSpec *props[N_PROPS] = {
  NULL,
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

  if (self->prefixes != NULL)
    gkv_prefixes_remove (self->prefixes, self->prefix, self);
  g_clear_pointer (&self->prefixes, gkv_prefixes_unref);

  G_OBJECT_CLASS (gkv_list_parent_class)->dispose (object);
}

static void
gkv_list_finalize (GObject *object)
{
  GkvList *self = GKV_LIST (object);

  g_clear_pointer (&self->records, gkv_key_index_free);
  g_clear_pointer (&self->entries, gkv_entry_cache_unref);
  g_clear_pointer (&self->tasks, g_array_unref);
  g_clear_pointer (&self->prefix, g_free);
  g_weak_ref_clear (&self->itself);
  if (self->source.destroy != NULL)
    self->source.destroy (self->source.data);

  G_OBJECT_CLASS (gkv_list_parent_class)->finalize (object);
}

static void
gkv_list_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GkvList *self = GKV_LIST (object);

  switch (prop_id)
    {
    case PROP_ITEM_TYPE:
      g_value_set_gtype (value, GKV_TYPE_ENTRY);
      break;

    case PROP_N_ITEMS:
      g_value_set_uint (value, gkv_key_index_get_size (self->records));
      break;

    case PROP_PENDING:
      g_value_set_boolean (value, self->pending);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_list_init (GkvList *self)
{
  g_weak_ref_init (&self->itself, self);
  self->records = gkv_key_index_new (TRUE);
  self->entries = gkv_entry_cache_new ();
  self->tasks = gkv_list_make_tasks ();
}

static void
gkv_list_class_init (GkvListClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->dispose = gkv_list_dispose;
  object_class->finalize = gkv_list_finalize;
  object_class->get_property = gkv_list_get_property;

  props[PROP_ITEM_TYPE] = g_param_spec_gtype ("item-type", NULL, NULL, G_TYPE_OBJECT, flags);
  props[PROP_N_ITEMS] = g_param_spec_uint ("n-items", NULL, NULL, 0, G_MAXUINT, 0, flags);
  /* Whether more entries are still to come in of those that there were when the list was made. */
  props[PROP_PENDING] = g_param_spec_boolean ("pending", NULL, NULL, FALSE, flags);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

/* The model */

static GType
gkv_list_get_item_type (GListModel *model)
{
  return GKV_TYPE_ENTRY;
}

static guint
gkv_list_get_n_items (GListModel *model)
{
  return gkv_key_index_get_size (GKV_LIST (model)->records);
}

static GkvEntry *
gkv_list_make_entry (GkvList *self, GkvRecord *record)
{
  g_autoptr (GkvRecord) held = gkv_record_ref (record);
  g_autoptr (GVariant) value = self->source.decode (self->source.data, held, NULL);
  gint64 expires_us = self->source.get_expires_us (self->source.data, held);
  g_autoptr (GkvEntry) entry = NULL;

  /* The codec may be the application's, and may have looked at the same entry. */
  entry = gkv_entry_cache_dup (self->entries, gkv_record_get_key (held));
  if (entry == NULL)
    {
      entry = gkv_entry_new (value, held, expires_us);
      gkv_entry_cache_add (self->entries, entry);
    }

  return g_steal_pointer (&entry);
}

static gpointer
gkv_list_get_item (GListModel *model, guint position)
{
  GkvList *self = GKV_LIST (model);
  GkvRecord *record = gkv_key_index_get (self->records, position);
  GkvEntry *entry;

  if (record == NULL)
    return NULL;

  entry = gkv_entry_cache_dup (self->entries, gkv_record_get_key (record));

  return entry != NULL ? entry : gkv_list_make_entry (self, record);
}

static void
gkv_list_model_iface_init (GListModelInterface *iface)
{
  iface->get_item_type = gkv_list_get_item_type;
  iface->get_n_items = gkv_list_get_n_items;
  iface->get_item = gkv_list_get_item;
}

/* Working */

/* Where somebody holds the object of a key, it is brought up to date, whether it is still, not yet, or again in the
 * list. */
static void
gkv_list_update_entry (GkvList *self, GkvRecord *record)
{
  g_autoptr (GkvEntry) entry = gkv_entry_cache_dup (self->entries, gkv_record_get_key (record));
  g_autoptr (GVariant) value = NULL;

  if (entry == NULL)
    return;

  value = self->source.decode (self->source.data, record, NULL);
  gkv_entry_update (entry, value, record, self->source.get_expires_us (self->source.data, record));
}

/* Keys that stay in the list get their new records: their positions stay, too, and so nobody is misled by a signal that
 * one of the entries emits. */
static void
gkv_list_replace (GkvList *self, GArray *tasks)
{
  for (guint i = 0; i < tasks->len; i++)
    {
      GkvRecord *record = g_array_index (tasks, GkvListTask, i).record;
      GkvRecord *known;

      if (record == NULL)
        continue;

      known = gkv_key_index_lookup (self->records, gkv_record_get_key (record), NULL);
      if (known == record)
        continue;

      if (known != NULL)
        gkv_key_index_insert (self->records, record, NULL);
      gkv_list_update_entry (self, record);
    }
}

static void
gkv_list_emit_run (GkvList *self, GkvListRun *run)
{
  GkvListRun finished = *run;

  *run = (GkvListRun){ 0, 0, 0 };
  if (finished.n_removed == 0 && finished.n_added == 0)
    return;

  g_list_model_items_changed (G_LIST_MODEL (self), finished.position, finished.n_removed, finished.n_added);
  if (finished.n_removed != finished.n_added)
    g_object_notify_by_pspec (G_OBJECT (self), props[PROP_N_ITEMS]);
}

/* Keys that come and go, in their order. The signal of a run leaves before the next run changes anything. */
static void
gkv_list_add_and_remove (GkvList *self, GArray *tasks)
{
  GkvListRun run = { 0, 0, 0 };

  for (guint i = 0; i < tasks->len; i++)
    {
      const GkvListTask *task = &g_array_index (tasks, GkvListTask, i);
      const char *key = gkv_list_task_get_key (task);
      guint position;
      gboolean known = gkv_key_index_lookup (self->records, key, &position) != NULL;

      if (known == (task->record != NULL))
        continue;

      if (position != run.position + run.n_added)
        gkv_list_emit_run (self, &run);
      if (run.n_removed == 0 && run.n_added == 0)
        run.position = position;

      if (known)
        {
          gkv_key_index_remove (self->records, key, NULL);
          run.n_removed++;
        }
      else
        {
          gkv_key_index_insert (self->records, task->record, NULL);
          run.n_added++;
        }
    }

  gkv_list_emit_run (self, &run);
}

/* Takes the tasks that are queued: sorted by key, and of each key the last. */
static GArray *
gkv_list_take_batch (GkvList *self)
{
  GArray *batch = self->tasks;
  guint n_kept = 0;

  self->tasks = gkv_list_make_tasks ();

  /* The sort is stable: tasks of one key stay in their order. */
  g_array_sort_with_data (batch, gkv_list_compare_tasks, NULL);

  for (guint i = 0; i < batch->len; i++)
    {
      GkvListTask *task = &g_array_index (batch, GkvListTask, i);
      GkvListTask *kept = &g_array_index (batch, GkvListTask, n_kept);
      GkvListTask dropped = *kept;

      if (i + 1 < batch->len && gkv_list_compare_tasks (task, task + 1, NULL) == 0)
        continue;

      *kept = *task;
      if (kept != task)
        *task = dropped;
      n_kept++;
    }
  g_array_set_size (batch, n_kept);

  return batch;
}

/* Does what is queued, unless that is being done further up on this stack. A handler may drop the list. */
void
gkv_list_work (GkvList *self)
{
  if (self->is_working)
    return;

  g_object_ref (self);
  self->is_working = TRUE;

  while (self->tasks->len > 0 || self->pending != self->pending_to_be)
    {
      g_autoptr (GArray) batch = gkv_list_take_batch (self);

      gkv_list_replace (self, batch);
      gkv_list_add_and_remove (self, batch);

      if (self->tasks->len == 0 && self->pending != self->pending_to_be)
        {
          self->pending = self->pending_to_be;
          g_object_notify_by_pspec (G_OBJECT (self), props[PROP_PENDING]);
        }
    }

  self->is_working = FALSE;
  g_object_unref (self);
}

/* internal */

gpointer
gkv_list_ref_if_alive (gpointer self)
{
  return g_weak_ref_get (&((GkvList *) self)->itself);
}

GkvList *
gkv_list_new (const char *prefix, GkvPrefixes *prefixes, const GkvListSource *source)
{
  GkvList *self = g_object_new (GKV_TYPE_LIST, NULL);

  self->prefix = g_strdup (prefix);
  self->prefixes = gkv_prefixes_ref (prefixes);
  self->source = *source;
  gkv_prefixes_add (prefixes, prefix, self);

  return self;
}

void
gkv_list_queue (GkvList *self, const GkvListChange *change)
{
  GkvListTask task = { change->record, NULL };

  if (task.record != NULL)
    gkv_record_ref (task.record);
  else
    task.key = g_strdup (change->key);
  g_array_append_val (self->tasks, task);
}

void
gkv_list_apply (GkvList *self, const GkvListChange *changes, guint n)
{
  for (guint i = 0; i < n; i++)
    gkv_list_queue (self, &changes[i]);

  gkv_list_work (self);
}

void
gkv_list_fill (GkvList *self, GkvRecord *const *records, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      GkvListTask task = { gkv_record_ref (records[i]), NULL };

      g_array_append_val (self->tasks, task);
    }

  gkv_list_work (self);
}

void
gkv_list_set_pending (GkvList *self, gboolean pending)
{
  self->pending_to_be = pending;
  gkv_list_work (self);
}
