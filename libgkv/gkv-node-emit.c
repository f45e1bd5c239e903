/* GkvNode: how changes and errors leave, in the owner's thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-error.h"

/* The same error is emitted again after this long. */
#define ERROR_PAUSE_US (60 * G_USEC_PER_SEC)
/* Errors remembered for that. */
#define MAX_ERRORS (64)

static gboolean
gkv_node_is_emitting (GkvNode *self, const char *key)
{
  for (GkvEmission *emission = self->emission; emission != NULL; emission = emission->outer)
    if (strcmp (emission->key, key) == 0)
      return TRUE;

  return FALSE;
}

/* FALSE: an application sees what it saw, or there is nobody to see it. */
static gboolean
gkv_node_judge_change_locked (GkvNode *self, GkvRecord *record, GkvRecord *replaced, gboolean audience, gboolean *loud)
{
  GkvRecord *visible = gkv_store_get_visible (self->store, record);

  if (visible == replaced)
    return FALSE;

  if (replaced != NULL)
    gkv_decoded_drop (self->decoded, replaced);

  *loud = audience && (visible == NULL || replaced == NULL || !gkv_record_same_value (visible, replaced));

  return audience;
}

void
gkv_node_queue_change_locked (GkvNode *self, GkvRecord *record, GkvRecord *replaced, gboolean audience)
{
  gboolean loud;

  if (gkv_node_judge_change_locked (self, record, replaced, audience, &loud))
    gkv_changes_push (&self->changes, record, loud);
}

gboolean
gkv_node_take_change_locked (GkvNode *self, GkvRecord *record, GkvRecord *replaced, gboolean entered, gboolean *loud)
{
  const char *key = gkv_record_get_key (record);
  gboolean now = entered && !gkv_node_is_emitting (self, key);

  if (!gkv_node_judge_change_locked (self, record, replaced, TRUE, loud))
    return FALSE;

  if (now && gkv_changes_is_empty (&self->changes))
    return TRUE;

  /* What another thread wrote of the key may be queued: then one emission is for both. */
  gkv_changes_push (&self->changes, record, *loud);
  if (now)
    return gkv_changes_take (&self->changes, key, loud);

  gkv_node_wake_locked (self, 0);

  return FALSE;
}

gboolean
gkv_node_has_audience (GkvNode *self)
{
  return !gkv_list_index_is_empty (self->lists) ||
         g_signal_handler_find (self, G_SIGNAL_MATCH_ID | G_SIGNAL_MATCH_UNBLOCKED, gkv_node_signal_changed, 0, NULL,
                                NULL, NULL) != 0;
}

static gboolean
gkv_node_is_listened_to (GkvNode *self, GQuark detail)
{
  return g_signal_has_handler_pending (self, gkv_node_signal_changed, 0, FALSE) ||
         (detail != 0 && g_signal_has_handler_pending (self, gkv_node_signal_changed, detail, FALSE));
}

static void
gkv_node_update_lists (GkvNode *self, const char *key, GkvRecord *record, GVariant *value)
{
  g_autoptr (GPtrArray) lists = gkv_list_index_find (self->lists, key);
  gint64 expires_us = -1;

  if (record != NULL)
    {
      g_mutex_lock (&self->lock);
      expires_us = gkv_node_get_expires_locked (self, record);
      g_mutex_unlock (&self->lock);
    }

  for (guint i = 0; i < lists->len; i++)
    gkv_list_update (lists->pdata[i], key, record, value, expires_us);
}

void
gkv_node_emit_key (GkvNode *self, const char *key, GkvRecord *record, GVariant *value, gboolean loud)
{
  /* Keys come from the network, and a quark is for ever: no new one is made. Who listens to a key has made it. */
  GQuark detail = g_quark_try_string (key);
  gboolean listed = !gkv_list_index_is_empty (self->lists);
  gboolean heard = loud && gkv_node_is_listened_to (self, detail);
  g_autoptr (GVariant) decoded = value != NULL ? g_variant_ref (value) : NULL;
  g_autoptr (GError) error = NULL;
  GkvEmission emission = { key, self->emission };

  if (!listed && !heard)
    return;

  if (record != NULL && decoded == NULL)
    decoded = gkv_node_dup_value (self, record, &error);

  self->emission = &emission;

  if (listed)
    gkv_node_update_lists (self, key, record, decoded);

  if (error != NULL)
    gkv_node_tell_error (self, error);
  else if (heard && self->state != GKV_NODE_CLOSED)
    g_signal_emit (self, gkv_node_signal_changed, detail, key, decoded);

  self->emission = emission.outer;
}

gboolean
gkv_node_emit_queued (GkvNode *self, gint64 until)
{
  while (TRUE)
    {
      g_autoptr (GkvRecord) changed = NULL;
      g_autoptr (GkvRecord) visible = NULL;
      gboolean loud;

      /* One at a time: a handler may change the next. */
      g_mutex_lock (&self->lock);
      changed = self->state != GKV_NODE_CLOSED ? gkv_changes_pop (&self->changes, &loud) : NULL;
      if (changed != NULL)
        {
          visible = gkv_node_find_locked (self, gkv_record_get_key (changed));
          if (visible != NULL)
            gkv_record_ref (visible);
        }
      g_mutex_unlock (&self->lock);

      if (changed == NULL)
        return FALSE;

      gkv_node_emit_key (self, gkv_record_get_key (changed), visible, NULL, loud);

      if (g_get_monotonic_time () >= until)
        return TRUE;
    }
}

static gboolean
gkv_node_is_error_old (gpointer key, gpointer value, gpointer user_data)
{
  return *(gint64 *) user_data - *(gint64 *) value >= ERROR_PAUSE_US;
}

void
gkv_node_tell_error (GkvNode *self, const GError *error)
{
  g_autofree char *name = NULL;
  gint64 now = g_get_monotonic_time ();

  if (self->state == GKV_NODE_CLOSED)
    return;

  name = g_strdup_printf ("%u %d %s", error->domain, error->code, error->message);
  g_hash_table_foreach_remove (self->told, gkv_node_is_error_old, &now);
  if (g_hash_table_contains (self->told, name) || g_hash_table_size (self->told) >= MAX_ERRORS)
    return;

  g_hash_table_insert (self->told, g_steal_pointer (&name), g_memdup2 (&now, sizeof now));
  g_debug ("node %s: %s", self->node_id, error->message);
  g_signal_emit (self, gkv_node_signal_error, 0, error);
}
