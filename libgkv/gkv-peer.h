/* GkvPeer: another node, as this one knows it.
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

#include "gkv-peer-state.h"

#define GKV_TYPE_PEER (gkv_peer_get_type ())

GKV_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (GkvPeer, gkv_peer, GKV, PEER, GObject)

GKV_AVAILABLE_IN_1_0
const char *gkv_peer_get_node_id (GkvPeer *self);

GKV_AVAILABLE_IN_1_0
const char *gkv_peer_get_address (GkvPeer *self);

GKV_AVAILABLE_IN_1_0
GkvPeerState gkv_peer_get_state (GkvPeer *self);

GKV_AVAILABLE_IN_1_0
gint64 gkv_peer_get_round_trip_time (GkvPeer *self);

GKV_AVAILABLE_IN_1_0
GDateTime *gkv_peer_get_last_seen (GkvPeer *self);

G_END_DECLS
