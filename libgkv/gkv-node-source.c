/* GkvNode: the one source that does in the node's context what is due. It exists once there is something to do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

/* A dispatch begins nothing new after this, so that it ends within 10 ms. */
#define DISPATCH_US (8 * 1000)

typedef struct
{
  GSource source;
  GWeakRef node; /* weak: the source doesn't keep the node alive */
} GkvNodeSource;

static gboolean
gkv_node_run (GkvNode *self)
{
  gint64 started = g_get_monotonic_time ();
  gint64 until = started + DISPATCH_US;
  gint64 next = G_MAXINT64;
  gboolean more = FALSE;

  g_mutex_lock (&self->lock);
  self->dirty = FALSE;
  self->next_run = G_MAXINT64;
  if (self->engine == NULL)
    next = gkv_node_expire_locked (self, started);
  g_mutex_unlock (&self->lock);

  next = MIN (next, gkv_node_run_network (self, until, &more));
  more = gkv_node_emit_queued (self, until) || more;
  next = MIN (next, gkv_node_run_contacts (self, started));
  next = MIN (next, gkv_node_run_waits (self, started));

  g_mutex_lock (&self->lock);
  if (self->state != GKV_NODE_CLOSED)
    gkv_node_wake_locked (self, more ? 0 : next);
  g_mutex_unlock (&self->lock);

  return G_SOURCE_CONTINUE;
}

static gboolean
gkv_node_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  g_autoptr (GkvNode) self = g_weak_ref_get (&((GkvNodeSource *) source)->node);

  g_source_set_ready_time (source, -1);

  return self != NULL ? gkv_node_run (self) : G_SOURCE_REMOVE;
}

static void
gkv_node_source_finalize (GSource *source)
{
  g_weak_ref_clear (&((GkvNodeSource *) source)->node);
}

static GSourceFuncs gkv_node_source_funcs = {
  .dispatch = gkv_node_source_dispatch,
  .finalize = gkv_node_source_finalize,
};

static GSource *
gkv_node_source_new (GkvNode *self)
{
  GSource *source = g_source_new (&gkv_node_source_funcs, sizeof (GkvNodeSource));

  g_source_set_static_name (source, "GkvNode");
  g_weak_ref_init (&((GkvNodeSource *) source)->node, self);

  return source;
}

void
gkv_node_wake_locked (GkvNode *self, gint64 when)
{
  if (when == G_MAXINT64 || self->dirty || when >= self->next_run || self->state == GKV_NODE_CLOSED)
    return;

  if (self->source == NULL)
    {
      self->source = gkv_node_source_new (self);
      g_source_attach (self->source, self->context);
    }

  self->dirty = when == 0;
  self->next_run = when;
  g_source_set_ready_time (self->source, when);
}
