/* GkvDeadlines: which records die when: a binary heap, and where each record stands in it.
 *
 * Records are borrowed: the store takes each out before it lets it go.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-record.h"

G_BEGIN_DECLS

typedef struct _GkvDeadlines GkvDeadlines;

GkvDeadlines *gkv_deadlines_new (void);
void gkv_deadlines_free (GkvDeadlines *self);

/* Of two deadlines the earlier one stays. */
void gkv_deadlines_set (GkvDeadlines *self, GkvRecord *record, gint64 deadline);
void gkv_deadlines_remove (GkvDeadlines *self, GkvRecord *record);
/* -1: none */
gint64 gkv_deadlines_get (GkvDeadlines *self, GkvRecord *record);
GkvRecord *gkv_deadlines_peek (GkvDeadlines *self, gint64 *deadline);

G_END_DECLS
