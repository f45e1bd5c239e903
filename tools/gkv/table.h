/* The live table of keys on a terminal.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "session.h"

/* Shows the keys that begin with @prefix, NULL: all, until the session is told to quit. */
void table_run (Session *session, const char *prefix);

/* A text cut or filled to some columns of a terminal. */
char *table_fit (const char *text, guint columns);
