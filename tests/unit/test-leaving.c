/* Leaving: whoever may have learnt of a node hears that it has left, in whatever moment of getting to know it that was.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include "gossip/gkv-engine-private.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define STEP   (PAIR_LATENCY / 2)

/* Nobody is held alive or dead at @side, nobody but those that the application named is greeted, and nothing is under
 * way. */
static void
assert_nobody (Pair *pair, guint side)
{
  GkvEngine *engine = pair->sides[side].engine;
  GkvMembersIter iter;
  GkvMember *member;

  gkv_members_init_iter (engine->members, &iter);
  while (gkv_members_iter_next (&iter, &member))
    if (member->status != GKV_PEER_STATE_LEFT)
      g_error ("%s holds %s in state %d", pair->sides[side].name, member->profile->id, member->status);
  g_assert_cmpuint (gkv_exchanges_get_n (engine->exchanges), ==, 0);
}

/* One of two that have just been started leaves after @us. */
static void
leave_after (guint side, gint64 us)
{
  Pair pair;

  pair_init (&pair);
  pair_put (&pair, 0, "key", "value");
  pair_run (&pair, us, FALSE);
  pair_leave (&pair, side);
  pair_run (&pair, 10 * SECOND, FALSE);
  assert_nobody (&pair, 1 - side);
  pair_clear (&pair);
}

static void
test_pair (gconstpointer side)
{
  for (gint64 us = 0; us <= 20 * PAIR_LATENCY; us += STEP)
    leave_after (GPOINTER_TO_UINT (side), us);
  leave_after (GPOINTER_TO_UINT (side), 30 * SECOND);
}

/* The second and the third learn of each other by the first. When either leaves, soon nobody waits for it. */
static void
test_three (gconstpointer side)
{
  for (gint64 us = 0; us <= 20 * PAIR_LATENCY; us += STEP)
    {
      guint other = 3 - GPOINTER_TO_UINT (side);
      Pair pair;

      pair_init_three (&pair);
      pair_run (&pair, us, FALSE);
      pair_leave (&pair, GPOINTER_TO_UINT (side));
      pair_run (&pair, 10 * SECOND, FALSE);
      g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 1);
      g_assert_cmpuint (pair_get_stat (&pair, other, "peers-alive"), ==, 1);
      pair_leave (&pair, 0);
      pair_run (&pair, 10 * SECOND, FALSE);
      assert_nobody (&pair, other);
      pair_clear (&pair);
    }
}

/* One that left comes back at the same address, where only the other looks for it; or one with another name does. */
static void
test_return (gconstpointer id)
{
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  pair_leave (&pair, 1);
  pair_run (&pair, 30 * SECOND, FALSE);
  pair.sides[1].id = id;
  pair_restart (&pair, 1);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 1);
  g_assert_cmpuint (pair_get_stat (&pair, 1, "peers-alive"), ==, 1);
  pair_clear (&pair);
}

/* A datagram that says who it is comes in after the one that says that it has left. */
static gboolean
delay_idents (Pair *pair, guint from, guint to, GBytes *datagram)
{
  if (from != 0 || pair->sides[0].down || !pair_datagram_has (datagram, GKV_MESSAGE_IDENT))
    return FALSE;

  pair_send (pair, from, to, datagram, 5 * SECOND);
  return TRUE;
}

static void
test_overtaken (void)
{
  Pair pair;

  pair_init (&pair);
  pair.loses = delay_idents;
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);
  pair_leave (&pair, 0);
  pair_run (&pair, 20 * SECOND, FALSE);
  assert_nobody (&pair, 1);
  pair_clear (&pair);
}

/* A command that runs each minute, each time as another node. */
static void
test_command (void)
{
  Pair pair;
  guint n;

  pair_init (&pair);
  pair_leave (&pair, 1);
  for (n = 0; n < 200; n++)
    {
      g_autofree char *name = g_strdup_printf ("command-%u:1", n);

      pair.sides[1].name = name;
      pair_restart (&pair, 1);
      gkv_engine_add_contact (pair.sides[1].engine, pair.sides[0].name, &pair.now);
      pair_run (&pair, n * 100, FALSE);
      pair_leave (&pair, 1);
      pair_run (&pair, 60 * SECOND, FALSE);
      assert_nobody (&pair, 0);
    }
  /* Those that left are remembered for ten minutes. */
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-known"), <=, 12);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "contacts"), <=, 1);
  pair.sides[1].name = "b:2";
  pair_clear (&pair);
}

/* The address of the third, in the hands of somebody who knows what the second is called. */
static GBytes *
forge_leaving (Pair *pair, GkvLink *link)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GByteArray) body = g_byte_array_new ();
  GkvHashKey zero = { 0, 0 };
  guint64 cluster = gkv_hash_64 (&zero, "test", 4);

  g_byte_array_append (out, (const guint8 *) "GK", 2);
  gkv_put_u8 (out, GKV_WIRE_VERSION);
  gkv_put_u8 (out, GKV_WIRE_PLAIN);
  gkv_put_u32 (out, cluster);
  gkv_put_u64 (out, link->their_token);
  gkv_put_u64 (body, pair->sides[1].generation);
  gkv_put_incarnation (body, &pair->sides[1].engine->runtime->incarnation);
  gkv_put_u64 (body, cluster);
  gkv_put_u8 (body, 2);
  gkv_put_string (body, pair->sides[1].name);
  gkv_put_address (body, "");
  gkv_put_varint (body, 0);
  gkv_put_message (out, GKV_MESSAGE_IDENT, body->data, body->len);

  gkv_wire_seal (out);
  return g_byte_array_free_to_bytes (g_steal_pointer (&out));
}

/* Who is heard at his address isn't held to have left by what is said of him at another. */
static void
test_forged (void)
{
  g_autoptr (GBytes) datagram = NULL;
  GkvLink *link;
  Pair pair;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  link = gkv_links_lookup (pair.sides[2].engine->links, pair.sides[0].name);
  datagram = forge_leaving (&pair, link);
  pair.sides[0].n_removed = 0;
  pair_send (&pair, 2, 0, datagram, PAIR_LATENCY);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_cmpuint (pair.sides[0].n_removed, ==, 0);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 2);
  pair_clear (&pair);
}

/* Who is held to have left, and lives, is back soon. */
static void
test_mistaken (void)
{
  GkvMember *member;
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  member = gkv_members_lookup (pair.sides[0].engine->members, "b:2");
  gkv_identities_note_left (pair.sides[0].engine->identities, member->link, member->profile->id,
                            member->profile->generation, &member->profile->incarnation);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 0);
  pair_run (&pair, 5 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 1);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/leaving/pair/first", GUINT_TO_POINTER (0), test_pair);
  g_test_add_data_func ("/leaving/pair/second", GUINT_TO_POINTER (1), test_pair);
  g_test_add_data_func ("/leaving/three/second", GUINT_TO_POINTER (1), test_three);
  g_test_add_data_func ("/leaving/three/third", GUINT_TO_POINTER (2), test_three);
  g_test_add_data_func ("/leaving/return/same", NULL, test_return);
  g_test_add_data_func ("/leaving/return/other", "other", test_return);
  g_test_add_func ("/leaving/overtaken", test_overtaken);
  g_test_add_func ("/leaving/command", test_command);
  g_test_add_func ("/leaving/forged", test_forged);
  g_test_add_func ("/leaving/mistaken", test_mistaken);

  return g_test_run ();
}
