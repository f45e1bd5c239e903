/* GkvWaits: the calls that wait for the cluster.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-waits.h"

#include "gkv-map.h"
#include "gkv-owner.h"

/* One call that waits. Whoever takes it off the list ends it. */
typedef struct
{
  GkvWaits *waits;
  GkvWaitGoal goal;
  gboolean listed;
  GError *error; /* how it ended; NULL: well */

  /* of a call that waits for a task: touched in the task's context only */
  GTask *task; /* NULL: a thread is blocked */
  GSource *timeout;
  GSource *cancelled;
} GkvWait;

struct _GkvWaits
{
  GkvWaitFuncs funcs;
  gpointer data;
  guint n_forks; /* of the process that made it */

  GMutex lock;
  GCond ended;
  GPtrArray *list; /* GkvWait, each with a reference */
  guint n_listed;  /* atomic: their number */
  gboolean closed;
};

static void
gkv_wait_clear (gpointer data)
{
  GkvWait *wait = data;

  g_clear_error (&wait->error);
}

static void
gkv_wait_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, gkv_wait_clear);
}

static gpointer
gkv_wait_ref (gpointer data)
{
  return g_atomic_rc_box_acquire (data);
}

GkvWaits *
gkv_waits_new (const GkvWaitFuncs *funcs, gpointer data)
{
  GkvWaits *self = g_new0 (GkvWaits, 1);

  self->funcs = *funcs;
  self->data = data;
  self->n_forks = gkv_owner_n_forks;
  g_mutex_init (&self->lock);
  g_cond_init (&self->ended);
  self->list = g_ptr_array_new_with_free_func (gkv_wait_unref);

  return self;
}

void
gkv_waits_free (GkvWaits *self)
{
  g_ptr_array_unref (self->list);
  g_cond_clear (&self->ended);
  g_mutex_clear (&self->lock);
  g_free (self);
}

static GkvWait *
gkv_waits_add_locked (GkvWaits *self, const GkvWaitGoal *goal)
{
  GkvWait *wait = g_atomic_rc_box_new0 (GkvWait);

  wait->waits = self;
  wait->goal = *goal;

  if (self->closed)
    {
      gkv_map_fail_closed (&wait->error);
      return wait;
    }

  wait->listed = TRUE;
  g_ptr_array_add (self->list, gkv_wait_ref (wait));
  g_atomic_int_set (&self->n_listed, self->list->len);

  return wait;
}

/* A forked child runs the contexts that it has got; those who wait are its parent's. */
static gboolean
gkv_waits_is_here (GkvWaits *self)
{
  return self->n_forks == gkv_owner_n_forks;
}

/* TRUE: the caller is the one to end it. */
static gboolean
gkv_waits_take_locked (GkvWaits *self, GkvWait *wait)
{
  if (!wait->listed)
    return FALSE;

  wait->listed = FALSE;
  g_ptr_array_remove_fast (self->list, wait);
  g_atomic_int_set (&self->n_listed, self->list->len);

  return TRUE;
}

static gboolean
gkv_waits_take (GkvWaits *self, GkvWait *wait)
{
  gboolean taken;

  if (!gkv_waits_is_here (self))
    return FALSE;

  g_mutex_lock (&self->lock);
  taken = gkv_waits_take_locked (self, wait);
  g_mutex_unlock (&self->lock);

  return taken;
}

/* Tasks. All that follows runs in the task's context. */

static void
gkv_wait_drop_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);

  g_clear_pointer (source, g_source_unref);
}

static void
gkv_wait_return (GkvWait *wait)
{
  g_autoptr (GTask) task = g_steal_pointer (&wait->task);

  gkv_wait_drop_source (&wait->timeout);
  gkv_wait_drop_source (&wait->cancelled);

  if (wait->error != NULL)
    g_task_return_error (task, g_steal_pointer (&wait->error));
  else
    g_task_return_boolean (task, TRUE);
}

static gboolean
gkv_wait_on_ended (gpointer data)
{
  GkvWait *wait = data;

  if (gkv_waits_is_here (wait->waits))
    gkv_wait_return (wait);

  return G_SOURCE_REMOVE;
}

static gboolean
gkv_wait_on_timeout (gpointer data)
{
  GkvWait *wait = data;
  GkvWaits *self = wait->waits;

  if (gkv_waits_take (self, wait))
    {
      wait->error = self->funcs.explain (&wait->goal, self->data);
      self->funcs.ended (&wait->goal, self->data);
      gkv_wait_return (wait);
    }

  return G_SOURCE_REMOVE;
}

static gboolean
gkv_wait_on_cancelled (GCancellable *cancellable, gpointer data)
{
  GkvWait *wait = data;
  GkvWaits *self = wait->waits;

  if (gkv_waits_take (self, wait))
    {
      g_cancellable_set_error_if_cancelled (cancellable, &wait->error);
      self->funcs.ended (&wait->goal, self->data);
      gkv_wait_return (wait);
    }

  return G_SOURCE_REMOVE;
}

/* Attached from any thread. The source's own reference is all that is dropped here. */
static void
gkv_wait_attach (GkvWait *wait, GSource *source, const char *name, GSourceFunc func)
{
  g_source_set_static_name (source, name);
  g_source_set_priority (source, g_task_get_priority (wait->task));
  g_source_set_callback (source, func, gkv_wait_ref (wait), gkv_wait_unref);
  g_source_attach (source, g_task_get_context (wait->task));
}

static void
gkv_wait_post (GkvWait *wait)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  gkv_wait_attach (wait, source, "GkvNode wait ended", gkv_wait_on_ended);
}

void
gkv_waits_add_task (GkvWaits *self, const GkvWaitGoal *goal, guint timeout_ms, GTask *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  GkvWait *wait;

  g_mutex_lock (&self->lock);
  wait = gkv_waits_add_locked (self, goal);
  wait->task = task;
  if (timeout_ms > 0)
    {
      wait->timeout = g_timeout_source_new (timeout_ms);
      gkv_wait_attach (wait, wait->timeout, "GkvNode wait timeout", gkv_wait_on_timeout);
    }
  if (cancellable != NULL)
    {
      wait->cancelled = g_cancellable_source_new (cancellable);
      gkv_wait_attach (wait, wait->cancelled, "GkvNode wait cancelled", G_SOURCE_FUNC (gkv_wait_on_cancelled));
    }
  if (!wait->listed)
    gkv_wait_post (wait);
  g_mutex_unlock (&self->lock);

  gkv_wait_unref (wait);
}

/* Blocking */

static void
gkv_waits_wake (GCancellable *cancellable, gpointer data)
{
  GkvWaits *self = data;

  g_mutex_lock (&self->lock);
  g_cond_broadcast (&self->ended);
  g_mutex_unlock (&self->lock);
}

gboolean
gkv_waits_block (GkvWaits *self,
                 const GkvWaitGoal *goal,
                 guint timeout_ms,
                 void (*begun) (gpointer data),
                 GCancellable *cancellable,
                 GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64) timeout_ms * 1000;
  gulong handler = 0;
  gboolean taken = FALSE;
  gboolean ok;
  GkvWait *wait;

  g_mutex_lock (&self->lock);
  wait = gkv_waits_add_locked (self, goal);
  g_mutex_unlock (&self->lock);

  if (wait->listed)
    {
      begun (self->data);
      if (cancellable != NULL)
        handler = g_cancellable_connect (cancellable, G_CALLBACK (gkv_waits_wake), self, NULL);
    }

  g_mutex_lock (&self->lock);
  while (wait->listed && !taken)
    {
      if (g_cancellable_is_cancelled (cancellable) || (timeout_ms > 0 && g_get_monotonic_time () >= deadline))
        taken = gkv_waits_take_locked (self, wait);
      else if (timeout_ms > 0)
        g_cond_wait_until (&self->ended, &self->lock, deadline);
      else
        g_cond_wait (&self->ended, &self->lock);
    }
  g_mutex_unlock (&self->lock);

  g_cancellable_disconnect (cancellable, handler);

  if (taken)
    {
      if (!g_cancellable_set_error_if_cancelled (cancellable, &wait->error))
        wait->error = self->funcs.explain (&wait->goal, self->data);
      self->funcs.ended (&wait->goal, self->data);
    }

  ok = wait->error == NULL;
  if (!ok)
    g_propagate_error (error, g_steal_pointer (&wait->error));
  gkv_wait_unref (wait);

  return ok;
}

/* Ending */

/* Takes @wait off the list, and has whoever waits go on. Consumes @error. */
static void
gkv_waits_end_locked (GkvWaits *self, GkvWait *wait, GError *error)
{
  gkv_wait_ref (wait);
  gkv_waits_take_locked (self, wait);
  wait->error = error;
  if (wait->task != NULL)
    gkv_wait_post (wait);
  gkv_wait_unref (wait);
}

void
gkv_waits_check (GkvWaits *self)
{
  gboolean any = FALSE;

  if (g_atomic_int_get (&self->n_listed) == 0)
    return;

  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->list->len;)
    {
      GkvWait *wait = self->list->pdata[i];
      GError *error = NULL;

      if (self->funcs.reached (&wait->goal, self->data, &error) || error != NULL)
        {
          gkv_waits_end_locked (self, wait, error); /* another takes its place */
          any = TRUE;
        }
      else
        {
          i++;
        }
    }
  if (any)
    g_cond_broadcast (&self->ended);
  g_mutex_unlock (&self->lock);
}

void
gkv_waits_close (GkvWaits *self)
{
  g_mutex_lock (&self->lock);
  self->closed = TRUE;
  while (self->list->len > 0)
    {
      GError *error = NULL;

      gkv_map_fail_closed (&error);
      gkv_waits_end_locked (self, self->list->pdata[0], error);
    }
  g_cond_broadcast (&self->ended);
  g_mutex_unlock (&self->lock);
}
