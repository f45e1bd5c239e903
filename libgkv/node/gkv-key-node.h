/* GkvKeyNode: a node of a GkvKeyIndex.
 *
 * The items of a leaf are records, in the order of their keys. Those of a branch are nodes, each with the number of
 * records below it and the first of these. Beside each record stands a word: eight bytes of its key, those that follow
 * what the keys of the node have in common. A search compares words, and reads a record only where they are equal, or
 * where the sought key isn't known to begin with the node's common bytes. That matters because a record is a cache
 * miss, which costs as much as all the rest.
 *
 * The arrays of a node grow in small steps, so that little of them is empty. Then the node moves, as it does wherever a
 * function returns one: the caller puts it where the old one stood. @bytes counts the memory of all nodes of a tree.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "store/gkv-record.h"

#define GKV_KEY_NODE_MAX_ITEMS (128)

/* Behind the head stand the arrays, @capacity long: words, records and, in a branch, children and counts. */
typedef struct
{
  guint32 skip; /* at least so many first bytes the keys of the records here have in common */
  guint16 n;
  guint16 capacity;
  guint32 level; /* 0: a leaf */
  guint32 padding;
} GkvKeyNode;

static inline guint64 *
gkv_key_node_get_words (GkvKeyNode *node)
{
  return (guint64 *) (node + 1);
}

static inline GkvRecord **
gkv_key_node_get_records (GkvKeyNode *node)
{
  return (GkvRecord **) (gkv_key_node_get_words (node) + node->capacity);
}

/* Of a branch only. */
static inline GkvKeyNode **
gkv_key_node_get_children (GkvKeyNode *node)
{
  return (GkvKeyNode **) (gkv_key_node_get_records (node) + node->capacity);
}

/* Of a branch only: the records below each child. */
static inline guint *
gkv_key_node_get_counts (GkvKeyNode *node)
{
  return (guint *) (gkv_key_node_get_children (node) + node->capacity);
}

/* With room for @n items. */
GkvKeyNode *gkv_key_node_new (guint level, guint n, gsize *bytes);
void gkv_key_node_free (GkvKeyNode *node, gsize *bytes);

/* With room for @n items, and little more. */
GkvKeyNode *gkv_key_node_resize (GkvKeyNode *node, guint n, gsize *bytes);
/* With room for one item more. */
GkvKeyNode *gkv_key_node_make_room (GkvKeyNode *node, gsize *bytes);
/* Without the room of many items that have gone. */
GkvKeyNode *gkv_key_node_drop_room (GkvKeyNode *node, gsize *bytes);

/* Copies @n items with all that belongs to them. */
void gkv_key_node_copy (GkvKeyNode *to, guint to_index, GkvKeyNode *from, guint from_index, guint n);
/* Makes a gap at @i for an item whose parts the caller sets, or closes it. */
void gkv_key_node_open (GkvKeyNode *node, guint i);
void gkv_key_node_close (GkvKeyNode *node, guint i);

/* Puts @record where item @i is, which has no record yet, or another one. */
void gkv_key_node_set (GkvKeyNode *node, guint i, GkvRecord *record);
/* The same where its key is known to begin with the node's common bytes, without reading another record. */
void gkv_key_node_put (GkvKeyNode *node, guint i, GkvRecord *record);

/* Reads all words anew. */
void gkv_key_node_measure (GkvKeyNode *node);
/* The same, but only where the words have many bytes in common. */
void gkv_key_node_tighten (GkvKeyNode *node);

/* All records at and below it; those below the first @n children. */
guint gkv_key_node_count_below (GkvKeyNode *node);
guint gkv_key_node_sum_counts (GkvKeyNode *node, guint n);

/* The first item that isn't before @key. @known: (inout): so many bytes of it are known to be those of the first record
 * here. */
guint gkv_key_node_search (GkvKeyNode *node, const char *key, gsize len, gsize *known, gboolean *found);
/* The child of a branch in which @key is, or would be. @known: the same, and then for that child. */
guint gkv_key_node_search_branch (GkvKeyNode *node, const char *key, gsize len, gsize *known);

G_END_DECLS
