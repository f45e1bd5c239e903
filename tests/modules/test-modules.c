/* Loading modules: what is missing or broken is told, in full, and does no harm.
 *
 * The registry is one for the process and for good, so that each case runs in a process of its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <glib/gstdio.h>
#include <string.h>

static const char *modules;  /* the folder of the real ones */
static const char *fixtures; /* the folder of those that fail on purpose */

static void
run_case (const char *name, const char *path)
{
  g_autofree char *case_path = g_strdup_printf ("%s/subprocess", name);

  if (path != NULL)
    g_setenv ("GKV_MODULE_PATH", path, TRUE);
  else
    g_unsetenv ("GKV_MODULE_PATH");
  g_test_trap_subprocess (case_path, 0, 0);
  g_test_trap_assert_passed ();
  /* GIO would have complained there. */
  g_test_trap_assert_stderr ("");
}

static void
assert_fails (const char *name, ...)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name (name, &error);
  const char *part;
  va_list parts;

  g_assert_null (codec);
  g_assert_error (error, GKV_ERROR, GKV_ERROR_MODULE);
  va_start (parts, name);
  while ((part = va_arg (parts, const char *)) != NULL)
    if (strstr (error->message, part) == NULL)
      g_error ("\"%s\" isn't in: %s", part, error->message);
  va_end (parts);
}

static void
test_missing (void)
{
  run_case ("/modules/missing", modules);
}

static void
test_missing_inside (void)
{
  assert_fails ("nonsense", "\"nonsense\"", "bytes, ", "string, variant", modules, GKV_MODULE_DIR, NULL);
  assert_fails ("../evil", "\"../evil\"", NULL);
  assert_fails ("", NULL);
}

static void
test_broken (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("gkv-modules-XXXXXX", &error);
  g_autofree char *garbage = g_build_filename (folder, "libgkv-codec-garbage.so", NULL);
  g_autofree char *path = g_strjoin (":", folder, fixtures, modules, NULL);

  g_assert_no_error (error);
  g_assert_true (g_file_set_contents (garbage, "This is no shared object", -1, NULL));
  run_case ("/modules/broken", path);
  g_unlink (garbage);
  g_rmdir (folder);
}

static void
test_broken_inside (void)
{
  g_autoptr (GkvCodec) codec = NULL;

  assert_fails ("garbage", "libgkv-codec-garbage.so", NULL);
  assert_fails ("wrong-version", "libgkv-codec-wrong-version.so", "made for version 99", NULL);
  assert_fails ("no-version", "libgkv-codec-no-version.so", NULL);
  assert_fails ("no-load", "libgkv-codec-no-load.so", "g_io_gkv_codec_no_load_load", NULL);

  /* The good ones are there all the same. */
  codec = gkv_codec_new_for_name ("bytes", NULL);
  g_assert_nonnull (codec);
}

static void
test_fallback (void)
{
  run_case ("/modules/fallback", NULL);
}

static void
test_fallback_inside (void)
{
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("variant", NULL);
  g_autoptr (GkvTransport) transport = gkv_transport_new_for_name ("udp", NULL);

  g_assert_nonnull (codec);
  g_assert_nonnull (transport);
}

static void
test_names (void)
{
  run_case ("/modules/names", modules);
}

static void
test_names_inside (void)
{
  g_auto (GStrv) codecs = gkv_codec_list_names ();
  g_auto (GStrv) transports = gkv_transport_list_names ();
  g_auto (GStrv) discoveries = gkv_discovery_list_names ();

  g_assert_true (g_strv_contains ((const char *const *) codecs, "bytes"));
  g_assert_true (g_strv_contains ((const char *const *) codecs, "variant"));
  for (guint i = 1; codecs[i] != NULL; i++)
    g_assert_cmpstr (codecs[i - 1], <, codecs[i]);
  g_assert_true (g_strv_contains ((const char *const *) transports, "udp"));
  g_assert_false (g_strv_contains ((const char *const *) discoveries, "udp"));
}

/* A discovery that keeps what follows the colon of its name. */

typedef struct
{
  GObject parent_instance;
  char *argument;
} Keeper;

typedef GObjectClass KeeperClass;

static GType keeper_get_type (void);

G_DEFINE_TYPE_WITH_CODE (Keeper, keeper, G_TYPE_OBJECT, G_IMPLEMENT_INTERFACE (GKV_TYPE_DISCOVERY, NULL))

static void
keeper_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  Keeper *self = (Keeper *) object;

  g_free (self->argument);
  self->argument = g_value_dup_string (value);
}

static void
keeper_finalize (GObject *object)
{
  g_free (((Keeper *) object)->argument);

  G_OBJECT_CLASS (keeper_parent_class)->finalize (object);
}

static void
keeper_class_init (KeeperClass *klass)
{
  klass->set_property = keeper_set_property;
  klass->finalize = keeper_finalize;
  g_object_class_install_property (klass, 1,
                                   g_param_spec_string ("argument", NULL, NULL, NULL,
                                                        G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
}

static void
keeper_init (Keeper *self)
{
}

static void
test_argument (void)
{
  run_case ("/modules/argument", modules);
}

static void
test_argument_inside (void)
{
  g_auto (GStrv) names = gkv_discovery_list_names (); /* registers the extension points */
  g_autoptr (GkvDiscovery) discovery = NULL;
  g_autoptr (GkvDiscovery) bare = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (names);
  g_io_extension_point_implement (GKV_DISCOVERY_EXTENSION_POINT_NAME, keeper_get_type (), "keeper", 0);

  discovery = gkv_discovery_new_for_name ("keeper:a.example:7000", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (((Keeper *) discovery)->argument, ==, "a.example:7000");

  bare = gkv_discovery_new_for_name ("keeper", &error);
  g_assert_no_error (error);
  g_assert_null (((Keeper *) bare)->argument);

  assert_fails ("bytes:loud", "\"bytes\"", "takes no argument", "\"bytes:loud\"", NULL);
  assert_fails ("nonsense:x", "\"nonsense\"", NULL);
}

/* To look at a node loads nothing: every property is read, and what is loaded is seen in the process's own maps. */

static gboolean
is_loaded (const char *part)
{
  g_autofree char *maps = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));

  return strstr (maps, part) != NULL;
}

static void
test_reading (void)
{
  run_case ("/modules/reading", modules);
}

static void
test_reading_inside (void)
{
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", NULL);
  guint n_properties;
  g_autofree GParamSpec **properties = g_object_class_list_properties (G_OBJECT_GET_CLASS (node), &n_properties);
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);

  g_assert_nonnull (stats);
  for (guint i = 0; i < n_properties; i++)
    {
      g_auto (GValue) value = G_VALUE_INIT;

      if (properties[i]->flags & G_PARAM_READABLE)
        g_object_get_property (G_OBJECT (node), properties[i]->name, &value);
    }
  g_assert_null (gkv_node_get_codec (node));
  g_assert_null (gkv_node_get_transport (node));
  g_assert_null (gkv_node_get_discovery (node));
  g_assert_false (is_loaded ("libgkv-codec-"));
  g_assert_false (is_loaded ("libgkv-transport-"));
  g_assert_false (is_loaded ("libgkv-discovery-"));

  /* What is needed is loaded when it is. */
  g_assert_true (gkv_node_set_int64 (node, "key", 1, NULL));
  g_assert_true (is_loaded ("libgkv-codec-variant"));
}

int
main (int argc, char *argv[])
{
  modules = g_getenv ("GKV_TEST_MODULES");
  fixtures = g_getenv ("GKV_TEST_FIXTURES");
  g_test_init (&argc, &argv, NULL);
  g_assert_nonnull (modules);

  g_test_add_func ("/modules/missing", test_missing);
  g_test_add_func ("/modules/missing/subprocess", test_missing_inside);
  g_test_add_func ("/modules/broken", test_broken);
  g_test_add_func ("/modules/broken/subprocess", test_broken_inside);
  g_test_add_func ("/modules/fallback", test_fallback);
  g_test_add_func ("/modules/fallback/subprocess", test_fallback_inside);
  g_test_add_func ("/modules/names", test_names);
  g_test_add_func ("/modules/names/subprocess", test_names_inside);
  g_test_add_func ("/modules/argument", test_argument);
  g_test_add_func ("/modules/argument/subprocess", test_argument_inside);
  g_test_add_func ("/modules/reading", test_reading);
  g_test_add_func ("/modules/reading/subprocess", test_reading_inside);

  return g_test_run ();
}
