/* Names of records, of which the oldest are forgotten: there are two sets, and when the newer one is full it becomes
 * the older one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-names.h"

struct _GkvNames
{
  GHashTable *newer;
  GHashTable *older;
  guint max; /* in each */
};

guint
gkv_record_name_hash (gconstpointer name)
{
  const GkvRecordName *self = name;

  return (guint) (self->hash ^ self->hash >> 32) ^ self->version;
}

gboolean
gkv_record_name_equal (gconstpointer a, gconstpointer b)
{
  const GkvRecordName *x = a, *y = b;

  return x->hash == y->hash && x->version == y->version;
}

static GHashTable *
new_set (void)
{
  return g_hash_table_new_full (gkv_record_name_hash, gkv_record_name_equal, g_free, NULL);
}

GkvNames *
gkv_names_new (guint max)
{
  GkvNames *self = g_new (GkvNames, 1);

  *self = (GkvNames){ .newer = new_set (), .older = new_set (), .max = max };
  return self;
}

void
gkv_names_free (GkvNames *self)
{
  g_hash_table_unref (self->newer);
  g_hash_table_unref (self->older);
  g_free (self);
}

void
gkv_names_add (GkvNames *self, guint64 hash, guint32 version, guint32 check)
{
  GkvRecordName name = { hash, version, check };

  if (g_hash_table_contains (self->newer, &name))
    return;

  if (g_hash_table_size (self->newer) >= self->max)
    {
      g_hash_table_unref (self->older);
      self->older = self->newer;
      self->newer = new_set ();
    }
  g_hash_table_add (self->newer, g_memdup2 (&name, sizeof name));
}

const GkvRecordName *
gkv_names_find (GkvNames *self, guint64 hash, guint32 version)
{
  GkvRecordName name = { .hash = hash, .version = version };
  const GkvRecordName *found = g_hash_table_lookup (self->newer, &name);

  return found != NULL ? found : g_hash_table_lookup (self->older, &name);
}

void
gkv_names_clear (GkvNames *self)
{
  g_hash_table_remove_all (self->newer);
  g_hash_table_remove_all (self->older);
}
