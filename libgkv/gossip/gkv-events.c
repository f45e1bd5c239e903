/* Events: what an engine reports to its owner, in a queue that stays small however seldom it is read.
 *
 * What is reported of a peer takes the place of what was reported of it before and wasn't read: then only what it has
 * come to counts. A peer that came and went isn't reported at all; one that went and came back is two events. Changes
 * of one key are reported as one only where very many wait; otherwise nothing of that is spent on them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-events.h"

#include "gkv-fifo.h"

#include "../gkv-error.h"

#include <string.h>

/* From so many on, what waits is looked through before more is added. */
#define MANY 4096

#define MAX_ERRORS 16
#define N_CODES    32

/* One that isn't reported any more; its place is used for the next peer. */
#define EVENT_NONE ((GkvEventKind) G_MAXINT)

/* The numbers in the queue of what waits to be reported of a peer; 0: nothing. */
typedef struct
{
  char *id;
  guint64 before; /* it has changed, or gone */
  guint64 added;
} Peer;

typedef struct
{
  guint64 hash; /* of the key */
  guint64 number;
} Change;

struct _GkvEvents
{
  GkvChangedFunc changed; /* NULL: changes are events */
  gpointer changed_data;
  GkvFifo queue;       /* GkvEvent */
  GHashTable *peers;   /* id → Peer, owned */
  GArray *vacant;      /* guint64: numbers of those that aren't reported any more */
  GHashTable *changes; /* hash* → Change, owned: of those that were added since there were many */
  guint n_errors[N_CODES];
  guint64 n_more_errors[N_CODES];
  gboolean confirmed;
};

static void
peer_free (Peer *peer)
{
  g_free (peer->id);
  g_free (peer);
}

GkvEvents *
gkv_events_new (GkvChangedFunc changed, gpointer changed_data)
{
  GkvEvents *self = g_new0 (GkvEvents, 1);

  self->changed = changed;
  self->changed_data = changed_data;
  gkv_fifo_init (&self->queue, sizeof (GkvEvent));
  self->peers = g_hash_table_new_full (gkv_hash_string, g_str_equal, NULL, (GDestroyNotify) peer_free);
  self->vacant = g_array_new (FALSE, FALSE, sizeof (guint64));
  self->changes = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  return self;
}

void
gkv_events_free (GkvEvents *self)
{
  GkvEvent event;

  while (gkv_fifo_pop (&self->queue, &event))
    gkv_event_clear (&event);
  gkv_fifo_clear (&self->queue);
  g_hash_table_unref (self->changes);
  g_array_unref (self->vacant);
  g_hash_table_unref (self->peers);
  g_free (self);
}

/* Good until the next is added. */
static GkvEvent *
push (GkvEvents *self, GkvEventKind kind)
{
  GkvEvent *event = gkv_fifo_push (&self->queue);

  event->kind = kind;
  return event;
}

/* Changes */

/* One of the same key that waits, where there are many. */
static GkvEvent *
find_change (GkvEvents *self, const GkvRecord *record)
{
  Change *change = g_hash_table_lookup (self->changes, &record->hash);
  GkvEvent *event = change != NULL ? gkv_fifo_peek (&self->queue, change->number) : NULL;

  /* Two keys may have one hash. */
  return event != NULL && strcmp (gkv_record_get_key (event->record), gkv_record_get_key (record)) == 0 ? event : NULL;
}

void
gkv_events_add_changed (GkvEvents *self, GkvRecord *record, GkvRecord *replaced)
{
  GkvEvent *event;
  gboolean many;

  if (self->changed != NULL)
    {
      self->changed (record, replaced, self->changed_data);
      g_clear_pointer (&replaced, gkv_record_unref);
      return;
    }

  /* As long as any is known by its key, the last of each is. */
  many = gkv_fifo_get_length (&self->queue) >= MANY || g_hash_table_size (self->changes) > 0;
  event = many ? find_change (self, record) : NULL;
  if (event != NULL)
    {
      /* What was visible before the first of them stays. */
      g_clear_pointer (&replaced, gkv_record_unref);
      gkv_record_unref (event->record);
      event->record = gkv_record_ref (record);
      return;
    }

  event = push (self, GKV_EVENT_CHANGED);
  event->record = gkv_record_ref (record);
  event->replaced = replaced;
  if (many)
    {
      Change *change = g_new (Change, 1);

      *change = (Change){ record->hash, gkv_fifo_get_last (&self->queue) };
      g_hash_table_replace (self->changes, &change->hash, change);
    }
}

/* Peers */

/* Takes @info. */
static void
set_event (GkvEvent *event, GkvEventKind kind, GkvPeerInfo *info)
{
  g_clear_pointer (&event->peer, gkv_peer_info_free);
  event->kind = kind;
  event->peer = info;
}

/* At a vacant place behind @after, if there is one, so that peers that come and go leave nothing behind. */
static guint64
add_peer_event (GkvEvents *self, GkvEventKind kind, GkvPeerInfo *info, guint64 after)
{
  for (guint i = self->vacant->len; i > 0; i--)
    {
      guint64 number = g_array_index (self->vacant, guint64, i - 1);
      GkvEvent *event = gkv_fifo_peek (&self->queue, number);

      if (event != NULL && number < after)
        continue;

      g_array_remove_index_fast (self->vacant, i - 1);
      if (event != NULL)
        {
          set_event (event, kind, info);
          return number;
        }
    }

  set_event (push (self, kind), kind, info);
  return gkv_fifo_get_last (&self->queue);
}

static void
vacate (GkvEvents *self, guint64 number)
{
  GkvEvent *event = gkv_fifo_peek (&self->queue, number);

  gkv_event_clear (event);
  event->kind = EVENT_NONE;
  g_array_append_val (self->vacant, number);
}

static Peer *
ensure_peer (GkvEvents *self, const char *id)
{
  Peer *peer = g_hash_table_lookup (self->peers, id);

  if (peer == NULL)
    {
      peer = g_new0 (Peer, 1);
      peer->id = g_strdup (id);
      g_hash_table_insert (self->peers, peer->id, peer);
    }
  return peer;
}

static void
forget_reported (GkvEvents *self, Peer *peer, guint64 number)
{
  if (peer->before == number)
    peer->before = 0;
  if (peer->added == number)
    peer->added = 0;
  if (peer->before == 0 && peer->added == 0)
    g_hash_table_remove (self->peers, peer->id);
}

void
gkv_events_add_peer (GkvEvents *self, GkvEventKind kind, GkvPeerInfo *info)
{
  Peer *peer = ensure_peer (self, info->node_id);
  guint64 added = peer->added;

  if (added != 0 && kind == GKV_EVENT_PEER_REMOVED)
    {
      vacate (self, added);
      forget_reported (self, peer, added);
      gkv_peer_info_free (info);
    }
  else if (added != 0)
    set_event (gkv_fifo_peek (&self->queue, added), GKV_EVENT_PEER_ADDED, info);
  else if (kind == GKV_EVENT_PEER_ADDED)
    peer->added = add_peer_event (self, kind, info, peer->before);
  else if (peer->before != 0)
    set_event (gkv_fifo_peek (&self->queue, peer->before), kind, info);
  else
    peer->before = add_peer_event (self, kind, info, 0);
}

/* Others */

void
gkv_events_add_error (GkvEvents *self, int code, const char *message)
{
  guint kind = MIN ((guint) code, N_CODES - 1);

  if (self->n_errors[kind] >= MAX_ERRORS)
    {
      self->n_more_errors[kind]++;
      return;
    }

  self->n_errors[kind]++;
  push (self, GKV_EVENT_ERROR)->error = g_error_new_literal (GKV_ERROR, code, message);
}

/* The last one of a kind that waited was read. */
static void
add_more_errors (GkvEvents *self, int code)
{
  guint kind = MIN ((guint) code, N_CODES - 1);
  g_autofree char *message = NULL;

  self->n_errors[kind]--;
  if (self->n_errors[kind] > 0 || self->n_more_errors[kind] == 0)
    return;

  message = g_strdup_printf ("%" G_GUINT64_FORMAT " more errors of this kind were not reported one by one",
                             self->n_more_errors[kind]);
  self->n_more_errors[kind] = 0;
  gkv_events_add_error (self, code, message);
}

void
gkv_events_add_synced (GkvEvents *self, gboolean synced)
{
  push (self, GKV_EVENT_SYNCED)->synced = synced;
}

void
gkv_events_add_confirmed (GkvEvents *self)
{
  if (!self->confirmed)
    push (self, GKV_EVENT_CONFIRMED);
  self->confirmed = TRUE;
}

/* Reading */

guint
gkv_events_get_length (GkvEvents *self)
{
  return gkv_fifo_get_length (&self->queue);
}

static void
note_read (GkvEvents *self, const GkvEvent *event, guint64 number)
{
  const Change *change;

  switch (event->kind)
    {
    case GKV_EVENT_CHANGED:
      if (g_hash_table_size (self->changes) == 0)
        break;
      change = g_hash_table_lookup (self->changes, &event->record->hash);
      if (change != NULL && change->number == number)
        g_hash_table_remove (self->changes, &event->record->hash);
      break;

    case GKV_EVENT_PEER_ADDED:
    case GKV_EVENT_PEER_CHANGED:
    case GKV_EVENT_PEER_REMOVED:
      forget_reported (self, ensure_peer (self, event->peer->node_id), number);
      break;

    case GKV_EVENT_ERROR:
      add_more_errors (self, event->error->code);
      break;

    case GKV_EVENT_CONFIRMED:
      self->confirmed = FALSE;
      break;

    case GKV_EVENT_SYNCED:
    default:
      break;
    }
}

gboolean
gkv_events_pop (GkvEvents *self, GkvEvent *event)
{
  do
    {
      guint64 number = gkv_fifo_get_last (&self->queue) - gkv_fifo_get_length (&self->queue) + 1;

      if (!gkv_fifo_pop (&self->queue, event))
        {
          g_array_set_size (self->vacant, 0);
          return FALSE;
        }

      note_read (self, event, number);
    }
  while (event->kind == EVENT_NONE);

  return TRUE;
}
