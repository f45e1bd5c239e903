/* GkvConfirmations: telling others that this node holds what they have written.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-exchange.h"

G_BEGIN_DECLS

typedef struct _GkvConfirmations GkvConfirmations;

/* What a node says of the writes that it is asked about. */
typedef enum
{
  GKV_CONFIRMATION_WORKING = 0, /* it is getting them */
  GKV_CONFIRMATION_HOLDS = 1,
  GKV_CONFIRMATION_REFUSES = 2, /* one of them at least */
} GkvConfirmation;

/* A write of the node that flushes. */
typedef struct
{
  guint64 hash;  /* of its key */
  guint64 check; /* another hash of it: two keys may have one */
  GkvStamp stamp;
  guint32 version; /* the low bits of its fingerprint */
} GkvWrite;

#define GKV_WRITE_SIZE (8 + 8 + 8 + 4)

/* A FLUSH: a node asks which others hold its first @written writes. */
typedef struct
{
  guint64 place; /* of that node */
  guint64 generation;
  guint64 ticket; /* rises with each flush */
  guint32 serial; /* and with each of these messages */
  guint64 written;
  guint64 base;     /* the writes after that number are listed; the same number: none is */
  gboolean held;    /* the one that sends this holds all of them; */
  gboolean refused; /* it, or one before it on the way, refuses some */
  guint hops;       /* that it may still be passed on */
  guint n_writes;
  GkvWrite *writes;
  guint n_targets; /* places of those that are asked; 0: the receiver is */
  guint64 *targets;
} GkvFlushMessage;

/* Without the writes and the targets. */
#define GKV_FLUSH_HEAD_SIZE (8 + 8 + 10 + 4 + 10 + 10 + 1 + 1 + 1)

void gkv_write_init (GkvWrite *write, const GkvHashKey *hash_key, const GkvRecord *record);
void gkv_put_flush (GByteArray *body, const GkvFlushMessage *message);

GkvConfirmations *
gkv_confirmations_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvExchanges *exchanges);
void gkv_confirmations_free (GkvConfirmations *self);
void gkv_confirmations_tick (GkvConfirmations *self);
/* A FLUSH has come, or a FLUSHED about the writes of another node. */
void gkv_confirmations_handle (GkvConfirmations *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);
/* All is here that the node at @link held when the exchange with that number began. @refused: but for what is refused.
 */
void gkv_confirmations_note_matched (GkvConfirmations *self, GkvLink *link, guint64 number, gboolean refused);
/* Something that @writer has written is refused here; or all that is refused is judged anew. */
void gkv_confirmations_note_refused (GkvConfirmations *self, const char *writer);
void gkv_confirmations_judge_anew (GkvConfirmations *self);
/* Nothing comes from there any more. */
void gkv_confirmations_forget_link (GkvConfirmations *self, GkvLink *link);

G_END_DECLS
