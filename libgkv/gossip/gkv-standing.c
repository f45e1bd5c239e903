/* What a generation of a member is known to hold.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-standing.h"

static const GkvStanding nothing;

GkvStanding *
gkv_standing_of (GkvMember *member)
{
  GkvMemberExtra *extra = gkv_member_extra (member);

  if (extra->of_repair == NULL)
    {
      GkvStanding *standing = extra->of_repair = g_new0 (GkvStanding, 1);

      standing->live_since = extra->status_since;
    }
  return extra->of_repair;
}

const GkvStanding *
gkv_standing_peek (const GkvMember *member)
{
  const GkvStanding *standing = gkv_member_peek (member)->of_repair;

  return standing != NULL ? standing : &nothing;
}

gint64
gkv_standing_get_live_since (const GkvMember *member)
{
  return gkv_standing_exists (member) ? gkv_standing_peek (member)->live_since : gkv_member_get_status_since (member);
}

void
gkv_standing_clear (GkvMember *member)
{
  if (member->extra != NULL)
    g_clear_pointer (&member->extra->of_repair, g_free);
}

/* When it was lost, and what it may lack since; and what it has confirmed, or refuses. */
gboolean
gkv_standing_is_needed (const GkvMember *member)
{
  const GkvStanding *standing = gkv_standing_peek (member);

  return standing->lost_at != 0 || standing->parted_at != 0 || standing->confirmed > 0 || standing->held > 0 ||
         standing->refuses || standing->flush_since != 0 || standing->clock_reported || standing->clock_objects;
}

void
gkv_standing_end (GkvMember *member)
{
  GkvStanding *standing;

  if (!gkv_standing_exists (member))
    return;

  standing = gkv_standing_of (member);
  standing->matched = standing->matched_synced = FALSE;
  standing->n_checks = 0;
}

void
gkv_standing_reset (GkvMember *member)
{
  GkvStanding *standing;
  guint64 live_ticket;

  if (!gkv_standing_exists (member))
    return;

  standing = gkv_standing_of (member);
  live_ticket = standing->live_ticket;

  *standing = (GkvStanding){ .live_ticket = live_ticket };
}
