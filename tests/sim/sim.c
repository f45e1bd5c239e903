/* The simulator: clusters of the real store and engine under faults and virtual time, from one seed number.
 *
 *   sim [--run NAME] --seed N [--nodes N] [--verbose]   one run, which the same numbers repeat to the last byte
 *   sim [--run NAME] --seeds N [--nodes N]              the runs 1 to N, as TAP
 *   sim [--run NAME] --seeds N [--nodes N] --hash       the same, but a line for each with a hash of all that was sent
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-run.h"

#include <string.h>

static const struct
{
  const char *name;
  gboolean (*func) (const SimRun *run);
} runs[] = {
  { "faults", sim_run_faults }, { "halves", sim_run_halves }, { "laggard", sim_run_laggard },
  { "loss", sim_run_loss },     { "twins", sim_run_twins },
};

static char *run_name;
static int only_seed = -1;
static int n_seeds = 100;
static int n_nodes = 0;
static gboolean verbose;
static gboolean hash;

static const GOptionEntry options[] = {
  { "run", 0, 0, G_OPTION_ARG_STRING, &run_name, "What happens: faults (the default), halves, laggard, loss or twins",
    "NAME" },
  { "seed", 0, 0, G_OPTION_ARG_INT, &only_seed, "Run this seed alone", "N" },
  { "seeds", 0, 0, G_OPTION_ARG_INT, &n_seeds, "Run the seeds 1 to N", "N" },
  { "nodes", 0, 0, G_OPTION_ARG_INT, &n_nodes, "Nodes of a cluster; 0: chosen by the seed", "N" },
  { "hash", 0, 0, G_OPTION_ARG_NONE, &hash, "Print the run, the seed and a hash of every datagram that was sent",
    NULL },
  { "verbose", 0, 0, G_OPTION_ARG_NONE, &verbose, "Tell what happens", NULL },
  G_OPTION_ENTRY_NULL,
};

/* The same numbers, twice: what is sent must be the same to the last byte. */
static gboolean
is_repeatable (SimRun *run, gboolean (*func) (const SimRun *run))
{
  guint64 first = 0, second = 0;

  run->trace = &first;
  func (run);
  run->trace = &second;
  func (run);
  run->trace = NULL;
  if (first != second)
    g_printerr ("seed %" G_GUINT64_FORMAT " doesn't repeat\n", run->seed);

  return first == second;
}

/* Two builds that print the same send the same: at the same times, from and to the same addresses, byte by byte. */
static gboolean
print_hash (SimRun *run, const char *name, gboolean (*func) (const SimRun *run))
{
  guint64 trace = 0;
  gboolean kept;

  run->trace = &trace;
  kept = func (run);
  g_print ("%s %" G_GUINT64_FORMAT " %016" G_GINT64_MODIFIER "x\n", name, run->seed, trace);
  return kept;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  SimRun run = { 0 };
  guint n_failed = 0;
  guint i = 0;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("%s\n", error->message);
      return 2;
    }

  if (n_seeds < 1)
    {
      g_printerr ("--seeds takes a number from 1 up\n");
      return 2;
    }

  while (run_name != NULL && i < G_N_ELEMENTS (runs) && strcmp (runs[i].name, run_name) != 0)
    i++;
  if (i == G_N_ELEMENTS (runs))
    {
      g_printerr ("There is no run named \"%s\"\n", run_name);
      return 2;
    }

  run.n_nodes = MAX (n_nodes, 0);
  run.verbose = verbose;
  if (hash)
    {
      guint64 first = only_seed >= 0 ? only_seed : 1;
      guint64 last = only_seed >= 0 ? only_seed : n_seeds;

      for (run.seed = first; run.seed <= last; run.seed++)
        n_failed += !print_hash (&run, runs[i].name, runs[i].func);
      return n_failed > 0 ? 1 : 0;
    }

  if (only_seed >= 0)
    {
      run.seed = only_seed;
      return runs[i].func (&run) ? 0 : 1;
    }

  for (run.seed = 1; run.seed <= (guint64) n_seeds; run.seed++)
    if (!runs[i].func (&run))
      n_failed++;

  run.seed = 1;
  if (!is_repeatable (&run, runs[i].func))
    n_failed++;

  g_print ("1..1\n%sok 1 %s: %d seeds, of which %u failed\n", n_failed > 0 ? "not " : "", runs[i].name, n_seeds,
           n_failed);
  return n_failed > 0 ? 1 : 0;
}
