/* Remembered removals: the ring of them, what the store does by it, and how other nodes inherit it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gossip/gkv-engine-private.h"
#include "pair.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC

static GkvFingerprint
make_hash (guint64 n)
{
  const GkvHashKey key = { 1, 2 };

  return gkv_hash_128 (&key, &n, sizeof n);
}

/* Against a table that knows all. */
static void
test_random (void)
{
  const guint max = 20000;
  g_autoptr (GHashTable) stamps = g_hash_table_new (NULL, NULL);
  GkvRemovals *removals = gkv_removals_new (max);
  guint64 n_read = 0;

  for (guint i = 0; i < 30000; i++)
    {
      guint n = g_test_rand_int_range (0, 15000);
      guint64 stamp = g_test_rand_int_range (1, 1000000);

      if (i % 10 == 0)
        {
          gkv_removals_forget (removals, make_hash (n));
          g_hash_table_remove (stamps, GUINT_TO_POINTER (n));
          continue;
        }

      gkv_removals_add (removals, make_hash (n), stamp, i);
      if (stamp > GPOINTER_TO_SIZE (g_hash_table_lookup (stamps, GUINT_TO_POINTER (n))))
        g_hash_table_insert (stamps, GUINT_TO_POINTER (n), GSIZE_TO_POINTER (stamp));
    }

  g_assert_cmpuint (gkv_removals_get_n (removals), ==, g_hash_table_size (stamps));
  for (guint n = 0; n < 15000; n++)
    g_assert_cmpuint (gkv_removals_find (removals, make_hash (n)), ==,
                      GPOINTER_TO_SIZE (g_hash_table_lookup (stamps, GUINT_TO_POINTER (n))));

  for (guint64 i = gkv_removals_get_first (removals); i < gkv_removals_get_end (removals); i++)
    {
      GkvFingerprint hash;
      GkvStamp stamp;
      gint64 made;

      if (gkv_removals_get (removals, i, &hash, &stamp, &made))
        {
          g_assert_cmpuint (gkv_removals_find (removals, hash), ==, stamp);
          n_read++;
        }
    }
  g_assert_cmpuint (n_read, ==, gkv_removals_get_n (removals));
  gkv_removals_free (removals);
}

/* The oldest make room; that they did is known, with their time and their stamps. */
static void
test_full (void)
{
  const guint max = 10000, n = 100000;
  GkvRemovals *removals = gkv_removals_new (max);

  for (guint i = 1; i <= n; i++)
    {
      g_assert_true (i > max || !gkv_removals_has_dropped (removals, G_MININT64, 1));
      gkv_removals_add (removals, make_hash (i), i, i);
    }

  g_assert_cmpuint (gkv_removals_get_n (removals), ==, max);
  for (guint i = 1; i <= n; i++)
    g_assert_cmpuint (gkv_removals_find (removals, make_hash (i)), ==, i > n - max ? i : 0);

  g_assert_true (gkv_removals_has_dropped (removals, n - max, n - max));
  g_assert_false (gkv_removals_has_dropped (removals, n - max, n - max + 1));
  g_assert_false (gkv_removals_has_dropped (removals, n - max + 4096, 1));
  g_assert_cmpuint (gkv_removals_get_first_since (removals, n + 1), ==, gkv_removals_get_end (removals));
  g_assert_cmpuint (gkv_removals_get_first_since (removals, G_MININT64), ==, gkv_removals_get_first (removals));
  gkv_removals_free (removals);
}

/* Removing the same few keys again and again takes no room. */
static void
test_same_keys (void)
{
  GkvRemovals *removals = gkv_removals_new (4000000);

  for (guint i = 1; i <= 1000000; i++)
    gkv_removals_add (removals, make_hash (i % 7), i, i);
  g_assert_cmpuint (gkv_removals_get_n (removals), ==, 7);
  g_assert_cmpuint (gkv_removals_get_end (removals) - gkv_removals_get_first (removals), <=, 4096);
  gkv_removals_free (removals);
}

static GkvRecord *
make_record (GkvStore *store, const char *key, GkvRecordFlags flags, GkvStamp stamp)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("a", -1, flags & GKV_RECORD_DEAD ? "" : "string", -1);

  return gkv_record_new (gkv_store_get_hash_key (store), writer, key, strlen (key), flags, stamp, 1, "x", 1);
}

static GkvStoreResult
put (GkvStore *store, const char *key, GkvRecordFlags flags, GkvStamp stamp)
{
  g_autoptr (GkvRecord) record = make_record (store, key, flags, stamp);

  return gkv_store_put (store, record, NULL);
}

static void
test_store (void)
{
  const GkvHashKey hash_key = gkv_hash_key_for_cluster ("test");
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);

  gkv_store_remember_removals (store, 10);
  g_assert_cmpint (put (store, "key", GKV_RECORD_DEAD, 100), ==, GKV_STORE_TAKEN);
  g_assert_cmpint (put (store, "lease", GKV_RECORD_DEAD | GKV_RECORD_EPHEMERAL, 100), ==, GKV_STORE_TAKEN);
  gkv_store_collect (store, gkv_store_lookup (store, "key", 3), 1);
  gkv_store_collect (store, gkv_store_lookup (store, "lease", 5), 1);
  g_assert_cmpuint (gkv_store_get_n_tombstones (store), ==, 0);
  g_assert_cmpuint (gkv_store_get_removed (store, "key", 3), ==, 100);
  g_assert_cmpuint (gkv_store_get_removed (store, "lease", 5), ==, 0);
  g_assert_cmpuint (gkv_store_get_floor (store, "key", 3), ==, 100);

  /* Nothing at or below it is taken, whoever wrote it. */
  g_assert_cmpint (put (store, "key", 0, 99), ==, GKV_STORE_REMOVED);
  g_assert_cmpint (put (store, "key", 0, 100), ==, GKV_STORE_REMOVED);
  g_assert_cmpint (put (store, "key", GKV_RECORD_DEAD, 100), ==, GKV_STORE_REMOVED);
  g_assert_null (gkv_store_lookup (store, "key", 3));
  g_assert_cmpint (put (store, "other", 0, 99), ==, GKV_STORE_TAKEN);
  g_assert_cmpint (put (store, "key", 0, 101), ==, GKV_STORE_TAKEN);
  g_assert_cmpuint (gkv_store_get_floor (store, "key", 3), ==, 101);
}

/* A gap in the clock is taken off all lifetimes but those of records that may have come after it. */
static void
test_gap (void)
{
  const GkvHashKey hash_key = gkv_hash_key_for_cluster ("test");
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  GkvRecord *before, *after;
  gint64 deadline;

  gkv_store_set_arrival (store, 10);
  put (store, "before", 0, 1);
  gkv_store_set_arrival (store, 20);
  put (store, "after", 0, 2);
  before = gkv_store_lookup (store, "before", 6);
  after = gkv_store_lookup (store, "after", 5);
  gkv_store_set_deadline (store, before, 1000);
  gkv_store_set_deadline (store, after, 900);

  gkv_store_shift_deadlines (store, 500, 15);
  g_assert_true (gkv_store_peek_deadline (store, &deadline) == before);
  g_assert_cmpint (deadline, ==, 500);
  g_assert_cmpint (gkv_store_get_deadline (store, before), ==, 500);
  g_assert_cmpint (gkv_store_get_deadline (store, after), ==, 900);
  g_assert_cmpuint (gkv_store_count_due (store, 600), ==, 1);

  put (store, "later", 0, 3);
  gkv_store_set_deadline (store, gkv_store_lookup (store, "later", 5), 800);
  g_assert_cmpint (gkv_store_get_deadline (store, gkv_store_lookup (store, "later", 5)), ==, 800);
}

/* Nodes */

static GkvRemovals *
get_removals (Pair *pair, guint side)
{
  return gkv_store_get_removals (pair->sides[side].store);
}

/* @side begins with nothing. */
static void
replace (Pair *pair, guint side)
{
  GkvStore *lost = pair->sides[side].store;

  pair->sides[side].store = gkv_store_new (gkv_store_get_hash_key (pair->sides[0].store));
  pair_restart (pair, side);
  gkv_store_free (lost);
  gkv_engine_add_contact (pair->sides[side].engine, pair->sides[!side].name, &pair->now);
}

static gboolean
lose_third (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return pair->n_asked++ % 3 == 0;
}

/* A joiner takes over what the other remembers, whatever gets lost. */
static void
test_inherited (gconstpointer loses)
{
  const guint n = 20000;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  for (guint i = 0; i < n; i++)
    gkv_removals_add (get_removals (&pair, 0), make_hash (i), i + 1, pair.now.boot);
  if (loses != NULL)
    pair.loses = lose_third;
  replace (&pair, 1);
  pair_run (&pair, loses != NULL ? 300 * SECOND : 3 * SECOND, FALSE);

  g_assert_cmpuint (pair_get_stat (&pair, 1, "removals-remembered"), ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (gkv_removals_find (get_removals (&pair, 1), make_hash (i)), ==, i + 1);

  /* With nothing to take over it is a question and an answer. */
  pair.loses = NULL;
  pair_forget_counts (&pair);
  pair_run (&pair, 60 * SECOND, FALSE);
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_RECALL] + pair.n_messages[GKV_MESSAGE_REMEMBERED], <=,
                    loses != NULL ? 40 : 0);
  pair_clear (&pair);
}

/* A node that has forgotten a removal for want of room keeps what a node that was away brings back, and says so. */
static void
test_doubted (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  pair_write (&pair, 0, "other", "value", 0);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.sides[1].down = TRUE;
  pair_write (&pair, 0, "key", "", GKV_RECORD_DEAD);
  pair_write (&pair, 0, "other", "", GKV_RECORD_DEAD);
  pair_run (&pair, (gint64) 25 * 3600 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "removals-remembered"), ==, 2);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "records-doubted"), ==, 0);

  gkv_store_forget_removed (pair.sides[0].store, "key", 3);
  gkv_removals_note_dropped (get_removals (&pair, 0), pair.now.boot - SECOND,
                             gkv_store_get_removed (pair.sides[0].store, "other", 5));
  pair.sides[0].n_errors = 0;
  pair.sides[1].down = FALSE;
  gkv_engine_add_contact (pair.sides[1].engine, pair.sides[0].name, &pair.now);
  pair_run (&pair, 60 * SECOND, FALSE);
  g_assert_true (pair_is_same (&pair));
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[0].store, "key", 3));
  g_assert_null (gkv_store_lookup_visible (pair.sides[1].store, "other", 5));
  g_assert_cmpuint (pair_get_stat (&pair, 0, "records-doubted"), ==, 1);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  pair_clear (&pair);
}

/* A write is above the removal that is remembered of its key, also where the clock was set back meanwhile; and a
 * tombstone that one node has collected goes at the other, too. */
static void
test_collected (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  pair_write (&pair, 0, "key", "", GKV_RECORD_DEAD);
  pair_run (&pair, 10 * SECOND, FALSE);
  gkv_store_collect (pair.sides[0].store, gkv_store_lookup (pair.sides[0].store, "key", 3), pair.now.boot);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_null (gkv_store_lookup (pair.sides[1].store, "key", 3));
  g_assert_cmpuint (pair_get_stat (&pair, 1, "removals-remembered"), ==, 1);
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/removals/random", test_random);
  g_test_add_func ("/removals/full", test_full);
  g_test_add_func ("/removals/same-keys", test_same_keys);
  g_test_add_func ("/removals/store", test_store);
  g_test_add_func ("/removals/gap", test_gap);
  g_test_add_data_func ("/removals/inherited", NULL, test_inherited);
  g_test_add_data_func ("/removals/inherited-with-loss", GINT_TO_POINTER (TRUE), test_inherited);
  g_test_add_func ("/removals/doubted", test_doubted);
  g_test_add_func ("/removals/collected", test_collected);

  return g_test_run ();
}
