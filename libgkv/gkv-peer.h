/* GkvPeer: another node as this one sees it.
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

/**
 * GkvPeerState:
 * @GKV_PEER_STATE_ALIVE: the peer answers
 * @GKV_PEER_STATE_SUSPECT: the peer has not answered, and has a little time left to show that it lives
 * @GKV_PEER_STATE_LEFT: the peer has said that it leaves
 * @GKV_PEER_STATE_DEAD: the peer has not answered for so long that it is given up; it is still tried now and then
 *
 * What a node believes of a peer.
 */
typedef enum
{
  GKV_PEER_STATE_ALIVE,
  GKV_PEER_STATE_SUSPECT,
  GKV_PEER_STATE_LEFT,
  GKV_PEER_STATE_DEAD,
} GkvPeerState;

#define GKV_TYPE_PEER_STATE (gkv_peer_state_get_type ())

GKV_AVAILABLE_IN_ALL
GType gkv_peer_state_get_type (void);

#define GKV_TYPE_PEER (gkv_peer_get_type ())

GKV_AVAILABLE_IN_ALL
G_DECLARE_FINAL_TYPE (GkvPeer, gkv_peer, GKV, PEER, GObject)

GKV_AVAILABLE_IN_ALL
const char *gkv_peer_get_node_id (GkvPeer *self);

GKV_AVAILABLE_IN_ALL
const char *gkv_peer_get_address (GkvPeer *self);

GKV_AVAILABLE_IN_ALL
GkvPeerState gkv_peer_get_state (GkvPeer *self);

GKV_AVAILABLE_IN_ALL
gint64 gkv_peer_get_round_trip_time (GkvPeer *self);

GKV_AVAILABLE_IN_ALL
GDateTime *gkv_peer_get_last_seen (GkvPeer *self);

G_END_DECLS
