/* GkvProbes: pinging members to learn whether they are alive.
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
  /* It is its turn. */
  void (*begins) (GkvMember *member, gpointer data);
  /* It was pinged, and more may be said in the same datagram. */
  void (*pinged) (GkvMember *member, gpointer data);
  /* It has replied to a single ping, and then the round trip is known; or to none. */
  void (*replied) (GkvMember *member, gint64 round_trip_us, gpointer data);
  void (*failed) (GkvMember *member, gpointer data);
} GkvProbesListener;

GkvProbes *gkv_probes_new (GkvRuntime *runtime,
                           GkvLinks *links,
                           GkvContacts *contacts,
                           GkvMembers *members,
                           GkvUpdates *updates,
                           const GkvProbesListener *listener,
                           gpointer data);
void gkv_probes_free (GkvProbes *self);
void gkv_probes_tick (GkvProbes *self);
void gkv_probes_handle (GkvProbes *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

/* Pings an address without waiting for the reply: any datagram from there is one. */
void gkv_probes_ask (GkvProbes *self, GkvLink *link);
/* Its reply is no longer waited for. @member: NULL: any. */
void gkv_probes_cancel (GkvProbes *self, const GkvMember *member);
/* Pings sent for others. */
guint gkv_probes_get_n_relays (GkvProbes *self);

G_END_DECLS
