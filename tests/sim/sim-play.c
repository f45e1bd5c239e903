/* SimPlay: plays a scenario on a cluster, and judges it.
 *
 * Each word that a line can begin with is one row of a table and one function. What can't be done, as the node isn't in
 * a state for it, is left out: so any line of a scenario that fails can be taken away to find those that matter.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-play.h"

#include "gkv-error.h"
#include "sim-lag.h"

#include <stdlib.h>
#include <string.h>

/* As gkv_node_close () has it. */
#define CLOSE_PATIENCE (2 * SIM_SECOND)
#define CLOSE_PERIOD   (20 * SIM_MS)

typedef struct
{
  SimCluster *cluster;
  SimChecks checks;
  gboolean settles;
  const char *wrong; /* what can't be understood of the step at hand; NULL: nothing */
  GPtrArray *memory; /* what timers refer to: it goes when no more of them can come */

  gint64 measured_at;
  GArray *measured; /* guint64: bytes that each node had sent then */
} Play;

/* What comes later of a step */
typedef struct
{
  SimNode *node;
  guint n_starts;
  SimWaking waking;
  gint64 give_up_at;
  gboolean gives;
} Later;

static Later *
make_later (Play *self, SimNode *node)
{
  Later *later = g_new0 (Later, 1);

  later->node = node;
  later->n_starts = node->n_starts;
  g_ptr_array_add (self->memory, later);
  return later;
}

static gint64
get_now (Play *self)
{
  return sim_network_get_now (self->cluster->network);
}

/* Words */

static guint
read_number (Play *self, const char *word)
{
  guint64 number = 0;

  if (word == NULL || !g_ascii_string_to_unsigned (word, 10, 0, G_MAXUINT, &number, NULL))
    self->wrong = "a number is missing";
  return number;
}

static gint64
read_time (Play *self, const char *word)
{
  gint64 time = 0;

  if (word == NULL || !sim_scenario_parse_time (word, &time))
    self->wrong = "a time is missing";
  return time;
}

/* The number behind "@name=" in any of @words, or 0. */
static guint
find_number (char **words, const char *name)
{
  for (guint i = 0; words[i] != NULL; i++)
    if (g_str_has_prefix (words[i], name) && words[i][strlen (name)] == '=')
      return strtoul (words[i] + strlen (name) + 1, NULL, 10);

  return 0;
}

static gboolean
has_word (char **words, const char *word)
{
  return g_strv_contains ((const char *const *) words, word);
}

/* "*", "3", "1-4", "0,2,5-7" */
static GPtrArray *
read_nodes (Play *self, const char *word)
{
  GPtrArray *nodes = g_ptr_array_new ();
  g_auto (GStrv) parts = g_strsplit (word, ",", -1);

  for (guint i = 0; parts[i] != NULL; i++)
    {
      guint first = 0, last = self->cluster->nodes->len - 1;
      char *end;

      if (strcmp (parts[i], "*") != 0)
        {
          first = last = strtoul (parts[i], &end, 10);
          if (*end == '-')
            last = strtoul (end + 1, &end, 10);
          if (end == parts[i] || *end != '\0' || last >= self->cluster->nodes->len)
            {
              self->wrong = "there is no such node";
              return nodes;
            }
        }
      for (guint j = first; j <= last; j++)
        g_ptr_array_add (nodes, sim_cluster_get (self->cluster, j));
    }

  return nodes;
}

/* Options */

static void
do_nodes (Play *self, SimNode *node, char **args)
{
  for (guint n = read_number (self, args[0]); n > 0; n--)
    sim_cluster_add (self->cluster, NULL);
}

static void
add_seed (SimNode *node, SimNode *seed)
{
  g_autofree char *address = sim_node_find_address (node, seed);

  if (seed != node)
    sim_node_add_seed (node, address);
}

/* seeds NODES NODES | before | none; they are given to nodes that are started later. */
static void
do_seeds (Play *self, SimNode *node, char **args)
{
  g_autoptr (GPtrArray) seeds = NULL;

  g_ptr_array_set_size (node->seeds, 0);
  if (strcmp (args[0], "none") == 0)
    return;

  if (strcmp (args[0], "before") == 0)
    {
      if (node->index > 0)
        add_seed (node, sim_cluster_get (self->cluster, node->index - 1));
      return;
    }

  seeds = read_nodes (self, args[0]);
  for (guint i = 0; i < seeds->len; i++)
    add_seed (node, g_ptr_array_index (seeds, i));
}

static void
do_option (Play *self, SimNode *node, char **args)
{
  SimNodeOptions *options = &node->options;

  if (strcmp (args[0], "gossip-interval") == 0)
    options->gossip_interval_ms = read_time (self, args[1]) / SIM_MS;
  else if (strcmp (args[0], "max-datagram") == 0)
    options->max_datagram_size = read_number (self, args[1]);
  else if (strcmp (args[0], "tombstone-life") == 0)
    options->tombstone_life_ms = read_time (self, args[1]) / SIM_MS;
  else if (strcmp (args[0], "forget-dead") == 0)
    options->forget_dead_ms = read_time (self, args[1]) / SIM_MS;
  else if (strcmp (args[0], "max-tombstones") == 0)
    options->max_tombstones = read_number (self, args[1]);
  else if (strcmp (args[0], "max-removals") == 0)
    options->max_removals = read_number (self, args[1]);
  else if (strcmp (args[0], "hides-address") == 0)
    options->hides_address = TRUE;
  else if (strcmp (args[0], "later") == 0)
    options->is_later = TRUE;
  else if (strcmp (args[0], "interface") == 0)
    sim_node_set_interface (node, read_number (self, args[1]));
  else if (strcmp (args[0], "cpu-time") == 0)
    options->cpu_time = read_time (self, args[1]);
  else
    self->wrong = "there is no such option";
}

static void
do_without (Play *self, SimNode *node, char **args)
{
  for (guint i = 0; args[i] != NULL; i++)
    {
      SimChecks check = sim_checks_find (args[i]);

      if (check == 0)
        self->wrong = "there is no such check";
      self->checks &= ~check;
    }
}

static void
do_about (Play *self, SimNode *node, char **args)
{
}

static void
do_unsettled (Play *self, SimNode *node, char **args)
{
  self->settles = FALSE;
}

/* Nodes */

static void
do_start (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_DOWN)
    sim_node_start (node);
}

static void
do_crash (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP || node->state == SIM_NODE_STALLED)
    sim_node_crash (node, has_word (args, "keep"));
}

static void
do_leave (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP)
    sim_node_leave (node);
}

static void
on_closing (gpointer owner, guint64 argument)
{
  Later *later = owner;
  SimNode *node = later->node;
  SimNetwork *network = node->cluster->network;
  gboolean reached;

  if (node->n_starts != later->n_starts || node->state == SIM_NODE_DOWN)
    return;

  reached = gkv_engine_get_n_unconfirmed (node->engine) == 0;
  if (node->state != SIM_NODE_UP || (!reached && sim_network_get_now (network) < later->give_up_at))
    {
      sim_network_at (network, sim_network_get_now (network) + CLOSE_PERIOD, on_closing, later, 0);
      return;
    }

  if (reached && later->gives)
    sim_check_gave (node);
  sim_node_leave (node);
}

/* As gkv_node_close () does: what nobody else holds is given first, for two seconds. "gives": nothing of that may be
 * lost afterwards, which is so where at most one node goes at a time. */
static void
do_close (Play *self, SimNode *node, char **args)
{
  GkvTime time = sim_node_get_time (node);
  Later *later;

  if (node->state != SIM_NODE_UP)
    return;

  later = make_later (self, node);
  later->gives = has_word (args, "gives");
  later->give_up_at = get_now (self) + CLOSE_PATIENCE;
  gkv_engine_begin_flush (node->engine, 1, &time);
  sim_node_turn (node);
  on_closing (later, 0);
}

static void
do_stall (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP)
    sim_node_stall (node);
}

static void
do_resume (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_STALLED)
    sim_node_resume (node);
}

static void
on_wake (gpointer owner, guint64 argument)
{
  Later *later = owner;

  if (later->node->n_starts == later->n_starts && later->node->state == SIM_NODE_SUSPENDED)
    sim_node_wake (later->node, &later->waking);
}

/* suspend NODES for DURATION [pause] [wall-never | wall-after DURATION] */
static void
do_suspend (Play *self, SimNode *node, char **args)
{
  gint64 duration = read_time (self, args[1]);
  Later *later;

  if (node->state != SIM_NODE_UP)
    return;

  later = make_later (self, node);
  later->waking.pause = has_word (args, "pause");
  later->waking.wall_behind = has_word (args, "wall-never") || has_word (args, "wall-after");
  if (has_word (args, "wall-after"))
    for (guint i = 0; args[i] != NULL; i++)
      if (strcmp (args[i], "wall-after") == 0)
        later->waking.right_after = read_time (self, args[i + 1]);
  sim_node_suspend (node);
  sim_network_at (self->cluster->network, get_now (self) + duration, on_wake, later, 0);
}

static void
do_clock (Play *self, SimNode *node, char **args)
{
  sim_node_set_wall (node, read_time (self, args[0]));
}

static void
do_drift (Play *self, SimNode *node, char **args)
{
  sim_clocks_set_drift (&node->clocks, atoi (args[0]), get_now (self));
}

static void
do_rebind (Play *self, SimNode *node, char **args)
{
  g_autofree char *address = sim_cluster_make_address (self->cluster);

  if (node->state == SIM_NODE_DOWN)
    sim_node_move (node, address);
  else
    sim_node_rebind (node, address, has_word (args, "told"));
}

/* Network */

static void
do_weather (Play *self, SimNode *node, char **args)
{
  const SimWeather weather = {
    .loss = find_number (args, "loss"),
    .duplicate = find_number (args, "duplicate"),
    .reorder = find_number (args, "reorder"),
    .corrupt = find_number (args, "corrupt"),
    .truncate = find_number (args, "truncate"),
    .burst = find_number (args, "burst"),
    .delay = has_word (args, "delay=0") || find_number (args, "delay") > 0 ? find_number (args, "delay") : 500,
    .jitter = find_number (args, "jitter"),
  };

  sim_network_set_weather (self->cluster->network, &weather);
}

static void
do_uplink (Play *self, SimNode *node, char **args)
{
  const SimUplink uplink = {
    .failures = find_number (args, "failures"),
    .bytes_a_second = find_number (args, "rate"),
    .max_queue = find_number (args, "queue"),
    .largest = find_number (args, "largest"),
  };

  sim_links_set_uplink (sim_network_get_links (self->cluster->network), node->index, &uplink);
}

static void
do_line (Play *self, SimNode *node, char **args)
{
  const SimLine line = {
    .bytes_a_second = find_number (args, "rate"),
    .max_queue = find_number (args, "queue"),
    .delay = find_number (args, "delay"),
  };

  sim_links_set_line (sim_network_get_links (self->cluster->network), node->index, &line);
}

/* A side is that of a node's next start. */
static void
do_side (Play *self, SimNode *node, char **args)
{
  node->side = MIN (read_number (self, args[0]), SIM_MAX_SIDES - 1);
  sim_network_set_side (self->cluster->network, node->address, node->side);
}

static void
do_cut (Play *self, SimNode *node, char **args)
{
  sim_network_cut (self->cluster->network, MIN (read_number (self, args[0]), SIM_MAX_SIDES - 1),
                   MIN (read_number (self, args[1]), SIM_MAX_SIDES - 1), TRUE);
}

static void
do_heal (Play *self, SimNode *node, char **args)
{
  sim_network_heal (self->cluster->network);
}

static void
do_links (Play *self, SimNode *node, char **args)
{
  if (strcmp (args[0], "all") != 0 && strcmp (args[0], "none") != 0)
    self->wrong = "links are \"all\" or \"none\"";
  sim_links_set_all (sim_network_get_links (self->cluster->network), strcmp (args[0], "all") == 0);
}

static void
set_pairs (Play *self, SimNode *node, char **args, gboolean open)
{
  SimLinks *links = sim_network_get_links (self->cluster->network);
  g_autoptr (GPtrArray) others = read_nodes (self, args[0]);

  for (guint i = 0; i < others->len; i++)
    {
      SimNode *other = g_ptr_array_index (others, i);

      sim_links_set_pair (links, node->index, other->index, open);
      if (!has_word (args, "one-way"))
        sim_links_set_pair (links, other->index, node->index, open);
    }
}

static void
do_open (Play *self, SimNode *node, char **args)
{
  set_pairs (self, node, args, TRUE);
}

static void
do_close_link (Play *self, SimNode *node, char **args)
{
  set_pairs (self, node, args, FALSE);
}

/* Data */

static void
do_write (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP)
    sim_node_put_string (node, args[0], args[1]);
}

/* write-before: into the map of a node that hasn't been started yet. */
static void
do_write_before (Play *self, SimNode *node, char **args)
{
  if (node->state != SIM_NODE_DOWN)
    return;

  sim_node_open (node);
  sim_node_put_string (node, args[0], args[1]);
}

static void
do_lease (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP)
    sim_node_put (node, args[0], node->id, strlen (node->id), 0, GKV_RECORD_EPHEMERAL);
}

static void
do_expiring (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP)
    sim_node_put (node, args[0], "expires", strlen ("expires"), MAX (read_time (self, args[1]) / SIM_MS, 1), 0);
}

/* large NODES KEY BYTES [TIME], after which it ends */
static void
do_large (Play *self, SimNode *node, char **args)
{
  g_autofree char *content = g_strnfill (read_number (self, args[1]), 'x');
  gint64 life = args[2] != NULL ? read_time (self, args[2]) : 0;

  if (node->state == SIM_NODE_UP)
    sim_node_put (node, args[0], content, strlen (content), life / SIM_MS, 0);
}

/* larges NODES PREFIX N LEAST MOST: so many keys with so many bytes each, always the same ones */
static void
do_larges (Play *self, SimNode *node, char **args)
{
  guint n = read_number (self, args[1]), least = read_number (self, args[2]), most = read_number (self, args[3]);

  for (guint i = 0; i < n && node->state == SIM_NODE_UP; i++)
    {
      guint len = least + i * 7919u % MAX (most - least, 1);
      g_autofree char *key = g_strdup_printf ("%s%u", args[0], i);
      g_autofree char *content = g_strnfill (len, 'x');

      sim_node_put (node, key, content, len, 0, 0);
    }
}

static void
do_remove (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP && sim_node_get (node, args[0]) != NULL)
    sim_node_delete (node, args[0]);
}

static void
do_flush (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP)
    sim_watch_flush (node, read_number (self, args[0]));
}

/* Expectations */

static void
expect_shown (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP && !sim_node_shows (node, args[0], args[1]))
    sim_cluster_complain (self->cluster, "%s doesn't show \"%s\" of \"%s\"", node->id, args[1], args[0]);
}

typedef struct
{
  SimNode *node;
  const char *prefix;
  guint n;
} Count;

static gboolean
count_visible (GkvRecord *record, gpointer user_data)
{
  Count *count = user_data;

  count->n += g_str_has_prefix (gkv_record_get_key (record), count->prefix) &&
              gkv_store_get_visible (count->node->store, record) != NULL;
  return TRUE;
}

static void
expect_count (Play *self, SimNode *node, char **args)
{
  Count count = { .node = node, .prefix = args[0] };
  guint n = read_number (self, args[1]);

  if (node->state != SIM_NODE_UP)
    return;

  gkv_store_foreach (node->store, (GkvRange){ 0 }, 0, count_visible, &count);
  if (count.n != n)
    sim_cluster_complain (self->cluster, "%s shows %u keys that begin with \"%s\", not %u", node->id, count.n, args[0],
                          n);
}

static void
expect_alive (Play *self, SimNode *node, char **args)
{
  guint n = read_number (self, args[0]);

  if (node->state == SIM_NODE_UP && sim_node_get_stat (node, "peers-alive") != n)
    sim_cluster_complain (self->cluster, "%s sees %u peers alive, not %u", node->id,
                          (guint) sim_node_get_stat (node, "peers-alive"), n);
}

static void
expect_synced (Play *self, SimNode *node, char **args)
{
  if (node->state == SIM_NODE_UP && !gkv_engine_get_synced (node->engine))
    sim_cluster_complain (self->cluster, "%s isn't synced", node->id);
}

/* expect-errors NODES CODE MOST: CODE as GKV_ERROR_ has it, in small letters */
static void
expect_errors (Play *self, SimNode *node, char **args)
{
  g_autoptr (GEnumClass) codes = g_type_class_ref (GKV_TYPE_ERROR);
  GEnumValue *code = g_enum_get_value_by_nick (codes, args[0]);
  guint most = read_number (self, args[1]);

  if (code == NULL)
    self->wrong = "there is no such error";
  else if (node->n_errors[code->value] > most)
    sim_cluster_complain (self->cluster, "%s reports %u errors \"%s\", of at most %u", node->id,
                          node->n_errors[code->value], args[0], most);
}

/* expect-stat NODES NAME LEAST MOST */
static void
expect_stat (Play *self, SimNode *node, char **args)
{
  guint64 n = node->state == SIM_NODE_UP ? sim_node_get_stat (node, args[0]) : 0;

  if (node->state == SIM_NODE_UP && (n < read_number (self, args[1]) || n > read_number (self, args[2])))
    sim_cluster_complain (self->cluster, "%s has %u %s, not %s to %s", node->id, (guint) n, args[0], args[1], args[2]);
}

static void
expect_flushed (Play *self, SimNode *node, char **args)
{
  if (sim_watch_count_flushes (self->cluster) > 0)
    sim_cluster_complain (self->cluster, "%u flushes haven't ended", sim_watch_count_flushes (self->cluster));
}

static void
expect_lost_leases (Play *self, SimNode *node, char **args)
{
  guint n = sim_watch_count_lost_leases (self->cluster);

  if (n > read_number (self, args[0]))
    sim_cluster_complain (self->cluster, "leases were lost %u times, of at most %s", n, args[0]);
}

static void
expect_deaths (Play *self, SimNode *node, char **args)
{
  guint n = 0;

  for (guint i = 0; i < self->cluster->nodes->len; i++)
    n += sim_cluster_get (self->cluster, i)->n_peers_died;
  if (n > read_number (self, args[0]))
    sim_cluster_complain (self->cluster, "peers were held dead %u times, of at most %s", n, args[0]);
}

static void
do_measure (Play *self, SimNode *node, char **args)
{
  self->measured_at = get_now (self);
  g_array_set_size (self->measured, 0);
  for (guint i = 0; i < self->cluster->nodes->len; i++)
    {
      SimNode *measured = sim_cluster_get (self->cluster, i);

      g_array_append_val (self->measured, measured->sent.bytes);
      sim_lag_reset (measured);
    }
}

static guint64
get_sent (Play *self, SimNode *node)
{
  return node->sent.bytes -
         (node->index < self->measured->len ? g_array_index (self->measured, guint64, node->index) : 0);
}

/* expect-cost PERCENT: what all have sent since they were measured, of what came with it: keys and content. */
static void
expect_cost (Play *self, SimNode *node, char **args)
{
  guint most = read_number (self, args[0]);
  guint64 sent = 0, taken = 0, cost;

  for (guint i = 0; i < self->cluster->nodes->len; i++)
    {
      SimNode *each = sim_cluster_get (self->cluster, i);

      sent += get_sent (self, each);
      taken += each->bytes_taken;
    }
  cost = sent * 100 / MAX (taken, 1);
  sim_cluster_log (self->cluster, "%" G_GUINT64_FORMAT " bytes were sent for %" G_GUINT64_FORMAT, sent, taken);
  if (cost > most)
    sim_cluster_complain (self->cluster,
                          "%" G_GUINT64_FORMAT " bytes were sent for %" G_GUINT64_FORMAT
                          " that came: %" G_GUINT64_FORMAT " %%, of at most %u",
                          sent, taken, cost, most);
}

/* expect-lag NODES PREFIX TIME */
static void
expect_lag (Play *self, SimNode *node, char **args)
{
  gint64 most = read_time (self, args[1]);
  const char *key;
  gint64 lag;

  if (node->state != SIM_NODE_UP)
    return;

  lag = sim_lag_get_longest (node, args[0], &key);
  sim_cluster_log (self->cluster, "%s has lagged by %.3f s at most with \"%s\"", node->id, lag / 1e6, args[0]);
  if (lag > most)
    sim_cluster_complain (self->cluster, "%s has lagged by %.3f s with \"%s\", of at most %s", node->id, lag / 1e6, key,
                          args[1]);
}

/* What they send on average: whom the ring gives more to do than others sends more. */
static void
expect_rate (Play *self, SimNode *node, char **args)
{
  g_autoptr (GPtrArray) nodes = read_nodes (self, args[0]);
  gint64 time = MAX (get_now (self) - self->measured_at, 1);
  guint64 sent = 0, rate;

  for (guint i = 0; i < nodes->len; i++)
    sent += get_sent (self, g_ptr_array_index (nodes, i));
  rate = sent * SIM_SECOND / time / MAX (nodes->len, 1);
  sim_cluster_log (self->cluster, "%s send %u bytes a second each", args[0], (guint) rate);
  if (rate > read_number (self, args[1]))
    sim_cluster_complain (self->cluster, "%s send %u bytes a second each, of at most %s", args[0], (guint) rate,
                          args[1]);
}

/* The table */

static const struct
{
  const char *name;
  gboolean for_nodes; /* its first word says which; it is done for each of them */
  guint n_args;       /* at least, beside that */
  void (*func) (Play *self, SimNode *node, char **args);
} verbs[] = {
  { "nodes", FALSE, 1, do_nodes },
  { "about", FALSE, 0, do_about },
  { "without", FALSE, 1, do_without },
  { "unsettled", FALSE, 0, do_unsettled },
  { "seeds", TRUE, 1, do_seeds },
  { "option", TRUE, 1, do_option },
  { "start", TRUE, 0, do_start },
  { "crash", TRUE, 0, do_crash },
  { "leave", TRUE, 0, do_leave },
  { "close", TRUE, 0, do_close },
  { "stall", TRUE, 0, do_stall },
  { "resume", TRUE, 0, do_resume },
  { "suspend", TRUE, 2, do_suspend },
  { "clock", TRUE, 1, do_clock },
  { "drift", TRUE, 1, do_drift },
  { "rebind", TRUE, 0, do_rebind },
  { "weather", FALSE, 0, do_weather },
  { "uplink", TRUE, 0, do_uplink },
  { "line", TRUE, 0, do_line },
  { "side", TRUE, 1, do_side },
  { "cut", FALSE, 2, do_cut },
  { "heal", FALSE, 0, do_heal },
  { "links", FALSE, 1, do_links },
  { "link", TRUE, 1, do_open },
  { "unlink", TRUE, 1, do_close_link },
  { "write", TRUE, 2, do_write },
  { "write-before", TRUE, 2, do_write_before },
  { "lease", TRUE, 1, do_lease },
  { "expiring", TRUE, 2, do_expiring },
  { "large", TRUE, 2, do_large },
  { "larges", TRUE, 4, do_larges },
  { "remove", TRUE, 1, do_remove },
  { "flush", TRUE, 1, do_flush },
  { "measure", FALSE, 0, do_measure },
  { "expect-shown", TRUE, 2, expect_shown },
  { "expect-count", TRUE, 2, expect_count },
  { "expect-alive", TRUE, 1, expect_alive },
  { "expect-synced", TRUE, 0, expect_synced },
  { "expect-errors", TRUE, 2, expect_errors },
  { "expect-stat", TRUE, 3, expect_stat },
  { "expect-flushed", FALSE, 0, expect_flushed },
  { "expect-lost-leases", FALSE, 1, expect_lost_leases },
  { "expect-deaths", FALSE, 1, expect_deaths },
  { "expect-rate", FALSE, 2, expect_rate },
  { "expect-cost", FALSE, 1, expect_cost },
  { "expect-lag", TRUE, 2, expect_lag },
};

static void
do_step (Play *self, const SimStep *step)
{
  guint n_args = g_strv_length (step->words) - 1;
  g_autoptr (GPtrArray) nodes = NULL;
  guint i = 0;

  while (i < G_N_ELEMENTS (verbs) && strcmp (verbs[i].name, step->words[0]) != 0)
    i++;
  if (i == G_N_ELEMENTS (verbs))
    self->wrong = "nothing is called so";
  else if (n_args < verbs[i].n_args + verbs[i].for_nodes)
    self->wrong = "words are missing";
  if (self->wrong != NULL)
    return;

  if (!verbs[i].for_nodes)
    {
      verbs[i].func (self, NULL, step->words + 1);
      return;
    }

  nodes = read_nodes (self, step->words[1]);
  for (guint j = 0; j < nodes->len && self->wrong == NULL; j++)
    verbs[i].func (self, g_ptr_array_index (nodes, j), step->words + 2);
}

/* FALSE: it can't be understood. */
static gboolean
do_steps (Play *self, SimScenario *scenario)
{
  for (guint i = 0; i < scenario->steps->len; i++)
    {
      const SimStep *step = g_ptr_array_index (scenario->steps, i);

      if (step->at != SIM_BEFORE && self->cluster->watch == NULL)
        sim_watch_new (self->cluster, self->checks);
      if (step->at > get_now (self))
        sim_network_run (self->cluster->network, step->at - get_now (self));
      do_step (self, step);
      if (self->wrong != NULL)
        {
          g_autofree char *line = g_strjoinv (" ", step->words);

          g_printerr ("\"%s\" can't be done: %s\n", line, self->wrong);
          return FALSE;
        }
    }

  return TRUE;
}

gboolean
sim_play (const SimRun *run, const char *name, SimScenario *scenario, SimChecks checks)
{
  Play self = { .checks = checks, .settles = TRUE };
  g_autofree char *text = sim_scenario_print (scenario);
  gboolean kept = FALSE;

  if (run->print)
    {
      g_print ("%s", text);
      return TRUE;
    }

  sim_run_choose_hashes (run);
  self.cluster = sim_cluster_new (scenario->seed);
  self.cluster->verbose = run->verbose;
  self.memory = g_ptr_array_new_with_free_func (g_free);
  self.measured = g_array_new (FALSE, FALSE, sizeof (guint64));

  if (do_steps (&self, scenario))
    {
      if (self.settles)
        sim_run_settle (self.cluster);
      kept = sim_run_report (run, name, self.cluster, text);
    }

  sim_cluster_free (self.cluster);
  g_ptr_array_unref (self.memory);
  g_array_unref (self.measured);
  return kept;
}
