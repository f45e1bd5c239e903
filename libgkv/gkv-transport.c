/* GkvTransport: carries datagrams. This is the wrapper through which every transport is called. It never trusts the
 * implementation, which may lack a method, or fail without an error.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-transport.h"

#include "gkv-error.h"
#include "gkv-modules.h"
#include "gkv-transport-private.h"

#define DEFAULT_MAX_DATAGRAM_SIZE 1200

/**
 * GkvTransport:
 *
 * Carries datagrams from node to node.
 *
 * A datagram may be lost, duplicated or late; it is never truncated. Addresses are strings in the transport's own
 * canonical form, which [method@Gkv.Transport.normalize] gives: two addresses are the same where the strings are. Those
 * of "udp" are "host:port" with a numeric host ("127.0.0.1:7000", "[::1]:7000").
 *
 * All methods are called in one main context, and the signals are emitted there; see
 * [method@Gkv.Transport.is_thread_movable]. The signals are for the node. The library has the transport "udp".
 *
 * Since: 1.0
 */

/**
 * GkvTransportInterface::begin_open:
 * @self: a transport
 * @bind_address: the address to bind to
 *
 * Begins to bind. The implementation ends it by one call of [method@Gkv.Transport.opened] or
 * [method@Gkv.Transport.open_failed]. Called in the thread that the transport is used in.
 *
 * Since: 1.0
 */

/**
 * GkvTransportInterface::begin_resolve:
 * @self: a transport
 * @address: an address
 * @request: a number that no other request under way has
 *
 * Begins to look up the addresses that an address stands for. The implementation ends it by one call of
 * [method@Gkv.Transport.resolved] or [method@Gkv.Transport.resolve_failed] with the same number. Called in the thread
 * that the transport is used in.
 *
 * Since: 1.0
 */

/**
 * GkvTransportInterface::cancel_resolve:
 * @self: a transport
 * @request: the number of a request
 *
 * Cancels a request, which need not be ended any more. Called in the thread that the transport is used in.
 *
 * Since: 1.0
 */

enum
{
  SIGNAL_RECEIVED,
  SIGNAL_DRAINED,
  SIGNAL_FAILED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];
static GQuark sink_quark;

G_DEFINE_ENUM_TYPE (GkvAddressUse,
                    gkv_address_use,
                    G_DEFINE_ENUM_VALUE (GKV_ADDRESS_USE_BIND, "bind"),
                    G_DEFINE_ENUM_VALUE (GKV_ADDRESS_USE_ADVERTISE, "advertise"),
                    G_DEFINE_ENUM_VALUE (GKV_ADDRESS_USE_PEER, "peer"))

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
gkv_transport_default_begin_open (GkvTransport *self, const char *bind_address)
{
  g_autoptr (GError) error = NULL;

  if (gkv_transport_open (self, bind_address, &error))
    gkv_transport_opened (self);
  else
    gkv_transport_open_failed (self, error);
}

static void
gkv_transport_default_begin_resolve (GkvTransport *self, const char *address, guint request)
{
  const char *addresses[] = { address, NULL };

  gkv_transport_resolved (self, request, addresses);
}

static void
gkv_transport_default_cancel_resolve (GkvTransport *self, guint request)
{
}

static char *
gkv_transport_default_normalize (GkvTransport *self, const char *address, GkvAddressUse use, GError **error)
{
  return g_strdup (address);
}

static gboolean
gkv_transport_default_is_thread_movable (GkvTransport *self)
{
  return FALSE;
}

static void
gkv_transport_default_init (GkvTransportInterface *iface)
{
  iface->get_max_datagram_size = gkv_transport_default_get_max_datagram_size;
  iface->flush = gkv_transport_default_flush;
  iface->begin_open = gkv_transport_default_begin_open;
  iface->begin_resolve = gkv_transport_default_begin_resolve;
  iface->cancel_resolve = gkv_transport_default_cancel_resolve;
  iface->normalize = gkv_transport_default_normalize;
  iface->is_thread_movable = gkv_transport_default_is_thread_movable;

  sink_quark = g_quark_from_static_string ("gkv-transport-sink");

  /**
   * GkvTransport::received:
   * @self: the transport
   * @address: the sender's canonical address
   * @datagram: its bytes
   *
   * A datagram was received.
   *
   * Emitted in the context that the transport was opened in.
   *
   * Since: 1.0
   */
  signals[SIGNAL_RECEIVED] =
      g_signal_new ("received", GKV_TYPE_TRANSPORT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2,
                    G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE, G_TYPE_BYTES | G_SIGNAL_TYPE_STATIC_SCOPE);

  /**
   * GkvTransport::drained:
   * @self: the transport
   *
   * All datagrams that came together have been emitted, so that the node acts on them at once. A transport need not
   * emit it: then the node acts a moment later.
   *
   * Emitted in the context that the transport was opened in.
   *
   * Since: 1.0
   */
  signals[SIGNAL_DRAINED] = g_signal_new ("drained", GKV_TYPE_TRANSPORT, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                          g_cclosure_marshal_VOID__VOID, G_TYPE_NONE, 0);

  /**
   * GkvTransport::failed:
   * @self: the transport
   * @error: what went wrong
   *
   * Something failed outside of any call. The transport goes on.
   *
   * Emitted in the context that the transport was opened in.
   *
   * Since: 1.0
   */
  signals[SIGNAL_FAILED] = g_signal_new ("failed", GKV_TYPE_TRANSPORT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                         G_TYPE_NONE, 1, G_TYPE_ERROR | G_SIGNAL_TYPE_STATIC_SCOPE);
}

void
gkv_transport_set_sink (GkvTransport *self, const GkvTransportSink *sink)
{
  g_object_set_qdata (G_OBJECT (self), sink_quark, (gpointer) sink);
}

/* Looked for anew after the handlers of a signal, and last in a call: each may close the transport, or drop it. */
static const GkvTransportSink *
gkv_transport_get_sink (GkvTransport *self)
{
  return g_object_get_qdata ((GObject *) self, sink_quark);
}

/* Costs less than an emission that nobody receives. */
static gboolean
gkv_transport_is_watched (GkvTransport *self, guint signal)
{
  return g_signal_has_handler_pending (self, signals[signal], 0, FALSE);
}

static gboolean
fail (GkvTransport *self, const char *what, GError *cause, GError **error)
{
  return gkv_transport_fail (self, GKV_ERROR_TRANSPORT, what, cause, error);
}

/**
 * gkv_transport_new_for_name:
 * @name: the name of a transport, for example "udp"; what follows a colon is for its property `argument`
 * @error: return location for an error
 *
 * Creates a transport by its name, loading its module when need be. May be called from any thread.
 *
 * Fails with %GKV_ERROR_MODULE when there is none of that name; the message lists the names that there are and the
 * folders searched. It fails so, too, where an argument is given to a transport that takes none.
 *
 * Returns: (transfer full): a new transport
 *
 * Since: 1.0
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
 * gkv_transport_list_names:
 *
 * Lists the transports that [func@Gkv.Transport.new_for_name] can create. This loads every module. May be called from
 * any thread.
 *
 * Returns: (transfer full) (array zero-terminated=1): the names, sorted
 *
 * Since: 1.0
 */
char **
gkv_transport_list_names (void)
{
  return gkv_modules_list_names (GKV_TRANSPORT_EXTENSION_POINT_NAME);
}

/**
 * gkv_transport_open:
 * @self: a transport
 * @bind_address: the address to bind to, one that needs no look-up; for "udp" port 0 picks a free one
 * @error: return location for an error
 *
 * Binds, and begins to receive in the thread-default main context. Doesn't block.
 *
 * Fails with %GKV_ERROR_TRANSPORT, for example when the port is taken, and with %GKV_ERROR_INVALID_ADDRESS.
 *
 * Belongs to the thread that the transport is used in; see [method@Gkv.Transport.is_thread_movable].
 *
 * Returns: %TRUE if it is open, %FALSE with @error set otherwise
 *
 * Since: 1.0
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
 * Closes the transport, and releases its address before it returns. Does nothing when the transport isn't open. It can
 * be opened again. An asynchronous open under way ends in an error.
 *
 * Belongs to the thread that the transport is used in; see [method@Gkv.Transport.is_thread_movable].
 *
 * Since: 1.0
 */
void
gkv_transport_close (GkvTransport *self)
{
  g_return_if_fail (GKV_IS_TRANSPORT (self));

  if (GKV_TRANSPORT_GET_IFACE (self)->close != NULL)
    GKV_TRANSPORT_GET_IFACE (self)->close (self);
  gkv_transport_end_opening (self);
}

/**
 * gkv_transport_get_local_address:
 * @self: a transport
 *
 * Gets the address that is bound, with the real port.
 *
 * Belongs to the thread that the transport is used in; see [method@Gkv.Transport.is_thread_movable].
 *
 * Returns: (transfer full) (nullable): the address in canonical form, or %NULL when the transport isn't open
 *
 * Since: 1.0
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
 * Gets the size of the largest datagram that should be sent.
 *
 * Belongs to the thread that the transport is used in; see [method@Gkv.Transport.is_thread_movable].
 *
 * Returns: a number of bytes; 1,200 unless the transport overrides it
 *
 * Since: 1.0
 */
guint
gkv_transport_get_max_datagram_size (GkvTransport *self)
{
  guint size;

  g_return_val_if_fail (GKV_IS_TRANSPORT (self), DEFAULT_MAX_DATAGRAM_SIZE);

  size = GKV_TRANSPORT_GET_IFACE (self)->get_max_datagram_size (self);
  return size > 0 ? size : DEFAULT_MAX_DATAGRAM_SIZE;
}

/* @tells_cause: whether an error of G_IO_ERROR stays one. */
static gboolean
fail_to_send (GkvTransport *self, gboolean tells_cause, GError *cause, GError **error)
{
  if (cause == NULL || cause->domain != G_IO_ERROR)
    return fail (self, "could not send", cause, error);

  if (!tells_cause)
    {
      cause->domain = GKV_ERROR;
      cause->code = GKV_ERROR_TRANSPORT;
    }
  g_propagate_error (error, cause);
  return FALSE;
}

static gboolean
try_send (GkvTransport *self, const char *address, GBytes *datagram, gboolean tells_cause, GError **error)
{
  GkvTransportInterface *iface = GKV_TRANSPORT_GET_IFACE (self);
  GError *cause = NULL;

  if (iface->send == NULL)
    return fail (self, "has no method to send", NULL, error);
  if (!iface->send (self, address, datagram, &cause) || cause != NULL)
    return fail_to_send (self, tells_cause, cause, error);
  return TRUE;
}

gboolean
gkv_transport_try_send (GkvTransport *self, const char *address, GBytes *datagram, GError **error)
{
  return try_send (self, address, datagram, TRUE, error);
}

/**
 * gkv_transport_send:
 * @self: a transport
 * @address: the receiver's canonical address
 * @datagram: the bytes to send
 * @error: return location for an error
 *
 * Sends a datagram, or queues it until [method@Gkv.Transport.flush]. It may be lost without an error.
 *
 * Fails with %GKV_ERROR_TRANSPORT.
 *
 * Belongs to the thread that the transport is used in; other threads may call it as
 * [method@Gkv.Transport.is_thread_movable] says.
 *
 * Returns: %TRUE if it was sent or queued, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_transport_send (GkvTransport *self, const char *address, GBytes *datagram, GError **error)
{
  g_return_val_if_fail (GKV_IS_TRANSPORT (self), FALSE);
  g_return_val_if_fail (address != NULL, FALSE);
  g_return_val_if_fail (datagram != NULL, FALSE);

  return try_send (self, address, datagram, FALSE, error);
}

static gboolean
try_flush (GkvTransport *self, gboolean tells_cause, GError **error)
{
  GError *cause = NULL;

  if (!GKV_TRANSPORT_GET_IFACE (self)->flush (self, &cause) || cause != NULL)
    return fail_to_send (self, tells_cause, cause, error);
  return TRUE;
}

gboolean
gkv_transport_try_flush (GkvTransport *self, GError **error)
{
  return try_flush (self, TRUE, error);
}

/**
 * gkv_transport_flush:
 * @self: a transport
 * @error: return location for an error
 *
 * Sends what [method@Gkv.Transport.send] has queued. While the network takes nothing it stays queued, and is sent
 * later.
 *
 * Fails with %GKV_ERROR_TRANSPORT when something failed that concerns the network as a whole, for example because there
 * is no route. The datagram that failed is lost then; all others were sent or stay queued, so that nothing need be sent
 * again; where another one has failed as well, the next call says so. It isn't an error when a single receiver isn't
 * there.
 *
 * Where the system has no memory for a datagram now, an implementation keeps it and tries again after a while, as it
 * does while the network takes nothing; it may fail with %G_IO_ERROR_WOULD_BLOCK, so that this is counted and reported.
 *
 * An implementation fails with an error of %G_IO_ERROR where that names the cause, and the node counts it so:
 * %G_IO_ERROR_HOST_UNREACHABLE, %G_IO_ERROR_NETWORK_UNREACHABLE, %G_IO_ERROR_PERMISSION_DENIED,
 * %G_IO_ERROR_CONNECTION_REFUSED, %G_IO_ERROR_MESSAGE_TOO_LARGE, %G_IO_ERROR_WOULD_BLOCK.
 *
 * Belongs to the thread that the transport is used in; other threads may call it as
 * [method@Gkv.Transport.is_thread_movable] says.
 *
 * Returns: %TRUE if nothing failed, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_transport_flush (GkvTransport *self, GError **error)
{
  g_return_val_if_fail (GKV_IS_TRANSPORT (self), FALSE);

  return try_flush (self, FALSE, error);
}

/**
 * gkv_transport_normalize:
 * @self: a transport
 * @address: an address, as a person or a peer wrote it
 * @use: what it is for
 * @error: return location for an error
 *
 * Gets the canonical form of an address. Addresses are compared in that form only. Doesn't block.
 *
 * For an address with a name, which must be looked up first, it returns %NULL without an error; see
 * [method@Gkv.Transport.resolve_async].
 *
 * Fails with %GKV_ERROR_INVALID_ADDRESS when it isn't an address, or can't serve that use.
 *
 * May be called from any thread if [method@Gkv.Transport.is_thread_movable] returns %TRUE; otherwise belongs to the
 * thread that created the transport.
 *
 * Returns: (transfer full) (nullable): the canonical form, or %NULL for a name or after an error
 *
 * Since: 1.0
 */
char *
gkv_transport_normalize (GkvTransport *self, const char *address, GkvAddressUse use, GError **error)
{
  GkvTransportInterface *iface;
  GError *cause = NULL;
  char *canonical;

  g_return_val_if_fail (GKV_IS_TRANSPORT (self), NULL);
  g_return_val_if_fail (address != NULL, NULL);

  iface = GKV_TRANSPORT_GET_IFACE (self);
  canonical = iface->normalize != NULL ? iface->normalize (self, address, use, &cause) : g_strdup (address);
  if (cause != NULL)
    {
      g_autofree char *shown = g_utf8_make_valid (address, -1);
      g_autofree char *what = g_strdup_printf ("can't use the address \"%s\"", shown);

      g_clear_pointer (&canonical, g_free);
      gkv_transport_fail (self, GKV_ERROR_INVALID_ADDRESS, what, cause, error);
    }
  return canonical;
}

/**
 * gkv_transport_is_thread_movable:
 * @self: a transport
 *
 * Checks whether the transport can be used in another thread than the one that created it.
 *
 * If it can, all from the first look-up or open to close, signals included, happens in one thread, in that thread's
 * default main context. [method@Gkv.Transport.send] and [method@Gkv.Transport.flush] may also be called by other
 * threads, but never two calls at once, and never while handlers of [signal@Gkv.Transport::received],
 * [signal@Gkv.Transport::drained] or [signal@Gkv.Transport::failed] run. To ensure that, the node holds a lock in such
 * calls and in its handlers: so a handler may block for a moment, and a transport holds no lock of its own while it
 * emits a signal. What its own sources share with `send` and `flush` outside the handlers the transport guards itself.
 * [method@Gkv.Transport.normalize] may be called from any thread at any time.
 *
 * A transport written in JavaScript must leave it %FALSE.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if it can; %FALSE unless the transport overrides it
 *
 * Since: 1.0
 */
gboolean
gkv_transport_is_thread_movable (GkvTransport *self)
{
  g_return_val_if_fail (GKV_IS_TRANSPORT (self), FALSE);

  return GKV_TRANSPORT_GET_IFACE (self)->is_thread_movable (self);
}

/**
 * gkv_transport_emit_received:
 * @self: a transport
 * @address: the sender's canonical address
 * @datagram: its bytes
 *
 * Emits [signal@Gkv.Transport::received]. For implementations.
 *
 * Belongs to the thread that the transport is used in.
 *
 * Since: 1.0
 */
void
gkv_transport_emit_received (GkvTransport *self, const char *address, GBytes *datagram)
{
  const GkvTransportSink *sink;

  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (address != NULL);
  g_return_if_fail (datagram != NULL);

  if (gkv_transport_is_watched (self, SIGNAL_RECEIVED))
    g_signal_emit (self, signals[SIGNAL_RECEIVED], 0, address, datagram);

  sink = gkv_transport_get_sink (self);
  if (sink != NULL)
    sink->received (self, address, datagram, sink->data);
}

/**
 * gkv_transport_emit_drained:
 * @self: a transport
 *
 * Emits [signal@Gkv.Transport::drained]. For implementations, which need not call it.
 *
 * Belongs to the thread that the transport is used in.
 *
 * Since: 1.0
 */
void
gkv_transport_emit_drained (GkvTransport *self)
{
  const GkvTransportSink *sink;

  g_return_if_fail (GKV_IS_TRANSPORT (self));

  if (gkv_transport_is_watched (self, SIGNAL_DRAINED))
    g_signal_emit (self, signals[SIGNAL_DRAINED], 0);

  sink = gkv_transport_get_sink (self);
  if (sink != NULL)
    sink->drained (self, sink->data);
}

/**
 * gkv_transport_emit_failed:
 * @self: a transport
 * @error: what went wrong
 *
 * Emits [signal@Gkv.Transport::failed]. For implementations.
 *
 * Belongs to the thread that the transport is used in.
 *
 * Since: 1.0
 */
void
gkv_transport_emit_failed (GkvTransport *self, const GError *error)
{
  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (error != NULL);

  g_signal_emit (self, signals[SIGNAL_FAILED], 0, error);
}
