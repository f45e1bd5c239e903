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
  gboolean loud;
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

/* Leaves it without memory, not to be used again. */
void
gkv_changes_clear (GkvChanges *self)
{
  g_queue_init (&self->queue);
  g_clear_pointer (&self->by_key, gkv_table_free);
}

void
gkv_changes_push (GkvChanges *self, GkvRecord *record, gboolean loud)
{
  GkvChange *change;

  change = gkv_table_lookup (self->by_key, gkv_record_get_key (record));
  if (change == NULL)
    {
      change = g_new0 (GkvChange, 1);
      change->link.data = change;
      change->record = gkv_record_ref (record);
      gkv_table_insert (self->by_key, (char *) gkv_record_get_key (record), change);
      g_queue_push_tail_link (&self->queue, &change->link);
    }

  change->loud = change->loud || loud;
}

gboolean
gkv_changes_take (GkvChanges *self, const char *key, gboolean *loud)
{
  GkvChange *change = gkv_table_lookup (self->by_key, key);

  if (change == NULL)
    return FALSE;

  *loud = change->loud;
  g_queue_unlink (&self->queue, &change->link);
  gkv_table_remove (self->by_key, key);

  return TRUE;
}

GkvRecord *
gkv_changes_pop (GkvChanges *self, gboolean *loud)
{
  g_autoptr (GkvRecord) record = NULL;
  GkvChange *change = g_queue_peek_head (&self->queue);

  if (change == NULL)
    return NULL;

  record = gkv_record_ref (change->record);
  gkv_changes_take (self, gkv_record_get_key (record), loud);

  return g_steal_pointer (&record);
}

gboolean
gkv_changes_is_empty (GkvChanges *self)
{
  return g_queue_is_empty (&self->queue);
}
