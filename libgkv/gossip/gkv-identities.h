/* GkvIdentities: who is at the other end of a link.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-moves.h"

G_BEGIN_DECLS

typedef struct _GkvIdentities GkvIdentities;

typedef struct
{
  /* The node there is new to us, and has been sent some of those that we know. */
  void (*introduced) (GkvLink *link, gpointer data);
  /* It says whether it is synced, and how many records it holds. */
  void (*stated) (GkvLink *link, gboolean synced, guint64 n_records, guint64 wall_s, gpointer data);
} GkvIdentitiesListener;

GkvIdentities *gkv_identities_new (GkvRuntime *runtime,
                                   GkvLinks *links,
                                   GkvContacts *contacts,
                                   GkvMembers *members,
                                   GkvRoster *roster,
                                   GkvUpdates *updates,
                                   GkvProbes *probes,
                                   GkvMembership *membership,
                                   GkvMoves *moves,
                                   const GkvIdentitiesListener *listener,
                                   gpointer data);
void gkv_identities_free (GkvIdentities *self);

void gkv_identities_handle (GkvIdentities *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* All messages of a datagram have been handled. */
void gkv_identities_end_datagram (GkvIdentities *self, GkvLink *link);
/* Announces to all that may know us that we leave. */
void gkv_identities_leave (GkvIdentities *self);

/* Whether it can be reached at the address that it reports. */
void gkv_identities_check_address (GkvIdentities *self, GkvMember *member);
/* What receives at @address sends from that of @link. */
void gkv_identities_note_address (GkvIdentities *self, const char *address, GkvLink *link);
/* Two processes are in one run of a member. */
void gkv_identities_note_copied (GkvIdentities *self, GkvMember *member, GkvLink *one, GkvLink *other);
/* A link has received an IDENT. @past_token: what the node there echoed before; 0: nothing. FALSE: nothing is to be
 * sent there. */
gboolean gkv_identities_identify (GkvIdentities *self,
                                  GkvLink *link,
                                  const char *id,
                                  guint64 generation,
                                  const GkvIncarnation *incarnation,
                                  const char *advertise,
                                  guint64 past_token);
/* It has announced on @link that it leaves. */
void gkv_identities_note_left (
    GkvIdentities *self, GkvLink *link, const char *id, guint64 generation, const GkvIncarnation *incarnation);

G_END_DECLS
