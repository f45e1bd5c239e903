/* GkvDiscovery: finds peers without seeds. An interface, with the extension point "gkv-1-discovery".
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

#define GKV_TYPE_DISCOVERY (gkv_discovery_get_type ())

/**
 * GKV_DISCOVERY_EXTENSION_POINT_NAME:
 *
 * The name of the extension point that a discovery module implements.
 *
 * Since: 1.0
 */
#define GKV_DISCOVERY_EXTENSION_POINT_NAME "gkv-1-discovery"

GKV_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (GkvDiscovery, gkv_discovery, GKV, DISCOVERY, GObject)

/**
 * GkvDiscoveryInterface:
 * @g_iface: the parent interface
 * @start: begins to announce this node and to look for others of its cluster, without blocking; required. Its sources
 *   go to the caller's thread-default main context. The address is the one that peers shall use, in the canonical form
 *   of the node's transport; it fails with %GKV_ERROR_DISCOVERY where it can't use such an address
 * @stop: withdraws the announcement and ends the search; does nothing when not started; required
 * @is_thread_movable: whether the discovery can be used in another thread than the one that created it; %FALSE unless
 *   overridden
 *
 * What a discovery implements. It is called through the functions of [iface@Gkv.Discovery] only, and always in the
 * context that it was started in. It reports what it finds with [method@Gkv.Discovery.emit_found].
 *
 * Since: 1.0
 */
struct _GkvDiscoveryInterface
{
  GTypeInterface g_iface;

  gboolean (*start) (GkvDiscovery *self, const char *cluster, const char *node_id, const char *address, GError **error);
  void (*stop) (GkvDiscovery *self);
  gboolean (*is_thread_movable) (GkvDiscovery *self);

  /*< private >*/
  gpointer reserved[8];
};

GKV_AVAILABLE_IN_1_0
GkvDiscovery *gkv_discovery_new_for_name (const char *name, GError **error);

GKV_AVAILABLE_IN_1_0
char **gkv_discovery_list_names (void);

GKV_AVAILABLE_IN_1_0
gboolean
gkv_discovery_start (GkvDiscovery *self, const char *cluster, const char *node_id, const char *address, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_discovery_stop (GkvDiscovery *self);

GKV_AVAILABLE_IN_1_0
gboolean gkv_discovery_is_thread_movable (GkvDiscovery *self);

GKV_AVAILABLE_IN_1_0
void gkv_discovery_emit_found (GkvDiscovery *self, const char *node_id, const char *address);

GKV_AVAILABLE_IN_1_0
void gkv_discovery_emit_lost (GkvDiscovery *self, const char *node_id, const char *address);

GKV_AVAILABLE_IN_1_0
void gkv_discovery_emit_failed (GkvDiscovery *self, const GError *error);

G_END_DECLS
