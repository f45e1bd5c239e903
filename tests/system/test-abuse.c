/* A node in the hands of a program that does what it may, at the worst moment.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
iterate_pending (void)
{
  for (guint i = 0; i < 20; i++)
    g_main_context_iteration (NULL, FALSE);
}

typedef struct
{
  GkvNode *node;
  const char *key;
  const char *value;
} ThreadWrite;

static gpointer
write_in_thread (gpointer data)
{
  ThreadWrite *write = data;

  g_assert_true (gkv_node_set_string (write->node, write->key, write->value, NULL));

  return NULL;
}

static void
set_in_thread (GkvNode *node, const char *key, const char *value)
{
  ThreadWrite write = { node, key, value };

  g_thread_join (g_thread_new ("writer", write_in_thread, &write));
}

/* What was emitted, as "key=value ". */
static void
note_change (GkvNode *node, const char *key, GVariant *value, const char *origin, GString *noted)
{
  g_string_append_printf (noted, "%s=%s ", key, value != NULL ? g_variant_get_string (value, NULL) : "");
}

/* Orders */

/* Sets "b" when "a" changes. */
static void
set_other (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer data)
{
  g_assert_true (gkv_node_set_string (node, "b", "newer", NULL));
}

/* Has another thread set "b" when "a" changes, and runs the main context. */
static void
set_other_in_thread (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer data)
{
  set_in_thread (node, "b", "newer");
  iterate_pending ();
}

/* A handler that writes a key whose own change of the same set_values () is yet to be emitted: nobody is told of the
 * older value after the newer. */
static void
test_values_order (gconstpointer data)
{
  gboolean in_thread = GPOINTER_TO_INT (data);
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GString) noted = g_string_new (NULL);
  GVariantBuilder values = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{smv}"));

  g_signal_connect (node, "changed::a", G_CALLBACK (in_thread ? set_other_in_thread : set_other), NULL);
  g_signal_connect (node, "changed::b", G_CALLBACK (note_change), noted);

  g_variant_builder_add (&values, "{smv}", "a", g_variant_new_string ("older"));
  g_variant_builder_add (&values, "{smv}", "b", g_variant_new_string ("older"));
  g_assert_true (gkv_node_set_values (node, g_variant_builder_end (&values), GKV_SET_NONE, 0, NULL, NULL));
  iterate_pending ();

  g_assert_cmpstr (noted->str, ==, "b=newer ");
}

typedef struct
{
  GkvNode *node;
  guint n_calls;
  gboolean in_thread;
} Rewriter;

static void
rewrite (GListModel *list, guint position, guint removed, guint added, Rewriter *self)
{
  if (self->n_calls++ > 0)
    return;

  if (self->in_thread)
    {
      set_in_thread (self->node, "key", "newer");
      iterate_pending ();
    }
  else
    {
      g_assert_true (gkv_node_set_string (self->node, "key", "newer", NULL));
    }
}

static char *
read_list (GListModel *list, guint position)
{
  g_autoptr (GkvEntry) entry = g_list_model_get_item (list, position);

  return g_variant_dup_string (gkv_entry_get_value (entry), NULL);
}

/* A handler of a list changes the key again, while other lists don't have the older change yet. */
static void
test_lists_order (gconstpointer data)
{
  static const char *const prefixes[] = { "", "k", "ke", "key" };
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GString) noted = g_string_new (NULL);
  g_autoptr (GPtrArray) lists = g_ptr_array_new_with_free_func (g_object_unref);
  Rewriter rewriter = { node, 0, GPOINTER_TO_INT (data) };

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    {
      g_ptr_array_add (lists, gkv_node_list_entries (node, prefixes[i]));
      g_signal_connect (lists->pdata[i], "items-changed", G_CALLBACK (rewrite), &rewriter);
    }
  g_signal_connect (node, "changed", G_CALLBACK (note_change), noted);

  g_assert_true (gkv_node_set_string (node, "key", "older", NULL));
  iterate_pending ();

  g_assert_true (g_str_has_suffix (noted->str, "key=newer "));
  g_assert_null (strstr (noted->str, "newer key=older"));
  for (guint i = 0; i < lists->len; i++)
    {
      g_autofree char *value = read_list (lists->pdata[i], 0);

      g_assert_cmpstr (value, ==, "newer");
    }
}

/* Handlers that are blocked, or that come later */

/* The usual way not to be called for one's own writes: what others wrote is still to come. */
static void
test_blocked_handler (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GString) noted = g_string_new (NULL);
  gulong handler = g_signal_connect (node, "changed", G_CALLBACK (note_change), noted);

  set_in_thread (node, "theirs", "value");
  g_signal_handler_block (node, handler);
  g_assert_true (gkv_node_set_string (node, "own", "value", NULL));
  g_signal_handler_unblock (node, handler);
  iterate_pending ();

  g_assert_cmpstr (noted->str, ==, "theirs=value ");
}

typedef struct
{
  GString *noted;
  gulong handler;
} Leaver;

/* Leaves, writes the last key, and comes back. */
static void
leave_and_come (GkvNode *node, const char *key, GVariant *value, const char *origin, Leaver *self)
{
  g_signal_handler_disconnect (node, self->handler);
  g_assert_true (gkv_node_set_string (node, "b", "newer", NULL));
  g_signal_connect (node, "changed", G_CALLBACK (note_change), self->noted);
}

/* Nobody listened while a key was written: its older change, which was to come next, doesn't come any more. */
static void
test_absent_handler (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GString) noted = g_string_new (NULL);
  Leaver leaver = { noted, 0 };

  leaver.handler = g_signal_connect (node, "changed", G_CALLBACK (leave_and_come), &leaver);
  set_in_thread (node, "a", "older");
  set_in_thread (node, "b", "older");
  iterate_pending ();

  g_assert_null (strstr (noted->str, "b=older"));
}

/* Extremes */

static void
test_long_lives (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GkvEntry) entry = NULL;
  static const GTimeSpan lifetimes[] = { G_MAXINT64, G_MAXINT64 - 1, G_MAXINT64 / 2, G_MAXINT64 / 1000 };

  for (guint i = 0; i < G_N_ELEMENTS (lifetimes); i++)
    {
      g_assert_true (gkv_node_set_value_full (node, "key", g_variant_new_string ("value"), GKV_SET_NONE, lifetimes[i],
                                              NULL, NULL));
      iterate_pending ();
      g_assert_true (gkv_node_contains (node, "key"));
      g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 1);
      g_clear_object (&entry);
      entry = gkv_node_get_entry (node, "key");
      g_assert_nonnull (entry);
    }

  g_assert_true (gkv_node_set_value_full (node, "key", g_variant_new_string ("value"), GKV_SET_NONE, 1, NULL, NULL));
  g_usleep (1000);
  g_assert_false (gkv_node_contains (node, "key"));
}

/* A dictionary may have a key twice. All or nothing is written. */
static void
test_values_twice (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GError) error = NULL;
  GVariantBuilder values = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{smv}"));

  g_variant_builder_add (&values, "{smv}", "a", g_variant_new_string ("first"));
  g_variant_builder_add (&values, "{smv}", "a", g_variant_new_string ("second"));
  g_assert_false (gkv_node_set_values (node, g_variant_builder_end (&values), GKV_SET_CREATE, 0, NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE);
  g_assert_nonnull (strstr (error->message, "\"a\""));
  g_assert_false (gkv_node_contains (node, "a"));
}

/* Starts that fail */

/* What was written before a start that fails ends in time. */
static void
test_lease_after_failed_start (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  g_autoptr (GkvNode) other = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);
  g_autoptr (GkvNode) node = NULL;
  g_autoptr (GString) noted = g_string_new (NULL);

  g_assert_true (gkv_node_start (other, NULL, NULL));
  node = g_object_new (GKV_TYPE_NODE, "bind-address", gkv_node_get_local_address (other), "network-thread",
                       network_thread, NULL);
  g_assert_true (gkv_node_set_value_full (node, "lease", g_variant_new_string ("value"), GKV_SET_NONE,
                                          200 * G_TIME_SPAN_MILLISECOND, NULL, NULL));
  g_signal_connect (node, "changed", G_CALLBACK (note_change), noted);
  g_assert_false (gkv_node_start (node, NULL, NULL));

  while (noted->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (noted->str, ==, "lease= ");
}

static void
note_result (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  gkv_node_start_finish (GKV_NODE (source), result, &error);
  g_assert_no_error (error);
  *(gboolean *) data = TRUE;
}

/* A seed that is added while the node opens is greeted. */
static void
test_seed_while_starting (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  g_autoptr (GkvNode) seed = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);
  g_autoptr (GkvNode) node =
      g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "network-thread", network_thread, NULL);
  g_autoptr (GListModel) peers = g_object_ref (gkv_node_get_peers (node));
  gboolean started = FALSE;

  g_assert_true (gkv_node_start (seed, NULL, NULL));
  gkv_node_start_async (node, NULL, note_result, &started);
  g_assert_true (gkv_node_add_seed (node, gkv_node_get_local_address (seed), NULL));

  while (!started || g_list_model_get_n_items (peers) == 0)
    g_main_context_iteration (NULL, TRUE);
}

/* Closes the peer as soon as it is in the list, and runs the main context. */
static void
close_peer (GListModel *peers, guint position, guint removed, guint added, GkvNode **peer)
{
  GkvNode *closed = g_steal_pointer (peer);
  gint64 until = g_get_monotonic_time () + 300 * G_TIME_SPAN_MILLISECOND;

  if (closed == NULL)
    return;

  gkv_node_close (closed, NULL, NULL);
  g_object_unref (closed);
  while (g_get_monotonic_time () < until)
    g_main_context_iteration (NULL, FALSE);
}

static void
note_added (GkvNode *node, GkvPeer *peer, GString *noted)
{
  g_string_append (noted, "added ");
}

static void
note_removed (GkvNode *node, GkvPeer *peer, GString *noted)
{
  g_string_append (noted, "removed ");
}

/* A peer is added before it is removed, also where it leaves while the list of peers emits. */
static void
test_peer_order (void)
{
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);
  g_autoptr (GString) noted = g_string_new (NULL);
  GkvNode *peer = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);

  g_signal_connect (gkv_node_get_peers (node), "items-changed", G_CALLBACK (close_peer), &peer);
  g_signal_connect (node, "peer-added", G_CALLBACK (note_added), noted);
  g_signal_connect (node, "peer-removed", G_CALLBACK (note_removed), noted);
  g_assert_true (gkv_node_start (node, NULL, NULL));
  g_assert_true (gkv_node_add_seed (peer, gkv_node_get_local_address (node), NULL));
  g_assert_true (gkv_node_start (peer, NULL, NULL));

  while (strstr (noted->str, "added") == NULL || strstr (noted->str, "removed") == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (noted->str, ==, "added removed ");
}

/* Threads */

static void
ignore_change (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer data)
{
}

static gpointer
close_in_thread (gpointer data)
{
  gkv_node_close (data, NULL, NULL);

  return NULL;
}

/* Another thread closes the node while its own begins and ends watches, and these are called. */
static void
test_close_among_watches (void)
{
  for (guint i = 0; i < 300; i++)
    {
      g_autoptr (GkvNode) node = gkv_node_new ();
      g_autoptr (GThread) thread = NULL;
      guint ids[50];

      for (guint k = 0; k < G_N_ELEMENTS (ids); k++)
        ids[k] = gkv_node_watch (node, NULL, GKV_WATCH_NONE, ignore_change, NULL, NULL);

      thread = g_thread_new ("closer", close_in_thread, node);
      for (guint k = 0; k < G_N_ELEMENTS (ids); k++)
        {
          gkv_node_set_int64 (node, "key", k, NULL);
          gkv_node_unwatch (node, ids[k]);
          ids[k] = gkv_node_watch (node, "k", GKV_WATCH_INITIAL, ignore_change, NULL, NULL);
        }
      g_thread_join (g_steal_pointer (&thread));
    }
}

static gpointer
remove_all (gpointer data)
{
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *key = g_strdup_printf ("%02u", i);

      g_assert_true (gkv_node_remove (data, key, NULL, NULL));
      g_thread_yield ();
    }

  return NULL;
}

static void
expect_known (GkvNode *node, const char *key, GVariant *value, const char *origin, GHashTable *known)
{
  if (value != NULL)
    g_hash_table_add (known, g_strdup (key));
  else
    g_assert_true (g_hash_table_remove (known, key));
}

/* A key that goes before a watch gets it isn't reported as removed to it. */
static void
test_removed_before_initial (void)
{
  for (guint i = 0; i < 500; i++)
    {
      g_autoptr (GkvNode) node = gkv_node_new ();
      g_autoptr (GHashTable) known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
      GThread *thread;

      for (guint k = 0; k < 100; k++)
        {
          g_autofree char *key = g_strdup_printf ("%02u", k);

          g_assert_true (gkv_node_set_string (node, key, "value", NULL));
        }

      gkv_node_watch (node, NULL, GKV_WATCH_INITIAL, (GkvWatchFunc) expect_known, known, NULL);
      thread = g_thread_new ("remover", remove_all, node);
      for (guint k = 0; k < 50; k++)
        g_main_context_iteration (NULL, FALSE);
      g_thread_join (thread);
      iterate_pending ();
      g_assert_cmpuint (g_hash_table_size (known), ==, 0);
    }
}

static void
drop_node (gpointer data)
{
  GkvNode **node = data;

  g_clear_object (node);
}

/* What a watch is given may hold the last reference to the node. */
static void
test_unwatch_drops_node (void)
{
  GkvNode *node = gkv_node_new ();
  guint id = gkv_node_watch (node, NULL, GKV_WATCH_NONE, ignore_change, &node, drop_node);

  gkv_node_unwatch (node, id);
  g_assert_null (node);
}

static gpointer
drop_in_thread (gpointer data)
{
  g_object_unref (data);

  return NULL;
}

/* A list whose last reference another thread is dropping isn't given out again: it would follow nothing. */
static void
test_list_dropped_in_thread (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();

  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr (GListModel) list = NULL;
      GThread *thread = g_thread_new ("dropper", drop_in_thread, gkv_node_list_entries (node, NULL));
      g_autofree char *key = g_strdup_printf ("%u", i);

      for (guint k = 0; k < i % 300; k++)
        g_thread_yield ();
      list = gkv_node_list_entries (node, NULL);
      g_assert_true (gkv_node_set_string (node, key, "value", NULL));
      g_assert_cmpuint (g_list_model_get_n_items (list), ==, i + 1);
      g_thread_join (thread);
    }
}

typedef struct
{
  GkvNode *node;
  int over; /* atomic */
} Worker;

/* Fails only where a codec can't. */
static gpointer
write_and_read (gpointer data)
{
  Worker *self = data;

  for (guint i = 0; !g_atomic_int_get (&self->over); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *key = g_strdup_printf ("key/%u", i % 100);
      g_autofree char *read = NULL;

      g_assert_true (gkv_node_set_string (self->node, key, "value", &error));
      read = gkv_node_get_string (self->node, key, NULL);
      g_assert_true (read == NULL || strcmp (read, "value") == 0);
    }

  return NULL;
}

/* The codec changes while another thread writes. Each record names the codec that made it. */
static void
test_codec_among_writes (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GkvCodec) json = gkv_codec_new_for_name ("json", NULL);
  g_autoptr (GkvCodec) variant = gkv_codec_new_for_name ("variant", NULL);
  Worker worker = { node, FALSE };
  GThread *thread = g_thread_new ("worker", write_and_read, &worker);
  gint64 until = g_get_monotonic_time () + G_USEC_PER_SEC;
  GkvCodec *codecs[] = { json, NULL, variant };

  for (guint i = 0; g_get_monotonic_time () < until; i++)
    {
      gkv_node_set_codec (node, codecs[i % 3]);
      g_thread_yield ();
    }
  g_atomic_int_set (&worker.over, TRUE);
  g_thread_join (thread);

  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *key = g_strdup_printf ("key/%u", i);
      g_autoptr (GkvEntry) entry = gkv_node_get_entry (node, key);
      g_autoptr (GVariant) value = NULL;

      if (entry == NULL)
        continue;
      gkv_node_set_codec (node, strcmp (gkv_entry_get_codec (entry), "json") == 0 ? json : variant);
      value = gkv_node_lookup (node, key);
      g_assert_nonnull (value);
      g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "value");
    }
}

static gpointer
come_and_go (gpointer data)
{
  Worker *self = data;

  while (!g_atomic_int_get (&self->over))
    {
      g_assert_true (gkv_node_set_string (self->node, "fleeting", "value", NULL));
      gkv_node_remove (self->node, "fleeting", NULL, NULL);
    }

  return NULL;
}

/* A removal of what isn't there is none: also where another thread removes it just now. */
static void
test_values_among_removals (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  Worker worker = { node, FALSE };
  GThread *thread = g_thread_new ("worker", come_and_go, &worker);
  gint64 until = g_get_monotonic_time () + G_USEC_PER_SEC;

  while (g_get_monotonic_time () < until)
    {
      GVariantBuilder values = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{smv}"));
      g_autoptr (GError) error = NULL;

      g_variant_builder_add (&values, "{smv}", "fleeting", NULL);
      g_variant_builder_add (&values, "{smv}", "other", g_variant_new_string ("value"));
      gkv_node_set_values (node, g_variant_builder_end (&values), GKV_SET_NONE, 0, NULL, &error);
      g_assert_no_error (error);
    }
  g_atomic_int_set (&worker.over, TRUE);
  g_thread_join (thread);
}

static gpointer
set_options (gpointer data)
{
  GkvNode *node = data;

  gkv_node_set_bind_address (node, "127.0.0.1:0");
  gkv_node_set_gossip_interval (node, 7);
  gkv_node_set_network_thread (node, FALSE);

  return NULL;
}

/* Options belong to the node's thread, whether its main context runs at the moment or not. */
static void
test_options_in_thread (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();

  for (guint i = 0; i < 3; i++)
    g_test_expect_message ("Gkv", G_LOG_LEVEL_CRITICAL, "*works only in the thread*");
  g_thread_join (g_thread_new ("other", set_options, node));
  g_test_assert_expected_messages ();

  g_assert_null (gkv_node_get_bind_address (node));
  g_assert_cmpuint (gkv_node_get_gossip_interval (node), ==, 2000);
  g_assert_true (gkv_node_get_network_thread (node));
}

static gpointer
add_seeds (gpointer data)
{
  for (guint port = 1; port <= 500; port++)
    {
      g_autofree char *seed = g_strdup_printf ("127.0.0.1:%u", port);

      g_assert_true (gkv_node_add_seed (data, seed, NULL));
    }

  return NULL;
}

/* The property is read while another thread adds to it. */
static void
test_seeds_in_thread (void)
{
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);
  GThread *thread = g_thread_new ("adder", add_seeds, node);
  guint n = 0;

  while (n < 500)
    {
      g_auto (GStrv) seeds = NULL;

      g_object_get (node, "seeds", &seeds, NULL);
      g_assert_cmpuint (g_strv_length (seeds), >=, n);
      n = g_strv_length (seeds);
    }
  g_thread_join (thread);
}

/* Forks */

/* In a child the node is as if it were closed. */
static void
test_calls_in_child (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  pid_t child;
  int status;

  g_assert_true (gkv_node_set_string (node, "key", "value", NULL));
  child = fork ();
  if (child == 0)
    {
      g_auto (GStrv) keys = gkv_node_list_keys (node, "k");
      g_auto (GStrv) all = gkv_node_list_keys (node, NULL);
      g_autoptr (GkvEntry) entry = gkv_node_get_entry (node, "key");

      _exit (keys[0] == NULL && all[0] == NULL && entry == NULL && gkv_node_get_n_keys (node) == 0 ? 0 : 1);
    }

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/abuse/values-order/handler", GINT_TO_POINTER (FALSE), test_values_order);
  g_test_add_data_func ("/abuse/values-order/nested", GINT_TO_POINTER (TRUE), test_values_order);
  g_test_add_data_func ("/abuse/lists-order/handler", GINT_TO_POINTER (FALSE), test_lists_order);
  g_test_add_data_func ("/abuse/lists-order/nested", GINT_TO_POINTER (TRUE), test_lists_order);
  g_test_add_func ("/abuse/blocked-handler", test_blocked_handler);
  g_test_add_func ("/abuse/absent-handler", test_absent_handler);
  g_test_add_func ("/abuse/long-lives", test_long_lives);
  g_test_add_func ("/abuse/values-twice", test_values_twice);
  g_test_add_data_func ("/abuse/lease-after-failed-start/thread", GINT_TO_POINTER (TRUE),
                        test_lease_after_failed_start);
  g_test_add_data_func ("/abuse/lease-after-failed-start/own-context", GINT_TO_POINTER (FALSE),
                        test_lease_after_failed_start);
  g_test_add_data_func ("/abuse/seed-while-starting/thread", GINT_TO_POINTER (TRUE), test_seed_while_starting);
  g_test_add_data_func ("/abuse/seed-while-starting/own-context", GINT_TO_POINTER (FALSE), test_seed_while_starting);
  g_test_add_func ("/abuse/peer-order", test_peer_order);
  g_test_add_func ("/abuse/close-among-watches", test_close_among_watches);
  g_test_add_func ("/abuse/removed-before-initial", test_removed_before_initial);
  g_test_add_func ("/abuse/unwatch-drops-node", test_unwatch_drops_node);
  g_test_add_func ("/abuse/list-dropped-in-thread", test_list_dropped_in_thread);
  g_test_add_func ("/abuse/codec-among-writes", test_codec_among_writes);
  g_test_add_func ("/abuse/values-among-removals", test_values_among_removals);
  g_test_add_func ("/abuse/options-in-thread", test_options_in_thread);
  g_test_add_func ("/abuse/seeds-in-thread", test_seeds_in_thread);
  g_test_add_func ("/abuse/calls-in-child", test_calls_in_child);

  return g_test_run ();
}
