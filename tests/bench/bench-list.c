/* Listing a few keys of many: list_keys () with 100 keys under the prefix among 300,000, at first and later, and after
 * writes that an index would have to follow. The floor is a copy of the hundred keys.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-node.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PREFIX  "wanted/"
#define N_UNDER 100

static guint n_keys = 300000;
static guint n_trials = 201;

/* --- The few calls that are measured or made */

static void
set_text (GkvNode *node, const char *key, const char *value)
{
  gkv_node_set_string (node, key, value, NULL);
}

static void
remove_key (GkvNode *node, const char *key)
{
  gkv_node_remove (node, key, NULL, NULL);
}

static GListModel *
list_entries (GkvNode *node)
{
  return gkv_node_list_entries (node, PREFIX);
}

static char **
list_keys (GkvNode *node)
{
  return gkv_node_list_keys (node, PREFIX);
}

/* --- */

static gint64
get_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return (x > y) - (x < y);
}

static void
print_times (const char *what, gint64 *times, guint n, double floor_us)
{
  double median;

  qsort (times, n, sizeof *times, compare_times);
  median = times[n / 2] / 1000.0;
  if (n == 1)
    g_print ("%-44s        %12.1f us", what, median);
  else
    g_print ("%-44s median %12.1f us   max %10.1f", what, median, times[n - 1] / 1000.0);
  if (floor_us > 0)
    g_print ("   %8.1f x the floor", median / floor_us);
  g_print ("\n");
}

static double
measure_floor (char **keys)
{
  g_autofree gint64 *times = g_new (gint64, n_trials);

  for (guint i = 0; i < n_trials; i++)
    {
      gint64 start = get_ns ();
      char **copy = g_strdupv (keys);

      times[i] = get_ns () - start;
      g_strfreev (copy);
    }
  print_times ("a copy of the keys (the floor)", times, n_trials, 0);

  return times[n_trials / 2] / 1000.0;
}

static gint64
measure_one (GkvNode *node)
{
  gint64 start = get_ns ();
  g_auto (GStrv) keys = list_keys (node);
  gint64 taken = get_ns () - start;

  g_assert_cmpuint (g_strv_length (keys), ==, N_UNDER);
  return taken;
}

static gsize
get_used_bytes (void)
{
  return mallinfo2 ().uordblks + mallinfo2 ().hblkhd;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GListModel) list = NULL;
  g_auto (GStrv) keys = NULL;
  g_autofree gint64 *times = NULL;
  double floor_us;
  gint64 start, first;
  gsize before, after;

  if (argc > 1 && strcmp (argv[1], "--quick") == 0)
    {
      n_keys = 30000;
      n_trials = 21;
    }
  times = g_new (gint64, n_trials);

  for (guint i = 0; i < n_keys; i++)
    {
      g_autofree char *key = i % (n_keys / N_UNDER) == 0 ? g_strdup_printf (PREFIX "key-%07u", i)
                                                         : g_strdup_printf ("other-%u/key-%07u", i % 10, i);

      set_text (node, key, "value");
    }

  before = get_used_bytes ();
  first = measure_one (node);
  /* An index may be built in slices by the loop. */
  bench_take_longest_turn ();
  bench_spin (G_USEC_PER_SEC);
  after = get_used_bytes ();
  g_print ("list_keys (), %u keys, %u under the prefix\n", n_keys, N_UNDER);
  keys = list_keys (node);
  floor_us = measure_floor (keys);
  print_times ("the first call", &first, 1, floor_us);

  for (guint i = 0; i < n_trials; i++)
    times[i] = measure_one (node);
  print_times ("later calls", times, n_trials, floor_us);

  for (guint i = 0; i < n_trials; i++)
    {
      g_autofree char *key = g_strdup_printf ("new-%u", i);

      set_text (node, key, "value");
      remove_key (node, keys[i % N_UNDER]);
      set_text (node, keys[i % N_UNDER], "value");
      times[i] = measure_one (node);
    }
  print_times ("calls after a new, a removed and a set key", times, n_trials, floor_us);
  g_print ("%-44s        %12.1f bytes a key   target 24   (longest turn of the loop %.1f ms, target 10)\n",
           "what the first call left in memory", ((double) after - (double) before) / n_keys,
           bench_take_longest_turn ());

  start = get_ns ();
  list = list_entries (node);
  while (g_list_model_get_n_items (list) < N_UNDER)
    bench_turn ();
  first = get_ns () - start;
  print_times ("a list model of the prefix, until it is full", &first, 1, floor_us);

  return 0;
}
