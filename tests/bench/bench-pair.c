/* Two processes on loopback, handler to handler, beside the floor, two bare UDP sockets: latency, values one way, what
 * a round trip costs a side, and a key that is written without pause.
 *
 * The links take turns, so that what else the machine does hits all alike. All is measured twice: on a machine that is
 * idle (the bench waits a little for such moments), where each wake-up first wakes a core, and with cores kept awake by
 * spinners that give way to everything.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pair/links.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Round trips of the two runs whose system calls are counted; the difference leaves out what starting costs. */
#define FEW_TRIALS  500
#define MANY_TRIALS 2500

static int option_rounds = 5;
static int option_trials = 10000;
static int option_seconds = 3;
static gboolean option_quick;

static const GOptionEntry options[] = {
  { "rounds", 0, 0, G_OPTION_ARG_INT, &option_rounds, "how often each link has its turn (5)", "N" },
  { "trials", 0, 0, G_OPTION_ARG_INT, &option_trials, "round trips of a turn (10,000)", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_INT, &option_seconds, "how long to write one way, and a hot key (3)", "S" },
  { "quick", 0, 0, G_OPTION_ARG_NONE, &option_quick, "less of everything, to see that it works", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

static const PairLink *const links[] = { &pair_link_udp, &pair_link_gkv, &pair_link_gkv_loop, NULL };
static const char *const titles[] = { "bare UDP", "libgkv", "libgkv, network-thread FALSE" };
#define N_LINKS (G_N_ELEMENTS (titles))

/* --- Runs of the driver, which is this program */

static char *program;
/* "what/link/row": the samples, an array of double. */
static GHashTable *samples;
/* The link: why it can't be had. */
static GHashTable *lacks;

static void
add_sample (const char *what, const char *link, const char *row, double value)
{
  char *name = g_strdup_printf ("%s/%s/%s", what, link, row);
  GArray *values = g_hash_table_lookup (samples, name);

  if (values == NULL)
    {
      values = g_array_new (FALSE, FALSE, sizeof value);
      g_hash_table_insert (samples, g_strdup (name), values);
    }
  g_array_append_val (values, value);
  g_free (name);
}

static void
take_line (const char *what, const char *link, const char *line)
{
  char row[64], why[256];
  double value;

  if (sscanf (line, "{\"row\": \"%63[^\"]\", \"value\": %lf}", row, &value) == 2)
    add_sample (what, link, row, value);
  else if (sscanf (line, "{\"cannot\": \"%255[^\"]\"}", why) == 1)
    g_hash_table_insert (lacks, g_strdup (link), g_strdup (why));
}

/* @cores: as the driver's option has it. @strace_output: where to count system calls, or NULL. */
static char *
run_driver (const char *link, const char *workload, int trials, int seconds, int cores, const char *strace_output)
{
  g_autofree char *trials_text = g_strdup_printf ("%d", trials);
  g_autofree char *seconds_text = g_strdup_printf ("%d", seconds);
  g_autofree char *cores_text = g_strdup_printf ("%d", cores);
  g_autoptr (GError) error = NULL;
  const char *const tracer[] = { "strace", "-f", "-c", "-U", "calls,name", "-o", strace_output };
  const char *const driver[] = { program,     "--driver",  "--link",     link,      workload,  "--trials",
                                 trials_text, "--seconds", seconds_text, "--cores", cores_text };
  const char *argv[G_N_ELEMENTS (tracer) + G_N_ELEMENTS (driver) + 1] = { NULL };
  char *output = NULL;
  guint n = 0;

  for (guint i = 0; strace_output != NULL && i < G_N_ELEMENTS (tracer); i++)
    argv[n++] = tracer[i];
  for (guint i = 0; i < G_N_ELEMENTS (driver); i++)
    argv[n++] = driver[i];

  if (!g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, NULL, &error))
    g_error ("%s", error->message);

  return output;
}

static void
measure (const char *what, const char *link, const char *workload, int cores)
{
  g_autofree char *output = NULL;
  g_auto (GStrv) lines = NULL;

  if (g_hash_table_contains (lacks, link))
    return;

  output = run_driver (link, workload, option_trials, option_seconds, cores, NULL);
  lines = g_strsplit (output, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    take_line (what, link, lines[i]);
}

/* Calls of all threads of both ends; negative where they can't be counted. */
static double
count_calls (const char *link, int trials)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "bench-pair-XXXXXX", NULL);
  g_autofree char *output = NULL;
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  double n = -1;

  close (g_mkstemp (path));
  output = run_driver (link, "pair", trials, 0, 0, path);
  if (strstr (output, "\"done\"") != NULL && g_file_get_contents (path, &text, NULL, NULL))
    {
      lines = g_strsplit (text, "\n", -1);
      for (guint i = 0; lines[i] != NULL; i++)
        if (g_str_has_suffix (lines[i], " total"))
          n = g_ascii_strtod (lines[i], NULL);
    }
  unlink (path);

  return n;
}

static void
measure_calls (const char *link)
{
  double few, many;

  if (g_hash_table_contains (lacks, link))
    return;

  few = count_calls (link, FEW_TRIALS);
  many = count_calls (link, MANY_TRIALS);
  if (few >= 0 && many >= 0)
    add_sample ("calls", link, "calls", (many - few) / (MANY_TRIALS - FEW_TRIALS) / 2);
}

/* --- A machine that is idle */

/* For so long the cores must have slept, and for so long the bench waits for that. */
#define QUIET_US    (400 * 1000)
#define PATIENCE_US (10 * G_USEC_PER_SEC)

static guint n_disturbed;

static void
read_idle (guint64 *idle, guint64 *all)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) fields = NULL;

  *idle = *all = 0;
  if (!g_file_get_contents ("/proc/stat", &text, NULL, NULL))
    return;
  *strchrnul (text, '\n') = '\0';
  fields = g_strsplit (text, " ", -1);
  /* "cpu", nothing, user, nice, system, idle, waiting for a disk, ... */
  for (guint i = 2; fields[i] != NULL; i++)
    {
      guint64 ticks = g_ascii_strtoull (fields[i], NULL, 10);

      *all += ticks;
      *idle += i == 5 || i == 6 ? ticks : 0;
    }
}

/* Waits for a moment in which the machine does nothing else. */
static void
wait_for_quiet (void)
{
  gint64 end = g_get_monotonic_time () + PATIENCE_US;

  while (g_get_monotonic_time () < end)
    {
      guint64 idle, all, idle_before, all_before;

      read_idle (&idle_before, &all_before);
      g_usleep (QUIET_US);
      read_idle (&idle, &all);
      if ((idle - idle_before) * 100 >= (all - all_before) * 97)
        return;
    }
  n_disturbed++;
}

/* --- Cores that stay awake */

static GArray *spinners;

static void
spin (int core)
{
  const struct sched_param param = { 0 };
  cpu_set_t set;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  CPU_ZERO (&set);
  CPU_SET (core, &set);
  sched_setaffinity (0, sizeof set, &set);
  if (sched_setscheduler (0, SCHED_IDLE, &param) < 0)
    _exit (1);
  while (TRUE)
    __asm__ volatile("");
}

static void
start_spinners (void)
{
  cpu_set_t set;

  sched_getaffinity (0, sizeof set, &set);
  for (int core = 0; core < CPU_SETSIZE; core++)
    if (CPU_ISSET (core, &set))
      {
        pid_t pid = fork ();

        if (pid == 0)
          spin (core);
        if (pid > 0)
          g_array_append_val (spinners, pid);
      }
}

static void
stop_spinners (void)
{
  for (guint i = 0; i < spinners->len; i++)
    {
      pid_t pid = g_array_index (spinners, pid_t, i);

      kill (pid, SIGKILL);
      waitpid (pid, NULL, 0);
    }
  g_array_set_size (spinners, 0);
}

/* --- The tables */

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* The median of what the rounds had; of maxima the largest. Negative: there is none. */
static double
get_figure (const char *what, const char *link, const char *row)
{
  g_autofree char *name = g_strdup_printf ("%s/%s/%s", what, link, row);
  GArray *values = g_hash_table_lookup (samples, name);

  if (values == NULL)
    return -1;
  g_array_sort (values, compare_doubles);
  return g_array_index (values, double, g_str_has_suffix (row, "-max") ? values->len - 1 : values->len / 2);
}

static void
print_lack (guint i)
{
  const char *lack = g_hash_table_lookup (lacks, links[i]->name);

  g_print ("  %-30s %s\n", titles[i], lack != NULL ? lack : "not measured: its run failed");
}

static void
print_ages (const char *what, const char *row, const char *title, gboolean has_cost)
{
  static const char *const quantiles[] = { "median", "99", "99.9", "max" };
  double floor_us = -1;

  g_print ("%s, %s, us\n  %-30s %9s %9s %9s %9s %9s %13s%s\n", title, what, "", "median", "99 %", "99.9 %", "max",
           "x floor", "99.9%/median", has_cost ? "   a side's processor and system calls a round trip" : "   received");
  for (guint i = 0; i < N_LINKS; i++)
    {
      double figures[G_N_ELEMENTS (quantiles)];
      double cpu = get_figure (what, links[i]->name, "cpu"), calls = get_figure ("calls", links[i]->name, "calls");

      for (guint j = 0; j < G_N_ELEMENTS (quantiles); j++)
        {
          g_autofree char *name = g_strdup_printf ("%s-%s", row, quantiles[j]);

          figures[j] = get_figure (what, links[i]->name, name);
        }
      if (figures[0] < 0)
        {
          print_lack (i);
          continue;
        }
      if (i == 0)
        floor_us = figures[0];
      g_print ("  %-30s %9.1f %9.1f %9.1f %9.1f", titles[i], figures[0], figures[1], figures[2], figures[3]);
      g_print (" %9.2f %13.1f", floor_us > 0 ? figures[0] / floor_us : 0, figures[2] / figures[0]);
      if (has_cost)
        g_print ("   %.1f us", cpu);
      else
        g_print ("   %.0f %%", get_figure (what, links[i]->name, "one-way-received"));
      if (has_cost && calls >= 0)
        g_print (", %.1f calls", calls);
      g_print ("\n");
    }
}

static void
print_hot (const char *what)
{
  g_print ("a hot key written without pause, %s\n  %-30s %12s %12s %12s\n", what, "", "written a s", "told a s",
           "reader's CPU");
  for (guint i = 0; i < N_LINKS; i++)
    {
      double told = get_figure (what, links[i]->name, "hot-told");

      if (told < 0)
        print_lack (i);
      else
        g_print ("  %-30s %12.0f %12.0f %10.0f %%%s\n", titles[i], get_figure (what, links[i]->name, "hot-written"),
                 told, get_figure (what, links[i]->name, "hot-cpu"), i == 0 ? "" : "   target 5,000 told");
    }
}

int
main (int argc, char *argv[])
{
  static const char *const states[] = { "idle machine", "cores awake" };
  static const char *const places[] = { "a core for each end", "both ends on one core" };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autofree char *load = NULL;
  g_autofree char *strace = g_find_program_in_path ("strace");
  g_autoptr (GError) error = NULL;

  if (argc > 1 && strcmp (argv[1], "--driver") == 0)
    {
      argv[1] = argv[0];
      return pair_main (links, argc - 1, argv + 1);
    }

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("%s\n", error->message);
      return 2;
    }
  if (option_quick)
    {
      option_rounds = 1;
      option_trials = 2000;
      option_seconds = 1;
    }
  program = g_file_read_link ("/proc/self/exe", NULL);
  samples = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_array_unref);
  lacks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  spinners = g_array_new (FALSE, FALSE, sizeof (pid_t));

  if (g_file_get_contents ("/proc/loadavg", &load, NULL, NULL))
    g_print ("%u cores; load before: %.4s\n", g_get_num_processors (), load);

  for (int round = 0; round < option_rounds; round++)
    {
      for (guint state = 0; state < G_N_ELEMENTS (states); state++)
        {
          if (state == 1)
            start_spinners ();
          for (guint i = 0; i < N_LINKS; i++)
            {
              if (state == 0 && !g_hash_table_contains (lacks, links[i]->name))
                wait_for_quiet ();
              measure (states[state], links[i]->name, "pair", 0);
            }
          stop_spinners ();
        }
      for (guint place = 0; place < G_N_ELEMENTS (places); place++)
        for (guint i = 0; i < N_LINKS; i++)
          measure (places[place], links[i]->name, "hot", place == 0 ? 2 : 1);
    }
  for (guint i = 0; strace != NULL && i < N_LINKS; i++)
    measure_calls (links[i]->name);

  for (guint state = 0; state < G_N_ELEMENTS (states); state++)
    {
      print_ages (states[state], "half", "half a ping-pong", TRUE);
      print_ages (states[state], "one-way", "one way, 1,000 writes a second", FALSE);
    }
  if (n_disturbed > 0)
    g_print ("The machine had other work before %u of the runs on an idle machine.\n", n_disturbed);
  if (strace == NULL)
    g_print ("System calls are not measured: strace is not here.\n");
  for (guint place = 0; place < G_N_ELEMENTS (places); place++)
    print_hot (places[place]);

  return 0;
}
