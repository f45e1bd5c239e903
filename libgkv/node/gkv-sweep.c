/* GkvSweep: what a map shows under a prefix, read a slice at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-sweep.h"

/* Up to so many records come at once. */
#define MAX_AT_ONCE (10000)
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
  g_autoptr (GPtrArray) all = NULL;

  if (self->begun)
    return gkv_map_build_index (map, g_get_monotonic_time () + STEP_US) ||
           gkv_map_read_records (map, self->prefix, &self->after, SLICE, records);

  self->begun = TRUE;
  all = gkv_map_dup_records (map, self->prefix, MAX_AT_ONCE);
  if (all == NULL)
    return TRUE;

  g_ptr_array_extend_and_steal (records, g_steal_pointer (&all));

  return FALSE;
}
