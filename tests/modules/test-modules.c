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

  return g_test_run ();
}
