/* What an engine takes and gives out: time, datagrams, events.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-peer-state.h"
#include "gkv-profiles.h"
#include "../store/gkv-store.h"

G_BEGIN_DECLS

/* All are handed in, in microseconds: @mono since any fixed point, never going back, standing still while the machine
 * is suspended; @wall since 1970, which may step; @boot as @mono, but running on while the machine is suspended. */
typedef struct
{
  gint64 mono;
  gint64 wall;
  gint64 boot;
} GkvTime;

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

/* Called for a change at once. @replaced was visible before (nullable). */
typedef void (*GkvChangedFunc) (GkvRecord *record, GkvRecord *replaced, gpointer data);

/* How far a flush has come. */
typedef struct
{
  guint n_confirmed; /* peers that are alive and hold all that was written here before */
  guint n_wanted;    /* how many have to; 0: all, and there is none yet, or any more */
  guint n_refused;   /* of those that haven't confirmed: their clocks refuse what comes from here */
  gboolean failed;   /* so many refuse it that it can't be done as things are */
  gboolean done;     /* once TRUE it stays so */
} GkvFlushState;

void gkv_peer_info_free (GkvPeerInfo *info);
void gkv_datagram_clear (GkvDatagram *datagram);
void gkv_event_clear (GkvEvent *event);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GkvDatagram, gkv_datagram_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GkvEvent, gkv_event_clear)

G_END_DECLS
