/* Watches that want what is there: each key once, however changes of it come in between.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "node/gkv-watches.h"

#include <string.h>

/* A codec of strings. */

typedef struct
{
  GObject parent_instance;
} TestCodec;

typedef GObjectClass TestCodecClass;

static const char *
test_codec_get_name (GkvCodec *codec)
{
  return "test";
}

static GVariant *
test_codec_decode (GkvCodec *codec, GBytes *bytes, GError **error)
{
  return g_variant_ref_sink (g_variant_new_string (g_bytes_get_data (bytes, NULL)));
}

static gboolean
test_codec_is_thread_safe (GkvCodec *codec)
{
  return TRUE;
}

static void
test_codec_iface_init (GkvCodecInterface *iface)
{
  iface->get_name = test_codec_get_name;
  iface->decode = test_codec_decode;
  iface->is_thread_safe = test_codec_is_thread_safe;
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
  GkvWatches *watches;
  GObject *node;
  GString *seen;
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GkvCodec) codec = g_object_new (test_codec_get_type (), NULL);

  fixture->owner = gkv_owner_new ();
  fixture->map = gkv_map_new (fixture->owner, "here", "cluster", 1);
  gkv_map_set_codec (fixture->map, gkv_codec_handle_new (codec));
  gkv_map_set_ready (fixture->map, TRUE);
  fixture->watches = gkv_watches_new (fixture->map);
  fixture->node = g_object_new (G_TYPE_OBJECT, NULL);
  fixture->seen = g_string_new (NULL);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  gkv_watches_free (fixture->watches);
  gkv_map_unref (fixture->map);
  gkv_owner_unref (fixture->owner);
  g_object_unref (fixture->node);
  g_string_free (fixture->seen, TRUE);
}

static void
on_watched (GObject *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  Fixture *fixture = user_data;

  g_string_append_printf (fixture->seen, "%s=%s ", key, value != NULL ? g_variant_get_string (value, NULL) : "-");
}

static void
assert_seen (Fixture *fixture, const char *seen)
{
  g_assert_cmpstr (fixture->seen->str, ==, seen);
  g_string_truncate (fixture->seen, 0);
}

/* Another thread's write: its change is queued. @value: NULL to remove the key. */
static void
put (Fixture *fixture, const char *key, const char *value)
{
  g_autoptr (GBytes) bytes = value != NULL ? g_bytes_new (value, strlen (value) + 1) : NULL;
  GkvWrite write = { .key = key, .key_len = strlen (key), .bytes = bytes };
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvRecord) replaced = NULL;

  if (value != NULL)
    write.codec = gkv_map_get_codec (fixture->map);
  else
    write.flags = GKV_RECORD_DEAD;

  gkv_map_lock (fixture->map);
  record = gkv_map_put_locked (fixture->map, &write, &replaced, NULL);
  g_assert_nonnull (record);
  gkv_map_queue_change_locked (fixture->map, record, replaced);
  gkv_map_unlock (fixture->map);
}

/* As the emitter does. */
static void
emit_changes (Fixture *fixture)
{
  GkvChange change;
  gboolean more;

  while (TRUE)
    {
      g_autoptr (GVariant) value = NULL;

      gkv_map_lock (fixture->map);
      more = gkv_map_take_change_locked (fixture->map, &change);
      gkv_map_unlock (fixture->map);
      if (!more)
        return;

      value = change.record != NULL ? gkv_map_decode (fixture->map, change.record, NULL) : NULL;
      gkv_watches_emit (fixture->watches, fixture->node, gkv_record_get_key (change.key), change.record, value, "here");
      gkv_change_clear (&change);
    }
}

static void
emit_one (Fixture *fixture, gboolean is_emitting)
{
  while (fixture->seen->len == 0)
    g_assert_true (gkv_watches_emit_initial (fixture->watches, fixture->node, is_emitting));
}

static void
emit_rest (Fixture *fixture)
{
  while (gkv_watches_emit_initial (fixture->watches, fixture->node, FALSE))
    ;
}

static void
test_changes_between (Fixture *fixture, gconstpointer data)
{
  static const char *const keys[] = { "b", "c", "d", "e", "f" };

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    put (fixture, keys[i], "1");
  gkv_map_drop_changes (fixture->map);
  gkv_watches_add (fixture->watches, "", TRUE, on_watched, fixture, NULL);

  emit_one (fixture, FALSE);
  assert_seen (fixture, "b=1 ");

  /* It has come with what a change of it is yet to report. */
  put (fixture, "c", "2");
  emit_one (fixture, FALSE);
  assert_seen (fixture, "c=2 ");
  emit_changes (fixture);
  assert_seen (fixture, "");

  /* It has, and was written once more. */
  put (fixture, "d", "2");
  emit_one (fixture, FALSE);
  assert_seen (fixture, "d=2 ");
  put (fixture, "d", "3");
  emit_changes (fixture);
  assert_seen (fixture, "d=3 ");

  /* What has come already, comes anew behind the sweep, or where it has read already; what is still to come. */
  put (fixture, "b", "2");
  put (fixture, "a", "1");
  put (fixture, "ee", "1");
  put (fixture, "e", "2");
  put (fixture, "f", NULL);
  emit_changes (fixture);
  assert_seen (fixture, "b=2 a=1 ee=1 ");

  /* A handler of a change runs a loop. */
  emit_one (fixture, TRUE);
  assert_seen (fixture, "e=2 ");
  {
    gint64 expires_us;
    g_autoptr (GkvRecord) record = gkv_map_dup_record (fixture->map, "e", &expires_us);

    gkv_watches_emit (fixture->watches, fixture->node, "e", record, NULL, "here");
  }
  assert_seen (fixture, "");

  emit_rest (fixture);
  assert_seen (fixture, "");
  put (fixture, "f", "2");
  put (fixture, "c", NULL);
  emit_changes (fixture);
  assert_seen (fixture, "f=2 c=- ");
}

/* More than comes at once: what is new before the sweep comes with it. */
static void
test_in_slices (Fixture *fixture, gconstpointer data)
{
  guint n = 0;

  for (guint i = 0; i < 11000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key/%05u", i);

      put (fixture, key, "1");
    }
  gkv_map_drop_changes (fixture->map);
  gkv_watches_add (fixture->watches, "key/", TRUE, on_watched, fixture, NULL);

  /* Nothing was read yet, then a slice was. */
  put (fixture, "key/00000/new", "1");
  emit_changes (fixture);
  emit_one (fixture, FALSE);
  assert_seen (fixture, "key/00000=1 ");
  put (fixture, "key/00001/new", "1");
  put (fixture, "key/10999/new", "1");
  put (fixture, "key/10998", NULL);
  emit_changes (fixture);
  assert_seen (fixture, "key/00001/new=1 ");

  while (gkv_watches_emit_initial (fixture->watches, fixture->node, FALSE))
    {
      n += fixture->seen->len > 0;
      if (n == 1)
        g_assert_cmpstr (fixture->seen->str, ==, "key/00000/new=1 ");
      if (strstr (fixture->seen->str, "new") != NULL && n > 1)
        assert_seen (fixture, "key/10999/new=1 ");
      g_string_truncate (fixture->seen, 0);
    }
  g_assert_cmpuint (n, ==, 11000 - 2 + 2);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add ("/watches/changes-between", Fixture, NULL, fixture_set_up, test_changes_between, fixture_tear_down);
  g_test_add ("/watches/in-slices", Fixture, NULL, fixture_set_up, test_in_slices, fixture_tear_down);

  return g_test_run ();
}
