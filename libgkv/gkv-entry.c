/* GkvEntry: one key of the map as an object.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-entry.h"

#include "gkv-objects.h"

/**
 * GkvEntry:
 *
 * One key of the map as an object: its value, who wrote it and when.
 *
 * [method@Gkv.Node.get_entry] gives a snapshot, which stays as it is. The entries of the lists that
 * [method@Gkv.Node.list] gives follow the map, and notify what changes.
 *
 * An entry belongs to the thread that runs its node's main context.
 */
struct _GkvEntry
{
  GObject parent_instance;

  char *key;
  GVariant *value;
  char *origin;
  GDateTime *modified;
  GDateTime *expires;
  gboolean ephemeral;
};

enum
{
  PROP_0,

  PROP_KEY,
  PROP_VALUE,
  PROP_ORIGIN,
  PROP_MODIFIED,
  PROP_EXPIRES,
  PROP_EPHEMERAL,

  N_PROPS
};

static GParamSpec *props[N_PROPS] = {
  NULL,
};

G_DEFINE_FINAL_TYPE (GkvEntry, gkv_entry, G_TYPE_OBJECT)

static void
gkv_entry_finalize (GObject *object)
{
  GkvEntry *self = GKV_ENTRY (object);

  g_clear_pointer (&self->key, g_free);
  g_clear_pointer (&self->value, g_variant_unref);
  g_clear_pointer (&self->origin, g_free);
  g_clear_pointer (&self->modified, g_date_time_unref);
  g_clear_pointer (&self->expires, g_date_time_unref);

  G_OBJECT_CLASS (gkv_entry_parent_class)->finalize (object);
}

static void
gkv_entry_init (GkvEntry *self)
{
}

static void
gkv_entry_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GkvEntry *self = GKV_ENTRY (object);

  switch (prop_id)
    {
    case PROP_KEY:
      g_value_set_string (value, self->key);
      break;

    case PROP_VALUE:
      g_value_set_variant (value, self->value);
      break;

    case PROP_ORIGIN:
      g_value_set_string (value, self->origin);
      break;

    case PROP_MODIFIED:
      g_value_set_boxed (value, self->modified);
      break;

    case PROP_EXPIRES:
      g_value_set_boxed (value, self->expires);
      break;

    case PROP_EPHEMERAL:
      g_value_set_boolean (value, self->ephemeral);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_entry_class_init (GkvEntryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = gkv_entry_finalize;
  object_class->get_property = gkv_entry_get_property;

  /**
   * GkvEntry:key: (getter get_key)
   *
   * The key.
   */
  props[PROP_KEY] = g_param_spec_string ("key", NULL, NULL, NULL, flags);

  /**
   * GkvEntry:value: (getter get_value)
   *
   * The value; %NULL when it can't be decoded here.
   */
  props[PROP_VALUE] = g_param_spec_variant ("value", NULL, NULL, G_VARIANT_TYPE_ANY, NULL, flags);

  /**
   * GkvEntry:origin: (getter get_origin)
   *
   * The id of the node that wrote the value.
   */
  props[PROP_ORIGIN] = g_param_spec_string ("origin", NULL, NULL, NULL, flags);

  /**
   * GkvEntry:modified: (getter get_modified)
   *
   * When the value was written, in UTC, by the clock of the node that wrote it.
   */
  props[PROP_MODIFIED] = g_param_spec_boxed ("modified", NULL, NULL, G_TYPE_DATE_TIME, flags);

  /**
   * GkvEntry:expires: (getter get_expires)
   *
   * When the value expires, in UTC; %NULL for never.
   */
  props[PROP_EXPIRES] = g_param_spec_boxed ("expires", NULL, NULL, G_TYPE_DATE_TIME, flags);

  /**
   * GkvEntry:ephemeral: (getter get_ephemeral)
   *
   * Whether the value goes when the node that wrote it goes.
   */
  props[PROP_EPHEMERAL] = g_param_spec_boolean ("ephemeral", NULL, NULL, FALSE, flags);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

/* internal */

/* Takes @time. TRUE if it differs from what was there. */
static gboolean
gkv_entry_take_time (GDateTime **place, GDateTime *time)
{
  g_autoptr (GDateTime) old = g_steal_pointer (place);

  *place = time;

  return (old == NULL || time == NULL) ? old != time : !g_date_time_equal (old, time);
}

static GDateTime *
gkv_entry_make_time (gint64 wall_us)
{
  g_autoptr (GDateTime) second = NULL;

  if (wall_us < 0)
    return NULL;

  second = g_date_time_new_from_unix_utc (wall_us / G_USEC_PER_SEC);

  return second != NULL ? g_date_time_add (second, wall_us % G_USEC_PER_SEC) : NULL;
}

GkvEntry *
gkv_entry_new (const char *key, GVariant *value, const GkvRecord *record, gint64 expires_us)
{
  g_autoptr (GkvEntry) self = g_object_new (GKV_TYPE_ENTRY, NULL);

  self->key = g_strdup (key);
  gkv_entry_update (self, value, record, expires_us);

  return g_steal_pointer (&self);
}

void
gkv_entry_update (GkvEntry *self, GVariant *value, const GkvRecord *record, gint64 expires_us)
{
  g_autoptr (GVariant) old_value = NULL;
  gboolean ephemeral = (record->flags & GKV_RECORD_EPHEMERAL) != 0;

  g_object_freeze_notify (G_OBJECT (self));

  old_value = g_steal_pointer (&self->value);
  self->value = value != NULL ? g_variant_ref (value) : NULL;
  if (old_value != value && (old_value == NULL || value == NULL || !g_variant_equal (old_value, value)))
    g_object_notify_by_pspec (G_OBJECT (self), props[PROP_VALUE]);

  if (g_strcmp0 (self->origin, gkv_record_get_origin (record)) != 0)
    {
      g_free (self->origin);
      self->origin = g_strdup (gkv_record_get_origin (record));
      g_object_notify_by_pspec (G_OBJECT (self), props[PROP_ORIGIN]);
    }

  if (gkv_entry_take_time (&self->modified, gkv_entry_make_time (gkv_stamp_get_ms (record->stamp) * 1000)))
    g_object_notify_by_pspec (G_OBJECT (self), props[PROP_MODIFIED]);

  if (gkv_entry_take_time (&self->expires, gkv_entry_make_time (expires_us)))
    g_object_notify_by_pspec (G_OBJECT (self), props[PROP_EXPIRES]);

  if (self->ephemeral != ephemeral)
    {
      self->ephemeral = ephemeral;
      g_object_notify_by_pspec (G_OBJECT (self), props[PROP_EPHEMERAL]);
    }

  g_object_thaw_notify (G_OBJECT (self));
}

/* public methods */

/**
 * gkv_entry_get_key: (get-property key)
 * @self: an entry
 *
 * Gets the key.
 *
 * Returns: (transfer none): the key
 */
const char *
gkv_entry_get_key (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->key;
}

/**
 * gkv_entry_get_value: (get-property value)
 * @self: an entry
 *
 * Gets the value.
 *
 * Returns: (transfer none) (nullable): the value, or %NULL when it can't be decoded here: it was written with another
 *   codec. [method@Gkv.Node.get_value] tells what is wrong
 */
GVariant *
gkv_entry_get_value (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->value;
}

/**
 * gkv_entry_get_origin: (get-property origin)
 * @self: an entry
 *
 * Gets the id of the node that wrote the value.
 *
 * Returns: (transfer none): a node id
 */
const char *
gkv_entry_get_origin (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->origin;
}

/**
 * gkv_entry_get_modified: (get-property modified)
 * @self: an entry
 *
 * Gets when the value was written, by the clock of the node that wrote it.
 *
 * Returns: (transfer none): a time in UTC
 */
GDateTime *
gkv_entry_get_modified (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->modified;
}

/**
 * gkv_entry_get_expires: (get-property expires)
 * @self: an entry
 *
 * Gets when the value expires, as this machine's clock will show it.
 *
 * Returns: (transfer none) (nullable): a time in UTC, or %NULL for never
 */
GDateTime *
gkv_entry_get_expires (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->expires;
}

/**
 * gkv_entry_get_ephemeral: (get-property ephemeral)
 * @self: an entry
 *
 * Gets whether the value goes when the node that wrote it goes.
 *
 * Returns: whether the value is ephemeral
 */
gboolean
gkv_entry_get_ephemeral (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), FALSE);

  return self->ephemeral;
}
