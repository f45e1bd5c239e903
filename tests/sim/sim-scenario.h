/* SimScenario: a run written down, as text: a seed, options, and events, each at its time. README.md has the words.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The time of an option, which comes before all events. */
#define SIM_BEFORE (-1)

typedef struct
{
  gint64 at;    /* µs, or SIM_BEFORE */
  char **words; /* what happens, and its arguments */
} SimStep;

typedef struct
{
  guint64 seed;
  GPtrArray *steps; /* SimStep, in the order of time */
} SimScenario;

SimScenario *sim_scenario_new (guint64 seed);
void sim_scenario_free (SimScenario *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimScenario, sim_scenario_free)

/* Times may come in any order; those of the same time stay in theirs. */
void sim_scenario_add (SimScenario *self, gint64 at, const char *format, ...) G_GNUC_PRINTF (3, 4);
void sim_scenario_sort (SimScenario *self);

SimScenario *sim_scenario_load (const char *path, GError **error);
char *sim_scenario_print (SimScenario *self);

/* A number with a unit (us, ms, s, m, h, d; none: s) and perhaps a sign, in µs. FALSE: it isn't one. */
gboolean sim_scenario_parse_time (const char *word, gint64 *time);

G_END_DECLS
