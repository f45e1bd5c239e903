/* Two engines joined by a wire that loses nothing, under virtual time; and what went over it, by kind of message.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gossip/gkv-engine.h"
#include "gossip/gkv-wire.h"

G_BEGIN_DECLS

/* How long a datagram takes, in µs. */
#define PAIR_LATENCY 1000

typedef struct
{
  GkvStore *store;
  GkvClock clock;
  GkvEngine *engine;
  const char *name; /* the address, too */
} PairSide;

typedef struct
{
  PairSide sides[2];
  GkvTime now;
  gint64 wakes[2];
  GQueue wire;

  /* what went over it */
  guint64 n_messages[64];
  guint64 n_bytes[64];
} Pair;

void pair_init (Pair *pair);
void pair_clear (Pair *pair);

/* Writes behind the engines' backs: to one side's store, or to both. */
void pair_put (Pair *pair, guint side, const char *key, const char *value);
void pair_put_both (Pair *pair, const char *key, const char *value);

/* Lets @us pass, or less when @until_same and both hold the same. Gives the time that passed. */
gint64 pair_run (Pair *pair, gint64 us, gboolean until_same);
gboolean pair_is_same (Pair *pair);
void pair_forget_counts (Pair *pair);
/* Of all that is said to find differences. */
guint64 pair_get_digest_bytes (const Pair *pair);

G_END_DECLS
