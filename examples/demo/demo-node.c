/* One process of the demo, in C. It obeys what it reads on its standard input, and reports on its standard output what
 * it sees: a line a time, words separated by tabs.
 *
 *   set KEY VALUE · delete KEY · dump · quit
 *   ready ID ADDRESS · wrote KEY · changed KEY VALUE ORIGIN · deleted KEY · peer ID STATE · map KEY VALUE · end
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gio/gunixinputstream.h>
#include <gkv.h>
#include <string.h>

static GMainLoop *loop;

/* Every line begins with the time on the machine's monotonic clock, in microseconds. */
static void G_GNUC_PRINTF (1, 2) report (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_print ("%" G_GINT64_FORMAT "\t%s\n", g_get_monotonic_time (), text);
}

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin)
{
  if (value == NULL)
    report ("deleted\t%s", key);
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    report ("changed\t%s\t%s\t%s", key, g_variant_get_string (value, NULL), origin);
}

static void
on_state (GkvPeer *peer)
{
  static const char *names[] = { "alive", "suspect", "left", "dead" };

  report ("peer\t%s\t%s", gkv_peer_get_node_id (peer), names[gkv_peer_get_state (peer)]);
}

static void
on_peer_added (GkvNode *node, GkvPeer *peer)
{
  on_state (peer);
  g_signal_connect (peer, "notify::state", G_CALLBACK (on_state), NULL);
}

static void
obey (GkvNode *node, const char *line)
{
  g_auto (GStrv) words = g_strsplit (line, "\t", 3);
  g_autoptr (GError) error = NULL;

  if (strcmp (words[0], "set") == 0)
    {
      report ("wrote\t%s", words[1]);
      gkv_node_set_string (node, words[1], words[2], &error);
    }
  else if (strcmp (words[0], "delete") == 0)
    {
      report ("wrote\t%s", words[1]);
      gkv_node_remove (node, words[1], NULL, &error);
    }
  else if (strcmp (words[0], "dump") == 0)
    {
      g_auto (GStrv) keys = gkv_node_list_keys (node, NULL);

      for (guint i = 0; keys[i] != NULL; i++)
        {
          g_autofree char *value = gkv_node_get_string (node, keys[i], "");

          report ("map\t%s\t%s", keys[i], value);
        }
      report ("end");
    }
  else
    {
      g_main_loop_quit (loop);
    }

  if (error != NULL)
    report ("error\t%s", error->message);
}

static void
on_line (GObject *source, GAsyncResult *result, gpointer node)
{
  GDataInputStream *input = G_DATA_INPUT_STREAM (source);
  g_autofree char *line = g_data_input_stream_read_line_finish (input, result, NULL, NULL);

  obey (node, line != NULL ? line : "quit");
  if (line != NULL)
    g_data_input_stream_read_line_async (input, G_PRIORITY_DEFAULT, NULL, on_line, node);
}

int
main (int argc, char *argv[])
{
  const char *seeds[] = { argc > 2 && *argv[2] != '\0' ? argv[2] : NULL, NULL };
  g_autoptr (GkvDiscovery) discovery = argc > 3 ? gkv_discovery_new_for_name ("mdns", NULL) : NULL;
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "node-id", argv[1], "cluster", "gkv-demo", "bind-address",
                                           "127.0.0.1:0", "seeds", seeds, "discovery", discovery, NULL);
  g_autoptr (GInputStream) stdin_stream = g_unix_input_stream_new (0, FALSE);
  g_autoptr (GDataInputStream) input = g_data_input_stream_new (stdin_stream);
  g_autoptr (GError) error = NULL;

  g_signal_connect (node, "changed", G_CALLBACK (on_changed), NULL);
  g_signal_connect (node, "peer-added", G_CALLBACK (on_peer_added), NULL);
  if (!gkv_node_start (node, NULL, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  report ("ready\t%s\t%s", argv[1], gkv_node_get_local_address (node));

  loop = g_main_loop_new (NULL, FALSE);
  g_data_input_stream_read_line_async (input, G_PRIORITY_DEFAULT, NULL, on_line, node);
  g_main_loop_run (loop);

  if (!gkv_node_close (node, NULL, &error))
    g_printerr ("%s\n", error->message);
  g_main_loop_unref (loop);
  return 0;
}
