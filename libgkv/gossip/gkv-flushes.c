/* Flushes: which peers hold what was written here.
 *
 * Writes are numbered. A peer is asked by a FLUSH whether it holds all up to a number, and says so itself: directly, or
 * through others where it can't be reached (gkv-confirmations has its side). It is asked again and again until then.
 * The newest flush is the one that is asked about: who confirms that confirms all before it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-flushes.h"

#include <string.h>

/* Those that haven't confirmed are asked again this often, and after some times less often. */
#define FLUSH_PERIOD      (20 * GKV_MS)
#define FLUSH_PERIOD_LAST (80 * GKV_MS)

/* Where not all peers are needed, so many more than needed are asked. */
#define SPARE 3

/* A peer that has replied to other things, and to none of so many questions for as long as a suspicion lasts, isn't
 * waited for. At 30 % loss each way that happens once in a million times. */
#define MANY_QUESTIONS 20

/* One that nothing was heard of since, and to which there may be another way, is asked through others after so many. */
#define UNHEARD_QUESTIONS 12

/* Links that are opened at once to ask. */
#define MAX_OPENING 64

/* So many relays at most pass a question on. */
#define MAX_HOPS 64

/* The last writes, by which a peer sees at once that it holds them. */
#define MAX_RECENT 24

/* Peers that are asked through the same one are asked together, so many at a time. */
#define MAX_TARGETS 16

typedef struct
{
  guint64 ticket;
  guint n_peers; /* 0: all that were alive when it began */
  gboolean done;
} Flush;

/* Writes of which nobody is known to hold them yet are remembered up to so many. With more, a peer that holds all is
 * waited for. */
#define MAX_UNCONFIRMED 4096

struct _GkvFlushes
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvMembership *membership;
  guint64 ticket;              /* the newest */
  guint32 serial;              /* of the last question */
  GHashTable *flushes;         /* ticket* → those under way, owned */
  guint64 n_written;           /* writes of this node, */
  guint64 n_flushed;           /* and when the newest flush began */
  guint64 n_held;              /* of these, up to where some peer is known to hold each */
  GkvWrite recent[MAX_RECENT]; /* the last of them: that with the number n is at n modulo MAX_RECENT */
  guint n_recent;
  GHashTable *unconfirmed;   /* GkvRecord: those of them that no peer is known to hold */
  gboolean many_unconfirmed; /* too many to be in there */
};

GkvFlushes *
gkv_flushes_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvMembership *membership)
{
  GkvFlushes *self = g_new0 (GkvFlushes, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->membership = membership;
  self->flushes = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  self->unconfirmed = g_hash_table_new_full (NULL, NULL, (GDestroyNotify) gkv_record_unref, NULL);
  return self;
}

void
gkv_flushes_free (GkvFlushes *self)
{
  g_hash_table_unref (self->flushes);
  g_hash_table_unref (self->unconfirmed);
  g_free (self);
}

/* What was written before there was an engine. */
void
gkv_flushes_count (GkvFlushes *self, const GkvRecord *record)
{
  if (strcmp (record->writer->origin, self->runtime->id) != 0)
    return;

  self->n_written++;
  self->n_recent = 0;
  self->many_unconfirmed = TRUE;
}

static void
members_changed (GkvFlushes *self)
{
  if (g_hash_table_size (self->flushes) > 0)
    {
      gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
      gkv_events_add_confirmed (self->runtime->events);
    }
}

/* Flushes that are under way don't wait for it: it wasn't there when they began, or isn't any more. */
void
gkv_flushes_note_liveness (GkvFlushes *self, GkvMember *member)
{
  if (g_hash_table_size (self->flushes) > 0 || gkv_standing_exists (member))
    gkv_standing_of (member)->live_ticket = self->ticket;
  members_changed (self);
}

void
gkv_flushes_note_refusal (GkvFlushes *self, GkvMember *member)
{
  gkv_standing_of (member)->refuses = TRUE;
  members_changed (self);
}

/* Writes that nobody is known to hold */

static void
forget_unconfirmed (GkvFlushes *self)
{
  g_hash_table_remove_all (self->unconfirmed);
  self->many_unconfirmed = FALSE;
}

static gboolean
is_replaced (gpointer record, gpointer value, gpointer user_data)
{
  return (((GkvRecord *) record)->flags & GKV_RECORD_GONE) != 0;
}

void
gkv_flushes_add_write (GkvFlushes *self, GkvRecord *record)
{
  gkv_write_init (&self->recent[self->n_written % MAX_RECENT], gkv_store_get_hash_key (self->runtime->store), record);
  self->n_written++;
  self->n_recent = MIN (self->n_recent + 1, MAX_RECENT);
  if (self->many_unconfirmed || is_replaced (record, NULL, NULL))
    return;

  if (g_hash_table_size (self->unconfirmed) >= MAX_UNCONFIRMED)
    {
      g_hash_table_remove_all (self->unconfirmed);
      self->many_unconfirmed = TRUE;
      return;
    }

  g_hash_table_add (self->unconfirmed, gkv_record_ref (record));
}

/* Some peer holds @records, which is enough for each of them. */
static void
confirm_records (GkvFlushes *self, GPtrArray *records)
{
  guint n_before = g_hash_table_size (self->unconfirmed);

  if (n_before == 0)
    return;

  for (guint i = 0; i < records->len; i++)
    {
      GkvRecord *record = g_ptr_array_index (records, i);

      /* One that is too far ahead is acknowledged, and refused all the same. */
      if (gkv_clock_judge (record->stamp, gkv_record_get_time_ms (record), self->runtime->now.wall) == GKV_TIME_VALID)
        g_hash_table_remove (self->unconfirmed, record);
    }

  if (g_hash_table_size (self->unconfirmed) == 0)
    self->n_held = self->n_written;
  if (g_hash_table_size (self->unconfirmed) < n_before)
    gkv_events_add_confirmed (self->runtime->events);
}

guint64
gkv_flushes_get_n_unconfirmed (GkvFlushes *self)
{
  guint64 n_unheld = self->n_written - self->n_held;

  if (self->many_unconfirmed || n_unheld == 0)
    return n_unheld;

  /* A record that was replaced is confirmed with the one that replaced it. */
  g_hash_table_foreach_remove (self->unconfirmed, is_replaced, NULL);

  return MIN (n_unheld, g_hash_table_size (self->unconfirmed));
}

/* Somebody holds all of the first @n_written writes. */
static void
note_held (GkvFlushes *self, guint64 n_written)
{
  if (n_written <= self->n_held)
    return;

  self->n_held = n_written;
  if (self->n_held == self->n_written)
    forget_unconfirmed (self);
  gkv_events_add_confirmed (self->runtime->events);
}

guint64
gkv_flushes_begin_exchange (GkvFlushes *self)
{
  return self->n_written;
}

void
gkv_flushes_settle (GkvFlushes *self, GkvLink *link, guint64 n_written)
{
  if (gkv_link_is_current (link))
    note_held (self, n_written);
}

void
gkv_flushes_agree (GkvFlushes *self, GkvLink *link)
{
  gkv_flushes_settle (self, link, self->n_written);
}

void
gkv_flushes_acknowledge (GkvFlushes *self, GkvMember *member, GPtrArray *records)
{
  if (!gkv_standing_peek (member)->refuses)
    confirm_records (self, records);
}

/* Replies */

/* @ticket is that of a flush of ours: it holds what was written before. */
static void
confirm (GkvFlushes *self, GkvMember *member, guint64 ticket, guint64 written)
{
  GkvStanding *standing = gkv_standing_of (member);

  standing->refuses = FALSE;
  standing->held = MAX (standing->held, written);
  note_held (self, written);
  if (ticket <= standing->confirmed)
    return;

  standing->confirmed = ticket;
  if (g_hash_table_size (self->flushes) > 0)
    {
      gkv_events_add_confirmed (self->runtime->events);
      gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
    }
}

/* A member speaks for itself, but where it can't be heard. */
static GkvMember *
find_speaker (GkvFlushes *self, GkvLink *link, guint64 place)
{
  GkvMember *member;

  if (gkv_link_is_current (link) && link->member->profile->place == place)
    return link->member;

  member = gkv_members_find_live (self->members, place);
  return member != NULL && !gkv_member_is_direct (member) ? member : NULL;
}

gboolean
gkv_flushes_handle (GkvFlushes *self, GkvLink *link, GkvReader *reader)
{
  GkvReader ours = *reader;
  guint64 asker = gkv_reader_u64 (&ours);
  guint64 generation = gkv_reader_u64 (&ours);

  gkv_reader_u8 (&ours);
  if (ours.failed || asker != self->runtime->place)
    return FALSE;

  if (generation != self->runtime->generation)
    return TRUE;

  while (gkv_reader_get_left (&ours) > 0)
    {
      guint64 place = gkv_reader_u64 (&ours);
      guint64 run = gkv_reader_u64 (&ours);
      guint64 ticket = gkv_reader_varint (&ours);
      guint64 written = gkv_reader_varint (&ours);
      guint8 confirmation = gkv_reader_u8 (&ours);
      GkvMember *member;

      if (ours.failed)
        break;

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      member = find_speaker (self, link, place);
      /* That it has begun a later generation may not be known here yet. */
      if (member == NULL || member->profile->generation > run || ticket > self->ticket || written > self->n_written)
        continue;

      gkv_standing_of (member)->flush_since = 0;
      gkv_standing_of (member)->n_flush_asked = 0;
      if (confirmation == GKV_CONFIRMATION_HOLDS)
        confirm (self, member, ticket, written);
      else if (confirmation == GKV_CONFIRMATION_REFUSES && !gkv_standing_peek (member)->refuses)
        gkv_flushes_note_refusal (self, member);
    }

  return TRUE;
}

/* How far it is */

/* It lives, and says nothing. Through others it can't be seen whether it does. */
static gboolean
is_silent (GkvFlushes *self, const GkvMember *member)
{
  const GkvStanding *standing = gkv_standing_peek (member);
  gint64 suspicion = gkv_membership_get_suspicion (self->membership);

  return standing->n_flush_asked >= MANY_QUESTIONS && standing->flush_since > 0 && gkv_member_is_direct (member) &&
         self->runtime->now.mono - standing->flush_since > suspicion &&
         gkv_member_peek (member)->last_seen - standing->flush_since > suspicion / 2;
}

/* A peer that came after a flush began, or is alive again since, is waited for by later flushes only. */
static gboolean
is_wanted (GkvFlushes *self, const Flush *flush, const GkvMember *member)
{
  return (flush->n_peers > 0 || gkv_standing_peek (member)->live_ticket < flush->ticket) && !is_silent (self, member);
}

static void
evaluate (GkvFlushes *self, Flush *flush, GkvFlushState *state)
{
  guint n_others_confirmed = 0;
  guint n_open = 0;
  GkvMembersIter iter;
  GkvMember *member;

  *state = (GkvFlushState){ .n_wanted = flush->n_peers };
  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    {
      gboolean confirmed = gkv_standing_peek (member)->confirmed >= flush->ticket;
      gboolean refuses = !confirmed && gkv_standing_peek (member)->refuses;

      if (!gkv_member_is_live (member))
        continue;

      if (!confirmed && !is_wanted (self, flush, member))
        continue;

      if (gkv_standing_peek (member)->live_ticket >= flush->ticket && flush->n_peers == 0)
        {
          n_others_confirmed += confirmed;
          continue;
        }

      state->n_wanted += flush->n_peers == 0;
      state->n_confirmed += confirmed;
      state->n_refused += refuses;
      n_open += !confirmed && !refuses;
    }

  /* Nobody was there, or all have gone: then it waits for the first that comes. */
  if (state->n_wanted == 0)
    state->n_confirmed = n_others_confirmed;

  flush->done = flush->done || state->n_confirmed >= MAX (state->n_wanted, 1);
  state->done = flush->done;
  state->failed = !flush->done && state->n_refused > 0 &&
                  (flush->n_peers > 0 ? state->n_confirmed + n_open < flush->n_peers : n_open == 0);
}

/* Asking */

/* What is asked of those that are known to hold the first @held writes. */
static void
init_message (GkvFlushes *self, GkvFlushMessage *message, guint64 held, gsize room)
{
  guint64 n = self->n_flushed - MIN (held, self->n_flushed);

  *message = (GkvFlushMessage){ .place = self->runtime->place,
                                .generation = self->runtime->generation,
                                .ticket = self->ticket,
                                .serial = ++self->serial,
                                .written = self->n_flushed,
                                .base = self->n_flushed,
                                .held = TRUE,
                                .hops = MAX_HOPS };
  if (n + self->n_written - self->n_flushed > self->n_recent ||
      n * GKV_WRITE_SIZE + GKV_FLUSH_HEAD_SIZE + MAX_TARGETS * 8 > room)
    return;

  message->base = self->n_flushed - n;
  message->n_writes = n;
}

static void
send_question (GkvFlushes *self, GkvLink *link, guint64 held, guint64 *targets, guint n_targets)
{
  GkvWrite writes[MAX_RECENT];
  GkvFlushMessage message;

  init_message (self, &message, held, gkv_links_get_max_body (self->links, link));
  for (guint i = 0; i < message.n_writes; i++)
    writes[i] = self->recent[(message.base + i) % MAX_RECENT];
  message.writes = writes;
  message.targets = targets;
  message.n_targets = n_targets;
  gkv_put_flush (gkv_links_begin_message (self->links), &message);
  gkv_links_send (self->links, link, GKV_MESSAGE_FLUSH);
}

/* Those that are asked through one that can reach them. */
typedef struct
{
  GkvLink *link;
  guint64 held; /* the least of what they are known to hold */
  guint n;
  guint64 targets[MAX_TARGETS];
} Way;

static void
ask_through (GkvFlushes *self, GPtrArray *ways, GkvLink *link, GkvMember *member)
{
  Way *way = NULL;

  for (guint i = 0; i < ways->len && way == NULL; i++)
    if (((Way *) g_ptr_array_index (ways, i))->link == link)
      way = g_ptr_array_index (ways, i);

  if (way == NULL)
    {
      way = g_new0 (Way, 1);
      way->link = link;
      way->held = G_MAXUINT64;
      g_ptr_array_add (ways, way);
    }

  way->targets[way->n++] = member->profile->place;
  way->held = MIN (way->held, gkv_standing_peek (member)->held);
  if (way->n < MAX_TARGETS)
    return;

  send_question (self, link, way->held, way->targets, way->n);
  way->n = 0;
  way->held = G_MAXUINT64;
}

/* FALSE: it can't be asked now. */
static gboolean
ask_member (GkvFlushes *self, GPtrArray *ways, GkvMember *member)
{
  GkvStanding *standing = gkv_standing_of (member);
  GkvMember *via = gkv_member_is_direct (member) ? NULL : gkv_member_get_via (member);
  gint64 period = MIN (FLUSH_PERIOD + standing->n_flush_asked / 8 * FLUSH_PERIOD, FLUSH_PERIOD_LAST);
  GkvLink *link;

  /* A few links are opened at a time; what is sent again while one is being opened would only wait. */
  if (gkv_member_has_link (member))
    link = member->link;
  else if (via == NULL && gkv_links_get_n_opening (self->links) < MAX_OPENING && gkv_member_is_direct (member))
    link = gkv_member_open_link (member, self->links);
  else
    link = NULL;
  if (via == NULL && link == NULL)
    return FALSE;
  if (via == NULL && link->opened != 0 && link->opened < self->runtime->now.mono)
    return TRUE;

  if (standing->flush_asked > 0 && self->runtime->now.mono - standing->flush_asked < period &&
      standing->n_flush_asked > 0)
    return TRUE;

  standing->flush_asked = self->runtime->now.mono;
  /* What others were to pass on, and didn't, is no silence of its own. */
  if (standing->flush_since == 0 || via != NULL)
    standing->flush_since = self->runtime->now.mono;
  standing->n_flush_asked++;
  if (standing->n_flush_asked == UNHEARD_QUESTIONS && gkv_member_has_link (member) &&
      member->link->last_received < standing->flush_since)
    gkv_members_set_indirect (self->members, member, TRUE);
  if (via != NULL)
    ask_through (self, ways, via->link, member);
  if (via == NULL || (link != NULL && standing->n_flush_asked % 4 == 0))
    send_question (self, link, standing->held, NULL, 0);
  gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
  return TRUE;
}

static void
ask (GkvFlushes *self, Flush *flush, GPtrArray *ways)
{
  GkvFlushState state;
  guint n_asked = 0;
  GkvMembersIter iter;
  GkvMember *member;

  evaluate (self, flush, &state);
  if (flush->done)
    return;

  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    {
      if (!gkv_member_is_live (member) || gkv_standing_peek (member)->confirmed >= flush->ticket ||
          (state.n_wanted > 0 && flush->n_peers == 0 && gkv_standing_peek (member)->live_ticket >= flush->ticket) ||
          !ask_member (self, ways, member))
        continue;

      /* A suspect is asked, but not relied upon; nor is one that hasn't replied for a while. */
      n_asked += member->status == GKV_PEER_STATE_ALIVE &&
                 gkv_standing_peek (member)->n_flush_asked < MANY_QUESTIONS / 2 && !gkv_standing_peek (member)->refuses;
      if (flush->n_peers > 0 && n_asked >= flush->n_peers - state.n_confirmed + SPARE)
        break;
    }

  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + FLUSH_PERIOD);
}

void
gkv_flushes_tick (GkvFlushes *self)
{
  g_autoptr (GPtrArray) ways = NULL;
  GHashTableIter iter;
  Flush *flush;

  if (g_hash_table_size (self->flushes) == 0)
    return;

  ways = g_ptr_array_new_with_free_func (g_free);
  g_hash_table_iter_init (&iter, self->flushes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &flush))
    if (!flush->done)
      ask (self, flush, ways);

  for (guint i = 0; i < ways->len; i++)
    {
      Way *way = g_ptr_array_index (ways, i);

      if (way->n > 0)
        send_question (self, way->link, way->held, way->targets, way->n);
    }
}

static gboolean
is_under_way (GkvFlushes *self)
{
  GHashTableIter iter;
  const Flush *flush;

  g_hash_table_iter_init (&iter, self->flushes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &flush))
    if (!flush->done)
      return TRUE;

  return FALSE;
}

guint64
gkv_flushes_begin (GkvFlushes *self, guint n_peers)
{
  Flush *flush = g_new0 (Flush, 1);
  GkvMembersIter iter;
  GkvMember *member;
  gboolean is_first = !is_under_way (self);

  flush->ticket = ++self->ticket;
  self->n_flushed = self->n_written;
  flush->n_peers = n_peers;
  g_hash_table_insert (self->flushes, &flush->ticket, flush);

  /* All are asked at once, whatever was asked of them before; and nobody is held silent for what it hasn't replied when
   * it wasn't asked any more. */
  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    if (gkv_standing_exists (member) && (is_first || gkv_standing_of (member)->flush_since == 0))
      gkv_standing_of (member)->flush_since = gkv_standing_of (member)->n_flush_asked = 0;
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
  return flush->ticket;
}

void
gkv_flushes_get_state (GkvFlushes *self, guint64 ticket, GkvFlushState *state)
{
  Flush *flush = g_hash_table_lookup (self->flushes, &ticket);

  if (flush != NULL)
    evaluate (self, flush, state);
  else
    *state = (GkvFlushState){ 0 };
}

char *
gkv_flushes_describe_refusers (GkvFlushes *self)
{
  g_autoptr (GString) names = g_string_new (NULL);
  GkvMembersIter iter;
  GkvMember *member;

  gkv_members_init_iter (self->members, &iter);
  while (names->len < 200 && gkv_members_iter_next (&iter, &member))
    if (gkv_member_is_live (member) && gkv_standing_peek (member)->refuses)
      g_string_append_printf (names, "%s\"%s\"", names->len > 0 ? ", " : "", member->profile->id);

  return g_string_free (g_steal_pointer (&names), FALSE);
}

void
gkv_flushes_end (GkvFlushes *self, guint64 ticket)
{
  g_hash_table_remove (self->flushes, &ticket);
}
