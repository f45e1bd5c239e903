/* What is promised, and whether it was kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-check.h"

#include "sim-lag.h"
#include "sim-later.h"

#include <string.h>

/* A remaining lifetime is sent in whole milliseconds, rounded down at each hop. */
#define EXPIRY_SLACK (50 * SIM_MS)

/* What was written so long before a cut has reached the other side. */
#define PROPAGATION (10 * SIM_SECOND)

/* In larger clusters maps are compared by their fingerprints alone. */
#define MAX_COMPARED 16

typedef struct
{
  GkvRecord *record;
  gint64 at;
  guint node;
  guint memory; /* the writer's at that time */
  gint64 end;   /* of its life; 0: none */
  gboolean given;
} Write;

static void
write_free (Write *write)
{
  gkv_record_unref (write->record);
  g_free (write);
}

GHashTable *
sim_ledger_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
}

/* The write that @record stems from: itself, or what it is the dead mark of. One that has lost its memory may have
 * given the same stamp twice. */
static Write *
find_write (SimCluster *cluster, GkvRecord *record)
{
  GPtrArray *writes = g_hash_table_lookup (cluster->ledger, gkv_record_get_key (record));
  Write *found = NULL;

  for (guint i = 0; writes != NULL && i < writes->len; i++)
    {
      Write *write = g_ptr_array_index (writes, i);

      if (!gkv_record_is_version_of (write->record, record))
        continue;

      if (gkv_record_same_value (write->record, record))
        return write;

      found = found != NULL ? found : write;
    }

  return found;
}

static char *
describe (GkvRecord *record)
{
  if (record == NULL)
    return g_strdup ("nothing");

  return g_strdup_printf ("%s%s\"%s\" of %s at %" G_GINT64_FORMAT ".%u, %u bytes",
                          gkv_record_is_dead (record) ? "dead " : "",
                          record->flags & GKV_RECORD_EPHEMERAL ? "ephemeral " : "", gkv_record_get_key (record),
                          gkv_record_get_origin (record), gkv_stamp_get_ms (record->stamp),
                          (guint) (record->stamp & 0xffff), record->content_len);
}

static gboolean
is_same (GkvRecord *a, GkvRecord *b)
{
  return a == b || (a != NULL && b != NULL && gkv_fingerprint_equal (&a->fingerprint, &b->fingerprint));
}

/* While the run goes on */

static void
set_mirror (SimNode *node, GkvRecord *record)
{
  if (node->mirror != NULL)
    g_hash_table_insert (node->mirror, g_strdup (gkv_record_get_key (record)), gkv_record_ref (record));
}

void
sim_check_wrote (SimNode *node, GkvRecord *record, GkvRecord *seen, GkvStoreResult result)
{
  SimCluster *cluster = node->cluster;
  const char *key = gkv_record_get_key (record);
  GPtrArray *writes = g_hash_table_lookup (cluster->ledger, key);
  GkvRecord *shown = sim_node_get (node, key);
  g_autofree char *what = describe (record);
  Write *write;
  GkvTime time;
  gint64 left;

  sim_cluster_log (cluster, "%s writes %s", node->id, what);

  if (seen != NULL && gkv_record_compare (record, seen) <= 0)
    {
      g_autofree char *before = describe (seen);

      sim_cluster_complain (cluster, "%s wrote %s, having seen %s, which wins", node->id, what, before);
    }
  if (!is_same (shown, gkv_record_is_dead (record) ? NULL : record))
    {
      g_autofree char *instead = describe (shown);

      sim_cluster_complain (cluster, "%s wrote %s and then shows %s", node->id, what, instead);
    }
  if (result != GKV_STORE_TAKEN && gkv_store_get_n_quarantined (node->store) == 0)
    sim_cluster_complain (cluster, "the store of %s refused %s", node->id, what);

  if (writes == NULL)
    {
      writes = g_ptr_array_new_with_free_func ((GDestroyNotify) write_free);
      g_hash_table_insert (cluster->ledger, g_strdup (key), writes);
    }
  left = gkv_store_get_deadline (node->store, record);
  write = g_new0 (Write, 1);
  write->record = gkv_record_ref (record);
  write->at = sim_network_get_now (cluster->network);
  write->node = node->index;
  write->memory = node->memory;
  time = sim_node_get_time (node);
  write->end = left >= 0 ? sim_clocks_find (&node->clocks, left - time.boot + time.mono) : 0;
  g_ptr_array_add (writes, write);
  cluster->n_writes++;
  cluster->bytes_written += record->content_len;

  set_mirror (node, record);
}

/* @node NULL: no write is given any more; else all of its writes are. */
static void
set_given (SimCluster *cluster, SimNode *node)
{
  GHashTableIter iter;
  GPtrArray *writes;

  g_hash_table_iter_init (&iter, cluster->ledger);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &writes))
    for (guint i = 0; i < writes->len; i++)
      {
        Write *write = g_ptr_array_index (writes, i);

        if (node == NULL)
          write->given = FALSE;
        else if (write->node == node->index && write->memory == node->memory)
          write->given = TRUE;
      }
}

void
sim_check_gave (SimNode *node)
{
  set_given (node->cluster, node);
}

void
sim_check_forgot (SimNode *node)
{
  set_given (node->cluster, NULL);
}

/* Whether it may have been removed by what @node has forgotten for want of room. */
static gboolean
has_forgotten (SimNode *node, const GkvRecord *record)
{
  return gkv_removals_has_dropped (gkv_store_get_removals (node->store), G_MININT64, record->stamp);
}

void
sim_check_changed (SimNode *node, GkvRecord *record, GkvRecord *replaced)
{
  SimCluster *cluster = node->cluster;
  GkvRecord *held;
  GkvRecord *shown;
  Write *write;
  g_autofree char *what = NULL;
  g_autofree char *before = NULL;

  if (node->mirror == NULL)
    return;

  held = g_hash_table_lookup (node->mirror, gkv_record_get_key (record));
  shown = held != NULL && !gkv_record_is_dead (held) ? held : NULL;
  what = describe (record);
  before = describe (held);

  /* Dead records are dropped, and what has one may then come from elsewhere; the record of an owner, too, that was held
   * dead and isn't; and where what has ended had an end of its own, whatever it was never compared with. */
  if (held != NULL && gkv_record_compare (record, held) <= 0 && !has_forgotten (node, record) &&
      !(gkv_record_is_dead (held) &&
        (gkv_record_is_dead (record) || (record->flags & GKV_RECORD_EPHEMERAL) != 0 || gkv_record_has_end (held))))
    sim_cluster_complain (cluster, "%s went back from %s to %s", node->id, before, what);
  if (!is_same (replaced, shown))
    {
      g_autofree char *told = describe (replaced);

      sim_cluster_complain (cluster, "%s tells that %s replaced %s; it was %s", node->id, what, told, before);
    }

  write = gkv_record_is_dead (record) ? find_write (cluster, record) : NULL;
  if (write != NULL && write->end > 0 && sim_network_get_now (cluster->network) < write->end - EXPIRY_SLACK)
    sim_cluster_complain (cluster, "%s: %s expired %" G_GINT64_FORMAT " ms early", node->id, what,
                          (write->end - sim_network_get_now (cluster->network)) / SIM_MS);

  sim_lag_took (node, record, held);
  set_mirror (node, record);
}

/* Convergence */

static gboolean
is_same_map (SimNode *a, SimNode *b)
{
  GkvSummary mine, theirs;

  gkv_store_summarise (a->store, (GkvRange){ 0 }, &mine);
  gkv_store_summarise (b->store, (GkvRange){ 0 }, &theirs);
  return mine.count == theirs.count && gkv_fingerprint_equal (&mine.fingerprint, &theirs.fingerprint);
}

/* The first live node of @node's cluster, which the others are compared with. */
static SimNode *
get_first (SimCluster *cluster, SimNode *node)
{
  for (guint i = 0; i < node->index; i++)
    {
      SimNode *other = sim_cluster_get (cluster, i);

      if (other->state == SIM_NODE_UP && strcmp (other->name, node->name) == 0)
        return other;
    }

  return node;
}

static guint
count_live (SimCluster *cluster, const char *name)
{
  guint n = 0;

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);

      n += node->state == SIM_NODE_UP && strcmp (node->name, name) == 0;
    }

  return n;
}

gboolean
sim_check_converged (SimCluster *cluster)
{
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);

      if (node->state == SIM_NODE_UP && !is_same_map (get_first (cluster, node), node))
        return FALSE;
    }

  return TRUE;
}

gboolean
sim_check_settled (SimCluster *cluster)
{
  if (!sim_check_converged (cluster))
    return FALSE;

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);
      gint64 deadline;

      if (node->state != SIM_NODE_UP)
        continue;

      if (!gkv_engine_get_synced (node->engine) || gkv_store_get_n_quarantined (node->store) > 0 ||
          gkv_store_peek_deadline (node->store, &deadline) != NULL ||
          sim_node_get_stat (node, "peers-alive") != count_live (cluster, node->name) - 1)
        return FALSE;
    }

  return TRUE;
}

static gboolean
collect (GkvRecord *record, gpointer user_data)
{
  g_hash_table_insert (user_data, (gpointer) gkv_record_get_key (record), record);
  return TRUE;
}

static GHashTable *
get_map (SimNode *node)
{
  GHashTable *map = g_hash_table_new (g_str_hash, g_str_equal);

  gkv_store_foreach (node->store, (GkvRange){ 0 }, 0, collect, map);
  return map;
}

static void
describe_missing (GString *text, SimNode *a, SimNode *b)
{
  g_autoptr (GHashTable) map = get_map (a);
  GHashTableIter iter;
  const char *key;
  GkvRecord *record;
  guint n = 0;

  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &record))
    {
      GkvRecord *other = gkv_store_lookup (b->store, key, strlen (key));
      g_autofree char *mine = NULL;
      g_autofree char *theirs = NULL;

      if (is_same (record, other) || n++ >= 5)
        continue;

      mine = describe (record);
      theirs = describe (other);
      g_string_append_printf (text, "  %s holds %s, %s holds %s\n", a->id, mine, b->id, theirs);
    }
  if (n > 5)
    g_string_append_printf (text, "  ... and %u more\n", n - 5);
}

char *
sim_check_describe_difference (SimCluster *cluster)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);
      gint64 deadline;

      if (node->state != SIM_NODE_UP)
        continue;

      if (!is_same_map (get_first (cluster, node), node))
        {
          describe_missing (text, node, get_first (cluster, node));
          describe_missing (text, get_first (cluster, node), node);
        }
      if (!gkv_engine_get_synced (node->engine))
        g_string_append_printf (text, "  %s isn't synced\n", node->id);
      if (gkv_store_get_n_quarantined (node->store) > 0)
        g_string_append_printf (text, "  %s has quarantined records\n", node->id);
      if (gkv_store_peek_deadline (node->store, &deadline) != NULL)
        g_string_append_printf (text, "  %s has records that will expire\n", node->id);
      if (sim_node_get_stat (node, "peers-alive") != count_live (cluster, node->name) - 1)
        g_string_append_printf (text, "  %s sees %u peers alive of %u\n", node->id,
                                (guint) sim_node_get_stat (node, "peers-alive"), count_live (cluster, node->name) - 1);
    }

  return g_string_free (text, FALSE);
}

/* In the end */

gboolean
sim_check_has_owner_ended (SimCluster *cluster, GkvRecord *record)
{
  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);

      if (node->state != SIM_NODE_DOWN && strcmp (node->id, gkv_record_get_origin (record)) == 0 &&
          gkv_engine_get_generation (node->engine) == gkv_record_get_generation (record))
        return FALSE;
    }

  return TRUE;
}

/* Whether @other wins over @record, or is the same version, perhaps with another time than it was given since. */
static gboolean
is_at_least (const GkvRecord *other, const GkvRecord *record)
{
  return gkv_record_compare (other, record) >= 0 || gkv_record_is_version_of (other, record);
}

/* Whether @record was followed by one that had an end of its own, or is one: no memory stays of that. */
static gboolean
has_ended_by_itself (GPtrArray *writes, const GkvRecord *record)
{
  for (guint i = 0; i < writes->len; i++)
    {
      const Write *other = g_ptr_array_index (writes, i);

      if (gkv_record_has_end (other->record) && is_at_least (other->record, record))
        return TRUE;
    }

  return FALSE;
}

/* Whether it is the tombstone of a removal that was remembered: with its stamp, or one more, and another writer. */
static gboolean
is_made_again (SimCluster *cluster, const GkvRecord *dead)
{
  GPtrArray *writes = g_hash_table_lookup (cluster->ledger, gkv_record_get_key (dead));

  for (guint i = 0; writes != NULL && i < writes->len; i++)
    {
      const Write *write = g_ptr_array_index (writes, i);
      const GkvRecord *record = write->record;

      if ((gkv_record_is_dead (record) || has_ended_by_itself (writes, record)) && dead->stamp >= record->stamp &&
          dead->stamp <= record->stamp + 1)
        return TRUE;
    }
  return FALSE;
}

/* Whether the record that all hold may be what it is. */
static void
check_record (SimCluster *cluster, GkvRecord *record)
{
  Write *write = find_write (cluster, record);
  g_autofree char *what = describe (record);

  if (record->flags & GKV_RECORD_EPHEMERAL)
    {
      /* An owner writes a record again that others have marked: such a one is in no ledger. */
      if (gkv_record_is_dead (record) && (write == NULL || !gkv_record_is_dead (write->record)) &&
          !sim_check_has_owner_ended (cluster, record))
        sim_cluster_complain (cluster, "%s is dead, but its owner lives", what);
      if (!gkv_record_is_dead (record) && sim_check_has_owner_ended (cluster, record))
        sim_cluster_complain (cluster, "%s is alive, but its owner's life has ended", what);
      return;
    }

  if (gkv_record_is_dead (record) && is_made_again (cluster, record))
    return;

  if (write == NULL)
    {
      sim_cluster_complain (cluster, "nobody wrote %s", what);
      return;
    }

  if (gkv_record_is_dead (record))
    {
      if (!gkv_record_is_dead (write->record) && write->end == 0)
        sim_cluster_complain (cluster, "%s was never deleted", what);
      return;
    }

  if (!gkv_record_same_value (record, write->record))
    sim_cluster_complain (cluster, "%s has another content than was written", what);
  if (!sim_later_is_kept (record, write->record))
    sim_cluster_complain (cluster, "%s has lost what a later version has added to it", what);
  if (write->end > 0 && write->end < sim_network_get_now (cluster->network))
    sim_cluster_complain (cluster, "%s should have expired", what);
}

/* Whether @record was followed by one that ends its key, or ended by itself. */
static gboolean
has_ended (GPtrArray *writes, const GkvRecord *record)
{
  for (guint i = 0; i < writes->len; i++)
    {
      const Write *other = g_ptr_array_index (writes, i);
      gboolean ends =
          gkv_record_is_dead (other->record) || other->end > 0 || (other->record->flags & GKV_RECORD_EPHEMERAL) != 0;

      if (ends && is_at_least (other->record, record))
        return TRUE;
    }

  return FALSE;
}

gboolean
sim_check_has_ended (SimCluster *cluster, GkvRecord *record)
{
  GPtrArray *writes = g_hash_table_lookup (cluster->ledger, gkv_record_get_key (record));

  return (record->flags & GKV_RECORD_EPHEMERAL) != 0 || (writes != NULL && has_ended (writes, record));
}

GkvRecord *
sim_check_find_overtaken (SimNode *node, const char *key, GkvRecord *held, SimNode **writer, gint64 *at)
{
  SimCluster *cluster = node->cluster;
  GPtrArray *writes = g_hash_table_lookup (cluster->ledger, key);

  for (guint i = 0; writes != NULL && i < writes->len; i++)
    {
      const Write *write = g_ptr_array_index (writes, i);

      if (write->node == node->index || (held != NULL && gkv_record_compare (write->record, held) <= 0) ||
          (held == NULL && gkv_record_is_dead (write->record)) || has_ended_by_itself (writes, write->record))
        continue;

      *writer = sim_cluster_get (cluster, write->node);
      *at = write->at;
      return write->record;
    }

  return NULL;
}

gboolean
sim_check_is_removal (SimCluster *cluster, GkvRecord *record)
{
  Write *write = gkv_record_is_dead (record) ? find_write (cluster, record) : NULL;

  return write != NULL && gkv_record_is_dead (write->record);
}

/* What a node that still has its memory wrote, or has given to others, can't be lost: the same or a later record of the
 * key is held, or its end has been forgotten. */
static void
check_lost (SimCluster *cluster, const char *key, GPtrArray *writes, GkvRecord *held)
{
  for (guint i = 0; i < writes->len; i++)
    {
      Write *write = g_ptr_array_index (writes, i);
      SimNode *writer = sim_cluster_get (cluster, write->node);
      gboolean dead = gkv_record_is_dead (write->record);
      g_autofree char *what = NULL;
      g_autofree char *instead = NULL;

      if (!write->given && (writer->store == NULL || writer->memory != write->memory))
        continue;
      if (held != NULL && gkv_record_compare (held, write->record) >= 0)
        continue;
      /* What has ended is dropped everywhere; the dead mark of an earlier one may come after that. */
      if ((held == NULL || gkv_record_is_dead (held)) && has_ended (writes, write->record))
        continue;
      if (has_ended_by_itself (writes, write->record))
        continue;
      /* A tombstone that is made again from what is remembered has another writer. */
      if (held != NULL && dead && gkv_record_is_dead (held) && held->stamp >= write->record->stamp)
        continue;

      what = describe (write->record);
      instead = describe (held);
      sim_cluster_complain (cluster, "%s was lost: %s is held", what, instead);
    }
}

typedef struct
{
  GkvSummary sum;
  guint64 n_visible;
  guint64 n_dead;
} Tally;

static gboolean
tally_up (GkvRecord *record, gpointer user_data)
{
  Tally *tally = user_data;

  gkv_fingerprint_add (&tally->sum.fingerprint, &record->fingerprint);
  tally->sum.count++;
  tally->n_dead += gkv_record_is_dead (record);
  tally->n_visible += !gkv_record_is_dead (record);
  return TRUE;
}

static void
check_sums (SimNode *node)
{
  GkvSummary root;
  Tally tally = { 0 };

  gkv_store_summarise (node->store, (GkvRange){ 0 }, &root);
  gkv_store_foreach (node->store, (GkvRange){ 0 }, 0, tally_up, &tally);

  if (root.count != tally.sum.count || !gkv_fingerprint_equal (&root.fingerprint, &tally.sum.fingerprint) ||
      tally.n_dead != gkv_store_get_n_tombstones (node->store) ||
      tally.n_visible != gkv_store_get_n_visible (node->store))
    sim_cluster_complain (node->cluster, "the sums in the store of %s are wrong", node->id);
}

static void
check_mirror (SimNode *node, GHashTable *map)
{
  GHashTableIter iter;
  const char *key;
  GkvRecord *record;

  if (node->mirror == NULL)
    return;

  g_hash_table_iter_init (&iter, node->mirror);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &record))
    {
      GkvRecord *held = g_hash_table_lookup (map, key);

      if (!is_same (held, record) && (held != NULL || !gkv_record_is_dead (record)))
        sim_cluster_complain (node->cluster, "%s holds another record of \"%s\" than it told", node->id, key);
    }

  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &record))
    if (!gkv_record_is_dead (record) && !g_hash_table_contains (node->mirror, key))
      sim_cluster_complain (node->cluster, "%s never told of \"%s\"", node->id, key);
}

static void
check_maps_equal (SimNode *first, SimNode *node, GHashTable *map)
{
  GHashTableIter iter;
  const char *key;
  GkvRecord *record;

  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &record))
    {
      GkvRecord *mine = sim_node_get (node, key);
      GkvRecord *theirs = sim_node_get (first, key);

      if ((mine == NULL) != (theirs == NULL) || (mine != NULL && !gkv_record_same_value (mine, theirs)))
        sim_cluster_complain (node->cluster, "%s and %s show different values of \"%s\"", first->id, node->id, key);
    }
}

void
sim_check_promises (SimCluster *cluster)
{
  gboolean small = cluster->nodes->len <= MAX_COMPARED;
  SimNode *any = NULL;
  GHashTableIter iter;
  const char *key;
  GPtrArray *writes;

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);
      g_autoptr (GHashTable) map = NULL;

      if (node->state != SIM_NODE_UP)
        continue;

      any = any != NULL ? any : node;
      if (node->options.max_removals == 0 && sim_node_get_stat (node, "records-doubted") > 0)
        sim_cluster_complain (cluster, "%s doubts a record, though it can remember all removals", node->id);
      check_sums (node);
      if (!small)
        continue;

      map = get_map (node);
      check_mirror (node, map);
      check_maps_equal (get_first (cluster, node), node, map);
    }

  if (any == NULL)
    return;

  g_hash_table_iter_init (&iter, cluster->ledger);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &writes))
    {
      GkvRecord *held = gkv_store_lookup (any->store, key, strlen (key));

      if (held != NULL)
        check_record (cluster, held);
      check_lost (cluster, key, writes, held);
    }
}
