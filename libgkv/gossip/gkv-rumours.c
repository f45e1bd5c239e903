/* Rumours: a record that is new here is sent on at once, along the fingers of the ring (gkv-ring), so that it reaches
 * everybody in a logarithmic number of hops, and everybody once.
 *
 * Each datagram is acknowledged. A member that doesn't is sent it again; if that is in vain, its share of the ring is
 * taken on by the sender, and another member tries to reach it. Records that still get lost are found by the next
 * exchange.
 *
 * Where not everybody reaches everybody, a node may get the same record for several parts of the ring, from several
 * nodes: then it serves each of them, once, though the record is new to it once only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-rumours.h"

#include <string.h>

/* Rumours that wait; when more are written at once, exchanges carry the rest, at the receiver's pace. */
#define MAX_RUMOURS 4096

/* Bytes of rumours in one turn, to each peer. */
#define MAX_BYTES_A_TURN (48 * 1024)

/* Datagrams that one peer has not acknowledged yet: as many as its socket surely holds. */
#define WINDOW 64

/* An acknowledgement is waited for so long, and twice the round trip; then the rumours are sent again. */
#define ACK_PATIENCE (15 * GKV_MS)
#define ACK_TRIES    4

/* So long, where a link has to be opened first. */
#define OPEN_PATIENCE (60 * GKV_MS)

/* Datagrams sent again, or given up, in one turn: each that is given up is many to others. */
#define MAX_LATE 64

/* A member that has left so many delegations in a row unacknowledged is tried through others from then on. */
#define MAX_UNACKNOWLEDGED 2

/* A share of the ring is given up so often until it is left to exchanges. */
#define MAX_GIVEN_UP 3

/* What was served is remembered where some reach others only through others, and for so long since they did; so much of
 * it at the most. */
#define PARTIAL_LASTS (60 * 60 * GKV_SECOND)
#define MAX_SERVED    4096

/* Arcs beside its own that a member gets in one datagram. */
#define MAX_OTHERS 8
#define MAX_ARCS   64

typedef struct
{
  GkvRecord *record;
  GArray *arcs; /* GkvArc: the members that it is to reach */
  guint64 hash; /* of the key, by which it is found while it waits */
} Rumour;

/* A datagram of rumours that waits to be acknowledged. */
typedef struct
{
  guint32 serial;
  GkvMember *member;
  guint64 to;
  GArray *others; /* as in GkvShare */
  GPtrArray *records;
  gsize size; /* that they take at the most */
  gsize room; /* a record that takes more was only announced */
  gint64 due;
  gint64 opened; /* that of the link, when it was sent last */
  guint tries;
  guint n_given_up; /* others were tried before */
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
  GArray *everybody;  /* the one arc of them */
  GArray *spreading;  /* the datagram being read has said whom its rumours are for; NULL: it hasn't */
  gint64 partial;     /* when not everybody reached everybody; 0: never */
  GHashTable *served; /* what was served lately: a hash of record and arcs */
  GQueue served_order;
};

/* Datagrams that the member hasn't acknowledged. */
static guint
get_n_delegated (const GkvMember *member)
{
  return GPOINTER_TO_UINT (gkv_member_peek (member)->of_rumours);
}

gboolean
gkv_rumours_is_delegated (const GkvMember *member)
{
  return get_n_delegated (member) > 0;
}

static void
count_delegated (GkvMember *member, int by)
{
  gkv_member_extra (member)->of_rumours = GUINT_TO_POINTER (get_n_delegated (member) + by);
}

static void
rumour_free (Rumour *rumour)
{
  gkv_record_unref (rumour->record);
  g_array_unref (rumour->arcs);
  g_free (rumour);
}

static void
delegation_free (Delegation *delegation)
{
  count_delegated (delegation->member, -1);
  g_ptr_array_unref (delegation->records);
  g_clear_pointer (&delegation->others, g_array_unref);
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
  guint64 place = gkv_ring_get_place (ring);
  GkvArc everybody = { place, place - 1 };

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->ring = ring;
  self->listener = *listener;
  self->data = data;
  g_queue_init (&self->rumours);
  self->by_hash = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->everybody = g_array_new (FALSE, FALSE, sizeof (GkvArc));
  g_array_append_val (self->everybody, everybody);
  self->served = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  g_queue_init (&self->served_order);
  self->delegations = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) delegation_free);
  return self;
}

void
gkv_rumours_free (GkvRumours *self)
{
  g_hash_table_unref (self->by_hash);
  g_queue_clear_full (&self->rumours, (GDestroyNotify) rumour_free);
  g_hash_table_unref (self->delegations);
  g_array_unref (self->everybody);
  g_clear_pointer (&self->spreading, g_array_unref);
  g_queue_clear (&self->served_order);
  g_hash_table_unref (self->served);
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

static gboolean
are_equal (const GArray *a, const GArray *b)
{
  return a == b || (a->len == b->len && memcmp (a->data, b->data, a->len * sizeof (GkvArc)) == 0);
}

/* A record takes the place in the queue of the one that it has replaced, so that a key that is written without pause
 * neither fills the queue nor moves to its end for ever. */
void
gkv_rumours_pass_on (GkvRumours *self, GkvRecord *record, GArray *arcs)
{
  Rumour *rumour;

  if (self->runtime->n_alive == 0 || is_stale (record))
    return;

  rumour = g_hash_table_lookup (self->by_hash, &record->hash);
  if (rumour != NULL && is_stale (rumour->record) && are_equal (rumour->arcs, arcs))
    {
      gkv_record_unref (rumour->record);
      rumour->record = gkv_record_ref (record);
      return;
    }

  make_room (self);
  rumour = g_new (Rumour, 1);
  rumour->record = gkv_record_ref (record);
  rumour->arcs = g_array_ref (arcs);
  rumour->hash = record->hash;
  g_queue_push_tail (&self->rumours, rumour);
  g_hash_table_replace (self->by_hash, &rumour->hash, rumour);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}

void
gkv_rumours_add (GkvRumours *self, GkvRecord *record)
{
  gkv_rumours_pass_on (self, record, self->everybody);
}

/* FALSE: it was served to this arc before. Those that others left to us count by their beginnings, which are members:
 * so a record that goes round, as two nodes leave a member to each other, comes to an end. */
static gboolean
note_served (GkvRumours *self, const GkvRecord *record, GkvArc arc)
{
  GkvHashKey key = { record->fingerprint.lo, record->fingerprint.hi };
  gboolean own = arc.from == gkv_ring_get_place (self->ring);
  guint64 places[] = { arc.from, own ? arc.to : 0 };
  guint64 hash = gkv_hash_64 (&key, (const char *) places, sizeof places);

  if (g_hash_table_contains (self->served, &hash))
    return FALSE;

  if (self->served_order.length >= MAX_SERVED)
    g_hash_table_remove (self->served, g_queue_pop_head (&self->served_order));
  g_queue_push_tail (&self->served_order, g_memdup2 (&hash, sizeof hash));
  g_hash_table_add (self->served, self->served_order.tail->data);
  return TRUE;
}

static gboolean
is_partial (GkvRumours *self)
{
  if (gkv_ring_is_partial (self->ring))
    self->partial = self->runtime->now.mono;

  return self->partial != 0 && self->runtime->now.mono - self->partial < PARTIAL_LASTS;
}

void
gkv_rumours_send_to (GkvRumours *self, GkvRecord *record, guint64 place)
{
  g_autoptr (GArray) arcs = g_array_new (FALSE, FALSE, sizeof (GkvArc));
  GkvArc arc = { place - 1, place };

  g_array_append_val (arcs, arc);
  if (note_served (self, record, arc))
    gkv_rumours_pass_on (self, record, arcs);
}

/* Sending */

/* What rumours have in a datagram. */
static gsize
get_room (GkvRumours *self, const GkvLink *link)
{
  return gkv_links_get_max_body (self->links, link) - GKV_SPREAD_SIZE;
}

/* What arcs take of that beside the first of them. */
static gsize
get_more_others (guint n_others)
{
  return (n_others - 1) * sizeof (GkvArc);
}

static gint64
get_patience (const GkvMember *member, const GkvLink *link)
{
  return (link->opened != 0 ? OPEN_PATIENCE : ACK_PATIENCE) + 2 * MAX (gkv_member_peek (member)->round_trip_us, 0);
}

static void
send_delegation (GkvRumours *self, Delegation *delegation, GkvLink *link)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_put_u32 (body, delegation->serial);
  gkv_put_u64 (body, delegation->to);
  for (guint i = 0; delegation->others != NULL && i < delegation->others->len; i++)
    {
      const GkvArc *arc = &g_array_index (delegation->others, GkvArc, i);

      gkv_put_u64 (body, arc->from);
      gkv_put_u64 (body, arc->to);
    }
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

  delegation->opened = link->opened;
  delegation->room = MIN (delegation->room, get_room (self, link));
  delegation->due = self->runtime->now.mono + get_patience (delegation->member, link);
  delegation->tries++;
  gkv_runtime_wake_at (self->runtime, delegation->due);
}

/* A delegation names the arcs that it is for, is in one datagram, and is acknowledged by itself. */
static void
delegate_arcs (GkvRumours *self, GkvMember *member, guint64 to, GArray *others, GPtrArray *records, guint n_given_up)
{
  GkvLink *link = gkv_member_open_link (member, self->links);
  gsize more_others = others != NULL ? get_more_others (others->len) : 0;
  gsize room;
  guint i = 0;

  if (link == NULL)
    {
      self->listener.dropped (self->data);
      return;
    }

  room = get_room (self, link) - more_others;

  while (i < records->len)
    {
      Delegation *delegation = g_new0 (Delegation, 1);
      gsize size = 0, more;

      delegation->serial = ++self->next_serial;
      delegation->member = member;
      delegation->to = to;
      delegation->others = others != NULL ? g_array_ref (others) : NULL;
      delegation->n_given_up = n_given_up;
      delegation->room = room;
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

      delegation->size = size;
      count_delegated (member, 1);
      g_hash_table_insert (self->delegations, GUINT_TO_POINTER (delegation->serial), delegation);
      /* With what goes there anyway, an acknowledgement most often. */
      gkv_links_make_room (self->links, link, gkv_links_get_max_body (self->links, link) - room + 2 + size);
      send_delegation (self, delegation, link);
    }
}

/* Arcs in one datagram leave room for a record of any size that a datagram has room for. */
static guint
get_n_others (GkvRumours *self, const GkvMember *member, GPtrArray *records)
{
  const GkvLink *link = gkv_member_open_link (member, self->links);
  gsize most = link != NULL ? get_room (self, link) : 0;
  gsize room = most - get_more_others (MAX_OTHERS);

  for (guint i = 0; i < records->len; i++)
    {
      gsize size = gkv_record_get_wire_size (g_ptr_array_index (records, i)) + 4;

      if (size > room && size <= most)
        return 1;
    }

  return MAX_OTHERS;
}

static void
delegate (GkvRumours *self, const GkvShare *share, GPtrArray *records, guint n_given_up)
{
  guint64 to = share->to;
  guint n = share->others != NULL ? get_n_others (self, share->member, records) : 0;

  if (share->others == NULL)
    {
      delegate_arcs (self, share->member, to, NULL, records, n_given_up);
      return;
    }

  self->partial = self->runtime->now.mono;
  for (guint i = 0; i < share->others->len; i += n)
    {
      g_autoptr (GArray) others = g_array_new (FALSE, FALSE, sizeof (GkvArc));

      g_array_append_vals (others, &g_array_index (share->others, GkvArc, i), MIN (n, share->others->len - i));
      delegate_arcs (self, share->member, to, others, records, n_given_up);
      to = share->member->profile->place;
    }
}

static void
spread (GkvRumours *self, const GArray *arcs, GPtrArray *records, const GkvMember *avoid, guint n_given_up)
{
  g_autoptr (GArray) shares = gkv_ring_divide (self->ring, arcs, avoid);

  for (guint i = 0; i < shares->len; i++)
    delegate (self, &g_array_index (shares, GkvShare, i), records, n_given_up);
}

/* Whether the members that would get it have acknowledged enough of what they got before. */
static gboolean
is_open (GkvRumours *self, const GArray *arcs)
{
  g_autoptr (GArray) shares = NULL;

  if (g_hash_table_size (self->delegations) < WINDOW)
    return TRUE;

  shares = gkv_ring_divide (self->ring, arcs, NULL);
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
      g_autoptr (GArray) arcs = g_array_ref (((Rumour *) g_queue_peek_head (&self->rumours))->arcs);
      g_autoptr (GPtrArray) records = NULL;

      if (!is_open (self, arcs))
        break;

      /* Those in a row that go the same way share datagrams. */
      records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
      for (; self->rumours.length > 0 && bytes < MAX_BYTES_A_TURN; drop_stale (self))
        {
          Rumour *rumour = g_queue_peek_head (&self->rumours);

          if (!are_equal (rumour->arcs, arcs))
            break;

          pop_rumour (self);
          bytes += MIN (gkv_record_get_wire_size (rumour->record), self->runtime->max_datagram);
          g_ptr_array_add (records, gkv_record_ref (rumour->record));
          rumour_free (rumour);
          gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 4);
        }
      spread (self, arcs, records, NULL, 0);
    }
}

/* A member that doesn't reply may be dead, or only out of our reach. This node takes on its share, and others try to
 * reach it. */
static void
give_up (GkvRumours *self, Delegation *delegation)
{
  g_autoptr (GArray) arcs = g_array_new (FALSE, FALSE, sizeof (GkvArc));
  GkvMember *member = delegation->member;
  GkvArc own = { member->profile->place - 1, delegation->to };

  self->runtime->counters.rumours_given_up++;
  if (++gkv_member_extra (member)->n_unacknowledged >= MAX_UNACKNOWLEDGED)
    gkv_members_set_indirect (self->members, member, TRUE);

  g_array_append_val (arcs, own);
  if (delegation->others != NULL)
    g_array_append_vals (arcs, delegation->others->data, delegation->others->len);
  spread (self, arcs, delegation->records, member, delegation->n_given_up + 1);
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
      gsize more_others;

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      delegation = g_ptr_array_index (late, i);
      more_others = delegation->others != NULL ? get_more_others (delegation->others->len) : 0;
      link = gkv_member_is_live (delegation->member) ? gkv_member_open_link (delegation->member, self->links) : NULL;
      if (!forget_stale (delegation))
        {
          g_hash_table_remove (self->delegations, GUINT_TO_POINTER (delegation->serial));
          continue;
        }

      if (delegation->tries < ACK_TRIES && link != NULL && link->opened != 0 && delegation->opened == link->opened)
        {
          /* It waits there already. */
          delegation->tries++;
          delegation->due = self->runtime->now.mono + get_patience (delegation->member, link);
          gkv_runtime_wake_at (self->runtime, delegation->due);
          continue;
        }
      if (delegation->tries < ACK_TRIES && link != NULL)
        {
          if (delegation->size <= get_room (self, link) - more_others)
            {
              gkv_links_end_datagram (self->links, link);
              send_delegation (self, delegation, link);
              continue;
            }

          /* Less can be sent there at once than before: it takes several datagrams now. */
          g_hash_table_steal (self->delegations, GUINT_TO_POINTER (delegation->serial));
          delegate_arcs (self, delegation->member, delegation->to, delegation->others, delegation->records,
                         delegation->n_given_up);
          delegation_free (delegation);
          continue;
        }

      g_hash_table_steal (self->delegations, GUINT_TO_POINTER (delegation->serial));
      if (delegation->n_given_up < MAX_GIVEN_UP)
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
  GkvArc arc = { gkv_ring_get_place (self->ring), gkv_reader_u64 (reader) };

  if (reader->failed)
    return;

  g_clear_pointer (&self->spreading, g_array_unref);
  self->spreading = g_array_new (FALSE, FALSE, sizeof (GkvArc));
  if (arc.from != arc.to)
    g_array_append_val (self->spreading, arc);
  while (gkv_reader_get_left (reader) >= sizeof (GkvArc) && self->spreading->len < MAX_ARCS)
    {
      arc.from = gkv_reader_u64 (reader);
      arc.to = gkv_reader_u64 (reader);
      g_array_append_val (self->spreading, arc);
      self->partial = self->runtime->now.mono;
    }
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

  gkv_member_extra (link->member)->n_unacknowledged = 0;
  for (guint i = delegation->records->len; i > 0; i--)
    if (gkv_record_get_wire_size (g_ptr_array_index (delegation->records, i - 1)) > delegation->room)
      g_ptr_array_remove_index_fast (delegation->records, i - 1);
  self->listener.acknowledged (link->member, delegation->records, self->data);
  g_hash_table_remove (self->delegations, GUINT_TO_POINTER (serial));
}

/* A node that has got it for other members than we had before needs us as much as if it were new. */
static gboolean
is_held (GkvRumours *self, const GkvRecord *record)
{
  GkvRecord *held = gkv_store_find_version (self->runtime->store, record);

  return held != NULL && gkv_fingerprint_equal (&held->fingerprint, &record->fingerprint);
}

void
gkv_rumours_serve (GkvRumours *self, GkvRecord *record, GArray *arcs, gboolean is_new)
{
  g_autoptr (GArray) left = NULL;

  if (arcs == NULL)
    return;

  if (!is_partial (self))
    {
      if (is_new && gkv_ring_has_members (self->ring, arcs))
        gkv_rumours_pass_on (self, record, arcs);
      return;
    }

  if (!is_new && !is_held (self, record))
    return;

  left = g_array_new (FALSE, FALSE, sizeof (GkvArc));
  for (guint i = 0; i < arcs->len; i++)
    if (note_served (self, record, g_array_index (arcs, GkvArc, i)))
      g_array_append_val (left, g_array_index (arcs, GkvArc, i));
  if (left->len > 0 && gkv_ring_has_members (self->ring, left))
    gkv_rumours_pass_on (self, record, left);
}

static void
handle_rumour (GkvRumours *self, GkvLink *link, GkvReader *reader)
{
  gint64 left_ms;
  g_autoptr (GkvRecord) record = gkv_runtime_read_record (self->runtime, reader, &left_ms);
  gboolean is_new;

  self->runtime->counters.rumours_received++;
  if (record == NULL)
    {
      self->runtime->counters.records_refused++;
      return;
    }

  is_new = self->listener.received (link, record, left_ms, self->data);
  if (is_new)
    self->runtime->counters.rumours_new++;

  gkv_rumours_serve (self, record, self->spreading, is_new);
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
  g_clear_pointer (&self->spreading, g_array_unref);
}

GArray *
gkv_rumours_join_arcs (GkvRumours *self, GArray *arcs)
{
  GArray *all;

  if (self->spreading == NULL)
    return arcs != NULL ? g_array_ref (arcs) : NULL;
  if (arcs == NULL)
    return g_array_ref (self->spreading);
  if (arcs->len + self->spreading->len > MAX_ARCS)
    return g_array_ref (arcs);

  all = g_array_new (FALSE, FALSE, sizeof (GkvArc));
  g_array_append_vals (all, arcs->data, arcs->len);
  g_array_append_vals (all, self->spreading->data, self->spreading->len);
  return all;
}
