/* Records: what comes into the store, and what follows from it: it is looked after, passed on, and the owner receives
 * it; what is too far ahead of the clock is refused, or quarantined for a while.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-records.h"

#include "../gkv-error.h"
#include "../store/gkv-expiry.h"

#include <string.h>

/* How many records are quarantined, in all and of one giver; those beyond it are refused. */
#define MAX_QUARANTINED 1024
#define MAX_GIVEN       512

/* Records of before, looked at at a time. */
#define TAKE_IN_SLICE 64

/* A mark is believed where the own count ends so soon, or within a thousandth of the full lifetime. */
#define MARK_SLACK (2 * GKV_SECOND)

/* A peer that was told that it was silent has so long to count that off the lifetimes that it holds; what has so much
 * left, but for a thousandth, was written since. */
#define COUNTING_TIME (2 * GKV_SECOND)
#define FRESH_MS      2000

/* So that sums of times don't overflow. */
#define MAX_LEFT_MS (G_MAXINT64 / 4 / GKV_MS)

/* Records that expire, or are released from quarantine, in one tick, and at a time. */
#define MAX_DUE   256
#define DUE_SLICE 8

typedef struct
{
  GkvRecord *record;
  guint64 giver; /* the hash of its id */
} Quarantined;

struct _GkvRecords
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvRumours *rumours;
  GkvEphemerals *ephemerals;
  GkvTombstones *tombstones;
  GkvInheritance *inheritance;
  GkvFlushes *flushes;
  GkvConfirmations *confirmations;
  GkvClocks *clocks;
  GArray *quarantined; /* Quarantined, some of which may be so no longer */
};

static void
clear_quarantined (gpointer data)
{
  gkv_record_unref (((Quarantined *) data)->record);
}

GkvRecords *
gkv_records_new (GkvRuntime *runtime,
                 GkvLinks *links,
                 GkvRumours *rumours,
                 GkvEphemerals *ephemerals,
                 GkvTombstones *tombstones,
                 GkvInheritance *inheritance,
                 GkvFlushes *flushes,
                 GkvConfirmations *confirmations,
                 GkvClocks *clocks)
{
  GkvRecords *self = g_new0 (GkvRecords, 1);

  self->runtime = runtime;
  self->links = links;
  self->rumours = rumours;
  self->ephemerals = ephemerals;
  self->tombstones = tombstones;
  self->inheritance = inheritance;
  self->flushes = flushes;
  self->confirmations = confirmations;
  self->clocks = clocks;
  self->quarantined = g_array_new (FALSE, FALSE, sizeof (Quarantined));
  g_array_set_clear_func (self->quarantined, clear_quarantined);
  return self;
}

void
gkv_records_free (GkvRecords *self)
{
  g_array_unref (self->quarantined);
  g_free (self);
}

static guint64
get_giver (const GkvLink *from)
{
  return from->member != NULL ? from->member->profile->place : 0;
}

/* Whether there is room for one more that @from has brought: nobody may fill it alone. */
static gboolean
has_room (GkvRecords *self, const GkvLink *from)
{
  guint64 giver = get_giver (from);
  guint n_given = 0;

  if (gkv_store_get_n_quarantined (self->runtime->store) >= MAX_QUARANTINED)
    return FALSE;

  for (guint i = self->quarantined->len; i > 0; i--)
    {
      const Quarantined *one = &g_array_index (self->quarantined, Quarantined, i - 1);

      if (!(one->record->flags & GKV_RECORD_QUARANTINED) || (one->record->flags & GKV_RECORD_GONE))
        g_array_remove_index_fast (self->quarantined, i - 1);
      else
        n_given += one->giver == giver;
    }

  return n_given < MAX_GIVEN;
}

static void
note_quarantined (GkvRecords *self, const GkvLink *from, GkvRecord *record)
{
  Quarantined one = { record, get_giver (from) };

  if (self->quarantined->len >= MAX_QUARANTINED)
    return;

  gkv_record_ref (record);
  g_array_append_val (self->quarantined, one);
}

/* TRUE: it isn't taken. A clock that may be wrong refuses nothing. */
static gboolean
is_too_far_ahead (GkvRecords *self, GkvLink *from, GkvRecord *record)
{
  gint64 time_ms = gkv_record_get_time_ms (record);
  GkvTimeVerdict verdict = gkv_clock_judge (record->stamp, time_ms, self->runtime->now.wall);

  if (verdict == GKV_TIME_VALID)
    return FALSE;

  gkv_clocks_report (self->clocks, from, record);
  if (gkv_clocks_is_doubtful (self->clocks) || (verdict == GKV_TIME_QUARANTINED && has_room (self, from)))
    {
      record->flags |= GKV_RECORD_QUARANTINED;
      return FALSE;
    }

  /* One that is near the bound is left alone, so that nobody can drive the stamps of others beyond it. */
  if (gkv_clock_get_ahead_ms (gkv_stamp_get_ms (record->stamp), self->runtime->now.wall) < GKV_CLOCK_STAMP_BOUND_MS / 2)
    gkv_store_note_refused (self->runtime->store, record);
  gkv_conversation_of (from)->refused = TRUE;
  gkv_confirmations_note_refused (self->confirmations, gkv_record_get_origin (record));
  gkv_clocks_note_refused (self->clocks, time_ms, verdict == GKV_TIME_QUARANTINED);
  self->runtime->counters.records_too_new++;
  return TRUE;
}

/* A record that came into the store is looked after, by its kind. */
static void
watch (GkvRecords *self, GkvRecord *record, gint64 left_ms)
{
  if (gkv_record_is_dead (record))
    gkv_tombstones_keep (self->tombstones, record, left_ms);
  gkv_ephemerals_watch (self->ephemerals, record);
}

typedef struct
{
  GkvRecords *records;
  guint64 from; /* the hash of the first record */
  guint n;
  gboolean more;
} TakeIn;

static gboolean
take_in_each (GkvRecord *record, gpointer user_data)
{
  TakeIn *walk = user_data;
  GkvRecord *valid = gkv_store_get_valid (walk->records->runtime->store, record);

  if (walk->n == TAKE_IN_SLICE)
    {
      walk->from = record->hash;
      walk->more = TRUE;
      return FALSE;
    }

  walk->n++;
  if (valid != NULL)
    watch (walk->records, valid, -1);
  gkv_flushes_count (walk->records->flushes, record);
  return TRUE;
}

/* What was written before there was an engine. */
void
gkv_records_take_in (GkvRecords *self)
{
  TakeIn walk = { .records = self };

  do
    {
      walk.n = 0;
      walk.more = FALSE;
      gkv_store_foreach (self->runtime->store, GKV_RANGE_EVERYTHING, walk.from, take_in_each, &walk);
      gkv_runtime_breathe (self->runtime, walk.n * GKV_COST_RECORD);
    }
  while (walk.more);
}

/* Puts a record of our own making into the store and sends it on. */
static void
put_own (GkvRecords *self, GkvRecord *record)
{
  GkvRecord *replaced = NULL;

  if (gkv_store_put (self->runtime->store, record, &replaced) != GKV_STORE_TAKEN)
    return;

  gkv_events_add_changed (self->runtime->events, record, replaced);
  watch (self, record, -1);
  gkv_rumours_add (self->rumours, record);
}

static gboolean
is_own_generation (GkvRecords *self, GkvRecord *record)
{
  return (record->flags & GKV_RECORD_EPHEMERAL) && gkv_record_get_generation (record) == self->runtime->generation &&
         strcmp (gkv_record_get_origin (record), self->runtime->id) == 0;
}

void
gkv_records_write_again (GkvRecords *self, GkvRecord *lost)
{
  g_autoptr (GkvRecord) record =
      gkv_store_new_write (self->runtime->store, lost->writer, gkv_record_get_key (lost), lost->key_len,
                           GKV_RECORD_EPHEMERAL, self->runtime->now.wall, self->runtime->generation, 0,
                           gkv_record_get_content (lost), lost->content_len);

  put_own (self, record);
}

/* The peer has held it since before it was away, and it may have been removed meanwhile. A joiner waits with that for
 * the removals that others remember. */
gboolean
gkv_records_refuse (GkvRecords *self, GkvLink *from, guint64 hash, guint64 away)
{
  if (away == 0 || GKV_AWAY_IS_CHECKED (away) || gkv_store_lookup_nth (self->runtime->store, hash, 0) != NULL ||
      !gkv_inheritance_is_awaited (self->inheritance))
    return FALSE;

  gkv_conversation_of (from)->incomplete = gkv_conversation_of (from)->declined = TRUE;
  return TRUE;
}

/* What belongs to an owner that isn't known here to live, from a node that is back, or new: it may be shown for some
 * seconds, and end again. A joiner has nothing else to go by. */
static gboolean
awaits_owner (GkvRecords *self, GkvLink *from, GkvRecord *record, gboolean is_rumour)
{
  if (!self->runtime->was_synced || from->member == NULL ||
      !gkv_ephemerals_awaits_owner (self->ephemerals, record, from->member, is_rumour) ||
      gkv_store_find_version (self->runtime->store, record) != NULL)
    return FALSE;

  gkv_conversation_of (from)->incomplete = gkv_conversation_of (from)->declined = TRUE;
  return TRUE;
}

/* The peer has held it since before it was away, and removals of that time were forgotten for want of room. Such a
 * record is kept: a key that returns can be removed again. */
static gboolean
is_doubtful (GkvRecords *self, const GkvRecord *record, guint64 away)
{
  gint64 since = self->runtime->now.boot - (gint64) GKV_AWAY_SECONDS (away) * GKV_SECOND;

  return gkv_removals_has_dropped (gkv_store_get_removals (self->runtime->store), since, record->stamp) &&
         !gkv_record_is_dead (record) &&
         gkv_store_lookup (self->runtime->store, gkv_record_get_key (record), record->key_len) == NULL;
}

static void
report_doubt (GkvRecords *self, const GkvLink *from, const GkvRecord *record)
{
  self->runtime->counters.records_doubted++;
  gkv_runtime_report (self->runtime, from->address, GKV_ERROR_FAILED,
                      "\"%s\", written by \"%s\", may have been removed while %s was away: more removals were made "
                      "since than are remembered. It is kept, as are others perhaps; if it was removed, remove it "
                      "again",
                      gkv_record_get_key (record), gkv_record_get_origin (record), from->address);
}

/* The peer was silent, and may not know as yet that its clocks stood still meanwhile: then it overstates what remains
 * of lifetimes, for good, as each holder counts for itself. What was written just now isn't concerned. */
static gboolean
has_to_count (GkvRecords *self, GkvLink *from, GkvRecord *record, gint64 left_ms)
{
  gint64 life_ms = gkv_record_get_life_ms (record);

  if (gkv_record_is_dead (record) || life_ms == 0 || from->member == NULL ||
      gkv_standing_of (from->member)->told_at == 0 ||
      self->runtime->now.mono - gkv_standing_of (from->member)->told_at > COUNTING_TIME ||
      left_ms + FRESH_MS + life_ms / 1000 >= life_ms || gkv_store_find_version (self->runtime->store, record) != NULL)
    return FALSE;

  gkv_conversation_of (from)->incomplete = gkv_conversation_of (from)->declined = TRUE;
  return TRUE;
}

/* Clocks run at different rates, and a remaining lifetime is on its way for a while. */
static gboolean
is_ending (GkvRecords *self, GkvRecord *held)
{
  gint64 deadline = gkv_store_get_deadline (self->runtime->store, held);

  return deadline >= 0 && deadline - self->runtime->now.boot <= MARK_SLACK + (gint64) gkv_record_get_life_ms (held);
}

/* Who held this generation as ended has marked a record of it. It isn't: the record is written again, above the mark.
 */
static gboolean
rewrite_if_marked (GkvRecords *self, GkvRecord *record)
{
  GkvRecord *held;

  if (!gkv_record_is_dead (record) || !is_own_generation (self, record) || self->runtime->leaving)
    return FALSE;

  held = gkv_store_find_version (self->runtime->store, record);
  if (held == NULL || gkv_record_is_dead (held) || !is_own_generation (self, held))
    return FALSE;

  if ((held->flags & GKV_RECORD_TTL) && is_ending (self, held))
    return FALSE;

  gkv_records_write_again (self, held);
  return TRUE;
}

/* A mark is a claim about a record, and whoever holds that counts for itself. So one that lies about what remains of a
 * lifetime harms only those whom it tells. What has no end gets no mark: a removal has a later stamp. */
static gboolean
doubts_mark (GkvRecords *self, GkvRecord *record)
{
  GkvRecord *held = gkv_store_find_version (self->runtime->store, record);

  if (held == NULL || gkv_record_is_dead (held))
    return FALSE;

  if ((record->flags & held->flags & GKV_RECORD_TTL) && is_ending (self, held))
    return FALSE;

  return !(record->flags & held->flags & GKV_RECORD_EPHEMERAL) || gkv_ephemerals_doubt (self->ephemerals, record);
}

/* Two runs of a node whose clock is behind may go above the same record of another, and so give one stamp to a value
 * and to a removal. Who holds the value takes the removal for a mark of what has no end, and refuses it; so who holds
 * the removal makes it again, above both. */
static void
remove_again (GkvRecords *self, GkvRecord *record)
{
  GkvRecord *held;
  g_autoptr (GkvRecord) dead = NULL;

  if (gkv_record_is_dead (record) || gkv_record_has_end (record) || (record->flags & GKV_RECORD_QUARANTINED))
    return;

  held = gkv_store_find_version (self->runtime->store, record);
  if (held == NULL || !gkv_record_is_dead (held) || gkv_record_has_end (held) || (held->flags & GKV_RECORD_QUARANTINED))
    return;

  dead = gkv_tombstones_make_above (self->tombstones, record);
  put_own (self, dead);
}

/* When a record that came with @left_ms ends: it is counted once for all, also where it comes again with another time.
 * -1: it has no end. */
static gint64
get_deadline (GkvRecords *self, GkvRecord *record, gint64 left_ms)
{
  gint64 life_ms = gkv_record_get_life_ms (record);
  GkvRecord *held;

  if (gkv_record_is_dead (record) || life_ms == 0)
    return -1;

  held = gkv_store_find_version (self->runtime->store, record);
  if (held != NULL && (held->flags & GKV_RECORD_DEADLINE))
    return gkv_store_get_deadline (self->runtime->store, held);

  return self->runtime->now.boot + MIN (left_ms >= 0 ? MIN (left_ms, life_ms) : life_ms, MAX_LEFT_MS) * GKV_MS;
}

static gboolean
apply (GkvRecords *self, GkvLink *from, GkvRecord *record, gint64 left_ms, guint64 away, gboolean is_rumour)
{
  GkvStoreResult result;
  gboolean doubted;
  gint64 deadline;
  GkvRecord *replaced = NULL;

  if (is_too_far_ahead (self, from, record))
    return FALSE;

  if (gkv_tombstones_refuse (self->tombstones, from, record, left_ms))
    return FALSE;

  if (!gkv_record_is_dead (record) && gkv_records_refuse (self, from, record->hash, away))
    return FALSE;
  if (awaits_owner (self, from, record, is_rumour) || has_to_count (self, from, record, left_ms))
    return FALSE;
  doubted = away > 0 && is_doubtful (self, record, away);

  if (rewrite_if_marked (self, record))
    return FALSE;

  if (gkv_record_is_dead (record) && doubts_mark (self, record))
    {
      gkv_conversation_of (from)->refused = TRUE;
      /* Its owner is to know, wherever it can be reached from here. */
      if (record->flags & GKV_RECORD_EPHEMERAL)
        gkv_rumours_send_to (self->rumours, record,
                             gkv_runtime_hash_id (self->runtime, gkv_record_get_origin (record)));
      return FALSE;
    }

  deadline = get_deadline (self, record, left_ms);
  remove_again (self, record);
  result = gkv_store_put (self->runtime->store, record, &replaced);
  if (result == GKV_STORE_REMOVED)
    {
      g_autoptr (GkvRecord) dead = gkv_tombstones_recall (self->tombstones, from, record);

      if (dead != NULL)
        put_own (self, dead);
      return FALSE;
    }
  if (result != GKV_STORE_TAKEN)
    return FALSE;

  self->runtime->counters.records_taken++;
  if (doubted)
    report_doubt (self, from, record);

  if (deadline >= 0)
    {
      gkv_store_set_deadline (self->runtime->store, record, deadline);
      gkv_runtime_wake_at_boot (self->runtime, deadline);
    }

  if (record->flags & GKV_RECORD_QUARANTINED)
    {
      note_quarantined (self, from, record);
      gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_SECOND);
      g_clear_pointer (&replaced, gkv_record_unref);
      return TRUE;
    }

  watch (self, record, left_ms);

  if (gkv_record_is_dead (record) && is_own_generation (self, record) && replaced != NULL && !self->runtime->leaving)
    {
      g_autoptr (GkvRecord) lost = g_steal_pointer (&replaced);

      gkv_events_add_changed (self->runtime->events, record, gkv_record_ref (lost));
      gkv_records_write_again (self, lost);
      return TRUE;
    }

  gkv_events_add_changed (self->runtime->events, record, replaced);
  return TRUE;
}

gboolean
gkv_records_apply (GkvRecords *self, GkvLink *from, GkvRecord *record, gint64 left_ms, guint64 away, gboolean is_rumour)
{
  g_autoptr (GkvRecord) corrected = NULL;

  self->runtime->counters.records_received++;
  if (!gkv_clocks_may_correct (self->clocks, record))
    return apply (self, from, record, left_ms, away, is_rumour);

  /* It was written before the node was started again, by a clock that was wrong: nobody else can say that. */
  corrected = gkv_record_new_timed (gkv_store_get_hash_key (self->runtime->store), record,
                                    gkv_clocks_get_time_ms (self->clocks));
  if (gkv_record_is_dead (record) && !gkv_record_has_end (record) &&
      gkv_store_lookup (self->runtime->store, gkv_record_get_key (record), record->key_len) == NULL &&
      gkv_store_get_removed (self->runtime->store, gkv_record_get_key (record), record->key_len) >= record->stamp)
    {
      g_autoptr (GkvRecord) dead = gkv_tombstones_make_again (self->tombstones, corrected);

      put_own (self, dead);
      return FALSE;
    }

  if (apply (self, from, corrected, left_ms, away, is_rumour))
    gkv_rumours_add (self->rumours, corrected);
  return FALSE;
}

static void
on_expired (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GkvRecords *self = user_data;

  /* A quarantined record is treated when it is released. */
  if (record->flags & GKV_RECORD_QUARANTINED)
    return;

  gkv_events_add_changed (self->runtime->events, record, replaced != NULL ? gkv_record_ref (replaced) : NULL);
  watch (self, record, -1);
  gkv_rumours_add (self->rumours, record);
}

typedef guint (*DueFunc) (GkvStore *store, gint64 up_to, guint max, GkvStoreReleaseFunc func, gpointer user_data);

/* What is due, by a function of the store, and by its time. FALSE: there may be more. */
static gboolean
do_due (GkvRecords *self, DueFunc do_some, gint64 up_to, GkvStoreReleaseFunc each)
{
  for (guint n = 0; n < MAX_DUE; n += DUE_SLICE)
    {
      guint n_done = do_some (self->runtime->store, up_to, DUE_SLICE, each, self);

      gkv_runtime_breathe (self->runtime, 4 * n_done * GKV_COST_RECORD);
      if (n_done < DUE_SLICE)
        return TRUE;
    }

  return FALSE;
}

static void
expire (GkvRecords *self)
{
  gint64 deadline;

  do_due (self, gkv_store_expire_due, self->runtime->now.boot, on_expired);
  if (gkv_store_peek_deadline (self->runtime->store, &deadline) != NULL)
    gkv_runtime_wake_at_boot (self->runtime, deadline);
}

static void
on_released (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GkvRecords *self = user_data;

  watch (self, record, -1);
  gkv_events_add_changed (self->runtime->events, record, replaced != NULL ? gkv_record_ref (replaced) : NULL);
}

static void
release_quarantined (GkvRecords *self)
{
  gint64 bound_ms = self->runtime->now.wall / 1000 + GKV_CLOCK_DRIFT_BOUND_MS;

  if (gkv_store_get_n_quarantined (self->runtime->store) == 0)
    return;

  if (do_due (self, gkv_store_release_quarantined, bound_ms, on_released))
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_SECOND);
  else
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}

void
gkv_records_tick (GkvRecords *self)
{
  expire (self);
  release_quarantined (self);
}

void
gkv_records_push (GkvRecords *self, GkvRecord *record)
{
  gkv_flushes_add_write (self->flushes, record);
  /* The one that has replaced it was looked after already, or will be. */
  if (record->flags & GKV_RECORD_GONE)
    return;

  watch (self, record, -1);
  gkv_rumours_add (self->rumours, record);
}

void
gkv_records_mark_dead (GkvRecords *self, GkvRecord *record)
{
  g_autoptr (GkvRecord) dead = gkv_record_new_dead (gkv_store_get_hash_key (self->runtime->store), record);

  put_own (self, dead);
}

void
gkv_records_correct_time (GkvRecords *self, GkvRecord *held, gint64 time_ms)
{
  GkvStore *store = self->runtime->store;
  g_autoptr (GkvRecord) record = gkv_record_new_timed (gkv_store_get_hash_key (store), held, time_ms);
  gint64 deadline = gkv_store_get_deadline (store, held);
  gint64 kept_ms = gkv_runtime_get_kept_ms (self->runtime, held);
  guint32 arrived = held->arrived;
  GkvRecord *replaced = NULL;

  if (gkv_store_put (store, record, &replaced) != GKV_STORE_TAKEN)
    return;

  /* It is the same but for that. */
  record->arrived = arrived;
  if (deadline >= 0)
    gkv_store_set_deadline (store, record, deadline);
  gkv_events_add_changed (self->runtime->events, record, replaced);
  watch (self, record, kept_ms);
  gkv_rumours_add (self->rumours, record);
}
