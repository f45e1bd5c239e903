/* GkvEngine: the whole protocol of one node, without a clock, a socket or a random device of its own.
 *
 * Time, datagrams and writes are handed in; datagrams, events and the next deadline come out, in queues that the owner
 * drains. So a node drives one from a GSource, and a simulator drives thousands from virtual time. Not thread-safe: the
 * owner holds its lock around each call, and acts on what it drained after unlocking.
 *
 * docs/protocol.md describes what is sent, and why.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-engine-types.h"

G_BEGIN_DECLS

/* Removals that are remembered, usually. */
#define GKV_MAX_REMOVALS 4194304

typedef struct _GkvEngine GkvEngine;

typedef struct
{
  const char *node_id;
  const char *cluster;
  guint64 generation;  /* rises at each start of the same node id */
  guint32 random_seed; /* all randomness of the protocol comes from it */
  guint64 secret[2];   /* for address tokens; from a random device; proofs of life come from it as well */
  guint gossip_interval_ms;
  guint max_datagram_size; /* bytes, what the transport says */

  /* Whether an address can be reached from its own machine only, or from nowhere, such as a loopback or an unspecified
   * one; NULL: none is. The engine knows addresses as text only. */
  gboolean (*is_confined) (const char *address);

  /* For an owner that guards the store by a lock of its own, so that other threads read and write while
   * the engine works; both or none. The engine takes it in gkv_engine_new (), receive (), push (), tick () and leave
   * (), and leaves it before they return; nothing else here looks at the store. It never takes it twice. In between it
   * leaves it and takes it again after about 32 records handled, or as much other work, so it isn't held for more than
   * about 100 µs at a time, whatever the number of keys; what is longer is named where it happens. Waiting threads have
   * to get their turn then: that is up to the lock. */
  void (*store_lock) (gpointer data);
  void (*store_unlock) (gpointer data);
  gpointer store_lock_data;

  /* Called for each change at once, with the store's lock held, in place of GKV_EVENT_CHANGED; nullable. @replaced was
   * visible before (nullable). */
  GkvChangedFunc changed;
  gpointer changed_data;

  /* 0: the usual */
  gint64 tombstone_life_ms;
  guint max_tombstones;
  guint max_removals; /* that are remembered after their tombstones are gone */
  gint64 forget_dead_ms;
  guint suspect_questions; /* so many, and nothing else, to measure what they are good for */
  GkvProfiles *profiles;   /* what several engines share; borrowed */
  guint chain_length;      /* how often a generation can refute a suspicion, once a second at the most */
} GkvEngineConfig;

/* @store is borrowed and outlives the engine. */
GkvEngine *gkv_engine_new (const GkvEngineConfig *config, GkvStore *store, const GkvTime *now);
void gkv_engine_free (GkvEngine *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvEngine, gkv_engine_free)

/* The generation of this node: the one that it was created with, unless a later one of this node id has ended already,
 * as after a clock was set back. It may change in gkv_engine_receive (). */
guint64 gkv_engine_get_generation (GkvEngine *self);

void gkv_engine_set_gossip_interval (GkvEngine *self, guint interval_ms);

/* The address that peers are to use for this node. It is sent to them, so that they can pass it on. NULL: the one that
 * they see. */
void gkv_engine_set_advertise_address (GkvEngine *self, const char *address);

/* An address where a peer may be: from a seed, or from discovery. It is greeted until it replies, at growing intervals,
 * and again when the peer behind it is lost. Adding it again starts over from the shortest interval. */
void gkv_engine_add_contact (GkvEngine *self, const char *address, const GkvTime *now);
void gkv_engine_remove_contact (GkvEngine *self, const char *address);
/* What isn't silent, and isn't a peer, is also reported once as GKV_EVENT_ERROR while it lasts; this very node only
 * when it is all that was found for a while, as it may well be among its own seeds. */
GkvContactState gkv_engine_describe_contact (GkvEngine *self, const char *address);
/* Whether a peer that is alive has replied from @address since it was added, or it is this node's own. */
gboolean gkv_engine_is_contact_reached (GkvEngine *self, const char *address);

/* How many seeds the application gave that have no address yet: while there are any, and nobody was found, the node
 * isn't synced. */
void gkv_engine_set_n_unresolved (GkvEngine *self, guint n_unresolved);

/* A datagram came in from a numeric "host:port". Anything can be in it. */
void gkv_engine_receive (GkvEngine *self, const char *address, gconstpointer data, gsize len, const GkvTime *now);

/* A record was written here and the store has taken it already: it is sent on. The caller emits for itself; no event
 * comes of it. It may be called some time after the write, and is then called once for each, in their order, also for
 * those that were replaced meanwhile, and for those that were written while the engine was being made. */
void gkv_engine_push (GkvEngine *self, GkvRecord *record, const GkvTime *now);

/* Does what is due, and gives the next deadline on the monotonic clock (G_MAXINT64: none). To be called once after any
 * other call, too: those may bring the deadline forward. A call does a bounded amount of work. */
gint64 gkv_engine_tick (GkvEngine *self, const GkvTime *now);

/* Announces that the node leaves. What it sends comes out as datagrams; afterwards only draining makes sense. */
void gkv_engine_leave (GkvEngine *self, const GkvTime *now);

/* Draining. FALSE: nothing there. What waits to be drained is bounded: of a peer there are two events at most (it went,
 * and came back), of errors of one code 16 and then one that counts the others, and where some thousand changes wait,
 * one a key. */
gboolean gkv_engine_pop_datagram (GkvEngine *self, GkvDatagram *datagram);
gboolean gkv_engine_pop_event (GkvEngine *self, GkvEvent *event);

/* A flush is done when @n_peers peers that are alive hold all that was in the store when it began; with 0, when all do
 * that were alive then and still are, and at least one. Where none was, or all of them went, it waits for the first
 * that comes and holds it. GKV_EVENT_CONFIRMED says when to look again; it is no more than one in the queue. */
guint64 gkv_engine_begin_flush (GkvEngine *self, guint n_peers, const GkvTime *now);
void gkv_engine_get_flush (GkvEngine *self, guint64 ticket, GkvFlushState *state);
/* The ids of the peers that refuse something of this node's. (transfer full) */
char *gkv_engine_describe_refusers (GkvEngine *self);
void gkv_engine_end_flush (GkvEngine *self, guint64 ticket);

/* The writes of this node, gkv_engine_push () and what the store held of it before, of which no peer is known to hold
 * them: none has acknowledged them, nor was one found to hold everything. GKV_EVENT_CONFIRMED says when there are
 * fewer. A flush hastens that. */
guint64 gkv_engine_get_n_unconfirmed (GkvEngine *self);

gboolean gkv_engine_get_synced (GkvEngine *self);

/* Adds the engine's counters (name → t, x or d) to a vardict. */
void gkv_engine_add_stats (GkvEngine *self, GVariantBuilder *builder);

G_END_DECLS
