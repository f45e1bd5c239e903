/* GkvFlushes: which peers hold what was written here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-exchange.h"

G_BEGIN_DECLS

typedef struct _GkvFlushes GkvFlushes;

GkvFlushes *gkv_flushes_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvExchanges *exchanges);
void gkv_flushes_free (GkvFlushes *self);
void gkv_flushes_tick (GkvFlushes *self);

guint64 gkv_flushes_begin (GkvFlushes *self, guint n_peers);
void gkv_flushes_get_state (GkvFlushes *self, guint64 ticket, GkvFlushState *state);
void gkv_flushes_end (GkvFlushes *self, guint64 ticket);
guint64 gkv_flushes_get_n_unconfirmed (GkvFlushes *self);

/* @record was there before the engine. */
void gkv_flushes_count (GkvFlushes *self, const GkvRecord *record);
/* @record was written here. */
void gkv_flushes_add_write (GkvFlushes *self, GkvRecord *record);

void gkv_flushes_begin_exchange (GkvFlushes *self, GkvGiven *given);
/* An exchange has ended that looked at everything, and takes @given. */
void gkv_flushes_settle (GkvFlushes *self, GkvLink *link, GkvGiven *given);
/* Both hold the same. */
void gkv_flushes_agree (GkvFlushes *self, GkvLink *link);
/* It has got these, each in one datagram. */
void gkv_flushes_acknowledge (GkvFlushes *self, GkvMember *member, GPtrArray *records);
/* It came, came back, or was lost. */
void gkv_flushes_note_liveness (GkvFlushes *self, GkvMember *member);
/* Its clock refuses something of ours. */
void gkv_flushes_note_refusal (GkvFlushes *self, GkvMember *member);

G_END_DECLS
