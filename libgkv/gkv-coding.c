/* GkvCoding: a codec with what a node has to know of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-coding.h"

GkvCoding *
gkv_coding_new (GkvCodec *codec)
{
  GkvCoding *self = g_new0 (GkvCoding, 1);

  self->codec = g_object_ref (codec);
  self->name = g_strdup (gkv_codec_get_name (codec));
  self->is_thread_safe = gkv_codec_is_thread_safe (codec);
  self->is_lossless = gkv_codec_is_lossless (codec);

  return self;
}

void
gkv_coding_free (GkvCoding *self)
{
  g_object_unref (self->codec);
  g_free (self->name);
  g_free (self);
}
