/* The codec "variant": any GVariant but handles.
 *
 * The bytes are those of the value boxed in a variant (the value, a NUL, its type string), little-endian and in normal
 * form.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <string.h>

#define GKV_TYPE_VARIANT_CODEC (gkv_variant_codec_get_type ())
G_DECLARE_FINAL_TYPE (GkvVariantCodec, gkv_variant_codec, GKV, VARIANT_CODEC, GObject)

struct _GkvVariantCodec
{
  GObject parent_instance;
};

static void codec_iface_init (GkvCodecInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvVariantCodec,
                               gkv_variant_codec,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_CODEC, codec_iface_init))

static GVariant *
to_little_endian (GVariant *value)
{
#if G_BYTE_ORDER == G_BIG_ENDIAN
  return g_variant_byteswap (value);
#else
  return g_variant_ref (value);
#endif
}

static GBytes *
gkv_variant_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  g_autoptr (GVariant) boxed = NULL;
  g_autoptr (GVariant) normal = NULL;
  g_autoptr (GVariant) swapped = NULL;

  if (strchr (g_variant_get_type_string (value), 'h') != NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                   "The codec “variant” can't carry values of type “%s”: a handle is good in one process only",
                   g_variant_get_type_string (value));
      return NULL;
    }

  boxed = g_variant_ref_sink (g_variant_new_variant (value));
  normal = g_variant_get_normal_form (boxed);
  swapped = to_little_endian (normal);
  return g_variant_get_data_as_bytes (swapped);
}

/* GLib aligns what is larger than eight bytes by itself; of a smaller variant it would read the content unaligned. */
static GBytes *
align (GBytes *bytes)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  return (gsize) data % 8 != 0 ? g_bytes_new (data, size) : g_bytes_ref (bytes);
}

static GVariant *
gkv_variant_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  g_autoptr (GBytes) aligned = align (bytes);
  g_autoptr (GVariant) boxed = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARIANT, aligned, FALSE));
  g_autoptr (GVariant) swapped = NULL;

  if (!g_variant_is_normal_form (boxed))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not a GVariant in normal form");
      return NULL;
    }

  swapped = to_little_endian (boxed);
  return g_variant_get_variant (swapped);
}

static const char *
gkv_variant_codec_get_name (GkvCodec *codec)
{
  return "variant";
}

static gboolean
gkv_variant_codec_is_thread_safe (GkvCodec *codec)
{
  return TRUE;
}

static void
codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = gkv_variant_codec_get_name;
  iface->encode = gkv_variant_codec_encode;
  iface->decode = gkv_variant_codec_decode;
  iface->is_thread_safe = gkv_variant_codec_is_thread_safe;
}

static void
gkv_variant_codec_class_init (GkvVariantCodecClass *klass)
{
}

static void
gkv_variant_codec_init (GkvVariantCodec *self)
{
}

GKV_MODULE_DEFINE (codec_variant, GKV_CODEC_EXTENSION_POINT_NAME, GKV_TYPE_VARIANT_CODEC, "variant")
