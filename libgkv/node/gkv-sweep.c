/* GkvSweep: what a map shows under a prefix, read a slice at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-sweep.h"

/* A map of up to so many records is read at once. */
#define MAX_AT_ONCE (4096)
#define SLICE       (1000)
/* For so long a step builds. */
#define STEP_US (1000)

void
gkv_sweep_init (GkvSweep *self, const char *prefix)
{
  *self = (GkvSweep){ g_strdup (prefix), NULL, FALSE };
}

void
gkv_sweep_clear (GkvSweep *self)
{
  g_clear_pointer (&self->prefix, g_free);
  g_clear_pointer (&self->after, g_free);
}

gboolean
gkv_sweep_step (GkvSweep *self, GkvMap *map, GPtrArray *records)
{
  if (!self->begun && gkv_map_get_n_records (map) <= MAX_AT_ONCE)
    {
      g_ptr_array_extend_and_steal (records, gkv_map_dup_records (map, self->prefix, G_MAXUINT));
      return FALSE;
    }

  if (!self->begun)
    gkv_map_want_index (map);
  self->begun = TRUE;

  return gkv_map_build_index (map, g_get_monotonic_time () + STEP_US) ||
         gkv_map_read_records (map, self->prefix, &self->after, SLICE, records);
}
