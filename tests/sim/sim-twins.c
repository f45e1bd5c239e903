/* Two live nodes with one id among others: both are told, neither loses what it writes, and neither is taken for a
 * later life of the other, however the clocks of the two stand.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#include "gkv-error.h"

static void
check_twin (SimNode *node, guint64 life, const char *key_of_other)
{
  if (node->n_errors[GKV_ERROR_DUPLICATE_ID] == 0)
    sim_cluster_complain (node->cluster, "the one at %s was not told that its id is taken", node->address);
  if (gkv_engine_get_generation (node->engine) != life)
    sim_cluster_complain (node->cluster, "the one at %s has taken another life", node->address);
  if (!sim_node_shows (node, key_of_other, "here"))
    sim_cluster_complain (node->cluster, "the one at %s has not got what the other wrote", node->address);
}

gboolean
sim_run_twins (const SimRun *run)
{
  SimCluster *cluster = sim_run_begin (run, "twins");
  guint n = sim_run_choose_n_nodes (run, cluster, 3, 30);
  const SimWeather weather = { .delay = 500 };
  SimNode *twins[2];
  guint64 lives[2];
  gboolean kept;

  sim_network_set_weather (cluster->network, &weather);
  sim_cluster_add_chain (cluster, n);
  for (guint i = 0; i < 2; i++)
    {
      twins[i] = sim_cluster_add (cluster, "twin");
      twins[i]->clocks.wall_offset = ((gint64) sim_network_random (cluster->network, 600) - 300) * SIM_SECOND;
      sim_node_add_seed (twins[i], sim_cluster_get (cluster, 0)->address);
      sim_node_start (twins[i]);
      lives[i] = gkv_engine_get_generation (twins[i]->engine);
      sim_node_put_string (twins[i], i == 0 ? "of-first" : "of-second", "here");
      sim_network_run (cluster->network, 60 * SIM_SECOND);
    }
  sim_network_run (cluster->network, 120 * SIM_SECOND);

  check_twin (twins[0], lives[0], "of-second");
  check_twin (twins[1], lives[1], "of-first");

  kept = sim_run_report (run, "twins", cluster, NULL);
  sim_cluster_free (cluster);
  return kept;
}
