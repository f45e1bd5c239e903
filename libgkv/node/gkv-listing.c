/* GkvListing: what an application sees of a store, in the order of the keys.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-listing.h"

#include "gkv-key-index.h"

#include <string.h>

struct _GkvListing
{
  GkvStore *store;
  GkvKeyIndex *index;
  gboolean complete;
  guint64 from; /* while it isn't: what stands in the store before this hash is in the index */
};

/* A part of a walk over the store. */
typedef struct
{
  GkvStore *store;
  const char *prefix;
  gsize prefix_len;
  GPtrArray *records;
  guint left;
  guint64 last;
  gboolean more;
} GkvListingWalk;

static gboolean
gkv_listing_walk_each (GkvRecord *record, gpointer user_data)
{
  GkvListingWalk *walk = user_data;
  GkvRecord *visible;

  /* Those of one hash come together, as the next part begins at a hash. */
  if (walk->left == 0 && record->hash != walk->last)
    {
      walk->last = record->hash;
      walk->more = TRUE;
      return FALSE;
    }

  walk->left -= MIN (walk->left, 1);
  walk->last = record->hash;
  visible = gkv_store_get_visible (walk->store, record);
  if (visible != NULL && strncmp (gkv_record_get_key (visible), walk->prefix, walk->prefix_len) == 0)
    g_ptr_array_add (walk->records, visible);

  return TRUE;
}

/* internal */

GkvListing *
gkv_listing_new (GkvStore *store)
{
  GkvListing *self = g_new0 (GkvListing, 1);

  self->store = store;
  self->index = gkv_key_index_new (FALSE);

  return self;
}

void
gkv_listing_free (GkvListing *self)
{
  gkv_key_index_free (self->index);
  g_free (self);
}

gboolean
gkv_listing_is_complete (GkvListing *self)
{
  return self->complete;
}

gboolean
gkv_listing_build (GkvListing *self, guint max)
{
  g_autoptr (GPtrArray) records = NULL;

  if (self->complete)
    return TRUE;

  /* One that was reported since the building began is there already, and is put in its own place. */
  records = g_ptr_array_sized_new (max);
  self->complete = !gkv_listing_walk (self->store, "", &self->from, max, records);
  for (guint i = 0; i < records->len; i++)
    gkv_key_index_insert (self->index, records->pdata[i], NULL);

  return self->complete;
}

/* A key that the building has not reached yet is inserted, too: the building will find it there, in the right place. */
void
gkv_listing_update (GkvListing *self, const char *key, GkvRecord *visible)
{
  if (visible != NULL)
    gkv_key_index_insert (self->index, visible, NULL);
  else
    gkv_key_index_remove (self->index, key, NULL);
}

guint
gkv_listing_count (GkvListing *self, const char *prefix)
{
  return gkv_key_index_find_prefix (self->index, prefix, NULL);
}

guint
gkv_listing_read (GkvListing *self, const char *prefix, const char *after, GkvRecord **records, guint n)
{
  return gkv_key_index_read_prefix (self->index, prefix, after, records, n);
}

gboolean
gkv_listing_walk (GkvStore *store, const char *prefix, guint64 *from, guint max, GPtrArray *records)
{
  const GkvRange all = { 0, 0 };
  GkvListingWalk walk = { store, prefix, strlen (prefix), records, MAX (max, 1), *from, FALSE };

  gkv_store_foreach (store, all, *from, gkv_listing_walk_each, &walk);
  if (walk.more)
    *from = walk.last;

  return walk.more;
}
