/* Nodes that write more than all of them together can take: many processes on one core, over loopback.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "crowd.h"

#include "gkv.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PORT    7800
#define N_KEYS  100 /* that each node writes in turn */
#define TICK_MS 5
#define PROMPT  (100 * G_GINT64_CONSTANT (1000))
#define SECOND  G_GINT64_CONSTANT (1000000)

/* Between an order and its begin, and between looks at the peers. */
#define LEAD         (200 * G_GINT64_CONSTANT (1000))
#define LOOKS_PERIOD 20 /* ticks */

typedef struct
{
  guint n_alive;
  guint n_written;
  guint64 n_told;
  guint64 n_at_once;
  guint n_behind;
  guint n_suspected;
  guint64 datagrams;
  gint64 last[N_KEYS]; /* when it wrote each key last */
} Told;

/* In memory that all processes share. */
static struct
{
  double rate;
  gint64 begin, end;
  Told told[CROWD_N_NODES];
} * shared;

typedef struct
{
  GkvNode *node;
  guint number;
  Told *told;
  gint64 begin; /* of the order that it follows */
  guint n_ticks;
  gint64 shown[CROWD_N_NODES][N_KEYS];
} Node;

/* --- A node */

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  Node *self = user_data;
  gint64 now = g_get_monotonic_time ();
  gint64 written_at = 0;
  gconstpointer data;
  guint writer, number;
  gsize size;
  char *rest;

  if (value == NULL)
    return;

  data = g_variant_get_fixed_array (value, &size, 1);
  memcpy (&written_at, data, MIN (size, sizeof written_at));
  writer = strtoul (key, &rest, 10);
  number = strtoul (rest + 1, NULL, 10);
  if (writer == self->number || writer >= CROWD_N_NODES || number >= N_KEYS)
    return;

  self->shown[writer][number] = MAX (self->shown[writer][number], written_at);
  if (written_at < shared->begin || written_at >= shared->end)
    return;
  self->told->n_told++;
  self->told->n_at_once += now - written_at <= PROMPT;
}

static void
write_due (Node *self, gint64 now)
{
  guint due = (MIN (now, shared->end) - shared->begin) * shared->rate / CROWD_N_NODES / SECOND + 1;

  for (; self->told->n_written < due; self->told->n_written++)
    {
      guint number = self->told->n_written % N_KEYS;
      gint64 stamp = g_get_monotonic_time ();
      g_autofree char *key = g_strdup_printf ("%u-%u", self->number, number);
      g_autoptr (GBytes) bytes = g_bytes_new (&stamp, sizeof stamp);

      if (stamp >= shared->end)
        return;
      gkv_node_set_bytes (self->node, key, bytes, NULL);
      self->told->last[number] = stamp;
    }
}

static void
look_around (Node *self)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (self->node);
  GListModel *peers = gkv_node_get_peers (self->node);
  guint64 n_alive = 0;
  guint n_suspected = 0, n_behind = 0;

  g_variant_lookup (stats, "peers-alive", "t", &n_alive);
  g_variant_lookup (stats, "datagrams-sent", "t", &self->told->datagrams);
  for (guint i = 0; i < g_list_model_get_n_items (peers); i++)
    {
      g_autoptr (GkvPeer) peer = g_list_model_get_item (peers, i);

      n_suspected += gkv_peer_get_state (peer) != GKV_PEER_STATE_ALIVE;
    }
  for (guint i = 0; i < CROWD_N_NODES; i++)
    for (guint j = 0; i != self->number && j < N_KEYS; j++)
      n_behind += self->shown[i][j] < shared->told[i].last[j];

  self->told->n_alive = n_alive;
  self->told->n_suspected = MAX (self->told->n_suspected, n_suspected);
  self->told->n_behind = n_behind;
}

static gboolean
on_tick (gpointer user_data)
{
  Node *self = user_data;
  gint64 now = g_get_monotonic_time ();

  if (self->begin != shared->begin)
    {
      self->begin = shared->begin;
      self->told->n_told = self->told->n_at_once = self->told->n_written = self->told->n_suspected = 0;
    }
  if (shared->begin > 0 && now >= shared->begin)
    write_due (self, now);
  if (self->n_ticks++ % LOOKS_PERIOD == 0)
    look_around (self);

  return G_SOURCE_CONTINUE;
}

static void
be_node (guint host, gpointer data)
{
  Node *self = g_new0 (Node, 1);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  g_autofree char *address = NULL;
  g_autofree char *seed = g_strdup_printf ("127.0.0.1:%u", PORT);
  const char *seeds[] = { seed, NULL };
  cpu_set_t set;

  CPU_ZERO (&set);
  CPU_SET (g_get_num_processors () - 1, &set);
  sched_setaffinity (0, sizeof set, &set);

  self->number = *(guint *) data;
  self->told = &shared->told[self->number];
  address = g_strdup_printf ("127.0.0.1:%u", PORT + self->number);
  self->node = g_object_new (GKV_TYPE_NODE, "bind-address", address, "seeds", seeds, NULL);
  g_signal_connect (self->node, "changed", G_CALLBACK (on_changed), self);
  if (!gkv_node_start (self->node, NULL, &error))
    g_error ("%s", error->message);
  g_timeout_add (TICK_MS, on_tick, self);
  g_main_loop_run (loop);
}

/* --- All of them */

void
crowd_start (Wire *wire)
{
  gboolean met = FALSE;

  shared = wire_new_shared (sizeof *shared);
  for (guint i = 0; i < CROWD_N_NODES; i++)
    wire_spawn (wire, 0, be_node, &i);

  for (guint tries = 0; !met; tries++)
    {
      if (tries == 600)
        g_error ("%u nodes don't meet", CROWD_N_NODES);
      g_usleep (SECOND / 10);
      met = TRUE;
      for (guint i = 0; i < CROWD_N_NODES; i++)
        met = met && shared->told[i].n_alive == CROWD_N_NODES - 1;
    }
  g_usleep (2 * SECOND);
}

static guint64
count_datagrams (void)
{
  guint64 n = 0;

  for (guint i = 0; i < CROWD_N_NODES; i++)
    n += shared->told[i].datagrams;
  return n;
}

CrowdFigure
crowd_measure (double rate, gint64 duration, gint64 patience)
{
  CrowdFigure figure = { .rate = rate };
  guint64 n_written = 0, n_told = 0, n_at_once = 0, datagrams = count_datagrams ();
  gint64 begin = g_get_monotonic_time () + LEAD;

  shared->rate = rate;
  shared->end = begin + duration;
  shared->begin = begin;
  g_usleep (LEAD + duration + patience);

  for (guint i = 0; i < CROWD_N_NODES; i++)
    {
      const Told *told = &shared->told[i];

      n_written += told->n_written;
      n_told += told->n_told;
      n_at_once += told->n_at_once;
      figure.n_behind += told->n_behind;
      figure.n_suspected += told->n_suspected;
    }
  /* What the writers themselves had no time for never arrives either; the last tick of each may be missing. */
  n_written = MAX (n_written, rate * duration / SECOND * 0.97);
  figure.at_once = (double) n_at_once / (n_written * (CROWD_N_NODES - 1));
  figure.told = (double) n_told / (n_written * (CROWD_N_NODES - 1));
  figure.cost = (double) (count_datagrams () - datagrams) / (n_written * (CROWD_N_NODES - 1));
  return figure;
}
