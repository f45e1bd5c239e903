/* GkvOwner: the main context that a node belongs to, and the thread that made it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-owner.h"

#include "gkv-error.h"

#include <pthread.h>

guint gkv_owner_n_forks;

static void
gkv_owner_forked (void)
{
  gkv_owner_n_forks++;
}

/* Once for the process and all its children. */
static void
gkv_owner_watch_forks (void)
{
  static gsize watched;

  if (g_once_init_enter (&watched))
    {
      pthread_atfork (NULL, NULL, gkv_owner_forked);
      g_once_init_leave (&watched, TRUE);
    }
}

GkvOwner *
gkv_owner_new (void)
{
  GkvOwner *self = g_atomic_rc_box_new0 (GkvOwner);

  gkv_owner_watch_forks ();
  self->n_forks = gkv_owner_n_forks;
  self->context = g_main_context_ref_thread_default ();
  self->thread = g_thread_self ();

  return self;
}

GkvOwner *
gkv_owner_ref (GkvOwner *self)
{
  return g_atomic_rc_box_acquire (self);
}

static void
gkv_owner_clear (gpointer data)
{
  GkvOwner *self = data;

  g_main_context_unref (self->context);
}

void
gkv_owner_unref (GkvOwner *self)
{
  g_atomic_rc_box_release_full (self, gkv_owner_clear);
}

gboolean
gkv_owner_check_here (GkvOwner *self, GError **error)
{
  if (gkv_owner_is_here (self))
    return TRUE;

  g_set_error_literal (error, GKV_ERROR, GKV_ERROR_CLOSED,
                       "The node belongs to the process that this one was forked from; make a node of its own here");

  return FALSE;
}

GMainContext *
gkv_owner_get_context (GkvOwner *self)
{
  return self->context;
}

gboolean
gkv_owner_enter (GkvOwner *self)
{
  GMainContext *current = g_main_context_get_thread_default ();
  gboolean home =
      self->thread == g_thread_self () && self->context == (current != NULL ? current : g_main_context_default ());

  if (!gkv_owner_is_here (self))
    return FALSE;

  if (!home && !g_main_context_is_owner (self->context))
    return FALSE;

  return g_main_context_acquire (self->context);
}

void
gkv_owner_leave (GkvOwner *self)
{
  g_main_context_release (self->context);
}

gboolean
gkv_owner_check (GkvOwner *self, const char *call, GError **error)
{
  if (!gkv_owner_check_here (self, error))
    return FALSE;

  if (gkv_owner_enter (self))
    {
      gkv_owner_leave (self);
      return TRUE;
    }

  g_set_error (error, GKV_ERROR, GKV_ERROR_WRONG_THREAD,
               "%s works only in the thread that runs the node's main context; call it from there, for example through "
               "g_main_context_invoke ()",
               call);

  return FALSE;
}
