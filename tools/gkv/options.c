/* The options that all commands have: from the line, else from the environment, else from a file.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "options.h"

#include <string.h>

#define DEFAULT_TIMEOUT 10.0

void
options_add_to (Options *self, GOptionContext *context)
{
  const GOptionEntry entries[] = {
    { "seed", 0, 0, G_OPTION_ARG_STRING_ARRAY, &self->seeds, "Address of a node; may be repeated", "HOST:PORT" },
    { "discover", 0, 0, G_OPTION_ARG_STRING, &self->discovery, "Find nodes by a discovery, such as mdns", "NAME" },
    { "cluster", 0, 0, G_OPTION_ARG_STRING, &self->cluster, "Name of the cluster", "NAME" },
    { "bind", 0, 0, G_OPTION_ARG_STRING, &self->bind_address, "Own address; a free port by default", "HOST:PORT" },
    { "codec", 0, 0, G_OPTION_ARG_STRING, &self->codec, "How values are written: variant, json, ...", "NAME" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &self->json, "Print JSON, one object a line", NULL },
    { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &self->timeout, "Longest wait for the network (10)", "SECONDS" },
    G_OPTION_ENTRY_NULL,
  };

  g_option_context_add_main_entries (context, entries, NULL);
}

/* Reads one option where the line did not have it. */
static void
complete (char **option, GKeyFile *file, const char *variable, const char *name)
{
  if (*option == NULL)
    *option = g_strdup (g_getenv (variable));
  if (*option == NULL)
    *option = g_key_file_get_string (file, "gkv", name, NULL);
  if (*option != NULL && **option == '\0')
    g_clear_pointer (option, g_free);
}

/* Addresses with commas, semicolons or blanks between them. */
static char **
split_seeds (const char *text)
{
  g_auto (GStrv) parts = g_strsplit_set (text, ",; ", -1);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (char **part = parts; *part != NULL; part++)
    {
      if (**part != '\0')
        g_strv_builder_add (builder, *part);
    }
  return g_strv_builder_end (builder);
}

gboolean
options_complete (Options *self, GError **error)
{
  g_autofree char *path = g_build_filename (g_get_user_config_dir (), "gkv", "config", NULL);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *seeds = NULL;
  g_autoptr (GError) unread = NULL;

  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &unread) &&
      !g_error_matches (unread, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s can't be read: %s", path, unread->message);
      return FALSE;
    }

  complete (&self->discovery, file, "GKV_DISCOVERY", "discovery");
  complete (&self->cluster, file, "GKV_CLUSTER", "cluster");
  complete (&self->bind_address, file, "GKV_BIND", "bind");
  complete (&self->codec, file, "GKV_CODEC", "codec");
  complete (&seeds, file, "GKV_SEEDS", "seeds");
  if (self->seeds == NULL && seeds != NULL)
    self->seeds = split_seeds (seeds);
  if (self->timeout == 0)
    self->timeout = g_key_file_get_double (file, "gkv", "timeout", NULL);
  if (self->timeout == 0)
    self->timeout = DEFAULT_TIMEOUT;

  if (!(self->timeout > 0 && self->timeout <= 86400))
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "A timeout is above 0, and a day at most");
      return FALSE;
    }
  if ((self->seeds == NULL || *self->seeds == NULL) && self->discovery == NULL)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                           "It is not said where the cluster is: give --seed HOST:PORT, or --discover mdns --cluster "
                           "NAME");
      return FALSE;
    }
  if (self->discovery != NULL && self->cluster == NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "--discover %s needs --cluster NAME, or it would meet whatever is near", self->discovery);
      return FALSE;
    }
  return TRUE;
}

gboolean
options_have_place (const Options *self)
{
  return self->seeds != NULL || self->discovery != NULL || self->cluster != NULL || self->bind_address != NULL ||
         self->codec != NULL;
}

void
options_clear (Options *self)
{
  g_clear_pointer (&self->seeds, g_strfreev);
  g_clear_pointer (&self->discovery, g_free);
  g_clear_pointer (&self->cluster, g_free);
  g_clear_pointer (&self->bind_address, g_free);
  g_clear_pointer (&self->codec, g_free);
}
