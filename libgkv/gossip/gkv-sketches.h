/* GkvSketches: finding a few differences between two large maps in one round trip.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-exchange.h"
#include "gkv-offers.h"

G_BEGIN_DECLS

typedef struct _GkvSketches GkvSketches;

GkvSketches *gkv_sketches_new (
    GkvRuntime *runtime, GkvLinks *links, GkvTransfers *transfers, GkvOffers *offers, GkvExchanges *exchanges);
void gkv_sketches_free (GkvSketches *self);

gboolean gkv_sketches_can_send (GkvSketches *self, const GkvLink *link);
void gkv_sketches_send (GkvSketches *self, GkvLink *link, guint chunk);
void gkv_sketches_handle (GkvSketches *self, GkvLink *link, GkvReader *reader);
void gkv_sketches_handle_ask (GkvSketches *self, GkvLink *link, GkvReader *reader);

G_END_DECLS
