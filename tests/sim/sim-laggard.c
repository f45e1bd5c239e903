/* One node is out of reach for two tombstone lives, but not forgotten. The others collect the tombstones of what they
 * delete meanwhile, and remember the removals: nothing of that returns with it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#define LIFE   (10 * 60 * SIM_SECOND)
#define N_KEYS 30

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
delete_some (SimCluster *cluster)
{
  for (guint i = 0; i < N_KEYS; i += 2)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      sim_node_delete (sim_cluster_get (cluster, 1 + i % (cluster->nodes->len - 1)), key);
      sim_network_run (cluster->network, SIM_SECOND);
    }
}

gboolean
sim_run_laggard (const SimRun *run)
{
  SimCluster *cluster = sim_run_begin (run, "laggard");
  guint n = sim_run_choose_n_nodes (run, cluster, 3, 6);
  const SimWeather weather = { .loss = 20, .delay = 500, .jitter = 500 };

  cluster->tombstone_life_ms = LIFE / SIM_MS;
  cluster->forget_dead_ms = 10 * LIFE / SIM_MS;
  sim_network_set_weather (cluster->network, &weather);
  for (guint i = 0; i < n; i++)
    {
      SimNode *node = sim_cluster_add (cluster, NULL);

      node->side = i == 0;
      if (i > 0)
        sim_node_add_seed (node, sim_cluster_get (cluster, 0)->address);
      sim_node_start (node);
    }
  sim_network_run (cluster->network, 20 * SIM_SECOND);
  for (guint i = 0; i < N_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      sim_node_put_string (sim_cluster_get (cluster, i % n), key, "value");
    }
  sim_network_run (cluster->network, 20 * SIM_SECOND);

  sim_network_cut (cluster->network, 0, 1, TRUE);
  sim_network_cut (cluster->network, 1, 0, TRUE);
  delete_some (cluster);
  sim_network_run (cluster->network, 2 * LIFE);
  for (guint i = 1; i < n; i++)
    if (gkv_store_get_n_tombstones (sim_cluster_get (cluster, i)->store) > 0)
      sim_cluster_complain (cluster, "%s keeps tombstones for a peer that is lost", sim_cluster_get (cluster, i)->id);

  sim_network_heal (cluster->network);
  if (!sim_network_run_until (cluster->network, 3 * LIFE, 10 * SIM_SECOND, are_collected, cluster))
    sim_cluster_complain (cluster, "deletions that all have heard of are still remembered");
  return sim_run_end (run, "laggard", cluster);
}
