/* Decoded values that are kept: found by key, for as long as the store holds the record.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-value-cache.h"
#include "store/gkv-store.h"

#define N_KEYS 20000

static GkvRecord *
put (GkvStore *store, const char *key, GkvStamp stamp)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("node", -1, "variant", -1);
  g_autoptr (GkvRecord) record =
      gkv_record_new (gkv_store_get_hash_key (store), writer, key, strlen (key), 0, stamp, 0, "x", 1);

  g_assert_cmpint (gkv_store_put (store, record, NULL), ==, GKV_STORE_TAKEN);
  return record;
}

static GVariant *
find (GkvValueCache *cache, GkvRecord *record, const char *key)
{
  GVariant *value = NULL;

  return gkv_value_cache_find (cache, record->hash, key, strlen (key), &value) != NULL ? value : NULL;
}

static void
test_gone (void)
{
  GkvHashKey hash_key = gkv_hash_key_for_cluster ("test");
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_int32 (1));
  GkvValueCache *cache = gkv_value_cache_new ();
  GkvRecord *record = put (store, "key", 1);

  gkv_value_cache_insert (cache, record, value);
  g_assert_true (find (cache, record, "key") == value);

  /* Another record of the key is in the store, though nobody has dropped the value yet. */
  record = put (store, "key", 2);
  g_assert_null (find (cache, record, "key"));
  gkv_value_cache_insert (cache, record, value);
  g_assert_true (find (cache, record, "key") == value);

  {
    g_autoptr (GkvRecord) removed = gkv_record_ref (record);

    g_assert_true (gkv_store_remove (store, record));
    g_assert_null (find (cache, removed, "key"));
  }
  gkv_value_cache_free (cache);
}

/* Far more than are kept: what is found is right, and what was used last is there. */
static void
test_many (void)
{
  GkvHashKey hash_key = gkv_hash_key_for_cluster ("test");
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  GkvValueCache *cache = gkv_value_cache_new ();
  guint n_found = 0;

  for (gint32 i = 0; i < N_KEYS; i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_int32 (i));
      g_autofree char *key = g_strdup_printf ("key-%d", i);
      GkvRecord *record = put (store, key, 1);

      gkv_value_cache_insert (cache, record, value);
      g_assert_true (find (cache, record, key) == value);
    }

  for (gint32 i = 0; i < N_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%d", i);
      GkvRecord *record = gkv_store_lookup (store, key, strlen (key));
      GVariant *value = find (cache, record, key);

      g_assert_true (value == NULL || g_variant_get_int32 (value) == i);
      g_assert_true (gkv_value_cache_lookup (cache, record) == value);
      n_found += value != NULL;
    }
  g_assert_cmpuint (n_found, >, 0);
  g_assert_cmpuint (n_found, <, N_KEYS);
  gkv_value_cache_free (cache);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/value-cache/gone", test_gone);
  g_test_add_func ("/value-cache/many", test_many);

  return g_test_run ();
}
