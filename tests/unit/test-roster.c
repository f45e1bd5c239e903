/* The anti-entropy of members: a joiner is listed each member once, and what got lost is found; and what is kept of a
 * member that nobody speaks with.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gossip/gkv-engine-private.h"
#include "hearsay.h"
#include "pair.h"

#define SECOND G_USEC_PER_SEC

/* Length, status, generation, incarnation, id, address. */
#define ENTRY (1 + 1 + 8 + 2 + GKV_PROOF_SIZE + 1 + 7 + 1 + 6)

static GkvEngine *
get_engine (Pair *pair, guint side)
{
  return pair->sides[side].engine;
}

static guint
get_n (Pair *pair, guint side)
{
  return get_engine (pair, side)->runtime->n_alive;
}

/* A peer that says nothing else tells a side of members that aren't there. */
static void
tell (Pair *pair, guint side, guint first, guint n)
{
  GkvEngine *engine = get_engine (pair, side);
  const GkvIncarnation incarnation = { .place = 1024 };
  GkvLink *link = gkv_links_lookup (engine->links, "10.9.9.9:9");

  engine->runtime->now = pair->now;
  if (link == NULL)
    {
      link = gkv_links_trust (engine->links, "10.9.9.9:9", 1);
      gkv_identities_identify (engine->identities, link, "teller", 1, &incarnation, "", 0);
    }
  for (guint i = first; i < first + n; i++)
    {
      g_autofree char *id = g_strdup_printf ("m%06u", i);
      g_autofree char *address = g_strdup_printf ("10.0.%u.%u:7000", i >> 8, i & 255);

      hearsay_tell (engine, link, id, 1000 + i, &incarnation, address);
    }
}

/* Small clusters, and such whose members are asked for in parts. */
static void
test_joining (void)
{
  const guint sizes[] = { 1, 2, 15, 17, 100, 700, 1500, 4000 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      gsize all = (gsize) sizes[i] * ENTRY;
      Pair pair;

      pair_init (&pair);
      tell (&pair, 0, 0, sizes[i]);
      pair_run (&pair, SECOND, FALSE);
      g_assert_cmpuint (get_n (&pair, 0), ==, sizes[i] + 2);
      g_assert_cmpuint (get_n (&pair, 1), ==, sizes[i] + 2);
      g_assert_cmpuint (gkv_members_get_sum (get_engine (&pair, 0)->members), ==,
                        gkv_members_get_sum (get_engine (&pair, 1)->members));
      g_assert_cmpuint (pair.n_bytes[GKV_MESSAGE_LISTING], <=, all + all / 20 + 200);
      g_assert_cmpuint (pair.n_bytes[GKV_MESSAGE_LACKING], <=, sizes[i] * 3 + 200);
      pair_clear (&pair);
    }
}

/* Nobody has announced them. */
static void
test_lost (void)
{
  const guint lost[] = { 1, 2, 40 };

  for (guint i = 0; i < G_N_ELEMENTS (lost); i++)
    {
      Pair pair;

      pair_init (&pair);
      tell (&pair, 0, 0, 50);
      pair_run (&pair, SECOND, FALSE);
      pair_forget_counts (&pair);
      tell (&pair, i % 2, 50, lost[i]);
      tell (&pair, 1 - i % 2, 100, lost[i]);
      pair_run (&pair, 3 * SECOND, FALSE);
      g_assert_nonnull (gkv_members_lookup (get_engine (&pair, 0)->members, "m000050"));
      g_assert_nonnull (gkv_members_lookup (get_engine (&pair, 0)->members, "m000100"));
      g_assert_nonnull (gkv_members_lookup (get_engine (&pair, 1)->members, "m000050"));
      g_assert_nonnull (gkv_members_lookup (get_engine (&pair, 1)->members, "m000100"));
      pair_clear (&pair);
    }
}

/* The first of its answers get lost: it asks again. */
static gboolean
lose_first (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return pair_datagram_has (datagram, GKV_MESSAGE_LISTED) && pair->n_asked++ < 2;
}

static void
test_answers_lost (void)
{
  Pair pair;

  pair_init (&pair);
  tell (&pair, 0, 0, 300);
  pair.loses = lose_first;
  pair_run (&pair, 3 * SECOND, FALSE);
  g_assert_cmpuint (get_n (&pair, 1), ==, 302);
  pair_clear (&pair);
}

static void
receive (Pair *pair, guint side, const char *from, GkvMessageKind kind, gconstpointer body, gsize len)
{
  GkvEngine *engine = get_engine (pair, side);
  g_autoptr (GByteArray) out = g_byte_array_new ();

  g_byte_array_append (out, (const guint8 *) "GK\1", 4);
  gkv_put_u32 (out, engine->runtime->cluster_hash);
  gkv_put_u64 (out, gkv_links_get_token (engine->links, from));
  gkv_put_message (out, kind, body, len);
  gkv_wire_seal (out);
  gkv_engine_receive (engine, from, out->data, out->len, &pair->now);
  gkv_engine_tick (engine, &pair->now);
}

/* A member asks without end, for all that there is: what it gets is bounded. And nonsense does nothing. */
static void
test_greedy (void)
{
  const guint8 question[] = { 1, 0, 0, 0, 7, 1, 2, 3, 4, 0 };
  guint8 nonsense[64];
  Pair pair;

  pair_init (&pair);
  tell (&pair, 0, 0, 1000);
  pair_run (&pair, SECOND, FALSE);
  pair_forget_counts (&pair);
  for (guint i = 0; i < 100; i++)
    receive (&pair, 0, "b:2", GKV_MESSAGE_LACKING, question, sizeof question);
  pair_run (&pair, SECOND / 10, FALSE);
  g_assert_cmpuint (pair.n_messages[GKV_MESSAGE_LISTED], >=, 100);
  g_assert_cmpuint (pair.n_bytes[GKV_MESSAGE_LISTING], >, 100 * 1000);
  g_assert_cmpuint (pair.n_bytes[GKV_MESSAGE_LISTING], <, (256 + 128 + 48) * 1024 + 100 * 1200);

  for (guint i = 0; i < 4096; i++)
    {
      for (guint n = 0; n < sizeof nonsense; n++)
        nonsense[n] = i * 31 + n * (i >> 6);
      nonsense[2] = i % 10;
      receive (&pair, 0, "b:2", i % 2 > 0 ? GKV_MESSAGE_LACKING : GKV_MESSAGE_LISTED, nonsense, i % 64);
    }
  pair_run (&pair, SECOND / 10, FALSE);
  g_assert_cmpuint (get_n (&pair, 0), ==, 1002);
  pair_clear (&pair);
}

/* An extra is there while a member is spoken with, and goes when it isn't. */
static void
test_extra (void)
{
  Pair pair;
  GkvMembers *members;
  GkvMember *member;

  pair_init (&pair);
  tell (&pair, 0, 0, 30);
  members = get_engine (&pair, 0)->members;
  member = gkv_members_lookup (members, "m000029");
  g_assert_null (member->extra);
  pair_run (&pair, SECOND / 2, FALSE);
  g_assert_nonnull (gkv_members_lookup (members, "b:2")->extra);
  g_assert_cmpuint (gkv_members_lookup (members, "b:2")->heard, ==, TRUE);

  /* Nobody replies at its address. */
  pair_run (&pair, 100 * SECOND, FALSE);
  g_assert_cmpuint (member->status, ==, GKV_PEER_STATE_DEAD);
  g_assert_nonnull (member->extra);
  pair_run (&pair, 200 * SECOND, FALSE);
  g_assert_cmpuint (member->status, ==, GKV_PEER_STATE_DEAD);
  g_assert_nonnull (gkv_members_lookup (members, "b:2")->extra);
  pair_clear (&pair);
}

/* Profiles of what is the same are the same. */
static void
test_profiles (void)
{
  GkvProfiles *profiles = gkv_profiles_new ();
  const GkvIncarnation one = { .place = 3 }, other = { .place = 2 };
  GkvProfile *a = gkv_profiles_get (profiles, "id", 1, 2, &one, "x:1");
  GkvProfile *b = gkv_profiles_get (profiles, "id", 1, 2, &one, "x:1");
  GkvProfile *c = gkv_profiles_get (profiles, "id", 1, 2, &other, "x:1");
  GkvProfile *d = gkv_profiles_get (profiles, "id", 1, 2, &one, NULL);
  GkvProfile *e = gkv_profiles_get (NULL, "id", 1, 2, &one, "x:1");

  g_assert_true (a == b);
  g_assert_true (a != c && a != d && a != e);
  g_assert_cmpstr (a->id, ==, "id");
  g_assert_cmpstr (a->address, ==, "x:1");
  g_assert_null (d->address);
  gkv_profiles_release (profiles, b);
  gkv_profiles_release (profiles, a);
  gkv_profiles_release (profiles, c);
  gkv_profiles_release (profiles, d);
  gkv_profiles_release (NULL, e);
  gkv_profiles_free (profiles);
}

/* What is in one allocation each has a head of 8 bytes, and whole 16 with it; and the tables of members, and of the
 * ring of those that live, are twice as large as what is in them at the worst. */
static void
test_size (void)
{
  gsize profile = sizeof (GkvProfile) + 17 + sizeof "[0123:4567:89ab:cdef:0123:4567:89ab:cdef]:65535";

  g_assert_cmpuint ((profile + 8 + 15) / 16 * 16 + (sizeof (GkvMember) + 8 + 15) / 16 * 16 + 2 * 2 * sizeof (gpointer),
                    <=, 256);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/roster/joining", test_joining);
  g_test_add_func ("/roster/lost", test_lost);
  g_test_add_func ("/roster/answers-lost", test_answers_lost);
  g_test_add_func ("/roster/greedy", test_greedy);
  g_test_add_func ("/roster/extra", test_extra);
  g_test_add_func ("/roster/profiles", test_profiles);
  g_test_add_func ("/roster/size", test_size);
  return g_test_run ();
}
