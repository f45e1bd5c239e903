/* SimWatch: what must hold at each moment of a run, not only once it has settled.
 *
 * Each promise is one function, named after its check. They look at what a node reports, at its store, and at the
 * ledger of all writes; of the engine they use the public calls only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-watch.h"

#include "sim-check.h"
#include "sim-lag.h"
#include "sim-paths.h"

#include <math.h>
#include <string.h>

/* A suspicion lasts 1.6 s × log10 of the number of nodes, at least once that; the engine waits 0.4 s longer. A path
 * that is found missing up to SIM_PATHS_PERIOD late makes it seem shorter. */
#define SUSPICION (1600 * SIM_MS)
#define SLACK     (300 * SIM_MS)

/* A flush that has had a path to anybody for so long has ended. */
#define FLUSH_PATIENCE (30 * SIM_SECOND)

/* Nodes that can reach each other again have met by then. */
#define MET_AFTER (10 * SIM_SECOND)

/* Until then others may take a node for the run of it that was before. */
#define KNOWN_AFTER (5 * SIM_SECOND)

/* A key that has lagged for so long, with a path to who wrote it and is known to live, starves; looked at in ticks of
 * SIM_PATHS_PERIOD. */
#define STARVED       (60 * SIM_SECOND)
#define STARVED_TICKS 10

/* Confirmed writes are looked for this often, in ticks of SIM_PATHS_PERIOD. */
#define CONFIRMED_TICKS 20

/* A joiner isn't compared with others that hold more than that. */
#define MAX_SNAPSHOT 20000

typedef struct
{
  SimNode *node;
  guint n_starts; /* of the node when it began: a later run of it knows nothing of it */
  guint64 ticket;
  guint n_peers;
  gint64 at;
  gint64 connected; /* for how long the node has run and had a path to anybody since */
  gboolean late;
  GPtrArray *records; /* GkvRecord: the node's own that it held when it began */
  GArray *wanted;     /* Holder: the nodes that it held alive then */
} Flush;

/* A node, its memory and its run: a later one doesn't count as this one. */
typedef struct
{
  guint node;
  guint memory;
  guint n_starts;
} Holder;

/* The latest confirmed write of a key. */
typedef struct
{
  GkvRecord *record;
  GArray *holders; /* Holder */
  gboolean missed; /* one complaint is enough */
} Confirmed;

/* A key that lags at a node. */
typedef struct
{
  gint64 since;
  gint64 joined; /* for how long of that there was a path */
} Starving;

/* What a synced node held when another one began. */
typedef struct
{
  SimNode *node;
  gint64 apart_at;    /* when it wasn't linked directly with the one that began */
  guint n_starts;     /* of it: a later run holds something else, and is to be synced itself */
  GPtrArray *records; /* GkvRecord */
} Snapshot;

struct _SimWatch
{
  SimCluster *cluster;
  SimChecks checks;
  SimPaths *paths;
  guint n_ticks;
  GPtrArray *flushes;    /* Flush, owned */
  GHashTable *confirmed; /* key → Confirmed, both owned */
  GHashTable *snapshots; /* SimNode → GPtrArray of Snapshot */
  GHashTable *starving;  /* "node key" → Starving, both owned */
  GHashTable *losses;    /* "node key" → how often that node saw the lease of a live owner go */
  guint n_losses;
};

static void
flush_free (Flush *flush)
{
  g_ptr_array_unref (flush->records);
  g_array_unref (flush->wanted);
  g_free (flush);
}

static void
confirmed_free (Confirmed *confirmed)
{
  gkv_record_unref (confirmed->record);
  g_array_unref (confirmed->holders);
  g_free (confirmed);
}

static void
snapshot_free (Snapshot *snapshot)
{
  g_ptr_array_unref (snapshot->records);
  g_free (snapshot);
}

static gboolean
is_on (SimNode *node, SimChecks check)
{
  return node->cluster->watch != NULL && (node->cluster->watch->checks & check) != 0;
}

/* The writer's clock may have been set back meanwhile: then one of them has an earlier time. */
static gboolean
is_same_but_time (const GkvRecord *a, const GkvRecord *b)
{
  return gkv_record_is_version_of (a, b) && gkv_record_is_dead (a) == gkv_record_is_dead (b);
}

/* Whether @node holds @record, or one that wins over it, or remembers that it was removed; or @record has ended, or is
 * dead, so that it need not be held: who stood still may bring what has ended by itself for the rest of its life. */
static gboolean
holds (SimNode *node, GkvRecord *record)
{
  GkvRecord *held = gkv_store_lookup (node->store, gkv_record_get_key (record), record->key_len);

  return (held != NULL && (gkv_record_compare (held, record) >= 0 || is_same_but_time (held, record))) ||
         gkv_store_get_removed (node->store, gkv_record_get_key (record), record->key_len) >= record->stamp ||
         (gkv_record_is_dead (record) && (held == NULL || gkv_record_is_dead (held) || gkv_record_has_end (record))) ||
         sim_check_has_ended (node->cluster, record);
}

static gint64
get_suspicion (SimCluster *cluster)
{
  return SUSPICION * MAX (log10 (MAX (cluster->nodes->len, 1)), 1.0) - SLACK;
}

/* A removed key is never shown again at a node that had applied the removal. */
static void
check_removed (SimNode *node, GkvRecord *record)
{
  GkvRecord *before = node->mirror != NULL ? g_hash_table_lookup (node->mirror, gkv_record_get_key (record)) : NULL;

  if (before != NULL && !gkv_record_is_dead (record) && sim_check_is_removal (node->cluster, before) &&
      gkv_record_compare (record, before) <= 0)
    sim_cluster_complain (node->cluster, "removed: %s shows \"%s\" again, which it had removed", node->id,
                          gkv_record_get_key (record));
}

/* One that hasn't met anybody since it was started, and brings its memory, is parted from all. */
static gboolean
knows_nobody (SimNode *node)
{
  for (guint i = 0; i < node->cluster->nodes->len; i++)
    if (sim_node_get_peer_state (node, sim_cluster_get (node->cluster, i)->id) >= 0)
      return FALSE;

  return TRUE;
}

/* A split takes a lease away once at most; it comes back once then. */
static void
check_leases (SimNode *node, GkvRecord *record, GkvRecord *replaced)
{
  SimWatch *self = node->cluster->watch;
  SimNode *owner = sim_cluster_find (node->cluster, gkv_record_get_origin (record));
  g_autofree char *name = NULL;
  guint n;

  if (!gkv_record_is_dead (record) || (record->flags & GKV_RECORD_EPHEMERAL) == 0 || replaced == NULL ||
      gkv_record_is_dead (replaced) || knows_nobody (node) || owner == NULL || owner->lies != NULL ||
      sim_check_has_owner_ended (node->cluster, record) || !sim_paths_are_known (self->paths))
    return;

  name = g_strdup_printf ("%u %s", node->index, gkv_record_get_key (record));
  n = GPOINTER_TO_UINT (g_hash_table_lookup (self->losses, name)) + 1;
  g_hash_table_insert (self->losses, g_steal_pointer (&name), GUINT_TO_POINTER (n));
  self->n_losses++;
  if ((self->checks & SIM_CHECK_LEASES) && n > sim_paths_count_splits (self->paths, owner))
    sim_cluster_complain (node->cluster, "leases: %s loses \"%s\" for the %u. time, and %s was parted %u times",
                          node->id, gkv_record_get_key (record), n, owner->id,
                          sim_paths_count_splits (self->paths, owner));
}

/* Nobody is held dead to whom there was a path in all that time. */
static void
check_deaths (SimNode *node, const GkvPeerInfo *peer)
{
  SimWatch *self = node->cluster->watch;
  SimNode *dead = sim_cluster_find (node->cluster, peer->node_id);
  gint64 parted;

  if (peer->state != GKV_PEER_STATE_DEAD || sim_node_get_peer_state (node, peer->node_id) == GKV_PEER_STATE_DEAD ||
      dead == NULL || dead->lies != NULL || dead->state == SIM_NODE_DOWN || !sim_paths_are_known (self->paths))
    return;

  /* It may be the run before that is held dead. */
  if (sim_network_get_now (node->cluster->network) - dead->started_at < KNOWN_AFTER && dead->n_starts > 1)
    return;

  parted = sim_paths_get_parted (self->paths, dead, node);
  if (parted < get_suspicion (node->cluster))
    sim_cluster_complain (node->cluster, "deaths: %s holds %s dead, from which it was parted for %.1f s at most",
                          node->id, dead->id, parted / 1e6);
}

/* Synced */

static gboolean
add_to_snapshot (GkvRecord *record, gpointer user_data)
{
  g_ptr_array_add (user_data, gkv_record_ref (record));
  return TRUE;
}

void
sim_watch_started (SimNode *node)
{
  SimCluster *cluster = node->cluster;
  GPtrArray *snapshots;

  if (!is_on (node, SIM_CHECK_SYNCED) || cluster->nodes->len > SIM_PATHS_MAX_NODES)
    return;

  snapshots = g_ptr_array_new_with_free_func ((GDestroyNotify) snapshot_free);
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *other = sim_cluster_get (cluster, i);
      Snapshot *snapshot;
      GkvSummary sum;

      if (other == node || other->engine == NULL || !gkv_engine_get_synced (other->engine))
        continue;

      gkv_store_summarise (other->store, (GkvRange){ 0 }, &sum);
      if (sum.count > MAX_SNAPSHOT)
        continue;

      snapshot = g_new0 (Snapshot, 1);
      snapshot->node = other;
      snapshot->n_starts = other->n_starts;
      snapshot->apart_at = G_MININT64 / 2;
      snapshot->records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
      gkv_store_foreach (other->store, (GkvRange){ 0 }, 0, add_to_snapshot, snapshot->records);
      g_ptr_array_add (snapshots, snapshot);
    }
  g_hash_table_insert (cluster->watch->snapshots, node, snapshots);
}

/* One that is further ahead than a day is refused, and known to be. */
static gboolean
is_refused (SimNode *node, GkvRecord *record)
{
  return gkv_clock_judge (record->stamp, gkv_record_get_time_ms (record), sim_node_get_time (node).wall) ==
         GKV_TIME_REFUSED;
}

/* A tombstone needn't be held by those who come after it was collected. */
static gboolean
is_collected (SimNode *node, GkvRecord *record)
{
  return gkv_record_is_dead (record) &&
         gkv_store_lookup (node->store, gkv_record_get_key (record), record->key_len) == NULL;
}

static GkvRecord *
find_missing (SimNode *node, const Snapshot *snapshot)
{
  for (guint i = 0; i < snapshot->records->len; i++)
    {
      GkvRecord *record = g_ptr_array_index (snapshot->records, i);

      if (!holds (node, record) && !is_refused (node, record) && !is_collected (snapshot->node, record))
        return record;
    }

  return NULL;
}

/* One that was synced later than @node was started does as well: then @node holds all that this one does now. */
static gboolean
is_like_another (SimNode *node)
{
  for (guint i = 0; i < node->cluster->nodes->len; i++)
    {
      SimNode *other = sim_cluster_get (node->cluster, i);
      g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
      const Snapshot now = { .node = other, .records = records };

      if (other == node || other->engine == NULL || !gkv_engine_get_synced (other->engine) ||
          sim_node_get_peer_state (node, other->id) != GKV_PEER_STATE_ALIVE)
        continue;

      gkv_store_foreach (other->store, (GkvRange){ 0 }, 0, add_to_snapshot, records);
      if (find_missing (node, &now) == NULL)
        return TRUE;
    }

  return FALSE;
}

/* Who is synced holds all that one peer that was synced held when the exchange began (semantics 11), so at least what
 * that held when the node was started. */
static void
check_synced (SimNode *node, GPtrArray *snapshots)
{
  GkvRecord *missing = NULL;
  SimNode *holder = NULL;

  for (guint i = 0; i < snapshots->len; i++)
    {
      const Snapshot *snapshot = g_ptr_array_index (snapshots, i);
      GkvRecord *record;

      if (snapshot->node->n_starts != snapshot->n_starts ||
          sim_node_get_peer_state (node, snapshot->node->id) != GKV_PEER_STATE_ALIVE)
        continue;

      record = find_missing (node, snapshot);
      if (record == NULL)
        return;

      /* One that couldn't be reached may have been passed over. */
      if (sim_network_get_now (node->cluster->network) - snapshot->apart_at < MET_AFTER)
        continue;

      holder = snapshot->node;
      missing = record;
    }

  if (missing != NULL && !is_like_another (node))
    sim_cluster_complain (node->cluster, "synced: %s says so, and lacks \"%s\", which %s held when it was started",
                          node->id, gkv_record_get_key (missing), holder->id);
}

void
sim_watch_synced (SimNode *node)
{
  GPtrArray *snapshots;

  if (!is_on (node, SIM_CHECK_SYNCED))
    return;

  snapshots = g_hash_table_lookup (node->cluster->watch->snapshots, node);
  if (snapshots != NULL)
    check_synced (node, snapshots);
  g_hash_table_remove (node->cluster->watch->snapshots, node);
}

/* Flushes */

static gboolean
add_if_own (GkvRecord *record, gpointer user_data)
{
  Flush *flush = user_data;

  if (strcmp (gkv_record_get_origin (record), flush->node->id) == 0)
    g_ptr_array_add (flush->records, gkv_record_ref (record));
  return TRUE;
}

void
sim_watch_flush (SimNode *node, guint n_peers)
{
  SimCluster *cluster = node->cluster;
  GkvTime time = sim_node_get_time (node);
  Flush *flush;

  g_assert_true (node->state == SIM_NODE_UP && cluster->watch != NULL);

  flush = g_new0 (Flush, 1);
  flush->node = node;
  flush->n_starts = node->n_starts;
  flush->n_peers = n_peers;
  flush->at = sim_network_get_now (cluster->network);
  flush->records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  flush->wanted = g_array_new (FALSE, FALSE, sizeof (Holder));
  gkv_store_foreach (node->store, (GkvRange){ 0 }, 0, add_if_own, flush);
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *other = sim_cluster_get (cluster, i);
      Holder holder = { i, other->memory, other->n_starts };

      if (sim_node_get_peer_state (node, other->id) == GKV_PEER_STATE_ALIVE && other->lies == NULL &&
          flush->at - other->started_at >= KNOWN_AFTER)
        g_array_append_val (flush->wanted, holder);
    }
  flush->ticket = gkv_engine_begin_flush (node->engine, n_peers, &time);
  g_ptr_array_add (cluster->watch->flushes, flush);
  sim_node_turn (node);
}

static gboolean
still_has_memory (SimCluster *cluster, const Holder *holder)
{
  SimNode *node = sim_cluster_get (cluster, holder->node);

  return node->store != NULL && node->memory == holder->memory;
}

/* The first that it doesn't hold, or NULL. */
static GkvRecord *
find_lacking (SimNode *node, GPtrArray *records)
{
  for (guint i = 0; i < records->len; i++)
    if (!holds (node, g_ptr_array_index (records, i)))
      return g_ptr_array_index (records, i);

  return NULL;
}

static void
remember_confirmed (SimWatch *self, GkvRecord *record, GArray *holders)
{
  const char *key = gkv_record_get_key (record);
  Confirmed *confirmed = g_hash_table_lookup (self->confirmed, key);

  if (confirmed != NULL && gkv_record_compare (confirmed->record, record) > 0)
    return;

  if (confirmed == NULL || confirmed->record != record)
    {
      confirmed = g_new0 (Confirmed, 1);
      confirmed->record = gkv_record_ref (record);
      confirmed->holders = g_array_new (FALSE, FALSE, sizeof (Holder));
      g_hash_table_insert (self->confirmed, g_strdup (key), confirmed);
    }
  g_array_append_vals (confirmed->holders, holders->data, holders->len);
}

/* Those whom a flush names hold what it was for. With flush (0) all that were alive do, but those that have gone; with
 * flush (n) only the number is known. */
static void
check_confirmed (SimWatch *self, const Flush *flush, const GkvFlushState *state)
{
  SimCluster *cluster = self->cluster;
  g_autoptr (GArray) holders = g_array_new (FALSE, FALSE, sizeof (Holder));
  guint n_unknown = 0; /* those that confirmed may be among these */

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *other = sim_cluster_get (cluster, i);
      Holder holder = { i, other->memory, other->n_starts };

      if (other == flush->node)
        continue;
      if (other->store == NULL || other->lies != NULL)
        n_unknown++;
      else if (find_lacking (other, flush->records) == NULL)
        g_array_append_val (holders, holder);
    }

  if (holders->len + n_unknown < MAX (state->n_confirmed, 1))
    sim_cluster_complain (cluster, "confirmed: %s had %u confirmations, and %u nodes hold its writes", flush->node->id,
                          state->n_confirmed, holders->len);

  for (guint i = 0; flush->n_peers == 0 && i < flush->wanted->len; i++)
    {
      const Holder *wanted = &g_array_index (flush->wanted, Holder, i);
      SimNode *other = sim_cluster_get (cluster, wanted->node);
      int peer_state = sim_node_get_peer_state (flush->node, other->id);
      GkvRecord *lacking = still_has_memory (cluster, wanted) ? find_lacking (other, flush->records) : NULL;

      if (lacking != NULL && other->n_starts == wanted->n_starts &&
          (peer_state == GKV_PEER_STATE_ALIVE || peer_state == GKV_PEER_STATE_SUSPECT))
        sim_cluster_complain (cluster, "confirmed: %s was told that all hold its writes, and %s lacks \"%s\"",
                              flush->node->id, other->id, gkv_record_get_key (lacking));
    }

  for (guint i = 0; i < flush->records->len; i++)
    remember_confirmed (self, g_ptr_array_index (flush->records, i), holders);
}

static void
look_at_flush (SimWatch *self, Flush *flush, gboolean *ended)
{
  GkvFlushState state;

  *ended = flush->node->n_starts != flush->n_starts || flush->node->state == SIM_NODE_DOWN;
  if (*ended || flush->node->state != SIM_NODE_UP)
    return;

  gkv_engine_get_flush (flush->node->engine, flush->ticket, &state);
  if (state.done && (self->checks & SIM_CHECK_CONFIRMED))
    check_confirmed (self, flush, &state);
  /* A flush that is refused has failed, which is an end. */
  *ended = state.done || state.failed;
  if (*ended)
    gkv_engine_end_flush (flush->node->engine, flush->ticket);
}

static void
look_at_flushes (SimWatch *self, SimNode *node)
{
  for (guint i = self->flushes->len; i > 0; i--)
    {
      Flush *flush = g_ptr_array_index (self->flushes, i - 1);
      gboolean ended;

      if (node != NULL && flush->node != node)
        continue;

      look_at_flush (self, flush, &ended);
      if (ended)
        g_ptr_array_remove_index_fast (self->flushes, i - 1);
    }
}

void
sim_watch_confirmed (SimNode *node)
{
  if (node->cluster->watch != NULL)
    look_at_flushes (node->cluster->watch, node);
}

/* A node whose seeds can't be reached waits for the first that it meets. */
static gboolean
has_met_anybody (SimNode *node)
{
  for (guint i = 0; i < node->cluster->nodes->len; i++)
    if (sim_node_get_peer_state (node, sim_cluster_get (node->cluster, i)->id) == GKV_PEER_STATE_ALIVE)
      return TRUE;

  return FALSE;
}

/* A flush ends. */
static void
check_flushes (SimWatch *self)
{
  for (guint i = 0; i < self->flushes->len; i++)
    {
      Flush *flush = g_ptr_array_index (self->flushes, i);

      if (sim_paths_is_connected (self->paths, flush->node) && has_met_anybody (flush->node))
        flush->connected += SIM_PATHS_PERIOD;
      if (flush->connected < FLUSH_PATIENCE || flush->late)
        continue;

      flush->late = TRUE;
      sim_cluster_complain (self->cluster, "flushes: one of %s hasn't ended in half a minute", flush->node->id);
    }
}

/* Who confirmed a write still holds it. */
static void
check_still_confirmed (SimWatch *self)
{
  GHashTableIter iter;
  const char *key;
  Confirmed *confirmed;

  g_hash_table_iter_init (&iter, self->confirmed);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &confirmed))
    for (guint i = 0; i < confirmed->holders->len && !confirmed->missed; i++)
      {
        const Holder *holder = &g_array_index (confirmed->holders, Holder, i);
        SimNode *node = sim_cluster_get (self->cluster, holder->node);

        if (!still_has_memory (self->cluster, holder) || holds (node, confirmed->record))
          continue;

        confirmed->missed = TRUE;
        sim_cluster_complain (self->cluster, "confirmed: %s has lost \"%s\", which it had confirmed", node->id, key);
      }
}

/* Nothing starves. */

typedef struct
{
  SimWatch *watch;
  GHashTable *starving; /* those of now */
} Look;

static void
look_at_lag (SimNode *node, GkvRecord *write, SimNode *writer, gint64 since, gpointer user_data)
{
  Look *look = user_data;
  const char *key = gkv_record_get_key (write);
  g_autofree char *name = g_strdup_printf ("%u %s", node->index, key);
  const Starving *before = g_hash_table_lookup (look->watch->starving, name);
  gint64 joined = before != NULL && before->since == since ? before->joined : 0;
  Starving *starving;

  /* What its writer has lost can't come, what was removed and forgotten need not, and what is ahead of the own clock
   * waits for that. */
  if (writer->store == NULL || writer->lies != NULL || !holds (writer, write) || holds (node, write) ||
      gkv_stamp_get_ms (write->stamp) > sim_node_get_time (node).wall / SIM_MS)
    return;

  starving = g_new0 (Starving, 1);
  starving->since = since;
  starving->joined = joined;
  if (sim_paths_are_joined (look->watch->paths, node, writer) &&
      sim_node_get_peer_state (node, writer->id) == GKV_PEER_STATE_ALIVE)
    starving->joined += STARVED_TICKS * SIM_PATHS_PERIOD;
  g_hash_table_insert (look->starving, g_steal_pointer (&name), starving);

  if (joined < STARVED && starving->joined >= STARVED)
    sim_cluster_complain (node->cluster, "starved: %s has waited for \"%s\" of %s for %.0f s", node->id, key,
                          writer->id, (sim_network_get_now (node->cluster->network) - since) / 1e6);
}

static void
check_starved (SimWatch *self)
{
  Look look = { self, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free) };

  for (guint i = 0; i < self->cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (self->cluster, i);

      if (node->state == SIM_NODE_UP)
        sim_lag_foreach (node, look_at_lag, &look);
    }
  g_hash_table_unref (self->starving);
  self->starving = look.starving;
}

/* All of it */

void
sim_watch_changed (SimNode *node, GkvRecord *record, GkvRecord *replaced)
{
  if (is_on (node, SIM_CHECK_REMOVED))
    check_removed (node, record);
  if (node->cluster->watch != NULL)
    check_leases (node, record, replaced);
}

/* A flush no longer waits for who has died, also where that one comes back. */
static void
drop_wanted (SimNode *node, const GkvPeerInfo *peer)
{
  SimWatch *self = node->cluster->watch;
  SimNode *dead = sim_cluster_find (node->cluster, peer->node_id);

  for (guint i = 0; dead != NULL && i < self->flushes->len; i++)
    {
      Flush *flush = g_ptr_array_index (self->flushes, i);

      for (guint j = flush->wanted->len; flush->node == node && j > 0; j--)
        if (g_array_index (flush->wanted, Holder, j - 1).node == dead->index)
          g_array_remove_index_fast (flush->wanted, j - 1);
    }
}

void
sim_watch_peer_changed (SimNode *node, const GkvPeerInfo *peer)
{
  if (node->cluster->watch != NULL && (peer->state == GKV_PEER_STATE_DEAD || peer->state == GKV_PEER_STATE_LEFT))
    drop_wanted (node, peer);
  if (is_on (node, SIM_CHECK_DEATHS))
    check_deaths (node, peer);
}

/* One that can't be reached isn't waited for. */
static void
look_at_snapshots (SimWatch *self)
{
  SimLinks *links = sim_network_get_links (self->cluster->network);
  GHashTableIter iter;
  SimNode *node;
  GPtrArray *snapshots;

  g_hash_table_iter_init (&iter, self->snapshots);
  while (g_hash_table_iter_next (&iter, (gpointer *) &node, (gpointer *) &snapshots))
    for (guint i = 0; i < snapshots->len; i++)
      {
        Snapshot *snapshot = g_ptr_array_index (snapshots, i);
        const SimEnd ends[] = { { node->index, node->side }, { snapshot->node->index, snapshot->node->side } };

        if (!sim_links_is_open (links, ends[0], ends[1]) || !sim_links_is_open (links, ends[1], ends[0]) ||
            snapshot->node->state != SIM_NODE_UP)
          snapshot->apart_at = sim_network_get_now (self->cluster->network);
      }
}

static void
look (gpointer owner, guint64 argument)
{
  SimCluster *cluster = owner;
  SimWatch *self = cluster->watch;

  sim_paths_look (self->paths);
  look_at_snapshots (self);
  look_at_flushes (self, NULL);
  if (self->checks & SIM_CHECK_FLUSHES)
    check_flushes (self);
  self->n_ticks++;
  if ((self->checks & SIM_CHECK_CONFIRMED) && self->n_ticks % CONFIRMED_TICKS == 0)
    check_still_confirmed (self);
  if ((self->checks & SIM_CHECK_STARVED) && self->n_ticks % STARVED_TICKS == 0 && sim_paths_are_known (self->paths))
    check_starved (self);

  sim_network_at (cluster->network, sim_network_get_now (cluster->network) + SIM_PATHS_PERIOD, look, cluster, 0);
}

guint
sim_watch_count_flushes (SimCluster *cluster)
{
  look_at_flushes (cluster->watch, NULL);
  return cluster->watch->flushes->len;
}

guint
sim_watch_count_lost_leases (SimCluster *cluster)
{
  return cluster->watch->n_losses;
}

void
sim_watch_finish (SimCluster *cluster)
{
  SimWatch *self = cluster->watch;

  if (self->checks & SIM_CHECK_CONFIRMED)
    check_still_confirmed (self);
  if ((self->checks & SIM_CHECK_FLUSHES) && sim_watch_count_flushes (cluster) > 0)
    sim_cluster_complain (cluster, "flushes: %u haven't ended though all have settled",
                          sim_watch_count_flushes (cluster));
}

static const struct
{
  SimChecks check;
  const char *name;
} names[] = {
  { SIM_CHECK_REMOVED, "removed" }, { SIM_CHECK_CONFIRMED, "confirmed" }, { SIM_CHECK_SYNCED, "synced" },
  { SIM_CHECK_FLUSHES, "flushes" }, { SIM_CHECK_DEATHS, "deaths" },       { SIM_CHECK_LEASES, "leases" },
  { SIM_CHECK_STARVED, "starved" },
};

const char *
sim_checks_get_name (SimChecks check)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (names[i].check == check)
      return names[i].name;

  g_assert_not_reached ();
}

SimChecks
sim_checks_find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (names[i].name, name) == 0)
      return names[i].check;

  return 0;
}

SimWatch *
sim_watch_new (SimCluster *cluster, SimChecks checks)
{
  SimWatch *self = g_new0 (SimWatch, 1);

  self->cluster = cluster;
  self->checks = checks;
  self->paths = sim_paths_new (cluster, SUSPICION - SLACK);
  self->flushes = g_ptr_array_new_with_free_func ((GDestroyNotify) flush_free);
  self->confirmed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) confirmed_free);
  self->snapshots = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
  self->starving = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->losses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  cluster->watch = self;
  look (cluster, 0);

  return self;
}

void
sim_watch_free (SimWatch *self)
{
  sim_paths_free (self->paths);
  g_ptr_array_unref (self->flushes);
  g_hash_table_unref (self->confirmed);
  g_hash_table_unref (self->snapshots);
  g_hash_table_unref (self->starving);
  g_hash_table_unref (self->losses);
  g_free (self);
}
