/* GkvNode: values of the types that applications use most.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node.h"

#include "gkv-error.h"

static void
gkv_fail_type (const char *key, GVariant *value, const char *wanted, GError **error)
{
  g_set_error (error, GKV_ERROR, GKV_ERROR_WRONG_TYPE, "The value of \"%s\" is of type \"%s\", and not %s", key,
               g_variant_get_type_string (value), wanted);
}

/* Any integer as a signed one. FALSE when @value is none, or is above G_MAXINT64. */
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
 * @value: a string in UTF-8
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_string (GkvNode *self, const char *key, const char *value, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (GKV_IS_NODE (self), FALSE);
  g_return_val_if_fail (key != NULL, FALSE);

  if (value != NULL && !g_utf8_validate (value, -1, NULL))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_VALUE,
                   "The string for \"%s\" is not UTF-8; bytes can be set with gkv_node_set_bytes ()", key);
      return FALSE;
    }

  return gkv_node_set_value (self, key, value != NULL ? g_variant_new_string (value) : NULL, cancellable, error);
}

/**
 * gkv_node_get_string:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Gets a string. A value of another type is
 * %GKV_ERROR_WRONG_TYPE; otherwise as [method@Gkv.Node.get_value]. May be called from any thread.
 *
 * Returns: (transfer full): the string, or %NULL with @error set
 */
char *
gkv_node_get_string (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) value = gkv_node_get_value (self, key, cancellable, error);

  if (value == NULL)
    return NULL;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    {
      gkv_fail_type (key, value, "a string (\"s\")", error);
      return NULL;
    }

  return g_variant_dup_string (value, NULL);
}

/**
 * gkv_node_set_boolean:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: a boolean
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_boolean (GkvNode *self, const char *key, gboolean value, GCancellable *cancellable, GError **error)
{
  return gkv_node_set_value (self, key, g_variant_new_boolean (value), cancellable, error);
}

/**
 * gkv_node_get_boolean:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Gets a boolean. A value of another type is
 * %GKV_ERROR_WRONG_TYPE; otherwise as [method@Gkv.Node.get_value]. May be called from any thread.
 *
 * Returns: the boolean, or %FALSE with @error set
 */
gboolean
gkv_node_get_boolean (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) value = gkv_node_get_value (self, key, cancellable, error);

  if (value == NULL)
    return FALSE;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    {
      gkv_fail_type (key, value, "a boolean (\"b\")", error);
      return FALSE;
    }

  return g_variant_get_boolean (value);
}

/**
 * gkv_node_set_int64:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: a number
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_int64 (GkvNode *self, const char *key, gint64 value, GCancellable *cancellable, GError **error)
{
  return gkv_node_set_value (self, key, g_variant_new_int64 (value), cancellable, error);
}

/**
 * gkv_node_get_int64:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Gets an integer, of whatever integer type, if it fits. A value of another type is
 * %GKV_ERROR_WRONG_TYPE; otherwise as [method@Gkv.Node.get_value]. May be called from any thread.
 *
 * Returns: the number, or 0 with @error set
 */
gint64
gkv_node_get_int64 (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) value = gkv_node_get_value (self, key, cancellable, error);
  gint64 number;

  if (value == NULL)
    return 0;

  if (!gkv_variant_to_int64 (value, &number))
    {
      gkv_fail_type (key, value, "an integer that fits into 64 bits with a sign (\"x\")", error);
      return 0;
    }

  return number;
}

/**
 * gkv_node_set_double:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: a number
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_double (GkvNode *self, const char *key, double value, GCancellable *cancellable, GError **error)
{
  return gkv_node_set_value (self, key, g_variant_new_double (value), cancellable, error);
}

/**
 * gkv_node_get_double:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Gets a number of any type. A value of another type is
 * %GKV_ERROR_WRONG_TYPE; otherwise as [method@Gkv.Node.get_value]. May be called from any thread.
 *
 * Returns: the number, or 0 with @error set
 */
double
gkv_node_get_double (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) value = gkv_node_get_value (self, key, cancellable, error);
  gint64 number;

  if (value == NULL)
    return 0;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return g_variant_get_double (value);

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    return (double) g_variant_get_uint64 (value);

  if (gkv_variant_to_int64 (value, &number))
    return (double) number;

  gkv_fail_type (key, value, "a number (\"d\")", error);

  return 0;
}

/**
 * gkv_node_set_bytes:
 * @self: a node
 * @key: a key: UTF-8, 1 to 1,024 bytes
 * @value: bytes
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Sets a key, as [method@Gkv.Node.set_value] does. May be called from any thread.
 *
 * Returns: %TRUE if the key was set, %FALSE with @error set otherwise
 */
gboolean
gkv_node_set_bytes (GkvNode *self, const char *key, GBytes *value, GCancellable *cancellable, GError **error)
{
  GVariant *variant = value != NULL ? g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, value, TRUE) : NULL;

  return gkv_node_set_value (self, key, variant, cancellable, error);
}

/**
 * gkv_node_get_bytes:
 * @self: a node
 * @key: a key
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Gets bytes. A value of another type is
 * %GKV_ERROR_WRONG_TYPE; otherwise as [method@Gkv.Node.get_value]. May be called from any thread.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set
 */
GBytes *
gkv_node_get_bytes (GkvNode *self, const char *key, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) value = gkv_node_get_value (self, key, cancellable, error);

  if (value == NULL)
    return NULL;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      gkv_fail_type (key, value, "bytes (\"ay\")", error);
      return NULL;
    }

  return g_variant_get_data_as_bytes (value);
}
