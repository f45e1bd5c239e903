/* Tombstones: how long dead records are kept.
 *
 * The tombstone of a removal is kept for a day, so that it reaches all that may hold what was removed; or less where
 * there are very many. Collecting it waits for nobody, as the store then remembers the removal: a peer that gives the
 * record afterwards gets a tombstone in return. One that gives the tombstone is told that it was collected, and
 * collects it too, so that two nodes never hand each other what both would forget.
 *
 * A record that has an end ends everywhere by itself. Its dead mark is kept as long as others may be late with that,
 * and isn't remembered. Nodes that have marked it one after the other drop the mark with the first of them: one that
 * doesn't hold it takes none that will be dropped soon, and says so.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-tombstones.h"

#define TOMBSTONE_LIFE (24 * 60 * 60 * GKV_SECOND)
#define MAX_TOMBSTONES 262144

/* Twice the longest suspicion, and a minute. */
#define MARK_LIFE (2 * 5 * GKV_SECOND + 60 * GKV_SECOND)

/* Nodes make the dead mark of one record within this time, as a rule. */
#define MARK_MARGIN_MS 20000

/* Where there are too many, those that came just now may have reached nobody yet. */
#define TIME_TO_SPREAD (30 * GKV_SECOND)

/* Collected in one turn. */
#define MAX_COLLECTED 1024

struct _GkvTombstones
{
  GkvRuntime *runtime;
  GkvLinks *links;
  gint64 life;
  guint max;
};

GkvTombstones *
gkv_tombstones_new (GkvRuntime *runtime, GkvLinks *links, gint64 life, guint max)
{
  GkvTombstones *self = g_new0 (GkvTombstones, 1);

  self->runtime = runtime;
  self->links = links;
  self->life = life > 0 ? life : TOMBSTONE_LIFE;
  self->max = max > 0 ? max : MAX_TOMBSTONES;
  return self;
}

void
gkv_tombstones_free (GkvTombstones *self)
{
  g_free (self);
}

static gint64
get_life (GkvTombstones *self, const GkvRecord *dead)
{
  gint64 thousandth = gkv_record_get_life_ms (dead); /* of as many ms, in us */

  return gkv_record_has_end (dead) ? MIN (self->life, MAX (MARK_LIFE, thousandth)) : self->life;
}

void
gkv_tombstones_keep (GkvTombstones *self, GkvRecord *dead, gint64 left_ms)
{
  gint64 life = get_life (self, dead);

  if (left_ms >= 0)
    life = MIN (life, left_ms * GKV_MS);

  gkv_store_keep_dead (self->runtime->store, dead, self->runtime->now.boot + life);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + life);
  if (gkv_store_get_n_tombstones (self->runtime->store) > self->max)
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_SECOND);
}

static void
collect (GkvTombstones *self, GkvRecord *dead)
{
  gkv_store_collect (self->runtime->store, dead, self->runtime->now.boot);
  self->runtime->counters.tombstones_collected++;
}

void
gkv_tombstones_tick (GkvTombstones *self)
{
  GkvStore *store = self->runtime->store;
  gint64 now = self->runtime->now.boot;

  for (guint n = 0; n < MAX_COLLECTED; n++)
    {
      guint64 n_held = gkv_store_get_n_tombstones (store);
      gint64 deadline;
      GkvRecord *dead = gkv_store_peek_dead (store, &deadline);
      gint64 spread_at;

      if (dead == NULL)
        return;

      spread_at = deadline - get_life (self, dead) + TIME_TO_SPREAD;
      if (n_held <= 2 * (guint64) self->max && now < deadline && (n_held <= self->max || now < spread_at))
        {
          gkv_runtime_wake_at_boot (self->runtime, n_held > self->max ? MIN (deadline, spread_at) : deadline);
          return;
        }

      collect (self, dead);
      gkv_runtime_breathe (self->runtime, 2 * GKV_COST_RECORD);
    }

  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_MS);
}

static void
say_collected (GkvTombstones *self, GkvLink *link, const GkvRecord *record)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_put_u64 (body, record->hash);
  gkv_put_u64 (body, record->fingerprint.lo);
  gkv_links_send (self->links, link, GKV_MESSAGE_COLLECTED);
}

gboolean
gkv_tombstones_refuse (GkvTombstones *self, GkvLink *link, GkvRecord *record, gint64 left_ms)
{
  GkvRecord *held;

  if (left_ms < 0 || left_ms >= MARK_MARGIN_MS || !gkv_record_is_dead (record) || !gkv_record_has_end (record))
    return FALSE;

  /* What was written after the mark was dropped here may have a lower stamp, if a clock is ahead. */
  held = gkv_store_lookup (self->runtime->store, gkv_record_get_key (record), record->key_len);
  if (held != NULL && (gkv_record_is_version_of (held, record) || gkv_record_compare (held, record) >= 0))
    return FALSE;

  say_collected (self, link, record);
  return TRUE;
}

static GkvRecord *
make_dead (GkvTombstones *self, const char *key, gsize key_len, GkvStamp stamp)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern (self->runtime->id, -1, "", 0);
  GkvRecordParts parts = { .time_ms = MAX (self->runtime->now.wall / 1000, 0) };
  gboolean ahead = gkv_stamp_get_ms (stamp) > (gint64) parts.time_ms;

  return gkv_record_new_with_parts (gkv_store_get_hash_key (self->runtime->store), writer, key, key_len,
                                    GKV_RECORD_DEAD | (ahead ? GKV_RECORD_TIMED : 0), stamp, NULL, 0, &parts);
}

GkvRecord *
gkv_tombstones_make_again (GkvTombstones *self, GkvRecord *record)
{
  GkvStore *store = self->runtime->store;
  const char *key = gkv_record_get_key (record);
  g_autoptr (GkvRecord) dead = NULL;
  GkvStamp stamp = gkv_store_get_removed (store, key, record->key_len);

  dead = make_dead (self, key, record->key_len, stamp);
  /* One of the same stamp and writer would pass for the mark of that record. */
  if (gkv_record_compare (dead, record) <= 0 || gkv_record_is_version_of (dead, record))
    {
      gkv_record_unref (dead);
      dead = make_dead (self, key, record->key_len, stamp + 1);
    }
  gkv_store_forget_removed (store, key, record->key_len);
  return g_steal_pointer (&dead);
}

GkvRecord *
gkv_tombstones_make_above (GkvTombstones *self, GkvRecord *record)
{
  return make_dead (self, gkv_record_get_key (record), record->key_len, record->stamp + 1);
}

GkvRecord *
gkv_tombstones_recall (GkvTombstones *self, GkvLink *link, GkvRecord *record)
{
  if (!gkv_record_is_dead (record) || gkv_record_has_end (record) || (record->flags & GKV_RECORD_QUARANTINED))
    return gkv_tombstones_make_again (self, record);

  say_collected (self, link, record);
  return NULL;
}

/* A mark isn't remembered, and so isn't dropped long before its time. What is quarantined hides nothing as yet. */
static gboolean
can_be_collected (GkvTombstones *self, GkvRecord *record)
{
  return gkv_record_is_dead (record) && !(record->flags & GKV_RECORD_QUARANTINED) &&
         (!gkv_record_has_end (record) || gkv_runtime_get_kept_ms (self->runtime, record) < MARK_MARGIN_MS);
}

void
gkv_tombstones_handle (GkvTombstones *self, GkvReader *reader)
{
  while (gkv_reader_get_left (reader) > 0)
    {
      guint64 hash = gkv_reader_u64 (reader);
      guint64 fingerprint = gkv_reader_u64 (reader);
      GkvRecord *held = gkv_store_lookup_version (self->runtime->store, hash, fingerprint);

      if (reader->failed)
        return;

      if (held != NULL && held->fingerprint.lo == fingerprint && can_be_collected (self, held))
        collect (self, held);
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
    }
}
