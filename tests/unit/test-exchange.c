/* Exchanges between two engines: what is said, and how much of it, to find what differs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#define SECOND G_USEC_PER_SEC

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

  return g_test_run ();
}
