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

  assert_refused (gkv_node_set_string (node, "", "x", NULL, error), GKV_ERROR, GKV_ERROR_INVALID_KEY, "empty");
  assert_refused (gkv_node_set_string (node, too_long, "x", NULL, error), GKV_ERROR, GKV_ERROR_TOO_LARGE, "1024");
  assert_refused (gkv_node_set_string (node, "\xff", "x", NULL, error), GKV_ERROR, GKV_ERROR_INVALID_KEY, "UTF-8");
  assert_refused (gkv_node_get_value (node, "nothing", NULL, error), GKV_ERROR, GKV_ERROR_NOT_FOUND, "nothing");
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 0);

  g_assert_true (gkv_node_set_string (node, longest, "x", NULL, NULL));
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

  g_assert_true (gkv_node_set_bytes (node, "key", largest, NULL, NULL));
  assert_refused (gkv_node_set_bytes (node, "key", too_large, NULL, error), GKV_ERROR, GKV_ERROR_TOO_LARGE, "key");
  held = gkv_node_get_bytes (node, "key", NULL, NULL);
  g_assert_true (g_bytes_equal (held, largest));

  /* 6. What can't be encoded is refused by set, and what was there stays. */
  g_assert_true (gkv_node_set_string (texts, "key", "x", NULL, NULL));
  assert_refused (gkv_node_set_int64 (texts, "key", 1, NULL, error), GKV_ERROR, GKV_ERROR_CODEC, "string");
  assert_refused (gkv_node_get_int64 (texts, "key", NULL, error), GKV_ERROR, GKV_ERROR_WRONG_TYPE, "\"s\"");
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

  g_assert_true (gkv_node_set_bytes (node, "key", bytes, NULL, NULL));
  memcpy (buffer, "after!", sizeof buffer);
  held = gkv_node_get_bytes (node, "key", NULL, NULL);
  g_assert_cmpstr (g_bytes_get_data (held, NULL), ==, "before");
}

static void
test_cancelled (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  g_cancellable_cancel (cancellable);
  assert_refused (gkv_node_set_string (node, "key", "x", cancellable, error), G_IO_ERROR, G_IO_ERROR_CANCELLED, "");
  assert_refused (gkv_node_get_value (node, "key", cancellable, error), G_IO_ERROR, G_IO_ERROR_CANCELLED, "");
  g_assert_false (gkv_node_contains (node, "key"));

  /* 22. A cancelled close closes all the same, and can be repeated. */
  gkv_node_close (node, cancellable, NULL);
  gkv_node_close (node, NULL, NULL);
  assert_refused (gkv_node_set_string (node, "key", "x", NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
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

static void
test_late_options (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);

  g_test_expect_message ("Gkv", G_LOG_LEVEL_WARNING, "*bind-address*");
  gkv_node_set_bind_address (node, "127.0.0.1:0");
  g_test_assert_expected_messages ();
  g_assert_null (gkv_node_get_bind_address (node));

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
  g_autoptr (GVariant) variant = NULL;

  gt_signal_logger_assert_emission_pop (logger, node, signal, &told, &variant);
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
  gkv_node_set_string (node, "a", "1", NULL, NULL);
  assert_changed (logger, node, "a", "1");
  gkv_node_set_string (node, "b", "2", NULL, NULL);
  gkv_node_set_string (node, "a", "3", NULL, NULL);
  assert_changed (logger, node, "b", "2");
  assert_changed (logger, node, "a", "3");

  /* What doesn't change what is seen is no change. */
  gkv_node_set_string (node, "a", "3", NULL, NULL);
  gt_signal_logger_assert_no_emissions (logger);

  gkv_node_delete (node, "a", NULL, NULL);
  assert_changed (logger, node, "a", NULL);
  gkv_node_delete (node, "a", NULL, NULL);
  gt_signal_logger_assert_no_emissions (logger);

  iterate_pending ();
  gt_signal_logger_assert_no_emissions (logger);
  gkv_node_close (node, NULL, NULL);
  gt_signal_logger_assert_no_emissions (logger);
}

static void
on_key_set_other (GkvNode *node, const char *key, GVariant *value, gpointer user_data)
{
  gkv_node_set_string (node, "other", "from the handler", NULL, NULL);
}

static void
test_details (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();

  gt_signal_logger_connect (logger, node, "changed::other");
  g_signal_connect (node, "changed::key", G_CALLBACK (on_key_set_other), NULL);
  gkv_node_set_string (node, "nobody's", "x", NULL, NULL);
  gt_signal_logger_assert_no_emissions (logger);
  gkv_node_set_string (node, "key", "x", NULL, NULL);
  assert_emitted (logger, node, "changed::other", "other", "from the handler");
  gt_signal_logger_assert_no_emissions (logger);
}

static gpointer
write_twice (gpointer node)
{
  gkv_node_set_string (node, "key", "first", NULL, NULL);
  gkv_node_set_string (node, "other", "x", NULL, NULL);
  gkv_node_set_string (node, "key", "last", NULL, NULL);
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

  gkv_node_set_string (node, "app/b", "1", NULL, NULL);
  gkv_node_set_string (node, "other", "1", NULL, NULL);
  list = gkv_node_list (node, "app/");
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 1);

  gt_signal_logger_connect (logger, list, "items-changed");
  gkv_node_set_string (node, "app/a", "1", NULL, NULL);
  gt_signal_logger_assert_emission_pop (logger, list, "items-changed", &position, &removed, &added);
  g_assert_true (position == 0 && removed == 0 && added == 1);
  gkv_node_delete (node, "app/b", NULL, NULL);
  gt_signal_logger_assert_emission_pop (logger, list, "items-changed", &position, &removed, &added);
  g_assert_true (position == 1 && removed == 1 && added == 0);
  gkv_node_set_string (node, "another", "1", NULL, NULL);
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
      g_assert_true (gkv_node_set_string (node, "app/last", "x", NULL, NULL));
      g_assert_true (gkv_node_delete (node, "app/b", NULL, NULL));
      g_assert_true (gkv_node_set_string (node, "app/a", "x", NULL, NULL));
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
  g_autoptr (GListModel) list = gkv_node_list (node, "app/");
  g_autoptr (GPtrArray) copy = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *keys = NULL;

  g_signal_connect (list, "items-changed", G_CALLBACK (on_items_changed_write), node);
  g_signal_connect (list, "items-changed", G_CALLBACK (on_items_changed_copy), copy);
  g_assert_true (gkv_node_set_string (node, "app/b", "x", NULL, NULL));
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
  g_autoptr (GListModel) list = gkv_node_list (node, NULL);
  g_autoptr (GkvEntry) entry = NULL;

  g_assert_true (gkv_node_set_string (node, "key", "x", NULL, NULL));
  g_clear_object (&node);
  iterate_pending ();
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 1);
  entry = g_list_model_get_item (list, 0);
  g_assert_cmpstr (gkv_entry_get_key (entry), ==, "key");
  g_assert_cmpstr (gkv_entry_get_text (entry), ==, "'x'");
}

/* Ends */

static void
on_changed_drop (GkvNode *node, const char *key, GVariant *value, gpointer user_data)
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
  g_assert_true (gkv_node_set_string (gone, "key", "x", NULL, NULL));
  iterate_pending ();
  g_assert_null (node);
  g_assert_null (gone);
}

static void
on_changed_close (GkvNode *node, const char *key, GVariant *value, gpointer user_data)
{
  g_assert_true (gkv_node_close (node, NULL, NULL));
}

static void
test_close_in_handler (void)
{
  g_autoptr (GkvNode) node = start_local (NULL);

  g_signal_connect (node, "changed", G_CALLBACK (on_changed_close), NULL);
  g_assert_true (gkv_node_set_string (node, "key", "x", NULL, NULL));
  assert_refused (gkv_node_set_string (node, "key", "y", NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
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

  gkv_node_set_string (node, "key", "x", NULL, NULL);
  gkv_node_set_codec (node, NULL);
  list = gkv_node_list (node, NULL);
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 1);
  entry = g_list_model_get_item (list, 0);
  g_assert_cmpstr (g_variant_get_string (gkv_entry_get_value (entry), NULL), ==, "x");
  value = gkv_node_get_string (node, "key", NULL, NULL);
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
      gkv_node_set_int64 (node, "key", i, NULL, NULL);
      g_assert_cmpint (gkv_node_get_int64 (node, "key", NULL, NULL), ==, i);
      g_assert_cmpint (gkv_node_get_int64 (node, "key", NULL, NULL), ==, i);
    }
  gkv_node_delete (node, "key", NULL, NULL);
  assert_refused (gkv_node_get_value (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_NOT_FOUND, "key");

  gkv_node_set_value_with_ttl (node, "key", g_variant_new_int64 (10), 50, NULL, NULL);
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

  gkv_node_set_string (node, "key", "x", NULL, NULL);
  gkv_node_close (node, NULL, NULL);
  assert_refused (gkv_node_set_int64 (node, "key", 1, NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
  assert_refused (gkv_node_get_value (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
  assert_refused (gkv_node_delete (node, "key", NULL, error), GKV_ERROR, GKV_ERROR_CLOSED, "");
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
  g_autoptr (GListModel) list G_GNUC_UNUSED = gkv_node_list (node, NULL);
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
  g_assert_true (gkv_node_set_string (node, "key", "x", NULL, NULL));
  value = gkv_node_get_string (node, "key", NULL, NULL);
  g_assert_cmpstr (value, ==, "x");
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
  g_test_add_func ("/alone/discovery-without-address", test_discovery_without_address);
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

  return g_test_run ();
}
