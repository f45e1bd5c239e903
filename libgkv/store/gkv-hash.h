/* Keyed hashing: SipHash-1-3 with 64 and 128 bits of output, and the fingerprints that are sums of it.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. One round a word and three at the
 * end are what Rust's and Python's tables use: the results never leave those who hold the key.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

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

guint64 gkv_hash_64 (const GkvHashKey *key, gconstpointer data, gsize len);
GkvFingerprint gkv_hash_128 (const GkvHashKey *key, gconstpointer data, gsize len);

/* The same, in parts: words, and bytes padded with zeros to whole words. Whoever adds bytes adds their length too. */
typedef struct
{
  /*< private >*/
  guint64 v0, v1, v2, v3;
} GkvHasher;

void gkv_hasher_init (GkvHasher *self, const GkvHashKey *key);
void gkv_hasher_add_word (GkvHasher *self, guint64 word);
void gkv_hasher_add_padded (GkvHasher *self, gconstpointer data, gsize len);
GkvFingerprint gkv_hasher_end (GkvHasher *self);

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
