/* Opening a transport.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-opening.h"

#include "gkv-error.h"

#define BIND      "bind-address"
#define ADVERTISE "advertise-address"

typedef struct
{
  GkvTransport *transport;
  char *bind_address;
  char *advertise_address; /* nullable */
  GCancellable *cancellable;
  GkvOpeningEnded ended;
  gpointer data;

  char *advertised;
} GkvOpening;

static void
gkv_opening_end (GkvOpening *self, const GError *error)
{
  self->ended (self->advertised, error, self->data);

  g_object_unref (self->transport);
  g_free (self->bind_address);
  g_free (self->advertise_address);
  g_clear_object (&self->cancellable);
  g_free (self->advertised);
  g_free (self);
}

static void
gkv_opening_prefix (GError **error, const char *option, const char *address)
{
  g_prefix_error (error, "The option %s, \"%s\": ", option, address);
}

/* The address that peers are to use where none was set: the one that is bound, unless that stands for every address. */
static char *
gkv_opening_find_advertised (GkvTransport *transport)
{
  g_autofree char *local = gkv_transport_get_local_address (transport);

  return local != NULL ? gkv_transport_normalize (transport, local, GKV_ADDRESS_USE_ADVERTISE, NULL) : NULL;
}

static void
gkv_opening_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  GkvOpening *self = data;
  g_autoptr (GError) error = NULL;

  if (gkv_transport_open_finish (self->transport, result, &error) && self->advertised == NULL)
    self->advertised = gkv_opening_find_advertised (self->transport);

  gkv_opening_end (self, error);
}

static void
gkv_opening_open (GkvOpening *self)
{
  gkv_transport_open_async (self->transport, self->bind_address, self->cancellable, gkv_opening_opened, self);
}

/* What peers are to use */

/* The first of what a name stands for that can serve. */
static char *
gkv_opening_choose_advertised (GkvTransport *transport, const char *const *addresses, GError **error)
{
  for (guint i = 0; addresses[i] != NULL; i++)
    {
      char *advertised;

      g_clear_error (error);
      advertised = gkv_transport_normalize (transport, addresses[i], GKV_ADDRESS_USE_ADVERTISE, error);
      if (advertised != NULL)
        return advertised;
    }

  return NULL;
}

static void
gkv_opening_advertised_resolved (GObject *source, GAsyncResult *result, gpointer data)
{
  GkvOpening *self = data;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) addresses = gkv_transport_resolve_finish (self->transport, result, &error);

  if (addresses != NULL)
    self->advertised = gkv_opening_choose_advertised (self->transport, (const char *const *) addresses, &error);

  if (error != NULL)
    {
      gkv_opening_prefix (&error, ADVERTISE, self->advertise_address);
      gkv_opening_end (self, error);
      return;
    }

  gkv_opening_open (self);
}

static void
gkv_opening_advertise (GkvOpening *self)
{
  g_autoptr (GError) error = NULL;

  if (self->advertise_address != NULL)
    self->advertised =
        gkv_transport_normalize (self->transport, self->advertise_address, GKV_ADDRESS_USE_ADVERTISE, &error);

  if (error != NULL)
    {
      gkv_opening_prefix (&error, ADVERTISE, self->advertise_address);
      gkv_opening_end (self, error);
    }
  else if (self->advertise_address != NULL && self->advertised == NULL)
    {
      gkv_transport_resolve_async (self->transport, self->advertise_address, self->cancellable,
                                   gkv_opening_advertised_resolved, self);
    }
  else
    {
      gkv_opening_open (self);
    }
}

/* Later than the call that began it. */
static gboolean
gkv_opening_start (gpointer data)
{
  gkv_opening_advertise (data);

  return G_SOURCE_REMOVE;
}

void
gkv_opening_begin (GkvTransport *transport,
                   const char *bind_address,
                   const char *advertise_address,
                   GCancellable *cancellable,
                   GkvOpeningEnded ended,
                   gpointer data)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  GkvOpening *self = g_new0 (GkvOpening, 1);

  self->transport = g_object_ref (transport);
  self->bind_address = g_strdup (bind_address);
  self->advertise_address = g_strdup (advertise_address);
  self->cancellable = cancellable != NULL ? g_object_ref (cancellable) : NULL;
  self->ended = ended;
  self->data = data;

  g_source_set_static_name (source, "GkvNode opening");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, gkv_opening_start, self, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
}

static char *
gkv_opening_need_numeric (
    GkvTransport *transport, const char *option, const char *address, GkvAddressUse use, GError **error)
{
  GError *cause = NULL;
  char *numeric = gkv_transport_normalize (transport, address, use, &cause);

  if (cause != NULL)
    {
      gkv_opening_prefix (&cause, option, address);
      g_propagate_error (error, cause);
    }
  else if (numeric == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                   "The option %s: \"%s\" is a name that has to be looked up first; start the node with "
                   "gkv_node_start_async (), or give a numeric address",
                   option, address);
    }

  return numeric;
}

gboolean
gkv_opening_now (
    GkvTransport *transport, const char *bind_address, const char *advertise_address, char **advertised, GError **error)
{
  g_autofree char *bind = gkv_opening_need_numeric (transport, BIND, bind_address, GKV_ADDRESS_USE_BIND, error);
  g_autofree char *advertise = NULL;

  if (bind == NULL)
    return FALSE;

  if (advertise_address != NULL)
    {
      advertise = gkv_opening_need_numeric (transport, ADVERTISE, advertise_address, GKV_ADDRESS_USE_ADVERTISE, error);
      if (advertise == NULL)
        return FALSE;
    }

  if (!gkv_transport_open (transport, bind, error))
    return FALSE;

  *advertised = advertise != NULL ? g_steal_pointer (&advertise) : gkv_opening_find_advertised (transport);

  return TRUE;
}
