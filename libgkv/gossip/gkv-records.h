/* GkvRecords: what comes into the store, and what follows from it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-clocks.h"
#include "gkv-confirmations.h"
#include "gkv-ephemerals.h"
#include "gkv-flushes.h"
#include "gkv-inheritance.h"
#include "gkv-tombstones.h"

G_BEGIN_DECLS

typedef struct _GkvRecords GkvRecords;

GkvRecords *gkv_records_new (GkvRuntime *runtime,
                             GkvLinks *links,
                             GkvRumours *rumours,
                             GkvEphemerals *ephemerals,
                             GkvTombstones *tombstones,
                             GkvInheritance *inheritance,
                             GkvFlushes *flushes,
                             GkvConfirmations *confirmations,
                             GkvClocks *clocks);
void gkv_records_free (GkvRecords *self);
/* Ends what has expired, and releases what was quarantined. */
void gkv_records_tick (GkvRecords *self);

/* Looks after what was written before there was an engine. */
void gkv_records_take_in (GkvRecords *self);
/* @record was written here, and the store has taken it already. */
void gkv_records_push (GkvRecords *self, GkvRecord *record);
/* TRUE when it was new. @from: who sent it. @left_ms, @away: as of gkv-transfer. @is_rumour: nobody asked for it. */
gboolean gkv_records_apply (
    GkvRecords *self, GkvLink *from, GkvRecord *record, gint64 left_ms, guint64 away, gboolean is_rumour);
/* Whether a record of that key from a sender that was away isn't taken as yet. */
gboolean gkv_records_refuse (GkvRecords *self, GkvLink *from, guint64 hash, guint64 away);

/* Puts the record with its dead mark in the place of @record, and disseminates it. */
void gkv_records_mark_dead (GkvRecords *self, GkvRecord *record);
/* @held was written at @time_ms in truth. */
void gkv_records_correct_time (GkvRecords *self, GkvRecord *held, gint64 time_ms);
/* An ephemeral record of ours was marked dead elsewhere, or our generation has changed. */
void gkv_records_write_again (GkvRecords *self, GkvRecord *lost);

G_END_DECLS
