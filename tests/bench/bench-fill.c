/* An empty node takes all keys of another, which lives in a process of its own, as do the two ends of the floor: the
 * same bytes through a bare pair of UDP sockets.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include "bench-floor.h"

#include <stdlib.h>
#include <string.h>

static GkvNode *
make_node (const char *seed)
{
  g_autoptr (GError) error = NULL;
  const char *seeds[] = { seed, NULL };
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);

  if (!gkv_node_start (node, NULL, &error))
    g_error ("%s", error->message);
  return node;
}

/* Runs one turn of the loop, and keeps how long the longest dispatch took. */
static void
turn (gint64 *longest)
{
  GMainContext *context = g_main_context_default ();
  int priority, timeout, n;
  GPollFD fds[16];
  gint64 start;

  g_main_context_prepare (context, &priority);
  n = g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_poll (fds, n, timeout);
  start = g_get_monotonic_time ();
  if (g_main_context_check (context, priority, fds, n))
    g_main_context_dispatch (context);
  *longest = MAX (*longest, g_get_monotonic_time () - start);
}

/* The child: holds the keys, until its peer has left; then tells its longest turn. */
static int
hold (guint n_keys)
{
  g_autoptr (GkvNode) node = make_node (NULL);
  GListModel *peers = gkv_node_get_peers (node);
  gint64 longest = 0;

  for (guint i = 0; i < n_keys; i++)
    {
      char key[21], value[21];

      g_snprintf (key, sizeof key, "key-%016u", i);
      g_snprintf (value, sizeof value, "value-%014u", i);
      gkv_node_set_string (node, key, value, NULL, NULL);
    }
  g_print ("%s\n", gkv_node_get_local_address (node));

  g_main_context_acquire (NULL);
  while (g_list_model_get_n_items (peers) == 0)
    turn (&longest);
  while (g_list_model_get_n_items (peers) > 0)
    turn (&longest);
  g_main_context_release (NULL);
  g_print ("%" G_GINT64_FORMAT "\n", longest);

  return 0;
}

static char *
read_line (GSubprocess *child)
{
  GInputStream *pipe = g_subprocess_get_stdout_pipe (child);
  g_autoptr (GString) line = g_string_new (NULL);
  char c;

  while (g_input_stream_read (pipe, &c, 1, NULL, NULL) == 1 && c != '\n')
    g_string_append_c (line, c);

  return g_string_free (g_steal_pointer (&line), FALSE);
}

static void
bench_fill (guint n_keys, double target)
{
  g_autofree char *number = g_strdup_printf ("%u", n_keys);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) child =
      g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "/proc/self/exe", "--hold", number, NULL);
  g_autofree char *address = NULL;
  g_autofree char *their_longest = NULL;
  g_autoptr (GkvNode) node = NULL;
  g_autoptr (GVariant) stats = NULL;
  gint64 start, taken;
  gint64 longest = 0;
  guint64 bytes = 0;
  double floor_s;

  if (child == NULL)
    g_error ("%s", error->message);
  address = read_line (child);

  start = g_get_monotonic_time ();
  node = make_node (address);
  g_main_context_acquire (NULL);
  while (gkv_node_get_n_keys (node) < n_keys)
    turn (&longest);
  g_main_context_release (NULL);
  taken = g_get_monotonic_time () - start;

  stats = gkv_node_get_stats (node);
  g_variant_lookup (stats, "bytes-received", "t", &bytes);
  gkv_node_close (node, NULL, NULL);
  their_longest = read_line (child);
  g_subprocess_wait (child, NULL, NULL);
  floor_s = bench_floor_measure (bytes);

  g_print ("an empty node takes %7u keys  %8.3f s    target %.1f   (%.1f MB; bare socket pair %.3f s: %.1f times, "
           "target 3; longest turn %.1f ms, of the other %.1f ms, target 10)\n",
           n_keys, taken / 1e6, target, bytes / 1e6, floor_s, taken / 1e6 / floor_s, longest / 1000.0,
           g_ascii_strtod (their_longest, NULL) / 1000.0);
}

int
main (int argc, char *argv[])
{
  if (argc == 3 && strcmp (argv[1], "--hold") == 0)
    return hold (strtoul (argv[2], NULL, 10));

  bench_fill (10000, 1);
  bench_fill (100000, 1);
  if (argc < 2 || strcmp (argv[1], "--quick") != 0)
    bench_fill (1000000, 4);
  return 0;
}
