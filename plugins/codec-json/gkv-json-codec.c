/* The codec "json": what JSON can carry, as its text by RFC 8259.
 *
 * Strings are s, booleans b, integers x, other numbers d, arrays av, objects a{sv}; null is an empty maybe (mv). A
 * value of another type that JSON can carry comes back as one of these: as, for example, becomes av.
 *
 * jansson reads and writes the text. What it has read is put down at once as GLib would serialise it: a GVariant of its
 * own for every element would take ten times the memory, and the text comes from strangers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <string.h>

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

/* How many arrays and objects can be inside one another, in both directions. GLib takes up to 128 levels of its own,
 * and an object is three of them (a, {sv} and v): 40 leave some to an application that puts the value into another. */
#define MAX_DEPTH 40

static locale_t c_locale;

/* jansson asks localeconv () how a decimal point looks, and can't do with one of several bytes: there it has to see the
 * C locale. Elsewhere the thread stays in its own, as what localeconv () gives is one for all threads: another one that
 * asks would make jansson see the wrong point. To be undone by uselocale (), which does nothing when given nothing. */
static locale_t
leave_locale (void)
{
  return strlen (nl_langinfo (RADIXCHAR)) > 1 ? uselocale (c_locale) : (locale_t) 0;
}

static void
set_too_deep (GError **error)
{
  g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "JSON nested more than %d levels deep", MAX_DEPTH);
}

/* From a GVariant to JSON */

static json_t *value_to_json (GVariant *value, guint depth, GError **error);

static json_t *
refuse (GError **error, const char *what)
{
  g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "JSON can't carry %s", what);
  return NULL;
}

static json_t *
array_to_json (GVariant *value, guint depth, GError **error)
{
  json_auto_t *array = json_array ();
  gsize n = g_variant_n_children (value);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);
      json_t *element = value_to_json (child, depth, error);

      if (element == NULL || json_array_append_new (array, element) != 0)
        return NULL;
    }
  return g_steal_pointer (&array);
}

static json_t *
dictionary_to_json (GVariant *value, guint depth, GError **error)
{
  json_auto_t *object = json_object ();
  gsize n = g_variant_n_children (value);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (value, i);
      g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
      g_autoptr (GVariant) child = g_variant_get_child_value (entry, 1);
      json_t *member = value_to_json (child, depth, error);

      if (member == NULL || json_object_set_new (object, g_variant_get_string (key, NULL), member) != 0)
        return NULL;
    }

  if (json_object_size (object) != n)
    return refuse (error, "dictionaries that have a key twice");
  return g_steal_pointer (&object);
}

static json_t *
container_to_json (GVariant *value, guint depth, GError **error)
{
  if (depth == MAX_DEPTH)
    {
      set_too_deep (error);
      return NULL;
    }

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return refuse (error, "arrays of bytes; use the codec \"variant\" or \"bytes\"");
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
    return array_to_json (value, depth + 1, error);
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("a{s*}")))
    return refuse (error, "dictionaries whose keys aren't strings");
  return dictionary_to_json (value, depth + 1, error);
}

/* Takes off the variants and maybes around a value, which JSON has none of; gives NULL where nothing is inside. They
 * can nest without end, so that this is a loop. */
static GVariant *
unwrap (GVariant *value)
{
  GVariant *content = g_variant_ref (value);

  while (content != NULL && (g_variant_is_of_type (content, G_VARIANT_TYPE_VARIANT) ||
                             g_variant_is_of_type (content, G_VARIANT_TYPE_MAYBE)))
    {
      g_autoptr (GVariant) wrapper = content;

      content = g_variant_n_children (wrapper) != 0 ? g_variant_get_child_value (wrapper, 0) : NULL;
    }
  return content;
}

/* Where memory is short jansson gives NULL: so does this, with no error set. */
static json_t *
value_to_json (GVariant *value, guint depth, GError **error)
{
  g_autoptr (GVariant) content = unwrap (value);

  if (content == NULL)
    return json_null ();

  switch (g_variant_classify (content))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return json_boolean (g_variant_get_boolean (content));

    case G_VARIANT_CLASS_BYTE:
      return json_integer (g_variant_get_byte (content));

    case G_VARIANT_CLASS_INT16:
      return json_integer (g_variant_get_int16 (content));

    case G_VARIANT_CLASS_UINT16:
      return json_integer (g_variant_get_uint16 (content));

    case G_VARIANT_CLASS_INT32:
      return json_integer (g_variant_get_int32 (content));

    case G_VARIANT_CLASS_UINT32:
      return json_integer (g_variant_get_uint32 (content));

    case G_VARIANT_CLASS_INT64:
      return json_integer (g_variant_get_int64 (content));

    case G_VARIANT_CLASS_UINT64:
      if (g_variant_get_uint64 (content) > G_MAXINT64)
        return refuse (error, "integers above 2^63 - 1");
      return json_integer (g_variant_get_uint64 (content));

    case G_VARIANT_CLASS_DOUBLE:
      if (!isfinite (g_variant_get_double (content)))
        return refuse (error, "numbers that are not finite");
      return json_real (g_variant_get_double (content));

    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return json_string (g_variant_get_string (content, NULL));

    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
      return container_to_json (content, depth, error);

    case G_VARIANT_CLASS_HANDLE:
      return refuse (error, "handles");

    case G_VARIANT_CLASS_DICT_ENTRY:
      return refuse (error, "dictionary entries on their own");

    case G_VARIANT_CLASS_VARIANT:
    case G_VARIANT_CLASS_MAYBE:
    default:
      g_return_val_if_reached (NULL);
    }
}

static int
append_text (const char *text, size_t len, void *out)
{
  g_string_append_len (out, text, len);
  return 0;
}

static GBytes *
gkv_json_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  json_auto_t *json = value_to_json (value, 0, error);
  g_autoptr (GString) text = g_string_new (NULL);
  locale_t locale;
  int result;

  if (json == NULL)
    return NULL;

  locale = leave_locale ();
  result = json_dump_callback (json, append_text, text, JSON_COMPACT | JSON_ENCODE_ANY);
  uselocale (locale);
  return result == 0 ? g_bytes_new (text->str, text->len) : NULL;
}

/* From JSON to a GVariant, in its serialised form: see "GVariant Serialisation" in GLib's documentation. */

static const char *append_value (GString *out, json_t *json, guint depth, GError **error);

/* All that is in an av or an a{sv} begins at a multiple of 8. */
static void
align (GString *out)
{
  static const char zeros[8];

  g_string_append_len (out, zeros, -out->len % sizeof zeros);
}

/* Ends a container with where its children end, each number as wide as the whole size needs. */
static void
append_ends (GString *out, gsize start, const gsize *ends, gsize n_ends)
{
  gsize size = out->len - start;
  guint width = 1;

  while (width < sizeof (guint64) && size + n_ends * width >= G_GUINT64_CONSTANT (1) << (8 * width))
    width *= 2;

  for (gsize i = 0; i < n_ends; i++)
    {
      guint64 end = GUINT64_TO_LE (ends[i] - start);

      g_string_append_len (out, (const char *) &end, width);
    }
}

static gboolean
append_variant (GString *out, json_t *json, guint depth, GError **error)
{
  const char *type = append_value (out, json, depth, error);

  if (type == NULL)
    return FALSE;

  g_string_append_c (out, '\0');
  g_string_append (out, type);
  return TRUE;
}

static gboolean
append_array (GString *out, json_t *array, guint depth, GError **error)
{
  gsize start = out->len, n = json_array_size (array);
  g_autofree gsize *ends = g_new (gsize, n);

  for (gsize i = 0; i < n; i++)
    {
      align (out);
      if (!append_variant (out, json_array_get (array, i), depth, error))
        return FALSE;
      ends[i] = out->len;
    }

  append_ends (out, start, ends, n);
  return TRUE;
}

static gboolean
append_object (GString *out, json_t *object, guint depth, GError **error)
{
  gsize start = out->len, n = 0;
  g_autofree gsize *ends = g_new (gsize, json_object_size (object));

  for (void *i = json_object_iter (object); i != NULL; i = json_object_iter_next (object, i))
    {
      const char *key = json_object_iter_key (i);
      gsize entry, key_end;

      align (out);
      entry = out->len;
      g_string_append_len (out, key, strlen (key) + 1);
      key_end = out->len;
      align (out);
      if (!append_variant (out, json_object_iter_value (i), depth, error))
        return FALSE;
      append_ends (out, entry, &key_end, 1);
      ends[n++] = out->len;
    }

  append_ends (out, start, ends, n);
  return TRUE;
}

static const char *
append_container (GString *out, json_t *json, guint depth, GError **error)
{
  if (depth == MAX_DEPTH)
    {
      set_too_deep (error);
      return NULL;
    }

  if (json_is_array (json))
    return append_array (out, json, depth + 1, error) ? "av" : NULL;
  return append_object (out, json, depth + 1, error) ? "a{sv}" : NULL;
}

/* Gives the value's type, or NULL with the error set. */
static const char *
append_value (GString *out, json_t *json, guint depth, GError **error)
{
  gint64 integer = json_integer_value (json);
  double real = json_real_value (json);

  switch (json_typeof (json))
    {
    case JSON_OBJECT:
    case JSON_ARRAY:
      return append_container (out, json, depth, error);

    case JSON_STRING:
      g_string_append_len (out, json_string_value (json), json_string_length (json) + 1);
      return "s";

    case JSON_INTEGER:
      g_string_append_len (out, (const char *) &integer, sizeof integer);
      return "x";

    case JSON_REAL:
      g_string_append_len (out, (const char *) &real, sizeof real);
      return "d";

    case JSON_TRUE:
    case JSON_FALSE:
      g_string_append_c (out, json_is_true (json));
      return "b";

    case JSON_NULL:
      return "mv";

    default:
      g_return_val_if_reached (NULL);
    }
}

/* jansson quotes what it was given, and strangers gave it. */
static void
set_not_json (GError **error, const json_error_t *failure)
{
  g_autofree char *what = g_strescape (failure->text, "\"");

  g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not JSON: %s at line %d, column %d", what,
               failure->line, failure->column);
}

static json_t *
parse (const char *text, gsize len, GError **error)
{
  const char *nul = memchr (text, '\0', len);
  json_error_t failure = { 0 };
  locale_t locale;
  json_t *json;

  /* jansson passes over one that follows a number or a word. */
  if (nul != NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not JSON: NUL at byte %" G_GSIZE_FORMAT,
                   (gsize) (nul - text));
      return NULL;
    }

  locale = leave_locale ();
  json = json_loadb (text, len, JSON_DECODE_ANY, &failure);
  uselocale (locale);

  if (json == NULL && json_error_code (&failure) == json_error_stack_overflow)
    set_too_deep (error);
  else if (json == NULL)
    set_not_json (error, &failure);
  return json;
}

static GVariant *
gkv_json_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  gsize len;
  const char *text = g_bytes_get_data (bytes, &len);
  json_auto_t *json = parse (len > 0 ? text : "", len, error);
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GBytes) serialised = NULL;
  const char *type;

  if (json == NULL)
    return NULL;

  type = append_value (out, json, 0, error);
  if (type == NULL)
    return NULL;

  serialised = g_bytes_new (out->str, out->len);
  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), serialised, TRUE));
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
  c_locale = newlocale (LC_ALL_MASK, "C", NULL);
}

static void
gkv_json_codec_init (GkvJsonCodec *self)
{
}

GKV_MODULE_DEFINE (codec_json, GKV_CODEC_EXTENSION_POINT_NAME, GKV_TYPE_JSON_CODEC, "json")
