/* What an engine takes and gives out: freeing it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-types.h"

void
gkv_datagram_clear (GkvDatagram *datagram)
{
  g_clear_pointer (&datagram->address, g_free);
  g_clear_pointer (&datagram->bytes, g_bytes_unref);
}

void
gkv_peer_info_free (GkvPeerInfo *info)
{
  g_free (info->node_id);
  g_free (info->address);
  g_free (info);
}

void
gkv_event_clear (GkvEvent *event)
{
  g_clear_pointer (&event->record, gkv_record_unref);
  g_clear_pointer (&event->replaced, gkv_record_unref);
  g_clear_pointer (&event->peer, gkv_peer_info_free);
  g_clear_error (&event->error);
}
