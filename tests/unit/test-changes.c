/* The queue of changes: what waits to be emitted, and what need not be.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "node/gkv-changes.h"
#include "store/gkv-expiry.h"
#include "store/gkv-store.h"

static const GkvHashKey hash_key = { 1, 2 };

static GkvRecord *
make_record (const char *key)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("node", -1, "string", -1);

  return gkv_record_new (&hash_key, writer, key, strlen (key), 0, 1, 0, "value", 5);
}

static void
push (GkvChanges *changes, const char *key, GkvChangesKind kind)
{
  g_autoptr (GkvRecord) record = make_record (key);

  gkv_changes_push (changes, record, kind);
}

static void
expect (GkvChanges *changes, const char *key, gboolean value_changed)
{
  gboolean changed = !value_changed;
  g_autoptr (GkvRecord) record = gkv_changes_pop (changes, &changed);

  g_assert_nonnull (record);
  g_assert_cmpstr (gkv_record_get_key (record), ==, key);
  g_assert_cmpint (changed, ==, value_changed);
}

/* Each key once, in the order in which they first changed. */
static void
test_order (void)
{
  GkvChanges changes;

  gkv_changes_init (&changes);
  push (&changes, "b", GKV_CHANGES_REWRITTEN);
  push (&changes, "a", GKV_CHANGES_REWRITTEN);
  push (&changes, "b", GKV_CHANGES_REPLACED);
  g_assert_cmpuint (gkv_changes_get_n (&changes), ==, 2);
  expect (&changes, "b", TRUE);
  expect (&changes, "a", FALSE);
  g_assert_cmpuint (gkv_changes_get_n (&changes), ==, 0);
  gkv_changes_clear (&changes);
}

/* What was absent at the last emission and is absent again is not emitted; what was there, is. */
static void
test_come_and_gone (void)
{
  GkvChanges changes;

  gkv_changes_init (&changes);
  for (guint i = 0; i < 3; i++)
    {
      push (&changes, "new", GKV_CHANGES_APPEARED);
      push (&changes, "new", GKV_CHANGES_REPLACED);
      push (&changes, "new", GKV_CHANGES_VANISHED);
    }
  g_assert_cmpuint (gkv_changes_get_n (&changes), ==, 0);

  push (&changes, "old", GKV_CHANGES_VANISHED);
  push (&changes, "old", GKV_CHANGES_APPEARED);
  push (&changes, "old", GKV_CHANGES_VANISHED);
  expect (&changes, "old", TRUE);

  push (&changes, "new", GKV_CHANGES_APPEARED);
  push (&changes, "new", GKV_CHANGES_VANISHED);
  push (&changes, "new", GKV_CHANGES_APPEARED);
  expect (&changes, "new", TRUE);
  g_assert_cmpuint (gkv_changes_get_n (&changes), ==, 0);
  gkv_changes_clear (&changes);
}

static void
on_dropped (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GString *keys = user_data;

  g_assert_true (gkv_record_is_dead (record));
  g_assert_false (gkv_record_is_dead (replaced));
  g_string_append (keys, gkv_record_get_key (record));
}

/* Where nobody else has what has ended, nothing of it is left. */
static void
test_drop_due (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  g_autoptr (GString) keys = g_string_new (NULL);
  const char *names[] = { "c", "a", "b" };
  GkvRange all = { 0, 0 };
  GkvSummary summary;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GkvRecord) record = make_record (names[i]);

      gkv_store_put (store, record, NULL);
      gkv_store_set_deadline (store, record, 10 * names[i][0]);
    }

  g_assert_cmpuint (gkv_store_count_due (store, 10 * 'a' - 1), ==, 0);
  g_assert_cmpuint (gkv_store_count_due (store, 10 * 'b'), ==, 2);
  g_assert_cmpuint (gkv_store_drop_due (store, 10 * 'b', 64, on_dropped, keys), ==, 2);
  g_assert_cmpstr (keys->str, ==, "ab");
  g_assert_cmpuint (gkv_store_count_due (store, 10 * 'b'), ==, 0);
  gkv_store_summarise (store, all, &summary);
  g_assert_cmpuint (summary.count, ==, 1);
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
  g_assert_cmpuint (gkv_store_get_n_tombstones (store), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/changes/order", test_order);
  g_test_add_func ("/changes/come-and-gone", test_come_and_gone);
  g_test_add_func ("/changes/drop-due", test_drop_due);
  return g_test_run ();
}
