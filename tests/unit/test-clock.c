/* Records from the future: quarantined until their time comes, or refused, and reported at both ends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include <string.h>

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

static void
assert_shows (Pair *pair, guint side, const char *key, const char *value)
{
  GkvRecord *record = gkv_store_lookup_visible (pair->sides[side].store, key, strlen (key));

  g_assert_nonnull (record);
  g_assert_cmpmem (gkv_record_get_content (record), record->content_len, value, strlen (value));
}

/* Within the bound it is taken at once, and what is written after it is above it. */
static void
test_within_bound (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, HOUR_MS - 5 * 60 * 1000);
  pair_write (&pair, 0, "key", "value", 0);
  pair_run (&pair, SECOND, FALSE);

  g_assert_true (shows (&pair, 1, "key"));
  pair_write (&pair, 1, "key", "over", 0);
  pair_run (&pair, SECOND, FALSE);
  assert_shows (&pair, 0, "key", "over");
  g_assert_cmpuint (pair.sides[0].n_errors + pair.sides[1].n_errors, ==, 0);
  pair_clear (&pair);
}

/* Beyond it it is held and counted, but neither shown nor folded into the clock, until its time comes. */
static void
test_quarantined (void)
{
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
  assert_shows (&pair, 1, "key", "before");
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 1);

  /* It comes within the bound when two hours have passed. */
  pair_run (&pair, 115 * MINUTE, FALSE);
  g_assert_false (shows (&pair, 1, "another"));
  pair_run (&pair, 10 * MINUTE, FALSE);
  g_assert_true (shows (&pair, 1, "another"));
  assert_shows (&pair, 1, "key", "value");
  g_assert_cmpuint (gkv_store_get_n_quarantined (pair.sides[1].store), ==, 0);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 1);
  pair_clear (&pair);
}

static gboolean
was_told (Pair *pair, guint side, const char *text)
{
  return strstr (pair->sides[side].last_message, text) != NULL;
}

/* More than a day ahead it is refused and counted, and is not fetched again and again, where others say that the own
 * clock is right. When the wrong one is set, all is shown. */
static void
test_refused (void)
{
  guint64 n_refused;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, 25 * HOUR_MS);
  pair_run (&pair, 2 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  pair_run (&pair, SECOND, FALSE);
  g_assert_true (was_told (&pair, 0, "it is this clock that is wrong, by 25 hours"));
  g_assert_true (was_told (&pair, 1, "it is the clock of \"a:1\" that is wrong, by 25 hours"));
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 1);
  pair_run (&pair, MINUTE, FALSE);

  n_refused = pair_get_stat (&pair, 1, "records-too-new");
  g_assert_cmpuint (n_refused, >, 0);
  g_assert_null (gkv_store_lookup (pair.sides[1].store, "key", 3));
  pair_run (&pair, 30 * MINUTE, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 1, "records-too-new"), <, n_refused + 30);

  set_ahead (&pair, 0, 0);
  pair_write (&pair, 0, "another", "value", 0);
  pair_run (&pair, SECOND, FALSE);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_true (shows (&pair, i, "another"));
      g_assert_true (shows (&pair, i, "key"));
      g_assert_true (was_told (&pair, i, i == 0 ? "was set back by 25 hours" : "agree again"));
    }
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

/* Of two nodes each may be the wrong one: all is held, and nothing is shown before its time. */
static void
test_doubtful (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, 49 * HOUR_MS);
  pair_run (&pair, 2 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  pair_run (&pair, MINUTE, FALSE);

  g_assert_nonnull (gkv_store_lookup (pair.sides[1].store, "key", 3));
  g_assert_false (shows (&pair, 1, "key"));
  g_assert_true (was_told (&pair, 1, "check the clocks of both machines"));
  set_ahead (&pair, 0, 0);
  pair_run (&pair, SECOND, FALSE);
  g_assert_true (shows (&pair, 1, "key"));
  pair_clear (&pair);
}

/* Only the wrong clock is blamed, though none is an hour from the right one: not the node that has passed it on. */
static void
test_blamed (void)
{
  Pair pair;

  pair_init_three (&pair);
  set_ahead (&pair, 0, HOUR_MS - 5 * 60 * 1000);
  set_ahead (&pair, 2, -10 * 60 * 1000);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "wrong", 0);
  pair_run (&pair, SECOND, FALSE);
  g_assert_false (shows (&pair, 2, "key"));
  pair_write (&pair, 1, "key", "right", 0);
  pair_write (&pair, 1, "other", "right", 0);
  pair_run (&pair, 10 * SECOND, FALSE);

  for (guint i = 0; i < 3; i++)
    {
      assert_shows (&pair, i, "key", "right");
      g_assert_true (shows (&pair, i, "other"));
    }
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 0);
  g_assert_true (was_told (&pair, 0, "it is this clock that is wrong"));
  g_assert_true (was_told (&pair, 2, "it is the clock of \"a:1\" that is wrong"));
  pair_clear (&pair);
}

/* Nodes that are set back together make the same of each record, and what has an end keeps it. */
static void
test_set_back (void)
{
  GkvRecord *record;
  gint64 deadline;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, 72 * HOUR_MS);
  set_ahead (&pair, 1, 72 * HOUR_MS + 3);
  pair_run (&pair, 2 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  pair_write (&pair, 1, "gone", "", GKV_RECORD_DEAD);
  record = pair_put_mortal (&pair, 1, "lease", "value", HOUR_MS);
  deadline = gkv_store_get_deadline (pair.sides[1].store, record);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_false (shows (&pair, 2, "key"));

  set_ahead (&pair, 0, 0);
  set_ahead (&pair, 1, 0);
  pair_run (&pair, 2 * SECOND, FALSE);
  g_assert_true (pair_is_same (&pair));
  g_assert_true (shows (&pair, 2, "key"));
  g_assert_true (shows (&pair, 2, "lease"));
  record = gkv_store_lookup (pair.sides[1].store, "lease", 5);
  g_assert_cmpint (gkv_store_get_deadline (pair.sides[1].store, record), ==, deadline);
  g_assert_cmpint (gkv_record_get_time_ms (record), <=, pair_get_time (&pair, 1).wall / 1000);
  g_assert_cmpint (gkv_store_get_dead_deadline (pair.sides[1].store, gkv_store_lookup (pair.sides[1].store, "gone", 4)),
                   >, 0);
  pair_clear (&pair);
}

/* A clock that is wrong for long is told once, at both ends, and so is its end. */
static void
test_told_once (void)
{
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, 2 * HOUR_MS);
  for (guint i = 0; i < 60; i++)
    {
      pair_write (&pair, 0, "key", "value", 0);
      pair_run (&pair, 10 * SECOND, FALSE);
    }

  /* Two have told the first one. */
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (pair.sides[i].n_errors, ==, i == 0 ? 2 : 1);
  set_ahead (&pair, 0, 0);
  pair_run (&pair, 10 * SECOND, FALSE);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (pair.sides[i].n_errors, ==, i == 0 ? 3 : 2);
  pair_clear (&pair);
}

/* A clock that was right, and is set to where it is wrong, changes no record of others, nor, where it is wrong beyond
 * doubt, its own. */
static void
test_set_wrong (void)
{
  GkvFingerprint mine, theirs;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 0, "mine", "value", 0);
  pair_write (&pair, 1, "theirs", "value", 0);
  pair_run (&pair, 10 * SECOND, TRUE);
  mine = gkv_store_lookup (pair.sides[2].store, "mine", 4)->fingerprint;
  theirs = gkv_store_lookup (pair.sides[2].store, "theirs", 6)->fingerprint;

  set_ahead (&pair, 0, -20000 * 24 * HOUR_MS);
  pair_run (&pair, 2 * SECOND, FALSE);
  g_assert_true (gkv_fingerprint_equal (&gkv_store_lookup (pair.sides[2].store, "mine", 4)->fingerprint, &mine));
  set_ahead (&pair, 0, -48 * HOUR_MS);
  pair_run (&pair, 2 * SECOND, FALSE);
  set_ahead (&pair, 0, 0);
  pair_run (&pair, 2 * SECOND, FALSE);
  g_assert_true (gkv_fingerprint_equal (&gkv_store_lookup (pair.sides[2].store, "theirs", 6)->fingerprint, &theirs));
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

/* A clock that is set back too far, and then right, is off by what it was in the first place. */
static void
test_set_twice (void)
{
  GkvRecord *record;
  gint64 written_ms;
  Pair pair;

  pair_init_three (&pair);
  set_ahead (&pair, 0, 72 * HOUR_MS);
  set_ahead (&pair, 1, 72 * HOUR_MS);
  pair_run (&pair, 10 * SECOND, FALSE);
  written_ms = pair_get_time (&pair, 2).wall / 1000;
  pair_write (&pair, 1, "key", "value", 0);
  pair_run (&pair, 2 * SECOND, FALSE);
  pair_leave (&pair, 1);

  set_ahead (&pair, 0, -48 * HOUR_MS);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_false (shows (&pair, 2, "key"));
  set_ahead (&pair, 0, 0);
  pair_run (&pair, SECOND, FALSE);
  g_assert_true (shows (&pair, 2, "key"));
  record = gkv_store_lookup_visible (pair.sides[2].store, "key", 3);
  g_assert_cmpint (ABS (gkv_record_get_time_ms (record) - written_ms), <=, 10000);
  pair_clear (&pair);
}

/* What a node has written before it was started again, with a clock that is right now, is shown. */
static void
test_restarted (void)
{
  Pair pair;

  pair_init (&pair);
  set_ahead (&pair, 0, 72 * HOUR_MS);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  pair_run (&pair, 2 * SECOND, FALSE);
  g_assert_false (shows (&pair, 1, "key"));

  set_ahead (&pair, 0, 0);
  pair_restart_empty (&pair, 0);
  pair_run (&pair, 2 * SECOND, FALSE);
  g_assert_true (shows (&pair, 0, "key"));
  g_assert_true (shows (&pair, 1, "key"));
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

/* A removal that lies ahead where it is held, and is remembered elsewhere, is made again: both hold the same then. */
static void
test_collected (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, 20 * HOUR_MS);
  pair_run (&pair, SECOND, FALSE);
  pair_write (&pair, 0, "key", "", GKV_RECORD_DEAD);
  pair_run (&pair, SECOND, FALSE);
  g_assert_cmpuint (gkv_store_get_n_quarantined (pair.sides[1].store), ==, 1);

  gkv_store_collect (pair.sides[0].store, gkv_store_lookup (pair.sides[0].store, "key", 3), pair.now.boot);
  set_ahead (&pair, 0, 0);
  pair_run (&pair, 20 * SECOND, FALSE);
  g_assert_cmpuint (gkv_store_get_n_quarantined (pair.sides[1].store), ==, 0);
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

/* A write goes above what was refused of its key, too: it is shown where that is held, and stays when the clock is set.
 */
static void
test_over_refused (void)
{
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  set_ahead (&pair, 0, 72 * HOUR_MS);
  pair_run (&pair, 2 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "ahead", 0);
  pair_run (&pair, SECOND, FALSE);
  g_assert_null (gkv_store_lookup (pair.sides[1].store, "key", 3));
  pair_write (&pair, 1, "key", "over", 0);

  for (guint set = 0; set < 2; set++)
    {
      pair_run (&pair, SECOND, FALSE);
      for (guint i = 0; i < 3; i++)
        assert_shows (&pair, i, "key", "over");
      set_ahead (&pair, 0, 0);
    }
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/clock/within-bound", test_within_bound);
  g_test_add_func ("/clock/quarantined", test_quarantined);
  g_test_add_func ("/clock/refused", test_refused);
  g_test_add_func ("/clock/doubtful", test_doubtful);
  g_test_add_func ("/clock/blamed", test_blamed);
  g_test_add_func ("/clock/set-back", test_set_back);
  g_test_add_func ("/clock/told-once", test_told_once);
  g_test_add_func ("/clock/set-wrong", test_set_wrong);
  g_test_add_func ("/clock/set-twice", test_set_twice);
  g_test_add_func ("/clock/restarted", test_restarted);
  g_test_add_func ("/clock/collected", test_collected);
  g_test_add_func ("/clock/over-refused", test_over_refused);

  return g_test_run ();
}
