/* A crowd of engines.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "crowd.h"

#include "gossip/gkv-engine-private.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How many after it on the ring a node knows, beside its fingers: an arc of so many is reached directly. */
#define N_NEXT 8

typedef struct
{
  GkvStore *store;
  GkvEngine *engine;
  char name[16]; /* id and address */
  guint hops;    /* to get here */
  gboolean reached;
} Node;

typedef struct
{
  Node *nodes; /* in the order of the ring */
  guint n;
  GHashTable *by_name;
  GQueue wire;
  GkvTime now;
} Crowd;

typedef struct
{
  GkvDatagram datagram;
  Node *from;
} Flight;

static guint64
get_place (const Node *node)
{
  return gkv_ring_get_place (node->engine->ring);
}

static int
compare_nodes (gconstpointer a, gconstpointer b)
{
  const Node *x = a, *y = b;

  return (get_place (x) > get_place (y)) - (get_place (x) < get_place (y));
}

static void
know (Crowd *crowd, Node *node, Node *other)
{
  guint64 token = gkv_links_get_token (other->engine->links, node->name);
  GkvLink *link;

  if (node == other || gkv_links_lookup (node->engine->links, other->name) != NULL)
    return;

  link = gkv_links_trust (node->engine->links, other->name, token);
  gkv_identities_identify (node->engine->identities, link, other->name, 1, &other->engine->runtime->incarnation, "", 0);
}

static guint
find_node (Crowd *crowd, guint64 place)
{
  guint low = 0, high = crowd->n;

  while (low < high)
    {
      guint middle = (low + high) / 2;

      if (get_place (&crowd->nodes[middle]) < place)
        low = middle + 1;
      else
        high = middle;
    }

  return low % crowd->n;
}

static void
meet (Crowd *crowd, Node *a, Node *b)
{
  know (crowd, a, b);
  know (crowd, b, a);
}

static void
init (Crowd *crowd, guint n)
{
  GkvHashKey key = gkv_hash_key_for_cluster ("crowd");

  memset (crowd, 0, sizeof *crowd);
  crowd->n = n;
  crowd->nodes = g_new0 (Node, n);
  crowd->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  crowd->now = (GkvTime){ GKV_SECOND, G_GINT64_CONSTANT (1800000000000000), GKV_SECOND };
  g_queue_init (&crowd->wire);

  for (guint i = 0; i < n; i++)
    {
      Node *node = &crowd->nodes[i];
      GkvEngineConfig config = { .node_id = node->name,
                                 .cluster = "crowd",
                                 .generation = 1,
                                 .random_seed = i,
                                 .secret = { i, 7 },
                                 .gossip_interval_ms = 2000,
                                 .max_datagram_size = 1200,
                                 .chain_length = 1 };

      g_snprintf (node->name, sizeof node->name, "n:%u", i + 1);
      node->store = gkv_store_new (&key);
      node->engine = gkv_engine_new (&config, node->store, &crowd->now);
    }
  qsort (crowd->nodes, n, sizeof *crowd->nodes, compare_nodes);

  for (guint i = 0; i < n; i++)
    {
      g_hash_table_insert (crowd->by_name, crowd->nodes[i].name, &crowd->nodes[i]);
    }
  for (guint i = 0; i < n; i++)
    {
      Node *node = &crowd->nodes[i];

      for (guint next = 1; next <= MIN (N_NEXT, n - 1); next++)
        meet (crowd, node, &crowd->nodes[(i + next) % n]);
      for (int shift = 61; shift >= 0; shift -= 3)
        for (guint64 digit = 1; digit < 8; digit++)
          meet (crowd, node, &crowd->nodes[find_node (crowd, get_place (node) + (digit << shift))]);
    }
  /* What they say to each other about that is of no interest here. */
  for (guint i = 0; i < n; i++)
    {
      GkvDatagram datagram;

      gkv_links_flush (crowd->nodes[i].engine->links);
      while (gkv_engine_pop_datagram (crowd->nodes[i].engine, &datagram))
        gkv_datagram_clear (&datagram);
    }
}

static void
clear (Crowd *crowd)
{
  for (guint i = 0; i < crowd->n; i++)
    {
      gkv_engine_free (crowd->nodes[i].engine);
      gkv_store_free (crowd->nodes[i].store);
    }
  g_hash_table_unref (crowd->by_name);
  g_free (crowd->nodes);
}

static gint64
get_cpu_us (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

static void
run (Crowd *crowd, Node *node, CrowdResult *result)
{
  gint64 start = get_cpu_us ();
  GkvDatagram datagram;
  GkvEvent event;

  /* Only what the write brings about: probes and exchanges have their own times. */
  gkv_rumours_tick (node->engine->rumours);
  gkv_links_flush (node->engine->links);
  while (gkv_engine_pop_datagram (node->engine, &datagram))
    {
      Flight *flight = g_new0 (Flight, 1);

      flight->datagram = datagram;
      flight->from = node;
      g_queue_push_tail (&crowd->wire, flight);
    }
  while (gkv_engine_pop_event (node->engine, &event))
    gkv_event_clear (&event);
  result->longest_us = MAX (result->longest_us, get_cpu_us () - start);
}

static gboolean
carries_record (GBytes *bytes)
{
  GkvReader reader;
  gsize len;
  gconstpointer data = g_bytes_get_data (bytes, &len);

  gkv_reader_init (&reader, data, len);
  gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE);
  while (gkv_reader_get_left (&reader) > 0)
    {
      if (gkv_reader_u8 (&reader) == GKV_MESSAGE_RUMOUR)
        return TRUE;
      gkv_reader_bytes (&reader, gkv_reader_varint (&reader));
    }
  return FALSE;
}

void
crowd_spread (guint n, CrowdResult *result)
{
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvWriter) names = NULL;
  Crowd crowd;
  Node *writer;
  Flight *flight;

  init (&crowd, n);
  memset (result, 0, sizeof *result);
  writer = &crowd.nodes[n / 3];
  names = gkv_writer_intern (writer->name, -1, "string", -1);
  record = gkv_store_new_write (writer->store, names, "flag", 4, 0, crowd.now.wall, 0, 0, "on", 2);
  for (guint i = 0; i < n; i++)
    run (&crowd, &crowd.nodes[i], result);
  /* Tidying up after that is no part of anybody's turn: giving back what was freed, and sorting the rest, of which the
   * allocator does some thousands each time that it is asked for much. */
  malloc_trim (0);
  for (guint i = 0; i < 100; i++)
    g_free (g_malloc (1 << 20));
  result->longest_us = 0;

  gkv_store_put (writer->store, record, NULL);
  writer->reached = TRUE;
  result->n_reached = 1;
  gkv_engine_push (writer->engine, record, &crowd.now);
  run (&crowd, writer, result);

  /* All take the same time on the wire, so the first to be sent is the first to arrive. */
  while ((flight = g_queue_pop_head (&crowd.wire)) != NULL)
    {
      Node *to = g_hash_table_lookup (crowd.by_name, flight->datagram.address);
      gsize len;
      gconstpointer data = g_bytes_get_data (flight->datagram.bytes, &len);

      result->n_datagrams++;
      result->n_carrying += carries_record (flight->datagram.bytes);
      gkv_engine_receive (to->engine, flight->from->name, data, len, &crowd.now);
      if (!to->reached && gkv_store_lookup (to->store, "flag", 4) != NULL)
        {
          to->reached = TRUE;
          to->hops = flight->from->hops + 1;
          result->n_reached++;
          result->n_hops = MAX (result->n_hops, to->hops);
        }
      run (&crowd, to, result);
      gkv_datagram_clear (&flight->datagram);
      g_free (flight);
    }
  clear (&crowd);
}
