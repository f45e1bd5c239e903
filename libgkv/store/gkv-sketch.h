/* GkvSketch: a summary of a set of records from which the difference to another such set can be read, when there is
 * little of it, whatever the size of the sets.
 *
 * An invertible Bloom lookup table: each record is added into a few cells, chosen by its hash. The sketch of one side
 * minus that of the other holds only what differs; a cell with a single record in it says which, and taking that out of
 * its other cells uncovers more. In three levels of growing size, so that a few differences need one datagram and a
 * thousand no more than thirty bytes each.
 *
 * Source: Eppstein, Goodrich, Uyeda and Varghese, "What's the Difference? Efficient Set Reconciliation without Prior
 * Context", SIGCOMM 2011.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The cells come in chunks that fit a datagram. A level begins with one chunk and ends before that of the next. */
#define GKV_SKETCH_CHUNK    64
#define GKV_SKETCH_N_LEVELS 3
#define GKV_SKETCH_N_CHUNKS (1 + 5 + 25)

/* How many differences one level, together with the first, can almost surely decode. */
#define GKV_SKETCH_MAX_DIFFERENCES 1100

/* All sums: of exclusive or, and of counts modulo 256. */
typedef struct
{
  guint64 hash;    /* of the key */
  guint32 version; /* the low half of the fingerprint's low half */
  guint32 check;
  guint8 count;
} GkvSketchCell;

typedef struct
{
  GkvSketchCell cells[GKV_SKETCH_N_CHUNKS * GKV_SKETCH_CHUNK];
} GkvSketch;

/* The chunks of @level: the first, and the one after the last. */
void gkv_sketch_get_chunks (guint level, guint *first, guint *end);

void gkv_sketch_add (GkvSketch *self, guint64 hash, guint32 version);
void gkv_sketch_subtract (GkvSketch *self, guint64 hash, guint32 version);

/* In a difference @self, how many records differ, roughly, by the cells of the first level. @surplus: by how many
 * records one set is larger. */
guint gkv_sketch_estimate (const GkvSketch *self, gint64 surplus);

/* @ours: whether it is of the set subtracted from. */
typedef void (*GkvSketchFunc) (guint64 hash, guint32 version, gboolean ours, gpointer user_data);

/* Takes out of a difference what can be decoded, from those @levels (a bit each) whose cells are there. TRUE: nothing
 * is left, that was all. */
gboolean gkv_sketch_decode (GkvSketch *self, guint levels, GkvSketchFunc func, gpointer user_data);

G_END_DECLS
