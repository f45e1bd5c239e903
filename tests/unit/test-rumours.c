/* Rumours: what is sent of a record that changes while it waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define LIFE   (3 * SECOND)

static void
push_mortal (Pair *pair)
{
  GkvRecord *record;

  pair_put (pair, 0, "key", "lives for three seconds");
  record = gkv_store_lookup (pair->sides[0].store, "key", 3);
  gkv_store_set_deadline (pair->sides[0].store, record, pair->now.mono + LIFE);
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

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/rumours/replaced", test_replaced);
  g_test_add_func ("/rumours/life", test_life);

  return g_test_run ();
}
