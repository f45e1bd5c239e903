/* Datagrams whose messages are put anew.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-rewrite.h"

#include "gossip/gkv-wire.h"

#include <string.h>

GBytes *
sim_rewrite (GBytes *bytes, gsize max, SimRewriteFunc put, gpointer data)
{
  gsize size;
  const guint8 *in = g_bytes_get_data (bytes, &size);
  GByteArray *out = g_byte_array_new ();
  GkvReader reader;

  gkv_reader_init (&reader, in, size);
  g_byte_array_append (out, gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE), GKV_WIRE_HEADER_SIZE);
  while (gkv_reader_get_left (&reader) > 0)
    {
      guint8 kind = gkv_reader_u8 (&reader);
      gsize len = gkv_reader_varint (&reader);
      const guint8 *body = gkv_reader_bytes (&reader, len);

      g_assert_nonnull (body);
      put (out, kind, body, len, data);
    }

  /* The echo is mixed with what follows it. */
  if (in[3] == GKV_WIRE_PLAIN)
    {
      guint64 echo = GUINT64_TO_LE (gkv_wire_get_echo (in, size));

      memcpy (out->data + GKV_WIRE_ECHO_OFFSET, &echo, sizeof echo);
      gkv_wire_seal (out);
    }

  if (out->len > MAX (max, size))
    {
      g_byte_array_unref (out);
      return g_bytes_ref (bytes);
    }

  return g_byte_array_free_to_bytes (out);
}
