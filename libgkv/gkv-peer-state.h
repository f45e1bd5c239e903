/* GkvPeerState: how a peer is.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#if !defined(GKV_INSIDE) && !defined(GKV_COMPILATION)
#error "Only <gkv.h> can be included directly."
#endif

#include <glib-object.h>

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
 *
 * Since: 1.0
 */
typedef enum
{
  GKV_PEER_STATE_ALIVE = 0,
  GKV_PEER_STATE_SUSPECT = 1,
  GKV_PEER_STATE_LEFT = 2,
  GKV_PEER_STATE_DEAD = 3,
} GkvPeerState;

#define GKV_TYPE_PEER_STATE (gkv_peer_state_get_type ())

GKV_AVAILABLE_IN_1_0
GType gkv_peer_state_get_type (void);

G_END_DECLS
