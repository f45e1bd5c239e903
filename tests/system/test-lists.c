/* Lists of many keys: list_keys (), list models and watches, while the map changes and the order of its keys is only
 * being built.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <string.h>

#define PATIENCE (60 * G_USEC_PER_SEC)

#define wait_until(condition) \
  G_STMT_START \
  { \
    gint64 patient_until = g_get_monotonic_time () + PATIENCE; \
    while (!(condition)) \
      { \
        if (g_get_monotonic_time () > patient_until) \
          g_error ("waited in vain for: %s", #condition); \
        if (!g_main_context_iteration (NULL, FALSE)) \
          g_usleep (1000); \
      } \
  } \
  G_STMT_END

static void
set_int (GkvNode *node, const char *key, gint64 value)
{
  g_autoptr (GError) error = NULL;

  gkv_node_set_value (node, key, g_variant_new_int64 (value), NULL, &error);
  g_assert_no_error (error);
}

static void
fill (GkvNode *node, const char *prefix, guint from, guint n)
{
  for (guint i = from; i < from + n; i++)
    {
      g_autofree char *key = g_strdup_printf ("%s%06u", prefix, i);

      set_int (node, key, i);
    }
}

static GkvNode *
start_node (const char *seed, gboolean network_thread)
{
  const char *seeds[] = { seed, NULL };
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, "gossip-interval", 100,
                                "network-thread", network_thread, NULL);
  g_autoptr (GError) error = NULL;

  gkv_node_start (node, NULL, &error);
  g_assert_no_error (error);
  return node;
}

static void
stop (GkvNode *node)
{
  gkv_node_close (node, NULL, NULL);
  g_object_unref (node);
}

static gboolean
has_all (GkvNode *node, const char *prefix, guint n)
{
  g_auto (GStrv) keys = gkv_node_list_keys (node, prefix);

  for (guint i = 1; keys[0] != NULL && keys[i] != NULL; i++)
    g_assert_cmpstr (keys[i - 1], <, keys[i]);

  return g_strv_length (keys) == n;
}

/* list_keys () */

typedef struct
{
  GkvNode *node;
  guint number;
  int *n_running;     /* atomic */
  const char *prefix; /* of the keys that are changed */
} Writing;

/* What a thread has written it finds, no more and no less. */
static gpointer
write_and_list (gpointer data)
{
  Writing *writing = data;
  g_autofree char *prefix = g_strdup_printf ("thread-%u/", writing->number);

  for (guint i = 0; i < 100; i++)
    {
      fill (writing->node, prefix, 2 * i, 2);
      g_assert_true (has_all (writing->node, prefix, i + 2));
      if (i % 2 == 0)
        g_assert_true (has_all (writing->node, "thread-x", 0));

      {
        g_autofree char *key = g_strdup_printf ("%s%06u", prefix, 2 * i);

        g_assert_true (gkv_node_remove (writing->node, key, NULL, NULL));
      }
      g_assert_true (has_all (writing->node, prefix, i + 1));
    }

  g_atomic_int_add (writing->n_running, -1);
  return NULL;
}

static void
test_keys (gconstpointer data)
{
  g_autoptr (GkvNode) local = data == NULL ? gkv_node_new () : NULL;
  GkvNode *node = local != NULL ? local : start_node (NULL, strcmp (data, "worker") == 0);
  int n_running = 3;
  Writing writing[3];
  GThread *threads[3];

  fill (node, "fill/", 0, 40000);
  for (guint i = 0; i < G_N_ELEMENTS (writing); i++)
    {
      writing[i] = (Writing){ node, i, &n_running, NULL };
      threads[i] = g_thread_new ("lists", write_and_list, &writing[i]);
    }

  wait_until (g_atomic_int_get (&n_running) == 0);
  for (guint i = 0; i < G_N_ELEMENTS (writing); i++)
    g_thread_join (threads[i]);

  g_assert_true (has_all (node, "fill/", 40000));
  g_assert_true (has_all (node, "thread-", 300));
  g_assert_true (has_all (node, NULL, 40300));
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 40300);

  if (local == NULL)
    stop (node);
}

/* What comes from a peer, while the order is being built and afterwards. */
static void
test_keys_of_peer (void)
{
  GkvNode *a = start_node (NULL, TRUE);
  GkvNode *b;

  fill (a, "x/", 0, 15000);
  fill (a, "y/", 0, 15000);
  b = start_node (gkv_node_get_local_address (a), TRUE);
  wait_until (has_all (b, "x/", 15000) && has_all (b, "y/", 15000));

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *key = g_strdup_printf ("x/%06u", 7 * i);

      g_assert_true (gkv_node_remove (a, key, NULL, NULL));
    }
  fill (a, "z/", 0, 1000);
  wait_until (has_all (b, "x/", 14000) && has_all (b, "z/", 1000));
  g_assert_true (has_all (b, "y/", 15000));

  stop (b);
  stop (a);
}

/* Lists. A copy is kept by the signals alone. */

static void
on_items_changed (GListModel *list, guint position, guint removed, guint added, gpointer user_data)
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

static void
on_pending (GListModel *list, GParamSpec *pspec, gpointer user_data)
{
  guint *n = user_data;

  ++*n;
}

static gboolean
is_pending (GListModel *list)
{
  gboolean pending;

  g_object_get (list, "pending", &pending, NULL);
  return pending;
}

static void
assert_follows (GListModel *list, GPtrArray *copy, GkvNode *node, const char *prefix)
{
  g_auto (GStrv) keys = gkv_node_list_keys (node, prefix);

  g_assert_cmpuint (g_strv_length (keys), ==, g_list_model_get_n_items (list));
  g_assert_cmpuint (copy->len, ==, g_list_model_get_n_items (list));
  for (guint i = 0; keys[i] != NULL; i++)
    {
      g_autoptr (GkvEntry) entry = g_list_model_get_item (list, i);
      g_autoptr (GVariant) value = gkv_node_lookup (node, keys[i]);

      g_assert_cmpstr (keys[i], ==, copy->pdata[i]);
      g_assert_cmpstr (keys[i], ==, gkv_entry_get_key (entry));
      g_assert_true (g_variant_equal (gkv_entry_get_value (entry), value));
    }
}

/* Keys that are replaced, that come and that go, all over the map. */
static void
change_some (GkvNode *node, const char *prefix, guint round)
{
  for (guint i = 0; i < 20; i++)
    {
      guint number = (round * 20 + i) * 6151 % 50000;
      g_autofree char *replaced = g_strdup_printf ("%s%06u", prefix, number);
      g_autofree char *added = g_strdup_printf ("%s%06u/%u", prefix, number, round);
      g_autofree char *removed = g_strdup_printf ("%s%06u", prefix, number ^ 1);

      set_int (node, replaced, 100000 + round);
      set_int (node, added, round);
      gkv_node_remove (node, removed, NULL, NULL);
    }
}

static gpointer
change_in_thread (gpointer data)
{
  Writing *writing = data;

  for (guint round = 0; round < 100; round++)
    {
      change_some (writing->node, writing->prefix, 1000 + round);
      g_usleep (500);
    }

  g_atomic_int_add (writing->n_running, -1);
  return NULL;
}

static void
test_long_list (gconstpointer data)
{
  g_autoptr (GkvNode) local = data == NULL ? gkv_node_new () : NULL;
  GkvNode *node = local != NULL ? local : start_node (NULL, TRUE);
  g_autoptr (GPtrArray) copy = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GListModel) list = NULL;
  int n_running = 1;
  Writing writing = { node, 0, &n_running, "key/" };
  GThread *thread;
  guint n_notified = 0;
  guint n_rounds = 0;

  fill (node, "key/", 0, 50000);
  fill (node, "other/", 0, 5000);

  list = gkv_node_list_entries (node, "key/");
  g_assert_true (is_pending (list));
  g_assert_cmpuint (g_list_model_get_n_items (list), <=, 10000);
  g_signal_connect (list, "items-changed", G_CALLBACK (on_items_changed), copy);
  g_signal_connect (list, "notify::pending", G_CALLBACK (on_pending), &n_notified);

  thread = g_thread_new ("lists", change_in_thread, &writing);
  while (is_pending (list))
    {
      g_autoptr (GListModel) same = gkv_node_list_entries (node, "key/");

      g_assert_true (same == list);
      g_assert_cmpuint (n_notified, ==, 0);
      change_some (node, "key/", n_rounds++);
      g_main_context_iteration (NULL, TRUE);
    }

  g_assert_cmpuint (n_rounds, >, 5);
  g_assert_cmpuint (n_notified, ==, 1);
  wait_until (g_atomic_int_get (&n_running) == 0);
  g_thread_join (thread);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_follows (list, copy, node, "key/");

  change_some (node, "key/", n_rounds);
  assert_follows (list, copy, node, "key/");
  g_assert_cmpuint (n_notified, ==, 1);

  if (local == NULL)
    stop (node);
}

/* All is there at once, up to 10,000, however many keys there are beside. */
static void
test_full_at_once (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GListModel) all = NULL;

  fill (node, "other/", 0, 15000);
  fill (node, "key/", 0, 10000);

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GListModel) list = gkv_node_list_entries (node, "key/");

      g_assert_false (is_pending (list));
      g_assert_cmpuint (g_list_model_get_n_items (list), ==, 10000);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }

  all = gkv_node_list_entries (node, NULL);
  g_assert_true (is_pending (all));
  wait_until (!is_pending (all));
  g_assert_cmpuint (g_list_model_get_n_items (all), ==, 25000);
}

/* A list that is dropped while it is pending, and a node that is. */
static void
test_dropped (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  g_autoptr (GListModel) list = NULL;

  fill (node, "key/", 0, 30000);

  list = gkv_node_list_entries (node, "key/");
  g_assert_true (is_pending (list));
  g_main_context_iteration (NULL, FALSE);
  g_clear_object (&list);

  list = gkv_node_list_entries (node, "key/");
  g_assert_true (is_pending (list));
  wait_until (!is_pending (list));
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 30000);
  g_clear_object (&list);

  list = gkv_node_list_entries (node, NULL);
  g_assert_true (is_pending (list));
  g_clear_object (&node);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (g_list_model_get_n_items (list), <=, 30000);
}

/* Watches that want what is there */

typedef struct
{
  GHashTable *values; /* key → value */
  char *last;         /* of the keys that don't change */
  guint n_initial;
} Watching;

static void
on_watched (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  Watching *watching = user_data;
  GVariant *known = g_hash_table_lookup (watching->values, key);

  /* No value was written to a key twice: so none is reported twice. */
  g_assert_true (value == NULL || known == NULL || !g_variant_equal (value, known));
  if (value != NULL)
    g_hash_table_replace (watching->values, g_strdup (key), g_variant_ref (value));
  else
    g_hash_table_remove (watching->values, key);

  if (!g_str_has_prefix (key, "watched/fixed/"))
    return;

  g_assert_nonnull (value);
  g_assert_cmpstr (key, >, watching->last);
  g_free (watching->last);
  watching->last = g_strdup (key);
  watching->n_initial++;
}

static void
test_long_watch (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  Watching watching = { g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref),
                        g_strdup (""), 0 };
  g_auto (GStrv) keys = NULL;
  int n_running = 1;
  Writing writing = { node, 0, &n_running, "watched/thread/" };
  GThread *thread;
  guint n_rounds = 0;

  fill (node, "watched/fixed/", 0, 20000);
  fill (node, "watched/key/", 0, 20000);
  fill (node, "watched/thread/", 0, 20000);
  fill (node, "key/", 0, 1000);

  g_assert_cmpuint (gkv_node_watch (node, "watched/", GKV_WATCH_INITIAL, (GkvWatchFunc) on_watched, &watching, NULL), >,
                    0);
  thread = g_thread_new ("lists", change_in_thread, &writing);
  while (watching.n_initial < 20000 || !g_hash_table_contains (watching.values, "watched/thread/019998"))
    {
      g_main_context_iteration (NULL, TRUE);
      if (n_rounds < 1000)
        change_some (node, "watched/key/", n_rounds++);
    }

  wait_until (g_atomic_int_get (&n_running) == 0);
  g_thread_join (thread);
  while (g_main_context_iteration (NULL, FALSE))
    ;

  keys = gkv_node_list_keys (node, "watched/");
  g_assert_cmpuint (g_hash_table_size (watching.values), ==, g_strv_length (keys));
  for (guint i = 0; keys[i] != NULL; i++)
    {
      g_autoptr (GVariant) value = gkv_node_lookup (node, keys[i]);

      g_assert_true (g_variant_equal (value, g_hash_table_lookup (watching.values, keys[i])));
    }

  g_clear_object (&node);
  g_hash_table_unref (watching.values);
  g_free (watching.last);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/lists/keys/local", NULL, test_keys);
  g_test_add_data_func ("/lists/keys/worker", "worker", test_keys);
  g_test_add_data_func ("/lists/keys/context", "context", test_keys);
  g_test_add_func ("/lists/keys/of-peer", test_keys_of_peer);
  g_test_add_data_func ("/lists/long-list/local", NULL, test_long_list);
  g_test_add_data_func ("/lists/long-list/worker", "worker", test_long_list);
  g_test_add_func ("/lists/full-at-once", test_full_at_once);
  g_test_add_func ("/lists/dropped", test_dropped);
  g_test_add_func ("/lists/long-watch", test_long_watch);

  return g_test_run ();
}
