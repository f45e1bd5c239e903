/* The table of commands, and the reading of a command's line.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include <string.h>

const Command *const commands[] = {
  &command_get,    &command_set,   &command_remove, &command_list,  &command_watch, &command_peers,
  &command_status, &command_flush, &command_stats,  &command_shell, &command_bench, NULL,
};

/* A negative number is no option. It is marked while the options are read. */
#define MARK '\001'

const Command *
command_find (const char *name)
{
  for (guint i = 0; commands[i] != NULL; i++)
    {
      if (g_str_equal (commands[i]->name, name))
        return commands[i];
    }
  return NULL;
}

static GOptionContext *
make_context (const Command *self, Options *options, char ***arguments)
{
  g_autofree char *description = g_strconcat (self->description, OPTIONS_HELP, NULL);
  GOptionContext *context = g_option_context_new (self->parameters);
  const GOptionEntry rest[] = {
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, arguments, NULL, NULL },
    G_OPTION_ENTRY_NULL,
  };

  g_option_context_set_summary (context, self->summary);
  g_option_context_set_description (context, description);
  if (self->entries != NULL)
    g_option_context_add_main_entries (context, self->entries, NULL);
  options_add_to (options, context);
  g_option_context_add_main_entries (context, rest, NULL);
  return context;
}

char *
command_get_help (const Command *self)
{
  Options options = { 0 };
  g_auto (GStrv) arguments = NULL;
  g_autoptr (GOptionContext) context = make_context (self, &options, &arguments);
  g_autofree char *name = g_strconcat ("gkv ", self->name, NULL);

  g_set_prgname (name);
  return g_option_context_get_help (context, TRUE, NULL);
}

char **
command_parse (const Command *self, char **argv, Options *options, gboolean help_exits, GError **error)
{
  g_auto (GStrv) arguments = NULL;
  g_autoptr (GOptionContext) context = make_context (self, options, &arguments);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) marked = NULL;
  guint n;

  if (self->values != NULL)
    memset (self->values, 0, self->values_size);
  for (char **next = argv; *next != NULL; next++)
    {
      gboolean is_number = (*next)[0] == '-' && (g_ascii_isdigit ((*next)[1]) || (*next)[1] == '.');
      g_autofree char *text = is_number ? g_strdup_printf ("%c%s", MARK, *next) : g_strdup (*next);

      g_strv_builder_add (builder, text);
    }
  marked = g_strv_builder_end (builder);

  g_option_context_set_help_enabled (context, help_exits);
  if (!g_option_context_parse_strv (context, &marked, error))
    return NULL;

  if (arguments == NULL)
    arguments = g_new0 (char *, 1);
  for (char **next = arguments; *next != NULL; next++)
    {
      if ((*next)[0] == MARK)
        memmove (*next, *next + 1, strlen (*next));
    }
  n = g_strv_length (arguments);
  if (n < self->min_arguments || n > self->max_arguments)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "It is used so: gkv %s %s", self->name,
                   self->parameters);
      return NULL;
    }
  return g_steal_pointer (&arguments);
}
