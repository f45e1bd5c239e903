/* GkvDeadlines: what is due when: a binary heap, and where each item stands in it.
 *
 * Items are borrowed: their owner takes each out before it lets it go.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _GkvDeadlines GkvDeadlines;

GkvDeadlines *gkv_deadlines_new (void);
void gkv_deadlines_free (GkvDeadlines *self);

/* Of two deadlines the earlier one stays. */
void gkv_deadlines_set (GkvDeadlines *self, gpointer item, gint64 deadline);
void gkv_deadlines_remove (GkvDeadlines *self, gpointer item);
/* -1: none. */
gint64 gkv_deadlines_get (GkvDeadlines *self, gpointer item);
gpointer gkv_deadlines_peek (GkvDeadlines *self, gint64 *deadline);
/* All deadlines come nearer by @by. O(1). */
void gkv_deadlines_shift (GkvDeadlines *self, gint64 by);
/* How many are due at @now. Takes time in proportion to that. */
guint gkv_deadlines_count_due (GkvDeadlines *self, gint64 now);

G_END_DECLS
