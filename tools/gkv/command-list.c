/* gkv list: the keys that there are.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include "output.h"
#include "value.h"

#include <stdio.h>
#include <unistd.h>

static struct
{
  gboolean keys;
  gboolean with_all;
} list_values;

static ExitCode
run_list (Session *session, char **arguments)
{
  GkvNode *node = session_get_node (session);
  g_auto (GStrv) keys = gkv_node_list_keys (node, arguments[0]);
  gboolean json = session_get_options (session)->json;

  for (char **key = keys; *key != NULL && !ferror (stdout); key++)
    {
      g_autoptr (GkvEntry) entry = gkv_node_get_entry (node, *key);
      g_autofree char *escaped = isatty (STDOUT_FILENO) ? value_escape (*key) : g_strdup (*key);

      if (entry == NULL)
        continue;
      if (list_values.keys)
        puts (escaped);
      else if (json)
        output_entry_json (entry);
      else if (list_values.with_all)
        output_entry_long (entry);
      else
        output_entry (entry);
    }
  return EXIT_DONE;
}

const Command command_list = {
  .name = "list",
  .parameters = "[PREFIX]",
  .summary = "Print all keys, or those that begin so",
  .description = "Examples:\n"
                 "  gkv list                      colour = 'blue' ...\n"
                 "  gkv list --keys config/       only the keys, one a line\n"
                 "  gkv list --json | jq .key     an object a line\n\n",
  .min_arguments = 0,
  .max_arguments = 1,
  .entries =
      (const GOptionEntry[]){
          { "keys", 'k', 0, G_OPTION_ARG_NONE, &list_values.keys, "Print only the keys", NULL },
          { "long", 'l', 0, G_OPTION_ARG_NONE, &list_values.with_all, "With type, writer and times", NULL },
          G_OPTION_ENTRY_NULL,
      },
  .values = &list_values,
  .values_size = sizeof list_values,
  .joins = TRUE,
  .run = run_list,
};
