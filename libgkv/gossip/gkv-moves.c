/* Moves: a member that is heard at another address than the one where it is spoken with.
 *
 * The address where it is spoken with is asked whether it is still there. Where nobody replies in a suspicion time, the
 * member has moved. Where somebody does, the other address is asked what the first one was asked: a node that has both
 * addresses knows that, and a copy of its process doesn't.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-moves.h"

#include <string.h>

/* At a time; a later one is begun when the member is heard again. */
#define MAX_MOVES 64

/* An address is asked so often in a suspicion time; one that a member has shown to have left so often. */
#define QUESTIONS       35
#define QUESTIONS_SHOWN 4

/* Two addresses that were found to be those of one node are not compared again for so long. */
#define SAME_LASTS (10 * 60 * GKV_SECOND)

typedef struct
{
  char *id;
  char *from;
  char *to;
  gboolean shown;
  guint64 number; /* of the question to .from */
  guint64 second; /* of that to .to; 0: nobody at .from has replied yet */
  gint64 due;
  guint n_left; /* questions */
} Move;

struct _GkvMoves
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvMembership *membership;
  GkvMovesListener listener;
  gpointer data;
  GPtrArray *moves; /* Move, owned */
};

static void
move_free (Move *move)
{
  g_free (move->id);
  g_free (move->from);
  g_free (move->to);
  g_free (move);
}

GkvMoves *
gkv_moves_new (GkvRuntime *runtime,
               GkvLinks *links,
               GkvMembers *members,
               GkvMembership *membership,
               const GkvMovesListener *listener,
               gpointer data)
{
  GkvMoves *self = g_new0 (GkvMoves, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->membership = membership;
  self->listener = *listener;
  self->data = data;
  self->moves = g_ptr_array_new_with_free_func ((GDestroyNotify) move_free);
  return self;
}

void
gkv_moves_free (GkvMoves *self)
{
  g_ptr_array_unref (self->moves);
  g_free (self);
}

static Move *
find (GkvMoves *self, const char *id)
{
  for (guint i = 0; i < self->moves->len; i++)
    {
      Move *move = g_ptr_array_index (self->moves, i);

      if (strcmp (move->id, id) == 0)
        return move;
    }

  return NULL;
}

static guint64
draw_number (GkvMoves *self)
{
  return (guint64) gkv_runtime_random (self->runtime, G_MAXINT32) << 31 |
         gkv_runtime_random (self->runtime, G_MAXINT32) | 1;
}

/* The link at an address where the member is in the run that we know; NULL: it isn't. */
static GkvLink *
lookup_link (GkvMoves *self, const Move *move, const char *address)
{
  GkvLink *link = gkv_links_lookup (self->links, address);

  return link != NULL && gkv_link_is_usable (link) && gkv_link_is_live (link) &&
                 strcmp (link->member->profile->id, move->id) == 0
             ? link
             : NULL;
}

static void
look_at (GkvMoves *self, Move *move, gint64 when)
{
  move->due = when;
  gkv_runtime_wake_at (self->runtime, when);
}

void
gkv_moves_begin (GkvMoves *self, GkvMember *member, GkvLink *from, GkvLink *to, gboolean shown)
{
  Move *move;

  if ((!shown && self->runtime->now.mono < to->same_until) || self->moves->len >= MAX_MOVES ||
      find (self, member->profile->id) != NULL)
    return;

  move = g_new0 (Move, 1);
  move->id = g_strdup (member->profile->id);
  move->from = g_strdup (from->address);
  move->to = g_strdup (to->address);
  move->shown = shown;
  move->number = draw_number (self);
  move->n_left = shown ? QUESTIONS_SHOWN : QUESTIONS;
  g_ptr_array_add (self->moves, move);
  look_at (self, move, self->runtime->now.mono);
}

/* FALSE: there is nobody to ask any more. */
static gboolean
ask (GkvMoves *self, Move *move)
{
  GkvLink *link = lookup_link (self, move, move->second != 0 ? move->to : move->from);
  GByteArray *body;

  if (link == NULL)
    return FALSE;

  move->n_left--;
  body = gkv_links_begin_message (self->links);
  gkv_put_u64 (body, move->second != 0 ? move->second : move->number);
  gkv_put_u64 (body, move->second != 0 ? move->number : 0);
  gkv_links_send (self->links, link, GKV_MESSAGE_WHO);
  look_at (self, move, self->runtime->now.mono + gkv_membership_get_suspicion (self->membership) / QUESTIONS);
  return TRUE;
}

/* Nobody replies at one of the two: the member is at the other. */
static void
settle (GkvMoves *self, Move *move)
{
  GkvLink *link = lookup_link (self, move, move->second != 0 ? move->from : move->to);

  if (link != NULL && (move->second == 0 || move->shown))
    gkv_membership_move (self->membership, link->member, link);
}

void
gkv_moves_tick (GkvMoves *self)
{
  for (guint i = self->moves->len; i > 0; i--)
    {
      Move *move = g_ptr_array_index (self->moves, i - 1);

      if (self->runtime->now.mono < move->due)
        {
          gkv_runtime_wake_at (self->runtime, move->due);
          continue;
        }
      if (move->n_left > 0 && ask (self, move))
        continue;

      settle (self, move);
      g_ptr_array_remove_index_fast (self->moves, i - 1);
    }
}

static void
handle_who (GkvMoves *self, GkvLink *link, GkvReader *reader)
{
  guint64 number = gkv_reader_u64 (reader);
  guint64 before = gkv_reader_u64 (reader);
  GByteArray *body;

  if (reader->failed || !gkv_link_is_current (link))
    return;

  body = gkv_links_begin_message (self->links);
  gkv_put_u64 (body, number);
  gkv_put_u8 (body, before != 0 && gkv_member_peek (link->member)->asked == before);
  gkv_links_send (self->links, link, GKV_MESSAGE_HERE);
  if (before == 0)
    gkv_member_extra (link->member)->asked = number;
}

/* Both have replied. */
static void
compare (GkvMoves *self, Move *move, GkvLink *from, GkvLink *to, gboolean same)
{
  if (same)
    {
      from->same_until = to->same_until = self->runtime->now.mono + SAME_LASTS;
      return;
    }

  /* The one that was there keeps the id. */
  if (move->shown)
    gkv_membership_move (self->membership, from->member, from);
  self->listener.copied (from->member, from, to, self->data);
}

static void
handle_here (GkvMoves *self, GkvLink *link, GkvReader *reader)
{
  guint64 number = gkv_reader_u64 (reader);
  gboolean same = gkv_reader_u8 (reader);
  Move *move = gkv_link_is_current (link) ? find (self, link->member->profile->id) : NULL;

  if (reader->failed || move == NULL)
    return;

  if (move->second == 0 && number == move->number && strcmp (link->address, move->from) == 0)
    {
      move->second = draw_number (self);
      move->n_left = QUESTIONS;
      look_at (self, move, self->runtime->now.mono);
    }
  else if (move->second != 0 && number == move->second && strcmp (link->address, move->to) == 0)
    {
      GkvLink *from = lookup_link (self, move, move->from);

      if (from != NULL)
        compare (self, move, from, link, same);
      g_ptr_array_remove_fast (self->moves, move);
    }
}

void
gkv_moves_handle (GkvMoves *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_WHO)
    handle_who (self, link, reader);
  else
    handle_here (self, link, reader);
}
