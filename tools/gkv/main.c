/* gkv: a node in a terminal. Finds the command that is meant, joins, has it done, and leaves.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>

static char *
get_overview (void)
{
  GString *text = g_string_new ("Commands:\n");

  for (guint i = 0; commands[i] != NULL; i++)
    g_string_append_printf (text, "  %-8s %-22s %s\n", commands[i]->name, commands[i]->parameters,
                            commands[i]->summary);
  g_string_append (text, "\n"
                         "Examples:\n"
                         "  gkv --seed 192.0.2.1:7000 set colour blue     write a key, and wait until a node has it\n"
                         "  export GKV_SEEDS=192.0.2.1:7000               from now on without --seed\n"
                         "  gkv get colour                                print it\n"
                         "  gkv list config/                              all keys that begin so\n"
                         "  gkv watch                                     see what changes, until Ctrl-C\n"
                         "  gkv status                                    what is wrong, if anything is\n"
                         "  gkv set --help                                more on a command\n"
                         "\n" OPTIONS_HELP);
  return g_string_free (text, FALSE);
}

/* Reads what stands before the command, and leaves the rest in @argv. */
static gboolean
parse_first (char ***argv, Options *options, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("COMMAND [ARGUMENT...]");
  g_autofree char *overview = get_overview ();
  gboolean shows_version = FALSE;
  const GOptionEntry entries[] = {
    { "version", 0, 0, G_OPTION_ARG_NONE, &shows_version, "Print the version", NULL },
    G_OPTION_ENTRY_NULL,
  };

  g_option_context_set_summary (context, "A node in a terminal: reads, writes and watches the map of a cluster.");
  g_option_context_set_description (context, overview);
  g_option_context_add_main_entries (context, entries, NULL);
  options_add_to (options, context);
  g_option_context_set_strict_posix (context, TRUE);
  if (!g_option_context_parse_strv (context, argv, error))
    return FALSE;
  if (shows_version)
    {
      printf ("gkv %u.%u.%u\n", gkv_get_major_version (), gkv_get_minor_version (), gkv_get_micro_version ());
      exit (EXIT_DONE);
    }
  return TRUE;
}

static ExitCode
run (const Command *command, const Options *options, char **arguments)
{
  ExitCode code = EXIT_DONE, closed;
  g_autofree char *why = NULL;
  Session *session = session_open (options, &code);

  if (session == NULL)
    return code;
  if (command->joins)
    code = session_join (session, &why);
  if (why != NULL)
    session_complain ("%s", why);
  if (code == EXIT_DONE)
    code = command->run (session, arguments);

  /* Who reads a line and closes the pipe has all that was wanted. */
  fflush (stdout);
  closed = session_close (session);
  return code != EXIT_DONE ? code : closed;
}

int
main (int argc, char *argv[])
{
  g_auto (GStrv) line = NULL;
  g_auto (GStrv) arguments = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  const Command *command = NULL;
  Options options = { 0 };
  ExitCode code = EXIT_USAGE;

  setlocale (LC_ALL, "");
  signal (SIGPIPE, SIG_IGN);
  g_set_prgname ("gkv");

  line = g_strdupv (argv);
  if (!parse_first (&line, &options, &error))
    goto out;
  if (line[1] == NULL)
    {
      g_set_error_literal (&error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "No command is given; gkv --help lists them");
      goto out;
    }
  command = command_find (line[1]);
  if (command == NULL)
    {
      g_set_error (&error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "There is no command %s; gkv --help lists them",
                   line[1]);
      goto out;
    }

  name = g_strconcat ("gkv ", command->name, NULL);
  g_set_prgname (name);
  arguments = command_parse (command, line + 1, &options, TRUE, &error);
  if (arguments != NULL && options_complete (&options, &error))
    code = run (command, &options, arguments);

out:
  if (error != NULL)
    session_complain ("%s", error->message);
  options_clear (&options);
  return code;
}
