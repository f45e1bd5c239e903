/* Two engines, or three, joined by a wire.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include <string.h>

typedef struct
{
  GkvDatagram datagram;
  guint from;
  gint64 arrives;
} Flight;

static void
flight_free (Flight *flight)
{
  gkv_datagram_clear (&flight->datagram);
  g_free (flight);
}

static gboolean
is_confined (const char *address)
{
  return g_str_has_prefix (address, "loopback");
}

static void
lock_store (gpointer data)
{
  PairSide *side = data;

  g_assert_false (side->locked);
  side->locked = TRUE;
  side->n_locked++;
}

static void
unlock_store (gpointer data)
{
  PairSide *side = data;

  g_assert_true (side->locked);
  side->locked = FALSE;
  side->on_unlocked (side);
}

GkvTime
pair_get_time (Pair *pair, guint side)
{
  GkvTime now = pair->now;

  now.wall += pair->sides[side].ahead;
  return now;
}

static void
start (Pair *pair, guint index)
{
  PairSide *side = &pair->sides[index];
  GkvTime now = pair_get_time (pair, index);
  GkvEngineConfig config = { .node_id = side->id != NULL ? side->id : side->name,
                             .cluster = side->cluster != NULL ? side->cluster : "test",
                             .generation = ++side->generation,
                             .random_seed = index + 1,
                             .secret = { index + 1, 6 + side->generation },
                             .gossip_interval_ms = 2000,
                             .max_datagram_size = side->max_datagram > 0 ? side->max_datagram : 1200,
                             .is_confined = is_confined,
                             .store_lock = side->on_unlocked != NULL ? lock_store : NULL,
                             .store_unlock = side->on_unlocked != NULL ? unlock_store : NULL,
                             .store_lock_data = side };

  side->engine = gkv_engine_new (&config, side->store, &now);
  gkv_engine_set_advertise_address (side->engine, side->advertise);
  for (guint i = 1; index == 0 && i < pair->n; i++)
    gkv_engine_add_contact (side->engine, pair->sides[i].name, &now);
}

static void
init (Pair *pair, guint n)
{
  static const char *const names[PAIR_MAX] = { "a:1", "b:2", "c:3" };
  GkvHashKey key = gkv_hash_key_for_cluster ("test");

  memset (pair, 0, sizeof *pair);
  g_queue_init (&pair->wire);
  pair->n = n;
  pair->now.wall = G_GINT64_CONSTANT (1800000000000000);
  for (guint i = 0; i < n; i++)
    pair->sides[i].name = names[i];
  for (guint i = 0; i < n; i++)
    {
      pair->sides[i].store = gkv_store_new (&key);
      start (pair, i);
    }
}

void
pair_init (Pair *pair)
{
  init (pair, 2);
}

void
pair_init_three (Pair *pair)
{
  init (pair, 3);
}

void
pair_clear (Pair *pair)
{
  g_queue_clear_full (&pair->wire, (GDestroyNotify) flight_free);
  for (guint i = 0; i < pair->n; i++)
    {
      gkv_engine_free (pair->sides[i].engine);
      gkv_store_free (pair->sides[i].store);
    }
}

void
pair_restart (Pair *pair, guint side)
{
  gkv_engine_free (pair->sides[side].engine);
  pair->sides[side].down = FALSE;
  start (pair, side);
}

void
pair_restart_empty (Pair *pair, guint side)
{
  GkvHashKey key = *gkv_store_get_hash_key (pair->sides[side].store);

  gkv_engine_free (pair->sides[side].engine);
  gkv_store_free (pair->sides[side].store);
  pair->sides[side].store = gkv_store_new (&key);
  pair->sides[side].down = FALSE;
  start (pair, side);
}

static GkvRecord *
make_record (Pair *pair, guint side, const char *key, const char *value, GkvRecordFlags flags, guint64 life_ms)
{
  PairSide *writer = &pair->sides[side];
  g_autoptr (GkvWriter) names = gkv_writer_intern (writer->name, -1, flags & GKV_RECORD_DEAD ? "" : "string", -1);

  return gkv_store_new_write (writer->store, names, key, strlen (key), flags, pair_get_time (pair, side).wall,
                              writer->generation, life_ms, value, strlen (value));
}

void
pair_put (Pair *pair, guint side, const char *key, const char *value)
{
  g_autoptr (GkvRecord) record = make_record (pair, side, key, value, 0, 0);

  g_assert_cmpint (gkv_store_put (pair->sides[side].store, record, NULL), ==, GKV_STORE_TAKEN);
}

GkvRecord *
pair_put_mortal (Pair *pair, guint side, const char *key, const char *value, guint64 life_ms)
{
  g_autoptr (GkvRecord) record = make_record (pair, side, key, value, 0, life_ms);

  g_assert_cmpint (gkv_store_put (pair->sides[side].store, record, NULL), ==, GKV_STORE_TAKEN);
  gkv_store_set_deadline (pair->sides[side].store, record, pair->now.boot + (gint64) life_ms * 1000);
  return record;
}

/* A record is one store's only: it has the epoch in it. */
static GkvRecord *
copy_record (Pair *pair, guint to, GkvRecord *record)
{
  PairSide *side = &pair->sides[to];
  GkvRecordParts parts;
  GkvRecord *copy;

  gkv_record_get_parts (record, &parts);
  copy = gkv_record_new_with_parts (gkv_store_get_hash_key (side->store), record->writer, gkv_record_get_key (record),
                                    record->key_len, record->flags, record->stamp, gkv_record_get_content (record),
                                    record->content_len, &parts);
  gkv_store_put (side->store, copy, NULL);
  return copy;
}

void
pair_put_both (Pair *pair, const char *key, const char *value)
{
  g_autoptr (GkvRecord) record = make_record (pair, 0, key, value, 0, 0);
  g_autoptr (GkvRecord) copy G_GNUC_UNUSED = copy_record (pair, 1, record);

  gkv_store_put (pair->sides[0].store, record, NULL);
}

void
pair_copy (Pair *pair, guint from, guint to, const char *key)
{
  GkvRecord *record = gkv_store_lookup (pair->sides[from].store, key, strlen (key));
  g_autoptr (GkvRecord) copy = copy_record (pair, to, record);
  GkvTime now = pair_get_time (pair, to);

  gkv_engine_push (pair->sides[to].engine, copy, &now);
}

void
pair_write (Pair *pair, guint side, const char *key, const char *value, GkvRecordFlags flags)
{
  g_autoptr (GkvRecord) record = make_record (pair, side, key, value, flags, 0);
  GkvTime now = pair_get_time (pair, side);

  g_assert_cmpint (gkv_store_put (pair->sides[side].store, record, NULL), ==, GKV_STORE_TAKEN);
  gkv_engine_push (pair->sides[side].engine, record, &now);
}

guint64
pair_get_stat (Pair *pair, guint side, const char *name)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  g_autoptr (GVariant) stats = NULL;
  guint64 value;

  gkv_engine_add_stats (pair->sides[side].engine, &builder);
  stats = g_variant_ref_sink (g_variant_builder_end (&builder));
  g_assert_true (g_variant_lookup (stats, name, "t", &value));
  return value;
}

static void
count_messages (Pair *pair, GBytes *bytes)
{
  GkvReader reader;
  gsize len;
  gconstpointer data = g_bytes_get_data (bytes, &len);

  gkv_reader_init (&reader, data, len);
  gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE);
  while (gkv_reader_get_left (&reader) > 0)
    {
      gsize start = reader.pos;
      guint8 kind = gkv_reader_u8 (&reader);

      gkv_reader_bytes (&reader, gkv_reader_varint (&reader));
      g_assert_false (reader.failed);
      pair->n_messages[kind % 64]++;
      pair->n_bytes[kind % 64] += reader.pos - start;
    }
}

gboolean
pair_datagram_has (GBytes *datagram, GkvMessageKind kind)
{
  GkvReader reader;
  gsize len;
  gconstpointer data = g_bytes_get_data (datagram, &len);
  gboolean found = FALSE;

  gkv_reader_init (&reader, data, len);
  gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE);
  while (!found && gkv_reader_get_left (&reader) > 0)
    {
      found = gkv_reader_u8 (&reader) == kind;
      gkv_reader_bytes (&reader, gkv_reader_varint (&reader));
    }

  return found;
}

/* Those that arrive at the same time stay in their order. */
static void
fly (Pair *pair, guint from, char *address, GBytes *bytes, gint64 us)
{
  Flight *flight = g_new0 (Flight, 1);
  GList *place = pair->wire.tail;

  flight->datagram.address = address;
  flight->datagram.bytes = bytes;
  flight->from = from;
  flight->arrives = pair->now.mono + us;

  while (place != NULL && ((Flight *) place->data)->arrives > flight->arrives)
    place = place->prev;
  if (place != NULL)
    g_queue_insert_after (&pair->wire, place, flight);
  else
    g_queue_push_head (&pair->wire, flight);
}

void
pair_send (Pair *pair, guint from, guint to, GBytes *datagram, gint64 us)
{
  fly (pair, from, g_strdup (pair->sides[to].name), g_bytes_ref (datagram), us);
}

/* Returns how many changes were told. */
static guint
drain_events (PairSide *side)
{
  GkvEvent event;
  guint n_changes = 0;

  while (gkv_engine_pop_event (side->engine, &event))
    {
      n_changes += event.kind == GKV_EVENT_CHANGED;
      if (event.kind == GKV_EVENT_ERROR)
        {
          side->n_errors++;
          side->last_error = event.error->code;
          g_strlcpy (side->last_message, event.error->message, sizeof side->last_message);
          g_test_message ("%s: %s", side->name, event.error->message);
        }
      side->n_removed += event.kind == GKV_EVENT_PEER_REMOVED;
      side->n_confirmed += event.kind == GKV_EVENT_CONFIRMED;
      gkv_event_clear (&event);
    }
  return n_changes;
}

/* pair->n: there is nobody. */
static guint
find_side (Pair *pair, const char *address)
{
  guint i = 0;

  while (i < pair->n && strcmp (pair->sides[i].name, address) != 0)
    i++;
  return i;
}

static void
send_all (Pair *pair, guint index)
{
  GkvDatagram datagram;

  while (gkv_engine_pop_datagram (pair->sides[index].engine, &datagram))
    {
      if (pair->loses != NULL && pair->loses (pair, index, find_side (pair, datagram.address), datagram.bytes))
        {
          gkv_datagram_clear (&datagram);
          continue;
        }

      count_messages (pair, datagram.bytes);
      fly (pair, index, datagram.address, datagram.bytes, PAIR_LATENCY);
    }
}

static void
tick (Pair *pair, guint index)
{
  PairSide *side = &pair->sides[index];
  GkvTime now = pair_get_time (pair, index);
  guint n_changes;

  if (side->down)
    return;

  drain_events (side);
  side->wake = gkv_engine_tick (side->engine, &now);
  n_changes = drain_events (side);
  side->most_changes = MAX (side->most_changes, n_changes);
  send_all (pair, index);
}

void
pair_leave (Pair *pair, guint side)
{
  GkvTime now = pair_get_time (pair, side);

  gkv_engine_leave (pair->sides[side].engine, &now);
  send_all (pair, side);
  pair->sides[side].down = TRUE;
}

static void
arrive (Pair *pair, Flight *flight)
{
  for (guint i = 0; i < pair->n; i++)
    {
      PairSide *side = &pair->sides[i];
      GkvTime now = pair_get_time (pair, i);
      gsize len;
      gconstpointer data = g_bytes_get_data (flight->datagram.bytes, &len);

      if (!side->down && strcmp (side->name, flight->datagram.address) == 0)
        gkv_engine_receive (side->engine, pair->sides[flight->from].name, data, len, &now);
    }
}

gboolean
pair_is_same (Pair *pair)
{
  const GkvRange everything = { 0, 0 };
  GkvSummary first, other;

  gkv_store_summarise (pair->sides[0].store, everything, &first);
  for (guint i = 1; i < pair->n; i++)
    {
      gkv_store_summarise (pair->sides[i].store, everything, &other);
      if (!pair->sides[i].down &&
          (first.count != other.count || !gkv_fingerprint_equal (&first.fingerprint, &other.fingerprint)))
        return FALSE;
    }

  return TRUE;
}

static gint64
find_next (Pair *pair)
{
  Flight *flight = g_queue_peek_head (&pair->wire);
  gint64 next = flight != NULL ? flight->arrives : G_MAXINT64;

  for (guint i = 0; i < pair->n; i++)
    if (!pair->sides[i].down)
      next = MIN (next, pair->sides[i].wake);

  return MAX (next, pair->now.mono);
}

static void
tick_all (Pair *pair)
{
  for (guint i = 0; i < pair->n; i++)
    tick (pair, i);
}

gint64
pair_run (Pair *pair, gint64 us, gboolean until_same)
{
  gint64 start = pair->now.mono, end = start + us;

  tick_all (pair);
  while (!(until_same && pair_is_same (pair)))
    {
      gint64 next = MIN (find_next (pair), end);
      gboolean last = find_next (pair) > end;
      Flight *flight;

      pair->now.wall += next - pair->now.mono;
      pair->now.boot += next - pair->now.mono;
      pair->now.mono = next;
      if (last)
        break;

      while ((flight = g_queue_peek_head (&pair->wire)) != NULL && flight->arrives <= next)
        {
          arrive (pair, g_queue_pop_head (&pair->wire));
          flight_free (flight);
        }
      tick_all (pair);
    }

  return pair->now.mono - start;
}

void
pair_forget_counts (Pair *pair)
{
  memset (pair->n_messages, 0, sizeof pair->n_messages);
  memset (pair->n_bytes, 0, sizeof pair->n_bytes);
}

guint64
pair_get_digest_bytes (const Pair *pair)
{
  const guint kinds[] = { GKV_MESSAGE_ASK,    GKV_MESSAGE_SAME,      GKV_MESSAGE_RANGE,
                          GKV_MESSAGE_ITEMS,  GKV_MESSAGE_OFFER,     GKV_MESSAGE_INVITE,
                          GKV_MESSAGE_SKETCH, GKV_MESSAGE_ASK_CHUNK, GKV_MESSAGE_WANT };
  guint64 bytes = 0;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    bytes += pair->n_bytes[kinds[i]];

  return bytes;
}
