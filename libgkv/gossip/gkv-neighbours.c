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

struct _GkvNeighbours
{
  GkvRuntime *runtime;
  GkvMembers *members;
  GkvRing *ring;
  guint n_turns;
  guint64 distance; /* on the ring, to the finger that had its turn last */
};

GkvNeighbours *
gkv_neighbours_new (GkvRuntime *runtime, GkvMembers *members, GkvRing *ring)
{
  GkvNeighbours *self = g_new0 (GkvNeighbours, 1);

  self->runtime = runtime;
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
gkv_neighbours_next (GkvNeighbours *self, gboolean *is_finger)
{
  guint turn = self->n_turns++;
  GkvMember *finger = turn % 2 == 0 ? next_finger (self) : NULL;

  *is_finger = finger != NULL;
  if (finger != NULL)
    {
      self->distance = get_distance (self, finger);
      return finger;
    }

  return turn / 2 % ANYBODY == 0 ? gkv_members_next (self->members) : gkv_ring_get_neighbour (self->ring, turn / 2);
}
