/* What a node keeps of a member that it doesn't speak with, and how long its turns take with very many: an engine is
 * told of them by one peer.
 *
 * The floor is what the member states: id, address, generation, incarnation.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "../unit/hearsay.h"
#include "gossip/gkv-engine-private.h"

#include <malloc.h>
#include <string.h>
#include <time.h>

#define FLOOR 62
#define GOAL  256

static const GkvTime now = { 10 * GKV_SECOND, G_GINT64_CONSTANT (1800000000000000), 10 * GKV_SECOND };

static void
drain (GkvEngine *engine)
{
  GkvDatagram datagram;
  GkvEvent event;

  while (gkv_engine_pop_datagram (engine, &datagram))
    gkv_datagram_clear (&datagram);
  while (gkv_engine_pop_event (engine, &event))
    gkv_event_clear (&event);
}

/* With an id of sixteen characters. */
static void
tell (GkvEngine *engine, GkvLink *link, guint i, gboolean v6)
{
  g_autofree char *id = g_strdup_printf ("%016x", i * 2654435761u);
  g_autofree char *address = v6 ? g_strdup_printf ("[2001:db8:1234:5678:9abc:def0:1234:5678]:%u", 1024 + i)
                                : g_strdup_printf ("10.100.200.%u:%u", 100 + i / 256, 10000 + i);
  const GkvIncarnation incarnation = { .place = 1024, .proof = { i, i >> 8, i >> 16 } };

  hearsay_tell (engine, link, id, G_GUINT64_CONSTANT (1800000000000000) + i, &incarnation, address);
}

static double
measure (guint n, gboolean v6)
{
  GkvHashKey key = gkv_hash_key_for_cluster ("bench");
  GkvEngineConfig config = {
    .node_id = "self", .cluster = "bench", .generation = 1, .gossip_interval_ms = 2000, .max_datagram_size = 1200
  };
  g_autoptr (GkvStore) store = gkv_store_new (&key);
  GkvEngine *engine = gkv_engine_new (&config, store, &now);
  GkvLink *link = gkv_links_trust (engine->links, "10.0.0.1:7000", 1);
  const GkvIncarnation incarnation = { .place = 1024 };
  gsize before;
  double each;

  gkv_identities_identify (engine->identities, link, "peer", 1, &incarnation, "", 0);
  drain (engine);
  malloc_trim (0);
  before = mallinfo2 ().uordblks;
  for (guint i = 0; i < n; i++)
    {
      tell (engine, link, i, v6);
      drain (engine);
    }
  /* A rumour looks at the ring. */
  gkv_ring_is_partial (engine->ring);
  each = ((double) mallinfo2 ().uordblks - before) / n;
  g_assert_cmpuint (gkv_members_get_n (engine->members), ==, n + 1);

  gkv_engine_free (engine);
  return each;
}

/* The processor time of one turn, in ms, and of the longest yet. */
static double
turn (GkvEngine *engine, gint64 mono, double *longest)
{
  const GkvTime time = { mono, now.wall + mono, mono };
  clock_t begun = clock ();
  double ms;

  gkv_engine_tick (engine, &time);
  ms = (clock () - begun) * 1000.0 / CLOCKS_PER_SEC;
  *longest = MAX (*longest, ms);
  drain (engine);
  return ms;
}

/* All members at once are suspected, held dead, and forgotten; and a record is written. */
static void
measure_turns (guint n)
{
  GkvHashKey key = gkv_hash_key_for_cluster ("bench");
  GkvEngineConfig config = { .node_id = "self",
                             .cluster = "bench",
                             .generation = 1,
                             .gossip_interval_ms = 2000,
                             .max_datagram_size = 1200,
                             .forget_dead_ms = 20000 };
  g_autoptr (GkvStore) store = gkv_store_new (&key);
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("self", -1, "string", -1);
  g_autoptr (GkvRecord) record = NULL;
  GkvEngine *engine = gkv_engine_new (&config, store, &now);
  GkvLink *link = gkv_links_trust (engine->links, "10.0.0.1:7000", 1);
  const GkvIncarnation incarnation = { .place = 1024 };
  double longest = 0, death = 0, forgotten = 0;
  gint64 mono = now.mono;

  gkv_identities_identify (engine->identities, link, "peer", 1, &incarnation, "", 0);
  for (guint i = 0; i < n; i++)
    {
      tell (engine, link, i, FALSE);
      drain (engine);
    }
  record = gkv_store_new_write (store, writer, "key", 3, 0, now.wall, 1, 0, "value", 5);
  gkv_store_put (store, record, NULL);
  gkv_engine_push (engine, record, &now);
  turn (engine, mono, &longest);
  g_print ("a turn with a write           %8.2f ms  target 10\n", longest);

  for (guint i = 0; i < gkv_members_get_n (engine->members); i++)
    gkv_membership_suspect (engine->membership, gkv_members_get_nth (engine->members, i));
  for (guint i = 0; i < 3000; i++)
    turn (engine, mono += 10 * GKV_MS, &death);
  g_assert_cmpuint (engine->runtime->n_alive, ==, 0);
  g_print ("the longest when all die      %8.2f ms  target 10\n", death);

  for (guint i = 0; i < 20000; i++)
    turn (engine, mono += 10 * GKV_MS, &forgotten);
  g_assert_cmpuint (gkv_members_get_n (engine->members), ==, 0);
  g_print ("when all are forgotten        %8.2f ms  target 10\n", forgotten);
  gkv_engine_free (engine);
}

int
main (int argc, char *argv[])
{
  guint n = argc > 1 && strcmp (argv[1], "--quick") == 0 ? 1000 : 10000;

  g_print ("bytes a member, IPv4          %8.1f   goal %d   floor %d\n", measure (n, FALSE), GOAL, FLOOR);
  g_print ("bytes a member, IPv6          %8.1f   goal %d   floor %d\n", measure (n, TRUE), GOAL, FLOOR);
  measure_turns (n);
  return 0;
}
