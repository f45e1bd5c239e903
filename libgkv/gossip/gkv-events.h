/* GkvEvents: what an engine reports to its owner, in a queue that stays small however seldom it is read.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-engine-types.h"

G_BEGIN_DECLS

typedef struct _GkvEvents GkvEvents;

/* @changed: is called for each change in place of an event; NULL: changes are events. */
GkvEvents *gkv_events_new (GkvChangedFunc changed, gpointer changed_data);
void gkv_events_free (GkvEvents *self);

/* Takes @replaced (nullable), what was visible of the key before. */
void gkv_events_add_changed (GkvEvents *self, GkvRecord *record, GkvRecord *replaced);
/* Takes @info. */
void gkv_events_add_peer (GkvEvents *self, GkvEventKind kind, GkvPeerInfo *info);
void gkv_events_add_error (GkvEvents *self, int code, const char *message);
void gkv_events_add_synced (GkvEvents *self, gboolean synced);
void gkv_events_add_confirmed (GkvEvents *self);

/* FALSE: nothing is there. */
gboolean gkv_events_pop (GkvEvents *self, GkvEvent *event);
guint gkv_events_get_length (GkvEvents *self);

G_END_DECLS
