/* The back end that asks the Avahi daemon, over the system bus.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-mdns-backend.h"

G_BEGIN_DECLS

/* @listener and @bus are borrowed. */
GkvMdnsBackend *gkv_mdns_daemon_new (GDBusConnection *bus, const GkvMdnsListener *listener, gpointer data);

G_END_DECLS
