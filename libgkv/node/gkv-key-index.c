/* GkvKeyIndex: records in the order of their keys, each of which has a position.
 *
 * A counted B+-tree: gkv-key-node.h says what its nodes are. A full node is split in two on the way to a key that is to
 * be put in, and one that has lost many of its items is merged with a neighbour.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-key-index.h"

#include "gkv-key-node.h"

#include <string.h>

/* A node that gets smaller than this is merged with a neighbour, if that makes one of at most MAX_MERGED. Two
 * neighbours so have MERGE_BELOW items each on average. */
#define MERGE_BELOW (GKV_KEY_NODE_MAX_ITEMS * 3 / 8)
#define MAX_MERGED  (GKV_KEY_NODE_MAX_ITEMS * 3 / 4)
/* By the number of items that nodes have on average, no machine's memory makes a tree deeper. */
#define MAX_DEPTH (16)

typedef struct
{
  GkvKeyNode *node;
  guint index;
} GkvKeyStep;

/* The way to a key: the branches, from the root down. */
typedef struct
{
  GkvKeyStep steps[MAX_DEPTH];
  guint depth;
} GkvKeyPath;

struct _GkvKeyIndex
{
  GkvKeyNode *root; /* NULL: empty */
  gboolean owns_records;
  guint size;
  gsize bytes;
};

/* Searching */

/* Finds the leaf of @key, and its place there. */
static GkvKeyNode *
find_leaf (GkvKeyIndex *self, const char *key, gsize len, GkvKeyPath *path, guint *index, gboolean *found)
{
  GkvKeyNode *node = self->root;
  gsize known = 0;

  path->depth = 0;
  while (node->level > 0)
    {
      guint i = gkv_key_node_search_branch (node, key, len, &known);

      path->steps[path->depth++] = (GkvKeyStep){ node, i };
      node = gkv_key_node_get_children (node)[i];
    }

  *index = gkv_key_node_search (node, key, len, &known, found);

  return node;
}

/* The position of the item at @index of the leaf that @path leads to. */
static guint
get_position (const GkvKeyPath *path, guint index)
{
  guint position = index;

  for (guint i = 0; i < path->depth; i++)
    position += gkv_key_node_sum_counts (path->steps[i].node, path->steps[i].index);

  return position;
}

/* Changing */

/* Has child @i of the branch at @place keep the first half of its items; a new one behind it takes the rest. */
static void
split_child (GkvKeyIndex *self, GkvKeyNode **place, guint i)
{
  GkvKeyNode *parent, *left, *right;
  guint half = GKV_KEY_NODE_MAX_ITEMS / 2;
  guint n_moved;

  *place = parent = gkv_key_node_make_room (*place, &self->bytes);
  left = gkv_key_node_get_children (parent)[i];

  right = gkv_key_node_new (left->level, left->n - half, &self->bytes);
  right->skip = left->skip;
  right->n = left->n - half;
  gkv_key_node_copy (right, 0, left, half, right->n);
  left->n = half;
  left = gkv_key_node_resize (left, half, &self->bytes);
  gkv_key_node_tighten (left);
  gkv_key_node_tighten (right);

  n_moved = gkv_key_node_count_below (right);
  gkv_key_node_open (parent, i + 1);
  gkv_key_node_get_children (parent)[i] = left;
  gkv_key_node_get_counts (parent)[i] -= n_moved;
  gkv_key_node_get_children (parent)[i + 1] = right;
  gkv_key_node_get_counts (parent)[i + 1] = n_moved;
  gkv_key_node_set (parent, i + 1, gkv_key_node_get_records (right)[0]);
}

static void
grow_root (GkvKeyIndex *self)
{
  GkvKeyNode *root = gkv_key_node_new (self->root->level + 1, 1, &self->bytes);

  g_assert (root->level < MAX_DEPTH);
  root->n = 1;
  gkv_key_node_get_children (root)[0] = self->root;
  gkv_key_node_get_counts (root)[0] = self->size;
  gkv_key_node_set (root, 0, gkv_key_node_get_records (self->root)[0]);
  self->root = root;
}

/* Finds the leaf of @key with room for one item more. Returns where it stands. */
static GkvKeyNode **
prepare_leaf (GkvKeyIndex *self, const char *key, gsize len, GkvKeyPath *path, gsize *known)
{
  GkvKeyNode **place = &self->root;

  if (self->root->n == GKV_KEY_NODE_MAX_ITEMS)
    grow_root (self);

  *known = 0;
  path->depth = 0;
  while ((*place)->level > 0)
    {
      guint i = gkv_key_node_search_branch (*place, key, len, known);

      if (gkv_key_node_get_children (*place)[i]->n == GKV_KEY_NODE_MAX_ITEMS)
        {
          split_child (self, place, i);
          i = gkv_key_node_search_branch (*place, key, len, known);
        }

      path->steps[path->depth++] = (GkvKeyStep){ *place, i };
      place = &gkv_key_node_get_children (*place)[i];
    }

  return place;
}

/* Has the branches on @path count @change records more, and name the first record of each child. */
static void
update_path (const GkvKeyPath *path, int change)
{
  for (guint depth = path->depth; depth-- > 0;)
    {
      GkvKeyNode *node = path->steps[depth].node;
      guint i = path->steps[depth].index;
      GkvRecord *first = gkv_key_node_get_records (gkv_key_node_get_children (node)[i])[0];

      gkv_key_node_get_counts (node)[i] += change;
      if (gkv_key_node_get_records (node)[i] != first)
        gkv_key_node_set (node, i, first);
    }
}

static void
replace_record (const GkvKeyPath *path, GkvKeyNode *leaf, guint index, GkvRecord *record)
{
  GkvRecord *old = gkv_key_node_get_records (leaf)[index];

  gkv_key_node_get_records (leaf)[index] = record;
  for (guint depth = path->depth; depth-- > 0;)
    {
      GkvRecord **place = &gkv_key_node_get_records (path->steps[depth].node)[path->steps[depth].index];

      if (*place != old)
        return;
      *place = record;
    }
}

/* Merges children @i and @i + 1, unless that would make too large a node. */
static gboolean
merge_children (GkvKeyIndex *self, GkvKeyNode *parent, guint i)
{
  GkvKeyNode *left = gkv_key_node_get_children (parent)[i];
  GkvKeyNode *right = gkv_key_node_get_children (parent)[i + 1];

  if (left->n + right->n > MAX_MERGED)
    return FALSE;

  left = gkv_key_node_resize (left, left->n + right->n, &self->bytes);
  gkv_key_node_copy (left, left->n, right, 0, right->n);
  left->n += right->n;
  gkv_key_node_measure (left);
  gkv_key_node_free (right, &self->bytes);

  gkv_key_node_get_children (parent)[i] = left;
  gkv_key_node_get_counts (parent)[i] += gkv_key_node_get_counts (parent)[i + 1];
  gkv_key_node_close (parent, i + 1);

  return TRUE;
}

/* Mends child @i of @parent after an item of it has gone. */
static void
shrink_child (GkvKeyIndex *self, GkvKeyNode *parent, guint i)
{
  GkvKeyNode *child = gkv_key_node_get_children (parent)[i];

  if (child->n == 0)
    {
      gkv_key_node_free (child, &self->bytes);
      gkv_key_node_close (parent, i);
      return;
    }

  if (child->n < MERGE_BELOW &&
      ((i + 1 < parent->n && merge_children (self, parent, i)) || (i > 0 && merge_children (self, parent, i - 1))))
    return;

  gkv_key_node_get_children (parent)[i] = gkv_key_node_drop_room (child, &self->bytes);
}

static void
shrink_root (GkvKeyIndex *self)
{
  while (self->root->level > 0 && self->root->n == 1)
    {
      GkvKeyNode *root = self->root;

      self->root = gkv_key_node_get_children (root)[0];
      gkv_key_node_free (root, &self->bytes);
    }

  if (self->root->n == 0)
    {
      gkv_key_node_free (self->root, &self->bytes);
      self->root = NULL;
    }
  else
    {
      self->root = gkv_key_node_drop_room (self->root, &self->bytes);
    }
}

static void
free_below (GkvKeyIndex *self, GkvKeyNode *node)
{
  for (guint i = 0; i < node->n; i++)
    {
      if (node->level > 0)
        free_below (self, gkv_key_node_get_children (node)[i]);
      else if (self->owns_records)
        gkv_record_unref (gkv_key_node_get_records (node)[i]);
    }

  gkv_key_node_free (node, &self->bytes);
}

static guint
read_below (GkvKeyNode *node, guint position, GkvRecord **records, guint n)
{
  guint n_read = 0;

  if (node->level == 0)
    {
      n = MIN (n, node->n - position);
      memcpy (records, gkv_key_node_get_records (node) + position, n * sizeof *records);
      return n;
    }

  for (guint i = 0; i < node->n && n_read < n; i++)
    {
      guint count = gkv_key_node_get_counts (node)[i];

      if (position >= count)
        {
          position -= count;
          continue;
        }

      n_read += read_below (gkv_key_node_get_children (node)[i], position, records + n_read, n - n_read);
      position = 0;
    }

  return n_read;
}

/* Where the first key stands that isn't before the @len bytes at @key. */
static GkvRecord *
find_key (GkvKeyIndex *self, const char *key, gsize len, guint *position)
{
  GkvKeyPath path;
  GkvKeyNode *leaf;
  gboolean found = FALSE;
  guint index;

  if (position != NULL)
    *position = 0;
  if (self->root == NULL)
    return NULL;

  leaf = find_leaf (self, key, len, &path, &index, &found);
  if (position != NULL)
    *position = get_position (&path, index);

  return found ? gkv_key_node_get_records (leaf)[index] : NULL;
}

/* internal */

GkvKeyIndex *
gkv_key_index_new (gboolean owns_records)
{
  GkvKeyIndex *self = g_new0 (GkvKeyIndex, 1);

  self->owns_records = owns_records;
  self->bytes = sizeof *self;

  return self;
}

void
gkv_key_index_free (GkvKeyIndex *self)
{
  if (self->root != NULL)
    free_below (self, self->root);

  g_free (self);
}

guint
gkv_key_index_get_size (GkvKeyIndex *self)
{
  return self->size;
}

gsize
gkv_key_index_get_bytes (GkvKeyIndex *self)
{
  return self->bytes;
}

gboolean
gkv_key_index_insert (GkvKeyIndex *self, GkvRecord *record, guint *position)
{
  const char *key = gkv_record_get_key (record);
  GkvKeyPath path;
  GkvKeyNode **place, *leaf;
  gboolean found;
  gsize known;
  guint index;

  if (self->owns_records)
    gkv_record_ref (record);
  if (self->root == NULL)
    self->root = gkv_key_node_new (0, 1, &self->bytes);

  place = prepare_leaf (self, key, record->key_len, &path, &known);
  leaf = *place;
  index = leaf->n > 0 ? gkv_key_node_search (leaf, key, record->key_len, &known, &found) : 0;
  if (position != NULL)
    *position = get_position (&path, index);

  if (leaf->n > 0 && found)
    {
      GkvRecord *old = gkv_key_node_get_records (leaf)[index];

      replace_record (&path, leaf, index, record);
      if (self->owns_records)
        gkv_record_unref (old);
      return FALSE;
    }

  *place = leaf = gkv_key_node_make_room (leaf, &self->bytes);
  gkv_key_node_open (leaf, index);
  if (known >= leaf->skip)
    gkv_key_node_put (leaf, index, record);
  else
    gkv_key_node_set (leaf, index, record);
  update_path (&path, 1);
  self->size++;

  return TRUE;
}

gboolean
gkv_key_index_remove (GkvKeyIndex *self, const char *key, guint *position)
{
  GkvKeyPath path;
  GkvKeyNode *leaf;
  GkvRecord *record;
  gboolean found = FALSE;
  guint index = 0;

  path.depth = 0;
  leaf = self->root != NULL ? find_leaf (self, key, strlen (key), &path, &index, &found) : NULL;
  if (position != NULL)
    *position = get_position (&path, index);
  if (!found)
    return FALSE;

  record = gkv_key_node_get_records (leaf)[index];
  gkv_key_node_close (leaf, index);
  for (guint depth = path.depth; depth-- > 0;)
    {
      GkvKeyNode *node = path.steps[depth].node;
      guint i = path.steps[depth].index;
      GkvKeyNode *child = gkv_key_node_get_children (node)[i];

      gkv_key_node_get_counts (node)[i]--;
      if (child->n > 0 && gkv_key_node_get_records (node)[i] != gkv_key_node_get_records (child)[0])
        gkv_key_node_set (node, i, gkv_key_node_get_records (child)[0]);
      shrink_child (self, node, i);
    }
  shrink_root (self);
  self->size--;

  if (self->owns_records)
    gkv_record_unref (record);

  return TRUE;
}

GkvRecord *
gkv_key_index_lookup (GkvKeyIndex *self, const char *key, guint *position)
{
  return find_key (self, key, strlen (key), position);
}

GkvRecord *
gkv_key_index_get (GkvKeyIndex *self, guint position)
{
  GkvRecord *record = NULL;

  if (position < self->size)
    read_below (self->root, position, &record, 1);

  return record;
}

guint
gkv_key_index_find_prefix (GkvKeyIndex *self, const char *prefix, guint *position)
{
  g_autofree char *end = g_strdup (prefix);
  gsize len = strlen (prefix);
  guint first, after = self->size;

  find_key (self, prefix, len, &first);
  if (position != NULL)
    *position = first;

  /* The least bytes that are above all that begin with the prefix. Behind a prefix of nothing but 255 nothing stands.
   */
  while (len > 0 && (guchar) end[len - 1] == 0xff)
    len--;
  if (len > 0)
    {
      end[len - 1]++;
      find_key (self, end, len, &after);
    }

  return after - first;
}

guint
gkv_key_index_read (GkvKeyIndex *self, guint position, GkvRecord **records, guint n)
{
  return position < self->size ? read_below (self->root, position, records, n) : 0;
}

guint
gkv_key_index_read_prefix (GkvKeyIndex *self, const char *prefix, const char *after, GkvRecord **records, guint n)
{
  guint first, behind = 0;
  guint end = gkv_key_index_find_prefix (self, prefix, &first) + first;

  if (after != NULL && find_key (self, after, strlen (after), &behind) != NULL)
    behind++;
  first = MAX (first, behind);

  return first < end ? gkv_key_index_read (self, first, records, MIN (n, end - first)) : 0;
}
