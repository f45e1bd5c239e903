/* Codecs: what each carries comes back, what it can't carry is refused, and hostile bytes do no harm.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <string.h>

/* GLib's limit on how deeply a GVariant can be nested. */
#define GKV_MAX_DEPTH 128

typedef struct
{
  const char *codec;
  const char *value;    /* as g_variant_parse () reads it */
  const char *expected; /* what comes back; NULL: refused */
} Case;

static const Case cases[] = {
  { "variant", "true", "true" },
  { "variant", "int64 5", "int64 5" },
  { "variant", "byte 0x05", "byte 0x05" },
  { "variant", "'ключ'", "'ключ'" },
  { "variant", "(1, 'x', [1.5])", "(1, 'x', [1.5])" },
  { "variant", "{'a': <1>, 'b': <@av []>}", "{'a': <1>, 'b': <@av []>}" },
  { "variant", "@ms nothing", "@ms nothing" },
  { "variant", "()", "()" },
  { "variant", "handle 1", NULL },
  { "variant", "[handle 1]", NULL },
  { "variant", "<handle 1>", NULL },
  { "variant", "{'a': <'hello'>, 'b': <[<(1, handle 1)>]>}", NULL },
  { "variant", "{'h': <'handle'>, 'hh': <[<'h'>, <b'h'>]>}", "{'h': <'handle'>, 'hh': <[<'h'>, <b'h'>]>}" },
  { "variant", "[int64 1, -2]", "[int64 1, -2]" },
  { "variant", "@ad []", "@ad []" },
  { "bytes", "b'xy'", "b'xy'" },
  { "bytes", "@ay []", "@ay []" },
  { "bytes", "'xy'", NULL },
  { "string", "'ключ'", "'ключ'" },
  { "string", "''", "''" },
  { "string", "5", NULL },
  { "json", "true", "true" },
  { "json", "5", "int64 5" },
  { "json", "int64 9223372036854775807", "int64 9223372036854775807" },
  { "json", "int64 -9223372036854775808", "int64 -9223372036854775808" },
  { "json", "1.0", "1.0" },
  { "json", "'a \"quoted\" one'", "'a \"quoted\" one'" },
  { "json", "['a', 'b']", "[<'a'>, <'b'>]" },
  { "json", "{'a': <[1]>}", "{'a': <[<int64 1>]>}" },
  { "json", "@av []", "@av []" },
  { "json", "@a{sv} {}", "@a{sv} {}" },
  { "json", "b'xy'", NULL },
  { "json", "{1: 'x'}", NULL },
  { "json", "uint64 18446744073709551615", NULL },
  { "json", "handle 1", NULL },
};

/* Makes a codec; gives NULL and skips the test when the build was to go without it. */
static GkvCodec *
make_codec (const char *name)
{
  g_autoptr (GError) error = NULL;
  GkvCodec *codec = gkv_codec_new_for_name (name, &error);

  if (codec == NULL && !GKV_JSON_IS_BUILT && g_str_equal (name, "json"))
    g_test_skip ("the codec \"json\" was left out of this build");
  else
    g_assert_no_error (error);
  return codec;
}

static void
test_case (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GkvCodec) codec = make_codec (test->codec);
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GVariant) result = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GVariant) expected = NULL;

  if (codec == NULL)
    return;

  g_assert_cmpstr (gkv_codec_get_name (codec), ==, test->codec);
  g_assert_true (gkv_codec_is_thread_safe (codec));

  value = g_variant_ref_sink (g_variant_new_parsed (test->value));
  bytes = gkv_codec_encode (codec, value, &error);
  if (test->expected == NULL)
    {
      g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
      g_assert_null (bytes);
      return;
    }

  g_assert_no_error (error);
  result = gkv_codec_decode (codec, bytes, &error);
  g_assert_no_error (error);
  expected = g_variant_ref_sink (g_variant_new_parsed (test->expected));
  g_assert_cmpvariant (result, expected);
  if (gkv_codec_is_lossless (codec))
    g_assert_cmpvariant (result, value);
}

static void
test_lossless (gconstpointer name)
{
  g_autoptr (GkvCodec) codec = make_codec (name);

  if (codec != NULL)
    g_assert_cmpint (gkv_codec_is_lossless (codec), ==, !g_str_equal (name, "json"));
}

/* The format is GLib's own: that of a value boxed in a variant. */
static void
test_boxed (void)
{
  const char *texts[] = { "'text'",    "int64 7",    "true", "{'a': <[1, 2]>}",    "('x', uint16 3)", "b'raw'",
                          "@a{sv} {}", "<<'deep'>>", "()",   "[nothing, just 'x']" };
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("variant", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_parsed (texts[i]));
      g_autoptr (GVariant) boxed = g_variant_ref_sink (g_variant_new_variant (value));
      g_autoptr (GVariant) wire = G_BYTE_ORDER == G_LITTLE_ENDIAN ? g_variant_ref (boxed) : g_variant_byteswap (boxed);
      g_autoptr (GBytes) bytes = gkv_codec_encode (codec, value, NULL);

      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), g_variant_get_data (wire),
                       g_variant_get_size (wire));
    }
}

/* What GLib lets one build, but nobody read, is refused before it is kept. */
static void
test_too_deep (void)
{
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("variant", NULL);
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_string ("core"));
  g_autofree char *type = g_strnfill (GKV_MAX_DEPTH, 'a');
  g_autofree char *deepest = g_strconcat (type, "i", NULL);

  for (guint i = 0; i < 3 * GKV_MAX_DEPTH; i++)
    {
      g_autoptr (GVariant) inner = value;
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) bytes = gkv_codec_encode (codec, inner, &error);

      if (bytes != NULL)
        {
          g_autoptr (GVariant) back = gkv_codec_decode (codec, bytes, &error);

          g_assert_no_error (error);
          g_assert_cmpvariant (back, inner);
        }
      else
        {
          g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
          g_assert_nonnull (strstr (error->message, G_STRINGIFY (GKV_MAX_DEPTH)));
          g_assert_cmpuint (i, >, GKV_MAX_DEPTH / 2);
        }
      value = g_variant_ref_sink (g_variant_new_variant (inner));
    }

  if (g_variant_type_string_is_valid (deepest))
    {
      g_autoptr (GVariant) array = g_variant_ref_sink (g_variant_new_array (G_VARIANT_TYPE (deepest + 1), NULL, 0));
      g_autoptr (GBytes) bytes = gkv_codec_encode (codec, array, NULL);

      if (bytes != NULL)
        {
          g_autoptr (GVariant) back = gkv_codec_decode (codec, bytes, NULL);

          g_assert_cmpvariant (back, array);
        }
    }
}

/* Whether a handle is in the variants of a value of type "v". */
static gboolean
boxes_handle (GVariant *value)
{
  g_autoptr (GVariant) inner = NULL;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
    return strchr (g_variant_get_type_string (value), 'h') != NULL;

  inner = g_variant_get_variant (value);
  return boxes_handle (inner);
}

/* The codec tells by itself whether the commonest values are in normal form: just as GLib does, whatever the bytes, and
 * wherever they begin. */
static void
test_normal_form (void)
{
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("variant", NULL);
  const char *const types[] = {
    "b",  "y",  "n",  "q",  "i",  "u",  "x",  "t",  "d",  "s",  "o",  "g",  "v",
    "ay", "an", "aq", "ai", "au", "ax", "at", "ad", "ab", "as", "ms", "()",
  };
  guint n_taken = 0;

  for (guint i = 0; i < 200000; i++)
    {
      const char *type = types[i % G_N_ELEMENTS (types)];
      gsize size = g_test_rand_int_range (0, 12), type_len = strlen (type);
      guint shift = g_test_rand_int_range (0, 8);
      guint8 data[64] = { 0 };
      g_autoptr (GBytes) whole = NULL;
      g_autoptr (GBytes) boxed = NULL;
      g_autoptr (GBytes) again = NULL;
      g_autoptr (GBytes) content = NULL;
      g_autoptr (GVariant) expected = NULL;
      g_autoptr (GVariant) value = NULL;

      for (gsize j = 0; j < size; j++)
        data[shift + j] = g_test_rand_bit () ? g_test_rand_int_range (0, 256) : "\0\1a/s"[g_test_rand_int_range (0, 5)];
      memcpy (data + shift + size + 1, type, type_len);
      whole = g_bytes_new (data, sizeof data);
      boxed = g_bytes_new_from_bytes (whole, shift, size + 1 + type_len);
      content = g_bytes_new (data + shift, size);
      expected = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), content, FALSE));

      value = gkv_codec_decode (codec, boxed, NULL);
      g_assert_cmpint (value != NULL, ==, g_variant_is_normal_form (expected) && !boxes_handle (expected));
      if (value == NULL)
        continue;

      n_taken++;
      g_assert_cmpstr (g_variant_get_type_string (value), ==, type);
      g_assert_true (g_variant_equal (value, expected));
      again = gkv_codec_encode (codec, value, NULL);
      g_assert_true (g_bytes_equal (again, boxed));
    }
  g_assert_cmpuint (n_taken, >, 1000);
}

/* Gives whether the bytes are taken: what they make is in normal form then. */
static gboolean
decode (GkvCodec *codec, const guint8 *data, gsize len)
{
  /* At the end of its own block, so that a sanitizer sees a byte too far. */
  g_autoptr (GBytes) bytes = g_bytes_new (data, len);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = gkv_codec_decode (codec, bytes, &error);
  g_autoptr (GBytes) serialised = NULL;
  g_autoptr (GVariant) untrusted = NULL;

  if (value == NULL)
    {
      g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
      return FALSE;
    }

  serialised = g_variant_get_data_as_bytes (value);
  untrusted = g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (value), serialised, FALSE));
  g_assert_true (g_variant_is_normal_form (untrusted));
  return TRUE;
}

/* Arrays of numbers come through whatever their bytes, and are refused where half an element is missing. */
static void
test_numbers (void)
{
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("variant", NULL);
  const struct
  {
    const char *type;
    gsize size;
  } types[] = {
    { "ay", 1 }, { "an", 2 }, { "aq", 2 }, { "ai", 4 }, { "au", 4 }, { "ax", 8 }, { "at", 8 }, { "ad", 8 }
  };
  guint8 data[64 + 3];

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    for (gsize size = 0; size <= 64; size++)
      {
        g_autoptr (GBytes) bytes = NULL;
        g_autoptr (GVariant) value = NULL;
        g_autoptr (GError) error = NULL;

        for (gsize j = 0; j < size; j++)
          data[j] = g_test_rand_int_range (0, 256);
        data[size] = '\0';
        memcpy (data + size + 1, types[i].type, 2);
        bytes = g_bytes_new (data, size + 3);
        value = gkv_codec_decode (codec, bytes, &error);
        if (size % types[i].size != 0)
          {
            g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
            continue;
          }

        g_assert_no_error (error);
        g_assert_cmpstr (g_variant_get_type_string (value), ==, types[i].type);
        g_assert_cmpmem (g_variant_get_data (value), g_variant_get_size (value), data, size);
      }
}

/* A random value with variants in it; a handle among them, or not. */
static GVariant *
make_nested (guint depth, gboolean *has_handle)
{
  GVariantBuilder builder;
  guint kind = depth == 0 ? g_test_rand_int_range (0, 4) : g_test_rand_int_range (0, 10);
  guint n = g_test_rand_int_range (0, 5);
  g_autofree char *text = g_strnfill (g_test_rand_int_range (0, 300), "hsv"[g_test_rand_int_range (0, 3)]);

  switch (kind)
    {
    case 0:
    case 1:
      return g_variant_new_string (text);

    case 2:
      return g_variant_new_int64 (n);

    case 3:
      if (g_test_rand_int_range (0, 8) != 0)
        return g_variant_new_byte ('h');
      *has_handle = TRUE;
      return g_variant_new_handle (n);

    case 4:
      return g_variant_new_variant (make_nested (depth - 1, has_handle));

    case 5:
      return g_variant_new_maybe (G_VARIANT_TYPE_VARIANT, NULL);

    case 6:
      return g_variant_new_maybe (NULL, g_variant_new_variant (make_nested (depth - 1, has_handle)));

    case 7:
      return g_variant_new ("(sv)", text, make_nested (depth - 1, has_handle));

    case 8:
      g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
      for (guint i = 0; i < n; i++)
        g_variant_builder_add (&builder, "v", make_nested (depth - 1, has_handle));
      return g_variant_builder_end (&builder);

    default:
      g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
      for (guint i = 0; i < n; i++)
        g_variant_builder_add (&builder, "{sv}", text, make_nested (depth - 1, has_handle));
      return g_variant_builder_end (&builder);
    }
}

/* A handle is refused wherever it is, and nothing else is taken for one. */
static void
test_nested_handles (void)
{
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("variant", NULL);
  guint n_handles = 0;

  for (guint i = 0; i < 5000; i++)
    {
      gboolean has_handle = FALSE;
      g_autoptr (GVariant) value = g_variant_ref_sink (make_nested (4, &has_handle));
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) bytes = gkv_codec_encode (codec, value, &error);

      n_handles += has_handle;
      g_assert_cmpint (bytes == NULL, ==, has_handle);
      if (has_handle)
        g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
    }
  g_assert_cmpuint (n_handles, >, 100);
  g_assert_cmpuint (n_handles, <, 4900);
}

/* What a peer of another make might send. */
static void
test_foreign_handles (void)
{
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("variant", NULL);
  const char *texts[] = { "handle 1", "[handle 1]", "{'a': <handle 1>}", "<<handle 1>>" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_parsed (texts[i]));
      g_autoptr (GVariant) boxed = g_variant_ref_sink (g_variant_new_variant (value));
      g_autoptr (GVariant) wire = G_BYTE_ORDER == G_LITTLE_ENDIAN ? g_variant_ref (boxed) : g_variant_byteswap (boxed);
      g_autoptr (GBytes) bytes = g_variant_get_data_as_bytes (wire);
      g_autoptr (GError) error = NULL;

      g_assert_null (gkv_codec_decode (codec, bytes, &error));
      g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
      g_assert_nonnull (strstr (error->message, "handle"));
    }
}

#define SEED(text) \
  { \
    text, sizeof (text) - 1 \
  }

static const struct
{
  const char *text;
  gsize len;
} seeds[] = {
  SEED ("\5\0\0\0\0i"),
  SEED ("\0\0av"),
  SEED ("text\0\0s"),
  SEED ("((((("),
  SEED ("{\"a\":[1,2,{\"b\":null}]}"),
  SEED ("[[[[{\"\":[]}]]],true,\"]\"]"),
  SEED ("[\"\\ud83d\\ude00\\\\\\\"\",\"\xc3\xa9\"]"),
  SEED ("[-1.5e-7,1e999,0.1,-0,12]"),
  SEED ("['\"',/*\"*/1]//\n"),
};

/* A seed, and bytes that mean something to one of the parsers. */
static gsize
make_hostile (guint n, guint8 data[64])
{
  const char marks[] = "[]{}\"'\\/*,:0-.eEux\n\0\xff";
  gsize seed = n % G_N_ELEMENTS (seeds), len = g_test_rand_int_range (0, 64);
  guint seldom = g_test_rand_int_range (2, 40);

  if (g_test_rand_bit ())
    len = seeds[seed].len;
  for (gsize i = 0; i < len; i++)
    if (i < seeds[seed].len && g_test_rand_int_range (0, seldom) != 0)
      data[i] = seeds[seed].text[i];
    else if (g_test_rand_bit ())
      data[i] = marks[g_test_rand_int_range (0, sizeof marks - 1)];
    else
      data[i] = g_test_rand_int_range (0, 256);
  return len;
}

static void
test_hostile (gconstpointer name)
{
  g_autoptr (GkvCodec) codec = make_codec (name);
  g_autofree guint8 *deep = g_malloc (1000000);
  guint n_taken = 0;

  if (codec == NULL)
    return;

  for (guint n = 0; n < 50000; n++)
    {
      guint8 data[64];
      gsize len = make_hostile (n, data);

      n_taken += decode (codec, data, len);
    }
  g_assert_cmpuint (n_taken, >, 1000);

  /* A million brackets must not use up the stack. */
  memset (deep, '[', 1000000);
  decode (codec, deep, 1000000);
  memset (deep, 'v', 1000000);
  decode (codec, deep, 1000000);
}

int
main (int argc, char *argv[])
{
  const char *names[] = { "variant", "bytes", "string", "json" };

  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/codec/%s/%u", cases[i].codec, i);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  g_test_add_func ("/codec/variant/boxed", test_boxed);
  g_test_add_func ("/codec/variant/too-deep", test_too_deep);
  g_test_add_func ("/codec/variant/normal-form", test_normal_form);
  g_test_add_func ("/codec/variant/numbers", test_numbers);
  g_test_add_func ("/codec/variant/foreign-handles", test_foreign_handles);
  g_test_add_func ("/codec/variant/nested-handles", test_nested_handles);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *lossless = g_strdup_printf ("/codec/%s/lossless", names[i]);
      g_autofree char *hostile = g_strdup_printf ("/codec/%s/hostile", names[i]);

      g_test_add_data_func (lossless, names[i], test_lossless);
      g_test_add_data_func (hostile, names[i], test_hostile);
    }

  return g_test_run ();
}
