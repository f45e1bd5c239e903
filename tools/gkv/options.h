/* The options that all commands have: which cluster, and how to get there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

/* What a script goes by. */
typedef enum
{
  EXIT_DONE = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_NOT_FOUND = 3,
  EXIT_NOBODY = 4,
} ExitCode;

typedef struct
{
  char **seeds;
  char *discovery;
  char *cluster;
  char *bind_address;
  char *codec;
  gboolean json;
  double timeout; /* seconds */
} Options;

#define OPTIONS_HELP \
  "Where the cluster is, is also read from GKV_SEEDS, GKV_DISCOVERY, GKV_CLUSTER, GKV_BIND and GKV_CODEC, and from\n" \
  "the file gkv/config in ~/.config, which has lines like \"seeds=192.0.2.1:7000\" below a line \"[gkv]\".\n" \
  "\n" \
  "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 key not found, 4 nobody reached.\n"

void options_add_to (Options *self, GOptionContext *context);

/* Adds what the environment and the configuration have, and says what is missing. */
gboolean options_complete (Options *self, GError **error);

/* Whether they say where the cluster is, or how the node there is made. */
gboolean options_have_place (const Options *self);

void options_clear (Options *self);
