/* GkvRunner: a source that runs a function in a main context when there is something to be done: now, or at a time.
 *
 * Any thread may say so, with neither a lock nor a system call unless the context sleeps: a source with a ready time
 * writes to its context for each change of that time. Calls that are made in a context are in gkv-call.
 *
 * It doesn't run in a forked child, which runs the context that it has got: what is to be done is the parent's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-owner.h"

typedef struct _GkvRunner GkvRunner;

/* TRUE: there is more to be done, and frames may be drawn in between. */
typedef gboolean (*GkvRunnerFunc) (gpointer data);

/* @name: a literal. @func is called with @data, on which a reference is held while the runner is attached. */
GkvRunner *gkv_runner_new (GkvOwner *owner,
                           const char *name,
                           GkvRunnerFunc func,
                           gpointer data,
                           gpointer (*ref) (gpointer data),
                           GDestroyNotify unref);
/* The runner is detached; nobody else uses it any more. */
void gkv_runner_free (GkvRunner *self);

/* Has it run in @context from now on, unless it is attached to one already. */
void gkv_runner_attach (GkvRunner *self, GMainContext *context);
/* The function may be running. */
void gkv_runner_detach (GkvRunner *self);
gboolean gkv_runner_is_attached (GkvRunner *self);

/* Has it run now, or once it is attached. */
void gkv_runner_wake (GkvRunner *self);
gboolean gkv_runner_is_woken (GkvRunner *self);
/* Takes back that it was woken: what there is to be done is done from here on. */
void gkv_runner_begin (GkvRunner *self);

/* When it is to run by itself, on the monotonic clock; G_MAXINT64 for never. In the context it counts from then on;
 * another thread has to wake it where gkv_runner_sleeps_beyond () says so. */
void gkv_runner_set_next (GkvRunner *self, gint64 next);
gint64 gkv_runner_get_next (GkvRunner *self);
gboolean gkv_runner_sleeps_beyond (GkvRunner *self, gint64 when);

G_END_DECLS
