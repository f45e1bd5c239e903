/* A crowd: very many engines that know each other as if they had met long ago, on a wire that loses nothing, to count
 * what one write costs.
 *
 * Ten thousand engines that know all others would need a hundred million members. Each is given those that its fingers
 * can ever point at, which are all that spreading looks at.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  guint n_reached;
  guint n_hops;        /* of the longest way */
  guint64 n_carrying;  /* datagrams with the record in it */
  guint64 n_datagrams; /* all */
  gint64 longest_us;   /* that one engine worked at a stretch, of processor time */
} CrowdResult;

/* One node of @n writes, and as long as anything follows from it, it is counted. */
void crowd_spread (guint n, CrowdResult *result);

G_END_DECLS
