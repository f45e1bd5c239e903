/* GkvCodecHandle: a codec with what a node has to know of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-codec-handle.h"

GkvCodecHandle *
gkv_codec_handle_new (GkvCodec *codec)
{
  GkvCodecHandle *self = g_new0 (GkvCodecHandle, 1);

  self->codec = g_object_ref (codec);
  self->name = g_strdup (gkv_codec_get_name (codec));
  self->is_thread_safe = gkv_codec_is_thread_safe (codec);
  self->is_lossless = gkv_codec_is_lossless (codec);

  return self;
}

void
gkv_codec_handle_free (GkvCodecHandle *self)
{
  g_object_unref (self->codec);
  g_free (self->name);
  g_free (self);
}
