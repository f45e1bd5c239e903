/* What a command of gkv is: its words for the help, its options, and the function that does its work.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "options.h"
#include "session.h"

typedef struct
{
  const char *name;
  const char *parameters; /* as the help shows them */
  const char *summary;
  const char *description; /* what the help has below the options: examples */
  guint min_arguments;
  guint max_arguments;
  const GOptionEntry *entries; /* NULL: none but the common ones */
  gpointer values;             /* where the entries put their values; zeroed before each use */
  gsize values_size;
  gboolean joins; /* it finds a node that is in sync */

  ExitCode (*run) (Session *session, char **arguments);
} Command;

extern const Command command_get, command_set, command_remove;
extern const Command command_list, command_watch;
extern const Command command_peers, command_status, command_flush, command_stats;
extern const Command command_shell, command_bench;

/* Without an end: NULL is behind the last. */
extern const Command *const commands[];

const Command *command_find (const char *name);

/* Reads a command's line, of which argv[0] is the name. Returns its arguments without the options, or NULL with an
 * error. The common options that it has go to @options. */
char **command_parse (const Command *self, char **argv, Options *options, gboolean help_exits, GError **error);

char *command_get_help (const Command *self);
