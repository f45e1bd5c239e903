/* What only a simulated network can show: clusters under loss, nodes that die, stall and leave, in virtual time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "../sim/sim-cluster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static SimCluster *
make_cluster (guint n, guint loss, guint64 seed)
{
  const SimWeather fair = { .delay = 500 }, weather = { .delay = 500, .loss = loss };
  SimCluster *cluster = sim_cluster_new (seed);

  sim_network_set_weather (cluster->network, &fair);
  cluster->gossip_interval_ms = 2000;
  for (guint i = 0; i < n; i++)
    {
      SimNode *node = sim_cluster_add (cluster, NULL);

      if (i > 0)
        sim_node_add_seed (node, sim_cluster_get (cluster, 0)->address);
      sim_node_start (node);
    }
  sim_network_run (cluster->network, 60 * SIM_SECOND);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (sim_node_get_stat (sim_cluster_get (cluster, i), "peers-alive"), ==, n - 1);

  sim_network_set_weather (cluster->network, &weather);
  sim_network_run (cluster->network, 10 * SIM_SECOND);
  return cluster;
}

static int
compare (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return (x > y) - (x < y);
}

static double
get_percentile (gint64 *times, guint n, guint percent)
{
  qsort (times, n, sizeof *times, compare);
  return times[MIN (n - 1, n * percent / 100)] / 1000.0;
}

typedef struct
{
  SimCluster *cluster;
  const char *value;
  guint gone;
  gint64 *times; /* of each node, 0: not yet */
  gint64 start;
  guint n_left;
} Watch;

static gboolean
everybody_shows (gpointer user_data)
{
  Watch *watch = user_data;

  for (guint i = 0; i < watch->cluster->nodes->len; i++)
    if (watch->times[i] == 0 && sim_node_shows (sim_cluster_get (watch->cluster, i), "flag", watch->value))
      {
        watch->times[i] = MAX (sim_network_get_now (watch->cluster->network) - watch->start, 1);
        watch->n_left--;
      }

  return watch->n_left == 0;
}

static void
bench_spread (guint n, guint loss, guint n_trials)
{
  SimCluster *cluster = make_cluster (n, loss, 1);
  g_autofree gint64 *all = g_new0 (gint64, n * n_trials);

  for (guint trial = 0; trial < n_trials; trial++)
    {
      g_autofree char *value = g_strdup_printf ("value-%u", trial);
      Watch watch = { .cluster = cluster, .value = value, .times = all + trial * n, .n_left = n };

      watch.start = sim_network_get_now (cluster->network);
      sim_node_put_string (sim_cluster_get (cluster, trial % n), "flag", value);
      sim_network_run_until (cluster->network, 30 * SIM_SECOND, SIM_MS, everybody_shows, &watch);
      sim_network_run (cluster->network, SIM_SECOND);
    }
  g_print ("one write, %3u nodes, %2u %% loss      99 %% of nodes within %6.1f ms   target 100   (median %.1f, all "
           "within "
           "%.1f; floor: %.1f hops of 0.5 ms)\n",
           n, loss / 10, get_percentile (all, n * n_trials, 99), get_percentile (all, n * n_trials, 50),
           get_percentile (all, n * n_trials, 100), log (n) / log (8));
  sim_cluster_free (cluster);
}

static gboolean
everybody_misses (gpointer user_data)
{
  Watch *watch = user_data;
  guint n = watch->cluster->nodes->len;

  for (guint i = 0; i < n; i++)
    if (i != watch->gone && sim_node_get_stat (sim_cluster_get (watch->cluster, i), "peers-alive") > n - 2)
      return FALSE;

  return TRUE;
}

static void
bench_gone (guint n, guint loss, gboolean leaves, double target, guint n_trials)
{
  SimCluster *cluster = make_cluster (n, loss, 2);
  g_autofree gint64 *times = g_new0 (gint64, n_trials);

  for (guint trial = 0; trial < n_trials; trial++)
    {
      Watch watch = { .cluster = cluster, .gone = 1 + trial % (n - 1) };
      SimNode *node = sim_cluster_get (cluster, watch.gone);
      gint64 start;

      sim_network_run (cluster->network, sim_network_random (cluster->network, SIM_SECOND));
      start = sim_network_get_now (cluster->network);
      if (leaves)
        sim_node_leave (node);
      else
        sim_node_crash (node, FALSE);
      sim_network_run_until (cluster->network, 60 * SIM_SECOND, SIM_MS, everybody_misses, &watch);
      times[trial] = sim_network_get_now (cluster->network) - start;
      sim_node_start (node);
      sim_network_run (cluster->network, 60 * SIM_SECOND);
    }

  g_print ("a node %s, %3u nodes, %2u %% loss   gone everywhere after %8.1f ms   target %.0f   (slowest of %u: %.1f)\n",
           leaves ? "leaves  " : "is killed", n, loss / 10, get_percentile (times, n_trials, 50), target, n_trials,
           get_percentile (times, n_trials, 100));
  sim_cluster_free (cluster);
}

static void
bench_false_deaths (guint n, guint loss, guint seconds)
{
  SimCluster *cluster = make_cluster (n, loss, 3);
  SimNode *staller = sim_cluster_get (cluster, n / 2);
  guint n_died = 0;

  for (guint second = 0; second < seconds; second += 10)
    {
      sim_node_stall (staller);
      sim_network_run (cluster->network, SIM_SECOND);
      sim_node_resume (staller);
      sim_network_run (cluster->network, 9 * SIM_SECOND);
    }
  for (guint i = 0; i < n; i++)
    n_died += sim_cluster_get (cluster, i)->n_peers_died;

  g_print ("false deaths, %u nodes, %u %% loss, one stalls each 10 s   %u in %u s   target 0\n", n, loss / 10, n_died,
           seconds);
  sim_cluster_free (cluster);
}

int
main (int argc, char *argv[])
{
  gboolean brief = argc > 1 && strcmp (argv[1], "--quick") == 0;

  bench_spread (100, 0, 10);
  bench_spread (100, 250, brief ? 10 : 50);
  bench_gone (10, 0, FALSE, 4000, brief ? 5 : 21);
  bench_gone (100, 0, FALSE, 8000, brief ? 1 : 5);
  bench_gone (10, 300, FALSE, 15000, brief ? 5 : 21);
  bench_gone (100, 300, FALSE, 15000, brief ? 1 : 5);
  bench_gone (10, 0, TRUE, 5, brief ? 5 : 21);
  bench_gone (100, 0, TRUE, 50, brief ? 1 : 5);
  bench_false_deaths (40, 300, brief ? 60 : 600);

  return 0;
}
