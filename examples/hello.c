#include <gkv.h>
#include <locale.h>

static void
on_greeting (GkvNode *node, const char *key, GVariant *value, const char *origin)
{
  g_print ("%s = %s\n", key, value != NULL ? g_variant_get_string (value, NULL) : "nothing");
}

int
main (int argc, char *argv[])
{
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", argv + 1, NULL);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_signal_connect (node, "changed::greeting", G_CALLBACK (on_greeting), NULL);
  if (!gkv_node_start (node, NULL, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  g_print ("listening at %s\n", gkv_node_get_local_address (node));
  gkv_node_set_string (node, "greeting", "hello from C", NULL);
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
}
