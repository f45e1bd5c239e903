/* Exchanges between two engines: what is said, and how much of it, to find what differs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

static void
fill (Pair *pair, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      pair_put_both (pair, key, "value");
    }
}

/* One datagram each way, and few bytes, whatever the number of keys. */
static void
test_same (void)
{
  const guint sizes[] = { 0, 1, 20000 };
  guint64 bytes[3];

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      Pair pair;

      pair_init (&pair);
      fill (&pair, sizes[i]);
      pair_run (&pair, 10 * SECOND, FALSE);
      g_assert_true (gkv_engine_get_synced (pair.sides[0].engine));
      pair_forget_counts (&pair);
      pair_run (&pair, 20 * SECOND, FALSE);

      bytes[i] = pair_get_digest_bytes (&pair);
      g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_ASK], >, 0);
      g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_ASK], ==, pair.n_messages[GKV_MESSAGE_SAME]);
      g_assert_cmpuint (bytes[i], ==, pair.n_bytes[GKV_MESSAGE_ASK] + pair.n_bytes[GKV_MESSAGE_SAME]);
      pair_clear (&pair);
    }

  g_assert_cmpuint (bytes[0], ==, bytes[1]);
  g_assert_cmpuint (bytes[0], ==, bytes[2]);
}

/* Differences of each sort: a key that only one side has, on either side, and one of which the sides have different
 * versions. */
static void
differ (Pair *pair, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf (i % 3 == 0 ? "key-%u" : "new-%u", i);

      pair_put (pair, i % 2, key, "other");
    }
}

static void
test_few (void)
{
  Pair pair;

  pair_init (&pair);
  fill (&pair, 5000);
  pair_run (&pair, 10 * SECOND, FALSE);

  for (guint trial = 0; trial < 20; trial++)
    {
      guint n = 1 + trial / 2;
      gint64 taken;

      for (guint i = 0; i < n; i++)
        {
          g_autofree char *key = g_strdup_printf (i % 3 == 0 ? "key-%u" : "trial-%2$u-%1$u", i, trial);
          g_autofree char *value = g_strdup_printf ("value-%u", trial);

          pair_put (&pair, i % 2, key, value);
        }
      pair_forget_counts (&pair);
      g_assert_false (pair_is_same (&pair));

      /* Until somebody asks; from then on: question, sketch, wants, records. */
      while (pair.n_messages[GKV_MESSAGE_SKETCH] == 0)
        pair_run (&pair, PAIR_LATENCY / 2, FALSE);
      taken = pair_run (&pair, SECOND, TRUE);
      g_assert_true (pair_is_same (&pair));
      g_assert_cmpint (taken, <=, 4 * PAIR_LATENCY);
      g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_SKETCH], ==, 1);
      g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_RANGE], ==, 0);
      pair_run (&pair, 5 * SECOND, FALSE);
    }
  pair_clear (&pair);
}

static void
test_many (gconstpointer data)
{
  guint n = GPOINTER_TO_UINT (data);
  Pair pair;

  pair_init (&pair);
  fill (&pair, 10000);
  pair_run (&pair, 10 * SECOND, FALSE);
  differ (&pair, n);
  pair_forget_counts (&pair);
  pair_run (&pair, 60 * SECOND, TRUE);

  g_assert_true (pair_is_same (&pair));
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[0].store), ==, 10000 + n - (n + 2) / 3);
  pair_clear (&pair);
}

/* One side is written to while the other reads its sketch: what can be read is, and the rest is found another way. */
static void
test_moving (void)
{
  Pair pair;
  guint n = 0;

  pair_init (&pair);
  fill (&pair, 10000);
  pair_run (&pair, 10 * SECOND, FALSE);
  differ (&pair, 800);
  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *key = g_strdup_printf ("moving-%u", n++ % 500);
      g_autofree char *value = g_strdup_printf ("%u", n);

      pair_put (&pair, 1, key, value);
      pair_run (&pair, PAIR_LATENCY, FALSE);
    }
  pair_run (&pair, 60 * SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

/* An empty side takes everything, without a sketch. */
static void
test_empty (void)
{
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      pair_put (&pair, 1, key, "value");
    }
  pair_run (&pair, 30 * SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[0].store), ==, 5000);
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_SKETCH], <=, 1);
  pair_clear (&pair);
}

static void
assert_no_divergence (Pair *pair)
{
  for (guint i = 0; i < pair->n; i++)
    {
      g_assert_cmpuint (pair->sides[i].n_errors, ==, 0);
      g_assert_cmpuint (pair_get_stat (pair, i, "exchanges-repeated"), ==, 0);
      g_assert_cmpuint (pair_get_stat (pair, i, "exchanges-full"), ==, 0);
    }
}

/* While a large record is under way, both sides stay as they are for many exchanges: that is no divergence. */
static void
test_large (void)
{
  g_autofree char *value = g_strnfill (8 * 1024 * 1024, 'x');
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 2, "large", value, 0);
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);

  /* One has it already, and wants to know whether the other has, who gets it from the third. */
  pair_copy (&pair, 2, 0, "large");
  ticket = gkv_engine_begin_flush (pair.sides[0].engine, 0, &pair.now);
  pair_run (&pair, 10 * SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  pair_run (&pair, SECOND, FALSE);
  gkv_engine_end_flush (pair.sides[0].engine, ticket);

  assert_no_divergence (&pair);
  pair_clear (&pair);
}

static guint64
count_full (Pair *pair)
{
  return pair_get_stat (pair, 0, "exchanges-full") + pair_get_stat (pair, 1, "exchanges-full");
}

/* A sketch that is wrong, so that it hides a record: it tells of another that isn't there. */
static void
test_wrong_sketch (void)
{
  GkvSketch *sketch;
  GkvRecord *hidden;
  Pair pair;

  pair_init (&pair);
  fill (&pair, 3000);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_put (&pair, 0, "hidden", "value");
  hidden = gkv_store_lookup (pair.sides[0].store, "hidden", 6);
  sketch = (GkvSketch *) gkv_store_get_sketch (pair.sides[0].store);
  gkv_sketch_subtract (sketch, hidden->hash, hidden->fingerprint.lo);
  gkv_sketch_add (sketch, 12345, 54321);

  pair_run (&pair, 60 * SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  g_assert_cmpuint (count_full (&pair), ==, 1);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "exchanges-repeated"), >=, 4);
  g_assert_cmpuint (pair_get_stat (&pair, 1, "exchanges-repeated"), >=, 4);
  g_assert_cmpuint (pair.sides[0].n_errors + pair.sides[1].n_errors, ==, 1);

  /* That was all. */
  pair_run (&pair, 3600 * SECOND, FALSE);
  g_assert_cmpuint (count_full (&pair), ==, 1);
  g_assert_cmpuint (pair.sides[0].n_errors + pair.sides[1].n_errors, ==, 1);
  pair_clear (&pair);
}

static void
put_forged (Pair *pair, guint side, const char *key, const char *value, GkvStamp stamp, guint64 fingerprint)
{
  GkvStore *store = pair->sides[side].store;
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("x", -1, "string", -1);
  g_autoptr (GkvRecord) record =
      gkv_record_new (gkv_store_get_hash_key (store), writer, key, strlen (key), 0, stamp, 0, value, strlen (value));

  record->fingerprint = (GkvFingerprint){ fingerprint, 0 };
  g_assert_cmpint (gkv_store_put (store, record, NULL), ==, GKV_STORE_TAKEN);
}

/* Sums that are wrong, so that the parts with a hundred records of different times look the same; and one record that
 * looks different and isn't, which nothing can mend. */
static void
test_wrong_sums (void)
{
  const GkvStamp stamp = (GkvStamp) G_GINT64_CONSTANT (1800000000000) << 16;
  guint64 n_full;
  Pair pair;

  pair_init (&pair);
  fill (&pair, 3000);
  pair_run (&pair, 10 * SECOND, FALSE);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *key = g_strdup_printf ("forged-%u", i);

      put_forged (&pair, 0, key, i % 2 == 0 ? "old" : "new", stamp + i % 2, i + 1);
      put_forged (&pair, 1, key, i % 2 == 0 ? "new" : "old", stamp + 1 - i % 2, i + 1);
    }
  put_forged (&pair, 0, "same", "value", stamp, 1000);
  put_forged (&pair, 1, "same", "value", stamp, 1001);

  pair_run (&pair, 60 * SECOND, FALSE);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *key = g_strdup_printf ("forged-%u", i);
      GkvRecord *a = gkv_store_lookup (pair.sides[0].store, key, strlen (key));
      GkvRecord *b = gkv_store_lookup (pair.sides[1].store, key, strlen (key));

      g_assert_cmpuint (a->stamp, ==, stamp + 1);
      g_assert_cmpuint (b->stamp, ==, stamp + 1);
    }

  /* What can't be mended is tried again, at intervals that grow: 1, 2, 4 … 60 minutes. */
  pair_run (&pair, 24 * 3600 * SECOND, FALSE);
  g_assert_cmpuint (count_full (&pair), >=, 24);
  g_assert_cmpuint (count_full (&pair), <=, 40);

  /* Writing begins no new count. */
  n_full = count_full (&pair);
  for (guint i = 0; i < 60; i++)
    {
      pair_put (&pair, i % 2, "key-1", i % 4 < 2 ? "one" : "other");
      pair_run (&pair, 60 * SECOND, FALSE);
    }
  g_assert_cmpuint (count_full (&pair), <=, n_full + 2);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 1);
  pair_clear (&pair);
}

/* As long as somebody writes, each exchange mends something. */
static void
test_writing (void)
{
  Pair pair;

  pair_init (&pair);
  fill (&pair, 100);
  pair_run (&pair, 10 * SECOND, FALSE);
  for (guint i = 0; i < 600; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i % 7);
      g_autofree char *value = g_strdup_printf ("%u", i);

      pair_put (&pair, i % 2, key, value);
      pair_run (&pair, SECOND / 10, FALSE);
    }
  pair_run (&pair, 10 * SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  assert_no_divergence (&pair);
  pair_clear (&pair);
}

/* Hashes of keys so short that many have the same: all that one side lacks is found, of whatever size, and so is what a
 * flush is for. */
static void
test_same_hashes (void)
{
  g_autofree char *large = g_strnfill (5000, 'x');
  GkvFlushState state;
  guint64 ticket;
  Pair pair;

  gkv_hash_shorten_places (6);
  pair_init (&pair);
  for (guint i = 0; i < 600; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      pair_put (&pair, i % 2, key, i % 50 == 0 ? large : "value");
      if (i % 3 == 0)
        pair_put_both (&pair, key, "other");
    }
  pair_run (&pair, 30 * SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[0].store), ==, 600);

  /* One that is written later has the same hash as many that have higher stamps. */
  pair_write (&pair, 0, "new", "value", 0);
  pair_write (&pair, 0, "new-large", large, 0);
  ticket = gkv_engine_begin_flush (pair.sides[0].engine, 0, &pair.now);
  pair_run (&pair, SECOND, FALSE);
  gkv_engine_get_flush (pair.sides[0].engine, ticket, &state);
  g_assert_true (state.done);
  g_assert_true (pair_is_same (&pair));
  g_assert_cmpuint (count_full (&pair), ==, 0);
  pair_clear (&pair);
  gkv_hash_shorten_places (64);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/exchange/same", test_same);
  g_test_add_func ("/exchange/few", test_few);
  g_test_add_data_func ("/exchange/hundreds", GUINT_TO_POINTER (120), test_many);
  g_test_add_data_func ("/exchange/a-thousand", GUINT_TO_POINTER (800), test_many);
  g_test_add_data_func ("/exchange/too-many", GUINT_TO_POINTER (6000), test_many);
  g_test_add_func ("/exchange/moving", test_moving);
  g_test_add_func ("/exchange/empty", test_empty);
  g_test_add_func ("/exchange/large", test_large);
  g_test_add_func ("/exchange/writing", test_writing);
  g_test_add_func ("/exchange/wrong-sketch", test_wrong_sketch);
  g_test_add_func ("/exchange/wrong-sums", test_wrong_sums);

  g_test_add_func ("/exchange/same-hashes", test_same_hashes);

  return g_test_run ();
}
