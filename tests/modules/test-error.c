/* GKV_ERROR as programs that are already built know it: the name of its domain and the numbers of its codes never
 * change.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

static void
test_quark (void)
{
  g_assert_cmpstr (g_quark_to_string (GKV_ERROR), ==, "gkv-error-quark");
}

static void
test_codes (void)
{
  static const struct
  {
    int code;
    const char *nick;
  } codes[] = {
    { 0, "failed" },       { 1, "not-found" },    { 2, "exists" },         { 3, "mismatch" },
    { 4, "closed" },       { 5, "wrong-thread" }, { 6, "invalid-option" }, { 7, "wrong-type" },
    { 8, "duplicate-id" }, { 9, "invalid-key" },  { 10, "invalid-value" }, { 11, "invalid-address" },
    { 12, "codec" },       { 13, "transport" },   { 14, "discovery" },     { 15, "module" },
    { 16, "too-large" },   { 17, "clock" },
  };
  g_autoptr (GEnumClass) klass = g_type_class_ref (GKV_TYPE_ERROR);

  g_assert_cmpuint (klass->n_values, ==, G_N_ELEMENTS (codes));
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      GEnumValue *value = g_enum_get_value (klass, codes[i].code);

      g_assert_nonnull (value);
      g_assert_cmpstr (value->value_nick, ==, codes[i].nick);
    }
}

static void
test_version (void)
{
  g_assert_cmpuint (gkv_get_major_version (), ==, GKV_MAJOR_VERSION);
  g_assert_cmpuint (gkv_get_minor_version (), ==, GKV_MINOR_VERSION);
  g_assert_cmpuint (gkv_get_micro_version (), ==, GKV_MICRO_VERSION);

  g_assert_true (GKV_CHECK_VERSION (GKV_MAJOR_VERSION, GKV_MINOR_VERSION, GKV_MICRO_VERSION));
  g_assert_true (GKV_CHECK_VERSION (0, 99, 99));
  g_assert_false (GKV_CHECK_VERSION (GKV_MAJOR_VERSION, GKV_MINOR_VERSION, GKV_MICRO_VERSION + 1));
  g_assert_false (GKV_CHECK_VERSION (GKV_MAJOR_VERSION, GKV_MINOR_VERSION + 1, 0));
  g_assert_false (GKV_CHECK_VERSION (GKV_MAJOR_VERSION + 1, 0, 0));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/error/quark", test_quark);
  g_test_add_func ("/error/codes", test_codes);
  g_test_add_func ("/version", test_version);

  return g_test_run ();
}
