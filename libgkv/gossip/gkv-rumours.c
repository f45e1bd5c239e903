/* Rumours: a record that is new here is sent on at once, along the fingers of the ring (gkv-ring), so that it reaches
 * everybody in a logarithmic number of hops, and everybody once.
 *
 * Each datagram is acknowledged. A member that doesn't is sent it again; if that is in vain, its share of the ring is
 * taken on by the sender, and another member tries to reach it. Records that still get lost are found by the next
 * exchange.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-rumours.h"

/* Rumours that wait; when more are written at once, exchanges carry the rest, at the receiver's pace. */
#define MAX_RUMOURS 4096

/* Bytes of rumours in one turn, to each peer. */
#define MAX_BYTES_A_TURN (48 * 1024)

/* Datagrams that one peer has not acknowledged yet: as many as its socket surely holds. */
#define WINDOW 64

/* An acknowledgement is waited for so long, and twice the round trip; then the rumours are sent again. */
#define ACK_PATIENCE (15 * GKV_MS)
#define ACK_TRIES    4

/* Datagrams sent again, or given up, in one turn: each that is given up is many to others. */
#define MAX_LATE 64

typedef struct
{
  GkvRecord *record;
  GkvArc arc;   /* the members that it is to reach */
  guint64 hash; /* of the key, by which it is found while it waits */
} Rumour;

/* A datagram of rumours that waits to be acknowledged. */
typedef struct
{
  guint32 serial;
  GkvMember *member;
  GkvArc arc;
  GPtrArray *records;
  gint64 due;
  guint tries;
  gboolean last; /* nobody else is to try after this */
} Delegation;

struct _GkvRumours
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvRing *ring;
  GkvRumoursListener listener;
  gpointer data;
  GQueue rumours;
  GHashTable *by_hash;     /* hash* of the key → the newest of them, borrowed */
  GHashTable *delegations; /* serial → what waits to be acknowledged, owned */
  guint32 next_serial;
  gboolean spreading; /* the datagram being read has said whom its rumours are for: */
  GkvArc arc;
};

/* Datagrams that the member hasn't acknowledged. */
static guint
get_n_delegated (const GkvMember *member)
{
  return GPOINTER_TO_UINT (member->of_rumours);
}

static void
count_delegated (GkvMember *member, int by)
{
  member->of_rumours = GUINT_TO_POINTER (get_n_delegated (member) + by);
}

static void
rumour_free (Rumour *rumour)
{
  gkv_record_unref (rumour->record);
  g_free (rumour);
}

static void
delegation_free (Delegation *delegation)
{
  count_delegated (delegation->member, -1);
  g_ptr_array_unref (delegation->records);
  g_free (delegation);
}

GkvRumours *
gkv_rumours_new (GkvRuntime *runtime,
                 GkvLinks *links,
                 GkvMembers *members,
                 GkvRing *ring,
                 const GkvRumoursListener *listener,
                 gpointer data)
{
  GkvRumours *self = g_new0 (GkvRumours, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->ring = ring;
  self->listener = *listener;
  self->data = data;
  g_queue_init (&self->rumours);
  self->by_hash = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->delegations = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) delegation_free);
  return self;
}

void
gkv_rumours_free (GkvRumours *self)
{
  g_hash_table_unref (self->by_hash);
  g_queue_clear_full (&self->rumours, (GDestroyNotify) rumour_free);
  g_hash_table_unref (self->delegations);
  g_free (self);
}

guint
gkv_rumours_get_n_waiting (GkvRumours *self)
{
  return self->rumours.length;
}

guint
gkv_rumours_get_n_delegated (GkvRumours *self)
{
  return g_hash_table_size (self->delegations);
}

void
gkv_rumours_forget_member (GkvRumours *self, const GkvMember *member)
{
  GHashTableIter iter;
  Delegation *delegation;

  g_hash_table_iter_init (&iter, self->delegations);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &delegation))
    if (delegation->member == member)
      g_hash_table_iter_remove (&iter);
}

/* What there is to be passed on */

/* A record that was replaced is nothing new, and its remaining lifetime isn't known any more. What replaced it is on
 * its way as well. */
static gboolean
is_stale (const GkvRecord *record)
{
  return (record->flags & GKV_RECORD_GONE) != 0;
}

static Rumour *
pop_rumour (GkvRumours *self)
{
  Rumour *rumour = g_queue_pop_head (&self->rumours);

  if (g_hash_table_lookup (self->by_hash, &rumour->hash) == rumour)
    g_hash_table_remove (self->by_hash, &rumour->hash);
  return rumour;
}

/* Frees the rumours at the head of the queue whose records were replaced: those cost no datagram, no place in a window
 * and no acknowledgement. */
static void
drop_stale (GkvRumours *self)
{
  Rumour *rumour;

  while ((rumour = g_queue_peek_head (&self->rumours)) != NULL && is_stale (rumour->record))
    rumour_free (pop_rumour (self));
}

static void
make_room (GkvRumours *self)
{
  drop_stale (self);
  if (self->rumours.length < MAX_RUMOURS)
    return;

  rumour_free (pop_rumour (self));
  self->runtime->counters.rumours_dropped++;
  self->listener.dropped (self->data);
}

/* A record takes the place in the queue of the one that it has replaced, so that a key that is written without pause
 * neither fills the queue nor moves to its end for ever. */
void
gkv_rumours_pass_on (GkvRumours *self, GkvRecord *record, GkvArc arc)
{
  Rumour *rumour;

  if (self->runtime->n_alive == 0 || is_stale (record))
    return;

  rumour = g_hash_table_lookup (self->by_hash, &record->hash);
  if (rumour != NULL && is_stale (rumour->record) && rumour->arc.from == arc.from && rumour->arc.to == arc.to)
    {
      gkv_record_unref (rumour->record);
      rumour->record = gkv_record_ref (record);
      return;
    }

  make_room (self);
  rumour = g_new (Rumour, 1);
  rumour->record = gkv_record_ref (record);
  rumour->arc = arc;
  rumour->hash = record->hash;
  g_queue_push_tail (&self->rumours, rumour);
  g_hash_table_replace (self->by_hash, &rumour->hash, rumour);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}

void
gkv_rumours_add (GkvRumours *self, GkvRecord *record)
{
  guint64 place = gkv_ring_get_place (self->ring);
  GkvArc everybody = { place, place - 1 };

  gkv_rumours_pass_on (self, record, everybody);
}

/* Sending */

static gint64
get_patience (const GkvMember *member)
{
  return ACK_PATIENCE + 2 * MAX (member->round_trip_us, 0);
}

static void
send_delegation (GkvRumours *self, Delegation *delegation)
{
  GkvLink *link = delegation->member->link;
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_put_u32 (body, delegation->serial);
  gkv_put_u64 (body, delegation->arc.to);
  gkv_links_send (self->links, link, GKV_MESSAGE_SPREAD);
  for (guint i = 0; i < delegation->records->len; i++)
    {
      GkvRecord *record = g_ptr_array_index (delegation->records, i);

      /* It may have been replaced just now. */
      if (is_stale (record))
        continue;

      gkv_links_send_record (self->links, link, record, GKV_MESSAGE_RUMOUR);
      self->runtime->counters.rumours_sent++;
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 4);
    }

  delegation->due = self->runtime->now.mono + get_patience (delegation->member);
  delegation->tries++;
  gkv_runtime_wake_at (self->runtime, delegation->due);
}

/* A delegation names the arc that it is for, is in one datagram, and is acknowledged by itself. */
static void
delegate (GkvRumours *self, GkvMember *member, GkvArc arc, GPtrArray *records, gboolean last)
{
  gsize room = gkv_links_get_max_body (self->links) - GKV_SPREAD_SIZE;
  guint i = 0;

  while (i < records->len)
    {
      Delegation *delegation = g_new0 (Delegation, 1);
      gsize size = 0, more;

      delegation->serial = ++self->next_serial;
      delegation->member = member;
      delegation->arc = arc;
      delegation->last = last;
      delegation->records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
      do
        {
          GkvRecord *record = g_ptr_array_index (records, i);

          more = MIN (gkv_record_get_wire_size (record) + 4, room);
          if (size + more > room)
            break;
          size += more;
          g_ptr_array_add (delegation->records, gkv_record_ref (record));
          gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 4);
          i++;
        }
      while (i < records->len);

      count_delegated (member, 1);
      g_hash_table_insert (self->delegations, GUINT_TO_POINTER (delegation->serial), delegation);
      /* With what goes there anyway, an acknowledgement most often. */
      gkv_links_make_room (self->links, member->link, GKV_SPREAD_SIZE + 2 + size);
      send_delegation (self, delegation);
    }
}

static void
spread (GkvRumours *self, GkvArc arc, GPtrArray *records, gboolean last)
{
  g_autoptr (GArray) shares = gkv_ring_divide (self->ring, arc);

  for (guint i = 0; i < shares->len; i++)
    {
      GkvShare *share = &g_array_index (shares, GkvShare, i);

      delegate (self, share->member, share->arc, records, last);
    }
}

/* Whether the members that would get it have acknowledged enough of what they got before. */
static gboolean
is_open (GkvRumours *self, GkvArc arc)
{
  g_autoptr (GArray) shares = NULL;

  if (g_hash_table_size (self->delegations) < WINDOW)
    return TRUE;

  shares = gkv_ring_divide (self->ring, arc);
  for (guint i = 0; i < shares->len; i++)
    if (get_n_delegated (g_array_index (shares, GkvShare, i).member) >= WINDOW)
      return FALSE;

  return TRUE;
}

static void
send_waiting (GkvRumours *self)
{
  gsize bytes = 0;

  for (drop_stale (self); self->rumours.length > 0 && bytes < MAX_BYTES_A_TURN; drop_stale (self))
    {
      GkvArc arc = ((Rumour *) g_queue_peek_head (&self->rumours))->arc;
      g_autoptr (GPtrArray) records = NULL;

      if (!is_open (self, arc))
        break;

      /* Those in a row that go the same way share datagrams. */
      records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
      for (; self->rumours.length > 0 && bytes < MAX_BYTES_A_TURN; drop_stale (self))
        {
          Rumour *rumour = g_queue_peek_head (&self->rumours);

          if (rumour->arc.from != arc.from || rumour->arc.to != arc.to)
            break;

          pop_rumour (self);
          bytes += MIN (gkv_record_get_wire_size (rumour->record), self->runtime->max_datagram);
          g_ptr_array_add (records, gkv_record_ref (rumour->record));
          rumour_free (rumour);
          gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 4);
        }
      spread (self, arc, records, FALSE);
    }
}

/* A member that doesn't reply may be dead, or only out of our reach. This node takes on its share, and another tries to
 * reach it. */
static void
give_up (GkvRumours *self, Delegation *delegation)
{
  g_autoptr (GPtrArray) helpers = gkv_members_pick (self->members, 1, delegation->member);

  self->runtime->counters.rumours_given_up++;
  spread (self, delegation->arc, delegation->records, TRUE);

  if (helpers->len > 0)
    {
      GkvMember *helper = g_ptr_array_index (helpers, 0);
      GkvArc up_to_it = { helper->place, delegation->member->place };

      delegate (self, helper, up_to_it, delegation->records, TRUE);
    }
}

/* FALSE: nothing of it is new any more, and nobody needs to acknowledge it. */
static gboolean
forget_stale (Delegation *delegation)
{
  for (guint i = delegation->records->len; i > 0; i--)
    if (is_stale (g_ptr_array_index (delegation->records, i - 1)))
      g_ptr_array_remove_index (delegation->records, i - 1);

  return delegation->records->len > 0;
}

static void
repeat_late (GkvRumours *self)
{
  g_autoptr (GPtrArray) late = NULL;
  GHashTableIter iter;
  Delegation *delegation;

  if (g_hash_table_size (self->delegations) == 0)
    return;

  late = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, self->delegations);
  while (late->len < MAX_LATE && g_hash_table_iter_next (&iter, NULL, (gpointer *) &delegation))
    if (self->runtime->now.mono >= delegation->due)
      g_ptr_array_add (late, delegation);
    else
      gkv_runtime_wake_at (self->runtime, delegation->due);
  if (late->len == MAX_LATE)
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_MS);

  for (guint i = 0; i < late->len; i++)
    {
      GkvLink *link;

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      delegation = g_ptr_array_index (late, i);
      link = delegation->member->link;
      if (!forget_stale (delegation))
        {
          g_hash_table_remove (self->delegations, GUINT_TO_POINTER (delegation->serial));
          continue;
        }

      if (delegation->tries < ACK_TRIES && gkv_member_is_live (delegation->member) && link != NULL &&
          gkv_link_is_usable (link))
        {
          gkv_links_end_datagram (self->links, link);
          send_delegation (self, delegation);
          continue;
        }

      g_hash_table_steal (self->delegations, GUINT_TO_POINTER (delegation->serial));
      if (!delegation->last)
        give_up (self, delegation);
      delegation_free (delegation);
    }
}

void
gkv_rumours_tick (GkvRumours *self)
{
  repeat_late (self);
  send_waiting (self);
  if (self->rumours.length > 0)
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_MS);
}

/* Receiving */

static void
handle_spread (GkvRumours *self, GkvLink *link, GkvReader *reader)
{
  guint32 serial = gkv_reader_u32 (reader);
  guint64 to = gkv_reader_u64 (reader);

  if (reader->failed)
    return;

  self->spreading = TRUE;
  self->arc = (GkvArc){ gkv_ring_get_place (self->ring), to };
  gkv_put_u32 (gkv_links_begin_message (self->links), serial);
  gkv_links_send (self->links, link, GKV_MESSAGE_SPREAD_ACK);
}

static void
handle_ack (GkvRumours *self, GkvLink *link, GkvReader *reader)
{
  guint32 serial = gkv_reader_u32 (reader);
  Delegation *delegation = g_hash_table_lookup (self->delegations, GUINT_TO_POINTER (serial));

  if (reader->failed || delegation == NULL || delegation->member != link->member)
    return;

  self->listener.acknowledged (link->member, delegation->records, self->data);
  g_hash_table_remove (self->delegations, GUINT_TO_POINTER (serial));
}

static void
handle_rumour (GkvRumours *self, GkvLink *link, GkvReader *reader)
{
  gint64 left_ms;
  g_autoptr (GkvRecord) record = gkv_runtime_read_record (self->runtime, reader, &left_ms);

  self->runtime->counters.rumours_received++;
  if (record == NULL)
    {
      self->runtime->counters.records_refused++;
      return;
    }

  if (!self->listener.received (link, record, left_ms, self->data))
    return;

  self->runtime->counters.rumours_new++;
  if (self->spreading && gkv_ring_has_members (self->ring, self->arc))
    gkv_rumours_pass_on (self, record, self->arc);
}

void
gkv_rumours_handle (GkvRumours *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_SPREAD)
    handle_spread (self, link, reader);
  else if (kind == GKV_MESSAGE_SPREAD_ACK)
    handle_ack (self, link, reader);
  else
    handle_rumour (self, link, reader);
}

void
gkv_rumours_begin_datagram (GkvRumours *self)
{
  self->spreading = FALSE;
}

gboolean
gkv_rumours_get_arc (GkvRumours *self, GkvArc *arc)
{
  if (self->spreading)
    *arc = self->arc;
  return self->spreading;
}
