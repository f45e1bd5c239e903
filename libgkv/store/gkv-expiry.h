/* Expiry: replacing records that are past their deadline by tombstones. The map does it where there is no network,
 * otherwise the engine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-store.h"

/* Replaces up to @max records whose deadline is at or before @now with their dead mark, in the order of the deadlines.
 * Each dead record is passed to @func, with what was visible before. Returns how many there were: @max means that more
 * may be due. */
guint gkv_store_expire_due (GkvStore *self, gint64 now, guint max, GkvStoreReleaseFunc func, gpointer user_data);

/* The same without dead marks, where no other node has the records: they are removed. @func is called with the dead
 * record that would have taken the place. */
guint gkv_store_drop_due (GkvStore *self, gint64 now, guint max, GkvStoreReleaseFunc func, gpointer user_data);

G_END_DECLS
