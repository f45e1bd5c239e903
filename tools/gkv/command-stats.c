/* gkv stats: the statistics of the command's own node.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include "output.h"
#include "value.h"

#include <stdio.h>

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *) a, *(const char *const *) b);
}

static ExitCode
run_stats (Session *session, char **arguments)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (session_get_node (session));
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  GVariantIter iter;
  const char *name;

  if (session_get_options (session)->json)
    {
      output_json (stats);
      return EXIT_DONE;
    }

  g_variant_iter_init (&iter, stats);
  while (g_variant_iter_next (&iter, "{&sv}", &name, NULL))
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);

  printf ("# of the node of this command itself, which has just joined\n");
  for (guint i = 0; i < names->len; i++)
    {
      g_autoptr (GVariant) value = g_variant_lookup_value (stats, names->pdata[i], NULL);
      g_autofree char *text = value_show (value);

      printf ("%-32s %s\n", (char *) names->pdata[i], text);
    }
  return EXIT_DONE;
}

const Command command_stats = {
  .name = "stats",
  .parameters = "",
  .summary = "Print the statistics of the command's own node",
  .description =
      "They are those of a node that has just joined, as a service's own are seen by nobody else: a service\n"
      "gets its own with gkv_node_get_stats ().\n\n",
  .min_arguments = 0,
  .max_arguments = 0,
  .joins = TRUE,
  .run = run_stats,
};
