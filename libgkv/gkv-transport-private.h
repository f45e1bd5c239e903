/* What the two halves of GkvTransport's wrapper share, gkv-transport.c and gkv-transport-async.c, and how a node
 * receives.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-modules.h"
#include "gkv-transport.h"

G_BEGIN_DECLS

/* Makes sure that there is an error of this library, which says what the transport could not do; takes @cause, which
 * may be NULL. Returns FALSE. */
static inline gboolean
gkv_transport_fail (GkvTransport *self, int code, const char *what, GError *cause, GError **error)
{
  g_autofree char *who = g_strdup_printf ("The transport %s", G_OBJECT_TYPE_NAME (self));

  return gkv_modules_fail (error, code, who, what, cause);
}

/* Ends an asynchronous open that is under way in an error, as the transport was closed. */
void gkv_transport_end_opening (GkvTransport *self);

/* As gkv_transport_send () and gkv_transport_flush (), but an error of %G_IO_ERROR stays one: it tells the cause. */
gboolean gkv_transport_try_send (GkvTransport *self, const char *address, GBytes *datagram, GError **error);
gboolean gkv_transport_try_flush (GkvTransport *self, GError **error);

/* Whom a transport hands over to, after its signals were emitted. A signal would do, but costs half of what it takes to
 * read the datagram. */
typedef struct
{
  void (*received) (GkvTransport *transport, const char *address, GBytes *datagram, gpointer data);
  void (*drained) (GkvTransport *transport, gpointer data);
  gpointer data;
} GkvTransportSink;

/* @sink: nullable; borrowed until another is set. In the context that the transport is opened in. */
void gkv_transport_set_sink (GkvTransport *self, const GkvTransportSink *sink);

G_END_DECLS
