/* Neighbours: the members that a node keeps links to, and probes in turn.
 *
 * They are the few after it on the ring, so that each member is probed by the few before it, and its fingers, so that
 * rumours find links that are good, and so that what differs is looked for all over the ring. They take turns; and now
 * and then it is anybody's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-neighbours.h"

/* Each second turn is a finger's, and of the others one in so many is anybody's. */
#define ANYBODY 5

/* Links are opened so many at a time. While members come and go, those that are the next ones now aren't so for long:
 * then there are no more links than a node needs to learn of the others. */
#define OPEN_PERIOD    (50 * GKV_MS)
#define OPENED_AT_ONCE 16
#define SETTLES        (250 * GKV_MS)
#define FEW_LINKS      8

struct _GkvNeighbours
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvRing *ring;
  gint64 due;
  guint n_turns;
  guint64 distance; /* on the ring, to the finger that had its turn last */
};

GkvNeighbours *
gkv_neighbours_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvRing *ring)
{
  GkvNeighbours *self = g_new0 (GkvNeighbours, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->ring = ring;
  /* Nodes that are started together don't stay together. */
  self->n_turns = gkv_runtime_random (runtime, 2 * ANYBODY);
  self->distance = (guint64) gkv_runtime_random (runtime, G_MAXINT32) << 33;
  return self;
}

void
gkv_neighbours_free (GkvNeighbours *self)
{
  g_free (self);
}

static guint64
get_distance (GkvNeighbours *self, const GkvMember *member)
{
  return member->profile->place - gkv_ring_get_place (self->ring);
}

/* The one after the last. */
static GkvMember *
next_finger (GkvNeighbours *self)
{
  g_autoptr (GPtrArray) fingers = gkv_ring_list_fingers (self->ring);

  for (guint i = 0; i < fingers->len; i++)
    if (get_distance (self, g_ptr_array_index (fingers, i)) > self->distance)
      return g_ptr_array_index (fingers, i);

  return fingers->len > 0 ? g_ptr_array_index (fingers, 0) : NULL;
}

GkvMember *
gkv_neighbours_next (GkvNeighbours *self, GkvTurn *turn)
{
  guint n = self->n_turns++;
  GkvMember *finger = n % 2 == 0 ? next_finger (self) : NULL;

  if (finger != NULL)
    {
      self->distance = get_distance (self, finger);
      *turn = GKV_TURN_FINGER;
      return finger;
    }

  *turn = n / 2 % ANYBODY == 0 ? GKV_TURN_ANYBODY : GKV_TURN_NEIGHBOUR;
  return *turn == GKV_TURN_ANYBODY ? gkv_members_next (self->members) : gkv_ring_get_neighbour (self->ring, n / 2);
}

/* FALSE: it has its link. */
static gboolean
open_link (GkvNeighbours *self, GkvMember *member)
{
  return member != NULL && !gkv_member_has_link (member) && gkv_member_open_link (member, self->links) != NULL;
}

void
gkv_neighbours_tick (GkvNeighbours *self)
{
  g_autoptr (GPtrArray) fingers = NULL;
  gint64 settled = gkv_members_get_sum_since (self->members) + SETTLES;
  guint n_links = gkv_links_get_n (self->links);
  guint n = 0, n_most = OPENED_AT_ONCE;

  if (self->runtime->now.mono < self->due || self->runtime->n_alive == 0)
    return;

  if (self->runtime->now.mono < settled)
    {
      gkv_runtime_wake_at (self->runtime, settled);
      n_most = FEW_LINKS - MIN (n_links, FEW_LINKS);
    }

  if (n_most == 0)
    return;

  self->due = self->runtime->now.mono + OPEN_PERIOD;
  fingers = gkv_ring_list_fingers (self->ring);
  for (guint i = 0; i < GKV_RING_NEIGHBOURS && n < n_most; i++)
    n += open_link (self, gkv_ring_get_neighbour (self->ring, i));
  for (guint i = 0; i < fingers->len && n < n_most; i++)
    n += open_link (self, g_ptr_array_index (fingers, i));
  if (n > 0)
    gkv_runtime_wake_at (self->runtime, self->due);
}
