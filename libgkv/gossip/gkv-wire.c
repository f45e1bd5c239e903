/* Reading and writing the wire format, with bounds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-wire.h"

#include "../store/gkv-utf8.h"

#include <arpa/inet.h>
#include <string.h>

guint64
gkv_wire_get_echo (gconstpointer datagram, gsize len)
{
  const guint8 *data = datagram;
  guint64 echo;

  memcpy (&echo, data + GKV_WIRE_ECHO_OFFSET, sizeof echo);
  echo = GUINT64_FROM_LE (echo);
  return echo != 0 ? echo ^ gkv_hash_checksum (data + GKV_WIRE_HEADER_SIZE, len - GKV_WIRE_HEADER_SIZE) : 0;
}

void
gkv_wire_seal (GByteArray *datagram)
{
  /* What is mixed in twice is out again. */
  guint64 echo = GUINT64_TO_LE (gkv_wire_get_echo (datagram->data, datagram->len));

  memcpy (datagram->data + GKV_WIRE_ECHO_OFFSET, &echo, sizeof echo);
}

void
gkv_reader_init (GkvReader *reader, gconstpointer data, gsize len)
{
  *reader = (GkvReader){ .data = data, .len = len };
}

gsize
gkv_reader_get_left (const GkvReader *reader)
{
  return reader->failed ? 0 : reader->len - reader->pos;
}

const guint8 *
gkv_reader_bytes (GkvReader *reader, gsize len)
{
  const guint8 *bytes;

  if (reader->failed || len > reader->len - reader->pos)
    {
      reader->failed = TRUE;
      return NULL;
    }

  bytes = reader->data + reader->pos;
  reader->pos += len;
  return bytes;
}

static inline guint64
read_number (GkvReader *reader, guint size)
{
  const guint8 *bytes = gkv_reader_bytes (reader, size);
  guint64 value = 0;

  if (bytes != NULL)
    memcpy (&value, bytes, size);

  return GUINT64_FROM_LE (value);
}

guint8
gkv_reader_u8 (GkvReader *reader)
{
  return read_number (reader, 1);
}

guint16
gkv_reader_u16 (GkvReader *reader)
{
  return read_number (reader, 2);
}

guint32
gkv_reader_u32 (GkvReader *reader)
{
  return read_number (reader, 4);
}

guint64
gkv_reader_u64 (GkvReader *reader)
{
  return read_number (reader, 8);
}

guint64
gkv_reader_varint (GkvReader *reader)
{
  guint64 value = 0;

  for (guint shift = 0; shift < 64; shift += 7)
    {
      guint8 byte = gkv_reader_u8 (reader);

      value |= (guint64) (byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return reader->failed ? 0 : value;
    }

  reader->failed = TRUE;
  return 0;
}

/* A length and so many bytes, in place, without a NUL at the end. NULL when failed. */
static const char *
read_bytes (GkvReader *reader, gsize max, gsize *len)
{
  *len = gkv_reader_varint (reader);
  if (*len > max)
    reader->failed = TRUE;

  return (const char *) gkv_reader_bytes (reader, *len);
}

/* The same, of UTF-8. */
static const char *
read_text (GkvReader *reader, gsize max, gsize *len)
{
  const char *text = read_bytes (reader, max, len);

  if (text == NULL || gkv_utf8_validate (text, *len))
    return text;

  reader->failed = TRUE;
  return NULL;
}

char *
gkv_reader_string (GkvReader *reader, gsize max)
{
  gsize len;
  const char *text = read_text (reader, max, &len);

  return text != NULL ? g_strndup (text, len) : NULL;
}

/* Addresses. Those of UDP travel as bytes: first of the host, then of the port, most significant first. The interface
 * of a link-local one is its own host's business. The texts are those of the transport "udp", to the last letter. */

#define IPV4_SIZE 4
#define IPV6_SIZE 16

/* Before it as a varint: twice the number of bytes, and 1 more where these are a text. */
#define ADDRESS_TEXT 1

static gboolean
is_link_local (const guint8 *bytes)
{
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static char *
format_ipv6 (const guint8 *bytes, const char *scope, int scope_len, guint port)
{
  char host[INET6_ADDRSTRLEN];
  static const guint8 zeros[12] = { 0 };
  guint high = bytes[12] << 8 | bytes[13], low = bytes[14] << 8 | bytes[15];

  /* As the transport has it, which writes none of these as IPv4. */
  if (memcmp (bytes, zeros, sizeof zeros) == 0 && high != 0)
    g_snprintf (host, sizeof host, "::%x:%x", high, low);
  else
    inet_ntop (AF_INET6, bytes, host, sizeof host);

  return g_strdup_printf ("[%s%.*s]:%u", host, scope_len, scope, port);
}

/* From the "%" on, of an address with an interface; empty for others. */
static const char *
find_scope (const char *address, int *len)
{
  const char *scope = address[0] == '[' ? strchr (address, '%') : NULL;
  const char *end = scope != NULL ? strchr (scope, ']') : NULL;

  *len = end != NULL ? end - scope : 0;
  return end != NULL ? scope : "";
}

static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };

static char *
format_ipv4 (const guint8 *bytes, guint port)
{
  return g_strdup_printf ("%u.%u.%u.%u:%u", bytes[0], bytes[1], bytes[2], bytes[3], port);
}

static char *
format_address (const guint8 *bytes, gsize len, const char *teller)
{
  guint port = bytes[len - 2] << 8 | bytes[len - 1];
  int scope_len = 0;
  const char *scope = "";

  if (len == IPV6_SIZE + 2 && memcmp (bytes, mapped, sizeof mapped) == 0)
    {
      bytes += sizeof mapped;
      len -= sizeof mapped;
    }
  if (len == IPV4_SIZE + 2)
    return format_ipv4 (bytes, port);

  if (is_link_local (bytes))
    {
      scope = find_scope (teller, &scope_len);
      if (scope_len == 0)
        return g_strdup ("");
    }
  return format_ipv6 (bytes, scope, scope_len, port);
}

char *
gkv_reader_address (GkvReader *reader, const char *teller)
{
  guint64 head = gkv_reader_varint (reader);
  gsize len = head / 2;
  const char *bytes;

  if (len > GKV_WIRE_MAX_ADDRESS ||
      ((head & ADDRESS_TEXT) == 0 && len != 0 && len != IPV4_SIZE + 2 && len != IPV6_SIZE + 2))
    reader->failed = TRUE;
  bytes = (const char *) gkv_reader_bytes (reader, len);
  if (bytes == NULL)
    return NULL;

  if (head == 0)
    return g_strdup ("");
  if ((head & ADDRESS_TEXT) == 0)
    return format_address ((const guint8 *) bytes, len, teller);
  if (gkv_utf8_validate (bytes, len))
    return g_strndup (bytes, len);

  reader->failed = TRUE;
  return NULL;
}

/* The bytes of an address of UDP, and their number; 0: it is another. */
static gsize
parse_address (const char *address, guint8 bytes[IPV6_SIZE + 2])
{
  gboolean is_ipv6 = address[0] == '[';
  gsize len = is_ipv6 ? IPV6_SIZE : IPV4_SIZE;
  const char *colon = strrchr (address, ':');
  g_autofree char *host = NULL;
  g_autofree char *again = NULL;
  int scope_len;
  const char *scope = find_scope (address, &scope_len);
  guint64 port;

  if (colon == NULL || (is_ipv6 && colon[-1] != ']') ||
      !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, &port, NULL))
    return 0;

  host = is_ipv6 ? g_strndup (address + 1, (scope_len > 0 ? scope : colon - 1) - address - 1)
                 : g_strndup (address, colon - address);
  if (inet_pton (is_ipv6 ? AF_INET6 : AF_INET, host, bytes) != 1 ||
      (is_ipv6 && memcmp (bytes, mapped, sizeof mapped) == 0) || (scope_len > 0 && !is_link_local (bytes)))
    return 0;

  /* What comes out at the other side has to be what goes in here. */
  again = is_ipv6 ? format_ipv6 (bytes, scope, scope_len, port) : format_ipv4 (bytes, port);
  if (strcmp (again, address) != 0)
    return 0;

  bytes[len] = port >> 8;
  bytes[len + 1] = port & 0xff;
  return len + 2;
}

void
gkv_put_address (GByteArray *out, const char *address)
{
  guint8 bytes[IPV6_SIZE + 2];
  gsize len = parse_address (address, bytes);

  if (len > 0 || *address == '\0')
    {
      gkv_put_varint (out, 2 * len);
      g_byte_array_append (out, bytes, len);
      return;
    }

  len = strlen (address);
  gkv_put_varint (out, 2 * len + ADDRESS_TEXT);
  g_byte_array_append (out, (const guint8 *) address, len);
}

GkvRange
gkv_reader_range (GkvReader *reader)
{
  GkvRange range = { .depth = gkv_reader_u8 (reader) };

  if (range.depth > 16)
    reader->failed = TRUE;
  else if (range.depth > 0)
    range.prefix = gkv_reader_u64 (reader);

  if (range.depth > 0 && range.depth < 16)
    range.prefix &= ~(G_MAXUINT64 >> (4 * range.depth));

  return range;
}

GkvFingerprint
gkv_reader_fingerprint (GkvReader *reader)
{
  GkvFingerprint fingerprint;

  fingerprint.lo = gkv_reader_u64 (reader);
  fingerprint.hi = gkv_reader_u64 (reader);
  return fingerprint;
}

/* The place of another chain than there can be fails as well. */
GkvIncarnation
gkv_reader_incarnation (GkvReader *reader)
{
  guint64 place = gkv_reader_varint (reader);
  const guint8 *proof = gkv_reader_bytes (reader, GKV_PROOF_SIZE);
  GkvIncarnation incarnation = { .place = place };

  if (proof != NULL)
    memcpy (incarnation.proof, proof, GKV_PROOF_SIZE);
  if (place > GKV_CHAIN_MAX)
    reader->failed = TRUE;
  return incarnation;
}

static void
put_number (GByteArray *out, guint64 value, guint size)
{
  guint8 bytes[8];

  for (guint i = 0; i < size; i++)
    bytes[i] = value >> (8 * i);

  g_byte_array_append (out, bytes, size);
}

void
gkv_put_u8 (GByteArray *out, guint8 value)
{
  put_number (out, value, 1);
}

void
gkv_put_u16 (GByteArray *out, guint16 value)
{
  put_number (out, value, 2);
}

void
gkv_put_u32 (GByteArray *out, guint32 value)
{
  put_number (out, value, 4);
}

void
gkv_put_u64 (GByteArray *out, guint64 value)
{
  put_number (out, value, 8);
}

void
gkv_put_varint (GByteArray *out, guint64 value)
{
  guint8 bytes[10];
  guint n = 0;

  for (; value >= 0x80; value >>= 7)
    bytes[n++] = (value & 0x7f) | 0x80;
  bytes[n++] = value;

  g_byte_array_append (out, bytes, n);
}

void
gkv_put_string (GByteArray *out, const char *string)
{
  gsize len = strlen (string);

  gkv_put_varint (out, len);
  g_byte_array_append (out, (const guint8 *) string, len);
}

void
gkv_put_range (GByteArray *out, GkvRange range)
{
  gkv_put_u8 (out, range.depth);
  if (range.depth > 0)
    gkv_put_u64 (out, range.prefix);
}

void
gkv_put_fingerprint (GByteArray *out, const GkvFingerprint *fingerprint)
{
  gkv_put_u64 (out, fingerprint->lo);
  gkv_put_u64 (out, fingerprint->hi);
}

void
gkv_put_left (GByteArray *out, gint64 left_ms)
{
  gkv_put_varint (out, left_ms + 1);
}

gint64
gkv_reader_left (GkvReader *reader)
{
  return (gint64) (gkv_reader_varint (reader) & (G_MAXUINT64 >> 12)) - 1;
}

void
gkv_put_incarnation (GByteArray *out, const GkvIncarnation *incarnation)
{
  gkv_put_varint (out, incarnation->place);
  g_byte_array_append (out, incarnation->proof, sizeof incarnation->proof);
}

static guint8 *
write_varint (guint8 *at, guint64 value)
{
  for (; value >= 0x80; value >>= 7)
    *at++ = (value & 0x7f) | 0x80;
  *at++ = value;

  return at;
}

static guint8 *
write_u64 (guint8 *at, guint64 value)
{
  value = GUINT64_TO_LE (value);
  memcpy (at, &value, sizeof value);

  return at + sizeof value;
}

static guint8 *
write_text (guint8 *at, const char *text, gsize len)
{
  at = write_varint (at, len);
  memcpy (at, text, len);

  return at + len;
}

void
gkv_put_message (GByteArray *out, guint8 kind, gconstpointer body, gsize len)
{
  guint begin = out->len;
  guint8 *at;

  g_byte_array_set_size (out, begin + GKV_WIRE_MESSAGE_HEAD + len);
  at = out->data + begin;
  *at++ = kind;
  at = write_text (at, body, len);
  g_byte_array_set_size (out, at - out->data);
}

/* Flags, stamp, origin, codec, key, [full lifetime, and of a live one what remains of it], [time], [owner's
 * generation], fields of a later version, content. Room for all is made once: there are many records. */
static void
put_record (GByteArray *out, const GkvRecord *record, gint64 left_ms, gsize content_len)
{
  guint begin = out->len;
  GkvRecordParts parts;
  guint8 *at;

  gkv_record_get_parts (record, &parts);
  g_byte_array_set_size (out, begin + gkv_record_get_wire_size (record) - record->content_len + content_len);
  at = out->data + begin;

  at = write_varint (at, (record->flags & GKV_RECORD_KNOWN_FLAGS) | parts.more_flags);
  at = write_u64 (at, record->stamp);
  at = write_text (at, record->writer->origin, record->writer->origin_len);
  at = write_text (at, record->writer->codec, record->writer->codec_len);
  at = write_text (at, gkv_record_get_key (record), record->key_len);
  if (record->flags & GKV_RECORD_TTL)
    at = write_varint (at, parts.life_ms);
  if ((record->flags & GKV_RECORD_TTL) && !gkv_record_is_dead (record))
    at = write_varint (at, left_ms + 1);
  if (record->flags & GKV_RECORD_TIMED)
    at = write_u64 (at, parts.time_ms);
  if (record->flags & GKV_RECORD_EPHEMERAL)
    at = write_u64 (at, parts.generation);
  at = write_text (at, parts.fields, parts.fields_len);
  memcpy (at, gkv_record_get_content (record), content_len);
  at += content_len;

  g_byte_array_set_size (out, at - out->data);
}

void
gkv_put_record_head (GByteArray *out, const GkvRecord *record, gint64 left_ms)
{
  put_record (out, record, left_ms, 0);
}

void
gkv_put_record (GByteArray *out, const GkvRecord *record, gint64 left_ms)
{
  put_record (out, record, left_ms, record->content_len);
}

gsize
gkv_record_get_wire_size (const GkvRecord *record)
{
  gsize optional = (record->flags & GKV_RECORD_TTL ? 10 + 10 : 0) + (record->flags & GKV_RECORD_TIMED ? 8 : 0) +
                   (record->flags & GKV_RECORD_EPHEMERAL ? 8 : 0) + (record->flags & GKV_RECORD_MORE_FLAGS ? 9 : 0);

  return 1 + 8 + 2 + record->writer->origin_len + 1 + record->writer->codec_len + 2 + record->key_len + optional + 2 +
         record->fields_len + record->content_len;
}

/* The writer of the names that come next. NULL when they are none. */
static GkvWriter *
read_writer (GkvReader *reader, gboolean dead, GkvWriter **last)
{
  gsize origin_len, codec_len;
  const char *origin = read_bytes (reader, GKV_WIRE_MAX_ID, &origin_len);
  const char *codec = read_bytes (reader, GKV_WIRE_MAX_CODEC, &codec_len);

  if (reader->failed || origin_len == 0)
    return NULL;

  if (dead)
    codec_len = 0;

  /* Most often it is the one of the record before: its names have been found good. */
  if (*last != NULL && (*last)->origin_len == origin_len && (*last)->codec_len == codec_len &&
      memcmp ((*last)->origin, origin, origin_len) == 0 && memcmp ((*last)->codec, codec, codec_len) == 0)
    return *last;

  if (!gkv_utf8_validate (origin, origin_len) || !gkv_utf8_validate (codec, codec_len))
    return NULL;

  g_clear_pointer (last, gkv_writer_unref);
  *last = gkv_writer_intern (origin, origin_len, codec, codec_len);
  return *last;
}

/* Whether the parts of a record can be true. */
static gboolean
are_possible (guint64 flags, GkvStamp stamp, const GkvRecordParts *parts)
{
  if ((flags & GKV_RECORD_TTL) && (parts->life_ms == 0 || parts->life_ms > GKV_RECORD_MAX_LIFE_MS))
    return FALSE;

  return !(flags & GKV_RECORD_TIMED) || parts->time_ms <= (guint64) gkv_stamp_get_ms (stamp);
}

GkvRecord *
gkv_reader_record (GkvReader *reader, const GkvHashKey *hash_key, GkvWriter **last_writer, gint64 *left_ms)
{
  guint64 flags = gkv_reader_varint (reader);
  GkvStamp stamp = gkv_reader_u64 (reader);
  GkvWriter *writer = read_writer (reader, flags & GKV_RECORD_DEAD, last_writer);
  gsize key_len, content_len;
  const char *key = read_text (reader, GKV_WIRE_MAX_KEY, &key_len);
  GkvRecordParts parts = { .more_flags = flags & ~(guint64) GKV_RECORD_KNOWN_FLAGS };

  *left_ms = -1;
  if (flags & GKV_RECORD_TTL)
    parts.life_ms = gkv_reader_varint (reader);
  if ((flags & GKV_RECORD_TTL) && !(flags & GKV_RECORD_DEAD))
    *left_ms = gkv_reader_left (reader);
  if (flags & GKV_RECORD_TIMED)
    parts.time_ms = gkv_reader_u64 (reader);
  if (flags & GKV_RECORD_EPHEMERAL)
    parts.generation = gkv_reader_u64 (reader);
  parts.fields = read_bytes (reader, GKV_WIRE_MAX_FIELDS, &parts.fields_len);
  content_len = gkv_reader_get_left (reader);

  if (reader->failed || writer == NULL || stamp == 0 || key_len == 0 || content_len > GKV_WIRE_MAX_CONTENT ||
      !are_possible (flags, stamp, &parts))
    return NULL;

  return gkv_record_new_with_parts (hash_key, writer, key, key_len, flags & GKV_RECORD_KNOWN_FLAGS, stamp,
                                    gkv_reader_bytes (reader, content_len), content_len, &parts);
}
