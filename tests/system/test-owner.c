/* What belongs to the thread of a node's main context, called in others: it is refused, never silently wrong, whether
 * the node's main loop runs, is blocked, or was never run.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <string.h>

typedef enum
{
  OWNER_IDLE,    /* the owner's thread waits elsewhere; nobody has the context */
  OWNER_RUNS,    /* it runs the context */
  OWNER_BLOCKED, /* it is inside a dispatch, and has the context */
} OwnerState;

typedef struct
{
  GMainContext *context;
  GMainLoop *loop;
  OwnerState state;
  GkvNode *fresh;
  GkvNode *started;
  gboolean made;  /* atomic */
  gboolean ended; /* atomic */
} Owner;

static GkvNode *
make_node (gboolean started)
{
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);
  g_autoptr (GError) error = NULL;

  if (started)
    gkv_node_start (node, NULL, &error);
  g_assert_no_error (error);

  return node;
}

static gboolean
on_block (gpointer data)
{
  Owner *owner = data;

  g_atomic_int_set (&owner->made, TRUE);
  while (!g_atomic_int_get (&owner->ended))
    g_usleep (1000);
  g_main_loop_quit (owner->loop);

  return G_SOURCE_REMOVE;
}

static gboolean
on_look (gpointer data)
{
  Owner *owner = data;

  g_atomic_int_set (&owner->made, TRUE);
  if (!g_atomic_int_get (&owner->ended))
    return G_SOURCE_CONTINUE;

  g_main_loop_quit (owner->loop);
  return G_SOURCE_REMOVE;
}

static gpointer
run_owner (gpointer data)
{
  Owner *owner = data;
  g_autoptr (GSource) source = g_timeout_source_new (1);

  g_main_context_push_thread_default (owner->context);
  owner->fresh = make_node (FALSE);
  owner->started = make_node (TRUE);

  if (owner->state == OWNER_IDLE)
    {
      on_block (data);
    }
  else
    {
      g_source_set_callback (source, owner->state == OWNER_RUNS ? on_look : on_block, owner, NULL);
      g_source_attach (source, owner->context);
      g_main_loop_run (owner->loop);
    }

  g_object_unref (owner->fresh);
  g_object_unref (owner->started);
  while (g_main_context_iteration (owner->context, FALSE))
    ;
  g_main_context_pop_thread_default (owner->context);

  return NULL;
}

/* Calls with an error */

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  GError **error = data;

  g_assert_false (gkv_node_start_finish (GKV_NODE (source), result, error));
}

static void
assert_errors (GkvNode *node)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) later = NULL;
  GMainContext *own = g_main_context_new ();

  g_assert_false (gkv_node_start (node, NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_WRONG_THREAD);
  g_assert_nonnull (strstr (error->message, "gkv_node_start ()"));

  /* It always calls back, here. */
  g_main_context_push_thread_default (own);
  gkv_node_start_async (node, NULL, on_started, &later);
  while (later == NULL)
    g_main_context_iteration (own, TRUE);
  g_assert_error (later, GKV_ERROR, GKV_ERROR_WRONG_THREAD);
  g_main_context_pop_thread_default (own);
  g_main_context_unref (own);
}

/* Calls without */

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer data)
{
  g_assert_not_reached ();
}

static void
expect_critical (const char *call)
{
  g_autofree char *pattern = g_strdup_printf ("*%s*", call);

  g_test_expect_message ("Gkv", G_LOG_LEVEL_CRITICAL, pattern);
  g_test_expect_message ("Gkv", G_LOG_LEVEL_CRITICAL, "*assertion*");
}

static void
expect_refused_option (const char *option)
{
  g_autofree char *pattern = g_strdup_printf ("*option %s*", option);

  g_test_expect_message ("Gkv", G_LOG_LEVEL_CRITICAL, pattern);
}

static void
assert_criticals (GkvNode *node)
{
  expect_critical ("gkv_node_list_entries ()");
  g_assert_null (gkv_node_list_entries (node, NULL));
  g_test_assert_expected_messages ();

  expect_critical ("gkv_node_watch ()");
  g_assert_cmpuint (gkv_node_watch (node, NULL, GKV_WATCH_NONE, on_changed, NULL, NULL), ==, 0);
  g_test_assert_expected_messages ();

  expect_critical ("gkv_node_unwatch ()");
  gkv_node_unwatch (node, 1);
  g_test_assert_expected_messages ();
}

/* An option that is set elsewhere stays as it was: its notification would be emitted there. */
static void
assert_options (GkvNode *node)
{
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("bytes", NULL);
  g_autoptr (GkvTransport) transport = gkv_transport_new_for_name ("udp", NULL);
  const char *seeds[] = { "127.0.0.1:7000", NULL };

  expect_refused_option ("bind-address");
  gkv_node_set_bind_address (node, "127.0.0.2:0");
  expect_refused_option ("advertise-address");
  gkv_node_set_advertise_address (node, "127.0.0.2:7");
  expect_refused_option ("seeds");
  gkv_node_set_seeds (node, seeds);
  expect_refused_option ("gossip-interval");
  gkv_node_set_gossip_interval (node, 77);
  expect_refused_option ("codec");
  gkv_node_set_codec (node, codec);
  expect_refused_option ("transport");
  gkv_node_set_transport (node, transport);
  expect_refused_option ("network-thread");
  g_object_set (node, "network-thread", FALSE, NULL);
  g_test_assert_expected_messages ();

  g_assert_cmpstr (gkv_node_get_bind_address (node), ==, "127.0.0.1:0");
  g_assert_null (gkv_node_get_advertise_address (node));
  g_assert_null (gkv_node_get_seeds (node)[0]);
  g_assert_cmpuint (gkv_node_get_gossip_interval (node), !=, 77);
  g_assert_null (gkv_node_get_codec (node));
  g_assert_null (gkv_node_get_transport (node));
  g_assert_true (gkv_node_get_network_thread (node));
}

/* What any thread may do works, in whatever the owner's thread is busy. */
static void
assert_free (GkvNode *node)
{
  g_auto (GStrv) keys = NULL;
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);
  g_autoptr (GkvEntry) entry = NULL;
  g_autoptr (GError) error = NULL;
  guint64 n_keys = 0;

  gkv_node_set_int64 (node, "key", 1, &error);
  g_assert_no_error (error);
  g_assert_cmpint (gkv_node_get_int64 (node, "key", 0), ==, 1);
  g_assert_true (gkv_node_contains (node, "key"));
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 1);
  g_assert_true (g_variant_lookup (stats, "n-keys", "t", &n_keys));
  keys = gkv_node_list_keys (node, NULL);
  g_assert_cmpuint (g_strv_length (keys), ==, 1);
  entry = gkv_node_get_entry (node, "key");
  g_assert_nonnull (entry);
  gkv_node_add_seed (node, "127.0.0.1:9", &error);
  g_assert_no_error (error);
  g_assert_nonnull (gkv_node_get_peers (node));
  gkv_node_get_synced (node);
  g_assert_nonnull (gkv_node_get_node_id (node));
}

static void
test_elsewhere (gconstpointer state)
{
  Owner owner = { .context = g_main_context_new (), .state = GPOINTER_TO_INT (state) };
  GThread *thread;

  owner.loop = g_main_loop_new (owner.context, FALSE);
  thread = g_thread_new ("owner", run_owner, &owner);
  while (!g_atomic_int_get (&owner.made))
    g_usleep (1000);

  assert_errors (owner.fresh);
  assert_errors (owner.started);
  assert_criticals (owner.fresh);
  assert_criticals (owner.started);
  assert_options (owner.fresh);
  assert_free (owner.started);

  g_atomic_int_set (&owner.ended, TRUE);
  g_thread_join (thread);
  g_main_loop_unref (owner.loop);
  g_main_context_unref (owner.context);
}

/* The same thread, under another main context: the node's isn't run here. */
static void
test_other_context (void)
{
  g_autoptr (GkvNode) node = make_node (FALSE);
  GMainContext *other = g_main_context_new ();

  g_main_context_push_thread_default (other);
  assert_criticals (node);
  g_main_context_pop_thread_default (other);
  g_main_context_unref (other);
  gkv_node_set_gossip_interval (node, 77);
  g_assert_cmpuint (gkv_node_get_gossip_interval (node), ==, 77);
  g_assert_true (gkv_node_start (node, NULL, NULL));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/owner/elsewhere/idle", GINT_TO_POINTER (OWNER_IDLE), test_elsewhere);
  g_test_add_data_func ("/owner/elsewhere/runs", GINT_TO_POINTER (OWNER_RUNS), test_elsewhere);
  g_test_add_data_func ("/owner/elsewhere/blocked", GINT_TO_POINTER (OWNER_BLOCKED), test_elsewhere);
  g_test_add_func ("/owner/other-context", test_other_context);

  return g_test_run ();
}
