/* GkvMdnsDiscovery: finds the nodes of a cluster on the local network by mDNS.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gkv.h>

G_BEGIN_DECLS

#define GKV_TYPE_MDNS_DISCOVERY (gkv_mdns_discovery_get_type ())
G_DECLARE_FINAL_TYPE (GkvMdnsDiscovery, gkv_mdns_discovery, GKV, MDNS_DISCOVERY, GObject)

G_END_DECLS
