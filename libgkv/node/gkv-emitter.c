/* GkvEmitter: all that an application receives from a node leaves here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-emitter.h"

#include "gkv-call.h"
#include "gkv-error.h"
#include "gkv-list.h"
#include "gkv-notices.h"
#include "gkv-objects.h"
#include "gkv-peer-list.h"
#include "gkv-prefixes.h"
#include "gkv-runner.h"
#include "gkv-sweep.h"
#include "store/gkv-table.h"

/* A dispatch begins nothing new after this; the first of a burst may take longer. */
#define DISPATCH_US (4 * 1000)
/* Changes that are taken together. */
#define BATCH (1000)
/* Handlers that write keys have their changes emitted at once up to this depth. Beyond it they are queued, so that a
 * chain of them doesn't eat the stack. */
#define MAX_DEPTH (8)
/* The same error is emitted again after this long. */
#define ERROR_PAUSE_US (60 * G_USEC_PER_SEC)
/* So many changes wait for the context to run; beyond that it seems not to, and writes there emit what waits. */
#define MAX_WAITING (4096)
/* Errors remembered for that. */
#define MAX_ERRORS (64)
/* A list of up to so many entries is filled at once. */
#define MAX_AT_ONCE (10000)

/* A change being emitted, on the stack of the emission: a write of the same key by one of its handlers is queued, and
 * what is queued of it waits where a handler runs a main loop, so that no handler sees the newer value before the
 * older. */
typedef struct _GkvEmitting GkvEmitting;

struct _GkvEmitting
{
  const char *key;
  GkvEmitting *outer;
};

/* Writes of the node's own context whose changes are being emitted, on the stack of the call that made them. What they
 * wrote is in the map already: a newer change of one of the keys may come first. */
typedef struct _GkvEnding GkvEnding;

struct _GkvEnding
{
  GArray *changes; /* GkvChange: from @next on they are yet to be emitted */
  guint next;
  GkvEnding *outer;
};

/* A list that is too long to be filled at once. */
typedef struct
{
  GkvSweep sweep;
  GWeakRef list;
} GkvFilling;

struct _GkvEmitter
{
  /* the same for life */
  GkvOwner *owner;
  GkvMap *map;
  GkvRunner *runner;
  GkvEmitterSignals signals;
  GWeakRef node;
  GObject *listened; /* the node, without a reference: to be asked for handlers only, under the lock and until closed */

  GMutex lock;
  gboolean closed;  /* atomic; set under the lock */
  gboolean has_run; /* atomic: the node's context has been iterated since the node was made */
  GkvNotices *notices;
  GHashTable *told; /* errors emitted of late → when */

  /* the node's context's */
  GkvEmitting *emitting;
  gboolean withheld; /* a change waits until what is emitted now has been */
  GkvEnding *ending;
  GArray *batch; /* GkvChange, which the lists have: from @next on they are yet to be emitted */
  guint next;
  gboolean outdated;        /* atomic: something was written since the batch was taken, and nobody listened */
  GHashTable *batch_by_key; /* key → index + 1 */
  GkvPrefixes *lists;       /* GkvList */
  GQueue fillings;          /* GkvFilling */
  GkvWatches *watches;
  GkvPeerList *peers;
  gboolean is_listing_peer; /* the list emits, and the signal is yet to follow */
  guint n_peers;            /* atomic: for other threads */
};

static GkvFilling *
gkv_filling_new (const char *prefix, GkvList *list)
{
  GkvFilling *self = g_new0 (GkvFilling, 1);

  gkv_sweep_init (&self->sweep, prefix);
  g_weak_ref_init (&self->list, list);

  return self;
}

static void
gkv_filling_free (gpointer data)
{
  GkvFilling *self = data;

  gkv_sweep_clear (&self->sweep);
  g_weak_ref_clear (&self->list);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvFilling, gkv_filling_free)

static gboolean gkv_emitter_run_now (gpointer data);
static gboolean gkv_emitter_is_heard (gpointer data);

static gpointer
gkv_emitter_acquire (gpointer self)
{
  return gkv_emitter_ref (self);
}

static void
gkv_emitter_release (gpointer self)
{
  gkv_emitter_unref (self);
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
  self->notices = gkv_notices_new ();
  self->runner =
      gkv_runner_new (owner, "GkvNode signals", gkv_emitter_run_now, self, gkv_emitter_acquire, gkv_emitter_release);
  self->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->batch = g_array_new (FALSE, FALSE, sizeof (GkvChange));
  g_array_set_clear_func (self->batch, (GDestroyNotify) gkv_change_clear);
  self->batch_by_key = g_hash_table_new (gkv_hash_string, g_str_equal);
  self->lists = gkv_prefixes_new (gkv_list_ref_if_alive);
  g_queue_init (&self->fillings);
  self->watches = gkv_watches_new (map);
  self->peers = gkv_peer_list_new ();
  gkv_map_set_is_heard (map, gkv_emitter_is_heard, self);

  return self;
}

GkvEmitter *
gkv_emitter_ref (GkvEmitter *self)
{
  return g_atomic_rc_box_acquire (self);
}

static void
gkv_emitter_free_watches (gpointer data)
{
  gkv_watches_free (data);
}

/* What is called when a watch ends belongs to the node's context. */
static void
gkv_emitter_drop_watches (GkvEmitter *self)
{
  GkvWatches *watches = g_steal_pointer (&self->watches);

  if (watches == NULL)
    return;

  gkv_watches_close (watches);
  if (gkv_owner_enter (self->owner))
    {
      gkv_watches_free (watches);
      gkv_owner_leave (self->owner);
    }
  else
    {
      gkv_call (self->owner, gkv_owner_get_context (self->owner), "GkvNode watches", gkv_emitter_free_watches, watches);
    }
}

void
gkv_emitter_drop_objects (GkvEmitter *self)
{
  gkv_emitter_drop_watches (self);
  g_clear_object (&self->peers);
  g_queue_clear_full (&self->fillings, gkv_filling_free);
  g_clear_pointer (&self->lists, gkv_prefixes_unref);
  g_clear_pointer (&self->batch_by_key, g_hash_table_unref);
  g_clear_pointer (&self->batch, g_array_unref);
}

static void
gkv_emitter_clear (gpointer data)
{
  GkvEmitter *self = data;

  gkv_map_set_is_heard (self->map, NULL, NULL);
  gkv_emitter_drop_objects (self);
  g_hash_table_unref (self->told);
  gkv_notices_free (self->notices);
  gkv_runner_free (self->runner);
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
  self->listened = node;
}

static gboolean
gkv_emitter_is_closed (GkvEmitter *self)
{
  return g_atomic_int_get (&self->closed);
}

void
gkv_emitter_close (GkvEmitter *self)
{
  g_mutex_lock (&self->lock);
  g_atomic_int_set (&self->closed, TRUE);
  gkv_notices_drop (self->notices);
  gkv_runner_detach (self->runner);
  g_mutex_unlock (&self->lock);

  gkv_watches_close (self->watches);
}

/* Running */

static gboolean gkv_emitter_run_all (GkvEmitter *self, gint64 until);

static gboolean
gkv_emitter_run_now (gpointer data)
{
  GkvEmitter *self = data;

  gkv_runner_begin (self->runner);

  return gkv_emitter_run_all (self, g_get_monotonic_time () + DISPATCH_US);
}

void
gkv_emitter_wake (GkvEmitter *self)
{
  if (!gkv_runner_is_attached (self->runner))
    {
      g_mutex_lock (&self->lock);
      if (!self->closed)
        gkv_runner_attach (self->runner, gkv_owner_get_context (self->owner));
      g_mutex_unlock (&self->lock);
    }

  gkv_runner_wake (self->runner);
}

/* Posting */

void
gkv_emitter_post_peer (GkvEmitter *self, GkvPeerInfo *info, gboolean live)
{
  g_mutex_lock (&self->lock);
  gkv_notices_add_peer (self->notices, info, live);
  g_mutex_unlock (&self->lock);

  gkv_emitter_wake (self);
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
  if (gkv_emitter_note_error_locked (self, error))
    gkv_notices_add_error (self->notices, error);
  g_mutex_unlock (&self->lock);

  gkv_emitter_wake (self);
}

void
gkv_emitter_post_notify (GkvEmitter *self, GParamSpec *pspec)
{
  g_mutex_lock (&self->lock);
  gkv_notices_add_notify (self->notices, pspec);
  g_mutex_unlock (&self->lock);

  gkv_emitter_wake (self);
}

/* Emitting peers, errors and notifications */

static void
gkv_emitter_count_peers (GkvEmitter *self)
{
  g_atomic_int_set (&self->n_peers, g_list_model_get_n_items (G_LIST_MODEL (self->peers)));
}

/* Has the list of peers take @peer, or lose it. What else is to be emitted of peers waits, where one of the list's
 * handlers runs a main loop: it is to follow the signal that follows this. */
static void
gkv_emitter_list_peer (GkvEmitter *self, GkvPeer *peer, void (*change) (GkvPeerList *peers, GkvPeer *peer))
{
  self->is_listing_peer = TRUE;
  change (self->peers, peer);
  self->is_listing_peer = FALSE;

  gkv_emitter_count_peers (self);
  gkv_emitter_wake (self);
}

/* @live: as far as is known. One that left or died goes at once. */
static void
gkv_emitter_emit_peer (GkvEmitter *self, GObject *node, const GkvPeerInfo *info, gboolean live)
{
  g_autoptr (GkvPeer) peer = gkv_peer_list_find (self->peers, info->node_id);

  if (peer == NULL && live)
    {
      peer = gkv_peer_new (info);
      gkv_emitter_list_peer (self, peer, gkv_peer_list_add);
      if (!gkv_emitter_is_closed (self))
        g_signal_emit (node, self->signals.peer_added, 0, peer);
    }
  else if (peer != NULL)
    {
      g_object_ref (peer);
      gkv_peer_update (peer, info);
      if (live)
        return;

      gkv_emitter_list_peer (self, peer, gkv_peer_list_remove);
      if (!gkv_emitter_is_closed (self))
        g_signal_emit (node, self->signals.peer_removed, 0, peer);
    }
}

guint
gkv_emitter_get_n_peers (GkvEmitter *self)
{
  return g_atomic_int_get (&self->n_peers);
}

static void
gkv_emitter_emit_error (GkvEmitter *self, GObject *node, const GError *error)
{
  /* An application that doesn't listen is not to miss it altogether. */
  if (!g_signal_has_handler_pending (node, self->signals.error, 0, TRUE))
    g_message ("%s", error->message);

  g_signal_emit (node, self->signals.error, 0, error);
}

static void
gkv_emitter_emit_notice (GkvEmitter *self, GObject *node, const GkvNotice *notice)
{
  if (notice->peer != NULL)
    {
      gkv_emitter_emit_peer (self, node, notice->peer, notice->live);
    }
  else if (notice->error != NULL)
    {
      gkv_emitter_emit_error (self, node, notice->error);
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

/* Whether a change of @key may be emitted by the write that makes it: no handler is to see the newer value before the
 * older, nor is a chain of handlers to have no end. */
static gboolean
gkv_emitter_may_emit (GkvEmitter *self, const char *key)
{
  guint depth = 0;

  for (GkvEmitting *emitting = self->emitting; emitting != NULL; emitting = emitting->outer)
    if (++depth >= MAX_DEPTH)
      return FALSE;

  return !gkv_emitter_is_emitting (self, key);
}

/* Whether anybody is to receive changes. A handler that is blocked counts: it is so during a write of the application's
 * own, usually, and what others wrote is to come to it afterwards. */
static gboolean
gkv_emitter_has_listeners (GkvEmitter *self, GObject *node)
{
  return !gkv_prefixes_is_empty (self->lists) || !gkv_watches_is_empty (self->watches) ||
         g_signal_handler_find (node, G_SIGNAL_MATCH_ID, self->signals.changed, 0, NULL, NULL, NULL) != 0;
}

/* What waits to be emitted is older than what is passed over now, as nobody listens. */
static void
gkv_emitter_outdate (GkvEmitter *self)
{
  if (!g_atomic_int_get (&self->outdated))
    g_atomic_int_set (&self->outdated, TRUE);
}

/* The same for any thread, under the map's lock. */
static gboolean
gkv_emitter_is_heard (gpointer data)
{
  GkvEmitter *self = data;
  gboolean heard;

  /* An application that starts a node, connects and runs its loop is to receive what arrived in between. */
  if (!g_atomic_int_get (&self->has_run))
    return TRUE;

  g_mutex_lock (&self->lock);
  heard = !self->closed && self->listened != NULL && gkv_emitter_has_listeners (self, self->listened);
  g_mutex_unlock (&self->lock);

  if (!heard)
    gkv_emitter_outdate (self);

  return heard;
}

static gboolean
gkv_emitter_is_listened_to (GkvEmitter *self, GObject *node, const char *key, GQuark detail)
{
  return g_signal_has_handler_pending (node, self->signals.changed, 0, FALSE) ||
         (detail != 0 && g_signal_has_handler_pending (node, self->signals.changed, detail, FALSE)) ||
         gkv_watches_want (self->watches, key);
}

/* Whether a list has @record of another codec, which it can show without a value only. Its entries are not decoded
 * before somebody asks for them, and that it can't be is to be reported now. */
static gboolean
gkv_emitter_is_listed_unreadable (GkvEmitter *self, GkvRecord *record)
{
  const GkvCodecHandle *codec = gkv_map_get_codec (self->map);

  return record != NULL && codec != NULL && strcmp (gkv_record_get_codec (record), codec->name) != 0 &&
         gkv_prefixes_has (self->lists, gkv_record_get_key (record), g_object_unref);
}

/* Has all lists take @changes, each those of its keys together. All have them before a handler of one is called: it may
 * make newer ones, which are to come after them. */
static void
gkv_emitter_update_lists (GkvEmitter *self, const GkvChange *changes, guint n_changes)
{
  g_autoptr (GHashTable) concerned = NULL; /* GkvList */
  g_autoptr (GPtrArray) lists = NULL;
  GHashTableIter iter;
  gpointer list;

  if (gkv_prefixes_is_empty (self->lists))
    return;

  concerned = g_hash_table_new_full (NULL, NULL, g_object_unref, NULL);
  lists = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < n_changes; i++)
    {
      GkvListChange change = { gkv_record_get_key (changes[i].key), changes[i].record };

      gkv_prefixes_find (self->lists, change.key, lists);
      for (guint j = 0; j < lists->len; j++)
        {
          gkv_list_queue (lists->pdata[j], &change);
          g_hash_table_add (concerned, g_object_ref (lists->pdata[j]));
        }
      g_ptr_array_set_size (lists, 0);
    }

  g_hash_table_iter_init (&iter, concerned);
  while (g_hash_table_iter_next (&iter, &list, NULL))
    gkv_list_work (list);
}

/* Calls watches and handlers. The lists have it already. */
static void
gkv_emitter_emit_change (GkvEmitter *self, GObject *node, const GkvChange *change)
{
  const char *key = gkv_record_get_key (change->key);
  const char *origin = gkv_record_get_origin (change->record != NULL ? change->record : change->key);
  /* Keys come from the network, and a quark is for ever: no new one is made. Who listens to a key has made it. */
  GQuark detail = g_quark_try_string (key);
  GkvEmitting emitting = { key, self->emitting };
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;

  if (!change->value_changed || gkv_emitter_is_closed (self) ||
      !(gkv_emitter_is_listened_to (self, node, key, detail) ||
        gkv_emitter_is_listed_unreadable (self, change->record)))
    return;

  if (change->record != NULL)
    {
      value = gkv_map_decode (self->map, change->record, &error);
      if (value == NULL)
        {
          g_prefix_error (&error, "A change by the node \"%s\" isn't reported: ", origin);
          gkv_emitter_post_error (self, error);
          return;
        }
    }

  self->emitting = &emitting;
  gkv_watches_emit (self->watches, node, key, change->record, value, origin);
  if (!gkv_emitter_is_closed (self))
    g_signal_emit (node, self->signals.changed, detail, key, value, origin);
  self->emitting = emitting.outer;

  if (self->withheld && self->emitting == NULL)
    {
      self->withheld = FALSE;
      gkv_emitter_wake (self);
    }
}

/* The batch */

static void
gkv_emitter_drop_batch (GkvEmitter *self)
{
  g_hash_table_remove_all (self->batch_by_key);
  g_array_set_size (self->batch, 0);
  self->next = 0;
}

/* Takes the next changes that were queued, and has the lists take them. FALSE: there is none. */
static gboolean
gkv_emitter_take_batch (GkvEmitter *self)
{
  GkvChange change;

  gkv_emitter_drop_batch (self);

  gkv_map_lock (self->map);
  while (self->batch->len < BATCH && gkv_map_take_change_locked (self->map, &change))
    g_array_append_val (self->batch, change);
  g_atomic_int_set (&self->outdated, FALSE);
  gkv_map_unlock (self->map);

  for (guint i = 0; i < self->batch->len; i++)
    g_hash_table_insert (self->batch_by_key,
                         (char *) gkv_record_get_key (g_array_index (self->batch, GkvChange, i).key),
                         GUINT_TO_POINTER (i + 1));

  gkv_emitter_update_lists (self, (const GkvChange *) self->batch->data, self->batch->len);

  return self->batch->len > 0;
}

/* Leaves nothing to be emitted of @change. */
static void
gkv_change_take_along (GkvChange *change, gboolean *value_changed)
{
  *value_changed = *value_changed || change->value_changed;
  change->value_changed = FALSE;
}

/* A change of @key is about to be emitted that is newer than those of the writes further up on this stack: what they
 * are yet to emit of it goes with that. */
static void
gkv_emitter_take_along_ending (GkvEmitter *self, GkvRecord *key, gboolean *value_changed)
{
  for (GkvEnding *ending = self->ending; ending != NULL; ending = ending->outer)
    for (guint i = ending->next; i < ending->changes->len; i++)
      {
        GkvChange *change = &g_array_index (ending->changes, GkvChange, i);

        if (change->key->hash == key->hash && strcmp (gkv_record_get_key (change->key), gkv_record_get_key (key)) == 0)
          gkv_change_take_along (change, value_changed);
      }
}

/* A write of @key is about to be emitted: what is yet to be emitted of it goes with that. */
static void
gkv_emitter_take_along (GkvEmitter *self, GkvRecord *key, gboolean *value_changed)
{
  guint index = GPOINTER_TO_UINT (g_hash_table_lookup (self->batch_by_key, gkv_record_get_key (key)));

  if (index > self->next)
    gkv_change_take_along (&g_array_index (self->batch, GkvChange, index - 1), value_changed);

  gkv_emitter_take_along_ending (self, key, value_changed);
}

/* TRUE: there was one. */
static gboolean
gkv_emitter_emit_next_change (GkvEmitter *self, GObject *node)
{
  GkvChange change;

  if (g_atomic_int_compare_and_exchange (&self->outdated, TRUE, FALSE))
    gkv_emitter_drop_batch (self);

  if (self->next == self->batch->len && !gkv_emitter_take_batch (self))
    return FALSE;

  /* A list's handlers may have run a loop, which has emitted the batch. */
  if (self->next == self->batch->len)
    return TRUE;

  change = g_array_index (self->batch, GkvChange, self->next);
  if (gkv_emitter_is_emitting (self, gkv_record_get_key (change.key)))
    {
      self->withheld = TRUE;
      return FALSE;
    }

  self->next++;
  gkv_emitter_take_along_ending (self, change.key, &change.value_changed);
  gkv_record_ref (change.key);
  if (change.record != NULL)
    gkv_record_ref (change.record);
  gkv_emitter_emit_change (self, node, &change);
  gkv_change_clear (&change);

  return TRUE;
}

/* TRUE: there was one. */
static gboolean
gkv_emitter_emit_next_notice (GkvEmitter *self, GObject *node)
{
  GkvNotice *notice;

  if (self->is_listing_peer)
    return FALSE;

  g_mutex_lock (&self->lock);
  notice = gkv_notices_pop (self->notices);
  g_mutex_unlock (&self->lock);

  if (notice == NULL)
    return FALSE;

  gkv_emitter_emit_notice (self, node, notice);
  gkv_notice_free (notice);

  return TRUE;
}

gboolean
gkv_emitter_run (GkvEmitter *self, gint64 until)
{
  g_autoptr (GObject) node = g_weak_ref_get (&self->node);

  if (node == NULL)
    return FALSE;

  g_atomic_int_set (&self->has_run, TRUE);
  while (!gkv_emitter_is_closed (self) && gkv_emitter_emit_next_notice (self, node))
    if (g_get_monotonic_time () >= until)
      return TRUE;

  if (!gkv_emitter_has_listeners (self, node))
    {
      gkv_map_drop_changes (self->map);
      gkv_emitter_drop_batch (self);
      return FALSE;
    }

  while (!gkv_emitter_is_closed (self) && gkv_emitter_emit_next_change (self, node))
    if (g_get_monotonic_time () >= until)
      return TRUE;

  return FALSE;
}

/* Gives the list that waits longest some more. FALSE: none waits. A handler may run a loop, which goes on with it. */
static gboolean
gkv_emitter_fill_next (GkvEmitter *self)
{
  g_autoptr (GkvFilling) filling = g_queue_pop_head (&self->fillings);
  g_autoptr (GPtrArray) records = NULL;
  g_autoptr (GkvList) list = NULL;
  gboolean more;

  if (filling == NULL)
    return FALSE;

  list = g_weak_ref_get (&filling->list);
  if (list == NULL)
    return TRUE;

  records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  more = gkv_sweep_step (&filling->sweep, self->map, records);
  if (more)
    g_queue_push_tail (&self->fillings, g_steal_pointer (&filling));

  gkv_list_fill (list, (GkvRecord *const *) records->pdata, records->len);
  if (!more)
    gkv_list_set_pending (list, FALSE);

  return TRUE;
}

/* Emits what is there already, one step. FALSE: nobody waits for it. */
static gboolean
gkv_emitter_sweep (GkvEmitter *self)
{
  g_autoptr (GObject) node = g_weak_ref_get (&self->node);

  if (node == NULL || gkv_emitter_is_closed (self))
    return FALSE;

  return gkv_watches_emit_initial (self->watches, node, self->emitting != NULL || self->ending != NULL) ||
         gkv_emitter_fill_next (self);
}

/* As gkv_emitter_run (), and then what is there already for those that came since. */
static gboolean
gkv_emitter_run_all (GkvEmitter *self, gint64 until)
{
  while (!gkv_emitter_run (self, until))
    {
      if (!gkv_emitter_sweep (self))
        return FALSE;
      if (g_get_monotonic_time () >= until)
        return TRUE;
    }

  return TRUE;
}

/* Writes */

void
gkv_emitter_add_write_locked (
    GkvEmitter *self, GObject *node, GkvRecord *record, GkvRecord *replaced, GkvEmission *emission)
{
  const char *key = gkv_record_get_key (record);
  GkvChange change = { NULL, NULL, FALSE };

  /* Looked for after the record was put: a list that comes later finds it in the map. */
  if (!gkv_emitter_has_listeners (self, node))
    {
      gkv_map_ignore_change_locked (self->map, record, replaced);
      gkv_emitter_outdate (self);
      return;
    }

  if (!emission->begun)
    {
      emission->begun = TRUE;
      emission->entered = gkv_owner_enter (self->owner);
    }

  if (!emission->entered || !gkv_emitter_may_emit (self, key))
    {
      gkv_map_queue_change_locked (self->map, record, replaced);
      emission->wake = TRUE;
      return;
    }

  emission->relieve = self->emitting == NULL && gkv_map_get_n_changes_locked (self->map) > MAX_WAITING;
  if (!gkv_map_skip_change_locked (self->map, record, replaced, &change.value_changed))
    return;

  gkv_emitter_take_along (self, record, &change.value_changed);
  change.key = gkv_record_ref (record);
  change.record = gkv_record_is_dead (record) ? NULL : gkv_record_ref (record);
  if (emission->changes == NULL)
    {
      emission->changes = g_array_new (FALSE, FALSE, sizeof (GkvChange));
      g_array_set_clear_func (emission->changes, (GDestroyNotify) gkv_change_clear);
    }
  g_array_append_val (emission->changes, change);
}

void
gkv_emitter_end_writes (GkvEmitter *self, GObject *node, GkvEmission *emission)
{
  g_autoptr (GObject) alive G_GNUC_UNUSED = emission->begun ? g_object_ref (node) : NULL;
  g_autoptr (GArray) changes = g_steal_pointer (&emission->changes);

  if (changes != NULL)
    {
      GkvEnding ending = { changes, 0, self->ending };

      self->ending = &ending;
      gkv_emitter_update_lists (self, (const GkvChange *) changes->data, changes->len);
      while (ending.next < changes->len)
        gkv_emitter_emit_change (self, node, &g_array_index (changes, GkvChange, ending.next++));
      self->ending = ending.outer;
    }

  /* Two for each that a write adds, so that it gets less. */
  for (guint i = 0; emission->relieve && i < 2 && !gkv_emitter_is_closed (self); i++)
    gkv_emitter_emit_next_change (self, node);

  if (emission->wake)
    gkv_emitter_wake (self);

  if (emission->entered)
    gkv_owner_leave (self->owner);
}

/* Watches */

guint
gkv_emitter_watch (GkvEmitter *self,
                   const char *prefix,
                   gboolean initial,
                   GkvWatchesFunc func,
                   gpointer user_data,
                   GDestroyNotify destroy)
{
  guint id = gkv_watches_add (self->watches, prefix, initial, func, user_data, destroy);

  if (initial && *prefix != '\0')
    gkv_map_want_index (self->map);
  if (initial)
    gkv_emitter_wake (self);

  return id;
}

gboolean
gkv_emitter_unwatch (GkvEmitter *self, guint id)
{
  return gkv_watches_remove (self->watches, id);
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
  GkvList *list;

  if (!gkv_owner_is_here (self->owner))
    return G_LIST_MODEL (g_list_store_new (GKV_TYPE_ENTRY));

  list = gkv_prefixes_lookup (self->lists, prefix);

  if (list != NULL)
    return G_LIST_MODEL (list);

  /* It listens from now on, so that nothing is missed. */
  source.data = gkv_map_ref (self->map);
  list = gkv_list_new (prefix, self->lists, &source);

  records = gkv_map_dup_records (self->map, prefix, MAX_AT_ONCE);
  if (records != NULL)
    {
      gkv_list_fill (list, (GkvRecord *const *) records->pdata, records->len);
    }
  else
    {
      gkv_list_set_pending (list, TRUE);
      g_queue_push_tail (&self->fillings, gkv_filling_new (prefix, list));
      gkv_map_want_index (self->map);
      gkv_emitter_wake (self);
    }

  return G_LIST_MODEL (list);
}

GListModel *
gkv_emitter_get_peers (GkvEmitter *self)
{
  return G_LIST_MODEL (self->peers);
}
