/* GkvTransport: carries datagrams. An interface, with the extension point "gkv-1-transport".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#if !defined(GKV_INSIDE) && !defined(GKV_COMPILATION)
#error "Only <gkv.h> can be included directly."
#endif

#include <gio/gio.h>

#include "gkv-version-macros.h"

G_BEGIN_DECLS

#define GKV_TYPE_TRANSPORT (gkv_transport_get_type ())

/**
 * GKV_TRANSPORT_EXTENSION_POINT_NAME:
 *
 * The name of the extension point that a transport module implements.
 *
 * Since: 1.0
 */
#define GKV_TRANSPORT_EXTENSION_POINT_NAME "gkv-1-transport"

GKV_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (GkvTransport, gkv_transport, GKV, TRANSPORT, GObject)

/**
 * GkvAddressUse:
 * @GKV_ADDRESS_USE_BIND: an address of this machine, to bind to
 * @GKV_ADDRESS_USE_ADVERTISE: the address that peers are to use for this node
 * @GKV_ADDRESS_USE_PEER: the address of a peer, to send to
 *
 * What an address is for: not every address can serve every use.
 *
 * Since: 1.0
 */
typedef enum
{
  GKV_ADDRESS_USE_BIND = 0,
  GKV_ADDRESS_USE_ADVERTISE = 1,
  GKV_ADDRESS_USE_PEER = 2,
} GkvAddressUse;

#define GKV_TYPE_ADDRESS_USE (gkv_address_use_get_type ())

GKV_AVAILABLE_IN_1_0
GType gkv_address_use_get_type (void);

/**
 * GkvTransportInterface:
 * @g_iface: the parent interface
 * @open: binds to an address that needs no look-up, without blocking. Its sources go to the caller's thread-default
 *   main context. Required unless @begin_open is implemented
 * @close: releases the address before it returns, and cancels what @begin_open began; does nothing when not open;
 *   required
 * @get_local_address: gets the address that is bound in canonical form, or %NULL when not open; required
 * @get_max_datagram_size: gets the size of the largest datagram that should be sent, in bytes; 1,200 unless overridden
 * @send: sends one datagram to a canonical address, or queues it until @flush; required. A datagram may be lost without
 *   an error
 * @flush: sends what @send has queued, and reports a failure that concerns the network as a whole; by default does
 *   nothing
 * @begin_open: begins to bind to an address; [method@Gkv.Transport.opened] or [method@Gkv.Transport.open_failed] ends
 *   it, at once or later. By default it calls @open
 * @begin_resolve: begins to look up the canonical addresses that an address stands for;
 *   [method@Gkv.Transport.resolved] or [method@Gkv.Transport.resolve_failed] ends it, at once or later. By default an
 *   address stands for itself
 * @cancel_resolve: cancels a look-up, which need not be ended any more; by default does nothing
 * @normalize: gets the canonical form of an address, or %NULL without an error for a name that must be resolved first,
 *   without blocking; by default it copies
 * @is_thread_movable: whether the transport can be used in another thread than the one that created it; %FALSE unless
 *   overridden
 *
 * What a transport implements. It is called through the functions of [iface@Gkv.Transport] only, and always in the
 * context that it is used in; see [method@Gkv.Transport.is_thread_movable] for the exceptions. It calls
 * [method@Gkv.Transport.emit_received] for each datagram that it receives.
 *
 * Since: 1.0
 */
struct _GkvTransportInterface
{
  GTypeInterface g_iface;

  gboolean (*open) (GkvTransport *self, const char *bind_address, GError **error);
  void (*close) (GkvTransport *self);
  char *(*get_local_address) (GkvTransport *self);
  guint (*get_max_datagram_size) (GkvTransport *self);
  gboolean (*send) (GkvTransport *self, const char *address, GBytes *datagram, GError **error);
  gboolean (*flush) (GkvTransport *self, GError **error);
  void (*begin_open) (GkvTransport *self, const char *bind_address);
  void (*begin_resolve) (GkvTransport *self, const char *address, guint request);
  void (*cancel_resolve) (GkvTransport *self, guint request);
  char *(*normalize) (GkvTransport *self, const char *address, GkvAddressUse use, GError **error);
  gboolean (*is_thread_movable) (GkvTransport *self);

  /*< private >*/
  gpointer reserved[8];
};

GKV_AVAILABLE_IN_1_0
GkvTransport *gkv_transport_new_for_name (const char *name, GError **error);

GKV_AVAILABLE_IN_1_0
char **gkv_transport_list_names (void);

GKV_AVAILABLE_IN_1_0
gboolean gkv_transport_open (GkvTransport *self, const char *bind_address, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_transport_open_async (GkvTransport *self,
                               const char *bind_address,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);

GKV_AVAILABLE_IN_1_0
gboolean gkv_transport_open_finish (GkvTransport *self, GAsyncResult *result, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_transport_close (GkvTransport *self);

GKV_AVAILABLE_IN_1_0
char *gkv_transport_get_local_address (GkvTransport *self);

GKV_AVAILABLE_IN_1_0
guint gkv_transport_get_max_datagram_size (GkvTransport *self);

GKV_AVAILABLE_IN_1_0
gboolean gkv_transport_send (GkvTransport *self, const char *address, GBytes *datagram, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_transport_flush (GkvTransport *self, GError **error);

GKV_AVAILABLE_IN_1_0
char *gkv_transport_normalize (GkvTransport *self, const char *address, GkvAddressUse use, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_transport_resolve_async (GkvTransport *self,
                                  const char *address,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);

GKV_AVAILABLE_IN_1_0
char **gkv_transport_resolve_finish (GkvTransport *self, GAsyncResult *result, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_transport_is_thread_movable (GkvTransport *self);

GKV_AVAILABLE_IN_1_0
void gkv_transport_opened (GkvTransport *self);

GKV_AVAILABLE_IN_1_0
void gkv_transport_open_failed (GkvTransport *self, const GError *error);

GKV_AVAILABLE_IN_1_0
void gkv_transport_resolved (GkvTransport *self, guint request, const char *const *addresses);

GKV_AVAILABLE_IN_1_0
void gkv_transport_resolve_failed (GkvTransport *self, guint request, const GError *error);

GKV_AVAILABLE_IN_1_0
void gkv_transport_emit_received (GkvTransport *self, const char *address, GBytes *datagram);

GKV_AVAILABLE_IN_1_0
void gkv_transport_emit_drained (GkvTransport *self);

GKV_AVAILABLE_IN_1_0
void gkv_transport_emit_failed (GkvTransport *self, const GError *error);

G_END_DECLS
