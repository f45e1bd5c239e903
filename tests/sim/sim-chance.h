/* SimChance: all chance of a run, from one seed number.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  guint64 state[2];
} SimChance;

static inline guint64
sim_rotate (guint64 value, guint by)
{
  return (value << by) | (value >> (64 - by));
}

void sim_chance_init (SimChance *self, guint64 seed);
guint64 sim_chance_draw_64 (SimChance *self);
/* A number from 0 up to, and without, @below. Where there is only one such number, nothing is drawn. */
guint32 sim_chance_draw (SimChance *self, guint32 below);
/* TRUE @chance times in 1,000. For a chance of 0 nothing is drawn. */
gboolean sim_chance_happens (SimChance *self, guint chance);

G_END_DECLS
