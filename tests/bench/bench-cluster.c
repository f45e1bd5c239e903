/* Clusters over loopback: how soon a write reaches everybody, what idleness costs.
 *
 * All nodes live in this process, on one main loop. Each figure stands beside its target and its floor: a datagram for
 * each node.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <stdlib.h>
#include <string.h>

#define TRIALS 21

static GkvNode *
make_node (const char *seed)
{
  g_autoptr (GError) error = NULL;
  const char *seeds[] = { seed, NULL };
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);

  if (!gkv_node_start (node, NULL, &error))
    g_error ("%s", error->message);
  return node;
}

static GPtrArray *
make_cluster (guint n)
{
  GPtrArray *nodes = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (nodes, make_node (i == 0 ? NULL : gkv_node_get_local_address (nodes->pdata[0])));

  for (guint i = 0; i < n; i++)
    while (g_list_model_get_n_items (gkv_node_get_peers (nodes->pdata[i])) < n - 1)
      g_main_context_iteration (NULL, TRUE);

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
spin (gint64 us)
{
  gint64 end = g_get_monotonic_time () + us;

  while (g_get_monotonic_time () < end)
    {
      g_main_context_iteration (NULL, FALSE);
      g_usleep (200);
    }
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return (x > y) - (x < y);
}

static void
on_changed (GkvNode *node, const char *key, GVariant *value, gpointer user_data)
{
  guint *n = user_data;

  *n += 1;
}

static void
bench_spread (guint n, double target)
{
  GPtrArray *nodes = make_cluster (n);
  gint64 times[TRIALS];
  guint seen = 0;

  spin (2 * G_USEC_PER_SEC);
  for (guint i = 0; i < n; i++)
    g_signal_connect (nodes->pdata[i], "changed::flag", G_CALLBACK (on_changed), &seen);

  for (guint trial = 0; trial < TRIALS; trial++)
    {
      gint64 start = g_get_monotonic_time ();

      seen = 0;
      gkv_node_set_int64 (nodes->pdata[trial % n], "flag", trial, NULL, NULL);
      while (seen < n)
        g_main_context_iteration (NULL, TRUE);
      times[trial] = g_get_monotonic_time () - start;
      spin (50 * 1000);
    }

  qsort (times, TRIALS, sizeof times[0], compare_times);
  g_print ("one write reaches %3u nodes     median %8.2f ms   target %.0f   (min %.2f, max %.2f; floor: N datagrams of "
           "5 us, %.2f)\n",
           n, times[TRIALS / 2] / 1000.0, target, times[0] / 1000.0, times[TRIALS - 1] / 1000.0, n * 0.005);
  close_cluster (nodes);
}

static guint64
get_stat (GkvNode *node, const char *name)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);
  guint64 value = 0;

  g_variant_lookup (stats, name, "t", &value);
  return value;
}

static void
bench_idle (guint n, guint n_keys, guint seconds)
{
  GPtrArray *nodes = make_cluster (n);
  guint64 bytes = 0, datagrams = 0;

  for (guint i = 0; i < n_keys; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      gkv_node_set_int64 (nodes->pdata[0], key, i, NULL, NULL);
    }
  for (guint i = 0; i < n; i++)
    while (gkv_node_get_n_keys (nodes->pdata[i]) < n_keys)
      g_main_context_iteration (NULL, TRUE);
  /* Until there is no news of members any more. */
  spin (30 * G_USEC_PER_SEC);

  for (guint i = 0; i < n; i++)
    {
      bytes -= get_stat (nodes->pdata[i], "bytes-sent");
      datagrams -= get_stat (nodes->pdata[i], "datagrams-sent");
    }
  spin (seconds * G_USEC_PER_SEC);
  for (guint i = 0; i < n; i++)
    {
      bytes += get_stat (nodes->pdata[i], "bytes-sent");
      datagrams += get_stat (nodes->pdata[i], "datagrams-sent");
    }

  g_print ("idle, %2u nodes, %7u keys     %8.1f B/s a node   target 80   (with IP and UDP headers %.1f)\n", n, n_keys,
           (double) bytes / n / seconds, (double) (bytes + 28 * datagrams) / n / seconds);
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
