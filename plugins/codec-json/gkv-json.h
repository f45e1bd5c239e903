/* What the codec "json" is made of: a writer and a reader of text, and the rules that both keep to.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* How many arrays and objects can be inside one another, in both directions. GLib takes up to 128 levels of its own,
 * and an object is three of them (a, {sv} and v): 40 leave some to an application that puts the value into another. */
#define GKV_JSON_MAX_DEPTH 40

GBytes *gkv_json_write (GVariant *value, GError **error);
GVariant *gkv_json_read (GBytes *bytes, GError **error);

/* Always FALSE. */
gboolean gkv_json_refuse_depth (GError **error);
/* Of the @n names that begin at @starts, as offsets from @base: which of them come again later. NULL: none does. */
gboolean *gkv_json_find_superseded (const char *base, const gsize *starts, gsize n);

G_END_DECLS
