/* Link-local addresses, as each host knows them: with the number of its own interface behind a "%".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-scopes.h"

#include <stdlib.h>
#include <string.h>

char *
sim_scopes_add (const char *place, guint interface)
{
  const char *end = strchr (place, ']');

  return end == NULL ? g_strdup (place) : g_strdup_printf ("%.*s%%%u%s", (int) (end - place), place, interface, end);
}

char *
sim_scopes_resolve (const char *address, guint interface)
{
  const char *scope = strchr (address, '%');
  const char *end = strchr (address, ']');

  if (end == NULL)
    return g_strdup (address);
  if (scope == NULL || strtoul (scope + 1, NULL, 10) != interface)
    return NULL;

  return g_strdup_printf ("%.*s%s", (int) (scope - address), address, end);
}
