/* GkvPartings: when this node was parted from others, and what it held before.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-conversation.h"
#include "gkv-standing.h"

G_BEGIN_DECLS

/* Nobody is held dead that is silent for less. */
#define GKV_PARTING_LEAST (1600 * GKV_MS)

typedef struct _GkvPartings GkvPartings;

typedef struct
{
  /* The own time had a gap since @since, on the clock of remaining lifetimes. */
  void (*parted) (gint64 since, gpointer data);
  /* The member at @link, which was lost since @since, is back. */
  void (*returned) (GkvLink *link, gint64 since, gpointer data);
} GkvPartingsListener;

GkvPartings *gkv_partings_new (
    GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, const GkvPartingsListener *listener, gpointer data);
void gkv_partings_free (GkvPartings *self);

/* It is @now, which the runtime doesn't know yet; the engine was to have its turn at @due. */
void gkv_partings_note_time (GkvPartings *self, const GkvTime *now, gint64 due);
/* With the store locked, after the runtime knows the time. */
void gkv_partings_begin_turn (GkvPartings *self);

/* A member was added, or is about to be freed; is held dead, or has left. */
void gkv_partings_add_member (GkvPartings *self, GkvMember *member);
void gkv_partings_remove_member (GkvPartings *self, GkvMember *member);
void gkv_partings_lose (GkvPartings *self, GkvMember *member);
/* A datagram has come from the member at @link, and isn't answered yet. */
void gkv_partings_hear (GkvPartings *self, GkvLink *link);
/* It has received something from this node: it has answered it. */
void gkv_partings_note_heard (GkvPartings *self, GkvLink *link);
void gkv_partings_handle (GkvPartings *self, GkvLink *link, GkvReader *reader);

/* Sends a record that is held, and that the node at @link lacks: in anti-entropy. The valid one below a quarantined one
 * goes with it. */
void gkv_partings_give (GkvPartings *self, GkvLink *link, GkvRecord *record);
/* Nobody remembers removals that this node doesn't. */
void gkv_partings_note_inherited (GkvPartings *self);
/* An exchange has looked at everything, and the member has all that this node holds. @remembers: it remembers all
 * removals. */
void gkv_partings_settle (GkvPartings *self, GkvMember *member, gboolean remembers);

G_END_DECLS
