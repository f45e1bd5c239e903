/* SimLinks: what becomes of a datagram on its way from one host to another.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-links.h"

#include <string.h>

#define REORDER_DELAY (100 * SIM_MS)

/* Bursts are drawn in parts of a million. */
#define MILLION 1000000

typedef struct
{
  SimUplink uplink;
  gint64 idle_at; /* when all that waits has left */
} Uplink;

/* Of IPv4 and UDP */
#define HEADERS 28

typedef struct
{
  SimLine line;
  gint64 idle_at[2]; /* away from the host, and towards it */
} Line;

struct _SimLinks
{
  SimChance *chance; /* borrowed */
  guint version;

  gboolean cut[SIM_MAX_SIDES][SIM_MAX_SIDES];
  gboolean open;
  GHashTable *others; /* set of ordered pairs that are not as .open says */

  SimWeather weather;
  GHashTable *losing; /* set of ordered pairs on which a burst of loss is under way */

  GHashTable *uplinks; /* host → Uplink, owned */
  GHashTable *lines;   /* host → Line, owned */
};

static gpointer
pair (guint from_host, guint to_host)
{
  return GUINT_TO_POINTER (from_host << 16 | to_host);
}

/* Who is connected */

guint
sim_links_get_version (SimLinks *self)
{
  return self->version;
}

gboolean
sim_links_is_open (SimLinks *self, SimEnd from, SimEnd to)
{
  return !self->cut[from.side][to.side] && self->weather.loss < 1000 &&
         self->open != g_hash_table_contains (self->others, pair (from.host, to.host));
}

void
sim_links_cut (SimLinks *self, guint from_side, guint to_side, gboolean cut)
{
  self->cut[from_side][to_side] = cut;
  self->version++;
}

void
sim_links_heal (SimLinks *self)
{
  memset (self->cut, 0, sizeof self->cut);
  self->version++;
}

void
sim_links_set_all (SimLinks *self, gboolean open)
{
  g_hash_table_remove_all (self->others);
  self->open = open;
  self->version++;
}

void
sim_links_set_pair (SimLinks *self, guint from_host, guint to_host, gboolean open)
{
  if (open == self->open)
    g_hash_table_remove (self->others, pair (from_host, to_host));
  else
    g_hash_table_add (self->others, pair (from_host, to_host));
  self->version++;
}

/* Weather */

void
sim_links_set_weather (SimLinks *self, const SimWeather *weather)
{
  self->weather = *weather;
  g_hash_table_remove_all (self->losing);
  self->version++;
}

const SimWeather *
sim_links_get_weather (SimLinks *self)
{
  return &self->weather;
}

/* The model of Gilbert and Elliott: a way is good, and loses nothing, or bad, and loses everything. It turns good again
 * with a chance of one in the length of a burst, and bad so often that the rate is as it should be. */
static gboolean
loses_in_burst (SimLinks *self, SimEnd from, SimEnd to)
{
  const SimWeather *weather = &self->weather;
  gpointer way = pair (from.host, to.host);
  gboolean bad = g_hash_table_contains (self->losing, way);

  if (bad && sim_chance_draw (self->chance, MILLION) < MILLION / weather->burst)
    {
      g_hash_table_remove (self->losing, way);
      return FALSE;
    }
  if (!bad && sim_chance_draw (self->chance, MILLION) <
                  (guint64) MILLION * weather->loss / ((1000 - weather->loss) * weather->burst))
    {
      g_hash_table_add (self->losing, way);
      return TRUE;
    }

  return bad;
}

gboolean
sim_links_loses (SimLinks *self, SimEnd from, SimEnd to)
{
  if (!sim_links_is_open (self, from, to))
    return TRUE;

  if (self->weather.burst > 1 && self->weather.loss > 0)
    return loses_in_burst (self, from, to);

  return sim_chance_happens (self->chance, self->weather.loss);
}

gint64
sim_links_draw_delay (SimLinks *self)
{
  gint64 delay = self->weather.delay + sim_chance_draw (self->chance, self->weather.jitter + 1);

  if (sim_chance_happens (self->chance, self->weather.reorder))
    delay += sim_chance_draw (self->chance, REORDER_DELAY);

  return delay;
}

GBytes *
sim_links_spoil (SimLinks *self, GBytes *bytes)
{
  gsize len = g_bytes_get_size (bytes);
  guint8 *spoilt;

  if (sim_chance_happens (self->chance, self->weather.truncate))
    return g_bytes_new_from_bytes (bytes, 0, sim_chance_draw (self->chance, len));

  if (len == 0 || !sim_chance_happens (self->chance, self->weather.corrupt))
    return g_bytes_ref (bytes);

  spoilt = g_memdup2 (g_bytes_get_data (bytes, NULL), len);
  for (guint i = 1 + sim_chance_draw (self->chance, 4); i > 0; i--)
    spoilt[sim_chance_draw (self->chance, len)] = sim_chance_draw (self->chance, 256);
  return g_bytes_new_take (spoilt, len);
}

/* Uplinks */

void
sim_links_set_uplink (SimLinks *self, guint host, const SimUplink *uplink)
{
  Uplink *copy = g_new0 (Uplink, 1);

  copy->uplink = *uplink;
  g_hash_table_insert (self->uplinks, GUINT_TO_POINTER (host), copy);
}

static gboolean
passes (SimLinks *self, guint host, gsize len)
{
  const Uplink *uplink = g_hash_table_lookup (self->uplinks, GUINT_TO_POINTER (host));

  return uplink == NULL || uplink->uplink.largest == 0 || len <= uplink->uplink.largest;
}

gboolean
sim_links_is_too_large (SimLinks *self, SimEnd from, SimEnd to, gsize len)
{
  return !passes (self, from.host, len) || !passes (self, to.host, len);
}

/* What waits behind all that came before. -1: there is no room for it. */
static gint64
wait_in_queue (gint64 *idle_at, guint bytes_a_second, guint max_queue, gsize len, gint64 now)
{
  gint64 wait = MAX (*idle_at - now, 0);

  if (wait * bytes_a_second / SIM_SECOND + (gint64) len > max_queue)
    return -1;

  wait += (gint64) len * SIM_SECOND / bytes_a_second;
  *idle_at = now + wait;
  return wait;
}

gint64
sim_links_enqueue (SimLinks *self, guint host, gsize len, gint64 now)
{
  Uplink *uplink = g_hash_table_lookup (self->uplinks, GUINT_TO_POINTER (host));

  if (uplink == NULL)
    return 0;

  if (sim_chance_happens (self->chance, uplink->uplink.failures))
    return -1;

  if (uplink->uplink.bytes_a_second == 0)
    return 0;

  return wait_in_queue (&uplink->idle_at, uplink->uplink.bytes_a_second, uplink->uplink.max_queue, len, now);
}

/* Lines */

void
sim_links_set_line (SimLinks *self, guint host, const SimLine *line)
{
  Line *copy = g_new0 (Line, 1);

  copy->line = *line;
  g_hash_table_insert (self->lines, GUINT_TO_POINTER (host), copy);
}

gint64
sim_links_cross (SimLinks *self, guint host, gboolean towards, gsize len, gint64 now)
{
  Line *line = g_hash_table_lookup (self->lines, GUINT_TO_POINTER (host));
  gint64 wait = 0;

  if (line == NULL)
    return 0;

  if (line->line.bytes_a_second > 0)
    wait = wait_in_queue (&line->idle_at[towards], line->line.bytes_a_second, line->line.max_queue, len + HEADERS, now);
  return wait < 0 ? -1 : wait + line->line.delay;
}

SimLinks *
sim_links_new (SimChance *chance)
{
  SimLinks *self = g_new0 (SimLinks, 1);

  self->chance = chance;
  self->open = TRUE;
  self->others = g_hash_table_new (NULL, NULL);
  self->losing = g_hash_table_new (NULL, NULL);
  self->uplinks = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->lines = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->weather.delay = SIM_MS / 2;

  return self;
}

void
sim_links_free (SimLinks *self)
{
  g_hash_table_unref (self->others);
  g_hash_table_unref (self->losing);
  g_hash_table_unref (self->uplinks);
  g_hash_table_unref (self->lines);
  g_free (self);
}
