/* GkvTombstones: how long dead records are kept, and what is said of those that are gone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-links.h"

G_BEGIN_DECLS

typedef struct _GkvTombstones GkvTombstones;

/* @life: of the tombstone of a removal, in microseconds; 0: the usual, as with @max. */
GkvTombstones *gkv_tombstones_new (GkvRuntime *runtime, GkvLinks *links, gint64 life, guint max);
void gkv_tombstones_free (GkvTombstones *self);
void gkv_tombstones_tick (GkvTombstones *self);

/* @dead has come into the store. @left_ms: how long the peer that gave it will keep it; -1: not known. */
void gkv_tombstones_keep (GkvTombstones *self, GkvRecord *dead, gint64 left_ms);

/* The peer has given a record that isn't above the removal that is remembered here. Gives the tombstone that is to take
 * its place, which the store is ready to take; or NULL, as it was one itself: then the peer is told that it may be
 * collected. One that lies ahead of the clock hides nothing there as yet, and gets the tombstone. (transfer full) */
GkvRecord *gkv_tombstones_recall (GkvTombstones *self, GkvLink *link, GkvRecord *record);
/* The same for a record that lies ahead of the clock of the peer. (transfer full) */
GkvRecord *gkv_tombstones_make_again (GkvTombstones *self, GkvRecord *record);
/* One of the key of @record that wins over it. (transfer full) */
GkvRecord *gkv_tombstones_make_above (GkvTombstones *self, GkvRecord *record);
/* TRUE for the dead mark of a record of which nothing is held here, where the peer keeps it for a little while only: it
 * isn't taken, and the peer is told so. */
gboolean gkv_tombstones_refuse (GkvTombstones *self, GkvLink *link, GkvRecord *record, gint64 left_ms);
/* A peer has collected a tombstone that is held here. */
void gkv_tombstones_handle (GkvTombstones *self, GkvReader *reader);

G_END_DECLS
