/* GkvRuntime: what each part of an engine is given: time, chance, the store, who this node is, and where to report.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-events.h"
#include "gkv-incarnation.h"
#include "gkv-wire.h"

G_BEGIN_DECLS

#define GKV_MS     G_GINT64_CONSTANT (1000)
#define GKV_SECOND (1000 * GKV_MS)

/* A node that finds nobody in this time is alone. */
#define GKV_ALONE_AFTER (3 * GKV_SECOND)

/* What work costs: about a sixteenth of a microsecond. */
#define GKV_COST_MEMBER 1
#define GKV_COST_RECORD 16

typedef struct
{
  guint64 datagrams_sent, datagrams_received, datagrams_refused, bytes_sent, bytes_received;
  guint64 rumours_sent, rumours_received, rumours_dropped, rumours_new, rumours_given_up;
  guint64 records_sent, records_received, records_taken, records_refused, records_too_new;
  guint64 records_doubted, tombstones_collected;
  guint64 exchanges, exchanges_repeated, exchanges_full, pages, probes, probes_failed, greetings;
} GkvCounters;

/* So much of something may be used at once; what is used comes back with time. */
typedef struct
{
  gsize left;
  gint64 at; /* when that was counted */
} GkvBudget;

typedef struct
{
  /* This node */
  char *id;      /* a GRefString */
  guint64 place; /* on the ring: gkv_runtime_hash_id () of it */
  char *cluster;
  guint64 cluster_hash;
  guint64 generation;
  guint64 past_generation; /* the one before it had to be raised; 0: none */
  GkvIncarnation incarnation;
  char *advertise; /* NULL: the address that others see */
  GkvHashKey secret;
  guint max_datagram; /* bytes */
  gboolean leaving;
  gboolean synced;
  gboolean was_synced; /* since it was started */
  guint n_alive;       /* members that are alive or suspected */
  guint32 sum_alive;   /* of what gkv-members has for them */

  GkvTime now;
  gint64 wake; /* nothing is due before */
  GRand *rand;
  GkvEvents *events;
  GkvCounters counters;

  /* Borrowed */
  GkvStore *store;

  /*< private >*/
  void (*store_lock) (gpointer data); /* nullable */
  void (*store_unlock) (gpointer data);
  gpointer store_lock_data;
  guint work;             /* since it was locked */
  GkvWriter *last_writer; /* of the record read last; NULL: none yet */
  GHashTable *reports;    /* errors reported lately → when */
} GkvRuntime;

/* Takes @events; the owner fills in what is this node's. */
GkvRuntime *gkv_runtime_new (GkvStore *store, GkvEvents *events, guint32 random_seed, const GkvTime *now);
void gkv_runtime_free (GkvRuntime *self);
/* Both or none. */
void gkv_runtime_set_store_lock (GkvRuntime *self,
                                 void (*lock) (gpointer data),
                                 void (*unlock) (gpointer data),
                                 gpointer data);

/* Something is due at @mono. */
void gkv_runtime_wake_at (GkvRuntime *self, gint64 mono);
/* The same on the clock of remaining lifetimes. */
void gkv_runtime_wake_at_boot (GkvRuntime *self, gint64 boot);
/* What is left of a budget of @most now, of which @a_second comes back. */
gsize gkv_runtime_refill (GkvRuntime *self, GkvBudget *budget, gsize a_second, gsize most);
guint32 gkv_runtime_random (GkvRuntime *self, guint32 below);
/* Whether it is synced from now on. */
void gkv_runtime_set_synced (GkvRuntime *self, gboolean synced);
/* The same at all nodes of the cluster. */
guint64 gkv_runtime_hash_id (GkvRuntime *self, const char *id);
/* For tables of what comes from elsewhere, ids and addresses: under this node's secret, so that nobody can make many
 * that fall together. Two texts with the same one don't occur. */
guint64 gkv_runtime_hash_text (GkvRuntime *self, const char *text);
/* Reports an error, once in a while: the same code about the same address (nullable) is one thing. */
void gkv_runtime_report (GkvRuntime *self, const char *address, int code, const char *format, ...) G_GNUC_PRINTF (4, 5);
guint gkv_runtime_get_n_reports (GkvRuntime *self);

/* Lets others get at the store when it was locked for long enough, after work of some @cost. Nothing that was borrowed
 * from the store is good any more after it, not even by its flags: that is why no function calls it that a walk of the
 * store calls back. */
void gkv_runtime_breathe (GkvRuntime *self, guint cost);
/* For what takes long and doesn't look at the store. */
void gkv_runtime_lock_store (GkvRuntime *self);
void gkv_runtime_unlock_store (GkvRuntime *self);

/* NULL when it isn't a valid record. */
GkvRecord *gkv_runtime_read_record (GkvRuntime *self, GkvReader *reader, gint64 *left_ms);
/* The remaining lifetime of a record in ms, -1 for none. */
gint64 gkv_runtime_get_left_ms (GkvRuntime *self, GkvRecord *record);
/* The time in ms for which a dead record is still kept, -1 for others. */
gint64 gkv_runtime_get_kept_ms (GkvRuntime *self, GkvRecord *record);

G_END_DECLS
