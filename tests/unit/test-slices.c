/* Slices: whenever an engine lets others get at the store, they change what it has just looked at, and nothing breaks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include "gossip/gkv-engine-private.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

/* Writes go on for so long. */
#define WRITING (SECOND / 20)

/* An application that writes while the engine works. What it wrote waits to be pushed, as in a node. */
typedef struct
{
  Pair *pair;
  GQueue written; /* GkvRecord */
  GRand *rand;
  guint first_key, n_keys;
  guint n_writes; /* each time */
  gboolean quiet;
} Writer;

static void
write_one (PairSide *side, Writer *writer)
{
  guint kind = g_rand_int_range (writer->rand, 0, 8);
  gboolean dead = kind == 0;
  GkvRecordFlags flags = dead ? GKV_RECORD_DEAD : kind == 1 ? GKV_RECORD_EPHEMERAL : 0;
  g_autofree char *key = g_strdup_printf ("key-%d", g_rand_int_range (writer->rand, writer->first_key, writer->n_keys));
  g_autoptr (GkvWriter) names = gkv_writer_intern (side->name, -1, dead ? "" : "string", -1);
  g_autoptr (GkvRecord) record = NULL;
  g_autofree char *value = g_strnfill (kind == 2 ? 20000 : 20, 'w');

  record = gkv_store_new_write (side->store, names, key, strlen (key), flags, writer->pair->now.wall, side->generation,
                                kind == 3 ? 500 : 0, value, dead ? 0 : strlen (value));
  g_assert_cmpint (gkv_store_put (side->store, record, NULL), ==, GKV_STORE_TAKEN);
  if (kind == 3)
    gkv_store_set_deadline (side->store, record, writer->pair->now.mono + SECOND / 2);
  g_queue_push_tail (&writer->written, g_steal_pointer (&record));
}

static void
on_unlocked (PairSide *side)
{
  Writer *writer = side->data;

  for (guint i = 0; i < writer->n_writes && !writer->quiet; i++)
    write_one (side, writer);
}

static void
push_written (PairSide *side, Writer *writer)
{
  GkvRecord *record;

  writer->quiet = TRUE;
  while ((record = g_queue_pop_head (&writer->written)) != NULL)
    {
      gkv_engine_push (side->engine, record, &writer->pair->now);
      gkv_record_unref (record);
    }
  writer->quiet = writer->pair->now.mono > WRITING;
}

static void
run (Pair *pair, Writer writers[2], gint64 us)
{
  gint64 end = pair->now.mono + us;

  while (pair->now.mono < end)
    {
      pair_run (pair, PAIR_LATENCY, FALSE);
      for (guint i = 0; i < 2; i++)
        push_written (&pair->sides[i], &writers[i]);
    }
}

static void
fill (Pair *pair, guint side, guint from, guint to, gsize size)
{
  g_autofree char *value = g_strnfill (size, 'x');

  for (guint i = from; i < to; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      pair_put (pair, side, key, value);
    }
}

/* What each side holds before they meet: the same keys, others, or nothing. */
typedef struct
{
  const char *path;
  guint first_to, second_from, second_to;
  gsize size;
  guint first_key; /* that is written meanwhile */
} Case;

static const Case cases[] = {
  { "one-has-all", 2000, 0, 0, 50, 0 },      { "both-have-some", 1500, 1000, 2000, 50, 0 },
  { "few-differ", 2000, 0, 1970, 50, 1960 }, { "hundreds-differ", 2000, 0, 1400, 50, 1400 },
  { "all-differ", 1000, 0, 1000, 50, 0 },    { "in-pieces", 30, 20, 50, 50000, 0 },
};

static void
test_meeting (gconstpointer data)
{
  const Case *the = data;
  Writer writers[2] = { 0 };
  Pair pair;

  for (guint seed = 0; seed < 4; seed++)
    {
      pair_init (&pair);
      fill (&pair, 0, 0, the->first_to, the->size);
      fill (&pair, 1, the->second_from, the->second_to, the->size);
      for (guint i = 0; i < 2; i++)
        {
          PairSide *side = &pair.sides[i];

          writers[i] = (Writer){ .pair = &pair,
                                 .first_key = the->first_key,
                                 .n_keys = MAX (the->first_to, the->second_to),
                                 .n_writes = 1 + seed / 2,
                                 .rand = g_rand_new_with_seed (10 * seed + i) };
          g_queue_init (&writers[i].written);
          side->data = &writers[i];
          side->on_unlocked = on_unlocked;
          side->n_locked = 0;
          pair_restart (&pair, i);
        }

      run (&pair, writers, 30 * SECOND);
      for (guint i = 0; i < 2; i++)
        {
          g_assert_true (gkv_engine_get_synced (pair.sides[i].engine));
          g_rand_free (writers[i].rand);
        }
      g_assert_true (pair_is_same (&pair));
      pair_clear (&pair);
    }
}

/* However many keys there are, the store is let go in between. */
static void
never (PairSide *side)
{
}

static void
test_slices (void)
{
  guint n_engine, n_page;
  Pair pair;

  pair_init (&pair);
  fill (&pair, 0, 0, 20000, 20);
  pair.sides[0].on_unlocked = never;
  pair_restart (&pair, 0);
  n_engine = pair.sides[0].n_locked;
  g_assert_cmpuint (n_engine, >=, 20000 / 64);
  pair_run (&pair, 20 * SECOND, TRUE);
  n_page = pair.sides[0].n_locked - n_engine;
  g_assert_cmpuint (n_page, >=, 20000 / 32);
  g_assert_false (pair.sides[0].locked);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/slices/meeting/", cases[i].path, NULL);

      g_test_add_data_func (path, &cases[i], test_meeting);
    }
  g_test_add_func ("/slices/slices", test_slices);

  return g_test_run ();
}
