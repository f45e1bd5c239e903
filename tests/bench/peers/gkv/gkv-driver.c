/* The driver of our own library for the comparison with other systems; tests/bench/peers/README.md has the protocol.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int option_nodes = 3;
static int option_keys = 0;
static int option_interval = 0;
static int option_trials = 5;
static int option_seconds = 60;

static const GOptionEntry options[] = {
  { "nodes", 0, 0, G_OPTION_ARG_INT, &option_nodes, "nodes of the cluster", "N" },
  { "keys", 0, 0, G_OPTION_ARG_INT, &option_keys, "keys in the map", "N" },
  { "interval", 0, 0, G_OPTION_ARG_INT, &option_interval, "every interval, 0 for the defaults", "MS" },
  { "trials", 0, 0, G_OPTION_ARG_INT, &option_trials, "samples to take", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_INT, &option_seconds, "how long to be idle", "S" },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

static void say (const char *format, ...) G_GNUC_PRINTF (1, 2);

static void
say (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vprintf (format, args);
  va_end (args);
  putchar ('\n');
  fflush (stdout);
}

static void
say_sample (const char *row, double value)
{
  say ("{\"row\": \"%s\", \"value\": %.6f}", row, value);
}

/* Once a second, so that a run that is stopped early has something to tell. */
static void
say_part (double part)
{
  static gint64 next;
  gint64 now = g_get_monotonic_time ();

  if (now >= next)
    {
      say ("{\"part\": %.4f}", part);
      next = now + G_USEC_PER_SEC;
    }
}

static gboolean
on_tick (gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

static void
spin (double seconds)
{
  gint64 end = g_get_monotonic_time () + (gint64) (seconds * G_USEC_PER_SEC);

  while (g_get_monotonic_time () < end)
    g_main_context_iteration (NULL, TRUE);
}

static double
get_ms_since (gint64 start)
{
  return (g_get_monotonic_time () - start) / 1000.0;
}

static GkvNode *
make_node (const char *seed)
{
  g_autoptr (GError) error = NULL;
  const char *seeds[] = { seed, NULL };
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);

  if (option_interval > 0)
    gkv_node_set_gossip_interval (node, option_interval);
  if (!gkv_node_start (node, NULL, &error))
    g_error ("%s", error->message);
  return node;
}

static GkvNode **
make_cluster (void)
{
  GkvNode **nodes = g_new0 (GkvNode *, option_nodes);

  for (int i = 0; i < option_nodes; i++)
    nodes[i] = make_node (i == 0 ? NULL : gkv_node_get_local_address (nodes[0]));
  for (int i = 0; i < option_nodes; i++)
    while (g_list_model_get_n_items (gkv_node_get_peers (nodes[i])) < (guint) option_nodes - 1)
      {
        g_main_context_iteration (NULL, TRUE);
        say_part (0);
      }
  return nodes;
}

static void
set_one (GkvNode *node, const char *key, const char *value)
{
  g_autoptr (GError) error = NULL;

  if (!gkv_node_set_string (node, key, value, &error))
    g_error ("%s", error->message);
}

static void
set_keys (GkvNode *node)
{
  for (int i = 0; i < option_keys; i++)
    {
      char key[21], value[21];

      g_snprintf (key, sizeof key, "key-%016d", i);
      g_snprintf (value, sizeof value, "value-%014d", i);
      set_one (node, key, value);
    }
}

static void
wait_filled (GkvNode *node)
{
  while (gkv_node_get_n_keys (node) < (guint) option_keys)
    {
      g_main_context_iteration (NULL, TRUE);
      say_part ((double) gkv_node_get_n_keys (node) / option_keys);
    }
}

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  int *n = user_data;

  *n += 1;
}

/* One write until it reached all; with keys, until it reached all among them. */
static void
run_spread (void)
{
  GkvNode **nodes = make_cluster ();

  set_keys (nodes[0]);
  for (int i = 0; i < option_nodes; i++)
    wait_filled (nodes[i]);
  spin (2);

  for (int trial = 0; trial < option_trials; trial++)
    {
      g_autofree char *key = g_strdup_printf ("new-%d", trial);
      g_autofree char *signal = g_strdup_printf ("changed::%s", key);
      gint64 start;
      int seen = 0;

      for (int i = 0; i < option_nodes; i++)
        g_signal_connect (nodes[i], signal, G_CALLBACK (on_changed), &seen);
      start = g_get_monotonic_time ();
      set_one (nodes[trial % option_nodes], key, "now");
      while (seen < option_nodes)
        {
          g_main_context_iteration (NULL, TRUE);
          say_part ((double) seen / option_nodes);
        }
      say_sample ("ms", get_ms_since (start));
      for (int i = 0; i < option_nodes; i++)
        g_signal_handlers_disconnect_by_func (nodes[i], on_changed, &seen);
      spin (0.1 + 0.037 * trial);
    }
}

static void
run_join (void)
{
  GkvNode *first = make_node (NULL), *second;
  gint64 start;

  set_keys (first);
  say ("{\"mark\": \"begin\"}");
  spin (0.1);
  start = g_get_monotonic_time ();
  second = make_node (gkv_node_get_local_address (first));
  wait_filled (second);
  say_sample ("ms", get_ms_since (start));
  say ("{\"mark\": \"end\"}");
  spin (0.2);
}

static void
run_idle (void)
{
  GkvNode **nodes = make_cluster ();

  set_keys (nodes[0]);
  for (int i = 0; i < option_nodes; i++)
    wait_filled (nodes[i]);
  spin (5);
  say ("{\"mark\": \"begin\"}");
  spin (option_seconds);
  say ("{\"mark\": \"end\"}");
  spin (0.2);
}

static void
run_local (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  char **keys = g_new0 (char *, option_keys + 1);
  const int hot = 200000;
  gint64 start;

  gkv_node_start (node, NULL, NULL);
  for (int i = 0; i < option_keys; i++)
    keys[i] = g_strdup_printf ("key-%016d", i);

  for (int trial = 0; trial < option_trials; trial++)
    {
      start = g_get_monotonic_time ();
      for (int i = 0; i < hot; i++)
        set_one (node, "hot", i & 1 ? "value-00000000000001" : "value-00000000000000");
      say_sample ("set-hot-ns", get_ms_since (start) * 1e6 / hot);
      start = g_get_monotonic_time ();
      for (int i = 0; i < hot; i++)
        g_free (gkv_node_get_string (node, "hot", NULL));
      say_sample ("get-hot-ns", get_ms_since (start) * 1e6 / hot);
    }

  start = g_get_monotonic_time ();
  for (int i = 0; i < option_keys; i++)
    set_one (node, keys[i], "value-00000000000000");
  say_sample ("set-many-ns", get_ms_since (start) * 1e6 / option_keys);
  for (int trial = 0; trial < option_trials; trial++)
    {
      start = g_get_monotonic_time ();
      for (int i = 0; i < option_keys; i++)
        g_free (gkv_node_get_string (node, keys[(guint64) i * 7919 % option_keys], NULL));
      say_sample ("get-many-ns", get_ms_since (start) * 1e6 / option_keys);
    }
}

static void
run_memory (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();

  gkv_node_start (node, NULL, NULL);
  set_keys (node);
  spin (1);
  say ("{\"mark\": \"end\"}");
  spin (0.5);
}

int
main (int argc, char *argv[])
{
  static const struct
  {
    const char *name;
    void (*run) (void);
  } workloads[] = {
    { "spread", run_spread }, { "join", run_join },     { "idle", run_idle },
    { "local", run_local },   { "memory", run_memory },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("WORKLOAD");
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc != 2)
    {
      g_printerr ("%s\n", error != NULL ? error->message : "A workload is needed.");
      return 2;
    }

  /* Wakes waits, so that they can tell how far they are. */
  g_timeout_add (100, on_tick, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (workloads); i++)
    if (strcmp (argv[1], workloads[i].name) == 0)
      {
        workloads[i].run ();
        say ("{\"done\": true}");
        /* The nodes go with the process: closing is no part of the figures. */
        _exit (0);
      }

  say ("{\"cannot\": \"no such workload\"}");
  return 0;
}
