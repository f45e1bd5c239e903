/* GkvRecord: one version of one key.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-record.h"

static guint8 *
put_bytes (guint8 *out, gconstpointer bytes, gsize len)
{
  if (len > 0)
    memcpy (out, bytes, len);
  return out + len;
}

static guint8 *
put_number (guint8 *out, guint64 number)
{
  number = GUINT64_TO_LE (number);
  return put_bytes (out, &number, sizeof number);
}

/* What stands behind the content. */
static const guint8 *
get_tail (const GkvRecord *record)
{
  return gkv_record_get_content (record) + record->content_len;
}

/* How many bytes of it are numbers. */
static gsize
get_numbers_size (guint flags)
{
  return 8 * (((flags & GKV_RECORD_EPHEMERAL) != 0) + ((flags & GKV_RECORD_TTL) != 0) +
              ((flags & GKV_RECORD_TIMED) != 0) + ((flags & GKV_RECORD_MORE_FLAGS) != 0));
}

/* What is hashed: flags, lengths and the stamp; then the names, with a NUL between them; then all that stands behind a
 * record's head. The two runs of bytes are padded to whole words. */
static GkvFingerprint
compute_fingerprint (const GkvHashKey *hash_key, const GkvRecord *record)
{
  const GkvWriter *writer = record->writer;
  GkvHasher hasher;

  gkv_hasher_init (&hasher, hash_key);
  gkv_hasher_add_word (&hasher, (record->flags & GKV_RECORD_HASHED_FLAGS) | (guint64) record->content_len << 32);
  gkv_hasher_add_word (&hasher, record->key_len | (guint64) writer->origin_len << 16 |
                                    (guint64) writer->codec_len << 32 | (guint64) record->fields_len << 48);
  gkv_hasher_add_word (&hasher, record->stamp);
  gkv_hasher_add_padded (&hasher, writer->origin, writer->origin_len + 1 + writer->codec_len);
  gkv_hasher_add_padded (&hasher, record->data,
                         get_tail (record) + get_numbers_size (record->flags) + record->fields_len -
                             (const guint8 *) record->data);

  return gkv_hasher_end (&hasher);
}

GkvRecord *
gkv_record_new_with_parts (const GkvHashKey *hash_key,
                           GkvWriter *writer,
                           const char *key,
                           gsize key_len,
                           GkvRecordFlags flags,
                           GkvStamp stamp,
                           gconstpointer content,
                           gsize content_len,
                           const GkvRecordParts *parts)
{
  GkvRecord *record;
  guint8 *out;

  g_assert (!(flags & GKV_RECORD_DEAD) || writer->codec_len == 0);

  if (flags & GKV_RECORD_DEAD)
    content_len = 0;
  flags = (flags & GKV_RECORD_KNOWN_FLAGS) | (parts->more_flags != 0 ? GKV_RECORD_MORE_FLAGS : 0);

  record = g_malloc (sizeof *record + key_len + 1 + content_len + get_numbers_size (flags) + parts->fields_len);
  record->ref_count = 1;
  record->key_len = key_len;
  record->flags = flags;
  record->fields_len = parts->fields_len;
  record->content_len = content_len;
  record->arrived = 0;
  record->hash = gkv_hash_place (hash_key, key, key_len);
  record->stamp = stamp;
  record->writer = gkv_writer_ref (writer);

  out = put_bytes ((guint8 *) record->data, key, key_len);
  *out++ = '\0';
  out = put_bytes (out, content, content_len);
  if (flags & GKV_RECORD_EPHEMERAL)
    out = put_number (out, parts->generation);
  if (flags & GKV_RECORD_TTL)
    out = put_number (out, parts->life_ms);
  if (flags & GKV_RECORD_TIMED)
    out = put_number (out, parts->time_ms);
  if (flags & GKV_RECORD_MORE_FLAGS)
    out = put_number (out, parts->more_flags);
  put_bytes (out, parts->fields, parts->fields_len);

  record->fingerprint = compute_fingerprint (hash_key, record);
  return record;
}

GkvRecord *
gkv_record_new (const GkvHashKey *hash_key,
                GkvWriter *writer,
                const char *key,
                gsize key_len,
                GkvRecordFlags flags,
                GkvStamp stamp,
                guint64 generation,
                gconstpointer content,
                gsize content_len)
{
  const GkvRecordParts parts = { .generation = generation };
  GkvRecord *record =
      gkv_record_new_with_parts (hash_key, writer, key, key_len, flags & (GKV_RECORD_DEAD | GKV_RECORD_EPHEMERAL),
                                 stamp, content, content_len, &parts);

  record->flags |= flags & GKV_RECORD_QUARANTINED;
  return record;
}

GkvRecord *
gkv_record_new_dead (const GkvHashKey *hash_key, const GkvRecord *record)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern (record->writer->origin, record->writer->origin_len, "", 0);
  GkvRecordParts parts;

  gkv_record_get_parts (record, &parts);
  parts.fields_len = 0;
  return gkv_record_new_with_parts (hash_key, writer, gkv_record_get_key (record), record->key_len,
                                    record->flags | GKV_RECORD_DEAD, record->stamp, NULL, 0, &parts);
}

GkvRecord *
gkv_record_new_timed (const GkvHashKey *hash_key, const GkvRecord *record, gint64 time_ms)
{
  GkvRecordParts parts;

  gkv_record_get_parts (record, &parts);
  parts.time_ms = MAX (time_ms, 0);
  return gkv_record_new_with_parts (hash_key, record->writer, gkv_record_get_key (record), record->key_len,
                                    record->flags | GKV_RECORD_TIMED, record->stamp, gkv_record_get_content (record),
                                    record->content_len, &parts);
}

GkvRecord *
gkv_record_ref (GkvRecord *record)
{
  g_atomic_int_inc (&record->ref_count);
  return record;
}

void
gkv_record_unref (GkvRecord *record)
{
  if (!g_atomic_int_dec_and_test (&record->ref_count))
    return;

  gkv_writer_unref (record->writer);
  g_free (record);
}

static guint64
get_number (const guint8 **tail)
{
  guint64 number;

  memcpy (&number, *tail, sizeof number);
  *tail += sizeof number;
  return GUINT64_FROM_LE (number);
}

void
gkv_record_get_parts (const GkvRecord *record, GkvRecordParts *parts)
{
  const guint8 *tail = get_tail (record);

  *parts = (GkvRecordParts){ .fields_len = record->fields_len };
  if (record->flags & GKV_RECORD_EPHEMERAL)
    parts->generation = get_number (&tail);
  if (record->flags & GKV_RECORD_TTL)
    parts->life_ms = get_number (&tail);
  if (record->flags & GKV_RECORD_TIMED)
    parts->time_ms = get_number (&tail);
  if (record->flags & GKV_RECORD_MORE_FLAGS)
    parts->more_flags = get_number (&tail);
  parts->fields = tail;
}

guint64
gkv_record_get_check (const GkvHashKey *hash_key, const GkvRecord *record)
{
  return gkv_hash_128 (hash_key, gkv_record_get_key (record), record->key_len).hi;
}

guint64
gkv_record_get_generation (const GkvRecord *record)
{
  const guint8 *tail = get_tail (record);

  return record->flags & GKV_RECORD_EPHEMERAL ? get_number (&tail) : 0;
}

guint64
gkv_record_get_life_ms (const GkvRecord *record)
{
  const guint8 *tail = get_tail (record) + get_numbers_size (record->flags & GKV_RECORD_EPHEMERAL);

  return record->flags & GKV_RECORD_TTL ? get_number (&tail) : 0;
}

gint64
gkv_record_get_time_ms (const GkvRecord *record)
{
  const guint8 *tail = get_tail (record) + get_numbers_size (record->flags & (GKV_RECORD_EPHEMERAL | GKV_RECORD_TTL));

  return record->flags & GKV_RECORD_TIMED ? (gint64) get_number (&tail) : gkv_stamp_get_ms (record->stamp);
}

static int
compare_numbers (guint64 a, guint64 b)
{
  return (a > b) - (a < b);
}

static int
compare_bytes (const guint8 *a, gsize a_len, const guint8 *b, gsize b_len)
{
  int result = memcmp (a, b, MIN (a_len, b_len));

  return result != 0 ? result : compare_numbers (a_len, b_len);
}

static int
compare_contents (const GkvRecord *a, const GkvRecord *b)
{
  return compare_bytes (gkv_record_get_content (a), a->content_len, gkv_record_get_content (b), b->content_len);
}

int
gkv_record_compare (const GkvRecord *a, const GkvRecord *b)
{
  int result;

  if ((result = compare_numbers (a->stamp, b->stamp)) != 0 ||
      (result = strcmp (a->writer->origin, b->writer->origin)) != 0 ||
      (result = gkv_record_is_dead (a) - gkv_record_is_dead (b)) != 0 ||
      (result = compare_numbers (gkv_record_get_time_ms (b), gkv_record_get_time_ms (a))) != 0 ||
      (result = strcmp (a->writer->codec, b->writer->codec)) != 0 || (result = compare_contents (a, b)) != 0 ||
      (result = compare_numbers (a->flags & GKV_RECORD_HASHED_FLAGS, b->flags & GKV_RECORD_HASHED_FLAGS)) != 0)
    return result;

  return compare_bytes (get_tail (a), get_numbers_size (a->flags) + a->fields_len, get_tail (b),
                        get_numbers_size (b->flags) + b->fields_len);
}

gboolean
gkv_record_same_value (const GkvRecord *a, const GkvRecord *b)
{
  if (gkv_record_is_dead (a) || gkv_record_is_dead (b))
    return gkv_record_is_dead (a) && gkv_record_is_dead (b);

  return strcmp (a->writer->codec, b->writer->codec) == 0 && compare_contents (a, b) == 0;
}
