/* Calls that are made later in a main context.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-call.h"

typedef struct
{
  GkvOwner *owner;
  GDestroyNotify func;
  gpointer data;
} GkvCall;

static gboolean
gkv_call_do_nothing (gpointer data)
{
  return G_SOURCE_REMOVE;
}

static void
gkv_call_make (gpointer data)
{
  GkvCall *self = data;

  if (gkv_owner_is_here (self->owner))
    self->func (self->data);

  gkv_owner_unref (self->owner);
  g_free (self);
}

void
gkv_call (GkvOwner *owner, GMainContext *context, const char *name, GDestroyNotify func, gpointer data)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  GkvCall *self = g_new0 (GkvCall, 1);

  self->owner = gkv_owner_ref (owner);
  self->func = func;
  self->data = data;

  /* The destroy notify makes the call: it comes also when the context goes. */
  g_source_set_static_name (source, name);
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, gkv_call_do_nothing, self, gkv_call_make);
  g_source_attach (source, context);
}
