/* Spreading in a crowd: everybody is reached, once, in few hops.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "crowd.h"

#include <math.h>

static void
test_crowd (gconstpointer data)
{
  guint n = GPOINTER_TO_UINT (data);
  CrowdResult result;

  crowd_spread (n, &result);

  g_assert_cmpuint (result.n_reached, ==, n);
  g_assert_cmpuint (result.n_hops, <=, ceil (log (n) / log (8)) + 2);
  /* A copy and an acknowledgement each. */
  g_assert_cmpuint (result.n_carrying, ==, n - 1);
  g_assert_cmpuint (result.n_datagrams, ==, 2 * (n - 1));
}

int
main (int argc, char *argv[])
{
  const guint sizes[] = { 1, 2, 3, 9, 10, 40, 100, 777 };

  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree char *path = g_strdup_printf ("/spread/%u", sizes[i]);

      g_test_add_data_func (path, GUINT_TO_POINTER (sizes[i]), test_crowd);
    }

  return g_test_run ();
}
