/* Two engines joined by a wire.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include <string.h>

typedef struct
{
  GkvDatagram datagram;
  guint to;
  gint64 arrives;
} Flight;

static void
flight_free (Flight *flight)
{
  gkv_datagram_clear (&flight->datagram);
  g_free (flight);
}

void
pair_init (Pair *pair)
{
  GkvHashKey key = gkv_hash_key_for_cluster ("test");

  memset (pair, 0, sizeof *pair);
  g_queue_init (&pair->wire);
  pair->now.wall = G_GINT64_CONSTANT (1800000000000000);
  for (guint i = 0; i < 2; i++)
    {
      PairSide *side = &pair->sides[i];
      GkvEngineConfig config = { .cluster = "test",
                                 .life = 1,
                                 .random_seed = i + 1,
                                 .secret = { i + 1, 7 },
                                 .gossip_interval_ms = 2000,
                                 .max_datagram_size = 1200 };

      config.node_id = side->name = i == 0 ? "a:1" : "b:2";
      side->store = gkv_store_new (&key);
      side->engine = gkv_engine_new (&config, side->store, &side->clock, &pair->now);
    }
  gkv_engine_add_contact (pair->sides[0].engine, pair->sides[1].name, &pair->now);
}

void
pair_clear (Pair *pair)
{
  g_queue_clear_full (&pair->wire, (GDestroyNotify) flight_free);
  for (guint i = 0; i < 2; i++)
    {
      gkv_engine_free (pair->sides[i].engine);
      gkv_store_free (pair->sides[i].store);
    }
}

static GkvRecord *
make_record (Pair *pair, guint side, const char *key, const char *value)
{
  PairSide *writer = &pair->sides[side];

  g_autoptr (GkvWriter) names = gkv_writer_intern (writer->name, -1, "string", -1);

  return gkv_record_new (gkv_store_get_hash_key (writer->store), names, key, strlen (key), 0,
                         gkv_clock_next (&writer->clock, pair->now.wall), 0, value, strlen (value));
}

void
pair_put (Pair *pair, guint side, const char *key, const char *value)
{
  g_autoptr (GkvRecord) record = make_record (pair, side, key, value);

  g_assert_cmpint (gkv_store_put (pair->sides[side].store, record, NULL), ==, GKV_STORE_TAKEN);
}

/* A record is one store's only: it has the epoch in it. */
void
pair_put_both (Pair *pair, const char *key, const char *value)
{
  g_autoptr (GkvRecord) record = make_record (pair, 0, key, value);
  g_autoptr (GkvRecord) copy = gkv_record_new (gkv_store_get_hash_key (pair->sides[1].store), record->writer, key,
                                               strlen (key), 0, record->stamp, 0, value, strlen (value));

  gkv_store_put (pair->sides[0].store, record, NULL);
  gkv_store_put (pair->sides[1].store, copy, NULL);
  gkv_clock_observe (&pair->sides[1].clock, copy->stamp);
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

static void
tick (Pair *pair, guint side)
{
  GkvEngine *engine = pair->sides[side].engine;
  GkvDatagram datagram;
  GkvEvent event;

  pair->wakes[side] = gkv_engine_tick (engine, &pair->now);
  while (gkv_engine_pop_datagram (engine, &datagram))
    {
      Flight *flight = g_new0 (Flight, 1);

      count_messages (pair, datagram.bytes);
      flight->datagram = datagram;
      flight->to = 1 - side;
      flight->arrives = pair->now.mono + PAIR_LATENCY;
      g_queue_push_tail (&pair->wire, flight);
    }
  while (gkv_engine_pop_event (engine, &event))
    gkv_event_clear (&event);
}

gboolean
pair_is_same (Pair *pair)
{
  const GkvRange everything = { 0, 0 };
  GkvSummary a, b;

  gkv_store_summarise (pair->sides[0].store, everything, &a);
  gkv_store_summarise (pair->sides[1].store, everything, &b);
  return a.count == b.count && gkv_fingerprint_equal (&a.fingerprint, &b.fingerprint);
}

gint64
pair_run (Pair *pair, gint64 us, gboolean until_same)
{
  gint64 start = pair->now.mono, end = start + us;

  tick (pair, 0);
  tick (pair, 1);
  while (!(until_same && pair_is_same (pair)))
    {
      Flight *flight = g_queue_peek_head (&pair->wire);
      gint64 next = MIN (pair->wakes[0], pair->wakes[1]);

      if (flight != NULL)
        next = MIN (next, flight->arrives);
      next = MAX (next, pair->now.mono);
      if (next > end)
        {
          pair->now.wall += end - pair->now.mono;
          pair->now.mono = end;
          break;
        }
      pair->now.wall += next - pair->now.mono;
      pair->now.mono = next;

      while ((flight = g_queue_peek_head (&pair->wire)) != NULL && flight->arrives <= next)
        {
          gsize len;
          gconstpointer data = g_bytes_get_data (flight->datagram.bytes, &len);

          g_queue_pop_head (&pair->wire);
          gkv_engine_receive (pair->sides[flight->to].engine, pair->sides[1 - flight->to].name, data, len, &pair->now);
          flight_free (flight);
        }
      tick (pair, 0);
      tick (pair, 1);
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
