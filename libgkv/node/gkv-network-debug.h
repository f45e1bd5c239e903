/* What GKV_DEBUG prints of a node's network: what it does with the transport and the discovery, and what the engine
 * reports. Each costs a load and a branch where its topic is off.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gkv-debug.h"
#include "gossip/gkv-engine.h"

/* @event: anything but a record that was taken, of which there are too many. */
void gkv_network_debug_event (const char *node_id, const GkvEvent *event);

/* What a seed stands for. @addresses: nullable, where it stands for none; then @error may say why. */
void gkv_network_debug_seed (const char *node_id, const char *seed, const char *const *addresses, const GError *error);

/* Discovery has found another node at @address, or no longer does. What it says is a stranger's text. */
void gkv_network_debug_found (const char *node_id, const char *other_id, const char *address, gboolean found);

G_END_DECLS
