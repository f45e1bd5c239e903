/* GkvKeyNode: a node of a GkvKeyIndex.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-key-node.h"

#include <string.h>

/* By so many items its arrays grow. */
#define STEP (16)
/* So many places are left empty where items go. Greater than STEP, lest the next item that comes moves all again. */
#define MAX_EMPTY  (STEP * 3 / 2)
#define WORD_BYTES (8)
#define CACHE_LINE (64)
/* So many cache lines behind a node's head have the words of nearly all nodes. */
#define PREFETCHED (12)
/* Words are read anew when this many of their bytes are the same in the whole node. */
#define ENOUGH_COMMON (4)

/* Memory */

static gsize
measure_node (guint level, guint capacity)
{
  gsize item = sizeof (guint64) + sizeof (GkvRecord *);

  if (level > 0)
    item += sizeof (GkvKeyNode *) + sizeof (guint);

  return sizeof (GkvKeyNode) + capacity * item;
}

/* The memory of an allocation: glibc adds a word and rounds up to 16 bytes. */
static gsize
weigh_node (const GkvKeyNode *node)
{
  return (measure_node (node->level, node->capacity) + sizeof (gsize) + 15) & ~(gsize) 15;
}

static guint
choose_capacity (guint n)
{
  if (n <= 4)
    return 4;

  return n <= STEP / 2 ? STEP / 2 : (n + STEP - 1) / STEP * STEP;
}

GkvKeyNode *
gkv_key_node_new (guint level, guint n, gsize *bytes)
{
  guint capacity = choose_capacity (n);
  GkvKeyNode *node = g_malloc (measure_node (level, capacity));

  node->skip = 0;
  node->n = 0;
  node->capacity = capacity;
  node->level = level;
  node->padding = 0;
  *bytes += weigh_node (node);

  return node;
}

void
gkv_key_node_free (GkvKeyNode *node, gsize *bytes)
{
  *bytes -= weigh_node (node);
  g_free (node);
}

void
gkv_key_node_copy (GkvKeyNode *to, guint to_index, GkvKeyNode *from, guint from_index, guint n)
{
  memmove (gkv_key_node_get_words (to) + to_index, gkv_key_node_get_words (from) + from_index, n * sizeof (guint64));
  memmove (gkv_key_node_get_records (to) + to_index, gkv_key_node_get_records (from) + from_index,
           n * sizeof (GkvRecord *));
  if (to->level == 0)
    return;

  memmove (gkv_key_node_get_children (to) + to_index, gkv_key_node_get_children (from) + from_index,
           n * sizeof (GkvKeyNode *));
  memmove (gkv_key_node_get_counts (to) + to_index, gkv_key_node_get_counts (from) + from_index, n * sizeof (guint));
}

GkvKeyNode *
gkv_key_node_resize (GkvKeyNode *node, guint n, gsize *bytes)
{
  GkvKeyNode *resized = gkv_key_node_new (node->level, n, bytes);

  resized->skip = node->skip;
  resized->n = node->n;
  gkv_key_node_copy (resized, 0, node, 0, node->n);
  gkv_key_node_free (node, bytes);

  return resized;
}

guint
gkv_key_node_count_below (GkvKeyNode *node)
{
  guint n = 0;

  if (node->level == 0)
    return node->n;

  for (guint i = 0; i < node->n; i++)
    n += gkv_key_node_get_counts (node)[i];

  return n;
}

GkvKeyNode *
gkv_key_node_make_room (GkvKeyNode *node, gsize *bytes)
{
  if (node->n < node->capacity)
    return node;

  node = gkv_key_node_resize (node, node->n + 1, bytes);
  gkv_key_node_tighten (node);

  return node;
}

GkvKeyNode *
gkv_key_node_drop_room (GkvKeyNode *node, gsize *bytes)
{
  return node->capacity - node->n < MAX_EMPTY ? node : gkv_key_node_resize (node, node->n, bytes);
}

void
gkv_key_node_open (GkvKeyNode *node, guint i)
{
  gkv_key_node_copy (node, i + 1, node, i, node->n - i);
  node->n++;
}

void
gkv_key_node_close (GkvKeyNode *node, guint i)
{
  node->n--;
  gkv_key_node_copy (node, i, node, i + 1, node->n - i);
}

/* Words */

/* Such that words compare as the bytes do, and a key that ends within its word is before those that go on. */
static inline guint64
read_word (const char *key, gsize len, gsize skip)
{
  guint64 word = 0;

  if (len >= skip + WORD_BYTES)
    memcpy (&word, key + skip, WORD_BYTES);
  else if (len > skip)
    memcpy (&word, key + skip, len - skip);

  return GUINT64_FROM_BE (word);
}

static inline guint64
read_record_word (const GkvRecord *record, gsize skip)
{
  return read_word (gkv_record_get_key (record), record->key_len, skip);
}

/* The bytes that two words begin with in common. */
static inline guint
count_common_of_words (guint64 a, guint64 b)
{
  return a == b ? WORD_BYTES : (guint) __builtin_clzll (a ^ b) / 8;
}

/* The bytes that @key and @record's begin with in common, @limit at most, when the first @known are known to be. */
static gsize
count_common (const char *key, gsize len, const GkvRecord *record, gsize known, gsize limit)
{
  limit = MIN (limit, MIN (len, record->key_len));
  while (known < limit && key[known] == gkv_record_get_key (record)[known])
    known++;

  return known;
}

static gsize
count_common_of_records (const GkvRecord *a, const GkvRecord *b, gsize limit)
{
  return count_common (gkv_record_get_key (a), a->key_len, b, 0, limit);
}

static void
set_skip (GkvKeyNode *node, gsize skip)
{
  node->skip = skip;
  for (guint i = 0; i < node->n; i++)
    gkv_key_node_get_words (node)[i] = read_record_word (gkv_key_node_get_records (node)[i], skip);
}

void
gkv_key_node_measure (GkvKeyNode *node)
{
  GkvRecord **records = gkv_key_node_get_records (node);

  set_skip (node, count_common_of_records (records[0], records[node->n - 1], G_MAXSIZE));
}

void
gkv_key_node_tighten (GkvKeyNode *node)
{
  guint64 *words = gkv_key_node_get_words (node);

  if (node->n > 1 && count_common_of_words (words[0], words[node->n - 1]) >= ENOUGH_COMMON)
    gkv_key_node_measure (node);
}

void
gkv_key_node_put (GkvKeyNode *node, guint i, GkvRecord *record)
{
  gkv_key_node_get_records (node)[i] = record;
  gkv_key_node_get_words (node)[i] = read_record_word (record, node->skip);
}

void
gkv_key_node_set (GkvKeyNode *node, guint i, GkvRecord *record)
{
  GkvRecord *other = node->n > 1 ? gkv_key_node_get_records (node)[i == 0 ? 1 : 0] : NULL;
  gsize common = other != NULL ? count_common_of_records (record, other, node->skip) : 0;

  gkv_key_node_put (node, i, record);
  if (common < node->skip)
    set_skip (node, common);
}

/* Searching */

static int
compare_from (const char *key, gsize len, const GkvRecord *record, gsize from)
{
  gsize other_len = record->key_len;
  int result = memcmp (key + from, gkv_record_get_key (record) + from, MIN (len, other_len) - from);

  return result != 0 ? result : (len > other_len) - (len < other_len);
}

static inline guint
find_word (const guint64 *words, guint n, guint64 word)
{
  guint low = 0;

  if (n == 0)
    return 0;

  while (n > 1)
    {
      guint half = n / 2;

      low += words[low + half - 1] < word ? half : 0;
      n -= half;
    }

  return low + (words[low] < word);
}

guint
gkv_key_node_search (GkvKeyNode *node, const char *key, gsize len, gsize *known, gboolean *found)
{
  guint64 *words = gkv_key_node_get_words (node);
  GkvRecord **records = gkv_key_node_get_records (node);
  guint64 word;
  guint low, high;

  *found = FALSE;

  /* A search steps over most of the words, each step a cache miss that waits for the one before: get them together. */
  for (guint i = 1; i <= PREFETCHED; i++)
    __builtin_prefetch ((const char *) node + i * CACHE_LINE);

  if (*known < node->skip)
    {
      *known = count_common (key, len, records[0], *known, node->skip);
      if (*known < node->skip)
        return compare_from (key, len, records[0], *known) < 0 ? 0 : node->n;
    }

  word = read_word (key, len, node->skip);
  low = find_word (words, node->n, word);
  if (low == node->n || words[low] != word)
    return low;

  /* A key that ends within its word is the whole of it: there are no NULs in keys. */
  if ((word & 0xff) == 0)
    {
      *found = TRUE;
      return low;
    }

  high = word == G_MAXUINT64 ? node->n : low + find_word (words + low, node->n - low, word + 1);
  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      int result = compare_from (key, len, records[middle], node->skip + WORD_BYTES);

      if (result == 0)
        {
          *found = TRUE;
          return middle;
        }

      if (result < 0)
        high = middle;
      else
        low = middle + 1;
    }

  return low;
}

guint
gkv_key_node_search_branch (GkvKeyNode *node, const char *key, gsize len, gsize *known)
{
  gboolean found;
  guint i = gkv_key_node_search (node, key, len, known, &found);

  if (!found && i > 0)
    i--;

  /* Two words that end alike have the NULs behind their keys in common, which are no bytes of them. */
  if (*known >= node->skip)
    *known = node->skip + count_common_of_words (read_word (key, len, node->skip), gkv_key_node_get_words (node)[i]);
  *known = MIN (*known, len);

  return i;
}

guint
gkv_key_node_sum_counts (GkvKeyNode *node, guint n)
{
  guint sum = 0;

  for (guint i = 0; i < n; i++)
    sum += gkv_key_node_get_counts (node)[i];

  return sum;
}
