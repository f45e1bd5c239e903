/* libgkv as the link of a pair: each end writes a key of its own, and the handler of changed hands over what the other
 * wrote.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "links.h"

#include "gkv.h"

#include <glib-unix.h>
#include <string.h>

static GkvNode *node;
static const char *own_key, *other_key;

static gboolean
has_network_thread (void)
{
  GObjectClass *class = g_type_class_ref (GKV_TYPE_NODE);
  gboolean has = g_object_class_find_property (class, "network-thread") != NULL;

  g_type_class_unref (class);
  return has;
}

static const char *
get_loop_lack (void)
{
  return has_network_thread () ? NULL : "this libgkv has no network-thread: the row above is of the main context";
}

static void
on_changed (GkvNode *changed_node, const char *key, GVariant *variant, const char *origin, gpointer user_data)
{
  gsize size;
  const PairValue *bytes = g_variant_get_fixed_array (variant, &size, 1);
  PairValue value;

  if (size != sizeof value)
    return;
  memcpy (&value, bytes, sizeof value);
  pair_receive (&value);
}

static char *
open_node (const char *peer, gboolean network_thread)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *signal = NULL;
  const char *seeds[] = { peer, NULL };

  own_key = peer != NULL ? "first" : "other";
  other_key = peer != NULL ? "other" : "first";
  signal = g_strdup_printf ("changed::%s", other_key);

  node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);
  if (has_network_thread ())
    g_object_set (node, "network-thread", network_thread, NULL);
  g_signal_connect (node, signal, G_CALLBACK (on_changed), NULL);
  if (!gkv_node_start (node, NULL, &error))
    g_error ("%s", error->message);

  return g_strdup (gkv_node_get_local_address (node));
}

static char *
gkv_open (const char *peer)
{
  return open_node (peer, TRUE);
}

static char *
gkv_open_loop (const char *peer)
{
  return open_node (peer, FALSE);
}

static void
gkv_write (const PairValue *value)
{
  g_autoptr (GBytes) bytes = g_bytes_new (value, sizeof *value);

  gkv_node_set_bytes (node, own_key, bytes, NULL);
}

static gboolean
on_timer (int fd, GIOCondition condition, gpointer user_data)
{
  pair_tick (fd);
  return G_SOURCE_CONTINUE;
}

static void
gkv_run (int timer)
{
  g_unix_fd_add (timer, G_IO_IN, on_timer, NULL);
  while (!pair_is_stopped ())
    {
      g_main_context_iteration (NULL, !pair_is_flooding ());
      if (pair_is_flooding ())
        pair_flood ();
    }
}

const PairLink pair_link_gkv = {
  .name = "gkv",
  .open = gkv_open,
  .write = gkv_write,
  .run = gkv_run,
};

const PairLink pair_link_gkv_loop = {
  .name = "gkv-loop",
  .get_lack = get_loop_lack,
  .open = gkv_open_loop,
  .write = gkv_write,
  .run = gkv_run,
};
