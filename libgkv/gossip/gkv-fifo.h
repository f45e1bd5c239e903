/* GkvFifo: a queue of structs side by side in one block of memory, for what comes and goes by the thousand.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  /*< private >*/
  GArray *items;
  guint first;
  guint64 n_popped;
} GkvFifo;

void gkv_fifo_init (GkvFifo *self, guint item_size);
/* What is still in it is the caller's to clear before. */
void gkv_fifo_clear (GkvFifo *self);
/* A new last item, all zeros: good until the next call. */
gpointer gkv_fifo_push (GkvFifo *self);
guint gkv_fifo_get_length (const GkvFifo *self);
/* The number of the last item: the first there ever was has 1. */
guint64 gkv_fifo_get_last (const GkvFifo *self);
/* The item with this number, good until the next push; NULL when it was popped. */
gpointer gkv_fifo_peek (GkvFifo *self, guint64 number);
/* Moves the first to @item. FALSE: there is none. */
gboolean gkv_fifo_pop (GkvFifo *self, gpointer item);

G_END_DECLS
