/* GkvNode inside: what the files of the class share. What each part in node/ is made of is private to it.
 *
 *   gkv-node          the class: properties, signals, starting and closing
 *   gkv-node-options  the getters and setters of its properties
 *   gkv-node-data     reading, writing and listing keys, and the statistics
 *   gkv-node-values   values of the types that applications use most
 *   gkv-node-waits    waiting for the cluster
 *   gkv-node-use      whether it can be used, which all of them ask first
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-node.h"

#include "node/gkv-emitter.h"
#include "node/gkv-map.h"
#include "node/gkv-network.h"
#include "node/gkv-options.h"
#include "node/gkv-owner.h"

G_BEGIN_DECLS

typedef enum
{
  GKV_NODE_NEW,
  GKV_NODE_STARTING, /* the network is being opened, which may wait for a name server */
  GKV_NODE_STARTED,
  GKV_NODE_CLOSING, /* waits until what was written here has reached a peer */
  GKV_NODE_CLOSED,
} GkvNodeState;

struct _GkvNode
{
  GObject parent_instance;

  /* never change */
  GkvOwner *owner;
  GkvMap *map;
  GkvEmitter *emitter;
  GkvNetwork *network;

  GkvOptions options;
  GMutex lock; /* of what follows, and of the options' validation */
  GkvNodeState state;
  GkvTransport *default_transport; /* NULL: not needed yet */
};

/* gkv-node-use.c */

/* Whether the node can be used: it isn't closed, and its options are good. Cheap once they are. From any thread. */
gboolean gkv_node_check_usable (GkvNode *self, GError **error);
/* The transport that was set, or the default one, which is made when it is first needed. */
GkvTransport *gkv_node_dup_transport (GkvNode *self, GError **error);
GkvNodeState gkv_node_get_state (GkvNode *self);
/* Whether this is the node's context; a critical names @call otherwise. */
gboolean gkv_node_check_owner (GkvNode *self, const char *call);

G_END_DECLS
