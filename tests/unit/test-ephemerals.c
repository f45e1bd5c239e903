/* Ephemeral records: they go with their owner, a few at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#define SECOND G_USEC_PER_SEC

/* What gkv-ephemerals marks in one turn. */
#define A_TURN 256

static void
write_many (Pair *pair, guint side, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("mine-%u", i);

      pair_write (pair, side, key, "here", GKV_RECORD_EPHEMERAL);
    }
}

/* Of an owner that dies, all are marked on all nodes; no turn does more than its share. */
static void
test_many (void)
{
  const guint n = 20000;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 5 * SECOND, FALSE);
  write_many (&pair, 2, n);
  pair_run (&pair, 30 * SECOND, TRUE);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[i].store), ==, n);
      g_assert_cmpuint (pair_get_stat (&pair, i, "ephemerals"), ==, n);
    }

  pair.sides[2].down = TRUE;
  pair_run (&pair, 30 * SECOND, FALSE);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[i].store), ==, 0);
      g_assert_cmpuint (gkv_store_get_n_tombstones (pair.sides[i].store), ==, n);
      g_assert_cmpuint (pair_get_stat (&pair, i, "ephemerals"), ==, 0);
      g_assert_cmpuint (pair.sides[i].most_changes, ==, A_TURN);
    }
  g_assert_true (pair_is_same (&pair));

  /* The owner was only out of reach: it finds its records marked, and writes them again. */
  pair.sides[2].down = FALSE;
  pair_run (&pair, 60 * SECOND, FALSE);
  g_assert_true (pair_is_same (&pair));
  for (guint i = 0; i < 3; i++)
    {
      g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[i].store), ==, n);
      g_assert_cmpuint (pair_get_stat (&pair, i, "ephemerals"), ==, n);
    }
  pair_clear (&pair);
}

/* An owner that nobody knows is waited for, and no longer than that. */
static void
test_unknown (void)
{
  Pair pair;

  pair_init_three (&pair);
  pair.sides[2].down = TRUE;
  write_many (&pair, 2, 10);
  pair_run (&pair, SECOND, FALSE);

  pair_copy (&pair, 2, 0, "mine-0");
  pair_run (&pair, 4 * SECOND, FALSE);
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[0].store), ==, 1);
  pair_run (&pair, 2 * SECOND, FALSE);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[i].store), ==, 0);
      g_assert_cmpuint (gkv_store_get_n_tombstones (pair.sides[i].store), ==, 1);
    }
  pair_clear (&pair);
}

/* What was replaced, deleted or overtaken is watched no more. */
static void
test_left (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 5 * SECOND, FALSE);
  write_many (&pair, 0, 5);
  pair_run (&pair, SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "ephemerals"), ==, 5);
  g_assert_cmpuint (pair_get_stat (&pair, 1, "ephemerals"), ==, 5);

  pair_write (&pair, 0, "mine-0", "for good", 0);
  pair_write (&pair, 0, "mine-1", "", GKV_RECORD_DEAD);
  pair_write (&pair, 1, "mine-2", "theirs", 0);
  pair_write (&pair, 1, "mine-3", "theirs", GKV_RECORD_EPHEMERAL);
  pair_write (&pair, 0, "mine-4", "again", GKV_RECORD_EPHEMERAL);
  pair_run (&pair, SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "ephemerals"), ==, 2);
  g_assert_cmpuint (pair_get_stat (&pair, 1, "ephemerals"), ==, 2);

  pair.sides[0].down = TRUE;
  pair_run (&pair, 30 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 1, "ephemerals"), ==, 1);
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[1].store), ==, 3);
  pair_clear (&pair);
}

/* A node that is started again on what it held ends what it wrote before. */
static void
test_restart (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 5 * SECOND, FALSE);
  write_many (&pair, 0, 1000);
  pair_run (&pair, 10 * SECOND, TRUE);
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[1].store), ==, 1000);

  pair_restart (&pair, 0);
  pair_run (&pair, 5 * SECOND, FALSE);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[i].store), ==, 0);
      g_assert_cmpuint (pair.sides[i].most_changes, <=, A_TURN);
    }
  pair_clear (&pair);
}

/* Started again after the clock was set back, a node has an earlier life than the one that ended: it takes one above
 * it, and what it has written meanwhile comes along. */
static void
test_clock_set_back (void)
{
  Pair pair;
  GkvRecord *record;
  guint64 life;

  pair_init (&pair);
  pair_run (&pair, 5 * SECOND, FALSE);
  pair.sides[0].generation = 1000;
  pair_restart (&pair, 0);
  pair_run (&pair, 5 * SECOND, FALSE);
  pair_write (&pair, 0, "before", "value", GKV_RECORD_EPHEMERAL);
  pair_run (&pair, 5 * SECOND, FALSE);

  pair.sides[0].generation = 10;
  pair_restart (&pair, 0);
  pair_write (&pair, 0, "after", "value", GKV_RECORD_EPHEMERAL);
  pair_run (&pair, 10 * SECOND, FALSE);

  life = gkv_engine_get_generation (pair.sides[0].engine);
  g_assert_cmpuint (life, >, 1001);
  g_assert_true (pair_is_same (&pair));
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (pair_get_stat (&pair, i, "peers-alive"), ==, 1);
      g_assert_cmpuint (pair.sides[i].n_errors, ==, 0);
      g_assert_null (gkv_store_lookup_visible (pair.sides[i].store, "before", 6));
      record = gkv_store_lookup_visible (pair.sides[i].store, "after", 5);
      g_assert_nonnull (record);
      g_assert_cmpuint (gkv_record_get_generation (record), ==, life);
    }
  pair_clear (&pair);
}

/* One that is seen only because somebody whose clock is hours ahead wrote the key goes with its owner as well. */
static void
test_behind_quarantined (void)
{
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 1, "key", "value", GKV_RECORD_EPHEMERAL);
  pair_run (&pair, SECOND, FALSE);
  pair.sides[2].ahead = 5 * 3600 * (gint64) SECOND;
  pair_write (&pair, 2, "key", "later", 0);
  pair_run (&pair, 5 * SECOND, FALSE);
  g_assert_cmpuint (gkv_store_get_n_quarantined (pair.sides[0].store), ==, 1);
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[0].store, "key", 3));

  pair.sides[1].down = TRUE;
  pair_run (&pair, 60 * SECOND, FALSE);
  g_assert_null (gkv_store_lookup_visible (pair.sides[0].store, "key", 3));
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[0].store), ==, 0);

  pair_run (&pair, (gint64) 6 * 3600 * SECOND, FALSE);
  g_assert_cmpuint (gkv_store_get_n_quarantined (pair.sides[0].store), ==, 0);
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[0].store, "key", 3));
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/ephemerals/many", test_many);
  g_test_add_func ("/ephemerals/unknown", test_unknown);
  g_test_add_func ("/ephemerals/left", test_left);
  g_test_add_func ("/ephemerals/restart", test_restart);
  g_test_add_func ("/ephemerals/clock-set-back", test_clock_set_back);
  g_test_add_func ("/ephemerals/behind-quarantined", test_behind_quarantined);

  return g_test_run ();
}
