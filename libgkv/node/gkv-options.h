/* GkvOptions: the options of a node as they were set, and validating them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-codec.h"
#include "gkv-discovery.h"
#include "gkv-transport.h"

/* Written by the node's own thread, before it is started. */
typedef struct
{
  char *node_id;
  char *cluster;
  char *bind_address;
  char *advertise_address;
  GStrv seeds;
  guint gossip_interval;
  gboolean network_thread;
  guint remembered_removals;
  GkvCodec *codec; /* while the node is being made; then it is the map's */
  GkvTransport *transport;
  GkvDiscovery *discovery;
} GkvOptions;

void gkv_options_init (GkvOptions *self);
void gkv_options_clear (GkvOptions *self);

/* The name of the cluster, or the default one. */
const char *gkv_options_get_cluster (const GkvOptions *self);

/* GKV_ERROR_INVALID_OPTION or GKV_ERROR_INVALID_ADDRESS, naming the option. @transport: whose addresses they are; NULL
 * where there is no bind-address. */
gboolean gkv_options_validate (const GkvOptions *self, GkvTransport *transport, GError **error);
/* Validates what only matters once the node is started. */
gboolean gkv_options_validate_start (const GkvOptions *self, GError **error);
/* Validates one seed more. */
gboolean gkv_options_validate_seed (const char *seed, GkvTransport *transport, GError **error);

G_END_DECLS
