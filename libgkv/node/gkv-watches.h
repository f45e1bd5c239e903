/* GkvWatches: the functions that an application has called for the changes of keys under a prefix.
 *
 * A watch may want what is there first: then a sweep gives it each key that is present once, in the order of the keys,
 * and before that nothing of the keys that the sweep is still to come to.
 *
 * Belongs to the node's context, except what says otherwise.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-map.h"

typedef struct _GkvWatches GkvWatches;

/* As GkvWatchFunc, with the node as a GObject. */
typedef void (*GkvWatchesFunc) (
    GObject *node, const char *key, GVariant *value, const char *origin, gpointer user_data);

GkvWatches *gkv_watches_new (GkvMap *map);
/* The destroy notifies of what is left are called in this thread. */
void gkv_watches_free (GkvWatches *self);

/* From any thread. */
gboolean gkv_watches_is_empty (GkvWatches *self);
/* Whether a watch wants changes of @key. */
gboolean gkv_watches_want (GkvWatches *self, const char *key);

/* Returns the id of the watch, which isn't 0. */
guint gkv_watches_add (GkvWatches *self,
                       const char *prefix,
                       gboolean initial,
                       GkvWatchesFunc func,
                       gpointer user_data,
                       GDestroyNotify destroy);
/* FALSE: there is none of that id. Works inside its function, too. */
gboolean gkv_watches_remove (GkvWatches *self, guint id);
/* None of them is called any more. From any thread, also while the node's context is at work with them. */
void gkv_watches_close (GkvWatches *self);

/* Calls those that want @key. @record: what is visible, or NULL. @value: what it decodes to, or NULL. */
void gkv_watches_emit (
    GkvWatches *self, GObject *node, const char *key, GkvRecord *record, GVariant *value, const char *origin);

/* Calls a watch with the next key that is there, or gets on towards it. FALSE: no watch wants any. To be called while
 * no change waits to be emitted, but those of @is_emitting: further up this stack changes are being emitted. */
gboolean gkv_watches_emit_initial (GkvWatches *self, GObject *node, gboolean is_emitting);

G_END_DECLS
