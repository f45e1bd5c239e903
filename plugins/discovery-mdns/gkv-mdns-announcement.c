/* What a node announces of itself by mDNS, and parsing what others announce.
 *
 * Names come from a hash of cluster and node id, as these may be longer than a name may be, and have any characters.
 * The same node has the same names after a restart, so that its announcement takes the place of what caches hold.
 *
 * A string of a TXT record holds 255 bytes, key included. A longer value goes on in further strings: "id=…", "id.1=…",
 * "id.2=…".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-announcement.h"

#include <gkv.h>

#include <string.h>

#define TXT_STRING_SIZE 255
#define TXT_VALUE_MAX   2048 /* bytes of one value; a record must fit one packet with room to spare */

/* internal methods */

static char *
txt_key (const char *key, guint part)
{
  return part == 0 ? g_strdup_printf ("%s=", key) : g_strdup_printf ("%s.%u=", key, part);
}

static gboolean
txt_add (GStrvBuilder *txt, const char *key, const char *what, const char *value, GError **error)
{
  gsize left = strlen (value);

  if (left > TXT_VALUE_MAX)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                   "mDNS can't announce a %s of %" G_GSIZE_FORMAT " bytes: use one of at most %d", what, left,
                   TXT_VALUE_MAX);
      return FALSE;
    }

  for (guint part = 0; part == 0 || left > 0; part++)
    {
      g_autofree char *prefix = txt_key (key, part);
      gsize size = MIN (left, TXT_STRING_SIZE - strlen (prefix));
      g_autofree char *chunk = g_strndup (value, size);
      g_autofree char *string = g_strconcat (prefix, chunk, NULL);

      g_strv_builder_add (txt, string);
      value += size;
      left -= size;
    }

  return TRUE;
}

/* The value in the string of that key, or NULL. */
static const char *
txt_find (GStrv txt, const char *prefix)
{
  for (guint i = 0; txt[i] != NULL; i++)
    if (g_ascii_strncasecmp (txt[i], prefix, strlen (prefix)) == 0)
      return txt[i] + strlen (prefix);

  return NULL;
}

static gboolean
split_address (const char *address, GInetAddress **host, guint16 *port, GError **error)
{
  g_autofree char *name = NULL;
  g_autoptr (GSocketAddress) numeric = NULL;
  const char *colon = strrchr (address, ':');
  guint64 number = 0;

  if (colon != NULL && g_ascii_string_to_unsigned (colon + 1, 10, 1, G_MAXUINT16, &number, NULL))
    {
      if (address[0] == '[' && colon > address + 1 && colon[-1] == ']')
        name = g_strndup (address + 1, colon - address - 2);
      else
        name = g_strndup (address, colon - address);
      numeric = g_inet_socket_address_new_from_string (name, number);
    }

  if (numeric == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                   "mDNS can't announce the address \"%s\": it must be a numeric \"host:port\"", address);
      return FALSE;
    }

  *host = g_object_ref (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (numeric)));
  *port = number;
  return TRUE;
}

static void
update_names (GkvMdnsAnnouncement *self)
{
  g_autofree char *suffix = self->n_collisions > 0 ? g_strdup_printf ("-%u", self->n_collisions + 1) : g_strdup ("");

  g_free (self->instance);
  g_free (self->host);
  self->instance = g_strdup_printf ("gkv-%s%s", self->stem, suffix);
  self->host = g_strdup_printf ("gkv%s%s", self->stem, suffix);
}

/* public methods */

GkvMdnsAnnouncement *
gkv_mdns_announcement_new (const char *cluster, const char *node_id, const char *address, GError **error)
{
  g_autoptr (GkvMdnsAnnouncement) self = g_new0 (GkvMdnsAnnouncement, 1);
  g_autoptr (GStrvBuilder) txt = g_strv_builder_new ();
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  if (!split_address (address, &self->bound, &self->port, error))
    return NULL;
  if (!txt_add (txt, "id", "node id", node_id, error) || !txt_add (txt, "cluster", "cluster name", cluster, error))
    return NULL;

  /* With the zero byte between them, no two pairs are the same bytes. */
  g_checksum_update (checksum, (const guchar *) cluster, strlen (cluster) + 1);
  g_checksum_update (checksum, (const guchar *) node_id, strlen (node_id));

  self->txt = g_strv_builder_end (txt);
  self->stem = g_strndup (g_checksum_get_string (checksum), 16);
  self->addresses = gkv_mdns_addresses_for (self->bound);
  update_names (self);
  return g_steal_pointer (&self);
}

void
gkv_mdns_announcement_free (GkvMdnsAnnouncement *self)
{
  g_free (self->instance);
  g_free (self->host);
  g_free (self->stem);
  g_strfreev (self->txt);
  g_clear_pointer (&self->addresses, g_ptr_array_unref);
  g_clear_object (&self->bound);
  g_free (self);
}

void
gkv_mdns_announcement_rename (GkvMdnsAnnouncement *self)
{
  self->n_collisions++;
  update_names (self);
}

gboolean
gkv_mdns_announcement_refresh (GkvMdnsAnnouncement *self)
{
  g_autoptr (GPtrArray) addresses = gkv_mdns_addresses_for (self->bound);

  if (gkv_mdns_addresses_equal (self->addresses, addresses))
    return FALSE;

  g_ptr_array_unref (self->addresses);
  self->addresses = g_steal_pointer (&addresses);
  return TRUE;
}

gboolean
gkv_mdns_announcement_has_address (const GkvMdnsAnnouncement *self, GInetAddress *address, guint16 port)
{
  if (port != self->port)
    return FALSE;

  for (guint i = 0; i < self->addresses->len; i++)
    if (g_inet_address_equal (((GkvMdnsAddress *) self->addresses->pdata[i])->address, address))
      return TRUE;

  return FALSE;
}

char *
gkv_mdns_txt_lookup (GStrv txt, const char *key)
{
  g_autoptr (GString) value = g_string_new (NULL);

  for (guint part = 0;; part++)
    {
      g_autofree char *prefix = txt_key (key, part);
      const char *chunk = txt_find (txt, prefix);

      if (chunk == NULL)
        break;
      g_string_append (value, chunk);
    }

  if (value->len == 0 || !g_utf8_validate (value->str, value->len, NULL))
    return NULL;

  return g_string_free (g_steal_pointer (&value), FALSE);
}
