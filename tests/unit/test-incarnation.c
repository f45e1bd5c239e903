/* Proofs of life: who can show one, and what each is to the one that is known.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gossip/gkv-engine-private.h"
#include "pair.h"

#define SECOND G_USEC_PER_SEC

static void
test_order (void)
{
  const guint lengths[] = { 1, 31, 32, 33, 100, 0 };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autoptr (GkvChain) chain = gkv_chain_new ("mine", 4, lengths[i]);
      g_autoptr (GkvChain) other = gkv_chain_new ("other", 5, lengths[i]);
      guint length = gkv_chain_get_length (chain);
      GkvIncarnation first = gkv_chain_get (chain, length);

      for (guint place = 0; place < length; place += 1 + place / 3)
        {
          GkvIncarnation later = gkv_chain_get (chain, place);
          GkvIncarnation foreign = gkv_chain_get (other, place);
          GkvIncarnation forged = later;

          g_assert_cmpint (gkv_incarnation_compare (&first, &later), ==, GKV_INCARNATION_LATER);
          g_assert_cmpint (gkv_incarnation_compare (&later, &first), ==, GKV_INCARNATION_EARLIER);
          g_assert_cmpint (gkv_incarnation_compare (&later, &later), ==, GKV_INCARNATION_SAME);
          g_assert_cmpint (gkv_incarnation_compare (&first, &foreign), ==, GKV_INCARNATION_ALIEN);
          forged.proof[place % GKV_PROOF_SIZE] ^= 1;
          g_assert_cmpint (gkv_incarnation_compare (&first, &forged), ==, GKV_INCARNATION_ALIEN);
        }
    }
}

static guint
count_alive (Pair *pair, guint side)
{
  return pair_get_stat (pair, side, "peers-alive");
}

/* A third one says of the second that it is suspected, dead, has left, or has a later generation: it is asked, and
 * lives. Only what it shows itself raises its incarnation. */
static void
test_hearsay (void)
{
  Pair pair;
  GkvMember *member;

  pair_init_three (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  member = gkv_members_lookup (pair.sides[0].engine->members, "b:2");
  g_assert_cmpuint (count_alive (&pair, 0), ==, 2);

  for (GkvPeerState status = GKV_PEER_STATE_ALIVE; status <= GKV_PEER_STATE_DEAD; status++)
    for (guint later = 0; later < 2; later++)
      {
        GkvMember *liar = gkv_members_lookup (pair.sides[0].engine->members, "c:3");
        g_autoptr (GByteArray) entry = g_byte_array_new ();
        g_autoptr (GByteArray) body = g_byte_array_new ();
        GkvIncarnation forged = member->profile->incarnation;
        guint64 generation = member->profile->generation;
        GkvReader reader;

        forged.place = 0;
        gkv_put_u8 (entry, status);
        gkv_put_u64 (entry, member->profile->generation + later);
        gkv_put_incarnation (entry, &forged);
        gkv_put_string (entry, "b:2");
        gkv_put_string (entry, "b:2");
        gkv_put_varint (body, entry->len);
        g_byte_array_append (body, entry->data, entry->len);
        gkv_reader_init (&reader, body->data, body->len);
        gkv_membership_handle (pair.sides[0].engine->membership, liar->link, &reader, FALSE);

        pair_run (&pair, 20 * SECOND, FALSE);
        g_assert_cmpuint (count_alive (&pair, 0), ==, 2);
        g_assert_cmpint (member->status, ==, GKV_PEER_STATE_ALIVE);
        g_assert_cmpuint (member->profile->generation, ==, generation);
        g_assert_cmpuint (member->profile->incarnation.place, >, 0);
      }
  pair_clear (&pair);
}

/* Between the first and the second nothing arrives. */
static gboolean
lose_between (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from + to == 1;
}

/* A pair that can't reach each other, and a third one that both reach: nobody is held dead, what is written arrives at
 * once, and the one that is gone is found out. */
static void
test_through_another (void)
{
  Pair pair;

  pair_init_three (&pair);
  pair.loses = lose_between;
  gkv_engine_add_contact (pair.sides[1].engine, "c:3", &pair.now);
  pair_run (&pair, 60 * SECOND, FALSE);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (count_alive (&pair, i), ==, 2);
  g_assert_cmpuint (pair.sides[0].n_removed, ==, 0);

  pair_write (&pair, 0, "key", "value", 0);
  g_assert_cmpint (pair_run (&pair, SECOND, TRUE), <=, 10 * PAIR_LATENCY);
  pair_write (&pair, 1, "key", "other", 0);
  g_assert_cmpint (pair_run (&pair, SECOND, TRUE), <=, 10 * PAIR_LATENCY);

  pair.sides[1].down = TRUE;
  pair_run (&pair, 12 * SECOND, FALSE);
  g_assert_cmpuint (count_alive (&pair, 0), ==, 1);
  g_assert_cmpuint (count_alive (&pair, 2), ==, 1);
  pair_clear (&pair);
}

/* A node that was killed, and begins anew at once at another address, with its clock set back: it isn't a duplicate,
 * and it takes a later generation. */
static void
test_set_back (void)
{
  Pair pair;

  pair_init_three (&pair);
  pair.sides[2].down = TRUE;
  pair.sides[1].generation = 1000;
  pair_restart (&pair, 1);
  pair_run (&pair, 10 * SECOND, FALSE);

  pair.sides[1].down = TRUE;
  pair.sides[2].down = FALSE;
  pair.sides[2].id = "b:2";
  pair.sides[2].generation = 10;
  pair_restart (&pair, 2);
  pair_run (&pair, 20 * SECOND, FALSE);
  g_assert_cmpuint (gkv_engine_get_generation (pair.sides[2].engine), >, 1001);
  g_assert_cmpuint (count_alive (&pair, 0), ==, 1);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 0);
  g_assert_cmpuint (pair.sides[2].n_errors, ==, 0);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/incarnation/order", test_order);
  g_test_add_func ("/incarnation/hearsay", test_hearsay);
  g_test_add_func ("/incarnation/through-another", test_through_another);
  g_test_add_func ("/incarnation/set-back", test_set_back);

  return g_test_run ();
}
