/* SimPlan: what a seed chooses for the run "swarm": which faults there are, the options of each node, and the events.
 *
 * Most seeds have few faults, so that one doesn't hide what another would show (swarm testing: Groce et al., 2012).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-scenario.h"

G_BEGIN_DECLS

typedef enum
{
  SIM_FAULT_LOSS = 1 << 0,
  SIM_FAULT_BURSTS = 1 << 1,
  SIM_FAULT_DUPLICATES = 1 << 2,
  SIM_FAULT_DELAY = 1 << 3,
  SIM_FAULT_TRUNCATION = 1 << 4,
  SIM_FAULT_CORRUPTION = 1 << 5,
  SIM_FAULT_CUTS = 1 << 6,
  SIM_FAULT_ONE_WAY = 1 << 7,
  SIM_FAULT_PARTIAL = 1 << 8, /* not everybody reaches everybody, all the time */
  SIM_FAULT_REBINDING = 1 << 9,
  SIM_FAULT_SIZES = 1 << 10,
  SIM_FAULT_UPLINKS = 1 << 11,
  SIM_FAULT_SLOW_CPU = 1 << 12,
  SIM_FAULT_CRASHES = 1 << 13,
  SIM_FAULT_RESTARTS = 1 << 14, /* with the map that there was */
  SIM_FAULT_STALLS = 1 << 15,
  SIM_FAULT_LEAVES = 1 << 16,
  SIM_FAULT_NAPS = 1 << 17,   /* suspended for seconds */
  SIM_FAULT_SLEEPS = 1 << 18, /* for longer than a tombstone lives */
  SIM_FAULT_WALL = 1 << 19,   /* the wall clock is wrong after waking */
  SIM_FAULT_STEPS = 1 << 20,  /* of the wall clock, by minutes */
  SIM_FAULT_LEAPS = 1 << 21,  /* by hours to years */
  SIM_FAULT_DRIFT = 1 << 22,
  SIM_FAULT_JOINS = 1 << 23,
  SIM_FAULT_LINES = 1 << 24, /* slow and long ones, with queues */
} SimFaults;

#define SIM_ALL_FAULTS ((1 << 25) - 1)

/* 0: there is none named so. */
SimFaults sim_faults_find (const char *name);

/* The faults that @seed chooses. */
SimFaults sim_plan_choose_faults (guint64 seed);
/* A fault that is left out of @faults changes nothing else. */
SimScenario *sim_plan_swarm (guint64 seed, guint n_nodes, SimFaults faults);

G_END_DECLS
