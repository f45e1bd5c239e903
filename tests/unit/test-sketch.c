/* Sketches against sets whose difference is known.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "store/gkv-sketch.h"

#include <string.h>

typedef struct
{
  guint64 hash;
  guint32 version;
  gboolean ours;
} Difference;

static Difference
make_difference (void)
{
  Difference difference = { (guint64) g_test_rand_int () << 32 | (guint32) g_test_rand_int (), g_test_rand_int (),
                            g_test_rand_bit () };

  return difference;
}

static void
collect (guint64 hash, guint32 version, gboolean ours, gpointer user_data)
{
  Difference difference = { hash, version, ours };

  g_array_append_val ((GArray *) user_data, difference);
}

static gboolean
contains (GArray *array, const Difference *wanted)
{
  for (guint i = 0; i < array->len; i++)
    {
      Difference *difference = &g_array_index (array, Difference, i);

      if (difference->hash == wanted->hash && difference->version == wanted->version &&
          difference->ours == wanted->ours)
        return TRUE;
    }
  return FALSE;
}

/* TRUE when all were read. What is read is right in any case. */
static gboolean
try_one (guint n, guint levels)
{
  g_autofree GkvSketch *sketch = g_new0 (GkvSketch, 1);
  g_autoptr (GArray) expected = g_array_new (FALSE, FALSE, sizeof (Difference));
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (Difference));
  gboolean complete;

  for (guint i = 0; i < n; i++)
    {
      Difference difference = make_difference ();

      g_array_append_val (expected, difference);
      if (difference.ours)
        gkv_sketch_add (sketch, difference.hash, difference.version);
      else
        gkv_sketch_subtract (sketch, difference.hash, difference.version);
    }

  complete = gkv_sketch_decode (sketch, levels, collect, found);
  g_assert_cmpuint (found->len, <=, n);
  for (guint i = 0; i < found->len; i++)
    g_assert_true (contains (expected, &g_array_index (found, Difference, i)));
  g_assert_cmpint (complete, ==, found->len == n);
  return complete;
}

static void
test_decode (void)
{
  const struct
  {
    guint n;
    guint levels;
  } cases[] = { { 0, 1 }, { 1, 1 }, { 10, 1 }, { 20, 1 }, { 150, 3 }, { GKV_SKETCH_MAX_DIFFERENCES, 5 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint n_trials = cases[i].n > 100 ? 20 : 400;
      guint n_complete = 0;

      for (guint trial = 0; trial < n_trials; trial++)
        n_complete += try_one (cases[i].n, cases[i].levels);
      g_assert_cmpuint (n_complete * 100, >=, n_trials * 95);
    }

  g_assert_false (try_one (2000, 7));
}

/* Adding and subtracting the same leaves nothing. */
static void
test_inverse (void)
{
  g_autofree GkvSketch *sketch = g_new0 (GkvSketch, 1);
  g_autofree GkvSketch *nothing = g_new0 (GkvSketch, 1);

  for (guint i = 0; i < 1000; i++)
    {
      Difference difference = make_difference ();

      gkv_sketch_add (sketch, difference.hash, difference.version);
      gkv_sketch_subtract (sketch, difference.hash, difference.version);
    }
  for (guint i = 0; i < G_N_ELEMENTS (sketch->cells); i++)
    g_assert_cmpmem (&sketch->cells[i].hash, 8, &nothing->cells[i].hash, 8);
}

/* Cells from a stranger: anything may come out, but it comes to an end. */
static void
test_garbage (void)
{
  g_autofree GkvSketch *sketch = g_new0 (GkvSketch, 1);

  for (guint trial = 0; trial < 50; trial++)
    {
      g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (Difference));
      Difference difference = make_difference ();

      for (gsize i = 0; i < sizeof *sketch; i++)
        ((guint8 *) sketch)[i] = g_test_rand_int ();
      gkv_sketch_add (sketch, difference.hash, difference.version);
      g_assert_false (gkv_sketch_decode (sketch, 7, collect, found));
      g_assert_cmpuint (found->len, <=, 2 * G_N_ELEMENTS (sketch->cells));

      /* The same single in every cell. */
      for (guint i = 0; i < G_N_ELEMENTS (sketch->cells); i++)
        {
          GkvSketch one = { 0 };

          gkv_sketch_add (&one, difference.hash, difference.version);
          for (guint j = 0; j < G_N_ELEMENTS (one.cells); j++)
            if (one.cells[j].count != 0)
              sketch->cells[i] = one.cells[j];
          if (trial > 0)
            break;
        }
      g_assert_false (gkv_sketch_decode (sketch, 7, collect, found));
    }
}

static void
test_estimate (void)
{
  const guint sizes[] = { 5, 50, 500, 5000 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      double sum = 0;

      for (guint trial = 0; trial < 50; trial++)
        {
          g_autofree GkvSketch *sketch = g_new0 (GkvSketch, 1);
          gint64 surplus = 0;

          for (guint n = 0; n < sizes[i]; n++)
            {
              Difference difference = make_difference ();

              if (difference.ours)
                gkv_sketch_add (sketch, difference.hash, difference.version);
              else
                gkv_sketch_subtract (sketch, difference.hash, difference.version);
              surplus += difference.ours ? 1 : -1;
            }
          sum += gkv_sketch_estimate (sketch, surplus);
        }
      g_assert_cmpfloat (sum / 50, >, sizes[i] * 0.7);
      g_assert_cmpfloat (sum / 50, <, sizes[i] * 1.3);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/sketch/decode", test_decode);
  g_test_add_func ("/sketch/inverse", test_inverse);
  g_test_add_func ("/sketch/garbage", test_garbage);
  g_test_add_func ("/sketch/estimate", test_estimate);

  return g_test_run ();
}
