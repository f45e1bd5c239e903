/* GkvSweep: what a map shows under a prefix, read a slice at a time in the order of the keys.
 *
 * A small map is read at once. For another the index is requested; while it isn't complete, each step builds a part of
 * it. What changes during a sweep may be seen or not where it has not been yet; each key comes once at most.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-map.h"

typedef struct
{
  char *prefix;
  char *after; /* the last key that was read; NULL: none yet, or all came at once */
  gboolean begun;
} GkvSweep;

void gkv_sweep_init (GkvSweep *self, const char *prefix);
void gkv_sweep_clear (GkvSweep *self);

/* Takes a step of a millisecond or so, and appends what it has read to @records, owned; that may be nothing. FALSE: it
 * was the last. */
gboolean gkv_sweep_step (GkvSweep *self, GkvMap *map, GPtrArray *records);

G_END_DECLS
