/* Expiry: replacing records that are past their deadline.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-expiry.h"

static guint
end_due (GkvStore *self, gint64 now, guint max, gboolean mark, GkvStoreReleaseFunc func, gpointer user_data)
{
  guint n_expired = 0;

  while (n_expired < max)
    {
      g_autoptr (GkvRecord) dead = NULL;
      g_autoptr (GkvRecord) replaced = NULL;
      GkvRecord *record;
      gint64 deadline;

      record = gkv_store_peek_deadline (self, &deadline);
      if (record == NULL || deadline > now)
        break;

      n_expired++;

      dead = gkv_record_new_dead (gkv_store_get_hash_key (self), record);
      dead->flags |= record->flags & GKV_RECORD_QUARANTINED;
      if (mark)
        {
          /* The dead mark is above the record itself in the total order, so that the store always takes it. */
          gkv_store_put (self, dead, &replaced);
        }
      else if (record->flags & GKV_RECORD_QUARANTINED)
        {
          /* Nobody has seen it. */
          gkv_store_remove (self, record);
          continue;
        }
      else
        {
          replaced = gkv_record_ref (record);
          gkv_store_remove (self, record);
        }
      func (dead, replaced, user_data);
    }

  return n_expired;
}

guint
gkv_store_expire_due (GkvStore *self, gint64 now, guint max, GkvStoreReleaseFunc func, gpointer user_data)
{
  return end_due (self, now, max, TRUE, func, user_data);
}

guint
gkv_store_drop_due (GkvStore *self, gint64 now, guint max, GkvStoreReleaseFunc func, gpointer user_data)
{
  return end_due (self, now, max, FALSE, func, user_data);
}
