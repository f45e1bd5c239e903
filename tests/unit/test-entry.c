/* GkvEntry: its text, and what it notifies of.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-objects.h"

#include <string.h>

static GkvHashKey hash_key;

static GkvRecord *
make_record (const char *origin, const char *codec, guint64 ms, GkvRecordFlags flags)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern (origin, -1, codec, -1);

  return gkv_record_new (&hash_key, writer, "key", 3, flags, ms << 16, 1, "", 0);
}

/* Consumes @value. */
static GkvEntry *
make_entry (GVariant *value)
{
  g_autoptr (GVariant) taken = g_variant_take_ref (value);
  g_autoptr (GkvRecord) record = make_record ("node", "variant", 1000, 0);

  return gkv_entry_new (taken, record, -1);
}

/* A small value and a large one have the text that GVariant prints, cut at the same place. */
static void
assert_text (GVariant *value)
{
  g_autoptr (GkvEntry) entry = make_entry (value);
  g_autofree char *whole = g_variant_print (gkv_entry_get_value (entry), FALSE);
  const char *text = gkv_entry_get_text (entry);

  g_assert_true (g_utf8_validate (text, -1, NULL));
  if (g_utf8_strlen (whole, -1) <= 256)
    {
      g_assert_cmpstr (text, ==, whole);
      return;
    }

  g_assert_cmpint (g_utf8_strlen (text, -1), ==, 256);
  g_assert_true (g_str_has_suffix (text, "\xe2\x80\xa6"));
  g_assert_cmpint (strncmp (text, whole, strlen (text) - 3), ==, 0);
}

static GVariant *
make_bytes (gsize len, gssize nul)
{
  g_autofree char *bytes = g_malloc (len + 1);

  memset (bytes, 'b', len);
  if (nul >= 0)
    bytes[nul] = '\0';

  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, len, 1);
}

static GVariant *
make_numbers (guint n)
{
  g_autofree gint64 *numbers = g_new0 (gint64, n + 1);

  return g_variant_new_fixed_array (G_VARIANT_TYPE_INT64, numbers, n, sizeof *numbers);
}

static GVariant *
make_string (const char *part, guint n)
{
  g_autoptr (GString) string = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    g_string_append (string, part);

  return g_variant_new_string (string->str);
}

/* Short strings, a long one of characters of several bytes, and numbers. */
static GVariant *
make_mixture (guint n)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("(a(sv)a{sv}xmsa(ias))"));

  g_variant_builder_open (&builder, G_VARIANT_TYPE ("a(sv)"));
  for (guint i = 0; i < n; i++)
    g_variant_builder_add (&builder, "(sv)", "\xc3\xa9\xc3\xa9", make_string ("\xe2\x82\xac", i));
  g_variant_builder_close (&builder);
  g_variant_builder_open (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "bytes", make_bytes (3 * n, -1));
  g_variant_builder_add (&builder, "{sv}", "list", g_variant_new_strv (NULL, 0));
  g_variant_builder_close (&builder);
  g_variant_builder_add (&builder, "x", (gint64) n);
  g_variant_builder_add (&builder, "ms", "maybe");
  g_variant_builder_open (&builder, G_VARIANT_TYPE ("a(ias)"));
  g_variant_builder_close (&builder);

  return g_variant_builder_end (&builder);
}

static void
test_text (void)
{
  static const gssize places[] = { 0, 1, 255, 256, 257, 258, 5000, 9998, 9999 };

  for (guint n = 0; n < 300; n += 7)
    {
      assert_text (make_mixture (n));
      assert_text (make_string ("\xe2\x82\xac", n));
      assert_text (make_string ("a\n\xc3\xa9", 10 * n));
      assert_text (make_bytes (n + 1, -1));
      assert_text (make_numbers (100 * n));
    }

  assert_text (make_bytes (10000, -1));
  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    assert_text (make_bytes (10000, places[i]));
  assert_text (make_mixture (5000));
}

/* However much there is inside of values inside of values. */
static void
test_text_of_much (void)
{
  GVariant *value = make_bytes (16 << 20, -1);
  g_autoptr (GkvEntry) entry = NULL;

  for (guint i = 0; i < 3; i++)
    value = g_variant_new_parsed ("[%v, %v, %v]", value, g_variant_new_int32 (1), g_variant_new_int32 (1));
  entry = make_entry (value);

  g_assert_cmpint (g_utf8_strlen (gkv_entry_get_text (entry), -1), ==, 256);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
on_notify (GObject *object, GParamSpec *pspec, gpointer user_data)
{
  g_ptr_array_add (user_data, g_strdup (pspec->name));
}

/* @names: sorted. GObject promises no order. */
static void
assert_notified (GPtrArray *log, const char *names)
{
  g_autofree char *found = NULL;

  g_ptr_array_sort (log, compare_names);
  g_ptr_array_add (log, NULL);
  found = g_strjoinv (" ", (char **) log->pdata);
  g_assert_cmpstr (found, ==, names);
  g_ptr_array_set_size (log, 0);
}

static void
test_update (void)
{
  g_autoptr (GkvEntry) entry = make_entry (g_variant_new_string ("x"));
  g_autoptr (GVariant) same = g_variant_ref_sink (g_variant_new_string ("x"));
  g_autoptr (GVariant) other = g_variant_ref_sink (g_variant_new_string ("y"));
  g_autoptr (GkvRecord) later = make_record ("node", "variant", 2000, 0);
  g_autoptr (GkvRecord) another = make_record ("another", "json", 2000, GKV_RECORD_EPHEMERAL);
  g_autoptr (GPtrArray) log = g_ptr_array_new_with_free_func (g_free);

  g_signal_connect (entry, "notify", G_CALLBACK (on_notify), log);

  gkv_entry_update (entry, same, later, -1);
  assert_notified (log, "modified");
  gkv_entry_update (entry, other, later, 5 * G_USEC_PER_SEC);
  assert_notified (log, "expires text value");
  g_assert_cmpint (g_date_time_to_unix (gkv_entry_get_expires (entry)), ==, 5);
  g_assert_cmpint (g_date_time_to_unix (gkv_entry_get_modified (entry)), ==, 2);
  gkv_entry_update (entry, other, later, 5 * G_USEC_PER_SEC);
  assert_notified (log, "");
  gkv_entry_update (entry, NULL, another, -1);
  assert_notified (log, "codec ephemeral expires origin text value");
  g_assert_cmpstr (gkv_entry_get_codec (entry), ==, "json");
  g_assert_cmpstr (gkv_entry_get_text (entry), ==, "");
  g_assert_true (gkv_entry_get_ephemeral (entry));
}

static gpointer
read_text (gpointer data)
{
  return (gpointer) gkv_entry_get_text (data);
}

/* All get the same, however many need it at once. */
static void
test_snapshot_in_threads (void)
{
  for (guint round = 0; round < 100; round++)
    {
      g_autoptr (GkvEntry) entry = make_entry (make_mixture (50));
      GThread *threads[4];

      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("reader", read_text, entry);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_assert_true (g_thread_join (threads[i]) == gkv_entry_get_text (entry));
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/entry/text", test_text);
  g_test_add_func ("/entry/text-of-much", test_text_of_much);
  g_test_add_func ("/entry/update", test_update);
  g_test_add_func ("/entry/snapshot-in-threads", test_snapshot_in_threads);

  return g_test_run ();
}
