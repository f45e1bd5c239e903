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
} GkvFifo;

void gkv_fifo_init (GkvFifo *self, guint item_size);
/* What is still in it is the caller's to clear before. */
void gkv_fifo_clear (GkvFifo *self);
/* A new last item, all zeros: good until the next call. */
gpointer gkv_fifo_push (GkvFifo *self);
guint gkv_fifo_get_length (const GkvFifo *self);
/* Moves the first to @item. FALSE: there is none. */
gboolean gkv_fifo_pop (GkvFifo *self, gpointer item);

G_END_DECLS
