/* What a peer says of others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "hearsay.h"

void
hearsay_tell (GkvEngine *engine,
              GkvLink *link,
              const char *id,
              guint64 generation,
              const GkvIncarnation *incarnation,
              const char *address)
{
  g_autoptr (GByteArray) entry = g_byte_array_new ();
  g_autoptr (GByteArray) body = g_byte_array_new ();
  GkvReader reader;

  gkv_put_u8 (entry, GKV_PEER_STATE_ALIVE);
  gkv_put_u64 (entry, generation);
  gkv_put_incarnation (entry, incarnation);
  gkv_put_string (entry, id);
  gkv_put_address (entry, address);
  gkv_put_varint (body, entry->len);
  g_byte_array_append (body, entry->data, entry->len);
  gkv_reader_init (&reader, body->data, body->len);
  gkv_membership_handle (engine->membership, link, &reader, TRUE);
}
