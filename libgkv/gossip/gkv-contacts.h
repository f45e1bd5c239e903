/* GkvContacts: addresses where a peer may be, and greeting them until it replies.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-links.h"

G_BEGIN_DECLS

typedef struct _GkvContacts GkvContacts;

typedef struct
{
  /* Whether a member that is alive is at this link. */
  gboolean (*is_peer) (const GkvLink *link, gpointer data);
  /* Of such a one: whether it is spoken with there, so that what goes wrong is noticed. */
  gboolean (*is_spoken_with) (const GkvLink *link, gpointer data);
  /* The place of the member there; and whether the one at that place is alive, and is at @address. */
  guint64 (*get_place) (const GkvLink *link, gpointer data);
  gboolean (*lives_at) (guint64 place, const char *address, gpointer data);
  /* What receives at @address sends from that of @link. */
  void (*speaks_from) (const char *address, GkvLink *link, gpointer data);
} GkvContactsListener;

GkvContacts *
gkv_contacts_new (GkvRuntime *runtime, GkvLinks *links, const GkvContactsListener *listener, gpointer data);
void gkv_contacts_free (GkvContacts *self);
void gkv_contacts_tick (GkvContacts *self);

void gkv_contacts_add (GkvContacts *self, const char *address, gboolean by_application);
void gkv_contacts_remove (GkvContacts *self, const char *address);
/* Drops the contact, unless it is a seed. */
void gkv_contacts_drop_hearsay (GkvContacts *self, const char *address);
/* A node is there, but what was sent may be lost: it is sent again soon. */
void gkv_contacts_hasten (GkvContacts *self, const char *address);

/* Greets an address once, if there haven't been too many greetings in this second. */
void gkv_contacts_greet (GkvContacts *self, const char *address);

guint gkv_contacts_get_n (GkvContacts *self);
GkvContactState gkv_contacts_describe (GkvContacts *self, const char *address);
/* Whether a peer that is alive replies there, or this very node. */
gboolean gkv_contacts_is_reached (GkvContacts *self, const char *address);
/* Whether the application, or discovery, has named this address. */
gboolean gkv_contacts_is_named (GkvContacts *self, const char *address);
/* Whether there is a seed where no peer has replied. */
gboolean gkv_contacts_have_unreached (GkvContacts *self);

/* A datagram has come from an address that it doesn't prove. FALSE: it was sent by this very node. */
gboolean gkv_contacts_handle_unproved (GkvContacts *self, const char *address, guint64 echo, guint64 token);

/* Whether what receives at @address has been seen to send from that of @link. */
gboolean gkv_contacts_speaks_from (GkvContacts *self, const char *address, const GkvLink *link);

/* Where this node has met itself lately. */
void gkv_contacts_add_own (GkvContacts *self, const char *address);
void gkv_contacts_remove_own (GkvContacts *self, const char *address);
/* It may have another address than before. */
void gkv_contacts_forget_own (GkvContacts *self);
gboolean gkv_contacts_is_own (GkvContacts *self, const char *address);
guint gkv_contacts_get_n_own (GkvContacts *self);

/* The node there can't be a peer. FALSE: that was reported already. */
gboolean gkv_contacts_note (GkvContacts *self, const char *address, GkvContactState state);
void gkv_contacts_note_other_version (GkvContacts *self, const char *address, guint version);
void gkv_contacts_note_other_cluster (GkvContacts *self, const char *address);
/* A node of another cluster has sent something; with a @token (0: none) it is refused. */
void gkv_contacts_handle_other_cluster (GkvContacts *self, const char *address, const guint8 *header, guint64 token);

G_END_DECLS
