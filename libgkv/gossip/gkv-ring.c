/* The ring: members that are alive, in the order of their places, which are hashes of their ids; and the fingers, those
 * few of them through which a node reaches all others.
 *
 * A node that is to reach an arc of the ring hands it on to the first member of it, and to the first ones after each
 * eighth, each sixty-fourth and so on of the circle; each of these answers for the arc up to the next. So every member
 * is reached once, in about log8 N steps, and a node has few to speak with, the same ones each time.
 *
 * Source: El-Ansary, Alima, Brand and Haridi, "Efficient Broadcast in Structured P2P Networks", IPTPS 2003.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-ring.h"

#include <string.h>

/* An arc of no more members than that is reached directly. */
#define DIRECT 8

/* The circle is divided by 2^DIGIT, and again, and so on. */
#define DIGIT 3

struct _GkvRing
{
  GkvRuntime *runtime;
  GkvMembers *members;
  GPtrArray *ring;  /* GkvMember */
  guint64 place;    /* of this node */
  guint64 revision; /* of the members, when the ring was made */
};

GkvRing *
gkv_ring_new (GkvRuntime *runtime, GkvMembers *members)
{
  GkvRing *self = g_new0 (GkvRing, 1);

  self->runtime = runtime;
  self->members = members;
  self->ring = g_ptr_array_new ();
  self->place = gkv_runtime_hash_id (runtime, runtime->id);
  return self;
}

void
gkv_ring_free (GkvRing *self)
{
  g_ptr_array_unref (self->ring);
  g_free (self);
}

guint64
gkv_ring_get_place (GkvRing *self)
{
  return self->place;
}

static int
compare_places (gconstpointer a, gconstpointer b)
{
  const GkvMember *x = *(GkvMember *const *) a, *y = *(GkvMember *const *) b;

  return x->place != y->place ? (x->place < y->place ? -1 : 1) : strcmp (x->id, y->id);
}

static void
refresh (GkvRing *self)
{
  GHashTableIter iter;
  GkvMember *member;

  if (self->revision == gkv_members_get_revision (self->members))
    return;

  gkv_runtime_unlock_store (self->runtime);
  self->revision = gkv_members_get_revision (self->members);
  g_ptr_array_set_size (self->ring, 0);
  gkv_members_init_iter (self->members, &iter);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    if (gkv_member_is_live (member) && member->link != NULL)
      g_ptr_array_add (self->ring, member);
  g_ptr_array_sort (self->ring, compare_places);
  gkv_runtime_lock_store (self->runtime);
}

/* The first in the ring whose place is at least @place, or its length. */
static guint
find_place (GkvRing *self, guint64 place)
{
  guint low = 0, high = self->ring->len;

  while (low < high)
    {
      guint middle = (low + high) / 2;

      if (((GkvMember *) self->ring->pdata[middle])->place < place)
        low = middle + 1;
      else
        high = middle;
    }

  return low;
}

/* An arc, seen from its start: members are counted from 0, and their distances rise. */
typedef struct
{
  GkvRing *ring;
  GkvArc arc;
  guint start;
  guint n;
} View;

static GkvMember *
view_get (const View *view, guint i)
{
  return view->ring->ring->pdata[(view->start + i) % view->ring->ring->len];
}

static View
view_arc (GkvRing *self, GkvArc arc)
{
  View view = { .ring = self, .arc = arc };
  guint end;

  refresh (self);
  if (self->ring->len == 0)
    return view;

  /* After 'from', to 'to' included. The whole circle is from a place to the one before it. */
  view.start = find_place (self, arc.from + 1) % self->ring->len;
  end = arc.to == G_MAXUINT64 ? self->ring->len : find_place (self, arc.to + 1);
  if (arc.from < arc.to)
    {
      guint first = arc.from == G_MAXUINT64 ? 0 : find_place (self, arc.from + 1);

      view.n = end > first ? end - first : 0;
    }
  else if (arc.from > arc.to)
    {
      guint first = arc.from == G_MAXUINT64 ? self->ring->len : find_place (self, arc.from + 1);

      view.n = self->ring->len - first + end;
    }

  return view;
}

/* The first in the arc that is at least @distance away from its start, or the number of them. */
static guint
view_find (const View *view, guint64 distance)
{
  guint low = 0, high = view->n;

  while (low < high)
    {
      guint middle = (low + high) / 2;

      if (view_get (view, middle)->place - view->arc.from < distance)
        low = middle + 1;
      else
        high = middle;
    }

  return low;
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  guint x = *(const guint *) a, y = *(const guint *) b;

  return (x > y) - (x < y);
}

static GArray *
find_fingers (const View *view)
{
  GArray *fingers = g_array_new (FALSE, FALSE, sizeof (guint));
  gboolean done = view->n <= DIRECT;

  for (guint i = 0; done && i < view->n; i++)
    g_array_append_val (fingers, i);

  for (int shift = 64 - DIGIT; !done && shift >= 0; shift -= DIGIT)
    for (guint64 digit = (1 << DIGIT) - 1; digit > 0; digit--)
      {
        guint i = view_find (view, digit << shift);

        if (i < view->n)
          g_array_append_val (fingers, i);
        /* All that is nearer is the same one. */
        if (i == 0 && digit == 1)
          done = TRUE;
      }

  g_array_sort (fingers, compare_numbers);
  return fingers;
}

gboolean
gkv_ring_has_members (GkvRing *self, GkvArc arc)
{
  return view_arc (self, arc).n > 0;
}

GArray *
gkv_ring_divide (GkvRing *self, GkvArc arc)
{
  View view = view_arc (self, arc);
  g_autoptr (GArray) fingers = find_fingers (&view);
  GArray *shares = g_array_new (FALSE, FALSE, sizeof (GkvShare));

  for (guint f = 0; f < fingers->len; f++)
    {
      guint i = g_array_index (fingers, guint, f);
      guint end = f + 1 < fingers->len ? g_array_index (fingers, guint, f + 1) : view.n;
      GkvShare share;

      /* Of those that can't be spoken with now the next exchange takes care. */
      while (i < end && !gkv_link_is_usable (view_get (&view, i)->link))
        i++;
      if (i >= end)
        continue;

      share.member = view_get (&view, i);
      share.arc.from = share.member->place;
      share.arc.to = end < view.n ? view_get (&view, end)->place - 1 : arc.to;
      g_array_append_val (shares, share);
    }

  return shares;
}
