/* Incarnations: what SWIM counts, as a chain of hashes.
 *
 * At its start a node draws the value at the place 0, and each further one is the hash of the one before it. It shows
 * the last one first, and the next lower one each time that somebody suspects it. A value can be verified by hashing it
 * up to one that is known, so it proves, whoever brings it, that the node was alive after the one before it was shown;
 * and nobody can raise the incarnation of another, or announce that it leaves.
 *
 * Source: Lamport, "Password authentication with insecure communication", CACM 24(11), 1981.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-incarnation.h"

#include <string.h>

/* Of the own chain each value at a multiple of that is kept. */
#define STEP 32

struct _GkvChain
{
  guint length;
  guint8 (*kept)[GKV_PROOF_SIZE];
};

static void
hash_up (guint8 *proof, guint times)
{
  g_autoptr (GChecksum) checksum = times > 0 ? g_checksum_new (G_CHECKSUM_SHA256) : NULL;

  for (guint i = 0; i < times; i++)
    {
      guint8 digest[32];
      gsize len = sizeof digest;

      g_checksum_reset (checksum);
      g_checksum_update (checksum, proof, GKV_PROOF_SIZE);
      g_checksum_get_digest (checksum, digest, &len);
      memcpy (proof, digest, GKV_PROOF_SIZE);
    }
}

GkvIncarnationOrder
gkv_incarnation_compare (const GkvIncarnation *known, const GkvIncarnation *other)
{
  const GkvIncarnation *earlier = other->place > known->place ? other : known;
  const GkvIncarnation *later = earlier == known ? other : known;
  guint8 proof[GKV_PROOF_SIZE];

  if (earlier->place > GKV_CHAIN_MAX)
    return GKV_INCARNATION_ALIEN;

  memcpy (proof, later->proof, sizeof proof);
  hash_up (proof, earlier->place - later->place);
  if (memcmp (proof, earlier->proof, sizeof proof) != 0)
    return GKV_INCARNATION_ALIEN;

  return other->place == known->place ? GKV_INCARNATION_SAME
         : other == later             ? GKV_INCARNATION_LATER
                                      : GKV_INCARNATION_EARLIER;
}

GkvChain *
gkv_chain_new (gconstpointer seed, gsize len, guint length)
{
  GkvChain *self = g_new0 (GkvChain, 1);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 digest[32];
  gsize digest_len = sizeof digest;

  self->length = length > 0 ? MIN (length, GKV_CHAIN_MAX) : GKV_CHAIN_USUAL;
  self->kept = g_malloc0_n (self->length / STEP + 1, GKV_PROOF_SIZE);
  g_checksum_update (checksum, seed, len);
  g_checksum_get_digest (checksum, digest, &digest_len);
  memcpy (self->kept[0], digest, GKV_PROOF_SIZE);
  for (guint i = 1; i <= self->length / STEP; i++)
    {
      memcpy (self->kept[i], self->kept[i - 1], GKV_PROOF_SIZE);
      hash_up (self->kept[i], STEP);
    }

  return self;
}

void
gkv_chain_free (GkvChain *self)
{
  g_free (self->kept);
  g_free (self);
}

guint
gkv_chain_get_length (const GkvChain *self)
{
  return self->length;
}

GkvIncarnation
gkv_chain_get (const GkvChain *self, guint place)
{
  GkvIncarnation incarnation = { .place = place };

  g_assert (place <= self->length);

  memcpy (incarnation.proof, self->kept[place / STEP], GKV_PROOF_SIZE);
  hash_up (incarnation.proof, place % STEP);
  return incarnation;
}
