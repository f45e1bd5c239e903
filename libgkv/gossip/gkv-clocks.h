/* GkvClocks: whose wall clock is wrong. What others say theirs is, steps of the own one, and what is reported of that.
 *
 * A record is judged by the time at which it was written, and so a wrong clock does harm: at its own node, where what
 * others write seems to come from the future, or at all others, to which what it writes does. When it is set right,
 * what this node held as valid by the wrong one gets the time that it should have had, and so do the others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-standing.h"

G_BEGIN_DECLS

typedef struct _GkvClocks GkvClocks;

typedef struct
{
  /* The own clock was set, or the time of something that was refused has come: what was judged by it is to be judged
   * anew. */
  void (*judge_anew) (gpointer data);
  /* @record lies ahead of the clock, which was set back; it was written at @time_ms in truth. */
  void (*lies_ahead) (GkvRecord *record, gint64 time_ms, gpointer data);
  /* What this node wrote is refused by @member, as it lies too far ahead of its clock. */
  void (*refused) (GkvMember *member, gpointer data);
} GkvClocksListener;

/* @is_confined: (nullable): whether an address can be reached from its own machine only. */
GkvClocks *gkv_clocks_new (GkvRuntime *runtime,
                           GkvLinks *links,
                           GkvMembers *members,
                           gboolean (*is_confined) (const char *address),
                           const GkvClocksListener *listener,
                           gpointer data);
void gkv_clocks_free (GkvClocks *self);
void gkv_clocks_tick (GkvClocks *self);

/* The node at @link has said that it is @wall_s, in seconds since 1970. */
void gkv_clocks_note_peer (GkvClocks *self, GkvLink *link, guint64 wall_s);

/* Whether the own clock may be the wrong one: it is before this library was written, or over an hour from those of the
 * others. Then nothing is refused because of it. */
gboolean gkv_clocks_is_doubtful (GkvClocks *self);

/* A record of that time is refused for now. @for_room: only because too many are quarantined. */
void gkv_clocks_note_refused (GkvClocks *self, gint64 time_ms, gboolean for_room);

/* Whether it may be corrected that @record, which this node or an earlier run of it has written, lies ahead, */
gboolean gkv_clocks_may_correct (GkvClocks *self, const GkvRecord *record);
/* and the time that it gets then. */
gint64 gkv_clocks_get_time_ms (GkvClocks *self);

/* Reports a record that came from @from and lies ahead of the own clock, once a writer, here and there. */
void gkv_clocks_report (GkvClocks *self, GkvLink *from, const GkvRecord *record);
/* A peer says that a record lies ahead of its clock. */
void gkv_clocks_handle (GkvClocks *self, GkvLink *link, GkvReader *reader);

G_END_DECLS
