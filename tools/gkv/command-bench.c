/* gkv bench: how fast writes are in this cluster, over this network.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include "output.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_KEYS 1000
#define DEFAULT_SIZE 100
#define MAX_KEYS     1000000
#define MAX_BYTES    (256 * 1024 * 1024)
#define N_SINGLE     100

static struct
{
  int n_keys;
  int size;
} bench_values;

/* All times are milliseconds. */
typedef struct
{
  double written; /* all keys, into the map of this node */
  double held_by_one;
  double held_by_all;
  double single[N_SINGLE]; /* one write, until a node has it; in order of size */
} Figures;

static double
get_milliseconds_since (gint64 start)
{
  return (g_get_monotonic_time () - start) / 1e3;
}

/* The keys are ephemeral: they end with the command, and leave less behind than keys that were removed. */
static gboolean
write_key (GkvNode *node, const char *group, int number, GVariant *value)
{
  g_autofree char *key = g_strdup_printf ("gkv-bench/%s/%s/%d", gkv_node_get_node_id (node), group, number);
  g_autoptr (GError) error = NULL;

  if (gkv_node_set_value_full (node, key, value, GKV_SET_EPHEMERAL, 0, NULL, &error))
    return TRUE;
  session_complain ("%s", error->message);
  return FALSE;
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double difference = *(const double *) a - *(const double *) b;

  return (difference > 0) - (difference < 0);
}

static ExitCode
measure (Session *session, GVariant *value, Figures *figures)
{
  GkvNode *node = session_get_node (session);
  gint64 start = g_get_monotonic_time ();
  ExitCode code = EXIT_DONE;

  for (int i = 0; i < bench_values.n_keys; i++)
    {
      if (!write_key (node, "many", i, value))
        return EXIT_FAILED;
    }
  figures->written = get_milliseconds_since (start);
  code = session_confirm (session, 1);
  figures->held_by_one = get_milliseconds_since (start);
  if (code == EXIT_DONE)
    code = session_confirm (session, 0);
  figures->held_by_all = get_milliseconds_since (start);

  for (int i = 0; i < N_SINGLE && code == EXIT_DONE; i++)
    {
      start = g_get_monotonic_time ();
      if (!write_key (node, "one", i, value))
        return EXIT_FAILED;
      code = session_confirm (session, 1);
      figures->single[i] = get_milliseconds_since (start);
    }
  qsort (figures->single, N_SINGLE, sizeof figures->single[0], compare_doubles);
  return code;
}

static void
print_figures (const Figures *figures)
{
  printf ("%d keys of %d bytes\n", bench_values.n_keys, bench_values.size);
  printf ("  written here        %8.1f ms, %.0f a second\n", figures->written,
          bench_values.n_keys / MAX (figures->written, 0.001) * 1e3);
  printf ("  held by one node    %8.1f ms\n", figures->held_by_one);
  printf ("  held by all         %8.1f ms\n", figures->held_by_all);
  printf ("one key, until a node has it, of %d\n", N_SINGLE);
  printf ("  median              %8.2f ms\n", figures->single[N_SINGLE / 2]);
  printf ("  longest             %8.2f ms\n", figures->single[N_SINGLE - 1]);
}

static void
print_figures_json (const Figures *figures)
{
  output_json (g_variant_new_parsed ("{'keys': <%i>, 'size': <%i>, 'written-ms': <%d>, 'held-by-one-ms': <%d>,"
                                     " 'held-by-all-ms': <%d>, 'single-median-ms': <%d>, 'single-longest-ms': <%d>}",
                                     bench_values.n_keys, bench_values.size, figures->written, figures->held_by_one,
                                     figures->held_by_all, figures->single[N_SINGLE / 2],
                                     figures->single[N_SINGLE - 1]));
}

static ExitCode
run_bench (Session *session, char **arguments)
{
  g_autofree char *text = NULL;
  g_autoptr (GVariant) value = NULL;
  Figures figures = { 0 };
  ExitCode code;

  if (bench_values.n_keys == 0)
    bench_values.n_keys = DEFAULT_KEYS;
  if (bench_values.size == 0)
    bench_values.size = DEFAULT_SIZE;
  if (bench_values.n_keys < 1 || bench_values.n_keys > MAX_KEYS || bench_values.size < 1 ||
      bench_values.size > MAX_BYTES / bench_values.n_keys)
    {
      session_complain ("There are 1 to %d keys, and %d bytes at most", MAX_KEYS, MAX_BYTES);
      return EXIT_USAGE;
    }

  text = g_strnfill (bench_values.size, 'x');
  value = g_variant_ref_sink (g_variant_new_string (text));
  code = measure (session, value, &figures);
  if (code == EXIT_DONE)
    (session_get_options (session)->json ? print_figures_json : print_figures) (&figures);
  return code;
}

const Command command_bench = {
  .name = "bench",
  .parameters = "",
  .summary = "Measure how fast writes reach the other nodes",
  .description = "It writes keys below gkv-bench/ that end with the command. All nodes hold them for that time.\n"
                 "\n"
                 "Example:\n"
                 "  gkv bench --keys 10000 --size 1000\n\n",
  .min_arguments = 0,
  .max_arguments = 0,
  .entries =
      (const GOptionEntry[]){
          { "keys", 'k', 0, G_OPTION_ARG_INT, &bench_values.n_keys, "How many (1000)", "N" },
          { "size", 0, 0, G_OPTION_ARG_INT, &bench_values.size, "How large the values are (100)", "BYTES" },
          G_OPTION_ENTRY_NULL,
      },
  .values = &bench_values,
  .values_size = sizeof bench_values,
  .joins = TRUE,
  .run = run_bench,
};
