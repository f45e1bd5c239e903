/* What a node may take: memory while the run goes on, and bytes on the wire.
 *
 * The numbers are about twice what the worst of 2,000 seeds takes, so that what grows without bound is seen, and what
 * is a little dearer than it was is left to the benchmarks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-budget.h"

#include "gossip/gkv-engine-private.h"

/* What is under way in a node at once, beside one for each other node. */
#define MAX_WAITING    64
#define MAX_DELEGATED  64
#define MAX_RELAYS     4096
#define MAX_ASSEMBLIES 32
#define MAX_ASSEMBLED  (2 * 1024 * 1024) /* bytes */
#define MAX_REPORTS    16

/* Tombstones are ended by the second where there are too many of them. */
#define TOMBSTONES_A_SECOND 5

/* Quiet begins when the last news have grown old, which takes half a minute. */
#define CALM     (35 * SIM_SECOND)
#define QUIET    (30 * SIM_SECOND)
#define MARKS    (90 * SIM_SECOND) /* until the dead marks are gone */
#define MAX_IDLE 80 /* bytes a node and second then, on average; one that many ask by chance may take twice that */

/* What a run costs a node at best, about: bytes a second, for each write beside its content, and for each other node;
 * and how many times that it may be under faults. */
#define BYTES_A_SECOND 100
#define BYTES_A_WRITE  300
#define BYTES_A_NODE   1500
#define MAX_TIMES      3

static void
check_bound (SimNode *node, const char *what, guint64 n, guint64 most)
{
  if (n > most)
    sim_cluster_complain (node->cluster, "%s has %" G_GUINT64_FORMAT " %s, of at most %" G_GUINT64_FORMAT, node->id, n,
                          what, most);
}

static void
check_memory (SimNode *node)
{
  SimCluster *cluster = node->cluster;
  GkvEngine *engine = node->engine;
  guint n_nodes = cluster->nodes->len;
  guint n_keys = g_hash_table_size (cluster->ledger);
  guint64 n_tombstones = gkv_store_get_n_tombstones (node->store);

  check_bound (node, "peers", gkv_members_get_n (engine->members), n_nodes - 1 + cluster->max_invented);
  check_bound (node, "links", gkv_links_get_n (engine->links), cluster->n_addresses);
  check_bound (node, "contacts", gkv_contacts_get_n (engine->contacts), cluster->n_addresses + cluster->max_invented);
  check_bound (node, "rumours that wait", gkv_rumours_get_n_waiting (engine->rumours), MAX_WAITING);
  check_bound (node, "delegations", gkv_rumours_get_n_delegated (engine->rumours), MAX_DELEGATED + n_nodes);
  check_bound (node, "relayed pings", gkv_probes_get_n_relays (engine->probes), MAX_RELAYS);
  check_bound (node, "records in pieces", gkv_pieces_get_n (engine->pieces), MAX_ASSEMBLIES);
  check_bound (node, "bytes of pieces", gkv_pieces_get_n_bytes (engine->pieces), MAX_ASSEMBLED);
  check_bound (node, "reports", gkv_runtime_get_n_reports (engine->runtime), MAX_REPORTS + n_nodes);
  check_bound (node, "ephemeral records", gkv_ephemerals_get_n (engine->ephemerals), n_keys);
  check_bound (node, "tombstones", n_tombstones,
               cluster->max_tombstones > 0 ? 2 * cluster->max_tombstones + TOMBSTONES_A_SECOND : n_keys);
}

/* One that waits for nothing must have ended, as it keeps others with the same peer from beginning. */
static void
check_exchanges (SimNode *node)
{
  const GkvLink *link = gkv_exchanges_find_stuck (node->engine->exchanges);

  if (link != NULL)
    sim_cluster_complain (node->cluster, "%s waits for nothing in its exchange with the one at %s", node->id,
                          link->address);
}

static void
look (gpointer owner, guint64 argument)
{
  SimCluster *cluster = owner;

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);

      if (node->state == SIM_NODE_DOWN)
        continue;

      check_memory (node);
      check_exchanges (node);
    }
  sim_network_at (cluster->network, sim_network_get_now (cluster->network) + SIM_SECOND, look, cluster, 0);
}

void
sim_budget_watch (SimCluster *cluster)
{
  look (cluster, 0);
}

static void
check_total (SimCluster *cluster)
{
  guint64 bytes = sim_network_get_traffic (cluster->network)->bytes / MAX (cluster->nodes->len, 1);
  guint64 at_best = sim_network_get_now (cluster->network) / SIM_SECOND * BYTES_A_SECOND +
                    cluster->n_writes * BYTES_A_WRITE + cluster->bytes_written +
                    (guint64) cluster->nodes->len * BYTES_A_NODE;

  if (bytes > MAX_TIMES * at_best)
    sim_cluster_complain (cluster, "a node sent %" G_GUINT64_FORMAT " bytes on average, of at most %" G_GUINT64_FORMAT,
                          bytes, MAX_TIMES * at_best);
}

static void
check_quiet (SimNode *node, guint64 bytes)
{
  GkvEngine *engine = node->engine;

  check_bound (node, "bytes a second to say when nothing happens", bytes * SIM_SECOND / QUIET,
               2 * MAX_IDLE + MAX_IDLE / 8);
  check_bound (node, "rumours left", gkv_rumours_get_n_waiting (engine->rumours), 0);
  check_bound (node, "delegations left", gkv_rumours_get_n_delegated (engine->rumours), 0);
  check_bound (node, "transfers left", gkv_transfers_get_n (engine->transfers), 0);
  check_bound (node, "records in pieces left", gkv_pieces_get_n (engine->pieces), 0);
}

static gboolean
note_mark (GkvRecord *record, gpointer found)
{
  *(gboolean *) found = gkv_record_is_dead (record) && gkv_record_has_end (record);
  return !*(gboolean *) found;
}

/* Nodes don't drop a dead mark in the same instant. */
static gboolean
are_marks_dropped (gpointer user_data)
{
  SimCluster *cluster = user_data;
  gboolean found = FALSE;

  for (guint i = 0; i < cluster->nodes->len && !found; i++)
    if (sim_cluster_get (cluster, i)->state == SIM_NODE_UP)
      gkv_store_foreach (sim_cluster_get (cluster, i)->store, GKV_RANGE_EVERYTHING, 0, note_mark, &found);
  return !found;
}

void
sim_budget_check (SimCluster *cluster)
{
  const SimWeather fair = { .delay = 500 };
  g_autofree guint64 *before = g_new0 (guint64, cluster->nodes->len);
  guint64 in_all = 0;
  guint n_up = 0;

  check_total (cluster);

  sim_network_set_weather (cluster->network, &fair);
  sim_network_run (cluster->network, CALM);
  sim_network_run_until (cluster->network, MARKS, SIM_SECOND, are_marks_dropped, cluster);
  for (guint i = 0; i < cluster->nodes->len; i++)
    before[i] = sim_cluster_get (cluster, i)->sent.bytes;
  sim_network_run (cluster->network, QUIET);
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);

      if (node->state != SIM_NODE_UP)
        continue;

      check_quiet (node, node->sent.bytes - before[i]);
      in_all += node->sent.bytes - before[i];
      n_up++;
    }
  if (n_up > 0 && in_all / n_up * SIM_SECOND / QUIET > MAX_IDLE)
    sim_cluster_complain (cluster,
                          "a node says %" G_GUINT64_FORMAT " bytes a second when nothing happens, of at most %u",
                          in_all / n_up * SIM_SECOND / QUIET, MAX_IDLE);
}
