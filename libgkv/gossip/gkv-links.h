/* GkvLinks: the addresses that a node sends to, the proof that the node there receives what is sent there, and the
 * packing of messages into datagrams.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-runtime.h"

G_BEGIN_DECLS

/* An IDENT is sent again when this has passed without the other knowing us. */
#define GKV_IDENT_PERIOD (200 * GKV_MS)

#define GKV_IDENT_FLAG_ANSWER  1
#define GKV_IDENT_FLAG_LEAVING 2
#define GKV_IDENT_FLAG_SYNCED  4
#define GKV_IDENT_FLAG_MOVED   8 /* you are seen at another address than before */

typedef struct _GkvLinks GkvLinks;

/* An address that datagrams are sent to. */
typedef struct
{
  char *address;
  guint64 hash;        /* of the address (gkv_runtime_hash_text) */
  guint64 their_token; /* what to echo; 0: not known */
  guint64 past_token;  /* the one before it; 0: none */
  gint64 reproved;     /* when it was last shown again where this node sends from; 0: never */
  guint64 our_token;   /* what it echoes, in the epoch below; 0: not computed yet */
  gint64 our_epoch;
  gint64 given_epoch; /* the one of the token that the node there was given last */
  gboolean proved;    /* it has echoed ours */
  gint64 last_received;
  gint64 last_ident;  /* when an IDENT was sent; 0: not yet */
  gint64 quiet_until; /* another node with its id, or ours, is there */
  guint most;         /* bytes that both sides carry */
  guint max_datagram; /* that it is sent at once: no more than that, and than arrives there */
  GByteArray *out;    /* messages for the datagram that is being filled; NULL: none */

  /* While it is being opened */
  gint64 opened;      /* since when; 0: it isn't */
  gint64 greeted;     /* when the node there was greeted last */
  guint64 greeting;   /* the token that it got */
  guint64 place;      /* of the member for which it is; 0: for none */
  GPtrArray *waiting; /* GByteArray: datagrams that are sent as soon as it replies; NULL: none */

  /* Whether what is larger than usual arrives */
  guint16 size_number; /* of the last question */
  guint n_sizes;       /* questions without a reply */
  gint64 size_due;     /* when there may be another one */

  /* The membership's */
  gint64 same_until;         /* the node there was found to be the very same that its member's link leads to */
  struct _GkvMember *member; /* the node there; NULL: not known */
  guint64 generation;        /* its generation */
  gint64 contested_since;    /* when it first spoke in another run than the member's; 0: it doesn't */
  gboolean introduced;       /* that generation received the members that we know */

  /* What repair keeps of it (gkv-conversation). */
  gpointer of_repair;
} GkvLink;

/* What the layers above learn from links, and are asked. */
typedef struct
{
  void (*added) (GkvLink *link, gpointer data);
  /* It is about to be freed. */
  void (*removed) (GkvLink *link, gpointer data);
  /* Whether it has to be kept although nothing comes from there. */
  gboolean (*is_in_use) (const GkvLink *link, gpointer data);
  /* It was opened in vain. */
  void (*unreached) (GkvLink *link, gpointer data);

  /* A datagram from a proved address: its beginning, each of its messages, and its end. */
  void (*begins) (GkvLink *link, gpointer data);
  void (*received) (GkvLink *link, GkvMessageKind kind, GkvReader *body, gpointer data);
  void (*ended) (GkvLink *link, gpointer data);

  /* A datagram from an address that it doesn't prove: the token that it echoes, the one that it has (0: none), and the
   * low half of its sender's generation (0: it doesn't say). FALSE: there is to be no reply. */
  gboolean (*unproved) (const char *address, guint64 echo, guint64 token, guint32 run, gpointer data);

  /* The node there speaks another version of the protocol. */
  void (*other_version) (const char *address, guint version, gpointer data);
  /* One of another cluster has sent something that begins with @header. @token: for a reply; 0: it asks for none. */
  void (*other_cluster) (const char *address, const guint8 *header, guint64 token, gpointer data);
  /* One of another cluster has refused what we sent. */
  void (*refused) (const char *address, gpointer data);
} GkvLinksListener;

GkvLinks *gkv_links_new (GkvRuntime *runtime, const GkvLinksListener *listener, gpointer data);
void gkv_links_free (GkvLinks *self);

/* Something has come from a transport. */
void gkv_links_receive (GkvLinks *self, const char *address, gconstpointer data, gsize len);
/* FALSE: nothing there. */
gboolean gkv_links_pop_datagram (GkvLinks *self, GkvDatagram *datagram);
void gkv_links_flush (GkvLinks *self);
void gkv_links_tick (GkvLinks *self);

GkvLink *gkv_links_lookup (GkvLinks *self, const char *address);
guint gkv_links_get_n (GkvLinks *self);
void gkv_links_init_iter (GkvLinks *self, GHashTableIter *iter);
gboolean gkv_link_is_usable (const GkvLink *link);

/* The link to an address, which is opened where there is none: what is sent on it waits until the node there has
 * replied, or is lost. Nobody may keep a link that isn't usable. @place: of the member that should be there; 0: any.
 * NULL: too many are being opened. */
GkvLink *gkv_links_open (GkvLinks *self, const char *address, guint64 place);
guint gkv_links_get_n_opening (GkvLinks *self);

/* The body of the next message to a link: write to it, then call gkv_links_send (). */
GByteArray *gkv_links_begin_message (GkvLinks *self);
void gkv_links_send (GkvLinks *self, GkvLink *link, GkvMessageKind kind);
/* Sends a record when it fits a datagram, or else that it is there. */
void gkv_links_send_record (GkvLinks *self, GkvLink *link, GkvRecord *record, GkvMessageKind kind);
/* The same for one that is lacking there. @away: GKV_AWAY_MAKE (), where this node was away and has held it since
 * before; 0: it wasn't. */
void gkv_links_give_record (GkvLinks *self, GkvLink *link, GkvRecord *record, guint64 away);
/* Bytes that the body of a single message to a link may have. It may change from one turn to the next. */
gsize gkv_links_get_max_body (GkvLinks *self, const GkvLink *link);
/* So many bytes the node there takes at once, as it says itself; 0: it doesn't say. */
void gkv_links_set_wanted (GkvLinks *self, GkvLink *link, guint64 bytes);
/* The replies to one datagram have a limited number of bytes. FALSE: no more of them; the peer will query again. */
gboolean gkv_links_spend (GkvLinks *self, gsize cost);
/* What comes next begins a datagram. */
void gkv_links_end_datagram (GkvLinks *self, GkvLink *link);
/* As that, unless so many bytes of messages have room in the one that is being filled. */
void gkv_links_make_room (GkvLinks *self, GkvLink *link, gsize size);

/* Sends a token, also to an address that isn't proved: 26 bytes. */
void gkv_links_send_token (GkvLinks *self, const char *address, guint64 echo);
/* Asks whether somebody is there, and in which generation, without a link: whoever replies echoes @number. 30 bytes. */
void gkv_links_send_question (GkvLinks *self, const char *address, guint64 number);
/* The reply to a node of another cluster. It reveals nothing but that somebody is there, and proves by their token that
 * it isn't forged. */
void gkv_links_send_refusal (GkvLinks *self, const char *address, const guint8 *header, guint64 token);
/* Sends an IDENT, with our token: for a peer that has lost it, and as it changes with the epoch. */
void gkv_links_send_ident (GkvLinks *self, GkvLink *link, guint8 flags);
/* Has an IDENT be sent to all soon. */
void gkv_links_renew_idents (GkvLinks *self);
/* Whether @token is one that the node at a link may echo: only what receives there knows it. */
gboolean gkv_links_is_token (GkvLinks *self, const GkvLink *link, guint64 token);
/* A message of the kind TOKEN has come. */
void gkv_links_handle_token (GkvLink *link, GkvReader *reader);

/* For those who begin in the middle of things, such as benches: what an address would be given, and a new link as it is
 * when both sides have proved themselves. */
guint64 gkv_links_get_token (GkvLinks *self, const char *address);
GkvLink *gkv_links_trust (GkvLinks *self, const char *address, guint64 their_token);

G_END_DECLS
