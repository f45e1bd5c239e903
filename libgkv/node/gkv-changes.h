/* GkvChanges: the keys whose change waits to be emitted, each once, in the order in which they first changed.
 *
 * It holds no values: what is emitted is what the store has by then, so that a key that changes often costs one
 * emission, and one that comes and goes meanwhile costs none. So it never has more keys than there are now and were at
 * the last emission. Not thread-safe: the map's lock guards it.
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

/* What an application could see of a key before and after a change. */
typedef enum
{
  GKV_CHANGES_APPEARED,
  GKV_CHANGES_REWRITTEN, /* another origin or stamp, with the same value */
  GKV_CHANGES_REPLACED,  /* with another value */
  GKV_CHANGES_VANISHED,
} GkvChangesKind;

/* @record: of the key; only the key is used, but all of it is kept. */
void gkv_changes_push (GkvChanges *self, GkvRecord *record, GkvChangesKind kind);

/* Whether there is one of @key. */
gboolean gkv_changes_has (GkvChanges *self, const char *key);

/* Takes that of @key, to be emitted out of turn. FALSE when there is none. */
gboolean gkv_changes_take (GkvChanges *self, const char *key, gboolean *value_changed);

/* Takes the first. Gives a record of the key, for its key only; NULL when there is none. */
GkvRecord *gkv_changes_pop (GkvChanges *self, gboolean *value_changed);

guint gkv_changes_get_n (GkvChanges *self);

G_END_DECLS
