/* What members state of themselves.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-profiles.h"

#include <string.h>

struct _GkvProfiles
{
  GHashTable *set; /* of GkvProfile, borrowed from those that hold them */
};

static guint
profile_hash (gconstpointer data)
{
  const GkvProfile *profile = data;

  return (guint) ((profile->place ^ profile->generation) >> 32) ^ profile->incarnation.place;
}

static gboolean
profile_equal (gconstpointer a, gconstpointer b)
{
  const GkvProfile *x = a, *y = b;

  return x->place == y->place && x->generation == y->generation && x->incarnation.place == y->incarnation.place &&
         memcmp (x->incarnation.proof, y->incarnation.proof, GKV_PROOF_SIZE) == 0 && strcmp (x->id, y->id) == 0 &&
         g_strcmp0 (x->address, y->address) == 0;
}

GkvProfiles *
gkv_profiles_new (void)
{
  GkvProfiles *self = g_new0 (GkvProfiles, 1);

  self->set = g_hash_table_new (profile_hash, profile_equal);
  return self;
}

void
gkv_profiles_free (GkvProfiles *self)
{
  g_hash_table_unref (self->set);
  g_free (self);
}

static GkvProfile *
make_profile (const char *id, guint64 place, guint64 generation, const GkvIncarnation *incarnation, const char *address)
{
  gsize id_size = strlen (id) + 1;
  gsize address_size = address != NULL ? strlen (address) + 1 : 0;
  GkvProfile *profile = g_malloc (sizeof *profile + id_size + address_size);

  profile->ref_count = 1;
  profile->incarnation = *incarnation;
  profile->place = place;
  profile->generation = generation;
  profile->address = address != NULL ? profile->id + id_size : NULL;
  memcpy (profile->id, id, id_size);
  if (address != NULL)
    memcpy (profile->id + id_size, address, address_size);
  return profile;
}

GkvProfile *
gkv_profiles_get (GkvProfiles *self,
                  const char *id,
                  guint64 place,
                  guint64 generation,
                  const GkvIncarnation *incarnation,
                  const char *address)
{
  GkvProfile *profile = make_profile (id, place, generation, incarnation, address);
  GkvProfile *shared = self != NULL ? g_hash_table_lookup (self->set, profile) : NULL;

  if (shared != NULL)
    {
      g_free (profile);
      shared->ref_count++;
      return shared;
    }

  if (self != NULL)
    g_hash_table_add (self->set, profile);
  return profile;
}

void
gkv_profiles_release (GkvProfiles *self, GkvProfile *profile)
{
  if (--profile->ref_count > 0)
    return;

  if (self != NULL)
    g_hash_table_remove (self->set, profile);
  g_free (profile);
}
