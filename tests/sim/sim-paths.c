/* SimPaths: who had a path to whom, and since when.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-paths.h"

#define KEPT (300 * SIM_SECOND)

/* The part of a node that doesn't run. */
#define NO_PART G_MAXUINT

/* From .at on, until the next one: two nodes have a path between them if they are of one part. */
typedef struct
{
  gint64 at;
  guint n_nodes;
  guint parts[SIM_PATHS_MAX_NODES];
} Parts;

typedef struct
{
  gint64 parted_at; /* -1: it isn't */
  guint n;
} Splits;

struct _SimPaths
{
  SimCluster *cluster;
  gint64 least;
  guint n_state_changes; /* those of the cluster and of its links that the newest parts show */
  guint links_version;
  GQueue history;                                          /* Parts, oldest first */
  Splits splits[SIM_PATHS_MAX_NODES][SIM_PATHS_MAX_NODES]; /* of the first from the second */
};

static guint
get_part (const Parts *parts, guint node)
{
  return node < parts->n_nodes ? parts->parts[node] : NO_PART;
}

static gboolean
are_linked (SimCluster *cluster, SimNode *a, SimNode *b)
{
  SimLinks *links = sim_network_get_links (cluster->network);
  const SimEnd ends[] = { { a->index, a->side }, { b->index, b->side } };

  return sim_links_is_open (links, ends[0], ends[1]) && sim_links_is_open (links, ends[1], ends[0]);
}

/* Gives all that can be reached from @start the part of @start. */
static void
spread (SimCluster *cluster, Parts *parts, guint start)
{
  guint todo[SIM_PATHS_MAX_NODES];
  guint n_todo = 0;

  parts->parts[start] = start;
  todo[n_todo++] = start;
  while (n_todo > 0)
    {
      SimNode *node = sim_cluster_get (cluster, todo[--n_todo]);

      for (guint i = 0; i < parts->n_nodes; i++)
        {
          SimNode *other = sim_cluster_get (cluster, i);

          if (other->state != SIM_NODE_UP || parts->parts[i] != NO_PART || !are_linked (cluster, node, other))
            continue;

          parts->parts[i] = start;
          todo[n_todo++] = i;
        }
    }
}

static Parts *
make_parts (SimCluster *cluster)
{
  Parts *parts = g_new0 (Parts, 1);

  parts->at = sim_network_get_now (cluster->network);
  parts->n_nodes = cluster->nodes->len;
  for (guint i = 0; i < parts->n_nodes; i++)
    parts->parts[i] = NO_PART;
  for (guint i = 0; i < parts->n_nodes; i++)
    if (parts->parts[i] == NO_PART && sim_cluster_get (cluster, i)->state == SIM_NODE_UP)
      spread (cluster, parts, i);

  return parts;
}

static void
count_split (SimPaths *self, const Parts *parts, guint node, guint from)
{
  Splits *splits = &self->splits[node][from];
  guint part = parts->parts[node];

  /* A node that sleeps sees nobody go. */
  if (parts->parts[from] == NO_PART && part != NO_PART)
    return;

  if (part == NO_PART || part != parts->parts[from])
    {
      if (splits->parted_at < 0)
        splits->parted_at = parts->at;
    }
  else if (splits->parted_at >= 0)
    {
      splits->n += parts->at - splits->parted_at >= self->least;
      splits->parted_at = -1;
    }
}

static void
count_splits (SimPaths *self, const Parts *parts)
{
  for (guint i = 0; i < parts->n_nodes; i++)
    for (guint j = 0; j < parts->n_nodes; j++)
      if (i != j)
        count_split (self, parts, i, j);
}

static void
forget_old (SimPaths *self)
{
  gint64 oldest = sim_network_get_now (self->cluster->network) - KEPT;

  while (self->history.length > 1 && ((Parts *) self->history.head->next->data)->at <= oldest)
    g_free (g_queue_pop_head (&self->history));
}

void
sim_paths_look (SimPaths *self)
{
  SimCluster *cluster = self->cluster;
  guint version = sim_links_get_version (sim_network_get_links (cluster->network));
  Parts *parts;

  if (!sim_paths_are_known (self) ||
      (self->history.length > 0 && self->links_version == version && self->n_state_changes == cluster->n_state_changes))
    return;

  parts = make_parts (cluster);
  count_splits (self, parts);
  g_queue_push_tail (&self->history, parts);
  forget_old (self);
  self->links_version = version;
  self->n_state_changes = cluster->n_state_changes;
}

gboolean
sim_paths_are_known (SimPaths *self)
{
  return self->cluster->nodes->len <= SIM_PATHS_MAX_NODES;
}

gboolean
sim_paths_is_connected (SimPaths *self, SimNode *node)
{
  const Parts *parts = g_queue_peek_tail (&self->history);

  if (parts == NULL || get_part (parts, node->index) == NO_PART)
    return FALSE;

  for (guint i = 0; i < parts->n_nodes; i++)
    if (i != node->index && parts->parts[i] == parts->parts[node->index])
      return TRUE;

  return FALSE;
}

gboolean
sim_paths_are_joined (SimPaths *self, SimNode *a, SimNode *b)
{
  const Parts *parts = g_queue_peek_tail (&self->history);

  return parts != NULL && get_part (parts, a->index) != NO_PART &&
         get_part (parts, a->index) == get_part (parts, b->index);
}

gint64
sim_paths_get_parted (SimPaths *self, SimNode *from, SimNode *to)
{
  gint64 now = sim_network_get_now (self->cluster->network);
  gint64 oldest = now - KEPT;
  gint64 longest = 0, parted = 0;

  for (GList *l = self->history.head; l != NULL; l = l->next)
    {
      const Parts *parts = l->data;
      gint64 begin = MAX (parts->at, oldest);
      gint64 end = l->next != NULL ? ((const Parts *) l->next->data)->at : now;

      if (get_part (parts, to->index) == NO_PART && get_part (parts, from->index) != NO_PART)
        continue;

      if (get_part (parts, from->index) == get_part (parts, to->index) && get_part (parts, to->index) != NO_PART)
        parted = 0;
      else
        parted += end - begin;
      longest = MAX (longest, parted);
    }

  return longest;
}

guint
sim_paths_count_splits (SimPaths *self, SimNode *node)
{
  gint64 now = sim_network_get_now (self->cluster->network);
  guint most = 0;

  for (guint i = 0; i < SIM_PATHS_MAX_NODES; i++)
    {
      const Splits *splits = &self->splits[node->index][i];

      most = MAX (most, splits->n + (splits->parted_at >= 0 && now - splits->parted_at >= self->least));
    }

  return most;
}

SimPaths *
sim_paths_new (SimCluster *cluster, gint64 least)
{
  SimPaths *self = g_new0 (SimPaths, 1);

  self->cluster = cluster;
  self->least = least;
  g_queue_init (&self->history);
  for (guint i = 0; i < SIM_PATHS_MAX_NODES; i++)
    for (guint j = 0; j < SIM_PATHS_MAX_NODES; j++)
      self->splits[i][j].parted_at = -1;

  return self;
}

void
sim_paths_free (SimPaths *self)
{
  g_queue_clear_full (&self->history, g_free);
  g_free (self);
}
