/* GkvRemovals: the removals that a node remembers after their tombstones are gone: for each key that was removed, a
 * 128-bit hash and the stamp. The oldest make room for new ones.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-clock.h"
#include "gkv-hash.h"

typedef struct _GkvRemovals GkvRemovals;

/* At most @max are remembered. Memory is taken as it is needed. */
GkvRemovals *gkv_removals_new (guint max);
void gkv_removals_free (GkvRemovals *self);

/* Remembers that the key of this @hash was removed with @stamp; nothing changes when a removal at or above is
 * remembered already. @made: when, on any clock of the caller, in microseconds. */
void gkv_removals_add (GkvRemovals *self, GkvFingerprint hash, GkvStamp stamp, gint64 made);
/* The stamp of the removal of that key, or 0. */
GkvStamp gkv_removals_find (GkvRemovals *self, GkvFingerprint hash);
void gkv_removals_forget (GkvRemovals *self, GkvFingerprint hash);
guint64 gkv_removals_get_n (GkvRemovals *self);

/* Whether a removal was dropped for want of room that may have been made since @since, at or above @stamp. Times are
 * known to some thousand removals. */
gboolean gkv_removals_has_dropped (GkvRemovals *self, gint64 since, GkvStamp stamp);

/* Reading all: each has a number, which is higher than those of the older ones; numbers may be missing. */
guint64 gkv_removals_get_first (GkvRemovals *self);
guint64 gkv_removals_get_end (GkvRemovals *self);
/* A number before which all were made before @since. */
guint64 gkv_removals_get_first_since (GkvRemovals *self, gint64 since);
/* FALSE when there is none of that number. @made: (out): not before this. */
gboolean gkv_removals_get (GkvRemovals *self, guint64 number, GkvFingerprint *hash, GkvStamp *stamp, gint64 *made);
/* Notes that others have dropped removals that were made up to @made with stamps up to @stamp. */
void gkv_removals_note_dropped (GkvRemovals *self, gint64 made, GkvStamp stamp);
/* What has_dropped () goes by; 0 and 0: nothing was dropped. */
void gkv_removals_get_dropped (GkvRemovals *self, gint64 *made, GkvStamp *stamp);

G_END_DECLS
