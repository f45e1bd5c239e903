/* What GkvNode calls of GkvEntry and GkvPeer beyond their public functions.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-entry.h"
#include "gkv-peer.h"
#include "gossip/gkv-engine.h"

/* The entry of @record's key. @value: what it decodes to, or NULL; @expires_us: microseconds since 1970, -1 for never.
 * An entry that is never updated may be made and used in any thread. */
GkvEntry *gkv_entry_new (GVariant *value, const GkvRecord *record, gint64 expires_us);
/* Takes the state of @record, another of the same key, and notifies of what differs. */
void gkv_entry_update (GkvEntry *self, GVariant *value, const GkvRecord *record, gint64 expires_us);

GkvPeer *gkv_peer_new (const GkvPeerInfo *info);
void gkv_peer_update (GkvPeer *self, const GkvPeerInfo *info);

G_END_DECLS
