/* What the files of the engine share: its state, and the functions that they call of each other.
 *
 *   gkv-events      the events that the owner receives
 *   gkv-links       proved addresses, and sending datagrams there
 *   gkv-contacts    addresses where a peer may be: greeting them
 *   gkv-members     the membership: which nodes are alive, as far as is known
 *   gkv-news        membership updates, which are piggybacked
 *   gkv-probes      probing members, directly and through others
 *   gkv-ring        the order in which rumours are passed on
 *   gkv-rumours     dissemination: new records are sent on at once
 *   gkv-exchange    anti-entropy: finding what differs from one peer, range by range,
 *   gkv-sketches    or all at once, where that is little;
 *   gkv-offers      and giving what the other lacks
 *   gkv-flushes     which peers hold what was written here
 *   gkv-transfer    getting what was found to be missing
 *   gkv-pieces      getting a record that doesn't fit a datagram
 *   gkv-horizons    garbage collection of tombstones
 *   gkv-ephemerals  records that end with their owners
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-engine.h"
#include "gkv-fifo.h"
#include "gkv-wire.h"

#include "../store/gkv-deadlines.h"

G_BEGIN_DECLS

#define GKV_MS     G_GINT64_CONSTANT (1000)
#define GKV_SECOND (1000 * GKV_MS)

/* An IDENT is sent again when this has passed without the other knowing us. */
#define GKV_IDENT_PERIOD (200 * GKV_MS)

/* A node that finds nobody in this time is alone. */
#define GKV_ALONE_AFTER (3 * GKV_SECOND)

/* A membership update is piggybacked so often at the most: for 16,384 members and more. */
#define GKV_MAX_RETRANSMITS 48

typedef struct _GkvContact GkvContact;
typedef struct _GkvEphemerals GkvEphemerals;
typedef struct _GkvEvents GkvEvents;
typedef struct _GkvExchange GkvExchange;
typedef struct _GkvHorizons GkvHorizons;
typedef struct _GkvLink GkvLink;
typedef struct _GkvMember GkvMember;
typedef struct _GkvTransfer GkvTransfer;

/* A part of the ring: the places after @from, up to and including @to. */
typedef struct
{
  guint64 from;
  guint64 to;
} GkvArc;

/* A member, and the arc behind it that it has to pass rumours on to. */
typedef struct
{
  GkvMember *member;
  GkvArc arc;
} GkvShare;

/* What an exchange found that the other side lacks of ours. */
typedef struct
{
  guint64 flush_ticket; /* the newest flush when it began, */
  guint64 n_written;    /* and how many writes there had been */
  GArray *records;      /* GkvGivenRecord; NULL: none */
  gboolean many;        /* more than are listed */
} GkvGiven;

/* An address that datagrams are sent to. */
struct _GkvLink
{
  char *address;
  guint64 their_token; /* what to echo; 0: not known */
  guint64 our_token;   /* what it echoes, in the epoch below; 0: not computed yet */
  gint64 our_epoch;
  gboolean proved; /* it has echoed ours */
  gint64 last_heard;
  gint64 last_ident;   /* when an IDENT was sent; 0: not yet */
  GkvMember *member;   /* the node there; NULL: not known */
  guint64 life;        /* its generation */
  gboolean introduced; /* that generation received the members that we know */

  GByteArray *out; /* messages for the datagram that is being filled; NULL: none */

  GkvExchange *exchange;  /* NULL: none under way */
  GkvTransfer *transfer;  /* NULL: nothing to get */
  guint n_assemblies;     /* of pieces that come from here */
  gint64 stirred;         /* when a query or a record came last; 0: never */
  gint64 unmatched_asked; /* when it was queried last because this node wasn't synced */
  gboolean incomplete;    /* since the last exchange began, something wasn't got that is there */

  /* The last exchange that ended here: both sides' digests when it began, and how often it began with just these. */
  guint64 ended_mine;
  guint64 ended_theirs;
  guint n_repeats;
  gint64 differed_since; /* the first of these */
  gint64 pieces_sent;    /* when the other was getting a record in pieces */
  gint64 full_interval;  /* between full exchanges; 0: there was none since both agreed */
  gint64 full_due;

  gint64 quiet_until; /* another node with its id, or ours, is there */
};

/* Another node. */
struct _GkvMember
{
  char *id;
  guint64 life;
  guint32 incarnation;
  GkvPeerState status;
  char *address;     /* where it reports itself, or where it was seen; NULL: not known yet */
  GkvLink *link;     /* where datagrams are sent to it; NULL: nowhere yet */
  gboolean hidden;   /* its removal was reported to the application */
  guint64 place;     /* on the ring */
  guint n_delegated; /* datagrams of rumours that it hasn't acknowledged */

  gint64 life_since;
  gint64 status_since;
  gint64 last_seen;
  gint64 last_seen_wall;
  gint64 last_told; /* when a report of its death was sent to it */
  gint64 ask_due;   /* while it is suspected: when it is probed again */
  gint64 last_duplicate;
  gint64 round_trip_us;
  guint n_gossip; /* how often its update is still to be piggybacked */
  GList news;     /* its place among those of which there are so many */
  gint64 news_since;
  gboolean matched;    /* an exchange with this generation of it has ended with nothing left to fetch */
  guint n_checks;      /* exchanges that were repeated at once to see whether all is the same now */
  guint64 confirmed;   /* the newest flush ticket that it has confirmed */
  GkvGiven owed;       /* what it is still to be found to hold before it confirms another one */
  guint64 live_ticket; /* the newest one when it was met, or came back */
  gboolean refuses;    /* its clock refuses something of ours; until it confirms */
  GkvStamp horizon;    /* below it this generation has collected tombstones */
  gboolean clock_reported;

  /* The address that it reports, where that isn't the one that it sends from */
  char *unreached;       /* it has not replied there, so that the link's address is used; NULL: none */
  gboolean address_good; /* it has replied there */
  gint64 address_asked;  /* since when it is greeted there; 0: it isn't */
};

typedef struct
{
  guint64 datagrams_sent, datagrams_received, datagrams_refused, bytes_sent, bytes_received;
  guint64 rumours_sent, rumours_received, rumours_dropped, rumours_new, rumours_given_up;
  guint64 records_sent, records_received, records_taken, records_refused, records_too_new;
  guint64 records_dropped, records_doubted, tombstones_collected;
  guint64 exchanges, exchanges_repeated, exchanges_full, pages, probes, probes_failed, greetings;
} GkvCounters;

struct _GkvEngine
{
  /* This node */
  char *id;
  char *cluster;
  gboolean (*is_confined) (const char *address); /* nullable */
  guint64 life;
  guint64 past_life; /* the generation before it had to be raised; 0: none */
  guint32 incarnation;
  char *advertise;
  guint64 cluster_hash;
  GkvHashKey secret;
  gint64 gossip_interval;
  guint max_datagram;
  GRand *rand;

  /* Its records; borrowed */
  GkvStore *store;
  GkvClock *clock;
  void (*changed) (GkvRecord *record, GkvRecord *replaced, gpointer data); /* NULL: changes are events */
  gpointer changed_data;
  void (*store_lock) (gpointer data); /* nullable */
  void (*store_unlock) (gpointer data);
  gpointer store_lock_data;
  guint work;             /* since it was locked */
  GkvWriter *last_writer; /* of the record read last; NULL: none yet */

  GkvTime now;
  gint64 wake; /* nothing is due before */

  /* What comes out */
  GkvFifo datagrams; /* GkvDatagram */
  GkvEvents *events;

  /* gkv-links */
  GHashTable *links;         /* address → GkvLink, owned */
  GHashTable *own_addresses; /* where we have met ourselves */
  GPtrArray *filling;        /* links with a datagram begun */
  gint64 links_swept;        /* when idle ones were looked for */
  GHashTable *reports;       /* errors reported lately → when */
  GByteArray *scratch;
  gsize answer_left; /* of what the datagram that is being read may cost */

  /* gkv-contacts */
  GHashTable *contacts;       /* address → GkvContact, owned */
  GkvDeadlines *contacts_due; /* GkvContact: when it is looked at again */
  gint64 greetings_at;        /* the second that n_greetings and n_refusals count */
  guint n_greetings;
  guint n_refusals; /* of nodes of other clusters */

  /* gkv-members */
  GHashTable *members; /* id → GkvMember, owned */
  guint n_alive;       /* members alive or suspect */
  guint n_suspect;
  gint64 suspects_due;
  gint64 forget_due;
  gint64 forget_dead; /* after so long */
  gboolean leaving;

  /* gkv-news */
  guint n_gossip;                       /* how often the update about this node is still to be piggybacked */
  GQueue news[GKV_MAX_RETRANSMITS + 1]; /* GkvMember by n_gossip */

  /* gkv-probes */
  GPtrArray *probe_order;
  guint probe_next;
  gint64 probe_due;
  struct
  {
    GkvMember *member; /* NULL: none under way */
    guint16 sequence;
    gint64 sent;
    gint64 repeat_at;
    gint64 indirect_at;
    gint64 ends;
    gboolean indirect;
    gboolean repeated;
  } probe;
  guint16 next_sequence;
  GQueue relays; /* pings sent for others */

  /* gkv-ring */
  GPtrArray *ring;
  guint64 place;
  gboolean ring_stale;

  /* gkv-rumours */
  GQueue rumours;
  GHashTable *rumours_by_hash; /* hash* of the key → the newest of them, borrowed */
  GHashTable *delegations;     /* serial → what waits to be acknowledged, owned */
  guint32 next_serial;
  gboolean spreading; /* the datagram being read has said whom its rumours are for: */
  GkvArc arc;

  /* gkv-transfer */
  GPtrArray *transferring; /* links with something to get */
  guint32 next_pull;
  gint64 transfers_due;

  /* gkv-pieces */
  GHashTable *assemblies; /* hash* → records that come in pieces, owned */
  gsize assembly_bytes;

  /* gkv-exchange */
  gint64 gossip_due;
  gboolean hastened;     /* with several peers then, as something is known to be missing */
  GPtrArray *exchanging; /* links with an exchange under way */
  gint64 exchanges_due;
  gint64 unsynced_due; /* while this node isn't synced */

  /* gkv-flushes */
  guint64 flush_ticket;      /* the newest */
  GHashTable *flushes;       /* ticket* → those under way, owned */
  guint64 n_written;         /* writes of this node */
  guint64 n_held;            /* of these, up to where some peer is known to hold each */
  GHashTable *unconfirmed;   /* GkvRecord: those of them that no peer is known to hold */
  gboolean many_unconfirmed; /* too many to be in there */

  GkvHorizons *horizons;
  GkvEphemerals *ephemerals;

  /* synced */
  gboolean synced;
  gint64 started;
  guint n_unresolved;

  GkvCounters counters;
};

/* What work costs: about a sixteenth of a microsecond. */
#define GKV_COST_MEMBER 1
#define GKV_COST_RECORD 16

/* gkv-engine: time, events and applying records */
/* Lets others get at the store when it was locked for long enough, after work of some @cost. Nothing that was borrowed
 * from the store is good any more after it, not even by its flags: that is why no function calls it that a walk of the
 * store calls back. */
void gkv_engine_breathe (GkvEngine *self, guint cost);
/* For what takes long and doesn't look at the store. */
void gkv_engine_lock_store (GkvEngine *self);
void gkv_engine_unlock_store (GkvEngine *self);
void gkv_engine_wake_at (GkvEngine *self, gint64 mono);
void gkv_engine_report (GkvEngine *self, GkvLink *about, int code, const char *format, ...) G_GNUC_PRINTF (4, 5);
/* @record is in the store no more, without a tombstone; takes @replaced, which was visible. */
void gkv_engine_add_removed_event (GkvEngine *self, GkvRecord *record, GkvRecord *replaced);
/* NULL when it isn't a valid record. */
GkvRecord *gkv_engine_read_record (GkvEngine *self, GkvReader *reader, gint64 *left_ms);
/* TRUE when it was new. @from: who sent it. */
gboolean gkv_engine_apply (GkvEngine *self, GkvLink *from, GkvRecord *record, gint64 left_ms);
/* Takes a new generation without a new start. The ephemeral records of this node are rewritten, a few at a time. */
void gkv_engine_take_life (GkvEngine *self, guint64 life);
/* Writes an ephemeral record of ours anew, as it was marked dead elsewhere, or our generation has changed. */
void gkv_engine_write_again (GkvEngine *self, GkvRecord *lost);
/* Puts the record with its dead mark in the place of @record, and disseminates it. */
void gkv_engine_mark_dead (GkvEngine *self, GkvRecord *record);
/* A peer's clock is far from ours. */
void gkv_engine_handle_clock (GkvEngine *self, GkvLink *link, GkvReader *reader);
/* Takes away what is visible in the place of a quarantined record. */
void gkv_engine_hide (GkvEngine *self, GkvRecord *visible);
void gkv_engine_consider_synced (GkvEngine *self);
void gkv_engine_set_synced (GkvEngine *self);
/* The remaining lifetime of a record in ms, -1 for none. */
gint64 gkv_engine_get_left_ms (GkvEngine *self, GkvRecord *record);
guint32 gkv_engine_random (GkvEngine *self, guint32 below);

/* gkv-events */
guint gkv_events_get_length (GkvEngine *self);
void gkv_events_init (GkvEngine *self);
void gkv_events_clear (GkvEngine *self);
/* Takes @replaced (nullable), what was visible of the key before. */
void gkv_events_add_changed (GkvEngine *self, GkvRecord *record, GkvRecord *replaced);
void gkv_events_add_peer (GkvEngine *self, GkvEventKind kind, const GkvMember *member);
void gkv_events_add_error (GkvEngine *self, int code, const char *message);
void gkv_events_add_synced (GkvEngine *self);
void gkv_events_add_confirmed (GkvEngine *self);

/* gkv-links */
void gkv_links_init (GkvEngine *self);
void gkv_links_clear (GkvEngine *self);
void gkv_links_flush (GkvEngine *self);
/* What comes next begins a datagram. */
void gkv_links_end_datagram (GkvEngine *self, GkvLink *link);
/* As that, unless so many bytes of messages have room in the one that is being filled. */
void gkv_links_make_room (GkvEngine *self, GkvLink *link, gsize size);
GkvLink *gkv_links_lookup (GkvEngine *self, const char *address);
/* Sends a token, also to an address that isn't proved: 26 bytes. */
void gkv_links_send_token (GkvEngine *self, const char *address, guint64 echo);
/* Sends an IDENT, with our token: for a peer that has lost it, and as it changes with the epoch. */
void gkv_links_send_ident (GkvEngine *self, GkvLink *link, gboolean answer);
/* Sends to all that may know us that we leave. */
void gkv_links_leave (GkvEngine *self);
/* The body of the next message to a link: write to it, then call gkv_link_send (). */
GByteArray *gkv_engine_begin_message (GkvEngine *self);
void gkv_link_send (GkvEngine *self, GkvLink *link, GkvMessageKind kind);
/* Has an IDENT be sent to all soon. */
void gkv_links_tell_all (GkvEngine *self);
/* Bytes that a single message's body may have. */
gsize gkv_engine_get_max_body (GkvEngine *self);
gboolean gkv_link_is_usable (const GkvLink *link);
/* The replies to one datagram have a limited number of bytes. FALSE: no more of them; the peer will query again. */
gboolean gkv_engine_spend (GkvEngine *self, gsize cost);

/* For those who begin in the middle of things, such as benches: what an address would be given, and a new link as it is
 * when both sides have proved themselves. */
guint64 gkv_links_get_token (GkvEngine *self, const char *address);
GkvLink *gkv_links_trust (GkvEngine *self, const char *address, guint64 their_token);

/* gkv-contacts */
void gkv_contacts_init (GkvEngine *self);
void gkv_contacts_clear (GkvEngine *self);
void gkv_contacts_tick (GkvEngine *self);
void gkv_contacts_add (GkvEngine *self, const char *address, gboolean by_application);
/* A node is there, but what was sent may be lost: it is sent again soon. */
void gkv_contacts_hasten (GkvEngine *self, const char *address);
/* Whether it is a seed. */
gboolean gkv_contacts_is_named (GkvEngine *self, const char *address);
/* The node there can't be a peer. FALSE: that was reported already. */
gboolean gkv_contacts_note (GkvEngine *self, const char *address, GkvContactState state);
/* Whether one more refusal may be sent to nodes of other clusters in this second. */
gboolean gkv_contacts_may_refuse (GkvEngine *self);
/* Whether there is a seed where no peer has replied. */
gboolean gkv_contacts_have_unreached (GkvEngine *self);
/* Drops the contact, unless it is a seed. */
void gkv_contacts_drop_hearsay (GkvEngine *self, const char *address);

/* gkv-members */
void gkv_members_init (GkvEngine *self);
void gkv_members_clear (GkvEngine *self);
void gkv_members_tick (GkvEngine *self);
void gkv_members_heard (GkvEngine *self, GkvLink *link);
/* A link has received an IDENT. FALSE: nothing is to be sent there. */
gboolean gkv_members_identify (
    GkvEngine *self, GkvLink *link, const char *id, guint64 life, guint32 incarnation, const char *advertise);
/* It has sent on @link that it leaves. */
void gkv_members_leave (GkvEngine *self, GkvLink *link, const char *id, guint64 life, guint32 incarnation);
/* The member isn't at that address any more, and nothing is under way with it. It isn't known which node is. */
void gkv_members_forget_link (GkvEngine *self, GkvLink *link);
/* The node there is new, and knows @n_known members that are alive. */
void gkv_members_introduce (GkvEngine *self, GkvLink *link, guint64 n_known);
void gkv_members_handle (GkvEngine *self, GkvLink *link, GkvReader *reader);
/* Whether it can be reached at the address that it reports. */
void gkv_members_check_address (GkvEngine *self, GkvMember *member);
void gkv_members_suspect (GkvEngine *self, GkvMember *member);
void gkv_members_answered (GkvEngine *self, GkvMember *member, gint64 round_trip_us);
gboolean gkv_member_is_live (const GkvMember *member);
/* Members that are alive, with a usable link, in random order, at most @max. (transfer container) */
GPtrArray *gkv_members_pick (GkvEngine *self, guint max, const GkvMember *except);

/* gkv-news */
void gkv_news_init (GkvEngine *self);
/* The state of a member, or of this node, has changed: the next probes piggyback it. */
void gkv_news_spread (GkvEngine *self, GkvMember *member);
void gkv_news_spread_self (GkvEngine *self);
void gkv_news_forget (GkvEngine *self, GkvMember *member);
/* Piggybacks updates on a probe; one about the receiver itself comes first, so that it can refute. */
void gkv_news_add (GkvEngine *self, GkvLink *link);
/* At once. */
void gkv_news_tell (GkvEngine *self, GkvLink *link, const GkvMember *member);
void gkv_news_tell_self (GkvEngine *self, GkvLink *link, GkvPeerState status);
void gkv_news_tell_death (GkvEngine *self, GkvMember *member);
/* Sends some of the members that are alive, in proportion. */
void gkv_news_introduce (GkvEngine *self, GkvLink *link, guint64 n_known);

/* gkv-probes */
void gkv_probes_init (GkvEngine *self);
void gkv_probes_clear (GkvEngine *self);
void gkv_probes_tick (GkvEngine *self);
void gkv_probes_add (GkvEngine *self, GkvMember *member);
void gkv_probes_remove (GkvEngine *self, GkvMember *member);
/* Pings an address without waiting for the reply: any datagram from there is one. */
void gkv_probes_ask (GkvEngine *self, GkvLink *link);
/* Its reply is no longer waited for. */
void gkv_probes_cancel (GkvEngine *self, const GkvMember *member);
void gkv_probes_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

/* gkv-ring */
void gkv_ring_init (GkvEngine *self);
void gkv_ring_clear (GkvEngine *self);
guint64 gkv_ring_get_place (GkvEngine *self, const char *id);
/* The members that are alive and can be reached have changed. */
void gkv_ring_touch (GkvEngine *self);
/* Divides an arc among a few of its members: GkvShare. (transfer full) */
GArray *gkv_ring_divide (GkvEngine *self, GkvArc arc);
/* Whether there is anybody else to pass something on to. */
gboolean gkv_ring_has_members (GkvEngine *self, GkvArc arc);

/* gkv-rumours */
void gkv_rumours_init (GkvEngine *self);
/* To all. */
void gkv_rumours_add (GkvEngine *self, GkvRecord *record);
void gkv_rumours_pass_on (GkvEngine *self, GkvRecord *record, GkvArc arc);
void gkv_rumours_tick (GkvEngine *self);
void gkv_rumours_forget_member (GkvEngine *self, const GkvMember *member);
void gkv_rumours_clear (GkvEngine *self);
void gkv_rumours_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

/* gkv-exchange */
void gkv_exchanges_init (GkvEngine *self);
void gkv_exchanges_clear (GkvEngine *self);
void gkv_exchange_begin (GkvEngine *self, GkvLink *link);
void gkv_exchange_free (GkvEngine *self, GkvLink *link);
void gkv_exchanges_tick (GkvEngine *self);
/* Has exchanges begin soon. */
void gkv_exchanges_hasten (GkvEngine *self);
void gkv_exchange_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* Something that the exchange waited for has been got, or given up: it may have ended. */
void gkv_exchange_consider_end (GkvEngine *self, GkvLink *link);

/* gkv-flushes */
void gkv_flushes_init (GkvEngine *self);
void gkv_flushes_clear (GkvEngine *self);
void gkv_flushes_tick (GkvEngine *self);
/* @record was there before the engine. */
void gkv_flushes_count (GkvEngine *self, const GkvRecord *record);
void gkv_flushes_begin_exchange (GkvEngine *self, GkvGiven *given);
/* The other side was found to lack @record; it holds another one of that key with @their_stamp, or 0. */
void gkv_given_add (GkvGiven *given, const GkvRecord *record, GkvStamp their_stamp);
void gkv_given_clear (GkvGiven *given);
/* An exchange has ended that looked at everything, and takes @given. */
void gkv_flushes_settle (GkvEngine *self, GkvLink *link, GkvGiven *given);
/* Both hold the same. */
void gkv_flushes_agree (GkvEngine *self, GkvLink *link);
/* It has got these, each in one datagram. */
void gkv_flushes_add_write (GkvEngine *self, GkvRecord *record);
void gkv_flushes_acknowledge (GkvEngine *self, GkvMember *member, GPtrArray *records);
/* A member came, came back, or was lost. */
void gkv_flushes_members_changed (GkvEngine *self);

/* gkv-transfer */
void gkv_transfers_init (GkvEngine *self);
void gkv_transfers_clear (GkvEngine *self);
void gkv_transfer_want (GkvEngine *self, GkvLink *link, guint64 hash);
/* Ours was offered: the other sends its own if that is newer, or wants ours. If neither comes, theirs is wanted. */
void gkv_transfer_expect (GkvEngine *self, GkvLink *link, guint64 hash);
/* @empty: nothing of it is held here. */
void gkv_transfer_pull (GkvEngine *self, GkvLink *link, GkvRange range, gboolean empty);
/* Sends a record when it fits a datagram, or else that it is there. */
void gkv_transfer_send_record (GkvEngine *self, GkvLink *link, GkvRecord *record, GkvMessageKind kind);
void gkv_transfer_forget_want (GkvLink *link, guint64 hash);
gboolean gkv_transfer_is_idle (GkvEngine *self, const GkvLink *link);
void gkv_transfer_free (GkvEngine *self, GkvLink *link);
void gkv_transfers_tick (GkvEngine *self);
/* There is room for more. */
void gkv_transfers_hasten (GkvEngine *self);
void gkv_transfer_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

/* gkv-pieces */
void gkv_pieces_init (GkvEngine *self);
void gkv_pieces_clear (GkvEngine *self);
void gkv_pieces_tick (GkvEngine *self);
void gkv_pieces_drop_link (GkvEngine *self, GkvLink *link);
gboolean gkv_pieces_have_room (GkvEngine *self);
/* Pieces of the record of this key have come lately. */
gboolean gkv_pieces_are_coming (GkvEngine *self, guint64 hash);
/* Pieces are to come of a record that others held before: of a rumour that doesn't count. */
gboolean gkv_pieces_are_missing (GkvEngine *self);
void gkv_pieces_handle (GkvEngine *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

/* gkv-ephemerals */
void gkv_ephemerals_init (GkvEngine *self);
void gkv_ephemerals_clear (GkvEngine *self);
void gkv_ephemerals_tick (GkvEngine *self);
/* @record has come into the store. */
void gkv_ephemerals_watch (GkvEngine *self, GkvRecord *record);
/* The record of this key has left the store, and none has taken its place. */
void gkv_ephemerals_forget (GkvEngine *self, guint64 hash);
/* A generation has ended. */
void gkv_ephemerals_hasten (GkvEngine *self);
/* Ephemeral records whose owners are alive. */
guint gkv_ephemerals_get_n (GkvEngine *self);

G_END_DECLS
