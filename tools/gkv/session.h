/* A node that takes part for as long as a command runs: joining, waiting, confirming, leaving.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gkv.h>

#include "options.h"

typedef struct Session Session;

/* Starts a node. Where it can't be started, says why and returns NULL. */
Session *session_open (const Options *options, ExitCode *code);

/* Waits until it is in sync with a node. Where it is not within the time, returns an error's text and the exit code. */
ExitCode session_join (Session *self, char **why);

/* Waits until @n_peers hold what was written, 0: all that live. Says what went wrong. */
ExitCode session_confirm (Session *self, guint n_peers);

/* Leaves, and frees it. */
ExitCode session_close (Session *self);

GkvNode *session_get_node (Session *self);
const Options *session_get_options (Session *self);

/* How the next command of a shell prints and waits; a timeout of 0 is the one that the shell was started with. */
void session_set_manner (Session *self, gboolean json, double timeout);

/* What the node has reported so far, each line once; belongs to the session. While @shown, which it is at first, they
 * are printed too. */
GPtrArray *session_get_reports (Session *self);
void session_show_reports (Session *self, gboolean shown);

/* Runs until somebody calls session_quit (), presses Ctrl-C, sends SIGTERM or reads the output no longer. Waiting ends
 * by these, too. */
void session_run (Session *self);
void session_quit (Session *self);

/* What session_quit () and the signals cancel. */
GCancellable *session_get_quit (Session *self);

/* Runs for some time, so that what the network brings is seen. */
void session_run_for (Session *self, guint milliseconds);

/* Says it on standard error, after "gkv: ". */
void session_complain (const char *format, ...) G_GNUC_PRINTF (1, 2);
