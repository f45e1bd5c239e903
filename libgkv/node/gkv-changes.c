/* GkvChanges: the keys whose change waits to be emitted.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-changes.h"

typedef struct
{
  GList link;
  GkvRecord *record;
  gboolean value_changed;
  gboolean was_absent; /* when the key was emitted last */
} GkvChange;

static void
gkv_change_free (GkvChange *change)
{
  gkv_record_unref (change->record);
  g_free (change);
}

void
gkv_changes_init (GkvChanges *self)
{
  g_queue_init (&self->queue);
  self->by_key = gkv_table_new (gkv_hash_string, g_str_equal, (GDestroyNotify) gkv_change_free);
}

void
gkv_changes_clear (GkvChanges *self)
{
  g_queue_init (&self->queue);
  g_clear_pointer (&self->by_key, gkv_table_free);
}

void
gkv_changes_drop (GkvChanges *self)
{
  if (g_queue_is_empty (&self->queue))
    return;

  gkv_changes_clear (self);
  gkv_changes_init (self);
}

static void
gkv_changes_remove (GkvChanges *self, GkvChange *change)
{
  g_queue_unlink (&self->queue, &change->link);
  gkv_table_remove (self->by_key, gkv_record_get_key (change->record));
}

void
gkv_changes_push (GkvChanges *self, GkvRecord *record, GkvChangesKind kind)
{
  GkvChange *change;

  change = gkv_table_lookup (self->by_key, gkv_record_get_key (record));
  if (change == NULL)
    {
      change = g_new0 (GkvChange, 1);
      change->link.data = change;
      change->record = gkv_record_ref (record);
      change->was_absent = kind == GKV_CHANGES_APPEARED;
      gkv_table_insert (self->by_key, (char *) gkv_record_get_key (record), change);
      g_queue_push_tail_link (&self->queue, &change->link);
    }
  else if (kind == GKV_CHANGES_VANISHED && change->was_absent)
    {
      gkv_changes_remove (self, change);
      return;
    }

  change->value_changed = change->value_changed || kind != GKV_CHANGES_REWRITTEN;
}

gboolean
gkv_changes_has (GkvChanges *self, const char *key)
{
  return gkv_table_lookup (self->by_key, key) != NULL;
}

gboolean
gkv_changes_take (GkvChanges *self, const char *key, gboolean *value_changed)
{
  GkvChange *change = gkv_table_lookup (self->by_key, key);

  if (change == NULL)
    return FALSE;

  *value_changed = change->value_changed;
  gkv_changes_remove (self, change);

  return TRUE;
}

GkvRecord *
gkv_changes_pop (GkvChanges *self, gboolean *value_changed)
{
  g_autoptr (GkvRecord) record = NULL;
  GkvChange *change = g_queue_peek_head (&self->queue);

  if (change == NULL)
    return NULL;

  record = gkv_record_ref (change->record);
  gkv_changes_take (self, gkv_record_get_key (record), value_changed);

  return g_steal_pointer (&record);
}

guint
gkv_changes_get_n (GkvChanges *self)
{
  return g_queue_get_length (&self->queue);
}
