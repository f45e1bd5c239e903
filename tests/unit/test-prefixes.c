/* GkvPrefixes: which items a key belongs to, while they come and go.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "node/gkv-prefixes.h"

/* Items are strings of their own, counted. */

static char *
make_item (const char *name)
{
  return g_ref_string_new (name);
}

static gpointer
ref_item (gpointer item)
{
  return g_ref_string_acquire (item);
}

/* The names of the items that @key belongs to. */
static char *
find_names (GkvPrefixes *prefixes, const char *key)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ref_string_release);

  g_autoptr (GString) names = g_string_new (NULL);

  gkv_prefixes_find (prefixes, key, found);
  for (guint i = 0; i < found->len; i++)
    g_string_append_printf (names, "%s%s", i > 0 ? " " : "", (const char *) found->pdata[i]);

  return g_string_free (g_steal_pointer (&names), FALSE);
}

static void
assert_found (GkvPrefixes *prefixes, const char *key, const char *names)
{
  g_autofree char *found = find_names (prefixes, key);

  g_assert_cmpstr (found, ==, names);
}

static void
test_find (void)
{
  g_autoptr (GkvPrefixes) prefixes = gkv_prefixes_new (ref_item);
  g_autoptr (GRefString) all = make_item ("all");
  g_autoptr (GRefString) a = make_item ("a");
  g_autoptr (GRefString) same = make_item ("same");
  g_autoptr (GRefString) deep = make_item ("deep");
  g_autoptr (GRefString) found = NULL;

  g_assert_true (gkv_prefixes_is_empty (prefixes));
  assert_found (prefixes, "app/a", "");

  gkv_prefixes_add (prefixes, "app/a/b", deep);
  gkv_prefixes_add (prefixes, "app/a", a);
  gkv_prefixes_add (prefixes, "", all);
  gkv_prefixes_add (prefixes, "app/a", same);
  g_assert_false (gkv_prefixes_is_empty (prefixes));

  assert_found (prefixes, "app/a/b/c", "all a same deep");
  assert_found (prefixes, "app/a/b", "all a same deep");
  assert_found (prefixes, "app/a/x", "all a same");
  assert_found (prefixes, "app/b/b/c", "all");
  assert_found (prefixes, "app", "all");

  found = gkv_prefixes_lookup (prefixes, "app/a");
  g_assert_true (found == a);
  g_assert_null (gkv_prefixes_lookup (prefixes, "app/"));

  gkv_prefixes_remove (prefixes, "app/a", a);
  gkv_prefixes_remove (prefixes, "app/a", a);
  gkv_prefixes_remove (prefixes, "nowhere", a);
  assert_found (prefixes, "app/a/b", "all same deep");
  gkv_prefixes_remove (prefixes, "app/a", same);
  gkv_prefixes_remove (prefixes, "", all);
  assert_found (prefixes, "app/a/b", "deep");
  assert_found (prefixes, "app/a", "");
  gkv_prefixes_remove (prefixes, "app/a/b", deep);
  g_assert_true (gkv_prefixes_is_empty (prefixes));
}

/* The items that were found stay, whichever come and go while the caller goes over them. */
static void
test_snapshot (void)
{
  g_autoptr (GkvPrefixes) prefixes = gkv_prefixes_new (ref_item);
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ref_string_release);
  char *first = make_item ("first"), *second = make_item ("second");
  g_autoptr (GRefString) third = make_item ("third");

  gkv_prefixes_add (prefixes, "k", first);
  gkv_prefixes_add (prefixes, "k", second);
  gkv_prefixes_find (prefixes, "key", found);

  gkv_prefixes_remove (prefixes, "k", first);
  gkv_prefixes_remove (prefixes, "k", second);
  gkv_prefixes_add (prefixes, "k", third);
  g_ref_string_release (first);
  g_ref_string_release (second);

  g_assert_cmpuint (found->len, ==, 2);
  g_assert_cmpstr (found->pdata[0], ==, "first");
  g_assert_cmpstr (found->pdata[1], ==, "second");
  gkv_prefixes_remove (prefixes, "k", third);
}

/* Against a look at each. */
static void
test_random (void)
{
  static const char *const parts[] = { "a", "ab", "/", "b/", "\xc3\xa9" };
  g_autoptr (GkvPrefixes) prefixes = gkv_prefixes_new (ref_item);
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ref_string_release);

  for (guint round = 0; round < 3000; round++)
    {
      g_autoptr (GString) name = g_string_new (NULL);
      g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ref_string_release);
      guint n_parts = (guint) g_test_rand_int_range (0, 5), n = 0;

      for (guint i = 0; i < n_parts; i++)
        g_string_append (name, parts[g_test_rand_int_range (0, G_N_ELEMENTS (parts))]);

      gkv_prefixes_find (prefixes, name->str, found);
      for (guint i = 0; i < items->len; i++)
        if (g_str_has_prefix (name->str, items->pdata[i]))
          {
            g_assert_true (g_ptr_array_find (found, items->pdata[i], NULL));
            n++;
          }
      g_assert_cmpuint (found->len, ==, n);

      if (items->len > 0 && g_test_rand_bit ())
        {
          guint i = (guint) g_test_rand_int_range (0, (gint32) items->len);

          gkv_prefixes_remove (prefixes, items->pdata[i], items->pdata[i]);
          g_ptr_array_remove_index_fast (items, i);
        }
      else
        {
          char *item = make_item (name->str);

          gkv_prefixes_add (prefixes, name->str, item);
          g_ptr_array_add (items, item);
        }
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/prefixes/find", test_find);
  g_test_add_func ("/prefixes/snapshot", test_snapshot);
  g_test_add_func ("/prefixes/random", test_random);

  return g_test_run ();
}
