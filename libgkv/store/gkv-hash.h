/* Keyed hashing: SipHash-1-3 with 64 and 128 bits of output, and the fingerprints that are sums of it.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. One round a word and three at the
 * end are what Rust's and Python's tables use: the results never leave those who hold the key.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

typedef struct
{
  guint64 k0, k1;
} GkvHashKey;

/* A sum modulo 2^128 of hashes of whole records: adding and taking away are each other's inverse, and the order
 * doesn't matter. */
typedef struct
{
  guint64 lo, hi;
} GkvFingerprint;

/* Derives the key that all members of @cluster share. */
GkvHashKey gkv_hash_key_for_cluster (const char *cluster);

/* In the place of g_str_hash () for strings that come from elsewhere: with a key of the process, so that nobody can
 * make many that fall together. Tables that are walked through are no place for it: their order would be by chance. */
guint gkv_hash_string (gconstpointer string);

/* A checksum: it tells what chance has changed, and is faster than memory. Anybody can make what has the same one. */
guint64 gkv_hash_checksum (gconstpointer data, gsize len);

guint64 gkv_hash_64 (const GkvHashKey *key, gconstpointer data, gsize len);
/* The place of a key in a store. Two keys may have one, and everything has to stand that. */
guint64 gkv_hash_place (const GkvHashKey *key, gconstpointer data, gsize len);
/* For tests, before there is any store: from here on all places have at most so many bits. */
void gkv_hash_shorten_places (guint bits);
GkvFingerprint gkv_hash_128 (const GkvHashKey *key, gconstpointer data, gsize len);

/* The same, in parts: words, and bytes padded with zeros to whole words. Whoever adds bytes adds their length too.
 * Inline, as each record is hashed in a handful of such steps. */
typedef struct
{
  /*< private >*/
  guint64 v0, v1, v2, v3;
} GkvHasher;

void gkv_hasher_init (GkvHasher *self, const GkvHashKey *key);
GkvFingerprint gkv_hasher_end (GkvHasher *self);

static inline guint64
gkv_hasher_rotate (guint64 x, guint bits)
{
  return (x << bits) | (x >> (64 - bits));
}

/*< private >*/
static inline void
gkv_hasher_do_round (GkvHasher *s)
{
  s->v0 += s->v1;
  s->v1 = gkv_hasher_rotate (s->v1, 13) ^ s->v0;
  s->v0 = gkv_hasher_rotate (s->v0, 32);
  s->v2 += s->v3;
  s->v3 = gkv_hasher_rotate (s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = gkv_hasher_rotate (s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = gkv_hasher_rotate (s->v1, 17) ^ s->v2;
  s->v2 = gkv_hasher_rotate (s->v2, 32);
}

static inline void
gkv_hasher_add_word (GkvHasher *self, guint64 word)
{
  self->v3 ^= word;
  gkv_hasher_do_round (self);
  self->v0 ^= word;
}

/*< private: adds the whole words of @data. Returns what is left, fewer than eight bytes, as a word >*/
static inline guint64
gkv_hasher_add_whole (GkvHasher *self, gconstpointer data, gsize len)
{
  const guint8 *bytes = data;
  gsize left = len % 8;
  guint64 word;

  for (gsize i = 0; i + 8 <= len; i += 8)
    {
      memcpy (&word, bytes + i, sizeof word);
      gkv_hasher_add_word (self, GUINT64_FROM_LE (word));
    }

  if (left == 0)
    return 0;

  /* The last eight bytes, without those that were added already. */
  if (len > 8)
    {
      memcpy (&word, bytes + len - 8, sizeof word);
      return GUINT64_FROM_LE (word) >> (8 * (8 - left));
    }

  word = 0;
  for (gsize i = 0; i < left; i++)
    word |= (guint64) bytes[i] << (8 * i);
  return word;
}

static inline void
gkv_hasher_add_padded (GkvHasher *self, gconstpointer data, gsize len)
{
  guint64 left = gkv_hasher_add_whole (self, data, len);

  if (len % 8 != 0)
    gkv_hasher_add_word (self, left);
}

static inline void
gkv_fingerprint_add (GkvFingerprint *sum, const GkvFingerprint *term)
{
  sum->lo += term->lo;
  sum->hi += term->hi + (sum->lo < term->lo);
}

static inline void
gkv_fingerprint_subtract (GkvFingerprint *sum, const GkvFingerprint *term)
{
  guint64 borrow = sum->lo < term->lo;

  sum->lo -= term->lo;
  sum->hi -= term->hi + borrow;
}

static inline gboolean
gkv_fingerprint_equal (const GkvFingerprint *a, const GkvFingerprint *b)
{
  return a->lo == b->lo && a->hi == b->hi;
}

G_END_DECLS
