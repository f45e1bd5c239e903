/* GkvPartings: what this node held before it was parted from others, and giving records to peers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-standing.h"

G_BEGIN_DECLS

typedef struct _GkvPartings GkvPartings;

GkvPartings *gkv_partings_new (GkvRuntime *runtime, GkvLinks *links);
void gkv_partings_free (GkvPartings *self);

/* Sends a record that the node at @link lacks: in anti-entropy. */
void gkv_partings_give (GkvPartings *self, GkvLink *link, GkvRecord *record);

G_END_DECLS
