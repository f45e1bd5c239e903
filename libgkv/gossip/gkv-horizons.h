/* Horizons: when a tombstone may be collected, and which side is right about a record that only one has.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-engine-private.h"

G_BEGIN_DECLS

void gkv_horizons_init (GkvEngine *self, const GkvEngineConfig *config);
void gkv_horizons_clear (GkvEngine *self);
void gkv_horizons_tick (GkvEngine *self);

/* A dead record has come into the store. */
void gkv_horizons_entomb (GkvEngine *self, GkvRecord *record);

/* The highest stamp of a collected tombstone; it is sent with messages about the whole map. */
GkvStamp gkv_horizons_get (GkvEngine *self);
/* Tombstones that are looked after, with those whose record has been replaced and that weren't swept yet. */
guint gkv_horizons_get_n_kept (GkvEngine *self);
void gkv_horizons_hear (GkvEngine *self, GkvLink *link, GkvStamp stamp);

/* All that came into the store up to @epoch is held by @member as well. */
void gkv_horizons_agree (GkvEngine *self, const GkvMember *member, guint32 epoch);
/* From here on @member gets nothing of what we get, nor we of what it gets. */
void gkv_horizons_part (GkvEngine *self, const GkvMember *member);

/* Whether a record that the other side seems to lack is to be given: otherwise it was removed there, and the tombstone
 * was collected; it is removed here too, at the end of the turn or of one of the next. */
gboolean gkv_horizons_stands (GkvEngine *self, GkvLink *link, GkvRecord *record);

G_END_DECLS
