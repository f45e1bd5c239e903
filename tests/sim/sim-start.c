/* A large cluster that starts within a second, all with one seed; and when all know all, a write, a clean leave and a
 * death. It prints what that took, and complains of what is over the bounds below.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#include "gossip/gkv-engine-private.h"

#include <sys/resource.h>

#define N_NODES 1000
#define STEP    (5 * SIM_MS)

/* All start within that time, and know all so much after the last. */
#define STARTS      SIM_SECOND
#define KNOWS_ALL   (10 * SIM_SECOND)
#define GIVES_UP    (120 * SIM_SECOND)
#define LEAVE_TAKES SIM_SECOND
#define CALM        (3 * SIM_SECOND)
#define LASTS       (10 * SIM_SECOND)

/* What a node may send until then, on average: so many times the others as they are encoded, and so much more; and the
 * seed for each that joins. */
#define ENTRY           52
#define MAX_COPIES      2.2
#define MAX_MORE        (15 * 1024)
#define MAX_DATAGRAMS   400
#define SEED_DATAGRAMS  6
#define SEED_BYTES      (3 * 1024)
#define LEAVE_DATAGRAMS 3

/* In a smaller one the traffic of the time that passes is more than that of the members; the numbers of datagrams are
 * those of a thousand. */
#define BOUNDED_FROM 200
#define BOUNDED_TO   1000

typedef struct
{
  SimCluster *cluster;
  guint next; /* those before it know all */
  guint n_alive;
  const char *id; /* of one that is to be held in that state; NULL: only the number counts */
  GkvPeerState state;
} Wanted;

static gboolean
knows (const Wanted *wanted, SimNode *node)
{
  const GkvMember *member;

  if (node->state != SIM_NODE_UP)
    return TRUE;
  if (node->engine->runtime->n_alive != wanted->n_alive)
    return FALSE;
  if (wanted->id == NULL)
    return TRUE;

  member = gkv_members_lookup (node->engine->members, wanted->id);
  return member != NULL && member->status == wanted->state;
}

static gboolean
all_know (gpointer data)
{
  Wanted *wanted = data;

  while (wanted->next < wanted->cluster->nodes->len && knows (wanted, sim_cluster_get (wanted->cluster, wanted->next)))
    wanted->next++;

  return wanted->next == wanted->cluster->nodes->len;
}

typedef struct
{
  SimCluster *cluster;
  guint next;
} Shown;

static gboolean
all_show (gpointer data)
{
  Shown *shown = data;

  while (shown->next < shown->cluster->nodes->len)
    {
      SimNode *node = sim_cluster_get (shown->cluster, shown->next);

      if (node->state == SIM_NODE_UP && !sim_node_shows (node, "key", "value"))
        return FALSE;
      shown->next++;
    }
  return TRUE;
}

static void
on_start (gpointer owner, guint64 argument)
{
  sim_node_start (owner);
}

static double
get_real (void)
{
  return g_get_monotonic_time () / 1e6;
}

static guint64
get_resident (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (guint64) usage.ru_maxrss / 1024;
}

static void
check (SimCluster *cluster, const char *what, double is, double most)
{
  g_print ("# %-52s %10.1f   at most %.1f\n", what, is, most);
  if (is > most && cluster->nodes->len >= BOUNDED_FROM && cluster->nodes->len <= BOUNDED_TO)
    sim_cluster_complain (cluster, "%s: %.1f of at most %.1f", what, is, most);
}

static void
start (SimCluster *cluster, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      SimNode *node = sim_cluster_add (cluster, NULL);

      if (i > 0)
        sim_node_add_seed (node, sim_cluster_get (cluster, 0)->address);
      sim_network_at (cluster->network, i > 0 ? sim_network_random (cluster->network, STARTS) : 0, on_start, node, 0);
    }

  sim_network_run (cluster->network, STARTS);
}

static void
check_start (SimCluster *cluster, guint n)
{
  const SimTraffic *traffic = sim_network_get_traffic (cluster->network);
  Wanted wanted = { .cluster = cluster, .n_alive = n - 1 };
  const SimNode *seed;

  if (!sim_network_run_until (cluster->network, GIVES_UP, STEP, all_know, &wanted))
    sim_cluster_complain (cluster, "%s doesn't know all", sim_cluster_get (cluster, wanted.next)->id);

  seed = sim_cluster_get (cluster, 0);
  check (cluster, "s from the last start until all know all", (sim_network_get_now (cluster->network) - STARTS) / 1e6,
         KNOWS_ALL / 1e6);
  check (cluster, "KB that a node has sent, mean", traffic->bytes / 1024.0 / n,
         (MAX_COPIES * (n - 1) * ENTRY + MAX_MORE) / 1024);
  check (cluster, "datagrams that a node has sent, mean", (double) traffic->datagrams / n, MAX_DATAGRAMS);
  check (cluster, "KB that the seed has sent, for each joiner", seed->sent.bytes / 1024.0 / (n - 1),
         SEED_BYTES / 1024.0);
  check (cluster, "datagrams that the seed has sent, for each joiner", (double) seed->sent.datagrams / (n - 1),
         SEED_DATAGRAMS);
}

static void
check_write (SimCluster *cluster, guint n)
{
  gint64 begun = sim_network_get_now (cluster->network);
  Shown shown = { .cluster = cluster };

  sim_node_put_string (sim_cluster_get (cluster, n / 2), "key", "value");
  if (!sim_network_run_until (cluster->network, LASTS, SIM_MS / 2, all_show, &shown))
    sim_cluster_complain (cluster, "a write isn't everywhere");
  g_print ("# %-52s %10.1f\n", "ms until a write is everywhere",
           (sim_network_get_now (cluster->network) - begun) / 1e3);
}

/* What is sent beside that, in as long a time, is taken off. */
static void
check_leave (SimCluster *cluster, guint n)
{
  const SimTraffic *traffic = sim_network_get_traffic (cluster->network);
  SimNode *leaver = sim_cluster_get (cluster, n / 3);
  guint64 before = traffic->datagrams, idle;
  Wanted wanted = { .cluster = cluster, .n_alive = n - 2, .id = leaver->id, .state = GKV_PEER_STATE_LEFT };
  gint64 begun;

  sim_network_run (cluster->network, SIM_SECOND);
  idle = traffic->datagrams - before;
  before = traffic->datagrams;
  begun = sim_network_get_now (cluster->network);
  sim_node_leave (leaver);
  if (!sim_network_run_until (cluster->network, LASTS, STEP, all_know, &wanted))
    sim_cluster_complain (cluster, "%s doesn't know that one has left", sim_cluster_get (cluster, wanted.next)->id);
  check (cluster, "s until all know that one has left", (sim_network_get_now (cluster->network) - begun) / 1e6,
         LEAVE_TAKES / 1e6);
  sim_network_run (cluster->network,
                   begun + SIM_SECOND - MIN (sim_network_get_now (cluster->network), begun + SIM_SECOND));
  check (cluster, "datagrams of a node for that", ((double) traffic->datagrams - before - idle) / n, LEAVE_DATAGRAMS);
}

static void
check_death (SimCluster *cluster, guint n)
{
  SimNode *victim = sim_cluster_get (cluster, n / 4);
  Wanted wanted = { .cluster = cluster, .n_alive = n - 3, .id = victim->id, .state = GKV_PEER_STATE_DEAD };
  gint64 begun = sim_network_get_now (cluster->network);

  sim_node_crash (victim, FALSE);
  if (!sim_network_run_until (cluster->network, 2 * LASTS, STEP, all_know, &wanted))
    sim_cluster_complain (cluster, "%s doesn't know that one has died", sim_cluster_get (cluster, wanted.next)->id);
  g_print ("# %-52s %10.1f\n", "s until all hold dead one that has died",
           (sim_network_get_now (cluster->network) - begun) / 1e6);
}

gboolean
sim_run_start (const SimRun *run)
{
  guint n = run->n_nodes > 0 ? run->n_nodes : N_NODES;
  double begun = get_real (), known;
  SimCluster *cluster;
  gboolean kept;
  gint64 since;

  sim_run_choose_hashes (run);
  cluster = sim_cluster_new (run->seed);
  cluster->verbose = run->verbose;
  cluster->mirrors = FALSE;
  start (cluster, n);
  check_start (cluster, n);
  known = get_real ();
  g_print ("# %-52s %10.1f\n", "s of real time", known - begun);
  g_print ("# %-52s %10.1f\n", "MB at the most", (double) get_resident ());

  sim_network_run (cluster->network, CALM);
  since = sim_network_get_now (cluster->network);
  check_write (cluster, n);
  check_leave (cluster, n);
  check_death (cluster, n);
  sim_network_run (cluster->network, MAX (since + LASTS - sim_network_get_now (cluster->network), 0));
  g_print ("# %-52s %10.1f\n", "s of real time for that", get_real () - known);
  g_print ("# %-52s %10.1f\n", "MB at the most", (double) get_resident ());

  kept = sim_run_report (run, "start", cluster, NULL);
  sim_cluster_free (cluster);
  return kept;
}
