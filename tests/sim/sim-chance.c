/* SimChance: all chance of a run, from one seed number: xoroshiro128++, seeded by splitmix64 (Blackman and Vigna).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-chance.h"

static guint64
mix_seed (guint64 *state)
{
  guint64 z = *state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

void
sim_chance_init (SimChance *self, guint64 seed)
{
  self->state[0] = mix_seed (&seed);
  self->state[1] = mix_seed (&seed);
}

guint64
sim_chance_draw_64 (SimChance *self)
{
  guint64 a = self->state[0];
  guint64 b = self->state[1];
  guint64 result = sim_rotate (a + b, 17) + a;

  b ^= a;
  self->state[0] = sim_rotate (a, 49) ^ b ^ (b << 21);
  self->state[1] = sim_rotate (b, 28);
  return result;
}

guint32
sim_chance_draw (SimChance *self, guint32 below)
{
  return below > 1 ? (sim_chance_draw_64 (self) >> 32) * below >> 32 : 0;
}

gboolean
sim_chance_happens (SimChance *self, guint chance)
{
  return chance > 0 && sim_chance_draw (self, 1000) < chance;
}
