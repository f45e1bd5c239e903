/* Makes an object of each name given, with whatever module has it: for trying out a build by hand, and in CI.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

static GObject *
make (const char *name, GError **error)
{
  g_autoptr (GError) not_codec = NULL;
  g_autoptr (GError) not_transport = NULL;
  GObject *object = (GObject *) gkv_codec_new_for_name (name, &not_codec);

  if (object == NULL)
    object = (GObject *) gkv_transport_new_for_name (name, &not_transport);
  if (object == NULL)
    object = (GObject *) gkv_discovery_new_for_name (name, error);
  return object;
}

int
main (int argc, char *argv[])
{
  for (int i = 1; i < argc; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GObject) object = make (argv[i], &error);

      if (object == NULL)
        {
          g_printerr ("%s\n", error->message);
          return 1;
        }
      g_print ("%s: %s\n", argv[i], G_OBJECT_TYPE_NAME (object));
    }

  return 0;
}
