/* Resident memory of a node that only lives in its process: made, started, and with a key. The floor is the bare
 * object.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static guint n_nodes = 1000;

static guint64
get_resident_bytes (void)
{
  g_autofree char *text = NULL;
  guint64 pages = 0;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL) ||
      sscanf (text, "%*s %" G_GUINT64_FORMAT, &pages) != 1)
    g_error ("/proc/self/statm can't be read");

  return pages * sysconf (_SC_PAGESIZE);
}

static GObject *
make_object (void)
{
  return g_object_new (G_TYPE_OBJECT, NULL);
}

static GObject *
make_node (void)
{
  return G_OBJECT (gkv_node_new ());
}

static GObject *
make_started (void)
{
  GkvNode *node = gkv_node_new ();
  g_autoptr (GError) error = NULL;

  if (!gkv_node_start (node, NULL, &error))
    g_error ("%s", error->message);
  return G_OBJECT (node);
}

static GObject *
make_with_key (void)
{
  GObject *node = make_started ();

  gkv_node_set_string (GKV_NODE (node), "key", "value", NULL);
  return node;
}

static void
measure (const char *what, GObject *(*make) (void), double target)
{
  g_autoptr (GPtrArray) objects = g_ptr_array_new_full (n_nodes, g_object_unref);
  /* What the first of all brings for the process is no part of a node. */
  GObject *first = make ();
  guint64 before = get_resident_bytes ();

  for (guint i = 0; i < n_nodes; i++)
    g_ptr_array_add (objects, make ());
  g_print ("%-28s %8.1f KB", what, (double) (get_resident_bytes () - before) / n_nodes / 1000);
  if (target > 0)
    g_print ("   target %.0f", target);
  g_print ("\n");
  g_object_unref (first);
}

int
main (int argc, char *argv[])
{
  static const struct
  {
    const char *name;
    const char *what;
    GObject *(*make) (void);
    double target;
  } kinds[] = {
    { "object", "a bare GObject (the floor)", make_object, 0 },
    { "new", "a node, not started", make_node, 20 },
    { "started", "a local-only node, started", make_started, 20 },
    { "key", "the same with a key", make_with_key, 0 },
  };

  /* Each kind has a process of its own, as what one frees the next would use. */
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (argc == 3 && strcmp (argv[1], "--kind") == 0 && strcmp (argv[2], kinds[i].name) == 0)
      {
        measure (kinds[i].what, kinds[i].make, kinds[i].target);
        _exit (0);
      }

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GSubprocess) child =
          g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, &error, "/proc/self/exe", "--kind", kinds[i].name, NULL);

      if (child == NULL || !g_subprocess_wait_check (child, NULL, &error))
        g_error ("%s", error->message);
    }
  return 0;
}
