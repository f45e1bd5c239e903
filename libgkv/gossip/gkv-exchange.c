/* Exchanges: finding what differs from one peer.
 *
 * One side asks: here is the fingerprint of a range of mine, does yours differ? The other answers that it is the same,
 * or, where it holds little there, lists all that it has. Where it holds much, the answer about everything is a sketch
 * (gkv-sketches), from which a few differences can be read at once; there may be more of them, and then, as with any
 * part, the range is split in sixteen, and the asker goes on with the parts that differ. So a map in sync costs one
 * small datagram each way, whatever its size; differences cost in proportion to their number; and all state is with the
 * asker, who repeats what gets lost.
 *
 * Where sums or sketches themselves are wrong, such exchanges mend nothing. Then all is listed and compared record by
 * record: a full exchange.
 *
 * Source: Meyer, "Range-Based Set Reconciliation", SRDS 2023; here over the nodes of the store's trie.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-exchange-private.h"
#include "gkv-horizons.h"

#include "../gkv-error.h"

/* A range of at most so many records is listed, not split: the list fits a datagram. */
#define MAX_LISTED 24

/* A peer that lacks more of a range than this is invited to fetch it page by page. */
#define MAX_GIVEN 96

#define MAX_TODO      65536
#define ASK_PATIENCE  (400 * GKV_MS)
#define ASK_TRIES     5
#define MAX_EXCHANGES 3
#define SOON          (100 * GKV_MS)

/* Two nodes that have met, and differed, ask at once whether that is mended: so often. */
#define MAX_CHECKS 3

/* A node that isn't synced asks those whom it still has to ask, whatever the gossip interval: when it has got nothing
 * from them for a while, and not more often than that. */
#define UNSYNCED_QUIET  (100 * GKV_MS)
#define UNSYNCED_PERIOD (500 * GKV_MS)

/* An exchange that starts from the same two sides as the last ones did finds nothing that it can mend: it is repeated
 * so often. Then comes a full one, and others at intervals that grow to an hour. */
#define MAX_REPEATS 5
#define FULL_FIRST  (60 * GKV_SECOND)
#define FULL_LAST   (60 * 60 * GKV_SECOND)

/* A full exchange has very many questions, and none may remain without its answer. */
#define FULL_TRIES 25

/* While one side gets a record in pieces, nothing changes; but not for longer than this. */
#define PIECES_PATIENCE (2 * GKV_SECOND)
#define PIECES_LAST     (5 * 60 * GKV_SECOND)

#define SAME_FLAG_SYNCED 1

static gboolean
range_equal (const GkvRange *a, const GkvRange *b)
{
  return a->depth == b->depth && a->prefix == b->prefix;
}

static GkvRange
get_child (GkvRange range, guint index)
{
  GkvRange child = { .prefix = range.prefix | (guint64) index << (60 - 4 * range.depth), .depth = range.depth + 1 };

  return child;
}

void
gkv_exchange_put_range (GkvEngine *self, GByteArray *body, GkvRange range)
{
  gkv_put_range (body, range);
  if (range.depth == 0)
    gkv_put_u64 (body, gkv_horizons_get (self));
}

GkvRange
gkv_exchange_read_range (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);

  if (range.depth == 0 && !reader->failed)
    {
      GkvStamp horizon = gkv_reader_u64 (reader);

      if (!reader->failed)
        gkv_horizons_hear (self, link, horizon);
    }
  return range;
}

void
gkv_exchanges_init (GkvEngine *self)
{
  self->exchanging = g_ptr_array_new ();
  self->exchanges_due = G_MAXINT64;
}

void
gkv_exchanges_clear (GkvEngine *self)
{
  g_ptr_array_unref (self->exchanging);
}

/* Asking */

/* Questions are looked at again at @when. */
static void
look_at (GkvEngine *self, gint64 when)
{
  self->exchanges_due = MIN (self->exchanges_due, when);
  gkv_engine_wake_at (self, when);
}

/* A sum that no range has: what is there is listed. */
static const GkvFingerprint no_sum = { G_MAXUINT64, G_MAXUINT64 };

static void
send_ask (GkvEngine *self, GkvLink *link, GkvAsked *asked)
{
  GByteArray *body = gkv_engine_begin_message (self);
  GkvSummary summary;

  if (asked->chunk > 0)
    {
      gkv_put_u8 (body, asked->chunk);
      gkv_link_send (self, link, GKV_MESSAGE_ASK_CHUNK);
      return;
    }

  gkv_store_summarise (self->store, asked->range, &summary);
  if (link->exchange->full)
    summary.fingerprint = no_sum;
  asked->sum = summary.fingerprint.lo;
  gkv_exchange_put_range (self, body, asked->range);
  gkv_put_u64 (body, summary.fingerprint.lo);
  gkv_put_u64 (body, summary.fingerprint.hi);
  gkv_link_send (self, link, GKV_MESSAGE_ASK);
}

void
gkv_exchange_ask (GkvEngine *self, GkvLink *link, GkvRange range, guint chunk)
{
  GkvAsked asked = { .range = range, .chunk = chunk, .sent = self->now.mono };

  if (range.depth == 0 && chunk == 0)
    asked.epoch = gkv_store_end_epoch (self->store);
  send_ask (self, link, &asked);
  g_array_append_val (link->exchange->asked, asked);
  look_at (self, self->now.mono + ASK_PATIENCE);
}

static void
ask_more (GkvEngine *self, GkvLink *link)
{
  GkvExchange *exchange = link->exchange;

  while (exchange->asked->len < GKV_EXCHANGE_MAX_ASKED && exchange->todo.length > 0)
    {
      g_autofree GkvRange *range = g_queue_pop_head (&exchange->todo);

      gkv_exchange_ask (self, link, *range, 0);
      gkv_engine_breathe (self, GKV_COST_RECORD);
    }
}

gboolean
gkv_exchange_is_answer (GkvLink *link, const GkvRange *range, guint chunk, guint32 *epoch)
{
  GArray *asked = link->exchange != NULL ? link->exchange->asked : NULL;

  for (guint i = 0; asked != NULL && i < asked->len; i++)
    {
      GkvAsked *question = &g_array_index (asked, GkvAsked, i);

      if (range_equal (&question->range, range) && question->chunk == chunk)
        {
          if (epoch != NULL)
            *epoch = question->epoch;
          g_array_remove_index_fast (asked, i);
          return TRUE;
        }
    }

  return FALSE;
}

void
gkv_exchange_begin (GkvEngine *self, GkvLink *link)
{
  const GkvRange everything = { 0, 0 };

  if (link->exchange != NULL || !gkv_link_is_usable (link))
    return;

  self->counters.exchanges++;
  g_ptr_array_add (self->exchanging, link);
  link->exchange = g_new0 (GkvExchange, 1);
  link->exchange->asked = g_array_new (FALSE, FALSE, sizeof (GkvAsked));
  g_queue_init (&link->exchange->todo);
  gkv_flushes_begin_exchange (self, &link->exchange->given);
  link->incomplete = FALSE;
  gkv_exchange_ask (self, link, everything, 0);
}

void
gkv_exchange_free (GkvEngine *self, GkvLink *link)
{
  GkvExchange *exchange = g_steal_pointer (&link->exchange);

  if (exchange == NULL)
    return;

  g_ptr_array_remove_fast (self->exchanging, link);
  g_queue_clear_full (&exchange->todo, g_free);
  g_array_unref (exchange->asked);
  gkv_sketching_free (exchange->sketching);
  gkv_given_clear (&exchange->given);
  g_free (exchange);
}

/* Nothing is left to fetch: both have held the same. */
static void
matched (GkvEngine *self, GkvLink *link)
{
  if (link->member == NULL || link->life != link->member->life)
    return;

  link->member->matched = TRUE;
  gkv_engine_consider_synced (self);
}

/* They hold just what we held at the end of @epoch. */
static void
agree (GkvEngine *self, GkvLink *link, guint32 epoch)
{
  link->n_repeats = 0;
  link->full_interval = link->full_due = 0;
  if (link->member != NULL && link->life == link->member->life)
    {
      link->member->n_checks = MAX_CHECKS;
      gkv_horizons_agree (self, link->member, epoch);
    }
  matched (self, link);
}

/* What the other found to be missing here has been got. Whether that was all is asked, where it matters. */
static void
consider_asking (GkvEngine *self, GkvLink *link)
{
  const GkvMember *member = link->member;

  if (member == NULL || link->life != member->life || !gkv_transfer_is_idle (self, link) || link->n_repeats > 0)
    return;

  if (!member->matched)
    gkv_exchange_begin (self, link);
  else if (link->incomplete)
    gkv_exchanges_hasten (self);
}

/* An exchange that found differences has ended. The other side can't tell whether it has been given everything, and
 * thus whether it is synced, before it is asked again. If it has been invited to fetch much, it asks by itself. */
static void
check (GkvEngine *self, GkvLink *link)
{
  GkvMember *member = link->member;

  if (member == NULL || link->life != member->life || member->n_checks >= MAX_CHECKS || link->n_repeats > 0)
    return;

  member->n_checks++;
  gkv_exchange_begin (self, link);
}

void
gkv_exchange_consider_end (GkvEngine *self, GkvLink *link)
{
  GkvExchange *exchange = link->exchange;
  gboolean checked;

  if (exchange == NULL)
    {
      consider_asking (self, link);
      return;
    }

  ask_more (self, link);
  if (exchange->asked->len > 0 || exchange->todo.length > 0 || !gkv_transfer_is_idle (self, link))
    return;

  if (exchange->differs)
    {
      link->ended_mine = exchange->mine;
      link->ended_theirs = exchange->theirs;
    }
  if (!link->incomplete)
    gkv_flushes_settle (self, link, &exchange->given);
  checked = exchange->differs && !exchange->invited;
  gkv_exchange_free (self, link);

  /* What got lost on the way is asked for again soon, as long as that gets us anywhere. */
  if (link->incomplete)
    {
      if (link->n_repeats == 0)
        gkv_exchanges_hasten (self);
      return;
    }

  matched (self, link);
  if (checked)
    check (self, link);
}

/* One at a time, as each costs in proportion to the map. */
static gboolean
is_full_under_way (GkvEngine *self)
{
  for (guint i = 0; i < self->exchanging->len; i++)
    if (((GkvLink *) g_ptr_array_index (self->exchanging, i))->exchange->full)
      return TRUE;

  return FALSE;
}

static void
put_off_full (GkvEngine *self, GkvLink *link)
{
  link->full_due = self->now.mono + MAX (link->full_interval, FULL_FIRST);
}

static void
go_over_to_full (GkvEngine *self, GkvLink *link)
{
  const GkvRange everything = { 0, 0 };

  self->counters.exchanges_full++;
  link->full_interval = CLAMP (2 * link->full_interval, FULL_FIRST, FULL_LAST);
  put_off_full (self, link);
  link->exchange->full = TRUE;
  gkv_exchange_split (self, link, everything, NULL);
  ask_more (self, link);
}

/* Both are as they were when the last exchange ended; and it isn't that one of them is still getting a record that
 * comes in pieces. */
static gboolean
is_repeated (GkvEngine *self, GkvLink *link)
{
  gboolean getting = self->assembly_bytes > 0 || self->now.mono - link->pieces_sent < PIECES_PATIENCE;

  if (link->exchange->mine != link->ended_mine || link->exchange->theirs != link->ended_theirs)
    {
      link->n_repeats = 0;
      link->differed_since = self->now.mono;
      return FALSE;
    }

  return !getting || self->now.mono - link->differed_since >= PIECES_LAST;
}

gboolean
gkv_exchange_goes_on (GkvEngine *self, GkvLink *link, const guint8 *theirs, gsize len)
{
  GkvExchange *exchange = link->exchange;
  GkvSummary summary;
  const GkvRange everything = { 0, 0 };

  gkv_store_summarise (self->store, everything, &summary);
  exchange->differs = TRUE;
  exchange->mine = summary.fingerprint.lo;
  exchange->theirs = gkv_hash_64 (&self->secret, theirs, len);

  if (!is_repeated (self, link))
    return TRUE;

  self->counters.exchanges_repeated++;
  link->n_repeats++;
  if (link->n_repeats < MAX_REPEATS)
    return TRUE;

  if (link->n_repeats == MAX_REPEATS && link->full_interval == 0)
    gkv_engine_report (self, link, GKV_ERROR_FAILED,
                       "This node and the one at %s hold different records, and exchanging what differs doesn't mend "
                       "it; now all is compared, and again at growing intervals. Are both clocks right?",
                       link->address);

  if (self->now.mono >= link->full_due && !is_full_under_way (self))
    go_over_to_full (self, link);
  else
    gkv_exchange_free (self, link);
  return FALSE;
}

/* Answering */

static gboolean
put_listed (GkvRecord *record, gpointer user_data)
{
  gkv_put_item (user_data, record);
  return TRUE;
}

static void
handle_ask (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_exchange_read_range (self, link, reader);
  GkvFingerprint theirs;
  GkvSummary mine;
  GByteArray *body;

  theirs.lo = gkv_reader_u64 (reader);
  theirs.hi = gkv_reader_u64 (reader);
  if (reader->failed)
    return;

  link->stirred = self->now.mono;

  /* One side's full exchange is enough for both. */
  if (gkv_fingerprint_equal (&theirs, &no_sum))
    put_off_full (self, link);

  gkv_store_summarise (self->store, range, &mine);
  body = gkv_engine_begin_message (self);
  gkv_exchange_put_range (self, body, range);

  if (gkv_fingerprint_equal (&mine.fingerprint, &theirs))
    {
      gkv_put_u8 (body, self->synced ? SAME_FLAG_SYNCED : 0);
      gkv_put_u32 (body, mine.fingerprint.lo);
      gkv_link_send (self, link, GKV_MESSAGE_SAME);
      if (range.depth == 0)
        {
          gkv_flushes_agree (self, link);
          agree (self, link, gkv_store_end_epoch (self->store));
        }
    }
  else if (mine.count <= MAX_LISTED || range.depth == 16)
    {
      gkv_store_foreach (self->store, range, 0, put_listed, body);
      gkv_link_send (self, link, GKV_MESSAGE_ITEMS);
    }
  else if (range.depth == 0 && (theirs.lo | theirs.hi) != 0 && gkv_sketches_can_send (self))
    {
      gkv_sketches_send (self, link, 0);
    }
  else
    {
      for (guint i = 0; i < 16; i++)
        {
          gkv_engine_breathe (self, GKV_COST_RECORD / 2);
          gkv_store_summarise (self->store, get_child (range, i), &mine);
          gkv_put_u64 (body, mine.fingerprint.lo);
        }
      gkv_link_send (self, link, GKV_MESSAGE_RANGE);
    }
}

/* One that comes late is about what we held at an earlier question, and says nothing of what was written since. */
static gboolean
is_same_as_asked (const GkvLink *link, const GkvRange *range, guint32 sum)
{
  for (guint i = 0; link->exchange != NULL && i < link->exchange->asked->len; i++)
    {
      const GkvAsked *question = &g_array_index (link->exchange->asked, GkvAsked, i);

      if (range_equal (&question->range, range) && question->chunk == 0)
        return question->sum == sum;
    }

  return FALSE;
}

static void
handle_same (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_exchange_read_range (self, link, reader);
  guint8 flags = gkv_reader_u8 (reader);
  guint32 sum = gkv_reader_u32 (reader);
  guint32 epoch;

  /* It answers no question of a full exchange, but one from before. */
  if (reader->failed || (link->exchange != NULL && link->exchange->full) || !is_same_as_asked (link, &range, sum) ||
      !gkv_exchange_is_answer (link, &range, 0, &epoch))
    return;

  if (range.depth == 0)
    {
      agree (self, link, epoch);
      if (flags & SAME_FLAG_SYNCED)
        gkv_engine_set_synced (self);
    }
  gkv_exchange_consider_end (self, link);
}

static void
look_into (GkvLink *link, GkvRange range)
{
  if (link->exchange->todo.length < MAX_TODO)
    g_queue_push_head (&link->exchange->todo, g_memdup2 (&range, sizeof range));
  else
    link->incomplete = TRUE;
}

void
gkv_exchange_split (GkvEngine *self, GkvLink *link, GkvRange range, const guint64 *theirs)
{
  GkvSummary mine;

  for (guint i = 0; i < 16; i++)
    {
      GkvRange child = get_child (range, i);

      gkv_engine_breathe (self, GKV_COST_RECORD / 2);
      gkv_store_summarise (self->store, child, &mine);
      if (theirs != NULL && mine.fingerprint.lo == theirs[i])
        continue;

      if (mine.count == 0 && !link->exchange->full)
        gkv_transfer_pull (self, link, child, TRUE);
      else
        look_into (link, child);
    }
}

static void
handle_range (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  const guint8 *all = reader->data;
  GkvRange range = gkv_exchange_read_range (self, link, reader);
  guint64 theirs[16];
  GkvSummary mine;

  for (guint i = 0; i < 16; i++)
    theirs[i] = gkv_reader_u64 (reader);

  if (reader->failed || range.depth >= 16 || !gkv_exchange_is_answer (link, &range, 0, NULL))
    return;

  if (range.depth == 0 && !gkv_exchange_goes_on (self, link, all, reader->len))
    return;

  gkv_store_summarise (self->store, range, &mine);
  if (mine.count == 0)
    {
      gkv_transfer_pull (self, link, range, TRUE);
      gkv_exchange_consider_end (self, link);
      return;
    }

  gkv_exchange_split (self, link, range, link->exchange->full ? NULL : theirs);
  gkv_exchange_consider_end (self, link);
}

static gboolean
add_to_array (GkvRecord *record, gpointer user_data)
{
  g_ptr_array_add (user_data, gkv_record_ref (record));
  return TRUE;
}

static void
handle_items (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  const guint8 *all = reader->data;
  GkvRange range = gkv_exchange_read_range (self, link, reader);
  g_autoptr (GHashTable) listed = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  g_autoptr (GPtrArray) given = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  GkvSummary mine;

  while (gkv_reader_get_left (reader) > 0)
    {
      GkvItem item = gkv_reader_item (reader);
      GkvItem *copy = g_memdup2 (&item, sizeof item);

      g_hash_table_replace (listed, &copy->hash, copy);
    }

  if (reader->failed || !gkv_exchange_is_answer (link, &range, 0, NULL))
    return;

  if (range.depth == 0 && !gkv_exchange_goes_on (self, link, all, reader->len))
    return;

  gkv_store_summarise (self->store, range, &mine);
  if (mine.count > MAX_GIVEN && (link->member->horizon > 0 || link->exchange->full) && range.depth < 16)
    {
      /* Each of what they lack has to be judged, or compared: a little at a time. */
      for (guint i = 0; i < 16; i++)
        {
          GkvRange child = get_child (range, i);

          gkv_engine_breathe (self, GKV_COST_RECORD / 2);
          gkv_store_summarise (self->store, child, &mine);
          if (mine.count > 0)
            look_into (link, child);
        }
    }
  else if (mine.count > MAX_GIVEN)
    {
      link->exchange->given.many = TRUE;
      link->exchange->invited = TRUE;
      gkv_put_range (gkv_engine_begin_message (self), range);
      gkv_link_send (self, link, GKV_MESSAGE_INVITE);
    }
  else
    {
      g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);

      /* At most so many as are given, and one leaf more. */
      gkv_store_foreach (self->store, range, 0, add_to_array, records);
      for (guint i = 0; i < records->len; i++)
        {
          GkvRecord *record = g_ptr_array_index (records, i);
          GkvItem *item = g_hash_table_lookup (listed, &record->hash);

          if (item == NULL ? gkv_horizons_stands (self, link, record) : gkv_item_is_given (item, record))
            {
              g_ptr_array_add (given, gkv_record_ref (record));
              gkv_given_add (&link->exchange->given, record, item != NULL ? item->stamp : 0);
            }
        }
      gkv_offers_give (self, link, given);
    }

  {
    GHashTableIter iter;
    GkvItem *item;

    g_hash_table_iter_init (&iter, listed);
    while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &item))
      {
        gkv_engine_breathe (self, GKV_COST_RECORD);
        if (gkv_item_is_wanted (item, gkv_store_lookup_hash (self->store, item->hash)))
          gkv_transfer_want (self, link, item->hash);
      }
  }

  gkv_exchange_consider_end (self, link);
}

static void
handle_invite (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  GkvRange range = gkv_reader_range (reader);

  if (!reader->failed)
    gkv_transfer_pull (self, link, range, FALSE);
}

void
gkv_exchange_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
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
      gkv_offers_handle (self, link, reader);
      gkv_exchange_consider_end (self, link);
      break;

    case GKV_MESSAGE_INVITE:
      handle_invite (self, link, reader);
      break;

    case GKV_MESSAGE_SKETCH:
      gkv_sketches_handle (self, link, reader);
      break;

    case GKV_MESSAGE_ASK_CHUNK:
      gkv_sketches_handle_ask (self, link, reader);
      break;

    default:
      g_assert_not_reached ();
    }
}

/* Time */

static void
repeat_questions (GkvEngine *self, GkvLink *link)
{
  GArray *asked = link->exchange->asked;

  for (guint i = 0; i < asked->len; i++)
    {
      GkvAsked *question = &g_array_index (asked, GkvAsked, i);

      if (self->now.mono - question->sent < ASK_PATIENCE)
        {
          look_at (self, question->sent + ASK_PATIENCE);
          continue;
        }

      if (++question->tries >= (link->exchange->full ? FULL_TRIES : ASK_TRIES))
        {
          gkv_exchange_free (self, link);
          return;
        }

      question->sent = self->now.mono;
      send_ask (self, link, question);
      gkv_engine_breathe (self, GKV_COST_RECORD);
      look_at (self, self->now.mono + ASK_PATIENCE);
    }
}

/* A long interval's question rides on a probe; so long it is waited for. */
static gint64
get_grace (GkvEngine *self)
{
  return self->gossip_interval >= GKV_SECOND ? GKV_SECOND : 0;
}

void
gkv_exchanges_hasten (GkvEngine *self)
{
  gint64 due = self->now.mono + SOON;

  self->hastened = TRUE;
  self->gossip_due = MIN (self->gossip_due, due - get_grace (self));
  gkv_engine_wake_at (self, due);
}

/* When a member may be asked whether it holds anything that this node, which isn't synced, lacks. */
static gint64
get_unmatched_due (const GkvMember *member)
{
  const GkvLink *link = member->link;
  gint64 quiet = UNSYNCED_QUIET + 2 * MAX (member->round_trip_us, 0);
  gint64 due = link->stirred > 0 ? link->stirred + quiet : member->life_since + UNSYNCED_PERIOD;

  return link->unmatched_asked > 0 ? MAX (due, link->unmatched_asked + UNSYNCED_PERIOD) : due;
}

/* What got lost, or was given up, is begun again before the next regular exchange: the application waits for it. */
static void
ask_unmatched (GkvEngine *self)
{
  gint64 next = self->now.mono + UNSYNCED_QUIET;
  GHashTableIter iter;
  GkvMember *member;

  if (self->synced || self->n_alive == 0)
    return;

  if (self->now.mono < self->unsynced_due)
    {
      gkv_engine_wake_at (self, self->unsynced_due);
      return;
    }

  g_hash_table_iter_init (&iter, self->members);
  while (self->exchanging->len < MAX_EXCHANGES && g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      gkv_engine_breathe (self, GKV_COST_MEMBER);
      if (!gkv_member_is_live (member) || member->matched || member->link == NULL || member->link->n_repeats > 0 ||
          member->link->exchange != NULL || !gkv_transfer_is_idle (self, member->link))
        continue;

      if (self->now.mono >= get_unmatched_due (member))
        {
          member->link->unmatched_asked = self->now.mono;
          gkv_exchange_begin (self, member->link);
        }
      else
        {
          next = MIN (next, get_unmatched_due (member));
        }
    }
  self->unsynced_due = next;
  gkv_engine_wake_at (self, next);
}

void
gkv_exchanges_tick (GkvEngine *self)
{
  gint64 due = self->gossip_due + get_grace (self);

  ask_unmatched (self);
  if (self->now.mono >= due)
    {
      g_autoptr (GPtrArray) peers = gkv_members_pick (self, self->hastened ? MAX_EXCHANGES : 1, NULL);

      self->hastened = FALSE;
      self->gossip_due = self->now.mono + self->gossip_interval;
      due = self->gossip_due;
      for (guint i = 0; i < peers->len && self->exchanging->len < MAX_EXCHANGES; i++)
        gkv_exchange_begin (self, ((GkvMember *) g_ptr_array_index (peers, i))->link);
    }
  gkv_engine_wake_at (self, due);

  if (self->now.mono >= self->exchanges_due)
    {
      self->exchanges_due = G_MAXINT64;
      /* Backwards, as one that is given up leaves its place to the last. */
      for (guint i = self->exchanging->len; i > 0; i--)
        repeat_questions (self, g_ptr_array_index (self->exchanging, i - 1));
    }
  gkv_engine_wake_at (self, self->exchanges_due);

  gkv_flushes_tick (self);
}
