/* One member that lies in everything but records, among others that don't: they hold each other alive, lose nothing,
 * and hold the same once it has gone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#define N_KEYS       40
#define MAX_INVENTED 100

gboolean
sim_run_liars (const SimRun *run)
{
  SimCluster *cluster = sim_run_begin (run, "liars");
  guint n = sim_run_choose_n_nodes (run, cluster, 3, 10);
  const SimWeather weather = { .loss = sim_network_random (cluster->network, 50), .delay = 500, .jitter = 500 };
  guint often = 20 + sim_network_random (cluster->network, 500);
  SimNode *liar;

  sim_network_set_weather (cluster->network, &weather);
  sim_cluster_add_chain (cluster, n);
  liar = sim_cluster_add (cluster, "liar");
  liar->options.lies = often;
  cluster->max_invented = MAX_INVENTED;
  sim_node_add_seed (liar, sim_cluster_get (cluster, sim_network_random (cluster->network, n))->address);
  sim_node_start (liar);

  for (guint second = 0; second < 60; second++)
    {
      for (guint i = 0; i < 5; i++)
        sim_run_write (cluster, sim_cluster_get (cluster, sim_network_random (cluster->network, n)), N_KEYS);
      if (second % 10 == 0)
        sim_watch_flush (sim_cluster_get (cluster, sim_network_random (cluster->network, n)), 1);
      sim_network_run (cluster->network, SIM_SECOND);
    }
  sim_node_leave (liar);

  return sim_run_end (run, "liars", cluster);
}
