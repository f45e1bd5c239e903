/* GkvDeadlines: what is due when.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-deadlines.h"

#include "gkv-table.h"

typedef struct
{
  gpointer item;
  gint64 deadline;
} Slot;

struct _GkvDeadlines
{
  GArray *heap;      /* Slot; the first is due first */
  GkvTable *indices; /* item → index in the heap */
  gint64 shift;      /* of the deadlines in the heap against those of the caller */
};

GkvDeadlines *
gkv_deadlines_new (void)
{
  GkvDeadlines *self = g_new0 (GkvDeadlines, 1);

  self->heap = g_array_new (FALSE, FALSE, sizeof (Slot));
  self->indices = gkv_table_new (NULL, NULL, NULL);
  return self;
}

void
gkv_deadlines_free (GkvDeadlines *self)
{
  g_array_unref (self->heap);
  gkv_table_free (self->indices);
  g_free (self);
}

static Slot *
get_slot (GkvDeadlines *self, guint index)
{
  return &g_array_index (self->heap, Slot, index);
}

static void
place (GkvDeadlines *self, guint index, Slot slot)
{
  *get_slot (self, index) = slot;
  gkv_table_insert (self->indices, slot.item, GUINT_TO_POINTER (index));
}

static void
settle (GkvDeadlines *self, guint index)
{
  Slot slot = *get_slot (self, index);

  while (index > 0 && get_slot (self, (index - 1) / 2)->deadline > slot.deadline)
    {
      place (self, index, *get_slot (self, (index - 1) / 2));
      index = (index - 1) / 2;
    }

  for (;;)
    {
      guint child = 2 * index + 1;

      if (child + 1 < self->heap->len && get_slot (self, child + 1)->deadline < get_slot (self, child)->deadline)
        child++;
      if (child >= self->heap->len || get_slot (self, child)->deadline >= slot.deadline)
        break;
      place (self, index, *get_slot (self, child));
      index = child;
    }

  place (self, index, slot);
}

/* TRUE when @item has a deadline. */
static gboolean
find (GkvDeadlines *self, gpointer item, guint *index)
{
  gpointer value;

  if (!gkv_table_find (self->indices, item, &value))
    return FALSE;

  *index = GPOINTER_TO_UINT (value);
  return TRUE;
}

void
gkv_deadlines_set (GkvDeadlines *self, gpointer item, gint64 deadline)
{
  Slot slot = { item, deadline + self->shift };
  guint index;

  if (find (self, item, &index))
    {
      get_slot (self, index)->deadline = MIN (get_slot (self, index)->deadline, slot.deadline);
    }
  else
    {
      index = self->heap->len;
      g_array_append_val (self->heap, slot);
    }

  settle (self, index);
}

void
gkv_deadlines_remove (GkvDeadlines *self, gpointer item)
{
  guint last = self->heap->len - 1;
  guint index;

  if (self->heap->len == 0 || !find (self, item, &index))
    return;

  gkv_table_remove (self->indices, item);
  if (index != last)
    place (self, index, *get_slot (self, last));
  g_array_set_size (self->heap, last);
  if (index != last)
    settle (self, index);
}

gint64
gkv_deadlines_get (GkvDeadlines *self, gpointer item)
{
  guint index;

  return find (self, item, &index) ? MAX (get_slot (self, index)->deadline - self->shift, 0) : -1;
}

gpointer
gkv_deadlines_peek (GkvDeadlines *self, gint64 *deadline)
{
  if (self->heap->len == 0)
    return NULL;

  *deadline = get_slot (self, 0)->deadline - self->shift;
  return get_slot (self, 0)->item;
}

/* Below an item that isn't due yet nothing is. */
static guint
count_due_below (GkvDeadlines *self, guint index, gint64 now)
{
  if (index >= self->heap->len || get_slot (self, index)->deadline > now)
    return 0;

  return 1 + count_due_below (self, 2 * index + 1, now) + count_due_below (self, 2 * index + 2, now);
}

guint
gkv_deadlines_count_due (GkvDeadlines *self, gint64 now)
{
  return count_due_below (self, 0, now + self->shift);
}

void
gkv_deadlines_shift (GkvDeadlines *self, gint64 by)
{
  self->shift += by;
}
