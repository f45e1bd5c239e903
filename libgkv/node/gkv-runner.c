/* GkvRunner: a source that runs a function in a main context when there is something to be done.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-runner.h"

typedef struct
{
  GSource source;
  GkvRunner *runner;
} GkvRunnerSource;

/* Counted: by whoever made it, and by its sources, which may end later. */
struct _GkvRunner
{
  /* the same for life */
  GkvOwner *owner;
  const char *name;
  GkvRunnerFunc func;
  gpointer data;
  gpointer (*ref) (gpointer data);
  GDestroyNotify unref;

  GMutex lock;
  GSource *source;       /* atomic: NULL while it isn't attached */
  GMainContext *context; /* of the source */
  GPtrArray *contexts;   /* all that it was attached to, as another thread may be waking one */

  gboolean woken;    /* atomic: there is something to be done now */
  gboolean sleeping; /* atomic: the context may be waiting for that */
  gint64 next;       /* atomic: when there will be */
  gint64 wakes_at;   /* atomic: while it is sleeping */
};

static void
gkv_runner_clear (gpointer data)
{
  GkvRunner *self = data;

  g_ptr_array_unref (self->contexts);
  g_mutex_clear (&self->lock);
  gkv_owner_unref (self->owner);
}

static void
gkv_runner_unref (GkvRunner *self)
{
  g_atomic_rc_box_release_full (self, gkv_runner_clear);
}

gint64
gkv_runner_get_next (GkvRunner *self)
{
  return __atomic_load_n (&self->next, __ATOMIC_SEQ_CST);
}

void
gkv_runner_set_next (GkvRunner *self, gint64 next)
{
  __atomic_store_n (&self->next, next, __ATOMIC_SEQ_CST);
}

gboolean
gkv_runner_sleeps_beyond (GkvRunner *self, gint64 when)
{
  return when < __atomic_load_n (&self->wakes_at, __ATOMIC_SEQ_CST);
}

/* Notes when the context wakes by itself. Whoever lets it have to wake sooner sets that first, and then looks here;
 * here it is the other way round, so that one of the two sees the other. */
static gint64
gkv_runner_note_wake (GkvRunner *self)
{
  gint64 next;

  do
    {
      next = gkv_runner_get_next (self);
      __atomic_store_n (&self->wakes_at, next, __ATOMIC_SEQ_CST);
    }
  while (gkv_runner_get_next (self) < next);

  return next;
}

/* As gkv_runner_note_wake (), of what is to be done now. */
static gboolean
gkv_runner_prepare (GSource *source, int *timeout_ms)
{
  GkvRunner *self = ((GkvRunnerSource *) source)->runner;
  gint64 next;
  gint64 now;

  *timeout_ms = -1;
  if (!gkv_owner_is_here (self->owner))
    return FALSE;

  g_atomic_int_set (&self->sleeping, TRUE);
  next = gkv_runner_note_wake (self);
  now = next != G_MAXINT64 ? g_source_get_time (source) : 0;
  if (g_atomic_int_get (&self->woken) || next <= now)
    {
      g_atomic_int_set (&self->sleeping, FALSE);
      return TRUE;
    }

  if (next != G_MAXINT64)
    *timeout_ms = (int) MIN ((next - now + 999) / 1000, G_MAXINT);

  return FALSE;
}

static gboolean
gkv_runner_check (GSource *source)
{
  GkvRunner *self = ((GkvRunnerSource *) source)->runner;
  gint64 next;

  if (!gkv_owner_is_here (self->owner))
    return FALSE;

  g_atomic_int_set (&self->sleeping, FALSE);
  if (g_atomic_int_get (&self->woken))
    return TRUE;

  next = gkv_runner_get_next (self);

  return next != G_MAXINT64 && next <= g_source_get_time (source);
}

static gboolean
gkv_runner_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  GkvRunner *self = ((GkvRunnerSource *) source)->runner;
  gboolean more;
  int priority;

  if (!gkv_owner_is_here (self->owner))
    return G_SOURCE_REMOVE;

  more = self->func (self->data);
  if (more)
    g_atomic_int_set (&self->woken, TRUE);

  priority = more ? G_PRIORITY_DEFAULT_IDLE : G_PRIORITY_DEFAULT;
  if (!g_source_is_destroyed (source) && g_source_get_priority (source) != priority)
    g_source_set_priority (source, priority);

  return G_SOURCE_CONTINUE;
}

static void
gkv_runner_finalize (GSource *source)
{
  GkvRunner *self = ((GkvRunnerSource *) source)->runner;

  self->unref (self->data);
  gkv_runner_unref (self);
}

static GSourceFuncs gkv_runner_funcs = {
  .prepare = gkv_runner_prepare,
  .check = gkv_runner_check,
  .dispatch = gkv_runner_dispatch,
  .finalize = gkv_runner_finalize,
};

GkvRunner *
gkv_runner_new (GkvOwner *owner,
                const char *name,
                GkvRunnerFunc func,
                gpointer data,
                gpointer (*ref) (gpointer data),
                GDestroyNotify unref)
{
  GkvRunner *self = g_atomic_rc_box_new0 (GkvRunner);

  self->owner = gkv_owner_ref (owner);
  self->name = name;
  self->func = func;
  self->data = data;
  self->ref = ref;
  self->unref = unref;
  g_mutex_init (&self->lock);
  self->contexts = g_ptr_array_new_with_free_func ((GDestroyNotify) g_main_context_unref);
  self->next = G_MAXINT64;
  self->wakes_at = G_MAXINT64;

  return self;
}

void
gkv_runner_free (GkvRunner *self)
{
  gkv_runner_unref (self);
}

void
gkv_runner_attach (GkvRunner *self, GMainContext *context)
{
  g_mutex_lock (&self->lock);
  if (self->source == NULL)
    {
      GSource *source = g_source_new (&gkv_runner_funcs, sizeof (GkvRunnerSource));

      ((GkvRunnerSource *) source)->runner = g_atomic_rc_box_acquire (self);
      self->ref (self->data);
      g_source_set_static_name (source, self->name);
      g_source_set_can_recurse (source, TRUE); /* costs less, and a nested loop goes on */
      g_ptr_array_add (self->contexts, g_main_context_ref (context));
      self->context = context;
      g_source_attach (source, context);
      g_atomic_pointer_set (&self->source, source);
    }
  g_mutex_unlock (&self->lock);
}

void
gkv_runner_detach (GkvRunner *self)
{
  GSource *source;

  g_mutex_lock (&self->lock);
  source = self->source;
  g_atomic_pointer_set (&self->source, NULL);
  g_mutex_unlock (&self->lock);

  if (source == NULL)
    return;

  g_source_destroy (source);
  g_source_unref (source);
}

gboolean
gkv_runner_is_attached (GkvRunner *self)
{
  return g_atomic_pointer_get (&self->source) != NULL;
}

void
gkv_runner_wake (GkvRunner *self)
{
  g_atomic_int_set (&self->woken, TRUE);

  if (g_atomic_int_compare_and_exchange (&self->sleeping, TRUE, FALSE))
    g_main_context_wakeup (self->context);
}

gboolean
gkv_runner_is_woken (GkvRunner *self)
{
  return g_atomic_int_get (&self->woken);
}

void
gkv_runner_begin (GkvRunner *self)
{
  g_atomic_int_set (&self->woken, FALSE);
}
