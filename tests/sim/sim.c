/* The simulator: clusters of the real store and engine under faults and virtual time, from one seed number.
 *
 *   sim [--run NAME] --seed N [--nodes N] [--verbose]   one run, which the same numbers repeat to the last byte
 *   sim [--run NAME] --seeds N [--nodes N]              the runs 1 to N, as TAP
 *   sim [--run NAME] --seeds N [--nodes N] --hash       the same, but a line for each with a hash of all that was sent
 *   sim [--run NAME] --seeds N --first M                the runs M to M + N - 1
 *   sim --scenario FILE                                 a run that is written down
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-known.h"
#include "sim-play.h"
#include "sim-run.h"

#include <string.h>

typedef gboolean (*RunFunc) (const SimRun *run);

static const struct
{
  const char *name;
  RunFunc func;
} runs[] = {
  { "faults", sim_run_faults }, { "halves", sim_run_halves }, { "laggard", sim_run_laggard },
  { "loss", sim_run_loss },     { "deaths", sim_run_deaths }, { "liars", sim_run_liars },
  { "twins", sim_run_twins },   { "swarm", sim_run_swarm },   { "churn", sim_run_churn },
  { "start", sim_run_start },
};

static char *run_name;
static char *scenario_path;
static char **with;
static char **faults;
static gint64 only_seed = -1;
static gint64 first_seed = 1;
static int n_seeds = 100;
static int n_nodes = 0;
static int hash_bits = -1;
static int n_questions;
static gboolean verbose;
static gboolean hash;
static gboolean print;
static gboolean list_known;
static gboolean fresh;

static const GOptionEntry options[] = {
  { "run", 0, 0, G_OPTION_ARG_STRING, &run_name,
    "What happens: deaths, faults (the default), halves, laggard, liars, loss, start, twins, swarm or churn", "NAME" },
  { "seed", 0, 0, G_OPTION_ARG_INT64, &only_seed, "Run this seed alone", "N" },
  { "seeds", 0, 0, G_OPTION_ARG_INT, &n_seeds, "Run so many seeds", "N" },
  { "first", 0, 0, G_OPTION_ARG_INT64, &first_seed, "The first of them (1)", "N" },
  { "fresh", 0, 0, G_OPTION_ARG_NONE, &fresh,
    "Take seeds that nobody has run, and look only at what is lost, returns or differs in the end", NULL },
  { "nodes", 0, 0, G_OPTION_ARG_INT, &n_nodes, "Nodes of a cluster; 0: chosen by the seed", "N" },
  { "questions", 0, 0, G_OPTION_ARG_INT, &n_questions, "Of deaths: that a suspect is asked, and nothing else", "N" },
  { "hash", 0, 0, G_OPTION_ARG_NONE, &hash, "Print the run, the seed and a hash of every datagram that was sent",
    NULL },
  { "scenario", 0, 0, G_OPTION_ARG_FILENAME, &scenario_path, "Run what is written in a file", "FILE" },
  { "print", 0, 0, G_OPTION_ARG_NONE, &print, "Print the scenario of a swarm or churn instead of running it", NULL },
  { "with", 0, 0, G_OPTION_ARG_STRING_ARRAY, &with, "Leave in a fault that is known, or \"all\"", "NAME" },
  { "fault", 0, 0, G_OPTION_ARG_STRING_ARRAY, &faults, "A swarm with this fault and no other but those named so",
    "NAME" },
  { "hash-bits", 0, 0, G_OPTION_ARG_INT, &hash_bits,
    "Of the hash of a key; without this it is the seed that chooses, 64 most often", "N" },
  { "known", 0, 0, G_OPTION_ARG_NONE, &list_known, "List the faults that are known", NULL },
  { "verbose", 0, 0, G_OPTION_ARG_NONE, &verbose, "Tell what happens", NULL },
  G_OPTION_ENTRY_NULL,
};

/* NULL: there is no such run. */
static RunFunc
find_run (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (runs); i++)
    if (strcmp (runs[i].name, name) == 0)
      return runs[i].func;

  g_printerr ("There is no run named \"%s\"\n", name);
  return NULL;
}

/* The same numbers, twice: what is sent must be the same to the last byte. */
static gboolean
is_repeatable (SimRun *run, RunFunc func)
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
print_hash (SimRun *run, const char *name, RunFunc func)
{
  guint64 trace = 0;
  gboolean kept;

  run->trace = &trace;
  kept = func (run);
  g_print ("%s %" G_GUINT64_FORMAT " %016" G_GINT64_MODIFIER "x\n", name, run->seed, trace);
  return kept;
}

static int
run_seeds (SimRun *run, const char *name, RunFunc func)
{
  guint n_failed = 0;

  for (int i = 0; i < n_seeds; i++)
    {
      run->seed = first_seed + i;
      if (!func (run))
        n_failed++;
    }

  run->seed = first_seed;
  if (!is_repeatable (run, func))
    n_failed++;

  g_print ("1..1\n%sok 1 %s: %d seeds from %" G_GINT64_FORMAT ", of which %u failed\n", n_failed > 0 ? "not " : "",
           name, n_seeds, first_seed, n_failed);
  return n_failed > 0 ? 1 : 0;
}

/* A scenario that begins with "run NAME N" is one of the runs, with N nodes. */
static int
run_scenario (SimRun *run)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SimScenario) scenario = sim_scenario_load (scenario_path, &error);
  g_autofree char *name = g_path_get_basename (scenario_path);
  const SimStep *first;

  if (scenario == NULL)
    {
      g_printerr ("%s\n", error->message);
      return 2;
    }

  run->seed = scenario->seed;
  first = scenario->steps->len > 0 ? g_ptr_array_index (scenario->steps, 0) : NULL;
  if (first != NULL && g_strv_length (first->words) == 3 && strcmp (first->words[0], "run") == 0)
    {
      RunFunc func = find_run (first->words[1]);

      run->n_nodes = g_ascii_strtoull (first->words[2], NULL, 10);
      return func == NULL ? 2 : func (run) ? 0 : 1;
    }

  return sim_play (run, name, scenario, SIM_ALL_CHECKS) ? 0 : 1;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  SimRun run = { 0 };
  RunFunc func;

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

  for (guint i = 0; with != NULL && with[i] != NULL; i++)
    if (!sim_known_enable (with[i]))
      {
        g_printerr ("No fault named \"%s\" is known; --known lists them\n", with[i]);
        return 2;
      }

  for (guint i = 0; faults != NULL && faults[i] != NULL; i++)
    {
      run.faults |= sim_faults_find (faults[i]);
      if (sim_faults_find (faults[i]) == 0)
        {
          g_printerr ("There is no fault named \"%s\"\n", faults[i]);
          return 2;
        }
    }

  if (list_known)
    {
      sim_known_list ();
      return 0;
    }

  /* What isn't looked at fails in about one seed of a thousand, which is for the fixed seeds, and for soaks. */
  if (fresh)
    {
      first_seed = g_get_real_time () / 1000;
      sim_known_keep (SIM_CHECK_REMOVED | SIM_CHECK_CONFIRMED);
    }

  run.n_nodes = MAX (n_nodes, 0);
  run.hash_bits = CLAMP (hash_bits, 0, 64);
  run.n_questions = MAX (n_questions, 0);
  run.verbose = verbose;
  run.print = print;
  if (scenario_path != NULL)
    return run_scenario (&run);

  if (run_name == NULL)
    run_name = g_strdup ("faults");
  func = find_run (run_name);
  if (func == NULL)
    return 2;

  if (hash)
    {
      guint64 first = only_seed >= 0 ? only_seed : first_seed;
      guint n = only_seed >= 0 ? 1 : n_seeds;
      guint n_failed = 0;

      for (run.seed = first; run.seed < first + n; run.seed++)
        n_failed += !print_hash (&run, run_name, func);
      return n_failed > 0 ? 1 : 0;
    }

  if (only_seed >= 0)
    {
      run.seed = only_seed;
      return func (&run) ? 0 : 1;
    }

  return run_seeds (&run, run_name, func);
}
