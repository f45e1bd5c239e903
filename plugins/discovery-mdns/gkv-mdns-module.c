/* The module libgkv-discovery-mdns.so: the discovery "mdns".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-discovery.h"

G_MODULE_EXPORT void
g_io_module_load (GIOModule *module)
{
  /* It stays: its types are static, and Avahi's log comes here. */
  g_type_module_use (G_TYPE_MODULE (module));
  g_io_extension_point_implement (GKV_DISCOVERY_EXTENSION_POINT_NAME, GKV_TYPE_MDNS_DISCOVERY, "mdns", 0);
}

G_MODULE_EXPORT void
g_io_module_unload (GIOModule *module)
{
}

G_MODULE_EXPORT char **
g_io_module_query (void)
{
  return g_strsplit (GKV_DISCOVERY_EXTENSION_POINT_NAME, "!", -1);
}
