/* An application that uses the codec "shout", a module in C++. Built out of tree by test-out-of-tree.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GkvCodec) codec = gkv_codec_new_for_name ("shout", &error);
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (codec == NULL)
    g_error ("%s", error->message);

  bytes = gkv_codec_encode (codec, g_variant_new_string ("hello"), &error);
  g_assert_no_error (error);
  value = gkv_codec_decode (codec, bytes, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "HELLO");
  return 0;
}
