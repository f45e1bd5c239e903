/* A codec as somebody else would write it: strings, turned by thirteen letters. Built out of tree by test-out-of-tree.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#define ROT13_TYPE_CODEC (rot13_codec_get_type ())
G_DECLARE_FINAL_TYPE (Rot13Codec, rot13_codec, ROT13, CODEC, GObject)

struct _Rot13Codec
{
  GObject parent_instance;
};

static void codec_iface_init (GkvCodecInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (Rot13Codec,
                               rot13_codec,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_CODEC, codec_iface_init))

static char *
turn (const char *text, gsize len)
{
  char *turned = g_strndup (text, len);

  for (char *c = turned; *c != '\0'; c++)
    if (g_ascii_isalpha (*c))
      *c = (g_ascii_tolower (*c) - 'a' + 13) % 26 + (g_ascii_isupper (*c) ? 'A' : 'a');
  return turned;
}

static const char *
rot13_codec_get_name (GkvCodec *codec)
{
  return "rot13";
}

static GBytes *
rot13_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  gsize len;
  const char *text;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "Only strings can be turned");
      return NULL;
    }

  text = g_variant_get_string (value, &len);
  return g_bytes_new_take (turn (text, len), len);
}

static GVariant *
rot13_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  gsize len;
  const char *text = g_bytes_get_data (bytes, &len);

  return g_variant_new_take_string (turn (text, len));
}

static void
codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = rot13_codec_get_name;
  iface->encode = rot13_codec_encode;
  iface->decode = rot13_codec_decode;
}

static void
rot13_codec_class_init (Rot13CodecClass *klass)
{
}

static void
rot13_codec_init (Rot13Codec *self)
{
}

GKV_MODULE_DEFINE (codec_rot13, GKV_CODEC_EXTENSION_POINT_NAME, ROT13_TYPE_CODEC, "rot13")
