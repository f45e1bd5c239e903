/* GkvTransport: how datagrams travel. An interface, with the extension point "gkv-transport".
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
 * The extension point that a transport module implements.
 */
#define GKV_TRANSPORT_EXTENSION_POINT_NAME "gkv-transport"

GKV_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (GkvTransport, gkv_transport, GKV, TRANSPORT, GObject)

/**
 * GkvTransportInterface:
 * @g_iface: the parent interface
 * @open: binds to a numeric "host:port" ("[v6]:port"), port 0 for any free one, without blocking; required. Its sources
 *   go to the caller's thread-default main context
 * @close: releases the address before it returns; harmless when not open; required
 * @get_local_address: gives the address really bound as "host:port", or %NULL when not open; required
 * @get_max_datagram_size: gives the largest datagram that should be sent, in bytes; 1,200 unless overridden
 * @send: sends one datagram to a numeric "host:port", or queues it until @flush; required. A datagram may be lost
 *   without an error
 * @flush: sends what @send has queued; by default does nothing
 *
 * What a transport implements. It is called through the functions of [iface@Gkv.Transport] only, and always in the
 * context that it was opened in. It hands over what comes in with [method@Gkv.Transport.emit_received].
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

  /*< private >*/
  gpointer reserved[8];
};

GKV_AVAILABLE_IN_1_0
GkvTransport *gkv_transport_new_for_name (const char *name, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_transport_open (GkvTransport *self, const char *bind_address, GError **error);

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
void gkv_transport_emit_received (GkvTransport *self, const char *address, GBytes *datagram);

GKV_AVAILABLE_IN_1_0
void gkv_transport_emit_failed (GkvTransport *self, const GError *error);

G_END_DECLS
