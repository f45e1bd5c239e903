/* GkvWriter: the origin of a record and the codec of its value.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-writer.h"

#include "gkv-hash.h"

#include <string.h>

static GMutex lock;
static GHashTable *writers; /* GkvWriter, borrowed */

static guint
hash (gconstpointer key)
{
  const GkvWriter *self = key;

  return gkv_hash_string (self->origin) ^ g_str_hash (self->codec);
}

static gboolean
equal (gconstpointer a, gconstpointer b)
{
  const GkvWriter *x = a, *y = b;

  return strcmp (x->origin, y->origin) == 0 && strcmp (x->codec, y->codec) == 0;
}

static GkvWriter *
writer_new (const char *origin, gsize origin_len, const char *codec, gsize codec_len)
{
  GkvWriter *self = g_malloc0 (sizeof *self + origin_len + 1 + codec_len + 1);

  self->ref_count = 1;
  self->origin_len = origin_len;
  self->codec_len = codec_len;
  self->codec = self->origin + origin_len + 1;
  memcpy (self->origin, origin, origin_len);
  memcpy (self->origin + origin_len + 1, codec, codec_len);
  return self;
}

GkvWriter *
gkv_writer_intern (const char *origin, gssize origin_len, const char *codec, gssize codec_len)
{
  GkvWriter *made = writer_new (origin, origin_len < 0 ? strlen (origin) : (gsize) origin_len, codec,
                                codec_len < 0 ? strlen (codec) : (gsize) codec_len);
  GkvWriter *known;

  g_mutex_lock (&lock);
  if (writers == NULL)
    writers = g_hash_table_new (hash, equal);
  known = g_hash_table_lookup (writers, made);
  if (known != NULL)
    gkv_writer_ref (known);
  else
    g_hash_table_add (writers, made);
  g_mutex_unlock (&lock);

  if (known == NULL)
    return made;

  g_free (made);
  return known;
}

GkvWriter *
gkv_writer_ref (GkvWriter *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

/* The last reference goes under the lock, so that nobody finds in the table what is about to be freed. */
void
gkv_writer_unref (GkvWriter *self)
{
  int count = g_atomic_int_get (&self->ref_count);

  while (count > 1)
    {
      if (g_atomic_int_compare_and_exchange_full (&self->ref_count, count, count - 1, &count))
        return;
    }

  g_mutex_lock (&lock);
  if (g_atomic_int_dec_and_test (&self->ref_count))
    {
      g_hash_table_remove (writers, self);
      if (g_hash_table_size (writers) == 0)
        g_clear_pointer (&writers, g_hash_table_unref);
      g_free (self);
    }
  g_mutex_unlock (&lock);
}
