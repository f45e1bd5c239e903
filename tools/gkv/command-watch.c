/* gkv watch: what changes, as lines in a pipe and as a live table on a terminal.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include "output.h"
#include "table.h"

#include <stdio.h>
#include <unistd.h>

static struct
{
  gboolean lines;
  gboolean only_changes;
} watch_values;

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  Session *session = user_data;
  gboolean json = session_get_options (session)->json;
  g_autoptr (GkvEntry) entry = value != NULL ? gkv_node_get_entry (node, key) : NULL;

  if (entry == NULL)
    output_removal (key, origin, json);
  else if (json)
    output_entry_json (entry);
  else
    output_entry (entry);
  if (fflush (stdout) != 0)
    session_quit (session);
}

static ExitCode
run_watch (Session *session, char **arguments)
{
  GkvNode *node = session_get_node (session);
  GkvWatchFlags flags = watch_values.only_changes ? GKV_WATCH_NONE : GKV_WATCH_INITIAL;
  guint id;

  if (isatty (STDOUT_FILENO) && !watch_values.lines && !session_get_options (session)->json)
    {
      table_run (session, arguments[0]);
      return EXIT_DONE;
    }

  id = gkv_node_watch (node, arguments[0], flags, on_changed, session, NULL);
  session_run (session);
  gkv_node_unwatch (node, id);
  return EXIT_DONE;
}

const Command command_watch = {
  .name = "watch",
  .parameters = "[PREFIX]",
  .summary = "Show what changes, until Ctrl-C",
  .description =
      "On a terminal it is a table that is drawn anew; in a pipe it is a line a change, first what is there.\n"
      "\n"
      "Examples:\n"
      "  gkv watch                                     everything\n"
      "  gkv watch online/                             what begins so\n"
      "  gkv watch --json --only-changes | while read -r line; do ...; done\n\n",
  .min_arguments = 0,
  .max_arguments = 1,
  .entries =
      (const GOptionEntry[]){
          { "lines", 0, 0, G_OPTION_ARG_NONE, &watch_values.lines, "Lines also on a terminal", NULL },
          { "only-changes", 0, 0, G_OPTION_ARG_NONE, &watch_values.only_changes, "Lines without what is there", NULL },
          G_OPTION_ENTRY_NULL,
      },
  .values = &watch_values,
  .values_size = sizeof watch_values,
  .joins = TRUE,
  .run = run_watch,
};
