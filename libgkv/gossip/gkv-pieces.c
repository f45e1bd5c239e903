/* Pieces: a record that doesn't fit a datagram is announced, and gathered in pieces, a window at a time, from any
 * member that is alive. Pieces that have come stay, whichever member sends the rest, and go with the member that they
 * were to come from. The sender
 * keeps no state.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-pieces.h"

#include <string.h>

#define PIECE          512
#define PIECES_FIRST   32
#define PIECES_MAX     192
#define PIECE_PATIENCE (200 * GKV_MS)
#define PIECE_TRIES    25
#define MAX_GETS       16

/* Bytes of records in pieces that may be under way at once; more wait for their turn. */
#define MAX_ASSEMBLY_BYTES (48 * 1024 * 1024)
#define MAX_LARGE_RECORD   (GKV_WIRE_MAX_CONTENT + 4096)
#define MAX_ASSEMBLIES     4096

/* Of those that are late, in one turn. */
#define MAX_LATE 256

/* A record that comes in pieces. */
typedef struct
{
  GkvRecordName name;
  GkvFingerprint fingerprint;
  gint64 left_ms;
  guint64 away;
  GkvLink *link; /* where it comes from now */
  GArray *arcs;  /* GkvArc: to whom it is to be passed on; NULL: it didn't come as a rumour */
  guint32 size;
  guint8 *data;
  guint8 *have; /* a byte a piece */
  guint n_pieces, n_have;
  guint first_missing;
  guint window;
  guint n_expected; /* pieces asked for that haven't come */
  gint64 sent;
  gint64 progress;
  guint tries;
} Assembly;

static void
assembly_free (Assembly *assembly)
{
  g_clear_pointer (&assembly->arcs, g_array_unref);
  g_free (assembly->data);
  g_free (assembly->have);
  g_free (assembly);
}

static guint
fingerprint_hash (gconstpointer fingerprint)
{
  const GkvFingerprint *self = fingerprint;

  return (guint) (self->lo ^ self->hi);
}

static gboolean
fingerprint_equal (gconstpointer a, gconstpointer b)
{
  return gkv_fingerprint_equal (a, b);
}

/* Two keys may have one hash. NULL: none is held that is just that. */
static GkvRecord *
find_held (GkvStore *store, guint64 hash, const GkvFingerprint *fingerprint)
{
  GkvRecord *record;

  for (guint n = 0; (record = gkv_store_lookup_nth (store, hash, n)) != NULL; n++)
    {
      GkvRecord *valid = gkv_store_get_valid (store, record);

      if (gkv_fingerprint_equal (&record->fingerprint, fingerprint))
        return record;
      if (valid != NULL && gkv_fingerprint_equal (&valid->fingerprint, fingerprint))
        return valid;
    }

  return NULL;
}

struct _GkvPieces
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvPartings *partings;
  GkvRumours *rumours;
  GkvPiecesListener listener;
  gpointer data;
  GHashTable *assemblies; /* GkvFingerprint* → records that come in pieces, owned */
  GHashTable *by_name;    /* GkvRecordName* → the last of these with that name, borrowed */
  gsize n_bytes;
};

GkvPieces *
gkv_pieces_new (GkvRuntime *runtime,
                GkvLinks *links,
                GkvPartings *partings,
                GkvRumours *rumours,
                const GkvPiecesListener *listener,
                gpointer data)
{
  GkvPieces *self = g_new0 (GkvPieces, 1);

  self->runtime = runtime;
  self->links = links;
  self->partings = partings;
  self->rumours = rumours;
  self->listener = *listener;
  self->data = data;
  self->assemblies = g_hash_table_new_full (fingerprint_hash, fingerprint_equal, NULL, (GDestroyNotify) assembly_free);
  self->by_name = g_hash_table_new (gkv_record_name_hash, gkv_record_name_equal);
  return self;
}

void
gkv_pieces_free (GkvPieces *self)
{
  g_hash_table_unref (self->by_name);
  g_hash_table_unref (self->assemblies);
  g_free (self);
}

guint
gkv_pieces_get_n (GkvPieces *self)
{
  return g_hash_table_size (self->assemblies);
}

gsize
gkv_pieces_get_n_bytes (GkvPieces *self)
{
  return self->n_bytes;
}

static void
forget_name (GkvPieces *self, Assembly *assembly)
{
  if (g_hash_table_lookup (self->by_name, &assembly->name) == assembly)
    g_hash_table_remove (self->by_name, &assembly->name);
}

static void
end_assembly (GkvPieces *self, Assembly *assembly)
{
  self->n_bytes -= assembly->size;
  gkv_conversation_of (assembly->link)->n_assemblies--;
  forget_name (self, assembly);
  g_hash_table_remove (self->assemblies, &assembly->fingerprint);
  self->listener.has_room (self->data);
}

/* It doesn't come any more. */
static void
give_up (GkvPieces *self, Assembly *assembly)
{
  GkvRecordName name = assembly->name;

  end_assembly (self, assembly);
  self->listener.ended (name.hash, name.version, FALSE, self->data);
}

void
gkv_pieces_drop_link (GkvPieces *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  g_autoptr (GArray) names = NULL;
  GHashTableIter iter;
  Assembly *assembly;

  if (conversation->n_assemblies == 0)
    return;

  names = g_array_new (FALSE, FALSE, sizeof (GkvRecordName));

  g_hash_table_iter_init (&iter, self->assemblies);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &assembly))
    if (assembly->link == link)
      {
        g_array_append_val (names, assembly->name);
        forget_name (self, assembly);
        self->n_bytes -= assembly->size;
        g_hash_table_iter_remove (&iter);
      }
  conversation->n_assemblies = 0;
  self->listener.has_room (self->data);
  for (guint i = 0; i < names->len; i++)
    {
      const GkvRecordName *name = &g_array_index (names, GkvRecordName, i);

      self->listener.ended (name->hash, name->version, FALSE, self->data);
    }
}

gboolean
gkv_pieces_have_room (GkvPieces *self)
{
  return self->n_bytes < MAX_ASSEMBLY_BYTES && g_hash_table_size (self->assemblies) < MAX_ASSEMBLIES;
}

gboolean
gkv_pieces_are_coming (GkvPieces *self, guint64 hash, guint32 version)
{
  GkvRecordName name = { .hash = hash, .version = version };
  Assembly *assembly = g_hash_table_lookup (self->by_name, &name);

  return assembly != NULL && self->runtime->now.mono - assembly->progress < 2 * PIECE_PATIENCE;
}

/* Sending */

/* It was replaced, or is forgotten: what is there instead is given. */
static void
say_gone (GkvPieces *self, GkvLink *link, guint64 hash, const GkvFingerprint *fingerprint)
{
  GByteArray *body = gkv_links_begin_message (self->links);
  GkvRecord *record;

  gkv_put_fingerprint (body, fingerprint);
  gkv_put_u32 (body, 0);
  gkv_links_send (self->links, link, GKV_MESSAGE_DATA);
  for (guint n = 0; (record = gkv_store_lookup_nth (self->runtime->store, hash, n)) != NULL; n++)
    if (gkv_links_spend (self->links, MIN (gkv_record_get_wire_size (record), self->runtime->max_datagram)))
      gkv_partings_give (self->partings, link, record);
}

static void
handle_get (GkvPieces *self, GkvLink *link, GkvReader *reader)
{
  guint64 hash = gkv_reader_u64 (reader);
  GkvFingerprint fingerprint = gkv_reader_fingerprint (reader);
  gsize offset = gkv_reader_u32 (reader);
  gsize len = gkv_reader_u32 (reader);
  GkvRecord *held = find_held (self->runtime->store, hash, &fingerprint);
  g_autoptr (GkvRecord) record = held != NULL ? gkv_record_ref (held) : NULL;
  g_autoptr (GByteArray) head = NULL;
  gsize size;

  if (reader->failed || offset % PIECE != 0)
    return;

  gkv_conversation_of (link)->pieces_sent = self->runtime->now.mono;
  if (record == NULL)
    {
      say_gone (self, link, hash, &fingerprint);
      return;
    }

  head = g_byte_array_new ();
  gkv_put_record_head (head, record, -1);
  size = head->len + record->content_len;
  len = MIN (len, PIECES_MAX * PIECE);

  for (gsize end = MIN (offset + len, size); offset < end && gkv_links_spend (self->links, PIECE); offset += PIECE)
    {
      GByteArray *body = gkv_links_begin_message (self->links);
      gsize n = MIN (PIECE, size - offset);
      gsize in_head = offset < head->len ? MIN (n, head->len - offset) : 0;

      gkv_put_fingerprint (body, &fingerprint);
      gkv_put_u32 (body, offset);
      if (in_head > 0)
        g_byte_array_append (body, head->data + offset, in_head);
      if (n > in_head)
        g_byte_array_append (body, gkv_record_get_content (record) + offset + in_head - head->len, n - in_head);
      gkv_links_send (self->links, link, GKV_MESSAGE_DATA);
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 4);
    }
}

/* Receiving */

static void
get_more (GkvPieces *self, Assembly *assembly)
{
  guint budget = assembly->window;
  guint i;

  while (assembly->first_missing < assembly->n_pieces && assembly->have[assembly->first_missing])
    assembly->first_missing++;

  assembly->n_expected = 0;
  assembly->sent = self->runtime->now.mono;

  i = assembly->first_missing;
  for (guint n = 0; n < MAX_GETS && i < assembly->n_pieces && budget > 0; n++)
    {
      GByteArray *body;
      guint start, len;

      while (i < assembly->n_pieces && assembly->have[i])
        i++;
      for (start = i, len = 0; i < assembly->n_pieces && !assembly->have[i] && len < budget; i++)
        len++;
      if (len == 0)
        break;

      body = gkv_links_begin_message (self->links);
      gkv_put_u64 (body, assembly->name.hash);
      gkv_put_fingerprint (body, &assembly->fingerprint);
      gkv_put_u32 (body, start * PIECE);
      gkv_put_u32 (body, len * PIECE);
      gkv_links_send (self->links, assembly->link, GKV_MESSAGE_GET);
      budget -= len;
      assembly->n_expected += len;
    }

  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + PIECE_PATIENCE);
}

/* Asks for nothing: it is on its way from elsewhere, or waits for room. */
static void
say_coming (GkvPieces *self, GkvLink *link, guint64 hash, const GkvFingerprint *fingerprint)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_put_u64 (body, hash);
  gkv_put_fingerprint (body, fingerprint);
  gkv_put_u32 (body, 0);
  gkv_put_u32 (body, 0);
  gkv_links_send (self->links, link, GKV_MESSAGE_GET);
}

/* If it came as a rumour. */
static void
pass_on_later (GkvPieces *self, Assembly *assembly)
{
  g_autoptr (GArray) before = g_steal_pointer (&assembly->arcs);

  assembly->arcs = gkv_rumours_join_arcs (self->rumours, before);
}

/* A record that an exchange waited for may come from elsewhere now. */
static void
end_waiting (GkvPieces *self, GkvLink *link)
{
  if (gkv_conversation_of (link)->exchange != NULL)
    self->listener.progressed (link, self->data);
}

/* One that is under way is announced by @link, too. */
static void
join_assembly (GkvPieces *self, Assembly *assembly, GkvLink *link)
{
  pass_on_later (self, assembly);
  if (assembly->link == link)
    return;

  if (self->runtime->now.mono - assembly->progress <= 2 * PIECE_PATIENCE)
    {
      say_coming (self, link, assembly->name.hash, &assembly->fingerprint);
      gkv_conversation_add_elsewhere (link, assembly->name.hash, assembly->fingerprint.lo);
      return;
    }

  /* The one that is alive sends the rest. */
  gkv_conversation_of (assembly->link)->n_assemblies--;
  gkv_conversation_add_elsewhere (assembly->link, assembly->name.hash, assembly->fingerprint.lo);
  assembly->link = link;
  gkv_conversation_of (link)->n_assemblies++;
  assembly->tries = 0;
  get_more (self, assembly);
}

/* NULL: there is no room. */
static Assembly *
begin_assembly (GkvPieces *self, GkvLink *link, guint64 hash, const GkvFingerprint *fingerprint, guint32 size)
{
  Assembly *assembly;

  if (self->n_bytes + size > MAX_ASSEMBLY_BYTES || !gkv_pieces_have_room (self))
    {
      /* It is asked for again in a while. */
      self->listener.postponed (link, hash, fingerprint->lo, self->data);
      say_coming (self, link, hash, fingerprint);
      return NULL;
    }

  assembly = g_new0 (Assembly, 1);
  assembly->name = (GkvRecordName){ hash, fingerprint->lo };
  assembly->fingerprint = *fingerprint;
  pass_on_later (self, assembly);
  assembly->link = link;
  assembly->size = size;
  assembly->n_pieces = (size + PIECE - 1) / PIECE;
  assembly->data = g_malloc (size);
  assembly->have = g_malloc0 (assembly->n_pieces);
  assembly->window = PIECES_FIRST;
  assembly->progress = self->runtime->now.mono;
  self->n_bytes += size;
  gkv_conversation_of (link)->n_assemblies++;
  g_hash_table_insert (self->assemblies, &assembly->fingerprint, assembly);
  g_hash_table_replace (self->by_name, &assembly->name, assembly);
  get_more (self, assembly);
  return assembly;
}

static void
handle_large (GkvPieces *self, GkvLink *link, GkvReader *reader)
{
  guint64 hash = gkv_reader_u64 (reader);
  GkvFingerprint fingerprint = gkv_reader_fingerprint (reader);
  guint32 size = gkv_reader_u32 (reader);
  gint64 left_ms = gkv_reader_left (reader);
  guint64 away = gkv_reader_get_left (reader) > 0 ? gkv_reader_varint (reader) : 0;
  Assembly *assembly = g_hash_table_lookup (self->assemblies, &fingerprint);
  GkvLink *before = assembly != NULL ? assembly->link : link;
  GkvRecord *held = find_held (self->runtime->store, hash, &fingerprint);

  /* A record that one that is gone announces isn't waited for. */
  if (reader->failed || size == 0 || size > MAX_LARGE_RECORD || !gkv_link_is_live (link))
    return;

  self->listener.announced (link, hash, fingerprint.lo, self->data);
  if (held != NULL || self->listener.refuses (link, hash, fingerprint.lo, away, self->data))
    {
      g_autoptr (GArray) arcs = gkv_rumours_join_arcs (self->rumours, NULL);

      if (held != NULL)
        gkv_rumours_serve (self->rumours, held, arcs, FALSE);
      self->listener.progressed (link, self->data);
      return;
    }

  if (assembly != NULL && assembly->name.hash == hash && assembly->size == size)
    {
      join_assembly (self, assembly, link);
    }
  else
    {
      if (assembly != NULL)
        give_up (self, assembly);
      assembly = begin_assembly (self, link, hash, &fingerprint, size);
      if (assembly != NULL)
        {
          assembly->left_ms = left_ms;
          assembly->away = away;
        }
    }

  end_waiting (self, link);
  end_waiting (self, before);
}

static void
finish_assembly (GkvPieces *self, Assembly *assembly)
{
  g_autoptr (GkvRecord) record = NULL;
  GkvLink *link = assembly->link;
  g_autoptr (GArray) arcs = g_steal_pointer (&assembly->arcs);
  guint64 away = assembly->away;
  GkvFingerprint fingerprint = assembly->fingerprint;
  GkvRecordName name = assembly->name;
  GkvReader reader;
  gint64 left_ms;

  /* To copy and to hash it takes 20 ms for the largest. */
  gkv_reader_init (&reader, assembly->data, assembly->size);
  gkv_runtime_unlock_store (self->runtime);
  record = gkv_runtime_read_record (self->runtime, &reader, &left_ms);
  gkv_runtime_lock_store (self->runtime);
  left_ms = assembly->left_ms;
  end_assembly (self, assembly);

  if (record == NULL)
    self->runtime->counters.records_refused++;
  else
    gkv_rumours_serve (self->rumours, record, arcs, self->listener.received (link, record, left_ms, away, self->data));

  self->listener.ended (name.hash, name.version,
                        record != NULL && record->hash == name.hash &&
                            gkv_fingerprint_equal (&record->fingerprint, &fingerprint),
                        self->data);
  self->listener.progressed (link, self->data);
}

static void
handle_data (GkvPieces *self, GkvLink *link, GkvReader *reader)
{
  GkvFingerprint fingerprint = gkv_reader_fingerprint (reader);
  guint32 offset = gkv_reader_u32 (reader);
  gsize len = gkv_reader_get_left (reader);
  Assembly *assembly = g_hash_table_lookup (self->assemblies, &fingerprint);
  guint piece = offset / PIECE;

  if (reader->failed || assembly == NULL)
    return;

  /* It isn't there any more. */
  if (len == 0 && assembly->link == link)
    {
      gkv_conversation_of (link)->incomplete = TRUE;
      give_up (self, assembly);
      self->listener.progressed (link, self->data);
      return;
    }

  if (offset % PIECE != 0 || piece >= assembly->n_pieces || len != MIN (PIECE, assembly->size - offset) ||
      assembly->have[piece])
    return;

  memcpy (assembly->data + offset, gkv_reader_bytes (reader, len), len);
  assembly->have[piece] = TRUE;
  gkv_conversation_note_got (link);
  assembly->n_have++;
  assembly->progress = self->runtime->now.mono;
  assembly->tries = 0;
  if (assembly->n_expected > 0)
    assembly->n_expected--;

  if (assembly->n_have == assembly->n_pieces)
    {
      finish_assembly (self, assembly);
    }
  else if (assembly->n_expected == 0)
    {
      assembly->window = MIN (assembly->window + assembly->window / 4, PIECES_MAX);
      get_more (self, assembly);
    }
}

void
gkv_pieces_handle (GkvPieces *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_LARGE)
    handle_large (self, link, reader);
  else if (kind == GKV_MESSAGE_GET)
    handle_get (self, link, reader);
  else
    handle_data (self, link, reader);
}

/* Time */

void
gkv_pieces_tick (GkvPieces *self)
{
  g_autoptr (GPtrArray) late = NULL;
  GHashTableIter iter;
  Assembly *assembly;

  if (g_hash_table_size (self->assemblies) == 0)
    return;

  late = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, self->assemblies);
  while (late->len < MAX_LATE && g_hash_table_iter_next (&iter, NULL, (gpointer *) &assembly))
    {
      if (self->runtime->now.mono - MAX (assembly->sent, assembly->progress) >= PIECE_PATIENCE ||
          !gkv_link_is_live (assembly->link))
        g_ptr_array_add (late, assembly);
      else
        gkv_runtime_wake_at (self->runtime, MAX (assembly->sent, assembly->progress) + PIECE_PATIENCE);
    }
  if (late->len == MAX_LATE)
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_MS);

  for (guint i = 0; i < late->len; i++)
    {
      assembly = g_ptr_array_index (late, i);
      assembly->window = MAX (assembly->window / 2, 4);
      if (gkv_link_is_live (assembly->link) && ++assembly->tries < PIECE_TRIES)
        {
          get_more (self, assembly);
        }
      else
        {
          GkvLink *link = assembly->link;

          give_up (self, assembly);
          gkv_conversation_of (link)->incomplete = TRUE;
          self->listener.progressed (link, self->data);
        }
    }
}
