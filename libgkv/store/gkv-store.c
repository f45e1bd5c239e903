/* GkvStore: all records of a node: a trie over the bits of the keyed hash of the key.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-store.h"

#include "gkv-deadlines.h"

#include <string.h>

/* A leaf that gets more becomes a branch; a branch that gets fewer becomes a leaf. In between, both stay. */
#define LEAF_MAX   32
#define LEAF_AGAIN 12
#define LEAF_FIRST 2
#define MAX_DEPTH  16

/* Keys of which a version was refused; the oldest are forgotten. */
#define MAX_REFUSED 4096

/* Memory is fetched so much at a time. */
#define CACHE_LINE 64

typedef struct
{
  GkvFingerprint fingerprint;
  guint32 count;    /* of records below */
  guint32 capacity; /* of a leaf: how many fit, an even number; 0 of a branch */
} Node;

typedef struct
{
  Node node;
  Node *children[16]; /* NULL: nothing there */
} Branch;

/* One block of memory, and all that a search compares next to each other: each visit to another is a cache miss. */
typedef struct
{
  Node node;
  guint32 tags[]; /* by hash, then by key; after them, as many GkvRecord * */
} Leaf;

struct _GkvStore
{
  GkvHashKey hash_key;
  Node *root;
  GkvDeadlines *deadlines;
  GkvDeadlines *dead_deadlines; /* of dead records */
  GkvRemovals *removals;        /* NULL: none are remembered */
  GkvRemovals *refused;         /* the stamps of what isn't held, as it lies too far ahead; NULL: of nothing */
  GkvSketch *sketch;            /* NULL: not kept */
  gboolean sketching;           /* it has only the records below this hash yet: */
  guint64 sketch_from;
  GHashTable *quarantined; /* quarantined record → the valid one of its key, which is below it, or NULL */
  GkvDeadlines *releases;  /* of them, by the time at which each was written, in ms */
  guint64 n_visible;
  guint64 n_tombstones;
  guint64 n_bytes;
  guint32 arrival;

  /* The last gap in the clock of the deadlines, and between which arrivals it isn't to be counted; 0: there was none */
  gint64 gap;
  guint32 gap_from, gap_to;
};

static inline gboolean
is_leaf (const Node *node)
{
  return node->capacity > 0;
}

static inline GkvRecord **
leaf_get_records (Leaf *leaf)
{
  return (GkvRecord **) (leaf->tags + leaf->node.capacity);
}

static Node *
leaf_new (guint capacity)
{
  Leaf *leaf = g_malloc (sizeof *leaf + capacity * (sizeof (guint32) + sizeof (GkvRecord *)));

  memset (leaf, 0, sizeof *leaf);
  leaf->node.capacity = capacity;
  return &leaf->node;
}

static void
node_free (Node *node)
{
  if (is_leaf (node))
    {
      Leaf *leaf = (Leaf *) node;

      for (guint i = 0; i < node->count; i++)
        gkv_record_unref (leaf_get_records (leaf)[i]);
    }
  else
    {
      for (guint i = 0; i < 16; i++)
        if (((Branch *) node)->children[i] != NULL)
          node_free (((Branch *) node)->children[i]);
    }

  g_free (node);
}

static inline guint
get_digit (guint64 hash, guint depth)
{
  return (hash >> (60 - 4 * depth)) & 15;
}

/* What is about to be read in several places is fetched together, and not waited for at each of them in turn. */
static inline void
prefetch (gconstpointer from, gsize n_lines)
{
  for (gsize i = 0; i < n_lines; i++)
    __builtin_prefetch ((const char *) from + i * CACHE_LINE);
}

/* Leaves */

static int
compare_place (const GkvRecord *record, guint64 hash, const char *key, gsize key_len)
{
  int result;

  if (record->hash != hash)
    return record->hash < hash ? -1 : 1;

  result = memcmp (gkv_record_get_key (record), key, MIN (record->key_len, key_len));
  return result != 0 ? result : (int) record->key_len - (int) key_len;
}

/* The upper half of a hash. Searching among those side by side saves a visit to each record on the way. */
static inline guint32
get_tag (guint64 hash)
{
  return hash >> 32;
}

/* The first whose tag is at least @tag. Halves without a branch: which way it goes is a toss each time. */
static inline guint
leaf_find_tag (const Leaf *leaf, guint32 tag)
{
  guint base = 0, left = leaf->node.count;

  while (left > 1)
    {
      guint half = left / 2;

      base += leaf->tags[base + half - 1] < tag ? half : 0;
      left -= half;
    }

  return base + (left == 1 && leaf->tags[base] < tag);
}

/* Where a key is, or would be. */
static guint
leaf_find (Leaf *leaf, guint64 hash, const char *key, gsize key_len, gboolean *found)
{
  guint i = leaf_find_tag (leaf, get_tag (hash));
  int result = -1;

  for (; i < leaf->node.count && leaf->tags[i] == get_tag (hash); i++)
    {
      const GkvRecord *record = leaf_get_records (leaf)[i];

      prefetch (record, 2);
      result = compare_place (record, hash, key, key_len);
      if (result >= 0)
        break;
    }

  *found = result == 0;
  return i;
}

/* The first whose hash is at least @from. */
static guint
leaf_lower_bound (Leaf *leaf, guint64 from)
{
  guint i = leaf_find_tag (leaf, get_tag (from));

  while (i < leaf->node.count && leaf->tags[i] == get_tag (from) && leaf_get_records (leaf)[i]->hash < from)
    i++;
  return i;
}

/* By half: the pointers behind the tags stay aligned when their number is even. */
static Leaf *
leaf_grow (Leaf *leaf)
{
  guint capacity = (leaf->node.capacity + leaf->node.capacity / 2 + 1) & ~1u;
  Leaf *grown = (Leaf *) leaf_new (capacity);

  grown->node.fingerprint = leaf->node.fingerprint;
  grown->node.count = leaf->node.count;
  memcpy (grown->tags, leaf->tags, leaf->node.count * sizeof *leaf->tags);
  memcpy (leaf_get_records (grown), leaf_get_records (leaf), leaf->node.count * sizeof (GkvRecord *));
  g_free (leaf);
  return grown;
}

/* Puts @record at @index of the leaf in @slot, which may become another. */
static void
leaf_insert (Node **slot, guint index, GkvRecord *record)
{
  Leaf *leaf = (Leaf *) *slot;
  guint after = leaf->node.count - index;
  GkvRecord **records;

  if (leaf->node.count == leaf->node.capacity)
    {
      leaf = leaf_grow (leaf);
      *slot = &leaf->node;
    }

  records = leaf_get_records (leaf);
  memmove (records + index + 1, records + index, after * sizeof *records);
  memmove (leaf->tags + index + 1, leaf->tags + index, after * sizeof *leaf->tags);
  records[index] = record;
  leaf->tags[index] = get_tag (record->hash);
  leaf->node.count++;
  gkv_fingerprint_add (&leaf->node.fingerprint, &record->fingerprint);
}

static void
leaf_remove (Leaf *leaf, guint index)
{
  guint after = leaf->node.count - index - 1;
  GkvRecord **records = leaf_get_records (leaf);

  gkv_fingerprint_subtract (&leaf->node.fingerprint, &records[index]->fingerprint);
  memmove (records + index, records + index + 1, after * sizeof *records);
  memmove (leaf->tags + index, leaf->tags + index + 1, after * sizeof *leaf->tags);
  leaf->node.count--;
}

static Node *
leaf_split (Leaf *leaf, guint depth)
{
  Branch *branch = g_new0 (Branch, 1);

  branch->node.count = leaf->node.count;
  branch->node.fingerprint = leaf->node.fingerprint;
  for (guint i = 0; i < leaf->node.count; i++)
    {
      GkvRecord *record = leaf_get_records (leaf)[i];
      Node **child = &branch->children[get_digit (record->hash, depth)];

      if (*child == NULL)
        *child = leaf_new (LEAF_FIRST);
      leaf_insert (child, (*child)->count, record);
    }

  g_free (leaf);
  return &branch->node;
}

static void
gather (Node *node, Node **into)
{
  if (is_leaf (node))
    {
      for (guint i = 0; i < node->count; i++)
        leaf_insert (into, (*into)->count, leaf_get_records ((Leaf *) node)[i]);
    }
  else
    {
      for (guint i = 0; i < 16; i++)
        if (((Branch *) node)->children[i] != NULL)
          gather (((Branch *) node)->children[i], into);
    }

  g_free (node);
}

/* Finding */

/* The leaf that a hash belongs to. NULL: nothing there. */
static Leaf *
find_leaf (GkvStore *self, guint64 hash)
{
  Node *node = self->root;

  for (guint depth = 0; node != NULL && !is_leaf (node); depth++)
    {
      node = ((Branch *) node)->children[get_digit (hash, depth)];
      prefetch (node, 4);
    }
  return (Leaf *) node;
}

static GkvRecord *
lookup (GkvStore *self, guint64 hash, const char *key, gsize key_len)
{
  Leaf *leaf = find_leaf (self, hash);
  gboolean found;
  guint index;

  if (leaf == NULL)
    return NULL;

  index = leaf_find (leaf, hash, key, key_len, &found);
  return found ? leaf_get_records (leaf)[index] : NULL;
}

GkvRecord *
gkv_store_lookup (GkvStore *self, const char *key, gsize key_len)
{
  return lookup (self, gkv_hash_place (&self->hash_key, key, key_len), key, key_len);
}

GkvRecord *
gkv_store_lookup_nth (GkvStore *self, guint64 hash, guint n)
{
  Leaf *leaf = find_leaf (self, hash);
  GkvRecord *record;
  guint index;

  if (leaf == NULL || (index = leaf_lower_bound (leaf, hash) + n) >= leaf->node.count)
    return NULL;

  record = leaf_get_records (leaf)[index];
  return record->hash == hash ? record : NULL;
}

GkvRecord *
gkv_store_lookup_version (GkvStore *self, guint64 hash, guint32 version)
{
  GkvRecord *record;

  for (guint n = 0; (record = gkv_store_lookup_nth (self, hash, n)) != NULL; n++)
    if ((guint32) record->fingerprint.lo == version)
      return record;

  return NULL;
}

GkvRecord *
gkv_store_get_valid (GkvStore *self, GkvRecord *record)
{
  return record->flags & GKV_RECORD_QUARANTINED ? g_hash_table_lookup (self->quarantined, record) : record;
}

GkvRecord *
gkv_store_lookup_valid (GkvStore *self, const char *key, gsize key_len)
{
  GkvRecord *record = gkv_store_lookup (self, key, key_len);

  return record != NULL ? gkv_store_get_valid (self, record) : NULL;
}

GkvRecord *
gkv_store_get_visible (GkvStore *self, GkvRecord *record)
{
  record = gkv_store_get_valid (self, record);
  return record != NULL && !gkv_record_is_dead (record) ? record : NULL;
}

GkvRecord *
gkv_store_find_version (GkvStore *self, const GkvRecord *record)
{
  GkvRecord *held = lookup (self, record->hash, gkv_record_get_key (record), record->key_len);

  if (held != NULL && !gkv_record_is_version_of (held, record))
    held = gkv_store_get_valid (self, held);
  return held != NULL && gkv_record_is_version_of (held, record) ? held : NULL;
}

GkvRecord *
gkv_store_find_visible (GkvStore *self, guint64 hash, const char *key, gsize key_len)
{
  GkvRecord *record = lookup (self, hash, key, key_len);

  return record != NULL ? gkv_store_get_visible (self, record) : NULL;
}

GkvRecord *
gkv_store_lookup_visible (GkvStore *self, const char *key, gsize key_len)
{
  return gkv_store_find_visible (self, gkv_hash_place (&self->hash_key, key, key_len), key, key_len);
}

/* Changing */

static void
sketch_record (GkvStore *self, GkvRecord *record, int by)
{
  if (self->sketch == NULL || (self->sketching && record->hash >= self->sketch_from))
    return;

  if (by > 0)
    gkv_sketch_add (self->sketch, record->hash, record->fingerprint.lo);
  else
    gkv_sketch_subtract (self->sketch, record->hash, record->fingerprint.lo);
}

static void
clear_deadline (GkvStore *self, GkvRecord *record)
{
  if (gkv_record_is_dead (record))
    gkv_deadlines_remove (self->dead_deadlines, record);
  if (!(record->flags & GKV_RECORD_DEADLINE))
    return;

  record->flags &= ~GKV_RECORD_DEADLINE;
  gkv_deadlines_remove (self->deadlines, record);
}

/* What had no end is gone for good with the end of what replaces it, of which no memory stays. */
static void
remember_replaced (GkvStore *self, const GkvRecord *held, const GkvRecord *record)
{
  if (self->removals != NULL && gkv_record_has_end (record) && !gkv_record_has_end (held))
    gkv_removals_add (self->removals, gkv_store_hash_removed (self, gkv_record_get_key (held), held->key_len),
                      held->stamp, (gint64) self->arrival * G_USEC_PER_SEC);
}

static void
count_one (GkvStore *self, GkvRecord *record, int by)
{
  self->n_bytes += by * (gint64) (record->key_len + record->content_len);
  if (gkv_record_is_dead (record))
    self->n_tombstones += by;
  else if (!(record->flags & GKV_RECORD_QUARANTINED))
    self->n_visible += by;
}

/* A record that is held, and the valid one below it. */
static void
count_record (GkvStore *self, GkvRecord *record, int by)
{
  GkvRecord *valid = gkv_store_get_valid (self, record);

  count_one (self, record, by);
  if (valid != NULL && valid != record)
    count_one (self, valid, by);
}

/* The way from the root to a leaf, or to where there is none yet. */
typedef struct
{
  Node **slots[MAX_DEPTH + 1];
  guint depth; /* of the last slot */
} Path;

static void
find_path (GkvStore *self, guint64 hash, Path *path)
{
  Node **slot = &self->root;

  path->depth = 0;
  path->slots[0] = slot;
  while (*slot != NULL && !is_leaf (*slot))
    {
      slot = &((Branch *) *slot)->children[get_digit (hash, path->depth)];
      prefetch (*slot, 4);
      path->slots[++path->depth] = slot;
    }
}

/* Puts @record at @index of the leaf at the end of @path. @old: what is there with the same key, or NULL. */
static void
insert (Path *path, guint index, GkvRecord *record, GkvRecord *old)
{
  Node **slot = path->slots[path->depth];

  for (guint i = 0; i < path->depth; i++)
    {
      Node *node = *path->slots[i];

      gkv_fingerprint_add (&node->fingerprint, &record->fingerprint);
      if (old != NULL)
        gkv_fingerprint_subtract (&node->fingerprint, &old->fingerprint);
      else
        node->count++;
    }

  if (old != NULL)
    {
      leaf_get_records ((Leaf *) *slot)[index] = record;
      gkv_fingerprint_subtract (&(*slot)->fingerprint, &old->fingerprint);
      gkv_fingerprint_add (&(*slot)->fingerprint, &record->fingerprint);
      return;
    }

  leaf_insert (slot, index, record);
  if ((*slot)->count > LEAF_MAX && path->depth < MAX_DEPTH)
    *slot = leaf_split ((Leaf *) *slot, path->depth);
}

/* Takes away @record, which is there. */
static void
take (GkvStore *self, GkvRecord *record)
{
  Path path;
  Node **slot;
  gboolean found;

  find_path (self, record->hash, &path);
  slot = path.slots[path.depth];
  leaf_remove ((Leaf *) *slot,
               leaf_find ((Leaf *) *slot, record->hash, gkv_record_get_key (record), record->key_len, &found));
  if ((*slot)->count == 0)
    g_clear_pointer (slot, node_free);

  for (guint i = path.depth; i > 0; i--)
    {
      Node *node = *path.slots[i - 1];

      node->count--;
      gkv_fingerprint_subtract (&node->fingerprint, &record->fingerprint);
      if (node->count <= LEAF_AGAIN)
        {
          *path.slots[i - 1] = leaf_new (LEAF_FIRST);
          gather (node, path.slots[i - 1]);
        }
    }
}

/* It isn't held any more. */
static void
let_go (GkvStore *self, GkvRecord *record)
{
  clear_deadline (self, record);
  record->flags |= GKV_RECORD_GONE;
}

static void
take_in (GkvStore *self, GkvRecord *record)
{
  gkv_record_ref (record);
  record->flags &= ~GKV_RECORD_GONE;
  record->arrived = self->arrival;
}

/* @record is quarantined no longer. Passes on the reference to the valid one below it. (nullable) */
static GkvRecord *
end_quarantine (GkvStore *self, GkvRecord *record)
{
  GkvRecord *below = NULL;

  g_hash_table_steal_extended (self->quarantined, record, NULL, (gpointer *) &below);
  gkv_deadlines_remove (self->releases, record);
  return below;
}

/* Passes on the reference to the valid record of the key of @held, which is about to be replaced, and lets go of @held
 * itself if that is quarantined. (nullable) */
static GkvRecord *
steal_valid (GkvStore *self, GkvRecord *held)
{
  GkvRecord *valid;

  if (!(held->flags & GKV_RECORD_QUARANTINED))
    return held;

  valid = end_quarantine (self, held);
  let_go (self, held);
  gkv_record_unref (held);
  return valid;
}

static void
quarantine (GkvStore *self, GkvRecord *record, GkvRecord *valid)
{
  g_hash_table_insert (self->quarantined, record, valid);
  gkv_deadlines_set (self->releases, record, gkv_record_get_time_ms (record));
}

/* @record replaces @valid, and @replaced is given what was visible of it. */
static void
replace_valid (GkvStore *self, GkvRecord *valid, GkvRecord *record, GkvRecord **replaced)
{
  if (valid == NULL)
    return;

  remember_replaced (self, valid, record);
  let_go (self, valid);
  if (replaced != NULL && !gkv_record_is_dead (valid))
    *replaced = valid;
  else
    gkv_record_unref (valid);
}

/* Offers @record, which is valid, below @held, which is quarantined. */
static GkvStoreResult
put_below (GkvStore *self, GkvRecord *held, GkvRecord *record, GkvRecord **replaced)
{
  GkvRecord *valid = gkv_store_get_valid (self, held);

  if (valid != NULL && gkv_record_compare (record, valid) <= 0)
    return GKV_STORE_KEPT;

  if (valid == NULL && gkv_store_get_removed (self, gkv_record_get_key (record), record->key_len) >= record->stamp)
    return GKV_STORE_REMOVED;

  count_record (self, held, -1);
  g_hash_table_steal (self->quarantined, held);
  replace_valid (self, valid, record, replaced);
  take_in (self, record);
  g_hash_table_insert (self->quarantined, held, record);
  count_record (self, held, 1);
  return GKV_STORE_TAKEN;
}

GkvStoreResult
gkv_store_put (GkvStore *self, GkvRecord *record, GkvRecord **replaced)
{
  gboolean valid = !(record->flags & GKV_RECORD_QUARANTINED);
  GkvRecord *held = NULL;
  GkvRecord *below = NULL;
  gboolean found = FALSE;
  guint index = 0;
  int order;
  Path path;
  Node **slot;

  if (replaced != NULL)
    *replaced = NULL;

  find_path (self, record->hash, &path);
  slot = path.slots[path.depth];
  if (*slot != NULL)
    index = leaf_find ((Leaf *) *slot, record->hash, gkv_record_get_key (record), record->key_len, &found);

  if (!found && gkv_store_get_removed (self, gkv_record_get_key (record), record->key_len) >= record->stamp)
    return GKV_STORE_REMOVED;

  if (*slot == NULL)
    *slot = leaf_new (LEAF_FIRST);

  if (found)
    {
      held = leaf_get_records ((Leaf *) *slot)[index];
      order = gkv_record_compare (record, held);
      /* The one that is quarantined, whose time has come since, is released where it is. But the mark of what is below
       * it is needed there. */
      if (order < 0 || (order == 0 && gkv_record_is_dead (record)))
        return valid && (held->flags & GKV_RECORD_QUARANTINED) ? put_below (self, held, record, replaced)
                                                               : GKV_STORE_KEPT;
      if (order == 0)
        return GKV_STORE_KEPT;

      count_record (self, held, -1);
      sketch_record (self, held, -1);
      if (held->flags & GKV_RECORD_QUARANTINED)
        remember_replaced (self, held, record);
    }

  /* It is put in its place before that is freed. */
  take_in (self, record);
  insert (&path, index, record, held);
  if (held != NULL)
    below = steal_valid (self, held);

  if (valid)
    {
      replace_valid (self, below, record, replaced);
    }
  else
    {
      if (replaced != NULL && below != NULL && !gkv_record_is_dead (below))
        *replaced = gkv_record_ref (below);
      quarantine (self, record, below);
    }
  count_record (self, record, 1);
  sketch_record (self, record, 1);
  return GKV_STORE_TAKEN;
}

/* Takes away @record, of which no other is held than the valid one below it. */
static void
remove_top (GkvStore *self, GkvRecord *record)
{
  GkvRecord *below = record->flags & GKV_RECORD_QUARANTINED ? end_quarantine (self, record) : NULL;
  guint32 arrived;

  sketch_record (self, record, -1);
  take (self, record);
  let_go (self, record);
  gkv_record_unref (record);

  if (below == NULL)
    return;

  arrived = below->arrived;
  gkv_store_put (self, below, NULL);
  below->arrived = arrived;
  gkv_record_unref (below);
}

gboolean
gkv_store_remove (GkvStore *self, GkvRecord *record)
{
  GkvRecord *held = lookup (self, record->hash, gkv_record_get_key (record), record->key_len);

  if (held == NULL || (held != record && gkv_store_get_valid (self, held) != record))
    return FALSE;

  count_record (self, held, -1);
  if (held == record)
    {
      remove_top (self, record);
      return TRUE;
    }

  g_hash_table_steal (self->quarantined, held);
  g_hash_table_insert (self->quarantined, held, NULL);
  count_record (self, held, 1);
  let_go (self, record);
  gkv_record_unref (record);
  return TRUE;
}

void
gkv_store_set_arrival (GkvStore *self, guint32 arrival)
{
  self->arrival = MAX (self->arrival, arrival);
}

/* Tombstones and remembered removals */

void
gkv_store_remember_removals (GkvStore *self, guint max)
{
  if (self->removals == NULL)
    self->removals = gkv_removals_new (max);
}

GkvRemovals *
gkv_store_get_removals (GkvStore *self)
{
  return self->removals;
}

/* By another hash than the one that records are ordered by: two keys that share that one are two keys here. */
GkvFingerprint
gkv_store_hash_removed (GkvStore *self, const char *key, gsize key_len)
{
  return gkv_hash_128 (&self->hash_key, key, key_len);
}

GkvStamp
gkv_store_get_removed (GkvStore *self, const char *key, gsize key_len)
{
  if (self->removals == NULL || gkv_removals_get_n (self->removals) == 0)
    return 0;

  return gkv_removals_find (self->removals, gkv_store_hash_removed (self, key, key_len));
}

GkvStamp
gkv_store_get_floor (GkvStore *self, const char *key, gsize key_len)
{
  GkvRecord *held = gkv_store_lookup (self, key, key_len);
  GkvStamp floor = MAX (held != NULL ? held->stamp : 0, gkv_store_get_removed (self, key, key_len));

  return self->refused == NULL
             ? floor
             : MAX (floor, gkv_removals_find (self->refused, gkv_store_hash_removed (self, key, key_len)));
}

void
gkv_store_note_refused (GkvStore *self, const GkvRecord *record)
{
  if (self->refused == NULL)
    self->refused = gkv_removals_new (MAX_REFUSED);

  gkv_removals_add (self->refused, gkv_store_hash_removed (self, gkv_record_get_key (record), record->key_len),
                    record->stamp, (gint64) self->arrival * G_USEC_PER_SEC);
}

GkvRecord *
gkv_store_new_write (GkvStore *self,
                     GkvWriter *writer,
                     const char *key,
                     gsize key_len,
                     GkvRecordFlags flags,
                     gint64 wall_us,
                     guint64 generation,
                     guint64 life_ms,
                     gconstpointer content,
                     gsize content_len)
{
  GkvStamp stamp = gkv_stamp_new (wall_us, gkv_store_get_floor (self, key, key_len));
  GkvRecordParts parts = { .generation = generation,
                           .life_ms = CLAMP (life_ms, 1, GKV_RECORD_MAX_LIFE_MS),
                           .time_ms = MAX (wall_us / 1000, 0) };

  flags &= GKV_RECORD_DEAD | GKV_RECORD_EPHEMERAL;
  if (life_ms > 0)
    flags |= GKV_RECORD_TTL;
  if (gkv_stamp_get_ms (stamp) > wall_us / 1000)
    flags |= GKV_RECORD_TIMED;

  return gkv_record_new_with_parts (&self->hash_key, writer, key, key_len, flags, stamp, content, content_len, &parts);
}

void
gkv_store_forget_removed (GkvStore *self, const char *key, gsize key_len)
{
  if (self->removals != NULL)
    gkv_removals_forget (self->removals, gkv_store_hash_removed (self, key, key_len));
}

void
gkv_store_keep_dead (GkvStore *self, GkvRecord *dead, gint64 deadline)
{
  gkv_deadlines_set (self->dead_deadlines, dead, deadline);
}

gint64
gkv_store_get_dead_deadline (GkvStore *self, GkvRecord *dead)
{
  return gkv_deadlines_get (self->dead_deadlines, dead);
}

GkvRecord *
gkv_store_peek_dead (GkvStore *self, gint64 *deadline)
{
  return gkv_deadlines_peek (self->dead_deadlines, deadline);
}

void
gkv_store_collect (GkvStore *self, GkvRecord *dead, gint64 now)
{
  if (self->removals != NULL && !gkv_record_has_end (dead))
    gkv_removals_add (self->removals, gkv_store_hash_removed (self, gkv_record_get_key (dead), dead->key_len),
                      dead->stamp, now);
  gkv_store_remove (self, dead);
}

/* Quarantine */

guint
gkv_store_get_n_quarantined (GkvStore *self)
{
  return g_hash_table_size (self->quarantined);
}

guint
gkv_store_release_quarantined (GkvStore *self, gint64 up_to_ms, guint max, GkvStoreReleaseFunc func, gpointer user_data)
{
  GkvRecord *record;
  gint64 time_ms;
  guint n;

  for (n = 0; n < max && (record = gkv_deadlines_peek (self->releases, &time_ms)) != NULL && time_ms <= up_to_ms; n++)
    {
      g_autoptr (GkvRecord) replaced = NULL;
      GkvRecord *below;

      count_record (self, record, -1);
      below = end_quarantine (self, record);
      record->flags &= ~GKV_RECORD_QUARANTINED;
      replace_valid (self, below, record, &replaced);
      count_record (self, record, 1);
      func (record, replaced, user_data);
    }

  return n;
}

/* Remaining lifetimes */

void
gkv_store_set_deadline (GkvStore *self, GkvRecord *record, gint64 deadline)
{
  record->flags |= GKV_RECORD_DEADLINE;
  gkv_deadlines_set (self->deadlines, record, deadline);
}

/* A gap is taken off all deadlines at once. A record that it isn't to be taken off gets it back here, when it is looked
 * at, and then counts as one that arrived after that. */
static gboolean
give_back (GkvStore *self, GkvRecord *record)
{
  gint64 deadline;

  if (self->gap == 0 || record->arrived < self->gap_from || record->arrived > self->gap_to)
    return FALSE;

  deadline = gkv_deadlines_get (self->deadlines, record);
  gkv_deadlines_remove (self->deadlines, record);
  gkv_deadlines_set (self->deadlines, record, deadline + self->gap);
  record->arrived = self->gap_to + 1;
  return TRUE;
}

gint64
gkv_store_get_deadline (GkvStore *self, GkvRecord *record)
{
  if (record->flags & GKV_RECORD_DEADLINE)
    give_back (self, record);
  return record->flags & GKV_RECORD_DEADLINE ? gkv_deadlines_get (self->deadlines, record) : -1;
}

GkvRecord *
gkv_store_peek_deadline (GkvStore *self, gint64 *deadline)
{
  GkvRecord *record;

  do
    record = gkv_deadlines_peek (self->deadlines, deadline);
  while (record != NULL && give_back (self, record));
  return record;
}

void
gkv_store_shift_deadlines (GkvStore *self, gint64 by, guint32 since)
{
  gkv_deadlines_shift (self->deadlines, by);
  self->gap = by;
  self->gap_from = since;
  self->gap_to = self->arrival;
  self->arrival++;
}

guint
gkv_store_count_due (GkvStore *self, gint64 now)
{
  return gkv_deadlines_count_due (self->deadlines, now);
}

/* Ranges */

static gboolean
is_in_range (guint64 hash, GkvRange range)
{
  return range.depth == 0 || ((hash ^ range.prefix) >> (64 - 4 * range.depth)) == 0;
}

void
gkv_store_summarise (GkvStore *self, GkvRange range, GkvSummary *summary)
{
  Node *node = self->root;

  memset (summary, 0, sizeof *summary);
  for (guint depth = 0; node != NULL; depth++)
    {
      if (depth == range.depth)
        {
          summary->count = node->count;
          summary->fingerprint = node->fingerprint;
          return;
        }

      if (is_leaf (node))
        {
          Leaf *leaf = (Leaf *) node;

          for (guint i = 0; i < node->count; i++)
            if (is_in_range (leaf_get_records (leaf)[i]->hash, range))
              {
                summary->count++;
                gkv_fingerprint_add (&summary->fingerprint, &leaf_get_records (leaf)[i]->fingerprint);
              }
          return;
        }

      node = ((Branch *) node)->children[get_digit (range.prefix, depth)];
    }
}

/* FALSE: the walk has ended. @prefix: what all hashes below begin with. */
static gboolean
walk (Node *node, guint depth, guint64 prefix, GkvRange range, guint64 from, GkvStoreFunc func, gpointer user_data)
{
  if (node == NULL)
    return TRUE;

  if (is_leaf (node))
    {
      Leaf *leaf = (Leaf *) node;

      for (guint i = 0; i < node->count; i++)
        prefetch (leaf_get_records (leaf)[i], 3);
      for (guint i = leaf_lower_bound (leaf, from); i < node->count; i++)
        {
          GkvRecord *record = leaf_get_records (leaf)[i];

          if (is_in_range (record->hash, range) && !func (record, user_data))
            return FALSE;
        }
      return TRUE;
    }

  for (guint i = 0; i < 16; i++)
    {
      guint shift = 60 - 4 * depth;
      guint64 below = prefix | (guint64) i << shift;
      guint64 last = below | (((guint64) 1 << shift) - 1);

      if (last < from || (depth < range.depth && i != get_digit (range.prefix, depth)))
        continue;

      if (!walk (((Branch *) node)->children[i], depth + 1, below, range, from, func, user_data))
        return FALSE;
    }

  return TRUE;
}

void
gkv_store_foreach (GkvStore *self, GkvRange range, guint64 from, GkvStoreFunc func, gpointer user_data)
{
  walk (self->root, 0, 0, range, from, func, user_data);
}

/* The sketch */

typedef struct
{
  GkvStore *store;
  guint left;
  guint64 last;
} SketchWalk;

static gboolean
sketch_each (GkvRecord *record, gpointer user_data)
{
  SketchWalk *walk = user_data;

  /* Those of one hash come together. */
  if (walk->left == 0 && record->hash != walk->last)
    {
      walk->store->sketch_from = record->hash;
      return FALSE;
    }

  walk->left -= MIN (walk->left, 1);
  walk->last = record->hash;
  gkv_sketch_add (walk->store->sketch, record->hash, record->fingerprint.lo);
  return TRUE;
}

gboolean
gkv_store_keep_sketch_of (GkvStore *self, guint max)
{
  SketchWalk walk = { .store = self, .left = MAX (max, 1) };
  guint64 from;

  if (self->sketch == NULL)
    {
      self->sketch = g_new0 (GkvSketch, 1);
      self->sketching = TRUE;
      self->sketch_from = 0;
    }
  if (!self->sketching)
    return TRUE;

  from = self->sketch_from;
  self->sketching = FALSE;
  walk.last = from;
  gkv_store_foreach (self, GKV_RANGE_EVERYTHING, from, sketch_each, &walk);
  self->sketching = self->sketch_from != from;
  return !self->sketching;
}

void
gkv_store_keep_sketch (GkvStore *self)
{
  gkv_store_keep_sketch_of (self, G_MAXUINT);
}

const GkvSketch *
gkv_store_get_sketch (GkvStore *self)
{
  return self->sketching ? NULL : self->sketch;
}

/* Counts */

guint64
gkv_store_get_n_visible (GkvStore *self)
{
  return self->n_visible;
}

guint64
gkv_store_get_n_tombstones (GkvStore *self)
{
  return self->n_tombstones;
}

guint64
gkv_store_get_n_bytes (GkvStore *self)
{
  return self->n_bytes;
}

const GkvHashKey *
gkv_store_get_hash_key (GkvStore *self)
{
  return &self->hash_key;
}

static void
visible_unref (gpointer record)
{
  if (record != NULL)
    gkv_record_unref (record);
}

GkvStore *
gkv_store_new (const GkvHashKey *hash_key)
{
  GkvStore *self = g_new0 (GkvStore, 1);

  self->hash_key = *hash_key;
  self->deadlines = gkv_deadlines_new ();
  self->dead_deadlines = gkv_deadlines_new ();
  self->releases = gkv_deadlines_new ();
  self->quarantined = g_hash_table_new_full (NULL, NULL, NULL, visible_unref);
  return self;
}

void
gkv_store_free (GkvStore *self)
{
  g_clear_pointer (&self->root, node_free);
  g_hash_table_unref (self->quarantined);
  g_free (self->sketch);
  gkv_deadlines_free (self->deadlines);
  gkv_deadlines_free (self->dead_deadlines);
  gkv_deadlines_free (self->releases);
  g_clear_pointer (&self->removals, gkv_removals_free);
  g_clear_pointer (&self->refused, gkv_removals_free);
  g_free (self);
}
