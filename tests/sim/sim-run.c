/* What all runs share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#include "sim-budget.h"
#include "sim-known.h"

#include <string.h>

/* A seed in eight has hashes so short that many keys have the same one. */
#define SHORT_HASHES 8

void
sim_run_choose_hashes (const SimRun *run)
{
  guint chosen = run->seed % 8 == 5 ? SHORT_HASHES : 64;

  gkv_hash_shorten_places (run->hash_bits > 0 ? run->hash_bits : chosen);
}

SimCluster *
sim_run_begin (const SimRun *run, const char *name)
{
  SimCluster *cluster;

  sim_run_choose_hashes (run);
  cluster = sim_cluster_new (run->seed);
  cluster->verbose = run->verbose;
  sim_budget_watch (cluster);
  sim_watch_new (cluster, sim_known_get_checks (name, 0));
  return cluster;
}

guint
sim_run_choose_n_nodes (const SimRun *run, SimCluster *cluster, guint least, guint most)
{
  guint chosen = least + sim_network_random (cluster->network, most - least + 1);

  return run->n_nodes > 0 ? run->n_nodes : chosen;
}

SimNode *
sim_run_pick (SimCluster *cluster, SimNodeState state)
{
  for (guint tries = 0; tries < 20; tries++)
    {
      SimNode *node = sim_cluster_get (cluster, sim_network_random (cluster->network, cluster->nodes->len));

      if (node->state == state)
        return node;
    }
  return NULL;
}

void
sim_run_write (SimCluster *cluster, SimNode *node, guint n_keys)
{
  g_autofree char *key = g_strdup_printf ("key-%u", sim_network_random (cluster->network, n_keys));
  g_autofree char *value = g_strdup_printf ("value-%u", sim_network_random (cluster->network, 1000000));
  guint kind = sim_network_random (cluster->network, 20);

  if (kind < 4)
    {
      if (sim_node_get (node, key) != NULL)
        sim_node_delete (node, key);
    }
  else if (kind == 4)
    {
      sim_node_put (node, key, value, strlen (value), 1 + sim_network_random (cluster->network, 5000), 0);
    }
  else if (kind == 5)
    {
      g_autofree char *large = g_strnfill (2000 + sim_network_random (cluster->network, 60000), 'x');

      sim_node_put (node, key, large, strlen (large), 0, 0);
    }
  else if (kind == 6)
    {
      sim_node_put (node, key, value, strlen (value), 0, GKV_RECORD_EPHEMERAL);
    }
  else
    {
      sim_node_put_string (node, key, value);
    }
}

static gboolean
is_settled (gpointer cluster)
{
  return sim_check_settled (cluster);
}

void
sim_run_settle (SimCluster *cluster)
{
  /* Who doesn't know an owner waits for it before its ephemeral records go. */
  sim_network_run (cluster->network, 6 * SIM_SECOND);
  if (!sim_network_run_until (cluster->network, 300 * SIM_SECOND, SIM_SECOND, is_settled, cluster))
    {
      g_autofree char *difference = sim_check_describe_difference (cluster);

      sim_cluster_complain (cluster, "the maps still differ: %s", difference);
    }
  sim_check_promises (cluster);
  sim_watch_finish (cluster);
}

gboolean
sim_run_report (const SimRun *run, const char *name, SimCluster *cluster, const char *scenario)
{
  static gboolean printed;

  sim_cluster_log (cluster, "trace %016" G_GINT64_MODIFIER "x", sim_network_get_trace (cluster->network));
  if (run->trace != NULL)
    *run->trace = sim_network_get_trace (cluster->network);
  if (cluster->n_complaints == 0)
    return TRUE;

  g_printerr ("%s, seed %" G_GUINT64_FORMAT ", %u nodes: %s\n", name, run->seed, cluster->nodes->len,
              cluster->complaints->str);
  if (scenario == NULL || !g_str_has_suffix (name, ".scenario"))
    g_printerr ("  again: sim --run %s --seed %" G_GUINT64_FORMAT " --nodes %u --verbose\n", name, run->seed,
                run->n_nodes);
  if (printed || g_str_has_suffix (name, ".scenario"))
    return FALSE;

  printed = TRUE;
  g_printerr ("  or as a scenario:\n");
  if (scenario != NULL)
    g_printerr ("%s", scenario);
  else
    g_printerr ("seed %" G_GUINT64_FORMAT "\nrun %s %u\n", run->seed, name, run->n_nodes);
  return FALSE;
}

gboolean
sim_run_end (const SimRun *run, const char *name, SimCluster *cluster)
{
  gboolean kept;

  sim_run_settle (cluster);
  sim_budget_check (cluster);
  kept = sim_run_report (run, name, cluster, NULL);
  sim_cluster_free (cluster);
  return kept;
}
