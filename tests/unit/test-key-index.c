/* GkvKeyIndex: against a sorted array that does the same slowly.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "node/gkv-key-index.h"

#include <string.h>

#define MAX_BYTES_PER_KEY (24)

static GkvHashKey hash_key;
static GkvWriter *writer;
static GkvStamp stamp;

static GkvRecord *
make_record (const char *key)
{
  return gkv_record_new (&hash_key, writer, key, strlen (key), 0, ++stamp, 0, "x", 1);
}

/* The slow one: a sorted array of records, borrowed by the index. */

typedef struct
{
  GkvKeyIndex *index;
  GPtrArray *records;
} Pair;

static guint
find_slowly (GPtrArray *records, const char *key, gboolean *found)
{
  guint low = 0, high = records->len;

  *found = FALSE;
  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      int result = strcmp (key, gkv_record_get_key (records->pdata[middle]));

      if (result == 0)
        *found = TRUE;
      if (result <= 0)
        high = middle;
      else
        low = middle + 1;
    }

  return low;
}

static void
pair_insert (Pair *pair, const char *key)
{
  GkvRecord *record = make_record (key);
  gboolean found;
  guint position = find_slowly (pair->records, key, &found), reported = G_MAXUINT;

  g_assert_cmpint (gkv_key_index_insert (pair->index, record, &reported), ==, !found);
  g_assert_cmpuint (reported, ==, position);

  /* The record before goes: the index must not read it any more. */
  if (found)
    {
      gkv_record_unref (pair->records->pdata[position]);
      pair->records->pdata[position] = record;
    }
  else
    {
      g_ptr_array_insert (pair->records, (int) position, record);
    }
}

static void
pair_remove (Pair *pair, const char *key)
{
  gboolean found;
  guint position = find_slowly (pair->records, key, &found), reported = G_MAXUINT;

  g_assert_cmpint (gkv_key_index_remove (pair->index, key, &reported), ==, found);
  g_assert_cmpuint (reported, ==, position);
  if (found)
    g_ptr_array_remove_index (pair->records, position);
}

static void
pair_look_up (Pair *pair, const char *key)
{
  gboolean found;
  guint position = find_slowly (pair->records, key, &found), reported = G_MAXUINT;
  GkvRecord *record = gkv_key_index_lookup (pair->index, key, &reported);

  g_assert_cmpuint (reported, ==, position);
  g_assert_true (record == (found ? pair->records->pdata[position] : NULL));
}

static void
pair_find_prefix (Pair *pair, const char *prefix)
{
  gboolean found;
  guint position = find_slowly (pair->records, prefix, &found), n = 0, reported = G_MAXUINT;

  while (position + n < pair->records->len &&
         g_str_has_prefix (gkv_record_get_key (pair->records->pdata[position + n]), prefix))
    n++;

  g_assert_cmpuint (gkv_key_index_find_prefix (pair->index, prefix, &reported), ==, n);
  g_assert_cmpuint (reported, ==, position);
}

/* In slices, each behind the last key of the one before. */
static void
pair_read_prefix (Pair *pair, const char *prefix, guint n)
{
  g_autofree GkvRecord **records = g_new0 (GkvRecord *, n);
  const char *after = NULL;
  gboolean found;
  guint position = find_slowly (pair->records, prefix, &found), n_read;

  do
    {
      n_read = gkv_key_index_read_prefix (pair->index, prefix, after, records, n);
      for (guint i = 0; i < n_read; i++)
        g_assert_true (records[i] == pair->records->pdata[position++]);
      if (n_read > 0)
        after = gkv_record_get_key (records[n_read - 1]);
    }
  while (n_read == n);

  g_assert_true (position == pair->records->len ||
                 !g_str_has_prefix (gkv_record_get_key (pair->records->pdata[position]), prefix));
}

static void
pair_read (Pair *pair, guint position, guint n)
{
  g_autofree GkvRecord **records = g_new0 (GkvRecord *, n + 1);
  guint n_read = gkv_key_index_read (pair->index, position, records, n);

  g_assert_cmpuint (n_read, ==, position < pair->records->len ? MIN (n, pair->records->len - position) : 0);
  for (guint i = 0; i < n_read; i++)
    g_assert_true (records[i] == pair->records->pdata[position + i]);
  g_assert_true (gkv_key_index_get (pair->index, position) ==
                 (position < pair->records->len ? pair->records->pdata[position] : NULL));
}

static void
pair_check (Pair *pair)
{
  g_assert_cmpuint (gkv_key_index_get_size (pair->index), ==, pair->records->len);
  pair_read (pair, 0, pair->records->len + 1);
}

static void
pair_init (Pair *pair)
{
  pair->index = gkv_key_index_new (FALSE);
  pair->records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
}

static void
pair_clear (Pair *pair)
{
  pair_check (pair);
  gkv_key_index_free (pair->index);
  g_ptr_array_unref (pair->records);
}

/* Keys */

/* Folders that share much and little, keys that are the beginning of others, and bytes above 127. */
static char *
make_random_key (GRand *random, guint n_keys)
{
  static const char *const folders[] = {
    "", "a/", "application/org.example.Something/settings/", "application/org.example.Something/", "\xc3\xa9/", "zz",
  };
  const char *folder = folders[g_rand_int_range (random, 0, G_N_ELEMENTS (folders))];
  guint number = (guint) g_rand_int_range (random, 0, (int) n_keys);

  switch (number % 4)
    {
    case 0:
      return g_strdup_printf ("%sk%u", folder, number);

    case 1:
      return g_strdup_printf ("%sk%08u/and/more/behind", folder, number);

    case 2:
      return g_strdup_printf ("%s%.*s", folder, (int) (number % 40) + 1,
                              "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk");

    default:
      return g_strdup_printf ("%s\xc3\xbf%x", folder, number);
    }
}

static char *
make_random_prefix (GRand *random, guint n_keys)
{
  g_autofree char *key = make_random_key (random, n_keys);

  return g_strndup (key, (gsize) g_rand_int_range (random, 0, (int) strlen (key) + 1));
}

static void
do_something (Pair *pair, GRand *random, guint n_keys, guint percent_of_inserts)
{
  g_autofree char *key = make_random_key (random, n_keys);
  g_autofree char *prefix = make_random_prefix (random, n_keys);

  if ((guint) g_rand_int_range (random, 0, 100) < percent_of_inserts)
    pair_insert (pair, key);
  else
    pair_remove (pair, key);

  if (g_rand_boolean (random))
    return;

  pair_look_up (pair, prefix);
  pair_find_prefix (pair, prefix);
  if (g_rand_int_range (random, 0, 10) == 0)
    pair_read_prefix (pair, prefix, (guint) g_rand_int_range (random, 1, 300));
  pair_read (pair, (guint) g_rand_int_range (random, 0, (int) pair->records->len + 2),
             (guint) g_rand_int_range (random, 1, 50));
}

/* It grows, is as large for a while, and shrinks to nothing. */
static void
test_random (void)
{
  static const guint percents[] = { 95, 50, 20, 80, 3 };

  for (guint round = 0; round < 4; round++)
    {
      guint32 seed = g_test_rand_int ();
      g_autoptr (GRand) random = g_rand_new_with_seed (seed);
      guint n_keys = round % 2 == 0 ? 300 : 20000;
      Pair pair;

      g_test_message ("seed %u", seed);
      pair_init (&pair);
      for (guint phase = 0; phase < G_N_ELEMENTS (percents); phase++)
        {
          for (guint i = 0; i < n_keys; i++)
            do_something (&pair, random, n_keys, percents[phase]);
          pair_check (&pair);
        }

      while (pair.records->len > 0)
        {
          int i = g_rand_int_range (random, 0, (int) pair.records->len);
          g_autofree char *key = g_strdup (gkv_record_get_key (pair.records->pdata[i]));

          pair_remove (&pair, key);
        }
      g_assert_cmpuint (gkv_key_index_get_bytes (pair.index), <, 100);
      pair_clear (&pair);
    }
}

/* Up, down, and from both ends: each makes the nodes at the border again and again. */
static void
test_sorted (void)
{
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < 4000; i++)
    {
      g_autofree char *up = g_strdup_printf ("%06u", i);
      g_autofree char *down = g_strdup_printf ("%06u/down", 9999 - i);

      pair_insert (&pair, up);
      pair_insert (&pair, down);
      pair_look_up (&pair, up);
    }
  pair_check (&pair);

  for (guint i = 0; i < 4000; i += 2)
    {
      g_autofree char *up = g_strdup_printf ("%06u", i);
      g_autofree char *down = g_strdup_printf ("%06u/down", 9999 - i);

      pair_remove (&pair, up);
      pair_remove (&pair, down);
    }
  pair_clear (&pair);
}

/* The key behind which a slice begins may have gone. */
static void
test_read_prefix (void)
{
  Pair pair;
  GkvRecord *records[2] = { NULL };

  pair_init (&pair);
  pair_insert (&pair, "a/1");
  pair_insert (&pair, "b/1");
  pair_insert (&pair, "b/3");
  pair_insert (&pair, "c/1");
  pair_read_prefix (&pair, "b/", 1);
  pair_read_prefix (&pair, "b/", 2);
  pair_read_prefix (&pair, "", 3);
  g_assert_cmpuint (gkv_key_index_read_prefix (pair.index, "b/", "b/2", records, 2), ==, 1);
  g_assert_cmpstr (gkv_record_get_key (records[0]), ==, "b/3");
  g_assert_cmpuint (gkv_key_index_read_prefix (pair.index, "b/", "a", records, 2), ==, 2);
  g_assert_cmpuint (gkv_key_index_read_prefix (pair.index, "b/", "b/3", records, 2), ==, 0);
  g_assert_cmpuint (gkv_key_index_read_prefix (pair.index, "b/", "c", records, 2), ==, 0);
  g_assert_cmpuint (gkv_key_index_read_prefix (pair.index, "d/", NULL, records, 2), ==, 0);
  pair_clear (&pair);
}

/* Putting a record in again changes nothing: an index that is being filled meets what has come meanwhile. */
static void
test_again (void)
{
  g_autoptr (GkvKeyIndex) index = gkv_key_index_new (TRUE);
  g_autoptr (GkvRecord) record = make_record ("key");
  g_autoptr (GkvRecord) newer = make_record ("key");
  guint position = 9;

  g_assert_true (gkv_key_index_insert (index, record, NULL));
  g_assert_false (gkv_key_index_insert (index, record, &position));
  g_assert_cmpuint (position, ==, 0);
  g_assert_cmpuint (gkv_key_index_get_size (index), ==, 1);
  g_assert_cmpint (record->ref_count, ==, 2);

  g_assert_false (gkv_key_index_insert (index, newer, NULL));
  g_assert_true (gkv_key_index_lookup (index, "key", NULL) == newer);
  g_assert_cmpint (record->ref_count, ==, 1);

  g_assert_true (gkv_key_index_remove (index, "key", NULL));
  g_assert_false (gkv_key_index_remove (index, "key", NULL));
  g_assert_cmpint (newer->ref_count, ==, 1);
  g_assert_null (gkv_key_index_get (index, 0));
  g_assert_cmpuint (gkv_key_index_find_prefix (index, "", NULL), ==, 0);
}

static guint *
make_numbers (guint n, gboolean shuffled)
{
  guint *numbers = g_new (guint, n);

  for (guint i = 0; i < n; i++)
    {
      guint j = shuffled ? (guint) g_test_rand_int_range (0, (gint32) i + 1) : i;

      numbers[i] = numbers[j];
      numbers[j] = i;
    }

  return numbers;
}

static void
check_bytes (GkvKeyIndex *index)
{
  gsize bytes = gkv_key_index_get_bytes (index), n = gkv_key_index_get_size (index);

  g_test_message ("%" G_GSIZE_FORMAT " keys, %.2f bytes a key", n, (double) bytes / (double) n);
  g_assert_cmpuint (bytes, <=, n * MAX_BYTES_PER_KEY);
}

/* A million keys, put in and thinned out, in order and not. */
static void
test_bytes (void)
{
  const guint n = 1000000, step = 100000;

  for (guint shuffled = 0; shuffled < 2; shuffled++)
    {
      g_autoptr (GkvKeyIndex) index = gkv_key_index_new (TRUE);
      g_autofree guint *coming = make_numbers (n, shuffled);
      g_autofree guint *going = make_numbers (n, !shuffled);

      for (guint i = 0; i < n; i++)
        {
          g_autofree char *key = g_strdup_printf ("sensors/%07u", coming[i]);
          g_autoptr (GkvRecord) record = make_record (key);

          g_assert_true (gkv_key_index_insert (index, record, NULL));
          if (i % step == step / 10)
            check_bytes (index);
        }

      for (guint i = 0; i < n - step / 10; i++)
        {
          g_autofree char *key = g_strdup_printf ("sensors/%07u", going[i]);

          g_assert_true (gkv_key_index_remove (index, key, NULL));
          if (i % step == 0)
            check_bytes (index);
        }
      check_bytes (index);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  writer = gkv_writer_intern ("node", -1, "variant", -1);

  g_test_add_func ("/key-index/random", test_random);
  g_test_add_func ("/key-index/sorted", test_sorted);
  g_test_add_func ("/key-index/read-prefix", test_read_prefix);
  g_test_add_func ("/key-index/again", test_again);
  g_test_add_func ("/key-index/bytes", test_bytes);

  return g_test_run ();
}
