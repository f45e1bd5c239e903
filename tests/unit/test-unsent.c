/* Datagrams that could not be sent: each is counted by its cause, and a cause is told once while it lasts.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-error.h"
#include "node/gkv-unsent.h"

#include <gio/gio.h>

#define SECOND G_GINT64_CONSTANT (1000000)

static gboolean
note (GkvUnsent *unsent, int code, const char *address, gint64 now)
{
  g_autoptr (GError) error = g_error_new (G_IO_ERROR, code, "A datagram to %s could not be sent", address);

  return gkv_unsent_note (unsent, error, now);
}

static guint64
get (GkvUnsent *unsent, const char *name)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  g_autoptr (GVariant) stats = NULL;
  guint64 value;

  gkv_unsent_add_stats (unsent, &builder);
  stats = g_variant_ref_sink (g_variant_builder_end (&builder));
  g_assert_true (g_variant_lookup (stats, name, "t", &value));
  return value;
}

static void
test_causes (void)
{
  g_autoptr (GError) other = g_error_new_literal (GKV_ERROR, GKV_ERROR_TRANSPORT, "of another family");
  GkvUnsent *unsent = gkv_unsent_new ();

  g_assert_true (note (unsent, G_IO_ERROR_HOST_UNREACHABLE, "a:1", 0));
  g_assert_true (note (unsent, G_IO_ERROR_PERMISSION_DENIED, "b:1", 0));
  g_assert_true (note (unsent, G_IO_ERROR_MESSAGE_TOO_LARGE, "c:1", 0));
  g_assert_true (gkv_unsent_note (unsent, other, 0));
  /* Of the network itself only one. */
  g_assert_true (note (unsent, G_IO_ERROR_NETWORK_UNREACHABLE, "a:1", 0));
  g_assert_false (note (unsent, G_IO_ERROR_NETWORK_UNREACHABLE, "b:1", 0));
  g_assert_true (note (unsent, G_IO_ERROR_WOULD_BLOCK, "a:1", 0));
  g_assert_false (note (unsent, G_IO_ERROR_WOULD_BLOCK, "b:1", 0));

  g_assert_cmpuint (get (unsent, "send-errors-no-route"), ==, 1);
  g_assert_cmpuint (get (unsent, "send-errors-no-network"), ==, 2);
  g_assert_cmpuint (get (unsent, "send-errors-refused"), ==, 1);
  g_assert_cmpuint (get (unsent, "send-errors-too-large"), ==, 1);
  g_assert_cmpuint (get (unsent, "send-errors-busy"), ==, 2);
  g_assert_cmpuint (get (unsent, "send-errors-other"), ==, 1);
  g_assert_cmpuint (get (unsent, "send-errors"), ==, 8);
  g_assert_cmpuint (get (NULL, "send-errors"), ==, 0);
  gkv_unsent_free (unsent);
}

static void
test_lasts (void)
{
  GkvUnsent *unsent = gkv_unsent_new ();

  for (guint i = 0; i < 1000; i++)
    g_assert_true (note (unsent, G_IO_ERROR_HOST_UNREACHABLE, "a:1", i * 60 * SECOND) == (i == 0));
  g_assert_true (note (unsent, G_IO_ERROR_HOST_UNREACHABLE, "b:1", 1000 * 60 * SECOND));
  g_assert_true (note (unsent, G_IO_ERROR_HOST_UNREACHABLE, "a:1", 1100 * 60 * SECOND));
  g_assert_cmpuint (get (unsent, "send-errors"), ==, 1002);
  gkv_unsent_free (unsent);
}

/* However many there are. */
static void
test_bounded (void)
{
  GkvUnsent *unsent = gkv_unsent_new ();
  guint n_told = 0;

  for (guint i = 0; i < 10000; i++)
    {
      g_autofree char *address = g_strdup_printf ("a:%u", i);

      n_told += note (unsent, G_IO_ERROR_HOST_UNREACHABLE, address, 0);
    }
  g_assert_cmpuint (n_told, <=, 64);
  g_assert_cmpuint (get (unsent, "send-errors"), ==, 10000);
  gkv_unsent_free (unsent);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/unsent/causes", test_causes);
  g_test_add_func ("/unsent/lasts", test_lasts);
  g_test_add_func ("/unsent/bounded", test_bounded);

  return g_test_run ();
}
