/* GkvNode: values of the types that applications use most.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node.h"

/* Converts any integer to a signed one. FALSE when @value isn't an integer, or is above G_MAXINT64. */
static gboolean
gkv_variant_to_int64 (GVariant *value, gint64 *number)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BYTE:
      *number = g_variant_get_byte (value);
      return TRUE;

    case G_VARIANT_CLASS_INT16:
      *number = g_variant_get_int16 (value);
      return TRUE;

    case G_VARIANT_CLASS_UINT16:
      *number = g_variant_get_uint16 (value);
      return TRUE;

    case G_VARIANT_CLASS_INT32:
      *number = g_variant_get_int32 (value);
      return TRUE;

    case G_VARIANT_CLASS_UINT32:
      *number = g_variant_get_uint32 (value);
      return TRUE;

    case G_VARIANT_CLASS_INT64:
      *number = g_variant_get_int64 (value);
      return TRUE;

    case G_VARIANT_CLASS_UINT64:
      *number = (gint64) g_variant_get_uint64 (value);
      return g_variant_get_uint64 (value) <= G_MAXINT64;

    default:
      return FALSE;
    }
}

/**
 * gkv_node_set_string:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: a string: UTF-8
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_string (GkvNode *self, const char *key, const char *value, GError **error)
{
  return gkv_node_set_value (self, key, value != NULL ? g_variant_new_string (value) : NULL, NULL, error);
}

/**
 * gkv_node_get_string:
 * @self: a node
 * @key: a key
 * @fallback: (nullable): the value to return otherwise
 *
 * Gets a string. May be called from any thread.
 *
 * The fallback is returned where the key isn't there, has a value of another type or one that can't be decoded, or the
 * node is closed; [method@Gkv.Node.get_value] has an error that says which.
 *
 * Returns: (transfer full) (nullable): the string, or a copy of @fallback
 *
 * Since: 1.0
 */
char *
gkv_node_get_string (GkvNode *self, const char *key, const char *fallback)
{
  g_autoptr (GVariant) value = gkv_node_lookup (self, key);

  if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_strdup (fallback);

  return g_variant_dup_string (value, NULL);
}

/**
 * gkv_node_set_boolean:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: a boolean
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_boolean (GkvNode *self, const char *key, gboolean value, GError **error)
{
  return gkv_node_set_value (self, key, g_variant_new_boolean (value), NULL, error);
}

/**
 * gkv_node_get_boolean:
 * @self: a node
 * @key: a key
 * @fallback: the value to return otherwise
 *
 * Gets a boolean. May be called from any thread.
 *
 * The fallback is returned where the key isn't there, has a value of another type or one that can't be decoded, or the
 * node is closed; [method@Gkv.Node.get_value] has an error that says which.
 *
 * Returns: the boolean, or @fallback
 *
 * Since: 1.0
 */
gboolean
gkv_node_get_boolean (GkvNode *self, const char *key, gboolean fallback)
{
  g_autoptr (GVariant) value = gkv_node_lookup (self, key);

  if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    return fallback;

  return g_variant_get_boolean (value);
}

/**
 * gkv_node_set_int64:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: a number
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_int64 (GkvNode *self, const char *key, gint64 value, GError **error)
{
  return gkv_node_set_value (self, key, g_variant_new_int64 (value), NULL, error);
}

/**
 * gkv_node_get_int64:
 * @self: a node
 * @key: a key
 * @fallback: the value to return otherwise
 *
 * Gets an integer of any integer type, if it fits. May be called from any thread.
 *
 * The fallback is returned where the key isn't there, has a value of another type or one that can't be decoded, or the
 * node is closed; [method@Gkv.Node.get_value] has an error that says which.
 *
 * Returns: the number, or @fallback
 *
 * Since: 1.0
 */
gint64
gkv_node_get_int64 (GkvNode *self, const char *key, gint64 fallback)
{
  g_autoptr (GVariant) value = gkv_node_lookup (self, key);
  gint64 number;

  return value != NULL && gkv_variant_to_int64 (value, &number) ? number : fallback;
}

/**
 * gkv_node_set_double:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: a number
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_double (GkvNode *self, const char *key, double value, GError **error)
{
  return gkv_node_set_value (self, key, g_variant_new_double (value), NULL, error);
}

/**
 * gkv_node_get_double:
 * @self: a node
 * @key: a key
 * @fallback: the value to return otherwise
 *
 * Gets a number of any type. May be called from any thread.
 *
 * The fallback is returned where the key isn't there, has a value of another type or one that can't be decoded, or the
 * node is closed; [method@Gkv.Node.get_value] has an error that says which.
 *
 * Returns: the number, or @fallback
 *
 * Since: 1.0
 */
double
gkv_node_get_double (GkvNode *self, const char *key, double fallback)
{
  g_autoptr (GVariant) value = gkv_node_lookup (self, key);
  gint64 number;

  if (value == NULL)
    return fallback;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return g_variant_get_double (value);

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    return (double) g_variant_get_uint64 (value);

  return gkv_variant_to_int64 (value, &number) ? (double) number : fallback;
}

/**
 * gkv_node_set_bytes:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: bytes
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_node_set_bytes (GkvNode *self, const char *key, GBytes *value, GError **error)
{
  GVariant *variant = value != NULL ? g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, value, TRUE) : NULL;

  return gkv_node_set_value (self, key, variant, NULL, error);
}

/**
 * gkv_node_get_bytes:
 * @self: a node
 * @key: a key
 * @fallback: (nullable): the value to return otherwise
 *
 * Gets bytes. May be called from any thread.
 *
 * The fallback is returned where the key isn't there, has a value of another type or one that can't be decoded, or the
 * node is closed; [method@Gkv.Node.get_value] has an error that says which.
 *
 * Returns: (transfer full) (nullable): the bytes, or @fallback
 *
 * Since: 1.0
 */
GBytes *
gkv_node_get_bytes (GkvNode *self, const char *key, GBytes *fallback)
{
  g_autoptr (GVariant) value = gkv_node_lookup (self, key);

  if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return fallback != NULL ? g_bytes_ref (fallback) : NULL;

  return g_variant_get_data_as_bytes (value);
}
