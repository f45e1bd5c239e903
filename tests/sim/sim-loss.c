/* A third of all datagrams lost, one node that stalls for a second now and then, and nobody dies: all find each other,
 * nobody is held dead, and what is written arrives.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

gboolean
sim_run_loss (const SimRun *run)
{
  SimCluster *cluster = sim_run_begin (run, "loss");
  guint n = sim_run_choose_n_nodes (run, cluster, 3, 20);
  const SimWeather weather = { .loss = 300, .delay = 500, .jitter = 500 };

  sim_network_set_weather (cluster->network, &weather);
  for (guint i = 0; i < n; i++)
    {
      SimNode *node = sim_cluster_add (cluster, NULL);

      if (i > 0)
        sim_node_add_seed (node, sim_cluster_get (cluster, 0)->address);
      sim_node_start (node);
    }
  sim_network_run (cluster->network, 60 * SIM_SECOND);

  for (guint i = 0; i < n; i++)
    {
      guint64 n_alive = sim_node_get_stat (sim_cluster_get (cluster, i), "peers-alive");

      if (n_alive != n - 1)
        sim_cluster_complain (cluster, "%s knows %u of %u others after a minute", sim_cluster_get (cluster, i)->id,
                              (guint) n_alive, n - 1);
    }

  for (guint second = 0; second < 120; second++)
    {
      SimNode *staller = sim_cluster_get (cluster, n / 2);

      sim_run_write (cluster, sim_cluster_get (cluster, 0), 40);
      if (second % 10 == 0)
        sim_node_stall (staller);
      else if (second % 10 == 1)
        sim_node_resume (staller);
      sim_network_run (cluster->network, SIM_SECOND);
    }

  for (guint i = 0; i < n; i++)
    if (sim_cluster_get (cluster, i)->n_peers_died > 0)
      sim_cluster_complain (cluster, "%s held %u live peers dead", sim_cluster_get (cluster, i)->id,
                            sim_cluster_get (cluster, i)->n_peers_died);

  return sim_run_end (run, "loss", cluster);
}
