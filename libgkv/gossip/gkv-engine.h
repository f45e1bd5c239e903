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

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-peer-state.h"
#include "../store/gkv-store.h"

typedef struct _GkvEngine GkvEngine;

/* Both are handed in: @mono in microseconds since any fixed point, never going back; @wall in microseconds since
 * 1970, which may step. */
typedef struct
{
  gint64 mono;
  gint64 wall;
} GkvTime;

typedef struct
{
  const char *node_id;
  const char *cluster;
  guint64 life;        /* the generation: rises at each start of the same node id */
  guint32 random_seed; /* all randomness of the protocol comes from it */
  guint64 secret[2];   /* for address tokens; from a random device */
  guint gossip_interval_ms;
  guint max_datagram_size; /* bytes, what the transport says */

  /* Whether an address can be reached from its own machine only, or from nowhere, such as a loopback or an unspecified
   * one; NULL: none is. The engine knows addresses as text only. */
  gboolean (*is_confined) (const char *address);

  /* For an owner that guards the store, and the clock, by a lock of its own, so that other threads read and write while
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
  void (*changed) (GkvRecord *record, GkvRecord *replaced, gpointer data);
  gpointer changed_data;

  /* 0: the usual */
  gint64 tombstone_life_ms;
  guint max_tombstones;
  gint64 forget_dead_ms;
} GkvEngineConfig;

typedef struct
{
  char *address; /* numeric "host:port" */
  GBytes *bytes;
} GkvDatagram;

/* What is known of an address where a peer may be. */
typedef enum
{
  GKV_CONTACT_SILENT,        /* nothing has come from there lately */
  GKV_CONTACT_REACHED,       /* a peer that is alive has replied */
  GKV_CONTACT_OTHER_CLUSTER, /* a node of another cluster is there */
  GKV_CONTACT_OTHER_VERSION, /* one that speaks another version of the protocol */
  GKV_CONTACT_SELF,          /* this very node */
  GKV_CONTACT_DUPLICATE_ID,  /* another node that is alive has this node's id */
} GkvContactState;

/* A peer as the engine reports it. Strings are borrowed by the reader of the event. */
typedef struct
{
  char *node_id;
  char *address; /* nullable */
  GkvPeerState state;
  gint64 round_trip_us; /* -1: not known yet */
  gint64 last_seen_wall;
} GkvPeerInfo;

typedef enum
{
  GKV_EVENT_CHANGED,      /* a record was taken: .record won; .replaced was visible before (nullable) */
  GKV_EVENT_PEER_ADDED,   /* .peer */
  GKV_EVENT_PEER_CHANGED, /* .peer: state, address or times */
  GKV_EVENT_PEER_REMOVED, /* .peer: no longer remembered */
  GKV_EVENT_ERROR,        /* .error, in the domain GKV_ERROR; already rate-limited */
  GKV_EVENT_SYNCED,       /* .synced has changed */
  GKV_EVENT_CONFIRMED,    /* look at gkv_engine_get_flush () and gkv_engine_get_n_unconfirmed () */
} GkvEventKind;

typedef struct
{
  GkvEventKind kind;
  GkvRecord *record;
  GkvRecord *replaced;
  GkvPeerInfo *peer;
  GError *error;
  gboolean synced;
} GkvEvent;

void gkv_peer_info_free (GkvPeerInfo *info);
void gkv_datagram_clear (GkvDatagram *datagram);
void gkv_event_clear (GkvEvent *event);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GkvDatagram, gkv_datagram_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GkvEvent, gkv_event_clear)

/* @store is borrowed and outlives the engine. */
GkvEngine *gkv_engine_new (const GkvEngineConfig *config, GkvStore *store, GkvClock *clock, const GkvTime *now);
void gkv_engine_free (GkvEngine *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvEngine, gkv_engine_free)

/* The generation of this node: the one that it was created with, unless a later one of this node id has ended already,
 * as after a clock was set back. It may change in gkv_engine_receive (). */
guint64 gkv_engine_get_life (GkvEngine *self);

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

/* How far a flush has come. */
typedef struct
{
  guint n_confirmed; /* peers that are alive and hold all that was written here before */
  guint n_wanted;    /* how many have to; 0: all, and there is none yet, or any more */
  guint n_refused;   /* of those that haven't confirmed: their clocks refuse what comes from here */
  gboolean done;     /* once TRUE it stays so */
} GkvFlushState;

/* A flush is done when @n_peers peers that are alive hold all that was in the store when it began; with 0, when all do
 * that were alive then and still are, and at least one. Where none was, or all of them went, it waits for the first
 * that comes and holds it. GKV_EVENT_CONFIRMED says when to look again; it is no more than one in the queue. */
guint64 gkv_engine_begin_flush (GkvEngine *self, guint n_peers, const GkvTime *now);
void gkv_engine_get_flush (GkvEngine *self, guint64 ticket, GkvFlushState *state);
void gkv_engine_end_flush (GkvEngine *self, guint64 ticket);

/* The writes of this node, gkv_engine_push () and what the store held of it before, of which no peer is known to hold
 * them: none has acknowledged them, nor was one found to hold everything. GKV_EVENT_CONFIRMED says when there are
 * fewer. A flush hastens that. */
guint64 gkv_engine_get_n_unconfirmed (GkvEngine *self);

gboolean gkv_engine_get_synced (GkvEngine *self);

/* Adds the engine's counters (name → t, x or d) to a vardict. */
void gkv_engine_add_stats (GkvEngine *self, GVariantBuilder *builder);

G_END_DECLS
