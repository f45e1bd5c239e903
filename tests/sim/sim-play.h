/* SimPlay: plays a scenario on a cluster, and judges it. README.md lists what can happen in one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-run.h"
#include "sim-scenario.h"
#include "sim-watch.h"

G_BEGIN_DECLS

/* @name: what to call it when it fails; @checks: those that are looked at while it goes on, less those that it names
 * itself. */
gboolean sim_play (const SimRun *run, const char *name, SimScenario *scenario, SimChecks checks);

G_END_DECLS
