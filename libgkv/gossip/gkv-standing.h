/* GkvStanding: what a generation of a member is known to hold, for repair and lifetime.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-members.h"

G_BEGIN_DECLS

typedef struct
{
  gboolean matched;        /* an exchange with this generation of it has ended with nothing left to fetch */
  gboolean says_synced;    /* that it is */
  gboolean matched_synced; /* it said so already when one of these exchanges began */
  guint64 n_claimed;       /* records that it says it holds, when it was met: */
  gint64 claimed_at;
  gint64 live_since; /* when it was met, or came back */
  guint n_checks;    /* exchanges that were repeated at once to see whether all is the same now */

  /* gkv-flushes */
  guint64 confirmed;   /* the newest flush ticket that it has confirmed, */
  guint64 held;        /* and how many of the writes of this node that is */
  guint64 live_ticket; /* the newest one when it was met, or came back */
  gboolean refuses;    /* its clock refuses something of ours; until it confirms */
  gint64 flush_asked;  /* when it was asked last, */
  gint64 flush_since;  /* since when without a reply; 0: it has replied */
  guint n_flush_asked; /* and how often */

  gint64 clock;            /* what it has said that it is ahead of our boot time; 0: nothing */
  gboolean clock_reported; /* that it is far from ours */
  gboolean clock_objects;  /* it has said that ours is ahead of its own */
  gint64 clock_told_at;    /* when it was told that; monotonic, 0: never */
  gboolean remembers;      /* it has said that it remembers all removals */

  /* gkv-partings; real times, 0: none */
  gint64 lost_at;   /* when it was heard last before it was lost; it doesn't know that yet */
  gint64 parted_at; /* the first such time since when it may lack what was held here then */
  gint64 told_at;   /* when it was told how long it was silent; monotonic */
} GkvStanding;

/* That of a member, which may be made for it. */
GkvStanding *gkv_standing_of (GkvMember *member);
/* As it is, or as it would be made. */
const GkvStanding *gkv_standing_peek (const GkvMember *member);
static inline gboolean
gkv_standing_exists (const GkvMember *member)
{
  return gkv_member_peek (member)->of_repair != NULL;
}

/* When it was met, or came back. */
gint64 gkv_standing_get_live_since (const GkvMember *member);

/* A member is about to be freed. */
void gkv_standing_clear (GkvMember *member);
/* Nothing is under way with it any more. */
void gkv_standing_end (GkvMember *member);
/* Whether what is kept of it would be missed. */
gboolean gkv_standing_is_needed (const GkvMember *member);
/* Nothing is known of its next generation. */
void gkv_standing_reset (GkvMember *member);

G_END_DECLS
