/* GkvFlushes: which peers hold what was written here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-confirmations.h"

G_BEGIN_DECLS

typedef struct _GkvFlushes GkvFlushes;

GkvFlushes *gkv_flushes_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvMembership *membership);
void gkv_flushes_free (GkvFlushes *self);
void gkv_flushes_tick (GkvFlushes *self);

guint64 gkv_flushes_begin (GkvFlushes *self, guint n_peers);
void gkv_flushes_get_state (GkvFlushes *self, guint64 ticket, GkvFlushState *state);
void gkv_flushes_end (GkvFlushes *self, guint64 ticket);
/* The ids of those that refuse something of ours. (transfer full) */
char *gkv_flushes_describe_refusers (GkvFlushes *self);
/* A FLUSHED has come. FALSE: it is about the writes of another node. */
gboolean gkv_flushes_handle (GkvFlushes *self, GkvLink *link, GkvReader *reader);
guint64 gkv_flushes_get_n_unconfirmed (GkvFlushes *self);

/* @record was there before the engine. */
void gkv_flushes_count (GkvFlushes *self, const GkvRecord *record);
/* @record was written here. */
void gkv_flushes_add_write (GkvFlushes *self, GkvRecord *record);

/* How many writes there are. */
guint64 gkv_flushes_begin_exchange (GkvFlushes *self);
/* An exchange has ended that began with so many, and found nothing that the other side lacks. */
void gkv_flushes_settle (GkvFlushes *self, GkvLink *link, guint64 n_written);
/* Both hold the same. */
void gkv_flushes_agree (GkvFlushes *self, GkvLink *link);
/* It has got these, each in one datagram. */
void gkv_flushes_acknowledge (GkvFlushes *self, GkvMember *member, GPtrArray *records);
/* It came, came back, or was lost. */
void gkv_flushes_note_liveness (GkvFlushes *self, GkvMember *member);
/* Its clock refuses something of ours. */
void gkv_flushes_note_refusal (GkvFlushes *self, GkvMember *member);

G_END_DECLS
