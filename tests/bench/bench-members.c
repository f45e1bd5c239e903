/* What a node keeps of a member that it doesn't speak with: an engine is told of very many by one peer.
 *
 * The floor is what the member states: id, address, generation, incarnation.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gossip/gkv-engine-private.h"

#include <malloc.h>
#include <string.h>

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
  g_autoptr (GByteArray) entry = g_byte_array_new ();
  g_autoptr (GByteArray) body = g_byte_array_new ();
  const GkvIncarnation incarnation = { .place = 1024, .proof = { i, i >> 8, i >> 16 } };
  GkvReader reader;

  gkv_put_u8 (entry, GKV_PEER_STATE_ALIVE);
  gkv_put_u64 (entry, G_GUINT64_CONSTANT (1800000000000000) + i);
  gkv_put_incarnation (entry, &incarnation);
  gkv_put_string (entry, id);
  gkv_put_address (entry, address);
  gkv_put_varint (body, entry->len);
  g_byte_array_append (body, entry->data, entry->len);
  gkv_reader_init (&reader, body->data, body->len);
  gkv_membership_handle (engine->membership, link, &reader, TRUE);
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

int
main (int argc, char *argv[])
{
  guint n = argc > 1 && strcmp (argv[1], "--quick") == 0 ? 1000 : 10000;

  g_print ("bytes a member, IPv4          %8.1f   goal %d   floor %d\n", measure (n, FALSE), GOAL, FLOOR);
  g_print ("bytes a member, IPv6          %8.1f   goal %d   floor %d\n", measure (n, TRUE), GOAL, FLOOR);
  return 0;
}
