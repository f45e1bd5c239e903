/* 19 nodes that come and go while all of them create, update and remove keys: joins with an empty map and with content,
 * writes right after joining, leaves. No key is lost.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-chance.h"
#include "sim-known.h"
#include "sim-links.h"
#include "sim-play.h"

#define N_NODES 19
#define N_KEYS  100
#define STEPS   240
#define PERIOD  (250 * SIM_MS)

/* This many nodes stay, so that there is a cluster. */
#define N_STAY 4

#define PLAN_SEED G_GUINT64_CONSTANT (0x636875726e)

typedef struct
{
  SimChance chance;
  SimScenario *scenario;
  guint n_nodes;
  gboolean *up;
  guint n_keys; /* made by joiners: each of another name */
} Churn;

static void
join (Churn *self, gint64 at, guint node, guint kind)
{
  for (guint i = 0; kind == 1 && i < 10; i++)
    sim_scenario_add (self->scenario, at, "write-before %u brought-%u content", node, self->n_keys++);
  sim_scenario_add (self->scenario, at, "start %u", node);
  if (kind == 2)
    sim_scenario_add (self->scenario, at, "write %u at-once-%u content", node, self->n_keys++);
  self->up[node] = TRUE;
}

static void
change (Churn *self, gint64 at)
{
  guint node = sim_chance_draw (&self->chance, self->n_nodes);
  guint key = sim_chance_draw (&self->chance, N_KEYS);
  guint value = sim_chance_draw (&self->chance, 1000000);
  guint kind = sim_chance_draw (&self->chance, 12);

  if (!self->up[node])
    {
      join (self, at, node, kind % 3);
    }
  else if (kind == 0 && node >= N_STAY)
    {
      sim_scenario_add (self->scenario, at, "close %u gives", node);
      self->up[node] = FALSE;
    }
  else if (kind <= 3)
    {
      sim_scenario_add (self->scenario, at, "remove %u key-%u", node, key);
    }
  else
    {
      sim_scenario_add (self->scenario, at, "write %u key-%u value-%u", node, key, value);
    }
}

static SimScenario *
plan (guint64 seed, guint n_nodes)
{
  Churn self = { .n_nodes = n_nodes, .scenario = sim_scenario_new (seed) };
  gint64 at = 0;

  sim_chance_init (&self.chance, seed ^ PLAN_SEED);
  self.up = g_new0 (gboolean, n_nodes);
  sim_scenario_add (self.scenario, SIM_BEFORE, "nodes %u", n_nodes);
  sim_scenario_add (self.scenario, SIM_BEFORE, "weather loss=%u delay=500 jitter=2000",
                    sim_chance_draw (&self.chance, 100));
  sim_scenario_add (self.scenario, SIM_BEFORE, "seeds * 0-%u", MIN (N_STAY, n_nodes) - 1);
  for (guint i = 0; i < n_nodes / 2; i++)
    join (&self, 0, i, 0);

  for (guint i = 0; i < STEPS; i++)
    {
      at += sim_chance_draw (&self.chance, 2 * PERIOD);
      change (&self, at);
    }
  sim_scenario_add (self.scenario, at + 2 * SIM_SECOND, "weather");

  g_free (self.up);
  return self.scenario;
}

gboolean
sim_run_churn (const SimRun *run)
{
  g_autoptr (SimScenario) scenario = plan (run->seed, run->n_nodes > 0 ? run->n_nodes : N_NODES);

  return sim_play (run, "churn", scenario, sim_known_get_checks ("churn", 0));
}
