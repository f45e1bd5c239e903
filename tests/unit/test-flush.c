/* Flushes: when peers are known to hold what was written here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

static guint64
begin_flush (Pair *pair, guint n_peers)
{
  return gkv_engine_begin_flush (pair->sides[0].engine, n_peers, &pair->now);
}

static GkvFlushState
get_flush (Pair *pair, guint64 ticket)
{
  GkvFlushState state;

  gkv_engine_get_flush (pair->sides[0].engine, ticket, &state);
  return state;
}

/* Lets at most @us pass until it is done; gives the time that passed. */
static gint64
run_flush (Pair *pair, guint64 ticket, gint64 us)
{
  gint64 start = pair->now.mono;

  while (!get_flush (pair, ticket).done && pair->now.mono - start < us)
    pair_run (pair, PAIR_LATENCY, FALSE);
  return pair->now.mono - start;
}

static void
assert_done (Pair *pair, guint64 ticket, guint n_confirmed, guint n_wanted)
{
  GkvFlushState state = get_flush (pair, ticket);

  g_assert_true (state.done);
  g_assert_cmpuint (state.n_confirmed, ==, n_confirmed);
  g_assert_cmpuint (state.n_wanted, ==, n_wanted);
  gkv_engine_end_flush (pair->sides[0].engine, ticket);
}

static void
write_many (Pair *pair, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      pair_write (pair, 0, key, "value", 0);
    }
}

static guint64
get_n_unconfirmed (Pair *pair)
{
  return gkv_engine_get_n_unconfirmed (pair->sides[0].engine);
}

/* Nobody is there yet: that is no success. */
static void
test_unreached (gconstpointer n_peers)
{
  guint64 ticket;
  Pair pair;

  pair_init (&pair);
  pair.sides[1].down = TRUE;
  pair_write (&pair, 0, "key", "value", 0);
  ticket = begin_flush (&pair, GPOINTER_TO_UINT (n_peers));
  g_assert_false (get_flush (&pair, ticket).done);
  run_flush (&pair, ticket, 10 * SECOND);
  g_assert_false (get_flush (&pair, ticket).done);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 1);

  pair.sides[1].down = FALSE;
  run_flush (&pair, ticket, 10 * SECOND);
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[1].store, "key", 3));
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 0);
  assert_done (&pair, ticket, 1, GPOINTER_TO_UINT (n_peers));
  pair_clear (&pair);
}

/* A script that makes many writes, flushes and leaves; the peer may be known before, or not yet. */
static void
test_script (gconstpointer known)
{
  guint64 ticket;
  Pair pair;

  pair_init (&pair);
  if (known != NULL)
    pair_run (&pair, 10 * SECOND, FALSE);
  write_many (&pair, 2000);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 2000);
  ticket = begin_flush (&pair, 0);
  g_assert_cmpint (run_flush (&pair, ticket, 10 * SECOND), <, SECOND);
  pair_leave (&pair, 0);
  g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[1].store), ==, 2000);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 0);
  gkv_engine_end_flush (pair.sides[0].engine, ticket);
  pair_clear (&pair);
}

/* One round trip, when nothing is lost. */
static void
test_soon (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  ticket = begin_flush (&pair, 0);
  pair.sides[0].n_confirmed = 0;
  g_assert_cmpint (run_flush (&pair, ticket, SECOND), <=, 3 * PAIR_LATENCY);
  g_assert_cmpuint (pair.sides[0].n_confirmed, >, 0);
  assert_done (&pair, ticket, 2, 2);
  pair_clear (&pair);
}

/* Two were alive when it began, and one of them dies before it confirms. */
static void
test_one_dies (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.sides[2].down = TRUE;
  pair_write (&pair, 0, "key", "value", 0);
  ticket = begin_flush (&pair, 0);
  run_flush (&pair, ticket, SECOND / 2);
  g_assert_false (get_flush (&pair, ticket).done);
  g_assert_cmpuint (get_flush (&pair, ticket).n_wanted, ==, 2);
  run_flush (&pair, ticket, 20 * SECOND);
  assert_done (&pair, ticket, 1, 1);

  /* Where one is enough, it isn't waited for. */
  pair_run (&pair, SECOND, FALSE);
  pair_write (&pair, 0, "key", "other", 0);
  ticket = begin_flush (&pair, 1);
  g_assert_cmpint (run_flush (&pair, ticket, SECOND), <=, 3 * PAIR_LATENCY);
  assert_done (&pair, ticket, 1, 1);
  pair_clear (&pair);
}

static void
test_one_leaves (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 0, "key", "value", 0);
  ticket = begin_flush (&pair, 0);
  pair_leave (&pair, 2);
  run_flush (&pair, ticket, SECOND);
  assert_done (&pair, ticket, 1, 1);
  pair_clear (&pair);
}

static gboolean
lose_to_second (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from == 0 && to == 1;
}

/* The only one dies before it confirms: then the next that comes is waited for. */
static void
test_last_dies (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair.sides[2].down = TRUE;
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.sides[1].down = TRUE;
  pair_write (&pair, 0, "key", "value", 0);
  ticket = begin_flush (&pair, 0);
  run_flush (&pair, ticket, 20 * SECOND);
  g_assert_false (get_flush (&pair, ticket).done);
  g_assert_cmpuint (get_flush (&pair, ticket).n_wanted, ==, 0);

  pair.sides[0].n_confirmed = 0;
  pair.sides[2].down = FALSE;
  run_flush (&pair, ticket, 20 * SECOND);
  g_assert_cmpuint (pair.sides[0].n_confirmed, >, 0);
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[2].store, "key", 3));
  assert_done (&pair, ticket, 1, 0);
  pair_clear (&pair);
}

/* One that comes after it began isn't wanted; nor is the next life of one that was there. */
static void
test_later (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair.sides[2].down = TRUE;
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.loses = lose_to_second;
  pair_write (&pair, 0, "key", "value", 0);
  ticket = begin_flush (&pair, 0);
  pair.sides[2].down = FALSE;
  while (pair_get_stat (&pair, 0, "peers-alive") < 2 && pair.now.mono < 60 * SECOND)
    pair_run (&pair, PAIR_LATENCY, FALSE);
  g_assert_cmpuint (get_flush (&pair, ticket).n_wanted, ==, 1);
  pair.loses = NULL;
  run_flush (&pair, ticket, 10 * SECOND);
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[1].store, "key", 3));
  assert_done (&pair, ticket, 1, 1);
  pair_clear (&pair);
}

/* Both write all the time, new keys, and one again and again, so that no exchange finds them the same. What was written
 * before is confirmed all the same, and not before it is there. */
static void
test_while_writing (void)
{
  guint64 ticket;
  Pair pair;
  guint n = 0;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  for (guint trial = 0; trial < 50; trial++)
    {
      g_autofree char *mine = g_strdup_printf ("trial-%u", trial);
      gint64 start = pair.now.mono;
      GkvRecord *record;
      GkvStamp hot;

      pair_write (&pair, 0, mine, "value", 0);
      pair_write (&pair, 0, "hot", "value", 0);
      hot = gkv_store_lookup (pair.sides[0].store, "hot", 3)->stamp;
      ticket = begin_flush (&pair, 0);
      while (!get_flush (&pair, ticket).done && pair.now.mono - start < SECOND)
        {
          g_autofree char *key = g_strdup_printf ("key-%u", n++ % 1000);

          pair_write (&pair, 0, key, "value", 0);
          pair_write (&pair, 0, "hot", "value", 0);
          pair_write (&pair, 1, "theirs", "value", 0);
          pair_run (&pair, PAIR_LATENCY / 10, FALSE);
        }
      assert_done (&pair, ticket, 1, 1);
      g_assert_nonnull (gkv_store_lookup_visible (pair.sides[1].store, mine, strlen (mine)));
      record = gkv_store_lookup (pair.sides[1].store, "hot", 3);
      g_assert_nonnull (record);
      g_assert_cmpuint (record->stamp, >=, hot);
    }
  pair_clear (&pair);
}

/* What was written to the store before the engine was there counts as well. Without a flush the acknowledgement of a
 * write tells that a peer has it, and where there is none the next exchange. */
static void
test_unconfirmed (void)
{
  Pair pair;

  pair_init (&pair);
  pair_put (&pair, 0, "one", "value");
  pair_put (&pair, 0, "two", "value");
  pair_restart (&pair, 0);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 2);
  pair_write (&pair, 0, "three", "value", 0);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 3);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 0);

  pair.sides[0].n_confirmed = 0;
  pair_write (&pair, 0, "four", "value", 0);
  pair_write (&pair, 1, "five", "value", 0);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 1);
  pair_run (&pair, SECOND / 10, FALSE);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 0);
  g_assert_cmpuint (pair.sides[0].n_confirmed, ==, 1);
  pair_clear (&pair);
}

/* Its time is far ahead: the peer doesn't take it, and that is known. */
static void
test_refused (void)
{
  guint64 ticket;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.now.wall += 48 * 3600 * SECOND;
  pair_write (&pair, 0, "key", "value", 0);
  pair.now.wall -= 48 * 3600 * SECOND;
  ticket = begin_flush (&pair, 0);
  run_flush (&pair, ticket, 5 * SECOND);
  g_assert_false (get_flush (&pair, ticket).done);
  g_assert_cmpuint (get_flush (&pair, ticket).n_refused, ==, 1);
  g_assert_cmpuint (get_n_unconfirmed (&pair), ==, 1);
  gkv_engine_end_flush (pair.sides[0].engine, ticket);
  pair_clear (&pair);
}

/* The first and the third don't reach each other. */
static gboolean
lose_between_ends (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from + to == 2 && from != to;
}

/* Those that can't be reached directly are asked through others. */
static void
test_through_others (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair.loses = lose_between_ends;
  gkv_engine_add_contact (pair.sides[2].engine, pair.sides[1].name, &pair.now);
  pair_run (&pair, 20 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 2);
  for (guint n = 1; n <= 100; n *= 10)
    {
      write_many (&pair, n);
      ticket = begin_flush (&pair, 0);
      g_assert_cmpint (run_flush (&pair, ticket, 5 * SECOND), <, SECOND);
      g_assert_cmpuint (gkv_store_get_n_visible (pair.sides[2].store), ==, n);
      assert_done (&pair, ticket, 2, 2);
    }
  pair_clear (&pair);
}

/* The third says that it holds what it is asked about never, whatever else it says. */
static gboolean
lose_replies (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from == 2 && pair_datagram_has (datagram, GKV_MESSAGE_FLUSHED);
}

static void
test_silent (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.loses = lose_replies;
  pair_write (&pair, 0, "key", "value", 0);
  ticket = begin_flush (&pair, 0);
  g_assert_cmpint (run_flush (&pair, ticket, 20 * SECOND), <, 5 * SECOND);
  assert_done (&pair, ticket, 1, 1);
  pair_clear (&pair);
}

/* Nobody else is to confirm. */
static void
test_all_refuse (void)
{
  guint64 ticket;
  GkvFlushState state;
  g_autofree char *refusers = NULL;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.now.wall += 48 * 3600 * SECOND;
  pair_write (&pair, 0, "key", "value", 0);
  pair.now.wall -= 48 * 3600 * SECOND;
  for (guint n_peers = 0; n_peers < 2; n_peers++)
    {
      ticket = begin_flush (&pair, n_peers);
      run_flush (&pair, ticket, SECOND);
      state = get_flush (&pair, ticket);
      g_assert_false (state.done);
      g_assert_true (state.failed);
      gkv_engine_end_flush (pair.sides[0].engine, ticket);
    }
  refusers = gkv_engine_describe_refusers (pair.sides[0].engine);
  g_assert_cmpstr (refusers, ==, "\"b:2\"");
  pair_clear (&pair);
}

static gboolean
lose_all_but_flushes (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return pair_datagram_has (datagram, GKV_MESSAGE_RUMOUR) || pair_datagram_has (datagram, GKV_MESSAGE_RECORD) ||
         !(pair_datagram_has (datagram, GKV_MESSAGE_FLUSH) || pair_datagram_has (datagram, GKV_MESSAGE_FLUSHED));
}

/* Of two writes with one stamp, as two nodes make them over one that lies ahead, the one that loses doesn't stand for
 * the one that wins. */
static void
test_same_stamp (void)
{
  GkvFlushState state;
  GkvRecord *record;
  guint64 ticket;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.loses = lose_all_but_flushes;
  pair_write (&pair, 0, "key", "loses", 0);
  pair_write (&pair, 1, "key", "wins", 0);
  ticket = gkv_engine_begin_flush (pair.sides[1].engine, 0, &pair.now);
  pair_run (&pair, SECOND, FALSE);
  gkv_engine_get_flush (pair.sides[1].engine, ticket, &state);
  g_assert_false (state.done);

  pair.loses = NULL;
  pair_run (&pair, SECOND, FALSE);
  gkv_engine_get_flush (pair.sides[1].engine, ticket, &state);
  g_assert_true (state.done);
  record = gkv_store_lookup_visible (pair.sides[0].store, "key", 3);
  g_assert_cmpmem (gkv_record_get_content (record), record->content_len, "wins", 4);
  pair_clear (&pair);
}

/* A peer that refuses what the clock of another node has written, and this one holds, refuses nothing of this one's. */
static void
test_refused_of_another (void)
{
  guint64 ticket;
  Pair pair;

  pair_init_three (&pair);
  pair.sides[1].ahead = 72 * 3600 * SECOND;
  pair.sides[2].down = TRUE;
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_write (&pair, 1, "key", "value", 0);
  pair_run (&pair, 2 * SECOND, FALSE);
  pair.sides[2].down = FALSE;
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_nonnull (gkv_store_lookup (pair.sides[0].store, "key", 3));
  g_assert_null (gkv_store_lookup (pair.sides[2].store, "key", 3));

  write_many (&pair, 2000);
  ticket = begin_flush (&pair, 0);
  run_flush (&pair, ticket, 5 * SECOND);
  assert_done (&pair, ticket, 2, 2);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/flush/unreached/all", GUINT_TO_POINTER (0), test_unreached);
  g_test_add_data_func ("/flush/unreached/one", GUINT_TO_POINTER (1), test_unreached);
  g_test_add_data_func ("/flush/script/new", GUINT_TO_POINTER (0), test_script);
  g_test_add_data_func ("/flush/script/known", GUINT_TO_POINTER (1), test_script);
  g_test_add_func ("/flush/soon", test_soon);
  g_test_add_func ("/flush/one-dies", test_one_dies);
  g_test_add_func ("/flush/one-leaves", test_one_leaves);
  g_test_add_func ("/flush/last-dies", test_last_dies);
  g_test_add_func ("/flush/later", test_later);
  g_test_add_func ("/flush/while-writing", test_while_writing);
  g_test_add_func ("/flush/unconfirmed", test_unconfirmed);
  g_test_add_func ("/flush/refused", test_refused);
  g_test_add_func ("/flush/all-refuse", test_all_refuse);
  g_test_add_func ("/flush/through-others", test_through_others);
  g_test_add_func ("/flush/silent", test_silent);
  g_test_add_func ("/flush/same-stamp", test_same_stamp);
  g_test_add_func ("/flush/refused-of-another", test_refused_of_another);

  return g_test_run ();
}
