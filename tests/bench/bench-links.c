/* Transfers over lossy, slow and long links, and under overload, beside the same bytes through TCP over the same
 * network.
 *
 * Each figure has hosts of its own, which are network namespaces, and nothing else on them. The nodes meet over a good
 * link first. Where a row is of one who joins, it knows nobody yet, and TCP has to connect, too; else it is connected.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "links/crowd.h"
#include "links/hosts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND G_GINT64_CONSTANT (1000000)
#define MS     G_GINT64_CONSTANT (1000)

#define MBIT 125000 /* bytes a second */

/* Until the nodes have met, and until they know a link that has become another. */
#define PATIENCE (20 * SECOND)
#define SETTLE   (3 * SECOND)
#define LEAD     (50 * MS)

static int option_trials = 1;
static int option_limit = 30;
static int option_seconds = 20;
static const char *option_rows = "abcdefgh";
static gboolean option_quick;

static const GOptionEntry options[] = {
  { "rows", 0, 0, G_OPTION_ARG_STRING, &option_rows, "which rows (abcdefgh)", "LETTERS" },
  { "trials", 0, 0, G_OPTION_ARG_INT, &option_trials, "the median of so many (1)", "N" },
  { "limit", 0, 0, G_OPTION_ARG_INT, &option_limit, "how long a transfer may take beside what its line needs (30)",
    "S" },
  { "seconds", 0, 0, G_OPTION_ARG_INT, &option_seconds, "how long values are written anew (20)", "S" },
  { "quick", 0, 0, G_OPTION_ARG_NONE, &option_quick, "less patience, to see that it works", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

/* A transfer: what is written on the first host is for the last one, behind whose line it has to go. */
typedef struct
{
  HostsOrder order;
  WireLine line;
  guint refused;
  gboolean joins; /* the last host is there only when all has been written, and another one has it, too */
} Work;

/* Negative times: not within the limit. */
typedef struct
{
  double seconds;
  double cost;    /* bytes that were to pass the line, of those that had to */
  guint n_errors; /* of the writer */
} Figure;

/* --- Waiting */

typedef gboolean (*Condition) (void);

/* FALSE: it wasn't so in time. */
static gboolean
wait_for (Condition condition, gint64 limit)
{
  gint64 end = g_get_monotonic_time () + limit;

  while (!condition ())
    {
      if (g_get_monotonic_time () >= end)
        return FALSE;
      g_usleep (200);
    }

  return TRUE;
}

static guint n_hosts;
static guint n_nodes;

static gboolean
have_met (void)
{
  for (guint i = 0; i < n_nodes; i++)
    if (hosts_shared->nodes[i].n_alive != n_nodes - 1 || !hosts_shared->nodes[i].synced)
      return FALSE;

  return TRUE;
}

static guint
get_last (void)
{
  return n_hosts - 1;
}

static gboolean
has_come (void)
{
  return hosts_shared->nodes[get_last ()].n_told >= hosts_shared->order.n;
}

static gboolean
has_come_to_second (void)
{
  return hosts_shared->nodes[1].n_told >= hosts_shared->order.n;
}

static gboolean
has_gone (void)
{
  return hosts_shared->nodes[get_last ()].n_gone > 0;
}

static gboolean
tcp_listens (void)
{
  return hosts_shared->tcp_listens;
}

static gboolean
tcp_is_connected (void)
{
  return hosts_shared->tcp_connected;
}

static gboolean
tcp_is_done (void)
{
  return hosts_shared->tcp_done_at > 0;
}

/* Beside what the line needs at best. */
static gint64
get_limit (void)
{
  guint rate = hosts_shared->wire.lines[get_last ()].bytes_a_second;

  return (option_quick ? MIN (option_limit, 5) : option_limit) * SECOND +
         (rate > 0 ? (gint64) hosts_get_total (&hosts_shared->order) * SECOND / rate : 0);
}

/* --- Steps */

static Wire *
make_hosts (guint n)
{
  memset (hosts_shared, 0, sizeof *hosts_shared);
  n_hosts = n;
  n_nodes = 0;
  return wire_new (n, &hosts_shared->wire);
}

static GPid
start_node (Wire *wire)
{
  return wire_spawn (wire, n_nodes++, hosts_be_node, NULL);
}

static void
meet (void)
{
  if (!wait_for (have_met, PATIENCE))
    g_error ("the nodes don't meet");
  g_usleep (SECOND);
}

/* All have heard of it before it counts. */
static void
begin_order (const HostsOrder *order)
{
  hosts_shared->order = *order;
  hosts_shared->ordered_at = g_get_monotonic_time () + LEAD;
  hosts_shared->n_orders++;
  g_usleep (LEAD);
}

/* The line of the last host becomes what it is to be. */
static void
set_line (const WireLine *line, guint refused)
{
  hosts_shared->wire.lines[get_last ()] = *line;
  hosts_shared->refused = refused;
  g_usleep (SETTLE + 12 * line->delay);
}

static guint64
get_bytes (void)
{
  return hosts_shared->wire.bytes[get_last ()];
}

/* --- Transfers */

static Figure
measure_gkv (const Work *work)
{
  g_autoptr (Wire) wire = make_hosts (work->joins ? 3 : 2);
  guint64 total = hosts_get_total (&work->order);
  guint64 bytes;
  gint64 begin;
  Figure figure;

  start_node (wire);
  start_node (wire);
  meet ();
  if (work->joins)
    {
      begin_order (&work->order);
      if (!wait_for (has_come_to_second, PATIENCE))
        g_error ("what a newcomer is to take isn't there yet");
    }
  set_line (&work->line, work->refused);

  bytes = get_bytes ();
  if (work->joins)
    {
      begin = g_get_monotonic_time ();
      start_node (wire);
    }
  else
    {
      begin_order (&work->order);
      begin = hosts_shared->ordered_at;
    }

  figure.seconds =
      wait_for (has_come, get_limit ()) ? (hosts_shared->nodes[get_last ()].told_at - begin) / (double) SECOND : -1;
  figure.cost = (get_bytes () - bytes) / (double) total;
  figure.n_errors = hosts_shared->nodes[0].n_errors;
  return figure;
}

static Figure
measure_tcp (const Work *work)
{
  g_autoptr (Wire) wire = make_hosts (2);
  guint sink = 1;
  guint64 bytes;
  gint64 begin;
  Figure figure;

  hosts_shared->order = work->order;
  hosts_shared->tcp_wanted = hosts_get_total (&work->order);
  wire_spawn (wire, 1, hosts_be_sink, NULL);
  wait_for (tcp_listens, PATIENCE);
  hosts_shared->wire.lines[1] = work->line;
  hosts_shared->tcp_goes = work->joins;
  bytes = get_bytes ();
  begin = g_get_monotonic_time ();
  wire_spawn (wire, 0, hosts_be_source, &sink);
  if (!work->joins)
    {
      wait_for (tcp_is_connected, PATIENCE);
      g_usleep (SECOND / 2 + 2 * work->line.delay);
      bytes = get_bytes ();
      begin = g_get_monotonic_time ();
      hosts_shared->tcp_goes = TRUE;
    }

  figure.seconds = wait_for (tcp_is_done, get_limit ()) ? (hosts_shared->tcp_done_at - begin) / (double) SECOND : -1;
  figure.cost = (get_bytes () - bytes) / (double) hosts_shared->tcp_wanted;
  figure.n_errors = 0;
  return figure;
}

static int
compare_figures (gconstpointer a, gconstpointer b)
{
  const Figure *x = a, *y = b;
  double s = x->seconds < 0 ? G_MAXDOUBLE : x->seconds, t = y->seconds < 0 ? G_MAXDOUBLE : y->seconds;

  return (s > t) - (s < t);
}

static Figure
get_median (Figure (*measure) (const Work *work), const Work *work)
{
  g_autofree Figure *figures = g_new (Figure, option_trials);

  for (int i = 0; i < option_trials; i++)
    figures[i] = measure (work);
  qsort (figures, option_trials, sizeof *figures, compare_figures);
  return figures[option_trials / 2];
}

static void
print_time (double seconds)
{
  if (seconds < 0)
    g_print ("    not in %3d s", (int) (get_limit () / SECOND));
  else
    g_print (" %12.3f s", seconds);
}

static void
print_head (const char *title)
{
  g_print ("%s\n  %-38s %14s %8s %14s %8s %8s\n", title, "", "libgkv", "x bytes", "TCP", "x bytes", "x TCP");
}

static void
print_transfer (const char *title, const Work *work)
{
  Figure gkv = get_median (measure_gkv, work);
  Figure tcp = get_median (measure_tcp, work);

  g_print ("  %-38s", title);
  print_time (gkv.seconds);
  g_print (" %8.2f", gkv.cost);
  print_time (tcp.seconds);
  g_print (" %8.2f", tcp.cost);
  if (gkv.seconds >= 0 && tcp.seconds > 0)
    g_print (" %8.2f", gkv.seconds / tcp.seconds);
  else
    g_print (" %8s", "");
  if (work->refused > 0)
    g_print ("   %u errors reported", gkv.n_errors);
  g_print ("\n");
}

static WireLine
make_line (double mbit, guint round_trip_ms, guint loss)
{
  WireLine line = { .bytes_a_second = mbit * MBIT, .delay = round_trip_ms * MS / 2, .loss = loss };

  /* A tenth of a second of what it carries, and ten packets at least. */
  line.max_queue = MAX (line.bytes_a_second / 10, 15000);
  return line;
}

/* --- Rows */

static void
bench_round_trips (void)
{
  static const guint round_trips[] = { 200, 400, 600, 2500 };

  print_head ("a: long round trips");
  for (guint i = 0; i < G_N_ELEMENTS (round_trips); i++)
    {
      const Work work = { .order = { .n = 1, .least = 200000, .most = 200000 },
                          .line = make_line (0, round_trips[i], 0) };
      g_autofree char *title = g_strdup_printf ("200 KB, %u ms", round_trips[i]);

      print_transfer (title, &work);
    }
  for (guint i = 0; i < 3; i++)
    {
      const Work work = { .order = { .n = 2000, .least = 20, .most = 20 },
                          .line = make_line (0,
                                             i == 0   ? 50
                                             : i == 1 ? 300
                                                      : 600,
                                             0),
                          .joins = TRUE };
      g_autofree char *title = g_strdup_printf ("joining with 2,000 keys, %u ms", work.line.delay * 2 / 1000);

      print_transfer (title, &work);
    }
}

static void
print_crowd (const char *title, const CrowdFigure *figure, double goal)
{
  g_print ("  %-28s %8.0f %9.1f %% %9.1f %% %9.1f %% %10u %10u %10.2f\n", title, figure->rate, figure->at_once * 100,
           goal * 100, figure->told * 100, figure->n_behind, figure->n_suspected, figure->cost);
}

/* The highest rate at which nearly all come at once, and then more. */
static void
bench_overload (void)
{
  g_autoptr (Wire) wire = make_hosts (1);
  const gint64 duration = (option_quick ? 1 : 4) * SECOND;
  CrowdFigure most = { .rate = 0 };
  double rate = 100, factor = 2;

  crowd_start (wire);
  while (factor > 1.1)
    {
      CrowdFigure figure = crowd_measure (rate * factor, duration, 2 * SECOND);

      if (figure.at_once >= 0.99)
        {
          most = figure;
          rate *= factor;
        }
      else
        {
          factor = sqrt (factor);
        }
    }

  g_print ("b: %u nodes on one core, updates a second in all\n  %-28s %8s %11s %11s %11s %10s %10s %10s\n",
           CROWD_N_NODES, "", "updates", "in 100 ms", "goal", "told", "behind", "suspects", "datagrams");
  print_crowd ("capacity", &most, 0.99);
  /* What the search has left over isn't to count. */
  g_usleep (10 * SECOND);
  for (guint times = 2; times <= 8; times *= 2)
    {
      CrowdFigure figure = crowd_measure (MAX (most.rate, rate) * times, duration, 10 * SECOND);
      g_autofree char *title = g_strdup_printf ("%u times that", times);

      print_crowd (title, &figure, 0.7 / times);
    }
}

static void
bench_loss (void)
{
  static const guint losses[] = { 0, 10, 30, 50, 100, 150 };
  static const guint key_losses[] = { 0, 150, 400 };

  print_head ("c: loss each way, round trip about 0.1 ms");
  for (guint i = 0; i < G_N_ELEMENTS (losses); i++)
    {
      const Work work = { .order = { .n = 1, .least = 1000000, .most = 1000000 }, .line = make_line (0, 0, losses[i]) };
      g_autofree char *title = g_strdup_printf ("1 MB, %u %%", losses[i] / 10);

      print_transfer (title, &work);
    }
  for (guint i = 0; i < G_N_ELEMENTS (key_losses); i++)
    {
      const Work work = { .order = { .n = 5000, .least = 20, .most = 20 }, .line = make_line (0, 0, key_losses[i]) };
      g_autofree char *title = g_strdup_printf ("5,000 small keys, %u %%", key_losses[i] / 10);

      print_transfer (title, &work);
    }
}

/* Values that are written anew while the last host has a slow line. */
static void
print_anew (const HostsOrder *order, const WireLine *line, gboolean has_tcp)
{
  g_autoptr (Wire) wire = make_hosts (2);
  HostsNode *node = &hosts_shared->nodes[1];
  gint64 duration = (option_quick ? MIN (option_seconds, 5) : option_seconds) * SECOND;
  guint64 total = hosts_get_total (order), bytes, tcp_before;
  guint sink = 1;
  double rate = line->bytes_a_second * (duration / (double) SECOND);

  start_node (wire);
  start_node (wire);
  meet ();
  set_line (line, 0);
  if (has_tcp)
    {
      hosts_shared->tcp_wanted = G_MAXUINT64;
      wire_spawn (wire, 1, hosts_be_sink, NULL);
      wait_for (tcp_listens, PATIENCE);
      wire_spawn (wire, 0, hosts_be_source, &sink);
      wait_for (tcp_is_connected, PATIENCE);
    }

  bytes = get_bytes ();
  begin_order (order);
  g_usleep (duration / 10);
  tcp_before = hosts_shared->tcp_received;
  hosts_shared->tcp_goes = TRUE;
  g_usleep (duration * 9 / 10);
  g_print ("  %4.0f %% of %g Mbit/s, %4u values%s",
           total * (double) SECOND / order->period * 100 / line->bytes_a_second, line->bytes_a_second / (double) MBIT,
           order->n, has_tcp ? "" : "                 ");
  if (has_tcp)
    g_print (": TCP has %2.0f %%   ", (hosts_shared->tcp_received - tcp_before) / (rate * 0.9) * 100);
  g_print (" %10.0f %% %10.0f %% %8.2f %8.2f %8u%s%s\n", (get_bytes () - bytes) / rate * 100,
           (double) node->n_told * total / order->n / rate * 100,
           MAX (order->period, (gint64) total * SECOND / line->bytes_a_second) / (double) SECOND,
           MAX (node->longest, node->late) / (double) SECOND, node->n_missing, node->synced ? "" : "   not synced",
           node->n_alive == 1 ? "" : "   peer lost");
}

static void
print_anew_head (const char *title)
{
  g_print ("%s\n  %-44s %12s %12s %8s %8s %8s\n", title, "", "of line sent", "of it told", "fair lag", "lag", "never");
}

static void
bench_slow (void)
{
  static const guint percents[] = { 80, 120, 400 };
  const WireLine line = make_line (4, 20, 0);

  print_head ("d: slow lines");
  for (guint i = 0; i < 2; i++)
    {
      const Work work = { .order = { .n = 500, .least = 3000, .most = 10000 },
                          .line = make_line (i == 0 ? 1 : 4, 20, 0),
                          .joins = TRUE };

      print_transfer (i == 0 ? "newcomer, 500 of 3-10 KB, 1 Mbit/s" : "newcomer, 500 of 3-10 KB, 4 Mbit/s", &work);
    }

  print_anew_head ("d: values of 3 to 10 KB written anew, 20 ms; lags in s");
  for (guint i = 0; i < G_N_ELEMENTS (percents); i++)
    {
      HostsOrder order = { .n = 200, .least = 3000, .most = 10000 };

      order.period = hosts_get_total (&order) * SECOND * 100 / percents[i] / line.bytes_a_second;
      print_anew (&order, &line, FALSE);
    }
}

/* The first two hosts are cut off from each other, and the second has a newer version: a newcomer is offered both. */
static void
print_versions (const WireLine *line)
{
  g_autoptr (Wire) wire = make_hosts (3);
  HostsOrder order = { .n = 1, .least = 1000000, .most = 1000000 };
  const HostsNode *node = &hosts_shared->nodes[2];
  gint64 begin;
  gboolean come;

  start_node (wire);
  start_node (wire);
  meet ();
  begin_order (&order);
  if (!wait_for (has_come_to_second, PATIENCE))
    g_error ("the older version doesn't come");
  hosts_shared->wire.cut = TRUE;
  order.host = 1;
  begin_order (&order);
  g_usleep (100 * MS);
  hosts_shared->wire.lines[2] = *line;
  begin = g_get_monotonic_time ();
  start_node (wire);
  /* Whichever came first: the newer one is what was written since the order. */
  come = wait_for (has_come, get_limit ());
  while (come && node->longest == 0 && g_get_monotonic_time () - begin < get_limit ())
    g_usleep (MS);
  g_print ("  1 MB, two versions at once, 4 Mbit/s: the newer one");
  print_time (come && node->longest > 0 ? (node->told_at - begin) / (double) SECOND : -1);
  g_print (", %.2f times its bytes, %u told\n", hosts_shared->wire.bytes[2] / 1e6, node->n_told);
}

static void
bench_anew (void)
{
  const HostsOrder order = { .n = 1, .least = 1000000, .most = 1000000, .period = SECOND };
  const Work work = { .order = { .n = 1, .least = 1000000, .most = 1000000 }, .line = make_line (4, 20, 0) };

  print_anew_head ("e: 1 MB written anew each second, 20 ms; lags in s");
  print_anew (&order, &work.line, FALSE);
  print_head ("e: once");
  print_transfer ("1 MB, 4 Mbit/s, 20 ms", &work);
  print_versions (&work.line);
}

static void
bench_lease (void)
{
  g_autoptr (Wire) wire = make_hosts (3);
  const HostsOrder order = { .n = 1, .least = 2000000, .most = 2000000, .lifetime = 13 * SECOND };
  const WireLine line = make_line (4, 20, 0);
  const HostsNode *node = &hosts_shared->nodes[2];
  GPid writer = start_node (wire);
  gboolean come;

  start_node (wire);
  start_node (wire);
  meet ();
  set_line (&line, 0);
  begin_order (&order);
  wait_for (has_come_to_second, PATIENCE);
  g_usleep (2 * SECOND);
  wire_kill (wire, writer);
  come = wait_for (has_come, 30 * SECOND);
  g_print ("f: 2 MB with a lifetime of 13 s over 4 Mbit/s, 4 s at best; the writer is killed after 2 s\n");
  print_time (come ? (node->told_at - hosts_shared->ordered_at) / (double) SECOND : -1);
  g_print (" until it comes\n");
  wait_for (has_gone, 40 * SECOND);
  print_time (node->n_gone > 0 ? (node->gone_at - hosts_shared->ordered_at) / (double) SECOND : -1);
  g_print (" until it has gone there\n");
}

static void
bench_refused (void)
{
  print_head ("g: sends that fail with ENOBUFS; TCP has none");
  for (guint refused = 0; refused <= 300; refused += 300)
    {
      const Work keys = { .order = { .n = 5000, .least = 20, .most = 20 },
                          .line = make_line (0, 0, 0),
                          .refused = refused };
      const Work value = { .order = { .n = 1, .least = 1000000, .most = 1000000 },
                           .line = make_line (0, 0, 0),
                           .refused = refused };

      print_transfer (refused == 0 ? "5,000 small keys, 0 %" : "5,000 small keys, 30 %", &keys);
      print_transfer (refused == 0 ? "1 MB, 0 %" : "1 MB, 30 %", &value);
    }
}

static void
bench_fair (void)
{
  const WireLine line = make_line (4, 20, 0);
  HostsOrder order = { .n = 200, .least = 3000, .most = 10000 };

  order.period = hosts_get_total (&order) * SECOND / 4 / line.bytes_a_second;
  print_anew_head ("h: the same beside a TCP stream, which is to have a third; lags in s");
  print_anew (&order, &line, TRUE);
}

static const struct
{
  char letter;
  void (*func) (void);
} rows[] = {
  { 'a', bench_round_trips }, { 'b', bench_overload }, { 'c', bench_loss },    { 'd', bench_slow },
  { 'e', bench_anew },        { 'f', bench_lease },    { 'g', bench_refused }, { 'h', bench_fair },
};

int
main (int argc, char *argv[])
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  const char *lack;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("%s\n", error->message);
      return 2;
    }
  lack = wire_find_lack ();
  if (lack != NULL)
    {
      g_print ("Links are not measured: %s.\n", lack);
      return 0;
    }

  hosts_shared = wire_new_shared (sizeof *hosts_shared);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (strchr (option_rows, rows[i].letter) != NULL)
      rows[i].func ();

  return 0;
}
