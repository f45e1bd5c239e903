/* Keyed hashing: SipHash-1-3.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-hash.h"

#include <string.h>

static inline guint64
rotate (guint64 x, guint bits)
{
  return (x << bits) | (x >> (64 - bits));
}

static inline void
do_round (GkvHasher *s)
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

static inline void
absorb (GkvHasher *s, guint64 word)
{
  s->v3 ^= word;
  do_round (s);
  s->v0 ^= word;
}

/* Absorbs the whole words of @data. Returns what is left of it, fewer than eight bytes, as a word. */
static inline guint64
absorb_bytes (GkvHasher *s, gconstpointer data, gsize len)
{
  const guint8 *bytes = data;
  guint64 word;
  gsize i;

  for (i = 0; i + 8 <= len; i += 8)
    {
      memcpy (&word, bytes + i, sizeof word);
      absorb (s, GUINT64_FROM_LE (word));
    }

  word = 0;
  for (gsize j = 0; i + j < len; j++)
    word |= (guint64) bytes[i + j] << (8 * j);
  return word;
}

static inline void
finish (GkvHasher *s, guint64 mark)
{
  s->v2 ^= mark;
  for (guint n = 0; n < 3; n++)
    do_round (s);
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
  rest = absorb_bytes (&s, data, len);
  absorb (&s, rest | (guint64) len << 56);
  finish (&s, 0xff);

  return get_result (&s);
}

void
gkv_hasher_init (GkvHasher *self, const GkvHashKey *key)
{
  start (self, key);
  self->v1 ^= 0xee;
}

void
gkv_hasher_add_word (GkvHasher *self, guint64 word)
{
  absorb (self, word);
}

void
gkv_hasher_add_padded (GkvHasher *self, gconstpointer data, gsize len)
{
  guint64 rest = absorb_bytes (self, data, len);

  if (len % 8 != 0)
    absorb (self, rest);
}

/* The last word has the length in its upper byte, as SipHash has it. */
static GkvFingerprint
end (GkvHasher *self, guint64 last)
{
  GkvFingerprint result;

  absorb (self, last);
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
  rest = absorb_bytes (&s, data, len);

  return end (&s, rest | (guint64) len << 56);
}

GkvHashKey
gkv_hash_key_for_cluster (const char *cluster)
{
  const GkvHashKey zero = { 0, 0 };
  GkvFingerprint derived = gkv_hash_128 (&zero, cluster, strlen (cluster));
  GkvHashKey key = { derived.lo, derived.hi };

  return key;
}
