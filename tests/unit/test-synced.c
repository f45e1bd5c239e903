/* Synced: it rises as soon as all is here that the others held, however seldom they are asked.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#define SECOND   ((gint64) G_USEC_PER_SEC)
#define INTERVAL 60000

/* From the moment when all hold the same: a few datagrams each way. */
#define SOON (10 * PAIR_LATENCY)

/* The same where something got lost, or came from several: that is asked for again. */
#define LATER (SECOND / 2)

typedef struct
{
  const char *path;
  guint n_sides;
  guint n_records[PAIR_MAX];
  gsize size;
} Case;

static const Case cases[] = {
  { "nothing", 2, { 0, 0, 0 }, 0 },
  { "one-at-first", 2, { 1, 0, 0 }, 10 },
  { "one-at-second", 2, { 0, 1, 0 }, 10 },
  { "one-at-both", 2, { 1, 1, 0 }, 10 },
  { "few-at-both", 2, { 30, 40, 0 }, 100 },
  { "many-at-first", 2, { 5000, 0, 0 }, 100 },
  { "many-at-second", 2, { 0, 5000, 0 }, 100 },
  { "many-at-both", 2, { 3000, 2000, 0 }, 100 },
  { "in-pieces-at-first", 2, { 1, 0, 0 }, 150000 },
  { "in-pieces-at-second", 2, { 0, 1, 0 }, 150000 },
  { "in-pieces-at-both", 2, { 3, 2, 0 }, 150000 },
  { "three/nothing", 3, { 0, 0, 0 }, 0 },
  { "three/one-at-first", 3, { 1, 0, 0 }, 10 },
  { "three/one-at-second", 3, { 0, 1, 0 }, 10 },
  { "three/one-at-all", 3, { 1, 1, 1 }, 10 },
  { "three/many-at-first", 3, { 5000, 0, 0 }, 100 },
  { "three/many-at-third", 3, { 0, 0, 5000 }, 100 },
  { "three/many-at-all", 3, { 1000, 2000, 3000 }, 100 },
  { "three/in-pieces-at-all", 3, { 2, 2, 2 }, 150000 },
};

static void
fill (Pair *pair, guint side, guint n, gsize size)
{
  g_autofree char *value = g_strnfill (size, 'x');

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u-%u", side, i);

      pair_put (pair, side, key, value);
    }
}

static void
begin (Pair *pair, const Case *the)
{
  if (the->n_sides == 2)
    pair_init (pair);
  else
    pair_init_three (pair);

  for (guint i = 0; i < pair->n; i++)
    {
      gkv_engine_set_gossip_interval (pair->sides[i].engine, INTERVAL);
      fill (pair, i, the->n_records[i], the->size);
    }
}

static gboolean
have_met (Pair *pair)
{
  for (guint i = 0; i < pair->n; i++)
    if (pair_get_stat (pair, i, "peers-alive") != pair->n - 1)
      return FALSE;

  return TRUE;
}

static void
assert_synced_soon (Pair *pair, gint64 patience)
{
  gint64 end = pair->now.mono + 50 * SECOND;

  while (!(have_met (pair) && pair_is_same (pair)) && pair->now.mono < end)
    pair_run (pair, PAIR_LATENCY / 2, FALSE);
  g_assert_true (pair_is_same (pair));

  pair_run (pair, patience, FALSE);
  for (guint i = 0; i < pair->n; i++)
    g_assert_true (gkv_engine_get_synced (pair->sides[i].engine));
}

static void
test_case (gconstpointer data)
{
  const Case *the = data;
  Pair pair;

  begin (&pair, the);
  assert_synced_soon (&pair, the->n_sides > 2 ? LATER : SOON);
  pair_clear (&pair);
}

/* Each is written by the first while the second gets what there was before. */
static void
test_written_meanwhile (void)
{
  const Case the = { NULL, 2, { 3000, 0, 0 }, 100 };
  Pair pair;

  begin (&pair, &the);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *key = g_strdup_printf ("new-%u", i);

      pair_write (&pair, i % 2, key, "value", 0);
      pair_run (&pair, PAIR_LATENCY / 2, FALSE);
    }
  assert_synced_soon (&pair, SOON);
  pair_clear (&pair);
}

/* What the second lacks comes to it as a rumour of the third while it is being asked. */
static void
test_rumour_meanwhile (void)
{
  const Case the = { NULL, 3, { 1, 0, 0 }, 10 };
  Pair pair;

  begin (&pair, &the);
  while (!have_met (&pair))
    pair_run (&pair, PAIR_LATENCY / 2, FALSE);
  pair_write (&pair, 2, "new", "value", 0);
  assert_synced_soon (&pair, SOON);
  pair_clear (&pair);
}

/* Loses the first so many messages of each kind that comes after an introduction but those about
 * removals, for which nothing waits. */
static guint n_lost[GKV_MESSAGE_COLLECTED];

static gboolean
lose_first (Pair *pair, guint from, guint to, GBytes *datagram)
{
  for (guint kind = GKV_MESSAGE_RUMOUR; kind < GKV_MESSAGE_COLLECTED; kind++)
    if (n_lost[kind] > 0 && pair_datagram_has (datagram, kind))
      {
        n_lost[kind]--;
        return TRUE;
      }

  return FALSE;
}

static void
test_loss (gconstpointer data)
{
  Pair pair;

  begin (&pair, data);
  for (guint i = 0; i < G_N_ELEMENTS (n_lost); i++)
    n_lost[i] = 1;
  pair.loses = lose_first;
  assert_synced_soon (&pair, 2 * LATER);
  pair_clear (&pair);
}

/* The second answers pings, and nothing that it is asked for. */
static gboolean
withhold (Pair *pair, guint from, guint to, GBytes *datagram)
{
  static const GkvMessageKind kinds[] = { GKV_MESSAGE_SAME,   GKV_MESSAGE_RANGE,  GKV_MESSAGE_ITEMS,
                                          GKV_MESSAGE_SKETCH, GKV_MESSAGE_RECORD, GKV_MESSAGE_PAGE };

  for (guint i = 0; from == 1 && i < G_N_ELEMENTS (kinds); i++)
    if (pair_datagram_has (datagram, kinds[i]))
      return TRUE;

  /* Nor does it ask. */
  return from == 1 && pair_datagram_has (datagram, GKV_MESSAGE_ASK);
}

/* It holds nobody up for ever. (What it says that it lives in is lost with the rest here, so that it takes longer.) */
static void
test_withheld (void)
{
  const Case the = { NULL, 3, { 10, 10, 10 }, 10 };
  Pair pair;

  begin (&pair, &the);
  pair.loses = withhold;
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 2);
  g_assert_true (gkv_engine_get_synced (pair.sides[0].engine));
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[0].store, "key-2-0", 7));
  pair_clear (&pair);
}

/* The first has named two, of which one has ended: it doesn't wait for that. */
static void
test_one_has_ended (void)
{
  Pair pair;

  pair_init_three (&pair);
  fill (&pair, 1, 10, 10);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair.sides[2].down = TRUE;
  pair_restart_empty (&pair, 0);
  pair_run (&pair, SOON, FALSE);
  g_assert_true (gkv_engine_get_synced (pair.sides[0].engine));
  g_assert_nonnull (gkv_store_lookup_visible (pair.sides[0].store, "key-1-0", 7));
  pair_clear (&pair);
}

/* Whom the application has named is waited for. */
static void
test_seeds_unreached (void)
{
  Pair pair;

  pair_init (&pair);
  pair.sides[1].down = TRUE;
  pair_run (&pair, 20 * SECOND, FALSE);
  g_assert_false (gkv_engine_get_synced (pair.sides[0].engine));
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/synced/soon/", cases[i].path, NULL);
      g_autofree char *loss = g_strconcat ("/synced/loss/", cases[i].path, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
      g_test_add_data_func (loss, &cases[i], test_loss);
    }
  g_test_add_func ("/synced/written-meanwhile", test_written_meanwhile);
  g_test_add_func ("/synced/rumour-meanwhile", test_rumour_meanwhile);

  g_test_add_func ("/synced/withheld", test_withheld);
  g_test_add_func ("/synced/one-has-ended", test_one_has_ended);
  g_test_add_func ("/synced/seeds-unreached", test_seeds_unreached);

  return g_test_run ();
}
