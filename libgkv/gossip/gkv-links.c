/* Links: the addresses that a node sends to, and the proof that the node there receives what is sent there.
 *
 * Each side gives the other a token for its address, and each datagram echoes the token of its receiver. A datagram
 * without the right echo gets at most a token back, which is no longer than what came; so a forged source address
 * neither writes, nor reads, nor amplifies. Tokens are computed, not stored: strangers cost no memory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-links.h"

#include "gkv-fifo.h"

#include <string.h>

/* Tokens change this often; the one before is still taken. */
#define TOKEN_EPOCH (60 * 60 * GKV_SECOND)
#define NO_EPOCH    G_MININT64

/* A link on which nothing has come for so long is dropped, and opened again when there is something to be sent. A few
 * are kept as long as the tokens are good. */
#define MAX_LINKS      16384
#define LINK_IDLE      (3 * 60 * GKV_SECOND)
#define LINK_IDLE_LAST (50 * 60 * GKV_SECOND)
#define FEW_LINKS      20

/* Idle links are looked for so often. */
#define SWEEP_PERIOD      (10 * GKV_SECOND)
#define SWEEP_PERIOD_FULL GKV_SECOND

/* A node to which a link is opened is greeted so often, and for so long: at 30 % loss each way it replies in that time
 * but once in 20,000 times. So many links are opened at once, and so many datagrams wait for each. */
#define GREET_PERIOD (130 * GKV_MS)
#define OPENS_FOR    (2 * GKV_SECOND)
#define MAX_OPENING  1024
#define MAX_HELD     8

/* A peer that doesn't know us any more where we send from is shown again who we are, so often at the most. */
#define REPROVE_PERIOD GKV_IDENT_PERIOD

/* Datagrams that are larger than usual are sent only where they were seen to arrive. Whether they still do is asked in
 * one of them at a time; after so many in vain they are no larger than usual for a while. */
#define SIZE_TRIES    3
#define SIZE_PATIENCE (250 * GKV_MS)
#define SIZE_RETRY    (10 * 60 * GKV_SECOND)
#define SIZE_MESSAGE  5

/* Bytes of a message of those that come one at a time. */
#define SMALL 64

/* A token, and a new one with the head of its message; and the low half of a generation. */
#define TOKEN_SIZE 8
#define RENEW_SIZE (2 + TOKEN_SIZE)
#define RUN_SIZE   4

/* What an old record has before itself. */
#define OLD_HEAD 20

/* The replies to one datagram, in bytes and at least in datagrams: more than a peer ever asks
 * for at once. And datagrams that may wait to be sent before no more is answered at all. */
#define MAX_ANSWER           (768 * 1024)
#define MAX_ANSWER_DATAGRAMS 80
#define MAX_WAITING          4096

struct _GkvLinks
{
  GkvRuntime *runtime;
  GkvLinksListener listener;
  gpointer data;
  GHashTable *links;       /* hash of the address → GkvLink, owned */
  GPtrArray *filling;      /* links with a datagram begun */
  GPtrArray *opening;      /* links that are being opened */
  gint64 opening_due;      /* when these are looked at again */
  GHashTable *by_greeting; /* the token of a greeting → one of these */
  GkvFifo datagrams;       /* GkvDatagram: what comes out */
  GByteArray *scratch;
  gint64 swept;      /* when idle ones were looked for */
  gsize answer_left; /* of what the datagram that is being read may cost */
};

static void
link_free (GkvLink *link)
{
  g_clear_pointer (&link->out, g_byte_array_unref);
  g_clear_pointer (&link->waiting, g_ptr_array_unref);
  g_free (link->address);
  g_free (link);
}

GkvLinks *
gkv_links_new (GkvRuntime *runtime, const GkvLinksListener *listener, gpointer data)
{
  GkvLinks *self = g_new0 (GkvLinks, 1);

  self->runtime = runtime;
  self->listener = *listener;
  self->data = data;
  self->links = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) link_free);
  self->filling = g_ptr_array_new ();
  self->opening = g_ptr_array_new ();
  self->opening_due = G_MAXINT64;
  self->by_greeting = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->scratch = g_byte_array_new ();
  gkv_fifo_init (&self->datagrams, sizeof (GkvDatagram));
  return self;
}

void
gkv_links_free (GkvLinks *self)
{
  GkvDatagram datagram;
  GHashTableIter iter;
  GkvLink *link;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    self->listener.removed (link, self->data);
  g_hash_table_unref (self->links);

  while (gkv_fifo_pop (&self->datagrams, &datagram))
    gkv_datagram_clear (&datagram);
  gkv_fifo_clear (&self->datagrams);
  g_ptr_array_unref (self->filling);
  g_ptr_array_unref (self->opening);
  g_hash_table_unref (self->by_greeting);
  g_byte_array_unref (self->scratch);
  g_free (self);
}

gboolean
gkv_links_pop_datagram (GkvLinks *self, GkvDatagram *datagram)
{
  return gkv_fifo_pop (&self->datagrams, datagram);
}

guint
gkv_links_get_n (GkvLinks *self)
{
  return g_hash_table_size (self->links);
}

void
gkv_links_init_iter (GkvLinks *self, GHashTableIter *iter)
{
  g_hash_table_iter_init (iter, self->links);
}

GkvLink *
gkv_links_lookup (GkvLinks *self, const char *address)
{
  guint64 hash = address != NULL ? gkv_runtime_hash_text (self->runtime, address) : 0;

  return address != NULL ? g_hash_table_lookup (self->links, &hash) : NULL;
}

gboolean
gkv_link_is_usable (const GkvLink *link)
{
  return link->proved && link->their_token != 0;
}

/* Tokens */

static gint64
get_epoch (GkvLinks *self)
{
  return self->runtime->now.mono / TOKEN_EPOCH;
}

static guint64
compute_token (GkvLinks *self, const char *address, gint64 epoch)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT " %s", epoch, address);
  g_autoptr (GHmac) hmac =
      g_hmac_new (G_CHECKSUM_SHA256, (const guint8 *) &self->runtime->secret, sizeof self->runtime->secret);
  guint8 digest[32];
  gsize len = sizeof digest;
  guint64 token;

  g_hmac_update (hmac, (const guint8 *) text, -1);
  g_hmac_get_digest (hmac, digest, &len);
  memcpy (&token, digest, sizeof token);

  return token != 0 ? token : 1;
}

/* The token of an address in this epoch, which is kept where there is a @link (nullable). */
static guint64
get_token (GkvLinks *self, GkvLink *link, const char *address)
{
  gint64 epoch = get_epoch (self);

  if (link == NULL)
    return compute_token (self, address, epoch);

  if (link->our_token == 0 || link->our_epoch != epoch)
    {
      link->our_token = compute_token (self, address, epoch);
      link->our_epoch = epoch;
    }
  return link->our_token;
}

/* Sending */

static void
put_header (GkvLinks *self, GByteArray *out, guint64 echo)
{
  g_byte_array_append (out, (const guint8 *) "GK", 2);
  gkv_put_u8 (out, GKV_WIRE_VERSION);
  gkv_put_u8 (out, GKV_WIRE_PLAIN);
  gkv_put_u32 (out, self->runtime->cluster_hash);
  gkv_put_u64 (out, echo);
}

static void
queue_datagram (GkvLinks *self, const char *address, GByteArray *out)
{
  GkvDatagram *datagram = gkv_fifo_push (&self->datagrams);

  if (out->data[3] == GKV_WIRE_PLAIN)
    gkv_wire_seal (out);
  self->runtime->counters.datagrams_sent++;
  self->runtime->counters.bytes_sent += out->len;
  datagram->address = g_strdup (address);
  datagram->bytes = g_byte_array_free_to_bytes (out);
}

/* Sizes */

/* What messages have in a datagram: the question takes some of a large one. */
static guint
get_limit (const GkvLink *link)
{
  return link->max_datagram - (link->max_datagram > GKV_WIRE_USUAL_DATAGRAM ? SIZE_MESSAGE : 0);
}

static void
put_size (GByteArray *out, guint16 number, gboolean reply, gsize padding)
{
  g_autoptr (GByteArray) body = g_byte_array_new ();

  gkv_put_u16 (body, number);
  gkv_put_u8 (body, reply);
  g_byte_array_set_size (body, body->len + padding);
  memset (body->data + body->len - padding, 0, padding);
  gkv_put_message (out, GKV_MESSAGE_SIZE, body->data, body->len);
}

/* FALSE: there have been enough in vain. */
static gboolean
count_size (GkvLinks *self, GkvLink *link)
{
  if (link->n_sizes == SIZE_TRIES)
    {
      link->n_sizes = 0;
      link->size_due = self->runtime->now.mono + SIZE_RETRY;
      return FALSE;
    }

  link->n_sizes++;
  link->size_number++;
  link->size_due = self->runtime->now.mono + SIZE_PATIENCE;
  return TRUE;
}

/* Where much is sent in datagrams of the usual size, though both sides carry more: one of these is tried, with nothing
 * in it that would be missed. */
static void
try_size (GkvLinks *self, GkvLink *link)
{
  GByteArray *out;
  gsize head = GKV_WIRE_HEADER_SIZE + SIZE_MESSAGE + 2;

  if (!count_size (self, link))
    return;

  out = g_byte_array_sized_new (link->most);
  put_header (self, out, link->their_token);
  put_size (out, link->size_number, FALSE, link->most - head);
  queue_datagram (self, link->address, out);
}

/* A datagram is complete. */
static void
consider_size (GkvLinks *self, GkvLink *link, GByteArray *out)
{
  if (self->runtime->now.mono < link->size_due || !gkv_link_is_usable (link))
    return;

  if (link->max_datagram > GKV_WIRE_USUAL_DATAGRAM && out->len > GKV_WIRE_USUAL_DATAGRAM)
    {
      if (count_size (self, link))
        put_size (out, link->size_number, FALSE, 0);
      else
        link->max_datagram = GKV_WIRE_USUAL_DATAGRAM;
    }
  else if (link->max_datagram < link->most && out->len > link->max_datagram / 4 * 3)
    {
      try_size (self, link);
    }
}

static void
handle_size (GkvLinks *self, GkvLink *link, GkvReader *reader)
{
  guint16 number = gkv_reader_u16 (reader);
  gboolean reply = gkv_reader_u8 (reader);

  if (reader->failed)
    return;

  if (!reply)
    {
      g_byte_array_set_size (self->scratch, 0);
      gkv_put_u16 (self->scratch, number);
      gkv_put_u8 (self->scratch, TRUE);
      gkv_links_send (self, link, GKV_MESSAGE_SIZE);
    }
  else if ((guint16) (link->size_number - number) < SIZE_TRIES && link->n_sizes > 0)
    {
      link->n_sizes = 0;
      link->max_datagram = link->most;
    }
}

void
gkv_links_set_wanted (GkvLinks *self, GkvLink *link, guint64 bytes)
{
  guint theirs = bytes > 0 ? CLAMP (bytes, GKV_WIRE_MIN_DATAGRAM, GKV_WIRE_MAX_DATAGRAM) : GKV_WIRE_USUAL_DATAGRAM;
  guint most = MIN (self->runtime->max_datagram, theirs);

  if (most == link->most)
    return;

  link->most = most;
  link->max_datagram = MIN (most, GKV_WIRE_USUAL_DATAGRAM);
  link->n_sizes = 0;
  link->size_due = 0;
}

/* The node there hasn't replied yet. */
static void
hold (GkvLink *link, GByteArray *out)
{
  if (link->waiting == NULL)
    link->waiting = g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
  if (link->waiting->len < MAX_HELD)
    g_ptr_array_add (link->waiting, out);
  else
    g_byte_array_unref (out);
}

void
gkv_links_end_datagram (GkvLinks *self, GkvLink *link)
{
  GByteArray *out = g_steal_pointer (&link->out);

  if (out == NULL)
    return;

  g_ptr_array_remove_fast (self->filling, link);
  if (link->opened != 0)
    {
      hold (link, out);
      return;
    }

  if (link->most > GKV_WIRE_USUAL_DATAGRAM)
    consider_size (self, link, out);
  queue_datagram (self, link->address, out);
}

void
gkv_links_make_room (GkvLinks *self, GkvLink *link, gsize size)
{
  if (link->out != NULL && link->out->len + size > get_limit (link))
    gkv_links_end_datagram (self, link);
}

void
gkv_links_flush (GkvLinks *self)
{
  while (self->filling->len > 0)
    gkv_links_end_datagram (self, g_ptr_array_index (self->filling, self->filling->len - 1));
}

gboolean
gkv_links_spend (GkvLinks *self, gsize cost)
{
  if (self->answer_left == 0)
    return FALSE;

  self->answer_left -= MIN (cost, self->answer_left);
  return TRUE;
}

GByteArray *
gkv_links_begin_message (GkvLinks *self)
{
  g_byte_array_set_size (self->scratch, 0);
  return self->scratch;
}

gsize
gkv_links_get_max_body (GkvLinks *self, const GkvLink *link)
{
  return get_limit (link) - GKV_WIRE_HEADER_SIZE - 4;
}

/* A token is valid for an hour at least, and is replaced by what is sent there anyway. */
static void
renew_token (GkvLinks *self, GkvLink *link)
{
  if (link->given_epoch == get_epoch (self) || !gkv_link_is_usable (link) ||
      link->out->len + RENEW_SIZE + 4 + self->scratch->len > get_limit (link))
    return;

  gkv_put_u8 (link->out, GKV_MESSAGE_RENEW);
  gkv_put_varint (link->out, TOKEN_SIZE);
  gkv_put_u64 (link->out, get_token (self, link, link->address));
  link->given_epoch = get_epoch (self);
}

/* Messages of one turn share datagrams. */
void
gkv_links_send (GkvLinks *self, GkvLink *link, GkvMessageKind kind)
{
  if (link->out != NULL && link->out->len + 4 + self->scratch->len > get_limit (link))
    gkv_links_end_datagram (self, link);

  if (link->out == NULL)
    {
      /* A message that isn't small is seldom alone. */
      link->out =
          g_byte_array_sized_new (self->scratch->len < SMALL ? SMALL : link->max_datagram + GKV_WIRE_MESSAGE_HEAD);
      put_header (self, link->out, link->their_token);
      g_ptr_array_add (self->filling, link);
      if (kind != GKV_MESSAGE_TOKEN)
        renew_token (self, link);
    }

  gkv_put_message (link->out, kind, self->scratch->data, self->scratch->len);
}

/* Its head must not change while pieces of it are under way: the remaining lifetime goes beside it. */
static void
announce (GkvLinks *self, GkvLink *link, GkvRecord *record, gint64 left_ms, guint64 away)
{
  GByteArray *body = gkv_links_begin_message (self);
  guint32 size;

  gkv_put_record_head (body, record, -1);
  size = body->len + record->content_len;

  body = gkv_links_begin_message (self);
  gkv_put_u64 (body, record->hash);
  gkv_put_u64 (body, record->fingerprint.lo);
  gkv_put_u64 (body, record->fingerprint.hi);
  gkv_put_u32 (body, size);
  gkv_put_left (body, left_ms);
  if (away > 0)
    gkv_put_varint (body, away);
  gkv_links_send (self, link, GKV_MESSAGE_LARGE);
}

void
gkv_links_send_record (GkvLinks *self, GkvLink *link, GkvRecord *record, GkvMessageKind kind)
{
  GByteArray *body = gkv_links_begin_message (self);
  gint64 left_ms = gkv_runtime_get_left_ms (self->runtime, record);
  gsize room = gkv_links_get_max_body (self, link) - (kind == GKV_MESSAGE_RUMOUR ? GKV_SPREAD_SIZE : 0);

  self->runtime->counters.records_sent++;
  if (gkv_record_get_wire_size (record) > room)
    {
      announce (self, link, record, left_ms, 0);
      return;
    }

  gkv_put_record (body, record, left_ms);
  gkv_links_send (self, link, kind);
}

void
gkv_links_give_record (GkvLinks *self, GkvLink *link, GkvRecord *record, guint64 away)
{
  gint64 kept_ms = gkv_runtime_get_kept_ms (self->runtime, record);
  GByteArray *body;

  if (away == 0 && kept_ms < 0)
    {
      gkv_links_send_record (self, link, record, GKV_MESSAGE_RECORD);
      return;
    }

  self->runtime->counters.records_sent++;
  if (gkv_record_get_wire_size (record) + OLD_HEAD > gkv_links_get_max_body (self, link))
    {
      announce (self, link, record, MAX (kept_ms, gkv_runtime_get_left_ms (self->runtime, record)), away);
      return;
    }

  body = gkv_links_begin_message (self);
  gkv_put_varint (body, away);
  gkv_put_left (body, kept_ms);
  gkv_put_record (body, record, gkv_runtime_get_left_ms (self->runtime, record));
  gkv_links_send (self, link, GKV_MESSAGE_OLD_RECORD);
}

guint64
gkv_links_get_token (GkvLinks *self, const char *address)
{
  return compute_token (self, address, get_epoch (self));
}

static GkvLink *
add_link (GkvLinks *self, const char *address)
{
  GkvLink *link = g_new0 (GkvLink, 1);

  link->address = g_strdup (address);
  link->given_epoch = NO_EPOCH;
  gkv_links_set_wanted (self, link, 0);
  link->hash = gkv_runtime_hash_text (self->runtime, address);
  g_hash_table_insert (self->links, &link->hash, link);
  self->listener.added (link, self->data);
  return link;
}

GkvLink *
gkv_links_trust (GkvLinks *self, const char *address, guint64 their_token)
{
  GkvLink *link = add_link (self, address);

  link->proved = TRUE;
  link->their_token = their_token;
  link->given_epoch = get_epoch (self);
  link->last_ident = link->last_received = self->runtime->now.mono;
  link->introduced = TRUE;
  link->most = link->max_datagram = self->runtime->max_datagram;
  return link;
}

gboolean
gkv_links_is_token (GkvLinks *self, const GkvLink *link, guint64 token)
{
  gint64 epoch = get_epoch (self);

  return token != 0 && (token == compute_token (self, link->address, epoch) ||
                        token == compute_token (self, link->address, epoch - 1));
}

/* Whether @echo is the token of this address, in this epoch or the one before. @link: nullable. */
static gboolean
is_proof (GkvLinks *self, GkvLink *link, const char *address, guint64 echo)
{
  if (echo == 0)
    return FALSE;

  if (echo == get_token (self, link, address))
    return TRUE;

  if (echo != compute_token (self, address, get_epoch (self) - 1))
    return FALSE;

  /* The new one may have got lost. */
  if (link != NULL)
    link->given_epoch = NO_EPOCH;
  return TRUE;
}

/* What there is instead of messages is a token. No datagram is smaller. */
static void
send_bare_token (GkvLinks *self, const char *address)
{
  GByteArray *out = g_byte_array_sized_new (GKV_WIRE_HEADER_SIZE);

  put_header (self, out, compute_token (self, address, get_epoch (self)));
  out->data[3] = GKV_WIRE_UNPROVED;
  queue_datagram (self, address, out);
}

/* @with_run: says of which generation this node is. */
static void
send_token (GkvLinks *self, const char *address, guint64 echo, guint64 token, gboolean with_run)
{
  GByteArray *out = g_byte_array_sized_new (GKV_WIRE_HEADER_SIZE + 2 + TOKEN_SIZE + RUN_SIZE);

  put_header (self, out, echo);
  gkv_put_u8 (out, GKV_MESSAGE_TOKEN);
  gkv_put_varint (out, with_run ? TOKEN_SIZE + RUN_SIZE : TOKEN_SIZE);
  gkv_put_u64 (out, token);
  if (with_run)
    gkv_put_u32 (out, self->runtime->generation);
  queue_datagram (self, address, out);
}

void
gkv_links_send_token (GkvLinks *self, const char *address, guint64 echo)
{
  send_token (self, address, echo, compute_token (self, address, get_epoch (self)), FALSE);
}

void
gkv_links_send_question (GkvLinks *self, const char *address, guint64 number)
{
  send_token (self, address, 0, number, TRUE);
}

void
gkv_links_send_ident (GkvLinks *self, GkvLink *link, guint8 flags)
{
  GkvSummary held = { 0 };
  GByteArray *body;

  link->last_ident = self->runtime->now.mono;
  if (self->runtime->synced)
    flags |= GKV_IDENT_FLAG_SYNCED;
  if (!(flags & GKV_IDENT_FLAG_LEAVING))
    gkv_store_summarise (self->runtime->store, GKV_RANGE_EVERYTHING, &held);

  body = gkv_links_begin_message (self);
  gkv_put_u64 (body, get_token (self, link, link->address));
  link->given_epoch = get_epoch (self);
  gkv_links_send (self, link, GKV_MESSAGE_TOKEN);

  body = gkv_links_begin_message (self);
  gkv_put_u64 (body, self->runtime->generation);
  gkv_put_incarnation (body, &self->runtime->incarnation);
  gkv_put_u64 (body, self->runtime->cluster_hash);
  gkv_put_u8 (body, flags);
  gkv_put_string (body, self->runtime->id);
  gkv_put_address (body, self->runtime->advertise != NULL ? self->runtime->advertise : "");
  gkv_put_varint (body, self->runtime->n_alive);
  gkv_put_u32 (body, self->runtime->sum_alive);
  gkv_put_varint (body, self->runtime->max_datagram);
  gkv_put_varint (body, held.count);
  gkv_put_varint (body, MAX (self->runtime->now.wall, 0) / GKV_SECOND);
  if (link->past_token != 0)
    gkv_put_u64 (body, link->past_token);
  gkv_links_send (self, link, GKV_MESSAGE_IDENT);
}

void
gkv_links_renew_idents (GkvLinks *self)
{
  GHashTableIter iter;
  GkvLink *link;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    link->last_ident = 0;
}

/* Opening */

static void
greet (GkvLinks *self, GkvLink *link)
{
  g_hash_table_remove (self->by_greeting, &link->greeting);
  link->greeting = get_token (self, link, link->address);
  g_hash_table_replace (self->by_greeting, &link->greeting, link);
  link->greeted = self->runtime->now.mono;
  send_token (self, link->address, 0, link->greeting, FALSE);
}

static void
look_at_opening (GkvLinks *self, gint64 when)
{
  self->opening_due = MIN (self->opening_due, when);
  gkv_runtime_wake_at (self->runtime, self->opening_due);
}

static void
begin_opening (GkvLinks *self, GkvLink *link, guint64 place)
{
  if (link->opened != 0 || self->opening->len >= MAX_OPENING)
    return;

  link->opened = MAX (self->runtime->now.mono, 1);
  link->place = place;
  g_ptr_array_add (self->opening, link);
  look_at_opening (self, self->runtime->now.mono + GREET_PERIOD);
}

static void
end_opening (GkvLinks *self, GkvLink *link)
{
  if (link->opened == 0)
    return;

  link->opened = 0;
  g_hash_table_remove (self->by_greeting, &link->greeting);
  g_ptr_array_remove_fast (self->opening, link);
}

GkvLink *
gkv_links_open (GkvLinks *self, const char *address, guint64 place)
{
  GkvLink *link = gkv_links_lookup (self, address);

  if (link == NULL)
    {
      if (self->opening->len >= MAX_OPENING || g_hash_table_size (self->links) >= MAX_LINKS)
        return NULL;

      link = add_link (self, address);
    }
  if (!gkv_link_is_usable (link) && link->opened == 0)
    {
      begin_opening (self, link, place);
      greet (self, link);
    }
  return link;
}

guint
gkv_links_get_n_opening (GkvLinks *self)
{
  return self->opening->len;
}

/* The node there has replied. What it gets first is who we are; what has waited goes along. */
static void
release (GkvLinks *self, GkvLink *link)
{
  g_autoptr (GPtrArray) waiting = g_steal_pointer (&link->waiting);

  end_opening (self, link);
  for (guint i = 0; waiting != NULL && i < waiting->len; i++)
    {
      GByteArray *held = g_ptr_array_index (waiting, i);

      gkv_links_make_room (self, link, held->len - GKV_WIRE_HEADER_SIZE);
      if (link->out == NULL)
        {
          link->out = g_byte_array_sized_new (held->len);
          put_header (self, link->out, link->their_token);
          g_ptr_array_add (self->filling, link);
        }
      g_byte_array_append (link->out, held->data + GKV_WIRE_HEADER_SIZE, held->len - GKV_WIRE_HEADER_SIZE);
    }
}

static void
drop (GkvLinks *self, GkvLink *link)
{
  end_opening (self, link);
  if (link->out != NULL)
    g_ptr_array_remove_fast (self->filling, link);
  self->listener.removed (link, self->data);
}

/* What was greeted at one address replies from another one, and is met there. */
static void
follow (GkvLinks *self, const char *address, guint64 greeting)
{
  GkvLink *greeted = greeting != 0 ? g_hash_table_lookup (self->by_greeting, &greeting) : NULL;
  GkvLink *link;

  if (greeted == NULL)
    return;

  link = gkv_links_lookup (self, address);
  if (link == NULL && g_hash_table_size (self->links) < MAX_LINKS)
    link = add_link (self, address);
  if (link == NULL || link == greeted || link->waiting != NULL)
    return;

  link->waiting = g_steal_pointer (&greeted->waiting);
  if (gkv_link_is_usable (link))
    release (self, link);
  else
    begin_opening (self, link, greeted->place);
}

static void
tick_opening (GkvLinks *self)
{
  gint64 now = self->runtime->now.mono;

  if (now < self->opening_due)
    {
      gkv_runtime_wake_at (self->runtime, self->opening_due);
      return;
    }

  self->opening_due = G_MAXINT64;
  for (guint i = self->opening->len; i > 0; i--)
    {
      GkvLink *link = g_ptr_array_index (self->opening, i - 1);

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      if (now - link->opened >= OPENS_FOR)
        {
          self->listener.unreached (link, self->data);
          drop (self, link);
          g_hash_table_remove (self->links, &link->hash);
          continue;
        }
      if (now - link->greeted >= GREET_PERIOD)
        greet (self, link);
      look_at_opening (self, MIN (link->greeted + GREET_PERIOD, link->opened + OPENS_FOR));
    }
}

/* A link that nobody uses is dropped; the other side proves itself anew. */
static void
drop_idle_links (GkvLinks *self)
{
  GHashTableIter iter;
  GkvLink *link;
  gboolean full = g_hash_table_size (self->links) >= MAX_LINKS;
  guint n_left = g_hash_table_size (self->links);

  if (self->runtime->now.mono - self->swept < (full ? SWEEP_PERIOD_FULL : SWEEP_PERIOD))
    return;
  self->swept = self->runtime->now.mono;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    {
      gint64 idle = self->runtime->now.mono - link->last_received;

      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (link->out != NULL || link->opened != 0 || self->listener.is_in_use (link, self->data) ||
          (!full && idle < (n_left > FEW_LINKS ? LINK_IDLE : LINK_IDLE_LAST)))
        continue;

      drop (self, link);
      g_hash_table_iter_remove (&iter);
      n_left--;
    }
}

void
gkv_links_tick (GkvLinks *self)
{
  tick_opening (self);
  drop_idle_links (self);
}

/* Receiving */

/* The last token among the messages that @reader is at; 0: none. @run (nullable): what is said of the sender's
 * generation; 0: nothing. */
static guint64
read_token (GkvReader *reader, guint32 *run)
{
  guint64 token = 0;

  while (gkv_reader_get_left (reader) > 0)
    {
      guint8 kind = gkv_reader_u8 (reader);
      gsize len = gkv_reader_varint (reader);
      GkvReader body;
      const guint8 *bytes = gkv_reader_bytes (reader, len);

      if (bytes == NULL)
        break;

      if (kind == GKV_MESSAGE_TOKEN)
        {
          gkv_reader_init (&body, bytes, len);
          token = gkv_reader_u64 (&body);
          if (run != NULL && gkv_reader_get_left (&body) >= RUN_SIZE)
            *run = gkv_reader_u32 (&body);
        }
    }

  return token;
}

/* A node whose datagram proves nothing may ask for a token, or be told which one it has to echo: never more bytes than
 * came. */
static void
receive_unproved (GkvLinks *self, const char *address, guint64 echo, GkvReader *reader)
{
  guint32 run = 0;
  guint64 token = read_token (reader, &run);

  if (!self->listener.unproved (address, echo, token, run, self->data))
    return;

  self->runtime->counters.datagrams_refused++;
  follow (self, address, echo);
  if (token != 0)
    send_token (self, address, token, compute_token (self, address, get_epoch (self)), run != 0);
  else
    send_bare_token (self, address);
}

/* What we sent proves nothing to a peer: it began anew, or we send from another address than before. It is shown who we
 * are, and that we have received at the former address. Anybody can say so in its name, so nothing else follows from
 * it. */
static void
receive_doubt (GkvLinks *self, const char *address, guint64 token)
{
  GkvLink *link = gkv_links_lookup (self, address);
  guint64 theirs, past;

  if (link == NULL || !gkv_link_is_usable (link) || token == 0 || token == link->their_token ||
      (link->reproved != 0 && self->runtime->now.mono - link->reproved < REPROVE_PERIOD))
    return;

  link->reproved = self->runtime->now.mono;
  gkv_links_end_datagram (self, link);
  theirs = link->their_token;
  past = link->past_token;
  link->their_token = token;
  link->past_token = theirs;
  gkv_links_send_ident (self, link, GKV_IDENT_FLAG_ANSWER);
  gkv_links_end_datagram (self, link);
  link->their_token = theirs;
  link->past_token = past;
}

/* Another token than before: the node there began anew, and knows nothing of us. */
void
gkv_links_handle_token (GkvLink *link, GkvReader *reader)
{
  guint64 token = gkv_reader_u64 (reader);

  if (reader->failed || token == link->their_token)
    return;

  link->past_token = link->their_token;
  link->their_token = token;
  link->last_ident = 0;
}

/* The node there knows us, and goes on to the next token. */
static void
handle_renew (GkvLink *link, GkvReader *reader)
{
  guint64 token = gkv_reader_u64 (reader);

  if (reader->failed || token == link->their_token || link->their_token == 0)
    return;

  link->past_token = link->their_token;
  link->their_token = token;
}

static void
receive_proved (GkvLinks *self, GkvLink *link, GkvReader *reader)
{
  link->last_received = self->runtime->now.mono;
  link->proved = TRUE;
  self->answer_left = 0;
  if (gkv_fifo_get_length (&self->datagrams) < MAX_WAITING)
    self->answer_left = MAX (MAX_ANSWER, MAX_ANSWER_DATAGRAMS * self->runtime->max_datagram);
  self->listener.begins (link, self->data);

  while (gkv_reader_get_left (reader) > 0)
    {
      guint8 kind = gkv_reader_u8 (reader);
      gsize len = gkv_reader_varint (reader);
      const guint8 *bytes = gkv_reader_bytes (reader, len);
      GkvReader body;

      if (bytes == NULL)
        {
          self->runtime->counters.datagrams_refused++;
          break;
        }

      gkv_reader_init (&body, bytes, len);
      if (kind == GKV_MESSAGE_SIZE)
        handle_size (self, link, &body);
      else if (kind == GKV_MESSAGE_RENEW)
        handle_renew (link, &body);
      else
        self->listener.received (link, kind, &body, self->data);
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
    }

  self->listener.ended (link, self->data);
  if (link->opened != 0 && gkv_link_is_usable (link))
    release (self, link);
  else if (link->their_token == 0 && link->opened == 0)
    {
      begin_opening (self, link, 0);
      greet (self, link);
    }
}

void
gkv_links_send_refusal (GkvLinks *self, const char *address, const guint8 *header, guint64 token)
{
  GByteArray *out = g_byte_array_sized_new (GKV_WIRE_HEADER_SIZE);

  g_byte_array_append (out, header, GKV_WIRE_HEADER_SIZE - 8);
  out->data[3] = GKV_WIRE_REFUSED;
  gkv_put_u64 (out, token);
  queue_datagram (self, address, out);
}

/* A datagram of another cluster. It may be a greeting: then there is a token. */
static void
receive_from_other_cluster (GkvLinks *self, const char *address, const guint8 *data, gsize len)
{
  GkvReader reader;

  gkv_reader_init (&reader, data, len);
  gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE);
  self->listener.other_cluster (address, data, read_token (&reader, NULL), self->data);
}

static gboolean
check_header (GkvLinks *self, const char *address, const guint8 *data, gsize len)
{
  GkvReader reader;
  guint64 token;

  gkv_reader_init (&reader, data, len);
  if (gkv_reader_u8 (&reader) != 'G' || gkv_reader_u8 (&reader) != 'K' || len < GKV_WIRE_HEADER_SIZE)
    return FALSE;

  if (data[2] != GKV_WIRE_VERSION)
    {
      self->listener.other_version (address, data[2], self->data);
      /* A bare header notifies the other side, and itself gets no reply. */
      if (len > GKV_WIRE_HEADER_SIZE)
        {
          GByteArray *out = g_byte_array_sized_new (GKV_WIRE_HEADER_SIZE);

          put_header (self, out, 0);
          queue_datagram (self, address, out);
        }
      return FALSE;
    }

  gkv_reader_u16 (&reader);
  if (gkv_reader_u32 (&reader) != (guint32) self->runtime->cluster_hash)
    {
      if (data[3] == GKV_WIRE_PLAIN)
        receive_from_other_cluster (self, address, data, len);
      return FALSE;
    }

  token = gkv_reader_u64 (&reader);
  if (data[3] == GKV_WIRE_UNPROVED)
    receive_doubt (self, address, token);
  else if (data[3] == GKV_WIRE_REFUSED && is_proof (self, gkv_links_lookup (self, address), address, token))
    self->listener.refused (address, self->data);
  return data[3] == GKV_WIRE_PLAIN;
}

void
gkv_links_receive (GkvLinks *self, const char *address, gconstpointer data, gsize len)
{
  GkvReader reader;
  GkvLink *link;
  guint64 echo;

  self->runtime->counters.datagrams_received++;
  self->runtime->counters.bytes_received += len;

  if (self->runtime->leaving)
    return;

  if (!check_header (self, address, data, len))
    {
      self->runtime->counters.datagrams_refused++;
      return;
    }

  gkv_reader_init (&reader, data, len);
  gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE);
  echo = gkv_wire_get_echo (data, len);

  link = gkv_links_lookup (self, address);

  if (!is_proof (self, link, address, echo))
    {
      receive_unproved (self, address, echo, &reader);
      return;
    }

  if (link == NULL)
    {
      if (g_hash_table_size (self->links) >= MAX_LINKS)
        drop_idle_links (self);
      if (g_hash_table_size (self->links) >= MAX_LINKS)
        {
          self->runtime->counters.datagrams_refused++;
          return;
        }

      link = add_link (self, address);
    }

  receive_proved (self, link, &reader);
}
