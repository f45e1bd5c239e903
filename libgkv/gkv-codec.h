/* GkvCodec: converts values to bytes, and back. An interface, with the extension point "gkv-1-codec".
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

#define GKV_TYPE_CODEC (gkv_codec_get_type ())

/**
 * GKV_CODEC_EXTENSION_POINT_NAME:
 *
 * The name of the extension point that a codec module implements.
 *
 * Since: 1.0
 */
#define GKV_CODEC_EXTENSION_POINT_NAME "gkv-1-codec"

GKV_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (GkvCodec, gkv_codec, GKV, CODEC, GObject)

/**
 * GkvCodecInterface:
 * @g_iface: the parent interface
 * @get_name: gets the codec's name, which travels with each record; required
 * @encode: encodes a value as bytes, or sets an error; required
 * @decode: decodes bytes, or sets an error; required. The bytes come from the network: anything can be in them
 * @is_thread_safe: whether @encode and @decode may be called from any thread; %FALSE unless overridden
 * @is_lossless: whether @decode always succeeds and returns what @encode was given; %FALSE unless overridden
 *
 * What a codec implements. It is called through the functions of [iface@Gkv.Codec] only.
 *
 * Since: 1.0
 */
struct _GkvCodecInterface
{
  GTypeInterface g_iface;

  const char *(*get_name) (GkvCodec *self);
  GBytes *(*encode) (GkvCodec *self, GVariant *value, GError **error);
  GVariant *(*decode) (GkvCodec *self, GBytes *bytes, GError **error);
  gboolean (*is_thread_safe) (GkvCodec *self);
  gboolean (*is_lossless) (GkvCodec *self);

  /*< private >*/
  gpointer reserved[8];
};

GKV_AVAILABLE_IN_1_0
GkvCodec *gkv_codec_new_for_name (const char *name, GError **error);

GKV_AVAILABLE_IN_1_0
char **gkv_codec_list_names (void);

GKV_AVAILABLE_IN_1_0
const char *gkv_codec_get_name (GkvCodec *self);

GKV_AVAILABLE_IN_1_0
GBytes *gkv_codec_encode (GkvCodec *self, GVariant *value, GError **error);

GKV_AVAILABLE_IN_1_0
GVariant *gkv_codec_decode (GkvCodec *self, GBytes *bytes, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_codec_is_thread_safe (GkvCodec *self);

GKV_AVAILABLE_IN_1_0
gboolean gkv_codec_is_lossless (GkvCodec *self);

G_END_DECLS
