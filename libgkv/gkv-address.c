/* Addresses as people write them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-address.h"

#include "gkv-error.h"

static gboolean
gkv_address_fail (const char *text, const char *reason, GError **error)
{
  g_autofree char *shown = g_utf8_make_valid (text, -1);

  g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
               "\"%s\" is not an address: %s. Write \"192.0.2.1:7000\", \"[2001:db8::1]:7000\" or \"name:7000\"", shown,
               reason);

  return FALSE;
}

gboolean
gkv_address_is_numeric (const char *host)
{
  g_autofree char *bare = g_strdup (host);
  char *scope = strchr (bare, '%');

  /* a link-local IPv6 address names its interface */
  if (scope != NULL && strchr (bare, ':') != NULL && scope[1] != '\0')
    *scope = '\0';

  return g_hostname_is_ip_address (bare);
}

static gboolean
gkv_address_is_name (const char *host)
{
  for (const char *p = host; *p != '\0'; p++)
    if (!g_ascii_isalnum (*p) && strchr ("-._", *p) == NULL)
      return FALSE;

  return *host != '.' && strlen (host) <= 253;
}

gboolean
gkv_address_parse (const char *text, char **host, guint16 *port, GError **error)
{
  g_autofree char *name = NULL;
  const char *colon;
  guint64 number;

  colon = strrchr (text, ':');
  if (!g_utf8_validate (text, -1, NULL) || colon == NULL)
    return gkv_address_fail (text, "the port is missing", error);
  if (!g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, &number, NULL))
    return gkv_address_fail (text, "the port must be a number from 0 to 65535", error);
  if (colon == text)
    return gkv_address_fail (text, "the host is missing; \"0.0.0.0\" stands for every address", error);

  if (text[0] == '[')
    {
      if (colon[-1] != ']')
        return gkv_address_fail (text, "\"]\" must stand before the port", error);

      name = g_strndup (text + 1, colon - text - 2);
      if (strchr (name, ':') == NULL || !gkv_address_is_numeric (name))
        return gkv_address_fail (text, "what is in brackets must be an IPv6 address", error);
    }
  else
    {
      g_autofree char *typed = g_strndup (text, colon - text);

      if (strchr (typed, ':') != NULL)
        return gkv_address_fail (text, "an IPv6 address needs brackets", error);

      name = g_hostname_to_ascii (typed);
      if (name == NULL || !gkv_address_is_name (name))
        return gkv_address_fail (text, "that is not a host name", error);
    }

  if (host != NULL)
    *host = g_steal_pointer (&name);
  if (port != NULL)
    *port = (guint16) number;

  return TRUE;
}

char *
gkv_address_format (const char *host, guint16 port)
{
  return g_strdup_printf (strchr (host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}

gboolean
gkv_address_is_unspecified (const char *address)
{
  g_autoptr (GInetAddress) inet = NULL;
  g_autofree char *host = NULL;

  if (!gkv_address_parse (address, &host, NULL, NULL))
    return FALSE;

  inet = g_inet_address_new_from_string (host);

  return inet != NULL && g_inet_address_get_is_any (inet);
}

static char *
gkv_address_lookup_hosts_file (const char *host)
{
  g_autofree char *contents = NULL;
  g_auto (GStrv) lines = NULL;

  if (!g_file_get_contents ("/etc/hosts", &contents, NULL, NULL))
    return NULL;

  lines = g_strsplit (contents, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto (GStrv) words = NULL;

      lines[i][strcspn (lines[i], "#")] = '\0';
      words = g_strsplit_set (g_strstrip (lines[i]), " \t", -1);
      if (words[0] == NULL || !g_hostname_is_ip_address (words[0]))
        continue;

      for (guint j = 1; words[j] != NULL; j++)
        if (g_ascii_strcasecmp (words[j], host) == 0)
          return g_strdup (words[0]);
    }

  return NULL;
}

char *
gkv_address_lookup_local (const char *host)
{
  if (gkv_address_is_numeric (host))
    return g_strdup (host);

  if (g_ascii_strcasecmp (host, "localhost") == 0)
    return g_strdup ("127.0.0.1");

  return gkv_address_lookup_hosts_file (host);
}
