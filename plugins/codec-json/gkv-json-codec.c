/* The codec "json": what JSON can carry, as its text by RFC 8259.
 *
 * Strings are s, booleans b, integers x, other numbers d, arrays av, objects a{sv}; null is an empty maybe (mv). A
 * value of another type that JSON can carry comes back as one of these: as, for example, becomes av.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include "gkv-json.h"

#define GKV_TYPE_JSON_CODEC (gkv_json_codec_get_type ())
G_DECLARE_FINAL_TYPE (GkvJsonCodec, gkv_json_codec, GKV, JSON_CODEC, GObject)

struct _GkvJsonCodec
{
  GObject parent_instance;
};

static void codec_iface_init (GkvCodecInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvJsonCodec,
                               gkv_json_codec,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_CODEC, codec_iface_init))

static GBytes *
gkv_json_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  return gkv_json_write (value, error);
}

static GVariant *
gkv_json_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  return gkv_json_read (bytes, error);
}

static const char *
gkv_json_codec_get_name (GkvCodec *codec)
{
  return "json";
}

static gboolean
gkv_json_codec_is_thread_safe (GkvCodec *codec)
{
  return TRUE;
}

static void
codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = gkv_json_codec_get_name;
  iface->encode = gkv_json_codec_encode;
  iface->decode = gkv_json_codec_decode;
  iface->is_thread_safe = gkv_json_codec_is_thread_safe;
}

static void
gkv_json_codec_class_init (GkvJsonCodecClass *klass)
{
}

static void
gkv_json_codec_init (GkvJsonCodec *self)
{
}

GKV_MODULE_DEFINE (codec_json, GKV_CODEC_EXTENSION_POINT_NAME, GKV_TYPE_JSON_CODEC, "json")
