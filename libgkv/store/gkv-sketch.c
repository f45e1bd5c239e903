/* GkvSketch: an invertible Bloom lookup table of records.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-sketch.h"

/* Each record is in so many cells of a level, one in each of as many parts of it. */
#define N_PARTS 4

static const struct
{
  guint first;
  guint n_chunks;
} levels[GKV_SKETCH_N_LEVELS] = { { 0, 1 }, { 1, 5 }, { 6, 25 } };

/* The finaliser of SplitMix64. Hashes and versions come out of a keyed hash, so nobody outside can aim at a cell. */
static inline guint64
mix (guint64 x)
{
  x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static inline guint64
get_seed (guint64 hash, guint32 version, guint salt)
{
  return mix (hash + (version + ((guint64) salt << 32)) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));
}

static inline guint32
get_check (guint64 hash, guint32 version)
{
  return get_seed (hash, version, GKV_SKETCH_N_LEVELS);
}

static inline void
get_cells (guint level, guint64 hash, guint32 version, guint cells[N_PARTS])
{
  guint64 seed = get_seed (hash, version, level);
  guint part = levels[level].n_chunks * GKV_SKETCH_CHUNK / N_PARTS;

  for (guint i = 0; i < N_PARTS; i++)
    cells[i] = levels[level].first * GKV_SKETCH_CHUNK + i * part + (((seed >> (16 * i)) & 0xffff) * part >> 16);
}

static inline void
toggle (GkvSketchCell *cell, guint64 hash, guint32 version, guint32 check, int by)
{
  cell->hash ^= hash;
  cell->version ^= version;
  cell->check ^= check;
  cell->count += by;
}

static inline void
change (GkvSketch *self, guint64 hash, guint32 version, int by)
{
  guint32 check = get_check (hash, version);

  for (guint level = 0; level < GKV_SKETCH_N_LEVELS; level++)
    {
      guint cells[N_PARTS];

      get_cells (level, hash, version, cells);
      for (guint i = 0; i < N_PARTS; i++)
        toggle (&self->cells[cells[i]], hash, version, check, by);
    }
}

void
gkv_sketch_get_chunks (guint level, guint *first, guint *end)
{
  *first = levels[level].first;
  *end = *first + levels[level].n_chunks;
}

void
gkv_sketch_add (GkvSketch *self, guint64 hash, guint32 version)
{
  change (self, hash, version, 1);
}

void
gkv_sketch_subtract (GkvSketch *self, guint64 hash, guint32 version)
{
  change (self, hash, version, -1);
}

/* Each difference adds 1 to the variance of a cell's count, times the chance to be in it; what all add in common, as
 * one set is larger, is the mean. */
guint
gkv_sketch_estimate (const GkvSketch *self, gint64 surplus)
{
  double squares = 0;
  double mean = (double) surplus * N_PARTS / GKV_SKETCH_CHUNK;

  for (guint i = 0; i < GKV_SKETCH_CHUNK; i++)
    {
      double deviation = (gint8) (self->cells[i].count - (gint8) CLAMP (mean, -127, 127));

      squares += deviation * deviation;
    }

  return MAX (squares / N_PARTS, ABS (surplus));
}

static gboolean
is_single (const GkvSketchCell *cell)
{
  return (cell->count == 1 || cell->count == G_MAXUINT8) && cell->check == get_check (cell->hash, cell->version);
}

static gboolean
is_empty (const GkvSketchCell *cell)
{
  return cell->count == 0 && cell->hash == 0 && cell->version == 0 && cell->check == 0;
}

gboolean
gkv_sketch_decode (GkvSketch *self, guint known, GkvSketchFunc func, gpointer user_data)
{
  g_autoptr (GArray) todo = g_array_new (FALSE, FALSE, sizeof (guint));
  guint left = 2 * G_N_ELEMENTS (self->cells);

  for (guint level = 0; level < GKV_SKETCH_N_LEVELS; level++)
    for (guint i = 0; (known & (1 << level)) != 0 && i < levels[level].n_chunks * GKV_SKETCH_CHUNK; i++)
      {
        guint cell = levels[level].first * GKV_SKETCH_CHUNK + i;

        g_array_append_val (todo, cell);
      }

  /* Bounded, as cells of a hostile peer could decode for ever. */
  while (todo->len > 0 && left > 0)
    {
      GkvSketchCell single = self->cells[g_array_index (todo, guint, todo->len - 1)];

      g_array_set_size (todo, todo->len - 1);
      if (!is_single (&single))
        continue;

      left--;
      func (single.hash, single.version, single.count == 1, user_data);
      for (guint level = 0; level < GKV_SKETCH_N_LEVELS; level++)
        {
          guint cells[N_PARTS];

          get_cells (level, single.hash, single.version, cells);
          for (guint i = 0; (known & (1 << level)) != 0 && i < N_PARTS; i++)
            {
              toggle (&self->cells[cells[i]], single.hash, single.version, single.check, -(gint8) single.count);
              g_array_append_val (todo, cells[i]);
            }
        }
    }

  for (guint level = 0; level < GKV_SKETCH_N_LEVELS; level++)
    for (guint i = 0; (known & (1 << level)) != 0 && i < levels[level].n_chunks * GKV_SKETCH_CHUNK; i++)
      if (!is_empty (&self->cells[levels[level].first * GKV_SKETCH_CHUNK + i]))
        return FALSE;

  return TRUE;
}
