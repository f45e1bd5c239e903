/* Values come back as they were typed, and are of the type that the text looks like.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "value.h"

/* What is typed, where a key has a type already, what it becomes, and what is printed if that differs. */
static const struct
{
  const char *text;
  const char *present;
  const char *type;
  const char *printed;
} cases[] = {
  { "blue", NULL, "s", NULL },
  { "", NULL, "s", NULL },
  { " 1", NULL, "s", NULL },
  { "true", NULL, "b", NULL },
  { "True", NULL, "s", NULL },
  { "0", NULL, "x", NULL },
  { "42", NULL, "x", NULL },
  { "-42", NULL, "x", NULL },
  { "-0", NULL, "s", NULL },
  { "+5", NULL, "s", NULL },
  { "00123", NULL, "s", NULL },
  { "0x10", NULL, "s", NULL },
  { "9223372036854775807", NULL, "x", NULL },
  { "-9223372036854775808", NULL, "x", NULL },
  { "9223372036854775808", NULL, "s", NULL },
  { "12345678901234567890", NULL, "s", NULL },
  { "1.5", NULL, "d", NULL },
  { "0.1", NULL, "d", NULL },
  { "-2.0", NULL, "d", NULL },
  { "1e+20", NULL, "d", NULL },
  { "1.10", NULL, "s", NULL },
  { "1e5", NULL, "s", NULL },
  { "1.", NULL, "s", NULL },
  { ".5", NULL, "s", NULL },
  { "1e999", NULL, "s", NULL },
  { "inf", NULL, "s", NULL },
  { "nan", NULL, "s", NULL },
  { "1.2.3", NULL, "s", NULL },
  { "192.0.2.1:7000", NULL, "s", NULL },
  { "2026-11-27", NULL, "s", NULL },
  { "[1, 2]", NULL, "ai", NULL },
  { "[1, 2", NULL, "s", NULL },
  { "(1, 'a')", NULL, "(is)", NULL },
  { "{'a': <1>}", NULL, "a{sv}", NULL },
  { "<5>", NULL, "v", NULL },
  { "<b>", NULL, "s", NULL },
  { "'007'", NULL, "s", "007" },
  { "'007", NULL, "s", NULL },
  { "uint32 5", NULL, "u", "5" },
  { "string theory", NULL, "s", NULL },
  { "nothing", NULL, "s", NULL },
  { "@as []", NULL, "as", "[]" },
  { "@nonsense", NULL, "s", NULL },
  { "[]", NULL, "s", NULL },
  { "true", "s", "s", NULL },
  { "42", "s", "s", NULL },
  { "42", "u", "u", NULL },
  { "-1", "u", "x", NULL },
  { "blue", "u", "s", NULL },
  { "5", "d", "d", "5.0" },
  { "[]", "as", "as", NULL },
};

static void
test_typed (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const GVariantType *present = cases[i].present != NULL ? G_VARIANT_TYPE (cases[i].present) : NULL;
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) value = value_parse (cases[i].text, NULL, present, &error);
      g_autofree char *printed = value != NULL ? value_print (value) : NULL;

      g_test_message ("%s", cases[i].text);
      g_assert_no_error (error);
      g_assert_false (g_variant_is_floating (value));
      g_assert_cmpstr (g_variant_get_type_string (value), ==, cases[i].type);
      g_assert_cmpstr (printed, ==, cases[i].printed != NULL ? cases[i].printed : cases[i].text);
    }
}

/* A type that is asked for is the type, or an error. */
static void
test_asked (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = value_parse ("42", "s", G_VARIANT_TYPE_INT64, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "42");

  g_assert_null (value_parse ("blue", "x", NULL, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_null (value_parse ("1", "nonsense", NULL, &error));
  g_assert_error (error, G_VARIANT_PARSE_ERROR, G_VARIANT_PARSE_ERROR_INVALID_TYPE_STRING);
  g_clear_error (&error);
  g_assert_null (value_parse ("[]", "a*", NULL, &error));
  g_assert_error (error, G_VARIANT_PARSE_ERROR, G_VARIANT_PARSE_ERROR_INVALID_TYPE_STRING);
  g_clear_error (&error);
  g_assert_null (value_parse ("\xff", NULL, NULL, &error));
  g_assert_error (error, G_VARIANT_PARSE_ERROR, G_VARIANT_PARSE_ERROR_FAILED);
}

/* Every double comes back, whatever its digits. */
static void
test_doubles (void)
{
  for (guint i = 0; i < 100000; i++)
    {
      double number = g_test_rand_double () / g_test_rand_double ();
      g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_double (number));
      g_autofree char *printed = value_print (value);
      g_autoptr (GVariant) again = value_parse (printed, NULL, NULL, NULL);

      g_assert_true (g_variant_equal (value, again));
    }
}

static void
test_escape (void)
{
  g_autofree char *escaped = value_escape ("a\033[2J\xff\n\u202e\u00fc");

  g_assert_cmpstr (escaped, ==, "a\\u001b[2J\uFFFD\\u000a\\u202e\u00fc");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/value/typed", test_typed);
  g_test_add_func ("/value/asked", test_asked);
  g_test_add_func ("/value/doubles", test_doubles);
  g_test_add_func ("/value/escape", test_escape);
  return g_test_run ();
}
