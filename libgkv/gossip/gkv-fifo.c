/* GkvFifo: a queue of structs side by side in one block of memory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-fifo.h"

#include <string.h>

/* Items whose memory is kept for those to come. */
#define KEPT 1024

void
gkv_fifo_init (GkvFifo *self, guint item_size)
{
  self->items = g_array_new (FALSE, TRUE, item_size);
  self->first = 0;
  self->n_popped = 0;
}

void
gkv_fifo_clear (GkvFifo *self)
{
  g_clear_pointer (&self->items, g_array_unref);
}

static gpointer
get_item (GkvFifo *self, guint index)
{
  return self->items->data + (gsize) index * g_array_get_element_size (self->items);
}

gpointer
gkv_fifo_push (GkvFifo *self)
{
  guint index = self->items->len;

  g_array_set_size (self->items, index + 1);
  return get_item (self, index);
}

guint
gkv_fifo_get_length (const GkvFifo *self)
{
  return self->items->len - self->first;
}

guint64
gkv_fifo_get_last (const GkvFifo *self)
{
  return self->n_popped + gkv_fifo_get_length (self);
}

gpointer
gkv_fifo_peek (GkvFifo *self, guint64 number)
{
  return number > self->n_popped ? get_item (self, self->first + (guint) (number - self->n_popped - 1)) : NULL;
}

/* Lets go of the memory of those that are gone, when it is much. */
static void
tidy (GkvFifo *self)
{
  guint item_size = g_array_get_element_size (self->items);

  if (self->first < self->items->len)
    {
      if (self->first < KEPT || self->first < self->items->len / 2)
        return;

      g_array_remove_range (self->items, 0, self->first);
    }
  else if (self->items->len <= KEPT)
    {
      g_array_set_size (self->items, 0);
    }
  else
    {
      g_array_unref (self->items);
      self->items = g_array_new (FALSE, TRUE, item_size);
    }

  self->first = 0;
}

gboolean
gkv_fifo_pop (GkvFifo *self, gpointer item)
{
  if (self->first == self->items->len)
    return FALSE;

  memcpy (item, get_item (self, self->first), g_array_get_element_size (self->items));
  self->first++;
  self->n_popped++;
  tidy (self);

  return TRUE;
}
