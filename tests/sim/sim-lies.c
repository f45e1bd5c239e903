/* SimLies: a member that lies.
 *
 * A lie is a message that it has sent before, to anybody; or one with a number in it changed a little, or to another
 * one, or to all bits set or none; or one that is left out, or told twice.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-lies.h"

#include "sim-rewrite.h"

#include "gossip/gkv-wire.h"

#include <string.h>

/* Messages sent before that are remembered. */
#define MAX_REMEMBERED 64

typedef struct
{
  guint8 kind;
  GByteArray *body;
} Message;

struct _SimLies
{
  SimChance chance;
  guint often;
  Message remembered[MAX_REMEMBERED];
  guint n_remembered;
};

SimLies *
sim_lies_new (guint64 seed, guint chance)
{
  SimLies *self = g_new0 (SimLies, 1);

  sim_chance_init (&self->chance, seed);
  self->often = chance;
  return self;
}

void
sim_lies_free (SimLies *self)
{
  for (guint i = 0; i < MIN (self->n_remembered, MAX_REMEMBERED); i++)
    g_byte_array_unref (self->remembered[i].body);
  g_free (self);
}

/* Records and their pieces are what their member says they are; and without its token, and a word of who it is, nobody
 * listens. */
static gboolean
is_honest (guint8 kind)
{
  switch ((int) kind)
    {
    case GKV_MESSAGE_TOKEN:
    case GKV_MESSAGE_IDENT:
    case GKV_MESSAGE_RUMOUR:
    case GKV_MESSAGE_RECORD:
    case GKV_MESSAGE_LARGE:
    case GKV_MESSAGE_DATA:
      return TRUE;

    default:
      return FALSE;
    }
}

static void
remember (SimLies *self, guint8 kind, const guint8 *body, gsize len)
{
  Message *message = &self->remembered[self->n_remembered % MAX_REMEMBERED];

  if (self->n_remembered >= MAX_REMEMBERED)
    g_byte_array_unref (message->body);
  message->kind = kind;
  message->body = g_byte_array_new ();
  g_byte_array_append (message->body, body, len);
  self->n_remembered++;
}

static void
change_number (SimLies *self, guint8 *body, gsize len)
{
  static const gsize sizes[] = { 1, 2, 4, 8 };
  gsize size = sizes[sim_chance_draw (&self->chance, G_N_ELEMENTS (sizes))];
  guint64 number = 0;
  guint8 *place;

  size = MIN (size, len);
  place = body + sim_chance_draw (&self->chance, len - size + 1);
  memcpy (&number, place, size);
  number = GUINT64_FROM_LE (number);
  switch (sim_chance_draw (&self->chance, 4))
    {
    case 0:
      number += (guint64) sim_chance_draw (&self->chance, 9) - 4;
      break;

    case 1:
      number = sim_chance_draw_64 (&self->chance);
      break;

    case 2:
      number = 0;
      break;

    default:
      number = G_MAXUINT64;
      break;
    }
  number = GUINT64_TO_LE (number);
  memcpy (place, &number, size);
}

static void
put_lie (SimLies *self, GByteArray *out, guint8 kind, const guint8 *body, gsize len)
{
  switch (sim_chance_draw (&self->chance, 6))
    {
    case 0:
      break;

    case 1:
      gkv_put_message (out, kind, body, len);
      gkv_put_message (out, kind, body, len);
      break;

    case 2:
      {
        guint i = sim_chance_draw (&self->chance, MIN (self->n_remembered, MAX_REMEMBERED));
        const Message *message = &self->remembered[i];

        gkv_put_message (out, message->kind, message->body->data, message->body->len);
        break;
      }

    default:
      {
        g_autofree guint8 *copy = g_memdup2 (body, len);

        if (len > 0)
          change_number (self, copy, len);
        gkv_put_message (out, kind, copy, len);
        break;
      }
    }
}

static void
tell (GByteArray *out, guint8 kind, const guint8 *body, gsize len, gpointer data)
{
  SimLies *self = data;

  if (is_honest (kind))
    {
      gkv_put_message (out, kind, body, len);
      return;
    }

  remember (self, kind, body, len);
  if (sim_chance_happens (&self->chance, self->often))
    put_lie (self, out, kind, body, len);
  else
    gkv_put_message (out, kind, body, len);
}

GBytes *
sim_lies_alter (SimLies *self, GBytes *bytes, gsize max)
{
  return sim_rewrite (bytes, max, tell, self);
}
