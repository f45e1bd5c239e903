/* Inheritance: taking over the removals that another node remembers.
 *
 * A joiner takes all of them from a peer that is in sync and remembers all itself, once it has the records; a node that
 * was away takes those that were made since; and of a peer that was lost and is back, those that it has collected
 * meanwhile. So a cluster that is restarted node by node forgets nothing.
 *
 * They come in pages, at the receiver's pace: the peer sends what fits a few datagrams, each of which says between
 * which numbers its removals are; what got lost is asked for again. The sender keeps no state.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-inheritance.h"

#define ENTRY_SIZE 24
#define HEAD_SIZE  (1 + 4 + 8 + 8 + 8 + 8 + 10 + 8 + 10)

#define PAGE      (32 * 1024)
#define PAGE_MAX  (40 * 1024)
#define PATIENCE  (300 * GKV_MS)
#define TRIES     8
#define MAX_AHEAD 128

/* Another peer is asked this often; and when none has answered for so long that remembers all, there is none. */
#define ASK_PERIOD   (400 * GKV_MS)
#define ASK_PATIENCE (2 * GKV_SECOND)

/* Of the peers that are back at about the same time, so many are asked: most often all know the same. */
#define MAX_RETURNED 3

/* Removals that were made just before a parting may not have come. */
#define MARGIN (10 * GKV_SECOND)

/* No removal is taken with a stamp further ahead than this. */
#define MAX_AHEAD_MS (G_GINT64_CONSTANT (100) * 366 * 24 * 60 * 60 * 1000)

/* What is looked at for one datagram, and before others may get at the store. */
#define MAX_LOOKED 256

#define FLAG_COMPLETE 1
#define FLAG_LAST     2 /* of those that were asked for */

/* What came before what is to come first. */
typedef struct
{
  guint64 from, next;
} Stretch;

typedef struct
{
  char *id;
  guint64 generation;
  gint64 since;
} Returned;

struct _GkvInheritance
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  guint max;
  GkvInheritanceListener listener;
  gpointer data;

  gboolean complete;
  gboolean needed; /* before this node is in sync */
  gint64 since;    /* what was made since then isn't complete */
  gint64 answered; /* when a peer that remembers all has last answered, or since when one is asked; 0: none is yet */
  gint64 ask_due;

  /* Under way */
  GkvLink *link; /* NULL: nothing is */
  guint64 generation;
  gboolean of_returned; /* what is missing is missing of that one only */
  gint64 link_since;
  guint64 next, end; /* numbers there; 0: not known yet */
  guint64 n_got;
  GArray *ahead;  /* Stretch, by .from */
  guint32 serial; /* of what was asked last */
  gint64 sent;
  guint tries;

  GQueue returned; /* Returned*: those to be asked */
};

static void
returned_free (Returned *returned)
{
  g_free (returned->id);
  g_free (returned);
}

GkvInheritance *
gkv_inheritance_new (GkvRuntime *runtime,
                     GkvLinks *links,
                     GkvMembers *members,
                     guint max,
                     const GkvInheritanceListener *listener,
                     gpointer data)
{
  GkvInheritance *self = g_new0 (GkvInheritance, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->max = max;
  self->listener = *listener;
  self->data = data;
  self->since = G_MININT64;
  self->ahead = g_array_new (FALSE, FALSE, sizeof (Stretch));
  g_queue_init (&self->returned);
  return self;
}

void
gkv_inheritance_free (GkvInheritance *self)
{
  g_queue_clear_full (&self->returned, (GDestroyNotify) returned_free);
  g_array_unref (self->ahead);
  g_free (self);
}

gboolean
gkv_inheritance_is_complete (GkvInheritance *self)
{
  return self->complete;
}

/* Asking */

static void
send_recall (GkvInheritance *self)
{
  GByteArray *body = gkv_links_begin_message (self->links);
  gint64 ago = self->link_since == G_MININT64 ? 0 : self->runtime->now.boot - self->link_since + MARGIN;

  self->sent = self->runtime->now.mono;
  gkv_put_u32 (body, ++self->serial);
  gkv_put_varint (body, ago > 0 ? ago / GKV_SECOND + 1 : 0);
  gkv_put_u64 (body, self->next);
  gkv_put_u64 (body, self->ahead->len > 0 ? g_array_index (self->ahead, Stretch, 0).from : 0);
  /* With the first number comes one datagram, so that no later one can be taken for it. */
  gkv_put_u32 (body, self->next > 0 ? PAGE : 0);
  gkv_links_send (self->links, self->link, GKV_MESSAGE_RECALL);
  gkv_runtime_wake_at (self->runtime, self->sent + PATIENCE);
}

static void
end (GkvInheritance *self)
{
  self->link = NULL;
  self->next = self->end = 0;
  g_array_set_size (self->ahead, 0);
}

static void
begin (GkvInheritance *self, GkvLink *link, gboolean of_returned, gint64 since)
{
  end (self);
  self->link = link;
  self->generation = link->generation;
  self->of_returned = of_returned;
  self->link_since = since;
  self->n_got = 0;
  self->tries = 0;
  send_recall (self);
}

void
gkv_inheritance_drop_link (GkvInheritance *self, const GkvLink *link)
{
  if (self->link == link)
    end (self);
}

gboolean
gkv_inheritance_is_awaited (GkvInheritance *self)
{
  if (self->complete || self->since != G_MININT64)
    return FALSE;

  self->needed = TRUE;
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
  return TRUE;
}

void
gkv_inheritance_begin (GkvInheritance *self, gint64 since)
{
  self->since = self->complete ? since : MIN (self->since, since);
  self->complete = FALSE;
  self->answered = self->ask_due = 0;
  end (self);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}

void
gkv_inheritance_ask (GkvInheritance *self, GkvLink *link, gint64 since)
{
  Returned *returned;

  if (self->returned.length >= MAX_RETURNED)
    return;

  returned = g_new (Returned, 1);
  *returned = (Returned){ g_strdup (link->member->profile->id), link->generation, since };
  g_queue_push_tail (&self->returned, returned);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
}

/* All has come that the peer had. @link: NULL: nobody has more. */
static void
complete (GkvInheritance *self, GkvLink *link)
{
  gboolean of_returned = link != NULL && self->of_returned;

  end (self);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
  if (of_returned)
    return;

  self->complete = TRUE;
  self->listener.completed (link, self->data);
}

/* Answering */

static gint64
get_ago (GkvInheritance *self, gint64 made)
{
  return MAX (self->runtime->now.boot - made, 0) / GKV_SECOND;
}

/* One datagram, the last of those that were asked for if it comes up to @until, or @alone. Returns the number after the
 * last that was looked at. */
static guint64
send_remembered (GkvInheritance *self, GkvLink *link, guint32 serial, guint64 from, guint64 until, gboolean alone)
{
  GkvRemovals *removals = gkv_store_get_removals (self->runtime->store);
  guint n = (gkv_links_get_max_body (self->links, link) - HEAD_SIZE) / ENTRY_SIZE;
  g_autoptr (GByteArray) entries = g_byte_array_sized_new (n * ENTRY_SIZE);
  gint64 newest = G_MININT64;
  gint64 dropped_made;
  GkvStamp dropped_stamp;
  guint64 number = from;
  GByteArray *body;

  for (guint i = 0; i < MAX_LOOKED && number < until && entries->len < n * ENTRY_SIZE; i++, number++)
    {
      GkvFingerprint hash;
      GkvStamp stamp;
      gint64 made;

      if (!gkv_removals_get (removals, number, &hash, &stamp, &made))
        continue;

      newest = MAX (newest, made);
      gkv_put_fingerprint (entries, &hash);
      gkv_put_u64 (entries, stamp);
    }

  gkv_removals_get_dropped (removals, &dropped_made, &dropped_stamp);
  body = gkv_links_begin_message (self->links);
  gkv_put_u8 (body, (self->complete && self->runtime->synced ? FLAG_COMPLETE : 0) |
                        (number >= until || alone ? FLAG_LAST : 0));
  gkv_put_u32 (body, serial);
  gkv_put_u64 (body, from);
  gkv_put_u64 (body, number);
  gkv_put_u64 (body, gkv_removals_get_first (removals));
  gkv_put_u64 (body, gkv_removals_get_end (removals));
  gkv_put_varint (body, get_ago (self, dropped_made));
  gkv_put_u64 (body, dropped_stamp);
  gkv_put_varint (body, newest != G_MININT64 ? get_ago (self, newest) : 0);
  g_byte_array_append (body, entries->data, entries->len);
  gkv_links_send (self->links, link, GKV_MESSAGE_REMEMBERED);
  gkv_runtime_breathe (self->runtime, 2 * GKV_COST_RECORD);
  return number;
}

static gint64
get_made (GkvInheritance *self, guint64 ago)
{
  return self->runtime->now.boot - (gint64) MIN (ago, G_MAXUINT32) * GKV_SECOND;
}

static void
handle_recall (GkvInheritance *self, GkvLink *link, GkvReader *reader)
{
  GkvRemovals *removals = gkv_store_get_removals (self->runtime->store);
  guint32 serial = gkv_reader_u32 (reader);
  guint64 ago = gkv_reader_varint (reader);
  guint64 from = gkv_reader_u64 (reader);
  guint64 until = gkv_reader_u64 (reader);
  guint32 bytes = gkv_reader_u32 (reader);
  guint64 end = gkv_removals_get_end (removals);

  if (reader->failed || !gkv_links_spend (self->links, 0))
    return;

  if (from == 0 && ago > 0)
    from = gkv_removals_get_first_since (removals, get_made (self, ago));
  from = MAX (from, gkv_removals_get_first (removals));
  until = until > 0 ? MIN (until, end) : end;
  bytes = MIN (bytes, PAGE_MAX);

  for (;;)
    {
      guint32 cost = gkv_links_get_max_body (self->links, link);
      gboolean last = bytes <= cost || !gkv_links_spend (self->links, cost);
      guint64 next = send_remembered (self, link, serial, MIN (from, end), until, last);

      if (last || next >= until)
        break;
      from = next;
      bytes -= cost;
    }
}

/* Receiving */

/* What has come between @from and @next. What is missing before it is asked for later. */
static void
note_stretch (GkvInheritance *self, guint64 from, guint64 next)
{
  Stretch stretch = { from, next };
  guint i = 0;

  if (from > self->next)
    {
      while (i < self->ahead->len && g_array_index (self->ahead, Stretch, i).from < from)
        i++;
      if (self->ahead->len < MAX_AHEAD)
        g_array_insert_val (self->ahead, i, stretch);
      return;
    }

  self->next = MAX (self->next, next);
  while (self->ahead->len > 0 && g_array_index (self->ahead, Stretch, 0).from <= self->next)
    {
      self->next = MAX (self->next, g_array_index (self->ahead, Stretch, 0).next);
      g_array_remove_index (self->ahead, 0);
    }
}

static void
take (GkvInheritance *self, GkvReader *reader, gint64 made)
{
  GkvRemovals *removals = gkv_store_get_removals (self->runtime->store);

  while (gkv_reader_get_left (reader) >= ENTRY_SIZE)
    {
      GkvFingerprint hash = gkv_reader_fingerprint (reader);
      GkvStamp stamp = gkv_reader_u64 (reader);

      if (gkv_clock_get_ahead_ms (gkv_stamp_get_ms (stamp), self->runtime->now.wall) > MAX_AHEAD_MS)
        continue;

      gkv_removals_add (removals, hash, stamp, made);
      self->n_got++;
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 2);
    }
}

static void
handle_remembered (GkvInheritance *self, GkvLink *link, GkvReader *reader)
{
  guint8 flags = gkv_reader_u8 (reader);
  guint32 serial = gkv_reader_u32 (reader);
  guint64 from = gkv_reader_u64 (reader);
  guint64 next = gkv_reader_u64 (reader);
  guint64 first = gkv_reader_u64 (reader);
  guint64 end_there = gkv_reader_u64 (reader);
  guint64 dropped_ago = gkv_reader_varint (reader);
  GkvStamp dropped_stamp = gkv_reader_u64 (reader);
  guint64 ago = gkv_reader_varint (reader);

  if (reader->failed || link != self->link || !gkv_link_is_current (link) || link->generation != self->generation ||
      next < from)
    return;

  gkv_standing_of (link->member)->remembers = (flags & FLAG_COMPLETE) != 0;
  if (!(flags & FLAG_COMPLETE) && !self->of_returned)
    {
      end (self);
      return;
    }

  self->answered = self->runtime->now.mono;
  self->tries = 0;
  if (self->next == 0)
    self->next = MAX (from, 1);
  self->next = MAX (self->next, first);
  self->end = end_there;
  if (dropped_stamp != 0)
    gkv_removals_note_dropped (gkv_store_get_removals (self->runtime->store), get_made (self, dropped_ago),
                               dropped_stamp);

  take (self, reader, get_made (self, ago));
  note_stretch (self, from, next);

  /* A liar's never end. */
  if (self->next >= self->end || self->n_got > (guint64) self->max + self->max / 4)
    complete (self, link);
  else if ((flags & FLAG_LAST) && serial == self->serial)
    send_recall (self);
}

void
gkv_inheritance_handle (GkvInheritance *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_RECALL)
    handle_recall (self, link, reader);
  else
    handle_remembered (self, link, reader);
}

/* Time */

static void
wait_for_reply (GkvInheritance *self)
{
  if (!gkv_link_is_live (self->link) || self->link->generation != self->generation)
    end (self);
  else if (self->runtime->now.mono - self->sent < PATIENCE)
    gkv_runtime_wake_at (self->runtime, self->sent + PATIENCE);
  else if (++self->tries >= TRIES)
    end (self);
  else
    send_recall (self);
}

/* A peer that remembers all is looked for. Where there is nobody at all, it is waited for. */
static void
look_for_peer (GkvInheritance *self)
{
  gint64 now = self->runtime->now.mono;
  g_autoptr (GPtrArray) peers = NULL;

  if (!(self->runtime->synced || self->needed) || self->runtime->n_alive == 0)
    return;

  if (self->answered == 0)
    self->answered = now;
  if (now - self->answered >= ASK_PATIENCE)
    {
      complete (self, NULL);
      return;
    }

  if (now >= self->ask_due)
    {
      self->ask_due = now + ASK_PERIOD;
      peers = gkv_members_pick (self->members, 1, NULL);
      if (peers->len > 0)
        begin (self, ((GkvMember *) g_ptr_array_index (peers, 0))->link, FALSE, self->since);
    }
  gkv_runtime_wake_at (self->runtime, MIN (self->ask_due, self->answered + ASK_PATIENCE));
}

static void
ask_returned (GkvInheritance *self)
{
  while (self->link == NULL && self->returned.length > 0)
    {
      Returned *returned = g_queue_pop_head (&self->returned);
      GkvMember *member = gkv_members_lookup (self->members, returned->id);

      if (member != NULL && gkv_member_has_link (member) && gkv_link_is_live (member->link) &&
          member->profile->generation == returned->generation)
        begin (self, member->link, TRUE, returned->since);
      returned_free (returned);
    }
}

void
gkv_inheritance_tick (GkvInheritance *self)
{
  if (self->link != NULL)
    wait_for_reply (self);
  if (self->link == NULL && !self->complete)
    look_for_peer (self);
  if (self->complete)
    ask_returned (self);
}
