/* SimLag: how late each write arrives where, and how much of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-lag.h"

#include "sim-check.h"

#include <string.h>

void
sim_lag_took (SimNode *node, GkvRecord *record, GkvRecord *held)
{
  const char *key = gkv_record_get_key (record);
  gint64 *longest = g_hash_table_lookup (node->lags, key);
  SimNode *writer;
  gint64 at;

  node->bytes_taken += record->key_len + record->content_len;
  if (sim_check_find_overtaken (node, key, held, &writer, &at) == NULL)
    return;

  if (longest == NULL)
    {
      longest = g_new0 (gint64, 1);
      g_hash_table_insert (node->lags, g_strdup (key), longest);
    }
  *longest = MAX (*longest, sim_network_get_now (node->cluster->network) - MAX (at, node->lags_from));
}

void
sim_lag_foreach (SimNode *node, SimLagFunc func, gpointer user_data)
{
  GHashTableIter iter;
  const char *key;

  g_hash_table_iter_init (&iter, node->cluster->ledger);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, NULL))
    {
      GkvRecord *held = gkv_store_lookup (node->store, key, strlen (key));
      SimNode *writer;
      gint64 at;
      GkvRecord *write = sim_check_find_overtaken (node, key, held, &writer, &at);

      if (write != NULL)
        func (node, write, writer, MAX (at, node->lags_from), user_data);
    }
}

typedef struct
{
  const char *prefix;
  const char *key;
  gint64 longest;
} Longest;

static void
take_longer (SimNode *node, GkvRecord *write, SimNode *writer, gint64 since, gpointer user_data)
{
  gint64 lag = sim_network_get_now (node->cluster->network) - since;
  const char *key = gkv_record_get_key (write);
  Longest *longest = user_data;

  if (!g_str_has_prefix (key, longest->prefix) || lag <= longest->longest)
    return;

  longest->longest = lag;
  longest->key = key;
}

gint64
sim_lag_get_longest (SimNode *node, const char *prefix, const char **key)
{
  Longest longest = { .prefix = prefix };
  GHashTableIter iter;
  const char *name;
  gint64 *lag;

  /* Those that lag still, and those that did. */
  sim_lag_foreach (node, take_longer, &longest);
  g_hash_table_iter_init (&iter, node->lags);
  while (g_hash_table_iter_next (&iter, (gpointer *) &name, (gpointer *) &lag))
    if (g_str_has_prefix (name, prefix) && *lag > longest.longest)
      {
        longest.longest = *lag;
        longest.key = name;
      }

  if (key != NULL)
    *key = longest.key;
  return longest.longest;
}

void
sim_lag_reset (SimNode *node)
{
  node->lags_from = sim_network_get_now (node->cluster->network);
  node->bytes_taken = 0;
  g_hash_table_remove_all (node->lags);
}
