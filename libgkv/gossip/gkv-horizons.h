/* GkvHorizons: when a tombstone may be collected, and which side is right about a record that only one has.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-ephemerals.h"

G_BEGIN_DECLS

typedef struct _GkvHorizons GkvHorizons;

/* @tombstone_life: in microseconds; 0: the usual, as with @max_tombstones. */
GkvHorizons *gkv_horizons_new (
    GkvRuntime *runtime, GkvMembers *members, GkvEphemerals *ephemerals, gint64 tombstone_life, guint max_tombstones);
void gkv_horizons_free (GkvHorizons *self);
void gkv_horizons_tick (GkvHorizons *self);

/* A dead record has come into the store. */
void gkv_horizons_entomb (GkvHorizons *self, GkvRecord *record);

/* The highest stamp of a collected tombstone; it is sent with messages about the whole map. */
GkvStamp gkv_horizons_get (GkvHorizons *self);
/* Tombstones that are looked after, with those whose record has been replaced and that weren't swept yet. */
guint gkv_horizons_get_n_kept (GkvHorizons *self);
void gkv_horizons_receive (GkvHorizons *self, GkvLink *link, GkvStamp stamp);

/* All that came into the store up to @epoch is held by @member as well. */
void gkv_horizons_agree (GkvHorizons *self, const GkvMember *member, guint32 epoch);
/* From here on @member gets nothing of what we get, nor we of what it gets. */
void gkv_horizons_part (GkvHorizons *self, const GkvMember *member);

/* Whether a record that the other side seems to lack is to be given: otherwise it was removed there, and the tombstone
 * was collected; it is removed here too, at the end of the turn or of one of the next. */
gboolean gkv_horizons_stands (GkvHorizons *self, GkvLink *link, GkvRecord *record);

G_END_DECLS
