/* Datagrams that are larger than usual: they are sent where both sides carry them, and where they arrive.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gossip/gkv-engine-private.h"
#include "pair.h"

#define SECOND G_GINT64_CONSTANT (1000000)

static gsize largest; /* that was sent */
static gsize passes;  /* what is larger than this is lost */

static gboolean
lose_large (Pair *pair, guint from, guint to, GBytes *datagram)
{
  gsize size = g_bytes_get_size (datagram);

  largest = MAX (largest, size);
  return size > passes;
}

static void
init (Pair *pair, guint one, guint other)
{
  pair_init (pair);
  pair->sides[0].max_datagram = one;
  pair->sides[1].max_datagram = other;
  pair_restart (pair, 0);
  pair_restart (pair, 1);
  pair->loses = lose_large;
  passes = 65507;
  pair_run (pair, 3 * SECOND, FALSE);
}

static void
write_many (Pair *pair, const char *prefix)
{
  largest = 0;
  for (guint i = 0; i < 2000; i++)
    {
      g_autofree char *key = g_strdup_printf ("%s-%u", prefix, i);

      pair_write (pair, i % 2, key, "a value that takes some bytes", 0);
    }
  pair_run (pair, 10 * SECOND, TRUE);
  g_assert_true (pair_is_same (pair));
}

static void
test_used (void)
{
  Pair pair;

  init (&pair, 9000, 4000);
  write_many (&pair, "key");
  write_many (&pair, "more");
  g_assert_cmpuint (largest, >, 3000);
  g_assert_cmpuint (largest, <=, 4000);
  pair_clear (&pair);
}

static void
test_not_wanted (void)
{
  Pair pair;

  init (&pair, 9000, 1200);
  write_many (&pair, "key");
  write_many (&pair, "more");
  g_assert_cmpuint (largest, <=, 1200);
  pair_clear (&pair);
}

/* The way between them never carries it, or not any more. Nothing larger than usual is missed then. */
static void
test_path (gconstpointer from_the_start)
{
  Pair pair;

  init (&pair, 9000, 9000);
  if (from_the_start == NULL)
    {
      write_many (&pair, "before");
      write_many (&pair, "before-2");
      g_assert_cmpuint (largest, >, 4000);
    }
  passes = 1500;
  write_many (&pair, "key");
  write_many (&pair, "key-2");
  pair_run (&pair, 2 * SECOND, FALSE);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *prefix = g_strdup_printf ("after-%u", i);

      write_many (&pair, prefix);
    }
  g_assert_cmpuint (largest, <=, 1200);

  /* It is tried again, rarely. */
  passes = 65507;
  pair_run (&pair, 11 * 60 * SECOND, FALSE);
  write_many (&pair, "late");
  write_many (&pair, "late-2");
  g_assert_cmpuint (largest, >, 4000);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/sizes/used", test_used);
  g_test_add_func ("/sizes/not-wanted", test_not_wanted);
  g_test_add_data_func ("/sizes/path/shrinks", NULL, test_path);
  g_test_add_data_func ("/sizes/path/small", GINT_TO_POINTER (TRUE), test_path);

  return g_test_run ();
}
