/* Calls that are made later in a main context, from any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-owner.h"

/* Has @func called in @context. It is also called when the context goes without having run it; but not in a forked
 * child, which runs the context that it has got: @data is the parent's. @name: a literal. */
void gkv_call (GkvOwner *owner, GMainContext *context, const char *name, GDestroyNotify func, gpointer data);

G_END_DECLS
