/* Keyed hashing: SipHash-1-3.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-hash.h"

#include <string.h>

static inline void
finish (GkvHasher *s, guint64 mark)
{
  s->v2 ^= mark;
  for (guint n = 0; n < 3; n++)
    gkv_hasher_do_round (s);
}

static inline guint64
get_result (const GkvHasher *s)
{
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline void
start (GkvHasher *s, const GkvHashKey *key)
{
  s->v0 = key->k0 ^ G_GUINT64_CONSTANT (0x736f6d6570736575);
  s->v1 = key->k1 ^ G_GUINT64_CONSTANT (0x646f72616e646f6d);
  s->v2 = key->k0 ^ G_GUINT64_CONSTANT (0x6c7967656e657261);
  s->v3 = key->k1 ^ G_GUINT64_CONSTANT (0x7465646279746573);
}

guint64
gkv_hash_64 (const GkvHashKey *key, gconstpointer data, gsize len)
{
  GkvHasher s;
  guint64 rest;

  start (&s, key);
  rest = gkv_hasher_add_whole (&s, data, len);
  gkv_hasher_add_word (&s, rest | (guint64) len << 56);
  finish (&s, 0xff);

  return get_result (&s);
}

static guint64 place_mask = G_MAXUINT64;

guint64
gkv_hash_place (const GkvHashKey *key, gconstpointer data, gsize len)
{
  return gkv_hash_64 (key, data, len) & place_mask;
}

void
gkv_hash_shorten_places (guint bits)
{
  place_mask = bits < 64 ? ~(G_MAXUINT64 >> bits) : G_MAXUINT64;
}

void
gkv_hasher_init (GkvHasher *self, const GkvHashKey *key)
{
  start (self, key);
  self->v1 ^= 0xee;
}

/* The last word has the length in its upper byte, as SipHash has it. */
static GkvFingerprint
end (GkvHasher *self, guint64 last)
{
  GkvFingerprint result;

  gkv_hasher_add_word (self, last);
  finish (self, 0xee);
  result.lo = get_result (self);
  self->v1 ^= 0xdd;
  finish (self, 0);
  result.hi = get_result (self);

  return result;
}

GkvFingerprint
gkv_hasher_end (GkvHasher *self)
{
  return end (self, 0);
}

GkvFingerprint
gkv_hash_128 (const GkvHashKey *key, gconstpointer data, gsize len)
{
  GkvHasher s;
  guint64 rest;

  gkv_hasher_init (&s, key);
  rest = gkv_hasher_add_whole (&s, data, len);

  return end (&s, rest | (guint64) len << 56);
}

/* The rounds are those of XXH64 (Collet). Each lane waits for its own last product only. A product with an odd number,
 * a sum and a turn can be undone: so no change in a single word is lost. */
#define CHECKSUM_PRIME   G_GUINT64_CONSTANT (0x9e3779b185ebca87)
#define CHECKSUM_PRIME_2 G_GUINT64_CONSTANT (0xc2b2ae3d27d4eb4f)

static inline guint64
mix_checksum (guint64 lane, const guint8 *bytes)
{
  guint64 word;

  memcpy (&word, bytes, sizeof word);
  return gkv_hasher_rotate (lane + GUINT64_FROM_LE (word) * CHECKSUM_PRIME_2, 31) * CHECKSUM_PRIME;
}

guint64
gkv_hash_checksum (gconstpointer data, gsize len)
{
  const guint8 *bytes = data;
  guint64 a = 1, b = 2, c = 3, d = len;
  guint8 last[8] = { 0 };

  for (; len >= 4 * sizeof last; bytes += 4 * sizeof last, len -= 4 * sizeof last)
    {
      a = mix_checksum (a, bytes);
      b = mix_checksum (b, bytes + 8);
      c = mix_checksum (c, bytes + 16);
      d = mix_checksum (d, bytes + 24);
    }
  for (; len >= sizeof last; bytes += sizeof last, len -= sizeof last)
    a = mix_checksum (a, bytes);
  if (len > 0)
    memcpy (last, bytes, len);
  b = mix_checksum (b, last);

  a = gkv_hasher_rotate (a * CHECKSUM_PRIME, 32) ^ b;
  a = gkv_hasher_rotate (a * CHECKSUM_PRIME, 32) ^ c;
  a = gkv_hasher_rotate (a * CHECKSUM_PRIME, 32) ^ d;
  a *= CHECKSUM_PRIME;
  return a ^ a >> 29;
}

guint
gkv_hash_string (gconstpointer string)
{
  static GkvHashKey key;
  static gsize made;

  if (g_once_init_enter (&made))
    {
      key.k0 = (guint64) g_random_int () << 32 | g_random_int ();
      key.k1 = (guint64) g_random_int () << 32 | g_random_int ();
      g_once_init_leave (&made, 1);
    }

  return (guint) gkv_hash_64 (&key, string, strlen (string));
}

GkvHashKey
gkv_hash_key_for_cluster (const char *cluster)
{
  const GkvHashKey zero = { 0, 0 };
  GkvFingerprint derived = gkv_hash_128 (&zero, cluster, strlen (cluster));
  GkvHashKey key = { derived.lo, derived.hi };

  return key;
}
