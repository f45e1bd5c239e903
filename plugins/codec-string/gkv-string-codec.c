/* The codec "string": strings (s), as their UTF-8.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#define GKV_TYPE_STRING_CODEC (gkv_string_codec_get_type ())
G_DECLARE_FINAL_TYPE (GkvStringCodec, gkv_string_codec, GKV, STRING_CODEC, GObject)

struct _GkvStringCodec
{
  GObject parent_instance;
};

static void codec_iface_init (GkvCodecInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvStringCodec,
                               gkv_string_codec,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_CODEC, codec_iface_init))

static GBytes *
gkv_string_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  const char *string;
  gsize len;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "The codec \"string\" carries values of type \"s\", not \"%s\"",
                   g_variant_get_type_string (value));
      return NULL;
    }

  string = g_variant_get_string (value, &len);
  return g_bytes_new (string, len);
}

static GVariant *
gkv_string_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  gsize len;
  const char *text = g_bytes_get_data (bytes, &len);

  /* What has a NUL in it isn't valid either. */
  if (len > 0 && !g_utf8_validate_len (text, len, NULL))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not a UTF-8 string");
      return NULL;
    }

  return g_variant_ref_sink (g_variant_new_take_string (g_strndup (len > 0 ? text : "", len)));
}

static const char *
gkv_string_codec_get_name (GkvCodec *codec)
{
  return "string";
}

static gboolean
gkv_string_codec_is_thread_safe (GkvCodec *codec)
{
  return TRUE;
}

static gboolean
gkv_string_codec_is_lossless (GkvCodec *codec)
{
  return TRUE;
}

static void
codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = gkv_string_codec_get_name;
  iface->encode = gkv_string_codec_encode;
  iface->decode = gkv_string_codec_decode;
  iface->is_thread_safe = gkv_string_codec_is_thread_safe;
  iface->is_lossless = gkv_string_codec_is_lossless;
}

static void
gkv_string_codec_class_init (GkvStringCodecClass *klass)
{
}

static void
gkv_string_codec_init (GkvStringCodec *self)
{
}

GKV_MODULE_DEFINE (codec_string, GKV_CODEC_EXTENSION_POINT_NAME, GKV_TYPE_STRING_CODEC, "string")
