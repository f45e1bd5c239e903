/* A program as a script is: it starts, writes 2,000 keys, and ends in one of several ways, which its exit status tells.
 *
 * script ADDRESS WAY
 *
 * 0: all that was written has reached somebody, 3: the library says that it has not.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <unistd.h>

#define N_KEYS           (2000)
#define FLUSH_TIMEOUT_MS (60 * 1000)

static void
on_closed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  int *status = data;

  *status = gkv_node_close_finish (GKV_NODE (source), result, &error) ? 0 : 3;
}

static int
end (GkvNode *node, const char *way)
{
  int status = -1;

  /* Only the flush is to be relied on then. */
  if (g_str_equal (way, "flush"))
    _exit (gkv_node_flush (node, 0, FLUSH_TIMEOUT_MS, NULL, NULL) ? 0 : 3);

  if (!g_str_has_suffix (way, "async"))
    return gkv_node_close (node, NULL, NULL) ? 0 : 3;

  gkv_node_close_async (node, NULL, on_closed, &status);
  while (status < 0)
    g_main_context_iteration (NULL, TRUE);

  return status;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GkvNode) node = NULL;
  const char *way = argc == 3 ? argv[2] : "";
  const char *seeds[] = { argv[1], NULL };

  node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, "network-thread",
                       !g_str_has_prefix (way, "own-context"), NULL);
  if (!gkv_node_start (node, NULL, &error))
    g_error ("%s", error->message);

  /* Closed in any moment of getting to know each other, with nothing to wait for. */
  if (g_str_equal (way, "glance"))
    {
      g_usleep ((gulong) g_random_int_range (0, 500));
      return end (node, way);
    }

  /* A command that runs each minute sets one key, which goes with it. One that lingers is there to be killed. */
  if (g_str_has_prefix (way, "command") || g_str_equal (way, "linger"))
    {
      g_autofree char *key = g_strconcat ("command/", gkv_node_get_node_id (node), NULL);

      gkv_node_set_value_full (node, key, g_variant_new_int64 (1), GKV_SET_EPHEMERAL, 0, NULL, &error);
      g_assert_no_error (error);
      if (g_str_equal (way, "linger"))
        g_usleep (60 * G_USEC_PER_SEC);
      return end (node, way);
    }

  for (guint i = 0; i < N_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("key/%u", i);

      gkv_node_set_int64 (node, key, i, &error);
      g_assert_no_error (error);
    }

  return end (node, way);
}
