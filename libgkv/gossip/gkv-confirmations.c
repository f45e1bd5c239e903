/* Confirmations: telling others that this node holds what they have written.
 *
 * A FLUSH asks for all writes of a node up to a number. The last of them are listed: where those before are known to be
 * held, each is looked for. Else an exchange with the one that asks, begun after it has asked, fetches all that it has.
 * A node that can't be reached directly is asked through others, which pass the FLUSH on, and what it replies back the
 * same way; then the exchange is with the last of these, once that holds all itself.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-confirmations.h"

#include <string.h>

/* Nodes that flush, of which something is remembered. */
#define MAX_WRITERS 1024

/* A question that has come one way is heard no other one, for so long. */
#define BETTER_LASTS GKV_SECOND

/* Where a node was last heard of may be a circle of several that all took it from each other: one question of so many
 * is sent to its address, too. */
#define DIRECT_TURNS 4

/* Replies that are passed on share datagrams. */
#define MERGE_PERIOD (20 * GKV_MS)

/* Where a reply can't go back as the question came, it goes another way: so often at most, as that may be a circle. */
#define MAX_STRAYS 8

#define FLUSHED_HEAD_SIZE (8 + 8 + 1)

#define FLAG_HELD    1
#define FLAG_REFUSED 2

/* A node that flushes. */
typedef struct
{
  guint64 place;
  guint64 generation;
  GkvLink *parent;   /* where the last FLUSH came from, and replies go */
  gboolean direct;   /* it is there itself */
  gboolean is_asked; /* this node was among those that it was for */
  gint64 at;
  guint32 serial;
  guint64 held;    /* up to this number its writes are held */
  guint64 patient; /* the ticket for which some of the listed were still on their way */
  guint64 pending; /* the number that an exchange is waited for; not above held: none is */
  guint64 pending_ticket;
  guint64 since; /* that has a higher number than this */
  gboolean refuses;
  GByteArray *replies; /* FLUSHED that waits to be sent; NULL: none */
  GkvLink *back;       /* where to, then, */
  GkvLink *also;       /* and perhaps also to; NULL: it isn't */
  guint strays;        /* and how often it may still leave the way that the question came */
  gint64 replied;
} Writer;

struct _GkvConfirmations
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvExchanges *exchanges;
  GHashTable *writers; /* place* → Writer, owned */
  GHashTable *refused; /* guint64: the places of nodes of whose writes some are refused */
  gint64 due;
};

static void
writer_free (gpointer data)
{
  Writer *writer = data;

  g_clear_pointer (&writer->replies, g_byte_array_unref);
  g_free (writer);
}

GkvConfirmations *
gkv_confirmations_new (GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, GkvExchanges *exchanges)
{
  GkvConfirmations *self = g_new0 (GkvConfirmations, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->exchanges = exchanges;
  self->writers = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, writer_free);
  self->refused = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  self->due = G_MAXINT64;
  return self;
}

void
gkv_confirmations_free (GkvConfirmations *self)
{
  g_hash_table_unref (self->writers);
  g_hash_table_unref (self->refused);
  g_free (self);
}

/* Messages */

void
gkv_write_init (GkvWrite *write, const GkvHashKey *hash_key, const GkvRecord *record)
{
  write->hash = record->hash;
  write->check = gkv_record_get_check (hash_key, record);
  write->stamp = record->stamp;
  write->version = record->fingerprint.lo;
}

void
gkv_put_flush (GByteArray *body, const GkvFlushMessage *message)
{
  gkv_put_u64 (body, message->place);
  gkv_put_u64 (body, message->generation);
  gkv_put_varint (body, message->ticket);
  gkv_put_u32 (body, message->serial);
  gkv_put_varint (body, message->written);
  gkv_put_varint (body, message->base);
  gkv_put_u8 (body, (message->held ? FLAG_HELD : 0) | (message->refused ? FLAG_REFUSED : 0));
  gkv_put_u8 (body, message->hops);
  gkv_put_u8 (body, message->n_writes);
  for (guint i = 0; i < message->n_writes; i++)
    {
      gkv_put_u64 (body, message->writes[i].hash);
      gkv_put_u64 (body, message->writes[i].check);
      gkv_put_u64 (body, message->writes[i].stamp);
      gkv_put_u32 (body, message->writes[i].version);
    }
  for (guint i = 0; i < message->n_targets; i++)
    gkv_put_u64 (body, message->targets[i]);
}

/* @writes and @targets are for the caller to keep. */
static gboolean
read_flush (GkvReader *reader, GkvFlushMessage *message, GArray *writes, GArray *targets)
{
  guint8 flags;

  message->place = gkv_reader_u64 (reader);
  message->generation = gkv_reader_u64 (reader);
  message->ticket = gkv_reader_varint (reader);
  message->serial = gkv_reader_u32 (reader);
  message->written = gkv_reader_varint (reader);
  message->base = gkv_reader_varint (reader);
  flags = gkv_reader_u8 (reader);
  message->held = (flags & FLAG_HELD) != 0;
  message->refused = (flags & FLAG_REFUSED) != 0;
  message->hops = gkv_reader_u8 (reader);
  message->n_writes = gkv_reader_u8 (reader);
  for (guint i = 0; i < message->n_writes && !reader->failed; i++)
    {
      GkvWrite write;

      write.hash = gkv_reader_u64 (reader);
      write.check = gkv_reader_u64 (reader);
      write.stamp = gkv_reader_u64 (reader);
      write.version = gkv_reader_u32 (reader);
      g_array_append_val (writes, write);
    }
  while (!reader->failed && gkv_reader_get_left (reader) >= 8)
    {
      guint64 target = gkv_reader_u64 (reader);

      g_array_append_val (targets, target);
    }

  message->writes = (GkvWrite *) writes->data;
  message->targets = (guint64 *) targets->data;
  message->n_targets = targets->len;
  return !reader->failed && message->base <= message->written &&
         (message->n_writes == message->written - message->base);
}

/* Ways */

/* Where @member is reached from here, but not back where it comes from. NULL: it isn't. */
static GkvLink *
find_way (GkvConfirmations *self, const GkvMember *member, const GkvLink *from)
{
  const GkvMember *via = gkv_member_is_direct (member) ? member : gkv_member_get_via (member);
  GkvLink *link = via != NULL ? gkv_member_open_link (via, self->links) : NULL;

  if (link != NULL && link != from)
    return link;

  return gkv_member_has_link (member) && member->link != from ? member->link : NULL;
}

/* What is said goes back where the question came from; where nothing arrives there, by the way to the one that asks, as
 * often as it may. NULL: there is none but back to @from (nullable). */
static GkvLink *
find_way_back (GkvConfirmations *self, const Writer *writer, const GkvLink *from, guint *strays)
{
  GkvLink *parent = writer->parent != from ? writer->parent : NULL;
  const GkvMember *asker = NULL;
  GkvLink *link = NULL;

  if (parent != NULL && (parent->member == NULL || gkv_member_is_direct (parent->member)))
    return parent;

  if (*strays > 0)
    asker = gkv_members_find_live (self->members, writer->place);
  if (asker != NULL)
    link = find_way (self, asker, from);
  if (link == NULL)
    return parent;

  (*strays)--;
  return link;
}

/* Replies */

static void
put_flushed (GByteArray *body, guint64 place, guint64 generation, guint strays)
{
  gkv_put_u64 (body, place);
  gkv_put_u64 (body, generation);
  gkv_put_u8 (body, strays);
}

static void
send_replies (GkvConfirmations *self, Writer *writer)
{
  GkvLink *links[] = { writer->back, writer->also };

  for (guint i = 0; i < G_N_ELEMENTS (links) && links[i] != NULL; i++)
    {
      GByteArray *body = gkv_links_begin_message (self->links);

      put_flushed (body, writer->place, writer->generation, writer->strays);
      g_byte_array_append (body, writer->replies->data, writer->replies->len);
      gkv_links_send (self->links, links[i], GKV_MESSAGE_FLUSHED);
    }
  g_clear_pointer (&writer->replies, g_byte_array_unref);
  writer->replied = self->runtime->now.mono;
}

/* What a node has said: this one, or another that has said it to @from. */
static void
reply (GkvConfirmations *self, Writer *writer, const GkvLink *from, guint strays, const guint8 *entry, gsize len)
{
  if (writer->replies != NULL &&
      (writer->back == from || writer->also == from ||
       FLUSHED_HEAD_SIZE + writer->replies->len + len > gkv_links_get_max_body (self->links, writer->back)))
    send_replies (self, writer);

  if (writer->replies == NULL)
    {
      writer->back = find_way_back (self, writer, from, &strays);
      if (writer->back == NULL)
        return;

      /* That nothing arrives there may have been loss. */
      writer->also = writer->parent != writer->back && writer->parent != from ? writer->parent : NULL;
      writer->replies = g_byte_array_new ();
      writer->strays = strays;
    }
  writer->strays = MIN (writer->strays, strays);
  g_byte_array_append (writer->replies, entry, len);

  if (writer->direct || self->runtime->now.mono - writer->replied >= MERGE_PERIOD)
    {
      send_replies (self, writer);
      return;
    }

  self->due = MIN (self->due, writer->replied + MERGE_PERIOD);
  gkv_runtime_wake_at (self->runtime, self->due);
}

static void
put_reply (GkvConfirmations *self, GByteArray *body, guint64 ticket, guint64 written, GkvConfirmation confirmation)
{
  gkv_put_u64 (body, self->runtime->place);
  gkv_put_u64 (body, self->runtime->generation);
  gkv_put_varint (body, ticket);
  gkv_put_varint (body, written);
  gkv_put_u8 (body, confirmation);
}

static void
reply_self (GkvConfirmations *self, Writer *writer, guint64 ticket, guint64 written, GkvConfirmation confirmation)
{
  g_autoptr (GByteArray) entry = g_byte_array_new ();

  put_reply (self, entry, ticket, written, confirmation);
  reply (self, writer, NULL, MAX_STRAYS, entry->data, entry->len);
}

/* What is held */

/* It, or what wins over it. Of two records with one stamp, which those have that go above the same one, it is told by
 * their writers which one wins; of one writer they are the same but for the time, or the mark. @id: the writer's. */
static gboolean
is_held (GkvConfirmations *self, const GkvWrite *write, const char *id)
{
  GkvRecord *record;

  for (guint n = 0; (record = gkv_store_lookup_nth (self->runtime->store, write->hash, n)) != NULL; n++)
    {
      if (record->stamp < write->stamp)
        continue;

      if (record->stamp == write->stamp && (guint32) record->fingerprint.lo == write->version)
        return TRUE;

      if ((record->stamp > write->stamp || (id != NULL && strcmp (gkv_record_get_origin (record), id) >= 0)) &&
          gkv_record_get_check (gkv_store_get_hash_key (self->runtime->store), record) == write->check)
        return TRUE;
    }

  return FALSE;
}

static gboolean
are_held (GkvConfirmations *self, const GkvFlushMessage *message)
{
  const GkvMember *writer = gkv_members_find_live (self->members, message->place);

  for (guint i = 0; i < message->n_writes; i++)
    {
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      if (!is_held (self, &message->writes[i], writer != NULL ? writer->profile->id : NULL))
        return FALSE;
    }

  return TRUE;
}

static GkvConfirmation
evaluate (GkvConfirmations *self, Writer *writer, const GkvFlushMessage *message)
{
  if (writer->held < message->written && writer->held >= message->base && are_held (self, message))
    writer->held = message->written;
  if (writer->held >= message->written)
    return GKV_CONFIRMATION_HOLDS;

  /* What is listed may be on its way. */
  if (writer->held >= message->base && writer->patient != message->ticket)
    {
      writer->patient = message->ticket;
      return GKV_CONFIRMATION_WORKING;
    }

  /* An earlier one that is waited for comes first: later ones may come all the time. */
  if (writer->direct || message->held)
    {
      if (writer->pending <= writer->held)
        {
          writer->pending = message->written;
          writer->pending_ticket = message->ticket;
          writer->since = gkv_exchanges_get_number (self->exchanges);
        }
      gkv_exchange_begin (self->exchanges, writer->parent);
    }

  /* What one on the way here refuses doesn't come this way. */
  return writer->refuses || message->refused ? GKV_CONFIRMATION_REFUSES : GKV_CONFIRMATION_WORKING;
}

void
gkv_confirmations_note_refused (GkvConfirmations *self, const char *writer)
{
  guint64 place = gkv_runtime_hash_id (self->runtime, writer);

  if (g_hash_table_size (self->refused) < MAX_WRITERS)
    g_hash_table_add (self->refused, g_memdup2 (&place, sizeof place));
}

void
gkv_confirmations_judge_anew (GkvConfirmations *self)
{
  g_hash_table_remove_all (self->refused);
}

/* What another has written may win at a relay over what is asked about, and be refused here. Where there are too many
 * writers, it may be any. */
static gboolean
is_refused (GkvConfirmations *self, const Writer *writer)
{
  if (!writer->direct)
    return g_hash_table_size (self->refused) > 0;

  return g_hash_table_contains (self->refused, &writer->place) || g_hash_table_size (self->refused) >= MAX_WRITERS;
}

void
gkv_confirmations_note_matched (GkvConfirmations *self, GkvLink *link, guint64 number, gboolean refused)
{
  GHashTableIter iter;
  Writer *writer;

  g_hash_table_iter_init (&iter, self->writers);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &writer))
    {
      if (writer->parent != link || writer->pending <= writer->held || number <= writer->since)
        continue;

      writer->refuses = refused && is_refused (self, writer);
      if (writer->refuses)
        {
          reply_self (self, writer, writer->pending_ticket, writer->pending, GKV_CONFIRMATION_REFUSES);
          writer->pending = 0;
        }
      else
        {
          writer->held = writer->pending;
          reply_self (self, writer, writer->pending_ticket, writer->pending, GKV_CONFIRMATION_HOLDS);
        }
    }
}

void
gkv_confirmations_forget_link (GkvConfirmations *self, GkvLink *link)
{
  GHashTableIter iter;
  Writer *writer;

  g_hash_table_iter_init (&iter, self->writers);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &writer))
    if (writer->parent == link)
      g_hash_table_iter_remove (&iter);
    else if (writer->back == link || writer->also == link)
      g_clear_pointer (&writer->replies, g_byte_array_unref);
}

/* Receiving */

static void
make_room (GkvConfirmations *self)
{
  GHashTableIter iter;
  Writer *writer, *oldest = NULL;

  if (g_hash_table_size (self->writers) < MAX_WRITERS)
    return;

  g_hash_table_iter_init (&iter, self->writers);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &writer))
    if (oldest == NULL || writer->at < oldest->at)
      oldest = writer;
  g_hash_table_remove (self->writers, &oldest->place);
}

/* Whether the last FLUSH of that node has come another way that is better. One that is asked through others isn't heard
 * directly; who only passes the question on does best to hear it from the node itself. */
static gboolean
has_better (GkvConfirmations *self, const Writer *writer, gboolean direct, gboolean is_asked)
{
  if (self->runtime->now.mono - writer->at >= BETTER_LASTS || writer->direct == direct)
    return FALSE;

  return direct ? writer->is_asked : !is_asked;
}

/* NULL: it isn't news, or there is better. */
static Writer *
note_flush (GkvConfirmations *self, GkvLink *link, const GkvFlushMessage *message, gboolean is_asked)
{
  gboolean direct = gkv_link_is_current (link) && link->member->profile->place == message->place &&
                    link->generation == message->generation;
  Writer *writer = g_hash_table_lookup (self->writers, &message->place);

  if (writer != NULL && writer->generation != message->generation)
    {
      g_hash_table_remove (self->writers, &message->place);
      writer = NULL;
    }
  if (writer != NULL && has_better (self, writer, direct, is_asked))
    return NULL;

  /* It is passed on no more than once, so that it doesn't go round in circles. */
  if (writer != NULL && !direct && !writer->direct && (gint32) (message->serial - writer->serial) <= 0)
    return NULL;

  if (writer == NULL)
    {
      make_room (self);
      writer = g_new0 (Writer, 1);
      writer->place = message->place;
      writer->generation = message->generation;
      g_hash_table_insert (self->writers, &writer->place, writer);
    }
  /* What is held is so, whoever asks. */
  if (writer->parent != link)
    {
      writer->parent = link;
      writer->pending = 0;
      writer->refuses = FALSE;
    }
  writer->direct = direct;
  writer->is_asked = is_asked;
  writer->serial = message->serial;
  writer->at = self->runtime->now.mono;
  return writer;
}

static void
send_on (GkvConfirmations *self, GkvLink *link, GkvFlushMessage *message)
{
  /* The next link may carry less: then they do without the list. */
  if (GKV_FLUSH_HEAD_SIZE + message->n_writes * GKV_WRITE_SIZE + message->n_targets * 8 >
      gkv_links_get_max_body (self->links, link))
    {
      message->n_writes = 0;
      message->base = message->written;
    }
  gkv_put_flush (gkv_links_begin_message (self->links), message);
  gkv_links_send (self->links, link, GKV_MESSAGE_FLUSH);
}

/* What is sent on to @link, to those of the targets that are given. */
static void
send_to_targets (
    GkvConfirmations *self, GkvLink *link, const GkvFlushMessage *message, const Writer *writer, GArray *targets)
{
  GkvFlushMessage copy = *message;

  copy.hops--;
  copy.held = writer->held >= message->written;
  copy.refused = !copy.held && (writer->refuses || message->refused);
  copy.targets = (guint64 *) targets->data;
  copy.n_targets = targets->len;
  send_on (self, link, &copy);
}

/* To where it is, though it can't be reached there as far as is known. */
static void
try_directly (GkvConfirmations *self,
              GkvLink *from,
              const GkvFlushMessage *message,
              const Writer *writer,
              const GkvMember *member)
{
  GkvLink *link = gkv_member_try_link (member, self->links);
  g_autoptr (GArray) target = NULL;

  if (link == NULL || link == from || !gkv_links_spend (self->links, 8))
    return;

  target = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_array_append_val (target, member->profile->place);
  send_to_targets (self, link, message, writer, target);
}

/* To those that are asked, each by the way that is known here. */
static void
pass_on (GkvConfirmations *self, GkvLink *from, const GkvFlushMessage *message, const Writer *writer)
{
  g_autofree GkvLink **ways = g_new0 (GkvLink *, message->n_targets);

  for (guint i = 0; i < message->n_targets; i++)
    {
      GkvMember *member = message->targets[i] != self->runtime->place
                              ? gkv_members_find_live (self->members, message->targets[i])
                              : NULL;

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      if (member == NULL)
        continue;

      ways[i] = find_way (self, member, from);
      if (!gkv_member_is_direct (member) && gkv_runtime_random (self->runtime, DIRECT_TURNS) == 0)
        try_directly (self, from, message, writer, member);
    }

  /* Those that go the same way go together. */
  for (guint i = 0; i < message->n_targets; i++)
    {
      g_autoptr (GArray) targets = NULL;
      GkvLink *link = ways[i];

      if (link == NULL || !gkv_links_spend (self->links, 8))
        continue;

      targets = g_array_new (FALSE, FALSE, sizeof (guint64));
      for (guint j = i; j < message->n_targets; j++)
        if (ways[j] == link)
          {
            g_array_append_val (targets, message->targets[j]);
            ways[j] = NULL;
          }

      send_to_targets (self, link, message, writer, targets);
    }
}

/* What one asks through others may come directly as well: where only that way is open, and not the one back. */
static void
confirm_through (GkvConfirmations *self, GkvLink *link, const GkvFlushMessage *message)
{
  const Writer *writer = g_hash_table_lookup (self->writers, &message->place);
  GByteArray *body;

  if (writer == NULL || writer->generation != message->generation || writer->held < message->written ||
      writer->parent == link)
    return;

  body = gkv_links_begin_message (self->links);
  put_flushed (body, message->place, message->generation, MAX_STRAYS);
  put_reply (self, body, message->ticket, message->written, GKV_CONFIRMATION_HOLDS);
  gkv_links_send (self->links, link, GKV_MESSAGE_FLUSHED);
}

static void
handle_flush (GkvConfirmations *self, GkvLink *link, GkvReader *reader)
{
  g_autoptr (GArray) writes = g_array_new (FALSE, FALSE, sizeof (GkvWrite));
  g_autoptr (GArray) targets = g_array_new (FALSE, FALSE, sizeof (guint64));
  GkvFlushMessage message;
  GkvConfirmation confirmation;
  gboolean is_asked;
  Writer *writer;

  if (!read_flush (reader, &message, writes, targets) || message.place == self->runtime->place)
    return;

  is_asked = message.n_targets == 0;
  for (guint i = 0; i < message.n_targets; i++)
    is_asked = is_asked || message.targets[i] == self->runtime->place;

  writer = note_flush (self, link, &message, is_asked);
  if (writer == NULL)
    {
      if (is_asked)
        confirm_through (self, link, &message);
      return;
    }

  confirmation = evaluate (self, writer, &message);
  if (is_asked)
    reply_self (self, writer, message.ticket, message.written, confirmation);
  if (message.n_targets > 0 && message.hops > 0)
    pass_on (self, link, &message, writer);
}

/* To the one that asks, which is next to this node, but has asked nothing here. */
static void
hand_over (GkvConfirmations *self, GkvLink *link, guint64 place, guint64 generation, GkvReader *reader)
{
  const GkvMember *asker = gkv_members_find_live (self->members, place);
  gsize len = gkv_reader_get_left (reader);
  GByteArray *body;

  if (asker == NULL || asker->link == link || !gkv_member_has_link (asker) || !gkv_member_is_direct (asker) ||
      !gkv_links_spend (self->links, len))
    return;

  body = gkv_links_begin_message (self->links);
  put_flushed (body, place, generation, 0);
  g_byte_array_append (body, reader->data + reader->pos, len);
  gkv_links_send (self->links, asker->link, GKV_MESSAGE_FLUSHED);
}

/* About the writes of another node: it goes on to that. */
static void
handle_flushed (GkvConfirmations *self, GkvLink *link, GkvReader *reader)
{
  guint64 place = gkv_reader_u64 (reader);
  guint64 generation = gkv_reader_u64 (reader);
  guint8 strays = gkv_reader_u8 (reader);
  Writer *writer = g_hash_table_lookup (self->writers, &place);

  if (reader->failed)
    return;

  if (writer == NULL || writer->generation != generation)
    {
      hand_over (self, link, place, generation, reader);
      return;
    }

  while (gkv_reader_get_left (reader) > 0)
    {
      const guint8 *entry = reader->data + reader->pos;
      gsize start = reader->pos;

      gkv_reader_u64 (reader);
      gkv_reader_u64 (reader);
      gkv_reader_varint (reader);
      gkv_reader_varint (reader);
      gkv_reader_u8 (reader);
      if (reader->failed)
        return;

      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      reply (self, writer, link, MIN (strays, MAX_STRAYS), entry, reader->pos - start);
    }
}

void
gkv_confirmations_handle (GkvConfirmations *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_FLUSH)
    handle_flush (self, link, reader);
  else
    handle_flushed (self, link, reader);
}

/* Time */

void
gkv_confirmations_tick (GkvConfirmations *self)
{
  if (self->runtime->now.mono >= self->due)
    {
      GHashTableIter iter;
      Writer *writer;

      self->due = G_MAXINT64;
      g_hash_table_iter_init (&iter, self->writers);
      while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &writer))
        if (writer->replies == NULL)
          continue;
        else if (self->runtime->now.mono - writer->replied >= MERGE_PERIOD)
          send_replies (self, writer);
        else
          self->due = MIN (self->due, writer->replied + MERGE_PERIOD);
    }

  gkv_runtime_wake_at (self->runtime, self->due);
}
