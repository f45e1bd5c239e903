/* Expiry: marking dead what is past its deadline. The node does it where it is alone, the engine where there are peers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-store.h"

/* Replaces up to @max records whose deadline is at or before @mono with their dead mark, in the order of the
 * deadlines. Each dead record is given to @func, with what was visible before. One that
 * is visible in the place of another, which is set aside, just goes; then that other is given. Returns how many there
 * were: @max means that more may be due. */
guint gkv_store_expire_due (GkvStore *self, gint64 mono, guint max, GkvStoreReleaseFunc func, gpointer user_data);

/* The same without dead marks, where nobody else has the records: they are removed. @func is given the dead record that
 * would have taken the place. */
guint gkv_store_drop_due (GkvStore *self, gint64 mono, guint max, GkvStoreReleaseFunc func, gpointer user_data);

G_END_DECLS
