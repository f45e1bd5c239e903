/* The store against a plain model: every look-up, count and fingerprint, while it grows and shrinks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "store/gkv-expiry.h"
#include "store/gkv-store.h"

#include <string.h>

static GkvHashKey hash_key;

static GkvRecord *
make (const char *key, GkvRecordFlags flags, GkvStamp stamp, const char *content)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("node", -1, flags & GKV_RECORD_DEAD ? "" : "variant", -1);

  return gkv_record_new (&hash_key, writer, key, strlen (key), flags, stamp, 0, content, strlen (content));
}

static GkvStoreResult
put (GkvStore *store, const char *key, GkvRecordFlags flags, GkvStamp stamp, const char *content)
{
  g_autoptr (GkvRecord) record = make (key, flags, stamp, content);

  return gkv_store_put (store, record, NULL);
}

static gboolean
is_in_range (guint64 hash, GkvRange range)
{
  return range.depth == 0 || (hash ^ range.prefix) >> (64 - 4 * range.depth) == 0;
}

typedef struct
{
  guint64 last;
  guint64 n;
  GkvFingerprint sum;
} Walk;

static gboolean
on_walked (GkvRecord *record, gpointer user_data)
{
  Walk *walk = user_data;

  g_assert_true (walk->n == 0 || record->hash >= walk->last);
  walk->last = record->hash;
  walk->n++;
  gkv_fingerprint_add (&walk->sum, &record->fingerprint);
  return TRUE;
}

static void
check_range (GkvStore *store, GHashTable *model, GkvRange range)
{
  GkvSummary expected = { 0 }, summary;
  GHashTableIter iter;
  GkvRecord *record;
  Walk walk = { 0 };

  g_hash_table_iter_init (&iter, model);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &record))
    if (is_in_range (record->hash, range))
      {
        expected.count++;
        gkv_fingerprint_add (&expected.fingerprint, &record->fingerprint);
      }

  gkv_store_summarise (store, range, &summary);
  g_assert_cmpuint (summary.count, ==, expected.count);
  g_assert_true (gkv_fingerprint_equal (&summary.fingerprint, &expected.fingerprint));

  gkv_store_foreach (store, range, 0, on_walked, &walk);
  g_assert_cmpuint (walk.n, ==, expected.count);
  g_assert_true (gkv_fingerprint_equal (&walk.sum, &expected.fingerprint));
}

static void
check_counts (GkvStore *store, GHashTable *model)
{
  guint64 n_visible = 0, n_tombstones = 0, n_bytes = 0;
  GHashTableIter iter;
  GkvRecord *record;
  const char *key;

  g_hash_table_iter_init (&iter, model);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &record))
    {
      g_assert_true (gkv_store_lookup (store, key, strlen (key)) == record);
      g_assert_true (gkv_store_lookup_hash (store, record->hash) == record);
      g_assert_true (gkv_store_lookup_visible (store, key, strlen (key)) ==
                     (gkv_record_is_dead (record) ? NULL : record));
      n_visible += !gkv_record_is_dead (record);
      n_tombstones += gkv_record_is_dead (record);
      n_bytes += record->key_len + record->content_len;
    }

  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, n_visible);
  g_assert_cmpuint (gkv_store_get_n_tombstones (store), ==, n_tombstones);
  g_assert_cmpuint (gkv_store_get_n_bytes (store), ==, n_bytes);
  g_assert_null (gkv_store_lookup (store, "no such key", 11));
}

static void
test_model (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  g_autoptr (GHashTable) model =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) gkv_record_unref);

  for (guint step = 0; step < 30000; step++)
    {
      g_autofree char *key = g_strdup_printf ("key-%d", g_test_rand_int_range (0, 4000));
      GkvRecord *held = g_hash_table_lookup (model, key);

      /* It grows, and in the second half it shrinks. */
      if (held != NULL && g_test_rand_int_range (0, 30000) < (int) step)
        {
          g_assert_true (gkv_store_remove (store, held));
          g_hash_table_remove (model, key);
        }
      else
        {
          g_autoptr (GkvRecord) record = make (key, g_test_rand_int_range (0, 8) == 0 ? GKV_RECORD_DEAD : 0,
                                               g_test_rand_int_range (1, 1000), "content");
          g_autoptr (GkvRecord) replaced = NULL;
          gboolean wins = held == NULL || gkv_record_compare (record, held) > 0;

          g_assert_cmpint (gkv_store_put (store, record, &replaced), ==, wins ? GKV_STORE_TAKEN : GKV_STORE_KEPT);
          if (wins)
            {
              g_assert_true (replaced == (held != NULL && !gkv_record_is_dead (held) ? held : NULL));
              g_hash_table_replace (model, g_steal_pointer (&key), g_steal_pointer (&record));
            }
        }

      if (step % 3000 == 2999)
        {
          check_counts (store, model);
          for (guint depth = 0; depth <= 16; depth++)
            {
              GkvRecord *any = NULL;
              GHashTableIter iter;
              GkvRange range = { 0, depth };

              g_hash_table_iter_init (&iter, model);
              g_hash_table_iter_next (&iter, NULL, (gpointer *) &any);
              if (depth > 0 && any != NULL)
                range.prefix = depth == 16 ? any->hash : any->hash & ~(G_MAXUINT64 >> (4 * depth));
              check_range (store, model, range);
            }
        }
    }
}

static gboolean
stop_after_three (GkvRecord *record, gpointer user_data)
{
  guint *n = user_data;

  return ++*n < 3;
}

static void
test_walk (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  const GkvRange everything = { 0, 0 };
  Walk all = { 0 }, rest = { 0 };
  GkvRecord *middle;
  guint n = 0;

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *key = g_strdup_printf ("%u", i);

      put (store, key, 0, 1, "");
    }

  gkv_store_foreach (store, everything, 0, stop_after_three, &n);
  g_assert_cmpuint (n, ==, 3);

  middle = gkv_store_lookup (store, "500", 3);
  gkv_store_foreach (store, everything, 0, on_walked, &all);
  gkv_store_foreach (store, everything, middle->hash, on_walked, &rest);
  g_assert_cmpuint (all.n, ==, 1000);
  g_assert_cmpuint (rest.n, <, 1000);
  g_assert_cmpuint (rest.n, >, 0);
}

static void
on_released (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  guint *n = user_data;

  g_assert_cmpstr (gkv_record_get_key (record), ==, "key");
  g_assert_nonnull (replaced);
  *n += 1;
}

static void
test_aside (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  guint n = 0;

  put (store, "key", 0, 1, "now");
  g_assert_cmpint (put (store, "key", GKV_RECORD_ASIDE, 100, "later"), ==, GKV_STORE_TAKEN);
  g_assert_cmpuint (gkv_store_get_n_aside (store), ==, 1);
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
  g_assert_cmpuint (gkv_store_lookup_visible (store, "key", 3)->stamp, ==, 1);
  g_assert_cmpuint (gkv_store_lookup (store, "key", 3)->stamp, ==, 100);

  gkv_store_release_aside (store, 99, on_released, &n);
  g_assert_cmpuint (n, ==, 0);
  gkv_store_release_aside (store, 100, on_released, &n);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpuint (gkv_store_get_n_aside (store), ==, 0);
  g_assert_cmpuint (gkv_store_lookup_visible (store, "key", 3)->stamp, ==, 100);

  /* One that nothing stands behind isn't seen at all. */
  put (store, "other", GKV_RECORD_ASIDE, 100, "later");
  g_assert_null (gkv_store_lookup_visible (store, "other", 5));
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
}

static void
on_expired (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GString *order = user_data;

  g_assert_true (gkv_record_is_dead (record));
  g_string_append (order, gkv_record_get_key (record));
}

static void
test_expiry (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  g_autoptr (GString) order = g_string_new (NULL);
  gint64 deadline;

  for (guint i = 0; i < 10; i++)
    {
      const char key[] = { '0' + i, '\0' };
      GkvRecord *record;

      put (store, key, 0, 1, "x");
      record = gkv_store_lookup (store, key, 1);
      gkv_store_set_deadline (store, record, 100 + 37 * i % 10);
      /* A later one doesn't lengthen a life. */
      gkv_store_set_deadline (store, record, 5000);
      g_assert_cmpint (gkv_store_get_deadline (store, record), ==, 100 + 37 * i % 10);
    }

  /* Written anew without a life: it stays. */
  put (store, "0", 0, 2, "x");
  g_assert_cmpint (gkv_store_get_deadline (store, gkv_store_lookup (store, "0", 1)), ==, -1);

  g_assert_nonnull (gkv_store_peek_deadline (store, &deadline));
  g_assert_cmpint (deadline, ==, 101);
  g_assert_cmpuint (gkv_store_expire_due (store, 100, 100, on_expired, order), ==, 0);
  g_assert_cmpuint (gkv_store_expire_due (store, 1000, 4, on_expired, order), ==, 4);
  g_assert_cmpuint (gkv_store_expire_due (store, 1000, 100, on_expired, order), ==, 5);
  g_assert_cmpstr (order->str, ==, "369258147");
  g_assert_null (gkv_store_peek_deadline (store, &deadline));
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
  g_assert_cmpuint (gkv_store_get_n_tombstones (store), ==, 9);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  hash_key = gkv_hash_key_for_cluster ("test");

  g_test_add_func ("/store/model", test_model);
  g_test_add_func ("/store/walk", test_walk);
  g_test_add_func ("/store/aside", test_aside);
  g_test_add_func ("/store/expiry", test_expiry);

  return g_test_run ();
}
