/* One node as a process, found by discovery alone, for the tests to drive: "share DISCOVERY CLUSTER NODE-ID ADDRESS".
 *
 * It sets the key of its own id and says on its standard output, a line each, what changed and what went wrong, until
 * its standard input ends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <glib-unix.h>

#include <stdio.h>

static void
changed_cb (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  printf ("changed %s %s\n", key, value != NULL ? g_variant_get_string (value, NULL) : "");
  fflush (stdout);
}

static void
error_cb (GkvNode *node, const GError *error, gpointer user_data)
{
  printf ("error %s\n", error->message);
  fflush (stdout);
}

static gboolean
input_cb (int fd, GIOCondition condition, gpointer user_data)
{
  g_main_loop_quit (user_data);
  return G_SOURCE_REMOVE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GkvDiscovery) discovery = NULL;
  g_autoptr (GkvNode) node = NULL;
  g_autofree char *greeting = NULL;

  if (argc != 5)
    g_error ("usage: share DISCOVERY CLUSTER NODE-ID ADDRESS");

  discovery = gkv_discovery_new_for_name (argv[1], &error);
  if (discovery == NULL)
    g_error ("%s", error->message);

  node = g_object_new (GKV_TYPE_NODE, "cluster", argv[2], "node-id", argv[3], "bind-address", argv[4], "discovery",
                       discovery, NULL);
  g_signal_connect (node, "changed", G_CALLBACK (changed_cb), NULL);
  g_signal_connect (node, "error", G_CALLBACK (error_cb), NULL);

  greeting = g_strdup_printf ("hello from %s", argv[3]);
  if (!gkv_node_start (node, NULL, &error) || !gkv_node_set_string (node, argv[3], greeting, &error))
    g_error ("%s", error->message);

  g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP, input_cb, loop);
  g_main_loop_run (loop);

  /* What was written may have reached nobody, where there is nobody. */
  gkv_node_close (node, NULL, NULL);
  return 0;
}
