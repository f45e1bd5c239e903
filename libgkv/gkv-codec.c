/* GkvCodec: converts values to bytes, and back. This is the wrapper through which every codec is called. It never
 * trusts the implementation, which may lack a method, or fail without an error.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-codec.h"

#include "gkv-error.h"
#include "gkv-modules.h"

/**
 * GkvCodec:
 *
 * Converts values to bytes, and back.
 *
 * A record carries the name of its codec, so nodes with different codecs can share a map: each keeps and passes on what
 * it can't decode. What an application reads is what [method@Gkv.Codec.decode] made, on the writer's side too.
 *
 * The library has the codecs "variant" (any [struct@GLib.Variant]), "bytes", "string" and "json". To add one, implement
 * the interface: in C as a module (see [func@Gkv.Codec.new_for_name]), or as a class in any language whose object is
 * set as [property@Gkv.Node:codec].
 *
 * Since: 1.0
 */

/**
 * GkvCodecInterface::get_name:
 * @self: a codec
 *
 * Gets the codec's name, which never changes. May be called from any thread.
 *
 * Returns: (transfer none): the name, of 1 to 64 bytes of UTF-8
 *
 * Since: 1.0
 */

/**
 * GkvCodecInterface::encode:
 * @self: a codec
 * @value: (transfer none): the value
 * @error: return location for an error
 *
 * Encodes a value as bytes. Called in the node's main context, unless @is_thread_safe returns %TRUE.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set when it can't carry the value
 *
 * Since: 1.0
 */

/**
 * GkvCodecInterface::decode:
 * @self: a codec
 * @bytes: (transfer none): the bytes
 * @error: return location for an error
 *
 * Decodes bytes. They come from the network, so that anything can be in them. Called in the node's main context, unless
 * @is_thread_safe returns %TRUE.
 *
 * Returns: (transfer full): the value, or %NULL with @error set when the bytes aren't what @encode makes
 *
 * Since: 1.0
 */

/**
 * GkvCodecInterface::is_thread_safe:
 * @self: a codec
 *
 * Checks whether @encode and @decode may be called from any thread, several at a time. May itself be called from any
 * thread.
 *
 * Returns: %TRUE if they may
 *
 * Since: 1.0
 */

/**
 * GkvCodecInterface::is_lossless:
 * @self: a codec
 *
 * Checks whether @decode always succeeds on what @encode made, and gives an equal value. May be called from any thread.
 *
 * Returns: %TRUE if it does
 *
 * Since: 1.0
 */

G_DEFINE_INTERFACE (GkvCodec, gkv_codec, G_TYPE_OBJECT)

static gboolean
gkv_codec_default_is_thread_safe (GkvCodec *self)
{
  return FALSE;
}

static gboolean
gkv_codec_default_is_lossless (GkvCodec *self)
{
  return FALSE;
}

static void
gkv_codec_default_init (GkvCodecInterface *iface)
{
  iface->is_thread_safe = gkv_codec_default_is_thread_safe;
  iface->is_lossless = gkv_codec_default_is_lossless;
}

static gboolean
fail (GkvCodec *self, const char *what, GError *cause, GError **error)
{
  g_autofree char *who = g_strdup_printf ("The codec \"%s\"", gkv_codec_get_name (self));

  return gkv_modules_fail (error, GKV_ERROR_CODEC, who, what, cause);
}

/**
 * gkv_codec_new_for_name:
 * @name: the name of a codec, for example "json"; what follows a colon is for its property `argument`
 * @error: return location for an error
 *
 * Creates a codec by its name, loading its module when need be. May be called from any thread.
 *
 * Fails with %GKV_ERROR_MODULE when there is none of that name; the message lists the names that there are and the
 * folders searched. It fails so, too, where an argument is given to a codec that takes none.
 *
 * Returns: (transfer full): a new codec
 *
 * Since: 1.0
 */
GkvCodec *
gkv_codec_new_for_name (const char *name, GError **error)
{
  GObject *object;

  g_return_val_if_fail (name != NULL, NULL);

  object = gkv_modules_new_object (GKV_CODEC_EXTENSION_POINT_NAME, "codec", name, error);
  return object != NULL ? GKV_CODEC (object) : NULL;
}

/**
 * gkv_codec_list_names:
 *
 * Lists the codecs that [func@Gkv.Codec.new_for_name] can create. This loads every module. May be called from any
 * thread.
 *
 * Returns: (transfer full) (array zero-terminated=1): the names, sorted
 *
 * Since: 1.0
 */
char **
gkv_codec_list_names (void)
{
  return gkv_modules_list_names (GKV_CODEC_EXTENSION_POINT_NAME);
}

/**
 * gkv_codec_get_name:
 * @self: a codec
 *
 * Gets the codec's name, which travels with each record. May be called from any thread.
 *
 * Returns: (transfer none): the name; that of its type where the codec gives none
 *
 * Since: 1.0
 */
const char *
gkv_codec_get_name (GkvCodec *self)
{
  GkvCodecInterface *iface;
  const char *name = NULL;

  g_return_val_if_fail (GKV_IS_CODEC (self), NULL);

  iface = GKV_CODEC_GET_IFACE (self);
  if (iface->get_name != NULL)
    name = iface->get_name (self);
  return name != NULL && *name != '\0' ? name : G_OBJECT_TYPE_NAME (self);
}

/**
 * gkv_codec_encode:
 * @self: a codec
 * @value: the value; a floating one is consumed
 * @error: return location for an error
 *
 * Encodes a value as bytes.
 *
 * Fails with %GKV_ERROR_CODEC when the codec can't carry the value.
 *
 * May be called from any thread if [method@Gkv.Codec.is_thread_safe] returns %TRUE; otherwise belongs to the thread
 * that runs the node's main context.
 *
 * Returns: (transfer full): the bytes
 *
 * Since: 1.0
 */
GBytes *
gkv_codec_encode (GkvCodec *self, GVariant *value, GError **error)
{
  g_autoptr (GVariant) owned G_GNUC_UNUSED = NULL;
  GkvCodecInterface *iface;
  GError *cause = NULL;
  GBytes *bytes = NULL;

  g_return_val_if_fail (GKV_IS_CODEC (self), NULL);
  g_return_val_if_fail (value != NULL, NULL);

  if (g_variant_is_floating (value))
    owned = g_variant_ref_sink (value);
  iface = GKV_CODEC_GET_IFACE (self);
  if (iface->encode != NULL)
    bytes = iface->encode (self, value, &cause);

  if (bytes == NULL || cause != NULL)
    {
      g_clear_pointer (&bytes, g_bytes_unref);
      fail (self, iface->encode != NULL ? "could not encode the value" : "has no method to encode", cause, error);
    }
  return bytes;
}

/**
 * gkv_codec_decode:
 * @self: a codec
 * @bytes: the bytes, from whatever source
 * @error: return location for an error
 *
 * Decodes bytes.
 *
 * Fails with %GKV_ERROR_CODEC when the bytes aren't what the codec makes.
 *
 * May be called from any thread if [method@Gkv.Codec.is_thread_safe] returns %TRUE; otherwise belongs to the thread
 * that runs the node's main context.
 *
 * Returns: (transfer full): the value
 *
 * Since: 1.0
 */
GVariant *
gkv_codec_decode (GkvCodec *self, GBytes *bytes, GError **error)
{
  GkvCodecInterface *iface;
  GError *cause = NULL;
  GVariant *value = NULL;

  g_return_val_if_fail (GKV_IS_CODEC (self), NULL);
  g_return_val_if_fail (bytes != NULL, NULL);

  iface = GKV_CODEC_GET_IFACE (self);
  if (iface->decode != NULL)
    value = iface->decode (self, bytes, &cause);

  if (value != NULL && cause == NULL)
    return g_variant_take_ref (value);

  g_clear_pointer (&value, g_variant_unref);
  fail (self, iface->decode != NULL ? "could not decode the value" : "has no method to decode", cause, error);
  return NULL;
}

/**
 * gkv_codec_is_thread_safe:
 * @self: a codec
 *
 * Checks whether the codec encodes and decodes in any thread. May itself be called from any thread.
 *
 * Returns: %TRUE if it does; %FALSE unless the codec overrides it
 *
 * Since: 1.0
 */
gboolean
gkv_codec_is_thread_safe (GkvCodec *self)
{
  g_return_val_if_fail (GKV_IS_CODEC (self), FALSE);

  return GKV_CODEC_GET_IFACE (self)->is_thread_safe (self);
}

/**
 * gkv_codec_is_lossless:
 * @self: a codec
 *
 * Checks whether decoding what was encoded always succeeds and gives an equal value. With any other codec a node
 * decodes each value that it has encoded, to be sure that its readers can. May be called from any thread.
 *
 * Returns: %TRUE if it does; %FALSE unless the codec overrides it
 *
 * Since: 1.0
 */
gboolean
gkv_codec_is_lossless (GkvCodec *self)
{
  g_return_val_if_fail (GKV_IS_CODEC (self), FALSE);

  return GKV_CODEC_GET_IFACE (self)->is_lossless (self);
}
