/* Records from the future: quarantined until their time comes, or refused, and reported at both ends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#define SECOND  ((gint64) G_USEC_PER_SEC)
#define MINUTE  (60 * SECOND)
#define HOUR_MS (G_GINT64_CONSTANT (60) * 60 * 1000)

static void
set_ahead (Pair *pair, guint side, gint64 ms)
{
  pair->sides[side].ahead = ms * 1000;
}

static gboolean
shows (Pair *pair, guint side, const char *key)
{
  return gkv_store_lookup_visible (pair->sides[side].store, key, strlen (key)) != NULL;
}

/* Within the bound it is taken at once, and what is written after it is above it. */
static void
test_within_bound (void)
{
  GkvRecord *record;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, HOUR_MS - 5 * 60 * 1000);
  pair_write (&pair, 0, "key", "value", 0);
  pair_run (&pair, SECOND, FALSE);

  g_assert_true (shows (&pair, 1, "key"));
  pair_write (&pair, 1, "key", "over", 0);
  pair_run (&pair, SECOND, FALSE);
  record = gkv_store_lookup_visible (pair.sides[0].store, "key", 3);
  g_assert_cmpmem (gkv_record_get_content (record), record->content_len, "over", 4);
  g_assert_cmpuint (pair.sides[0].n_errors + pair.sides[1].n_errors, ==, 0);
  pair_clear (&pair);
}

/* Beyond it it is held and counted, but neither shown nor folded into the clock, until its time comes. */
static void
test_quarantined (void)
{
  GkvRecord *record;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_put_both (&pair, "key", "before");
  set_ahead (&pair, 0, 3 * HOUR_MS);
  pair_write (&pair, 0, "key", "value", 0);
  pair_write (&pair, 0, "another", "value", 0);
  pair_run (&pair, 10 * SECOND, FALSE);

  g_assert_true (pair_is_same (&pair));
  g_assert_cmpuint (gkv_store_get_n_quarantined (pair.sides[1].store), ==, 2);
  g_assert_false (shows (&pair, 1, "another"));
  record = gkv_store_lookup_visible (pair.sides[1].store, "key", 3);
  g_assert_cmpmem (gkv_record_get_content (record), record->content_len, "before", 6);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 1);

  /* It comes within the bound when two hours have passed. */
  pair_run (&pair, 115 * MINUTE, FALSE);
  g_assert_false (shows (&pair, 1, "another"));
  pair_run (&pair, 10 * MINUTE, FALSE);
  g_assert_true (shows (&pair, 1, "another"));
  record = gkv_store_lookup_visible (pair.sides[1].store, "key", 3);
  g_assert_cmpmem (gkv_record_get_content (record), record->content_len, "value", 5);
  g_assert_cmpuint (gkv_store_get_n_quarantined (pair.sides[1].store), ==, 0);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 1);
  pair_clear (&pair);
}

/* More than a day ahead it is dropped and counted, and is not fetched again and again. */
static void
test_dropped (void)
{
  guint64 n_dropped;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, 25 * HOUR_MS);
  pair_write (&pair, 0, "key", "value", 0);
  pair_run (&pair, MINUTE, FALSE);

  n_dropped = pair_get_stat (&pair, 1, "records-too-new");
  g_assert_cmpuint (n_dropped, >, 0);
  g_assert_null (gkv_store_lookup (pair.sides[1].store, "key", 3));
  pair_run (&pair, 30 * MINUTE, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 1, "records-too-new"), <, n_dropped + 30);

  /* It harms only itself. */
  set_ahead (&pair, 0, 0);
  pair_write (&pair, 0, "another", "value", 0);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_true (shows (&pair, 1, "another"));
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/clock/within-bound", test_within_bound);
  g_test_add_func ("/clock/quarantined", test_quarantined);
  g_test_add_func ("/clock/dropped", test_dropped);

  return g_test_run ();
}
