/* The anti-entropy of the members.
 *
 * Pings bring a sum over all members that their sender holds alive. Where the two sums differ by one member, that one
 * is sent. Else the node that knows fewer asks what it lacks: it sends a Bloom filter of those that it knows, and gets
 * the others. It asks one peer at a time, so that nobody is listed to it twice; and a node that has just joined goes on
 * with others as long as something comes of it. Of a thousand nodes that start at once each gets each other one about
 * once, and none of them has more to send than the others: what one has to list is bounded, and who gets less asks
 * elsewhere.
 *
 * A filter takes one that it doesn't have for one that it has, now and then. The next one has another salt.
 *
 * Source: Byers, Considine, Mitzenmacher and Rost, "Informed content delivery across adaptive overlay networks",
 * SIGCOMM 2002.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-roster.h"

#include <string.h>

/* A filter has so many bits for each member, and each sets so many of them: one in a hundred is missed. */
#define BITS_EACH 10
#define N_BITS    5

/* More members than that are asked for in several parts of the ring, one after the other. */
#define MAX_PART  700
#define MAX_DEPTH 8

/* An answer that takes longer has got lost. */
#define PATIENCE (500 * GKV_MS)
#define MAX_LOST 3

/* A node that learns asks the next one so soon; one that learns nothing new waits so long, and twice as long each time.
 */
#define NEXT_PERIOD  (150 * GKV_MS)
#define FIRST_PERIOD (GKV_SECOND / 4)
#define LAST_PERIOD  (30 * GKV_SECOND)

/* What differs a little is under way to us already, when something has come within this time. */
#define SETTLES GKV_SECOND
#define LITTLE  3

/* A node that knows no more than its seed is sent so many bytes of others at once. */
#define KNOWS_NOBODY 2
#define MAX_FIRST    800

/* It waits so long for them before it asks. */
#define FIRST_PATIENCE (30 * GKV_MS)

/* One with so few peers says to each of them at once that it knows more than before. */
#define FEW_PEERS 4

/* Learners need peers to ask. */
#define MIN_PEERS 6

/* Bytes that a node lists in all; beyond them each gets one datagram. */
#define BYTES_AT_ONCE  (256 * 1024)
#define BYTES_A_SECOND (128 * 1024)

/* What is before an entry, at the most. */
#define LENGTH_SIZE 2

/* What a look at one member costs, of the budget of a datagram's answers. */
#define LOOK_COST 2

/* In LISTED: there would have been more. */
#define FLAG_MORE 1

struct _GkvRoster
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvContacts *contacts;
  GkvMembers *members;
  GByteArray *entry;

  /* What this node asks */
  GkvLink *asked; /* NULL: nobody */
  gint64 asked_until;
  guint16 serial;
  guint depth;       /* the ring is divided into 2^depth parts */
  guint part;        /* the one that is asked for */
  guint n_parts;     /* that are still to come */
  guint n_before;    /* members that were known before the first */
  gboolean had_less; /* the peer had more to list than it did */
  guint n_lost;      /* answers in a row */
  gboolean learning;
  GkvMember *last; /* the one that was asked before; only to be compared */
  gint64 due;      /* nobody is asked before */
  gint64 period;

  /* What it lists */
  GkvBudget bytes;
};

GkvRoster *
gkv_roster_new (GkvRuntime *runtime, GkvLinks *links, GkvContacts *contacts, GkvMembers *members)
{
  GkvRoster *self = g_new0 (GkvRoster, 1);

  self->runtime = runtime;
  self->links = links;
  self->contacts = contacts;
  self->members = members;
  self->entry = g_byte_array_new ();
  self->period = FIRST_PERIOD;
  self->bytes = (GkvBudget){ BYTES_AT_ONCE, runtime->now.mono };
  return self;
}

void
gkv_roster_free (GkvRoster *self)
{
  g_byte_array_unref (self->entry);
  g_free (self);
}

/* Entries */

/* Makes an entry of its own. */
static GByteArray *
make_entry (GkvRoster *self,
            GkvPeerState status,
            guint64 generation,
            const GkvIncarnation *incarnation,
            const char *id,
            const char *address)
{
  g_byte_array_set_size (self->entry, 0);
  gkv_put_u8 (self->entry, status);
  gkv_put_u64 (self->entry, generation);
  gkv_put_incarnation (self->entry, incarnation);
  gkv_put_string (self->entry, id);
  gkv_put_address (self->entry, address != NULL ? address : "");
  return self->entry;
}

static GByteArray *
make_member (GkvRoster *self, const GkvMember *member, GkvPeerState status)
{
  return make_entry (self, status, member->profile->generation, &member->profile->incarnation, member->profile->id,
                     member->profile->address);
}

/* An entry has its length before it, so that one of a later version can be skipped, or be longer. */
static void
put_entry (GByteArray *body, const GByteArray *entry)
{
  gkv_put_varint (body, entry->len);
  g_byte_array_append (body, entry->data, entry->len);
}

void
gkv_roster_put_member (GkvRoster *self, GByteArray *body, const GkvMember *member, GkvPeerState status)
{
  put_entry (body, make_member (self, member, status));
}

void
gkv_roster_put_self (GkvRoster *self, GByteArray *body, GkvPeerState status)
{
  put_entry (body, make_entry (self, status, self->runtime->generation, &self->runtime->incarnation, self->runtime->id,
                               self->runtime->advertise));
}

/* Filters */

static guint64
mix (guint64 value, guint8 salt)
{
  value += (salt + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  value = (value ^ value >> 30) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  value = (value ^ value >> 27) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return value ^ value >> 31;
}

static guint
get_bit (guint64 mixed, guint nth, guint n_bits)
{
  return ((guint32) mixed + nth * ((guint32) (mixed >> 32) | 1)) % n_bits;
}

static void
filter_add (guint8 *filter, guint n_bits, guint64 mixed)
{
  for (guint i = 0; i < N_BITS; i++)
    {
      guint bit = get_bit (mixed, i, n_bits);

      filter[bit / 8] |= 1 << bit % 8;
    }
}

static gboolean
filter_has (const guint8 *filter, guint n_bits, guint64 mixed)
{
  if (n_bits == 0)
    return FALSE;

  for (guint i = 0; i < N_BITS; i++)
    {
      guint bit = get_bit (mixed, i, n_bits);

      if ((filter[bit / 8] & 1 << bit % 8) == 0)
        return FALSE;
    }
  return TRUE;
}

static guint64
mix_member (const GkvMember *member, guint8 salt)
{
  return mix (member->profile->place ^ member->profile->generation, salt);
}

/* The members of a part of the ring: from the first number up to the second. */
static void
get_part (GkvRoster *self, guint depth, guint part, guint *first, guint *end)
{
  *first = depth == 0 ? 0 : gkv_members_find_place (self->members, (guint64) part << (64 - depth));
  *end = part + 1 == 1u << depth ? gkv_members_get_n (self->members)
                                 : gkv_members_find_place (self->members, (guint64) (part + 1) << (64 - depth));
}

/* Asking */

static void
ask_part (GkvRoster *self)
{
  GByteArray *body = gkv_links_begin_message (self->links);
  guint8 salt = gkv_runtime_random (self->runtime, 256);
  gsize room = gkv_links_get_max_body (self->links, self->asked);
  guint first, end, size, n_bits, head;

  get_part (self, self->depth, self->part, &first, &end);
  gkv_put_u16 (body, ++self->serial);
  gkv_put_u8 (body, self->depth);
  gkv_put_u8 (body, self->part);
  gkv_put_u8 (body, salt);
  gkv_roster_put_summary (self, body);

  head = body->len;
  size = MIN (((end - first) * BITS_EACH + 7) / 8, room - head);
  g_byte_array_set_size (body, head + size);
  memset (body->data + head, 0, size);
  n_bits = size * 8;
  for (guint i = first; i < end; i++)
    {
      const GkvMember *member = gkv_members_get_nth (self->members, i);

      if (gkv_member_is_live (member))
        filter_add (body->data + head, n_bits, mix_member (member, salt));
    }

  gkv_runtime_breathe (self->runtime, (end - first) * GKV_COST_MEMBER);
  gkv_links_send (self->links, self->asked, GKV_MESSAGE_LACKING);
  self->asked_until = self->runtime->now.mono + PATIENCE;
  gkv_runtime_wake_at (self->runtime, self->asked_until);
}

static void
ask (GkvRoster *self, GkvLink *link, guint64 n_theirs)
{
  guint64 n_most = MAX (n_theirs, self->runtime->n_alive);

  if (self->asked != NULL || self->runtime->now.mono < self->due || !gkv_link_is_usable (link))
    return;

  self->depth = 0;
  while (self->depth < MAX_DEPTH && n_most >> self->depth > MAX_PART)
    self->depth++;
  self->asked = link;
  self->last = link->member;
  self->part = gkv_runtime_random (self->runtime, 1 << self->depth);
  self->n_parts = 1 << self->depth;
  self->n_before = self->runtime->n_alive;
  self->had_less = FALSE;
  ask_part (self);
}

static void
end_asking (GkvRoster *self, gboolean again, gint64 period)
{
  self->asked = NULL;
  self->learning = again;
  self->due = self->runtime->now.mono + period;
  if (again)
    gkv_runtime_wake_at (self->runtime, self->due);
}

/* One that learns has a few to ask. */
static void
find_peers (GkvRoster *self)
{
  guint n = gkv_members_get_n (self->members);
  GkvMember *member = n > 0 ? gkv_members_get_nth (self->members, gkv_runtime_random (self->runtime, n)) : NULL;

  if (member == NULL || gkv_member_has_link (member) || member->profile->address == NULL ||
      !gkv_member_is_live (member) || gkv_links_get_n (self->links) >= MIN_PEERS)
    return;

  gkv_contacts_add (self->contacts, member->profile->address, FALSE);
  gkv_contacts_hasten (self->contacts, member->profile->address);
}

void
gkv_roster_tick (GkvRoster *self)
{
  GkvMember *peer;

  if (self->asked != NULL && self->runtime->now.mono >= self->asked_until)
    end_asking (self, self->learning && ++self->n_lost < MAX_LOST, NEXT_PERIOD);

  if (self->asked == NULL && self->learning && self->runtime->now.mono >= self->due)
    {
      find_peers (self);
      peer = gkv_members_pick_one (self->members, self->last);
      if (peer == NULL && self->last != NULL)
        peer = gkv_members_pick_one (self->members, NULL);
      if (peer != NULL)
        ask (self, peer->link, 0);
      else
        self->learning = FALSE;
    }

  if (self->asked != NULL)
    gkv_runtime_wake_at (self->runtime, self->asked_until);
  else if (self->learning)
    gkv_runtime_wake_at (self->runtime, self->due);
}

/* Listing */

/* Sends those from @first to @end that aren't in the filter, beginning anywhere, up to so many @bytes. What they add to
 * the sum goes to @sum. Returns how many, and in @more whether there would have been others. */
static guint
list (GkvRoster *self,
      GkvLink *link,
      guint first,
      guint end,
      const guint8 *filter,
      guint n_bits,
      guint8 salt,
      gsize bytes,
      guint32 *sum,
      gboolean *more)
{
  GByteArray *body = gkv_links_begin_message (self->links);
  guint start = gkv_runtime_random (self->runtime, end - first);
  const GByteArray *entry;
  gsize n_bytes = 0;
  guint n = 0;

  *more = FALSE;
  for (guint i = 0; i < end - first; i++)
    {
      const GkvMember *member = gkv_members_get_nth (self->members, first + (start + i) % (end - first));

      if (member == link->member || member->profile->address == NULL || !gkv_member_is_live (member) ||
          filter_has (filter, n_bits, mix_member (member, salt)))
        continue;

      entry = make_member (self, member, GKV_PEER_STATE_ALIVE);
      if (body->len + LENGTH_SIZE + entry->len > gkv_links_get_max_body (self->links, link) ||
          n_bytes + body->len >= bytes)
        {
          n_bytes += body->len;
          if (body->len > 0)
            gkv_links_send (self->links, link, GKV_MESSAGE_LISTING);
          body = gkv_links_begin_message (self->links);
          *more = n_bytes >= bytes || !gkv_links_spend (self->links, n_bytes);
          if (*more)
            break;
        }
      put_entry (body, entry);
      *sum += gkv_member_get_term (member);
      n++;
    }
  if (body->len > 0)
    gkv_links_send (self->links, link, GKV_MESSAGE_LISTING);

  self->bytes.left -= MIN (n_bytes + body->len, self->bytes.left);
  return n;
}

static void
send_listed (GkvRoster *self, GkvLink *link, guint16 serial, gboolean more)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_put_u16 (body, serial);
  gkv_put_u8 (body, more ? FLAG_MORE : 0);
  gkv_roster_put_summary (self, body);
  gkv_links_send (self->links, link, GKV_MESSAGE_LISTED);
}

/* Where a node has few peers, as in a chain, they have few others to get the members from. */
static void
pass_on (GkvRoster *self, const GkvLink *from)
{
  for (guint i = 0; i < gkv_members_get_n_linked (self->members); i++)
    {
      const GkvMember *peer = gkv_members_get_nth_linked (self->members, i);

      if (peer->link != from && gkv_member_has_link (peer) && gkv_member_is_live (peer))
        send_listed (self, peer->link, 0, FALSE);
    }
}

static void
handle_listed (GkvRoster *self, GkvLink *link, GkvReader *reader)
{
  guint16 serial = gkv_reader_u16 (reader);
  guint8 flags = gkv_reader_u8 (reader);
  guint32 sum = gkv_reader_u32 (reader);
  guint64 n_theirs = gkv_reader_varint (reader);
  guint n_new;

  if (reader->failed)
    return;

  /* It isn't a reply, but says that there are members that we lack. */
  if (self->asked != link || serial != self->serial)
    {
      if (sum != gkv_members_get_sum (self->members) && n_theirs > self->runtime->n_alive)
        ask (self, link, n_theirs);
      return;
    }

  self->n_lost = 0;
  self->had_less |= (flags & FLAG_MORE) != 0;
  if (sum != gkv_members_get_sum (self->members) && !self->had_less && --self->n_parts > 0)
    {
      self->part = (self->part + 1) % (1 << self->depth);
      ask_part (self);
      return;
    }

  n_new = self->runtime->n_alive - MIN (self->n_before, self->runtime->n_alive);
  if (n_new > 0 && gkv_members_get_n_linked (self->members) <= FEW_PEERS)
    pass_on (self, link);
  if (sum == gkv_members_get_sum (self->members))
    {
      self->period = FIRST_PERIOD;
      end_asking (self, FALSE, 0);
    }
  else if (n_new > 0 || self->had_less)
    {
      self->period = FIRST_PERIOD;
      end_asking (self, TRUE, NEXT_PERIOD / 2 + gkv_runtime_random (self->runtime, NEXT_PERIOD));
    }
  else
    {
      end_asking (self, FALSE, self->period);
      self->period = MIN (2 * self->period, LAST_PERIOD);
    }
}

static void
handle_lacking (GkvRoster *self, GkvLink *link, GkvReader *reader)
{
  guint16 serial = gkv_reader_u16 (reader);
  guint8 depth = gkv_reader_u8 (reader);
  guint8 part = gkv_reader_u8 (reader);
  guint8 salt = gkv_reader_u8 (reader);
  guint32 sum = gkv_reader_u32 (reader);
  guint64 n_theirs = gkv_reader_varint (reader);
  gsize size = gkv_reader_get_left (reader);
  const guint8 *filter = gkv_reader_bytes (reader, size);
  guint first, end, n = 0;
  gboolean more = FALSE;

  if (reader->failed || depth > MAX_DEPTH || part >= 1u << depth)
    return;

  get_part (self, depth, part, &first, &end);
  if (!gkv_links_spend (self->links, (end - first) * LOOK_COST))
    return;

  gkv_runtime_breathe (self->runtime, (end - first) * GKV_COST_MEMBER);
  if (end > first)
    {
      gsize bytes = gkv_runtime_refill (self->runtime, &self->bytes, BYTES_A_SECOND, BYTES_AT_ONCE);

      n = list (self, link, first, end, filter, size * 8, salt, MAX (bytes, gkv_links_get_max_body (self->links, link)),
                &sum, &more);
    }
  send_listed (self, link, serial, more);

  /* What that one knows beside it, this node lacks. */
  if (!more && sum != gkv_members_get_sum (self->members) && n_theirs + n > self->runtime->n_alive)
    ask (self, link, n_theirs);
}

void
gkv_roster_handle (GkvRoster *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_LACKING)
    handle_lacking (self, link, reader);
  else
    handle_listed (self, link, reader);
}

/* Comparing */

void
gkv_roster_put_summary (GkvRoster *self, GByteArray *body)
{
  gkv_put_u32 (body, gkv_members_get_sum (self->members));
  gkv_put_varint (body, self->runtime->n_alive);
}

/* Where it is one member that only one of us holds alive, the difference of the sums is its own. FALSE: it isn't one.
 */
static gboolean
send_difference (GkvRoster *self, GkvLink *link, guint32 more)
{
  gkv_runtime_breathe (self->runtime, gkv_members_get_n (self->members) * GKV_COST_MEMBER);
  for (guint i = 0; i < gkv_members_get_n (self->members); i++)
    {
      const GkvMember *member = gkv_members_get_nth (self->members, i);

      if (gkv_member_get_term (member) != (gkv_member_is_live (member) ? more : -more))
        continue;

      gkv_roster_put_member (self, gkv_links_begin_message (self->links), member, member->status);
      gkv_links_send (self->links, link, GKV_MESSAGE_MEMBERS);
      return TRUE;
    }

  return FALSE;
}

void
gkv_roster_compare (GkvRoster *self, GkvLink *link, GkvReader *reader)
{
  guint32 more = gkv_members_get_sum (self->members) - gkv_reader_u32 (reader);
  guint64 n_theirs = gkv_reader_varint (reader);
  guint64 n_apart = ABS ((gint64) n_theirs - (gint64) self->runtime->n_alive);

  if (reader->failed || more == 0 || (n_apart <= 1 && send_difference (self, link, more)))
    return;

  if (n_apart <= LITTLE && self->runtime->now.mono - gkv_members_get_sum_since (self->members) < SETTLES)
    return;

  if (n_theirs < self->runtime->n_alive)
    send_listed (self, link, 0, FALSE);
  else
    ask (self, link, n_theirs);
}

/* Some are on their way, as this node has said that it knows nobody; it asks for the others. */
static void
begin_learning (GkvRoster *self)
{
  if (self->learning || self->asked != NULL)
    return;

  self->learning = TRUE;
  self->due = self->runtime->now.mono + FIRST_PATIENCE;
  gkv_runtime_wake_at (self->runtime, self->due);
}

void
gkv_roster_meet (GkvRoster *self, GkvLink *link, guint32 sum, guint64 n_known)
{
  guint32 own = gkv_members_get_sum (self->members);
  guint n = gkv_members_get_n (self->members);
  gboolean more;

  /* It may not have known us when it said so. */
  if (sum == own || sum == own - gkv_members_get_own_term (self->members))
    return;

  if (n_known <= KNOWS_NOBODY)
    list (self, link, 0, n, NULL, 0, 0, MAX_FIRST, &sum, &more);
  if (self->runtime->n_alive <= KNOWS_NOBODY && n_known > 0)
    begin_learning (self);
  else if (n_known >= self->runtime->n_alive)
    ask (self, link, n_known);
}

void
gkv_roster_forget_link (GkvRoster *self, const GkvLink *link)
{
  if (self->asked == link)
    end_asking (self, self->learning, 0);
}

gboolean
gkv_roster_is_learning (GkvRoster *self)
{
  return self->learning || self->asked != NULL;
}
