/* SimNetwork: virtual time, chance from one seed, and a network that loses, delays, doubles and reorders datagrams.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-network.h"

#include <string.h>

#define REORDER_DELAY (100 * SIM_MS)

/* An address, and who is there. */
typedef struct
{
  char *address;
  guint side;
  SimReceiveFunc func; /* NULL: nobody */
  gpointer owner;
} Place;

typedef struct
{
  const Place *from;
  const Place *to;
  GBytes *bytes;
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
  guint64 random[2];
  gint64 now;
  guint64 sequence;
  GArray *heap;
  GHashTable *places; /* address → Place, owned; none goes before the run ends */

  SimWeather weather;
  gboolean cut[SIM_MAX_SIDES][SIM_MAX_SIDES];
  SimTapFunc tap;
  gpointer tap_data;

  SimTraffic traffic;
  guint64 n_events;
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

/* Chance: xoroshiro128++, seeded by splitmix64 (Blackman and Vigna) */

static guint64
mix_seed (guint64 *state)
{
  guint64 z = *state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static inline guint64
rotate (guint64 value, guint by)
{
  return (value << by) | (value >> (64 - by));
}

guint64
sim_network_random_64 (SimNetwork *self)
{
  guint64 a = self->random[0];
  guint64 b = self->random[1];
  guint64 result = rotate (a + b, 17) + a;

  b ^= a;
  self->random[0] = rotate (a, 49) ^ b ^ (b << 21);
  self->random[1] = rotate (b, 28);
  return result;
}

guint32
sim_network_random (SimNetwork *self, guint32 below)
{
  return below > 1 ? (sim_network_random_64 (self) >> 32) * below >> 32 : 0;
}

gboolean
sim_network_happens (SimNetwork *self, guint chance)
{
  return chance > 0 && sim_network_random (self, 1000) < chance;
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
  if (packet->to->func != NULL)
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
      self->n_events++;
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

/* Links */

static Place *
get_place (SimNetwork *self, const char *address)
{
  Place *place = g_hash_table_lookup (self->places, address);

  if (place == NULL)
    {
      place = g_new0 (Place, 1);
      place->address = g_strdup (address);
      g_hash_table_insert (self->places, place->address, place);
    }

  return place;
}

void
sim_network_set_side (SimNetwork *self, const char *address, guint side)
{
  g_assert_cmpuint (side, <, SIM_MAX_SIDES);
  get_place (self, address)->side = side;
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

static void
queue_packet (SimNetwork *self, const Place *from, const Place *to, GBytes *bytes)
{
  Packet *packet = g_new0 (Packet, 1);
  gint64 delay = self->weather.delay + sim_network_random (self, self->weather.jitter + 1);

  if (sim_network_happens (self, self->weather.reorder))
    delay += sim_network_random (self, REORDER_DELAY);

  packet->from = from;
  packet->to = to;
  packet->bytes = g_bytes_ref (bytes);
  push_event (self, self->now + delay, NULL, packet, 0);
}

void
sim_network_send (SimNetwork *self, const char *from, const char *to, GBytes *bytes)
{
  const Place *source = get_place (self, from);
  const Place *target = get_place (self, to);
  gsize len = g_bytes_get_size (bytes);

  self->traffic.datagrams++;
  self->traffic.bytes += len;
  self->traffic.largest = MAX (self->traffic.largest, len);
  sim_network_trace (self, &self->now, sizeof self->now);
  sim_network_trace (self, from, strlen (from));
  sim_network_trace (self, to, strlen (to));
  sim_network_trace (self, g_bytes_get_data (bytes, NULL), len);
  if (self->tap != NULL)
    self->tap (from, to, bytes, self->tap_data);

  if (self->cut[source->side][target->side] || sim_network_happens (self, self->weather.loss))
    {
      self->traffic.lost++;
      return;
    }

  queue_packet (self, source, target, bytes);
  if (sim_network_happens (self, self->weather.duplicate))
    queue_packet (self, source, target, bytes);
}

void
sim_network_set_weather (SimNetwork *self, const SimWeather *weather)
{
  self->weather = *weather;
}

void
sim_network_cut (SimNetwork *self, guint from_side, guint to_side, gboolean cut)
{
  self->cut[from_side][to_side] = cut;
}

void
sim_network_heal (SimNetwork *self)
{
  memset (self->cut, 0, sizeof self->cut);
}

/* What is known of it */

void
sim_network_set_tap (SimNetwork *self, SimTapFunc func, gpointer user_data)
{
  self->tap = func;
  self->tap_data = user_data;
}

const SimTraffic *
sim_network_get_traffic (SimNetwork *self)
{
  return &self->traffic;
}

guint64
sim_network_get_n_events (SimNetwork *self)
{
  return self->n_events;
}

/* FNV-1a, by words where there are any: it only has to tell two runs apart. */
void
sim_network_trace (SimNetwork *self, gconstpointer data, gsize len)
{
  const guint8 *bytes = data;
  guint64 hash = self->trace;

  for (; len >= sizeof (guint64); bytes += sizeof (guint64), len -= sizeof (guint64))
    {
      guint64 word;

      memcpy (&word, bytes, sizeof word);
      hash = rotate ((hash ^ word) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15), 29);
    }
  for (; len > 0; bytes++, len--)
    hash = (hash ^ *bytes) * G_GUINT64_CONSTANT (0x100000001b3);

  self->trace = hash;
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

  self->random[0] = mix_seed (&seed);
  self->random[1] = mix_seed (&seed);
  self->trace = G_GUINT64_CONSTANT (0xcbf29ce484222325);
  self->heap = g_array_new (FALSE, FALSE, sizeof (Event));
  self->places = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) place_free);
  self->weather.delay = SIM_MS / 2;

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

  g_array_unref (self->heap);
  g_hash_table_unref (self->places);
  g_free (self);
}
