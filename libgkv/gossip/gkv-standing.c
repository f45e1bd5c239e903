/* What a generation of a member is known to hold.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-standing.h"

/* What a peer lacks is remembered up to so many. With more, an exchange that finds fewer is waited for. */
#define MAX_GIVEN 256

void
gkv_given_add (GkvGiven *given, const GkvRecord *record, GkvStamp their_stamp)
{
  GkvGivenRecord entry = { record->hash, record->stamp, their_stamp };

  if (given->records == NULL)
    given->records = g_array_new (FALSE, FALSE, sizeof (GkvGivenRecord));

  if (given->records->len < MAX_GIVEN)
    g_array_append_val (given->records, entry);
  else
    given->many = TRUE;
}

void
gkv_given_clear (GkvGiven *given)
{
  g_clear_pointer (&given->records, g_array_unref);
  *given = (GkvGiven){ 0 };
}

void
gkv_standing_init (GkvMember *member)
{
  member->of_repair = g_new0 (GkvStanding, 1);
}

void
gkv_standing_clear (GkvMember *member)
{
  gkv_given_clear (&gkv_standing_of (member)->owed);
  g_clear_pointer (&member->of_repair, g_free);
}

void
gkv_standing_end (GkvMember *member)
{
  GkvStanding *standing = gkv_standing_of (member);

  standing->matched = standing->matched_synced = FALSE;
  standing->n_checks = 0;
  gkv_given_clear (&standing->owed);
}

void
gkv_standing_reset (GkvMember *member)
{
  GkvStanding *standing = gkv_standing_of (member);
  guint64 live_ticket = standing->live_ticket;

  gkv_given_clear (&standing->owed);
  *standing = (GkvStanding){ .live_ticket = live_ticket };
}
