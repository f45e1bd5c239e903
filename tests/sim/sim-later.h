/* SimLater: a node of a later minor version: beside what this version says it sends kinds of messages, fields of
 * messages, entries of lists, and flags and fields of records that this version doesn't know.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "store/gkv-store.h"

G_BEGIN_DECLS

/* (transfer full): what is sent instead of @bytes; the same where that would be more than @max. */
GBytes *sim_later_send (GBytes *bytes, gsize max);

/* (transfer full): what is written instead of @record. */
GkvRecord *sim_later_write (const GkvHashKey *hash_key, const GkvRecord *record);
/* Whether what a later version has added to @record is what it added to @written, which is the same version. */
gboolean sim_later_is_kept (const GkvRecord *record, const GkvRecord *written);

G_END_DECLS
