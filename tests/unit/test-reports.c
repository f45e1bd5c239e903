/* Reports: what is said of addresses where no peer is, or where one can't be reached.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "pair.h"

#include "gossip/gkv-engine-private.h"

#include "gkv-error.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define MINUTE (60 * SECOND)

static GkvContactState
describe (Pair *pair)
{
  return gkv_engine_describe_contact (pair->sides[0].engine, pair->sides[1].name);
}

/* The second begins anew as it is said; both forget what they have told. */
static void
restart_second (Pair *pair, const char *id, const char *cluster, const char *advertise)
{
  pair->sides[1].id = id;
  pair->sides[1].cluster = cluster;
  pair->sides[1].advertise = advertise;
  pair_restart (pair, 1);
  pair->sides[0].n_errors = pair->sides[1].n_errors = 0;
}

static void
test_silent (void)
{
  Pair pair;

  pair_init (&pair);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_SILENT);
  pair.sides[1].down = TRUE;
  pair_run (&pair, MINUTE, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_SILENT);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 0);
  pair.sides[1].down = FALSE;
  pair_run (&pair, MINUTE, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_REACHED);
  pair_clear (&pair);
}

static void
test_other_cluster (void)
{
  Pair pair;

  pair_init (&pair);
  restart_second (&pair, NULL, "other", NULL);
  pair_run (&pair, 5 * SECOND, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_OTHER_CLUSTER);
  g_assert_false (gkv_engine_is_contact_reached (pair.sides[0].engine, pair.sides[1].name));

  /* Once, as long as that lasts; and not where it wasn't asked for. */
  pair_run (&pair, 60 * MINUTE, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_OTHER_CLUSTER);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpint (pair.sides[0].last_error, ==, GKV_ERROR_FAILED);
  g_assert_cmpuint (pair.sides[1].n_errors, ==, 0);
  g_assert_false (gkv_engine_get_synced (pair.sides[0].engine));

  restart_second (&pair, NULL, NULL, NULL);
  pair_run (&pair, MINUTE, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_REACHED);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 0);

  restart_second (&pair, NULL, "other", NULL);
  pair_run (&pair, 5 * MINUTE, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_OTHER_CLUSTER);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);

  pair.sides[1].down = TRUE;
  pair_run (&pair, 5 * MINUTE, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_SILENT);
  pair_clear (&pair);
}

static GBytes *
make_datagram (guint8 version, guint8 envelope, guint32 tag, gboolean greeting)
{
  GByteArray *out = g_byte_array_new ();
  guint64 token = 17;

  g_byte_array_append (out, (const guint8 *) "GK", 2);
  gkv_put_u8 (out, version);
  gkv_put_u8 (out, envelope);
  gkv_put_u32 (out, tag);
  gkv_put_u64 (out, 0);
  if (greeting)
    gkv_put_message (out, GKV_MESSAGE_TOKEN, &token, sizeof token);
  return g_byte_array_free_to_bytes (out);
}

static guint
receive_and_count (Pair *pair, GBytes *bytes, guint n)
{
  GkvEngine *engine = pair->sides[0].engine;
  GkvDatagram datagram;
  guint n_answers = 0;

  gkv_engine_tick (engine, &pair->now);
  while (gkv_engine_pop_datagram (engine, &datagram))
    gkv_datagram_clear (&datagram);

  for (guint i = 0; i < n; i++)
    gkv_engine_receive (engine, "x:1", g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), &pair->now);
  for (; gkv_engine_pop_datagram (engine, &datagram); gkv_datagram_clear (&datagram))
    {
      n_answers++;
      g_assert_cmpuint (g_bytes_get_size (datagram.bytes), <=, g_bytes_get_size (bytes));
    }
  return n_answers;
}

/* An answer has fewer bytes than came, there are few a second, and none answers another one. */
static void
test_no_amplification (void)
{
  g_autoptr (GBytes) greeting = make_datagram (GKV_WIRE_VERSION, GKV_WIRE_PLAIN, 1, TRUE);
  g_autoptr (GBytes) bare = make_datagram (GKV_WIRE_VERSION, GKV_WIRE_PLAIN, 1, FALSE);
  g_autoptr (GBytes) refusal = make_datagram (GKV_WIRE_VERSION, GKV_WIRE_REFUSED, 1, TRUE);
  Pair pair;

  pair_init (&pair);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_cmpuint (receive_and_count (&pair, greeting, 1000), ==, 64);
  pair_run (&pair, 2 * SECOND, FALSE);
  g_assert_cmpuint (receive_and_count (&pair, greeting, 1), ==, 1);
  g_assert_cmpuint (receive_and_count (&pair, bare, 10), ==, 0);
  g_assert_cmpuint (receive_and_count (&pair, refusal, 10), ==, 0);
  pair_clear (&pair);
}

/* Who doesn't know what was sent to an address can't say that another cluster is there. */
static void
test_forged_refusal (void)
{
  GkvHashKey zero = { 0, 0 };
  g_autoptr (GBytes) refusal =
      make_datagram (GKV_WIRE_VERSION, GKV_WIRE_REFUSED, gkv_hash_64 (&zero, "test", 4), FALSE);
  Pair pair;

  pair_init (&pair);
  pair.sides[1].down = TRUE;
  pair_send (&pair, 1, 0, refusal, PAIR_LATENCY);
  pair_run (&pair, SECOND, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_SILENT);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 0);
  pair_clear (&pair);
}

static void
test_other_version (void)
{
  g_autoptr (GBytes) datagram = make_datagram (GKV_WIRE_VERSION + 1, GKV_WIRE_PLAIN, 1, TRUE);
  Pair pair;

  pair_init (&pair);
  pair.sides[1].down = TRUE;
  for (guint i = 0; i < 100; i++)
    {
      pair_send (&pair, 1, 0, datagram, PAIR_LATENCY);
      pair_run (&pair, 10 * SECOND, FALSE);
      g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_OTHER_VERSION);
    }
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  pair_clear (&pair);
}

static void
test_clone (void)
{
  Pair pair;

  pair_init (&pair);
  restart_second (&pair, "a:1", NULL, NULL);
  pair_run (&pair, 30 * MINUTE, FALSE);
  g_assert_cmpint (describe (&pair), ==, GKV_CONTACT_DUPLICATE_ID);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpint (pair.sides[0].last_error, ==, GKV_ERROR_DUPLICATE_ID);
  g_assert_cmpuint (pair.sides[1].n_errors, >, 0);
  pair_clear (&pair);
}

/* The node's own address is an error only where it is the only one that answers. */
static void
test_self (gconstpointer alone)
{
  Pair pair;

  pair_init (&pair);
  pair.sides[1].down = alone != NULL;
  gkv_engine_add_contact (pair.sides[0].engine, "a:1", &pair.now);
  if (alone != NULL)
    gkv_engine_remove_contact (pair.sides[0].engine, "b:2");
  pair_run (&pair, 5 * MINUTE, FALSE);
  g_assert_cmpint (gkv_engine_describe_contact (pair.sides[0].engine, "a:1"), ==, GKV_CONTACT_SELF);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, alone != NULL ? 1 : 0);
  g_assert_true (gkv_engine_get_synced (pair.sides[0].engine));
  pair_clear (&pair);
}

static const char *
get_address (Pair *pair, guint side, guint of)
{
  const GkvMember *member = gkv_members_lookup (pair->sides[side].engine->members, pair->sides[of].name);

  return member != NULL ? member->profile->address : NULL;
}

/* An address that only its own machine could use isn't passed on: the third learns of the second where that is seen. */
static void
test_confined (void)
{
  Pair pair;

  pair_init_three (&pair);
  restart_second (&pair, NULL, NULL, "loopback:2");
  pair_run (&pair, 5 * MINUTE, FALSE);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpint (pair.sides[0].last_error, ==, GKV_ERROR_TRANSPORT);
  g_assert_cmpstr (get_address (&pair, 0, 1), ==, "b:2");
  g_assert_cmpstr (get_address (&pair, 2, 1), ==, "b:2");
  g_assert_cmpuint (pair_get_stat (&pair, 2, "peers-alive"), ==, 2);
  pair_clear (&pair);
}

/* Nobody answers where it says that it is. */
static void
test_unreachable (void)
{
  Pair pair;

  pair_init_three (&pair);
  restart_second (&pair, NULL, NULL, "elsewhere:2");
  pair_run (&pair, 5 * MINUTE, FALSE);
  g_assert_cmpuint (pair.sides[0].n_errors, ==, 1);
  g_assert_cmpint (pair.sides[0].last_error, ==, GKV_ERROR_TRANSPORT);
  g_assert_cmpstr (get_address (&pair, 0, 1), ==, "b:2");
  g_assert_cmpuint (pair_get_stat (&pair, 0, "contacts"), <=, 2);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/reports/silent", test_silent);
  g_test_add_func ("/reports/other-cluster", test_other_cluster);
  g_test_add_func ("/reports/no-amplification", test_no_amplification);
  g_test_add_func ("/reports/forged-refusal", test_forged_refusal);
  g_test_add_func ("/reports/other-version", test_other_version);
  g_test_add_func ("/reports/clone", test_clone);
  g_test_add_data_func ("/reports/self/alone", GUINT_TO_POINTER (1), test_self);
  g_test_add_data_func ("/reports/self/among-others", NULL, test_self);
  g_test_add_func ("/reports/confined", test_confined);
  g_test_add_func ("/reports/unreachable", test_unreachable);

  return g_test_run ();
}
