/* The codec "json": what JSON can carry, as its text.
 *
 * Strings are s, booleans b, integers x, other numbers d, arrays av, objects a{sv}; null is an empty maybe (mv). A
 * value of another type that JSON can carry comes back as one of these: as, for example, becomes av.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <json-glib/json-glib.h>
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

/* The parser goes down by recursion: texts that nest deeper are refused. */
#define MAX_DEPTH 64

static gboolean
fail (GError **error, const char *what)
{
  g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "JSON can't carry %s", what);
  return FALSE;
}

/* Whether a value comes back with its meaning. */
static gboolean
check (GVariant *value, guint depth, GError **error)
{
  if (depth > MAX_DEPTH)
    return fail (error, "values that nest so deeply");

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_HANDLE:
      return fail (error, "handles");

    case G_VARIANT_CLASS_DOUBLE:
      if (!isfinite (g_variant_get_double (value)))
        return fail (error, "numbers that are not finite");
      return TRUE;

    case G_VARIANT_CLASS_UINT64:
      if (g_variant_get_uint64 (value) > G_MAXINT64)
        return fail (error, "integers above 2^63 - 1");
      return TRUE;

    case G_VARIANT_CLASS_DICT_ENTRY:
      return fail (error, "dictionary entries on their own");

    case G_VARIANT_CLASS_ARRAY:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
        return fail (error, "arrays of bytes; use the codec \"variant\" or \"bytes\"");
      if (g_variant_is_of_type (value, G_VARIANT_TYPE ("a{?*}")))
        {
          if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("a{s*}")))
            return fail (error, "dictionaries whose keys aren't strings");

          for (gsize i = 0; i < g_variant_n_children (value); i++)
            {
              g_autoptr (GVariant) entry = g_variant_get_child_value (value, i);
              g_autoptr (GVariant) child = g_variant_get_child_value (entry, 1);

              if (!check (child, depth + 1, error))
                return FALSE;
            }
          return TRUE;
        }
      break;

    case G_VARIANT_CLASS_VARIANT:
    case G_VARIANT_CLASS_MAYBE:
    case G_VARIANT_CLASS_TUPLE:
      break;

    default:
      return TRUE;
    }

  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      if (!check (child, depth + 1, error))
        return FALSE;
    }
  return TRUE;
}

static GBytes *
gkv_json_codec_encode (GkvCodec *codec, GVariant *value, GError **error)
{
  g_autoptr (JsonNode) node = NULL;
  char *text;

  if (!check (value, 0, error))
    return NULL;

  node = json_gvariant_serialize (value);
  text = json_to_string (node, FALSE);
  return g_bytes_new_take (text, strlen (text));
}

static gboolean
is_too_deep (const char *text, gsize len)
{
  gboolean in_string = FALSE;
  guint depth = 0;

  for (gsize i = 0; i < len; i++)
    {
      if (in_string && text[i] == '\\')
        i++;
      else if (text[i] == '"')
        in_string = !in_string;
      else if (!in_string && (text[i] == '[' || text[i] == '{') && ++depth > 2 * MAX_DEPTH)
        return TRUE;
      else if (!in_string && (text[i] == ']' || text[i] == '}') && depth > 0)
        depth--;
    }

  return FALSE;
}

static gboolean
is_valid (JsonNode *node)
{
  if (JSON_NODE_HOLDS_ARRAY (node))
    {
      JsonArray *array = json_node_get_array (node);

      for (guint i = 0; i < json_array_get_length (array); i++)
        if (!is_valid (json_array_get_element (array, i)))
          return FALSE;
    }
  else if (JSON_NODE_HOLDS_OBJECT (node))
    {
      JsonObjectIter iter;
      const char *name;
      JsonNode *member;

      json_object_iter_init (&iter, json_node_get_object (node));
      while (json_object_iter_next (&iter, &name, &member))
        if (!g_utf8_validate (name, -1, NULL) || !is_valid (member))
          return FALSE;
    }
  else if (json_node_get_value_type (node) == G_TYPE_STRING)
    {
      return g_utf8_validate (json_node_get_string (node), -1, NULL);
    }

  return TRUE;
}

static GVariant *
gkv_json_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  gsize len;
  const char *text = g_bytes_get_data (bytes, &len);
  GVariant *value;

  if (len == 0 || !g_utf8_validate_len (text, len, NULL))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not JSON");
      return NULL;
    }
  if (is_too_deep (text, len))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "This JSON nests too deeply");
      return NULL;
    }
  if (!json_parser_load_from_data (parser, text, len, error))
    return NULL;
  if (json_parser_get_root (parser) == NULL)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not JSON");
      return NULL;
    }

  /* An escaped half of a surrogate pair is JSON, but no text. */
  if (!is_valid (json_parser_get_root (parser)))
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CODEC, "This JSON has strings that are not Unicode");
      return NULL;
    }

  value = json_gvariant_deserialize (json_parser_get_root (parser), NULL, error);
  return value != NULL ? g_variant_take_ref (value) : NULL;
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
