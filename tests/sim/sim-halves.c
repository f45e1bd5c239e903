/* Two halves, each of several nodes, that delete, write and forget each other for three tombstone lives, some with so
 * many deletions that the cap on tombstones ends them early. What was deleted stays deleted, and what was written in
 * either half is kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#define LIFE   (10 * 60 * SIM_SECOND)
#define N_KEYS 60

static void
live (SimCluster *cluster, guint seconds, guint writes_a_minute)
{
  for (guint second = 0; second < seconds; second++)
    {
      SimNode *node = sim_run_pick (cluster, SIM_NODE_UP);

      if (node != NULL && sim_network_random (cluster->network, 60) < writes_a_minute)
        sim_run_write (cluster, node, N_KEYS);
      sim_network_run (cluster->network, SIM_SECOND);
    }
}

static guint64
sum_up (SimCluster *cluster, const char *name)
{
  guint64 sum = 0;

  for (guint i = 0; i < cluster->nodes->len; i++)
    if (sim_cluster_get (cluster, i)->state == SIM_NODE_UP)
      sum += sim_node_get_stat (sim_cluster_get (cluster, i), name);
  return sum;
}

static gboolean
are_collected (gpointer user_data)
{
  SimCluster *cluster = user_data;

  for (guint i = 0; i < cluster->nodes->len; i++)
    if (gkv_store_get_n_tombstones (sim_cluster_get (cluster, i)->store) > 0)
      return FALSE;
  return sim_check_converged (cluster);
}

static void
tell_left (SimCluster *cluster)
{
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);

      sim_cluster_complain (cluster, "%s still has %u tombstones after three lives in peace", node->id,
                            (guint) gkv_store_get_n_tombstones (node->store));
    }
}

gboolean
sim_run_halves (const SimRun *run)
{
  SimCluster *cluster = sim_run_begin (run, "halves");
  guint n = sim_run_choose_n_nodes (run, cluster, 4, 8);
  const SimWeather weather = { .loss = 20, .delay = 500, .jitter = 500 };

  cluster->tombstone_life_ms = LIFE / SIM_MS;
  if (sim_network_happens (cluster->network, 300))
    cluster->max_tombstones = 5;

  sim_network_set_weather (cluster->network, &weather);
  for (guint i = 0; i < n; i++)
    {
      SimNode *node = sim_cluster_add (cluster, NULL);

      node->side = i % 2;
      sim_node_start (node);
    }
  for (guint i = 0; i < n; i++)
    for (guint j = 0; j < 2; j++)
      if (i != j)
        sim_node_add_seed (sim_cluster_get (cluster, i), sim_cluster_get (cluster, j)->address);

  live (cluster, 120, 50);
  cluster->parted_at = sim_network_get_now (cluster->network);
  sim_network_cut (cluster->network, 0, 1, TRUE);
  sim_network_cut (cluster->network, 1, 0, TRUE);
  live (cluster, 3 * LIFE / SIM_SECOND, 10);
  if (sum_up (cluster, "tombstones-collected") == 0)
    sim_cluster_complain (cluster, "no tombstone was collected in three lives");

  sim_network_heal (cluster->network);
  if (!sim_network_run_until (cluster->network, 3 * LIFE, 10 * SIM_SECOND, are_collected, cluster))
    tell_left (cluster);
  return sim_run_end (run, "halves", cluster);
}
