/* The codec "bytes": arrays of bytes (ay), as they are.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#define GKV_TYPE_BYTES_CODEC (gkv_bytes_codec_get_type ())
G_DECLARE_FINAL_TYPE (GkvBytesCodec, gkv_bytes_codec, GKV, BYTES_CODEC, GObject)

struct _GkvBytesCodec
{
  GObject parent_instance;
};

static void codec_iface_init (GkvCodecInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvBytesCodec,
                               gkv_bytes_codec,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_CODEC, codec_iface_init))

static GBytes *
gkv_bytes_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "The codec \"bytes\" carries values of type \"ay\", not \"%s\"",
                   g_variant_get_type_string (value));
      return NULL;
    }

  /* A copy, as the owner of the value's memory may still change it. */
  return g_bytes_new (g_variant_get_data (value), g_variant_get_size (value));
}

static GVariant *
gkv_bytes_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));
}

static const char *
gkv_bytes_codec_get_name (GkvCodec *codec)
{
  return "bytes";
}

static gboolean
gkv_bytes_codec_is_thread_safe (GkvCodec *codec)
{
  return TRUE;
}

static gboolean
gkv_bytes_codec_is_lossless (GkvCodec *codec)
{
  return TRUE;
}

static void
codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = gkv_bytes_codec_get_name;
  iface->encode = gkv_bytes_codec_encode;
  iface->decode = gkv_bytes_codec_decode;
  iface->is_thread_safe = gkv_bytes_codec_is_thread_safe;
  iface->is_lossless = gkv_bytes_codec_is_lossless;
}

static void
gkv_bytes_codec_class_init (GkvBytesCodecClass *klass)
{
}

static void
gkv_bytes_codec_init (GkvBytesCodec *self)
{
}

GKV_MODULE_DEFINE (codec_bytes, GKV_CODEC_EXTENSION_POINT_NAME, GKV_TYPE_BYTES_CODEC, "bytes")
