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

/* Takes @value. */
static GVariant *
to_little_endian (GVariant *value)
{
#if G_BYTE_ORDER == G_BIG_ENDIAN
  g_autoptr (GVariant) owned = value;

  return g_variant_byteswap (owned);
#else
  return value;
#endif
}

/* Values that are carried as they are, without looking into them. */
static gboolean
is_plain (GVariant *value, const char *type)
{
  return G_BYTE_ORDER == G_LITTLE_ENDIAN && type[0] != '\0' && type[1] == '\0' && type[0] != G_VARIANT_CLASS_VARIANT &&
         type[0] != G_VARIANT_CLASS_HANDLE && g_variant_is_normal_form (value);
}

/* Some values can be built that are nested too deeply to be read. Of most the type tells that they aren't. */
static gboolean
is_shallow (const char *type)
{
  return strchr (type, G_VARIANT_CLASS_VARIANT) == NULL && strlen (type) < 100;
}

/* As GLib would box it: a variant's content begins at a multiple of 8 of its bytes, which is 0. */
static GBytes *
box (GVariant *value, const char *type)
{
  gsize size = g_variant_get_size (value);
  gsize type_len = strlen (type);
  guint8 *data = g_malloc (size + 1 + type_len);

  g_variant_store (value, data);
  data[size] = '\0';
  memcpy (data + size + 1, type, type_len);

  return g_bytes_new_take (data, size + 1 + type_len);
}

/* GLib aligns what is larger than eight bytes by itself; smaller it would read unaligned. */
static GBytes *
align (GBytes *bytes, const char *type)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  if ((gsize) data % 8 == 0 || g_str_equal (type, "s") || g_str_equal (type, "ay"))
    return g_bytes_ref (bytes);

  return g_bytes_new (data, size);
}

/* Whether a value of a basic type is in normal form: told here for those that most values are of, as asking GLib costs
 * more than the rest of decoding them. FALSE: GLib is to be asked. */
static gboolean
is_surely_normal (const char *type, gsize type_len, const char *data, gsize size)
{
  if (G_BYTE_ORDER != G_LITTLE_ENDIAN || type_len != 1)
    return FALSE;

  switch (type[0])
    {
    case G_VARIANT_CLASS_STRING:
      return size > 0 && data[size - 1] == '\0' && g_utf8_validate_len (data, size - 1, NULL);

    case G_VARIANT_CLASS_BOOLEAN:
      return size == 1 && (guint8) data[0] <= 1;

    case G_VARIANT_CLASS_INT32:
    case G_VARIANT_CLASS_UINT32:
      return size == 4;

    case G_VARIANT_CLASS_INT64:
    case G_VARIANT_CLASS_UINT64:
    case G_VARIANT_CLASS_DOUBLE:
      return size == 8;

    default:
      return FALSE;
    }
}

static GVariant *
unbox (GBytes *bytes)
{
  gsize size;
  const char *data = g_bytes_get_data (bytes, &size);
  const char *end = size > 0 ? memrchr (data, '\0', size) : NULL;
  gsize type_len = end != NULL ? data + size - end - 1 : 0;
  g_autofree char *long_type = NULL;
  char short_type[16] = "";
  const char *type = short_type;
  g_autoptr (GBytes) content = NULL;
  g_autoptr (GBytes) aligned = NULL;
  gboolean normal;

  if (type_len >= sizeof short_type)
    type = long_type = g_strndup (end + 1, type_len);
  else if (type_len > 0)
    memcpy (short_type, end + 1, type_len);

  normal = is_surely_normal (type, type_len, data, end != NULL ? end - data : 0);
  if (!normal && (!g_variant_type_string_is_valid (type) || !g_variant_type_is_definite (G_VARIANT_TYPE (type))))
    return NULL;

  content = g_bytes_new_from_bytes (bytes, 0, end - data);
  aligned = align (content, type);

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), aligned, normal));
}

static GVariant *
gkv_variant_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  g_autoptr (GVariant) value = unbox (bytes);

  if (value == NULL || !g_variant_is_normal_form (value))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not a GVariant in normal form");
      return NULL;
    }

  return to_little_endian (g_steal_pointer (&value));
}

static GBytes *
gkv_variant_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  g_autoptr (GVariant) swapped = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const char *type = g_variant_get_type_string (value);

  if (is_plain (value, type))
    return box (value, type);

  if (strchr (type, G_VARIANT_CLASS_HANDLE) != NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                   "The codec \"variant\" can't carry values of type \"%s\": a handle is good in one process only",
                   type);
      return NULL;
    }

  swapped = to_little_endian (g_variant_get_normal_form (value));
  bytes = box (swapped, type);

  if (!is_shallow (type))
    {
      g_autoptr (GVariant) back = gkv_variant_codec_decode (codec, bytes, error);

      if (back == NULL)
        return NULL;
    }

  return g_steal_pointer (&bytes);
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

static gboolean
gkv_variant_codec_is_lossless (GkvCodec *codec)
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
  iface->is_lossless = gkv_variant_codec_is_lossless;
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
