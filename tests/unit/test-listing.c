/* GkvListing, and reading many keys of a map: at every step what is listed is what a walk over the store finds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "node/gkv-listing.h"
#include "node/gkv-map.h"
#include "node/gkv-network.h"
#include "node/gkv-sweep.h"
#include "store/gkv-expiry.h"

#include <string.h>

static const GkvHashKey hash_key = { 1, 2 };

static int
compare_keys (gconstpointer a, gconstpointer b)
{
  return strcmp (gkv_record_get_key (*(GkvRecord *const *) a), gkv_record_get_key (*(GkvRecord *const *) b));
}

typedef struct
{
  GkvStore *store;
  const char *prefix;
  GPtrArray *records;
} Finding;

static gboolean
find_each (GkvRecord *record, gpointer user_data)
{
  Finding *finding = user_data;
  GkvRecord *visible = gkv_store_get_visible (finding->store, record);

  if (visible != NULL && g_str_has_prefix (gkv_record_get_key (visible), finding->prefix))
    g_ptr_array_add (finding->records, visible);
  return TRUE;
}

/* All that is visible under @prefix, sorted, borrowed. */
static GPtrArray *
find_all (GkvStore *store, const char *prefix)
{
  const GkvRange all = { 0, 0 };
  Finding finding = { store, prefix, g_ptr_array_new () };

  gkv_store_foreach (store, all, 0, find_each, &finding);
  g_ptr_array_sort (finding.records, compare_keys);
  return finding.records;
}

static void
assert_same (GPtrArray *records, GPtrArray *expected)
{
  g_assert_cmpuint (records->len, ==, expected->len);
  for (guint i = 0; i < records->len; i++)
    g_assert_true (records->pdata[i] == expected->pdata[i]);
}

/* Of records that come, go and end in all ways that a store knows. Each change is reported as the map reports it. */

typedef struct
{
  GkvStore *store;
  GkvListing *listing;
  gint64 now;
  guint n_quarantined;
  guint n_hidden;
} Fixture;

static void
report (GkvRecord *record, GkvRecord *replaced, gpointer data)
{
  Fixture *fixture = data;
  GkvRecord *visible = gkv_store_get_visible (fixture->store, record);

  if ((record->flags & GKV_RECORD_QUARANTINED) != 0)
    fixture->n_hidden++;
  if (fixture->listing != NULL && visible != replaced)
    gkv_listing_update (fixture->listing, gkv_record_get_key (record), visible);
}

static void
put_some (Fixture *fixture)
{
  static const char *const origins[] = { "a", "b", "c" };
  g_autoptr (GkvWriter) writer = NULL;
  g_autofree char *key = g_strdup_printf ("%c/%d", "xyz"[g_test_rand_int_range (0, 3)], g_test_rand_int_range (0, 100));
  GkvRecordFlags flags = g_test_rand_int_range (0, 4) == 0 ? GKV_RECORD_DEAD : 0;
  GkvStamp stamp = fixture->now * 10 + g_test_rand_int_range (-300, 300);
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvRecord) replaced = NULL;

  if (g_test_rand_int_range (0, 8) == 0)
    {
      flags |= GKV_RECORD_QUARANTINED;
      stamp += 2000;
      fixture->n_quarantined++;
    }

  writer =
      gkv_writer_intern (origins[g_test_rand_int_range (0, 3)], -1, (flags & GKV_RECORD_DEAD) != 0 ? "" : "string", -1);
  record = gkv_record_new (&hash_key, writer, key, strlen (key), flags, MAX (stamp, 1) << 16, 0, "value",
                           (flags & GKV_RECORD_DEAD) != 0 ? 0 : 5);
  if (gkv_store_put (fixture->store, record, &replaced) == GKV_STORE_KEPT)
    return;

  if (!gkv_record_is_dead (record) && g_test_rand_bit ())
    gkv_store_set_deadline (fixture->store, record, fixture->now + g_test_rand_int_range (1, 200));
  /* What is quarantined changes nothing that is visible. */
  if ((flags & GKV_RECORD_QUARANTINED) == 0)
    report (record, replaced, fixture);
}

/* As the engine does with tombstones that it collects. */
static void
remove_some (Fixture *fixture)
{
  g_autoptr (GPtrArray) all = find_all (fixture->store, "");
  g_autoptr (GkvRecord) visible = NULL;
  g_autoptr (GkvRecord) dead = NULL;

  if (all->len == 0)
    return;

  visible = gkv_record_ref (all->pdata[g_test_rand_int_range (0, all->len)]);
  dead = gkv_record_new_dead (&hash_key, visible);
  g_assert_true (gkv_store_remove (fixture->store, visible));
  report (dead, visible, fixture);
}

static void
change_some (Fixture *fixture)
{
  fixture->now++;
  switch (g_test_rand_int_range (0, 16))
    {
    case 0:
      gkv_store_expire_due (fixture->store, fixture->now, 10, report, fixture);
      break;

    case 1:
      gkv_store_drop_due (fixture->store, fixture->now, 10, report, fixture);
      break;

    case 2:
      gkv_store_release_quarantined (fixture->store, fixture->now * 10, 100, report, fixture);
      break;

    case 3:
      remove_some (fixture);
      break;

    default:
      put_some (fixture);
    }
}

static void
check_listing (Fixture *fixture)
{
  static const char *const prefixes[] = { "", "x/", "y/1", "nothing" };

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    {
      g_autoptr (GPtrArray) expected = find_all (fixture->store, prefixes[i]);
      g_autoptr (GPtrArray) records = g_ptr_array_new ();
      g_autoptr (GPtrArray) walked = g_ptr_array_new ();
      guint n_at_a_time = g_test_rand_int_range (1, 50);
      const char *after = NULL;
      GkvRecord *found[50];
      guint64 from = 0;
      guint n;

      while (gkv_listing_walk (fixture->store, prefixes[i], &from, n_at_a_time, walked))
        ;
      g_ptr_array_sort (walked, compare_keys);
      assert_same (walked, expected);

      if (fixture->listing == NULL || !gkv_listing_is_complete (fixture->listing))
        continue;

      g_assert_cmpuint (gkv_listing_count (fixture->listing, prefixes[i]), ==, expected->len);
      while ((n = gkv_listing_read (fixture->listing, prefixes[i], after, found, n_at_a_time)) > 0)
        {
          for (guint j = 0; j < n; j++)
            g_ptr_array_add (records, found[j]);
          after = gkv_record_get_key (found[n - 1]);
        }
      assert_same (records, expected);
    }
}

/* The order is asked for in the middle, and built while the changes go on. */
static void
test_follows (void)
{
  guint n_building = 0;

  for (guint round = 0; round < 10; round++)
    {
      Fixture fixture = { .store = gkv_store_new (&hash_key) };

      for (guint i = 0; i < 3000; i++)
        {
          if (i == 500)
            fixture.listing = gkv_listing_new (fixture.store);
          if (fixture.listing != NULL && !gkv_listing_is_complete (fixture.listing) && i % 3 == 0)
            {
              n_building++;
              gkv_listing_build (fixture.listing, g_test_rand_int_range (1, 4));
            }
          change_some (&fixture);
          check_listing (&fixture);
        }

      g_assert_true (gkv_listing_is_complete (fixture.listing));
      g_assert_cmpuint (fixture.n_quarantined, >, 0);
      g_assert_cmpuint (fixture.n_hidden, >, 0);
      gkv_listing_free (fixture.listing);
      gkv_store_free (fixture.store);
    }

  g_assert_cmpuint (n_building, >, 100);
}

/* The same of a map, with what this node writes and what peers do. */

#define N_KEYS 12000

/* A codec that isn't called. */

typedef struct
{
  GObject parent_instance;
} TestCodec;

typedef GObjectClass TestCodecClass;

static const char *
test_codec_get_name (GkvCodec *codec)
{
  return "variant";
}

static void
test_codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = test_codec_get_name;
}

static GType test_codec_get_type (void);

G_DEFINE_TYPE_WITH_CODE (TestCodec,
                         test_codec,
                         G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (GKV_TYPE_CODEC, test_codec_iface_init))

static void
test_codec_class_init (TestCodecClass *klass)
{
}

static void
test_codec_init (TestCodec *self)
{
}

typedef struct
{
  GkvOwner *owner;
  GkvMap *map;
  const GkvCodecHandle *codec;
  GBytes *bytes;
} MapFixture;

static void
map_fixture_set_up (MapFixture *fixture, gconstpointer data)
{
  g_autoptr (GkvCodec) codec = g_object_new (test_codec_get_type (), NULL);

  fixture->owner = gkv_owner_new ();
  fixture->map = gkv_map_new (fixture->owner, "here", "cluster", 1);
  gkv_map_set_codec (fixture->map, gkv_codec_handle_new (codec));
  fixture->codec = gkv_map_get_codec (fixture->map);
  fixture->bytes = g_bytes_new_static ("value", 5);
  gkv_map_set_ready (fixture->map, TRUE);
}

static void
map_fixture_tear_down (MapFixture *fixture, gconstpointer data)
{
  gkv_map_unref (fixture->map);
  gkv_owner_unref (fixture->owner);
  g_bytes_unref (fixture->bytes);
}

static void
write_one (MapFixture *fixture, const char *key, GkvRecordFlags flags)
{
  GkvWrite write = { .key = key, .key_len = strlen (key), .flags = flags, .lifetime_us = 1000 };
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvRecord) replaced = NULL;

  if ((flags & GKV_RECORD_DEAD) == 0)
    {
      write.codec = fixture->codec;
      write.bytes = fixture->bytes;
    }

  gkv_map_lock (fixture->map);
  record = gkv_map_put_locked (fixture->map, &write, &replaced, NULL);
  if (record != NULL && g_test_rand_bit ())
    gkv_map_ignore_change_locked (fixture->map, record, replaced);
  else if (record != NULL)
    gkv_map_queue_change_locked (fixture->map, record, replaced);
  gkv_map_unlock (fixture->map);
}

/* What a peer wrote, as the engine applies it. */
static void
receive_one (MapFixture *fixture, const char *key)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("there", -1, "variant", -1);
  GkvStore *store = gkv_map_get_store (fixture->map);
  gint64 ms = g_get_real_time () / 1000 + g_test_rand_int_range (-10, 10);
  g_autoptr (GkvRecord) replaced = NULL;
  g_autoptr (GkvRecord) record =
      gkv_record_new (gkv_store_get_hash_key (store), writer, key, strlen (key), 0, (GkvStamp) ms << 16, 0, "value", 5);

  gkv_map_lock (fixture->map);
  if (gkv_store_put (store, record, &replaced) == GKV_STORE_TAKEN)
    gkv_map_queue_change_locked (fixture->map, record, replaced);
  gkv_map_unlock (fixture->map);
}

static void
write_some (MapFixture *fixture)
{
  g_autofree char *key =
      g_strdup_printf ("%c/%d", "xy"[g_test_rand_int_range (0, 2)], g_test_rand_int_range (0, N_KEYS));

  switch (g_test_rand_int_range (0, 5))
    {
    case 0:
      write_one (fixture, key, GKV_RECORD_DEAD);
      break;

    case 1:
      write_one (fixture, key, GKV_RECORD_TTL);
      break;

    case 2:
      receive_one (fixture, key);
      break;

    default:
      write_one (fixture, key, 0);
    }
}

/* What has expired isn't listed, be it ended already or not. So nothing may expire while this looks. */
static void
check_map (MapFixture *fixture, const char *prefix)
{
  g_autoptr (GPtrArray) records = NULL;
  g_autoptr (GPtrArray) expected = NULL;

  g_usleep (1100);
  records = gkv_map_dup_records (fixture->map, prefix, G_MAXUINT);
  gkv_map_lock (fixture->map);
  while (gkv_map_expire_locked (fixture->map) <= g_get_monotonic_time ())
    ;
  gkv_map_unlock (fixture->map);
  expected = find_all (gkv_map_get_store (fixture->map), prefix);
  assert_same (records, expected);
}

static void
test_map (MapFixture *fixture, gconstpointer data)
{
  g_autoptr (GPtrArray) closed = NULL;
  guint n_checked_while_due = 0;

  for (guint i = 0; i < 2 * N_KEYS; i++)
    write_some (fixture);
  g_assert_false (gkv_map_is_index_due (fixture->map));
  check_map (fixture, "");
  g_assert_false (gkv_map_is_index_due (fixture->map));

  for (guint i = 0; i < 5000; i++)
    {
      if (i % 1000 == 500)
        {
          gkv_map_lock (fixture->map);
          gkv_map_set_networked_locked (fixture->map, i % 2000 < 1000);
          gkv_map_unlock (fixture->map);
        }
      if (i % 100 == 0)
        {
          check_map (fixture, i % 300 == 0 ? "" : "x/1");
          n_checked_while_due += gkv_map_is_index_due (fixture->map);
        }
      gkv_map_build_index (fixture->map, 0); /* a slice */
      write_some (fixture);
    }

  g_assert_cmpuint (n_checked_while_due, >, 0);
  g_assert_false (gkv_map_is_index_due (fixture->map));

  gkv_map_close (fixture->map);
  closed = gkv_map_dup_records (fixture->map, "x/", G_MAXUINT);
  g_assert_cmpuint (closed->len, ==, 0);
  g_assert_false (gkv_map_is_index_due (fixture->map));
}

/* More than was wanted isn't read, with the index and without. */
static void
test_maximum (MapFixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 9000; i++)
    {
      g_autofree char *key = g_strdup_printf ("x/%u", i);

      write_one (fixture, key, 0);
    }

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GPtrArray) all = gkv_map_dup_records (fixture->map, "", 9000);

      g_assert_cmpuint (all->len, ==, 9000);
      g_assert_null (gkv_map_dup_records (fixture->map, "", 8999));
      g_assert_null (gkv_map_dup_records (fixture->map, "x/", 8999));
      while (gkv_map_build_index (fixture->map, 0))
        ;
    }
}

/* The context of the network builds the index, and then has nothing more to do. */
static void
test_context (MapFixture *fixture, gconstpointer data)
{
  const GkvEmitterSignals signals = {
    0,
  };
  GkvEmitter *emitter = gkv_emitter_new (fixture->owner, fixture->map, &signals);
  GkvNetwork *network = gkv_network_new (fixture->owner, fixture->map, emitter, NULL);

  for (guint i = 0; i < N_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("x/%u", i);

      write_one (fixture, key, 0);
    }

  gkv_network_build_index (network);
  g_assert_false (g_main_context_pending (NULL));

  gkv_map_want_index (fixture->map);
  g_assert_true (gkv_map_is_index_due (fixture->map));
  gkv_network_build_index (network);
  gkv_network_build_index (network);
  while (gkv_map_is_index_due (fixture->map))
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE))
    ;

  gkv_network_close (network);
  gkv_network_unref (network);
  gkv_emitter_unref (emitter);
}

/* A sweep in which the map changes behind it and before it. */
static void
test_sweep (MapFixture *fixture, gconstpointer data)
{
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  GkvSweep sweep;
  guint n_steps = 0;

  for (guint i = 0; i < N_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("x/%05u", i);

      write_one (fixture, key, 0);
    }
  write_one (fixture, "y", 0);

  gkv_sweep_init (&sweep, "x/");
  while (gkv_sweep_step (&sweep, fixture->map, records))
    {
      g_autofree char *behind = g_strdup_printf ("x/00000/%u", n_steps);
      g_autofree char *later = g_strdup_printf ("x/99999/%u", n_steps);

      n_steps++;
      if (sweep.after == NULL)
        continue;

      g_assert_cmpstr (gkv_record_get_key (records->pdata[records->len - 1]), ==, sweep.after);
      write_one (fixture, behind, 0);
      write_one (fixture, later, 0);
      write_one (fixture, "x/11999", GKV_RECORD_DEAD);
    }

  g_assert_cmpuint (n_steps, >, 5);
  g_assert_cmpuint (records->len, >, N_KEYS);
  for (guint i = 0; i < records->len; i++)
    {
      g_autofree char *key = g_strdup_printf ("x/%05u", i);

      g_assert_cmpint (i == 0 || compare_keys (&records->pdata[i - 1], &records->pdata[i]) < 0, ==, TRUE);
      if (i < N_KEYS - 1)
        g_assert_cmpstr (gkv_record_get_key (records->pdata[i]), ==, key);
      else
        g_assert_true (g_str_has_prefix (gkv_record_get_key (records->pdata[i]), "x/99999/"));
    }

  gkv_sweep_clear (&sweep);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/listing/follows", test_follows);
  g_test_add ("/listing/map", MapFixture, NULL, map_fixture_set_up, test_map, map_fixture_tear_down);
  g_test_add ("/listing/maximum", MapFixture, NULL, map_fixture_set_up, test_maximum, map_fixture_tear_down);
  g_test_add ("/listing/context", MapFixture, NULL, map_fixture_set_up, test_context, map_fixture_tear_down);
  g_test_add ("/listing/sweep", MapFixture, NULL, map_fixture_set_up, test_sweep, map_fixture_tear_down);

  return g_test_run ();
}
