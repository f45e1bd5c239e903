/* What a generation of a member is known to hold.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-standing.h"

void
gkv_standing_init (GkvMember *member)
{
  member->of_repair = g_new0 (GkvStanding, 1);
}

void
gkv_standing_clear (GkvMember *member)
{
  g_clear_pointer (&member->of_repair, g_free);
}

void
gkv_standing_end (GkvMember *member)
{
  GkvStanding *standing = gkv_standing_of (member);

  standing->matched = standing->matched_synced = FALSE;
  standing->n_checks = 0;
}

void
gkv_standing_reset (GkvMember *member)
{
  GkvStanding *standing = gkv_standing_of (member);
  guint64 live_ticket = standing->live_ticket;

  *standing = (GkvStanding){ .live_ticket = live_ticket };
}
