/* GkvOwner: the main context that a node belongs to, and the thread that made it. Signals leave there, and some calls
 * may be made only there.
 *
 * A thread is in the node's context when it owns that context, or when it made the node while nobody owns the context:
 * so a program may use its node before its main loop runs. Counted; may be used from any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _GkvOwner GkvOwner;

struct _GkvOwner
{
  /*< private >*/
  GMainContext *context;
  GThread *thread; /* compared only, so that it may have ended */
  guint n_forks;
};

/* How many forks this process is away from the first that used the library. It changes in a child only, before any
 * other code runs there. */
extern guint gkv_owner_n_forks;

/* Of this thread and its default context. */
GkvOwner *gkv_owner_new (void);
GkvOwner *gkv_owner_ref (GkvOwner *self);
void gkv_owner_unref (GkvOwner *self);

/* Whether this is the process that made it. In a child that was forked from that one, locks may be held by threads that
 * aren't there, and sockets and names are the parent's: nothing of a node is to be touched there. */
static inline gboolean
gkv_owner_is_here (const GkvOwner *self)
{
  return self->n_forks == gkv_owner_n_forks;
}

/* GKV_ERROR_CLOSED where it isn't. */
gboolean gkv_owner_check_here (GkvOwner *self, GError **error);

GMainContext *gkv_owner_get_context (GkvOwner *self);

/* Whether this thread is in the node's context. TRUE is to be followed by gkv_owner_leave (): until then no other
 * thread can be in it. */
gboolean gkv_owner_enter (GkvOwner *self);
void gkv_owner_leave (GkvOwner *self);

/* The same without staying. FALSE: GKV_ERROR_WRONG_THREAD, naming @call, or GKV_ERROR_CLOSED in a forked child. */
gboolean gkv_owner_check (GkvOwner *self, const char *call, GError **error);

G_END_DECLS
