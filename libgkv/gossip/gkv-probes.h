/* GkvProbes: pinging members to learn whether they are alive, directly and through others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-contacts.h"
#include "gkv-updates.h"

G_BEGIN_DECLS

#define GKV_PROBE_PERIOD GKV_SECOND

typedef struct _GkvProbes GkvProbes;

/* Why it is a member's turn to be probed. */
typedef enum
{
  GKV_TURN_NEIGHBOUR, /* it is one of the next ones on the ring */
  GKV_TURN_FINGER,    /* it is one of those that differences are looked for with */
  GKV_TURN_ANYBODY,   /* by chance; a link is nothing to be opened for that */
} GkvTurn;

typedef struct
{
  /* Whose turn is next, and why; NULL: there is nobody. */
  GkvMember *(*next) (GkvTurn *turn, gpointer data);
  /* It is its turn. */
  void (*begins) (GkvMember *member, gpointer data);
  /* @member was sent something in the turn of a finger, and more may be said in the same datagram. */
  void (*pinged) (GkvMember *member, gpointer data);
  /* It has replied to a single ping, and then the round trip is known. */
  void (*replied) (GkvMember *member, gint64 round_trip_us, gpointer data);
  /* It has replied at its address to a question of this node, without a link. */
  void (*answered) (GkvMember *member, gpointer data);
  /* It has replied through others to a question of this node. */
  void (*relayed) (GkvMember *member, gpointer data);
  /* It has replied to nothing. */
  void (*failed) (GkvMember *member, gpointer data);
  /* The turn of one that is dead. */
  void (*remembers) (GkvMember *member, gpointer data);
} GkvProbesListener;

GkvProbes *gkv_probes_new (GkvRuntime *runtime,
                           GkvLinks *links,
                           GkvContacts *contacts,
                           GkvMembers *members,
                           GkvRoster *roster,
                           GkvUpdates *updates,
                           const GkvProbesListener *listener,
                           gpointer data);
void gkv_probes_free (GkvProbes *self);
void gkv_probes_tick (GkvProbes *self);
void gkv_probes_handle (GkvProbes *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

/* Asks at the address of a member that has no link whether it is still there. */
void gkv_probes_ask_at_address (GkvProbes *self, GkvMember *member);
/* What has come from an address that it doesn't prove. TRUE: it is the reply to a question of this node. */
gboolean gkv_probes_handle_unproved (GkvProbes *self, const char *address, guint64 number, guint32 run);
/* Pings an address without waiting for the reply: any datagram from there is one. */
void gkv_probes_ask (GkvProbes *self, GkvLink *link);
/* Has others ping @member: the one through whom it can be reached, and so many more. */
void gkv_probes_ask_through (GkvProbes *self, GkvMember *member, guint n_helpers);
/* Its reply is no longer waited for. @member: NULL: any. */
void gkv_probes_cancel (GkvProbes *self, const GkvMember *member);
/* It is about to be freed. */
void gkv_probes_forget_member (GkvProbes *self, const GkvMember *member);
/* Questions that were relayed, or are, and have no reply yet. */
guint gkv_probes_get_n_relays (GkvProbes *self);

G_END_DECLS
