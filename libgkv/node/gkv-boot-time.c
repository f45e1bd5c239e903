/* The clock of remaining lifetimes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-boot-time.h"

#include <time.h>

gint64
gkv_get_boot_time (void)
{
#if defined CLOCK_BOOTTIME && !defined GKV_PORTABLE
  struct timespec time;

  if (clock_gettime (CLOCK_BOOTTIME, &time) == 0)
    return time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
#endif

  /* Then what a machine sleeps is added to what is left. */
  return g_get_monotonic_time ();
}
