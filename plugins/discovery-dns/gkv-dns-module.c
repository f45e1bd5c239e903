/* The module libgkv-discovery-dns.so: the discovery "dns".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-dns-discovery.h"

GKV_MODULE_DEFINE (discovery_dns, GKV_DISCOVERY_EXTENSION_POINT_NAME, GKV_TYPE_DNS_DISCOVERY, "dns")
