/* A minute of writes under some of all the faults that there are: those that the seed has chosen, with options of its
 * own for each node. The plan is a scenario, so that a run that fails can be printed, cut down and kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-known.h"
#include "sim-plan.h"
#include "sim-play.h"

static void
print_masked (SimScenario *scenario, SimChecks checks)
{
  for (guint check = 1; check <= SIM_ALL_CHECKS; check <<= 1)
    if ((checks & check) == 0)
      sim_scenario_add (scenario, SIM_BEFORE, "without %s", sim_checks_get_name (check));
  sim_scenario_sort (scenario);
}

gboolean
sim_run_swarm (const SimRun *run)
{
  SimFaults faults = run->faults != 0 ? run->faults : sim_plan_choose_faults (run->seed) & sim_known_get_faults ();
  g_autoptr (SimScenario) scenario = sim_plan_swarm (run->seed, run->n_nodes, faults);

  print_masked (scenario, sim_known_get_checks ("swarm", faults));
  return sim_play (run, "swarm", scenario, SIM_ALL_CHECKS);
}
