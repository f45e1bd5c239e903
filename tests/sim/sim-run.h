/* The runs that there are: each makes a cluster from a seed, lets it suffer, and tells whether every promise was kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-check.h"
#include "sim-watch.h"

G_BEGIN_DECLS

typedef struct
{
  guint64 seed;
  guint n_nodes;   /* 0: chosen by the seed */
  guint hash_bits; /* of the hash of a key; 0: chosen by the seed */
  gboolean verbose;
  guint n_questions; /* a suspect is asked so often and not otherwise; 0: as always */
  guint faults;      /* SimFaults, instead of those that the seed chooses; 0: as it does */
  gboolean print;    /* the scenario, if it is made before it is played, instead of playing it */
  guint64 *trace;    /* (out) (nullable): a hash of all that was sent */
} SimRun;

/* A minute of writes under every fault at once. */
gboolean sim_run_faults (const SimRun *run);
/* Two halves that delete, write and forget each other for three tombstone lives. */
gboolean sim_run_halves (const SimRun *run);

/* One node that is away for two of them, and remembered. */
gboolean sim_run_laggard (const SimRun *run);
/* Three minutes at 30 % loss in which nobody dies. */
gboolean sim_run_loss (const SimRun *run);
/* The same with forty, also in bursts: nothing else happens, and there are many seeds. */
gboolean sim_run_deaths (const SimRun *run);
/* One member that lies in everything but records. */
gboolean sim_run_liars (const SimRun *run);
/* Two live nodes with one id. */
gboolean sim_run_twins (const SimRun *run);
/* A minute of writes under those faults, of all that there are, that the seed has chosen. */
gboolean sim_run_swarm (const SimRun *run);
/* A thousand that start within a second. */
gboolean sim_run_start (const SimRun *run);
/* 19 nodes that come and go while all write. */
gboolean sim_run_churn (const SimRun *run);

/* What all runs share (sim-run.c) */
/* How long the hashes of keys are: to be called before there is a cluster. */
void sim_run_choose_hashes (const SimRun *run);
SimCluster *sim_run_begin (const SimRun *run, const char *name);
guint sim_run_choose_n_nodes (const SimRun *run, SimCluster *cluster, guint least, guint most);
SimNode *sim_run_pick (SimCluster *cluster, SimNodeState state);
/* A key of the @n_keys, written, deleted, written with a time to live, or with content that needs pieces. */
void sim_run_write (SimCluster *cluster, SimNode *node, guint n_keys);
/* Waits for the cluster to settle, and judges it. */
void sim_run_settle (SimCluster *cluster);
/* Tells what was wrong, and how to see it again; @scenario (nullable): the run as text. TRUE: nothing was. */
gboolean sim_run_report (const SimRun *run, const char *name, SimCluster *cluster, const char *scenario);
/* Both, and what was spent. Frees @cluster. */
gboolean sim_run_end (const SimRun *run, const char *name, SimCluster *cluster);

G_END_DECLS
