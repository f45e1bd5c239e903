/* Members that change their addresses, have several, or are there twice: hosts that send from one address and receive
 * at others, under virtual time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-error.h"
#include "gossip/gkv-engine-private.h"

#include <string.h>

#define SECOND    G_GINT64_CONSTANT (1000000)
#define STEP      1000
#define MAX_HOSTS 4

typedef struct
{
  GkvEngine *engine;
  GkvStore *store;
  const char *from;  /* where what it sends comes from */
  const char *at[2]; /* where it receives; NULL: nowhere else */
  guint n_errors;
  guint n_duplicates;
  guint n_died; /* peers */
  guint n_sent;
} Host;

typedef struct
{
  Host hosts[MAX_HOSTS];
  guint n;
  GkvTime now;
  GQueue wire;  /* Flight */
  guint losses; /* of a thousand */
  GRand *rand;
} Net;

typedef struct
{
  char *from;
  GkvDatagram datagram;
} Flight;

static void
flight_free (Flight *flight)
{
  gkv_datagram_clear (&flight->datagram);
  g_free (flight->from);
  g_free (flight);
}

static void
net_init (Net *net)
{
  memset (net, 0, sizeof *net);
  net->now = (GkvTime){ .mono = SECOND, .wall = 1800000000 * SECOND, .boot = SECOND };
  net->rand = g_rand_new_with_seed (1);
}

static void
net_clear (Net *net)
{
  g_queue_clear_full (&net->wire, (GDestroyNotify) flight_free);
  for (guint i = 0; i < net->n; i++)
    {
      gkv_engine_free (net->hosts[i].engine);
      gkv_store_free (net->hosts[i].store);
    }
  g_rand_free (net->rand);
}

/* @number: of its secret and its chance, which a copy of a process has in common with it. */
static Host *
add_host (Net *net, const char *id, guint number, const char *address)
{
  GkvHashKey key = gkv_hash_key_for_cluster ("test");
  Host *host = &net->hosts[net->n++];
  GkvEngineConfig config = { .node_id = id,
                             .cluster = "test",
                             .generation = number,
                             .random_seed = number,
                             .secret = { number, 7 },
                             .gossip_interval_ms = 2000,
                             .max_datagram_size = 1200 };

  host->store = gkv_store_new (&key);
  host->engine = gkv_engine_new (&config, host->store, &net->now);
  host->from = host->at[0] = address;
  return host;
}

static gboolean
is_at (const Host *host, const char *address)
{
  return g_strcmp0 (host->at[0], address) == 0 || g_strcmp0 (host->at[1], address) == 0;
}

static void
drain (Net *net, Host *host)
{
  GkvEvent event;
  GkvDatagram datagram;

  while (gkv_engine_pop_event (host->engine, &event))
    {
      host->n_errors += event.kind == GKV_EVENT_ERROR;
      if (event.kind == GKV_EVENT_ERROR)
        g_test_message ("%s: %s", host->from, event.error->message);
      host->n_duplicates += event.kind == GKV_EVENT_ERROR && event.error->code == GKV_ERROR_DUPLICATE_ID;
      host->n_died += event.kind == GKV_EVENT_PEER_CHANGED && event.peer->state == GKV_PEER_STATE_DEAD;
      gkv_event_clear (&event);
    }
  while (gkv_engine_pop_datagram (host->engine, &datagram))
    {
      Flight *flight = g_new0 (Flight, 1);

      host->n_sent++;
      flight->from = g_strdup (host->from);
      flight->datagram = datagram;
      if ((guint) g_rand_int_range (net->rand, 0, 1000) < net->losses)
        flight_free (flight);
      else
        g_queue_push_tail (&net->wire, flight);
    }
}

static void
hand_in (Net *net, Host *host, const char *from, GBytes *bytes)
{
  gsize len;
  gconstpointer data = g_bytes_get_data (bytes, &len);

  gkv_engine_receive (host->engine, from, data, len, &net->now);
}

static void
run (Net *net, gint64 us)
{
  for (gint64 end = net->now.mono + us; net->now.mono < end;)
    {
      GQueue arrived = net->wire;
      Flight *flight;

      net->now.mono += STEP;
      net->now.wall += STEP;
      net->now.boot += STEP;
      g_queue_init (&net->wire);
      while ((flight = g_queue_pop_head (&arrived)) != NULL)
        {
          for (guint i = 0; i < net->n; i++)
            if (is_at (&net->hosts[i], flight->datagram.address))
              hand_in (net, &net->hosts[i], flight->from, flight->datagram.bytes);
          flight_free (flight);
        }
      for (guint i = 0; i < net->n; i++)
        {
          gkv_engine_tick (net->hosts[i].engine, &net->now);
          drain (net, &net->hosts[i]);
        }
    }
}

static const char *
get_link_address (Host *host, const char *id)
{
  const GkvMember *member = gkv_members_lookup (host->engine->members, id);

  return member != NULL && member->link != NULL ? member->link->address : NULL;
}

static void
add_contact (Net *net, Host *host, const char *address)
{
  gkv_engine_add_contact (host->engine, address, &net->now);
}

/* Something on the way changes an address: the others follow within a probe period, though half of them hear of it
 * first from each other. */
static void
test_followed (gconstpointer losses)
{
  Net net;
  Host *hosts[4];

  net_init (&net);
  for (guint i = 0; i < 4; i++)
    {
      static const char *const ids[] = { "a", "b", "c", "d" };
      static const char *const addresses[] = { "a:1", "b:1", "c:1", "d:1" };

      hosts[i] = add_host (&net, ids[i], i + 1, addresses[i]);
      if (i > 0)
        add_contact (&net, hosts[i], "a:1");
    }
  run (&net, 5 * SECOND);
  net.losses = GPOINTER_TO_UINT (losses);

  hosts[3]->from = hosts[3]->at[0] = "d:2";
  run (&net, net.losses == 0 ? SECOND + SECOND / 10 : 5 * SECOND);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpstr (get_link_address (hosts[i], "d"), ==, "d:2");

  run (&net, 10 * SECOND);
  for (guint i = 0; i < 4; i++)
    {
      g_assert_cmpuint (hosts[i]->n_died, ==, 0);
      g_assert_cmpuint (hosts[i]->n_duplicates, ==, 0);
      g_assert_cmpuint (gkv_links_get_n (hosts[i]->engine->links), <=, 4);
    }
  net_clear (&net);
}

/* Whatever was on the way to a node moves nothing when it comes from elsewhere, once or again and again. */
static void
test_replayed (void)
{
  g_autoptr (GPtrArray) seen = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  Net net;
  Host *a, *b;

  net_init (&net);
  a = add_host (&net, "a", 1, "a:1");
  b = add_host (&net, "b", 2, "b:1");
  add_contact (&net, b, "a:1");
  for (guint i = 0; i < 3000; i++)
    {
      for (const GList *l = net.wire.head; l != NULL; l = l->next)
        if (strcmp (((Flight *) l->data)->from, "b:1") == 0)
          g_ptr_array_add (seen, g_bytes_ref (((Flight *) l->data)->datagram.bytes));
      run (&net, STEP);
    }
  g_assert_cmpuint (seen->len, >, 5);

  for (guint i = 0; i < 5000; i++)
    {
      hand_in (&net, a, "e:6", g_ptr_array_index (seen, i % seen->len));
      run (&net, STEP);
      g_assert_cmpstr (get_link_address (a, "b"), ==, "b:1");
    }
  g_assert_cmpuint (a->n_duplicates + a->n_died + b->n_duplicates + b->n_died, ==, 0);
  g_assert_cmpuint (gkv_links_get_n (a->engine->links), ==, 1);
  net_clear (&net);
}

/* One process has two addresses, and sends from both in turn: it is one node, and nothing more is said of it. */
static void
test_two_addresses (void)
{
  Net net;
  Host *a, *b;
  guint before;

  net_init (&net);
  a = add_host (&net, "a", 1, "a:1");
  b = add_host (&net, "b", 2, "b:1");
  b->at[1] = "b:2";
  add_contact (&net, a, "b:1");
  add_contact (&net, a, "b:2");
  for (guint i = 0; i < 20; i++)
    {
      b->from = i % 2 == 0 ? "b:1" : "b:2";
      run (&net, SECOND / 2);
    }
  g_assert_cmpuint (a->n_duplicates + a->n_died + b->n_duplicates + b->n_died, ==, 0);
  g_assert_cmpuint (a->engine->runtime->n_alive, ==, 1);

  b->from = "b:1";
  run (&net, 10 * SECOND);
  before = a->n_sent + b->n_sent;
  run (&net, 20 * SECOND);
  g_assert_cmpuint (a->n_sent + b->n_sent - before, <, 200);
  g_assert_cmpuint (a->n_duplicates + b->n_duplicates, ==, 0);
  net_clear (&net);
}

/* What a host sends leaves by another of its addresses than the one that it was named by, and that it states itself. It
 * is one peer, reached within 5 s, and nothing is said of it. */
static void
test_leaves_by_another (gconstpointer states)
{
  Net net;
  Host *a, *b, *c;
  guint before;

  net_init (&net);
  a = add_host (&net, "a", 1, "a:1");
  b = add_host (&net, "b", 2, "b:1");
  c = add_host (&net, "c", 3, "c:1");
  b->at[1] = b->from = "b:2";
  if (states != NULL)
    gkv_engine_set_advertise_address (b->engine, "b:1");
  add_contact (&net, a, "b:1");
  add_contact (&net, c, "a:1");
  run (&net, 2 * SECOND);
  g_assert_true (gkv_engine_is_contact_reached (a->engine, "b:1"));
  g_assert_true (gkv_engine_get_synced (a->engine));
  g_assert_cmpuint (c->engine->runtime->n_alive, ==, 2);

  run (&net, 40 * SECOND);
  g_assert_true (gkv_engine_is_contact_reached (a->engine, "b:1"));
  if (states != NULL)
    g_assert_cmpstr (gkv_members_lookup (a->engine->members, "b")->profile->address, ==, "b:1");
  before = a->n_sent + b->n_sent + c->n_sent;
  run (&net, 60 * SECOND);
  g_assert_cmpuint (a->n_sent + b->n_sent + c->n_sent - before, <, 3 * 60 * 6);
  g_assert_cmpuint (a->n_errors + b->n_errors + c->n_errors, ==, 0);
  g_assert_cmpuint (a->n_died + b->n_died + c->n_died, ==, 0);
  net_clear (&net);
}

/* A seed that is this very node costs nearly nothing, and when another node gets that address, as this one has moved,
 * it is met. */
static void
test_own_seed (void)
{
  Net net;
  Host *a, *b;

  net_init (&net);
  a = add_host (&net, "a", 1, "a:1");
  add_contact (&net, a, "a:1");
  run (&net, 2 * SECOND);
  g_assert_cmpint (gkv_engine_describe_contact (a->engine, "a:1"), ==, GKV_CONTACT_SELF);
  a->n_sent = 0;
  run (&net, 600 * SECOND);
  g_assert_cmpint (gkv_engine_describe_contact (a->engine, "a:1"), ==, GKV_CONTACT_SELF);
  g_assert_cmpuint (a->n_sent, <=, 12);

  a->from = a->at[0] = "a:2";
  b = add_host (&net, "b", 2, "a:1");
  run (&net, 100 * SECOND);
  g_assert_cmpuint (a->engine->runtime->n_alive, ==, 1);
  g_assert_cmpuint (b->engine->runtime->n_alive, ==, 1);
  g_assert_cmpint (gkv_engine_describe_contact (a->engine, "a:1"), ==, GKV_CONTACT_REACHED);
  net_clear (&net);
}

/* The same, where the application names it again. */
static void
test_own_seed_again (void)
{
  Net net;
  Host *a;

  net_init (&net);
  a = add_host (&net, "a", 1, "a:1");
  add_contact (&net, a, "a:1");
  run (&net, 2 * SECOND);
  a->from = a->at[0] = "a:2";
  add_host (&net, "b", 2, "a:1");
  add_contact (&net, a, "a:1");
  run (&net, SECOND);
  g_assert_cmpuint (a->engine->runtime->n_alive, ==, 1);
  net_clear (&net);
}

/* Two seeds are one node, which then has one of the addresses only; another node at the other one isn't hidden by it.
 */
static void
test_hidden_seed (void)
{
  Net net;
  Host *a, *b;

  net_init (&net);
  a = add_host (&net, "a", 1, "a:1");
  b = add_host (&net, "b", 2, "b:1");
  b->at[1] = "b:2";
  add_contact (&net, a, "b:1");
  add_contact (&net, a, "b:2");
  run (&net, 5 * SECOND);
  g_assert_true (gkv_engine_is_contact_reached (a->engine, "b:1"));
  g_assert_true (gkv_engine_is_contact_reached (a->engine, "b:2"));

  b->from = b->at[0] = b->at[1] = "b:1";
  add_host (&net, "c", 3, "b:2");
  run (&net, 70 * SECOND);
  g_assert_cmpuint (a->engine->runtime->n_alive, ==, 2);
  net_clear (&net);
}

/* A process is copied while it runs, and both go on, each at an address of its own: both are told, each has a run of
 * its own from then on, and no write is lost. Engines that were given the same are the same. */
static void
test_copied (void)
{
  Net net;
  Host *b, *copy, *third;

  net_init (&net);
  add_host (&net, "a", 1, "a:1");
  third = add_host (&net, "c", 3, "c:1");
  b = add_host (&net, "b", 2, "b:1");
  copy = add_host (&net, "b", 2, "b:1");
  add_contact (&net, b, "a:1");
  add_contact (&net, copy, "a:1");
  add_contact (&net, third, "a:1");
  /* The copy hears all, and what it says is what the other one says. */
  for (guint i = 0; i < 5000; i++)
    {
      guint n = b->n_sent, n_copy = copy->n_sent;

      run (&net, STEP);
      g_assert_cmpuint (b->n_sent - n, ==, copy->n_sent - n_copy);
      /* Those of the copy are the last ones. */
      for (; n_copy < copy->n_sent; n_copy++)
        flight_free (g_queue_pop_tail (&net.wire));
    }
  g_assert_cmpuint (b->engine->runtime->generation, ==, copy->engine->runtime->generation);

  copy->from = copy->at[0] = "b:2";
  run (&net, 20 * SECOND);
  g_assert_cmpuint (b->n_duplicates, >, 0);
  g_assert_cmpuint (copy->n_duplicates, >, 0);
  g_assert_cmpuint (b->engine->runtime->generation, !=, copy->engine->runtime->generation);
  net_clear (&net);
}

/* A node that claims the id and the run of a member, and can't show that it received where that one is, is spoken with
 * by nobody while that one replies; and that one is told. */
static void
test_claimed (void)
{
  Net net;
  Host *a, *b, *liar;

  net_init (&net);
  a = add_host (&net, "a", 1, "a:1");
  b = add_host (&net, "b", 2, "b:1");
  add_contact (&net, b, "a:1");
  run (&net, 3 * SECOND);

  /* It knows the run and what was shown of the chain, as everybody does. */
  liar = add_host (&net, "b", 4, "e:6");
  liar->engine->runtime->generation = b->engine->runtime->generation;
  liar->engine->runtime->incarnation = b->engine->runtime->incarnation;
  add_contact (&net, liar, "a:1");
  for (guint i = 0; i < 2000 && b->n_duplicates == 0; i++)
    {
      run (&net, STEP);
      g_assert_cmpstr (get_link_address (a, "b"), ==, "b:1");
    }
  g_assert_cmpuint (a->n_died, ==, 0);
  g_assert_cmpuint (b->n_duplicates, >, 0);
  net_clear (&net);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/moves/followed", GUINT_TO_POINTER (0), test_followed);
  g_test_add_data_func ("/moves/followed/lossy", GUINT_TO_POINTER (300), test_followed);
  g_test_add_func ("/moves/replayed", test_replayed);
  g_test_add_func ("/moves/two-addresses", test_two_addresses);
  g_test_add_data_func ("/moves/leaves-by-another", NULL, test_leaves_by_another);
  g_test_add_data_func ("/moves/leaves-by-another/stated", GINT_TO_POINTER (TRUE), test_leaves_by_another);
  g_test_add_func ("/moves/own-seed", test_own_seed);
  g_test_add_func ("/moves/own-seed/again", test_own_seed_again);
  g_test_add_func ("/moves/hidden-seed", test_hidden_seed);
  g_test_add_func ("/moves/copied", test_copied);
  g_test_add_func ("/moves/claimed", test_claimed);

  return g_test_run ();
}
