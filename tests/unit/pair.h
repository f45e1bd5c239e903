/* Two engines, or three, joined by a wire that loses nothing, under virtual time; and what went over it, by kind of
 * message.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gossip/gkv-engine.h"
#include "gossip/gkv-wire.h"

G_BEGIN_DECLS

/* How long a datagram takes, in µs. */
#define PAIR_LATENCY 1000

#define PAIR_MAX 3

typedef struct _PairSide PairSide;

struct _PairSide
{
  GkvStore *store;
  gint64 ahead; /* of its wall clock, in µs */
  GkvEngine *engine;
  guint64 generation;
  const char *name; /* the address, too */

  /* For the next start */
  const char *id;        /* NULL: the name */
  const char *cluster;   /* NULL: that of all */
  const char *advertise; /* NULL: nothing */
  guint max_datagram;    /* 0: 1,200 bytes */

  gint64 wake;

  /* For the next start, too: when others may get at its store. NULL: it has no lock. */
  void (*on_unlocked) (PairSide *side);
  gboolean locked;
  guint n_locked;
  gpointer data; /* for the test's own use */

  gboolean down;  /* it does nothing, and what is sent there is lost */
  guint n_errors; /* that it has told */
  int last_error; /* the code of the last one */
  char last_message[256];
  guint n_removed;    /* peers, likewise */
  guint n_confirmed;  /* how often it has told that flushes are to be looked at */
  guint most_changes; /* that it has made in one turn, beside what came in */
};

typedef struct _Pair Pair;

/* Whether a datagram gets lost. */
typedef gboolean (*PairLossFunc) (Pair *pair, guint from, guint to, GBytes *datagram);

struct _Pair
{
  PairSide sides[PAIR_MAX];
  guint n;
  GkvTime now;
  GQueue wire;
  PairLossFunc loses; /* NULL: nothing */
  guint n_asked;      /* for its own use */

  /* what went over it */
  guint64 n_messages[64];
  guint64 n_bytes[64];
};

void pair_init (Pair *pair);
/* With a third one. */
void pair_init_three (Pair *pair);
void pair_clear (Pair *pair);

/* The time at a side. */
GkvTime pair_get_time (Pair *pair, guint side);

/* Writes behind the engines' backs: to one side's store, or to the first two. */
void pair_put (Pair *pair, guint side, const char *key, const char *value);
void pair_put_both (Pair *pair, const char *key, const char *value);

/* Begins a new life on what is held. */
void pair_restart (Pair *pair, guint side);
/* The same with nothing. */
void pair_restart_empty (Pair *pair, guint side);

/* Says that it leaves, and does nothing any more. */
void pair_leave (Pair *pair, guint side);

/* Writes as an application does. */
void pair_write (Pair *pair, guint side, const char *key, const char *value, GkvRecordFlags flags);
/* One that ends after @life_ms; its record isn't passed on before gkv_engine_push (). Borrowed. */
GkvRecord *pair_put_mortal (Pair *pair, guint side, const char *key, const char *value, guint64 life_ms);
/* As if somebody had brought it. */
void pair_copy (Pair *pair, guint from, guint to, const char *key);
guint64 pair_get_stat (Pair *pair, guint side, const char *name);

/* Lets @us pass, or less when @until_same and all that are up hold the same. Gives the time that passed. */
gint64 pair_run (Pair *pair, gint64 us, gboolean until_same);
gboolean pair_is_same (Pair *pair);
void pair_forget_counts (Pair *pair);
/* Whether a datagram has a message of @kind in it. */
gboolean pair_datagram_has (GBytes *datagram, GkvMessageKind kind);
/* Puts a datagram on the wire, which arrives after @us. */
void pair_send (Pair *pair, guint from, guint to, GBytes *datagram, gint64 us);
/* Of all that is said to find differences. */
guint64 pair_get_digest_bytes (const Pair *pair);

G_END_DECLS
