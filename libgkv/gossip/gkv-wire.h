/* The wire format: what a datagram is made of, and reading and writing it with bounds.
 *
 * A datagram is a header and then messages. All numbers are little-endian. docs/protocol.md has the whole format.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

#include "gkv-incarnation.h"
#include "../store/gkv-store.h"

G_BEGIN_DECLS

/* The header: "GK", the major version, the envelope, a tag of the cluster (4 bytes), and the receiver's token for the
 * sender's address (8 bytes), which proves that the sender receives there. */
#define GKV_WIRE_HEADER_SIZE 16
#define GKV_WIRE_VERSION     1
#define GKV_WIRE_PLAIN       0   /* the envelope; others are for sealed datagrams */
#define GKV_WIRE_UNPROVED    254 /* nothing follows: the token in place of the echo is what the receiver has to echo */
#define GKV_WIRE_REFUSED     255 /* nothing follows: the sender is of another cluster than the tag's */

/* What is echoed in a plain datagram is mixed with a checksum of what follows the header, so that one that was spoilt
 * on its way proves nothing. To be called when it is complete; and the echo of one that has come in, of a whole header
 * at least. 0 stays what it is: nothing is echoed. */
#define GKV_WIRE_ECHO_OFFSET 8
void gkv_wire_seal (GByteArray *datagram);
guint64 gkv_wire_get_echo (gconstpointer datagram, gsize len);

/* Bounds of what comes in. Keys and contents have theirs in the public headers. */
#define GKV_WIRE_MAX_ID      255
#define GKV_WIRE_MAX_CODEC   64
#define GKV_WIRE_MAX_ADDRESS 128 /* as text */
#define GKV_WIRE_MAX_KEY     1024
#define GKV_WIRE_MAX_CONTENT (16 * 1024 * 1024)
#define GKV_WIRE_MAX_FIELDS  G_MAXUINT8

/* A transport may carry more or less at once than is usual, within these bounds. */
#define GKV_WIRE_MIN_DATAGRAM   640
#define GKV_WIRE_USUAL_DATAGRAM 1200
#define GKV_WIRE_MAX_DATAGRAM   65000

/* What a message takes at most beside its body. */
#define GKV_WIRE_MESSAGE_HEAD (1 + 10)

/* A message is its kind, its length as a varint, and its body. A kind that isn't known is skipped. */
typedef enum
{
  /* Identities (gkv-links, gkv-identities) */
  GKV_MESSAGE_TOKEN = 1,     /* token u64: echo this to prove that you receive */
  GKV_MESSAGE_IDENT = 2,     /* generation u64, incarnation varint, cluster u64, flags u8, id string, address,
                                members known varint, their sum u32, bytes taken at once varint, past token u64 (the last
                                three may be missing) */
  GKV_MESSAGE_DUPLICATE = 3, /* address, flags u8: another node that is alive has your id there */
  GKV_MESSAGE_WHO = 5,       /* number u64, past number u64 (0: none): reply to this */
  GKV_MESSAGE_HERE = 6,      /* number u64, whether the past number was the last one before u8 */
  GKV_MESSAGE_CLOCK =
      4, /* minutes varint, id string: so far ahead of my clock is a record of yours, which that node wrote */

  GKV_MESSAGE_SIZE =
      7, /* number u16, reply u8, anything: a datagram as large as this one has come, or is asked about */

  /* Membership (gkv-membership, gkv-probes) */
  GKV_MESSAGE_MEMBERS = 8, /* (status u8, generation u64, incarnation varint, id string, address)… */
  GKV_MESSAGE_PING = 9,    /* sequence u16 */
  GKV_MESSAGE_ACK = 10,    /* sequence u16 */
  GKV_MESSAGE_PROBE = 11,  /* sequence u16, id string: ping that one for me */
  GKV_MESSAGE_LACKING =
      12, /* serial u16, depth u8, part u8, salt u8, sum u32, members known varint, filter: what do I lack? */
  GKV_MESSAGE_LISTING = 13, /* as MEMBERS: what you lack */
  GKV_MESSAGE_LISTED = 14,  /* serial u16, flags u8, sum u32, members known varint: that was all */

  GKV_MESSAGE_RENEW = 15, /* token u64: echo this from now on (gkv-links) */

  /* Dissemination (gkv-rumours) */
  GKV_MESSAGE_RUMOUR = 16, /* a record, to be passed on by those to whom it is new */
  GKV_MESSAGE_SPREAD = 17, /* serial u32, place u64, (from u64, to u64)…: pass on what follows in this datagram, from
                              you up to there, and to all after each from, up to its to */
  GKV_MESSAGE_SPREAD_ACK = 18, /* serial u32 */

  /* Anti-entropy (gkv-answers) */
  GKV_MESSAGE_ASK = 24,       /* range, fingerprint 16: does yours differ? */
  GKV_MESSAGE_SAME = 25,      /* range, flags u8, low part of the sum u32 */
  GKV_MESSAGE_RANGE = 26,     /* range, 16 × fingerprint u64: mine, split */
  GKV_MESSAGE_ITEMS = 27,     /* range, (hash u64, stamp u64, fingerprint u32)…: all that I have there */
  GKV_MESSAGE_OFFER = 28,     /* (hash u64, stamp u64, fingerprint u32)…: what you seem to lack */
  GKV_MESSAGE_INVITE = 29,    /* range: you seem to lack much of it */
  GKV_MESSAGE_SKETCH = 30,    /* range, chunk u8, records varint, 64 × (hash u64, version u32, check u32, count u8) */
  GKV_MESSAGE_ASK_CHUNK = 31, /* chunk u8: more of your sketch */

  /* Transfer (gkv-transfer, gkv-pieces) */
  GKV_MESSAGE_RECORD = 32,  /* a record that was requested */
  GKV_MESSAGE_WANT = 33,    /* (hash u64)… */
  GKV_MESSAGE_PULL = 34,    /* serial u32, range, from u64, bytes u32: a page of records */
  GKV_MESSAGE_PAGE = 35,    /* serial u32, records u32, more u8, next u64: the page has ended */
  GKV_MESSAGE_LARGE = 36,   /* hash u64, fingerprint u64, size u32, lifetime left varint, away varint (may be missing):
                                a record that needs pieces */
  GKV_MESSAGE_GET = 37,     /* hash u64, fingerprint u64, offset u32, bytes u32 */
  GKV_MESSAGE_DATA = 38,    /* hash u64, fingerprint u64, offset u32, the bytes */
  GKV_MESSAGE_NONE = 39,    /* (hash u64)…: what was wanted isn't there any more */
  GKV_MESSAGE_REFUSED = 41, /* (hash u64, version u32)…: of what you hold I don't take that */
  GKV_MESSAGE_OLD_RECORD = 40, /* away varint, kept varint, and a record that was requested */

  /* Removals (gkv-tombstones, gkv-partings, gkv-inheritance) */
  GKV_MESSAGE_FLUSH = 56,   /* gkv-confirmations.h: do you hold all that I have written? */
  GKV_MESSAGE_FLUSHED = 57, /* place u64, generation u64, of who has asked; strays u8; (place u64, generation u64,
                             * ticket varint, written varint, confirmation u8)… */

  GKV_MESSAGE_COLLECTED = 48,  /* (hash u64, fingerprint u64)…: a tombstone that was given here, and is collected */
  GKV_MESSAGE_SILENT = 49,     /* ms varint: so long nothing has come from you */
  GKV_MESSAGE_RECALL = 50,     /* serial u32, seconds varint, from u64, until u64, bytes u32: removals that you
                                   remember, please */
  GKV_MESSAGE_REMEMBERED = 51, /* flags u8, serial u32, from u64, next u64, first u64, end u64, dropped varint, stamp
                                  u64, age varint, (hash 16, stamp u64)… */
} GkvMessageKind;

/* How long the giver of a record was away that has held it since before: twice the seconds, and 1 when it remembers the
 * removals of that time; never 0. */
#define GKV_AWAY_MAKE(seconds, checked) (2 * ((guint64) (seconds) + 1) + ((checked) ? 1 : 0))
#define GKV_AWAY_SECONDS(away)          (MIN ((away) / 2, (guint64) G_MAXUINT32))
#define GKV_AWAY_IS_CHECKED(away)       (((away) &1) != 0)

/* What a message of the kind SPREAD takes, with one arc beside the receiver's own. */
#define GKV_SPREAD_SIZE (1 + 1 + 4 + 8 + 16)

/* Reads with bounds: after the first read beyond the end everything reads as 0 and 'failed' stays TRUE. */
typedef struct
{
  const guint8 *data;
  gsize len;
  gsize pos;
  gboolean failed;
} GkvReader;

void gkv_reader_init (GkvReader *reader, gconstpointer data, gsize len);
gsize gkv_reader_get_left (const GkvReader *reader);
guint8 gkv_reader_u8 (GkvReader *reader);
guint16 gkv_reader_u16 (GkvReader *reader);
guint32 gkv_reader_u32 (GkvReader *reader);
guint64 gkv_reader_u64 (GkvReader *reader);
guint64 gkv_reader_varint (GkvReader *reader);
/* NULL when failed. */
const guint8 *gkv_reader_bytes (GkvReader *reader, gsize len);
/* A varint length and so many bytes of UTF-8 without NUL; fails when longer than @max. Freed by the caller; NULL when
 * failed. */
char *gkv_reader_string (GkvReader *reader, gsize max);
/* An address as the transport has it. A link-local one gets the interface of @teller, the address at which it was heard
 * of: so it is the empty string where that has none. Freed by the caller; NULL when failed. */
char *gkv_reader_address (GkvReader *reader, const char *teller);
GkvRange gkv_reader_range (GkvReader *reader);
GkvFingerprint gkv_reader_fingerprint (GkvReader *reader);
/* A remaining time in ms, -1 for none, as gkv_put_left () writes it. */
gint64 gkv_reader_left (GkvReader *reader);
GkvIncarnation gkv_reader_incarnation (GkvReader *reader);

/* A whole message. */
void gkv_put_message (GByteArray *out, guint8 kind, gconstpointer body, gsize len);
void gkv_put_u8 (GByteArray *out, guint8 value);
void gkv_put_u16 (GByteArray *out, guint16 value);
void gkv_put_u32 (GByteArray *out, guint32 value);
void gkv_put_u64 (GByteArray *out, guint64 value);
void gkv_put_varint (GByteArray *out, guint64 value);
void gkv_put_string (GByteArray *out, const char *string);
/* "a.b.c.d:port" takes 7 bytes, "[v6]:port" 19, whatever its interface, and another text its length and 1 or 2 more. */
void gkv_put_address (GByteArray *out, const char *address);
void gkv_put_range (GByteArray *out, GkvRange range);
void gkv_put_fingerprint (GByteArray *out, const GkvFingerprint *fingerprint);
void gkv_put_left (GByteArray *out, gint64 left_ms);
void gkv_put_incarnation (GByteArray *out, const GkvIncarnation *incarnation);

/* A record's body: its head and then its content. @left_ms: its remaining lifetime, -1 for none. */
void gkv_put_record_head (GByteArray *out, const GkvRecord *record, gint64 left_ms);
void gkv_put_record (GByteArray *out, const GkvRecord *record, gint64 left_ms);
/* An upper bound of what gkv_put_record () writes. */
gsize gkv_record_get_wire_size (const GkvRecord *record);

/* NULL when it isn't a valid record. @left_ms: what remains of its life, -1 where that isn't said. @last_writer:
 * (inout) (nullable): that of the record read before, which the next most often has, too; to be unreferenced in the
 * end. */
GkvRecord *gkv_reader_record (GkvReader *reader, const GkvHashKey *hash_key, GkvWriter **last_writer, gint64 *left_ms);

G_END_DECLS
