/* GkvTransport: opening and looking up, which may take time. A method of the transport begins each, and the transport
 * ends it by a call of its own, at once or later. No method of an interface takes a callback, because JavaScript could
 * not implement it. Success and failure are two calls, because Python can't pass an error that may be missing. The
 * operations that are under way are kept here, with the transport.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-transport-private.h"

#include "gkv-error.h"

typedef struct
{
  GTask *task;
  GSource *cancelled; /* NULL: it can't be cancelled */
  char *address;
  guint request; /* 0: an open */
} Pending;

/* The operations of one transport that are under way. */
typedef struct
{
  Pending *opening;
  GHashTable *resolving; /* request → Pending */
  guint last_request;
} Operations;

static void
pending_free (Pending *self)
{
  if (self->cancelled != NULL)
    g_source_destroy (self->cancelled);
  g_clear_pointer (&self->cancelled, g_source_unref);
  g_object_unref (self->task);
  g_free (self->address);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pending, pending_free)

static void
operations_free (gpointer data)
{
  Operations *self = data;

  g_clear_pointer (&self->opening, pending_free);
  g_hash_table_unref (self->resolving);
  g_free (self);
}

static Operations *
get_operations (GkvTransport *transport)
{
  static GQuark quark = 0;
  Operations *self;

  if (G_UNLIKELY (quark == 0))
    quark = g_quark_from_static_string ("gkv-transport-operations");

  self = g_object_get_qdata (G_OBJECT (transport), quark);
  if (self == NULL)
    {
      self = g_new0 (Operations, 1);
      self->resolving = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) pending_free);
      g_object_set_qdata_full (G_OBJECT (transport), quark, self, operations_free);
    }
  return self;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer user_data)
{
  Pending *pending = user_data;
  g_autoptr (GTask) task = g_object_ref (pending->task);
  GkvTransport *transport = g_task_get_source_object (task);
  Operations *operations = get_operations (transport);
  guint request = pending->request;

  if (request == 0)
    {
      pending_free (g_steal_pointer (&operations->opening));
      if (GKV_TRANSPORT_GET_IFACE (transport)->close != NULL)
        GKV_TRANSPORT_GET_IFACE (transport)->close (transport);
    }
  else
    {
      g_hash_table_remove (operations->resolving, GUINT_TO_POINTER (request));
      if (GKV_TRANSPORT_GET_IFACE (transport)->cancel_resolve != NULL)
        GKV_TRANSPORT_GET_IFACE (transport)->cancel_resolve (transport, request);
    }
  g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "The operation was cancelled");

  return G_SOURCE_REMOVE;
}

/* The task doesn't check the cancellable when it ends: where it succeeds although it was cancelled, its caller knows
 * that the transport is open, and closes it. */
static GTask *
make_task (
    GkvTransport *self, gpointer tag, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_check_cancellable (task, FALSE);
  return task;
}

static Pending *
pending_new (GTask *task, const char *address, guint request)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  Pending *self = g_new0 (Pending, 1);

  self->task = g_object_ref (task);
  self->address = g_strdup (address);
  self->request = request;
  if (cancellable != NULL)
    {
      self->cancelled = g_cancellable_source_new (cancellable);
      g_source_set_static_name (self->cancelled, "[gkv] transport operation cancelled");
      g_source_set_callback (self->cancelled, G_SOURCE_FUNC (on_cancelled), self, NULL);
      g_source_attach (self->cancelled, g_task_get_context (task));
    }
  return self;
}

/**
 * gkv_transport_open_async:
 * @self: a transport
 * @bind_address: the address to bind to; unlike in [method@Gkv.Transport.open] it may need a look-up
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called when the transport is open, or could not be opened
 * @user_data: data for @callback
 *
 * Binds, and begins to receive in the thread-default main context.
 *
 * Cancelling it closes the transport. Where it ends in success, the transport is open.
 *
 * Belongs to the thread that the transport is used in; see [method@Gkv.Transport.is_thread_movable].
 *
 * Since: 1.0
 */
void
gkv_transport_open_async (GkvTransport *self,
                          const char *bind_address,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  Operations *operations;
  GError *error = NULL;

  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (bind_address != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = make_task (self, gkv_transport_open_async, cancellable, callback, user_data);
  operations = get_operations (self);
  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    g_task_return_error (task, error);
  else if (operations->opening != NULL)
    g_task_return_new_error (task, GKV_ERROR, GKV_ERROR_TRANSPORT, "The transport is being opened already");
  else if (GKV_TRANSPORT_GET_IFACE (self)->begin_open == NULL)
    {
      gkv_transport_fail (self, GKV_ERROR_TRANSPORT, "has no method to open", NULL, &error);
      g_task_return_error (task, error);
    }
  else
    {
      operations->opening = pending_new (task, bind_address, 0);
      GKV_TRANSPORT_GET_IFACE (self)->begin_open (self, bind_address);
    }
}

/**
 * gkv_transport_open_finish:
 * @self: a transport
 * @result: the result that the callback received
 * @error: return location for an error
 *
 * Ends [method@Gkv.Transport.open_async].
 *
 * Fails with %GKV_ERROR_TRANSPORT, for example when the port is taken, with %GKV_ERROR_INVALID_ADDRESS, and with
 * %G_IO_ERROR_CANCELLED.
 *
 * May be called from any thread.
 *
 * Returns: %TRUE if it is open, %FALSE with @error set otherwise
 *
 * Since: 1.0
 */
gboolean
gkv_transport_open_finish (GkvTransport *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (GKV_IS_TRANSPORT (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, gkv_transport_open_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * gkv_transport_opened:
 * @self: a transport
 *
 * Ends what the method `begin_open` of an implementation began: the transport is open. For implementations, from inside
 * that method or later. After `close` it is not called for what was begun before. Where nothing is under way, it does
 * nothing.
 *
 * Belongs to the thread that the transport is used in.
 *
 * Since: 1.0
 */
void
gkv_transport_opened (GkvTransport *self)
{
  g_autoptr (Pending) pending = NULL;

  g_return_if_fail (GKV_IS_TRANSPORT (self));

  pending = g_steal_pointer (&get_operations (self)->opening);
  if (pending != NULL)
    g_task_return_boolean (pending->task, TRUE);
}

/**
 * gkv_transport_open_failed:
 * @self: a transport
 * @error: why it could not be opened
 *
 * Ends what the method `begin_open` of an implementation began, in an error; see [method@Gkv.Transport.opened]. An
 * error of another domain than %GKV_ERROR is reported as %GKV_ERROR_TRANSPORT.
 *
 * Belongs to the thread that the transport is used in.
 *
 * Since: 1.0
 */
void
gkv_transport_open_failed (GkvTransport *self, const GError *error)
{
  g_autoptr (Pending) pending = NULL;
  GError *own = NULL;

  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (error != NULL);

  pending = g_steal_pointer (&get_operations (self)->opening);
  if (pending == NULL)
    return;

  gkv_transport_fail (self, GKV_ERROR_TRANSPORT, "could not be opened", g_error_copy (error), &own);
  g_task_return_error (pending->task, own);
}

void
gkv_transport_end_opening (GkvTransport *self)
{
  g_autoptr (Pending) pending = g_steal_pointer (&get_operations (self)->opening);

  if (pending != NULL)
    g_task_return_new_error (pending->task, GKV_ERROR, GKV_ERROR_TRANSPORT,
                             "The transport was closed while it was being opened on \"%s\"", pending->address);
}

/**
 * gkv_transport_resolve_async:
 * @self: a transport
 * @address: an address, for example one with a name
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called when the address was looked up, or could not be
 * @user_data: data for @callback
 *
 * Looks up the canonical addresses that an address stands for. The transport need not be open.
 *
 * Belongs to the thread that the transport is used in; see [method@Gkv.Transport.is_thread_movable].
 *
 * Since: 1.0
 */
void
gkv_transport_resolve_async (GkvTransport *self,
                             const char *address,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  const char *itself[] = { address, NULL };
  g_autoptr (GTask) task = NULL;
  Operations *operations;
  GError *error = NULL;
  guint request;

  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (address != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = make_task (self, gkv_transport_resolve_async, cancellable, callback, user_data);
  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      g_task_return_error (task, error);
      return;
    }

  operations = get_operations (self);
  do
    request = ++operations->last_request;
  while (request == 0 || g_hash_table_contains (operations->resolving, GUINT_TO_POINTER (request)));
  g_hash_table_insert (operations->resolving, GUINT_TO_POINTER (request), pending_new (task, address, request));

  if (GKV_TRANSPORT_GET_IFACE (self)->begin_resolve != NULL)
    GKV_TRANSPORT_GET_IFACE (self)->begin_resolve (self, address, request);
  else
    gkv_transport_resolved (self, request, itself);
}

/**
 * gkv_transport_resolve_finish:
 * @self: a transport
 * @result: the result that the callback received
 * @error: return location for an error
 *
 * Ends [method@Gkv.Transport.resolve_async].
 *
 * Fails with %GKV_ERROR_TRANSPORT when the name is unknown or no name server replies, with %GKV_ERROR_INVALID_ADDRESS,
 * and with %G_IO_ERROR_CANCELLED.
 *
 * May be called from any thread.
 *
 * Returns: (transfer full) (array zero-terminated=1): the canonical addresses, at least one
 *
 * Since: 1.0
 */
char **
gkv_transport_resolve_finish (GkvTransport *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (GKV_IS_TRANSPORT (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, gkv_transport_resolve_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static Pending *
steal_request (GkvTransport *self, guint request)
{
  gpointer pending = NULL;

  g_hash_table_steal_extended (get_operations (self)->resolving, GUINT_TO_POINTER (request), NULL, &pending);
  return pending;
}

static void
fail_request (GkvTransport *self, Pending *pending, GError *cause)
{
  g_autofree char *shown = g_utf8_make_valid (pending->address, -1);
  g_autofree char *what = g_strdup_printf ("could not look up \"%s\"", shown);
  GError *error = NULL;

  gkv_transport_fail (self, GKV_ERROR_TRANSPORT, what, cause, &error);
  g_task_return_error (pending->task, error);
}

/**
 * gkv_transport_resolved:
 * @self: a transport
 * @request: the number of the request
 * @addresses: (array zero-terminated=1): the canonical addresses, at least one
 *
 * Ends what the method `begin_resolve` of an implementation began. For implementations, from inside that method or
 * later. For a request that was cancelled it does nothing.
 *
 * Belongs to the thread that the transport is used in.
 *
 * Since: 1.0
 */
void
gkv_transport_resolved (GkvTransport *self, guint request, const char *const *addresses)
{
  g_autoptr (Pending) pending = NULL;

  g_return_if_fail (GKV_IS_TRANSPORT (self));

  pending = steal_request (self, request);
  if (pending == NULL)
    return;

  if (addresses != NULL && addresses[0] != NULL)
    g_task_return_pointer (pending->task, g_strdupv ((char **) addresses), (GDestroyNotify) g_strfreev);
  else
    fail_request (self, pending, NULL);
}

/**
 * gkv_transport_resolve_failed:
 * @self: a transport
 * @request: the number of the request
 * @error: why the address could not be looked up
 *
 * Ends what the method `begin_resolve` of an implementation began, in an error; see [method@Gkv.Transport.resolved]. An
 * error of another domain than %GKV_ERROR is reported as %GKV_ERROR_TRANSPORT.
 *
 * Belongs to the thread that the transport is used in.
 *
 * Since: 1.0
 */
void
gkv_transport_resolve_failed (GkvTransport *self, guint request, const GError *error)
{
  g_autoptr (Pending) pending = NULL;

  g_return_if_fail (GKV_IS_TRANSPORT (self));
  g_return_if_fail (error != NULL);

  pending = steal_request (self, request);
  if (pending != NULL)
    fail_request (self, pending, g_error_copy (error));
}
