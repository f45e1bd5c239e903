/* Listing a few keys of many: list_keys () with 100 keys under the prefix among 300,000, at first and later, and after
 * writes that the index has to follow. The floor is a copy of the hundred keys. Then what the index costs: the
 * building, its memory, a write with it and without, and a read meanwhile. And a list model of all keys.
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

static GListModel *
list_all_entries (GkvNode *node)
{
  return gkv_node_list_entries (node, NULL);
}

static gboolean
is_pending (GListModel *list)
{
  gboolean pending;

  g_object_get (list, "pending", &pending, NULL);
  return pending;
}

static char **
list_keys (GkvNode *node)
{
  return gkv_node_list_keys (node, PREFIX);
}

static void
get_text (GkvNode *node, const char *key)
{
  g_autofree char *text G_GNUC_UNUSED = gkv_node_get_string (node, key, NULL);
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

static char *
make_key (guint i)
{
  return i % (n_keys / N_UNDER) == 0 ? g_strdup_printf (PREFIX "key-%07u", i)
                                     : g_strdup_printf ("other-%u/key-%07u", i % 10, i);
}

/* Sets keys that are there: one again and again, or others each time. */
static void
measure_sets (GkvNode *node, const char *what, gboolean hot)
{
  guint n = n_trials * 1000;
  gint64 start, taken = 0;

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = make_key (hot ? 1 : (guint) ((guint64) i * 2654435761u % n_keys));

      start = get_ns ();
      set_text (node, key, "value");
      taken += get_ns () - start;
    }
  g_print ("%-44s mean   %12.2f us\n", what, taken / 1000.0 / n);
}

/* A thread that reads without pause. */

typedef struct
{
  GkvNode *node;
  gboolean stop; /* atomic */
  GArray *times;
} Reader;

static gpointer
read_on (gpointer data)
{
  Reader *reader = data;

  for (guint i = 0; !g_atomic_int_get (&reader->stop); i++)
    {
      g_autofree char *key = make_key (i % n_keys);
      gint64 start = get_ns ();
      gint64 taken;

      get_text (reader->node, key);
      taken = get_ns () - start;
      g_array_append_val (reader->times, taken);
    }

  return NULL;
}

static void
print_reads (GArray *times)
{
  gint64 *sorted = (gint64 *) times->data;

  if (times->len == 0)
    return;
  qsort (sorted, times->len, sizeof *sorted, compare_times);
  g_print ("%-44s median %12.1f us   99.9 %% %7.1f   max %10.1f\n", "a read in another thread meanwhile",
           sorted[times->len / 2] / 1000.0, sorted[times->len - 1 - times->len / 1000] / 1000.0,
           sorted[times->len - 1] / 1000.0);
}

/* Has the loop build the index. */
static void
measure_building (void)
{
  gint64 start = get_ns ();
  gint64 taken;

  while (g_main_context_pending (NULL))
    bench_turn ();
  taken = get_ns () - start;
  print_times ("building the index in the loop", &taken, 1, 0);
}

static void
measure_long_list (GkvNode *node)
{
  gint64 start = get_ns ();
  g_autoptr (GListModel) list = list_all_entries (node);
  gint64 taken = get_ns () - start;

  print_times ("a list model of all keys: the call", &taken, 1, 0);
  bench_take_longest_turn ();
  while (is_pending (list))
    bench_turn ();
  taken = get_ns () - start;
  print_times ("   until it is full", &taken, 1, 0);
  g_print ("   longest turn of the loop %.1f ms, target 10\n", bench_take_longest_turn ());
  g_assert_cmpuint (g_list_model_get_n_items (list), >=, n_keys);
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
  Reader reader = { node, FALSE, NULL };
  GThread *thread;
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
      g_autofree char *key = make_key (i);

      set_text (node, key, "value");
    }

  g_print ("list_keys (), %u keys, %u under the prefix\n", n_keys, N_UNDER);
  measure_sets (node, "setting one key, without an index", TRUE);
  measure_sets (node, "setting any key, without an index", FALSE);

  reader.times = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_array_set_size (reader.times, 2000000);
  g_array_set_size (reader.times, 0);
  before = get_used_bytes ();
  thread = g_thread_new ("reader", read_on, &reader);
  first = measure_one (node);
  bench_take_longest_turn ();
  measure_building ();
  g_atomic_int_set (&reader.stop, TRUE);
  g_thread_join (thread);
  after = get_used_bytes ();
  print_reads (reader.times);
  g_array_unref (reader.times);
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

  g_clear_object (&list);
  measure_sets (node, "setting one key, with the index", TRUE);
  measure_sets (node, "setting any key, with the index", FALSE);
  measure_long_list (node);

  return 0;
}
