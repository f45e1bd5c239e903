/* The codec "json": what is JSON by RFC 8259 is read and nothing else is, each value comes back as documented, and
 * neither size nor depth does harm.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <string.h>

/* Of arrays and objects inside one another, as the codec has it. */
#define MAX_LEVELS 40

#define MILLION 1000000

static GkvCodec *codec;

static GVariant *
decode (const char *text, gsize len, GError **error)
{
  /* At the end of its own block, so that a sanitizer sees a byte too far. */
  g_autoptr (GBytes) bytes = g_bytes_new (text, len);

  return gkv_codec_decode (codec, bytes, error);
}

/* What was decoded is as GLib would have it, also for those who get its bytes. */
static void
assert_normal (GVariant *value)
{
  g_autoptr (GBytes) bytes = g_variant_get_data_as_bytes (value);
  g_autoptr (GVariant) again = g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (value), bytes, FALSE));

  g_assert_true (g_variant_is_normal_form (again));
  g_assert_cmpvariant (again, value);
}

static GVariant *
assert_decodes (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = decode (text, strlen (text), &error);

  g_assert_no_error (error);
  assert_normal (value);
  return g_steal_pointer (&value);
}

static void
assert_encodes (GVariant *value, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = gkv_codec_encode (codec, value, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_assert_cmpstr (text, ==, expected);
}

/* The message has the part given, and nothing in it that a terminal or a log would stumble on. */
static void
assert_error (const GError *error, const char *part)
{
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
  g_assert_cmpuint (strlen (error->message), <, 512);
  for (const char *c = error->message; *c != '\0'; c++)
    g_assert_true (g_ascii_isprint (*c));
  if (strstr (error->message, part) == NULL)
    g_error ("\"%s\" isn't in: %s", part, error->message);
}

static void
assert_not_decoded (const char *text, gsize len, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = decode (text, len, &error);

  if (value != NULL)
    {
      g_autofree char *shown = g_strescape (text, NULL);

      g_error ("%.100s was read", shown);
    }
  assert_error (error, part);
}

static void
assert_not_encoded (GVariant *value, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = gkv_codec_encode (codec, value, &error);

  g_assert_null (bytes);
  assert_error (error, part);
}

static void
test_texts (void)
{
  const struct
  {
    const char *text;
    const char *value; /* as g_variant_parse () reads it */
  } cases[] = {
    { "null", "@mv nothing" },
    { "\"null\"", "'null'" },
    { "[null, \"null\"]", "[<@mv nothing>, <'null'>]" },
    { "{\"null\": null}", "{'null': <@mv nothing>}" },
    { "true", "true" },
    { "false", "false" },
    { " \t\r\n1 \t\r\n", "int64 1" },
    { "0", "int64 0" },
    { "-0", "int64 0" },
    { "-12", "int64 -12" },
    { "9223372036854775807", "int64 9223372036854775807" },
    { "-9223372036854775808", "int64 -9223372036854775808" },
    { "1.0", "1.0" },
    { "-0.0", "-0.0" },
    { "1e2", "100.0" },
    { "1E+2", "100.0" },
    { "25e-2", "0.25" },
    { "10.5e00", "10.5" },
    { "1e-999", "0.0" },
    { "9223372036854775808.0", "9223372036854775808.0" },
    { "\"\"", "''" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "'\"\\\\/\\b\\f\\n\\r\\t'" },
    { "\"\\u0436\\uD83D\\ude00\"", "'ж😀'" },
    { "\"ж😀\"", "'ж😀'" },
    { "\"\x7f \\u007f \\ufffe\"", "'\\u007f \\u007f \\ufffe'" },
    { "\"/* 'no' */ // comment\"", "'/* \\'no\\' */ // comment'" },
    { "[]", "@av []" },
    { "[ ]", "@av []" },
    { "{}", "@a{sv} {}" },
    { "[1 , 2.5,\n\"x\", [ ] ,true]", "[<int64 1>, <2.5>, <'x'>, <@av []>, <true>]" },
    { "{\"\": 1}", "{'': <int64 1>}" },
    { "{\"a\": 1, \"a\": \"last\"}", "{'a': <'last'>}" },
    { "{\"b\": 1, \"a\": [1], \"c\": \"x\", \"b\": 2, \"a\": {}, \"a\": {\"a\": 1, \"a\": 2}, \"d\": 1.5}",
      "{'c': <'x'>, 'b': <int64 2>, 'a': <{'a': <int64 2>}>, 'd': <1.5>}" },
    { "{\"a\": {\"b\": [null, {}]}}", "{'a': <{'b': <[<@mv nothing>, <@a{sv} {}>]>}>}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) value = assert_decodes (cases[i].text);
      g_autoptr (GVariant) expected = g_variant_ref_sink (g_variant_new_parsed (cases[i].value));
      g_autoptr (GBytes) bytes = gkv_codec_encode (codec, value, NULL);
      g_autoptr (GVariant) again = gkv_codec_decode (codec, bytes, NULL);

      g_assert_cmpvariant (value, expected);
      g_assert_cmpvariant (again, expected);
    }
}

static void
test_not_json (void)
{
  const char *texts[] = {
    /* comments */
    "/* c */ 1", "1 // c", "[1,/*c*/2]", "# c\n1",
    /* quotes of other kinds, or none */
    "'a'", "{'a':1}", "`a`", "{a:1}", "{1:1}", "{null:1}", "a",
    /* commas and colons */
    ",", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1:2]", "{\"a\":1,}", "{\"a\",1}", "{\"a\" 1}", "{\"a\"}",
    /* numbers */
    "0x10", "010", "-01", "01.5", "+1", ".5", "1.", "1.e5", "1,5", "-", "--1", "1e", "1e+", "1e1.5", "1L", "1_000",
    "NaN", "nan", "Infinity", "-Infinity", "-inf",
    /* what a double or a GVariant's integer can't hold */
    "1e999", "[-1e309]", "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890",
    /* words */
    "True", "NULL", "nul", "nulll", "undefined", "var x = 1", "x = 1;",
    /* strings */
    "\"a\tb\"", "\"a\nb\"", "\"a\x1f\"", "{\"a\rb\":1}", "\"\\x41\"", "\"\\'\"", "\"\\U0041\"", "\"\\u12\"",
    "\"\\u12g4\"", "\"\\\xc3\xa9\"", "\"\\\x7f\"",
    /* what no string in a GVariant can be */
    "\"\\u0000\"", "{\"a\\u0000\":1}", "\"\\ud800\"", "[{\"a\":\"\\udc00x\"}]", "{\"\\ud800\":1}", "\"\\ud800\\u0041\"",
    /* not UTF-8 */
    "\"\xff\"", "\"\xc3\"", "\"a\xc3", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "{\"\xe9\":1}",
    "\xef\xbb\xbf[]",
    /* white space of other kinds */
    "\v1", "\f1", "1\xc2\xa0",
    /* nothing, or too little, or too much */
    "", " \n", "[", "[1", "[1,", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "\"", "\"a", "\"a\\", "\"\\u00",
    "tru", "]", "}", "[}", "{]", "[1}", "{\"a\":1]", "1 2", "[] []", "{}1", "\"a\" \"b\"", "[1]]"
  };
  const struct
  {
    const char *text;
    gsize len;
  } with_nul[] = { { "[\0]\0", 4 },         { "\0", 1 },      { "1\0", 2 }, { "true\0", 5 }, { "[1\0]", 4 },
                   { "{\"a\":1.5\0}", 10 }, { "\"a\0b\"", 5 } };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    assert_not_decoded (texts[i], strlen (texts[i]), "These bytes are not JSON: ");
  for (guint i = 0; i < G_N_ELEMENTS (with_nul); i++)
    assert_not_decoded (with_nul[i].text, with_nul[i].len,
                        "These bytes are not JSON: bytes that are not UTF-8, or NUL, ");
}

static void
test_messages (void)
{
  const char *long_word = "[1,\n\n  wordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordword]";

  assert_not_decoded ("[1,\n 2,]", 8, "no value at line 2, column 4");
  assert_not_decoded ("[ nul ]", 7, "no value at line 1, column 3");
  assert_not_decoded ("[1", 2, "no comma and no closing bracket at line 1, column 3");
  assert_not_decoded ("[\"\\\x7f\"]", 6, "an unknown escape at line 1, column 4");
  assert_not_decoded ("[1\0]", 4, "NUL, at line 1, column 3");
  assert_not_decoded ("[\"ж\", \"\\ud800\"]", 16, "half of a surrogate pair at line 1, column 14");
  assert_not_decoded ("[1, 99999999999999999999]", 25, "an integer that doesn't fit into 64 bits at line 1, column 25");
  assert_not_decoded ("", 0, "no value at line 1, column 1");
  assert_not_decoded (long_word, strlen (long_word), "no value at line 3, column 3");
}

static void
test_values (void)
{
  const struct
  {
    const char *value; /* as g_variant_parse () reads it */
    const char *text;
  } cases[] = {
    { "byte 0x05", "5" },
    { "int16 -5", "-5" },
    { "uint16 65535", "65535" },
    { "int32 -2147483648", "-2147483648" },
    { "uint32 4294967295", "4294967295" },
    { "int64 -9223372036854775808", "-9223372036854775808" },
    { "uint64 9223372036854775807", "9223372036854775807" },
    { "1.0", "1.0" },
    { "-0.0", "-0.0" },
    { "objectpath '/a/b'", "\"/a/b\"" },
    { "signature 'a{sv}'", "\"a{sv}\"" },
    { "'a \"b\" \\\\ / \\n \\u0001 ж😀'", "\"a \\\"b\\\" \\\\ / \\n \\u0001 ж😀\"" },
    { "()", "[]" },
    { "(1, 'x')", "[1,\"x\"]" },
    { "[(1, true)]", "[[1,true]]" },
    { "@ms nothing", "null" },
    { "just 'x'", "\"x\"" },
    { "just 'null'", "\"null\"" },
    { "@mms just nothing", "null" },
    { "[nothing, just 'null']", "[null,\"null\"]" },
    { "<<<'x'>>>", "\"x\"" },
    { "@as []", "[]" },
    { "[@as [], ['a']]", "[[],[\"a\"]]" },
    { "@a{ss} {}", "{}" },
    { "{'a': 'b'}", "{\"a\":\"b\"}" },
    { "{'a': [1, 2], 'b': []}", "{\"a\":[1,2],\"b\":[]}" },
    { "{'a': just 1, 'b': nothing}", "{\"a\":1,\"b\":null}" },
    { "{'': <1>, 'null': <@mv nothing>}", "{\"\":1,\"null\":null}" },
    { "[{'a': 1}, {'a': 2}]", "[{\"a\":1},{\"a\":2}]" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_parsed (cases[i].value));

      assert_encodes (value, cases[i].text);
    }
}

static void
test_refused_values (void)
{
  const struct
  {
    const char *value; /* as g_variant_parse () reads it */
    const char *part;
  } cases[] = {
    { "b'xy'", "arrays of bytes; use the codec \"variant\" or \"bytes\"" },
    { "@ay []", "arrays of bytes" },
    { "('x', <[b'xy']>)", "arrays of bytes" },
    { "{1: 'x'}", "dictionaries whose keys aren't strings" },
    { "@a{is} {}", "dictionaries whose keys aren't strings" },
    { "{objectpath '/a': 1}", "dictionaries whose keys aren't strings" },
    { "{signature 's': 1}", "dictionaries whose keys aren't strings" },
    { "{'a': {true: 1}}", "dictionaries whose keys aren't strings" },
    { "{'a': 1, 'a': 1}", "dictionaries that have a key twice" },
    { "[{'': <1>, 'b': <2>, '': <3>}]", "dictionaries that have a key twice" },
    { "{'a', 1}", "dictionary entries on their own" },
    { "handle 1", "handles" },
    { "{'a': <[just handle 1]>}", "handles" },
    { "uint64 9223372036854775808", "integers above 2^63 - 1" },
    { "[uint64 1, 18446744073709551615]", "integers above 2^63 - 1" },
    { "nan", "numbers that are not finite" },
    { "[1.0, inf]", "numbers that are not finite" },
    { "<-inf>", "numbers that are not finite" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_parsed (cases[i].value));

      assert_not_encoded (value, cases[i].part);
    }
}

/* Makes a locale with the decimal point given, as Unicode's number for it: a minimal system has none but C. */
static void
make_locale (const char *folder, const char *point)
{
  const char *characters = "<code_set_name> UTF-8\n<comment_char> %\n<escape_char> /\n<mb_cur_min> 1\n<mb_cur_max> 6\n"
                           "CHARMAP\n<U0000>..<U007F> /x00 ASCII\n<U066B> /xd9/xab POINT\nEND CHARMAP\n";
  g_autofree char *definition =
      g_strdup_printf ("LC_NUMERIC\ndecimal_point \"<%s>\"\nthousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n", point);
  g_autofree char *charmap = g_build_filename (folder, "charmap", NULL);
  g_autofree char *source = g_build_filename (folder, "source", NULL);
  g_autofree char *target = g_build_filename (folder, point, NULL);
  const char *argv[] = { "localedef", "--no-archive", "-c", "-f", charmap, "-i", source, target, NULL };

  g_assert_true (g_file_set_contents (charmap, characters, -1, NULL));
  g_assert_true (g_file_set_contents (source, definition, -1, NULL));
  g_spawn_sync (NULL, (char **) argv, NULL,
                G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
                NULL, NULL);
}

static gboolean
enter_locale (const char *point)
{
  g_autofree char *folder = g_dir_make_tmp ("gkv-json-XXXXXX", NULL);
  const char *argv[] = { "rm", "-r", folder, NULL };
  gboolean entered;

  make_locale (folder, point);
  g_setenv ("LOCPATH", folder, TRUE);
  entered = setlocale (LC_NUMERIC, point) != NULL;
  g_unsetenv ("LOCPATH");
  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
  return entered;
}

static void
assert_double_returns (double number)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = gkv_codec_encode (codec, g_variant_new_double (number), &error);
  g_autoptr (GVariant) value = NULL;
  double back;

  g_assert_no_error (error);
  value = gkv_codec_decode (codec, bytes, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_type_string (value), ==, "d");
  back = g_variant_get_double (value);
  g_assert_cmpmem (&back, sizeof back, &number, sizeof number);
}

/* Of any bits. */
static double
random_double (void)
{
  guint64 bits = (guint64) g_test_rand_int () << 32 | (guint32) g_test_rand_int ();
  double number;

  memcpy (&number, &bits, sizeof number);
  return isfinite (number) ? number : 0.1;
}

static void
assert_doubles_return (void)
{
  const double numbers[] = {
    0.0,    -0.0,   0.1,   1.0 / 3, 1e15,   1e16,    1e17,   1e21,    1e22,     1.5e22,  -1e22,
    1e100,  1e-5,   1e-99, 0x1p53,  0x1p63, -0x1p63, 0x1p64, DBL_MAX, -DBL_MAX, DBL_MIN, 0x1.fffffffffffffp-1023,
    5e-324, -5e-324
  };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    assert_double_returns (numbers[i]);
  for (guint i = 0; i < 100000; i++)
    assert_double_returns (random_double ());
}

static void
test_doubles (void)
{
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_double (1e22));

  assert_doubles_return ();
  assert_encodes (value, "1e+22");
}

static gpointer
return_doubles (gpointer done)
{
  assert_doubles_return ();
  g_atomic_int_set ((int *) done, TRUE);
  return NULL;
}

/* A thread converts, and this one sees nothing of how it does so. */
static void
test_doubles_in_locale (gconstpointer point)
{
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_double (1.5));
  g_autofree char *decimal_point = NULL;
  GThread *thread;
  int done = FALSE;

  if (!enter_locale (point))
    {
      g_test_skip ("there is no localedef that could make a locale with another decimal point");
      return;
    }

  decimal_point = g_strdup (nl_langinfo (RADIXCHAR));
  g_assert_cmpstr (decimal_point, !=, ".");
  assert_encodes (value, "1.5");
  assert_not_decoded ("1,5", 3, "more than one value at line 1, column 2");
  g_assert_true (uselocale (NULL) == LC_GLOBAL_LOCALE);

  thread = g_thread_new ("doubles", return_doubles, &done);
  while (!g_atomic_int_get (&done))
    {
      g_assert_cmpstr (nl_langinfo (RADIXCHAR), ==, decimal_point);
      /* The C library has one place for what this gives: who reads it there gets what another thread asked for. */
      g_assert_cmpstr (localeconv ()->decimal_point, ==, decimal_point);
    }
  g_thread_join (thread);
  setlocale (LC_NUMERIC, "C");
}

typedef struct
{
  const char *path;
  char open, close;
  const char *before, *after; /* the number of each */
} Many;

static const Many many[] = {
  { "/json/many/integers", '[', ']', "", "" },           { "/json/many/doubles", '[', ']', "", ".5" },
  { "/json/many/strings", '[', ']', "\"string ", "\"" }, { "/json/many/arrays", '[', ']', "[", "]" },
  { "/json/many/objects", '[', ']', "{\"\":", "}" },     { "/json/many/members", '{', '}', "\"", "\":null" },
};

/* What takes more than a step for each element doesn't end in time. */
static void
test_many (gconstpointer data)
{
  const Many *test = data;
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GVariant) value = NULL;

  for (guint i = 0; i < MILLION; i++)
    g_string_append_printf (text, "%c%s%u%s", i == 0 ? test->open : ',', test->before, i, test->after);
  g_string_append_c (text, test->close);

  value = assert_decodes (text->str);
  g_assert_cmpuint (g_variant_n_children (value), ==, MILLION);
  assert_encodes (value, text->str);
}

static char *
make_nest (const char *open, const char *leaf, const char *close, guint n)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    g_string_append (text, open);
  g_string_append (text, leaf);
  for (guint i = 0; i < n; i++)
    g_string_append (text, close);
  return g_string_free (text, FALSE);
}

static GVariant *
put_into_object (GVariant *value)
{
  g_autoptr (GVariantDict) dict = g_variant_dict_new (NULL);

  g_variant_dict_insert_value (dict, "a", value);
  return g_variant_ref_sink (g_variant_dict_end (dict));
}

static void
test_depth (void)
{
  const struct
  {
    const char *open;
    const char *leaf;
    const char *close;
    guint n_levels; /* in each open */
    guint n_leaf_levels;
  } cases[] = {
    { "[", "1", "]", 1, 0 },
    { "[", "null", "]", 1, 0 },
    { "[", "[]", "]", 1, 1 },
    { "{\"a\":", "1", "}", 1, 0 },
    { "{\"a\":", "null", "}", 1, 0 },
    { "{\"a\":", "{}", "}", 1, 1 },
    { "[{\"a\":", "\"x\"", "}]", 2, 0 },
  };
  const guint too_many[] = { 2 * MAX_LEVELS, 1023, 1024, 2047, 2048, MILLION };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint n = (MAX_LEVELS - cases[i].n_leaf_levels) / cases[i].n_levels;
      g_autofree char *deepest = make_nest (cases[i].open, cases[i].leaf, cases[i].close, n);
      g_autofree char *deeper = make_nest (cases[i].open, cases[i].leaf, cases[i].close, n + 1);
      g_autoptr (GVariant) value = assert_decodes (deepest);
      g_autoptr (GVariant) object = put_into_object (value);
      g_autoptr (GVariant) tuple = g_variant_ref_sink (g_variant_new_tuple (&value, 1));
      g_autoptr (GVariant) maybe = g_variant_ref_sink (g_variant_new_maybe (NULL, value));

      assert_encodes (value, deepest);
      assert_encodes (maybe, deepest);
      assert_not_decoded (deeper, strlen (deeper), "JSON nested more than 40 levels deep");
      assert_not_encoded (object, "JSON nested more than 40 levels deep");
      assert_not_encoded (tuple, "JSON nested more than 40 levels deep");

      /* An application may put it into something of its own. */
      assert_normal (object);

      for (guint j = 0; j < G_N_ELEMENTS (too_many); j++)
        {
          g_autofree char *text = make_nest (cases[i].open, cases[i].leaf, cases[i].close, too_many[j]);

          assert_not_decoded (text, strlen (text), "JSON nested more than 40 levels deep");
        }
    }
}

/* What looks like a nest to one who counts brackets, or like none, must not use up the stack. */
static void
test_nests (void)
{
  const char *starts[] = { "",      "// \"\n", "/* \" */", "/*",        "# \"\n", "'\"',",  "['\"',",   "{'\"':",
                           "[\"\\", "\"\\\"",  "\"",       "\"\"\"\"[", "\\\"",   "'\\'\"", "[\"\\\"]", "var x =" };
  const char *brackets[] = { "[", "{\"\":", "[/*\"*/", "['\"'," };

  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    for (guint j = 0; j < G_N_ELEMENTS (brackets); j++)
      {
        g_autofree char *nest = make_nest (brackets[j], "", "", MILLION);
        g_autofree char *text = g_strconcat (starts[i], nest, NULL);

        assert_not_decoded (text, strlen (text), "JSON");
      }
}

/* Variants and maybes add no level, and must not use up the stack either. */
static void
test_wrappers (void)
{
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_string ("core"));

  for (guint i = 0; i < 300000; i++)
    {
      g_autoptr (GVariant) inner = value;

      value = g_variant_ref_sink (i % 2 == 0 ? g_variant_new_variant (inner) : g_variant_new_maybe (NULL, inner));
    }
  assert_encodes (value, "\"core\"");

  /* GLib would use up the stack to free it at once. */
  while (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    {
      g_autoptr (GVariant) outer = value;

      value = g_variant_get_child_value (outer, 0);
    }
}

static GVariant *
make_string (gsize len)
{
  return g_variant_new_take_string (g_strnfill (len, 'x'));
}

static GVariant *
make_random (guint depth)
{
  guint kind = g_test_rand_int_range (0, depth < 5 ? 9 : 6), n = g_test_rand_int_range (0, 7);
  g_auto (GVariantBuilder) array = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("av"));
  g_auto (GVariantBuilder) object = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{sv}"));

  switch (kind)
    {
    case 0:
      return g_variant_new_boolean (g_test_rand_bit ());
    case 1:
      return g_variant_new_int64 (g_test_rand_int ());
    case 2:
      return g_variant_new_double (random_double ());
    case 3:
      return make_string (g_test_rand_int_range (0, 20));
    case 4:
      return make_string (g_test_rand_int_range (200, 300));
    case 5:
      return g_variant_new_maybe (G_VARIANT_TYPE_VARIANT, NULL);
    case 6:
      for (guint i = 0; i < n; i++)
        g_variant_builder_add (&array, "v", make_random (depth + 1));
      return g_variant_builder_end (&array);
    default:
      for (guint i = 0; i < n; i++)
        {
          g_autofree char *key = g_strdup_printf ("%u%0*u", i, g_test_rand_int_range (1, 10), 0);

          g_variant_builder_add (&object, "{sv}", key, make_random (depth + 1));
        }
      return g_variant_builder_end (&object);
    }
}

static void
assert_as_by_glib (GVariant *floating)
{
  g_autoptr (GVariant) value = g_variant_ref_sink (floating);
  g_autoptr (GBytes) bytes = gkv_codec_encode (codec, value, NULL);
  g_autoptr (GVariant) back = gkv_codec_decode (codec, bytes, NULL);

  g_assert_cmpstr (g_variant_get_type_string (back), ==, g_variant_get_type_string (value));
  g_assert_cmpmem (g_variant_get_data (back), g_variant_get_size (back), g_variant_get_data (value),
                   g_variant_get_size (value));
  assert_normal (back);
}

/* The codec serialises what it decodes by itself: just as GLib does, at every size. */
static void
test_serialised (void)
{
  const gsize sizes[] = { 0, G_MAXUINT8, G_MAXUINT16 };

  for (guint i = 0; i < 5000; i++)
    assert_as_by_glib (make_random (0));

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (gsize len = MAX (sizes[i], 100) - 100; len < sizes[i] + 20; len++)
      {
        assert_as_by_glib (g_variant_new_parsed ("[<%*>]", make_string (len)));
        assert_as_by_glib (g_variant_new_parsed ("[<%*>, <int64 1>, <'x'>]", make_string (len)));
        assert_as_by_glib (g_variant_new_parsed ("{'a': <%*>}", make_string (len)));
        assert_as_by_glib (g_variant_new_parsed ("{'a': <true>, 'b': <%*>, 'c': <1.5>}", make_string (len)));
      }
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  int result;

  g_test_init (&argc, &argv, NULL);
  codec = gkv_codec_new_for_name ("json", &error);
  g_assert_no_error (error);

  g_test_add_func ("/json/texts", test_texts);
  g_test_add_func ("/json/not-json", test_not_json);
  g_test_add_func ("/json/messages", test_messages);
  g_test_add_func ("/json/values", test_values);
  g_test_add_func ("/json/refused-values", test_refused_values);
  g_test_add_func ("/json/doubles", test_doubles);
  g_test_add_data_func ("/json/doubles/comma", "U002C", test_doubles_in_locale);
  g_test_add_data_func ("/json/doubles/point-of-two-bytes", "U066B", test_doubles_in_locale);
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    g_test_add_data_func (many[i].path, &many[i], test_many);
  g_test_add_func ("/json/depth", test_depth);
  g_test_add_func ("/json/nests", test_nests);
  g_test_add_func ("/json/wrappers", test_wrappers);
  g_test_add_func ("/json/serialised", test_serialised);

  result = g_test_run ();
  g_object_unref (codec);
  return result;
}
