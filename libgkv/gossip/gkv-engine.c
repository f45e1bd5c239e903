/* GkvEngine: the whole protocol of one node: time and datagrams in, datagrams and events out.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"
#include "gkv-horizons.h"

#include "../gkv-error.h"
#include "../store/gkv-expiry.h"

#include <string.h>

/* A transport may carry more or less than 1,200 bytes, within these bounds. */
#define MIN_DATAGRAM 640
#define MAX_DATAGRAM 65000

/* The dead are remembered, and their addresses greeted, this long. */
#define FORGET_DEAD (24 * 60 * 60 * GKV_SECOND)

/* How many records are quarantined; those beyond it are refused. */
#define MAX_QUARANTINED 1024

/* The same thing is told once in this time. */
#define REPORT_PERIOD (60 * GKV_SECOND)
#define MAX_REPORTS   256

/* Records of before, looked at at a time. */
#define TAKE_IN_SLICE 64

/* Expiries done in one tick, and at a time. */
#define MAX_EXPIRIES   256
#define EXPIRIES_SLICE 8

void
gkv_datagram_clear (GkvDatagram *datagram)
{
  g_clear_pointer (&datagram->address, g_free);
  g_clear_pointer (&datagram->bytes, g_bytes_unref);
}

/* Time and chance */

void
gkv_engine_wake_at (GkvEngine *self, gint64 mono)
{
  self->wake = MIN (self->wake, mono);
}

guint32
gkv_engine_random (GkvEngine *self, guint32 below)
{
  return below > 1 ? (guint32) g_rand_int_range (self->rand, 0, below) : 0;
}

/* The store's lock */

/* So much work is done before others may get at the store: that of 32 records. */
#define MAX_WORK (32 * GKV_COST_RECORD)

void
gkv_engine_lock_store (GkvEngine *self)
{
  self->work = 0;
  if (self->store_lock != NULL)
    self->store_lock (self->store_lock_data);
}

void
gkv_engine_unlock_store (GkvEngine *self)
{
  if (self->store_unlock != NULL)
    self->store_unlock (self->store_lock_data);
}

void
gkv_engine_breathe (GkvEngine *self, guint cost)
{
  self->work += cost;
  if (self->work < MAX_WORK)
    return;

  gkv_engine_unlock_store (self);
  gkv_engine_lock_store (self);
}

/* Events */

void
gkv_engine_add_removed_event (GkvEngine *self, GkvRecord *record, GkvRecord *replaced)
{
  g_autoptr (GkvRecord) dead = gkv_record_new_dead (gkv_store_get_hash_key (self->store), record);

  gkv_events_add_changed (self, dead, replaced);
}

/* Tells an error once in a while: the same code about the same address is one thing. */
void
gkv_engine_report (GkvEngine *self, GkvLink *about, int code, const char *format, ...)
{
  g_autofree char *message = NULL;
  g_autofree char *name = g_strdup_printf ("%d %s", code, about != NULL ? about->address : "");
  gint64 *told = g_hash_table_lookup (self->reports, name);
  va_list args;

  if (told != NULL && self->now.mono - *told < REPORT_PERIOD)
    return;

  if (g_hash_table_size (self->reports) >= MAX_REPORTS)
    g_hash_table_remove_all (self->reports);
  told = g_new (gint64, 1);
  *told = self->now.mono;
  g_hash_table_replace (self->reports, g_steal_pointer (&name), told);

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  gkv_events_add_error (self, code, message);
}

/* Synced */

void
gkv_engine_set_synced (GkvEngine *self)
{
  if (self->synced)
    return;

  self->synced = TRUE;
  gkv_events_add_synced (self);
}

/* A peer that was heard of, and never answered here, is waited for only as long as it may take to meet it. */
static gboolean
is_awaited (GkvEngine *self, const GkvMember *member)
{
  gboolean met = member->link != NULL && gkv_link_is_usable (member->link);

  return gkv_member_is_live (member) && !member->matched &&
         (met || self->now.mono - member->life_since < GKV_ALONE_AFTER);
}

/* TRUE once an exchange with every peer that answers has ended, or when there is nobody to wait for. None of them waits
 * for a record that comes in pieces from another peer; so that is waited for here. */
void
gkv_engine_consider_synced (GkvEngine *self)
{
  GHashTableIter iter;
  GkvMember *member;
  guint n_matched = 0;

  if (self->synced)
    return;

  if (self->n_alive == 0)
    {
      if (gkv_contacts_have_unreached (self) || self->n_unresolved > 0)
        return;

      if (self->now.mono - self->started < GKV_ALONE_AFTER)
        {
          gkv_engine_wake_at (self, self->started + GKV_ALONE_AFTER);
          return;
        }
    }

  g_hash_table_iter_init (&iter, self->members);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      gkv_engine_breathe (self, GKV_COST_MEMBER);
      if (is_awaited (self, member))
        return;
      n_matched += gkv_member_is_live (member) && member->matched;
    }
  if (self->n_alive > 0 && n_matched == 0)
    return;

  if (!gkv_pieces_are_missing (self))
    gkv_engine_set_synced (self);
}

/* Records */

gint64
gkv_engine_get_left_ms (GkvEngine *self, GkvRecord *record)
{
  gint64 deadline;

  if (gkv_record_is_dead (record))
    return -1;

  deadline = gkv_store_get_deadline (self->store, record);
  return deadline < 0 ? -1 : MAX (deadline - self->now.mono, 0) / 1000;
}

/* Which of the two clocks is wrong can't be told from here: both ends report it, once a peer. Of a link without a
 * member it can't be told whether that was done. */
static void
report_clock (GkvEngine *self, GkvLink *from, const GkvRecord *record, gint64 ahead)
{
  const char *origin = gkv_record_get_origin (record);
  gint64 minutes = ahead / 60000;

  if (from->member == NULL || from->member->clock_reported)
    return;

  from->member->clock_reported = TRUE;
  gkv_engine_report (self, from, GKV_ERROR_CLOCK,
                     "A record of key \"%s\", written by \"%s\", came from %s with a time %" G_GINT64_FORMAT
                     " minutes ahead of this clock; check the clocks of both machines",
                     gkv_record_get_key (record), origin, from->address, minutes);

  gkv_put_varint (gkv_engine_begin_message (self), minutes);
  gkv_put_string (self->scratch, origin);
  gkv_link_send (self, from, GKV_MESSAGE_CLOCK);
}

void
gkv_engine_handle_clock (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  guint64 minutes = gkv_reader_varint (reader);
  g_autofree char *origin = gkv_reader_string (reader, GKV_WIRE_MAX_ID);

  if (reader->failed)
    return;

  /* What is less far ahead is most often held, though not shown. */
  if (link->life == link->member->life && minutes > GKV_CLOCK_QUARANTINE_BOUND_MS / 60000)
    {
      link->member->refuses = TRUE;
      gkv_flushes_members_changed (self);
    }
  gkv_engine_report (self, link, GKV_ERROR_CLOCK,
                     "%s says that a record from here, written by \"%s\", has a time %" G_GUINT64_FORMAT
                     " minutes ahead of its clock; check the clocks of both machines",
                     link->address, origin, minutes);
}

static gboolean
is_too_far_ahead (GkvEngine *self, GkvLink *from, GkvRecord *record)
{
  gint64 ahead = gkv_stamp_get_ahead_ms (record->stamp, self->now.wall);

  if (ahead <= GKV_CLOCK_DRIFT_BOUND_MS)
    return FALSE;

  report_clock (self, from, record, ahead);

  if (ahead <= GKV_CLOCK_QUARANTINE_BOUND_MS && gkv_store_get_n_quarantined (self->store) < MAX_QUARANTINED)
    {
      record->flags |= GKV_RECORD_QUARANTINED;
      return FALSE;
    }

  self->counters.records_too_new++;
  return TRUE;
}

/* What came into the store is looked after, each by its kind. */
static void
watch (GkvEngine *self, GkvRecord *record)
{
  if (gkv_record_is_dead (record))
    gkv_horizons_entomb (self, record);
  gkv_ephemerals_watch (self, record);
}

typedef struct
{
  GkvEngine *engine;
  guint64 from; /* the hash of the first record */
  guint n;
  gboolean more;
} TakeIn;

static gboolean
take_in_each (GkvRecord *record, gpointer user_data)
{
  TakeIn *walk = user_data;

  if (walk->n == TAKE_IN_SLICE)
    {
      walk->from = record->hash;
      walk->more = TRUE;
      return FALSE;
    }

  walk->n++;
  watch (walk->engine, record);
  gkv_flushes_count (walk->engine, record);
  return TRUE;
}

/* What was written before there was an engine. */
static void
take_in (GkvEngine *self)
{
  const GkvRange everything = { 0, 0 };
  TakeIn walk = { .engine = self };

  do
    {
      walk.n = 0;
      walk.more = FALSE;
      gkv_store_foreach (self->store, everything, walk.from, take_in_each, &walk);
      gkv_engine_breathe (self, walk.n * GKV_COST_RECORD);
    }
  while (walk.more);
}

/* Puts a record of our own making into the store and sends it on. */
static void
put_own (GkvEngine *self, GkvRecord *record)
{
  GkvRecord *replaced = NULL;

  if (gkv_store_put (self->store, record, &replaced) != GKV_STORE_TAKEN)
    return;

  gkv_events_add_changed (self, record, replaced);
  watch (self, record);
  gkv_rumours_add (self, record);
}

static gboolean
is_own_life (GkvEngine *self, GkvRecord *record)
{
  return (record->flags & GKV_RECORD_EPHEMERAL) && gkv_record_get_generation (record) == self->life &&
         strcmp (gkv_record_get_origin (record), self->id) == 0;
}

guint64
gkv_engine_get_life (GkvEngine *self)
{
  return self->life;
}

void
gkv_engine_take_life (GkvEngine *self, guint64 life)
{
  self->past_life = self->life;
  self->life = life;
  self->incarnation = 0;
  gkv_links_tell_all (self);
  gkv_ephemerals_hasten (self);
}

void
gkv_engine_write_again (GkvEngine *self, GkvRecord *lost)
{
  g_autoptr (GkvRecord) record =
      gkv_record_new (gkv_store_get_hash_key (self->store), lost->writer, gkv_record_get_key (lost), lost->key_len,
                      GKV_RECORD_EPHEMERAL, gkv_clock_next (self->clock, self->now.wall), self->life,
                      gkv_record_get_content (lost), lost->content_len);

  put_own (self, record);
}

GkvRecord *
gkv_engine_read_record (GkvEngine *self, GkvReader *reader, gint64 *left_ms)
{
  return gkv_reader_record (reader, gkv_store_get_hash_key (self->store), &self->last_writer, left_ms);
}

gboolean
gkv_engine_apply (GkvEngine *self, GkvLink *from, GkvRecord *record, gint64 left_ms)
{
  GkvRecord *replaced = NULL;

  self->counters.records_received++;

  if (is_too_far_ahead (self, from, record))
    return FALSE;

  if (gkv_store_put (self->store, record, &replaced) != GKV_STORE_TAKEN)
    {
      GkvRecord *held = gkv_store_lookup (self->store, gkv_record_get_key (record), record->key_len);

      if (left_ms >= 0 && held != NULL && gkv_fingerprint_equal (&held->fingerprint, &record->fingerprint))
        gkv_store_set_deadline (self->store, held, self->now.mono + left_ms * GKV_MS);
      return FALSE;
    }

  self->counters.records_taken++;

  if (left_ms >= 0 && !gkv_record_is_dead (record))
    {
      gkv_store_set_deadline (self->store, record, self->now.mono + left_ms * GKV_MS);
      gkv_engine_wake_at (self, self->now.mono + left_ms * GKV_MS);
    }

  if (record->flags & GKV_RECORD_QUARANTINED)
    {
      gkv_engine_wake_at (self, self->now.mono + GKV_SECOND);
      g_clear_pointer (&replaced, gkv_record_unref);
      return TRUE;
    }

  gkv_clock_observe (self->clock, record->stamp);
  watch (self, record);

  if (gkv_record_is_dead (record) && is_own_life (self, record) && replaced != NULL && !self->leaving)
    {
      g_autoptr (GkvRecord) lost = g_steal_pointer (&replaced);

      gkv_events_add_changed (self, record, gkv_record_ref (lost));
      gkv_engine_write_again (self, lost);
      return TRUE;
    }

  gkv_events_add_changed (self, record, replaced);
  return TRUE;
}

void
gkv_engine_mark_dead (GkvEngine *self, GkvRecord *record)
{
  g_autoptr (GkvRecord) dead = gkv_record_new_dead (gkv_store_get_hash_key (self->store), record);

  put_own (self, dead);
}

void
gkv_engine_hide (GkvEngine *self, GkvRecord *visible)
{
  gkv_record_ref (visible);
  gkv_events_add_changed (self, gkv_store_hide (self->store, visible), visible);
}

static void
on_expired (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GkvEngine *self = user_data;

  gkv_events_add_changed (self, record, replaced != NULL ? gkv_record_ref (replaced) : NULL);

  /* A quarantined record is treated when it is released. */
  if (record->flags & GKV_RECORD_QUARANTINED)
    return;

  watch (self, record);
  gkv_rumours_add (self, record);
}

static void
expire_records (GkvEngine *self)
{
  gint64 deadline;

  for (guint n = 0; n < MAX_EXPIRIES; n += EXPIRIES_SLICE)
    {
      guint n_expired = gkv_store_expire_due (self->store, self->now.mono, EXPIRIES_SLICE, on_expired, self);

      gkv_engine_breathe (self, 4 * n_expired * GKV_COST_RECORD);
      if (n_expired < EXPIRIES_SLICE)
        break;
    }
  if (gkv_store_peek_deadline (self->store, &deadline) != NULL)
    gkv_engine_wake_at (self, deadline);
}

static void
on_released (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GkvEngine *self = user_data;

  gkv_clock_observe (self->clock, record->stamp);
  watch (self, record);
  gkv_events_add_changed (self, record, replaced != NULL ? gkv_record_ref (replaced) : NULL);
}

static void
release_quarantined (GkvEngine *self)
{
  gint64 bound_ms = self->now.wall / 1000 + GKV_CLOCK_DRIFT_BOUND_MS;

  if (gkv_store_get_n_quarantined (self->store) == 0)
    return;

  gkv_store_release_quarantined (self->store, ((GkvStamp) bound_ms << 16) | 0xffff, on_released, self);
  gkv_engine_wake_at (self, self->now.mono + GKV_SECOND);
}

/* Public */

GkvEngine *
gkv_engine_new (const GkvEngineConfig *config, GkvStore *store, GkvClock *clock, const GkvTime *now)
{
  GkvEngine *self = g_new0 (GkvEngine, 1);
  GkvHashKey zero = { 0, 0 };

  self->id = g_ref_string_new_intern (config->node_id);
  self->cluster = g_strdup (config->cluster);
  self->cluster_hash = gkv_hash_64 (&zero, config->cluster, strlen (config->cluster));
  self->is_confined = config->is_confined;
  self->life = config->life;
  self->secret = (GkvHashKey){ config->secret[0], config->secret[1] };
  self->gossip_interval = MAX (config->gossip_interval_ms, 1) * GKV_MS;
  self->max_datagram = CLAMP (config->max_datagram_size, MIN_DATAGRAM, MAX_DATAGRAM);
  self->rand = g_rand_new_with_seed (config->random_seed);
  self->store = store;
  self->store_lock = config->store_lock;
  self->store_unlock = config->store_unlock;
  self->store_lock_data = config->store_lock_data;
  self->changed = config->changed;
  self->changed_data = config->changed_data;
  self->clock = clock;
  self->now = *now;
  self->started = now->mono;
  self->wake = now->mono;
  self->reports = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->scratch = g_byte_array_new ();
  gkv_fifo_init (&self->datagrams, sizeof (GkvDatagram));
  gkv_events_init (self);
  gkv_links_init (self);
  gkv_contacts_init (self);
  gkv_members_init (self);
  gkv_news_init (self);
  gkv_ring_init (self);
  gkv_rumours_init (self);
  gkv_probes_init (self);
  gkv_exchanges_init (self);
  gkv_flushes_init (self);
  gkv_transfers_init (self);
  gkv_pieces_init (self);
  gkv_horizons_init (self, config);
  gkv_ephemerals_init (self);
  self->forget_dead = config->forget_dead_ms > 0 ? config->forget_dead_ms * GKV_MS : FORGET_DEAD;
  self->gossip_due = now->mono + self->gossip_interval;

  gkv_engine_lock_store (self);
  while (!gkv_store_keep_sketch_of (store, TAKE_IN_SLICE))
    gkv_engine_breathe (self, TAKE_IN_SLICE * GKV_COST_RECORD / 2);
  take_in (self);
  gkv_engine_unlock_store (self);

  return self;
}

void
gkv_engine_free (GkvEngine *self)
{
  GkvDatagram datagram;

  while (gkv_engine_pop_datagram (self, &datagram))
    gkv_datagram_clear (&datagram);
  gkv_fifo_clear (&self->datagrams);
  gkv_events_clear (self);

  gkv_rumours_clear (self);
  gkv_links_clear (self);
  gkv_exchanges_clear (self);
  gkv_transfers_clear (self);
  gkv_contacts_clear (self);
  gkv_pieces_clear (self);
  gkv_probes_clear (self);
  gkv_ring_clear (self);
  gkv_members_clear (self);
  gkv_horizons_clear (self);
  gkv_ephemerals_clear (self);
  gkv_flushes_clear (self);
  g_hash_table_unref (self->reports);
  g_clear_pointer (&self->last_writer, gkv_writer_unref);
  g_byte_array_unref (self->scratch);
  g_rand_free (self->rand);
  g_free (self->advertise);
  g_free (self->cluster);
  g_ref_string_release (self->id);
  g_free (self);
}

void
gkv_engine_set_gossip_interval (GkvEngine *self, guint interval_ms)
{
  gint64 interval = MAX (interval_ms, 1) * GKV_MS;

  self->gossip_due = MIN (self->gossip_due, self->gossip_due - self->gossip_interval + interval);
  self->gossip_interval = interval;
  gkv_engine_wake_at (self, self->gossip_due);
}

void
gkv_engine_set_advertise_address (GkvEngine *self, const char *address)
{
  g_free (self->advertise);
  self->advertise = g_strdup (address);
}

void
gkv_engine_set_n_unresolved (GkvEngine *self, guint n_unresolved)
{
  self->n_unresolved = n_unresolved;
}

void
gkv_engine_push (GkvEngine *self, GkvRecord *record, const GkvTime *now)
{
  self->now = *now;
  gkv_engine_lock_store (self);
  gkv_flushes_add_write (self, record);
  /* What has replaced one that is held no more was looked after already, or will be. */
  if (!(record->flags & GKV_RECORD_GONE))
    {
      watch (self, record);
      gkv_rumours_add (self, record);
    }
  gkv_engine_unlock_store (self);
  gkv_engine_wake_at (self, now->mono);
}

gint64
gkv_engine_tick (GkvEngine *self, const GkvTime *now)
{
  gboolean due = now->mono >= self->wake && !self->leaving;

  self->now = *now;
  if (due)
    {
      /* A process that slept judges nobody by the answers that it slept through. */
      if (now->mono - self->wake > GKV_SECOND / 2)
        self->probe.member = NULL;
      self->wake = G_MAXINT64;
    }

  gkv_engine_lock_store (self);
  gkv_rumours_tick (self);
  if (due)
    {
      gkv_contacts_tick (self);
      gkv_members_tick (self);
      gkv_probes_tick (self);
      gkv_exchanges_tick (self);
      gkv_transfers_tick (self);
      gkv_pieces_tick (self);
      expire_records (self);
      release_quarantined (self);
      gkv_ephemerals_tick (self);
      gkv_horizons_tick (self);
      gkv_engine_consider_synced (self);
    }
  gkv_engine_unlock_store (self);

  gkv_links_flush (self);
  return self->leaving ? G_MAXINT64 : self->wake;
}

void
gkv_engine_leave (GkvEngine *self, const GkvTime *now)
{
  self->now = *now;
  gkv_engine_lock_store (self);
  gkv_rumours_tick (self);
  gkv_engine_unlock_store (self);
  gkv_links_leave (self);
  gkv_links_flush (self);
  self->leaving = TRUE;
}

gboolean
gkv_engine_pop_datagram (GkvEngine *self, GkvDatagram *datagram)
{
  return gkv_fifo_pop (&self->datagrams, datagram);
}

gboolean
gkv_engine_get_synced (GkvEngine *self)
{
  return self->synced;
}

void
gkv_engine_add_stats (GkvEngine *self, GVariantBuilder *builder)
{
  const GkvCounters *counters = &self->counters;
  const struct
  {
    const char *name;
    guint64 value;
  } stats[] = {
    { "peers-alive", self->n_alive },
    { "peers-known", g_hash_table_size (self->members) },
    { "links", g_hash_table_size (self->links) },
    { "contacts", g_hash_table_size (self->contacts) },
    { "ephemerals", gkv_ephemerals_get_n (self) },
    { "datagrams-sent", counters->datagrams_sent },
    { "datagrams-received", counters->datagrams_received },
    { "datagrams-refused", counters->datagrams_refused },
    { "bytes-sent", counters->bytes_sent },
    { "bytes-received", counters->bytes_received },
    { "greetings-sent", counters->greetings },
    { "probes-sent", counters->probes },
    { "probes-failed", counters->probes_failed },
    { "rumours-sent", counters->rumours_sent },
    { "rumours-received", counters->rumours_received },
    { "rumours-new", counters->rumours_new },
    { "rumours-dropped", counters->rumours_dropped },
    { "rumours-given-up", counters->rumours_given_up },
    { "records-sent", counters->records_sent },
    { "records-received", counters->records_received },
    { "records-taken", counters->records_taken },
    { "records-refused", counters->records_refused },
    { "records-too-new", counters->records_too_new },
    { "records-dropped", counters->records_dropped },
    { "records-doubted", counters->records_doubted },
    { "tombstones-collected", counters->tombstones_collected },
    { "exchanges", counters->exchanges },
    { "exchanges-repeated", counters->exchanges_repeated },
    { "exchanges-full", counters->exchanges_full },
    { "pages-received", counters->pages },
  };

  for (guint i = 0; i < G_N_ELEMENTS (stats); i++)
    g_variant_builder_add (builder, "{sv}", stats[i].name, g_variant_new_uint64 (stats[i].value));
}
