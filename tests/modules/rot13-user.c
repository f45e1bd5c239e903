/* An application that uses the codec "rot13". Built out of tree by test-out-of-tree.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("rot13", &error);
  g_autoptr (GkvNode) node = NULL;
  g_autofree char *value = NULL;

  if (codec == NULL)
    g_error ("%s", error->message);

  node = g_object_new (GKV_TYPE_NODE, "codec", codec, NULL);
  if (!gkv_node_set_string (node, "key", "hello", &error))
    g_error ("%s", error->message);
  value = gkv_node_get_string (node, "key", NULL);
  g_assert_cmpstr (value, ==, "hello");
  g_assert_false (gkv_node_set_int64 (node, "key", 5, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CODEC);
  return 0;
}
