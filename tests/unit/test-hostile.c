/* A peer that has proved where it is, and then says what it likes: one datagram makes a node send and do little, and
 * nothing that comes breaks it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gossip/gkv-engine-private.h"
#include "pair.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

/* What one datagram of 1,200 bytes may make a node send. */
#define MOST 900000

#define DATAGRAM 1200

/* What UDP carries, whatever a node says that it takes. */
#define LARGEST 65000

/* Of a record that doesn't fit a datagram. */
#define PIECE 512

static GByteArray *
begin_datagram_from (Pair *pair, const char *address, guint to)
{
  GByteArray *out = g_byte_array_new ();
  GkvEngine *receiver = pair->sides[to].engine;

  g_byte_array_append (out, (const guint8 *) "GK", 2);
  gkv_put_u8 (out, GKV_WIRE_VERSION);
  gkv_put_u8 (out, GKV_WIRE_PLAIN);
  gkv_put_u32 (out, receiver->runtime->cluster_hash);
  gkv_put_u64 (out, gkv_links_get_token (receiver->links, address));
  return out;
}

static GByteArray *
begin_datagram (Pair *pair, guint from, guint to)
{
  return begin_datagram_from (pair, pair->sides[from].name, to);
}

/* As often as it fits. */
static GBytes *
repeat_message (Pair *pair, guint8 kind, GByteArray *body)
{
  GByteArray *out = begin_datagram (pair, 1, 0);

  while (out->len + 3 + body->len <= LARGEST)
    gkv_put_message (out, kind, body->data, body->len);
  gkv_wire_seal (out);
  return g_byte_array_free_to_bytes (out);
}

/* Gives it to the first side, and counts the bytes that come of it. */
static gsize
count_answer (Pair *pair, GBytes *datagram)
{
  PairSide *side = &pair->sides[0];
  GkvDatagram answer;
  GkvEvent event;
  gsize sent = 0, len;
  gconstpointer data = g_bytes_get_data (datagram, &len);

  gkv_engine_receive (side->engine, pair->sides[1].name, data, len, &pair->now);
  gkv_engine_tick (side->engine, &pair->now);
  while (gkv_engine_pop_datagram (side->engine, &answer))
    {
      sent += g_bytes_get_size (answer.bytes);
      gkv_datagram_clear (&answer);
    }
  while (gkv_engine_pop_event (side->engine, &event))
    gkv_event_clear (&event);
  return sent;
}

static void
check_answer (Pair *pair, guint8 kind, GByteArray *body)
{
  g_autoptr (GBytes) datagram = repeat_message (pair, kind, body);
  gsize sent = count_answer (pair, datagram);

  g_test_message ("kind %u, %u times: %" G_GSIZE_FORMAT " bytes", kind,
                  (guint) (g_bytes_get_size (datagram) / (body->len + 2)), sent);
  g_assert_cmpuint (sent, <=, MOST);
}

/* An item of what a record has replaced. */
static void
put_older (GByteArray *body, const GkvHashKey *hash_key, const GkvRecord *record)
{
  gsize begin = body->len;
  guint64 stamp = GUINT64_TO_LE (record->stamp - 1);

  gkv_put_item (body, hash_key, record);
  memcpy (body->data + begin + 12, &stamp, sizeof stamp);
}

static void
test_answers (void)
{
  const GkvRange everything = { 0, 0 };
  g_autofree char *value = g_strnfill (1000000, 'x');
  g_autoptr (GByteArray) body = g_byte_array_new ();
  GkvRecord *large;
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);
      g_autofree char *medium = g_strnfill (900, 'x');

      pair_put_both (&pair, key, medium);
    }
  pair_put_both (&pair, "large", value);
  pair_run (&pair, 5 * SECOND, FALSE);

  gkv_put_u32 (body, 1);
  gkv_put_range (body, everything);
  gkv_put_u64 (body, 0);
  gkv_put_u32 (body, G_MAXUINT32);
  gkv_put_u8 (body, 0);
  check_answer (&pair, GKV_MESSAGE_PULL, body);

  g_byte_array_set_size (body, 0);
  large = gkv_store_lookup (pair.sides[0].store, "large", 5);
  gkv_put_u64 (body, large->hash);
  gkv_put_u64 (body, large->fingerprint.lo);
  gkv_put_u64 (body, large->fingerprint.hi);
  gkv_put_u32 (body, 0);
  gkv_put_u32 (body, G_MAXUINT32);
  check_answer (&pair, GKV_MESSAGE_GET, body);

  g_byte_array_set_size (body, 0);
  gkv_put_u8 (body, 30);
  check_answer (&pair, GKV_MESSAGE_ASK_CHUNK, body);

  g_byte_array_set_size (body, 0);
  gkv_put_u64 (body, gkv_store_lookup (pair.sides[0].store, "key-1", 5)->hash);
  gkv_put_u32 (body, gkv_store_lookup (pair.sides[0].store, "key-1", 5)->fingerprint.lo);
  gkv_put_u8 (body, 0);
  check_answer (&pair, GKV_MESSAGE_WANT, body);

  g_byte_array_set_size (body, 0);
  gkv_put_range (body, everything);
  gkv_put_u64 (body, 0);
  gkv_put_u64 (body, 1);
  gkv_put_u64 (body, 1);
  check_answer (&pair, GKV_MESSAGE_ASK, body);

  g_byte_array_set_size (body, 0);
  gkv_put_range (body, everything);
  gkv_put_u64 (body, 1);
  gkv_put_u64 (body, 1);
  check_answer (&pair, GKV_MESSAGE_ASK, body);

  /* Older than what is here. */
  g_byte_array_set_size (body, 0);
  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      put_older (body, gkv_store_get_hash_key (pair.sides[0].store),
                 gkv_store_lookup (pair.sides[0].store, key, strlen (key)));
    }
  check_answer (&pair, GKV_MESSAGE_OFFER, body);

  for (guint64 i = 0; i < 100000; i++)
    gkv_removals_add (gkv_store_get_removals (pair.sides[0].store), (GkvFingerprint){ i, i }, 1, 0);
  g_byte_array_set_size (body, 0);
  gkv_put_u32 (body, 1);
  gkv_put_varint (body, 0);
  gkv_put_u64 (body, 1);
  gkv_put_u64 (body, 0);
  gkv_put_u32 (body, G_MAXUINT32);
  check_answer (&pair, GKV_MESSAGE_RECALL, body);

  /* It works as before. */
  pair_run (&pair, 5 * SECOND, FALSE);
  pair_write (&pair, 0, "new", "value", 0);
  pair_run (&pair, SECOND, TRUE);
  g_assert_true (pair_is_same (&pair));
  pair_clear (&pair);
}

/* What waits to be sent is bounded, however much is asked for. */
static void
test_backlog (void)
{
  const GkvRange everything = { 0, 0 };
  g_autoptr (GByteArray) body = g_byte_array_new ();
  g_autoptr (GBytes) datagram = NULL;
  GkvDatagram answer;
  gsize sent = 0, len;
  gconstpointer data;
  Pair pair;

  pair_init (&pair);
  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      pair_put_both (&pair, key, "value");
    }
  pair_run (&pair, 5 * SECOND, FALSE);

  gkv_put_u32 (body, 1);
  gkv_put_range (body, everything);
  gkv_put_u64 (body, 0);
  gkv_put_u32 (body, G_MAXUINT32);
  gkv_put_u8 (body, 0);
  datagram = repeat_message (&pair, GKV_MESSAGE_PULL, body);
  data = g_bytes_get_data (datagram, &len);
  for (guint i = 0; i < 200; i++)
    gkv_engine_receive (pair.sides[0].engine, pair.sides[1].name, data, len, &pair.now);
  while (gkv_engine_pop_datagram (pair.sides[0].engine, &answer))
    {
      sent += g_bytes_get_size (answer.bytes);
      gkv_datagram_clear (&answer);
    }
  g_assert_cmpuint (sent, <, 8 * 1024 * 1024);
  pair_clear (&pair);
}

/* The one of a chain of its own for all that aren't there. */
static GkvIncarnation
get_of_others (guint place)
{
  g_autoptr (GkvChain) chain = gkv_chain_new ("others", 6, 10);

  return gkv_chain_get (chain, place);
}

/* Of the two sides what they show themselves. */
static GkvIncarnation
get_incarnation (Pair *pair, const char *id, guint64 life)
{
  const GkvRuntime *runtime = pair->sides[1].engine->runtime;

  if (strcmp (id, pair->sides[1].name) == 0 && life == runtime->generation)
    return runtime->incarnation;
  if (strcmp (id, pair->sides[0].name) == 0)
    return pair->sides[0].engine->runtime->incarnation;

  return get_of_others (10);
}

static void
put_ident (Pair *pair, GByteArray *out, const char *id, guint64 life, const char *advertise)
{
  g_autoptr (GByteArray) body = g_byte_array_new ();
  GkvIncarnation incarnation = get_incarnation (pair, id, life);

  gkv_put_u64 (body, life);
  gkv_put_incarnation (body, &incarnation);
  gkv_put_u64 (body, pair->sides[0].engine->runtime->cluster_hash);
  gkv_put_u8 (body, 0);
  gkv_put_string (body, id);
  gkv_put_address (body, advertise);
  gkv_put_message (out, GKV_MESSAGE_IDENT, body->data, body->len);
}

static void
put_entry (GByteArray *body,
           GkvPeerState status,
           const char *id,
           guint64 life,
           const GkvIncarnation *incarnation,
           const char *address)
{
  g_autoptr (GByteArray) entry = g_byte_array_new ();

  gkv_put_u8 (entry, status);
  gkv_put_u64 (entry, life);
  gkv_put_incarnation (entry, incarnation);
  gkv_put_string (entry, id);
  gkv_put_address (entry, address);
  gkv_put_varint (body, entry->len);
  g_byte_array_append (body, entry->data, entry->len);
}

static void
put_member (GByteArray *body, GkvPeerState status, const char *id, guint64 life, const char *address)
{
  GkvIncarnation incarnation = get_of_others (status == GKV_PEER_STATE_LEFT ? 0 : 10);

  put_entry (body, status, id, life, &incarnation, address);
}

/* That the second side leaves, with its own proof. */
static void
put_left (Pair *pair, GByteArray *body)
{
  const PairSide *side = &pair->sides[1];

  gkv_membership_leave (side->engine->membership);
  put_entry (body, GKV_PEER_STATE_LEFT, side->name, side->generation, &side->engine->runtime->incarnation, side->name);
}

/* To the first side, in a datagram of its own. */
static void
send_message (Pair *pair, const char *address, guint8 kind, GByteArray *body)
{
  g_autoptr (GByteArray) out = begin_datagram_from (pair, address, 0);

  gkv_put_message (out, kind, body->data, body->len);
  gkv_wire_seal (out);
  gkv_engine_receive (pair->sides[0].engine, address, out->data, out->len, &pair->now);
}

static void
send_ident (Pair *pair, const char *address, const char *id, guint64 life)
{
  g_autoptr (GByteArray) out = begin_datagram_from (pair, address, 0);

  put_ident (pair, out, id, life, "");
  gkv_wire_seal (out);
  gkv_engine_receive (pair->sides[0].engine, address, out->data, out->len, &pair->now);
}

/* Whoever says that he is we is taken for us at his address; but not for ever, and not at any number of them. */
static void
test_mirrors (void)
{
  PairSide *side;
  Pair pair;

  pair_init (&pair);
  side = &pair.sides[0];
  for (guint i = 0; i < 2000; i++)
    {
      g_autofree char *address = g_strdup_printf ("m:%u", i);

      send_ident (&pair, address, side->name, side->generation);
    }
  g_assert_cmpuint (gkv_contacts_get_n_own (side->engine->contacts), <=, 256);
  g_assert_true (gkv_contacts_is_own (side->engine->contacts, "m:1999"));

  send_ident (&pair, "m:1999", "another", 1);
  g_assert_false (gkv_contacts_is_own (side->engine->contacts, "m:1999"));
  pair_clear (&pair);
}

/* The second tells the first of 20,000 members, of which none exists: its table is full. */
static void
tell_of_crowd (Pair *pair)
{
  g_autoptr (GByteArray) body = g_byte_array_new ();

  for (guint i = 0; i < 20000; i++)
    {
      g_autofree char *id = g_strdup_printf ("nobody-%u", i);

      put_member (body, GKV_PEER_STATE_ALIVE, id, 1, "nowhere:1");
      if (i % 20 == 19)
        {
          send_message (pair, pair->sides[1].name, GKV_MESSAGE_MEMBERS, body);
          g_byte_array_set_size (body, 0);
        }
    }
  g_assert_cmpuint (pair_get_stat (pair, 0, "peers-known"), ==, 16384);
}

/* Members by the thousand, of which none exists, leave no room; once they are found dead, a real one has its place. */
static void
test_crowd (void)
{
  PairSide *side;
  Pair pair;

  pair_init_three (&pair);
  side = &pair.sides[0];
  pair.sides[2].down = TRUE;
  pair_run (&pair, 3 * SECOND, FALSE);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 1);
  tell_of_crowd (&pair);

  pair_run (&pair, 60 * SECOND, FALSE);
  pair.sides[2].down = FALSE;
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_nonnull (gkv_members_lookup (side->engine->members, "c:3"));
  pair_write (&pair, 2, "key", "value", 0);
  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_nonnull (gkv_store_lookup (side->store, "key", 3));
  pair_clear (&pair);
}

/* A record of the first side's map that comes in pieces, with a stamp further ahead than is borne. */
static GByteArray *
make_early_record (Pair *pair, GkvRecord **record)
{
  GkvStore *store = pair->sides[0].store;
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("somebody", -1, "string", -1);
  g_autofree char *value = g_strnfill (3 * PIECE, 'x');
  GkvStamp stamp = (GkvStamp) (pair->now.wall / 1000 + 2 * GKV_CLOCK_DRIFT_BOUND_MS) << 16;
  GByteArray *all = g_byte_array_new ();

  *record = gkv_record_new (gkv_store_get_hash_key (store), writer, "early", 5, 0, stamp, 0, value, strlen (value));
  gkv_put_record (all, *record, -1);
  return all;
}

static void
send_large (Pair *pair, const char *address, GkvRecord *record, guint size)
{
  g_autoptr (GByteArray) body = g_byte_array_new ();

  gkv_put_u64 (body, record->hash);
  gkv_put_u64 (body, record->fingerprint.lo);
  gkv_put_u64 (body, record->fingerprint.hi);
  gkv_put_u32 (body, size);
  gkv_put_varint (body, 0);
  send_message (pair, address, GKV_MESSAGE_LARGE, body);
}

static void
send_piece (Pair *pair, const char *address, GkvRecord *record, GByteArray *all, guint piece)
{
  g_autoptr (GByteArray) body = g_byte_array_new ();
  guint offset = piece * PIECE;

  gkv_put_u64 (body, record->fingerprint.lo);
  gkv_put_u64 (body, record->fingerprint.hi);
  gkv_put_u32 (body, offset);
  g_byte_array_append (body, all->data + offset, MIN (PIECE, all->len - offset));
  send_message (pair, address, GKV_MESSAGE_DATA, body);
}

/* Who is removed to make room takes along what was to be got from it: the rest of it, which anybody may send, finds
 * nothing that it belongs to. */
static void
test_removed (void)
{
  g_autoptr (GByteArray) offer = g_byte_array_new ();
  g_autoptr (GByteArray) invite = g_byte_array_new ();
  g_autoptr (GByteArray) left = g_byte_array_new ();
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GByteArray) all = NULL;
  const GkvRange some = { 0, 1 };
  GkvEngine *engine;
  GkvLink *link;
  guint n_pieces;
  Pair pair;

  pair_init (&pair);
  engine = pair.sides[0].engine;
  pair_run (&pair, 3 * SECOND, FALSE);
  tell_of_crowd (&pair);
  link = gkv_links_lookup (engine->links, "b:2");

  all = make_early_record (&pair, &record);
  n_pieces = (all->len + PIECE - 1) / PIECE;
  send_large (&pair, "b:2", record, all->len);
  for (guint i = 0; i + 1 < n_pieces; i++)
    send_piece (&pair, "b:2", record, all, i);
  gkv_put_u64 (offer, 12345);
  gkv_put_u32 (offer, 1);
  gkv_put_u64 (offer, 1);
  gkv_put_u32 (offer, 1);
  send_message (&pair, "b:2", GKV_MESSAGE_OFFER, offer);
  gkv_put_range (invite, some);
  send_message (&pair, "b:2", GKV_MESSAGE_INVITE, invite);
  g_assert_cmpuint (gkv_pieces_get_n_bytes (engine->pieces), ==, all->len);
  g_assert_false (gkv_transfer_is_idle (link));

  put_left (&pair, left);
  send_message (&pair, "b:2", GKV_MESSAGE_MEMBERS, left);
  send_ident (&pair, "c:3", "c:3", 1);
  g_assert_null (gkv_members_lookup (engine->members, "b:2"));
  g_assert_nonnull (gkv_members_lookup (engine->members, "c:3"));
  g_assert_null (link->member);
  g_assert_true (gkv_transfer_is_idle (link));
  g_assert_cmpuint (gkv_transfers_get_n (engine->transfers), ==, 0);
  g_assert_cmpuint (gkv_exchanges_get_n (engine->exchanges), ==, 0);
  g_assert_cmpuint (gkv_pieces_get_n (engine->pieces), ==, 0);
  g_assert_cmpuint (gkv_pieces_get_n_bytes (engine->pieces), ==, 0);

  send_piece (&pair, "b:2", record, all, n_pieces - 1);
  send_piece (&pair, "c:3", record, all, n_pieces - 1);
  g_assert_null (gkv_store_lookup (pair.sides[0].store, "early", 5));

  /* It is got as ever from one who is there. */
  send_large (&pair, "c:3", record, all->len);
  for (guint i = 0; i < n_pieces; i++)
    send_piece (&pair, "c:3", record, all, i);
  g_assert_true (gkv_store_lookup (pair.sides[0].store, "early", 5)->flags & GKV_RECORD_QUARANTINED);
  g_assert_cmpuint (gkv_pieces_get_n_bytes (engine->pieces), ==, 0);
  pair_clear (&pair);
}

/* Who says at the address of a member that he is another isn't taken for that member any more, even if nobody is told
 * apart there: no room for him, or our own id. What he says in the same datagram is passed over. */
static void
test_taken_over (void)
{
  const struct
  {
    const char *id;
    guint64 generation;
  } others[] = { { "another", 1 }, { "a:1", 1 }, { "a:1", 77 } };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (GByteArray) out = NULL;
      guint8 zeros[64] = { 0 };
      GkvMember *member;
      GkvLink *link;
      Pair pair;

      pair_init (&pair);
      pair_run (&pair, 3 * SECOND, FALSE);
      tell_of_crowd (&pair);
      link = gkv_links_lookup (pair.sides[0].engine->links, "b:2");
      member = link->member;
      g_assert_true (member->link == link);

      out = begin_datagram (&pair, 1, 0);
      put_ident (&pair, out, others[i].id, others[i].generation, "");
      for (guint8 kind = GKV_MESSAGE_DUPLICATE; kind <= GKV_MESSAGE_NONE; kind++)
        gkv_put_message (out, kind, zeros, 24);
      gkv_wire_seal (out);
      gkv_engine_receive (pair.sides[0].engine, "b:2", out->data, out->len, &pair.now);
      g_assert_null (link->member);
      g_assert_null (member->link);
      g_assert_true (gkv_transfer_is_idle (link));

      /* It comes back. */
      send_ident (&pair, "b:2", "b:2", pair.sides[1].generation);
      g_assert_true (link->member == member);
      g_assert_true (member->link == link);
      pair_clear (&pair);
    }
}

/* How often somebody beside the sides of the pair is asked who it is. */
static gboolean
count_idents (Pair *pair, guint from, guint to, GBytes *datagram)
{
  pair->n_asked += from == 0 && to == pair->n && pair_datagram_has (datagram, GKV_MESSAGE_IDENT);
  return FALSE;
}

/* A member that has moved without a new start is spoken with where it speaks now, as soon as it is silent where it was,
 * or another speaks there; and others are told of that address, or of the one that it says that it has. */
static void
test_moved (gconstpointer by_another)
{
  g_autoptr (GByteArray) token = g_byte_array_new ();
  g_autoptr (GByteArray) ping = g_byte_array_new ();
  g_autoptr (GByteArray) answer = NULL;
  GkvMember *member;
  Pair pair;

  gkv_put_u64 (token, 1);
  gkv_put_u16 (ping, 1);
  pair_init (&pair);
  pair_run (&pair, 3 * SECOND, FALSE);
  member = gkv_members_lookup (pair.sides[0].engine->members, "b:2");
  send_message (&pair, "d:4", GKV_MESSAGE_TOKEN, token);
  send_ident (&pair, "d:4", "b:2", pair.sides[1].generation);
  g_assert_cmpstr (member->link->address, ==, "b:2");
  g_assert_cmpstr (member->profile->address, ==, "b:2");
  pair_run (&pair, SECOND / 10, FALSE);

  pair.sides[1].down = TRUE;
  pair.loses = count_idents;
  if (by_another)
    send_ident (&pair, "b:2", "another", 1);
  for (guint i = 0; i < (by_another ? 1 : 12); i++)
    {
      send_message (&pair, "d:4", GKV_MESSAGE_PING, ping);
      pair_run (&pair, SECOND / 2, FALSE);
    }
  g_assert_nonnull (member->link);
  g_assert_cmpstr (member->link->address, ==, "d:4");
  g_assert_cmpstr (member->profile->address, ==, "d:4");
  g_assert_cmpuint (pair.n_asked, >, 0);

  answer = begin_datagram_from (&pair, "d:4", 0);
  put_ident (&pair, answer, "b:2", pair.sides[1].generation, "e:5");
  gkv_wire_seal (answer);
  gkv_engine_receive (pair.sides[0].engine, "d:4", answer->data, answer->len, &pair.now);
  g_assert_cmpstr (member->link->address, ==, "d:4");
  g_assert_cmpstr (member->profile->address, ==, "e:5");
  pair_clear (&pair);
}

/* The first doesn't hear from the second that that one is synced. */
static gboolean
lose_same (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from == 1 && pair_datagram_has (datagram, GKV_MESSAGE_SAME);
}

/* Who has left, or speaks in an earlier life, keeps nobody from being synced, however long it sends pieces; be it of
 * what it has announced before, or since. */
static void
test_gone_and_dripping (gconstpointer left)
{
  g_autoptr (GByteArray) token = g_byte_array_new ();
  g_autoptr (GByteArray) news = g_byte_array_new ();
  g_autoptr (GByteArray) all = NULL;
  g_autoptr (GkvRecord) record = NULL;
  GkvEngine *engine;
  Pair pair;

  pair_init (&pair);
  engine = pair.sides[0].engine;
  gkv_put_u64 (token, 1);
  send_message (&pair, "d:4", GKV_MESSAGE_TOKEN, token);
  send_ident (&pair, "d:4", "d:4", 1);
  all = make_early_record (&pair, &record);
  g_byte_array_set_size (all, 100 * PIECE);
  pair.loses = lose_same;
  pair_run (&pair, SECOND / 2, FALSE);
  send_large (&pair, "d:4", record, all->len);
  g_assert_cmpuint (gkv_pieces_get_n_bytes (engine->pieces), ==, all->len);

  if (left)
    {
      put_member (news, GKV_PEER_STATE_LEFT, "d:4", 1, "d:4");
      send_message (&pair, "b:2", GKV_MESSAGE_MEMBERS, news);
    }
  else
    {
      send_message (&pair, "e:5", GKV_MESSAGE_TOKEN, token);
      send_ident (&pair, "e:5", "d:4", 2);
    }
  for (guint i = 0; i < 60; i++)
    {
      if (i % 10 == 9)
        send_large (&pair, "d:4", record, all->len);
      send_piece (&pair, "d:4", record, all, i);
      pair_run (&pair, SECOND / 2, FALSE);
    }
  g_assert_cmpuint (pair_get_stat (&pair, 0, "peers-alive"), ==, 1);
  g_assert_true (gkv_engine_get_synced (engine));
  g_assert_cmpuint (gkv_pieces_get_n_bytes (engine->pieces), ==, 0);
  pair_clear (&pair);
}

/* One that says that this node was silent for long ends no lifetime, where others don't say so; and removals that
 * nobody asked for, or with stamps of a far future, aren't remembered. */
static void
test_false_memory (void)
{
  g_autoptr (GByteArray) body = g_byte_array_new ();
  GkvRecord *record;
  GkvEngine *engine;
  Pair pair;

  pair_init_three (&pair);
  engine = pair.sides[0].engine;
  pair_write (&pair, 0, "lease", "value", 0);
  record = gkv_store_lookup (pair.sides[0].store, "lease", 5);
  gkv_store_set_deadline (pair.sides[0].store, record, pair.now.boot + 3600 * SECOND);
  pair_run (&pair, 10 * SECOND, FALSE);

  gkv_put_u64 (body, 1);
  send_message (&pair, "d:4", GKV_MESSAGE_TOKEN, body);
  send_ident (&pair, "d:4", "d:4", 1);
  g_byte_array_set_size (body, 0);
  gkv_put_u16 (body, 1);
  send_message (&pair, "d:4", GKV_MESSAGE_ACK, body);
  pair_run (&pair, 2 * SECOND, FALSE);
  g_byte_array_set_size (body, 0);
  gkv_put_varint (body, 4000 * 1000);
  for (guint i = 0; i < 3; i++)
    send_message (&pair, "d:4", GKV_MESSAGE_SILENT, body);
  g_assert_cmpint (gkv_store_get_deadline (pair.sides[0].store, record) - pair.now.boot, >, 3500 * SECOND);

  /* Two are believed. */
  g_byte_array_set_size (body, 0);
  gkv_put_varint (body, 1000 * 1000);
  send_message (&pair, "b:2", GKV_MESSAGE_SILENT, body);
  g_assert_cmpint (gkv_store_get_deadline (pair.sides[0].store, record) - pair.now.boot, <, 2600 * SECOND);
  g_assert_cmpint (gkv_store_get_deadline (pair.sides[0].store, record) - pair.now.boot, >, 2500 * SECOND);
  for (guint i = 0; i < 3; i++)
    {
      send_message (&pair, "d:4", GKV_MESSAGE_SILENT, body);
      send_message (&pair, "b:2", GKV_MESSAGE_SILENT, body);
    }
  g_assert_cmpint (gkv_store_get_deadline (pair.sides[0].store, record) - pair.now.boot, >, 2500 * SECOND);

  g_byte_array_set_size (body, 0);
  gkv_put_u8 (body, 3);
  gkv_put_u32 (body, 1);
  gkv_put_u64 (body, 1);
  gkv_put_u64 (body, 2);
  gkv_put_u64 (body, 1);
  gkv_put_u64 (body, 2);
  gkv_put_varint (body, 0);
  gkv_put_u64 (body, G_MAXUINT64);
  gkv_put_varint (body, 0);
  gkv_put_u64 (body, 7);
  gkv_put_u64 (body, 7);
  gkv_put_u64 (body, G_MAXUINT64);
  send_message (&pair, "d:4", GKV_MESSAGE_REMEMBERED, body);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "removals-remembered"), ==, 0);
  g_assert_nonnull (gkv_members_lookup (engine->members, "d:4"));
  pair_clear (&pair);
}

/* The second comes late, with a large record, and is asked seldom; somebody else is there before. */
static GkvRecord *
init_late (Pair *pair, const char *value)
{
  g_autoptr (GByteArray) token = g_byte_array_new ();

  pair_init (pair);
  pair_put (pair, 1, "large", value);
  for (guint i = 0; i < 2; i++)
    gkv_engine_set_gossip_interval (pair->sides[i].engine, 60000);
  pair->sides[1].down = TRUE;
  pair_run (pair, 3 * SECOND, FALSE);
  pair->sides[1].down = FALSE;

  gkv_put_u64 (token, 1);
  send_message (pair, "d:4", GKV_MESSAGE_TOKEN, token);
  send_ident (pair, "d:4", "d:4", 1);
  return gkv_store_lookup (pair->sides[1].store, "large", 5);
}

/* The first isn't synced without the record of the second. */
static void
assert_got_when_synced (Pair *pair, GkvRecord *record)
{
  GkvRecord *held;

  while (!gkv_engine_get_synced (pair->sides[0].engine) && pair->now.mono < 50 * SECOND)
    pair_run (pair, PAIR_LATENCY, FALSE);
  g_assert_true (gkv_engine_get_synced (pair->sides[0].engine));
  held = gkv_store_lookup (pair->sides[0].store, "large", 5);
  g_assert_nonnull (held);
  g_assert_cmpuint (held->fingerprint.lo, ==, record->fingerprint.lo);
}

/* Somebody announces it, and then sends other bytes. */
static void
test_false_pieces (void)
{
  g_autofree char *value = g_strnfill (100 * PIECE, 'x');
  g_autoptr (GByteArray) zeros = g_byte_array_new ();
  GkvMember *member = NULL;
  GkvRecord *record;
  guint piece = 0;
  Pair pair;

  record = init_late (&pair, value);
  gkv_put_record (zeros, record, -1);
  memset (zeros->data, 0, zeros->len);
  send_large (&pair, "d:4", record, zeros->len);
  while (piece < 80 && (member == NULL || gkv_conversation_of (member->link)->awaited == NULL))
    {
      send_piece (&pair, "d:4", record, zeros, piece++);
      pair_run (&pair, SECOND / 4, FALSE);
      member = gkv_members_lookup (pair.sides[0].engine->members, "b:2");
    }
  g_assert_nonnull (gkv_conversation_of (member->link)->awaited);
  g_assert_null (gkv_store_lookup (pair.sides[0].store, "large", 5));
  while (piece * PIECE < zeros->len)
    send_piece (&pair, "d:4", record, zeros, piece++);
  g_assert_cmpuint (pair_get_stat (&pair, 0, "records-refused"), ==, 1);

  assert_got_when_synced (&pair, record);
  pair_clear (&pair);
}

/* Of the pieces from the second only the first come through. */
static gboolean
lose_rest (Pair *pair, guint from, guint to, GBytes *datagram)
{
  return from == 1 && to == 0 && pair_datagram_has (datagram, GKV_MESSAGE_DATA) && pair->n_asked++ >= 4;
}

/* Somebody has an older one come instead. */
static void
test_older_instead (void)
{
  g_autofree char *value = g_strnfill (100 * PIECE, 'x');
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("d:4", -1, "string", -1);
  g_autoptr (GByteArray) all = g_byte_array_new ();
  g_autoptr (GkvRecord) older = NULL;
  GkvRecord *record;
  Pair pair;

  record = init_late (&pair, value);
  older = gkv_record_new (gkv_store_get_hash_key (pair.sides[0].store), writer, "large", 5, 0, record->stamp - 1, 1,
                          value, strlen (value));
  gkv_put_record (all, older, -1);
  pair.loses = lose_rest;
  while (pair.n_asked <= 4 && pair.now.mono < 20 * SECOND)
    pair_run (&pair, PAIR_LATENCY, FALSE);
  g_assert_cmpuint (gkv_pieces_get_n_bytes (pair.sides[0].engine->pieces), >, 0);

  send_large (&pair, "d:4", older, all->len);
  for (guint piece = 0; piece * PIECE < all->len; piece++)
    send_piece (&pair, "d:4", older, all, piece);
  g_assert_nonnull (gkv_store_lookup (pair.sides[0].store, "large", 5));
  pair.loses = NULL;

  assert_got_when_synced (&pair, record);
  pair_clear (&pair);
}

/* The third was told that the record is coming from the second; when that one is removed, it is got from the third. */
static void
test_removed_among_three (void)
{
  g_autofree char *value = g_strnfill (100000, 'x');
  g_autoptr (GByteArray) left = g_byte_array_new ();
  GkvEngine *engine;
  Pair pair;

  pair_init_three (&pair);
  engine = pair.sides[0].engine;
  pair_run (&pair, 3 * SECOND, FALSE);
  tell_of_crowd (&pair);

  pair.loses = lose_rest;
  pair_write (&pair, 1, "large", value, 0);
  pair_copy (&pair, 1, 2, "large");
  pair_run (&pair, 10 * PAIR_LATENCY, FALSE);
  g_assert_cmpuint (gkv_conversation_of (gkv_links_lookup (engine->links, "b:2"))->n_assemblies, ==, 1);
  g_assert_cmpint (gkv_conversation_of (gkv_links_lookup (pair.sides[2].engine->links, "a:1"))->pieces_sent, >, 0);
  g_assert_cmpuint (pair.n_asked, >, 4);

  put_left (&pair, left);
  send_message (&pair, "b:2", GKV_MESSAGE_MEMBERS, left);
  pair.sides[1].down = TRUE;
  send_ident (&pair, "d:4", "d:4", 1);
  g_assert_null (gkv_members_lookup (engine->members, "b:2"));
  g_assert_cmpuint (gkv_pieces_get_n (engine->pieces), ==, 0);

  pair_run (&pair, 10 * SECOND, FALSE);
  g_assert_nonnull (gkv_store_lookup (pair.sides[0].store, "large", 5));
  pair_clear (&pair);
}

/* Fuzz */

typedef struct
{
  GRand *rand;
  GPtrArray *seen; /* GBytes: what was said */
} Fuzz;

static Fuzz *fuzz;

static gboolean
keep_datagram (Pair *pair, guint from, guint to, GBytes *datagram)
{
  if (from == 1 && fuzz->seen->len < 2000)
    g_ptr_array_add (fuzz->seen, g_bytes_ref (datagram));
  else if (from == 1)
    {
      GBytes **place = (GBytes **) &fuzz->seen->pdata[g_rand_int_range (fuzz->rand, 0, 2000)];

      g_bytes_unref (*place);
      *place = g_bytes_ref (datagram);
    }
  return FALSE;
}

static guint64
get_odd_number (void)
{
  const guint64 odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0xffff, G_MAXINT32, G_MAXUINT32, G_MAXINT64, G_MAXUINT64 };

  return odd[g_rand_int_range (fuzz->rand, 0, G_N_ELEMENTS (odd))];
}

/* The body of a message, changed here and there. */
static void
mutate (GByteArray *body)
{
  guint n = g_rand_int_range (fuzz->rand, 0, 5);

  for (guint i = 0; i < n && body->len > 0; i++)
    {
      guint at = g_rand_int_range (fuzz->rand, 0, body->len);
      guint64 number = get_odd_number ();

      switch (g_rand_int_range (fuzz->rand, 0, 6))
        {
        case 0:
          body->data[at] ^= 1 << g_rand_int_range (fuzz->rand, 0, 8);
          break;

        case 1:
          body->data[at] = number;
          break;

        case 2:
          if (at + 4 <= body->len)
            memcpy (body->data + at, &number, 4);
          break;

        case 3:
          if (at + 8 <= body->len)
            memcpy (body->data + at, &number, 8);
          break;

        case 4:
          g_byte_array_set_size (body, at);
          break;

        default:
          {
            guint len = MIN (body->len - at, 16);
            guint end = body->len;

            g_byte_array_set_size (body, end + len);
            memcpy (body->data + end, body->data + at, len);
          }
          break;
        }
    }
}

/* Messages that were said once, mixed, and each perhaps changed. */
static GBytes *
make_datagram (Pair *pair)
{
  GByteArray *out = begin_datagram (pair, 1, 0);
  guint n = g_rand_int_range (fuzz->rand, 1, 6);

  for (guint i = 0; i < n; i++)
    {
      GBytes *said = g_ptr_array_index (fuzz->seen, g_rand_int_range (fuzz->rand, 0, fuzz->seen->len));
      gsize len;
      gconstpointer data = g_bytes_get_data (said, &len);
      guint skip = g_rand_int_range (fuzz->rand, 0, 4);
      GkvReader reader;

      gkv_reader_init (&reader, data, len);
      gkv_reader_bytes (&reader, GKV_WIRE_HEADER_SIZE);
      while (gkv_reader_get_left (&reader) > 0)
        {
          guint8 kind = gkv_reader_u8 (&reader);
          gsize body_len = gkv_reader_varint (&reader);
          const guint8 *bytes = gkv_reader_bytes (&reader, body_len);
          g_autoptr (GByteArray) body = g_byte_array_new ();

          if (skip-- > 0)
            continue;

          g_byte_array_append (body, bytes, body_len);
          mutate (body);
          if (g_rand_int_range (fuzz->rand, 0, 20) == 0)
            kind = g_rand_int_range (fuzz->rand, 0, 41);
          if (out->len + body->len + 12 < DATAGRAM)
            gkv_put_message (out, kind, body->data, body->len);
          break;
        }
    }

  gkv_wire_seal (out);
  return g_byte_array_free_to_bytes (out);
}

static void
run_fuzz (guint32 seed, guint n_rounds)
{
  g_autofree char *value = g_strnfill (20000, 'x');
  gint64 longest = 0;
  gsize most = 0;
  Pair pair;

  fuzz = g_new0 (Fuzz, 1);
  fuzz->rand = g_rand_new_with_seed (seed);
  fuzz->seen = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  pair_init_three (&pair);
  pair.loses = keep_datagram;

  for (guint round = 0; round < n_rounds; round++)
    {
      /* Something to talk about. */
      for (guint i = 0; i < 20; i++)
        {
          g_autofree char *key = g_strdup_printf ("key-%d", g_rand_int_range (fuzz->rand, 0, 500));
          guint side = g_rand_int_range (fuzz->rand, 0, 3);
          guint kind = g_rand_int_range (fuzz->rand, 0, 10);
          GkvRecordFlags flags = kind == 0 ? GKV_RECORD_DEAD : kind == 1 ? GKV_RECORD_EPHEMERAL : 0;
          GkvRecord *held = gkv_store_lookup (pair.sides[side].store, key, strlen (key));

          if (held != NULL && held->flags & GKV_RECORD_QUARANTINED)
            continue;
          if (kind == 2)
            pair_write (&pair, side, key, value, 0);
          else if (kind < 5)
            pair_write (&pair, side, key, flags == GKV_RECORD_DEAD ? "" : "value", flags);
          else
            pair_put (&pair, side, key, "other");
        }
      pair_run (&pair, SECOND / 4, FALSE);

      for (guint i = 0; i < 50 && fuzz->seen->len > 0; i++)
        {
          g_autoptr (GBytes) datagram = make_datagram (&pair);
          gint64 begun = g_get_monotonic_time ();
          gsize sent = count_answer (&pair, datagram);

          longest = MAX (longest, g_get_monotonic_time () - begun);
          most = MAX (most, sent);
        }
    }

  g_test_message ("at most %" G_GSIZE_FORMAT " bytes and %d us for a datagram; %u records at the end", most,
                  (int) longest, (guint) gkv_store_get_n_visible (pair.sides[0].store));
  pair_clear (&pair);
  g_ptr_array_unref (fuzz->seen);
  g_rand_free (fuzz->rand);
  g_clear_pointer (&fuzz, g_free);
}

static void
test_fuzz (void)
{
  const char *seeds = g_getenv ("GKV_FUZZ_SEEDS");
  guint n = seeds != NULL ? g_ascii_strtoull (seeds, NULL, 10) : 0;

  for (guint seed = 1; seed <= MAX (n, 2); seed++)
    {
      g_test_message ("seed %u", seed);
      run_fuzz (seed, n > 0 ? 200 : 60);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hostile/answers", test_answers);
  g_test_add_func ("/hostile/backlog", test_backlog);
  g_test_add_func ("/hostile/mirrors", test_mirrors);
  g_test_add_func ("/hostile/crowd", test_crowd);
  g_test_add_func ("/hostile/removed", test_removed);
  g_test_add_func ("/hostile/removed-among-three", test_removed_among_three);
  g_test_add_data_func ("/hostile/gone-and-dripping/left", GINT_TO_POINTER (TRUE), test_gone_and_dripping);
  g_test_add_data_func ("/hostile/gone-and-dripping/begun-anew", GINT_TO_POINTER (FALSE), test_gone_and_dripping);
  g_test_add_func ("/hostile/false-pieces", test_false_pieces);
  g_test_add_func ("/hostile/false-memory", test_false_memory);
  g_test_add_func ("/hostile/older-instead", test_older_instead);
  g_test_add_func ("/hostile/taken-over", test_taken_over);
  g_test_add_data_func ("/hostile/moved/silent", GINT_TO_POINTER (FALSE), test_moved);
  g_test_add_data_func ("/hostile/moved/taken-over", GINT_TO_POINTER (TRUE), test_moved);
  g_test_add_func ("/hostile/fuzz", test_fuzz);

  return g_test_run ();
}
