/* GkvCodecHandle: a codec with what a node has to know of it, queried once. It never changes, and a map keeps those
 * that it had until it is freed: so a thread can use one without a lock or a reference.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-codec.h"

G_BEGIN_DECLS

typedef struct
{
  GkvCodec *codec;
  char *name;
  gboolean is_thread_safe;
  gboolean is_lossless;
} GkvCodecHandle;

/* Calls the codec: not to be done under a lock. */
GkvCodecHandle *gkv_codec_handle_new (GkvCodec *codec);
void gkv_codec_handle_free (GkvCodecHandle *self);

G_END_DECLS
