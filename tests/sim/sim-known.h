/* The faults of the library that are known: what the runs leave out until they are mended.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-plan.h"
#include "sim-watch.h"

G_BEGIN_DECLS

/* Leaves @name, or "all", in from now on. FALSE: there is none named so. */
gboolean sim_known_enable (const char *name);
/* The faults that a seed may choose. */
SimFaults sim_known_get_faults (void);
/* The checks that are looked at in the run named @run in which @faults happen. */
SimChecks sim_known_get_checks (const char *run, SimFaults faults);
/* From now on only these are looked at. */
void sim_known_keep (SimChecks checks);
/* Prints them all. */
void sim_known_list (void);

G_END_DECLS
