/* Two engines on a wire that loses, repeats and delays what it likes: what is promised holds all the same.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

static void
fill (Pair *pair, guint side, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u-%u", side, i);

      pair_put (pair, side, key, "value");
    }
}

/* Until one says that it is synced: then it holds all that the other held. */
static void
assert_synced_in_time (Pair *pair, guint side, guint n)
{
  gint64 end = pair->now.mono + 120 * SECOND;

  while (!gkv_engine_get_synced (pair->sides[side].engine) && pair->now.mono < end)
    pair_run (pair, PAIR_LATENCY, FALSE);

  g_assert_true (gkv_engine_get_synced (pair->sides[side].engine));
  g_assert_cmpuint (gkv_store_get_n_visible (pair->sides[side].store), >=, n);
}

static gboolean
lose_records (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return pair_datagram_has (datagram, GKV_MESSAGE_RECORD) && !pair_datagram_has (datagram, GKV_MESSAGE_PAGE) &&
         ++pair->n_asked % 5 == 0;
}

static void
test_synced_with_loss (void)
{
  Pair pair;

  pair_init (&pair);
  fill (&pair, 0, 5000);
  pair.loses = lose_records;
  assert_synced_in_time (&pair, 1, 5000);
  pair_clear (&pair);
}

/* The first can't be heard for a while, in the middle of its pages. */
static gboolean
lose_for_a_while (Pair *pair, guint from, guint to, GBytes *datagram)
{
  if (from == 0 && pair_datagram_has (datagram, GKV_MESSAGE_PAGE))
    pair->n_asked++;

  return from == 0 && pair->n_asked > 2 && pair->now.mono < 6 * SECOND &&
         (pair_datagram_has (datagram, GKV_MESSAGE_RECORD) || pair_datagram_has (datagram, GKV_MESSAGE_PAGE));
}

static void
test_synced_after_a_pause (void)
{
  Pair pair;

  pair_init (&pair);
  fill (&pair, 0, 20000);
  pair.loses = lose_for_a_while;
  assert_synced_in_time (&pair, 1, 20000);
  pair_clear (&pair);
}

static gboolean
lose_in_first_life (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from == 1 && pair->sides[1].generation == 1 && pair_datagram_has (datagram, GKV_MESSAGE_RECORD) &&
         !pair_datagram_has (datagram, GKV_MESSAGE_PAGE);
}

/* What got lost on the way from one life is asked for again, and not held to be got, when the next one has given the
 * rest of the pages. */
static void
test_synced_after_a_restart (void)
{
  Pair pair;

  pair_init (&pair);
  fill (&pair, 0, 1);
  fill (&pair, 1, 2000);
  pair.loses = lose_in_first_life;
  while (pair.n_messages[GKV_MESSAGE_PAGE] < 8)
    pair_run (&pair, PAIR_LATENCY, FALSE);
  pair_restart (&pair, 1);
  gkv_engine_add_contact (pair.sides[1].engine, pair.sides[0].name, &pair.now);
  assert_synced_in_time (&pair, 0, 2001);
  pair_clear (&pair);
}

/* 'The same' is said about what was asked, and not about what was written since. */
static GBytes *late_same;

static gboolean
keep_same (Pair *pair, guint from, guint to, GBytes *datagram)
{
  if (from != 1)
    return FALSE;

  if (late_same == NULL && pair_datagram_has (datagram, GKV_MESSAGE_SAME))
    late_same = g_bytes_ref (datagram);

  /* Nothing else comes from there any more. */
  return pair->n_asked > 0;
}

static gboolean
lose_all (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return TRUE;
}

static void
test_late_same (void)
{
  GkvFlushState flush;
  guint64 ticket;
  Pair pair;

  pair_init (&pair);
  fill (&pair, 0, 100);
  pair_run (&pair, 10 * SECOND, TRUE);
  pair.loses = keep_same;
  while (late_same == NULL)
    pair_run (&pair, SECOND, FALSE);
  pair_run (&pair, SECOND, FALSE);

  pair.loses = lose_all;
  pair_write (&pair, 0, "new", "value", 0);
  ticket = gkv_engine_begin_flush (pair.sides[0].engine, 0, &pair.now);
  pair_run (&pair, PAIR_LATENCY, FALSE);
  pair_send (&pair, 1, 0, late_same, PAIR_LATENCY);
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);
  gkv_engine_get_flush (pair.sides[0].engine, ticket, &flush);
  g_assert_cmpuint (flush.n_wanted, ==, 1);
  g_assert_cmpuint (flush.n_confirmed, ==, 0);
  g_assert_false (flush.done);

  pair.loses = NULL;
  pair_run (&pair, 2 * SECOND, FALSE);
  gkv_engine_get_flush (pair.sides[0].engine, ticket, &flush);
  g_assert_cmpuint (flush.n_confirmed, ==, 1);
  g_assert_true (flush.done);
  g_assert_nonnull (gkv_store_lookup (pair.sides[1].store, "new", 3));
  gkv_engine_end_flush (pair.sides[0].engine, ticket);

  g_clear_pointer (&late_same, g_bytes_unref);
  pair_clear (&pair);
}

/* Several values of the largest size, of which not all have room at once: those that wait don't ask again and again. */
static void
test_large_wait (void)
{
  g_autofree char *value = g_strnfill (15 * 1024 * 1024, 'x');
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < 5; i++)
    {
      g_autofree char *key = g_strdup_printf ("large-%u", i);

      pair_put (&pair, 0, key, value);
    }
  pair_run (&pair, 300 * SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  g_test_message ("%" G_GUINT64_FORMAT " wants, %" G_GUINT64_FORMAT " announcements in %d ms",
                  pair.n_messages[GKV_MESSAGE_WANT], pair.n_messages[GKV_MESSAGE_LARGE], (int) (pair.now.mono / 1000));
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_LARGE], <, 100);
  pair_clear (&pair);
}

/* Pieces come one at a time, and slowly; from the second, at most so many. */
static guint most_of_second;
static gint64 next_piece;
static guint n_asks[PAIR_MAX]; /* of the first */

static gboolean
lose_pieces (Pair *pair, guint from, guint to, GBytes *datagram)
{
  if (from == 0 && pair_datagram_has (datagram, GKV_MESSAGE_ASK))
    n_asks[to]++;

  if (to != 0 || !pair_datagram_has (datagram, GKV_MESSAGE_DATA) || pair->now.mono > 25 * SECOND)
    return FALSE;

  if (pair->now.mono < next_piece || (from == 1 && pair->n_asked++ >= most_of_second))
    return TRUE;

  next_piece = pair->now.mono + SECOND / 8;
  return FALSE;
}

/* The first gets a large record of the second. The third has it as well, or @other of that key, and comes along at once
 * or @late. */
static void
init_large (Pair *pair, gboolean late, const char *other)
{
  g_autofree char *value = g_strnfill (150000, 'x');

  pair_init_three (pair);
  pair_put (pair, 1, "large", value);
  if (other != NULL)
    {
      pair->now.wall += SECOND;
      pair_put (pair, 2, "large", other);
    }
  else
    {
      pair_copy (pair, 1, 2, "large");
    }
  pair->loses = lose_pieces;
  next_piece = 0;
  pair->sides[2].down = late;
  while (pair->n_messages[GKV_MESSAGE_DATA] == 0)
    pair_run (pair, PAIR_LATENCY, FALSE);
  pair_run (pair, SECOND, FALSE);
  pair->sides[2].down = FALSE;
}

static void
set_intervals (Pair *pair, guint ms)
{
  for (guint i = 0; i < pair->n; i++)
    gkv_engine_set_gossip_interval (pair->sides[i].engine, ms);
}

/* The third isn't asked for what comes from the second; but when that one dies in the middle of it, the first isn't
 * synced without it, however seldom it asks. */
static void
test_synced_in_pieces (gconstpointer interval_ms)
{
  Pair pair;

  most_of_second = G_MAXUINT;
  init_large (&pair, TRUE, NULL);
  set_intervals (&pair, GPOINTER_TO_UINT (interval_ms));
  pair_run (&pair, 5 * SECOND, FALSE);
  g_assert_false (gkv_engine_get_synced (pair.sides[0].engine));
  pair.sides[1].down = TRUE;
  assert_synced_in_time (&pair, 0, 1);
  pair_clear (&pair);
}

/* Or when it is started anew with nothing. */
static void
test_synced_with_forgetful (void)
{
  GkvStore *lost;
  Pair pair;

  most_of_second = G_MAXUINT;
  init_large (&pair, TRUE, NULL);
  set_intervals (&pair, 60000);
  pair_run (&pair, 5 * SECOND, FALSE);
  g_assert_false (gkv_engine_get_synced (pair.sides[0].engine));
  lost = pair.sides[1].store;
  pair.sides[1].store = gkv_store_new (gkv_store_get_hash_key (pair.sides[0].store));
  pair_restart (&pair, 1);
  gkv_store_free (lost);
  gkv_engine_add_contact (pair.sides[1].engine, pair.sides[0].name, &pair.now);
  assert_synced_in_time (&pair, 0, 1);
  g_assert_cmpint (pair.now.mono, <, 30 * SECOND);
  pair_clear (&pair);
}

/* The third has a newer one; then the second is asked again as soon as that has come. */
static void
test_synced_with_newer (void)
{
  g_autofree char *other = g_strnfill (160000, 'y');
  Pair pair;

  most_of_second = G_MAXUINT;
  init_large (&pair, TRUE, other);
  set_intervals (&pair, 60000);
  assert_synced_in_time (&pair, 0, 1);
  g_assert_cmpint (pair.now.mono, <, 30 * SECOND);
  g_assert_cmpuint (gkv_store_lookup (pair.sides[0].store, "large", 5)->content_len, ==, strlen (other));
  pair_clear (&pair);
}

/* That it takes long to get isn't held against the third, who has it as well. */
static void
test_slow_pieces (void)
{
  Pair pair;

  most_of_second = G_MAXUINT;
  init_large (&pair, TRUE, NULL);
  pair_run (&pair, 30 * SECOND, FALSE);
  g_assert_nonnull (gkv_store_lookup (pair.sides[0].store, "large", 5));
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 0);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "exchanges-repeated"), ==, 0);
  pair_clear (&pair);
}

/* An exchange that waits for a record in pieces ends, too, when that comes from elsewhere, or another one does: after
 * it there are others. Where the third is @late, the second sends no more by then. */
static void
test_pieces_from_two (gboolean late, const char *other)
{
  GkvRecord *record;
  Pair pair;

  most_of_second = late ? 4 : G_MAXUINT;
  init_large (&pair, late, other);
  pair_run (&pair, 30 * SECOND, FALSE);
  g_assert_true (gkv_engine_get_synced (pair.sides[0].engine));
  record = gkv_store_lookup (pair.sides[0].store, "large", 5);
  g_assert_cmpuint (record->content_len, ==, other != NULL ? strlen (other) : 150000);

  memset (n_asks, 0, sizeof n_asks);
  pair_run (&pair, 60 * SECOND, FALSE);
  g_assert_cmpuint (n_asks[1], >, 0);
  g_assert_cmpuint (n_asks[2], >, 0);
  pair_clear (&pair);
}

static void
test_pieces_announced_by_two (void)
{
  test_pieces_from_two (FALSE, NULL);
}

static void
test_pieces_taken_over (void)
{
  test_pieces_from_two (TRUE, NULL);
}

static void
test_pieces_replaced (void)
{
  g_autofree char *other = g_strnfill (160000, 'y');

  test_pieces_from_two (TRUE, other);
}

/* For a while nobody hears that the first has another life now than the one that it was started with. */
static gint64 hidden_until;

static gboolean
hide_life (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from == 0 && pair->now.mono < hidden_until &&
         gkv_engine_get_generation (pair->sides[0].engine) != pair->sides[0].generation &&
         pair_datagram_has (datagram, GKV_MESSAGE_IDENT);
}

/* A node whose clock was set back, and that was started anew with nothing, speaks in an earlier life until it hears of
 * the one that has ended. That it lacks all records doesn't mean that they were deleted, whatever was agreed upon with
 * that life. */
static void
test_clock_set_back (void)
{
  GkvStore *lost;
  Pair pair;

  pair_init (&pair);
  pair_restart (&pair, 0);
  fill (&pair, 1, 10);
  pair_run (&pair, 60 * SECOND, TRUE);
  pair_write (&pair, 1, "key", "value", 0);
  pair_write (&pair, 1, "key", "", GKV_RECORD_DEAD);
  pair_run (&pair, 60 * 3600 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "tombstones-collected"), ==, 1);

  lost = pair.sides[0].store;
  pair.sides[0].store = gkv_store_new (gkv_store_get_hash_key (pair.sides[1].store));
  pair.sides[0].generation -= 2;
  pair_restart (&pair, 0);
  gkv_store_free (lost);
  pair.loses = hide_life;
  hidden_until = pair.now.mono + SECOND;
  pair_run (&pair, 30 * SECOND, FALSE);
  g_assert_cmpuint (gkv_engine_get_generation (pair.sides[0].engine), >, pair.sides[0].generation);
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[0].store), ==, 10);
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[1].store), ==, 10);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/faults/synced/with-loss", test_synced_with_loss);
  g_test_add_func ("/faults/synced/after-a-pause", test_synced_after_a_pause);
  g_test_add_func ("/faults/synced/after-a-restart", test_synced_after_a_restart);
  g_test_add_data_func ("/faults/synced/in-pieces/often", GUINT_TO_POINTER (2000), test_synced_in_pieces);
  g_test_add_data_func ("/faults/synced/in-pieces/seldom", GUINT_TO_POINTER (60000), test_synced_in_pieces);
  g_test_add_func ("/faults/synced/in-pieces/forgetful", test_synced_with_forgetful);
  g_test_add_func ("/faults/synced/in-pieces/newer", test_synced_with_newer);
  g_test_add_func ("/faults/late-same", test_late_same);
  g_test_add_func ("/faults/large-wait", test_large_wait);
  g_test_add_func ("/faults/pieces/slow", test_slow_pieces);
  g_test_add_func ("/faults/pieces/announced-by-two", test_pieces_announced_by_two);
  g_test_add_func ("/faults/pieces/taken-over", test_pieces_taken_over);
  g_test_add_func ("/faults/pieces/replaced", test_pieces_replaced);
  g_test_add_func ("/faults/clock-set-back", test_clock_set_back);

  return g_test_run ();
}
