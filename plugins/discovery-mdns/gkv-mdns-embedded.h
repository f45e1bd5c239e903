/* The back end that has an Avahi of its own, inside this process.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-mdns-backend.h"

G_BEGIN_DECLS

/* @listener is borrowed. */
GkvMdnsBackend *
gkv_mdns_embedded_new (const char *host, const GkvMdnsListener *listener, gpointer data, GError **error);

G_END_DECLS
