/* gkv shell: many commands, a line each, of one node that stays.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include <gio/gunixinputstream.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
on_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **done = user_data;

  *done = g_object_ref (result);
}

/* The next line, while the node runs on; NULL at the end, or if the shell is to end. */
static char *
read_line (Session *session, GDataInputStream *input)
{
  g_autoptr (GAsyncResult) done = NULL;

  if (isatty (STDIN_FILENO))
    {
      printf ("gkv> ");
      fflush (stdout);
    }
  g_data_input_stream_read_line_async (input, G_PRIORITY_DEFAULT, session_get_quit (session), on_read, &done);
  while (done == NULL)
    g_main_context_iteration (NULL, TRUE);
  return g_data_input_stream_read_line_finish (input, done, NULL, NULL);
}

static ExitCode
show_help (const char *name)
{
  const Command *command = name != NULL ? command_find (name) : NULL;

  if (name != NULL && command == NULL)
    {
      session_complain ("There is no command %s", name);
      return EXIT_USAGE;
    }
  if (command != NULL)
    {
      g_autofree char *help = command_get_help (command);

      printf ("%s", help);
      return EXIT_DONE;
    }
  for (guint i = 0; commands[i] != NULL; i++)
    printf ("%-8s %-22s %s\n", commands[i]->name, commands[i]->parameters, commands[i]->summary);
  printf ("%-8s %-22s %s\n", "help", "[COMMAND]", "Show this, or more on a command");
  printf ("%-8s %-22s %s\n", "quit", "", "Leave, as Ctrl-D does");
  return EXIT_DONE;
}

/* What one line has: its words are read as a shell does. */
static ExitCode
run_words (Session *session, char **words)
{
  const Command *command;
  g_auto (GStrv) arguments = NULL;
  g_autoptr (GError) error = NULL;
  Options options = { 0 };
  ExitCode code = EXIT_USAGE;

  if (g_str_equal (words[0], "help"))
    return show_help (words[1]);
  command = command_find (words[0]);
  if (command == NULL)
    {
      session_complain ("There is no command %s; 'help' lists them", words[0]);
      return EXIT_USAGE;
    }

  arguments = command_parse (command, words, &options, FALSE, &error);
  if (arguments == NULL)
    session_complain ("%s", error->message);
  else if (options_have_place (&options))
    session_complain ("Where the cluster is, is said when the shell is started");
  else if (command == &command_shell)
    session_complain ("This is one");
  else if (command == &command_set && g_str_equal (arguments[1], "-"))
    session_complain ("In a shell the value is typed");
  else
    {
      session_set_manner (session, options.json, options.timeout);
      code = command->run (session, arguments);
      fflush (stdout);
    }
  options_clear (&options);
  return code;
}

static ExitCode
run_line (Session *session, const char *line)
{
  g_auto (GStrv) words = NULL;
  g_autoptr (GError) error = NULL;

  if (g_shell_parse_argv (line, NULL, &words, &error))
    return run_words (session, words);
  if (g_error_matches (error, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
    return EXIT_DONE;
  session_complain ("%s", error->message);
  return EXIT_USAGE;
}

static ExitCode
run_shell (Session *session, char **arguments)
{
  g_autoptr (GInputStream) stream = g_unix_input_stream_new (STDIN_FILENO, FALSE);
  g_autoptr (GDataInputStream) input = g_data_input_stream_new (stream);
  ExitCode code = EXIT_DONE;

  for (;;)
    {
      g_autofree char *line = read_line (session, input);
      ExitCode line_code;

      if (line == NULL || g_str_equal (g_strstrip (line), "quit") || g_str_equal (line, "exit"))
        break;
      line_code = run_line (session, line);
      if (line_code != EXIT_DONE)
        code = line_code;
      /* Ctrl-C has ended the command only. */
      g_cancellable_reset (session_get_quit (session));
    }
  if (isatty (STDIN_FILENO))
    {
      putchar ('\n');
      return EXIT_DONE;
    }
  return code;
}

const Command command_shell = {
  .name = "shell",
  .parameters = "",
  .summary = "Take commands from the terminal or a script, and stay",
  .description =
      "A line is a command without \"gkv\" before it; \"help\" lists them. The node joins once, so each takes less\n"
      "than a millisecond. With a script the exit code is that of the last line that failed.\n"
      "\n"
      "Example:\n"
      "  printf 'set a 1\\nset b 2\\nlist\\n' | gkv shell\n\n",
  .min_arguments = 0,
  .max_arguments = 0,
  .joins = TRUE,
  .run = run_shell,
};
