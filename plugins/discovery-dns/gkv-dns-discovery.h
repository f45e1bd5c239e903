/* GkvDnsDiscovery: finds the nodes that a DNS name stands for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gkv.h>

G_BEGIN_DECLS

#define GKV_TYPE_DNS_DISCOVERY (gkv_dns_discovery_get_type ())
G_DECLARE_FINAL_TYPE (GkvDnsDiscovery, gkv_dns_discovery, GKV, DNS_DISCOVERY, GObject)

G_END_DECLS
