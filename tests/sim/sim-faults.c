/* A minute of writes under every fault at once: loss, delay, duplicates, reordering, cuts that may be one-way, crashes
 * with and without memory, stalls, moves, leaves, joins, and clocks that step.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#define N_KEYS    40
#define N_SIDES   3
#define MAX_JOINS 3

static void
meet (SimCluster *cluster, SimNode *node)
{
  /* Two stay where they are, and everybody knows them: who moves must be able to come back. */
  for (guint i = 0; i < 2; i++)
    if (node->index != i)
      sim_node_add_seed (node, sim_cluster_get (cluster, i)->address);
}

static SimNode *
add (SimCluster *cluster)
{
  SimNode *node = sim_cluster_add (cluster, NULL);

  node->side = sim_network_random (cluster->network, N_SIDES);
  return node;
}

static void
cut (SimCluster *cluster)
{
  guint from = sim_network_random (cluster->network, N_SIDES);
  guint to = sim_network_random (cluster->network, N_SIDES);

  sim_network_cut (cluster->network, from, to, TRUE);
  /* Half of them are one-way. */
  if (sim_network_happens (cluster->network, 500))
    sim_network_cut (cluster->network, to, from, TRUE);
}

static void
begin_again (SimCluster *cluster, SimNode *node)
{
  if (node->index > 1 && sim_network_happens (cluster->network, 300))
    {
      g_autofree char *address = sim_cluster_make_address (cluster);

      sim_node_move (node, address);
    }
  sim_node_start (node);
}

static void
do_harm (SimCluster *cluster, guint n_first)
{
  SimNode *up = sim_run_pick (cluster, SIM_NODE_UP);
  SimNode *down = sim_run_pick (cluster, SIM_NODE_DOWN);
  SimNode *stalled = sim_run_pick (cluster, SIM_NODE_STALLED);

  switch (sim_network_random (cluster->network, 11))
    {
    case 0:
      if (up != NULL)
        sim_node_crash (up, TRUE);
      break;

    case 1:
      if (up != NULL)
        sim_node_crash (up, FALSE);
      break;

    case 2:
      if (up != NULL)
        sim_node_leave (up);
      break;

    case 3:
    case 4:
      if (down != NULL)
        begin_again (cluster, down);
      break;

    case 5:
      if (up != NULL)
        sim_node_stall (up);
      break;

    case 6:
      if (stalled != NULL)
        sim_node_resume (stalled);
      break;

    case 7:
      cut (cluster);
      break;

    case 8:
      sim_network_heal (cluster->network);
      break;

    case 9:
      if (up != NULL)
        up->clocks.wall_offset = ((gint64) sim_network_random (cluster->network, 1200) - 600) * SIM_SECOND;
      break;

    case 10:
      if (cluster->nodes->len < n_first + MAX_JOINS)
        {
          SimNode *joiner = add (cluster);

          meet (cluster, joiner);
          sim_node_start (joiner);
        }
      break;

    default:
      g_assert_not_reached ();
    }
}

static void
end_faults (SimCluster *cluster)
{
  const SimWeather fair = { .delay = 500 };

  sim_network_heal (cluster->network);
  sim_network_set_weather (cluster->network, &fair);
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);

      if (node->state == SIM_NODE_STALLED)
        sim_node_resume (node);
      else if (node->state == SIM_NODE_DOWN)
        sim_node_start (node);
    }
}

gboolean
sim_run_faults (const SimRun *run)
{
  SimCluster *cluster = sim_run_begin (run, "faults");
  guint n = sim_run_choose_n_nodes (run, cluster, 2, 8);
  SimWeather weather = {
    .loss = sim_network_random (cluster->network, 300),
    .duplicate = sim_network_random (cluster->network, 50),
    .reorder = sim_network_random (cluster->network, 100),
    .delay = 200 + sim_network_random (cluster->network, 20000),
    .jitter = sim_network_random (cluster->network, 10000),
  };

  sim_network_set_weather (cluster->network, &weather);
  for (guint i = 0; i < n; i++)
    {
      SimNode *node = add (cluster);

      sim_node_start (node);
      if (i > 0)
        sim_node_add_seed (node, sim_cluster_get (cluster, i - 1)->address);
    }
  for (guint i = 0; i < n; i++)
    meet (cluster, sim_cluster_get (cluster, i));

  for (guint second = 0; second < 60; second++)
    {
      for (guint i = sim_network_random (cluster->network, 6); i > 0; i--)
        {
          SimNode *node = sim_run_pick (cluster, SIM_NODE_UP);

          if (node != NULL)
            sim_run_write (cluster, node, N_KEYS);
        }
      if (second % 4 == 3)
        do_harm (cluster, n);
      sim_network_run (cluster->network, SIM_SECOND);
    }

  end_faults (cluster);
  return sim_run_end (run, "faults", cluster);
}
