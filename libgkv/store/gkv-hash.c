/* Keyed hashing: SipHash-2-4.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-hash.h"

#include <string.h>

typedef struct
{
  guint64 v0, v1, v2, v3;
} State;

static inline guint64
rotate (guint64 x, guint bits)
{
  return (x << bits) | (x >> (64 - bits));
}

static inline void
sip_round (State *s)
{
  s->v0 += s->v1;
  s->v1 = rotate (s->v1, 13) ^ s->v0;
  s->v0 = rotate (s->v0, 32);
  s->v2 += s->v3;
  s->v3 = rotate (s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = rotate (s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = rotate (s->v1, 17) ^ s->v2;
  s->v2 = rotate (s->v2, 32);
}

static inline guint64
load (const guint8 *bytes)
{
  guint64 word;

  memcpy (&word, bytes, sizeof word);
  return GUINT64_FROM_LE (word);
}

static State
absorb (const GkvHashKey *key, const guint8 *data, gsize len, gboolean wide)
{
  State s = { key->k0 ^ G_GUINT64_CONSTANT (0x736f6d6570736575),
              key->k1 ^ G_GUINT64_CONSTANT (0x646f72616e646f6d) ^ (wide ? 0xee : 0),
              key->k0 ^ G_GUINT64_CONSTANT (0x6c7967656e657261), key->k1 ^ G_GUINT64_CONSTANT (0x7465646279746573) };
  guint64 last = (guint64) len << 56;
  gsize i;

  for (i = 0; i + 8 <= len; i += 8)
    {
      guint64 word = load (data + i);

      s.v3 ^= word;
      sip_round (&s);
      sip_round (&s);
      s.v0 ^= word;
    }

  for (gsize j = 0; i + j < len; j++)
    last |= (guint64) data[i + j] << (8 * j);
  s.v3 ^= last;
  sip_round (&s);
  sip_round (&s);
  s.v0 ^= last;
  s.v2 ^= wide ? 0xee : 0xff;
  for (guint n = 0; n < 4; n++)
    sip_round (&s);
  return s;
}

guint64
gkv_hash_64 (const GkvHashKey *key, gconstpointer data, gsize len)
{
  State s = absorb (key, data, len, FALSE);

  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

GkvFingerprint
gkv_hash_128 (const GkvHashKey *key, gconstpointer data, gsize len)
{
  State s = absorb (key, data, len, TRUE);
  GkvFingerprint result;

  result.lo = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
  s.v1 ^= 0xdd;
  for (guint n = 0; n < 4; n++)
    sip_round (&s);
  result.hi = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
  return result;
}

GkvHashKey
gkv_hash_key_for_cluster (const char *cluster)
{
  const GkvHashKey zero = { 0, 0 };
  GkvFingerprint derived = gkv_hash_128 (&zero, cluster, strlen (cluster));
  GkvHashKey key = { derived.lo, derived.hi };

  return key;
}
