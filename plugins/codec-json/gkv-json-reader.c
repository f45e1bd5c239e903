/* Parsing JSON, by RFC 8259, to a GVariant.
 *
 * A text is put down at once as GLib would serialise it (see "GVariant Serialisation" in its documentation): a tree of
 * what was read, or a GVariant for every element, would take ten to eighty times the memory of a text that comes from
 * strangers. Of the libraries at hand json-glib takes what isn't JSON, and jansson aborts the process when another
 * thread calls localeconv () in a locale of its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-json.h"

#include "gkv.h"

#include <math.h>
#include <string.h>

typedef struct
{
  const char *text; /* UTF-8, without a NUL */
  const char *next;
  const char *end;
  guint depth;
  GString *out;
  GArray *ends;   /* gsize: where the children end of each container that is open */
  GArray *starts; /* gsize: where the names begin of each object that is open */
  GError **error;
} Reader;

static const char *read_value (Reader *self);

/* Says what is wrong at the place that was reached. What stands there isn't repeated: strangers wrote it. */
static gboolean
fail (Reader *self, const char *what)
{
  const char *line = self->text;
  guint n_lines = 1;

  for (const char *c = self->text; c < self->next; c++)
    if (*c == '\n')
      {
        n_lines++;
        line = c + 1;
      }

  g_set_error (self->error, GKV_ERROR, GKV_ERROR_CODEC, "These bytes are not JSON: %s at line %u, column %ld", what,
               n_lines, g_utf8_strlen (line, self->next - line) + 1);
  return FALSE;
}

/* The byte that comes next, or 0 at the end. */
static char
peek (const Reader *self)
{
  return self->next < self->end ? *self->next : '\0';
}

static gboolean
take (Reader *self, char byte)
{
  if (peek (self) != byte)
    return FALSE;

  self->next++;
  return TRUE;
}

static void
skip_space (Reader *self)
{
  while (self->next < self->end && strchr (" \t\n\r", *self->next) != NULL)
    self->next++;
}

/* All that is in an av or an a{sv} begins at a multiple of this. */
#define ALIGNMENT 8

static void
align (GString *out)
{
  static const char zeros[ALIGNMENT];

  g_string_append_len (out, zeros, -out->len % ALIGNMENT);
}

/* Ends a container that began at @start with where its children end, each number as wide as the whole size needs. */
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
read_code_unit (Reader *self, gunichar *unit)
{
  *unit = 0;
  for (guint i = 0; i < 4; i++)
    {
      int digit = g_ascii_xdigit_value (peek (self));

      if (digit < 0)
        return fail (self, "an escape without four hexadecimal digits");
      *unit = *unit << 4 | digit;
      self->next++;
    }
  return TRUE;
}

/* What follows "\u". */
static gboolean
read_code_point (Reader *self)
{
  gunichar unit, low;

  if (!read_code_unit (self, &unit))
    return FALSE;

  if (unit >> 10 == 0xd800 >> 10)
    {
      if (!take (self, '\\') || !take (self, 'u'))
        return fail (self, "half of a surrogate pair");
      if (!read_code_unit (self, &low))
        return FALSE;
      if (low >> 10 != 0xdc00 >> 10)
        return fail (self, "half of a surrogate pair");
      unit = 0x10000 + ((unit & 0x3ff) << 10 | (low & 0x3ff));
    }
  else if (unit >> 10 == 0xdc00 >> 10)
    {
      return fail (self, "half of a surrogate pair");
    }
  else if (unit == 0)
    {
      return fail (self, "a NUL in a string, which no GVariant can have,");
    }

  g_string_append_unichar (self->out, unit);
  return TRUE;
}

static gboolean
read_escape (Reader *self)
{
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  char byte = peek (self);
  const char *escape = byte != '\0' ? strchr (escapes, byte) : NULL;

  if (take (self, 'u'))
    return read_code_point (self);
  if (escape == NULL)
    return fail (self, "an unknown escape");

  self->next++;
  g_string_append_c (self->out, meanings[escape - escapes]);
  return TRUE;
}

/* What follows the first quotation mark, up to and including the last. */
static gboolean
read_string (Reader *self)
{
  while (!take (self, '"'))
    {
      const char *start = self->next;

      while (self->next < self->end && (guchar) *self->next >= ' ' && *self->next != '"' && *self->next != '\\')
        self->next++;
      g_string_append_len (self->out, start, self->next - start);

      if (self->next == self->end)
        return fail (self, "a string without an end");
      if ((guchar) *self->next < ' ')
        return fail (self, "a control character in a string");
      if (take (self, '\\') && !read_escape (self))
        return FALSE;
    }

  g_string_append_c (self->out, '\0');
  return TRUE;
}

static gboolean
skip_digits (Reader *self)
{
  const char *start = self->next;

  while (g_ascii_isdigit (peek (self)))
    self->next++;
  return self->next > start || fail (self, "a number without a digit");
}

/* The number's own text, which the conversions need with a NUL behind it. */
static const char *
append_number (Reader *self, const char *start, gboolean is_integer)
{
  char small[64];
  g_autofree char *large = NULL;
  gsize len = self->next - start;
  char *text = small;
  gint64 integer;
  double real;

  if (len >= sizeof small)
    text = large = g_malloc (len + 1);
  memcpy (text, start, len);
  text[len] = '\0';

  if (is_integer)
    {
      if (!g_ascii_string_to_signed (text, 10, G_MININT64, G_MAXINT64, &integer, NULL))
        {
          fail (self, "an integer that doesn't fit into 64 bits");
          return NULL;
        }
      g_string_append_len (self->out, (const char *) &integer, sizeof integer);
      return "x";
    }

  real = g_ascii_strtod (text, NULL);
  if (!isfinite (real))
    {
      fail (self, "a number that is too large");
      return NULL;
    }
  g_string_append_len (self->out, (const char *) &real, sizeof real);
  return "d";
}

static const char *
read_number (Reader *self)
{
  const char *start = self->next;
  gboolean is_integer = TRUE;

  take (self, '-');
  if (!take (self, '0') && !skip_digits (self))
    return NULL;
  if (take (self, '.'))
    {
      is_integer = FALSE;
      if (!skip_digits (self))
        return NULL;
    }
  if (take (self, 'e') || take (self, 'E'))
    {
      is_integer = FALSE;
      if (!take (self, '+'))
        take (self, '-');
      if (!skip_digits (self))
        return NULL;
    }

  return append_number (self, start, is_integer);
}

static gboolean
read_variant (Reader *self)
{
  const char *type = read_value (self);

  if (type == NULL)
    return FALSE;

  g_string_append_c (self->out, '\0');
  g_string_append (self->out, type);
  return TRUE;
}

static gboolean
read_element (Reader *self)
{
  align (self->out);
  return read_variant (self);
}

static gboolean
read_member (Reader *self)
{
  gsize start, name_end;

  align (self->out);
  start = self->out->len;
  g_array_append_val (self->starts, start);

  skip_space (self);
  if (!take (self, '"'))
    return fail (self, "an object's member without a name in quotation marks");
  if (!read_string (self))
    return FALSE;
  name_end = self->out->len;

  skip_space (self);
  if (!take (self, ':'))
    return fail (self, "a name without a colon behind it");
  align (self->out);
  if (!read_variant (self))
    return FALSE;
  append_ends (self->out, start, &name_end, 1);
  return TRUE;
}

/* What follows the opening bracket, up to and including the closing one. */
static gboolean
read_children (Reader *self, gboolean (*read_child) (Reader *), char closing)
{
  skip_space (self);
  if (take (self, closing))
    return TRUE;

  do
    {
      if (!read_child (self))
        return FALSE;
      g_array_append_val (self->ends, self->out->len);
      skip_space (self);
    }
  while (take (self, ','));

  return take (self, closing) || fail (self, "no comma and no closing bracket");
}

/* Of members with one name the last counts, as with most readers (RFC 8259, section 4). What is inside a member is
 * placed relative to where it begins: so those behind it can be moved. */
static void
drop_superseded (GString *out, GArray *ends_array, gsize *starts, gsize n)
{
  gsize *ends = &g_array_index (ends_array, gsize, ends_array->len - n);
  g_autofree gboolean *superseded = gkv_json_find_superseded (out->str, starts, n);
  gsize end = starts[0], n_kept = 0;

  if (superseded == NULL)
    return;

  for (gsize i = 0; i < n; i++)
    {
      gsize size = ends[i] - starts[i];

      if (superseded[i])
        continue;

      while (end % ALIGNMENT != 0)
        out->str[end++] = '\0';
      memmove (out->str + end, out->str + starts[i], size);
      end += size;
      ends[n_kept++] = end;
    }
  g_string_truncate (out, end);
  g_array_set_size (ends_array, ends_array->len - (n - n_kept));
}

static const char *
read_container (Reader *self, gboolean is_array)
{
  gsize start = self->out->len;
  guint n_ends = self->ends->len, n_starts = self->starts->len;
  gboolean is_read;

  if (self->depth == GKV_JSON_MAX_DEPTH)
    {
      gkv_json_refuse_depth (self->error);
      return NULL;
    }

  self->depth++;
  is_read = is_array ? read_children (self, read_element, ']') : read_children (self, read_member, '}');
  self->depth--;
  if (!is_read)
    return NULL;

  if (self->starts->len > n_starts)
    drop_superseded (self->out, self->ends, &g_array_index (self->starts, gsize, n_starts),
                     self->starts->len - n_starts);
  append_ends (self->out, start, &g_array_index (self->ends, gsize, n_ends), self->ends->len - n_ends);
  g_array_set_size (self->ends, n_ends);
  g_array_set_size (self->starts, n_starts);
  return is_array ? "av" : "a{sv}";
}

static gboolean
take_word (Reader *self, const char *word)
{
  gsize len = strlen (word);

  if ((gsize) (self->end - self->next) < len || memcmp (self->next, word, len) != 0)
    return FALSE;

  self->next += len;
  return TRUE;
}

/* Gives the type, or NULL with the error set. */
static const char *
read_value (Reader *self)
{
  skip_space (self);

  if (take (self, '['))
    return read_container (self, TRUE);
  if (take (self, '{'))
    return read_container (self, FALSE);
  if (take (self, '"'))
    return read_string (self) ? "s" : NULL;
  if (peek (self) == '-' || g_ascii_isdigit (peek (self)))
    return read_number (self);
  if (take_word (self, "null"))
    return "mv";
  if (take_word (self, "true"))
    {
      g_string_append_c (self->out, TRUE);
      return "b";
    }
  if (take_word (self, "false"))
    {
      g_string_append_c (self->out, FALSE);
      return "b";
    }
  fail (self, "no value");
  return NULL;
}

/* Gives the type of the one value that the text is, or NULL with the error set. */
static const char *
read_text (Reader *self)
{
  const char *type;

  if (!g_utf8_validate_len (self->text, self->end - self->text, &self->next))
    {
      fail (self, "bytes that are not UTF-8, or NUL,");
      return NULL;
    }

  self->next = self->text;
  type = read_value (self);
  skip_space (self);
  if (type != NULL && self->next < self->end)
    {
      fail (self, "more than one value");
      return NULL;
    }
  return type;
}

GVariant *
gkv_json_read (GBytes *bytes, GError **error)
{
  gsize len;
  const char *text = g_bytes_get_data (bytes, &len);
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GArray) ends = g_array_new (FALSE, FALSE, sizeof (gsize));
  g_autoptr (GArray) starts = g_array_new (FALSE, FALSE, sizeof (gsize));
  Reader reader = { .out = out, .ends = ends, .starts = starts, .error = error };
  g_autoptr (GBytes) serialised = NULL;
  const char *type;

  /* Of no bytes there is no address. */
  reader.text = reader.next = len > 0 ? text : "";
  reader.end = reader.text + len;
  type = read_text (&reader);
  if (type == NULL)
    return NULL;

  serialised = g_string_free_to_bytes (g_steal_pointer (&out));
  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), serialised, TRUE));
}
