/* Clusters over loopback: how soon a write reaches everybody, what idleness costs.
 *
 * All nodes live in this process, on one main loop. Each figure stands beside its target and its floor: a datagram for
 * each node.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-node.h"

#include <string.h>

#define TRIALS 21

static GPtrArray *
make_cluster (guint n)
{
  GPtrArray *nodes = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (nodes, bench_node_new (i == 0 ? NULL : gkv_node_get_local_address (nodes->pdata[0])));

  for (guint i = 0; i < n; i++)
    while (g_list_model_get_n_items (gkv_node_get_peers (nodes->pdata[i])) < n - 1)
      bench_turn ();

  return nodes;
}

static void
close_cluster (GPtrArray *nodes)
{
  for (guint i = 0; i < nodes->len; i++)
    gkv_node_close (nodes->pdata[i], NULL, NULL);
  g_ptr_array_unref (nodes);
}

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  guint *n = user_data;

  *n += 1;
}

static void
bench_spread (guint n, double target)
{
  GPtrArray *nodes = make_cluster (n);
  gint64 times[TRIALS];
  gint64 median;
  guint seen = 0;

  bench_spin (2 * G_USEC_PER_SEC);
  bench_take_longest_turn ();
  for (guint i = 0; i < n; i++)
    g_signal_connect (nodes->pdata[i], "changed::flag", G_CALLBACK (on_changed), &seen);

  for (guint trial = 0; trial < TRIALS; trial++)
    {
      gint64 start = g_get_monotonic_time ();

      seen = 0;
      gkv_node_set_int64 (nodes->pdata[trial % n], "flag", trial, NULL);
      while (seen < n)
        bench_turn ();
      times[trial] = g_get_monotonic_time () - start;
      bench_spin (50 * 1000);
    }

  median = bench_get_median (times, TRIALS);
  g_print ("one write reaches %3u nodes     median %8.2f ms   target %.0f   (min %.2f, max %.2f; floor: N datagrams of "
           "5 us, %.2f; longest turn of all nodes %.1f ms)\n",
           n, median / 1000.0, target, times[0] / 1000.0, times[TRIALS - 1] / 1000.0, n * 0.005,
           bench_take_longest_turn ());
  close_cluster (nodes);
}

static void
bench_idle (guint n, guint n_keys, guint seconds)
{
  GPtrArray *nodes = make_cluster (n);
  guint64 bytes = 0, datagrams = 0;

  for (guint i = 0; i < n_keys; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      gkv_node_set_int64 (nodes->pdata[0], key, i, NULL);
    }
  for (guint i = 0; i < n; i++)
    while (gkv_node_get_n_keys (nodes->pdata[i]) < n_keys)
      bench_turn ();
  /* Until there is no news of members any more. */
  bench_spin (30 * G_USEC_PER_SEC);

  bench_take_longest_turn ();
  for (guint i = 0; i < n; i++)
    {
      bytes -= bench_node_get_stat (nodes->pdata[i], "bytes-sent");
      datagrams -= bench_node_get_stat (nodes->pdata[i], "datagrams-sent");
    }
  bench_spin (seconds * G_USEC_PER_SEC);
  for (guint i = 0; i < n; i++)
    {
      bytes += bench_node_get_stat (nodes->pdata[i], "bytes-sent");
      datagrams += bench_node_get_stat (nodes->pdata[i], "datagrams-sent");
    }

  g_print ("idle, %2u nodes, %7u keys     %8.1f B/s a node   target 80   (with IP and UDP headers %.1f; longest "
           "turn of all nodes %.1f ms)\n",
           n, n_keys, (double) bytes / n / seconds, (double) (bytes + 28 * datagrams) / n / seconds,
           bench_take_longest_turn ());
  close_cluster (nodes);
}

int
main (int argc, char *argv[])
{
  gboolean brief = argc > 1 && strcmp (argv[1], "--quick") == 0;

  bench_spread (3, 5);
  bench_spread (10, 5);
  bench_spread (40, 20);
  if (!brief)
    bench_spread (100, 50);
  bench_idle (11, 1, brief ? 10 : 60);
  bench_idle (11, brief ? 10000 : 1000000, brief ? 10 : 60);
  return 0;
}
