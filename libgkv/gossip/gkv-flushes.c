/* Flushes: which peers hold what was written here.
 *
 * A peer confirms when an exchange shows that it lacks nothing. Each exchange knows the newest flush before it, and how
 * many writes there had been; so what a peer has confirmed is two numbers. While writes go on there is always something
 * on its way, and no exchange finds both sides the same: then what the peer lacked, the key and the stamp of each, is
 * remembered, and it confirms when all of that, or what replaced it, was acknowledged or is missing no more.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-flushes.h"

#include <string.h>

/* Those that haven't confirmed are asked again this often. */
#define FLUSH_PERIOD (20 * GKV_MS)

/* Where not all peers are needed, so many more than needed are asked. */
#define SPARE 3

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
  GkvExchanges *exchanges;
  guint64 ticket;            /* the newest */
  GHashTable *flushes;       /* ticket* → those under way, owned */
  guint64 n_written;         /* writes of this node */
  guint64 n_held;            /* of these, up to where some peer is known to hold each */
  GHashTable *unconfirmed;   /* GkvRecord: those of them that no peer is known to hold */
  gboolean many_unconfirmed; /* too many to be in there */
};

GkvFlushes *
gkv_flushes_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvExchanges *exchanges)
{
  GkvFlushes *self = g_new0 (GkvFlushes, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->exchanges = exchanges;
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
  self->n_written++;
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
      if (gkv_stamp_get_ahead_ms (record->stamp, self->runtime->now.wall) <= GKV_CLOCK_DRIFT_BOUND_MS)
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

/* It holds all that was held here when @ticket was the newest flush, and @n_written the number of writes. */
static void
confirm (GkvFlushes *self, GkvMember *member, guint64 ticket, guint64 n_written)
{
  GkvStanding *standing = gkv_standing_of (member);

  standing->refuses = FALSE;
  if (n_written > self->n_held)
    {
      self->n_held = n_written;
      if (self->n_held == self->n_written)
        forget_unconfirmed (self);
      gkv_events_add_confirmed (self->runtime->events);
    }

  if (ticket > standing->confirmed)
    {
      standing->confirmed = ticket;
      if (g_hash_table_size (self->flushes) > 0)
        gkv_events_add_confirmed (self->runtime->events);
    }
}

/* What a peer lacked */

void
gkv_flushes_begin_exchange (GkvFlushes *self, GkvGiven *given)
{
  given->flush_ticket = self->ticket;
  given->n_written = self->n_written;
}

static gboolean
is_empty (const GkvGiven *given)
{
  return !given->many && given->records == NULL;
}

/* TRUE when an exchange that began later found that the other side still lacks it. */
static gboolean
is_missing (const GkvGiven *given, const GkvGivenRecord *owed)
{
  for (guint i = 0; i < given->records->len; i++)
    {
      const GkvGivenRecord *record = &g_array_index (given->records, GkvGivenRecord, i);

      if (record->hash == owed->hash && record->theirs < owed->stamp)
        return TRUE;
    }

  return FALSE;
}

/* Takes away what isn't owed any more. With the last of it the peer confirms. */
static void
consider_owed (GkvFlushes *self, GkvMember *member, const GkvGiven *given, GPtrArray *acknowledged)
{
  GkvGiven *owed = &gkv_standing_of (member)->owed;

  for (guint i = owed->records->len; i > 0; i--)
    {
      const GkvGivenRecord *entry = &g_array_index (owed->records, GkvGivenRecord, i - 1);
      gboolean settled = given != NULL && !is_missing (given, entry);

      for (guint j = 0; !settled && acknowledged != NULL && j < acknowledged->len; j++)
        {
          const GkvRecord *record = g_ptr_array_index (acknowledged, j);

          settled = record->hash == entry->hash && record->stamp >= entry->stamp;
        }
      if (settled)
        g_array_remove_index_fast (owed->records, i - 1);
    }

  if (owed->records->len > 0)
    return;

  confirm (self, member, owed->flush_ticket, owed->n_written);
  gkv_given_clear (owed);
}

void
gkv_flushes_settle (GkvFlushes *self, GkvLink *link, GkvGiven *given)
{
  GkvMember *member = link->member;

  if (!gkv_link_is_current (link))
    return;

  if (is_empty (given))
    {
      confirm (self, member, given->flush_ticket, given->n_written);
      gkv_given_clear (&gkv_standing_of (member)->owed);
      return;
    }

  if (given->many)
    return;

  if (gkv_standing_of (member)->owed.records != NULL)
    consider_owed (self, member, given, NULL);

  /* The records that an earlier flush waits for come first. */
  if (gkv_standing_of (member)->owed.records == NULL)
    {
      gkv_standing_of (member)->owed = *given;
      given->records = NULL;
    }
}

void
gkv_flushes_agree (GkvFlushes *self, GkvLink *link)
{
  GkvGiven given = { 0 };

  gkv_flushes_begin_exchange (self, &given);
  gkv_flushes_settle (self, link, &given);
}

void
gkv_flushes_acknowledge (GkvFlushes *self, GkvMember *member, GPtrArray *records)
{
  GkvStanding *standing = gkv_standing_of (member);

  if (standing->refuses || (standing->owed.records == NULL && g_hash_table_size (self->unconfirmed) == 0))
    return;

  confirm_records (self, records);
  if (standing->owed.records != NULL)
    consider_owed (self, member, NULL, records);
}

/* A peer that came after a flush began, or is alive again since, is waited for by later flushes only. */
static gboolean
is_wanted (const Flush *flush, const GkvMember *member)
{
  return flush->n_peers > 0 || gkv_standing_of (member)->live_ticket < flush->ticket;
}

static void
evaluate (GkvFlushes *self, Flush *flush, GkvFlushState *state)
{
  guint n_others_confirmed = 0;
  GHashTableIter iter;
  GkvMember *member;

  *state = (GkvFlushState){ .n_wanted = flush->n_peers };
  gkv_members_init_iter (self->members, &iter);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      gboolean confirmed = gkv_standing_of (member)->confirmed >= flush->ticket;

      if (!gkv_member_is_live (member))
        continue;

      if (!is_wanted (flush, member))
        {
          n_others_confirmed += confirmed;
          continue;
        }

      state->n_wanted += flush->n_peers == 0;
      state->n_confirmed += confirmed;
      state->n_refused += !confirmed && gkv_standing_of (member)->refuses;
    }

  /* Nobody was there, or all have gone: then it waits for the first that comes. */
  if (state->n_wanted == 0)
    state->n_confirmed = n_others_confirmed;

  flush->done = flush->done || state->n_confirmed >= MAX (state->n_wanted, 1);
  state->done = flush->done;
}

/* Time */

static gboolean
can_be_asked (const GkvMember *member)
{
  return gkv_member_is_live (member) && member->link != NULL && gkv_link_is_usable (member->link);
}

static void
ask (GkvFlushes *self, Flush *flush)
{
  GkvFlushState state;
  guint n_asked = 0;
  GHashTableIter iter;
  GkvMember *member;

  evaluate (self, flush, &state);
  if (flush->done)
    return;

  gkv_members_init_iter (self->members, &iter);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      if (gkv_standing_of (member)->confirmed >= flush->ticket || !can_be_asked (member) ||
          (state.n_wanted > 0 && !is_wanted (flush, member)))
        continue;

      /* A suspect is asked, but not relied upon. */
      n_asked += member->status == GKV_PEER_STATE_ALIVE;
      gkv_exchange_begin (self->exchanges, member->link);
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      if (flush->n_peers > 0 && n_asked >= flush->n_peers - state.n_confirmed + SPARE)
        break;
    }

  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + FLUSH_PERIOD);
}

void
gkv_flushes_tick (GkvFlushes *self)
{
  GHashTableIter iter;
  Flush *flush;

  g_hash_table_iter_init (&iter, self->flushes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &flush))
    if (!flush->done)
      ask (self, flush);
}

guint64
gkv_flushes_begin (GkvFlushes *self, guint n_peers)
{
  Flush *flush = g_new0 (Flush, 1);

  flush->ticket = ++self->ticket;
  flush->n_peers = n_peers;
  g_hash_table_insert (self->flushes, &flush->ticket, flush);
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

void
gkv_flushes_end (GkvFlushes *self, guint64 ticket)
{
  g_hash_table_remove (self->flushes, &ticket);
}
