/* GkvPeerState: whether a peer is alive, as far as is known.
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
 * @GKV_PEER_STATE_ALIVE: the peer replies to probes
 * @GKV_PEER_STATE_SUSPECT: the peer did not reply, and has some seconds to refute that
 * @GKV_PEER_STATE_LEFT: the peer has announced that it leaves
 * @GKV_PEER_STATE_DEAD: the peer did not refute the suspicion; the node still greets it now and then
 *
 * The state of a peer, as a node knows it.
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
