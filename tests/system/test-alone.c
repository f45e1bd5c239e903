/* A node alone: what it takes and refuses, what it emits and in which order, and how it ends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <libglib-testing/signal-logger.h>
#include <string.h>

static GkvNode *
start_local (const char *codec)
{
  g_autoptr (GkvCodec) object = codec != NULL ? gkv_codec_new_for_name (codec, NULL) : NULL;
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "codec", object, NULL);

  g_assert_true (gkv_node_start (node, NULL, NULL));
  return node;
}

static void
iterate_pending (void)
{
  for (guint i = 0; i < 5; i++)
    g_main_context_iteration (NULL, FALSE);
}

#define assert_refused(call, domain, code, text) \
  G_STMT_START \
  { \
    g_autoptr (GError) refusal = NULL; \
    GError **error = &refusal; \
    g_assert_false (call); \
    g_assert_error (refusal, domain, code); \
    if (strstr (refusal->message, text) == NULL) \
      g_error ("\"%s\" doesn't tell of \"%s\"", refusal->message, text); \
  } \
  G_STMT_END

/* Keys and values */

static void
test_bad_keys (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autofree char *longest = g_strnfill (1024, 'k');
  g_autofree char *too_long = g_strnfill (1025, 'k');

  assert_refused (gkv_node_set_string (node, "", "x", error), GKV_ERROR, GKV_ERROR_INVALID_KEY, "empty");
  assert_refused (gkv_node_set_string (node, too_long, "x", error), GKV_ERROR, GKV_ERROR_TOO_LARGE, "1024");
  assert_refused (gkv_node_set_string (node, "\xff", "x", error), GKV_ERROR, GKV_ERROR_INVALID_KEY, "UTF-8");
  assert_refused (gkv_node_get_value (node, "nothing", NULL, error), GKV_ERROR, GKV_ERROR_NOT_FOUND, "nothing");
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 0);

  g_assert_true (gkv_node_set_string (node, longest, "x", NULL));
  g_assert_true (gkv_node_contains (node, longest));
}

static void
test_bad_values (void)
{
  g_autoptr (GkvNode) node = start_local ("bytes");
  g_autoptr (GkvNode) texts = start_local ("string");
  g_autoptr (GBytes) largest = g_bytes_new_take (g_malloc0 (16 * 1024 * 1024), 16 * 1024 * 1024);
  g_autoptr (GBytes) too_large = g_bytes_new_take (g_malloc0 (16 * 1024 * 1024 + 1), 16 * 1024 * 1024 + 1);
  g_autoptr (GBytes) held = NULL;

  g_assert_true (gkv_node_set_bytes (node, "key", largest, NULL));
  assert_refused (gkv_node_set_bytes (node, "key", too_large, error), GKV_ERROR, GKV_ERROR_TOO_LARGE, "key");
  held = gkv_node_get_bytes (node, "key", NULL);
  g_assert_true (g_bytes_equal (held, largest));

  /* 6. What can't be encoded is refused by set, and what was there stays. */
  g_assert_true (gkv_node_set_string (texts, "key", "x", NULL));
  assert_refused (gkv_node_set_int64 (texts, "key", 1, error), GKV_ERROR, GKV_ERROR_CODEC, "string");
  g_assert_cmpint (gkv_node_get_int64 (texts, "key", 7), ==, 7);
  g_assert_true (gkv_node_contains (texts, "key"));
}

/* 4. What was set doesn't change with the buffer that it came from. */
static void
test_own_copy (void)
{
  g_autoptr (GkvNode) node = start_local ("bytes");
  char buffer[] = "before";
  g_autoptr (GBytes) bytes = g_bytes_new_static (buffer, sizeof buffer);
  g_autoptr (GBytes) held = NULL;

  g_assert_true (gkv_node_set_bytes (node, "key", bytes, NULL));
  memcpy (buffer, "after!", sizeof buffer);
  held = gkv_node_get_bytes (node, "key", NULL);
  g_assert_cmpstr (g_bytes_get_data (held, NULL), ==, "before");
}

static void
test_cancelled (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  g_cancellable_cancel (cancellable);
  assert_refused (gkv_node_set_value (node, "key", g_variant_new_string ("x"), cancellable, error), G_IO_ERROR,
                  G_IO_ERROR_CANCELLED, "");
  assert_refused (gkv_node_get_value (node, "key", cancellable, error), G_IO_ERROR, G_IO_ERROR_CANCELLED, "");
  g_assert_false (gkv_node_contains (node, "key"));

  /* 22. A cancelled close closes all the same, and can be repeated. */
  gkv_node_close (node, cancellable, NULL);
  gkv_node_close (node, NULL, NULL);
  assert_refused (gkv_node_set_string (node, "key", "x", error), GKV_ERROR, GKV_ERROR_CLOSED, "");
}

/* Options */

static void
test_bad_options (void)
{
  const char *seeds[] = { "127.0.0.1:7000", NULL };
  const struct
  {
    const char *option;
    GkvNode *node;
    int code;
  } cases[] = {
    { "node-id", g_object_new (GKV_TYPE_NODE, "node-id", "", NULL), GKV_ERROR_INVALID_OPTION },
    { "cluster", g_object_new (GKV_TYPE_NODE, "cluster", "", NULL), GKV_ERROR_INVALID_OPTION },
    { "seeds", g_object_new (GKV_TYPE_NODE, "seeds", seeds, NULL), GKV_ERROR_INVALID_OPTION },
    { "nowhere", g_object_new (GKV_TYPE_NODE, "bind-address", "nowhere", NULL), GKV_ERROR_INVALID_ADDRESS },
    { "127.0.0.1", g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1", NULL), GKV_ERROR_INVALID_ADDRESS },
    { "127.0.0.1:66000", g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:66000", NULL),
      GKV_ERROR_INVALID_ADDRESS },
    { "[::1:0", g_object_new (GKV_TYPE_NODE, "bind-address", "[::1:0", NULL), GKV_ERROR_INVALID_ADDRESS },
    { ":", g_object_new (GKV_TYPE_NODE, "bind-address", ":", NULL), GKV_ERROR_INVALID_ADDRESS },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GkvNode) node = cases[i].node;

      assert_refused (gkv_node_start (node, NULL, error), GKV_ERROR, cases[i].code, cases[i].option);
    }
}

/* Addresses where no node can ever be: they are refused where they are given, before the start and after it. */
static void
test_impossible_addresses (void)
{
  const char *addresses[] = {
    "255.255.255.255:7", "224.0.0.1:7",        "239.255.255.255:7",          "0.0.0.0:7", "[::]:7",      "[ff02::1]:7",
    "[fe80::1]:7",       "[febf::1]:7",        "[::ffff:224.0.0.1]:7",       "a.b:0",     "127.0.0.1:0", "[::1]:0",
    "[ff02::1%1]:7",     "[::ffff:0.0.0.0]:7", "[::ffff:255.255.255.255]:7",
  };
  g_autoptr (GkvNode) started = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);

  g_assert_true (gkv_node_start (started, NULL, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      const char *seeds[] = { "127.0.0.1:7000", addresses[i], NULL };
      g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);
      g_autoptr (GkvNode) fresh = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);

      assert_refused (gkv_node_start (node, NULL, error), GKV_ERROR, GKV_ERROR_INVALID_ADDRESS, addresses[i]);
      assert_refused (gkv_node_start (node, NULL, error), GKV_ERROR, GKV_ERROR_INVALID_ADDRESS, "seeds");
      assert_refused (gkv_node_add_seed (fresh, addresses[i], error), GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
                      addresses[i]);
      assert_refused (gkv_node_add_seed (started, addresses[i], error), GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
                      addresses[i]);
      g_assert_cmpuint (g_strv_length ((GStrv) gkv_node_get_seeds (started)), ==, 0);

      /* Nor may a node give it out as its own. Which interface leads to it is another question at each peer. */
      if (g_str_has_prefix (addresses[i], "[fe"))
        continue;
      gkv_node_set_advertise_address (fresh, addresses[i]);
      assert_refused (gkv_node_start (fresh, NULL, error), GKV_ERROR, GKV_ERROR_INVALID_ADDRESS, "advertise-address");
    }
}

/* 18. Discovery without an address to be found at is no silence. */
static void
test_discovery_without_address (void)
{
  g_autoptr (GError) missing = NULL;
  g_autoptr (GkvDiscovery) discovery = gkv_discovery_new_for_name ("mdns", &missing);
  g_autoptr (GkvNode) node = NULL;

  g_assert_no_error (missing);
  node = g_object_new (GKV_TYPE_NODE, "discovery", discovery, NULL);
  assert_refused (gkv_node_start (node, NULL, error), GKV_ERROR, GKV_ERROR_INVALID_OPTION, "discovery");
}

/* A port that the system picks is this node's alone: the others behind a name aren't there. */
static void
test_dns_without_port (void)
{
  g_autoptr (GError) missing = NULL;
  g_autoptr (GkvDiscovery) discovery = gkv_discovery_new_for_name ("dns:nodes.invalid", &missing);
  g_autoptr (GkvNode) node = NULL;

  g_assert_no_error (missing);
  node = g_object_new (GKV_TYPE_NODE, "cluster", "c", "bind-address", "127.0.0.1:0", "discovery", discovery, NULL);
  assert_refused (gkv_node_start (node, NULL, error), GKV_ERROR, GKV_ERROR_DISCOVERY, "port");
}

static void
test_late_options (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);

  g_test_expect_message ("Gkv", G_LOG_LEVEL_WARNING, "*bind-address*");
  gkv_node_set_bind_address (node, "127.0.0.1:0");
  g_test_assert_expected_messages ();
  g_assert_null (gkv_node_get_bind_address (node));

  g_test_expect_message ("Gkv", G_LOG_LEVEL_WARNING, "*remembered-removals*");
  gkv_node_set_remembered_removals (node, 10);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (gkv_node_get_remembered_removals (node), ==, 4194304);

  gkv_node_set_gossip_interval (node, 700);
  g_assert_cmpuint (gkv_node_get_gossip_interval (node), ==, 700);
}

static void
test_start_twice (void)
{
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);
  g_autofree char *address = NULL;

  g_assert_true (gkv_node_start (node, NULL, NULL));
  address = g_strdup (gkv_node_get_local_address (node));
  gkv_node_start (node, NULL, NULL);
  g_assert_cmpstr (gkv_node_get_local_address (node), ==, address);
  gkv_node_close (node, NULL, NULL);
  assert_refused (gkv_node_start (node, NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
}

static void
test_random_id (void)
{
  g_autoptr (GkvNode) a = gkv_node_new ();
  g_autoptr (GkvNode) b = gkv_node_new ();

  g_assert_cmpuint (strlen (gkv_node_get_node_id (a)), ==, 16);
  g_assert_cmpuint (strspn (gkv_node_get_node_id (a), "0123456789abcdef"), ==, 16);
  g_assert_cmpstr (gkv_node_get_node_id (a), !=, gkv_node_get_node_id (b));
}

/* What is emitted */

static void
assert_emitted (GtSignalLogger *logger, GkvNode *node, const char *signal, const char *key, const char *value)
{
  g_autofree char *told = NULL;
  g_autofree char *origin = NULL;
  g_autoptr (GVariant) variant = NULL;

  gt_signal_logger_assert_emission_pop (logger, node, signal, &told, &variant, &origin);
  g_assert_cmpstr (origin, ==, gkv_node_get_node_id (node));
  g_assert_cmpstr (told, ==, key);
  g_assert_cmpstr (variant != NULL ? g_variant_get_string (variant, NULL) : NULL, ==, value);
}

static void
assert_changed (GtSignalLogger *logger, GkvNode *node, const char *key, const char *value)
{
  assert_emitted (logger, node, "changed", key, value);
}

static void
test_emissions (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();

  gt_signal_logger_connect (logger, node, "changed");

  /* Before the call returns, and once. */
  gkv_node_set_string (node, "a", "1", NULL);
  assert_changed (logger, node, "a", "1");
  gkv_node_set_string (node, "b", "2", NULL);
  gkv_node_set_string (node, "a", "3", NULL);
  assert_changed (logger, node, "b", "2");
  assert_changed (logger, node, "a", "3");

  /* What doesn't change what is seen is no change. */
  gkv_node_set_string (node, "a", "3", NULL);
  gt_signal_logger_assert_no_emissions (logger);

  gkv_node_remove (node, "a", NULL, NULL);
  assert_changed (logger, node, "a", NULL);
  gkv_node_remove (node, "a", NULL, NULL);
  gt_signal_logger_assert_no_emissions (logger);

  iterate_pending ();
  gt_signal_logger_assert_no_emissions (logger);
  gkv_node_close (node, NULL, NULL);
  gt_signal_logger_assert_no_emissions (logger);
}

static void
on_key_set_other (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  gkv_node_set_string (node, "other", "from the handler", NULL);
}

static void
test_details (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();

  gt_signal_logger_connect (logger, node, "changed::other");
  g_signal_connect (node, "changed::key", G_CALLBACK (on_key_set_other), NULL);
  gkv_node_set_string (node, "nobody's", "x", NULL);
  gt_signal_logger_assert_no_emissions (logger);
  gkv_node_set_string (node, "key", "x", NULL);
  assert_emitted (logger, node, "changed::other", "other", "from the handler");
  gt_signal_logger_assert_no_emissions (logger);
}

static gpointer
write_twice (gpointer node)
{
  gkv_node_set_string (node, "key", "first", NULL);
  gkv_node_set_string (node, "other", "x", NULL);
  gkv_node_set_string (node, "key", "last", NULL);
  return NULL;
}

/* From another thread: later, in the order written, once a key with its latest value. */
static void
test_emissions_from_thread (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();

  gt_signal_logger_connect (logger, node, "changed");
  g_thread_join (g_thread_new ("writer", write_twice, node));
  gt_signal_logger_assert_no_emissions (logger);
  iterate_pending ();
  assert_changed (logger, node, "key", "last");
  assert_changed (logger, node, "other", "x");
  gt_signal_logger_assert_no_emissions (logger);
}

static void
test_list (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GListModel) list = NULL;
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();
  g_autoptr (GkvEntry) first = NULL;
  guint position = 9, removed = 9, added = 9;

  gkv_node_set_string (node, "app/b", "1", NULL);
  gkv_node_set_string (node, "other", "1", NULL);
  list = gkv_node_list_entries (node, "app/");
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 1);

  gt_signal_logger_connect (logger, list, "items-changed");
  gkv_node_set_string (node, "app/a", "1", NULL);
  gt_signal_logger_assert_emission_pop (logger, list, "items-changed", &position, &removed, &added);
  g_assert_true (position == 0 && removed == 0 && added == 1);
  gkv_node_remove (node, "app/b", NULL, NULL);
  gt_signal_logger_assert_emission_pop (logger, list, "items-changed", &position, &removed, &added);
  g_assert_true (position == 1 && removed == 1 && added == 0);
  gkv_node_set_string (node, "another", "1", NULL);
  gt_signal_logger_assert_no_emissions (logger);

  first = g_list_model_get_item (list, 0);
  g_assert_cmpstr (gkv_entry_get_key (first), ==, "app/a");
}

static void
on_items_changed_write (GListModel *list, guint position, guint removed, guint added, gpointer user_data)
{
  GkvNode *node = user_data;

  if (!gkv_node_contains (node, "app/last"))
    {
      g_assert_true (gkv_node_set_string (node, "app/last", "x", NULL));
      g_assert_true (gkv_node_remove (node, "app/b", NULL, NULL));
      g_assert_true (gkv_node_set_string (node, "app/a", "x", NULL));
    }
}

static void
on_items_changed_copy (GListModel *list, guint position, guint removed, guint added, gpointer user_data)
{
  GPtrArray *copy = user_data;

  if (removed > 0)
    g_ptr_array_remove_range (copy, position, removed);
  for (guint i = position; i < position + added; i++)
    {
      g_autoptr (GkvEntry) entry = g_list_model_get_item (list, i);

      g_ptr_array_insert (copy, (int) i, g_strdup (gkv_entry_get_key (entry)));
    }
  g_assert_cmpuint (copy->len, ==, g_list_model_get_n_items (list));
}

/* A handler that changes the list once more doesn't confuse the handlers that are called after it: as GTK's widgets do,
 * they know the list by its signals alone. */
static void
test_list_changed_in_handler (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GListModel) list = gkv_node_list_entries (node, "app/");
  g_autoptr (GPtrArray) copy = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *keys = NULL;

  g_signal_connect (list, "items-changed", G_CALLBACK (on_items_changed_write), node);
  g_signal_connect (list, "items-changed", G_CALLBACK (on_items_changed_copy), copy);
  g_assert_true (gkv_node_set_string (node, "app/b", "x", NULL));
  iterate_pending ();

  g_ptr_array_add (copy, NULL);
  keys = g_strjoinv (" ", (char **) copy->pdata);
  g_assert_cmpstr (keys, ==, "app/a app/last");
}

/* It stays readable, what nobody has looked at before included. */
static void
test_list_outlives_node (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GListModel) list = gkv_node_list_entries (node, NULL);
  g_autoptr (GkvEntry) entry = NULL;

  g_assert_true (gkv_node_set_string (node, "key", "x", NULL));
  g_clear_object (&node);
  iterate_pending ();
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 1);
  entry = g_list_model_get_item (list, 0);
  g_assert_cmpstr (gkv_entry_get_key (entry), ==, "key");
  g_assert_cmpstr (gkv_entry_get_text (entry), ==, "'x'");
}

/* Ends */

static void
on_changed_drop (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  GkvNode **mine = user_data;

  g_clear_object (mine);
}

static void
test_drop_in_handler (void)
{
  GkvNode *node = start_local (NULL);
  GkvNode *gone = node;

  g_object_add_weak_pointer (G_OBJECT (node), (gpointer *) &gone);
  g_signal_connect (node, "changed", G_CALLBACK (on_changed_drop), &node);
  g_assert_true (gkv_node_set_string (gone, "key", "x", NULL));
  iterate_pending ();
  g_assert_null (node);
  g_assert_null (gone);
}

static void
on_changed_close (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  g_assert_true (gkv_node_close (node, NULL, NULL));
}

static void
test_close_in_handler (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);

  g_signal_connect (node, "changed", G_CALLBACK (on_changed_close), NULL);
  g_assert_true (gkv_node_set_string (node, "key", "x", NULL));
  assert_refused (gkv_node_set_string (node, "key", "y", error), GKV_ERROR, GKV_ERROR_CLOSED, "");
}

/* A node that isn't started can be given another codec, and the default one again. */
static void
test_another_codec (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GkvCodec) other = gkv_codec_new_for_name ("string", NULL);
  g_autoptr (GListModel) list = NULL;
  g_autoptr (GkvEntry) entry = NULL;
  g_autofree char *value = NULL;

  gkv_node_set_string (node, "key", "x", NULL);
  gkv_node_set_codec (node, NULL);
  list = gkv_node_list_entries (node, NULL);
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 1);
  entry = g_list_model_get_item (list, 0);
  g_assert_cmpstr (g_variant_get_string (gkv_entry_get_value (entry), NULL), ==, "x");
  value = gkv_node_get_string (node, "key", NULL);
  g_assert_cmpstr (value, ==, "x");

  gkv_node_set_codec (node, other);
  assert_refused (gkv_node_get_value (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_CODEC, "string");
}

/* What was read is kept, but nothing is read that isn't so any more, though the main loop hasn't run since. */
static void
test_reread (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GVariant) value = NULL;

  for (gint64 i = 0; i < 10; i++)
    {
      gkv_node_set_int64 (node, "key", i, NULL);
      g_assert_cmpint (gkv_node_get_int64 (node, "key", 0), ==, i);
      g_assert_cmpint (gkv_node_get_int64 (node, "key", 0), ==, i);
    }
  gkv_node_remove (node, "key", NULL, NULL);
  assert_refused (gkv_node_get_value (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_NOT_FOUND, "key");

  gkv_node_set_value_full (node, "key", g_variant_new_int64 (10), GKV_SET_NONE, 50 * 1000, NULL, NULL);
  value = gkv_node_lookup (node, "key");
  g_usleep (60 * 1000);
  assert_refused (gkv_node_get_value (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_NOT_FOUND, "key");
  g_assert_false (gkv_node_contains (node, "key"));
}

static void
test_after_close (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_auto (GStrv) keys = NULL;

  gkv_node_set_string (node, "key", "x", NULL);
  gkv_node_close (node, NULL, NULL);
  assert_refused (gkv_node_set_int64 (node, "key", 1, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
  assert_refused (gkv_node_get_value (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
  assert_refused (gkv_node_remove (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
  assert_refused (gkv_node_add_seed (node, "127.0.0.1:1", error), GKV_ERROR, GKV_ERROR_CLOSED, "");
  g_assert_null (gkv_node_lookup (node, "key"));
  g_assert_false (gkv_node_contains (node, "key"));
  keys = gkv_node_list_keys (node, NULL);
  g_assert_cmpuint (g_strv_length (keys), ==, 0);
}

static void
on_error (GkvNode *node, GError *error, gpointer user_data)
{
  GError **place = user_data;

  g_clear_error (place);
  *place = g_error_copy (error);
}

/* Until it is started a node may be given another codec: also between a write and telling of it. */
static void
test_change_codec (void)
{
  g_autoptr (GkvCodec) other = gkv_codec_new_for_name ("string", NULL);
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "codec", other, NULL);
  g_autoptr (GListModel) list G_GNUC_UNUSED = gkv_node_list_entries (node, NULL);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();
  g_autoptr (GError) told = NULL;
  g_autofree char *value = NULL;

  g_signal_connect (node, "error", G_CALLBACK (on_error), &told);
  gt_signal_logger_connect (logger, node, "changed");
  g_thread_join (g_thread_new ("writer", write_twice, node));
  gkv_node_set_codec (node, NULL);
  iterate_pending ();
  gt_signal_logger_assert_no_emissions (logger);
  g_assert_error (told, GKV_ERROR, GKV_ERROR_CODEC);
  g_assert_nonnull (strstr (told->message, "\"string\""));

  assert_refused (gkv_node_get_value (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_CODEC, "\"string\"");
  g_assert_true (gkv_node_set_string (node, "key", "x", NULL));
  value = gkv_node_get_string (node, "key", NULL);
  g_assert_cmpstr (value, ==, "x");
}

static void
test_set_full (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  GVariant *value = g_variant_ref_sink (g_variant_new_string ("x"));

  g_assert_true (gkv_node_set_value_full (node, "key", value, GKV_SET_CREATE, 0, NULL, NULL));
  assert_refused (gkv_node_set_value_full (node, "key", value, GKV_SET_CREATE, 0, NULL, error), GKV_ERROR,
                  GKV_ERROR_EXISTS, "key");
  assert_refused (gkv_node_set_value_full (node, "key", value, GKV_SET_NONE, -1, NULL, error), GKV_ERROR,
                  GKV_ERROR_INVALID_VALUE, "negative");

  g_assert_true (gkv_node_remove (node, "key", NULL, NULL));
  g_assert_true (gkv_node_set_value_full (node, "key", value, GKV_SET_CREATE, 30000, NULL, NULL));
  g_usleep (40000);
  g_assert_true (gkv_node_set_value_full (node, "key", value, GKV_SET_CREATE, 0, NULL, NULL));
  g_variant_unref (value);
}

static void
test_compare_and_set (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GkvNode) texts = start_local ("string");

  /* NULL is "absent", and both NULL only looks. */
  g_assert_true (gkv_node_compare_and_set (node, "key", NULL, NULL, 0, 0, NULL, NULL));
  g_assert_true (gkv_node_compare_and_set (node, "key", NULL, g_variant_new_int64 (1), 0, 0, NULL, NULL));
  assert_refused (gkv_node_compare_and_set (node, "key", NULL, g_variant_new_int64 (2), 0, 0, NULL, error), GKV_ERROR,
                  GKV_ERROR_MISMATCH, "key");
  assert_refused (gkv_node_compare_and_set (node, "key", NULL, NULL, 0, 0, NULL, error), GKV_ERROR, GKV_ERROR_MISMATCH,
                  "key");

  /* Types count. */
  assert_refused (gkv_node_compare_and_set (node, "key", g_variant_new_int32 (1), g_variant_new_int64 (2), 0, 0, NULL,
                                            error),
                  GKV_ERROR, GKV_ERROR_MISMATCH, "key");
  g_assert_true (
      gkv_node_compare_and_set (node, "key", g_variant_new_int64 (1), g_variant_new_int64 (2), 0, 0, NULL, NULL));
  g_assert_cmpint (gkv_node_get_int64 (node, "key", 0), ==, 2);

  /* NULL removes. */
  g_assert_true (gkv_node_compare_and_set (node, "key", g_variant_new_int64 (2), NULL, 0, 0, NULL, NULL));
  g_assert_false (gkv_node_contains (node, "key"));
  assert_refused (gkv_node_compare_and_set (node, "key", g_variant_new_int64 (2), NULL, 0, 0, NULL, error), GKV_ERROR,
                  GKV_ERROR_MISMATCH, "isn't there");

  /* What can't be written is refused before anything is compared. */
  assert_refused (gkv_node_compare_and_set (texts, "key", NULL, g_variant_new_int64 (1), 0, 0, NULL, error), GKV_ERROR,
                  GKV_ERROR_CODEC, "string");
}

typedef struct
{
  GkvNode *node;
  int n_done; /* atomic */
} Counting;

#define N_INCREMENTS 2000

static gpointer
increment (gpointer user_data)
{
  Counting *counting = user_data;

  for (guint i = 0; i < N_INCREMENTS;)
    {
      gint64 old = gkv_node_get_int64 (counting->node, "n", 0);

      i += gkv_node_compare_and_set (counting->node, "n", g_variant_new_int64 (old), g_variant_new_int64 (old + 1), 0,
                                     0, NULL, NULL);
    }

  return NULL;
}

/* Against this process it is atomic. */
static void
test_compare_and_set_in_threads (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  Counting counting = { node, 0 };
  GThread *threads[4];

  gkv_node_set_int64 (node, "n", 0, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("increment", increment, &counting);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  g_assert_cmpint (gkv_node_get_int64 (node, "n", 0), ==, N_INCREMENTS * G_N_ELEMENTS (threads));
}

static void
test_set_values (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();

  gkv_node_set_string (node, "gone", "x", NULL);
  gt_signal_logger_connect (logger, node, "changed");

  assert_refused (gkv_node_set_values (node, g_variant_new_parsed ("@a{smv} {'a': just <'1'>, '': just <'2'>}"), 0, 0,
                                       NULL, error),
                  GKV_ERROR, GKV_ERROR_INVALID_KEY, "empty");
  g_assert_false (gkv_node_contains (node, "a"));
  assert_refused (gkv_node_set_values (node, g_variant_new_parsed ("@a{smv} {'a': just <'1'>, 'gone': just <'2'>}"),
                                       GKV_SET_CREATE, 0, NULL, error),
                  GKV_ERROR, GKV_ERROR_EXISTS, "gone");
  g_assert_false (gkv_node_contains (node, "a"));
  assert_refused (gkv_node_set_values (node, g_variant_new_parsed ("{'a': 1}"), 0, 0, NULL, error), GKV_ERROR,
                  GKV_ERROR_INVALID_VALUE, "a{smv}");

  g_assert_true (
      gkv_node_set_values (node,
                           g_variant_new_parsed (
                               "@a{smv} {'a': just <'1'>, 'gone': nothing, 'never': nothing, 'b': just <'2'>}"),
                           0, 0, NULL, NULL));
  assert_changed (logger, node, "a", "1");
  assert_changed (logger, node, "gone", NULL);
  assert_changed (logger, node, "b", "2");
  gt_signal_logger_assert_no_emissions (logger);
}

typedef struct
{
  GString *seen;
  guint id; /* to be ended at the next call; 0: none */
} Watching;

static void
on_watched (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  Watching *watching = user_data;

  g_assert_cmpstr (origin, ==, gkv_node_get_node_id (node));
  g_string_append_printf (watching->seen, "%s=%s ", key, value != NULL ? g_variant_get_string (value, NULL) : "-");
  if (watching->id != 0)
    gkv_node_unwatch (node, watching->id);
}

static void
on_watch_ended (gpointer user_data)
{
  g_string_append (((Watching *) user_data)->seen, "ended");
}

static void
assert_seen (Watching *watching, const char *seen)
{
  g_assert_cmpstr (watching->seen->str, ==, seen);
  g_string_truncate (watching->seen, 0);
}

static void
run_pending (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
test_watch (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  Watching some = { g_string_new (NULL), 0 };
  Watching all = { g_string_new (NULL), 0 };
  guint id;

  gkv_node_set_string (node, "w/b", "1", NULL);
  gkv_node_set_string (node, "w/a", "1", NULL);
  gkv_node_set_string (node, "x", "1", NULL);
  id = gkv_node_watch (node, "w/", GKV_WATCH_INITIAL, on_watched, &some, on_watch_ended);
  g_assert_cmpuint (gkv_node_watch (node, NULL, 0, on_watched, &all, NULL), !=, 0);
  assert_seen (&some, "");

  /* A key that is still to come is reported once, with what it is then. */
  gkv_node_set_string (node, "w/b", "2", NULL);
  gkv_node_set_string (node, "w/c", "1", NULL);
  assert_seen (&some, "");
  run_pending ();
  assert_seen (&some, "w/a=1 w/b=2 w/c=1 ");
  assert_seen (&all, "w/b=2 w/c=1 ");

  gkv_node_set_string (node, "w/a", "3", NULL);
  gkv_node_set_string (node, "x", "3", NULL);
  gkv_node_remove (node, "w/c", NULL, NULL);
  assert_seen (&some, "w/a=3 w/c=- ");
  assert_seen (&all, "w/a=3 x=3 w/c=- ");

  some.id = id;
  gkv_node_set_string (node, "w/a", "4", NULL);
  assert_seen (&some, "w/a=4 ended");
  gkv_node_set_string (node, "w/a", "5", NULL);
  assert_seen (&some, "");

  g_string_free (some.seen, TRUE);
  g_string_free (all.seen, TRUE);
}

#define CHAIN 20000

typedef struct
{
  GkvNode *node;
  guint n;
} Chain;

static void
go_on (Chain *chain)
{
  g_autofree char *next = g_strdup_printf ("key-%u", ++chain->n);

  if (chain->n < CHAIN)
    gkv_node_set_int64 (chain->node, next, chain->n, NULL);
}

static void
on_chain (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  go_on (user_data);
}

static void
on_chain_items (GListModel *list, guint position, guint removed, guint added, gpointer user_data)
{
  go_on (user_data);
}

static void
on_chain_removed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  Chain *chain = user_data;
  g_autofree char *next = g_strdup_printf ("key-%u", ++chain->n);

  gkv_node_remove (node, next, NULL, NULL);
}

/* A handler that sets the next key, again and again, doesn't eat the stack; nor does one that removes it, and a watch
 * or a list in place of the handler. */
static void
test_chain_of_handlers (gconstpointer how)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GListModel) list = NULL;
  Chain chain = { node, 0 };

  if (g_str_equal (how, "watch"))
    {
      gkv_node_watch (node, "key-", GKV_WATCH_NONE, on_chain, &chain, NULL);
    }
  else if (g_str_equal (how, "list"))
    {
      list = gkv_node_list_entries (node, "key-");
      g_signal_connect (list, "items-changed", G_CALLBACK (on_chain_items), &chain);
    }
  else
    {
      g_signal_connect (node, "changed", G_CALLBACK (on_chain), &chain);
    }

  gkv_node_set_int64 (node, "key-0", 0, NULL);
  while (chain.n < CHAIN)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, CHAIN);

  if (list != NULL)
    g_signal_handlers_disconnect_by_data (list, &chain);
  if (!g_str_equal (how, "changed"))
    return;

  g_signal_handlers_disconnect_by_data (node, &chain);
  chain.n = 0;
  g_signal_connect (node, "changed", G_CALLBACK (on_chain_removed), &chain);
  gkv_node_remove (node, "key-0", NULL, NULL);
  while (chain.n < CHAIN)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/alone/bad-keys", test_bad_keys);
  g_test_add_func ("/alone/bad-values", test_bad_values);
  g_test_add_func ("/alone/own-copy", test_own_copy);
  g_test_add_func ("/alone/cancelled", test_cancelled);
  g_test_add_func ("/alone/bad-options", test_bad_options);
  g_test_add_func ("/alone/impossible-addresses", test_impossible_addresses);
  g_test_add_func ("/alone/discovery-without-address", test_discovery_without_address);
  g_test_add_func ("/alone/dns-without-port", test_dns_without_port);
  g_test_add_func ("/alone/late-options", test_late_options);
  g_test_add_func ("/alone/start-twice", test_start_twice);
  g_test_add_func ("/alone/random-id", test_random_id);
  g_test_add_func ("/alone/emissions", test_emissions);
  g_test_add_func ("/alone/details", test_details);
  g_test_add_func ("/alone/emissions-from-thread", test_emissions_from_thread);
  g_test_add_func ("/alone/list", test_list);
  g_test_add_func ("/alone/list-changed-in-handler", test_list_changed_in_handler);
  g_test_add_func ("/alone/list-outlives-node", test_list_outlives_node);
  g_test_add_func ("/alone/drop-in-handler", test_drop_in_handler);
  g_test_add_func ("/alone/close-in-handler", test_close_in_handler);
  g_test_add_func ("/alone/another-codec", test_another_codec);
  g_test_add_func ("/alone/reread", test_reread);
  g_test_add_func ("/alone/after-close", test_after_close);
  g_test_add_func ("/alone/change-codec", test_change_codec);

  g_test_add_func ("/alone/set-full", test_set_full);
  g_test_add_func ("/alone/compare-and-set", test_compare_and_set);
  g_test_add_func ("/alone/compare-and-set-in-threads", test_compare_and_set_in_threads);
  g_test_add_func ("/alone/set-values", test_set_values);
  g_test_add_func ("/alone/watch", test_watch);
  g_test_add_data_func ("/alone/chain-of-handlers/changed", "changed", test_chain_of_handlers);
  g_test_add_data_func ("/alone/chain-of-handlers/watch", "watch", test_chain_of_handlers);
  g_test_add_data_func ("/alone/chain-of-handlers/list", "list", test_chain_of_handlers);

  return g_test_run ();
}
