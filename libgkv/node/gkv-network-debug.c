/* What GKV_DEBUG prints of a node's network.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-network-debug.h"

static void
gkv_network_debug_peer (const char *node_id, const GkvPeerInfo *peer, const char *what)
{
  g_autofree char *id = gkv_debug_quote (peer->node_id, -1);

  gkv_debug (GKV_DEBUG_GOSSIP, node_id, "peer %s at %s %s", id, peer->address != NULL ? peer->address : "no address",
             what);
}

void
gkv_network_debug_event (const char *node_id, const GkvEvent *event)
{
  static const char *const states[] = { "is alive", "is suspect", "has left", "is dead" };

  if (!GKV_DEBUG_IS_ON (GKV_DEBUG_GOSSIP))
    return;

  switch (event->kind)
    {
    case GKV_EVENT_PEER_ADDED:
      gkv_network_debug_peer (node_id, event->peer, "was met");
      break;

    case GKV_EVENT_PEER_CHANGED:
      gkv_network_debug_peer (node_id, event->peer, states[event->peer->state]);
      break;

    case GKV_EVENT_PEER_REMOVED:
      gkv_network_debug_peer (node_id, event->peer,
                              event->peer->state == GKV_PEER_STATE_LEFT ? "has left" : "is no longer remembered");
      break;

    case GKV_EVENT_ERROR:
      gkv_debug (GKV_DEBUG_GOSSIP, node_id, "%s", event->error->message);
      break;

    case GKV_EVENT_SYNCED:
      gkv_debug (GKV_DEBUG_GOSSIP, node_id, event->synced ? "synced" : "no longer synced");
      break;

    case GKV_EVENT_CHANGED:
    case GKV_EVENT_CONFIRMED:
    default:
      break;
    }
}

void
gkv_network_debug_seed (const char *node_id, const char *seed, const char *const *addresses, const GError *error)
{
  g_autofree char *list = NULL;

  if (!GKV_DEBUG_IS_ON (GKV_DEBUG_NET))
    return;

  list = addresses != NULL ? g_strjoinv (", ", (char **) addresses) : NULL;
  if (list != NULL && *list != '\0')
    gkv_debug (GKV_DEBUG_NET, node_id, "the seed \"%s\" stands for %s", seed, list);
  else
    gkv_debug (GKV_DEBUG_NET, node_id, "the seed \"%s\" can't be resolved: %s", seed,
               error != NULL ? error->message : "there is no such name");
}

void
gkv_network_debug_found (const char *node_id, const char *other_id, const char *address, gboolean found)
{
  g_autofree char *id = NULL;

  if (!GKV_DEBUG_IS_ON (GKV_DEBUG_DISCOVERY))
    return;

  id = other_id != NULL ? gkv_debug_quote (other_id, -1) : g_strdup ("somebody");
  gkv_debug (GKV_DEBUG_DISCOVERY, node_id, "%s %s at %s", found ? "found" : "lost", id, address);
}
