/* The simulator: clusters of the real store and engine under faults and virtual time, from one seed number.
 *
 *   sim --seed N [--nodes N] [--verbose]     one run, which the same numbers repeat to the last byte
 *   sim --seeds N [--nodes N]                the runs 1 to N, as TAP
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-check.h"

#include <string.h>

#define N_KEYS 40

static int only_seed = -1;
static int n_seeds = 100;
static int n_nodes = 0;
static gboolean verbose;

static const GOptionEntry options[] = {
  { "seed", 0, 0, G_OPTION_ARG_INT, &only_seed, "Run this seed alone", "N" },
  { "seeds", 0, 0, G_OPTION_ARG_INT, &n_seeds, "Run the seeds 1 to N", "N" },
  { "nodes", 0, 0, G_OPTION_ARG_INT, &n_nodes, "Nodes of a cluster; 0: chosen by the seed", "N" },
  { "verbose", 0, 0, G_OPTION_ARG_NONE, &verbose, "Tell what happens", NULL },
  G_OPTION_ENTRY_NULL,
};

static SimNode *
pick_node (SimCluster *cluster, SimNodeState state)
{
  for (guint tries = 0; tries < 20; tries++)
    {
      SimNode *node = sim_cluster_get (cluster, sim_network_random (cluster->network, cluster->nodes->len));

      if (node->state == state)
        return node;
    }
  return NULL;
}

static void
write_something (SimCluster *cluster)
{
  SimNode *node = pick_node (cluster, SIM_NODE_UP);
  g_autofree char *key = g_strdup_printf ("key-%u", sim_network_random (cluster->network, N_KEYS));
  g_autofree char *value = g_strdup_printf ("value-%u", sim_network_random (cluster->network, 1000000));
  guint kind = sim_network_random (cluster->network, 20);

  if (node == NULL)
    return;

  if (kind < 3)
    {
      if (sim_node_get (node, key) != NULL)
        sim_node_delete (node, key);
    }
  else if (kind == 3)
    {
      sim_node_put (node, key, value, strlen (value), 1 + sim_network_random (cluster->network, 5000), 0);
    }
  else if (kind == 4)
    {
      /* One that doesn't fit a datagram. */
      g_autofree char *large = g_strnfill (2000 + sim_network_random (cluster->network, 60000), 'x');

      sim_node_put (node, key, large, strlen (large), 0, 0);
    }
  else
    {
      sim_node_put_string (node, key, value);
    }
}

static void
do_harm (SimCluster *cluster)
{
  SimNode *node;

  switch (sim_network_random (cluster->network, 9))
    {
    case 0:
      if ((node = pick_node (cluster, SIM_NODE_UP)) != NULL)
        sim_node_crash (node, TRUE);
      break;

    case 1:
      if ((node = pick_node (cluster, SIM_NODE_UP)) != NULL)
        sim_node_crash (node, FALSE);
      break;

    case 2:
    case 3:
      if ((node = pick_node (cluster, SIM_NODE_DOWN)) != NULL)
        {
          if (node->index > 1 && sim_network_happens (cluster->network, 300))
            {
              g_autofree char *address = sim_cluster_make_address (cluster);

              sim_node_move (node, address);
            }
          sim_node_start (node);
        }
      break;

    case 4:
      if ((node = pick_node (cluster, SIM_NODE_UP)) != NULL)
        sim_node_stall (node);
      break;

    case 5:
      if ((node = pick_node (cluster, SIM_NODE_STALLED)) != NULL)
        sim_node_resume (node);
      break;

    case 6:
      sim_network_cut (cluster->network, sim_network_random (cluster->network, 3),
                       sim_network_random (cluster->network, 3), TRUE);
      break;

    case 7:
      sim_network_heal (cluster->network);
      break;

    case 8:
      if ((node = pick_node (cluster, SIM_NODE_UP)) != NULL)
        node->wall_offset = ((gint64) sim_network_random (cluster->network, 1200) - 600) * SIM_SECOND;
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

static gboolean
is_settled (gpointer cluster)
{
  return sim_check_settled (cluster);
}

/* TRUE: every promise was kept. */
static gboolean
run (guint64 seed)
{
  g_autoptr (SimCluster) cluster = sim_cluster_new (seed);
  guint n = n_nodes > 0 ? (guint) n_nodes : 2 + sim_network_random (cluster->network, 7);
  SimWeather weather = {
    .loss = sim_network_random (cluster->network, 300),
    .duplicate = sim_network_random (cluster->network, 50),
    .reorder = sim_network_random (cluster->network, 100),
    .delay = 200 + sim_network_random (cluster->network, 20000),
    .jitter = sim_network_random (cluster->network, 10000),
  };

  cluster->verbose = verbose;
  sim_network_set_weather (cluster->network, &weather);
  sim_cluster_add_chain (cluster, n);
  /* Two stay where they are, and everybody knows them: who moves must be able to come back. */
  for (guint i = 0; i < n; i++)
    for (guint j = 0; j < 2; j++)
      if (i != j)
        sim_node_add_seed (sim_cluster_get (cluster, i), sim_cluster_get (cluster, j)->address);

  for (guint second = 0; second < 60; second++)
    {
      for (guint i = sim_network_random (cluster->network, 6); i > 0; i--)
        write_something (cluster);
      if (second % 4 == 3)
        do_harm (cluster);
      sim_network_run (cluster->network, SIM_SECOND);
    }

  end_faults (cluster);
  if (!sim_network_run_until (cluster->network, 180 * SIM_SECOND, SIM_SECOND, is_settled, cluster))
    {
      g_autofree char *difference = sim_check_describe_difference (cluster);

      sim_cluster_complain (cluster, "the maps still differ: %s", difference);
    }
  sim_check_promises (cluster);

  if (verbose)
    g_printerr ("trace %016" G_GINT64_MODIFIER "x\n", sim_network_get_trace (cluster->network));
  if (cluster->n_complaints > 0)
    g_printerr ("seed %" G_GUINT64_FORMAT ", %u nodes: %s\n  again: sim --seed %" G_GUINT64_FORMAT
                " --nodes %d --verbose\n",
                seed, n, cluster->complaints->str, seed, n_nodes);
  return cluster->n_complaints == 0;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  guint n_failed = 0;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("%s\n", error->message);
      return 2;
    }

  if (only_seed >= 0)
    return run (only_seed) ? 0 : 1;

  for (int seed = 1; seed <= n_seeds; seed++)
    if (!run (seed))
      n_failed++;

  g_print ("1..1\n%sok 1 %d seeds, of which %u failed\n", n_failed > 0 ? "not " : "", n_seeds, n_failed);
  return n_failed > 0 ? 1 : 0;
}
