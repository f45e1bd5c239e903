/* Rumours: what is sent of a record that changes while it waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)
#define LIFE   (3 * SECOND)

static void
push_mortal (Pair *pair)
{
  GkvRecord *record = pair_put_mortal (pair, 0, "key", "lives for three seconds", LIFE / 1000);

  gkv_engine_push (pair->sides[0].engine, record, &pair->now);
}

/* Pushes a record that lives for a while, and has it replaced before it is sent. The one that replaces it stays behind,
 * as if the writer had died. */
static void
test_replaced (void)
{
  GkvRecord *record;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  push_mortal (&pair);
  pair_put (&pair, 0, "key", "lives for ever");
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);

  record = gkv_store_lookup (pair.sides[1].store, "key", 3);
  g_assert_true (record == NULL || gkv_store_get_deadline (pair.sides[1].store, record) > 0);
  pair_clear (&pair);
}

/* The remaining life travels with a record. */
static void
test_life (void)
{
  GkvRecord *record;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  push_mortal (&pair);
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);

  record = gkv_store_lookup_visible (pair.sides[1].store, "key", 3);
  g_assert_nonnull (record);
  g_assert_cmpint (gkv_store_get_deadline (pair.sides[1].store, record), <=, pair.now.mono + LIFE);
  pair_run (&pair, LIFE, FALSE);
  g_assert_null (gkv_store_lookup_visible (pair.sides[0].store, "key", 3));
  g_assert_null (gkv_store_lookup_visible (pair.sides[1].store, "key", 3));
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

static void
write_often (Pair *pair, const char *key, guint n)
{
  for (guint i = 1; i <= n; i++)
    {
      g_autofree char *value = g_strdup_printf ("%u", i);

      pair_write (pair, 0, key, value, 0);
    }
}

static void
assert_value (Pair *pair, guint side, const char *key, const char *value)
{
  GkvRecord *record = gkv_store_lookup_visible (pair->sides[side].store, key, strlen (key));

  g_assert_nonnull (record);
  g_assert_cmpmem (gkv_record_get_content (record), record->content_len, value, strlen (value));
}

/* Of a key that is written again and again between two turns only the newest record is sent. */
static void
test_hot_key (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_forget_counts (&pair);
  write_often (&pair, "hot", 10000);
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);

  assert_value (&pair, 1, "hot", "10000");
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_RUMOUR], ==, 1);
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_SPREAD], ==, 1);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "rumours-dropped"), ==, 0);
  pair_clear (&pair);
}

/* Nor does it push others out of the queue, or wait behind all of them each time that it is written. */
static void
test_hot_key_among_others (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_forget_counts (&pair);
  for (guint i = 0; i < 4000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      write_often (&pair, "hot", 3);
      pair_write (&pair, 0, key, "value", 0);
    }
  pair_run (&pair, 2 * PAIR_LATENCY, FALSE);
  assert_value (&pair, 1, "hot", "3");
  pair_run (&pair, 100 * PAIR_LATENCY, TRUE);

  g_assert_true (pair_is_same (&pair));
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_RUMOUR], ==, 4001);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "rumours-dropped"), ==, 0);
  pair_clear (&pair);
}

static guint n_empty;

static gboolean
lose_to_second (Pair *pair, guint from, guint to, GBytes *datagram)
{
  if (pair_datagram_has (datagram, GKV_MESSAGE_SPREAD) && !pair_datagram_has (datagram, GKV_MESSAGE_RUMOUR))
    n_empty++;

  return from == 0;
}

/* Nothing arrives for a while: what was sent and has been replaced since isn't repeated. */
static void
test_hot_key_unacknowledged (void)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.loses = lose_to_second;
  n_empty = 0;
  for (guint i = 0; i < 300; i++)
    {
      write_often (&pair, "hot", 100);
      pair_run (&pair, PAIR_LATENCY, FALSE);
    }
  g_assert_cmpuint (n_empty, ==, 0);

  pair.loses = NULL;
  pair_forget_counts (&pair);
  pair_write (&pair, 0, "hot", "last", 0);
  pair_run (&pair, 100 * PAIR_LATENCY, FALSE);
  assert_value (&pair, 1, "hot", "last");
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_RUMOUR], <=, 2);
  pair_clear (&pair);
}

/* An acknowledgement goes with what is written in the same turn. */
static void
test_acknowledged_by_reply (void)
{
  g_auto (GkvDatagram) ping = { NULL, NULL };
  g_auto (GkvDatagram) pong = { NULL, NULL };
  GkvDatagram another;
  gconstpointer data;
  Pair pair;
  gsize len;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);

  pair_write (&pair, 0, "ping", "x", 0);
  gkv_engine_tick (pair.sides[0].engine, &pair.now);
  g_assert_true (gkv_engine_pop_datagram (pair.sides[0].engine, &ping));

  data = g_bytes_get_data (ping.bytes, &len);
  gkv_engine_receive (pair.sides[1].engine, pair.sides[0].name, data, len, &pair.now);
  pair_write (&pair, 1, "pong", "x", 0);
  gkv_engine_tick (pair.sides[1].engine, &pair.now);
  g_assert_true (gkv_engine_pop_datagram (pair.sides[1].engine, &pong));
  g_assert_true (pair_datagram_has (pong.bytes, GKV_MESSAGE_SPREAD_ACK));
  g_assert_true (pair_datagram_has (pong.bytes, GKV_MESSAGE_SPREAD));
  g_assert_false (gkv_engine_pop_datagram (pair.sides[1].engine, &another));

  pair_send (&pair, 1, 0, pong.bytes, 0);
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);
  g_assert_cmpuint (gkv_engine_get_n_unconfirmed (pair.sides[0].engine), ==, 0);
  assert_value (&pair, 0, "pong", "x");
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/rumours/replaced", test_replaced);
  g_test_add_func ("/rumours/life", test_life);

  g_test_add_func ("/rumours/hot-key", test_hot_key);
  g_test_add_func ("/rumours/hot-key-among-others", test_hot_key_among_others);
  g_test_add_func ("/rumours/hot-key-unacknowledged", test_hot_key_unacknowledged);
  g_test_add_func ("/rumours/acknowledged-by-reply", test_acknowledged_by_reply);

  return g_test_run ();
}
