/* Events: what waits to be read stays little, and what is read adds up.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include "gossip/gkv-engine-private.h"

#include "gkv-error.h"

#include <string.h>

static void
drop_all (GkvEngine *engine)
{
  GkvEvent event;

  while (gkv_engine_pop_event (engine, &event))
    gkv_event_clear (&event);
}

/* What was read, a letter an event: + added, ~ changed, - removed, and the last character of the peer's id. */
static char *
read_peers (GkvEngine *engine)
{
  GString *text = g_string_new (NULL);
  GkvEvent event;

  while (gkv_engine_pop_event (engine, &event))
    {
      const char *id = event.peer->node_id;

      g_string_append_c (text, event.kind == GKV_EVENT_PEER_ADDED     ? '+'
                               : event.kind == GKV_EVENT_PEER_CHANGED ? '~'
                                                                      : '-');
      g_string_append_c (text, id[strlen (id) - 1]);
      gkv_event_clear (&event);
    }
  return g_string_free (text, FALSE);
}

static GkvPeerInfo *
make_info (const char *id)
{
  GkvPeerInfo *info = g_new0 (GkvPeerInfo, 1);

  info->node_id = g_strdup (id);
  return info;
}

static void
add_peers (GkvEngine *engine, const char *what)
{
  for (; *what != '\0'; what += 2)
    {
      char id[] = { what[1], '\0' };
      gkv_events_add_peer (engine->runtime->events,
                           what[0] == '+'   ? GKV_EVENT_PEER_ADDED
                           : what[0] == '~' ? GKV_EVENT_PEER_CHANGED
                                            : GKV_EVENT_PEER_REMOVED,
                           make_info (id));
    }
}

static void
test_peers (void)
{
  static const char *const cases[][2] = {
    { "+a", "+a" },         { "+a~a~a", "+a" },         { "~a~a", "~a" },   { "~a-a", "-a" },
    { "+a-a", "" },         { "+a-a+a", "+a" },         { "-a+a", "-a+a" }, { "~a-a+a~a", "-a+a" },
    { "-a+a-a", "-a" },     { "-a+a-a+a-a+a", "-a+a" }, { "+a+b-a", "+b" }, { "+a+b-a-c+c", "-c+b+c" },
    { "+a-b-a+b", "-b+b" },
  };
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = NULL;

      add_peers (pair.sides[0].engine, cases[i][0]);
      text = read_peers (pair.sides[0].engine);
      g_assert_cmpstr (text, ==, cases[i][1]);
    }
  pair_clear (&pair);
}

static void
test_many_peers (void)
{
  GkvEngine *engine;
  GkvEvent event;
  Pair pair;

  pair_init (&pair);
  engine = pair.sides[0].engine;
  for (guint i = 0; i < 100000; i++)
    {
      g_autofree char *id = g_strdup_printf ("peer-%u", i);

      gkv_events_add_peer (engine->runtime->events, GKV_EVENT_PEER_ADDED, make_info (id));
      gkv_events_add_peer (engine->runtime->events, GKV_EVENT_PEER_CHANGED, make_info (id));
      gkv_events_add_peer (engine->runtime->events, GKV_EVENT_PEER_REMOVED, make_info (id));
    }
  g_assert_cmpuint (gkv_events_get_length (engine->runtime->events), <, 16);
  g_assert_false (gkv_engine_pop_event (engine, &event));

  for (guint i = 0; i < 100000; i++)
    add_peers (engine, "~a~b-a+a-b");
  g_assert_cmpuint (gkv_events_get_length (engine->runtime->events), <, 16);
  drop_all (engine);
  pair_clear (&pair);
}

static void
test_errors (void)
{
  guint n[2] = { 0, 0 };
  gboolean told = FALSE;
  GkvEvent event;
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < 100000; i++)
    {
      gkv_events_add_error (pair.sides[0].engine->runtime->events, GKV_ERROR_CLOCK, "clock");
      if (i < 5)
        gkv_events_add_error (pair.sides[0].engine->runtime->events, GKV_ERROR_TRANSPORT, "transport");
    }
  g_assert_cmpuint (gkv_events_get_length (pair.sides[0].engine->runtime->events), ==, 16 + 5);
  while (gkv_engine_pop_event (pair.sides[0].engine, &event))
    {
      n[event.error->code == GKV_ERROR_CLOCK]++;
      told = strstr (event.error->message, "99984") != NULL;
      gkv_event_clear (&event);
    }
  g_assert_cmpuint (n[0], ==, 5);
  g_assert_cmpuint (n[1], ==, 17);
  g_assert_true (told);

  gkv_events_add_error (pair.sides[0].engine->runtime->events, GKV_ERROR_CLOCK, "clock");
  g_assert_true (gkv_engine_pop_event (pair.sides[0].engine, &event));
  gkv_event_clear (&event);
  g_assert_false (gkv_engine_pop_event (pair.sides[0].engine, &event));
  pair_clear (&pair);
}

static GkvRecord *
put (Pair *pair, guint key, guint value)
{
  GkvStore *store = pair->sides[0].store;
  g_autofree char *name = g_strdup_printf ("key-%u", key);
  g_autofree char *content = g_strdup_printf ("%u", value);
  GkvRecord *record, *held;

  held = gkv_store_lookup (store, name, strlen (name));
  if (held != NULL)
    gkv_record_ref (held);
  pair_put (pair, 0, name, content);
  record = gkv_store_lookup (store, name, strlen (name));
  gkv_events_add_changed (pair->sides[0].engine->runtime->events, record, held);
  return record;
}

/* A few keys are written again and again, and nobody reads. A copy that is made of what is read in the end is right,
 * and each change tells what was there before. */
static void
test_changes (void)
{
  GHashTable *copy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) gkv_record_unref);
  GkvEvent event;
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < 100000; i++)
    put (&pair, i % 1000, i);
  g_assert_cmpuint (gkv_events_get_length (pair.sides[0].engine->runtime->events), <=, 4096 + 1000);

  for (guint n = 0; n < 3; n++)
    {
      for (guint i = 0; i < 2000 && gkv_engine_pop_event (pair.sides[0].engine, &event); i++)
        {
          const char *key = gkv_record_get_key (event.record);

          g_assert_true (g_hash_table_lookup (copy, key) == event.replaced);
          g_hash_table_insert (copy, g_strdup (key), gkv_record_ref (event.record));
          gkv_event_clear (&event);
        }
      for (guint i = 0; i < 5000; i++)
        put (&pair, 500 + i % 1000, i);
    }
  while (gkv_engine_pop_event (pair.sides[0].engine, &event))
    {
      const char *key = gkv_record_get_key (event.record);

      g_assert_true (g_hash_table_lookup (copy, key) == event.replaced);
      g_hash_table_insert (copy, g_strdup (key), gkv_record_ref (event.record));
      gkv_event_clear (&event);
    }

  g_assert_cmpuint (g_hash_table_size (copy), ==, 1500);
  for (guint i = 0; i < 1500; i++)
    {
      g_autofree char *name = g_strdup_printf ("key-%u", i);

      g_assert_true (g_hash_table_lookup (copy, name) == gkv_store_lookup (pair.sides[0].store, name, strlen (name)));
    }
  g_hash_table_unref (copy);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/events/peers", test_peers);
  g_test_add_func ("/events/many-peers", test_many_peers);
  g_test_add_func ("/events/errors", test_errors);
  g_test_add_func ("/events/changes", test_changes);

  return g_test_run ();
}
