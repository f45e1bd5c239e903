/* GkvRecord: one version of one key, immutable and counted, so that it can be shared between threads, queues and the
 * store without a copy.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-clock.h"
#include "gkv-hash.h"
#include "gkv-writer.h"

typedef enum
{
  GKV_RECORD_DEAD = 1 << 0,      /* removed, expired, or its owner's generation has ended: no content */
  GKV_RECORD_EPHEMERAL = 1 << 1, /* belongs to one generation of its owner */
  GKV_RECORD_TTL = 1 << 2,       /* has a remaining lifetime, which is beside the record: on the wire and in a store */
  GKV_RECORD_QUARANTINED = 1 << 3, /* its stamp is too far ahead for it to be visible; local only, not hashed */
  GKV_RECORD_GONE = 1 << 4,        /* it isn't in the store any more; local only, not hashed */
} GkvRecordFlags;

/* The flags that travel and are hashed. TTL is not: the remaining lifetime is no part of the fingerprint. */
#define GKV_RECORD_HASHED_FLAGS (GKV_RECORD_DEAD | GKV_RECORD_EPHEMERAL)

typedef struct _GkvRecord GkvRecord;

struct _GkvRecord
{
  /*< private >*/
  int ref_count;
  guint16 key_len;
  guint8 flags;
  guint8 fields_len;

  /*< public; read only >*/
  guint32 content_len;
  guint32 arrived;            /* when it came into the store; see gkv_store_set_arrival () */
  guint64 hash;               /* of the key: where it stands in the store */
  GkvFingerprint fingerprint; /* of the whole record */
  GkvStamp stamp;
  GkvWriter *writer;

  /*< private: the key with a NUL, the content, then for EPHEMERAL the generation (8 bytes, little-endian), then
   * the fields; all of it is hashed as it stands >*/
  char data[];
};

/* The codec of @writer is that of the content; of a dead record, whose content is dropped, it is "". @generation counts
 * only with GKV_RECORD_EPHEMERAL. */
GkvRecord *gkv_record_new (const GkvHashKey *hash_key,
                           GkvWriter *writer,
                           const char *key,
                           gsize key_len,
                           GkvRecordFlags flags,
                           GkvStamp stamp,
                           guint64 generation,
                           gconstpointer content,
                           gsize content_len);

/* With @fields of a later minor version, which mean nothing here, but are kept and passed on: at most 255 bytes. */
GkvRecord *gkv_record_new_with_fields (const GkvHashKey *hash_key,
                                       GkvWriter *writer,
                                       const char *key,
                                       gsize key_len,
                                       GkvRecordFlags flags,
                                       GkvStamp stamp,
                                       guint64 generation,
                                       gconstpointer content,
                                       gsize content_len,
                                       gconstpointer fields,
                                       gsize fields_len);

/* The same record with its dead mark: same stamp, same origin, no content (semantics: whoever marks it makes the
 * same bytes). */
GkvRecord *gkv_record_new_dead (const GkvHashKey *hash_key, const GkvRecord *record);

GkvRecord *gkv_record_ref (GkvRecord *record);
void gkv_record_unref (GkvRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvRecord, gkv_record_unref)

/* The node id that wrote it. */
static inline const char *
gkv_record_get_origin (const GkvRecord *record)
{
  return record->writer->origin;
}

/* The name of the codec of its content. */
static inline const char *
gkv_record_get_codec (const GkvRecord *record)
{
  return record->writer->codec;
}

static inline const char *
gkv_record_get_key (const GkvRecord *record)
{
  return record->data;
}

static inline const guint8 *
gkv_record_get_content (const GkvRecord *record)
{
  return (const guint8 *) record->data + record->key_len + 1;
}

static inline gboolean
gkv_record_is_dead (const GkvRecord *record)
{
  return (record->flags & GKV_RECORD_DEAD) != 0;
}

/* Whether it ends by itself everywhere. Its dead mark is no removal. */
static inline gboolean
gkv_record_has_end (const GkvRecord *record)
{
  return (record->flags & GKV_RECORD_EPHEMERAL) != 0;
}

/* The fields of a later version: as many bytes as fields_len says. */
const guint8 *gkv_record_get_fields (const GkvRecord *record);

/* The owner's generation, 0 where the record isn't ephemeral. */
guint64 gkv_record_get_generation (const GkvRecord *record);

/* The total order over whole records: stamp, node id, dead mark, codec, content and the rest. Less than, equal to or
 * greater than 0. The keys are taken to be the same. */
int gkv_record_compare (const GkvRecord *a, const GkvRecord *b);

/* Whether both show an application the same: both dead, or the same codec and content. */
gboolean gkv_record_same_value (const GkvRecord *a, const GkvRecord *b);

G_END_DECLS
