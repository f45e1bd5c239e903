/* What is promised, and whether it was kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-check.h"

#include <string.h>

static const GkvRange everything = { 0, 0 };

GHashTable *
sim_ledger_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) gkv_record_unref);
}

static void
enter (SimCluster *cluster, GkvRecord *record)
{
  g_hash_table_replace (cluster->ledger, (gpointer) gkv_record_get_key (record), gkv_record_ref (record));
}

void
sim_check_wrote (SimNode *node, GkvRecord *record, GkvRecord *seen, GkvStoreResult result)
{
  GkvRecord *best = g_hash_table_lookup (node->cluster->ledger, gkv_record_get_key (record));

  if (seen != NULL && gkv_record_compare (record, seen) <= 0)
    sim_cluster_complain (node->cluster, "%s wrote “%s” below what it had seen", node->id, gkv_record_get_key (record));
  if (result != GKV_STORE_TAKEN)
    sim_cluster_complain (node->cluster, "%s did not take its own write of “%s”", node->id,
                          gkv_record_get_key (record));
  if (best == NULL || gkv_record_compare (record, best) > 0)
    enter (node->cluster, record);
}

void
sim_check_changed (SimNode *node, GkvRecord *record, GkvRecord *replaced)
{
  if (replaced != NULL && gkv_record_compare (record, replaced) <= 0)
    sim_cluster_complain (node->cluster, "%s replaced “%s” by something older", node->id, gkv_record_get_key (record));
}

static GkvRecord *
lookup (SimNode *node, GkvRecord *record)
{
  return node->store != NULL ? gkv_store_lookup (node->store, gkv_record_get_key (record), record->key_len) : NULL;
}

void
sim_check_forgets (SimNode *node)
{
  g_autoptr (GPtrArray) expected = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  GHashTableIter iter;
  GkvRecord *record;

  g_hash_table_iter_init (&iter, node->cluster->ledger);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &record))
    g_ptr_array_add (expected, gkv_record_ref (record));

  for (guint i = 0; i < expected->len; i++)
    {
      GkvRecord *best = NULL;

      record = g_ptr_array_index (expected, i);

      for (guint j = 0; j < node->cluster->nodes->len; j++)
        {
          SimNode *other = sim_cluster_get (node->cluster, j);
          GkvRecord *held = other != node ? lookup (other, record) : NULL;

          if (held != NULL && (best == NULL || gkv_record_compare (held, best) > 0))
            best = held;
        }

      if (best == NULL)
        g_hash_table_remove (node->cluster->ledger, gkv_record_get_key (record));
      else if (gkv_record_compare (best, record) < 0)
        enter (node->cluster, best);
    }
}

gboolean
sim_check_converged (SimCluster *cluster)
{
  GkvSummary first = { 0 };
  gboolean have_first = FALSE;

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);
      GkvSummary summary;

      if (node->state != SIM_NODE_UP)
        continue;

      gkv_store_summarise (node->store, everything, &summary);
      if (!have_first)
        first = summary;
      else if (summary.count != first.count || !gkv_fingerprint_equal (&summary.fingerprint, &first.fingerprint))
        return FALSE;
      have_first = TRUE;
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

      if (node->state == SIM_NODE_UP &&
          (gkv_store_get_n_aside (node->store) > 0 || gkv_store_peek_deadline (node->store, &deadline) != NULL))
        return FALSE;
    }

  return TRUE;
}

void
sim_check_promises (SimCluster *cluster)
{
  GHashTableIter iter;
  GkvRecord *expected;

  g_hash_table_iter_init (&iter, cluster->ledger);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &expected))
    for (guint i = 0; i < cluster->nodes->len; i++)
      {
        SimNode *node = sim_cluster_get (cluster, i);
        GkvRecord *held;

        if (node->state != SIM_NODE_UP)
          continue;

        held = lookup (node, expected);
        if (held == NULL)
          sim_cluster_complain (cluster, "%s lost “%s”", node->id, gkv_record_get_key (expected));
        /* What was deleted and has come back is below its tombstone, too. */
        else if (gkv_record_compare (held, expected) < 0)
          sim_cluster_complain (cluster, "%s has “%s” as it was before the last write", node->id,
                                gkv_record_get_key (expected));
      }
}

char *
sim_check_describe_difference (SimCluster *cluster)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < cluster->nodes->len; i++)
    {
      SimNode *node = sim_cluster_get (cluster, i);
      GkvSummary summary = { 0 };

      if (node->store != NULL)
        gkv_store_summarise (node->store, everything, &summary);
      g_string_append_printf (text, "%s%s has %" G_GUINT64_FORMAT " records, %016" G_GINT64_MODIFIER "x",
                              i > 0 ? ", " : "", node->id, summary.count, summary.fingerprint.lo);
    }

  return g_string_free (text, FALSE);
}
