/* A node in the hands of a program that does what it may, at the worst moment.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <string.h>

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
  g_autoptr (GPtrArray) held = g_ptr_array_new_with_free_func (g_object_unref);
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
  g_test_add_func ("/abuse/close-among-watches", test_close_among_watches);

  return g_test_run ();
}
