/* Finding what differs between two nodes that hold almost the same: bytes of digest and round trips, over an exact wire
 * under virtual time, and the time that 'in sync?' takes. The floor is a record's bare identity, 12 bytes a difference.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "../unit/pair.h"

#include <string.h>

#define FLOOR_BYTES 12

static guint n_keys = 100000;

static void
fill (Pair *pair)
{
  pair_init (pair);
  for (guint i = 0; i < n_keys; i++)
    {
      g_autofree char *key = g_strdup_printf ("application/key-%07u", i);

      pair_put_both (pair, key, "twenty bytes of text");
    }
  pair_run (pair, 10 * G_USEC_PER_SEC, FALSE);
  g_assert_true (pair_is_same (pair));
}

/* How long it takes from the first answer that isn't 'the same' until both hold the same. */
static gint64
settle (Pair *pair)
{
  pair_forget_counts (pair);
  while (pair->n_messages[GKV_MESSAGE_SKETCH] + pair->n_messages[GKV_MESSAGE_RANGE] == 0)
    pair_run (pair, PAIR_LATENCY / 2, FALSE);

  return pair_run (pair, 60 * G_USEC_PER_SEC, TRUE);
}

/* New keys, half of them on each side. */
static void
bench_scattered (Pair *pair, guint n, guint n_trials)
{
  static guint serial;
  guint n_alone = 0;
  double bytes = 0, trips = 0;

  for (guint trial = 0; trial < n_trials; trial++)
    {
      gint64 taken;

      for (guint i = 0; i < n; i++)
        {
          g_autofree char *key = g_strdup_printf ("application/new-%u", serial++);

          pair_put (pair, i % 2, key, "twenty bytes of text");
        }
      taken = settle (pair);
      bytes += (double) pair_get_digest_bytes (pair) / n;
      trips += (double) taken / (2 * PAIR_LATENCY);
      n_alone += pair->n_messages[GKV_MESSAGE_SKETCH] == 1 && pair->n_messages[GKV_MESSAGE_RANGE] == 0;
      pair_run (pair, 5 * G_USEC_PER_SEC, FALSE);
      g_assert_true (pair_is_same (pair));
    }

  g_print ("%5u of %u differ       %7.1f B of digest each (floor %d), %4.1f round trips with the records; "
           "one datagram was enough in %u of %u trials\n",
           n, n_keys, bytes / n_trials, FLOOR_BYTES, trips / n_trials, n_alone, n_trials);
}

/* Keys written again on one side: two differences each. */
static void
bench_updated (Pair *pair, guint n)
{
  gint64 taken;

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("application/key-%07u", i);

      pair_put (pair, 1, key, "other bytes of text.");
    }
  taken = settle (pair);
  g_print ("%5u of %u updated     %7.1f B of digest a difference (floor %d), %4.1f round trips with the records\n", n,
           n_keys, (double) pair_get_digest_bytes (pair) / (2 * n), FLOOR_BYTES, (double) taken / (2 * PAIR_LATENCY));
  pair_run (pair, 5 * G_USEC_PER_SEC, FALSE);
  g_assert_true (pair_is_same (pair));
}

static void
bench_same (Pair *pair)
{
  const GkvRange everything = { 0, 0 };
  const guint n = 1000000;
  guint64 sum = 0;
  gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < n; i++)
    {
      GkvSummary summary;

      gkv_store_summarise (pair->sides[0].store, everything, &summary);
      sum += summary.fingerprint.lo + i;
    }
  /* So that the compiler can't leave it out. */
  g_assert_cmpuint (sum, !=, 0);

  g_print ("'in sync?' with %u keys %7.1f ns of work a side   target 1,000\n", n_keys,
           (g_get_monotonic_time () - start) * 1000.0 / n);

  pair_forget_counts (pair);
  pair_run (pair, 20 * G_USEC_PER_SEC, FALSE);
  g_print ("'in sync?' on the wire       %7.1f B asked, %.1f B answered: a message each, which rides on a ping\n",
           (double) pair->n_bytes[GKV_MESSAGE_ASK] / pair->n_messages[GKV_MESSAGE_ASK],
           (double) pair->n_bytes[GKV_MESSAGE_SAME] / pair->n_messages[GKV_MESSAGE_SAME]);
}

int
main (int argc, char *argv[])
{
  gboolean brief = argc > 1 && strcmp (argv[1], "--quick") == 0;
  guint n_trials = brief ? 10 : 100;
  Pair pair;

  if (brief)
    n_keys = 10000;
  fill (&pair);
  bench_same (&pair);
  bench_scattered (&pair, 1, n_trials);
  bench_scattered (&pair, 10, n_trials);
  bench_scattered (&pair, 20, n_trials);
  bench_scattered (&pair, 1000, brief ? 2 : 10);
  bench_updated (&pair, 500);
  pair_clear (&pair);

  return 0;
}
