/* Writing a GVariant as JSON. A value that would not come back with its meaning is refused.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-json.h"

#include "gkv.h"

#include <math.h>
#include <string.h>

typedef struct
{
  GString *out;
  guint depth;
  GString *names; /* of each dictionary that is open, a NUL behind each */
  GArray *starts; /* gsize: where these begin */
  GError **error;
} Writer;

static gboolean write_value (Writer *self, GVariant *value);

static gboolean
refuse (Writer *self, const char *what)
{
  g_set_error (self->error, GKV_ERROR, GKV_ERROR_CODEC, "JSON can't carry %s", what);
  return FALSE;
}

static void
write_string (GString *out, const char *string)
{
  static const char short_forms[32] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
  const char *start = string;

  g_string_append_c (out, '"');
  for (const char *c = string; *c != '\0'; c++)
    {
      guchar byte = *c;

      if (byte >= ' ' && byte != '"' && byte != '\\')
        continue;

      g_string_append_len (out, start, c - start);
      start = c + 1;
      if (byte >= ' ')
        g_string_append_printf (out, "\\%c", byte);
      else if (short_forms[byte] != '\0')
        g_string_append_printf (out, "\\%c", short_forms[byte]);
      else
        g_string_append_printf (out, "\\u%04x", byte);
    }
  g_string_append (out, start);
  g_string_append_c (out, '"');
}

/* With as few digits as bring it back; 17 always do. What looks like an integer gets a point, or it would come back as
 * one. */
static void
write_double (GString *out, double number)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  g_ascii_formatd (text, sizeof text, "%.15g", number);
  if (g_ascii_strtod (text, NULL) != number)
    g_ascii_formatd (text, sizeof text, "%.17g", number);

  g_string_append (out, text);
  if (strpbrk (text, ".e") == NULL)
    g_string_append (out, ".0");
}

static gboolean
write_children (Writer *self, GVariant *value, gboolean (*write_child) (Writer *, GVariant *), const char *brackets)
{
  gsize n = g_variant_n_children (value);

  g_string_append_c (self->out, brackets[0]);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      if (i > 0)
        g_string_append_c (self->out, ',');
      if (!write_child (self, child))
        return FALSE;
    }
  g_string_append_c (self->out, brackets[1]);
  return TRUE;
}

static gboolean
write_member (Writer *self, GVariant *entry)
{
  g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
  g_autoptr (GVariant) child = g_variant_get_child_value (entry, 1);
  const char *name = g_variant_get_string (key, NULL);

  g_array_append_val (self->starts, self->names->len);
  g_string_append_len (self->names, name, strlen (name) + 1);
  write_string (self->out, name);
  g_string_append_c (self->out, ':');
  return write_value (self, child);
}

static gboolean
write_dictionary (Writer *self, GVariant *value)
{
  gsize names_len = self->names->len;
  guint n_starts = self->starts->len;
  g_autofree gboolean *superseded = NULL;

  if (!write_children (self, value, write_member, "{}"))
    return FALSE;

  superseded = gkv_json_find_superseded (self->names->str, &g_array_index (self->starts, gsize, n_starts),
                                         self->starts->len - n_starts);
  g_string_truncate (self->names, names_len);
  g_array_set_size (self->starts, n_starts);
  return superseded == NULL || refuse (self, "dictionaries that have a key twice");
}

static gboolean
write_container (Writer *self, GVariant *value)
{
  gboolean is_dictionary = g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY);
  gboolean is_written;

  if (self->depth == GKV_JSON_MAX_DEPTH)
    return gkv_json_refuse_depth (self->error);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return refuse (self, "arrays of bytes; use the codec \"variant\" or \"bytes\"");
  if (is_dictionary && !g_variant_is_of_type (value, G_VARIANT_TYPE ("a{s*}")))
    return refuse (self, "dictionaries whose keys aren't strings");

  self->depth++;
  is_written = is_dictionary ? write_dictionary (self, value) : write_children (self, value, write_value, "[]");
  self->depth--;
  return is_written;
}

static gboolean
is_wrapper (GVariant *value)
{
  GVariantClass class = g_variant_classify (value);

  return class == G_VARIANT_CLASS_VARIANT || class == G_VARIANT_CLASS_MAYBE;
}

/* Takes off the variants and maybes around a value, which JSON has none of; gives NULL where nothing is inside. They
 * can nest without end, so that this is a loop. */
static GVariant *
unwrap (GVariant *value)
{
  GVariant *content = g_variant_ref (value);

  while (content != NULL && is_wrapper (content))
    {
      g_autoptr (GVariant) wrapper = content;

      content = g_variant_n_children (wrapper) != 0 ? g_variant_get_child_value (wrapper, 0) : NULL;
    }
  return content;
}

static gboolean
write_value (Writer *self, GVariant *value)
{
  g_autoptr (GVariant) content = unwrap (value);

  if (content == NULL)
    {
      g_string_append (self->out, "null");
      return TRUE;
    }

  switch (g_variant_classify (content))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      g_string_append (self->out, g_variant_get_boolean (content) ? "true" : "false");
      return TRUE;

    case G_VARIANT_CLASS_BYTE:
      g_string_append_printf (self->out, "%u", g_variant_get_byte (content));
      return TRUE;

    case G_VARIANT_CLASS_INT16:
      g_string_append_printf (self->out, "%d", g_variant_get_int16 (content));
      return TRUE;

    case G_VARIANT_CLASS_UINT16:
      g_string_append_printf (self->out, "%u", g_variant_get_uint16 (content));
      return TRUE;

    case G_VARIANT_CLASS_INT32:
      g_string_append_printf (self->out, "%d", g_variant_get_int32 (content));
      return TRUE;

    case G_VARIANT_CLASS_UINT32:
      g_string_append_printf (self->out, "%u", g_variant_get_uint32 (content));
      return TRUE;

    case G_VARIANT_CLASS_INT64:
      g_string_append_printf (self->out, "%" G_GINT64_FORMAT, g_variant_get_int64 (content));
      return TRUE;

    case G_VARIANT_CLASS_UINT64:
      if (g_variant_get_uint64 (content) > G_MAXINT64)
        return refuse (self, "integers above 2^63 - 1");
      g_string_append_printf (self->out, "%" G_GUINT64_FORMAT, g_variant_get_uint64 (content));
      return TRUE;

    case G_VARIANT_CLASS_DOUBLE:
      if (!isfinite (g_variant_get_double (content)))
        return refuse (self, "numbers that are not finite");
      write_double (self->out, g_variant_get_double (content));
      return TRUE;

    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      write_string (self->out, g_variant_get_string (content, NULL));
      return TRUE;

    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
      return write_container (self, content);

    case G_VARIANT_CLASS_HANDLE:
      return refuse (self, "handles");

    case G_VARIANT_CLASS_DICT_ENTRY:
      return refuse (self, "dictionary entries on their own");

    case G_VARIANT_CLASS_VARIANT:
    case G_VARIANT_CLASS_MAYBE:
    default:
      g_return_val_if_reached (FALSE);
    }
}

GBytes *
gkv_json_write (GVariant *value, GError **error)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GString) names = g_string_new (NULL);
  g_autoptr (GArray) starts = g_array_new (FALSE, FALSE, sizeof (gsize));
  Writer writer = { .out = out, .names = names, .starts = starts, .error = error };

  if (!write_value (&writer, value))
    return NULL;
  return g_string_free_to_bytes (g_steal_pointer (&out));
}
