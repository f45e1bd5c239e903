/* GkvTable: the same as a GHashTable, for any number of keys.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "store/gkv-table.h"

static guint n_freed;

static void
count_freed (gpointer value)
{
  n_freed++;
  g_free (value);
}

static gpointer
make_number (guint64 number)
{
  return g_memdup2 (&number, sizeof number);
}

static void
test_many (void)
{
  GkvTable *table = gkv_table_new (g_int64_hash, g_int64_equal, count_freed);
  const guint64 n = 10000;

  n_freed = 0;
  for (guint64 i = 0; i < n; i++)
    {
      gpointer number = make_number (i);

      gkv_table_insert (table, number, number);
    }
  g_assert_cmpuint (gkv_table_get_size (table), ==, n);

  /* The key of the value that goes must not stay. */
  for (guint64 i = 0; i < n; i += 2)
    {
      gpointer number = make_number (i);

      gkv_table_insert (table, number, number);
      g_assert_true (gkv_table_lookup (table, &i) == number);
    }
  g_assert_cmpuint (gkv_table_get_size (table), ==, n);
  g_assert_cmpuint (n_freed, ==, n / 2);

  for (guint64 i = 0; i < n; i += 2)
    {
      g_assert_true (gkv_table_remove (table, &i));
      g_assert_false (gkv_table_remove (table, &i));
      g_assert_null (gkv_table_lookup (table, &i));
    }
  g_assert_cmpuint (gkv_table_get_size (table), ==, n / 2);

  gkv_table_free (table);
  g_assert_cmpuint (n_freed, ==, n + n / 2);
}

static void
test_direct (void)
{
  GkvTable *table = gkv_table_new (NULL, NULL, NULL);
  gpointer value = &n_freed;

  g_assert_false (gkv_table_find (table, table, &value));
  gkv_table_insert (table, table, NULL);
  g_assert_true (gkv_table_find (table, table, &value));
  g_assert_null (value);
  gkv_table_free (table);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/table/many", test_many);
  g_test_add_func ("/table/direct", test_direct);

  return g_test_run ();
}
