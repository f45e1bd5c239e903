/* What a later minor version of the protocol says.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-later.h"

#include "sim-rewrite.h"

#include "gossip/gkv-wire.h"

#include <string.h>

/* A kind of message that there isn't, and a status of a member. */
#define LATER_KIND   200
#define LATER_STATUS 77

/* A flag of records. */
#define LATER_FLAG (1 << 9)

static const guint8 more[] = { 7, 0, 0, 0, 0, 0, 0, 9 };

/* Entries that are longer, and one more with a status that there isn't. Each has its length before it. */
static void
lengthen_members (GByteArray *out, const guint8 *body, gsize len)
{
  g_autoptr (GByteArray) members = g_byte_array_new ();
  const guint8 unknown[] = { LATER_STATUS, 1, 2, 3 };
  GkvReader reader;

  gkv_reader_init (&reader, body, len);
  while (gkv_reader_get_left (&reader) > 0)
    {
      gsize entry_len = gkv_reader_varint (&reader);
      const guint8 *entry = gkv_reader_bytes (&reader, entry_len);

      g_assert_nonnull (entry);
      gkv_put_varint (members, entry_len + sizeof more);
      g_byte_array_append (members, entry, entry_len);
      g_byte_array_append (members, more, sizeof more);
    }
  gkv_put_varint (members, sizeof unknown);
  g_byte_array_append (members, unknown, sizeof unknown);
  gkv_put_message (out, GKV_MESSAGE_MEMBERS, members->data, members->len);
}

/* Whether a body of that kind may go on after what this version has in it. */
static gboolean
is_open (guint8 kind)
{
  return kind == GKV_MESSAGE_TOKEN || kind == GKV_MESSAGE_PING || kind == GKV_MESSAGE_ACK || kind == GKV_MESSAGE_SAME ||
         kind == GKV_MESSAGE_SPREAD_ACK || kind == GKV_MESSAGE_CLOCK || kind == GKV_MESSAGE_SILENT;
}

/* @begun: (inout): whether something that there isn't was put before the first. */
static void
put (GByteArray *out, guint8 kind, const guint8 *body, gsize len, gpointer begun)
{
  g_autoptr (GByteArray) longer = NULL;

  if (!*(gboolean *) begun)
    gkv_put_message (out, LATER_KIND, more, sizeof more);
  *(gboolean *) begun = TRUE;

  if (kind == GKV_MESSAGE_MEMBERS)
    {
      lengthen_members (out, body, len);
    }
  else if (is_open (kind))
    {
      longer = g_byte_array_new ();
      g_byte_array_append (longer, body, len);
      g_byte_array_append (longer, more, sizeof more);
      gkv_put_message (out, kind, longer->data, longer->len);
    }
  else
    {
      gkv_put_message (out, kind, body, len);
    }
}

GBytes *
sim_later_send (GBytes *bytes, gsize max)
{
  gboolean begun = FALSE;

  return sim_rewrite (bytes, max, put, &begun);
}

GkvRecord *
sim_later_write (const GkvHashKey *hash_key, const GkvRecord *record)
{
  GkvRecordParts parts;

  gkv_record_get_parts (record, &parts);
  parts.more_flags = LATER_FLAG;
  parts.fields = more;
  parts.fields_len = sizeof more;
  return gkv_record_new_with_parts (hash_key, record->writer, gkv_record_get_key (record), record->key_len,
                                    record->flags, record->stamp, gkv_record_get_content (record), record->content_len,
                                    &parts);
}

gboolean
sim_later_is_kept (const GkvRecord *record, const GkvRecord *written)
{
  GkvRecordParts a, b;

  gkv_record_get_parts (record, &a);
  gkv_record_get_parts (written, &b);
  return a.more_flags == b.more_flags &&
         (gkv_record_is_dead (record) ||
          (a.fields_len == b.fields_len && memcmp (a.fields, b.fields, a.fields_len) == 0));
}
