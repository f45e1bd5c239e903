/* GkvOptions: the options of a node, and validating them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-options.h"

#include "gkv-error.h"

#define MAX_NAME_SIZE (255)

void
gkv_options_init (GkvOptions *self)
{
  self->seeds = g_new0 (char *, 1);
}

void
gkv_options_clear (GkvOptions *self)
{
  g_free (self->node_id);
  g_free (self->cluster);
  g_free (self->bind_address);
  g_free (self->advertise_address);
  g_strfreev (self->seeds);
  g_clear_object (&self->codec);
  g_clear_object (&self->transport);
  g_clear_object (&self->discovery);
}

static gboolean
gkv_options_validate_name (const char *option, const char *name, GError **error)
{
  if (name == NULL || *name == '\0')
    g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION, "The option %s is empty; it takes 1 to %d bytes", option,
                 MAX_NAME_SIZE);
  else if (strlen (name) > MAX_NAME_SIZE)
    g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                 "The option %s is %" G_GSIZE_FORMAT " bytes long; the limit is %d", option, strlen (name),
                 MAX_NAME_SIZE);
  else if (!g_utf8_validate (name, -1, NULL))
    g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION, "The option %s is not UTF-8", option);
  else
    return TRUE;

  return FALSE;
}

/* A host name is valid here: it is looked up later. */
static gboolean
gkv_options_validate_address (
    const char *option, const char *address, GkvTransport *transport, GkvAddressUse use, GError **error)
{
  GError *cause = NULL;
  g_autofree char *canonical = NULL;

  if (address == NULL)
    return TRUE;

  canonical = gkv_transport_normalize (transport, address, use, &cause);
  if (cause == NULL)
    return TRUE;

  g_propagate_prefixed_error (error, cause, "The option %s: ", option);

  return FALSE;
}

static gboolean
gkv_options_validate_network (const GkvOptions *self, const char *option, gboolean given, GError **error)
{
  if (!given || self->bind_address != NULL)
    return TRUE;

  g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
               "The option %s needs bind-address; \"0.0.0.0:0\" binds to any free port", option);

  return FALSE;
}

gboolean
gkv_options_validate_seed (const char *seed, GkvTransport *transport, GError **error)
{
  return gkv_options_validate_address ("seeds", seed, transport, GKV_ADDRESS_USE_PEER, error);
}

const char *
gkv_options_get_cluster (const GkvOptions *self)
{
  return self->cluster != NULL ? self->cluster : "default";
}

gboolean
gkv_options_validate_start (const GkvOptions *self, GError **error)
{
  GApplication *application = g_application_get_default ();
  const char *id = application != NULL ? g_application_get_application_id (application) : NULL;

  if (self->discovery == NULL || self->cluster != NULL)
    return TRUE;

  g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
               "The option cluster has to be given with a discovery, so that the nodes of other applications nearby "
               "aren't met; the application's id will do, such as \"%s\"",
               id != NULL ? id : "org.example.App");

  return FALSE;
}

gboolean
gkv_options_validate (const GkvOptions *self, GkvTransport *transport, GError **error)
{
  if (!gkv_options_validate_name ("node-id", self->node_id, error) ||
      !gkv_options_validate_name ("cluster", gkv_options_get_cluster (self), error))
    return FALSE;

  if (self->gossip_interval == 0)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                           "The option gossip-interval is 0; it must be at least 1 ms");
      return FALSE;
    }

  if (!gkv_options_validate_network (self, "seeds", self->seeds[0] != NULL, error) ||
      !gkv_options_validate_network (self, "discovery", self->discovery != NULL, error) ||
      !gkv_options_validate_network (self, "advertise-address", self->advertise_address != NULL, error))
    return FALSE;

  if (!gkv_options_validate_address ("bind-address", self->bind_address, transport, GKV_ADDRESS_USE_BIND, error) ||
      !gkv_options_validate_address ("advertise-address", self->advertise_address, transport, GKV_ADDRESS_USE_ADVERTISE,
                                     error))
    return FALSE;

  for (guint i = 0; self->seeds[i] != NULL; i++)
    if (!gkv_options_validate_seed (self->seeds[i], transport, error))
      return FALSE;

  return TRUE;
}
