/* GkvEmitter: all that an application receives from a node leaves here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-emitter.h"

#include "gkv-error.h"
#include "gkv-list.h"
#include "gkv-objects.h"
#include "gkv-prefixes.h"

/* A dispatch begins nothing new after this, so that it ends within 10 ms. */
#define DISPATCH_US (8 * 1000)
/* The same error is emitted again after this long. */
#define ERROR_PAUSE_US (60 * G_USEC_PER_SEC)
/* Errors remembered for that. */
#define MAX_ERRORS (64)

/* A change being emitted, on the stack of the emission: a write of the same key by one of its handlers is queued, so
 * that no handler sees the newer value before the older. */
typedef struct _GkvEmitting GkvEmitting;

struct _GkvEmitting
{
  const char *key;
  GkvEmitting *outer;
};

/* What waits to be emitted and is no change of a key. One of the three. */
typedef struct
{
  GkvPeerInfo *peer;
  gboolean removed;
  GError *error;
  GParamSpec *pspec;
} GkvNotice;

typedef struct
{
  GSource source;
  GkvEmitter *emitter;
} GkvEmitterSource;

struct _GkvEmitter
{
  /* the same for life */
  GkvOwner *owner;
  GkvMap *map;
  GkvEmitterSignals signals;
  GWeakRef node;

  GMutex lock;
  gboolean closed; /* atomic */
  GSource *source; /* NULL: nothing was to be emitted yet */
  gboolean woken;
  GQueue notices;   /* GkvNotice */
  GHashTable *told; /* errors emitted of late → when */

  /* the node's context's */
  GkvEmitting *emitting;
  GkvPrefixes *lists; /* GkvList */
  GListStore *peers;
  GHashTable *peers_by_id;
  guint n_peers; /* atomic: for other threads */
};

static void
gkv_notice_free (gpointer data)
{
  GkvNotice *notice = data;

  g_clear_pointer (&notice->peer, gkv_peer_info_free);
  g_clear_error (&notice->error);
  g_free (notice);
}

GkvEmitter *
gkv_emitter_new (GkvOwner *owner, GkvMap *map, const GkvEmitterSignals *signals)
{
  GkvEmitter *self = g_atomic_rc_box_new0 (GkvEmitter);

  self->owner = gkv_owner_ref (owner);
  self->map = gkv_map_ref (map);
  self->signals = *signals;
  g_weak_ref_init (&self->node, NULL);
  g_mutex_init (&self->lock);
  g_queue_init (&self->notices);
  self->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->lists = gkv_prefixes_new (g_object_ref);
  self->peers = g_list_store_new (GKV_TYPE_PEER);
  self->peers_by_id = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);

  return self;
}

GkvEmitter *
gkv_emitter_ref (GkvEmitter *self)
{
  return g_atomic_rc_box_acquire (self);
}

void
gkv_emitter_drop_objects (GkvEmitter *self)
{
  g_clear_pointer (&self->peers_by_id, g_hash_table_unref);
  g_clear_object (&self->peers);
  g_clear_pointer (&self->lists, gkv_prefixes_unref);
}

static void
gkv_emitter_clear (gpointer data)
{
  GkvEmitter *self = data;

  gkv_emitter_drop_objects (self);
  g_hash_table_unref (self->told);
  g_queue_clear_full (&self->notices, gkv_notice_free);
  g_clear_pointer (&self->source, g_source_unref);
  g_mutex_clear (&self->lock);
  g_weak_ref_clear (&self->node);
  gkv_map_unref (self->map);
  gkv_owner_unref (self->owner);
}

void
gkv_emitter_unref (GkvEmitter *self)
{
  g_atomic_rc_box_release_full (self, gkv_emitter_clear);
}

void
gkv_emitter_set_node (GkvEmitter *self, GObject *node)
{
  g_weak_ref_set (&self->node, node);
}

static gboolean
gkv_emitter_is_closed (GkvEmitter *self)
{
  return g_atomic_int_get (&self->closed);
}

void
gkv_emitter_close (GkvEmitter *self)
{
  g_autoptr (GSource) source = NULL;

  g_mutex_lock (&self->lock);
  g_atomic_int_set (&self->closed, TRUE);
  source = g_steal_pointer (&self->source);
  g_queue_clear_full (&self->notices, gkv_notice_free);
  g_mutex_unlock (&self->lock);

  if (source != NULL)
    g_source_destroy (source);
}

/* The source */

static gboolean
gkv_emitter_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  GkvEmitter *self = ((GkvEmitterSource *) source)->emitter;

  g_mutex_lock (&self->lock);
  self->woken = FALSE;
  g_source_set_ready_time (source, -1);
  g_mutex_unlock (&self->lock);

  if (gkv_emitter_run (self, g_get_monotonic_time () + DISPATCH_US))
    gkv_emitter_wake (self);

  return G_SOURCE_CONTINUE;
}

static void
gkv_emitter_source_finalize (GSource *source)
{
  gkv_emitter_unref (((GkvEmitterSource *) source)->emitter);
}

static GSourceFuncs gkv_emitter_source_funcs = {
  .dispatch = gkv_emitter_source_dispatch,
  .finalize = gkv_emitter_source_finalize,
};

static void
gkv_emitter_wake_locked (GkvEmitter *self)
{
  if (self->woken || self->closed)
    return;

  if (self->source == NULL)
    {
      self->source = g_source_new (&gkv_emitter_source_funcs, sizeof (GkvEmitterSource));
      g_source_set_static_name (self->source, "GkvNode signals");
      ((GkvEmitterSource *) self->source)->emitter = gkv_emitter_ref (self);
      g_source_attach (self->source, gkv_owner_get_context (self->owner));
    }

  self->woken = TRUE;
  g_source_set_ready_time (self->source, 0);
}

void
gkv_emitter_wake (GkvEmitter *self)
{
  g_mutex_lock (&self->lock);
  gkv_emitter_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/* Posting */

static void
gkv_emitter_post_locked (GkvEmitter *self, GkvNotice *notice)
{
  if (self->closed)
    {
      gkv_notice_free (notice);
      return;
    }

  g_queue_push_tail (&self->notices, notice);
  gkv_emitter_wake_locked (self);
}

void
gkv_emitter_post_peer (GkvEmitter *self, GkvPeerInfo *info, gboolean removed)
{
  GkvNotice *notice = g_new0 (GkvNotice, 1);

  notice->peer = info;
  notice->removed = removed;

  g_mutex_lock (&self->lock);
  gkv_emitter_post_locked (self, notice);
  g_mutex_unlock (&self->lock);
}

static gboolean
gkv_emitter_is_error_old (gpointer key, gpointer value, gpointer user_data)
{
  return *(gint64 *) user_data - *(gint64 *) value >= ERROR_PAUSE_US;
}

/* Whether @error wasn't emitted of late, and is noted now. */
static gboolean
gkv_emitter_note_error_locked (GkvEmitter *self, const GError *error)
{
  g_autofree char *name = g_strdup_printf ("%u %d %s", error->domain, error->code, error->message);
  gint64 now = g_get_monotonic_time ();

  g_hash_table_foreach_remove (self->told, gkv_emitter_is_error_old, &now);
  if (g_hash_table_contains (self->told, name) || g_hash_table_size (self->told) >= MAX_ERRORS)
    return FALSE;

  g_hash_table_insert (self->told, g_steal_pointer (&name), g_memdup2 (&now, sizeof now));

  return TRUE;
}

void
gkv_emitter_post_error (GkvEmitter *self, const GError *error)
{
  g_mutex_lock (&self->lock);
  if (!self->closed && gkv_emitter_note_error_locked (self, error))
    {
      GkvNotice *notice = g_new0 (GkvNotice, 1);

      notice->error = g_error_copy (error);
      gkv_emitter_post_locked (self, notice);
    }
  g_mutex_unlock (&self->lock);
}

void
gkv_emitter_post_notify (GkvEmitter *self, GParamSpec *pspec)
{
  GkvNotice *notice = g_new0 (GkvNotice, 1);

  notice->pspec = pspec;

  g_mutex_lock (&self->lock);
  gkv_emitter_post_locked (self, notice);
  g_mutex_unlock (&self->lock);
}

/* Emitting peers, errors and notifications */

static void
gkv_emitter_emit_peer (GkvEmitter *self, GObject *node, const GkvPeerInfo *info, gboolean removed)
{
  g_autoptr (GkvPeer) peer = g_hash_table_lookup (self->peers_by_id, info->node_id);
  guint position;

  if (peer != NULL)
    {
      g_object_ref (peer);
      gkv_peer_update (peer, info);
      if (!removed)
        return;

      g_hash_table_remove (self->peers_by_id, info->node_id);
      if (g_list_store_find (self->peers, peer, &position))
        g_list_store_remove (self->peers, position);
      g_atomic_int_set (&self->n_peers, g_hash_table_size (self->peers_by_id));
      if (!gkv_emitter_is_closed (self))
        g_signal_emit (node, self->signals.peer_removed, 0, peer);
    }
  else if (!removed)
    {
      peer = gkv_peer_new (info);
      g_hash_table_insert (self->peers_by_id, g_strdup (info->node_id), g_object_ref (peer));
      g_list_store_append (self->peers, peer);
      g_atomic_int_set (&self->n_peers, g_hash_table_size (self->peers_by_id));
      if (!gkv_emitter_is_closed (self))
        g_signal_emit (node, self->signals.peer_added, 0, peer);
    }
}

guint
gkv_emitter_get_n_peers (GkvEmitter *self)
{
  return g_atomic_int_get (&self->n_peers);
}

static void
gkv_emitter_emit_notice (GkvEmitter *self, GObject *node, const GkvNotice *notice)
{
  if (notice->peer != NULL)
    {
      gkv_emitter_emit_peer (self, node, notice->peer, notice->removed);
    }
  else if (notice->error != NULL)
    {
      g_debug ("%s", notice->error->message);
      g_signal_emit (node, self->signals.error, 0, notice->error);
    }
  else
    {
      g_object_notify_by_pspec (node, notice->pspec);
    }
}

/* Emitting changes */

static gboolean
gkv_emitter_is_emitting (GkvEmitter *self, const char *key)
{
  for (GkvEmitting *emitting = self->emitting; emitting != NULL; emitting = emitting->outer)
    if (strcmp (emitting->key, key) == 0)
      return TRUE;

  return FALSE;
}

/* Whether anybody is to receive changes. */
static gboolean
gkv_emitter_has_listeners (GkvEmitter *self, GObject *node)
{
  return !gkv_prefixes_is_empty (self->lists) ||
         g_signal_handler_find (node, G_SIGNAL_MATCH_ID | G_SIGNAL_MATCH_UNBLOCKED, self->signals.changed, 0, NULL,
                                NULL, NULL) != 0;
}

static gboolean
gkv_emitter_is_listened_to (GkvEmitter *self, GObject *node, GQuark detail)
{
  return g_signal_has_handler_pending (node, self->signals.changed, 0, FALSE) ||
         (detail != 0 && g_signal_has_handler_pending (node, self->signals.changed, detail, FALSE));
}

static void
gkv_emitter_update_lists (GkvEmitter *self, const char *key, GkvRecord *record)
{
  g_autoptr (GPtrArray) lists = g_ptr_array_new_with_free_func (g_object_unref);
  GkvListChange change = { key, record };

  gkv_prefixes_find (self->lists, key, lists);
  for (guint i = 0; i < lists->len; i++)
    gkv_list_apply (lists->pdata[i], &change, 1);
}

/* @record: what is visible of @key now, or NULL. @value: what it decodes to, where that is known already. */
static void
gkv_emitter_emit_change (
    GkvEmitter *self, GObject *node, const char *key, GkvRecord *record, GVariant *value, gboolean value_changed)
{
  /* Keys come from the network, and a quark is for ever: no new one is made. Who listens to a key has made it. */
  GQuark detail = g_quark_try_string (key);
  gboolean listed = !gkv_prefixes_is_empty (self->lists);
  gboolean heard = value_changed && gkv_emitter_is_listened_to (self, node, detail);
  g_autoptr (GVariant) decoded = value != NULL ? g_variant_ref (value) : NULL;
  g_autoptr (GError) error = NULL;
  GkvEmitting emitting = { key, self->emitting };

  if (!listed && !heard)
    return;

  if (heard && record != NULL && decoded == NULL)
    decoded = gkv_map_decode (self->map, record, &error);

  self->emitting = &emitting;

  if (listed)
    gkv_emitter_update_lists (self, key, record);

  if (error != NULL)
    gkv_emitter_post_error (self, error);
  else if (heard && !gkv_emitter_is_closed (self))
    g_signal_emit (node, self->signals.changed, detail, key, decoded);

  self->emitting = emitting.outer;
}

/* TRUE: there was one. */
static gboolean
gkv_emitter_emit_next_notice (GkvEmitter *self, GObject *node)
{
  GkvNotice *notice;

  g_mutex_lock (&self->lock);
  notice = g_queue_pop_head (&self->notices);
  g_mutex_unlock (&self->lock);

  if (notice == NULL)
    return FALSE;

  gkv_emitter_emit_notice (self, node, notice);
  gkv_notice_free (notice);

  return TRUE;
}

/* TRUE: there was one. */
static gboolean
gkv_emitter_emit_next_change (GkvEmitter *self, GObject *node)
{
  GkvChange change;
  gboolean taken;

  /* One at a time: a handler may change the next. */
  gkv_map_lock (self->map);
  taken = gkv_map_take_change_locked (self->map, &change);
  gkv_map_unlock (self->map);

  if (!taken)
    return FALSE;

  gkv_emitter_emit_change (self, node, gkv_record_get_key (change.key), change.record, NULL, change.value_changed);
  gkv_change_clear (&change);

  return TRUE;
}

gboolean
gkv_emitter_run (GkvEmitter *self, gint64 until)
{
  g_autoptr (GObject) node = g_weak_ref_get (&self->node);

  if (node == NULL)
    return FALSE;

  while (!gkv_emitter_is_closed (self) && gkv_emitter_emit_next_notice (self, node))
    if (g_get_monotonic_time () >= until)
      return TRUE;

  if (!gkv_emitter_has_listeners (self, node))
    {
      gkv_map_drop_changes (self->map);
      return FALSE;
    }

  while (!gkv_emitter_is_closed (self) && gkv_emitter_emit_next_change (self, node))
    if (g_get_monotonic_time () >= until)
      return TRUE;

  return FALSE;
}

/* A write */

void
gkv_emitter_begin_write_locked (
    GkvEmitter *self, GObject *node, GkvRecord *record, GkvRecord *replaced, GkvEmission *emission)
{
  *emission = (GkvEmission){ FALSE, FALSE, FALSE, FALSE };

  /* Looked for after the record was put: a list that comes later finds it in the map. */
  if (!gkv_emitter_has_listeners (self, node))
    {
      gkv_map_skip_change_locked (self->map, record, replaced, &emission->value_changed);
      return;
    }

  emission->entered = gkv_owner_enter (self->owner);
  if (emission->entered && !gkv_emitter_is_emitting (self, gkv_record_get_key (record)))
    {
      emission->emit = gkv_map_skip_change_locked (self->map, record, replaced, &emission->value_changed);
    }
  else
    {
      gkv_map_queue_change_locked (self->map, record, replaced);
      emission->wake = TRUE;
    }
}

void
gkv_emitter_end_write (GkvEmitter *self, GObject *node, GkvRecord *record, GVariant *value, const GkvEmission *emission)
{
  g_autoptr (GObject) alive G_GNUC_UNUSED = emission->emit ? g_object_ref (node) : NULL;

  if (emission->emit)
    gkv_emitter_emit_change (self, node, gkv_record_get_key (record), gkv_record_is_dead (record) ? NULL : record,
                             value, emission->value_changed);

  if (emission->wake)
    gkv_emitter_wake (self);

  if (emission->entered)
    gkv_owner_leave (self->owner);
}

/* Lists */

static GVariant *
gkv_emitter_decode_entry (gpointer map, GkvRecord *record, GError **error)
{
  return gkv_map_decode (map, record, error);
}

static gint64
gkv_emitter_get_entry_expires (gpointer map, GkvRecord *record)
{
  return gkv_map_get_expires (map, record);
}

static void
gkv_emitter_drop_map (gpointer map)
{
  gkv_map_unref (map);
}

GListModel *
gkv_emitter_dup_list (GkvEmitter *self, const char *prefix)
{
  GkvListSource source = { gkv_emitter_decode_entry, gkv_emitter_get_entry_expires, NULL, gkv_emitter_drop_map };
  g_autoptr (GPtrArray) records = NULL;
  GkvList *list = gkv_prefixes_lookup (self->lists, prefix);

  if (list != NULL)
    return G_LIST_MODEL (list);

  /* It listens from now on, so that nothing is missed. */
  source.data = gkv_map_ref (self->map);
  list = gkv_list_new (prefix, self->lists, &source);
  records = gkv_map_dup_records (self->map, prefix);
  gkv_list_fill (list, (GkvRecord *const *) records->pdata, records->len);

  return G_LIST_MODEL (list);
}

GListModel *
gkv_emitter_get_peers (GkvEmitter *self)
{
  return G_LIST_MODEL (self->peers);
}
