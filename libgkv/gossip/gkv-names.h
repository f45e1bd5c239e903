/* GkvNames: a set of names of records, of a bounded size: of those that were added, the latest.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What names a record: the hash of its key, and the low bits of its fingerprint. */
typedef struct
{
  guint64 hash;
  guint32 version;
  guint32 check; /* of the key, for whoever needs it; no part of the name */
} GkvRecordName;

guint gkv_record_name_hash (gconstpointer name);
gboolean gkv_record_name_equal (gconstpointer a, gconstpointer b);

typedef struct _GkvNames GkvNames;

/* The latest @max are surely in it, and at most twice as many. */
GkvNames *gkv_names_new (guint max);
void gkv_names_free (GkvNames *self);
void gkv_names_add (GkvNames *self, guint64 hash, guint32 version, guint32 check);
/* Borrowed; NULL: it isn't in it. */
const GkvRecordName *gkv_names_find (GkvNames *self, guint64 hash, guint32 version);
void gkv_names_clear (GkvNames *self);

G_END_DECLS
