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

typedef struct
{
  /* Whose turn is next; NULL: there is nobody. @is_finger: whether it is one of those that differences are looked for
   * with. */
  GkvMember *(*next) (gboolean *is_finger, gpointer data);
  /* It is its turn. */
  void (*begins) (GkvMember *member, gpointer data);
  /* @member was sent something in the turn of a finger, and more may be said in the same datagram. */
  void (*pinged) (GkvMember *member, gpointer data);
  /* It has replied to a single ping, and then the round trip is known. */
  void (*replied) (GkvMember *member, gint64 round_trip_us, gpointer data);
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
