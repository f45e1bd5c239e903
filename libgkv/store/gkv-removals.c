/* GkvRemovals: the removals that a node remembers.
 *
 * A ring of numbered entries in segments, which are allocated when they are needed and freed when all in them is
 * dropped; and an index by linear hashing (Litwin, 1980), which grows by one bucket at a time: so nothing is ever moved
 * or hashed again as a whole. An entry takes 24 bytes, four for the chain of its bucket, and four for a bucket.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-removals.h"

#include <string.h>

#define SEGMENT 4096
#define PIECE   4096
#define NONE    G_MAXUINT32

/* More can't be told apart by the index. */
#define MAX_MAX (1u << 30)

/* What is looked at in one call to make room: most often one. */
#define MAX_DROPPED 64

typedef struct
{
  GkvFingerprint hash;
  GkvStamp stamp; /* 0: nothing is here any more */
} Entry;

typedef struct
{
  gint64 newest; /* when the last of them was made */
  Entry entries[SEGMENT];
  guint32 next[SEGMENT]; /* in the same bucket: a place, or NONE */
} Segment;

struct _GkvRemovals
{
  guint max;
  guint64 first, end; /* the numbers of those that are there */
  guint64 n;
  guint32 n_places;
  Segment **segments;  /* by number / SEGMENT, around; NULL: none was needed yet */
  guint32 **buckets;   /* in pieces */
  guint n_pieces_room; /* of .buckets */
  guint32 n_buckets;
  guint32 mask; /* of a hash, to find a bucket, or the one that will be split into it */
  gint64 dropped_made;
  GkvStamp dropped_stamp;
};

GkvRemovals *
gkv_removals_new (guint max)
{
  GkvRemovals *self = g_new0 (GkvRemovals, 1);

  self->max = CLAMP (max, 1, MAX_MAX);
  self->n_places = (self->max / SEGMENT + 2) * SEGMENT;
  /* 0 is no number. */
  self->first = self->end = SEGMENT;
  return self;
}

void
gkv_removals_free (GkvRemovals *self)
{
  for (guint i = 0; self->segments != NULL && i < self->n_places / SEGMENT; i++)
    g_free (self->segments[i]);
  for (guint32 i = 0; i < self->n_buckets; i += PIECE)
    g_free (self->buckets[i / PIECE]);
  g_free (self->segments);
  g_free (self->buckets);
  g_free (self);
}

/* Places */

static inline guint32
get_place (GkvRemovals *self, guint64 number)
{
  return number % self->n_places;
}

static inline Segment *
get_segment (GkvRemovals *self, guint32 place)
{
  return self->segments[place / SEGMENT];
}

static inline Entry *
get_entry (GkvRemovals *self, guint32 place)
{
  return &get_segment (self, place)->entries[place % SEGMENT];
}

static inline guint32 *
get_next (GkvRemovals *self, guint32 place)
{
  return &get_segment (self, place)->next[place % SEGMENT];
}

/* The index */

static inline guint32 *
get_bucket (GkvRemovals *self, guint32 index)
{
  return &self->buckets[index / PIECE][index % PIECE];
}

static inline guint32 *
find_bucket (GkvRemovals *self, const GkvFingerprint *hash)
{
  guint32 index = (guint32) hash->lo & self->mask;

  return get_bucket (self, index < self->n_buckets ? index : index & (self->mask >> 1));
}

static void
add_bucket (GkvRemovals *self)
{
  guint32 index = self->n_buckets;

  if (index % PIECE == 0)
    {
      if (index / PIECE == self->n_pieces_room)
        {
          self->n_pieces_room = MAX (64, 2 * self->n_pieces_room);
          self->buckets = g_renew (guint32 *, self->buckets, self->n_pieces_room);
        }
      self->buckets[index / PIECE] = g_new (guint32, PIECE);
    }
  self->n_buckets++;
  *get_bucket (self, index) = NONE;
}

/* One bucket more: it gets its share of the one that had its entries until now. */
static void
split_bucket (GkvRemovals *self)
{
  guint32 added = self->n_buckets;
  guint32 *slot;

  add_bucket (self);
  if (added > self->mask)
    self->mask = 2 * self->mask + 1;

  slot = get_bucket (self, added & (self->mask >> 1));
  while (*slot != NONE)
    {
      guint32 place = *slot;
      guint32 *next = get_next (self, place);

      if (((guint32) get_entry (self, place)->hash.lo & self->mask) != added)
        {
          slot = next;
          continue;
        }

      *slot = *next;
      *next = *get_bucket (self, added);
      *get_bucket (self, added) = place;
    }
}

/* What refers to the entry, or the end of its bucket's chain. */
static guint32 *
find_slot (GkvRemovals *self, const GkvFingerprint *hash)
{
  guint32 *slot = find_bucket (self, hash);

  while (*slot != NONE && !gkv_fingerprint_equal (&get_entry (self, *slot)->hash, hash))
    slot = get_next (self, *slot);
  return slot;
}

/* Takes out what @slot refers to. */
static void
clear_slot (GkvRemovals *self, guint32 *slot)
{
  Entry *entry = get_entry (self, *slot);

  *slot = *get_next (self, *slot);
  entry->stamp = 0;
  self->n--;
}

/* The ring */

static void
drop_first (GkvRemovals *self)
{
  guint32 place = get_place (self, self->first);
  Segment *segment = get_segment (self, place);
  Entry *entry = &segment->entries[place % SEGMENT];

  if (entry->stamp != 0)
    {
      gkv_removals_note_dropped (self, segment->newest, entry->stamp);
      clear_slot (self, find_slot (self, &entry->hash));
    }

  self->first++;
  if (self->first % SEGMENT == 0)
    g_clear_pointer (&self->segments[place / SEGMENT], g_free);
}

static void
append (GkvRemovals *self, GkvFingerprint hash, GkvStamp stamp, gint64 made)
{
  guint32 place = get_place (self, self->end);
  guint32 *bucket;
  Segment *segment;

  if (place % SEGMENT == 0)
    {
      segment = g_new (Segment, 1);
      segment->newest = G_MININT64;
      self->segments[place / SEGMENT] = segment;
    }

  segment = get_segment (self, place);
  segment->newest = MAX (segment->newest, made);
  *get_entry (self, place) = (Entry){ hash, stamp };
  bucket = find_bucket (self, &hash);
  *get_next (self, place) = *bucket;
  *bucket = place;
  self->end++;
  self->n++;
}

void
gkv_removals_add (GkvRemovals *self, GkvFingerprint hash, GkvStamp stamp, gint64 made)
{
  guint32 *slot;

  if (stamp == 0)
    return;

  if (self->segments == NULL)
    {
      self->segments = g_new0 (Segment *, self->n_places / SEGMENT);
      add_bucket (self);
    }

  slot = find_slot (self, &hash);
  if (*slot != NONE)
    {
      if (get_entry (self, *slot)->stamp >= stamp)
        return;
      clear_slot (self, slot);
    }

  for (guint i = 0; i < MAX_DROPPED && self->end > self->first; i++)
    {
      if (self->n < self->max && self->end - self->first < self->n_places - SEGMENT)
        break;
      drop_first (self);
    }
  /* Keys that are removed again and again leave nothing behind. */
  for (guint i = 0; i < 2 && self->end > self->first && get_entry (self, get_place (self, self->first))->stamp == 0;
       i++)
    drop_first (self);
  append (self, hash, stamp, made);
  if (self->n > self->n_buckets)
    split_bucket (self);
}

GkvStamp
gkv_removals_find (GkvRemovals *self, GkvFingerprint hash)
{
  guint32 *slot;

  if (self->n == 0)
    return 0;

  slot = find_slot (self, &hash);
  return *slot != NONE ? get_entry (self, *slot)->stamp : 0;
}

void
gkv_removals_forget (GkvRemovals *self, GkvFingerprint hash)
{
  guint32 *slot;

  if (self->n == 0)
    return;

  slot = find_slot (self, &hash);
  if (*slot != NONE)
    clear_slot (self, slot);
}

guint64
gkv_removals_get_n (GkvRemovals *self)
{
  return self->n;
}

/* What was dropped */

void
gkv_removals_note_dropped (GkvRemovals *self, gint64 made, GkvStamp stamp)
{
  if (self->dropped_stamp == 0 || made > self->dropped_made)
    self->dropped_made = made;
  self->dropped_stamp = MAX (self->dropped_stamp, stamp);
}

void
gkv_removals_get_dropped (GkvRemovals *self, gint64 *made, GkvStamp *stamp)
{
  *made = self->dropped_made;
  *stamp = self->dropped_stamp;
}

gboolean
gkv_removals_has_dropped (GkvRemovals *self, gint64 since, GkvStamp stamp)
{
  return self->dropped_stamp != 0 && self->dropped_stamp >= stamp && self->dropped_made >= since;
}

/* Reading all */

guint64
gkv_removals_get_first (GkvRemovals *self)
{
  return self->first;
}

guint64
gkv_removals_get_end (GkvRemovals *self)
{
  return self->end;
}

guint64
gkv_removals_get_first_since (GkvRemovals *self, gint64 since)
{
  guint64 number = self->first;

  while (number < self->end && get_segment (self, get_place (self, number))->newest < since)
    number = MIN ((number / SEGMENT + 1) * SEGMENT, self->end);
  return number;
}

gboolean
gkv_removals_get (GkvRemovals *self, guint64 number, GkvFingerprint *hash, GkvStamp *stamp, gint64 *made)
{
  guint32 place = get_place (self, number);
  const Entry *entry;

  if (number < self->first || number >= self->end)
    return FALSE;

  entry = get_entry (self, place);
  *hash = entry->hash;
  *stamp = entry->stamp;
  *made = get_segment (self, place)->newest;
  return entry->stamp != 0;
}
