/* SipHash against its published vectors, and the sums that fingerprints are.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "store/gkv-clock.h"
#include "store/gkv-hash.h"

static GkvHashKey
make_reference_key (void)
{
  GkvHashKey key = { G_GUINT64_CONSTANT (0x0706050403020100), G_GUINT64_CONSTANT (0x0f0e0d0c0b0a0908) };

  return key;
}

/* The first vectors of the reference implementation: key 00…0f, input of n bytes 00, 01, … */
static void
test_vectors (void)
{
  const guint64 expected_64[] = {
    G_GUINT64_CONSTANT (0x726fdb47dd0e0e31), G_GUINT64_CONSTANT (0x74f839c593dc67fd),
    G_GUINT64_CONSTANT (0x0d6c8009d9a94f5a), G_GUINT64_CONSTANT (0x85676696d7fb7e2d),
    G_GUINT64_CONSTANT (0xcf2794e0277187b7), G_GUINT64_CONSTANT (0x18765564cd99a68d),
    G_GUINT64_CONSTANT (0xcbc9466e58fee3ce), G_GUINT64_CONSTANT (0xab0200f58b01d137),
    G_GUINT64_CONSTANT (0x93f5f5799a932462),
  };
  GkvHashKey key = make_reference_key ();
  GkvFingerprint wide;
  guint8 input[64];

  for (guint i = 0; i < sizeof input; i++)
    input[i] = i;
  for (guint i = 0; i < G_N_ELEMENTS (expected_64); i++)
    g_assert_cmphex (gkv_hash_64 (&key, input, i), ==, expected_64[i]);

  /* "a3817f04ba25a8e6 6df67214c7550293", as bytes, for no input at all. */
  wide = gkv_hash_128 (&key, input, 0);
  g_assert_cmphex (wide.lo, ==, G_GUINT64_CONSTANT (0xe6a825ba047f81a3));
  g_assert_cmphex (wide.hi, ==, G_GUINT64_CONSTANT (0x930255c71472f66d));
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

static void
test_clock (void)
{
  GkvClock clock = { 0 };
  gint64 wall = G_GINT64_CONSTANT (1700000000000000);
  GkvStamp first = gkv_clock_next (&clock, wall);
  GkvStamp ahead = first + ((GkvStamp) 600000 << 16);

  g_assert_cmpint (gkv_stamp_get_ms (first), ==, wall / 1000);

  /* Above all before it, when the wall clock stands still, and when it steps back. */
  g_assert_cmpuint (gkv_clock_next (&clock, wall), >, first);
  g_assert_cmpuint (gkv_clock_next (&clock, wall - G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC), >, first);

  /* Above all that was seen. */
  gkv_clock_observe (&clock, ahead);
  g_assert_cmpuint (gkv_clock_next (&clock, wall), >, ahead);
  g_assert_cmpint (gkv_stamp_get_ahead_ms (ahead, wall), ==, 600000);
  g_assert_cmpint (gkv_stamp_get_ahead_ms (first, wall + G_USEC_PER_SEC), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hash/vectors", test_vectors);
  g_test_add_func ("/hash/sums", test_sums);
  g_test_add_func ("/hash/clusters", test_cluster_keys);
  g_test_add_func ("/clock", test_clock);

  return g_test_run ();
}
