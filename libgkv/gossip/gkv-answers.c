/* Answers: the messages of anti-entropy.
 *
 * What a query gets: that all is the same; or, where little is held, a list of all of it; or a sketch (gkv-sketches),
 * or the sums of the parts of the range. And what follows from each at the one that has asked.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-answers.h"

/* A range of at most so many records is listed, not split: the list fits a datagram. */
#define MAX_LISTED 24

/* A peer that lacks more of a range than this is invited to fetch it page by page. */
#define MAX_GIVEN 96

#define SAME_FLAG_SYNCED 1

struct _GkvAnswers
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvTransfers *transfers;
  GkvOffers *offers;
  GkvExchanges *exchanges;
  GkvSketches *sketches;
  GkvFlushes *flushes;
};

GkvAnswers *
gkv_answers_new (GkvRuntime *runtime,
                 GkvLinks *links,
                 GkvTransfers *transfers,
                 GkvOffers *offers,
                 GkvExchanges *exchanges,
                 GkvSketches *sketches,
                 GkvFlushes *flushes)
{
  GkvAnswers *self = g_new0 (GkvAnswers, 1);

  self->runtime = runtime;
  self->links = links;
  self->transfers = transfers;
  self->offers = offers;
  self->exchanges = exchanges;
  self->sketches = sketches;
  self->flushes = flushes;
  return self;
}

void
gkv_answers_free (GkvAnswers *self)
{
  g_free (self);
}

typedef struct
{
  GByteArray *body;
  const GkvHashKey *hash_key;
} Listing;

static gboolean
put_listed (GkvRecord *record, gpointer user_data)
{
  Listing *listing = user_data;

  gkv_put_item (listing->body, listing->hash_key, record);
  return TRUE;
}

/* What the reply to a query takes at the most, but for that with many records of one hash. */
#define ASK_COST GKV_WIRE_USUAL_DATAGRAM

/* What is about everything has the sum of all. */
static void
put_whole_sum (GByteArray *body, GkvRange range, const GkvSummary *mine)
{
  if (range.depth == 0)
    gkv_put_fingerprint (body, &mine->fingerprint);
}

static GkvFingerprint
read_whole_sum (GkvReader *reader, GkvRange range)
{
  return range.depth == 0 ? gkv_reader_fingerprint (reader) : (GkvFingerprint){ 0, 0 };
}

static void
handle_ask (GkvAnswers *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);
  GkvFingerprint theirs = gkv_reader_fingerprint (reader);
  GkvSummary mine;
  GByteArray *body;
  guint8 flags;

  flags = gkv_reader_get_left (reader) > 0 ? gkv_reader_u8 (reader) : 0;
  if (reader->failed || !gkv_links_spend (self->links, ASK_COST))
    return;

  gkv_conversation_of (link)->stirred = self->runtime->now.mono;

  if (gkv_exchange_is_full_sum (&theirs))
    gkv_exchange_put_off_full (self->exchanges, link);

  gkv_store_summarise (self->runtime->store, range, &mine);
  body = gkv_links_begin_message (self->links);
  gkv_put_range (body, range);

  if (gkv_fingerprint_equal (&mine.fingerprint, &theirs))
    {
      gkv_put_u8 (body, self->runtime->synced ? SAME_FLAG_SYNCED : 0);
      gkv_put_u32 (body, mine.fingerprint.lo);
      gkv_links_send (self->links, link, GKV_MESSAGE_SAME);
      if (range.depth == 0 && !(flags & GKV_ASK_FLAG_ACCEPTED))
        {
          gkv_flushes_agree (self->flushes, link);
          gkv_exchange_agree (self->exchanges, link, 0);
        }
    }
  else if (mine.count <= MAX_LISTED || range.depth == 16)
    {
      Listing listing = { body, gkv_store_get_hash_key (self->runtime->store) };

      put_whole_sum (body, range, &mine);
      gkv_store_foreach (self->runtime->store, range, 0, put_listed, &listing);
      gkv_links_send (self->links, link, GKV_MESSAGE_ITEMS);
    }
  else if (range.depth == 0 && (theirs.lo | theirs.hi) != 0 && gkv_sketches_can_send (self->sketches, link))
    {
      gkv_sketches_send (self->sketches, link, 0);
    }
  else
    {
      put_whole_sum (body, range, &mine);
      for (guint i = 0; i < 16; i++)
        {
          gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 2);
          gkv_store_summarise (self->runtime->store, gkv_exchange_get_part (range, i), &mine);
          gkv_put_u64 (body, mine.fingerprint.lo);
        }
      gkv_links_send (self->links, link, GKV_MESSAGE_RANGE);
    }
}

static void
handle_same (GkvAnswers *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);
  guint8 flags = gkv_reader_u8 (reader);
  guint32 sum = gkv_reader_u32 (reader);
  const GkvAsked *asked = gkv_exchange_find_asked (link, &range, 0);

  /* One that comes late is about what we held at an earlier question, and says nothing of what was written since. Or it
   * answers no question of a full exchange, but one from before. */
  if (reader->failed || (gkv_exchange_of (link) != NULL && gkv_exchange_of (link)->full) || asked == NULL ||
      asked->sum != sum || !gkv_exchange_is_answer (link, &range, 0))
    return;

  if (range.depth == 0)
    {
      if (gkv_link_is_current (link))
        gkv_standing_of (link->member)->says_synced = (flags & SAME_FLAG_SYNCED) != 0;
      gkv_exchange_agree (self->exchanges, link, gkv_exchange_of (link)->number);
    }
  gkv_exchange_consider_end (self->exchanges, link);
}

static void
handle_range (GkvAnswers *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);
  GkvFingerprint sum = read_whole_sum (reader, range);
  guint64 theirs[16];
  GkvSummary mine;

  for (guint i = 0; i < 16; i++)
    theirs[i] = gkv_reader_u64 (reader);

  if (reader->failed || range.depth >= 16 || !gkv_exchange_is_answer (link, &range, 0))
    return;

  if (range.depth == 0 && !gkv_exchange_goes_on (self->exchanges, link, &sum))
    return;

  gkv_store_summarise (self->runtime->store, range, &mine);
  if (mine.count == 0 && !gkv_exchange_is_picky (link))
    {
      gkv_transfer_pull (self->transfers, link, range);
      gkv_exchange_consider_end (self->exchanges, link);
      return;
    }

  gkv_exchange_split (self->exchanges, link, range, gkv_exchange_of (link)->full ? NULL : theirs);
  gkv_exchange_consider_end (self->exchanges, link);
}

static gboolean
add_to_array (GkvRecord *record, gpointer user_data)
{
  g_ptr_array_add (user_data, gkv_record_ref (record));
  return TRUE;
}

static int
compare_items (gconstpointer a, gconstpointer b)
{
  guint64 x = ((const GkvItem *) a)->hash, y = ((const GkvItem *) b)->hash;

  return (x > y) - (x < y);
}

/* The first of sorted items whose hash is at least @hash, or their number. */
static guint
find_item (GArray *items, guint64 hash)
{
  guint low = 0, high = items->len;

  while (low < high)
    {
      guint middle = (low + high) / 2;

      if (g_array_index (items, GkvItem, middle).hash < hash)
        low = middle + 1;
      else
        high = middle;
    }

  return low;
}

/* Whether one that has these @items lacks a record of ours. */
static gboolean
is_lacking (GkvAnswers *self, GArray *items, const GkvRecord *record)
{
  for (guint i = find_item (items, record->hash); i < items->len; i++)
    {
      const GkvItem *item = &g_array_index (items, GkvItem, i);

      if (item->hash != record->hash)
        break;

      if (gkv_item_is_of (item, gkv_store_get_hash_key (self->runtime->store), record))
        return record->stamp > item->stamp ||
               (record->stamp == item->stamp && (guint32) record->fingerprint.lo != item->fingerprint);
    }

  return TRUE;
}

/* Gives of a range what one that has these @items lacks. */
static void
give_rest (GkvAnswers *self, GkvLink *link, GkvRange range, GArray *items)
{
  g_autoptr (GPtrArray) mine = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  g_autoptr (GPtrArray) given = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);

  /* At most so many as are given, and one leaf more. */
  gkv_store_foreach (self->runtime->store, range, 0, add_to_array, mine);
  for (guint i = 0; i < mine->len; i++)
    if (is_lacking (self, items, g_ptr_array_index (mine, i)))
      {
        GkvRecord *record = g_ptr_array_index (mine, i);

        if (gkv_transfer_is_refused (link, record))
          continue;

        g_ptr_array_add (given, gkv_record_ref (record));
        gkv_exchange_of (link)->gave = TRUE;
      }
  if (gkv_offers_give (self->offers, link, given))
    gkv_exchange_of (link)->invited = TRUE;
}

static void
handle_items (GkvAnswers *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);
  GkvFingerprint sum = read_whole_sum (reader, range);
  g_autoptr (GArray) items = g_array_new (FALSE, FALSE, sizeof (GkvItem));
  GkvSummary mine;

  while (gkv_reader_get_left (reader) > 0)
    {
      GkvItem item = gkv_reader_item (reader);

      g_array_append_val (items, item);
    }

  if (reader->failed || !gkv_exchange_is_answer (link, &range, 0))
    return;

  if (range.depth == 0 && !gkv_exchange_goes_on (self->exchanges, link, &sum))
    return;

  g_array_sort (items, compare_items);
  gkv_store_summarise (self->runtime->store, range, &mine);
  if (mine.count > MAX_GIVEN && gkv_exchange_is_picky (link) && range.depth < 16)
    {
      /* A little at a time. */
      for (guint i = 0; i < 16; i++)
        {
          GkvRange child = gkv_exchange_get_part (range, i);

          gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 2);
          gkv_store_summarise (self->runtime->store, child, &mine);
          if (mine.count > 0)
            gkv_exchange_look_into (link, child);
        }
    }
  else if (mine.count > MAX_GIVEN)
    {
      gkv_exchange_of (link)->gave = TRUE;
      gkv_exchange_of (link)->invited = TRUE;
      gkv_conversation_of (link)->gave_old = TRUE;
      gkv_put_range (gkv_links_begin_message (self->links), range);
      gkv_links_send (self->links, link, GKV_MESSAGE_INVITE);
    }
  else
    {
      give_rest (self, link, range, items);
    }

  for (guint i = 0; i < items->len; i++)
    {
      const GkvItem *item = &g_array_index (items, GkvItem, i);

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      gkv_offers_consider (self->offers, link, item);
    }

  gkv_exchange_consider_end (self->exchanges, link);
}

static void
handle_invite (GkvAnswers *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);

  if (!reader->failed)
    gkv_transfer_pull (self->transfers, link, range);
}

void
gkv_answers_handle (GkvAnswers *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  switch ((int) kind)
    {
    case GKV_MESSAGE_ASK:
      handle_ask (self, link, reader);
      break;

    case GKV_MESSAGE_SAME:
      handle_same (self, link, reader);
      break;

    case GKV_MESSAGE_RANGE:
      handle_range (self, link, reader);
      break;

    case GKV_MESSAGE_ITEMS:
      handle_items (self, link, reader);
      break;

    case GKV_MESSAGE_OFFER:
      gkv_offers_handle (self->offers, link, reader);
      gkv_exchange_consider_end (self->exchanges, link);
      break;

    case GKV_MESSAGE_INVITE:
      handle_invite (self, link, reader);
      break;

    case GKV_MESSAGE_SKETCH:
      gkv_sketches_handle (self->sketches, link, reader);
      break;

    case GKV_MESSAGE_ASK_CHUNK:
      gkv_sketches_handle_ask (self->sketches, link, reader);
      break;

    default:
      g_assert_not_reached ();
    }
}
