/* Reading and writing in one process: nanoseconds an operation and bytes a record, each beside its floor, which is what
 * a bare GHashTable takes in the same run.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <locale.h>
#include <malloc.h>
#include <string.h>

#define N_HOT 1000

static guint n_keys = 1000000;
static guint n_rounds = 2000000;

static char **
make_keys (void)
{
  char **keys = g_new0 (char *, n_keys + 1);

  for (guint i = 0; i < n_keys; i++)
    keys[i] = g_strdup_printf ("application/key-%07u", i);
  return keys;
}

/* A fixed sequence, the same for all. */
static inline guint
next (guint *state)
{
  *state = *state * 1664525 + 1013904223;
  return *state >> 4;
}

static void
tell (const char *what, gint64 us, guint n, double target, double *floor)
{
  double ns = us * 1000.0 / n;

  if (target > 0)
    g_print ("%-34s %8.0f ns   target %5.0f   floor %6.0f   %5.1f x the floor\n", what, ns, target, *floor,
             ns / *floor);
  else
    *floor = ns;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_string ("twenty bytes of text"));
  g_autoptr (GVariant) other = g_variant_ref_sink (g_variant_new_string ("other bytes of text."));
  g_auto (GStrv) keys = NULL;
  double hot, random, insert;
  gsize before, payload = 0;
  guint state, found = 0;
  gint64 start;

  setlocale (LC_ALL, "");

  if (argc > 1 && strcmp (argv[1], "--quick") == 0)
    {
      n_keys = 100000;
      n_rounds = 300000;
    }
  keys = make_keys ();

  /* The floors */
  start = g_get_monotonic_time ();
  for (guint i = 0; i < n_keys; i++)
    g_hash_table_insert (table, keys[i], value);
  tell (NULL, g_get_monotonic_time () - start, n_keys, 0, &insert);

  start = g_get_monotonic_time ();
  for (guint i = 0; i < n_rounds; i++)
    found += g_hash_table_lookup (table, keys[i % N_HOT]) != NULL;
  tell (NULL, g_get_monotonic_time () - start, n_rounds, 0, &hot);

  state = 1;
  start = g_get_monotonic_time ();
  for (guint i = 0; i < n_rounds; i++)
    found += g_hash_table_lookup (table, keys[next (&state) % n_keys]) != NULL;
  tell (NULL, g_get_monotonic_time () - start, n_rounds, 0, &random);

  /* The node */
  g_print ("%u keys of %u bytes, values of %u bytes\n", n_keys, (guint) strlen (keys[0]),
           (guint) g_variant_get_size (value));
  before = mallinfo2 ().uordblks + mallinfo2 ().hblkhd;
  start = g_get_monotonic_time ();
  for (guint i = 0; i < n_keys; i++)
    gkv_node_set_value (node, keys[i], value, NULL, NULL);
  tell ("set, a fresh key", g_get_monotonic_time () - start, n_keys, 500, &insert);

  start = g_get_monotonic_time ();
  for (guint i = 0; i < n_rounds; i++)
    gkv_node_set_value (node, keys[i % N_HOT], i / N_HOT % 2 ? value : other, NULL, NULL);
  tell ("set, 1,000 hot keys", g_get_monotonic_time () - start, n_rounds, 200, &hot);

  start = g_get_monotonic_time ();
  for (guint i = 0; i < n_rounds; i++)
    {
      g_autoptr (GVariant) got = gkv_node_get_value (node, keys[i % N_HOT], NULL, NULL);

      found += got != NULL;
    }
  tell ("get, 1,000 hot keys", g_get_monotonic_time () - start, n_rounds, 100, &hot);

  state = 1;
  start = g_get_monotonic_time ();
  for (guint i = 0; i < n_rounds; i++)
    {
      g_autoptr (GVariant) got = gkv_node_get_value (node, keys[next (&state) % n_keys], NULL, NULL);

      found += got != NULL;
    }
  tell ("get, random over all", g_get_monotonic_time () - start, n_rounds, 450, &random);

  for (guint i = 0; i < n_keys; i++)
    payload += strlen (keys[i]) + g_variant_get_size (value);
  g_print ("%-34s %8.1f bytes target   100\n", "memory a record, beside key and value",
           (double) (mallinfo2 ().uordblks + mallinfo2 ().hblkhd - before - payload) / n_keys);

  return found == 4 * n_rounds ? 0 : 1;
}
