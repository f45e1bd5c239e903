/* Events: what an engine reports to its owner, in a queue that stays small however seldom it is read.
 *
 * What is told of a peer takes the place of what was told of it before and wasn't read: then only what it has come to
 * counts. A peer that came and went isn't told of at all; one that went and came back is two events. Changes of one key
 * are told as one only where very many wait; otherwise nothing of that is spent on them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include "../gkv-error.h"

#include <string.h>

/* From so many on, what waits is looked through before more is added. */
#define MANY 4096

#define MAX_ERRORS 16
#define N_CODES    32

/* One that isn't told any more; its place is used for the next peer. */
#define EVENT_NONE ((GkvEventKind) G_MAXINT)

/* The numbers in the queue of what waits to be told of a peer; 0: nothing. */
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
  GkvFifo queue;       /* GkvEvent */
  GHashTable *peers;   /* id → Peer, owned */
  GArray *vacant;      /* guint64: numbers of those that aren't told any more */
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

void
gkv_peer_info_free (GkvPeerInfo *info)
{
  g_free (info->node_id);
  g_free (info->address);
  g_free (info);
}

void
gkv_event_clear (GkvEvent *event)
{
  g_clear_pointer (&event->record, gkv_record_unref);
  g_clear_pointer (&event->replaced, gkv_record_unref);
  g_clear_pointer (&event->peer, gkv_peer_info_free);
  g_clear_error (&event->error);
}

void
gkv_events_init (GkvEngine *self)
{
  self->events = g_new0 (GkvEvents, 1);
  gkv_fifo_init (&self->events->queue, sizeof (GkvEvent));
  self->events->peers = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) peer_free);
  self->events->vacant = g_array_new (FALSE, FALSE, sizeof (guint64));
  self->events->changes = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
}

void
gkv_events_clear (GkvEngine *self)
{
  GkvEvents *events = g_steal_pointer (&self->events);
  GkvEvent event;

  while (gkv_fifo_pop (&events->queue, &event))
    gkv_event_clear (&event);
  gkv_fifo_clear (&events->queue);
  g_hash_table_unref (events->changes);
  g_array_unref (events->vacant);
  g_hash_table_unref (events->peers);
  g_free (events);
}

/* Good until the next is added. */
static GkvEvent *
push (GkvEvents *events, GkvEventKind kind)
{
  GkvEvent *event = gkv_fifo_push (&events->queue);

  event->kind = kind;
  return event;
}

/* Changes */

/* One of the same key that waits, where there are many. */
static GkvEvent *
find_change (GkvEvents *events, const GkvRecord *record)
{
  Change *change = g_hash_table_lookup (events->changes, &record->hash);
  GkvEvent *event = change != NULL ? gkv_fifo_peek (&events->queue, change->number) : NULL;

  /* Two keys may have one hash. */
  return event != NULL && strcmp (gkv_record_get_key (event->record), gkv_record_get_key (record)) == 0 ? event : NULL;
}

void
gkv_events_add_changed (GkvEngine *self, GkvRecord *record, GkvRecord *replaced)
{
  GkvEvents *events = self->events;
  GkvEvent *event;
  gboolean many;

  if (self->changed != NULL)
    {
      self->changed (record, replaced, self->changed_data);
      g_clear_pointer (&replaced, gkv_record_unref);
      return;
    }

  /* As long as any is known by its key, the last of each is. */
  many = gkv_fifo_get_length (&events->queue) >= MANY || g_hash_table_size (events->changes) > 0;
  event = many ? find_change (events, record) : NULL;
  if (event != NULL)
    {
      /* What was visible before the first of them stays. */
      g_clear_pointer (&replaced, gkv_record_unref);
      gkv_record_unref (event->record);
      event->record = gkv_record_ref (record);
      return;
    }

  event = push (events, GKV_EVENT_CHANGED);
  event->record = gkv_record_ref (record);
  event->replaced = replaced;
  if (many)
    {
      Change *change = g_new (Change, 1);

      *change = (Change){ record->hash, gkv_fifo_get_last (&events->queue) };
      g_hash_table_replace (events->changes, &change->hash, change);
    }
}

/* Peers */

static GkvPeerInfo *
describe (const GkvMember *member)
{
  GkvPeerInfo *info = g_new0 (GkvPeerInfo, 1);

  info->node_id = g_strdup (member->id);
  info->address = g_strdup (member->address);
  info->state = member->status;
  info->round_trip_us = member->round_trip_us;
  info->last_seen_wall = member->last_seen_wall;
  return info;
}

static void
set_event (GkvEvent *event, GkvEventKind kind, const GkvMember *member)
{
  g_clear_pointer (&event->peer, gkv_peer_info_free);
  event->kind = kind;
  event->peer = describe (member);
}

/* At a vacant place behind @after, if there is one, so that peers that come and go leave nothing behind. */
static guint64
add_peer_event (GkvEvents *events, GkvEventKind kind, const GkvMember *member, guint64 after)
{
  for (guint i = events->vacant->len; i > 0; i--)
    {
      guint64 number = g_array_index (events->vacant, guint64, i - 1);
      GkvEvent *event = gkv_fifo_peek (&events->queue, number);

      if (event != NULL && number < after)
        continue;

      g_array_remove_index_fast (events->vacant, i - 1);
      if (event != NULL)
        {
          set_event (event, kind, member);
          return number;
        }
    }

  set_event (push (events, kind), kind, member);
  return gkv_fifo_get_last (&events->queue);
}

static void
vacate (GkvEvents *events, guint64 number)
{
  GkvEvent *event = gkv_fifo_peek (&events->queue, number);

  gkv_event_clear (event);
  event->kind = EVENT_NONE;
  g_array_append_val (events->vacant, number);
}

static Peer *
ensure_peer (GkvEvents *events, const char *id)
{
  Peer *peer = g_hash_table_lookup (events->peers, id);

  if (peer == NULL)
    {
      peer = g_new0 (Peer, 1);
      peer->id = g_strdup (id);
      g_hash_table_insert (events->peers, peer->id, peer);
    }
  return peer;
}

static void
forget_told (GkvEvents *events, Peer *peer, guint64 number)
{
  if (peer->before == number)
    peer->before = 0;
  if (peer->added == number)
    peer->added = 0;
  if (peer->before == 0 && peer->added == 0)
    g_hash_table_remove (events->peers, peer->id);
}

void
gkv_events_add_peer (GkvEngine *self, GkvEventKind kind, const GkvMember *member)
{
  GkvEvents *events = self->events;
  Peer *peer = ensure_peer (events, member->id);
  guint64 added = peer->added;

  if (added != 0 && kind == GKV_EVENT_PEER_REMOVED)
    {
      vacate (events, added);
      forget_told (events, peer, added);
    }
  else if (added != 0)
    set_event (gkv_fifo_peek (&events->queue, added), GKV_EVENT_PEER_ADDED, member);
  else if (kind == GKV_EVENT_PEER_ADDED)
    peer->added = add_peer_event (events, kind, member, peer->before);
  else if (peer->before != 0)
    set_event (gkv_fifo_peek (&events->queue, peer->before), kind, member);
  else
    peer->before = add_peer_event (events, kind, member, 0);
}

/* Others */

void
gkv_events_add_error (GkvEngine *self, int code, const char *message)
{
  GkvEvents *events = self->events;
  guint kind = MIN ((guint) code, N_CODES - 1);

  if (events->n_errors[kind] >= MAX_ERRORS)
    {
      events->n_more_errors[kind]++;
      return;
    }

  events->n_errors[kind]++;
  push (events, GKV_EVENT_ERROR)->error = g_error_new_literal (GKV_ERROR, code, message);
}

/* The last one of a kind that waited was read. */
static void
add_more_errors (GkvEngine *self, int code)
{
  GkvEvents *events = self->events;
  guint kind = MIN ((guint) code, N_CODES - 1);
  g_autofree char *message = NULL;

  events->n_errors[kind]--;
  if (events->n_errors[kind] > 0 || events->n_more_errors[kind] == 0)
    return;

  message = g_strdup_printf ("%" G_GUINT64_FORMAT " more errors of this kind were not reported one by one",
                             events->n_more_errors[kind]);
  events->n_more_errors[kind] = 0;
  gkv_events_add_error (self, code, message);
}

void
gkv_events_add_synced (GkvEngine *self)
{
  push (self->events, GKV_EVENT_SYNCED)->synced = TRUE;
}

void
gkv_events_add_confirmed (GkvEngine *self)
{
  if (!self->events->confirmed)
    push (self->events, GKV_EVENT_CONFIRMED);
  self->events->confirmed = TRUE;
}

/* Reading */

guint
gkv_events_get_length (GkvEngine *self)
{
  return gkv_fifo_get_length (&self->events->queue);
}

static void
note_read (GkvEngine *self, const GkvEvent *event, guint64 number)
{
  GkvEvents *events = self->events;
  const Change *change;

  switch (event->kind)
    {
    case GKV_EVENT_CHANGED:
      if (g_hash_table_size (events->changes) == 0)
        break;
      change = g_hash_table_lookup (events->changes, &event->record->hash);
      if (change != NULL && change->number == number)
        g_hash_table_remove (events->changes, &event->record->hash);
      break;

    case GKV_EVENT_PEER_ADDED:
    case GKV_EVENT_PEER_CHANGED:
    case GKV_EVENT_PEER_REMOVED:
      forget_told (events, ensure_peer (events, event->peer->node_id), number);
      break;

    case GKV_EVENT_ERROR:
      add_more_errors (self, event->error->code);
      break;

    case GKV_EVENT_CONFIRMED:
      events->confirmed = FALSE;
      break;

    case GKV_EVENT_SYNCED:
    default:
      break;
    }
}

gboolean
gkv_engine_pop_event (GkvEngine *self, GkvEvent *event)
{
  GkvEvents *events = self->events;

  do
    {
      guint64 number = gkv_fifo_get_last (&events->queue) - gkv_fifo_get_length (&events->queue) + 1;

      if (!gkv_fifo_pop (&events->queue, event))
        {
          g_array_set_size (events->vacant, 0);
          return FALSE;
        }

      note_read (self, event, number);
    }
  while (event->kind == EVENT_NONE);

  return TRUE;
}
