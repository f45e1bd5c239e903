/* GkvEntry: one key of the map as an object.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-entry.h"

#include "gkv-objects.h"

/* As many characters of a value's text are shown. */
#define MAX_TEXT (256)
/* A value of at most so many bytes is printed whole, and then cut. */
#define MAX_PRINTED (4096)

/**
 * GkvEntry:
 *
 * One key of the map as an object: its value, its origin, and when it was written.
 *
 * [method@Gkv.Node.get_entry] returns a snapshot, which never changes and may be used in any thread. The entries of the
 * lists that [method@Gkv.Node.list_entries] returns follow the map: the object of a key stays the same as long as there
 * is a reference to it, and its properties notify. Once its key has left the map an entry stays as it was. The entries
 * of a list belong to the thread that runs the node's main context.
 *
 * Since: 1.0
 */
struct _GkvEntry
{
  GObject parent_instance;

  char *key;
  GVariant *value;   /* NULL: can't be decoded here */
  GkvWriter *writer; /* has the codec and the origin */
  GDateTime *modified;
  GDateTime *expires; /* NULL: never */
  gboolean ephemeral;
  char *text; /* atomic, as a snapshot may be used by several threads; NULL until it is needed */
};

enum
{
  PROP_0,

  PROP_KEY,
  PROP_VALUE,
  PROP_CODEC,
  PROP_ORIGIN,
  PROP_MODIFIED,
  PROP_EXPIRES,
  PROP_EPHEMERAL,
  PROP_TEXT,

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
  g_clear_pointer (&self->writer, gkv_writer_unref);
  g_clear_pointer (&self->modified, g_date_time_unref);
  g_clear_pointer (&self->expires, g_date_time_unref);
  g_clear_pointer (&self->text, g_free);

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

    case PROP_CODEC:
      g_value_set_string (value, self->writer->codec);
      break;

    case PROP_ORIGIN:
      g_value_set_string (value, self->writer->origin);
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

    case PROP_TEXT:
      g_value_set_string (value, gkv_entry_get_text (self));
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
   *
   * Since: 1.0
   */
  props[PROP_KEY] = g_param_spec_string ("key", NULL, NULL, NULL, flags);

  /**
   * GkvEntry:value: (getter get_value)
   *
   * The value; %NULL when this node can't decode it.
   *
   * Since: 1.0
   */
  props[PROP_VALUE] = g_param_spec_variant ("value", NULL, NULL, G_VARIANT_TYPE_ANY, NULL, flags);

  /**
   * GkvEntry:codec: (getter get_codec)
   *
   * The name of the codec that the value was written with.
   *
   * Since: 1.0
   */
  props[PROP_CODEC] = g_param_spec_string ("codec", NULL, NULL, NULL, flags);

  /**
   * GkvEntry:origin: (getter get_origin)
   *
   * The node id of the writer.
   *
   * Since: 1.0
   */
  props[PROP_ORIGIN] = g_param_spec_string ("origin", NULL, NULL, NULL, flags);

  /**
   * GkvEntry:modified: (getter get_modified)
   *
   * When the value was written, in UTC, by the clock of the node that wrote it.
   *
   * Since: 1.0
   */
  props[PROP_MODIFIED] = g_param_spec_boxed ("modified", NULL, NULL, G_TYPE_DATE_TIME, flags);

  /**
   * GkvEntry:expires: (getter get_expires)
   *
   * When the value expires, in UTC, by the clock of this machine; %NULL for never.
   *
   * It is an estimate: what counts is how much of the value's lifetime remained when it came here.
   *
   * Since: 1.0
   */
  props[PROP_EXPIRES] = g_param_spec_boxed ("expires", NULL, NULL, G_TYPE_DATE_TIME, flags);

  /**
   * GkvEntry:ephemeral: (getter get_ephemeral)
   *
   * Whether the key is removed when the node that wrote it ends.
   *
   * Since: 1.0
   */
  props[PROP_EPHEMERAL] = g_param_spec_boolean ("ephemeral", NULL, NULL, FALSE, flags);

  /**
   * GkvEntry:text: (getter get_text)
   *
   * The value as text for people, at most 256 characters.
   *
   * Since: 1.0
   */
  props[PROP_TEXT] = g_param_spec_string ("text", NULL, NULL, NULL, flags);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

/* A value's text */

static GVariant *gkv_entry_shorten (GVariant *value, gsize *left);

static gsize
gkv_entry_use (gsize *left, gsize n)
{
  n = MIN (n, *left);
  *left -= n;

  return n;
}

static GVariant *
gkv_entry_shorten_string (GVariant *value, gsize *left)
{
  const char *text = g_variant_get_string (value, NULL);
  const char *end = text;

  for (; *end != '\0' && *left > 0; (*left)--)
    end = g_utf8_next_char (end);

  return g_variant_new_take_string (g_strndup (text, (gsize) (end - text)));
}

/* Bytes that end in their only NUL are printed as text, and so is what is left of them. */
static GVariant *
gkv_entry_shorten_bytes (GVariant *value, gsize *left)
{
  gsize len = 0;
  const guint8 *bytes = g_variant_get_fixed_array (value, &len, 1);
  gsize n = gkv_entry_use (left, len);
  const guint8 *nul = len > 0 ? memchr (bytes, '\0', len) : NULL;

  if (n == len)
    return g_variant_ref (value);

  if (nul == bytes + len - 1)
    {
      g_autofree char *text = g_strndup ((const char *) bytes, n);

      return g_variant_new_bytestring (text);
    }

  /* Nor may what isn't text become it. */
  if (nul != NULL && nul == bytes + n - 1)
    n++;

  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, n, 1);
}

static GVariant *
gkv_entry_shorten_children (GVariant *value, gsize *left)
{
  const GVariantType *type = g_variant_get_type (value);
  gboolean is_open = g_variant_type_is_array (type);
  GVariantBuilder builder;
  gsize n = g_variant_n_children (value);

  g_variant_builder_init (&builder, type);
  for (gsize i = 0; i < n && (!is_open || *left > 0); i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);
      g_autoptr (GVariant) shortened = g_variant_take_ref (gkv_entry_shorten (child, left));

      g_variant_builder_add_value (&builder, shortened);
    }

  return g_variant_builder_end (&builder);
}

/* A value that is printed as @value is, for the first @left characters, and takes no more time than those. */
static GVariant *
gkv_entry_shorten (GVariant *value, gsize *left)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return gkv_entry_shorten_string (value, left);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return gkv_entry_shorten_bytes (value, left);

  gkv_entry_use (left, 1);

  return g_variant_is_container (value) ? gkv_entry_shorten_children (value, left) : g_variant_ref (value);
}

static char *
gkv_entry_make_text (GVariant *value)
{
  g_autoptr (GVariant) shortened = NULL;
  g_autofree char *text = NULL;
  gsize left = MAX_TEXT + 1;

  if (value == NULL)
    return g_strdup ("");

  if (g_variant_get_size (value) > MAX_PRINTED)
    shortened = g_variant_take_ref (gkv_entry_shorten (value, &left));
  text = g_variant_print (shortened != NULL ? shortened : value, FALSE);

  if (g_utf8_strlen (text, -1) <= MAX_TEXT)
    return g_steal_pointer (&text);

  *g_utf8_offset_to_pointer (text, MAX_TEXT - 1) = '\0';

  return g_strconcat (text, "\u2026", NULL);
}

/* internal */

static GDateTime *
gkv_entry_make_time (gint64 wall_us)
{
  g_autoptr (GDateTime) second = NULL;

  if (wall_us < 0)
    return NULL;

  second = g_date_time_new_from_unix_utc (wall_us / G_USEC_PER_SEC);

  return second != NULL ? g_date_time_add (second, wall_us % G_USEC_PER_SEC) : NULL;
}

static void
gkv_entry_set_value (GkvEntry *self, GVariant *value)
{
  g_autoptr (GVariant) old = g_steal_pointer (&self->value);

  self->value = value != NULL ? g_variant_ref (value) : NULL;
  if (old == value || (old != NULL && value != NULL && g_variant_equal (old, value)))
    return;

  g_clear_pointer (&self->text, g_free);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_VALUE]);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_TEXT]);
}

static void
gkv_entry_set_writer (GkvEntry *self, GkvWriter *writer)
{
  g_autoptr (GkvWriter) old = g_steal_pointer (&self->writer);

  self->writer = gkv_writer_ref (writer);
  if (g_strcmp0 (old != NULL ? old->codec : NULL, writer->codec) != 0)
    g_object_notify_by_pspec (G_OBJECT (self), props[PROP_CODEC]);
  if (g_strcmp0 (old != NULL ? old->origin : NULL, writer->origin) != 0)
    g_object_notify_by_pspec (G_OBJECT (self), props[PROP_ORIGIN]);
}

/* Takes @time. */
static void
gkv_entry_take_time (GkvEntry *self, GDateTime **place, GDateTime *time, guint prop_id)
{
  g_autoptr (GDateTime) old = g_steal_pointer (place);

  *place = time;
  if ((old == NULL || time == NULL) ? old != time : !g_date_time_equal (old, time))
    g_object_notify_by_pspec (G_OBJECT (self), props[prop_id]);
}

static void
gkv_entry_set_ephemeral (GkvEntry *self, gboolean ephemeral)
{
  if (self->ephemeral == ephemeral)
    return;

  self->ephemeral = ephemeral;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_EPHEMERAL]);
}

GkvEntry *
gkv_entry_new (GVariant *value, const GkvRecord *record, gint64 expires_us)
{
  g_autoptr (GkvEntry) self = g_object_new (GKV_TYPE_ENTRY, NULL);

  self->key = g_strdup (gkv_record_get_key (record));
  gkv_entry_update (self, value, record, expires_us);

  return g_steal_pointer (&self);
}

void
gkv_entry_update (GkvEntry *self, GVariant *value, const GkvRecord *record, gint64 expires_us)
{
  g_object_freeze_notify (G_OBJECT (self));
  gkv_entry_set_value (self, value);
  gkv_entry_set_writer (self, record->writer);
  gkv_entry_take_time (self, &self->modified, gkv_entry_make_time (gkv_record_get_time_ms (record) * 1000),
                       PROP_MODIFIED);
  gkv_entry_take_time (self, &self->expires, gkv_entry_make_time (expires_us), PROP_EXPIRES);
  gkv_entry_set_ephemeral (self, (record->flags & GKV_RECORD_EPHEMERAL) != 0);
  g_object_thaw_notify (G_OBJECT (self));
}

/* public methods */

/**
 * gkv_entry_get_key: (get-property key)
 * @self: an entry
 *
 * Gets the key.
 *
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: (transfer none): the key; it stays valid as long as @self
 *
 * Since: 1.0
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
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: (transfer none) (nullable): the value, or %NULL when this node can't decode it, for example because it was
 *   written with another codec: [method@Gkv.Entry.get_codec] returns its name, and [method@Gkv.Node.get_value] an error
 *   that says what is wrong
 *
 * Since: 1.0
 */
GVariant *
gkv_entry_get_value (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->value;
}

/**
 * gkv_entry_get_codec: (get-property codec)
 * @self: an entry
 *
 * Gets the name of the codec that the value was written with, such as `variant`.
 *
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: (transfer none): the name of a codec, which this node need not have
 *
 * Since: 1.0
 */
const char *
gkv_entry_get_codec (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->writer->codec;
}

/**
 * gkv_entry_get_origin: (get-property origin)
 * @self: an entry
 *
 * Gets the node id of the writer.
 *
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: (transfer none): a node id
 *
 * Since: 1.0
 */
const char *
gkv_entry_get_origin (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  return self->writer->origin;
}

/**
 * gkv_entry_get_modified: (get-property modified)
 * @self: an entry
 *
 * Gets when the value was written, by the clock of the node that wrote it.
 *
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: (transfer none): a time in UTC, to the millisecond
 *
 * Since: 1.0
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
 * Gets when the value expires, by the clock of this machine: an estimate from how much of its lifetime remains.
 *
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: (transfer none) (nullable): a time in UTC, or %NULL for never
 *
 * Since: 1.0
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
 * Gets whether the key is removed when the node that wrote it ends.
 *
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: %TRUE if the key is ephemeral
 *
 * Since: 1.0
 */
gboolean
gkv_entry_get_ephemeral (GkvEntry *self)
{
  g_return_val_if_fail (GKV_IS_ENTRY (self), FALSE);

  return self->ephemeral;
}

/**
 * gkv_entry_get_text: (get-property text)
 * @self: an entry
 *
 * Gets the value as text for people, in the text format of [struct@GLib.Variant]. Text of more than 256 characters is
 * cut, and ends with an ellipsis.
 *
 * The first call makes the text, in a time that doesn't grow with the size of the value.
 *
 * May be called from any thread for a snapshot; for an entry of a list belongs to the thread that runs the node's main
 * context.
 *
 * Returns: (transfer none): at most 256 characters of text, valid until the value changes; empty when this node can't
 *   decode the value
 *
 * Since: 1.0
 */
const char *
gkv_entry_get_text (GkvEntry *self)
{
  g_autofree char *text = NULL;

  g_return_val_if_fail (GKV_IS_ENTRY (self), NULL);

  if (g_atomic_pointer_get (&self->text) == NULL)
    {
      text = gkv_entry_make_text (self->value);
      if (g_atomic_pointer_compare_and_exchange (&self->text, NULL, text))
        text = NULL;
    }

  return g_atomic_pointer_get (&self->text);
}
