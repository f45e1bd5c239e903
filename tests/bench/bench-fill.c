/* An empty node takes all keys of another, which lives in a process of its own, as do the two ends of the floor: the
 * same bytes through a bare pair of UDP sockets.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-floor.h"
#include "bench-node.h"

#include <stdlib.h>
#include <string.h>

/* The child: holds the keys, until its peer has left; then tells its longest turn. */
static int
hold (guint n_keys)
{
  g_autoptr (GkvNode) node = bench_node_new (NULL);
  GListModel *peers = gkv_node_get_peers (node);

  for (guint i = 0; i < n_keys; i++)
    {
      char key[21], value[21];

      g_snprintf (key, sizeof key, "key-%016u", i);
      g_snprintf (value, sizeof value, "value-%014u", i);
      gkv_node_set_string (node, key, value, NULL);
    }
  g_print ("%s\n", gkv_node_get_local_address (node));

  bench_take_longest_turn ();
  while (g_list_model_get_n_items (peers) == 0)
    bench_turn ();
  while (g_list_model_get_n_items (peers) > 0)
    bench_turn ();
  g_print ("%f\n", bench_take_longest_turn ());

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
  gint64 start, taken;
  guint64 bytes;
  double floor_s;

  if (child == NULL)
    g_error ("%s", error->message);
  address = read_line (child);

  start = g_get_monotonic_time ();
  node = bench_node_new (address);
  while (gkv_node_get_n_keys (node) < n_keys)
    bench_turn ();
  taken = g_get_monotonic_time () - start;

  bytes = bench_node_get_stat (node, "bytes-received");
  gkv_node_close (node, NULL, NULL);
  their_longest = read_line (child);
  g_subprocess_wait (child, NULL, NULL);
  floor_s = bench_floor_measure (bytes);

  g_print ("an empty node takes %7u keys  %8.3f s    target %.1f   (%.1f MB; bare socket pair %.3f s: %.1f times, "
           "target 3; longest turn %.1f ms, of the other %.1f ms, target 10)\n",
           n_keys, taken / 1e6, target, bytes / 1e6, floor_s, taken / 1e6 / floor_s, bench_take_longest_turn (),
           g_ascii_strtod (their_longest, NULL));
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
