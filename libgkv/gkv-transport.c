/* GkvTransport: how datagrams travel. The wrapper through which every transport is called: it never trusts the
 * implementation, which may be missing a method, or fail without saying why.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-transport.h"

#include "gkv-error.h"
#include "gkv-modules.h"

#define DEFAULT_MAX_DATAGRAM_SIZE 1200

/**
 * GkvTransport:
 *
 * How datagrams travel from node to node.
 *
 * A datagram may be lost, doubled or late; it is never cut. Addresses are strings of the form "host:port", where the
 * host is numeric ("127.0.0.1:7000", "[::1]:7000"); a transport of another kind may give them a meaning of its own.
 *
 * All is called in one main context. The library has "udp".
 */

enum
{
  SIGNAL_RECEIVED,
  SIGNAL_FAILED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_INTERFACE (GkvTransport, gkv_transport, G_TYPE_OBJECT)

static guint
gkv_transport_default_get_max_datagram_size (GkvTransport *self)
{
  return DEFAULT_MAX_DATAGRAM_SIZE;
}

static gboolean
gkv_transport_default_flush (GkvTransport *self, GError **error)
{
  return TRUE;
}

static void
gkv_transport_default_init (GkvTransportInterface *iface)
{
  iface->get_max_datagram_size = gkv_transport_default_get_max_datagram_size;
  iface->flush = gkv_transport_default_flush;

  /**
   * GkvTransport::received:
   * @self: the transport
   * @address: the sender's "host:port"
   * @datagram: what came
   *
   * A datagram has come. Emitted in the context that the transport was opened in.
   */
  signals[SIGNAL_RECEIVED] =
      g_signal_new ("received", GKV_TYPE_TRANSPORT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2,
                    G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE, G_TYPE_BYTES | G_SIGNAL_TYPE_STATIC_SCOPE);

  /**
   * GkvTransport::failed:
   * @self: the transport
   * @error: what went wrong
   *
   * Something went wrong that isn't the answer to a call. The transport goes on. Emitted in the context that the
   * transport was opened in.
   */
  signals[SIGNAL_FAILED] = g_signal_new ("failed", GKV_TYPE_TRANSPORT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                         G_TYPE_NONE, 1, G_TYPE_ERROR | G_SIGNAL_TYPE_STATIC_SCOPE);
}

static gboolean
fail (GkvTransport *self, const char *what, GError *cause, GError **error)
{
  g_autofree char *who = g_strdup_printf ("The transport %s", G_OBJECT_TYPE_NAME (self));

  return gkv_modules_fail (error, GKV_ERROR_TRANSPORT, who, what, cause);
}

/**
 * gkv_transport_new_for_name:
 * @name: the name of a transport, for example "udp"
 * @error: return location for an error
 *
 * Makes a transport by its name, loading its module when need be. May be called from any thread.
 *
 * Fails with %GKV_ERROR_MODULE when there is none of that name; the message lists the names that there are and the
 * folders searched.
 *
 * Returns: (transfer full): a new transport
 */
GkvTransport *
gkv_transport_new_for_name (const char *name, GError **error)
{
  GObject *object;

  g_return_val_if_fail (name != NULL, NULL);

  object = gkv_modules_new_object (GKV_TRANSPORT_EXTENSION_POINT_NAME, "transport", name, error);
  return object != NULL ? GKV_TRANSPORT (object) : NULL;
}

/**
 * gkv_transport_open:
 * @self: a transport
 * @bind_address: the numeric "host:port" to bind to; port 0 picks a free one
 * @error: return location for an error
 *
 * Binds, and begins to receive in the thread-default main context. Doesn't block.
 *
 * Fails with %GKV_ERROR_TRANSPORT, for example when the port is taken.
 *
 * Returns: whether it is open
 */
gboolean
gkv_transport_open (GkvTransport *self, const char *bind_address, GError **error)
{
  GkvTransportInterface *iface;
  GError *cause = NULL;

  g_return_val_if_fail (GKV_IS_TRANSPORT (self), FALSE);
  g_return_val_if_fail (bind_address != NULL, FALSE);

  iface = GKV_TRANSPORT_GET_IFACE (self);
  if (iface->open == NULL)
    return fail (self, "has no method to open", NULL, error);
  if (!iface->open (self, bind_address, &cause) || cause != NULL)
    return fail (self, "could not be opened", cause, error);
  return TRUE;
}

/**
 * gkv_transport_close:
 * @self: a transport
 *
 * Releases the address before it returns. Harmless when the transport isn't open; it can be opened again.
 */
void
gkv_transport_close (GkvTransport *self)
{
  g_return_if_fail (GKV_IS_TRANSPORT (self));

  if (GKV_TRANSPORT_GET_IFACE (self)->close != NULL)
    GKV_TRANSPORT_GET_IFACE (self)->close (self);
}

/**
 * gkv_transport_get_local_address:
 * @self: a transport
 *
 * Gives the address really bound, port included.
 *
 * Returns: (transfer full) (nullable): "host:port", or %NULL when the transport isn't open
 */
char *
gkv_transport_get_local_address (GkvTransport *self)
{
  g_return_val_if_fail (GKV_IS_TRANSPORT (self), NULL);

  if (GKV_TRANSPORT_GET_IFACE (self)->get_local_address == NULL)
    return NULL;
  return GKV_TRANSPORT_GET_IFACE (self)->get_local_address (self);
}

/**
 * gkv_transport_get_max_datagram_size:
 * @self: a transport
 *
 * Gives the largest datagram that should be sent.
 *
 * Returns: a number of bytes; 1,200 unless the transport says otherwise
 */
guint
gkv_transport_get_max_datagram_size (GkvTransport *self)
{
  guint size;

  g_return_val_if_fail (GKV_IS_TRANSPORT (self), DEFAULT_MAX_DATAGRAM_SIZE);

  size = GKV_TRANSPORT_GET_IFACE (self)->get_max_datagram_size (self);
  return size > 0 ? size : DEFAULT_MAX_DATAGRAM_SIZE;
}

/**
 * gkv_transport_send:
 * @self: a transport
 * @address: the receiver's numeric "host:port"
 * @datagram: what to send
 * @error: return location for an error
 *
 * Sends a datagram, or queues it until [method@Gkv.Transport.flush]. It may be lost without an error.
 *
 * Fails with %GKV_ERROR_TRANSPORT.
 *
 * Returns: whether it was sent or queued
 */
gboolean
gkv_transport_send (GkvTransport *self, const char *address, GBytes *datagram, GError **error)
{
  GkvTransportInterface *iface;
  GError *cause = NULL;

  g_return_val_if_fail (GKV_IS_TRANSPORT (self), FALSE);
  g_return_val_if_fail (address != NULL, FALSE);
  g_return_val_if_fail (datagram != NULL, FALSE);

  iface = GKV_TRANSPORT_GET_IFACE (self);
  if (iface->send == NULL)
    return fail (self, "has no method to send", NULL, error);
  if (!iface->send (self, address, datagram, &cause) || cause != NULL)
    return fail (self, "could not send", cause, error);
  return TRUE;
}

/**
 * gkv_transport_flush:
 * @self: a transport
 * @error: return location for an error
 *
 * Sends what [method@Gkv.Transport.send] has queued.
 *
 * Fails with %GKV_ERROR_TRANSPORT.
 *
 * Returns: whether nothing went wrong
 */
gboolean
gkv_transport_flush (GkvTransport *self, GError **error)
{
  GError *cause = NULL;

  g_return_val_if_fail (GKV_IS_TRANSPORT (self), FALSE);

  if (!GKV_TRANSPORT_GET_IFACE (self)->flush (self, &cause) || cause != NULL)
    return fail (self, "could not send", cause, error);
  return TRUE;
}

/**
 * gkv_transport_emit_received:
 * @self: a transport
 * @address: the sender's "host:port"
 * @datagram: what came
 *
 * Tells the node of a datagram. For implementations, in the context that the transport was opened in.
 */
void
gkv_transport_emit_received (GkvTransport *self, const char *address, GBytes *datagram)
{
  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (address != NULL);
  g_return_if_fail (datagram != NULL);

  g_signal_emit (self, signals[SIGNAL_RECEIVED], 0, address, datagram);
}

/**
 * gkv_transport_emit_failed:
 * @self: a transport
 * @error: what went wrong
 *
 * Tells the node of something that went wrong. For implementations, in the context that the transport was opened in.
 */
void
gkv_transport_emit_failed (GkvTransport *self, const GError *error)
{
  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (error != NULL);

  g_signal_emit (self, signals[SIGNAL_FAILED], 0, error);
}
