/* SimLinks: what becomes of a datagram on its way from one host to another.
 *
 * Four things stand in its way, each looked at by itself: whether the pair of hosts is connected in that direction,
 * the weather, which is the same for all, the uplink of the host that sends, and the lines of both.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-chance.h"

G_BEGIN_DECLS

#define SIM_MS     G_GINT64_CONSTANT (1000)
#define SIM_SECOND (1000 * SIM_MS)

/* Hosts stand on sides; between sides traffic can be cut, each way by itself. */
#define SIM_MAX_SIDES 8

/* The host of an address where nobody has ever been. */
#define SIM_NO_HOST G_MAXUINT16

typedef struct _SimLinks SimLinks;

/* One end of a link. A host keeps its number when its address changes. */
typedef struct
{
  guint host;
  guint side;
} SimEnd;

/* What happens to a datagram. Chances are in 1 of 1,000. */
typedef struct
{
  guint loss;      /* over all, also where losses come in bursts */
  guint duplicate; /* arrives twice */
  guint reorder;   /* is held back by up to 100 ms */
  guint corrupt;   /* some of its bytes are others */
  guint truncate;  /* its end is missing */
  guint burst;     /* how many datagrams a loss takes on average, on one way between two hosts; 0 and 1: one */
  gint64 delay;    /* µs */
  gint64 jitter;   /* µs */
} SimWeather;

/* How a host gets rid of its datagrams. */
typedef struct
{
  guint failures;       /* 1 of 1,000 sends fails */
  guint bytes_a_second; /* 0: any number */
  guint max_queue;      /* bytes that may wait; a send beyond fails */
  guint largest; /* bytes of a datagram that passes, either way; 0: any; larger ones are lost, and nobody is told */
} SimUplink;

/* What joins a host with all others. Each direction has a rate and a queue of its own. */
typedef struct
{
  guint bytes_a_second; /* with the headers; 0: any number */
  guint max_queue;      /* bytes that may wait; what comes then is lost, and nobody is told */
  gint64 delay;         /* µs, in each direction, beside the weather's */
} SimLine;

SimLinks *sim_links_new (SimChance *chance);
void sim_links_free (SimLinks *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimLinks, sim_links_free)

/* Rises whenever it has changed who is connected. */
guint sim_links_get_version (SimLinks *self);
/* Whether a datagram can arrive at all: neither cut nor closed, and not everything is lost. */
gboolean sim_links_is_open (SimLinks *self, SimEnd from, SimEnd to);

/* Sides */
void sim_links_cut (SimLinks *self, guint from_side, guint to_side, gboolean cut);
void sim_links_heal (SimLinks *self);

/* Ordered pairs of hosts: first all, then those that differ. */
void sim_links_set_all (SimLinks *self, gboolean open);
void sim_links_set_pair (SimLinks *self, guint from_host, guint to_host, gboolean open);

/* Weather */
void sim_links_set_weather (SimLinks *self, const SimWeather *weather);
const SimWeather *sim_links_get_weather (SimLinks *self);
/* Whether this datagram is lost. */
gboolean sim_links_loses (SimLinks *self, SimEnd from, SimEnd to);
gint64 sim_links_draw_delay (SimLinks *self);
/* What arrives of @bytes: these, or others. */
GBytes *sim_links_spoil (SimLinks *self, GBytes *bytes);

/* Uplinks */
void sim_links_set_uplink (SimLinks *self, guint host, const SimUplink *uplink);
/* Whether a datagram of @len bytes is too large for the way between two hosts. */
gboolean sim_links_is_too_large (SimLinks *self, SimEnd from, SimEnd to, gsize len);
/* How long @len bytes wait before they leave, in µs; -1: the send fails. */
gint64 sim_links_enqueue (SimLinks *self, guint host, gsize len, gint64 now);

/* Lines */
void sim_links_set_line (SimLinks *self, guint host, const SimLine *line);
/* How long a datagram of @len bytes takes over the line of @host, towards it or away from it, in µs; -1: it is lost. */
gint64 sim_links_cross (SimLinks *self, guint host, gboolean towards, gsize len, gint64 now);

G_END_DECLS
