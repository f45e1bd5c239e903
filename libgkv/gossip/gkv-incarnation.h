/* GkvIncarnation: a proof of life of one generation of a node, which anybody can verify and nobody else can make.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define GKV_PROOF_SIZE 16

/* A chain has so many values at the most, and so many where nothing else is said. */
#define GKV_CHAIN_MAX   4096
#define GKV_CHAIN_USUAL 1024

/* A value of the chain, and its place in it: the lower, the later. The one at 0 says that the node has left. */
typedef struct
{
  guint16 place;
  guint8 proof[GKV_PROOF_SIZE];
} GkvIncarnation;

typedef enum
{
  GKV_INCARNATION_ALIEN, /* of another chain, so of another run, whatever its number */
  GKV_INCARNATION_EARLIER,
  GKV_INCARNATION_SAME,
  GKV_INCARNATION_LATER,
} GkvIncarnationOrder;

/* What @other is to @known. It costs a hash for each place between the two. */
GkvIncarnationOrder gkv_incarnation_compare (const GkvIncarnation *known, const GkvIncarnation *other);

/* The chain of this node's own generation. */
typedef struct _GkvChain GkvChain;

/* @seed is to be known to nobody else. @length: of the chain; 0: the usual */
GkvChain *gkv_chain_new (gconstpointer seed, gsize len, guint length);
void gkv_chain_free (GkvChain *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvChain, gkv_chain_free)

/* The first to be shown. */
guint gkv_chain_get_length (const GkvChain *self);
/* The value at a place up to the length of the chain. */
GkvIncarnation gkv_chain_get (const GkvChain *self, guint place);

G_END_DECLS
