/* Exchanges: finding what differs from one peer.
 *
 * One side asks: here is the fingerprint of a range of mine, does yours differ? The other answers that it is the same,
 * or, where it holds little there, lists all that it has. Where it holds much, the answer about everything is a sketch
 * (gkv-sketches), from which a few differences can be read at once; there may be more of them, and then, as with any
 * part, the range is split in sixteen, and the asker goes on with the parts that differ. So a map in sync costs one
 * small datagram each way, whatever its size; differences cost in proportion to their number; and all state is with the
 * asker, which repeats what gets lost.
 *
 * Where sums or sketches themselves are wrong, such exchanges mend nothing. Then all is listed and compared record by
 * record: a full exchange.
 *
 * Source: Meyer, "Range-Based Set Reconciliation", SRDS 2023; here over the nodes of the store's trie.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-exchange.h"

#include "gkv-probes.h"

#include "../gkv-error.h"

#define MAX_TODO      65536
#define ASK_PATIENCE  (400 * GKV_MS)
#define ASK_TRIES     5
#define MAX_EXCHANGES 3
#define SOON          (100 * GKV_MS)

/* Two nodes that have met, and differed, ask at once whether that is mended: so often. */
#define MAX_CHECKS 3

/* A node that isn't synced asks those that it still has to ask, whatever the gossip interval: when it has got nothing
 * from them for a while, and not more often than that. */
#define UNSYNCED_QUIET  (100 * GKV_MS)
#define UNSYNCED_PERIOD (500 * GKV_MS)

/* It opens links to others as long as it has no more than these. */
#define UNSYNCED_LINKS 12

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

struct _GkvExchanges
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvMembership *membership;
  GkvPieces *pieces;
  GkvTransfers *transfers;
  GkvExchangesListener listener;
  gpointer data;
  gint64 interval;
  gint64 gossip_due;
  gboolean hastened;     /* with several peers then, as something is known to be missing */
  GPtrArray *exchanging; /* links with an exchange under way */
  GPtrArray *awaiting;   /* links whose exchange has ended, and waits for pieces from other nodes */
  guint64 number;        /* of the one that was begun last */
  gint64 due;
  gint64 unsynced_due; /* while this node isn't synced */
};

GkvExchanges *
gkv_exchanges_new (GkvRuntime *runtime,
                   GkvLinks *links,
                   GkvMembers *members,
                   GkvMembership *membership,
                   GkvPieces *pieces,
                   GkvTransfers *transfers,
                   gint64 interval,
                   const GkvExchangesListener *listener,
                   gpointer data)
{
  GkvExchanges *self = g_new0 (GkvExchanges, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->membership = membership;
  self->pieces = pieces;
  self->transfers = transfers;
  self->interval = interval;
  self->listener = *listener;
  self->data = data;
  self->exchanging = g_ptr_array_new ();
  self->awaiting = g_ptr_array_new ();
  self->due = G_MAXINT64;
  self->gossip_due = runtime->now.mono + interval;
  return self;
}

void
gkv_exchanges_free (GkvExchanges *self)
{
  g_ptr_array_unref (self->exchanging);
  g_ptr_array_unref (self->awaiting);
  g_free (self);
}

void
gkv_exchanges_set_interval (GkvExchanges *self, gint64 interval)
{
  self->gossip_due = MIN (self->gossip_due, self->gossip_due - self->interval + interval);
  self->interval = interval;
  gkv_runtime_wake_at (self->runtime, self->gossip_due);
}

guint
gkv_exchanges_get_n (GkvExchanges *self)
{
  return self->exchanging->len;
}

guint64
gkv_exchanges_get_number (GkvExchanges *self)
{
  return self->number;
}

static GkvLink *
get_exchanging (GkvExchanges *self, guint index)
{
  return g_ptr_array_index (self->exchanging, index);
}

GkvLink *
gkv_exchanges_find_stuck (GkvExchanges *self)
{
  for (guint i = 0; i < self->exchanging->len; i++)
    {
      GkvLink *link = get_exchanging (self, i);
      const GkvExchange *exchange = gkv_exchange_of (link);

      if (exchange->asked->len == 0 && exchange->todo.length == 0 && gkv_transfer_is_idle (link))
        return link;
    }
  return NULL;
}

/* Ranges */

static gboolean
range_equal (const GkvRange *a, const GkvRange *b)
{
  return a->depth == b->depth && a->prefix == b->prefix;
}

GkvRange
gkv_exchange_get_part (GkvRange range, guint index)
{
  GkvRange child = { .prefix = range.prefix | (guint64) index << (60 - 4 * range.depth), .depth = range.depth + 1 };

  return child;
}

/* Asking */

/* Questions are looked at again at @when. */
static void
look_at (GkvExchanges *self, gint64 when)
{
  self->due = MIN (self->due, when);
  gkv_runtime_wake_at (self->runtime, when);
}

/* A sum that no range has: what is there is listed. */
static const GkvFingerprint no_sum = { G_MAXUINT64, G_MAXUINT64 };

gboolean
gkv_exchange_is_full_sum (const GkvFingerprint *sum)
{
  return gkv_fingerprint_equal (sum, &no_sum);
}

static const GkvFingerprint no_difference = { 0, 0 };

/* Whether the sums of both sides are known to differ, and rightly. */
static gboolean
accepts (const GkvLink *link)
{
  return !gkv_fingerprint_equal (&gkv_conversation_of (link)->accepted, &no_difference);
}

static void
send_ask (GkvExchanges *self, GkvLink *link, GkvAsked *asked)
{
  GByteArray *body = gkv_links_begin_message (self->links);
  GkvSummary summary;

  if (asked->chunk > 0)
    {
      gkv_put_u8 (body, asked->chunk);
      gkv_links_send (self->links, link, GKV_MESSAGE_ASK_CHUNK);
      return;
    }

  gkv_store_summarise (self->runtime->store, asked->range, &summary);
  if (gkv_exchange_of (link)->full)
    summary.fingerprint = no_sum;
  else if (asked->range.depth == 0)
    gkv_fingerprint_add (&summary.fingerprint, &gkv_conversation_of (link)->accepted);
  asked->sum = summary.fingerprint.lo;
  gkv_put_range (body, asked->range);
  gkv_put_fingerprint (body, &summary.fingerprint);
  if (asked->range.depth == 0 && accepts (link))
    gkv_put_u8 (body, GKV_ASK_FLAG_ACCEPTED);
  gkv_links_send (self->links, link, GKV_MESSAGE_ASK);
}

void
gkv_exchange_ask (GkvExchanges *self, GkvLink *link, GkvRange range, guint chunk)
{
  GkvAsked asked = { .range = range, .chunk = chunk, .sent = self->runtime->now.mono };

  send_ask (self, link, &asked);
  gkv_conversation_note_asked (link, self->runtime->now.mono);
  g_array_append_val (gkv_exchange_of (link)->asked, asked);
  look_at (self, self->runtime->now.mono + ASK_PATIENCE);
}

static void
ask_more (GkvExchanges *self, GkvLink *link)
{
  GkvExchange *exchange = gkv_exchange_of (link);

  while (exchange->asked->len < GKV_EXCHANGE_MAX_ASKED && exchange->todo.length > 0)
    {
      g_autofree GkvRange *range = g_queue_pop_head (&exchange->todo);

      gkv_exchange_ask (self, link, *range, 0);
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
    }
}

const GkvAsked *
gkv_exchange_find_asked (const GkvLink *link, const GkvRange *range, guint chunk)
{
  GArray *asked = gkv_exchange_of (link) != NULL ? gkv_exchange_of (link)->asked : NULL;

  for (guint i = 0; asked != NULL && i < asked->len; i++)
    {
      const GkvAsked *question = &g_array_index (asked, GkvAsked, i);

      if (range_equal (&question->range, range) && question->chunk == chunk)
        return question;
    }

  return NULL;
}

gboolean
gkv_exchange_is_answer (GkvLink *link, const GkvRange *range, guint chunk)
{
  const GkvAsked *question = gkv_exchange_find_asked (link, range, chunk);
  GArray *asked;

  if (question == NULL)
    return FALSE;

  asked = gkv_exchange_of (link)->asked;
  g_array_remove_index_fast (asked, question - (const GkvAsked *) asked->data);
  return TRUE;
}

void
gkv_exchange_begin (GkvExchanges *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  GkvExchange *exchange;

  if (gkv_exchange_of (link) != NULL || !gkv_link_is_usable (link))
    return;

  self->runtime->counters.exchanges++;
  g_ptr_array_add (self->exchanging, link);
  exchange = g_new0 (GkvExchange, 1);
  exchange->asked = g_array_new (FALSE, FALSE, sizeof (GkvAsked));
  g_queue_init (&exchange->todo);
  exchange->number = ++self->number;
  exchange->synced = gkv_link_is_current (link) && gkv_standing_of (link->member)->says_synced;
  conversation->exchange = exchange;
  exchange->mark = self->listener.began (link, self->data);
  exchange->n_too_new = self->runtime->counters.records_too_new;
  conversation->incomplete = conversation->declined = conversation->gave_old = FALSE;
  conversation->n_taken = conversation->n_explained = 0;
  conversation->is_lacking = accepts (link);
  g_clear_pointer (&conversation->elsewhere, g_array_unref);
  gkv_exchange_ask (self, link, GKV_RANGE_EVERYTHING, 0);
}

void
gkv_exchange_free (GkvExchanges *self, GkvLink *link)
{
  GkvExchange *exchange = g_steal_pointer (&gkv_conversation_of (link)->exchange);

  if (exchange == NULL)
    return;

  g_ptr_array_remove_fast (self->exchanging, link);
  g_queue_clear_full (&exchange->todo, g_free);
  g_array_unref (exchange->asked);
  g_free (exchange->sketching);
  g_free (exchange);
}

/* Nothing of what it held when that exchange began is left to fetch. */
static void
matched (GkvExchanges *self, GkvLink *link, guint64 number, gboolean synced, gboolean refused)
{
  if (!gkv_link_is_current (link))
    return;

  gkv_conversation_note_got (link);
  gkv_standing_of (link->member)->matched = TRUE;
  gkv_standing_of (link->member)->matched_synced |= synced;
  self->listener.matched (link, number, refused, self->data);
}

static void
stop_awaiting (GkvExchanges *self, GkvLink *link)
{
  g_clear_pointer (&gkv_conversation_of (link)->awaited, g_array_unref);
  g_ptr_array_remove_fast (self->awaiting, link);
}

/* It has ended, and what it found is here, but for what comes in pieces from other nodes. It isn't begun again for
 * that: there may always be something that is under way. */
static void
consider_matched (GkvExchanges *self, GkvLink *link, guint64 number, gboolean synced, gboolean refused)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  if (conversation->elsewhere == NULL)
    {
      matched (self, link, number, synced, refused);
    }
  else if (conversation->awaited == NULL)
    {
      conversation->awaited = g_steal_pointer (&conversation->elsewhere);
      conversation->awaited_by = number;
      conversation->awaited_synced = synced;
      conversation->awaited_refused = refused;
      g_ptr_array_add (self->awaiting, link);
    }
}

void
gkv_exchanges_end_pieces (GkvExchanges *self, guint64 hash, guint32 version, gboolean got)
{
  for (guint i = self->awaiting->len; i > 0; i--)
    {
      GkvLink *link = g_ptr_array_index (self->awaiting, i - 1);
      GkvConversation *conversation = gkv_conversation_of (link);
      guint n_before = conversation->awaited->len;

      for (guint j = n_before; j > 0; j--)
        {
          const GkvRecordName *name = &g_array_index (conversation->awaited, GkvRecordName, j - 1);

          if (name->hash == hash && name->version == version)
            g_array_remove_index_fast (conversation->awaited, j - 1);
        }

      if (conversation->awaited->len == n_before || (got && conversation->awaited->len > 0))
        continue;

      stop_awaiting (self, link);
      if (got)
        matched (self, link, conversation->awaited_by, conversation->awaited_synced, conversation->awaited_refused);
      else
        gkv_exchange_begin (self, link);
    }
}

void
gkv_exchange_agree (GkvExchanges *self, GkvLink *link, guint64 number)
{
  gkv_conversation_forget_repeats (link);
  if (gkv_link_is_current (link))
    gkv_standing_of (link->member)->n_checks = MAX_CHECKS;
  if (number > 0 && gkv_conversation_of (link)->awaited != NULL)
    stop_awaiting (self, link);
  matched (self, link, number, gkv_link_is_current (link) && gkv_standing_of (link->member)->says_synced,
           gkv_conversation_of (link)->accepted_here);
}

void
gkv_exchange_end_all (GkvExchanges *self, GkvLink *link)
{
  gkv_exchange_free (self, link);
  if (gkv_conversation_of (link)->awaited != NULL)
    stop_awaiting (self, link);
  gkv_conversation_note_got (link);
}

/* All that the other found to be missing here has been got. Whether more is missing is asked, where it matters. */
static void
consider_asking (GkvExchanges *self, GkvLink *link)
{
  const GkvConversation *conversation = gkv_conversation_of (link);

  if (!gkv_link_is_current (link) || !gkv_transfer_is_idle (link) || conversation->n_repeats > 0)
    return;

  if (conversation->incomplete)
    gkv_exchanges_hasten (self);
  else if (!gkv_standing_of (link->member)->matched)
    gkv_exchange_begin (self, link);
}

/* An exchange that found differences has ended. The other side can't know whether it has been given everything, and
 * thus whether it is synced, before it is asked again. If it has been invited to fetch much, it asks by itself. */
static void
check (GkvExchanges *self, GkvLink *link)
{
  if (!gkv_link_is_current (link) || gkv_standing_of (link->member)->n_checks >= MAX_CHECKS ||
      gkv_conversation_of (link)->n_repeats > 0)
    return;

  gkv_standing_of (link->member)->n_checks++;
  gkv_exchange_begin (self, link);
}

/* Whether an exchange that has ended has found nothing but what one side refuses, so that the sums differ rightly. */
static gboolean
is_explained (const GkvLink *link)
{
  const GkvConversation *conversation = gkv_conversation_of (link);
  const GkvExchange *exchange = conversation->exchange;

  return exchange->differs && !exchange->full && !exchange->gave && conversation->n_explained > 0 &&
         conversation->n_taken == 0 && !conversation->incomplete && !conversation->declined &&
         conversation->elsewhere == NULL;
}

void
gkv_exchange_consider_end (GkvExchanges *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  GkvExchange *exchange = gkv_exchange_of (link);
  gboolean checked, synced, refused;
  guint64 number;

  if (exchange == NULL)
    {
      consider_asking (self, link);
      return;
    }

  ask_more (self, link);
  if (exchange->asked->len > 0 || exchange->todo.length > 0 || !gkv_transfer_is_idle (link))
    return;

  /* What isn't taken for now is to come with a later one. */
  if (exchange->differs && !conversation->declined)
    conversation->ended_difference = exchange->difference;
  if (!conversation->incomplete && !exchange->gave && !conversation->is_lacking)
    self->listener.ended (link, exchange->mark, self->data);
  checked = exchange->differs && !exchange->invited;
  number = exchange->number;
  synced = exchange->synced;
  refused = conversation->has_refused || exchange->n_too_new != self->runtime->counters.records_too_new;
  if (is_explained (link))
    {
      gkv_conversation_accept (link, &exchange->difference, refused);
      checked = FALSE;
    }
  gkv_exchange_free (self, link);

  /* Records that got lost on the way are asked for again soon, as long as that gets us anywhere. */
  if (conversation->incomplete)
    {
      if (conversation->n_repeats == 0)
        gkv_exchanges_hasten (self);
      return;
    }

  consider_matched (self, link, number, synced, refused);
  if (checked)
    check (self, link);
}

/* One at a time, as each costs in proportion to the map. */
static gboolean
is_full_under_way (GkvExchanges *self)
{
  for (guint i = 0; i < self->exchanging->len; i++)
    if (gkv_exchange_of (get_exchanging (self, i))->full)
      return TRUE;

  return FALSE;
}

void
gkv_exchange_put_off_full (GkvExchanges *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  conversation->full_due = self->runtime->now.mono + MAX (conversation->full_interval, FULL_FIRST);
}

static void
go_over_to_full (GkvExchanges *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  self->runtime->counters.exchanges_full++;
  conversation->full_interval = CLAMP (2 * conversation->full_interval, FULL_FIRST, FULL_LAST);
  gkv_exchange_put_off_full (self, link);
  gkv_exchange_of (link)->full = TRUE;
  gkv_exchange_split (self, link, GKV_RANGE_EVERYTHING, NULL);
  ask_more (self, link);
}

/* Both are as they were when the last exchange ended; and it isn't that one of them is still getting a record that
 * comes in pieces. */
static gboolean
is_repeated (GkvExchanges *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  const GkvExchange *exchange = conversation->exchange;
  gboolean getting = gkv_pieces_get_n_bytes (self->pieces) > 0 ||
                     self->runtime->now.mono - conversation->pieces_sent < PIECES_PATIENCE;

  if (!gkv_fingerprint_equal (&exchange->difference, &conversation->ended_difference))
    {
      conversation->n_repeats = 0;
      conversation->differed_since = self->runtime->now.mono;
      return FALSE;
    }

  return !getting || self->runtime->now.mono - conversation->differed_since >= PIECES_LAST;
}

gboolean
gkv_exchange_goes_on (GkvExchanges *self, GkvLink *link, const GkvFingerprint *theirs)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  GkvExchange *exchange = gkv_exchange_of (link);
  GkvSummary summary;

  gkv_store_summarise (self->runtime->store, GKV_RANGE_EVERYTHING, &summary);
  exchange->differs = TRUE;
  exchange->difference = *theirs;
  gkv_fingerprint_subtract (&exchange->difference, &summary.fingerprint);

  /* Nothing is refused any more: the other is to know that as well. */
  if (accepts (link) && gkv_fingerprint_equal (&exchange->difference, &no_difference))
    {
      gkv_conversation_accept (link, &no_difference, FALSE);
      gkv_exchange_free (self, link);
      gkv_exchange_begin (self, link);
      return FALSE;
    }

  if (!is_repeated (self, link))
    return TRUE;

  self->runtime->counters.exchanges_repeated++;
  conversation->n_repeats++;
  if (conversation->n_repeats < MAX_REPEATS)
    return TRUE;

  if (conversation->n_repeats == MAX_REPEATS && conversation->full_interval == 0)
    gkv_runtime_report (self->runtime, link->address, GKV_ERROR_FAILED,
                        "This node and the one at %s hold different records, and exchanging what differs doesn't mend "
                        "it; now all is compared, and again at growing intervals. Are both clocks right?",
                        link->address);

  if (self->runtime->now.mono >= conversation->full_due && !is_full_under_way (self))
    go_over_to_full (self, link);
  else
    gkv_exchange_free (self, link);
  return FALSE;
}

gboolean
gkv_exchange_is_picky (const GkvLink *link)
{
  const GkvConversation *conversation = gkv_conversation_of (link);

  return conversation->exchange->full || conversation->has_refused || conversation->refused_there != NULL;
}

void
gkv_exchange_look_into (GkvLink *link, GkvRange range)
{
  if (gkv_exchange_of (link)->todo.length < MAX_TODO)
    g_queue_push_head (&gkv_exchange_of (link)->todo, g_memdup2 (&range, sizeof range));
  else
    gkv_conversation_of (link)->incomplete = TRUE;
}

void
gkv_exchange_split (GkvExchanges *self, GkvLink *link, GkvRange range, const guint64 *theirs)
{
  GkvSummary mine;

  for (guint i = 0; i < 16; i++)
    {
      GkvRange child = gkv_exchange_get_part (range, i);

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 2);
      gkv_store_summarise (self->runtime->store, child, &mine);
      if (theirs != NULL && mine.fingerprint.lo == theirs[i])
        continue;

      if (mine.count == 0 && !gkv_exchange_is_picky (link))
        gkv_transfer_pull (self->transfers, link, child);
      else
        gkv_exchange_look_into (link, child);
    }
}

/* Time */

static void
repeat_questions (GkvExchanges *self, GkvLink *link)
{
  GArray *asked = gkv_exchange_of (link)->asked;
  gboolean again = FALSE;

  for (guint i = 0; i < asked->len; i++)
    {
      GkvAsked *question = &g_array_index (asked, GkvAsked, i);

      if (self->runtime->now.mono - question->sent < ASK_PATIENCE)
        {
          look_at (self, question->sent + ASK_PATIENCE);
          continue;
        }

      if (++question->tries >= (gkv_exchange_of (link)->full ? FULL_TRIES : ASK_TRIES))
        {
          gkv_exchange_free (self, link);
          return;
        }

      question->sent = self->runtime->now.mono;
      send_ask (self, link, question);
      gkv_conversation_note_asked (link, self->runtime->now.mono);
      again = TRUE;
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      look_at (self, self->runtime->now.mono + ASK_PATIENCE);
    }
  if (again)
    self->listener.repeats (link, self->data);
}

/* A long interval's question rides on a probe; so long it is waited for. */
static gint64
get_grace (GkvExchanges *self)
{
  return self->interval >= GKV_SECOND ? GKV_SECOND : 0;
}

void
gkv_exchanges_hasten (GkvExchanges *self)
{
  gint64 due = self->runtime->now.mono + SOON;

  self->hastened = TRUE;
  self->gossip_due = MIN (self->gossip_due, due - get_grace (self));
  gkv_runtime_wake_at (self->runtime, due);
}

/* The question whether we differ rides along when it is due; but where something is missing, several are asked, not
 * this one alone. */
void
gkv_exchanges_ride (GkvExchanges *self, GkvMember *member)
{
  if (self->hastened || self->gossip_due > self->runtime->now.mono + GKV_PROBE_PERIOD / 2 ||
      self->interval < GKV_PROBE_PERIOD)
    return;

  self->gossip_due = self->runtime->now.mono + self->interval;
  gkv_exchange_begin (self, member->link);
}

/* When a member may be asked whether it holds anything that this node, which isn't synced, lacks. */
static gint64
get_unmatched_due (const GkvMember *member)
{
  const GkvConversation *conversation = gkv_conversation_of (member->link);
  gint64 quiet = UNSYNCED_QUIET + 2 * MAX (gkv_member_peek (member)->round_trip_us, 0);
  gint64 due = conversation->stirred > 0 ? conversation->stirred + quiet
                                         : gkv_member_get_generation_since (member) + UNSYNCED_PERIOD;

  return conversation->unmatched_asked > 0 ? MAX (due, conversation->unmatched_asked + UNSYNCED_PERIOD) : due;
}

/* A fetch that got lost, or was given up, is begun again before the next regular exchange: the application waits for
 * it. */
static void
ask_unmatched (GkvExchanges *self)
{
  gint64 next = self->runtime->now.mono + UNSYNCED_QUIET;
  gint64 suspicion = gkv_membership_get_suspicion (self->membership);
  GkvMembersIter iter;
  GkvMember *member;

  if (self->runtime->synced || self->runtime->n_alive == 0)
    return;

  if (self->runtime->now.mono < self->unsynced_due)
    {
      gkv_runtime_wake_at (self->runtime, self->unsynced_due);
      return;
    }

  gkv_members_init_iter (self->members, &iter);
  while (self->exchanging->len < MAX_EXCHANGES && gkv_members_iter_next (&iter, &member))
    {
      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (!gkv_member_is_live (member) || gkv_standing_peek (member)->matched_synced)
        continue;

      if (!gkv_member_has_link (member))
        {
          if (gkv_links_get_n (self->links) < UNSYNCED_LINKS)
            gkv_member_open_link (member, self->links);
          continue;
        }

      if (gkv_conversation_of (member->link)->n_repeats > 0 || gkv_exchange_of (member->link) != NULL ||
          gkv_conversation_of (member->link)->awaited != NULL || !gkv_transfer_is_idle (member->link))
        continue;

      /* Those that withhold what they have don't take the places of the others. */
      if (gkv_conversation_withholds (member->link, self->runtime->now.mono, suspicion) && self->exchanging->len > 0)
        continue;

      if (self->runtime->now.mono >= get_unmatched_due (member))
        {
          gkv_conversation_of (member->link)->unmatched_asked = self->runtime->now.mono;
          gkv_exchange_begin (self, member->link);
        }
      else
        {
          next = MIN (next, get_unmatched_due (member));
        }
    }
  self->unsynced_due = next;
  gkv_runtime_wake_at (self->runtime, next);
}

/* What was refused may be taken now: there is no reason any more to wait for up to an hour until the maps are looked at
 * again. */
void
gkv_exchanges_begin_anew (GkvExchanges *self)
{
  GHashTableIter iter;
  GkvLink *link;

  gkv_links_init_iter (self->links, &iter);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    {
      gkv_conversation_forget_repeats (link);
      gkv_conversation_forget_refused (link);
    }
  gkv_transfers_judge_anew (self->transfers);
  gkv_exchanges_hasten (self);
}

void
gkv_exchanges_tick (GkvExchanges *self)
{
  gint64 due = self->gossip_due + get_grace (self);

  ask_unmatched (self);
  if (self->runtime->now.mono >= due)
    {
      g_autoptr (GPtrArray) peers = gkv_members_pick (self->members, self->hastened ? MAX_EXCHANGES : 1, NULL);

      self->hastened = FALSE;
      self->gossip_due = self->runtime->now.mono + self->interval;
      due = self->gossip_due;
      for (guint i = 0; i < peers->len && self->exchanging->len < MAX_EXCHANGES; i++)
        gkv_exchange_begin (self, ((GkvMember *) g_ptr_array_index (peers, i))->link);
    }
  gkv_runtime_wake_at (self->runtime, due);

  if (self->runtime->now.mono >= self->due)
    {
      self->due = G_MAXINT64;
      /* Backwards, as one that is given up leaves its place to the last. */
      for (guint i = self->exchanging->len; i > 0; i--)
        repeat_questions (self, get_exchanging (self, i - 1));
    }
  gkv_runtime_wake_at (self->runtime, self->due);
}
