/* The ring: members that are alive, in the order of their places, which are hashes of their ids; and the fingers, those
 * few of them through which a node reaches all others.
 *
 * A node that is to reach an arc of the ring hands it on to the first member of it, and to the first ones after each
 * eighth, each sixty-fourth and so on of the circle; each of these answers for the arc up to the next. So every member
 * is reached once, in about log8 N steps, and a node has few to speak with, the same ones each time.
 *
 * A member that can't be reached directly has its place all the same: its part of an arc is left to the member through
 * whom it was last heard of.
 *
 * Source: El-Ansary, Alima, Brand and Haridi, "Efficient Broadcast in Structured P2P Networks", IPTPS 2003.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-ring.h"

/* An arc of no more members than that is reached directly. */
#define DIRECT 8

/* The circle is divided by 2^DIGIT, and again, and so on. */
#define DIGIT 3

struct _GkvRing
{
  GkvRuntime *runtime;
  GkvMembers *members;
  GPtrArray *ring;  /* GkvMember */
  gboolean partial; /* some of them can't be reached directly */
  guint64 revision; /* of the members, when the ring was made */
};

GkvRing *
gkv_ring_new (GkvRuntime *runtime, GkvMembers *members)
{
  GkvRing *self = g_new0 (GkvRing, 1);

  self->runtime = runtime;
  self->members = members;
  self->ring = g_ptr_array_new ();
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
  return self->runtime->place;
}

static void
refresh (GkvRing *self)
{
  GkvMembersIter iter;
  GkvMember *member;

  if (self->revision == gkv_members_get_revision (self->members))
    return;

  gkv_runtime_unlock_store (self->runtime);
  self->revision = gkv_members_get_revision (self->members);
  self->partial = FALSE;
  g_ptr_array_set_size (self->ring, 0);
  gkv_members_init_iter (self->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    if (gkv_member_is_live (member))
      {
        g_ptr_array_add (self->ring, member);
        self->partial |= !gkv_member_is_direct (member);
      }
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

      if (((GkvMember *) self->ring->pdata[middle])->profile->place < place)
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
  const GkvMember *avoid;
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

      if (view_get (view, middle)->profile->place - view->arc.from < distance)
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

  /* The first one, where the arc begins just before it. */
  if (!done)
    {
      guint first = 0;

      g_array_append_val (fingers, first);
    }

  g_array_sort (fingers, compare_numbers);
  return fingers;
}

/* The first in a part of the view that can be reached, or the end of that part. */
static guint
find_direct (const View *view, guint begin, guint end)
{
  while (begin < end && (!gkv_member_is_direct (view_get (view, begin)) || view_get (view, begin) == view->avoid))
    begin++;

  return begin;
}

GPtrArray *
gkv_ring_list_fingers (GkvRing *self)
{
  View view = view_arc (self, (GkvArc){ self->runtime->place, self->runtime->place - 1 });
  g_autoptr (GArray) fingers = find_fingers (&view);
  GPtrArray *members = g_ptr_array_new ();

  for (guint f = 0; f < fingers->len; f++)
    {
      guint begin = g_array_index (fingers, guint, f);
      guint end = f + 1 < fingers->len ? g_array_index (fingers, guint, f + 1) : view.n;
      guint i = find_direct (&view, begin, end);

      if (i < end)
        g_ptr_array_add (members, view_get (&view, i));
    }

  return members;
}

GkvMember *
gkv_ring_get_neighbour (GkvRing *self, guint index)
{
  View view = view_arc (self, (GkvArc){ self->runtime->place, self->runtime->place - 1 });

  return view.n > 0 ? view_get (&view, index % MIN (view.n, GKV_RING_NEIGHBOURS)) : NULL;
}

gboolean
gkv_ring_has_members (GkvRing *self, const GArray *arcs)
{
  for (guint i = 0; i < arcs->len; i++)
    if (view_arc (self, g_array_index (arcs, GkvArc, i)).n > 0)
      return TRUE;

  return FALSE;
}

gboolean
gkv_ring_is_partial (GkvRing *self)
{
  refresh (self);
  return self->partial;
}

static void
share_clear (gpointer data)
{
  g_clear_pointer (&((GkvShare *) data)->others, g_array_unref);
}

static GkvShare *
ensure_share (GArray *shares, GkvMember *member)
{
  GkvShare share = { .member = member, .to = member->profile->place };

  for (guint i = 0; i < shares->len; i++)
    if (g_array_index (shares, GkvShare, i).member == member)
      return &g_array_index (shares, GkvShare, i);

  g_array_append_val (shares, share);
  return &g_array_index (shares, GkvShare, shares->len - 1);
}

/* An arc that begins where the last one ended is part of that. */
static void
hand_over (GArray *shares, GkvMember *member, GkvArc arc)
{
  GkvShare *share = ensure_share (shares, member);
  GkvArc *last;

  if (share->others == NULL)
    share->others = g_array_new (FALSE, FALSE, sizeof (GkvArc));
  last = share->others->len > 0 ? &g_array_index (share->others, GkvArc, share->others->len - 1) : NULL;
  if (last != NULL && last->to == arc.from)
    last->to = arc.to;
  else
    g_array_append_val (share->others, arc);
}

/* Hands on the members from @i to @end, none of which can be reached from here. They and the space behind each, up to
 * @to, make an arc. @helper: (nullable): gets what nobody else is known for. */
static void
hand_on_unreached (const View *view, guint i, guint end, guint64 to, GkvMember *helper, GArray *shares)
{
  for (; i < end; i++)
    {
      GkvMember *member = view_get (view, i);
      GkvMember *via = gkv_member_get_via (member);
      GkvArc arc = { member->profile->place - 1, i + 1 < end ? view_get (view, i + 1)->profile->place - 1 : to };

      if (via == NULL || via == view->avoid)
        via = member != view->avoid && gkv_member_has_link (member) ? member : helper;
      if (via == member)
        arc.from = member->profile->place;
      if (via != NULL)
        hand_over (shares, via, arc);
    }
}

static void
divide (GkvRing *self, GkvArc arc, const GkvMember *avoid, GArray *shares)
{
  View view = view_arc (self, arc);
  g_autoptr (GArray) fingers = NULL;

  view.avoid = avoid;
  fingers = find_fingers (&view);
  for (guint f = 0; f < fingers->len; f++)
    {
      guint begin = g_array_index (fingers, guint, f);
      guint end = f + 1 < fingers->len ? g_array_index (fingers, guint, f + 1) : view.n;
      guint64 to = end < view.n ? view_get (&view, end)->profile->place - 1 : arc.to;
      GkvMember *member = NULL;
      guint i = find_direct (&view, begin, end);

      if (i < end)
        {
          GkvShare *share;

          member = view_get (&view, i);
          share = ensure_share (shares, member);
          if (share->to == member->profile->place)
            share->to = to;
          else
            hand_over (shares, member, (GkvArc){ member->profile->place, to });
        }
      if (i > begin)
        hand_on_unreached (&view, begin, i, member != NULL ? member->profile->place - 1 : to,
                           avoid != NULL ? gkv_members_pick_one (self->members, avoid) : NULL, shares);
    }
}

GArray *
gkv_ring_divide (GkvRing *self, const GArray *arcs, const GkvMember *avoid)
{
  GArray *shares = g_array_new (FALSE, FALSE, sizeof (GkvShare));

  g_array_set_clear_func (shares, share_clear);
  for (guint i = 0; i < arcs->len; i++)
    divide (self, g_array_index (arcs, GkvArc, i), avoid, shares);

  return shares;
}
