/* Rumours: a record that is new here is sent on at once to a few peers chosen at random, and they do the same, so that
 * it reaches everybody in a logarithmic number of hops. What gets lost is found by the next exchange.
 *
 * Source: Demers et al., "Epidemic Algorithms for Replicated Database Maintenance", PODC 1987.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include <math.h>

/* Rumours that wait; when more are written at once, exchanges carry the rest, at the receiver's pace. */
#define MAX_RUMOURS 4096

/* Bytes of rumours in one turn, to each peer. */
#define MAX_BYTES_A_TURN (48 * 1024)

typedef struct
{
  GkvRecord *record;
  const GkvMember *from; /* only compared, never followed: it may have been forgotten */
} Rumour;

static void
rumour_free (Rumour *rumour)
{
  gkv_record_unref (rumour->record);
  g_free (rumour);
}

void
gkv_rumours_clear (GkvEngine *self)
{
  g_queue_clear_full (&self->rumours, (GDestroyNotify) rumour_free);
}

void
gkv_rumours_add (GkvEngine *self, GkvRecord *record, const GkvMember *from)
{
  Rumour *rumour;

  if (self->n_alive == 0)
    return;

  if (self->rumours.length >= MAX_RUMOURS)
    {
      rumour_free (g_queue_pop_head (&self->rumours));
      self->counters.rumours_dropped++;
      self->gossip_due = MIN (self->gossip_due, self->now.mono + 100 * GKV_MS);
    }

  rumour = g_new (Rumour, 1);
  rumour->record = gkv_record_ref (record);
  rumour->from = from;
  g_queue_push_tail (&self->rumours, rumour);
  gkv_engine_wake_at (self, self->now.mono);
}

/* So many that the chance to miss anybody is small: ln N and some. */
static guint
get_fan_out (GkvEngine *self)
{
  return 3 + (guint) ceil (log (self->n_alive + 1));
}

void
gkv_rumours_tick (GkvEngine *self)
{
  gsize bytes = 0;

  while (self->rumours.length > 0 && bytes < MAX_BYTES_A_TURN)
    {
      Rumour *rumour = g_queue_pop_head (&self->rumours);
      g_autoptr (GPtrArray) peers = gkv_members_pick (self, get_fan_out (self), rumour->from);

      for (guint i = 0; i < peers->len; i++)
        {
          GkvMember *member = g_ptr_array_index (peers, i);

          gkv_transfer_send_record (self, member->link, rumour->record, GKV_MESSAGE_RUMOUR);
          self->counters.rumours_sent++;
        }

      bytes += MIN (gkv_record_get_wire_size (rumour->record), self->max_datagram);
      rumour_free (rumour);
    }
}

void
gkv_rumours_handle (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  gint64 left_ms;
  g_autoptr (GkvRecord) record = gkv_engine_read_record (self, reader, &left_ms);

  self->counters.rumours_received++;
  if (record == NULL)
    {
      self->counters.records_refused++;
      return;
    }

  if (!gkv_engine_apply (self, link, record, left_ms))
    return;

  self->counters.rumours_new++;
  gkv_rumours_add (self, record, link->member);
}
