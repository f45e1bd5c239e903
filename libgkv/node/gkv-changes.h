/* GkvChanges: the keys whose change waits to be emitted, each once, in the order in which they first changed.
 *
 * It holds no values: what is emitted is what the store has by then, so that a key that changes often costs one
 * emission. Not thread-safe: the map's lock guards it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "store/gkv-record.h"
#include "store/gkv-table.h"

typedef struct
{
  GQueue queue;
  GkvTable *by_key;
} GkvChanges;

void gkv_changes_init (GkvChanges *self);
/* Leaves it without memory, not to be used again. */
void gkv_changes_clear (GkvChanges *self);
/* Drops all that is in it. */
void gkv_changes_drop (GkvChanges *self);

/* @value_changed: whether the value changed, and not only who wrote it and when. */
void gkv_changes_push (GkvChanges *self, GkvRecord *record, gboolean value_changed);

/* Takes that of @key, to be emitted out of turn. FALSE when there is none. */
gboolean gkv_changes_take (GkvChanges *self, const char *key, gboolean *value_changed);

/* Takes the first. Gives a record of the key, for its key only; NULL when there is none. */
GkvRecord *gkv_changes_pop (GkvChanges *self, gboolean *value_changed);

gboolean gkv_changes_is_empty (GkvChanges *self);

G_END_DECLS
