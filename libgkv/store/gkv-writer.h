/* GkvWriter: the origin of a record and the codec of its value: one object for all records that have both in common, as
 * most of a node's have. Counted, and the same for the same names, so that two can be compared by address.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  /*< private >*/
  int ref_count;
  guint16 origin_len;
  guint16 codec_len;

  /*< public; read only >*/
  const char *codec; /* the name of the codec of the content; "" for dead records */
  char origin[];     /* the node id that wrote it; the codec's name stands behind it */
} GkvWriter;

/* A length of -1: up to the NUL. Thread-safe. (transfer full) */
GkvWriter *gkv_writer_intern (const char *origin, gssize origin_len, const char *codec, gssize codec_len);
GkvWriter *gkv_writer_ref (GkvWriter *self);
void gkv_writer_unref (GkvWriter *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvWriter, gkv_writer_unref)

G_END_DECLS
