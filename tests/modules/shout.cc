/* A codec as somebody else would write it in C++: strings, in capital letters. Built out of tree by test-out-of-tree.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <algorithm>
#include <string>

#define SHOUT_TYPE_CODEC (shout_codec_get_type ())
G_DECLARE_FINAL_TYPE (ShoutCodec, shout_codec, SHOUT, CODEC, GObject)

struct _ShoutCodec
{
  GObject parent_instance;
};

static void codec_iface_init (GkvCodecInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ShoutCodec,
                               shout_codec,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_CODEC, codec_iface_init))

static void
codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = [] (GkvCodec *) { return "shout"; };
  iface->encode = [] (GkvCodec *, GVariant *value, GError **error) -> GBytes * {
    if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
      {
        g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "Only strings can be shouted");
        return nullptr;
      }

    std::string text = g_variant_get_string (value, nullptr);
    std::transform (text.begin (), text.end (), text.begin (), g_ascii_toupper);
    return g_bytes_new (text.data (), text.size ());
  };
  iface->decode = [] (GkvCodec *, GBytes *bytes, GError **) {
    gsize size;
    auto *data = static_cast<const char *> (g_bytes_get_data (bytes, &size));

    return g_variant_new_take_string (g_strndup (data, size));
  };
}

static void
shout_codec_class_init (ShoutCodecClass *)
{
}

static void
shout_codec_init (ShoutCodec *)
{
}

GKV_MODULE_DEFINE (codec_shout, GKV_CODEC_EXTENSION_POINT_NAME, SHOUT_TYPE_CODEC, "shout")
