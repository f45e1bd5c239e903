/* Reading and writing the wire format, with bounds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-wire.h"

#include <string.h>

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

static guint64
read_number (GkvReader *reader, guint size)
{
  const guint8 *bytes = gkv_reader_bytes (reader, size);
  guint64 value = 0;

  if (bytes == NULL)
    return 0;

  for (guint i = 0; i < size; i++)
    value |= (guint64) bytes[i] << (8 * i);

  return value;
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

/* In place, without a NUL at its end. NULL when failed. */
static const char *
read_text (GkvReader *reader, gsize max, gsize *len)
{
  const guint8 *bytes;

  *len = gkv_reader_varint (reader);
  bytes = *len <= max ? gkv_reader_bytes (reader, *len) : NULL;

  if (bytes == NULL || !g_utf8_validate_len ((const char *) bytes, *len, NULL))
    {
      reader->failed = TRUE;
      return NULL;
    }

  return (const char *) bytes;
}

char *
gkv_reader_string (GkvReader *reader, gsize max)
{
  gsize len;
  const char *text = read_text (reader, max, &len);

  return text != NULL ? g_strndup (text, len) : NULL;
}

void
gkv_names_clear (GkvNames *names)
{
  g_clear_pointer (&names->origin, g_ref_string_release);
  g_clear_pointer (&names->codec, g_ref_string_release);
}

/* Has *@name be @text, interned. */
static void
remember (char **name, const char *text, gsize len)
{
  g_autofree char *copy = NULL;

  if (*name != NULL && g_ref_string_length (*name) == len && memcmp (*name, text, len) == 0)
    return;

  copy = g_strndup (text, len);
  g_clear_pointer (name, g_ref_string_release);
  *name = g_ref_string_new_intern (copy);
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

/* Flags, stamp, origin, codec, key, [remaining life in ms], [owner's life], fields of a later version, content. */
void
gkv_put_record_head (GByteArray *out, const GkvRecord *record, gint64 left_ms)
{
  guint8 flags = (record->flags & GKV_RECORD_HASHED_FLAGS) | (left_ms >= 0 ? GKV_RECORD_TTL : 0);

  gkv_put_u8 (out, flags);
  gkv_put_u64 (out, record->stamp);
  gkv_put_string (out, record->origin);
  gkv_put_string (out, record->codec);
  gkv_put_varint (out, record->key_len);
  g_byte_array_append (out, (const guint8 *) gkv_record_get_key (record), record->key_len);
  if (flags & GKV_RECORD_TTL)
    gkv_put_varint (out, left_ms);
  if (flags & GKV_RECORD_EPHEMERAL)
    gkv_put_u64 (out, gkv_record_get_life (record));
  gkv_put_varint (out, record->fields_len);
  if (record->fields_len > 0)
    g_byte_array_append (out, gkv_record_get_fields (record), record->fields_len);
}

void
gkv_put_record (GByteArray *out, const GkvRecord *record, gint64 left_ms)
{
  gkv_put_record_head (out, record, left_ms);
  if (record->content_len > 0)
    g_byte_array_append (out, gkv_record_get_content (record), record->content_len);
}

gsize
gkv_record_get_wire_size (const GkvRecord *record)
{
  return 1 + 8 + 2 + strlen (record->origin) + 1 + strlen (record->codec) + 2 + record->key_len + 10 + 8 + 2 +
         record->fields_len + record->content_len;
}

GkvRecord *
gkv_reader_record (GkvReader *reader, const GkvHashKey *hash_key, GkvNames *names, gint64 *left_ms)
{
  guint8 flags = gkv_reader_u8 (reader) & (GKV_RECORD_HASHED_FLAGS | GKV_RECORD_TTL);
  GkvStamp stamp = gkv_reader_u64 (reader);
  gsize origin_len, codec_len, key_len;
  const char *origin = read_text (reader, GKV_WIRE_MAX_ID, &origin_len);
  const char *codec = read_text (reader, GKV_WIRE_MAX_CODEC, &codec_len);
  const char *key = read_text (reader, GKV_WIRE_MAX_KEY, &key_len);
  guint64 life = 0;
  guint64 left = 0;
  const guint8 *fields;
  gsize fields_len, content_len;

  if (flags & GKV_RECORD_TTL)
    left = gkv_reader_varint (reader);
  if (flags & GKV_RECORD_EPHEMERAL)
    life = gkv_reader_u64 (reader);
  fields_len = gkv_reader_varint (reader);
  fields = gkv_reader_bytes (reader, fields_len);
  content_len = gkv_reader_get_left (reader);

  if (reader->failed || fields_len > GKV_WIRE_MAX_FIELDS || stamp == 0 || origin_len == 0 || key_len == 0 ||

      content_len > GKV_WIRE_MAX_CONTENT)
    return NULL;

  *left_ms = flags & GKV_RECORD_TTL ? (gint64) MIN (left, (guint64) G_MAXINT64 / 2000) : -1;

  remember (&names->origin, origin, origin_len);
  remember (&names->codec, codec, codec_len);

  return gkv_record_new_with_fields (hash_key, key, key_len, flags, stamp, names->origin, names->codec, TRUE, life,
                                     gkv_reader_bytes (reader, content_len), content_len, fields, fields_len);
}
