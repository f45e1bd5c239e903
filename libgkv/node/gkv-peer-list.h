/* GkvPeerList: the peers that are alive or suspect, sorted by id, as a GListModel that only its node changes.
 *
 * Belongs to the thread that runs the node's context; it may be dropped in any.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#include "gkv-peer.h"

#define GKV_TYPE_PEER_LIST (gkv_peer_list_get_type ())
G_DECLARE_FINAL_TYPE (GkvPeerList, gkv_peer_list, GKV, PEER_LIST, GObject)

GkvPeerList *gkv_peer_list_new (void);

/* Borrowed, or NULL. */
GkvPeer *gkv_peer_list_find (GkvPeerList *self, const char *node_id);
/* @peer isn't there yet. */
void gkv_peer_list_add (GkvPeerList *self, GkvPeer *peer);
void gkv_peer_list_remove (GkvPeerList *self, GkvPeer *peer);

G_END_DECLS
