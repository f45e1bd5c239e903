/* SimCluster: nodes made of the real store and the real engine, on a simulated network.
 *
 * A node does what GkvNode does: it draws a stamp, puts the record, pushes it, ticks and drains; only the clock, the
 * socket and the main loop are those of the simulation.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

#include "gossip/gkv-engine.h"
#include "sim-clocks.h"
#include "sim-network.h"

G_BEGIN_DECLS

typedef struct _SimCluster SimCluster;
typedef struct _SimNode SimNode;
typedef struct _SimLies SimLies;
typedef struct _SimWatch SimWatch;

typedef enum
{
  SIM_NODE_DOWN,
  SIM_NODE_UP,
  SIM_NODE_STALLED,   /* the process stands still; what comes in waits in a bounded buffer */
  SIM_NODE_SUSPENDED, /* the machine does, and what comes in is lost */
} SimNodeState;

/* What its owner has chosen for a node. 0: as the cluster has it, or else the usual. */
typedef struct
{
  guint gossip_interval_ms;
  guint max_datagram_size;
  gint64 tombstone_life_ms;
  gint64 forget_dead_ms;
  guint max_tombstones;
  guint max_removals;
  gboolean hides_address; /* others have to use the address that they see */
  gboolean is_later;      /* it is of a later minor version; see sim-later */
  guint interface;        /* its number, of a host that has only a link-local address; 0: it has another one */
  gint64 cpu_time;        /* µs that it takes for a datagram */
  guint lies;             /* of 1,000 messages that it sends so many are altered; see sim-lies */
} SimNodeOptions;

/* How a machine comes back from being suspended. */
typedef struct
{
  gboolean pause;       /* it doesn't know that it was: a virtual machine that was stopped */
  gboolean wall_behind; /* its wall clock stood still */
  gint64 right_after;   /* µs until that is right again; 0: never */
} SimWaking;

#define SIM_MAX_ERROR_CODES 32

struct _SimNode
{
  SimCluster *cluster;
  guint index;
  char *id;
  char *address; /* where it is, or was */
  char *name;    /* of its cluster */
  GPtrArray *seeds;
  guint side;
  SimNodeOptions options;
  SimNodeState state;
  guint n_starts;
  gint64 started_at;

  GkvStore *store;
  guint memory; /* rises with each store that it begins anew */
  GkvEngine *engine;
  SimClocks clocks;
  SimLies *lies; /* NULL: it is honest */
  gint64 suspended_at;

  gint64 deadline;  /* the engine's */
  gint64 timer_at;  /* the timer that counts; others are stale */
  GQueue inbox;     /* of a node that is stalled or slow */
  gboolean working; /* on what is in there */
  gint64 busy_at;
  guint n_busy; /* ticks at one instant */

  GHashTable *peers;  /* id → GkvPeerState + 1: as the events have it */
  GHashTable *mirror; /* key → GkvRecord: the map as an application has it that follows the events; NULL: not kept */

  gint64 lags_from;    /* see sim-lag: what came before counts from then on */
  GHashTable *lags;    /* key → gint64, the longest so far */
  guint64 bytes_taken; /* of keys and content, from others */

  SimTraffic sent;
  gboolean confirmed; /* look at the flushes */
  guint64 n_received;
  guint64 n_ticks;
  guint64 n_changed;
  guint n_peers_added;
  guint n_peers_removed;
  guint n_peers_suspected;
  guint n_peers_died;
  guint n_errors[SIM_MAX_ERROR_CODES];
  char *last_error;
};

struct _SimCluster
{
  SimNetwork *network;
  GPtrArray *nodes; /* SimNode, owned */
  GkvHashKey hash_key;
  GkvProfiles *profiles; /* what each node has of each other one is there once */
  guint gossip_interval_ms;
  gint64 tombstone_life_ms; /* 0: the usual */
  guint suspect_questions;  /* 0: the usual */
  gint64 forget_dead_ms;    /* 0: as the tombstones */
  guint max_tombstones;     /* 0: the usual */
  gint64 parted_at;         /* since when the sides have not spoken; 0: they do */
  gboolean mirrors;         /* nodes that start keep one */
  gboolean verbose;
  guint n_addresses;
  guint max_invented;    /* members that are not there, and that a liar may make others believe in */
  GHashTable *ledger;    /* see sim-check */
  SimWatch *watch;       /* see sim-watch; NULL: nobody looks while the run goes on */
  guint n_state_changes; /* of nodes */
  guint64 n_writes;
  guint64 bytes_written; /* of content */
  GString *complaints;
  guint n_complaints;
};

SimCluster *sim_cluster_new (guint64 seed);
void sim_cluster_free (SimCluster *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimCluster, sim_cluster_free)

/* A node that is down yet; @id NULL: one is made up. */
SimNode *sim_cluster_add (SimCluster *self, const char *id);
/* Adds and starts @n nodes, each with the one before as its seed. */
void sim_cluster_add_chain (SimCluster *self, guint n);
SimNode *sim_cluster_get (SimCluster *self, guint index);
char *sim_cluster_make_address (SimCluster *self);
/* Something that is promised was not kept. */
void sim_cluster_complain (SimCluster *self, const char *format, ...) G_GNUC_PRINTF (2, 3);
void sim_cluster_log (SimCluster *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

void sim_node_add_seed (SimNode *self, const char *address);
/* The node has a map now, which can be written to before it is started. */
void sim_node_open (SimNode *self);
/* A new life at its address, with what the store holds. */
void sim_node_start (SimNode *self);
/* The process ends without a word. */
void sim_node_crash (SimNode *self, gboolean keep_store);
void sim_node_leave (SimNode *self);
void sim_node_move (SimNode *self, const char *address);
void sim_node_stall (SimNode *self);
void sim_node_resume (SimNode *self);
void sim_node_suspend (SimNode *self);
void sim_node_wake (SimNode *self, const SimWaking *waking);
/* The address of a node that is up changes. @told: it knows. Else something on the way has changed it. */
void sim_node_rebind (SimNode *self, const char *address, gboolean told);
/* From now on it has only a link-local address, on an interface with that number. To be called before seeds are given.
 */
void sim_node_set_interface (SimNode *self, guint interface);
/* What @self calls the address of @other. */
char *sim_node_find_address (SimNode *self, SimNode *other);
/* Its wall clock is @offset µs off from now on. */
void sim_node_set_wall (SimNode *self, gint64 offset);

/* Does what is due. */
void sim_node_turn (SimNode *self);

GkvTime sim_node_get_time (SimNode *self);
/* What it holds of the peer with @id: a GkvPeerState, or -1. */
int sim_node_get_peer_state (SimNode *self, const char *id);
/* The only node with @id, or NULL. */
SimNode *sim_cluster_find (SimCluster *self, const char *id);
/* @ttl_ms: 0 for none. */
void
sim_node_put (SimNode *self, const char *key, gconstpointer content, gsize len, guint ttl_ms, GkvRecordFlags flags);
void sim_node_put_string (SimNode *self, const char *key, const char *value);
void sim_node_delete (SimNode *self, const char *key);
/* What an application sees: borrowed, or NULL. */
GkvRecord *sim_node_get (SimNode *self, const char *key);
/* Whether the node shows @value for @key; NULL: shows nothing. */
gboolean sim_node_shows (SimNode *self, const char *key, const char *value);
guint64 sim_node_get_stat (SimNode *self, const char *name);

G_END_DECLS
