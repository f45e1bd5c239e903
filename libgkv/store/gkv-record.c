/* GkvRecord: one version of one key.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-record.h"

#include <string.h>

static guint8 *
put_bytes (guint8 *out, gconstpointer bytes, gsize len)
{
  if (len > 0)
    memcpy (out, bytes, len);
  return out + len;
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
                         gkv_record_get_fields (record) + record->fields_len - (const guint8 *) record->data);

  return gkv_hasher_end (&hasher);
}

GkvRecord *
gkv_record_new_with_fields (const GkvHashKey *hash_key,
                            GkvWriter *writer,
                            const char *key,
                            gsize key_len,
                            GkvRecordFlags flags,
                            GkvStamp stamp,
                            guint64 generation,
                            gconstpointer content,
                            gsize content_len,
                            gconstpointer fields,
                            gsize fields_len)
{
  gboolean ephemeral = (flags & GKV_RECORD_EPHEMERAL) != 0;
  GkvRecord *record;
  guint8 *out;

  g_assert (!(flags & GKV_RECORD_DEAD) || writer->codec_len == 0);

  if (flags & GKV_RECORD_DEAD)
    content_len = 0;

  record = g_malloc (sizeof *record + key_len + 1 + content_len + (ephemeral ? sizeof generation : 0) + fields_len);
  record->ref_count = 1;
  record->key_len = key_len;
  record->flags = flags & ~(GKV_RECORD_TTL | GKV_RECORD_GONE);
  record->fields_len = fields_len;
  record->content_len = content_len;
  record->arrived = 0;
  record->hash = gkv_hash_place (hash_key, key, key_len);
  record->stamp = stamp;
  record->writer = gkv_writer_ref (writer);

  out = put_bytes ((guint8 *) record->data, key, key_len);
  *out++ = '\0';
  out = put_bytes (out, content, content_len);
  generation = GUINT64_TO_LE (generation);
  if (ephemeral)
    out = put_bytes (out, &generation, sizeof generation);
  put_bytes (out, fields, fields_len);

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
  return gkv_record_new_with_fields (hash_key, writer, key, key_len, flags, stamp, generation, content, content_len,
                                     NULL, 0);
}

GkvRecord *
gkv_record_new_dead (const GkvHashKey *hash_key, const GkvRecord *record)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern (record->writer->origin, record->writer->origin_len, "", 0);

  return gkv_record_new_with_fields (hash_key, writer, gkv_record_get_key (record), record->key_len,
                                     record->flags | GKV_RECORD_DEAD, record->stamp, gkv_record_get_generation (record),
                                     NULL, 0, gkv_record_get_fields (record), record->fields_len);
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

guint64
gkv_record_get_generation (const GkvRecord *record)
{
  guint64 generation = 0;

  if (record->flags & GKV_RECORD_EPHEMERAL)
    memcpy (&generation, gkv_record_get_content (record) + record->content_len, sizeof generation);
  return GUINT64_FROM_LE (generation);
}

const guint8 *
gkv_record_get_fields (const GkvRecord *record)
{
  return gkv_record_get_content (record) + record->content_len +
         (record->flags & GKV_RECORD_EPHEMERAL ? sizeof (guint64) : 0);
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
      (result = strcmp (a->writer->codec, b->writer->codec)) != 0 || (result = compare_contents (a, b)) != 0 ||
      (result = compare_numbers (a->flags & GKV_RECORD_HASHED_FLAGS, b->flags & GKV_RECORD_HASHED_FLAGS)) != 0 ||
      (result = compare_numbers (gkv_record_get_generation (a), gkv_record_get_generation (b))) != 0)
    return result;

  return compare_bytes (gkv_record_get_fields (a), a->fields_len, gkv_record_get_fields (b), b->fields_len);
}

gboolean
gkv_record_same_value (const GkvRecord *a, const GkvRecord *b)
{
  if (gkv_record_is_dead (a) || gkv_record_is_dead (b))
    return gkv_record_is_dead (a) && gkv_record_is_dead (b);

  return strcmp (a->writer->codec, b->writer->codec) == 0 && compare_contents (a, b) == 0;
}
