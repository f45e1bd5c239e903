/* Sketches: finding a few differences between two large maps in one round trip.
 *
 * A node that is asked about everything and holds something else replies with the first chunk of its sketch. The asker
 * takes it from its own; most often that shows all that differs. When it doesn't, it shows how much that is: then more
 * chunks are asked for, or, when it is too much, the parts of the range. What can't be read, since one side was written
 * to meanwhile, is left to the parts as well.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-sketches.h"

#define CELL_SIZE (8 + 4 + 4 + 1)

/* What isn't a cell: the range, the chunk and the count. */
#define HEAD_SIZE (1 + 1 + 10 + 16)

/* Of estimates, which are rough: up to so many the second level is asked for, and the third. */
#define FEW  150
#define MANY (GKV_SKETCH_MAX_DIFFERENCES + GKV_SKETCH_MAX_DIFFERENCES / 4)

typedef struct
{
  GkvSketch difference; /* ours minus theirs */
  guint levels;         /* those that are there, a bit each */
  guint level;          /* the one that is being got */
  guint next, end;      /* chunks of it to be asked for */
  guint n_missing;
  guint estimate;
} GkvSketching;

typedef struct
{
  guint64 hash;
  guint32 version;
  gboolean ours;
} Difference;

struct _GkvSketches
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvTransfers *transfers;
  GkvOffers *offers;
  GkvExchanges *exchanges;
};

GkvSketches *
gkv_sketches_new (
    GkvRuntime *runtime, GkvLinks *links, GkvTransfers *transfers, GkvOffers *offers, GkvExchanges *exchanges)
{
  GkvSketches *self = g_new0 (GkvSketches, 1);

  self->runtime = runtime;
  self->links = links;
  self->transfers = transfers;
  self->offers = offers;
  self->exchanges = exchanges;
  return self;
}

void
gkv_sketches_free (GkvSketches *self)
{
  g_free (self);
}

/* Answering */

gboolean
gkv_sketches_can_send (GkvSketches *self, const GkvLink *link)
{
  return gkv_links_get_max_body (self->links, link) >= HEAD_SIZE + GKV_SKETCH_CHUNK * CELL_SIZE;
}

void
gkv_sketches_send (GkvSketches *self, GkvLink *link, guint chunk)
{
  const GkvSketchCell *cells = gkv_store_get_sketch (self->runtime->store)->cells + chunk * GKV_SKETCH_CHUNK;
  GByteArray *body = gkv_links_begin_message (self->links);
  GkvSummary mine;

  gkv_store_summarise (self->runtime->store, GKV_RANGE_EVERYTHING, &mine);
  gkv_put_range (body, GKV_RANGE_EVERYTHING);
  gkv_put_u8 (body, chunk);
  gkv_put_varint (body, mine.count);
  gkv_put_fingerprint (body, &mine.fingerprint);
  for (guint i = 0; i < GKV_SKETCH_CHUNK; i++)
    {
      gkv_put_u64 (body, cells[i].hash);
      gkv_put_u32 (body, cells[i].version);
      gkv_put_u32 (body, cells[i].check);
      gkv_put_u8 (body, cells[i].count);
    }
  gkv_links_send (self->links, link, GKV_MESSAGE_SKETCH);
}

void
gkv_sketches_handle_ask (GkvSketches *self, GkvLink *link, GkvReader *reader)
{
  guint chunk = gkv_reader_u8 (reader);

  if (!reader->failed && chunk < GKV_SKETCH_N_CHUNKS && gkv_sketches_can_send (self, link) &&
      gkv_links_spend (self->links, GKV_SKETCH_CHUNK * CELL_SIZE))
    gkv_sketches_send (self, link, chunk);
}

/* Asking */

static void
ask_more (GkvSketches *self, GkvLink *link)
{
  GkvSketching *sketching = gkv_exchange_of (link)->sketching;

  while (sketching->next < sketching->end && gkv_exchange_of (link)->asked->len < GKV_EXCHANGE_MAX_ASKED)
    gkv_exchange_ask (self->exchanges, link, GKV_RANGE_EVERYTHING, sketching->next++);
}

static void
get_level (GkvSketches *self, GkvLink *link, guint level)
{
  GkvSketching *sketching = gkv_exchange_of (link)->sketching;

  sketching->level = level;
  gkv_sketch_get_chunks (level, &sketching->next, &sketching->end);
  sketching->n_missing = sketching->end - sketching->next;
  ask_more (self, link);
}

static void
add_difference (guint64 hash, guint32 version, gboolean ours, gpointer user_data)
{
  Difference difference = { hash, version, ours };

  g_array_append_val ((GArray *) user_data, difference);
}

static int
compare_differences (gconstpointer a, gconstpointer b)
{
  const Difference *x = a, *y = b;

  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;

  return x->ours - y->ours;
}

/* Whether the other side has something of that hash as well. They are sorted: of those of one hash the first is the
 * other's, if any is, and the last is ours. */
static gboolean
has_counterpart (GArray *differences, guint index)
{
  const Difference *difference = &g_array_index (differences, Difference, index);
  guint i = index;

  if (difference->ours)
    while (i > 0 && g_array_index (differences, Difference, i - 1).hash == difference->hash)
      i--;
  else
    while (i + 1 < differences->len && g_array_index (differences, Difference, i + 1).hash == difference->hash)
      i++;

  return g_array_index (differences, Difference, i).ours != difference->ours;
}

/* Fetches what they have, and gives what we have. Of a key that both have, neither sketch shows which wins: ours is
 * offered, and they give theirs, or want ours. */
static void
settle (GkvSketches *self, GkvLink *link, GArray *differences)
{
  g_autoptr (GPtrArray) given = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  g_autoptr (GPtrArray) offered = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  g_array_sort (differences, compare_differences);
  for (guint i = 0; i < differences->len; i++)
    {
      const Difference *difference = &g_array_index (differences, Difference, i);
      GkvRecord *held;

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      held = gkv_store_lookup_version (self->runtime->store, difference->hash, difference->version);
      if (difference->ours)
        {
          if (held != NULL && !gkv_transfer_is_refused (link, held))
            g_ptr_array_add (has_counterpart (differences, i) ? offered : given, gkv_record_ref (held));
        }
      else if (held == NULL && has_counterpart (differences, i))
        {
          gkv_transfer_expect (self->transfers, link, difference->hash, difference->version);
        }
      else if (held == NULL)
        {
          gkv_transfer_want (self->transfers, link, difference->hash, difference->version, TRUE);
        }
    }

  if (given->len > 0 || offered->len > 0)
    gkv_exchange_of (link)->gave = TRUE;
  if (gkv_offers_give (self->offers, link, given))
    gkv_exchange_of (link)->invited = TRUE;
  gkv_offers_send (self->offers, link, offered);
}

/* A level is complete. */
static void
read_level (GkvSketches *self, GkvLink *link)
{
  GkvSketching *sketching = gkv_exchange_of (link)->sketching;
  g_autofree GkvSketch *copy = g_memdup2 (&sketching->difference, sizeof sketching->difference);
  g_autoptr (GArray) differences = g_array_new (FALSE, FALSE, sizeof (Difference));
  gboolean complete;

  sketching->levels |= 1 << sketching->level;
  gkv_runtime_unlock_store (self->runtime);
  complete = gkv_sketch_decode (copy, sketching->levels, add_difference, differences);
  gkv_runtime_lock_store (self->runtime);

  if (!complete && sketching->level + 1 < GKV_SKETCH_N_LEVELS && sketching->estimate <= MANY)
    {
      get_level (self, link, sketching->estimate <= FEW ? sketching->level + 1 : GKV_SKETCH_N_LEVELS - 1);
      return;
    }

  if (complete || sketching->level > 0)
    settle (self, link, differences);
  if (!complete || differences->len == 0)
    gkv_exchange_split (self->exchanges, link, GKV_RANGE_EVERYTHING, NULL);

  g_clear_pointer (&gkv_exchange_of (link)->sketching, g_free);
}

static gboolean
begin (GkvSketches *self, GkvLink *link, const GkvFingerprint *theirs, gint64 surplus)
{
  GkvExchange *exchange = gkv_exchange_of (link);
  GkvSketching *sketching;

  if (!gkv_exchange_goes_on (self->exchanges, link, theirs))
    return FALSE;

  if (ABS (surplus) > MANY)
    {
      gkv_exchange_split (self->exchanges, link, GKV_RANGE_EVERYTHING, NULL);
      return FALSE;
    }

  g_free (exchange->sketching);
  sketching = g_new0 (GkvSketching, 1);
  sketching->n_missing = 1;
  exchange->sketching = sketching;
  return TRUE;
}

void
gkv_sketches_handle (GkvSketches *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);
  guint chunk = gkv_reader_u8 (reader);
  guint64 their_count = gkv_reader_varint (reader);
  GkvFingerprint sum = gkv_reader_fingerprint (reader);
  GkvSketching *sketching;
  const GkvSketchCell *mine;
  GkvSketchCell *cells;
  GkvSummary summary;
  gint64 surplus;

  if (reader->failed || range.depth != 0 || chunk >= GKV_SKETCH_N_CHUNKS ||
      gkv_reader_get_left (reader) < GKV_SKETCH_CHUNK * CELL_SIZE ||
      !gkv_exchange_is_answer (link, &GKV_RANGE_EVERYTHING, chunk))
    return;

  gkv_store_summarise (self->runtime->store, GKV_RANGE_EVERYTHING, &summary);
  surplus = (gint64) (summary.count - their_count);
  if (chunk == 0 && !begin (self, link, &sum, surplus))
    {
      gkv_exchange_consider_end (self->exchanges, link);
      return;
    }

  sketching = gkv_exchange_of (link)->sketching;
  if (sketching == NULL)
    return;

  mine = gkv_store_get_sketch (self->runtime->store)->cells + chunk * GKV_SKETCH_CHUNK;
  cells = sketching->difference.cells + chunk * GKV_SKETCH_CHUNK;
  for (guint i = 0; i < GKV_SKETCH_CHUNK; i++)
    {
      cells[i].hash = mine[i].hash ^ gkv_reader_u64 (reader);
      cells[i].version = mine[i].version ^ gkv_reader_u32 (reader);
      cells[i].check = mine[i].check ^ gkv_reader_u32 (reader);
      cells[i].count = mine[i].count - gkv_reader_u8 (reader);
    }
  if (chunk == 0)
    sketching->estimate = gkv_sketch_estimate (&sketching->difference, surplus);

  sketching->n_missing--;
  ask_more (self, link);
  if (sketching->n_missing == 0)
    read_level (self, link);
  gkv_exchange_consider_end (self->exchanges, link);
}
