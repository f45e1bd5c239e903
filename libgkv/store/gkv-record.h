/* GkvRecord: one version of one key, immutable and counted, so that it can be shared between threads, queues and the
 * store without a copy.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

#include "gkv-clock.h"
#include "gkv-hash.h"
#include "gkv-writer.h"

typedef enum
{
  /* These travel, and are hashed. */
  GKV_RECORD_DEAD = 1 << 0,      /* removed, expired, or its owner's generation has ended: no content */
  GKV_RECORD_EPHEMERAL = 1 << 1, /* belongs to one generation of its owner */
  GKV_RECORD_TTL = 1 << 2,       /* has a lifetime; what remains of it is beside the record: on the wire, in a store */
  GKV_RECORD_TIMED = 1 << 3,     /* its stamp was ahead of its writer's clock: it says when it was written */
  /* Flags of a later version stand behind the content. */
  GKV_RECORD_MORE_FLAGS = 1 << 4,

  /* These are a store's. */
  GKV_RECORD_QUARANTINED = 1 << 5, /* its time is too far ahead for it to be visible */
  GKV_RECORD_GONE = 1 << 6,        /* it isn't in the store any more */
  GKV_RECORD_DEADLINE = 1 << 7,    /* the store knows when it ends */
} GkvRecordFlags;

#define GKV_RECORD_KNOWN_FLAGS  (GKV_RECORD_DEAD | GKV_RECORD_EPHEMERAL | GKV_RECORD_TTL | GKV_RECORD_TIMED)
#define GKV_RECORD_HASHED_FLAGS (GKV_RECORD_KNOWN_FLAGS | GKV_RECORD_MORE_FLAGS)

/* What a record may have beside its content. */
typedef struct
{
  guint64 generation;   /* of its owner; with GKV_RECORD_EPHEMERAL */
  guint64 life_ms;      /* in full; with GKV_RECORD_TTL */
  guint64 time_ms;      /* when it was written, since 1970, by its writer's clock; with GKV_RECORD_TIMED */
  guint64 more_flags;   /* those of a later version, as they travel; 0: none */
  gconstpointer fields; /* of a later version: they mean nothing here, but are kept and passed on */
  gsize fields_len;     /* at most 255 bytes */
} GkvRecordParts;

/* What lives longer lives so long, which is for ever: so sums of times don't overflow. */
#define GKV_RECORD_MAX_LIFE_MS (G_GUINT64_CONSTANT (1) << 52)

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

  /*< private: the key with a NUL, the content; then, each in 8 bytes, little-endian, and if its flag is set: the
   * generation, the full lifetime, the time, the flags of a later version; then the fields. All of it is hashed as it
   * stands >*/
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

/* With other parts: @flags say which of them it has, but for the last two. */
GkvRecord *gkv_record_new_with_parts (const GkvHashKey *hash_key,
                                      GkvWriter *writer,
                                      const char *key,
                                      gsize key_len,
                                      GkvRecordFlags flags,
                                      GkvStamp stamp,
                                      gconstpointer content,
                                      gsize content_len,
                                      const GkvRecordParts *parts);

/* The same record with its dead mark: all else stays but the codec, the content and the fields, which are empty
 * (semantics: whoever marks it makes the same bytes). */
GkvRecord *gkv_record_new_dead (const GkvHashKey *hash_key, const GkvRecord *record);

/* The same record, as written at @time_ms. */
GkvRecord *gkv_record_new_timed (const GkvHashKey *hash_key, const GkvRecord *record, gint64 time_ms);

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

/* Of its key, by another hash than the one that it is found by: two keys that share that one are two by this. */
guint64 gkv_record_get_check (const GkvHashKey *hash_key, const GkvRecord *record);

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
  return (record->flags & (GKV_RECORD_EPHEMERAL | GKV_RECORD_TTL)) != 0;
}

/* Whether it is the same version of a key, perhaps with a dead mark or another time. The keys are taken to be the
 * same. */
static inline gboolean
gkv_record_is_version_of (const GkvRecord *a, const GkvRecord *b)
{
  return a->stamp == b->stamp && strcmp (a->writer->origin, b->writer->origin) == 0;
}

/* All that it has beside its content; what it hasn't is 0. @parts borrows from the record. */
void gkv_record_get_parts (const GkvRecord *record, GkvRecordParts *parts);
/* The owner's generation, 0 where the record isn't ephemeral. */
guint64 gkv_record_get_generation (const GkvRecord *record);
/* The full lifetime, 0 where it has none. */
guint64 gkv_record_get_life_ms (const GkvRecord *record);
/* When it was written, in milliseconds since 1970, by its writer's clock: that of its stamp where it doesn't say. */
gint64 gkv_record_get_time_ms (const GkvRecord *record);

/* The total order over whole records: stamp, node id, dead mark, time, of which the earlier one is above, and the rest.
 * Less than, equal to or greater than 0. The keys are taken to be the same. */
int gkv_record_compare (const GkvRecord *a, const GkvRecord *b);

/* Whether both show an application the same: both dead, or the same codec and content. */
gboolean gkv_record_same_value (const GkvRecord *a, const GkvRecord *b);

G_END_DECLS
