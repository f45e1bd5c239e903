/* Links: the addresses that a node sends to, and the proof that the node there receives what is sent there.
 *
 * Each side gives the other a token for its address, and each datagram echoes the token of its receiver. A datagram
 * without the right echo gets at most a token back, which is no longer than what came; so a forged source address
 * neither writes, nor reads, nor amplifies. Tokens are computed, not stored: strangers cost no memory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include "../gkv-error.h"

#include <string.h>

/* Tokens change this often; the one before is still taken. */
#define TOKEN_EPOCH (60 * 60 * GKV_SECOND)

#define MAX_OWN_ADDRESSES 256

#define MAX_LINKS 16384
#define LINK_IDLE (5 * 60 * GKV_SECOND)

/* Idle links are looked for when one is added, but not more often than that, as all have to be looked at. */
#define SWEEP_PERIOD      (60 * GKV_SECOND)
#define SWEEP_PERIOD_FULL GKV_SECOND

/* Two nodes of one id have nothing to say to each other for this long. */
#define DUPLICATE_QUIET (60 * GKV_SECOND)

/* Bytes of a message of those that come one at a time. */
#define SMALL 64

/* What goes out because of one datagram that came in, in bytes and at least in datagrams: more than a peer ever asks
 * for at once. And datagrams that may wait to be sent before no more is answered at all. */
#define MAX_ANSWER           (768 * 1024)
#define MAX_ANSWER_DATAGRAMS 80
#define MAX_WAITING          4096

#define IDENT_FLAG_ANSWER  1
#define IDENT_FLAG_LEAVING 2

static void
link_free (GkvLink *link)
{
  g_clear_pointer (&link->out, g_byte_array_unref);
  g_free (link->address);
  g_free (link);
}

void
gkv_links_init (GkvEngine *self)
{
  self->links = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) link_free);
  self->own_addresses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->filling = g_ptr_array_new ();
}

void
gkv_links_clear (GkvEngine *self)
{
  GHashTableIter iter;
  GkvLink *link;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    gkv_members_forget_link (self, link);

  g_ptr_array_unref (self->filling);
  g_hash_table_unref (self->own_addresses);
  g_hash_table_unref (self->links);
}

GkvLink *
gkv_links_lookup (GkvEngine *self, const char *address)
{
  return address != NULL ? g_hash_table_lookup (self->links, address) : NULL;
}

gboolean
gkv_link_is_usable (const GkvLink *link)
{
  return link->proved && link->their_token != 0;
}

/* Sending */

static void
put_header (GkvEngine *self, GByteArray *out, guint64 echo)
{
  g_byte_array_append (out, (const guint8 *) "GK", 2);
  gkv_put_u8 (out, GKV_WIRE_VERSION);
  gkv_put_u8 (out, GKV_WIRE_PLAIN);
  gkv_put_u32 (out, self->cluster_hash);
  gkv_put_u64 (out, echo);
}

static void
queue_datagram (GkvEngine *self, const char *address, GByteArray *out)
{
  GkvDatagram *datagram = gkv_fifo_push (&self->datagrams);

  self->counters.datagrams_sent++;
  self->counters.bytes_sent += out->len;
  datagram->address = g_strdup (address);
  datagram->bytes = g_byte_array_free_to_bytes (out);
}

void
gkv_links_end_datagram (GkvEngine *self, GkvLink *link)
{
  if (link->out == NULL)
    return;

  queue_datagram (self, link->address, g_steal_pointer (&link->out));
  g_ptr_array_remove_fast (self->filling, link);
}

void
gkv_links_make_room (GkvEngine *self, GkvLink *link, gsize size)
{
  if (link->out != NULL && link->out->len + size > self->max_datagram)
    gkv_links_end_datagram (self, link);
}

void
gkv_links_flush (GkvEngine *self)
{
  while (self->filling->len > 0)
    gkv_links_end_datagram (self, g_ptr_array_index (self->filling, self->filling->len - 1));
}

gboolean
gkv_engine_spend (GkvEngine *self, gsize cost)
{
  if (self->answer_left == 0)
    return FALSE;

  self->answer_left -= MIN (cost, self->answer_left);
  return TRUE;
}

GByteArray *
gkv_engine_begin_message (GkvEngine *self)
{
  g_byte_array_set_size (self->scratch, 0);
  return self->scratch;
}

gsize
gkv_engine_get_max_body (GkvEngine *self)
{
  return self->max_datagram - GKV_WIRE_HEADER_SIZE - 4;
}

/* Messages of one turn share datagrams. */
void
gkv_link_send (GkvEngine *self, GkvLink *link, GkvMessageKind kind)
{
  if (link->out != NULL && link->out->len + 4 + self->scratch->len > self->max_datagram)
    gkv_links_end_datagram (self, link);

  if (link->out == NULL)
    {
      /* What is no small message is seldom alone. */
      link->out =
          g_byte_array_sized_new (self->scratch->len < SMALL ? SMALL : self->max_datagram + GKV_WIRE_MESSAGE_HEAD);
      put_header (self, link->out, link->their_token);
      g_ptr_array_add (self->filling, link);
    }

  gkv_put_message (link->out, kind, self->scratch->data, self->scratch->len);
}

/* Tokens */

static gint64
get_epoch (GkvEngine *self)
{
  return self->now.mono / TOKEN_EPOCH;
}

static guint64
compute_token (GkvEngine *self, const char *address, gint64 epoch)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT " %s", epoch, address);
  g_autoptr (GHmac) hmac = g_hmac_new (G_CHECKSUM_SHA256, (const guint8 *) &self->secret, sizeof self->secret);
  guint8 digest[32];
  gsize len = sizeof digest;
  guint64 token;

  g_hmac_update (hmac, (const guint8 *) text, -1);
  g_hmac_get_digest (hmac, digest, &len);
  memcpy (&token, digest, sizeof token);

  return token != 0 ? token : 1;
}

guint64
gkv_links_get_token (GkvEngine *self, const char *address)
{
  return compute_token (self, address, get_epoch (self));
}

static GkvLink *
add_link (GkvEngine *self, const char *address)
{
  GkvLink *link = g_new0 (GkvLink, 1);

  link->address = g_strdup (address);
  g_hash_table_insert (self->links, link->address, link);
  return link;
}

GkvLink *
gkv_links_trust (GkvEngine *self, const char *address, guint64 their_token)
{
  GkvLink *link = add_link (self, address);

  link->proved = TRUE;
  link->their_token = their_token;
  link->last_ident = link->last_heard = self->now.mono;
  link->introduced = TRUE;
  return link;
}

/* The token of an address in this epoch, which is kept where there is a @link (nullable). */
static guint64
get_token (GkvEngine *self, GkvLink *link, const char *address)
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

/* Whether @echo is the token of this address, in this epoch or the one before. @link: nullable. */
static gboolean
is_proof (GkvEngine *self, GkvLink *link, const char *address, guint64 echo)
{
  if (echo == 0)
    return FALSE;

  if (echo == get_token (self, link, address))
    return TRUE;

  if (echo != compute_token (self, address, get_epoch (self) - 1))
    return FALSE;

  /* Tell them the new one in time. */
  if (link != NULL)
    link->last_ident = 0;
  return TRUE;
}

void
gkv_links_send_token (GkvEngine *self, const char *address, guint64 echo)
{
  GByteArray *out = g_byte_array_sized_new (GKV_WIRE_HEADER_SIZE + 10);

  put_header (self, out, echo);
  gkv_put_u8 (out, GKV_MESSAGE_TOKEN);
  gkv_put_varint (out, 8);
  gkv_put_u64 (out, compute_token (self, address, get_epoch (self)));
  queue_datagram (self, address, out);
}

static void
send_ident (GkvEngine *self, GkvLink *link, guint8 flags)
{
  GByteArray *body;

  link->last_ident = self->now.mono;

  body = gkv_engine_begin_message (self);
  gkv_put_u64 (body, get_token (self, link, link->address));
  gkv_link_send (self, link, GKV_MESSAGE_TOKEN);

  body = gkv_engine_begin_message (self);
  gkv_put_u64 (body, self->life);
  gkv_put_varint (body, self->incarnation);
  gkv_put_u64 (body, self->cluster_hash);
  gkv_put_u8 (body, flags);
  gkv_put_string (body, self->id);
  gkv_put_string (body, self->advertise != NULL ? self->advertise : "");
  gkv_put_varint (body, self->n_alive);
  gkv_link_send (self, link, GKV_MESSAGE_IDENT);
}

void
gkv_links_send_ident (GkvEngine *self, GkvLink *link, gboolean answer)
{
  send_ident (self, link, answer ? IDENT_FLAG_ANSWER : 0);
}

/* Also to those whose names aren't known here yet: they may have learnt ours already, or learn it from a datagram that
 * is under way. */
void
gkv_links_leave (GkvEngine *self)
{
  GHashTableIter iter;
  GkvLink *link;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    {
      if (!gkv_link_is_usable (link) || g_hash_table_contains (self->own_addresses, link->address))
        continue;

      send_ident (self, link, IDENT_FLAG_LEAVING);
      gkv_news_tell_self (self, link, GKV_PEER_STATE_LEFT);
    }
}

void
gkv_links_tell_all (GkvEngine *self)
{
  GHashTableIter iter;
  GkvLink *link;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    link->last_ident = 0;
}

/* A link that nobody uses is dropped; the other side proves itself anew. */
static void
drop_idle_links (GkvEngine *self)
{
  GHashTableIter iter;
  GkvLink *link;
  gboolean full = g_hash_table_size (self->links) >= MAX_LINKS;

  if (self->now.mono - self->links_swept < (full ? SWEEP_PERIOD_FULL : SWEEP_PERIOD))
    return;
  self->links_swept = self->now.mono;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    {
      gboolean in_use = link->member != NULL && link->member->link == link && gkv_member_is_live (link->member);

      if (in_use || link->out != NULL || (!full && self->now.mono - link->last_heard < LINK_IDLE))
        continue;

      gkv_members_forget_link (self, link);
      g_hash_table_iter_remove (&iter);
    }
}

/* Receiving */

/* The last token among the messages that @reader is at; 0: none. */
static guint64
read_token (GkvReader *reader)
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
        }
    }

  return token;
}

/* Somebody whose datagram proves nothing may ask for a token, or be told to: never more bytes than came. */
static void
receive_unproved (GkvEngine *self, const char *address, GkvReader *reader)
{
  guint64 echo = read_token (reader);

  self->counters.datagrams_refused++;
  if (reader->len >= GKV_WIRE_HEADER_SIZE + 10)
    gkv_links_send_token (self, address, echo);
}

static void
handle_ident (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  guint64 life = gkv_reader_u64 (reader);
  guint32 incarnation = gkv_reader_varint (reader);
  guint64 cluster_hash = gkv_reader_u64 (reader);
  guint8 flags = gkv_reader_u8 (reader);
  g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
  g_autofree char *advertise = gkv_reader_string (reader, GKV_WIRE_MAX_ADDRESS);
  /* Not said by the first versions. */
  guint64 n_known = gkv_reader_get_left (reader) > 0 ? gkv_reader_varint (reader) : 0;

  if (reader->failed || *id == '\0' || cluster_hash != self->cluster_hash)
    return;

  if (strcmp (id, self->id) == 0)
    {
      gkv_members_forget_link (self, link);
      if (life == self->life)
        {
          /* One forgotten is met again. */
          if (g_hash_table_size (self->own_addresses) >= MAX_OWN_ADDRESSES)
            g_hash_table_remove_all (self->own_addresses);
          g_hash_table_add (self->own_addresses, g_strdup (link->address));
        }
      else
        {
          if (gkv_contacts_note (self, link->address, GKV_CONTACT_DUPLICATE_ID))
            gkv_engine_report (self, link, GKV_ERROR_DUPLICATE_ID,
                               "Another live node, at %s, has this node's id \"%s\"; give each node an id of its own",
                               link->address, self->id);
          if (flags & IDENT_FLAG_ANSWER)
            gkv_links_send_ident (self, link, FALSE);
          link->quiet_until = self->now.mono + DUPLICATE_QUIET;
        }
      return;
    }

  g_hash_table_remove (self->own_addresses, link->address);
  if (flags & IDENT_FLAG_LEAVING)
    {
      gkv_members_leave (self, link, id, life, incarnation);
      return;
    }

  if (!gkv_members_identify (self, link, id, life, incarnation, advertise))
    return;

  if (flags & IDENT_FLAG_ANSWER)
    gkv_links_send_ident (self, link, FALSE);
  gkv_members_introduce (self, link, n_known);
}

static void
handle_duplicate (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  g_autofree char *address = gkv_reader_string (reader, GKV_WIRE_MAX_ADDRESS);

  if (address != NULL)
    gkv_engine_report (self, link, GKV_ERROR_DUPLICATE_ID,
                       "%s says that another live node, at %s, has this node's id \"%s\"; give each node an id of its "
                       "own",
                       link->address, address, self->id);
}

/* Another token than before: whoever is there began anew, and knows nothing of us. */
static void
handle_token (GkvLink *link, GkvReader *reader)
{
  guint64 token = gkv_reader_u64 (reader);

  if (reader->failed || token == link->their_token)
    return;

  link->their_token = token;
  link->last_ident = 0;
}

static void
dispatch (GkvEngine *self, GkvLink *link, guint8 kind, GkvReader *body)
{
  switch (kind)
    {
    case GKV_MESSAGE_TOKEN:
      handle_token (link, body);
      break;

    case GKV_MESSAGE_IDENT:
      handle_ident (self, link, body);
      break;

    case GKV_MESSAGE_DUPLICATE:
      handle_duplicate (self, link, body);
      break;

    case GKV_MESSAGE_CLOCK:
      if (link->member != NULL)
        gkv_engine_handle_clock (self, link, body);
      break;

    case GKV_MESSAGE_MEMBERS:
      if (link->member != NULL)
        gkv_members_handle (self, link, body);
      break;

    case GKV_MESSAGE_PING:
    case GKV_MESSAGE_ACK:
    case GKV_MESSAGE_PROBE:
      if (link->member != NULL)
        gkv_probes_handle (self, link, kind, body);
      break;

    case GKV_MESSAGE_RUMOUR:
    case GKV_MESSAGE_SPREAD:
    case GKV_MESSAGE_SPREAD_ACK:
      if (link->member != NULL)
        gkv_rumours_handle (self, link, kind, body);
      break;

    case GKV_MESSAGE_ASK:
    case GKV_MESSAGE_SAME:
    case GKV_MESSAGE_RANGE:
    case GKV_MESSAGE_ITEMS:
    case GKV_MESSAGE_OFFER:
    case GKV_MESSAGE_INVITE:
    case GKV_MESSAGE_SKETCH:
    case GKV_MESSAGE_ASK_CHUNK:
      if (link->member != NULL)
        gkv_exchange_handle (self, link, kind, body);
      break;

    case GKV_MESSAGE_RECORD:
    case GKV_MESSAGE_WANT:
    case GKV_MESSAGE_PULL:
    case GKV_MESSAGE_PAGE:
    case GKV_MESSAGE_NONE:
      if (link->member != NULL)
        gkv_transfer_handle (self, link, kind, body);
      break;

    case GKV_MESSAGE_LARGE:
    case GKV_MESSAGE_GET:
    case GKV_MESSAGE_DATA:
      if (link->member != NULL)
        gkv_pieces_handle (self, link, kind, body);
      break;

    default:
      /* Of a later version: skipped. */
      break;
    }
}

/* Who doesn't know us, or whom we don't know as it is now, is told who we are and asked the same. */
static void
consider_ident (GkvEngine *self, GkvLink *link)
{
  const GkvMember *member = link->member;
  gboolean current = member != NULL && link->life == member->life;
  gboolean known = current && gkv_member_is_live (member);

  /* One that has said that it leaves, and speaks all the same, is told so (gkv-members); but with another token than
   * before it is somebody who began anew. */
  if (current && member->status == GKV_PEER_STATE_LEFT && link->last_ident != 0)
    return;

  if (link->their_token == 0 || g_hash_table_contains (self->own_addresses, link->address))
    return;

  if (link->last_ident != 0 &&
      (known || self->now.mono < link->quiet_until || self->now.mono - link->last_ident < GKV_IDENT_PERIOD))
    return;

  gkv_links_send_ident (self, link, TRUE);

  /* It may get lost. */
  if (!known)
    gkv_contacts_hasten (self, link->address);
}

static void
receive_proved (GkvEngine *self, GkvLink *link, GkvReader *reader)
{
  link->last_heard = self->now.mono;
  link->proved = TRUE;
  self->spreading = FALSE;
  self->answer_left = 0;
  if (gkv_fifo_get_length (&self->datagrams) < MAX_WAITING)
    self->answer_left = MAX (MAX_ANSWER, MAX_ANSWER_DATAGRAMS * self->max_datagram);

  while (gkv_reader_get_left (reader) > 0)
    {
      guint8 kind = gkv_reader_u8 (reader);
      gsize len = gkv_reader_varint (reader);
      const guint8 *bytes = gkv_reader_bytes (reader, len);
      GkvReader body;

      if (bytes == NULL)
        {
          self->counters.datagrams_refused++;
          break;
        }

      gkv_reader_init (&body, bytes, len);
      dispatch (self, link, kind, &body);
      gkv_engine_breathe (self, GKV_COST_RECORD);
    }

  if (link->member != NULL)
    gkv_members_heard (self, link);

  consider_ident (self, link);
}

/* The answer reveals nothing but that somebody is there, and proves by their token that it isn't forged. */
static void
send_refusal (GkvEngine *self, const char *address, const guint8 *data, guint64 token)
{
  GByteArray *out = g_byte_array_sized_new (GKV_WIRE_HEADER_SIZE);

  g_byte_array_append (out, data, GKV_WIRE_HEADER_SIZE - 8);
  out->data[3] = GKV_WIRE_REFUSED;
  gkv_put_u64 (out, token);
  queue_datagram (self, address, out);
}

static void
report_other_cluster (GkvEngine *self, const char *address)
{
  GkvLink about = { .address = (char *) address };

  if (!gkv_contacts_is_named (self, address) || !gkv_contacts_note (self, address, GKV_CONTACT_OTHER_CLUSTER))
    return;

  gkv_engine_report (self, &about, GKV_ERROR_FAILED,
                     "The node at %s belongs to another cluster than this one, \"%s\"; give both the same cluster, or "
                     "don't name that address to this node",
                     address, self->cluster);
}

/* A datagram of another cluster. It may be a greeting: then it is answered, with fewer bytes than came. */
static void
receive_from_other_cluster (GkvEngine *self, const char *address, const guint8 *data, gsize len)
{
  GkvReader reader;
  guint64 token;

  report_other_cluster (self, address);

  gkv_reader_init (&reader, data, len);
  gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE);
  token = read_token (&reader);
  if (token != 0 && gkv_contacts_may_refuse (self))
    send_refusal (self, address, data, token);
}

static gboolean
check_header (GkvEngine *self, const char *address, const guint8 *data, gsize len)
{
  GkvReader reader;

  gkv_reader_init (&reader, data, len);
  if (gkv_reader_u8 (&reader) != 'G' || gkv_reader_u8 (&reader) != 'K' || len < GKV_WIRE_HEADER_SIZE)
    return FALSE;

  if (data[2] != GKV_WIRE_VERSION)
    {
      GkvLink about = { .address = (char *) address };

      if (gkv_contacts_note (self, address, GKV_CONTACT_OTHER_VERSION))
        gkv_engine_report (self, &about, GKV_ERROR_TRANSPORT,
                           "The node at %s speaks version %u of the protocol, this one version %u; "
                           "both need the same major version of the library",
                           address, data[2], GKV_WIRE_VERSION);
      /* A bare header tells the other side, and is itself never answered. */
      if (len > GKV_WIRE_HEADER_SIZE)
        {
          GByteArray *out = g_byte_array_sized_new (GKV_WIRE_HEADER_SIZE);

          put_header (self, out, 0);
          queue_datagram (self, address, out);
        }
      return FALSE;
    }

  gkv_reader_u16 (&reader);
  if (gkv_reader_u32 (&reader) != (guint32) self->cluster_hash)
    {
      if (data[3] == GKV_WIRE_PLAIN)
        receive_from_other_cluster (self, address, data, len);
      return FALSE;
    }

  if (data[3] == GKV_WIRE_REFUSED &&
      is_proof (self, gkv_links_lookup (self, address), address, gkv_reader_u64 (&reader)))
    report_other_cluster (self, address);
  return data[3] == GKV_WIRE_PLAIN;
}

/* Public */

void
gkv_engine_receive (GkvEngine *self, const char *address, gconstpointer data, gsize len, const GkvTime *now)
{
  GkvReader reader;
  GkvLink *link;
  guint64 echo;

  self->now = *now;
  self->counters.datagrams_received++;
  self->counters.bytes_received += len;

  if (self->leaving)
    return;

  if (!check_header (self, address, data, len))
    {
      self->counters.datagrams_refused++;
      return;
    }

  gkv_reader_init (&reader, data, len);
  gkv_reader_bytes (&reader, 8);
  echo = gkv_reader_u64 (&reader);

  link = gkv_links_lookup (self, address);

  if (!is_proof (self, link, address, echo))
    {
      receive_unproved (self, address, &reader);
      return;
    }

  if (link == NULL)
    {
      drop_idle_links (self);
      if (g_hash_table_size (self->links) >= MAX_LINKS)
        {
          self->counters.datagrams_refused++;
          return;
        }

      link = add_link (self, address);
    }

  gkv_engine_lock_store (self);
  receive_proved (self, link, &reader);
  gkv_engine_unlock_store (self);
}
