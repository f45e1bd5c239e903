/* The faults of the library that are known: what the runs leave out until they are mended.
 *
 * Each row is taken away with the change that mends it; until then "--with NAME" leaves it in.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-known.h"

#include <string.h>

typedef struct
{
  const char *name;
  const char *row;  /* of the table of cases */
  const char *run;  /* where; NULL: "swarm" */
  SimFaults fault;  /* in runs with this one; 0: in all */
  SimChecks checks; /* these are not looked at; 0: there is no such fault at all */
  guint64 seed;     /* that shows it */
  const char *seen;
} Known;

static const Known table[] = {
  /* Faults that are left out altogether: what they break can't be told from what else would. */
  { "lines", "l", NULL, SIM_FAULT_LINES, 0, 54, "what is larger than a datagram takes for ever, or never comes" },

  /* Checks that are left out where a fault happens. */
  { "one-way-deaths", "e", NULL, SIM_FAULT_ONE_WAY, SIM_CHECK_DEATHS, 922180,
    "one in 2,000 seeds: a live peer is held dead, and the way to it was through nodes that hadn't met" },
  { "one-way-leases", "e", NULL, SIM_FAULT_ONE_WAY, SIM_CHECK_LEASES, 84,
    "one in 1,000: who is heard one way only comes back, and goes again" },
  { "one-way-confirmed", "e", NULL, SIM_FAULT_ONE_WAY, SIM_CHECK_CONFIRMED, 1002,
    "a flush ends though one that lives hasn't what was written" },
  { "partial-leases", "e", NULL, SIM_FAULT_PARTIAL, SIM_CHECK_LEASES, 1177,
    "one in 3,000: a split ends while others hold its owner dead" },

  /* Checks that are left out in a run. */
  { "faults-deaths", "e, r", "faults", 0, SIM_CHECK_DEATHS, 942, "one in 1,000: as one-way-deaths" },
  { "faults-leases", "e, r", "faults", 0, SIM_CHECK_LEASES, 53, "one in 300: as one-way-leases" },
  { "faults-synced", "u", "faults", 0, SIM_CHECK_SYNCED, 1555, "who was met while peers were cut off lacks theirs" },

  { NULL, NULL, NULL, 0, 0, 0, NULL },
};

static SimChecks kept = SIM_ALL_CHECKS;
static gboolean enabled[G_N_ELEMENTS (table)];

gboolean
sim_known_enable (const char *name)
{
  gboolean found = FALSE;

  for (guint i = 0; table[i].name != NULL; i++)
    if (strcmp (name, "all") == 0 || strcmp (name, table[i].name) == 0)
      found = enabled[i] = TRUE;

  return found || strcmp (name, "all") == 0;
}

SimFaults
sim_known_get_faults (void)
{
  SimFaults faults = SIM_ALL_FAULTS;

  for (guint i = 0; table[i].name != NULL; i++)
    if (!enabled[i] && table[i].run == NULL && table[i].checks == 0)
      faults &= ~table[i].fault;

  return faults;
}

void
sim_known_keep (SimChecks checks)
{
  kept = checks;
}

SimChecks
sim_known_get_checks (const char *run, SimFaults faults)
{
  SimChecks checks = kept;

  for (guint i = 0; table[i].name != NULL; i++)
    if (!enabled[i] && strcmp (table[i].run != NULL ? table[i].run : "swarm", run) == 0 &&
        (table[i].fault == 0 || (faults & table[i].fault) != 0))
      checks &= ~table[i].checks;

  return checks;
}

void
sim_known_list (void)
{
  for (guint i = 0; table[i].name != NULL; i++)
    g_print ("%-20s row %-4s %s, seed %" G_GUINT64_FORMAT ": %s\n", table[i].name, table[i].row,
             table[i].run != NULL ? table[i].run : "swarm", table[i].seed, table[i].seen);
}
