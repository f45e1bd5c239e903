/* A third of all datagrams lost, each for itself or in bursts, and nobody dies: forty nodes, three minutes. With so
 * many questions a suspicion and nothing else, how many of all suspicions ended badly.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#include "gossip/gkv-engine-private.h"

#define N_NODES  40
#define DURATION (180 * SIM_SECOND)

static SimCluster *
begin (const SimRun *run, guint burst)
{
  SimCluster *cluster = sim_run_begin (run, "deaths");
  const SimWeather weather = { .loss = 300, .burst = burst, .delay = 500, .jitter = 500 };

  cluster->suspect_questions = run->n_questions;
  sim_cluster_add_chain (cluster, run->n_nodes > 0 ? run->n_nodes : N_NODES);
  sim_network_run (cluster->network, 10 * SIM_SECOND);
  sim_network_set_weather (cluster->network, &weather);
  return cluster;
}

/* More than probes that failed would raise: each of these is another try. */
static void
raise_suspicions (SimCluster *cluster)
{
  for (gint64 end = sim_network_get_now (cluster->network) + DURATION; sim_network_get_now (cluster->network) < end;)
    {
      SimNode *node = sim_run_pick (cluster, SIM_NODE_UP);
      SimNode *other = sim_run_pick (cluster, SIM_NODE_UP);
      GkvMember *member = gkv_members_lookup (node->engine->members, other->id);

      node->engine->runtime->now = sim_node_get_time (node);
      if (member != NULL)
        gkv_membership_suspect (node->engine->membership, member);
      sim_node_turn (node);
      sim_network_run (cluster->network, SIM_SECOND / 20);
    }
}

/* Those that are held dead wrongly come back, and are suspected again. */
static void
count (SimCluster *cluster, guint64 *n_suspected, guint64 *n_died)
{
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      *n_suspected += sim_cluster_get (cluster, i)->n_peers_suspected;
      *n_died += sim_cluster_get (cluster, i)->n_peers_died;
    }
}

gboolean
sim_run_deaths (const SimRun *run)
{
  static guint64 n_suspected, n_died;
  SimCluster *cluster = begin (run, run->n_questions == 0 && run->seed % 2 == 0 ? 5 : 0);
  guint64 n_died_before = n_died;
  gboolean kept;

  if (run->n_questions > 0)
    raise_suspicions (cluster);
  else
    sim_network_run (cluster->network, DURATION);
  count (cluster, &n_suspected, &n_died);
  if (run->n_questions > 0)
    g_print ("# %u questions: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " suspicions ended badly: %.3g\n",
             run->n_questions, n_died, n_suspected, (double) n_died / MAX (n_suspected, 1));
  else if (n_died > n_died_before)
    sim_cluster_complain (cluster, "%" G_GUINT64_FORMAT " live peers were held dead", n_died - n_died_before);

  kept = sim_run_report (run, "deaths", cluster, NULL);
  sim_cluster_free (cluster);
  return kept || run->n_questions > 0;
}
