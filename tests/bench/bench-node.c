/* What the benches of whole nodes share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-node.h"

#include <stdlib.h>

#define MAX_FDS 512

static gint64 longest;

GkvNode *
bench_node_new (const char *seed)
{
  g_autoptr (GError) error = NULL;
  const char *seeds[] = { seed, NULL };
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);

  if (!gkv_node_start (node, NULL, &error))
    g_error ("%s", error->message);
  return node;
}

guint64
bench_node_get_stat (GkvNode *node, const char *name)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);
  guint64 value = 0;

  g_variant_lookup (stats, name, "t", &value);
  return value;
}

/* As g_main_context_iteration () does it, with a clock around the part that dispatches. @timeout_ms: -1 for none. */
static void
turn (int timeout_ms)
{
  GMainContext *context = g_main_context_default ();
  int priority, timeout, n;
  GPollFD fds[MAX_FDS];
  gint64 start;

  g_main_context_acquire (context);
  g_main_context_prepare (context, &priority);
  n = g_main_context_query (context, priority, &timeout, fds, MAX_FDS);
  if (timeout_ms >= 0 && (timeout < 0 || timeout > timeout_ms))
    timeout = timeout_ms;
  g_poll (fds, n, timeout);
  start = g_get_monotonic_time ();
  if (g_main_context_check (context, priority, fds, n))
    g_main_context_dispatch (context);
  longest = MAX (longest, g_get_monotonic_time () - start);
  g_main_context_release (context);
}

void
bench_turn (void)
{
  turn (-1);
}

void
bench_spin (gint64 us)
{
  gint64 end = g_get_monotonic_time () + us;

  while (g_get_monotonic_time () < end)
    turn ((end - g_get_monotonic_time () + 999) / 1000);
}

double
bench_take_longest_turn (void)
{
  gint64 taken = longest;

  longest = 0;
  return taken / 1000.0;
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return (x > y) - (x < y);
}

gint64
bench_get_median (gint64 *times, guint n)
{
  qsort (times, n, sizeof *times, compare_times);
  return times[n / 2];
}
