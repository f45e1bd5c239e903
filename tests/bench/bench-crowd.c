/* What one write costs a crowd: 10,000 engines of settled membership on an exact wire. The floor is a datagram for each
 * node but the writer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "../unit/crowd.h"

#include <math.h>
#include <string.h>

int
main (int argc, char *argv[])
{
  guint n = argc > 1 && strcmp (argv[1], "--quick") == 0 ? 1000 : 10000;
  CrowdResult result;

  crowd_spread (n, &result);
  g_print ("one write to %u nodes     %u reached, %u left to anti-entropy; %u hops (target %.0f)\n", n,
           result.n_reached, n - result.n_reached, result.n_hops, 2 * log2 (n));
  g_print ("datagrams with the record   %8.2f N   target 2   floor 1\n", (double) result.n_carrying / n);
  g_print ("datagrams in all            %8.2f N   target 4   floor 1\n", (double) result.n_datagrams / n);
  g_print ("longest turn of an engine   %8.2f ms  target 10\n", result.longest_us / 1000.0);

  return result.n_reached == n ? 0 : 1;
}
