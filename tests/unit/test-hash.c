/* SipHash against its published vectors, and the sums that fingerprints are.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "store/gkv-clock.h"
#include "store/gkv-hash.h"

#include <string.h>

static GkvHashKey
make_reference_key (void)
{
  GkvHashKey key = { G_GUINT64_CONSTANT (0x0706050403020100), G_GUINT64_CONSTANT (0x0f0e0d0c0b0a0908) };

  return key;
}

/* What another implementation, the Rust crate siphasher, makes of SipHash-1-3: key 00…0f, input of n bytes 00, 01, … */
static void
test_vectors (void)
{
  const guint64 expected_64[] = {
    G_GUINT64_CONSTANT (0xabac0158050fc4dc), G_GUINT64_CONSTANT (0xc9f49bf37d57ca93),
    G_GUINT64_CONSTANT (0x82cb9b024dc7d44d), G_GUINT64_CONSTANT (0x8bf80ab8e7ddf7fb),
    G_GUINT64_CONSTANT (0xcf75576088d38328), G_GUINT64_CONSTANT (0xdef9d52f49533b67),
    G_GUINT64_CONSTANT (0xc50d2b50c59f22a7), G_GUINT64_CONSTANT (0xd3927d989bb11140),
    G_GUINT64_CONSTANT (0x369095118d299a8e),
  };
  const struct
  {
    gsize len;
    GkvFingerprint result;
  } expected_128[] = {
    { 0, { G_GUINT64_CONSTANT (0xbea58827b2bc7ee7), G_GUINT64_CONSTANT (0x013030dd6adb62fd) } },
    { 9, { G_GUINT64_CONSTANT (0x9439f32c04b8dd81), G_GUINT64_CONSTANT (0x427c1394000e72f4) } },
    { 16, { G_GUINT64_CONSTANT (0xeb8e511557d9a8d0), G_GUINT64_CONSTANT (0x93179e3df8b013b5) } },
  };
  GkvHashKey key = make_reference_key ();
  guint8 input[64];

  for (guint i = 0; i < sizeof input; i++)
    input[i] = i;
  for (guint i = 0; i < G_N_ELEMENTS (expected_64); i++)
    g_assert_cmphex (gkv_hash_64 (&key, input, i), ==, expected_64[i]);
  for (guint i = 0; i < G_N_ELEMENTS (expected_128); i++)
    {
      GkvFingerprint wide = gkv_hash_128 (&key, input, expected_128[i].len);

      g_assert_cmphex (wide.lo, ==, expected_128[i].result.lo);
      g_assert_cmphex (wide.hi, ==, expected_128[i].result.hi);
    }
}

/* In parts it is the same as in one; the length that SipHash appends is the one word that differs. */
static void
test_parts (void)
{
  GkvHashKey key = make_reference_key ();
  guint8 whole[16] = "fifteen bytes..";
  GkvFingerprint parts[2];
  GkvHasher hasher;
  guint64 word;

  gkv_hasher_init (&hasher, &key);
  gkv_hasher_add_padded (&hasher, whole, 15);
  parts[0] = gkv_hasher_end (&hasher);

  gkv_hasher_init (&hasher, &key);
  memcpy (&word, whole, 8);
  gkv_hasher_add_word (&hasher, GUINT64_FROM_LE (word));
  gkv_hasher_add_padded (&hasher, whole + 8, 8);
  parts[1] = gkv_hasher_end (&hasher);

  g_assert_true (gkv_fingerprint_equal (&parts[0], &parts[1]));

  gkv_hasher_init (&hasher, &key);
  gkv_hasher_add_padded (&hasher, "another", 7);
  parts[1] = gkv_hasher_end (&hasher);
  g_assert_false (gkv_fingerprint_equal (&parts[0], &parts[1]));
}

static void
test_sums (void)
{
  GkvFingerprint a = { G_MAXUINT64, G_MAXUINT64 };
  GkvFingerprint b = { 5, 7 };
  GkvFingerprint sum = a;

  gkv_fingerprint_add (&sum, &b);
  g_assert_cmphex (sum.lo, ==, 4);
  g_assert_cmphex (sum.hi, ==, 7);
  gkv_fingerprint_subtract (&sum, &b);
  g_assert_true (gkv_fingerprint_equal (&sum, &a));
  gkv_fingerprint_subtract (&sum, &a);
  g_assert_cmphex (sum.lo, ==, 0);
  g_assert_cmphex (sum.hi, ==, 0);
}

static void
test_cluster_keys (void)
{
  GkvHashKey a = gkv_hash_key_for_cluster ("a");
  GkvHashKey b = gkv_hash_key_for_cluster ("b");

  g_assert_cmphex (gkv_hash_64 (&a, "key", 3), !=, gkv_hash_64 (&b, "key", 3));
}

#define HOUR_MS G_GINT64_CONSTANT (3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)

static void
test_clock (void)
{
  gint64 wall = G_GINT64_CONSTANT (1700000000000000);
  gint64 ms = wall / 1000;
  GkvStamp first = gkv_stamp_new (wall, 0);

  /* It follows the clock, whatever else was given, and is above what is held of the key. */
  g_assert_cmpint (gkv_stamp_get_ms (first), ==, ms);
  g_assert_cmpuint (gkv_stamp_new (wall, 0), ==, first);
  g_assert_cmpuint (gkv_stamp_new (wall, first), ==, first + 1);
  g_assert_cmpuint (gkv_stamp_new (wall - G_USEC_PER_SEC, first), ==, first + 1);
  g_assert_cmpuint (gkv_stamp_new (wall + G_USEC_PER_SEC, first), ==, first + ((GkvStamp) 1000 << 16));
  g_assert_cmpuint (gkv_stamp_new (-1, 0), ==, 1);

  g_assert_cmpint (gkv_clock_get_ahead_ms (ms + 600000, wall), ==, 600000);
  g_assert_cmpint (gkv_clock_get_ahead_ms (ms, wall + G_USEC_PER_SEC), ==, 0);

  /* The time of writing decides; the stamp only where it is beyond all reason. */
  g_assert_cmpint (gkv_clock_judge (first, ms + HOUR_MS, wall), ==, GKV_TIME_VALID);
  g_assert_cmpint (gkv_clock_judge (first, ms + HOUR_MS + 1, wall), ==, GKV_TIME_QUARANTINED);
  g_assert_cmpint (gkv_clock_judge (first, ms + 24 * HOUR_MS, wall), ==, GKV_TIME_QUARANTINED);
  g_assert_cmpint (gkv_clock_judge (first, ms + 24 * HOUR_MS + 1, wall), ==, GKV_TIME_REFUSED);
  g_assert_cmpint (gkv_clock_judge ((GkvStamp) (ms + YEAR_MS * 99) << 16, ms, wall), ==, GKV_TIME_VALID);
  g_assert_cmpint (gkv_clock_judge ((GkvStamp) (ms + YEAR_MS * 101) << 16, ms, wall), ==, GKV_TIME_REFUSED);
}

/* Strings that are all alike to g_str_hash (), as anybody can make them. */
static void
test_strings (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < 1024; i++)
    {
      char text[21] = "";

      for (guint bit = 0; bit < 10; bit++)
        memcpy (text + 2 * bit, i & (1 << bit) ? "Ez" : "FY", 2);
      g_assert_cmpuint (g_str_hash (text), ==, g_str_hash ("FYFYFYFYFYFYFYFYFYFY"));
      g_assert_cmpuint (gkv_hash_string (text), ==, gkv_hash_string (text));
      g_hash_table_add (seen, GUINT_TO_POINTER (gkv_hash_string (text)));
    }

  g_assert_cmpuint (g_hash_table_size (seen), >, 1000);
}

/* Whatever changes in it, and where it ends, the checksum is another. */
static void
test_checksum (void)
{
  guint8 data[200];
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  guint n = 0;

  for (guint i = 0; i < sizeof data; i++)
    data[i] = i * 7;

  for (gsize len = 0; len <= sizeof data; len++)
    for (gsize bit = 0; bit <= 8 * len; bit++)
      {
        guint64 sum;

        if (bit < 8 * len)
          data[bit / 8] ^= 1 << bit % 8;
        sum = gkv_hash_checksum (data, len);
        if (bit < 8 * len)
          data[bit / 8] ^= 1 << bit % 8;
        g_hash_table_add (seen, g_memdup2 (&sum, sizeof sum));
        n++;
      }
  g_assert_cmpuint (g_hash_table_size (seen), ==, n);

  /* The same on every machine. */
  g_assert_cmphex (gkv_hash_checksum (data, 0), ==, gkv_hash_checksum (NULL, 0));
  g_assert_cmphex (gkv_hash_checksum (data, 100), ==, G_GUINT64_CONSTANT (0x0c0cd442635e8de5));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hash/checksum", test_checksum);
  g_test_add_func ("/hash/vectors", test_vectors);
  g_test_add_func ("/hash/parts", test_parts);
  g_test_add_func ("/hash/sums", test_sums);
  g_test_add_func ("/hash/clusters", test_cluster_keys);
  g_test_add_func ("/clock", test_clock);
  g_test_add_func ("/hash/strings", test_strings);

  return g_test_run ();
}
