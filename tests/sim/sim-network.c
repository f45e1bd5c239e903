/* SimNetwork: virtual time, and a network that carries datagrams between addresses as SimLinks has it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-network.h"

#include <string.h>

/* An address, and who is there. */
typedef struct
{
  char *address;
  SimEnd end;
  SimReceiveFunc func; /* NULL: nobody */
  gpointer owner;
} Place;

typedef struct
{
  const Place *from;
  const Place *to;
  GBytes *bytes;
  gboolean there; /* it has crossed the line of the host that it is for */
} Packet;

typedef struct
{
  gint64 due;
  guint64 sequence;
  SimTimerFunc func; /* NULL: .owner is a Packet */
  gpointer owner;
  guint64 argument;
} Event;

struct _SimNetwork
{
  SimChance chance;
  gint64 now;
  guint64 sequence;
  GArray *heap;
  GHashTable *places; /* address → Place, owned; none goes before the run ends */

  SimLinks *links;

  SimTraffic traffic;
  guint64 trace;
};

static void
place_free (Place *place)
{
  g_free (place->address);
  g_free (place);
}

static void
packet_free (Packet *packet)
{
  g_bytes_unref (packet->bytes);
  g_free (packet);
}

/* Chance */

guint64
sim_network_random_64 (SimNetwork *self)
{
  return sim_chance_draw_64 (&self->chance);
}

guint32
sim_network_random (SimNetwork *self, guint32 below)
{
  return sim_chance_draw (&self->chance, below);
}

gboolean
sim_network_happens (SimNetwork *self, guint chance)
{
  return sim_chance_happens (&self->chance, chance);
}

/* Time */

static inline gboolean
is_before (const Event *a, const Event *b)
{
  return a->due != b->due ? a->due < b->due : a->sequence < b->sequence;
}

static void
push_event (SimNetwork *self, gint64 due, SimTimerFunc func, gpointer owner, guint64 argument)
{
  Event event = { MAX (due, self->now), self->sequence++, func, owner, argument };
  Event *events;
  guint i = self->heap->len;

  g_array_set_size (self->heap, i + 1);
  events = (Event *) self->heap->data;
  for (; i > 0 && is_before (&event, &events[(i - 1) / 2]); i = (i - 1) / 2)
    events[i] = events[(i - 1) / 2];
  events[i] = event;
}

static Event
pop_event (SimNetwork *self)
{
  Event *events = (Event *) self->heap->data;
  guint len = self->heap->len - 1;
  Event first = events[0];
  Event last = events[len];
  guint i = 0;

  for (guint child = 1; child < len; child = 2 * i + 1)
    {
      if (child + 1 < len && is_before (&events[child + 1], &events[child]))
        child++;
      if (!is_before (&events[child], &last))
        break;
      events[i] = events[child];
      i = child;
    }
  events[i] = last;
  g_array_set_size (self->heap, len);

  return first;
}

static void
deliver (SimNetwork *self, Packet *packet)
{
  gint64 wait = 0;

  if (!packet->there)
    wait = sim_links_cross (self->links, packet->to->end.host, TRUE, g_bytes_get_size (packet->bytes), self->now);
  packet->there = TRUE;
  if (wait > 0)
    {
      push_event (self, self->now + wait, NULL, packet, 0);
      return;
    }

  if (wait < 0)
    self->traffic.lost++;
  else if (packet->to->func != NULL)
    packet->to->func (packet->to->owner, packet->from->address, packet->bytes);
  packet_free (packet);
}

static void
run_to (SimNetwork *self, gint64 end)
{
  while (self->heap->len > 0 && g_array_index (self->heap, Event, 0).due <= end)
    {
      Event event = pop_event (self);

      self->now = event.due;
      if (event.func != NULL)
        event.func (event.owner, event.argument);
      else
        deliver (self, event.owner);
    }

  self->now = end;
}

gint64
sim_network_get_now (SimNetwork *self)
{
  return self->now;
}

void
sim_network_at (SimNetwork *self, gint64 due, SimTimerFunc func, gpointer owner, guint64 argument)
{
  push_event (self, due, func, owner, argument);
}

void
sim_network_run (SimNetwork *self, gint64 duration)
{
  run_to (self, self->now + duration);
}

gboolean
sim_network_run_until (SimNetwork *self, gint64 limit, gint64 step, SimConditionFunc condition, gpointer user_data)
{
  gint64 end = self->now + limit;

  while (!condition (user_data))
    {
      if (self->now >= end)
        return FALSE;
      run_to (self, MIN (self->now + step, end));
    }

  return TRUE;
}

/* Places */

static Place *
get_place (SimNetwork *self, const char *address)
{
  Place *place = g_hash_table_lookup (self->places, address);

  if (place == NULL)
    {
      place = g_new0 (Place, 1);
      place->address = g_strdup (address);
      place->end.host = SIM_NO_HOST;
      g_hash_table_insert (self->places, place->address, place);
    }

  return place;
}

void
sim_network_set_side (SimNetwork *self, const char *address, guint side)
{
  g_assert_cmpuint (side, <, SIM_MAX_SIDES);
  get_place (self, address)->end.side = side;
}

void
sim_network_set_host (SimNetwork *self, const char *address, guint host)
{
  get_place (self, address)->end.host = host;
}

void
sim_network_attach (SimNetwork *self, const char *address, guint side, SimReceiveFunc func, gpointer owner)
{
  Place *place = get_place (self, address);

  sim_network_set_side (self, address, side);
  place->func = func;
  place->owner = owner;
}

void
sim_network_detach (SimNetwork *self, const char *address)
{
  get_place (self, address)->func = NULL;
}

/* Sending */

/* FNV-1a, by words where there are any: it only has to tell two runs apart. */
static void
trace (SimNetwork *self, gconstpointer data, gsize len)
{
  const guint8 *bytes = data;
  guint64 hash = self->trace;

  for (; len >= sizeof (guint64); bytes += sizeof (guint64), len -= sizeof (guint64))
    {
      guint64 word;

      memcpy (&word, bytes, sizeof word);
      hash = sim_rotate ((hash ^ word) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15), 29);
    }
  for (; len > 0; bytes++, len--)
    hash = (hash ^ *bytes) * G_GUINT64_CONSTANT (0x100000001b3);

  self->trace = hash;
}

/* @leaves: when the datagram leaves its host. */
static void
queue_packet (SimNetwork *self, const Place *from, const Place *to, GBytes *bytes, gint64 leaves)
{
  Packet *packet = g_new0 (Packet, 1);
  gint64 delay = sim_links_draw_delay (self->links);

  packet->from = from;
  packet->to = to;
  packet->bytes = sim_links_spoil (self->links, bytes);
  push_event (self, leaves + delay, NULL, packet, 0);
}

void
sim_network_send (SimNetwork *self, const char *from, const char *to, GBytes *bytes)
{
  const Place *source = get_place (self, from);
  const Place *target = get_place (self, to);
  gsize len = g_bytes_get_size (bytes);
  gint64 wait = sim_links_enqueue (self->links, source->end.host, len, self->now);
  gint64 crossing;

  if (wait < 0)
    {
      self->traffic.failed++;
      return;
    }

  self->traffic.datagrams++;
  self->traffic.bytes += len;
  self->traffic.largest = MAX (self->traffic.largest, len);
  trace (self, &self->now, sizeof self->now);
  trace (self, from, strlen (from));
  trace (self, to, strlen (to));
  trace (self, g_bytes_get_data (bytes, NULL), len);

  crossing = sim_links_cross (self->links, source->end.host, FALSE, len, self->now + wait);
  if (crossing < 0 || sim_links_is_too_large (self->links, source->end, target->end, len) ||
      sim_links_loses (self->links, source->end, target->end))
    {
      self->traffic.lost++;
      return;
    }
  wait += crossing;

  queue_packet (self, source, target, bytes, self->now + wait);
  if (sim_network_happens (self, sim_links_get_weather (self->links)->duplicate))
    queue_packet (self, source, target, bytes, self->now + wait);
}

void
sim_network_set_weather (SimNetwork *self, const SimWeather *weather)
{
  sim_links_set_weather (self->links, weather);
}

void
sim_network_cut (SimNetwork *self, guint from_side, guint to_side, gboolean cut)
{
  sim_links_cut (self->links, from_side, to_side, cut);
}

void
sim_network_heal (SimNetwork *self)
{
  sim_links_heal (self->links);
}

SimLinks *
sim_network_get_links (SimNetwork *self)
{
  return self->links;
}

/* What is known of it */

const SimTraffic *
sim_network_get_traffic (SimNetwork *self)
{
  return &self->traffic;
}

guint64
sim_network_get_trace (SimNetwork *self)
{
  return self->trace;
}

SimNetwork *
sim_network_new (guint64 seed)
{
  SimNetwork *self = g_new0 (SimNetwork, 1);

  sim_chance_init (&self->chance, seed);
  self->trace = G_GUINT64_CONSTANT (0xcbf29ce484222325);
  self->heap = g_array_new (FALSE, FALSE, sizeof (Event));
  self->places = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) place_free);
  self->links = sim_links_new (&self->chance);

  return self;
}

void
sim_network_free (SimNetwork *self)
{
  for (guint i = 0; i < self->heap->len; i++)
    {
      Event *event = &g_array_index (self->heap, Event, i);

      if (event->func == NULL)
        packet_free (event->owner);
    }

  sim_links_free (self->links);
  g_array_unref (self->heap);
  g_hash_table_unref (self->places);
  g_free (self);
}
