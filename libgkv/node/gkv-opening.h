/* Opening a transport, and finding out which address peers are to use.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-transport.h"

/* @advertised: the address that peers are to use, NULL for the one that they see; borrowed. @error: NULL when the
 * transport is open. Called in the main context in which opening began, later than that. */
typedef void (*GkvOpeningEnded) (const char *advertised, const GError *error, gpointer data);

/* Opens @transport at @bind_address in the thread's default main context. @advertise_address: nullable. Cancelled late,
 * the transport is closed again; what wasn't opened here is never closed. */
void gkv_opening_begin (GkvTransport *transport,
                        const char *bind_address,
                        const char *advertise_address,
                        GCancellable *cancellable,
                        GkvOpeningEnded ended,
                        gpointer data);

/* The same at once: a name that has to be looked up is GKV_ERROR_INVALID_OPTION. */
gboolean gkv_opening_now (GkvTransport *transport,
                          const char *bind_address,
                          const char *advertise_address,
                          char **advertised,
                          GError **error);

G_END_DECLS
