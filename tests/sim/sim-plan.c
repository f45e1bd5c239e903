/* SimPlan: what a seed chooses for the run "swarm": which faults there are, the options of each node, and the events.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-plan.h"

#include "sim-chance.h"
#include "sim-links.h"

#define N_KEYS    40
#define N_SIDES   3
#define MAX_JOINS 3
#define DURATION  60 /* seconds */

/* One in so many of the faults is chosen. */
#define ONE_IN 4

/* How long a nap takes at most, and how long after it the wall clock may be wrong. */
#define LONGEST_NAP 30 /* seconds */
#define LATEST_WALL 30 /* seconds */

/* How long a tombstone lives where nodes sleep for longer. */
#define SHORT_LIFE 60 /* seconds */

/* The chance of the plan is not that of the network, which begins with the same seed. */
#define PLAN_SEED   G_GUINT64_CONSTANT (0x706c616e)
#define FAULTS_SEED G_GUINT64_CONSTANT (0x6661756c74)

typedef struct
{
  SimChance chance;
  SimScenario *scenario;
  SimFaults faults;
  guint n_first;
  guint n_nodes;
  gint64 at;
} Plan;

static guint
draw (Plan *self, guint below)
{
  return sim_chance_draw (&self->chance, below);
}

static guint
draw_node (Plan *self)
{
  return draw (self, self->n_nodes);
}

static gboolean
has (Plan *self, SimFaults fault)
{
  return (self->faults & fault) != 0;
}

#define add(plan, ...) sim_scenario_add ((plan)->scenario, (plan)->at, __VA_ARGS__)

/* Before the start */

/* In one seed of four about every second node is of a later version. Nothing is drawn for it, so that the rest of a
 * plan is the same without. */
static gboolean
is_later (Plan *self, guint node)
{
  guint64 mixed = (self->scenario->seed + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  return mixed >> 62 == 0 && ((mixed >> (node % 61)) & 1) != 0;
}

static void
choose_options (Plan *self, guint node)
{
  guint interval = 500 + draw (self, 4000);
  guint size = 640 << draw (self, 4);
  guint cpu = 100 + draw (self, 3000);
  guint failures = draw (self, 200);
  guint rate = 100000 + draw (self, 200000);
  guint largest = 1200 + rate % 5000;
  guint drift = draw (self, 1000);

  add (self, "option %u gossip-interval %ums", node, interval);
  if (has (self, SIM_FAULT_SLEEPS))
    add (self, "option %u tombstone-life %us", node, SHORT_LIFE);
  if (has (self, SIM_FAULT_SIZES))
    add (self, "option %u max-datagram %u", node, size);
  if (has (self, SIM_FAULT_REBINDING))
    add (self, "option %u hides-address", node);
  if (is_later (self, node))
    add (self, "option %u later", node);
  if (has (self, SIM_FAULT_SLOW_CPU))
    add (self, "option %u cpu-time %uus", node, cpu);
  if (has (self, SIM_FAULT_UPLINKS) || has (self, SIM_FAULT_SIZES))
    add (self, "uplink %u failures=%u rate=%u queue=16384 largest=%u", node,
         has (self, SIM_FAULT_UPLINKS) ? failures : 0, has (self, SIM_FAULT_UPLINKS) ? rate : 0,
         has (self, SIM_FAULT_SIZES) ? largest : 0);
  if (has (self, SIM_FAULT_LINES))
    add (self, "line %u rate=%u queue=%u delay=%u", node, rate / 4, 4096 + failures * 128, cpu * 50);
  if (has (self, SIM_FAULT_DRIFT))
    add (self, "drift %u %d", node, (int) drift - 500);
}

static void
choose_weather (Plan *self)
{
  guint loss = draw (self, 300), burst = 2 + draw (self, 4), duplicate = draw (self, 50), reorder = draw (self, 100),
        delay = 200 + draw (self, 20000), jitter = draw (self, 10000), truncate = draw (self, 30),
        corrupt = draw (self, 30);

  add (self, "weather loss=%u burst=%u duplicate=%u reorder=%u delay=%u jitter=%u truncate=%u corrupt=%u",
       has (self, SIM_FAULT_LOSS | SIM_FAULT_BURSTS) ? loss : 0, has (self, SIM_FAULT_BURSTS) ? burst : 0,
       has (self, SIM_FAULT_DUPLICATES) ? duplicate : 0, has (self, SIM_FAULT_DUPLICATES) ? reorder : 0,
       has (self, SIM_FAULT_DELAY) ? delay : 500, has (self, SIM_FAULT_DELAY) ? jitter : 0,
       has (self, SIM_FAULT_TRUNCATION) ? truncate : 0, has (self, SIM_FAULT_CORRUPTION) ? corrupt : 0);
}

static void
choose_topology (Plan *self)
{
  guint shape = draw (self, 4);
  guint n = self->n_first;

  if (!has (self, SIM_FAULT_PARTIAL))
    return;

  add (self, "links none");
  for (guint i = 0; i < n; i++)
    {
      /* A chain, a hub with spokes, two sites joined by the pair 0 and 1, or by that and 2 and 3. */
      if (shape == 0 && i > 0)
        add (self, "link %u %u", i, i - 1);
      else if (shape == 1 && i > 0)
        add (self, "link %u 0", i);
      else if (shape >= 2)
        for (guint j = i % 2; j < i; j += 2)
          add (self, "link %u %u", i, j);
    }
  if (shape >= 2)
    add (self, "link 0 1");
  if (shape == 3 && n > 3)
    add (self, "link 2 3");
}

/* While it goes on */

static void
write_something (Plan *self)
{
  guint node = draw_node (self);
  guint key = draw (self, N_KEYS);
  guint number = draw (self, 1000000);

  switch (draw (self, 20))
    {
    case 0:
    case 1:
    case 2:
    case 3:
      add (self, "remove %u key-%u", node, key);
      break;

    case 4:
      add (self, "expiring %u key-%u %ums", node, key, 1 + number % 5000);
      break;

    case 5:
      add (self, "large %u key-%u %u", node, key, 2000 + number % 60000);
      break;

    case 6:
      add (self, "lease %u lease-%u", node, node);
      break;

    case 7:
      add (self, "flush %u %u", node, number % 2);
      break;

    default:
      add (self, "write %u key-%u value-%u", node, key, number);
      break;
    }
}

static void
plan_sleep (Plan *self, guint node, guint seconds)
{
  gboolean pause = draw (self, 2) == 0;
  guint wall = draw (self, 3);
  guint after = 1 + draw (self, LATEST_WALL);
  g_autofree char *late = g_strdup_printf ("wall-after %us", after);

  add (self, "suspend %u for %us%s %s", node, seconds, pause ? " pause" : "",
       !has (self, SIM_FAULT_WALL) || wall == 0 ? ""
       : wall == 1                              ? late
                                                : "wall-never");
}

/* A clock is far off for a second, for a while, or until the end; it may be set wrong once more in between. */
static void
leap (Plan *self, guint node, guint number)
{
  static const char *const leaps[] = { "+2m",   "+20m", "+55m", "+70m", "+20h", "+30h",   "+3d",
                                       "+730d", "-10m", "-2h",  "-2d",  "-3d",  "-20805d" };
  const char *by = leaps[number % G_N_ELEMENTS (leaps)];
  const char *then = leaps[number / 100 % G_N_ELEMENTS (leaps)];
  gint64 begin = self->at;

  add (self, "clock %u %s", node, by);
  if (number / 10 % 4 == 0)
    {
      self->at += 5 * SIM_SECOND;
      add (self, "clock %u %s", node, then);
    }
  if (number / 10 % 2 == 0)
    {
      self->at += number / 10 % 8 < 4 ? SIM_SECOND : 10 * SIM_SECOND;
      add (self, "clock %u 0s", node);
    }
  self->at = begin;
}

/* One of the faults, if the seed has chosen it. */
static void
do_harm (Plan *self)
{
  const SimFaults fault = 1u << (6 + draw (self, 18));
  guint node = draw_node (self);
  guint number = draw (self, 1000000);
  guint from = number % N_SIDES, to = number / N_SIDES % N_SIDES;

  if (!has (self, fault))
    return;

  switch (fault)
    {
    case SIM_FAULT_CUTS:
      add (self, "cut %u %u", from, to);
      add (self, "cut %u %u", to, from);
      break;

    case SIM_FAULT_ONE_WAY:
      add (self, "cut %u %u", from, to);
      break;

    case SIM_FAULT_REBINDING:
      if (node > 1)
        add (self, "rebind %u", node);
      break;

    case SIM_FAULT_CRASHES:
    case SIM_FAULT_RESTARTS:
      add (self, "crash %u%s", node, fault == SIM_FAULT_RESTARTS ? " keep" : "");
      break;

    case SIM_FAULT_STALLS:
      add (self, "stall %u", node);
      break;

    case SIM_FAULT_LEAVES:
      add (self, "close %u", node);
      break;

    case SIM_FAULT_NAPS:
      plan_sleep (self, node, 1 + number % LONGEST_NAP);
      break;

    case SIM_FAULT_SLEEPS:
      plan_sleep (self, node, 2 * SHORT_LIFE + number % SHORT_LIFE);
      break;

    case SIM_FAULT_STEPS:
      add (self, "clock %u %ds", node, (int) (number % 1200) - 600);
      break;

    case SIM_FAULT_LEAPS:
      leap (self, node, number);
      break;

    case SIM_FAULT_JOINS:
      if (self->n_nodes < self->n_first + MAX_JOINS)
        add (self, "start %u", self->n_nodes++);
      break;

    default:
      break;
    }
}

/* Some of what was done is undone while the run goes on. */
static void
mend (Plan *self)
{
  guint node = draw_node (self);

  switch (draw (self, 4))
    {
    case 0:
      add (self, "heal");
      break;

    case 1:
      add (self, "resume %u", node);
      break;

    default:
      add (self, "start %u", node);
      break;
    }
}

static void
end_faults (Plan *self)
{
  add (self, "heal");
  add (self, "links all");
  add (self, "weather");
  for (guint i = 0; i < self->n_nodes; i++)
    {
      add (self, "uplink %u", i);
      if (has (self, SIM_FAULT_LINES))
        add (self, "line %u", i);
      add (self, "clock %u 0s", i);
      add (self, "resume %u", i);
      add (self, "start %u", i);
    }
}

static void
live (Plan *self, guint seconds)
{
  for (guint second = 0; second < seconds; second++)
    {
      gint64 begin = self->at;

      for (guint i = draw (self, 6); i > 0; i--)
        {
          self->at = begin + draw (self, 1000) * SIM_MS;
          write_something (self);
        }
      self->at = begin + draw (self, 1000) * SIM_MS;
      if (second % 2 == 0)
        do_harm (self);
      if (second % 4 == 3)
        mend (self);
      self->at = begin + SIM_SECOND;
    }
}

static const struct
{
  SimFaults fault;
  const char *name;
} names[] = {
  { SIM_FAULT_LOSS, "loss" },
  { SIM_FAULT_BURSTS, "bursts" },
  { SIM_FAULT_DUPLICATES, "duplicates" },
  { SIM_FAULT_DELAY, "delay" },
  { SIM_FAULT_TRUNCATION, "truncation" },
  { SIM_FAULT_CORRUPTION, "corruption" },
  { SIM_FAULT_CUTS, "cuts" },
  { SIM_FAULT_ONE_WAY, "one-way" },
  { SIM_FAULT_PARTIAL, "partial" },
  { SIM_FAULT_REBINDING, "rebinding" },
  { SIM_FAULT_SIZES, "sizes" },
  { SIM_FAULT_UPLINKS, "uplinks" },
  { SIM_FAULT_SLOW_CPU, "slow-cpu" },
  { SIM_FAULT_CRASHES, "crashes" },
  { SIM_FAULT_RESTARTS, "restarts" },
  { SIM_FAULT_STALLS, "stalls" },
  { SIM_FAULT_LEAVES, "leaves" },
  { SIM_FAULT_NAPS, "naps" },
  { SIM_FAULT_SLEEPS, "sleeps" },
  { SIM_FAULT_WALL, "wall" },
  { SIM_FAULT_STEPS, "steps" },
  { SIM_FAULT_LEAPS, "leaps" },
  { SIM_FAULT_DRIFT, "drift" },
  { SIM_FAULT_JOINS, "joins" },
  { SIM_FAULT_LINES, "lines" },
};

SimFaults
sim_faults_find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_strcmp0 (names[i].name, name) == 0)
      return names[i].fault;

  return 0;
}

SimFaults
sim_plan_choose_faults (guint64 seed)
{
  SimFaults faults = 0;
  SimChance chance;

  sim_chance_init (&chance, seed ^ FAULTS_SEED);
  for (guint fault = 1; fault <= SIM_ALL_FAULTS; fault <<= 1)
    if (sim_chance_draw (&chance, ONE_IN) == 0)
      faults |= fault;

  return faults;
}

/* For who reads the scenario. */
static void
tell_faults (Plan *self)
{
  g_autoptr (GString) text = g_string_new ("about");

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (has (self, names[i].fault))
      g_string_append_printf (text, " %s", names[i].name);
  add (self, "%s", text->str);
}

SimScenario *
sim_plan_swarm (guint64 seed, guint n_nodes, SimFaults faults)
{
  Plan self = { .at = SIM_BEFORE, .faults = faults };
  guint chosen;

  sim_chance_init (&self.chance, seed ^ PLAN_SEED);
  self.scenario = sim_scenario_new (seed);
  chosen = 2 + draw (&self, 7);
  self.n_first = self.n_nodes = n_nodes > 0 ? n_nodes : chosen;

  tell_faults (&self);
  add (&self, "nodes %u", self.n_first + MAX_JOINS);
  for (guint i = 0; i < self.n_first + MAX_JOINS; i++)
    {
      choose_options (&self, i);
      add (&self, "side %u %u", i, draw (&self, N_SIDES));
    }
  choose_weather (&self);
  choose_topology (&self);
  /* Two stay where they are, and everybody knows them and, for a chain, the one before. */
  for (guint i = 0; i < self.n_first + MAX_JOINS; i++)
    add (&self, "seeds %u 0,1,%u", i, MAX (i, 1) - 1);

  self.at = 0;
  add (&self, "start 0-%u", self.n_first - 1);
  live (&self, DURATION);
  end_faults (&self);
  /* Those that sleep wake meanwhile; then the clocks are right again. */
  self.at += (has (&self, SIM_FAULT_SLEEPS) ? 3 * SHORT_LIFE : LONGEST_NAP + LATEST_WALL + 5) * SIM_SECOND;
  end_faults (&self);

  sim_scenario_sort (self.scenario);
  return self.scenario;
}
