/* Partings: what this node held before it was parted from others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-partings.h"

struct _GkvPartings
{
  GkvRuntime *runtime;
  GkvLinks *links;
};

GkvPartings *
gkv_partings_new (GkvRuntime *runtime, GkvLinks *links)
{
  GkvPartings *self = g_new0 (GkvPartings, 1);

  self->runtime = runtime;
  self->links = links;
  return self;
}

void
gkv_partings_free (GkvPartings *self)
{
  g_free (self);
}

void
gkv_partings_give (GkvPartings *self, GkvLink *link, GkvRecord *record)
{
  gkv_links_give_record (self->links, link, record, 0);
}
