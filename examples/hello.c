#include <glib-unix.h>
#include <gkv.h>
#include <locale.h>

static void
on_greeting (GkvNode *node, const char *key, GVariant *value, const char *origin)
{
  const char *text = "nothing";

  /* Peers may write values of any type. */
  if (value != NULL)
    text = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_get_string (value, NULL) : "not a text";
  g_print ("%s = %s\n", key, text);
}

static gboolean
on_interrupt (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", argv + 1, NULL);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_unix_signal_add (SIGINT, on_interrupt, loop);
  g_signal_connect (node, "changed::greeting", G_CALLBACK (on_greeting), NULL);
  if (!gkv_node_start (node, NULL, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  g_print ("listening at %s\n", gkv_node_get_local_address (node));
  if (gkv_node_set_string (node, "greeting", "hello from C", &error))
    g_main_loop_run (loop);
  if (error != NULL || !gkv_node_close (node, NULL, &error))
    g_printerr ("%s\n", error->message);
  return 0;
}
