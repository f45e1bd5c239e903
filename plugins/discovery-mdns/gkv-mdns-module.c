/* The module libgkv-discovery-mdns.so: the discovery "mdns".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-discovery.h"

GKV_MODULE_DEFINE (discovery_mdns, GKV_DISCOVERY_EXTENSION_POINT_NAME, GKV_TYPE_MDNS_DISCOVERY, "mdns")
