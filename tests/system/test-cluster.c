/* Clusters of real nodes over loopback: everything that the options promise, and the faults that the original had.
 *
 * Each test makes its own nodes on free ports, and waits for what it wants; nothing is judged by how long it took.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <string.h>

#define PATIENCE (60 * G_USEC_PER_SEC)

static GkvNode *
make_node (const char *first_property, ...)
{
  va_list args;
  GkvNode *node;

  va_start (args, first_property);
  node = GKV_NODE (g_object_new_valist (GKV_TYPE_NODE, first_property, args));
  va_end (args);
  return node;
}

static void
start (GkvNode *node)
{
  g_autoptr (GError) error = NULL;

  gkv_node_start (node, NULL, &error);
  g_assert_no_error (error);
}

/* A started node at 127.0.0.1, that knows @seed. */
static GkvNode *
start_node (const char *seed)
{
  const char *seeds[] = { seed, NULL };
  GkvNode *node = make_node ("bind-address", "127.0.0.1:0", "seeds", seeds, "gossip-interval", 100, NULL);

  start (node);
  return node;
}

static void
stop (GkvNode *node)
{
  gkv_node_close (node, NULL, NULL);
  g_object_unref (node);
}

#define wait_until(condition) \
  G_STMT_START \
  { \
    gint64 end = g_get_monotonic_time () + PATIENCE; \
    guint wake = g_timeout_add (50, on_wake, NULL); \
    while (!(condition)) \
      { \
        if (g_get_monotonic_time () > end) \
          g_error ("waited in vain for: %s", #condition); \
        g_main_context_iteration (NULL, TRUE); \
      } \
    g_source_remove (wake); \
  } \
  G_STMT_END

static gboolean
on_wake (gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

static gboolean
has (GkvNode *node, const char *key, const char *value)
{
  g_autofree char *held = gkv_node_get_string (node, key, NULL);

  return g_strcmp0 (held, value) == 0;
}

static void
set (GkvNode *node, const char *key, const char *value)
{
  g_autoptr (GError) error = NULL;

  gkv_node_set_string (node, key, value, &error);
  g_assert_no_error (error);
}

static guint
count_peers (GkvNode *node)
{
  return g_list_model_get_n_items (gkv_node_get_peers (node));
}

/* 13. One-way seeds are enough; 10. a write goes both ways; 4. what was got can't be changed. */
static void
test_two (void)
{
  g_autofree char *mutable = g_strdup ("first");
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));

  set (a, "from-a", mutable);
  memset (mutable, 'x', strlen (mutable));
  set (b, "from-b", "second");
  wait_until (has (b, "from-a", "first") && has (a, "from-b", "second"));
  wait_until (gkv_node_get_synced (a) && gkv_node_get_synced (b));
  wait_until (count_peers (a) == 1);

  stop (a);
  stop (b);
}

/* Peers are learnt from peers: each knows only the one before it. */
static void
test_chain (void)
{
  GkvNode *nodes[6];

  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    nodes[i] = start_node (i > 0 ? gkv_node_get_local_address (nodes[i - 1]) : NULL);
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    wait_until (count_peers (nodes[i]) == G_N_ELEMENTS (nodes) - 1);

  set (nodes[5], "key", "value");
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    wait_until (has (nodes[i], "key", "value"));

  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    stop (nodes[i]);
}

/* 3. A key that is deleted anywhere is gone everywhere. */
static void
test_delete (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  g_autoptr (GError) error = NULL;

  set (a, "key", "value");
  wait_until (has (b, "key", "value"));
  g_assert_true (gkv_node_remove (b, "key", NULL, &error));
  g_assert_no_error (error);
  wait_until (!gkv_node_contains (a, "key"));

  g_assert_false (gkv_node_remove (a, "key", NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_NOT_FOUND);

  stop (a);
  stop (b);
}

/* 3. Expiry: the remaining life travels. */
static void
test_expiry (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));

  wait_until (count_peers (a) == 1 && count_peers (b) == 1);
  g_assert_true (
      gkv_node_set_value_full (a, "brief", g_variant_new_string ("x"), GKV_SET_NONE, 1500 * 1000, NULL, NULL));
  wait_until (gkv_node_contains (b, "brief"));
  wait_until (!gkv_node_contains (b, "brief") && !gkv_node_contains (a, "brief"));

  stop (a);
  stop (b);
}

/* What belongs to a node's life goes when it leaves. */
static void
test_ephemeral (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));

  g_assert_true (gkv_node_set_value_full (b, "here", g_variant_new_boolean (TRUE), GKV_SET_EPHEMERAL, 0, NULL, NULL));
  set (b, "lasting", "x");
  wait_until (gkv_node_contains (a, "here") && gkv_node_contains (a, "lasting"));
  stop (b);
  wait_until (!gkv_node_contains (a, "here"));
  g_assert_true (has (a, "lasting", "x"));

  stop (a);
}

/* 2. Values over a datagram, and long keys, arrive. */
static void
test_large (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  g_autofree char *long_key = g_strnfill (GKV_MAX_KEY_SIZE, 'k');
  g_autofree guint8 *data = g_malloc (15 * 1024 * 1024);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GBytes) arrived = NULL;
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < 15 * 1024 * 1024; i++)
    data[i] = g_random_int ();
  bytes = g_bytes_new (data, 15 * 1024 * 1024);

  gkv_node_set_bytes (a, "large", bytes, &error);
  g_assert_no_error (error);
  set (a, long_key, "value");

  wait_until (has (b, long_key, "value"));
  wait_until (gkv_node_contains (b, "large"));
  arrived = gkv_node_get_bytes (b, "large", NULL);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (bytes, arrived));

  stop (a);
  stop (b);
}

/* 8, 9, 12. A large map fills an empty node, in pages. */
static void
test_many (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b;

  for (guint i = 0; i < 50000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      gkv_node_set_int64 (a, key, i, NULL);
    }
  b = start_node (gkv_node_get_local_address (a));
  set (b, "own", "x");
  wait_until (gkv_node_get_n_keys (b) == 50001 && gkv_node_get_n_keys (a) == 50001);

  stop (a);
  stop (b);
}

/* Clusters never mix, even through each other's seeds. */
static void
test_clusters (void)
{
  GkvNode *a = start_node (NULL);
  const char *seeds[] = { gkv_node_get_local_address (a), NULL };
  GkvNode *b = make_node ("cluster", "other", "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);
  GkvNode *c;
  guint64 n_refused = 0;

  start (b);
  set (b, "secret", "x");
  do
    {
      g_autoptr (GVariant) stats = NULL;

      g_main_context_iteration (NULL, TRUE);
      stats = gkv_node_get_stats (a);
      g_variant_lookup (stats, "datagrams-refused", "t", &n_refused);
    }
  while (n_refused < 2);

  c = start_node (gkv_node_get_local_address (a));
  set (c, "key", "x");
  wait_until (gkv_node_contains (a, "key"));
  g_assert_false (gkv_node_contains (a, "secret"));
  g_assert_false (gkv_node_contains (b, "key"));
  g_assert_cmpuint (count_peers (b), ==, 0);

  stop (a);
  stop (b);
  stop (c);
}

/* 16. Port 0 can be learnt; a taken port is an error, and the node can be started elsewhere. */
static void
test_taken_port (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = make_node ("bind-address", gkv_node_get_local_address (a), NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (g_str_has_suffix (gkv_node_get_local_address (a), ":0"));
  g_assert_false (gkv_node_start (b, NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  g_assert_nonnull (strstr (error->message, gkv_node_get_local_address (a)));

  gkv_node_set_bind_address (b, "127.0.0.1:0");
  start (b);

  stop (a);
  stop (b);
}

/* 22. A closed node's port is free at once, though its cancellable was cancelled. */
static void
test_close_releases (void)
{
  GkvNode *a = start_node (NULL);
  g_autofree char *address = g_strdup (gkv_node_get_local_address (a));
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GkvNode *b;

  g_cancellable_cancel (cancellable);
  gkv_node_close (a, cancellable, NULL);
  b = make_node ("bind-address", address, NULL);
  start (b);

  stop (a);
  stop (b);
}

/* 15. A seed that comes up later is reached later; 13. a restart on another port heals. */
static void
test_late_seed (void)
{
  GkvNode *a = start_node (NULL);
  g_autofree char *address = g_strdup (gkv_node_get_local_address (a));
  GkvNode *b;
  GkvNode *again;

  stop (a);
  b = start_node (address);
  set (b, "waiting", "x");

  again = make_node ("bind-address", address, NULL);
  start (again);
  wait_until (has (again, "waiting", "x"));

  stop (again);
  stop (b);
}

static void
test_restart_elsewhere (void)
{
  GkvNode *a = start_node (NULL);
  const char *seeds[] = { gkv_node_get_local_address (a), NULL };
  GkvNode *b = make_node ("node-id", "b", "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);
  g_autoptr (GkvPeer) peer = NULL;

  start (b);
  set (b, "one", "x");
  wait_until (has (a, "one", "x"));
  /* It vanishes without a word: its last reference goes, and it comes back as the same node elsewhere. */
  g_object_unref (b);

  b = make_node ("node-id", "b", "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);
  start (b);
  wait_until (has (b, "one", "x"));
  set (b, "two", "x");
  wait_until (has (a, "two", "x"));
  wait_until (count_peers (a) == 1);
  peer = g_list_model_get_item (gkv_node_get_peers (a), 0);
  wait_until (gkv_peer_get_state (peer) == GKV_PEER_STATE_ALIVE &&
              g_strcmp0 (gkv_peer_get_address (peer), gkv_node_get_local_address (b)) == 0);

  stop (a);
  stop (b);
}

/* 14. A node whose seed is itself is alone, not its own peer. */
static void
test_own_seed (void)
{
  GkvNode *first = start_node (NULL);
  g_autofree char *address = g_strdup (gkv_node_get_local_address (first));
  const char *seeds[] = { address, NULL };
  GkvNode *node;

  stop (first);
  node = make_node ("bind-address", address, "seeds", seeds, NULL);
  start (node);
  wait_until (gkv_node_get_synced (node));
  g_assert_cmpuint (count_peers (node), ==, 0);

  stop (node);
}

static void
test_ipv6 (void)
{
  GkvNode *a = make_node ("bind-address", "[::1]:0", NULL);
  g_autoptr (GError) error = NULL;
  GkvNode *b;
  const char *seeds[2] = { NULL, NULL };

  if (!gkv_node_start (a, NULL, &error))
    {
      g_test_skip ("no IPv6 here");
      stop (a);
      return;
    }

  g_assert_true (g_str_has_prefix (gkv_node_get_local_address (a), "[::1]:"));
  seeds[0] = gkv_node_get_local_address (a);
  b = make_node ("bind-address", "[::1]:0", "seeds", seeds, NULL);
  start (b);
  set (a, "key", "x");
  wait_until (has (b, "key", "x"));

  stop (a);
  stop (b);
}

/* Host names: for the address to bind to, and for seeds. */
static void
test_names (void)
{
  GkvNode *a = make_node ("bind-address", "localhost:0", NULL);
  g_autofree char *seed = NULL;
  const char *seeds[2] = { NULL, NULL };
  GkvNode *b;

  start (a);
  seed = g_strdup_printf ("localhost%s", strrchr (gkv_node_get_local_address (a), ':'));
  seeds[0] = seed;
  b = make_node ("bind-address", "localhost:0", "seeds", seeds, NULL);
  start (b);
  set (a, "key", "x");
  wait_until (has (b, "key", "x"));

  stop (a);
  stop (b);
}

static void
on_error (GkvNode *node, GError *error, gpointer user_data)
{
  GError **told = user_data;

  if (*told == NULL)
    *told = g_error_copy (error);
}

/* Two live nodes of one id are both told, and both keep what they have. */
static void
test_duplicate_id (void)
{
  GkvNode *a = make_node ("node-id", "same", "bind-address", "127.0.0.1:0", NULL);
  GkvNode *b;
  const char *seeds[2] = { NULL, NULL };
  g_autoptr (GError) told_a = NULL;
  g_autoptr (GError) told_b = NULL;

  start (a);
  seeds[0] = gkv_node_get_local_address (a);
  b = make_node ("node-id", "same", "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);
  g_signal_connect (a, "error", G_CALLBACK (on_error), &told_a);
  g_signal_connect (b, "error", G_CALLBACK (on_error), &told_b);
  set (a, "of-a", "x");
  set (b, "of-b", "x");
  start (b);

  wait_until (told_a != NULL && told_b != NULL);
  g_assert_error (told_a, GKV_ERROR, GKV_ERROR_DUPLICATE_ID);
  g_assert_error (told_b, GKV_ERROR, GKV_ERROR_DUPLICATE_ID);
  g_assert_nonnull (strstr (told_a->message, gkv_node_get_local_address (b)));
  g_assert_true (has (a, "of-a", "x") && has (b, "of-b", "x"));

  stop (a);
  stop (b);
}

/* A node that leaves is gone at once; one that is killed is found dead. */
static void
on_removed (GkvNode *node, GkvPeer *peer, gpointer user_data)
{
  guint *n = user_data;

  g_assert_cmpint (gkv_peer_get_state (peer), ==, GKV_PEER_STATE_LEFT);
  *n += 1;
}

static void
test_leave (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  guint n_removed = 0;

  g_signal_connect (a, "peer-removed", G_CALLBACK (on_removed), &n_removed);
  wait_until (count_peers (a) == 1 && count_peers (b) == 1);
  stop (b);
  wait_until (n_removed == 1);
  g_assert_cmpuint (count_peers (a), ==, 0);

  stop (a);
}

/* 13. After a close all that can still be asked gives one answer: there is no network, no key and no peer. */
typedef enum
{
  CLOSE_BLOCKING,
  CLOSE_ASYNC,
  CLOSE_ELSEWHERE,
  N_CLOSES,
} HowClosed;

static void
on_closed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  gboolean *closed = user_data;

  gkv_node_close_finish (GKV_NODE (source), result, NULL);
  *closed = TRUE;
}

static gpointer
close_elsewhere (gpointer user_data)
{
  gkv_node_close (user_data, NULL, NULL);
  return NULL;
}

static void
close_as (GkvNode *node, HowClosed how)
{
  gboolean closed = FALSE;

  if (how == CLOSE_ASYNC)
    {
      gkv_node_close_async (node, NULL, on_closed, &closed);
      wait_until (closed);
    }
  else if (how == CLOSE_ELSEWHERE)
    {
      GThread *thread = g_thread_new ("closer", close_elsewhere, node);

      wait_until (gkv_node_get_local_address (node) == NULL);
      g_thread_join (thread);
    }
  else
    {
      gkv_node_close (node, NULL, NULL);
    }
}

static void
assert_closed (GkvNode *node)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);
  g_autofree char *local_address = NULL;
  g_auto (GStrv) keys = gkv_node_list_keys (node, NULL);
  guint64 n_keys = 1, n_peers = 1, n_alive = 0;

  g_object_get (node, "local-address", &local_address, NULL);
  g_assert_null (local_address);
  g_assert_null (gkv_node_get_local_address (node));
  g_assert_true (g_variant_lookup (stats, "n-keys", "t", &n_keys));
  g_assert_true (g_variant_lookup (stats, "n-peers", "t", &n_peers));
  g_variant_lookup (stats, "peers-alive", "t", &n_alive);
  g_assert_cmpuint (n_keys, ==, 0);
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 0);
  g_assert_null (keys[0]);
  g_assert_null (gkv_node_get_entry (node, "key"));
  g_assert_cmpuint (n_peers, ==, count_peers (node));
  g_assert_cmpuint (n_alive, ==, 0);
}

static void
test_after_close (gconstpointer network_thread)
{
  for (HowClosed how = CLOSE_BLOCKING; how < N_CLOSES; how++)
    {
      GkvNode *a = start_node (NULL);
      const char *seeds[] = { gkv_node_get_local_address (a), NULL };
      GkvNode *b = make_node ("bind-address", "127.0.0.1:0", "seeds", seeds, "network-thread",
                              GPOINTER_TO_INT (network_thread), NULL);

      start (b);
      set (b, "key", "x");
      wait_until (has (a, "key", "x") && count_peers (b) == 1);
      close_as (b, how);
      assert_closed (b);
      g_object_unref (b);
      stop (a);
    }
}

/* 22. Closing from inside a handler works. */
static void
on_changed_close (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  gboolean *closed = user_data;

  g_assert_true (gkv_node_close (node, NULL, NULL));
  *closed = TRUE;
}

static void
test_close_in_handler (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  g_autoptr (GError) error = NULL;
  gboolean closed = FALSE;

  g_signal_connect (b, "changed::key", G_CALLBACK (on_changed_close), &closed);
  set (a, "key", "x");
  wait_until (closed);
  g_assert_false (gkv_node_set_string (b, "key", "y", &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CLOSED);

  stop (a);
  stop (b);
}

static void
on_flushed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  gboolean *done = user_data;

  gkv_node_flush_finish (GKV_NODE (source), result, &error);
  g_assert_no_error (error);
  *done = TRUE;
}

static void
test_flush (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  gboolean done = FALSE;

  wait_until (count_peers (a) == 1);
  set (a, "key", "x");
  gkv_node_flush_async (a, 0, 30000, NULL, on_flushed, &done);
  wait_until (done);
  g_assert_true (has (b, "key", "x"));

  stop (a);
  stop (b);
}

static void
on_waited (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError **error = user_data;

  gkv_node_wait_synced_finish (GKV_NODE (source), result, error);
}

static void
test_wait_synced (void)
{
  GkvNode *first = start_node (NULL);
  g_autofree char *address = g_strdup (gkv_node_get_local_address (first));
  g_autoptr (GError) error = NULL;
  GkvNode *node;

  stop (first);
  node = start_node (address);
  gkv_node_wait_synced_async (node, 300, NULL, on_waited, &error);
  wait_until (error != NULL);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (error->message, address));
  g_assert_false (gkv_node_get_synced (node));

  stop (node);
}

/* All are in sync as soon as they have the same, however seldom maps are compared: here once an hour. */
static void
test_synced_soon (void)
{
  for (guint n_keys = 0; n_keys <= 5000; n_keys = n_keys * 70 + 1)
    {
      GkvNode *a = make_node ("bind-address", "127.0.0.1:0", "gossip-interval", 3600 * 1000, NULL);
      const char *seeds[2] = { NULL, NULL };
      GkvNode *b, *c;

      for (guint i = 0; i < n_keys; i++)
        {
          g_autofree char *key = g_strdup_printf ("key-%u", i);

          set (a, key, "x");
        }
      start (a);
      seeds[0] = gkv_node_get_local_address (a);
      b = make_node ("bind-address", "127.0.0.1:0", "gossip-interval", 3600 * 1000, "seeds", seeds, NULL);
      set (b, "own", "x");
      start (b);
      wait_until (gkv_node_get_synced (a) && gkv_node_get_synced (b));
      g_assert_cmpuint (gkv_node_get_n_keys (b), ==, n_keys + 1);

      seeds[0] = gkv_node_get_local_address (b);
      c = make_node ("bind-address", "127.0.0.1:0", "gossip-interval", 3600 * 1000, "seeds", seeds, NULL);
      start (c);
      wait_until (gkv_node_get_synced (c));
      g_assert_cmpuint (gkv_node_get_n_keys (c), ==, n_keys + 1);

      stop (a);
      stop (b);
      stop (c);
    }
}

static void
on_changed_key (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  g_assert_true (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING));
}

/* What nobody listens to isn't queued. Whoever connects while much arrives misses nothing of what comes after. */
static void
note_last (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer last)
{
  *(gint64 *) last = g_variant_get_int64 (value);
}

static void
test_listener_late (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  gint64 n = 0;

  wait_until (gkv_node_get_synced (b));
  for (guint round = 0; round < 100; round++)
    {
      gint64 last = -1;
      gulong handler;

      for (guint i = 0; i < 200 + round; i++)
        gkv_node_set_int64 (a, "key", ++n, NULL);
      while (g_main_context_iteration (NULL, FALSE))
        continue;
      for (guint i = 0; i < 50; i++)
        gkv_node_set_int64 (a, "key", ++n, NULL);

      handler = g_signal_connect (b, "changed::key", G_CALLBACK (note_last), &last);
      if (gkv_node_get_int64 (b, "key", -1) != n)
        wait_until (last == n);
      g_signal_handler_disconnect (b, handler);
    }

  stop (a);
  stop (b);
}

/* A handler that is connected after the start, and before the loop runs, receives what arrived in between. */
static void
note_key (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer n_noted)
{
  *(guint *) n_noted += 1;
}

static void
test_listener_before_loop (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b;
  guint n_noted = 0;

  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *key = g_strdup_printf ("key/%u", i);

      gkv_node_set_int64 (a, key, i, NULL);
    }

  b = start_node (gkv_node_get_local_address (a));
  while (gkv_node_get_n_keys (b) < 100)
    g_usleep (1000);
  g_signal_connect (b, "changed", G_CALLBACK (note_key), &n_noted);
  wait_until (n_noted == 100);

  stop (a);
  stop (b);
}

/* 9. A peer writes what this node's codec can't read, where it could before: nothing shows the old value any more. */
static void
test_another_codec (gconstpointer data)
{
  gboolean has_handler = GPOINTER_TO_INT (data);
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("string", NULL);
  GkvNode *a = start_node (NULL);
  const char *seeds[] = { gkv_node_get_local_address (a), NULL };
  GkvNode *b = make_node ("bind-address", "127.0.0.1:0", "seeds", seeds, "codec", codec, NULL);
  g_autoptr (GListModel) list = gkv_node_list_entries (b, NULL);
  g_autoptr (GkvEntry) entry = NULL;
  g_autoptr (GError) reported = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *fallback = NULL;

  g_signal_connect (b, "error", G_CALLBACK (on_error), &reported);
  if (has_handler)
    g_signal_connect (b, "changed", G_CALLBACK (on_changed_key), NULL);
  set (b, "key", "before");
  set (b, "other", "x");
  entry = g_list_model_get_item (list, 0);
  g_assert_cmpstr (gkv_entry_get_key (entry), ==, "key");
  start (b);
  wait_until (gkv_node_contains (a, "key"));

  gkv_node_set_int64 (a, "key", 7, NULL);
  wait_until (reported != NULL && gkv_entry_get_value (entry) == NULL);
  g_assert_error (reported, GKV_ERROR, GKV_ERROR_CODEC);
  g_assert_nonnull (strstr (reported->message, "key"));
  g_assert_nonnull (strstr (reported->message, "variant"));
  g_assert_nonnull (strstr (reported->message, gkv_node_get_node_id (a)));
  g_assert_cmpstr (gkv_entry_get_codec (entry), ==, "variant");
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 2);
  fallback = gkv_node_get_string (b, "key", "fallback");
  g_assert_cmpstr (fallback, ==, "fallback");
  g_assert_null (gkv_node_get_value (b, "key", NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
  g_assert_true (has (b, "other", "x"));

  /* And it comes back. */
  set (b, "key", "after");
  g_assert_cmpstr (g_variant_get_string (gkv_entry_get_value (entry), NULL), ==, "after");

  stop (a);
  stop (b);
}

/* Dropping the last reference stops everything: the port is free. */
static void
test_last_reference (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  g_autofree char *address = NULL;

  wait_until (count_peers (a) == 1);
  address = g_strdup (gkv_node_get_local_address (b));
  g_object_add_weak_pointer (G_OBJECT (b), (gpointer *) &b);
  g_object_unref (b);
  wait_until (b == NULL);

  b = make_node ("bind-address", address, NULL);
  start (b);
  stop (b);
  stop (a);
}

/* Writes from other threads while the loop runs. */
static gpointer
write_many (gpointer user_data)
{
  for (guint i = 0; i < 2000; i++)
    {
      g_autofree char *key = g_strdup_printf ("%p-%u", g_thread_self (), i % 200);

      g_assert_true (gkv_node_set_int64 (user_data, key, i, NULL));
      gkv_node_get_int64 (user_data, key, 0);
    }
  return NULL;
}

static void
test_threads (void)
{
  GkvNode *a = start_node (NULL);
  GkvNode *b = start_node (gkv_node_get_local_address (a));
  GThread *threads[3];

  wait_until (count_peers (a) == 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("writer", write_many, i % 2 ? a : b);
  wait_until (gkv_node_get_n_keys (a) == 600 && gkv_node_get_n_keys (b) == 600);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  stop (a);
  stop (b);
}

/* 19, 20. A stranger's datagrams write nothing, and are answered with no more than they brought. */
static void
test_stranger (void)
{
  GkvNode *a = start_node (NULL);
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (gkv_node_get_local_address (a), 0, NULL);
  g_autoptr (GSocketAddress) address =
      g_inet_socket_address_new_from_string ("127.0.0.1", g_network_address_get_port (G_NETWORK_ADDRESS (parsed)));
  gsize n_sent = 0, n_got = 0;
  guint64 n_received = 0;

  g_socket_set_blocking (socket, FALSE);
  for (guint i = 0; i < 500; i++)
    {
      char datagram[300];
      gsize len = g_random_int_range (0, sizeof datagram);
      gssize n;

      for (gsize j = 0; j < len; j++)
        datagram[j] = g_random_int ();
      if (len > 4 && i % 2)
        memcpy (datagram, "GK\1\0", 4);
      n = g_socket_send_to (socket, address, datagram, len, NULL, NULL);
      g_assert_cmpint (n, ==, len);
      n_sent += len;
    }

  do
    {
      g_autoptr (GVariant) stats = NULL;

      g_main_context_iteration (NULL, TRUE);
      stats = gkv_node_get_stats (a);
      g_variant_lookup (stats, "datagrams-received", "t", &n_received);
    }
  while (n_received < 400);

  for (;;)
    {
      char answer[2000];
      gssize n = g_socket_receive (socket, answer, sizeof answer, NULL, NULL);

      if (n < 0)
        break;
      n_got += n;
    }
  g_assert_cmpuint (n_got, <=, n_sent);
  g_assert_cmpuint (gkv_node_get_n_keys (a), ==, 0);
  g_assert_cmpuint (count_peers (a), ==, 0);

  stop (a);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/cluster/two", test_two);
  g_test_add_func ("/cluster/chain", test_chain);
  g_test_add_func ("/cluster/delete", test_delete);
  g_test_add_func ("/cluster/expiry", test_expiry);
  g_test_add_func ("/cluster/ephemeral", test_ephemeral);
  g_test_add_func ("/cluster/large", test_large);
  g_test_add_func ("/cluster/many", test_many);
  g_test_add_func ("/cluster/clusters", test_clusters);
  g_test_add_func ("/cluster/taken-port", test_taken_port);
  g_test_add_func ("/cluster/close-releases", test_close_releases);
  g_test_add_func ("/cluster/late-seed", test_late_seed);
  g_test_add_func ("/cluster/restart-elsewhere", test_restart_elsewhere);
  g_test_add_func ("/cluster/own-seed", test_own_seed);
  g_test_add_func ("/cluster/ipv6", test_ipv6);
  g_test_add_func ("/cluster/names", test_names);
  g_test_add_func ("/cluster/duplicate-id", test_duplicate_id);
  g_test_add_func ("/cluster/leave", test_leave);
  g_test_add_data_func ("/cluster/after-close/thread", GINT_TO_POINTER (TRUE), test_after_close);
  g_test_add_data_func ("/cluster/after-close/own-context", GINT_TO_POINTER (FALSE), test_after_close);
  g_test_add_func ("/cluster/close-in-handler", test_close_in_handler);
  g_test_add_func ("/cluster/flush", test_flush);
  g_test_add_func ("/cluster/wait-synced", test_wait_synced);
  g_test_add_func ("/cluster/synced-soon", test_synced_soon);
  g_test_add_func ("/cluster/listener-before-loop", test_listener_before_loop);
  g_test_add_func ("/cluster/listener-late", test_listener_late);
  g_test_add_data_func ("/cluster/another-codec/handler", GINT_TO_POINTER (TRUE), test_another_codec);
  g_test_add_data_func ("/cluster/another-codec/list", GINT_TO_POINTER (FALSE), test_another_codec);
  g_test_add_func ("/cluster/last-reference", test_last_reference);
  g_test_add_func ("/cluster/threads", test_threads);
  g_test_add_func ("/cluster/stranger", test_stranger);

  return g_test_run ();
}
