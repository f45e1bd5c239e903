/* One write to ten nodes, each in a process of its own: from before the set to the last handler.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-node.h"

#include <string.h>

#define N_CHILDREN 9
#define TRIALS     21

/* The child: tells when its handler ran. All processes share the monotonic clock. */

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  g_print ("%" G_GINT64_FORMAT "\n", g_get_monotonic_time ());
}

static int
be_child (const char *seed)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GkvNode) node = bench_node_new (seed);

  g_signal_connect (node, "changed::flag", G_CALLBACK (on_changed), NULL);
  g_main_loop_run (loop);
  return 0;
}

/* The parent: writes, and reads when each child saw it. */

typedef struct
{
  guint n_seen;
  gint64 last;
} Trial;

static Trial trial;

static void
on_line (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GDataInputStream *stream = G_DATA_INPUT_STREAM (source);
  g_autofree char *line = g_data_input_stream_read_line_finish (stream, result, NULL, NULL);

  if (line == NULL)
    return;

  trial.n_seen++;
  trial.last = MAX (trial.last, g_ascii_strtoll (line, NULL, 10));
  g_data_input_stream_read_line_async (stream, G_PRIORITY_DEFAULT, NULL, on_line, NULL);
}

int
main (int argc, char *argv[])
{
  g_autoptr (GkvNode) node = NULL;
  GSubprocess *children[N_CHILDREN];
  gint64 times[TRIALS];
  gint64 median;

  if (argc == 3 && strcmp (argv[1], "--child") == 0)
    return be_child (argv[2]);

  node = bench_node_new (NULL);
  for (guint i = 0; i < N_CHILDREN; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GDataInputStream) stream = NULL;

      children[i] = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "/proc/self/exe", "--child",
                                      gkv_node_get_local_address (node), NULL);
      if (children[i] == NULL)
        g_error ("%s", error->message);
      stream = g_data_input_stream_new (g_subprocess_get_stdout_pipe (children[i]));
      g_data_input_stream_read_line_async (stream, G_PRIORITY_DEFAULT, NULL, on_line, NULL);
    }
  while (g_list_model_get_n_items (gkv_node_get_peers (node)) < N_CHILDREN)
    bench_turn ();
  bench_spin (3 * G_USEC_PER_SEC);

  for (guint i = 0; i < TRIALS; i++)
    {
      gint64 start = g_get_monotonic_time ();

      trial = (Trial){ 0, 0 };
      gkv_node_set_int64 (node, "flag", i, NULL);
      while (trial.n_seen < N_CHILDREN)
        bench_turn ();
      times[i] = trial.last - start;
      bench_spin (50 * 1000);
    }

  median = bench_get_median (times, TRIALS);
  g_print ("one write reaches 10 processes  median %8.2f ms   target 5   (min %.2f, max %.2f; longest turn of "
           "the writer %.1f ms)\n",
           median / 1000.0, times[0] / 1000.0, times[TRIALS - 1] / 1000.0, bench_take_longest_turn ());

  for (guint i = 0; i < N_CHILDREN; i++)
    {
      g_subprocess_force_exit (children[i]);
      /* The signal is sent by another thread of GLib's: it would be lost with this process. */
      g_subprocess_wait (children[i], NULL, NULL);
      g_object_unref (children[i]);
    }
  return 0;
}
