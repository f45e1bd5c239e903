/* What get and set cost the application's thread while the network works: at rest, while a peer's million keys arrive,
 * while a peer takes them, and while 10,000 writes a second arrive. The row at rest is the floor; the maximum bounds
 * how long the lock of the map was waited for. Calls in which the kernel took the processor away are counted, but not
 * among the times.
 *
 * The peer is a process of its own. The application reads and writes keys of its own between turns of its main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define N_OWN_KEYS      100
#define GETS_A_TURN     50
#define SETS_A_TURN     5
#define WRITES_A_SECOND 10000
#define N_FOREIGN_KEYS  1000
/* Only of a call that took longer the bench finds out whether it was preempted. */
#define SUSPICIOUS_NS 20000

static guint n_keys = 1000000;
static guint n_seconds = 10;

/* --- The few calls that are measured or made */

static void
set_text (GkvNode *node, const char *key, const char *value)
{
  gkv_node_set_string (node, key, value, NULL);
}

static gboolean
get_text (GkvNode *node, const char *key)
{
  g_autoptr (GVariant) value = gkv_node_lookup (node, key);

  return value != NULL;
}

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  guint *n = user_data;

  *n += 1;
}

/* --- The peer */

static void
fill (GkvNode *node)
{
  for (guint i = 0; i < n_keys; i++)
    {
      char key[21], value[21];

      g_snprintf (key, sizeof key, "key-%016u", i);
      g_snprintf (value, sizeof value, "value-%014u", i);
      set_text (node, key, value);
    }
}

static gboolean
write_some (gpointer user_data)
{
  static gint64 start;
  static guint64 n_written;
  GkvNode *node = user_data;
  gint64 now = g_get_monotonic_time ();

  if (start == 0)
    start = now;
  for (; n_written < (guint64) (now - start) * WRITES_A_SECOND / G_USEC_PER_SEC; n_written++)
    {
      char key[24], value[21];

      g_snprintf (key, sizeof key, "foreign-%u", (guint) (n_written % N_FOREIGN_KEYS));
      g_snprintf (value, sizeof value, "value-%014" G_GUINT64_FORMAT, n_written);
      set_text (node, key, value);
    }
  return G_SOURCE_CONTINUE;
}

static int
be_peer (const char *role, const char *seed)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GkvNode) node = NULL;

  if (strcmp (role, "hold") == 0)
    {
      node = bench_node_new (NULL);
      fill (node);
    }
  else
    {
      node = bench_node_new (seed);
    }
  if (strcmp (role, "write") == 0)
    g_timeout_add (1, write_some, node);
  if (strcmp (role, "take") == 0)
    {
      while (gkv_node_get_n_keys (node) < n_keys)
        bench_turn ();
      g_print ("full\n");
    }
  else
    {
      g_print ("%s\n", gkv_node_get_local_address (node));
    }

  g_main_loop_run (loop);
  return 0;
}

static GSubprocess *
start_peer (const char *role, const char *seed)
{
  g_autofree char *number = g_strdup_printf ("%u", n_keys);
  g_autoptr (GError) error = NULL;
  GSubprocess *peer =
      g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "/proc/self/exe", "--peer", number, role, seed, NULL);

  if (peer == NULL)
    g_error ("%s", error->message);
  return peer;
}

static void
end_peer (GSubprocess *peer)
{
  g_subprocess_force_exit (peer);
  g_subprocess_wait (peer, NULL, NULL);
  g_object_unref (peer);
}

static char *
read_line (GSubprocess *peer)
{
  GInputStream *pipe = g_subprocess_get_stdout_pipe (peer);
  g_autoptr (GString) line = g_string_new (NULL);
  char c;

  while (g_input_stream_read (pipe, &c, 1, NULL, NULL) == 1 && c != '\n')
    g_string_append_c (line, c);

  return g_string_free (g_steal_pointer (&line), FALSE);
}

/* --- The application */

typedef struct
{
  GArray *gets, *sets; /* ns */
  guint n_got, n_set;
  guint n_preempted;
  glong n_switches; /* when it was read last */
} Times;

static gint64
get_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

/* How often the kernel gave the processor of this thread to others although the thread did not wait. */
static glong
get_switches (void)
{
  struct rusage usage;

  getrusage (RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

static void
take_time (Times *times, GArray *array, gint64 taken)
{
  if (taken > SUSPICIOUS_NS)
    {
      glong n_switches = get_switches ();
      gboolean was_preempted = n_switches != times->n_switches;

      times->n_switches = n_switches;
      if (was_preempted)
        {
          times->n_preempted++;
          return;
        }
    }
  g_array_append_val (array, taken);
}

static void
use_node (GkvNode *node, Times *times)
{
  static guint serial;
  char key[16], value[21];
  gint64 start;

  times->n_switches = get_switches ();
  for (guint i = 0; i < GETS_A_TURN; i++)
    {
      g_snprintf (key, sizeof key, "own-%u", serial++ % N_OWN_KEYS);
      start = get_ns ();
      times->n_got += get_text (node, key);
      take_time (times, times->gets, get_ns () - start);
    }
  for (guint i = 0; i < SETS_A_TURN; i++)
    {
      g_snprintf (key, sizeof key, "own-%u", serial % N_OWN_KEYS);
      g_snprintf (value, sizeof value, "value-%014u", serial++);
      start = get_ns ();
      set_text (node, key, value);
      take_time (times, times->sets, get_ns () - start);
      times->n_set++;
    }
  bench_spin (1000);
}

static GkvNode *
make_node (const char *seed)
{
  GkvNode *node = bench_node_new (seed);

  for (guint i = 0; i < N_OWN_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("own-%u", i);

      set_text (node, key, "value");
    }
  bench_take_longest_turn ();
  return node;
}

static void
print_times (const char *what, const char *call, GArray *array)
{
  gint64 *times = (gint64 *) array->data;
  double median = bench_get_median (times, array->len) / 1000.0;

  g_print ("%s, %-36s median %6.2f us   99.9 %% %8.2f   max %8.2f   target 100   (%u calls)\n", call, what, median,
           times[array->len - 1 - array->len / 1000] / 1000.0, times[array->len - 1] / 1000.0, array->len);
  g_array_unref (array);
}

static void
print_all (const char *what, Times *times)
{
  print_times (what, "get", times->gets);
  print_times (what, "set", times->sets);
  if (times->n_preempted > 0)
    g_print ("     %u more calls were preempted\n", times->n_preempted);
}

static Times
make_times (void)
{
  return (
      Times){ g_array_new (FALSE, FALSE, sizeof (gint64)), g_array_new (FALSE, FALSE, sizeof (gint64)), 0, 0, 0, 0 };
}

static void
bench_rest (void)
{
  g_autoptr (GkvNode) node = make_node (NULL);
  Times times = make_times ();
  gint64 end = g_get_monotonic_time () + n_seconds * G_USEC_PER_SEC;

  while (g_get_monotonic_time () < end)
    use_node (node, &times);
  print_all ("at rest (the floor)", &times);
  gkv_node_close (node, NULL, NULL);
}

static void
bench_arriving (void)
{
  g_autofree char *what = g_strdup_printf ("while %u keys arrive", n_keys);
  GSubprocess *peer = start_peer ("hold", NULL);
  g_autofree char *address = read_line (peer);
  g_autoptr (GkvNode) node = make_node (address);
  Times times = make_times ();
  gint64 start = g_get_monotonic_time ();

  while (gkv_node_get_n_keys (node) < n_keys + N_OWN_KEYS)
    use_node (node, &times);
  start = g_get_monotonic_time () - start;
  print_all (what, &times);
  g_print ("     they took %.2f s; the longest turn of the main loop was %.1f ms\n", start / 1e6,
           bench_take_longest_turn ());
  gkv_node_close (node, NULL, NULL);
  end_peer (peer);
}

static gboolean
on_readable (GObject *stream, gpointer user_data)
{
  gboolean *is_full = user_data;

  *is_full = TRUE;
  return G_SOURCE_REMOVE;
}

static void
bench_leaving (void)
{
  g_autofree char *what = g_strdup_printf ("while a peer takes %u keys", n_keys);
  g_autoptr (GkvNode) node = make_node (NULL);
  g_autoptr (GSource) source = NULL;
  Times times = make_times ();
  gboolean is_full = FALSE;
  GSubprocess *peer;

  fill (node);
  peer = start_peer ("take", gkv_node_get_local_address (node));
  source = g_pollable_input_stream_create_source (G_POLLABLE_INPUT_STREAM (g_subprocess_get_stdout_pipe (peer)), NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (on_readable), &is_full, NULL);
  g_source_attach (source, NULL);
  bench_take_longest_turn ();
  while (!is_full)
    use_node (node, &times);
  print_all (what, &times);
  g_print ("     the longest turn of the main loop was %.1f ms\n", bench_take_longest_turn ());
  g_source_destroy (source);
  gkv_node_close (node, NULL, NULL);
  end_peer (peer);
}

static void
bench_written (void)
{
  g_autofree char *what = g_strdup_printf ("while %u writes/s arrive", WRITES_A_SECOND);
  g_autoptr (GkvNode) node = make_node (NULL);
  GSubprocess *peer = start_peer ("write", gkv_node_get_local_address (node));
  Times times = make_times ();
  guint n_changes = 0;
  gint64 end;

  while (gkv_node_get_n_keys (node) < N_FOREIGN_KEYS + N_OWN_KEYS)
    bench_turn ();
  bench_take_longest_turn ();
  g_signal_connect (node, "changed", G_CALLBACK (on_changed), &n_changes);
  end = g_get_monotonic_time () + n_seconds * G_USEC_PER_SEC;
  while (g_get_monotonic_time () < end)
    use_node (node, &times);

  /* Of its own writes the application hears, too. */
  n_changes -= MIN (n_changes, times.n_set);
  print_all (what, &times);
  g_print ("     %.0f changes a second were received; the longest turn of the main loop was %.1f ms\n",
           (double) n_changes / n_seconds, bench_take_longest_turn ());
  gkv_node_close (node, NULL, NULL);
  end_peer (peer);
}

int
main (int argc, char *argv[])
{
  if (argc >= 4 && strcmp (argv[1], "--peer") == 0)
    {
      n_keys = strtoul (argv[2], NULL, 10);
      return be_peer (argv[3], argv[4]);
    }

  if (argc > 1 && strcmp (argv[1], "--quick") == 0)
    {
      n_keys = 100000;
      n_seconds = 2;
    }
  bench_rest ();
  bench_arriving ();
  bench_leaving ();
  bench_written ();
  return 0;
}
