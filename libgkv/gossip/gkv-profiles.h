/* GkvProfile: what a member states of itself, and others pass on: id, generation, incarnation, address. It never
 * changes; a member that states something else gets another one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-incarnation.h"

G_BEGIN_DECLS

typedef struct
{
  guint ref_count;
  GkvIncarnation incarnation;
  guint64 place; /* on the ring: the hash of the id */
  guint64 generation;
  const char *address; /* nullable; behind the id */
  char id[];
} GkvProfile;

/* The profiles of several engines in one thread, so that what is the same in all of them is there once. */
typedef struct _GkvProfiles GkvProfiles;

GkvProfiles *gkv_profiles_new (void);
void gkv_profiles_free (GkvProfiles *self);

/* @self: nullable: it is shared with nobody. Both strings are copied. */
GkvProfile *gkv_profiles_get (GkvProfiles *self,
                              const char *id,
                              guint64 place,
                              guint64 generation,
                              const GkvIncarnation *incarnation,
                              const char *address);
void gkv_profiles_release (GkvProfiles *self, GkvProfile *profile);

G_END_DECLS
