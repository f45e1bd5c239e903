/* GkvEntry: one key of the map as an object, for list models, and with what is known of its record.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#if !defined(GKV_INSIDE) && !defined(GKV_COMPILATION)
#error "Only <gkv.h> can be included directly."
#endif

#include <gio/gio.h>

#include "gkv-version-macros.h"

G_BEGIN_DECLS

#define GKV_TYPE_ENTRY (gkv_entry_get_type ())

GKV_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (GkvEntry, gkv_entry, GKV, ENTRY, GObject)

GKV_AVAILABLE_IN_1_0
const char *gkv_entry_get_key (GkvEntry *self);

GKV_AVAILABLE_IN_1_0
GVariant *gkv_entry_get_value (GkvEntry *self);

GKV_AVAILABLE_IN_1_0
const char *gkv_entry_get_codec (GkvEntry *self);

GKV_AVAILABLE_IN_1_0
const char *gkv_entry_get_origin (GkvEntry *self);

GKV_AVAILABLE_IN_1_0
GDateTime *gkv_entry_get_modified (GkvEntry *self);

GKV_AVAILABLE_IN_1_0
GDateTime *gkv_entry_get_expires (GkvEntry *self);

GKV_AVAILABLE_IN_1_0
gboolean gkv_entry_get_ephemeral (GkvEntry *self);

GKV_AVAILABLE_IN_1_0
const char *gkv_entry_get_text (GkvEntry *self);

G_END_DECLS
