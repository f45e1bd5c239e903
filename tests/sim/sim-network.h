/* SimNetwork: virtual time, and a network that carries datagrams between addresses as SimLinks has it.
 *
 * Everything that happens is an event in one heap ordered by (due, sequence), so that the same seed gives the same run
 * to the last byte; a hash over all that was sent, the trace, tells two runs apart.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-links.h"

G_BEGIN_DECLS

typedef struct _SimNetwork SimNetwork;

typedef struct
{
  guint64 datagrams;
  guint64 bytes;
  guint64 lost;   /* by the weather, in a queue that was full, or where there is no way */
  guint64 failed; /* never left the host */
  guint64 largest;
} SimTraffic;

typedef void (*SimReceiveFunc) (gpointer owner, const char *from, GBytes *bytes);
typedef void (*SimTimerFunc) (gpointer owner, guint64 argument);
typedef gboolean (*SimConditionFunc) (gpointer user_data);

SimNetwork *sim_network_new (guint64 seed);
void sim_network_free (SimNetwork *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimNetwork, sim_network_free)

/* Chance */
guint32 sim_network_random (SimNetwork *self, guint32 below);
guint64 sim_network_random_64 (SimNetwork *self);
/* TRUE @chance times in 1,000. */
gboolean sim_network_happens (SimNetwork *self, guint chance);

/* Time: µs since the run began. */
gint64 sim_network_get_now (SimNetwork *self);
/* Timers can't be taken back: who sets one knows by @argument whether it still counts. @owner outlives the run. */
void sim_network_at (SimNetwork *self, gint64 due, SimTimerFunc func, gpointer owner, guint64 argument);
void sim_network_run (SimNetwork *self, gint64 duration);
/* Runs until @condition, looked at each @step, is true. FALSE: it wasn't in @limit. */
gboolean
sim_network_run_until (SimNetwork *self, gint64 limit, gint64 step, SimConditionFunc condition, gpointer user_data);

/* Who receives where. What is under way to an address reaches whoever is there when it arrives. */
void sim_network_attach (SimNetwork *self, const char *address, guint side, SimReceiveFunc func, gpointer owner);
void sim_network_detach (SimNetwork *self, const char *address);
/* Which host has @address. */
void sim_network_set_host (SimNetwork *self, const char *address, guint host);
void sim_network_set_side (SimNetwork *self, const char *address, guint side);

void sim_network_send (SimNetwork *self, const char *from, const char *to, GBytes *bytes);
void sim_network_set_weather (SimNetwork *self, const SimWeather *weather);
void sim_network_cut (SimNetwork *self, guint from_side, guint to_side, gboolean cut);
void sim_network_heal (SimNetwork *self);
/* The rest of what can stand in the way. */
SimLinks *sim_network_get_links (SimNetwork *self);

const SimTraffic *sim_network_get_traffic (SimNetwork *self);
guint64 sim_network_get_trace (SimNetwork *self);

G_END_DECLS
