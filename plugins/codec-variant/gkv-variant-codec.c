/* The codec "variant": any GVariant but handles.
 *
 * The bytes are those of the value boxed in a variant (the value, a NUL, its type string), little-endian and in normal
 * form.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <string.h>

/* GLib's limit on how deeply a GVariant may be nested to be read. */
#define MAX_DEPTH 128

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

/* The size of an element of an array whose elements are numbers, which may have any bytes; 0 for other types. */
static gsize
get_element_size (const char *type)
{
  if (type[0] != G_VARIANT_CLASS_ARRAY || type[1] == '\0' || type[2] != '\0')
    return 0;

  switch (type[1])
    {
    case G_VARIANT_CLASS_BYTE:
      return 1;

    case G_VARIANT_CLASS_INT16:
    case G_VARIANT_CLASS_UINT16:
      return 2;

    case G_VARIANT_CLASS_INT32:
    case G_VARIANT_CLASS_UINT32:
      return 4;

    case G_VARIANT_CLASS_INT64:
    case G_VARIANT_CLASS_UINT64:
    case G_VARIANT_CLASS_DOUBLE:
      return 8;

    default:
      return 0;
    }
}

/* Whether it is an array that is in normal form whatever its bytes are: GLib would walk over all of them. */
static gboolean
is_array_of_numbers (const char *type, gsize size)
{
  gsize element_size = get_element_size (type);

  return element_size > 0 && size % element_size == 0;
}

/* Values that are carried as they are, without looking into them. */
static gboolean
is_plain (GVariant *value, const char *type)
{
  if (G_BYTE_ORDER != G_LITTLE_ENDIAN)
    return FALSE;
  if (is_array_of_numbers (type, g_variant_get_size (value)))
    return TRUE;

  return type[0] != '\0' && type[1] == '\0' && type[0] != G_VARIANT_CLASS_VARIANT &&
         type[0] != G_VARIANT_CLASS_HANDLE && g_variant_is_normal_form (value);
}

static gboolean
holds_handle (GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  gsize n_children;

  if (strchr (type, G_VARIANT_CLASS_HANDLE) != NULL)
    return TRUE;
  if (strchr (type, G_VARIANT_CLASS_VARIANT) == NULL)
    return FALSE;

  n_children = g_variant_n_children (value);
  for (gsize i = 0; i < n_children; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      if (holds_handle (child))
        return TRUE;
    }

  return FALSE;
}

/* The end of a child, as a container of this size has it in its last bytes, or in those before, little-endian. */
static gsize
read_offset (const guint8 *data, gsize size, gsize offset_size, gsize n_from_end)
{
  gsize offset = 0;

  for (gsize i = 0; i < offset_size; i++)
    offset |= (gsize) data[size - n_from_end * offset_size + i] << 8 * i;
  return MIN (offset, size);
}

static gsize
get_offset_size (gsize size)
{
  return size <= G_MAXUINT8 ? 1 : size <= G_MAXUINT16 ? 2 : size <= G_MAXUINT32 ? 4 : 8;
}

static gsize
round_up (gsize offset)
{
  return (offset + 7) / 8 * 8;
}

static gboolean scan_boxed (const guint8 *data, gsize size);

/* Looks for handles in the bytes of "av", or of "a{sv}", in normal form. */
static gboolean
scan_array (const guint8 *data, gsize size, gboolean is_dictionary)
{
  gsize offset_size = get_offset_size (size), begin = 0, n_children, content_size;

  if (size == 0)
    return FALSE;

  content_size = read_offset (data, size, offset_size, 1);
  n_children = (size - content_size) / offset_size;
  for (gsize i = 0; i < n_children; i++)
    {
      gsize end = MIN (read_offset (data, size, offset_size, n_children - i), content_size);

      if (is_dictionary && begin < end)
        {
          gsize key_offset_size = get_offset_size (end - begin);

          /* The key's end stands at the end of the entry. */
          if (end - begin > key_offset_size)
            {
              gsize value = begin + round_up (read_offset (data + begin, end - begin, key_offset_size, 1));

              if (value < end - key_offset_size && scan_boxed (data + value, end - key_offset_size - value))
                return TRUE;
            }
        }
      else if (begin < end && scan_boxed (data + begin, end - begin))
        return TRUE;
      begin = round_up (end);
    }

  return FALSE;
}

/* Whether there is a handle in these bytes of a value boxed in a variant, in normal form. It is found here for what
 * Python and JavaScript make, as finding it with GLib costs several times the rest of decoding them. */
static gboolean
scan_boxed (const guint8 *data, gsize size)
{
  const guint8 *end = size > 0 ? memrchr (data, '\0', size) : NULL;
  g_autofree char *type = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GVariant) value = NULL;
  gsize content_size, type_len;

  if (end == NULL)
    return FALSE;

  content_size = end - data;
  type_len = size - content_size - 1;
  if (memchr (end + 1, G_VARIANT_CLASS_HANDLE, type_len) != NULL)
    return TRUE;
  if (memchr (end + 1, G_VARIANT_CLASS_VARIANT, type_len) == NULL)
    return FALSE;

  if (type_len == 1)
    return scan_boxed (data, content_size);
  if (type_len == 2 && memcmp (end + 1, "av", 2) == 0)
    return scan_array (data, content_size, FALSE);
  if (type_len == 5 && memcmp (end + 1, "a{sv}", 5) == 0)
    return scan_array (data, content_size, TRUE);
  if (type_len == 2 && memcmp (end + 1, "mv", 2) == 0)
    return content_size > 0 && scan_boxed (data, content_size - 1);

  type = g_strndup ((const char *) end + 1, type_len);
  bytes = g_bytes_new (data, content_size);
  value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), bytes, FALSE));
  return holds_handle (value);
}

/* @boxed: the value as bytes in normal form. */
static gboolean
check_handles (const char *type, GBytes *boxed, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (boxed, &size);

  if (!scan_boxed (data, size))
    return TRUE;

  g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
               "The codec \"variant\" can't carry a value of type \"%s\" with a handle in it: a handle is good in one "
               "process only",
               type);
  return FALSE;
}

/* Some values can be built that are nested too deeply to be read. For most values the type shows that they aren't. */
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

/* Whether a value is in normal form: found here for the types that most values are of, as GLib's check costs more than
 * the rest of decoding them. FALSE: GLib has to check. */
static gboolean
is_surely_normal (const char *type, gsize type_len, const char *data, gsize size)
{
  if (G_BYTE_ORDER != G_LITTLE_ENDIAN)
    return FALSE;
  if (type_len == 2)
    return is_array_of_numbers (type, size);
  if (type_len != 1)
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
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                   "These bytes are not a GVariant in normal form, nested at most %d levels deep", MAX_DEPTH);
      return NULL;
    }
  if (!check_handles (g_variant_get_type_string (value), bytes, error))
    return NULL;

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

  swapped = to_little_endian (g_variant_get_normal_form (value));
  bytes = box (swapped, type);

  if (!is_shallow (type))
    {
      g_autoptr (GVariant) back = unbox (bytes);

      /* It is in normal form: so it is the depth. */
      if (back == NULL || !g_variant_is_normal_form (back))
        {
          g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC,
                       "The value is nested too deeply for the codec \"variant\": at most %d levels can be read, and a "
                       "list or dictionary inside another takes two or more",
                       MAX_DEPTH);
          return NULL;
        }
    }

  return check_handles (type, bytes, error) ? g_steal_pointer (&bytes) : NULL;
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
