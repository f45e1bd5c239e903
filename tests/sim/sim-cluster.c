/* SimCluster: nodes made of the real store and the real engine, on a simulated network.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-cluster.h"

#include "sim-check.h"
#include "sim-lag.h"
#include "sim-later.h"
#include "sim-lies.h"
#include "sim-paths.h"
#include "sim-scopes.h"
#include "sim-watch.h"

#include <stdio.h>
#include <string.h>

/* As UDP on Ethernet has it, and what a socket buffer of 208 KiB holds of small datagrams. */
#define MAX_DATAGRAM 1200
#define MAX_INBOX    256

/* Proofs of life: few, so that a generation comes to the end of them now and then, and they cost little. */
#define CHAIN_LENGTH 64

/* The least time from one turn of the main loop to the next. */
#define TURN 50
/* So many turns within a millisecond are no work but a loop. */
#define MAX_TURNS 10000

typedef struct
{
  char *from;
  GBytes *bytes;
} Waiting;

static void
waiting_free (Waiting *waiting)
{
  g_free (waiting->from);
  g_bytes_unref (waiting->bytes);
  g_free (waiting);
}

/* Telling */

void
sim_cluster_log (SimCluster *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (!self->verbose)
    return;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_print ("# %10.3f s  %s\n", sim_network_get_now (self->network) / 1e6, text);
}

void
sim_cluster_complain (SimCluster *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  sim_cluster_log (self, "BROKEN: %s", text);
  if (self->n_complaints++ < 20)
    g_string_append_printf (self->complaints, "  at %.3f s: %s\n", sim_network_get_now (self->network) / 1e6, text);
}

/* The loop of a node */

GkvTime
sim_node_get_time (SimNode *self)
{
  SimTime time = sim_clocks_read (&self->clocks, sim_network_get_now (self->cluster->network));

  return (GkvTime){ .mono = time.mono, .wall = time.wall, .boot = time.boot };
}

static guint
get_max_datagram_size (SimNode *self)
{
  return self->options.max_datagram_size > 0 ? self->options.max_datagram_size : MAX_DATAGRAM;
}

static void
set_state (SimNode *self, SimNodeState state)
{
  self->state = state;
  self->cluster->n_state_changes++;
}

/* In a large cluster these tables would take more than all else. */
static void
set_peer (SimNode *self, const GkvPeerInfo *peer)
{
  if (self->cluster->nodes->len > SIM_PATHS_MAX_NODES)
    return;

  g_hash_table_insert (self->peers, g_strdup (peer->node_id), GINT_TO_POINTER (peer->state + 1));
}

int
sim_node_get_peer_state (SimNode *self, const char *id)
{
  return GPOINTER_TO_INT (g_hash_table_lookup (self->peers, id)) - 1;
}

static void
handle_event (SimNode *self, GkvEvent *event)
{
  switch (event->kind)
    {
    case GKV_EVENT_CHANGED:
      self->n_changed++;
      sim_watch_changed (self, event->record, event->replaced);
      sim_check_changed (self, event->record, event->replaced);
      break;

    case GKV_EVENT_PEER_ADDED:
      self->n_peers_added++;
      set_peer (self, event->peer);
      sim_cluster_log (self->cluster, "%s: peer %s at %s", self->id, event->peer->node_id, event->peer->address);
      break;

    case GKV_EVENT_PEER_REMOVED:
      self->n_peers_removed++;
      g_hash_table_remove (self->peers, event->peer->node_id);
      sim_cluster_log (self->cluster, "%s: peer %s is forgotten", self->id, event->peer->node_id);
      break;

    case GKV_EVENT_PEER_CHANGED:
      if (event->peer->state == GKV_PEER_STATE_DEAD)
        self->n_peers_died++;
      if (event->peer->state == GKV_PEER_STATE_SUSPECT)
        self->n_peers_suspected++;
      sim_watch_peer_changed (self, event->peer);
      set_peer (self, event->peer);
      sim_cluster_log (self->cluster, "%s: peer %s at %s is now %d", self->id, event->peer->node_id,
                       event->peer->address, event->peer->state);
      break;

    case GKV_EVENT_ERROR:
      if ((guint) event->error->code < SIM_MAX_ERROR_CODES)
        self->n_errors[event->error->code]++;
      g_free (self->last_error);
      self->last_error = g_strdup (event->error->message);
      sim_cluster_log (self->cluster, "%s: error: %s", self->id, event->error->message);
      break;

    case GKV_EVENT_SYNCED:
      sim_cluster_log (self->cluster, "%s: synced", self->id);
      sim_watch_synced (self);
      break;

    case GKV_EVENT_CONFIRMED:
      self->confirmed = TRUE;
      break;
    }
}

static void
send (SimNode *self, const GkvDatagram *datagram)
{
  g_autoptr (GBytes) bytes = self->lies != NULL
                                 ? sim_lies_alter (self->lies, datagram->bytes, get_max_datagram_size (self))
                                 : g_bytes_ref (datagram->bytes);
  g_autofree char *place = NULL;

  if (self->options.is_later)
    {
      GBytes *later = sim_later_send (bytes, get_max_datagram_size (self));

      g_bytes_unref (bytes);
      bytes = later;
    }

  if (self->options.interface == 0)
    {
      sim_network_send (self->cluster->network, self->address, datagram->address, bytes);
      return;
    }

  place = sim_scopes_resolve (datagram->address, self->options.interface);
  if (place != NULL)
    sim_network_send (self->cluster->network, self->address, place, bytes);
}

static void
drain (SimNode *self)
{
  GkvDatagram datagram;
  GkvEvent event;

  while (gkv_engine_pop_datagram (self->engine, &datagram))
    {
      gsize len = g_bytes_get_size (datagram.bytes);

      self->sent.datagrams++;
      self->sent.bytes += len;
      self->sent.largest = MAX (self->sent.largest, len);
      if (len > get_max_datagram_size (self))
        sim_cluster_complain (self->cluster, "%s sent a datagram of %" G_GSIZE_FORMAT " bytes", self->id, len);
      send (self, &datagram);
      gkv_datagram_clear (&datagram);
    }

  while (gkv_engine_pop_event (self->engine, &event))
    {
      handle_event (self, &event);
      gkv_event_clear (&event);
    }

  /* A peer whose death ended a flush is reported in the same turn, and after it. */
  if (self->confirmed)
    sim_watch_confirmed (self);
  self->confirmed = FALSE;
}

static void on_timer (gpointer owner, guint64 argument);

static void
set_timer (SimNode *self, gint64 at)
{
  self->timer_at = at;
  sim_network_at (self->cluster->network, at, on_timer, self, at);
}

static void
notice_spinning (SimNode *self, gint64 now)
{
  self->n_ticks++;
  if (now - self->busy_at >= SIM_MS)
    {
      self->busy_at = now;
      self->n_busy = 0;
    }
  else if (++self->n_busy == MAX_TURNS)
    {
      sim_cluster_complain (self->cluster, "the engine of %s spins", self->id);
    }
}

void
sim_node_turn (SimNode *self)
{
  gint64 now = sim_network_get_now (self->cluster->network);
  GkvTime time = sim_node_get_time (self);
  gint64 deadline = gkv_engine_tick (self->engine, &time);

  notice_spinning (self, now);
  self->deadline = deadline == G_MAXINT64 ? G_MAXINT64 : MAX (sim_clocks_find (&self->clocks, deadline), now + TURN);
  drain (self);

  if (self->deadline < self->timer_at)
    set_timer (self, self->deadline);
}

static void
on_timer (gpointer owner, guint64 argument)
{
  SimNode *self = owner;

  if (self->timer_at != (gint64) argument)
    return;

  self->timer_at = G_MAXINT64;
  if (self->state != SIM_NODE_UP)
    return;

  if (self->deadline <= (gint64) argument)
    sim_node_turn (self);
  else if (self->deadline < G_MAXINT64)
    set_timer (self, self->deadline);
}

static void
receive (SimNode *self, const char *from, gconstpointer data, gsize len)
{
  GkvTime time = sim_node_get_time (self);
  g_autofree char *scoped = self->options.interface > 0 ? sim_scopes_add (from, self->options.interface) : NULL;

  self->n_received++;
  gkv_engine_receive (self->engine, scoped != NULL ? scoped : from, data, len, &time);
  sim_node_turn (self);
}

static void
hand_in (SimNode *self, Waiting *waiting)
{
  receive (self, waiting->from, g_bytes_get_data (waiting->bytes, NULL), g_bytes_get_size (waiting->bytes));
  waiting_free (waiting);
}

static void
put_into_inbox (SimNode *self, const char *from, GBytes *bytes)
{
  Waiting *waiting;

  if (self->inbox.length >= MAX_INBOX)
    return;

  waiting = g_new0 (Waiting, 1);
  waiting->from = g_strdup (from);
  waiting->bytes = g_bytes_ref (bytes);
  g_queue_push_tail (&self->inbox, waiting);
}

static void work (SimNode *self);

/* A slow node is done with the datagram that came in longest ago. */
static void
on_work_done (gpointer owner, guint64 argument)
{
  SimNode *self = owner;

  self->working = FALSE;
  if (self->state != SIM_NODE_UP || self->n_starts != argument)
    return;

  if (self->inbox.length > 0)
    hand_in (self, g_queue_pop_head (&self->inbox));
  work (self);
}

static void
work (SimNode *self)
{
  if (self->working || self->inbox.length == 0)
    return;

  self->working = TRUE;
  sim_network_at (self->cluster->network, sim_network_get_now (self->cluster->network) + self->options.cpu_time,
                  on_work_done, self, self->n_starts);
}

static void
on_datagram (gpointer owner, const char *from, GBytes *bytes)
{
  SimNode *self = owner;

  if (self->state == SIM_NODE_SUSPENDED)
    return;

  if (self->state == SIM_NODE_UP && self->options.cpu_time == 0)
    {
      receive (self, from, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
    }
  else if (self->state != SIM_NODE_DOWN)
    {
      put_into_inbox (self, from, bytes);
      if (self->state == SIM_NODE_UP)
        work (self);
    }
}

/* Life */

void
sim_node_add_seed (SimNode *self, const char *address)
{
  GkvTime time = sim_node_get_time (self);

  g_ptr_array_add (self->seeds, g_strdup (address));
  if (self->engine == NULL)
    return;

  gkv_engine_add_contact (self->engine, address, &time);
  sim_node_turn (self);
}

static void
attach (SimNode *self)
{
  sim_network_attach (self->cluster->network, self->address, self->side, on_datagram, self);
  sim_network_set_host (self->cluster->network, self->address, self->index);
}

void
sim_node_open (SimNode *self)
{
  GkvHashKey key = gkv_hash_key_for_cluster (self->name);

  if (self->store != NULL)
    return;

  self->store = gkv_store_new (&key);
  self->memory++;
  if (self->cluster->mirrors)
    self->mirror = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) gkv_record_unref);
}

void
sim_node_start (SimNode *self)
{
  SimNetwork *network = self->cluster->network;
  GkvTime time = sim_node_get_time (self);
  const SimNodeOptions *options = &self->options;
  gint64 tombstone_life_ms =
      options->tombstone_life_ms > 0 ? options->tombstone_life_ms : self->cluster->tombstone_life_ms;
  gint64 forget_dead_ms = options->forget_dead_ms > 0 ? options->forget_dead_ms : self->cluster->forget_dead_ms;
  GkvEngineConfig config = {
    .node_id = self->id,
    .cluster = self->name,
    /* As GkvNode draws it: from the clock, and by chance within the same instant. */
    .generation = (guint64) time.wall << 8 | sim_network_random (network, 256),
    .random_seed = sim_network_random_64 (network),
    .secret = { sim_network_random_64 (network), sim_network_random_64 (network) },
    .gossip_interval_ms =
        options->gossip_interval_ms > 0 ? options->gossip_interval_ms : self->cluster->gossip_interval_ms,
    .max_datagram_size = get_max_datagram_size (self),
    .chain_length = CHAIN_LENGTH,
    .profiles = self->cluster->profiles,
    .suspect_questions = self->cluster->suspect_questions,
    .tombstone_life_ms = tombstone_life_ms,
    .max_removals = options->max_removals,
    .max_tombstones = options->max_tombstones > 0 ? options->max_tombstones : self->cluster->max_tombstones,
    .forget_dead_ms = forget_dead_ms > 0 ? forget_dead_ms : tombstone_life_ms,
  };

  g_assert_true (self->state == SIM_NODE_DOWN);

  if (options->lies > 0 && self->lies == NULL)
    self->lies = sim_lies_new (sim_network_random_64 (network), options->lies);

  set_state (self, SIM_NODE_UP);
  self->n_starts++;
  self->started_at = sim_network_get_now (network);
  self->working = FALSE;
  sim_node_open (self);
  sim_lag_reset (self);
  self->engine = gkv_engine_new (&config, self->store, &time);
  if (!options->hides_address && options->interface == 0)
    gkv_engine_set_advertise_address (self->engine, self->address);
  attach (self);
  for (guint i = 0; i < self->seeds->len; i++)
    gkv_engine_add_contact (self->engine, g_ptr_array_index (self->seeds, i), &time);

  sim_cluster_log (self->cluster, "%s starts at %s", self->id, self->address);
  sim_watch_started (self);
  sim_node_turn (self);
}

static void
stop (SimNode *self)
{
  sim_network_detach (self->cluster->network, self->address);
  g_queue_clear_full (&self->inbox, (GDestroyNotify) waiting_free);
  g_clear_pointer (&self->engine, gkv_engine_free);
  g_hash_table_remove_all (self->peers);
  set_state (self, SIM_NODE_DOWN);
  self->deadline = G_MAXINT64;
}

static void
forget (SimNode *self)
{
  g_clear_pointer (&self->store, gkv_store_free);
  g_clear_pointer (&self->mirror, g_hash_table_unref);
}

void
sim_node_crash (SimNode *self, gboolean keep_store)
{
  g_assert_true (self->state != SIM_NODE_DOWN);

  sim_cluster_log (self->cluster, "%s crashes%s", self->id, keep_store ? ", but keeps its store" : "");
  stop (self);
  if (keep_store)
    return;

  forget (self);
  sim_check_forgot (self);
}

void
sim_node_leave (SimNode *self)
{
  GkvTime time = sim_node_get_time (self);

  g_assert_true (self->state == SIM_NODE_UP);

  sim_cluster_log (self->cluster, "%s leaves", self->id);
  gkv_engine_leave (self->engine, &time);
  gkv_engine_tick (self->engine, &time);
  drain (self);
  stop (self);
  forget (self);
}

void
sim_node_move (SimNode *self, const char *address)
{
  g_assert_true (self->state == SIM_NODE_DOWN);

  g_free (self->address);
  self->address = g_strdup (address);
}

void
sim_node_stall (SimNode *self)
{
  sim_cluster_log (self->cluster, "%s stalls", self->id);
  set_state (self, SIM_NODE_STALLED);
}

/* The first turn after a pause does what is due and then reads what came in: either may come first in a main loop. */
static void
go_on (SimNode *self)
{
  gboolean tick_first = sim_network_happens (self->cluster->network, 500);

  set_state (self, SIM_NODE_UP);
  if (tick_first)
    sim_node_turn (self);
  while (self->state == SIM_NODE_UP && self->inbox.length > 0)
    hand_in (self, g_queue_pop_head (&self->inbox));
  sim_node_turn (self);
}

void
sim_node_resume (SimNode *self)
{
  sim_cluster_log (self->cluster, "%s goes on", self->id);
  go_on (self);
}

void
sim_node_suspend (SimNode *self)
{
  sim_cluster_log (self->cluster, "%s is suspended", self->id);
  self->suspended_at = sim_network_get_now (self->cluster->network);
  set_state (self, SIM_NODE_SUSPENDED);
}

static void
on_wall_right (gpointer owner, guint64 argument)
{
  sim_node_set_wall (owner, 0);
}

void
sim_node_wake (SimNode *self, const SimWaking *waking)
{
  gint64 now = sim_network_get_now (self->cluster->network);

  sim_clocks_sleep (&self->clocks, now - self->suspended_at, waking->pause, !waking->wall_behind);
  if (waking->wall_behind && waking->right_after > 0)
    sim_network_at (self->cluster->network, now + waking->right_after, on_wall_right, self, 0);

  sim_cluster_log (self->cluster, "%s wakes", self->id);
  go_on (self);
}

char *
sim_node_find_address (SimNode *self, SimNode *other)
{
  return self->options.interface > 0 ? sim_scopes_add (other->address, self->options.interface)
                                     : g_strdup (other->address);
}

void
sim_node_set_interface (SimNode *self, guint interface)
{
  g_assert_true (self->state == SIM_NODE_DOWN);

  self->options.interface = interface;
  g_free (self->address);
  self->address = g_strdup_printf ("[fe80::%x]:7000", self->index + 1);
}

void
sim_node_rebind (SimNode *self, const char *address, gboolean told)
{
  g_assert_true (self->state != SIM_NODE_DOWN);

  sim_cluster_log (self->cluster, "the address of %s turns from %s to %s", self->id, self->address, address);
  sim_network_detach (self->cluster->network, self->address);
  g_free (self->address);
  self->address = g_strdup (address);
  attach (self);
  if (told)
    gkv_engine_set_advertise_address (self->engine, self->address);
}

void
sim_node_set_wall (SimNode *self, gint64 offset)
{
  sim_cluster_log (self->cluster, "the wall clock of %s is %.3f s off", self->id, offset / 1e6);
  self->clocks.wall_offset = offset;
}

/* Data */

void
sim_node_put (SimNode *self, const char *key, gconstpointer content, gsize len, guint ttl_ms, GkvRecordFlags flags)
{
  GkvTime time = sim_node_get_time (self);
  g_autoptr (GkvRecord) seen = NULL;
  g_autoptr (GkvRecord) replaced = NULL;
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvWriter) writer = NULL;
  GkvRecord *visible = sim_node_get (self, key);
  GkvStoreResult result;

  g_assert_true (self->state == SIM_NODE_UP || (self->state == SIM_NODE_DOWN && self->store != NULL));

  if (visible != NULL)
    seen = gkv_record_ref (visible);
  writer = gkv_writer_intern (self->id, -1, flags & GKV_RECORD_DEAD ? "" : "bytes", -1);
  record =
      gkv_store_new_write (self->store, writer, key, strlen (key), flags, time.wall,
                           self->engine != NULL ? gkv_engine_get_generation (self->engine) : 0, ttl_ms, content, len);
  if (self->options.is_later)
    {
      GkvRecord *later = sim_later_write (gkv_store_get_hash_key (self->store), record);

      gkv_record_unref (record);
      record = later;
    }
  result = gkv_store_put (self->store, record, &replaced);
  if (ttl_ms > 0)
    gkv_store_set_deadline (self->store, record, time.boot + ttl_ms * SIM_MS);
  sim_check_wrote (self, record, seen, result);
  if (self->engine == NULL)
    return;

  gkv_engine_push (self->engine, record, &time);
  sim_node_turn (self);
}

void
sim_node_put_string (SimNode *self, const char *key, const char *value)
{
  sim_node_put (self, key, value, strlen (value), 0, 0);
}

void
sim_node_delete (SimNode *self, const char *key)
{
  sim_node_put (self, key, NULL, 0, 0, GKV_RECORD_DEAD);
}

GkvRecord *
sim_node_get (SimNode *self, const char *key)
{
  return self->store != NULL ? gkv_store_lookup_visible (self->store, key, strlen (key)) : NULL;
}

gboolean
sim_node_shows (SimNode *self, const char *key, const char *value)
{
  GkvRecord *record = sim_node_get (self, key);

  if (record == NULL || value == NULL)
    return record == NULL && value == NULL;

  return record->content_len == strlen (value) &&
         memcmp (gkv_record_get_content (record), value, record->content_len) == 0;
}

guint64
sim_node_get_stat (SimNode *self, const char *name)
{
  GVariantBuilder builder;
  g_autoptr (GVariant) stats = NULL;
  guint64 value = 0;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  gkv_engine_add_stats (self->engine, &builder);
  stats = g_variant_ref_sink (g_variant_builder_end (&builder));
  if (!g_variant_lookup (stats, name, "t", &value))
    g_error ("the engine has no counter named \"%s\"", name);
  return value;
}

/* The cluster */

static void
node_free (SimNode *self)
{
  if (self->engine != NULL)
    stop (self);
  forget (self);
  g_clear_pointer (&self->lies, sim_lies_free);
  g_ptr_array_unref (self->seeds);
  g_hash_table_unref (self->peers);
  g_hash_table_unref (self->lags);
  g_free (self->id);
  g_free (self->address);
  g_free (self->name);
  g_free (self->last_error);
  g_free (self);
}

SimCluster *
sim_cluster_new (guint64 seed)
{
  SimCluster *self = g_new0 (SimCluster, 1);

  self->network = sim_network_new (seed);
  self->nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) node_free);
  self->gossip_interval_ms = 2000;
  self->mirrors = TRUE;
  self->ledger = sim_ledger_new ();
  self->complaints = g_string_new (NULL);
  self->profiles = gkv_profiles_new ();

  return self;
}

void
sim_cluster_free (SimCluster *self)
{
  g_clear_pointer (&self->watch, sim_watch_free);
  g_ptr_array_unref (self->nodes);
  gkv_profiles_free (self->profiles);
  g_hash_table_unref (self->ledger);
  g_string_free (self->complaints, TRUE);
  sim_network_free (self->network);
  g_free (self);
}

char *
sim_cluster_make_address (SimCluster *self)
{
  guint n = ++self->n_addresses;

  return g_strdup_printf ("10.%u.%u.%u:%u", n >> 16 & 255, n >> 8 & 255, n & 255, 7000);
}

SimNode *
sim_cluster_add (SimCluster *self, const char *id)
{
  SimNode *node = g_new0 (SimNode, 1);

  node->cluster = self;
  node->index = self->nodes->len;
  node->id = id != NULL ? g_strdup (id) : g_strdup_printf ("node-%u", node->index);
  node->name = g_strdup ("sim");
  node->address = sim_cluster_make_address (self);
  node->seeds = g_ptr_array_new_with_free_func (g_free);
  node->peers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  node->lags = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  node->clocks.mono_base = sim_network_random (self->network, 1000 * SIM_SECOND) + SIM_SECOND;
  node->deadline = G_MAXINT64;
  node->timer_at = G_MAXINT64;
  g_queue_init (&node->inbox);
  g_ptr_array_add (self->nodes, node);

  return node;
}

SimNode *
sim_cluster_get (SimCluster *self, guint index)
{
  return g_ptr_array_index (self->nodes, index);
}

SimNode *
sim_cluster_find (SimCluster *self, const char *id)
{
  SimNode *found = NULL;

  for (guint i = 0; i < self->nodes->len; i++)
    if (strcmp (sim_cluster_get (self, i)->id, id) == 0)
      {
        if (found != NULL)
          return NULL;
        found = sim_cluster_get (self, i);
      }

  return found;
}

void
sim_cluster_add_chain (SimCluster *self, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      SimNode *node = sim_cluster_add (self, NULL);

      if (i > 0)
        sim_node_add_seed (node, sim_cluster_get (self, node->index - 1)->address);
      sim_node_start (node);
    }
}
