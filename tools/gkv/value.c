/* Values as people type and read them. The rule is that what was typed comes back as it was typed: 00123, 1.10 and
 * 12345678901234567890 are no numbers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "value.h"

#include <errno.h>
#include <string.h>

/* With as few digits as bring the number back, and with a point or an exponent, as GVariant's text has it. */
static char *
print_double (double number)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  for (int digits = 15; digits <= 17; digits++)
    {
      g_autofree char *format = g_strdup_printf ("%%.%dg", digits);

      g_ascii_formatd (text, sizeof text, format, number);
      if (g_ascii_strtod (text, NULL) == number)
        break;
    }
  return g_strconcat (text, strpbrk (text, ".eEnN") == NULL ? ".0" : "", NULL);
}

char *
value_print (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string (value, NULL);
  return value_show (value);
}

char *
value_show (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return print_double (g_variant_get_double (value));
  return g_variant_print (value, FALSE);
}

char *
value_escape (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *escaped = g_string_new (NULL);

  for (const char *c = valid; *c != '\0'; c = g_utf8_next_char (c))
    {
      gunichar character = g_utf8_get_char (c);

      if (g_unichar_isprint (character))
        g_string_append_unichar (escaped, character);
      else
        g_string_append_printf (escaped, "\\u%04x", character);
    }
  return g_string_free (escaped, FALSE);
}

/* The value, if it is printed as it was typed; else nothing. */
static GVariant *
keep_if_same (GVariant *value, const char *text)
{
  g_autofree char *printed = value_print (value);

  if (g_str_equal (printed, text))
    return value;
  g_variant_unref (value);
  return NULL;
}

static GVariant *
parse_number (const char *text)
{
  gboolean is_real = strpbrk (text, ".eE") != NULL;
  char *end;

  if (!g_ascii_isdigit (text[text[0] == '-']))
    return NULL;

  errno = 0;
  if (is_real)
    {
      double number = g_ascii_strtod (text, &end);

      return *end == '\0' && errno == 0 ? keep_if_same (g_variant_ref_sink (g_variant_new_double (number)), text)
                                        : NULL;
    }
  else
    {
      gint64 number = g_ascii_strtoll (text, &end, 10);

      return *end == '\0' && errno == 0 ? keep_if_same (g_variant_ref_sink (g_variant_new_int64 (number)), text) : NULL;
    }
}

/* Whether a text begins as a container or a literal of GVariant's does. Words are none, but for the names of types that
 * stand before a value. */
static gboolean
looks_like_variant (const char *text)
{
  static const char *const names[] = {
    "boolean ", "byte ",   "int16 ",  "uint16 ", "int32 ",      "uint32 ",    "int64 ",
    "uint64 ",  "double ", "string ", "just ",   "objectpath ", "signature ",
  };

  if (*text != '\0' && strchr ("[({<'\"@", *text) != NULL)
    return TRUE;
  if (g_str_has_prefix (text, "b'") || g_str_has_prefix (text, "b\""))
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      if (g_str_has_prefix (text, names[i]))
        return TRUE;
    }
  return FALSE;
}

static GVariant *
parse_as (const char *text, const GVariantType *type, GError **error)
{
  if (g_variant_type_equal (type, G_VARIANT_TYPE_STRING))
    return g_variant_ref_sink (g_variant_new_string (text));
  return g_variant_parse (type, text, NULL, NULL, error);
}

GVariant *
value_parse (const char *text, const char *type, const GVariantType *present, GError **error)
{
  GVariant *value = NULL;

  if (!g_utf8_validate (text, -1, NULL))
    {
      g_set_error_literal (error, G_VARIANT_PARSE_ERROR, G_VARIANT_PARSE_ERROR_FAILED, "A value is typed in UTF-8");
      return NULL;
    }
  if (type != NULL)
    {
      if (!g_variant_type_string_is_valid (type) || !g_variant_type_is_definite (G_VARIANT_TYPE (type)))
        {
          g_set_error (error, G_VARIANT_PARSE_ERROR, G_VARIANT_PARSE_ERROR_INVALID_TYPE_STRING, "%s is no type", type);
          return NULL;
        }
      return parse_as (text, G_VARIANT_TYPE (type), error);
    }

  if (present != NULL)
    value = parse_as (text, present, NULL);
  if (value == NULL && (g_str_equal (text, "true") || g_str_equal (text, "false")))
    value = g_variant_ref_sink (g_variant_new_boolean (g_str_equal (text, "true")));
  if (value == NULL)
    value = parse_number (text);
  if (value == NULL && looks_like_variant (text))
    value = g_variant_parse (NULL, text, NULL, NULL, NULL);
  if (value == NULL)
    value = g_variant_ref_sink (g_variant_new_string (text));
  return value;
}
