/* Transfer: getting what was found to be missing, at the receiver's pace.
 *
 * Single records are wanted by the hash of their key, a window at a time. A range that is wholly missing is pulled in
 * pages whose size follows the loss. The sender keeps no state at all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-transfer.h"

#define WANT_WINDOW   64
#define WANT_PATIENCE (300 * GKV_MS)
#define WANT_TRIES    6
#define MAX_WANTS     65536

/* Some pages are under way at a time: while one is taken in, others are made. Together they are what a socket's buffer
 * surely holds. */
#define MAX_PAGES        4
#define PAGE_FIRST       (16 * 1024)
#define PAGE_MIN         (4 * 1024)
#define PAGE_MAX         (40 * 1024)
#define PAGE_MAX_RECORDS 4000
#define PAGE_PATIENCE    (300 * GKV_MS)
#define PAGE_TRIES       8
#define MAX_PULLS        4096

/* Names of what is refused here. */
#define MAX_REFUSED 32768

/* Records looked at for a page at a time. */
#define PAGE_SLICE 32

/* What it costs to look at a record for a page, beside sending it. */
#define LOOK_COST 32

/* In WANT: it wins over what is held here, so that what is held there of that hash is older. */
#define FLAG_WINS 1

#define WANT_SIZE (8 + 4 + 1)

/* Of one hash, beside what was wanted: so many that are there instead are named. */
#define MAX_INSTEAD 16

/* Two keys may have one hash: so it is a version that is wanted. */
typedef struct
{
  GkvRecordName name;
  gboolean wins;
  GList link;        /* in want_queue, or in asked_queue */
  gint64 sent;       /* 0: waits for its turn */
  gboolean expected; /* ours was offered: theirs comes unasked if it is newer */
  guint tries;
} Want;

typedef struct
{
  GkvRange range;
  guint64 from;
  guint32 serial;
  gint64 sent; /* 0: waits for its turn */
  guint tries;
  guint n_got; /* records since the page was asked for */
} Pull;

typedef struct _GkvTransfer
{
  GHashTable *wants;    /* GkvRecordName* → Want, owned */
  GHashTable *expected; /* hash* → the last Want that is expected of that hash, borrowed */
  GQueue want_queue;    /* Want, borrowed: those that wait for their turn */
  GQueue asked_queue;   /* Want, borrowed: those asked for or expected, the oldest first */
  guint n_wanted;       /* those asked for */
  GQueue pulls;         /* Pull*; the first are under way */
  guint page_bytes;
} GkvTransfer;

struct _GkvTransfers
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvPartings *partings;
  GkvPieces *pieces;
  GkvTransfersListener listener;
  gpointer data;
  GPtrArray *transferring; /* links with something to get */
  guint32 next_pull;
  gint64 due;
  GkvNames *refused; /* here */
};

GkvTransfers *
gkv_transfers_new (GkvRuntime *runtime,
                   GkvLinks *links,
                   GkvPartings *partings,
                   GkvPieces *pieces,
                   const GkvTransfersListener *listener,
                   gpointer data)
{
  GkvTransfers *self = g_new0 (GkvTransfers, 1);

  self->runtime = runtime;
  self->links = links;
  self->partings = partings;
  self->pieces = pieces;
  self->listener = *listener;
  self->data = data;
  self->transferring = g_ptr_array_new ();
  self->due = G_MAXINT64;
  self->refused = gkv_names_new (MAX_REFUSED);
  return self;
}

void
gkv_transfers_free (GkvTransfers *self)
{
  g_ptr_array_unref (self->transferring);
  gkv_names_free (self->refused);
  g_free (self);
}

guint
gkv_transfers_get_n (GkvTransfers *self)
{
  return self->transferring->len;
}

/* Transfers are looked at again at @when. */
static void
look_at (GkvTransfers *self, gint64 when)
{
  self->due = MIN (self->due, when);
  gkv_runtime_wake_at (self->runtime, when);
}

void
gkv_transfers_hasten (GkvTransfers *self)
{
  if (self->transferring->len > 0)
    look_at (self, self->runtime->now.mono);
}

static GkvTransfer *
ensure_transfer (GkvTransfers *self, GkvLink *link)
{
  GkvTransfer *transfer = gkv_conversation_of (link)->transfer;

  if (transfer == NULL)
    {
      transfer = g_new0 (GkvTransfer, 1);
      transfer->wants = g_hash_table_new_full (gkv_record_name_hash, gkv_record_name_equal, NULL, g_free);
      transfer->expected = g_hash_table_new (g_int64_hash, g_int64_equal);
      transfer->page_bytes = PAGE_FIRST;
      g_queue_init (&transfer->want_queue);
      g_queue_init (&transfer->asked_queue);
      g_queue_init (&transfer->pulls);
      gkv_conversation_of (link)->transfer = transfer;
      g_ptr_array_add (self->transferring, link);
    }

  return transfer;
}

static void
end_transfer (GkvTransfers *self, GkvLink *link)
{
  GkvTransfer *transfer = g_steal_pointer (&gkv_conversation_of (link)->transfer);

  if (transfer == NULL)
    return;

  g_ptr_array_remove_fast (self->transferring, link);
  g_queue_clear_full (&transfer->pulls, g_free);
  g_hash_table_unref (transfer->expected);
  g_hash_table_unref (transfer->wants);
  g_free (transfer);
}

void
gkv_transfer_end (GkvTransfers *self, GkvLink *link)
{
  gkv_pieces_drop_link (self->pieces, link);
  end_transfer (self, link);
}

gboolean
gkv_transfer_is_idle (const GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  const GkvTransfer *transfer = conversation->transfer;

  return conversation->n_assemblies == 0 &&
         (transfer == NULL || (g_hash_table_size (transfer->wants) == 0 && transfer->pulls.length == 0));
}

/* Refusing */

static void
say_refused (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  gkv_conversation_of (link)->n_explained++;
  gkv_conversation_of (link)->has_refused = TRUE;
  gkv_put_u64 (body, hash);
  gkv_put_u32 (body, version);
  gkv_links_send (self->links, link, GKV_MESSAGE_REFUSED);
}

static guint32
get_check (GkvTransfers *self, const GkvRecord *record)
{
  return gkv_record_get_check (gkv_store_get_hash_key (self->runtime->store), record);
}

/* The node there holds what is refused here: then it won't take what is held here of that key in its place. */
static void
note_overruled (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 check)
{
  GkvRecord *held;

  for (guint n = 0; (held = gkv_store_lookup_nth (self->runtime->store, hash, n)) != NULL; n++)
    if (get_check (self, held) == check)
      gkv_conversation_add_refused (link, hash, held->fingerprint.lo);
}

gboolean
gkv_transfers_refuse (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version)
{
  const GkvRecordName *name = gkv_names_find (self->refused, hash, version);

  if (name == NULL)
    return FALSE;

  note_overruled (self, link, hash, name->check);
  say_refused (self, link, hash, version);
  return TRUE;
}

static void
note_refused (GkvTransfers *self, GkvLink *link, const GkvRecord *record)
{
  guint32 check = get_check (self, record);

  gkv_names_add (self->refused, record->hash, record->fingerprint.lo, check);
  note_overruled (self, link, record->hash, check);
  say_refused (self, link, record->hash, record->fingerprint.lo);
}

void
gkv_transfers_judge_anew (GkvTransfers *self)
{
  gkv_names_clear (self->refused);
}

gboolean
gkv_transfer_is_refused (GkvLink *link, const GkvRecord *record)
{
  if (!gkv_conversation_is_refused (link, record->hash, record->fingerprint.lo))
    return FALSE;

  gkv_conversation_of (link)->n_explained++;
  gkv_conversation_of (link)->is_lacking = TRUE;
  return TRUE;
}

/* Sending */

/* Theirs was found to be older than ours. */
static gboolean
forget_expected (GkvLink *link, guint64 hash)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  Want *want = conversation->transfer != NULL ? g_hash_table_lookup (conversation->transfer->expected, &hash) : NULL;

  return want != NULL && gkv_transfer_forget_want (link, hash, want->name.version);
}

/* What was wanted isn't there any more. What is there instead is given, and named, as it may get lost. */
static void
give_instead (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version)
{
  GByteArray *body = g_byte_array_sized_new (64);
  GkvRecord *record;
  guint n = 0;

  gkv_put_u64 (body, hash);
  gkv_put_u32 (body, version);
  gkv_put_u8 (body, 0);
  for (; n < MAX_INSTEAD && (record = gkv_store_lookup_nth (self->runtime->store, hash, n)) != NULL; n++)
    {
      gkv_put_u64 (body, record->stamp);
      gkv_put_u32 (body, record->fingerprint.lo);
      gkv_partings_give (self->partings, link, record);
      gkv_links_spend (self->links, MIN (gkv_record_get_wire_size (record), self->runtime->max_datagram));
    }
  body->data[12] = n;
  gkv_links_spend (self->links, body->len);

  g_byte_array_append (gkv_links_begin_message (self->links), body->data, body->len);
  gkv_links_send (self->links, link, GKV_MESSAGE_NONE);
  g_byte_array_unref (body);
}

static void
handle_want (GkvTransfers *self, GkvLink *link, GkvReader *reader)
{
  gboolean decided = FALSE;

  while (gkv_reader_get_left (reader) >= WANT_SIZE && gkv_links_spend (self->links, WANT_SIZE))
    {
      guint64 hash = gkv_reader_u64 (reader);
      guint32 version = gkv_reader_u32 (reader);
      guint8 flags = gkv_reader_u8 (reader);
      GkvRecord *record;

      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
      record = gkv_store_lookup_version (self->runtime->store, hash, version);
      if (flags & FLAG_WINS)
        decided = forget_expected (link, hash) || decided;

      if (record != NULL)
        {
          gkv_partings_give (self->partings, link, record);
          gkv_links_spend (self->links, MIN (gkv_record_get_wire_size (record), self->runtime->max_datagram));
        }
      else
        {
          give_instead (self, link, hash, version);
        }
    }

  if (decided)
    self->listener.progressed (link, self->data);
}

typedef struct
{
  GkvTransfers *transfers;
  GkvLink *link;
  gsize bytes_left;
  guint n_sent;
  guint n_seen;
  gboolean more;
  guint64 next;
  guint64 last;  /* the hash of the one that was seen last */
  guint n_slice; /* seen since others could get at the store */
  gboolean paused;
} Page;

static gboolean
send_paged (GkvRecord *record, gpointer user_data)
{
  Page *page = user_data;
  gsize size = MIN (gkv_record_get_wire_size (record), page->transfers->runtime->max_datagram);
  gboolean next = page->n_seen == 0 || record->hash != page->last;

  /* Those of one hash come together: a page begins with a hash. */
  if (next && page->n_slice >= PAGE_SLICE)
    {
      page->paused = TRUE;
      page->next = record->hash;
      return FALSE;
    }

  page->n_slice++;
  page->last = record->hash;
  if (next && (page->n_seen >= PAGE_MAX_RECORDS || (page->n_sent > 0 && size > page->bytes_left)))
    {
      page->more = TRUE;
      page->next = record->hash;
      return FALSE;
    }

  page->n_seen++;
  gkv_partings_give (page->transfers->partings, page->link, record);
  page->n_sent++;
  page->bytes_left -= MIN (size, page->bytes_left);
  return TRUE;
}

static void
handle_pull (GkvTransfers *self, GkvLink *link, GkvReader *reader)
{
  Page page = { .transfers = self, .link = link };
  guint32 serial = gkv_reader_u32 (reader);
  GkvRange range = gkv_reader_range (reader);
  guint64 from = gkv_reader_u64 (reader);
  GByteArray *body;
  gsize asked;

  page.bytes_left = gkv_reader_u32 (reader);
  page.bytes_left = MIN (page.bytes_left, PAGE_MAX);
  asked = page.bytes_left;
  if (reader->failed || !gkv_links_spend (self->links, 0))
    return;

  do
    {
      page.n_slice = 0;
      page.paused = FALSE;
      gkv_store_foreach (self->runtime->store, range, from, send_paged, &page);
      from = page.next;
      gkv_runtime_breathe (self->runtime, page.n_slice * GKV_COST_RECORD);
    }
  while (page.paused);
  if (!page.more)
    page.next = 0;
  gkv_links_spend (self->links, asked - page.bytes_left + (gsize) page.n_seen * LOOK_COST);

  body = gkv_links_begin_message (self->links);
  gkv_put_u32 (body, serial);
  gkv_put_u32 (body, page.n_sent);
  gkv_put_u8 (body, page.more);
  gkv_put_u64 (body, page.next);
  gkv_links_send (self->links, link, GKV_MESSAGE_PAGE);
}

/* Wanting */

static void
want_more (GkvTransfers *self, GkvLink *link)
{
  GkvTransfer *transfer = gkv_conversation_of (link)->transfer;
  GByteArray *body;

  /* Half a window at a time, so that questions share datagrams. */
  if (transfer->n_wanted > WANT_WINDOW / 2)
    return;

  body = gkv_links_begin_message (self->links);
  while (transfer->n_wanted < WANT_WINDOW && transfer->want_queue.length > 0 && gkv_pieces_have_room (self->pieces) &&
         body->len + WANT_SIZE <= gkv_links_get_max_body (self->links, link))
    {
      Want *want = g_queue_pop_head_link (&transfer->want_queue)->data;

      want->sent = self->runtime->now.mono;
      g_queue_push_tail_link (&transfer->asked_queue, &want->link);
      transfer->n_wanted++;
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD / 2);
      gkv_put_u64 (body, want->name.hash);
      gkv_put_u32 (body, want->name.version);
      gkv_put_u8 (body, want->wins ? FLAG_WINS : 0);
    }
  if (body->len > 0)
    {
      gkv_links_send (self->links, link, GKV_MESSAGE_WANT);
      gkv_conversation_note_asked (link, self->runtime->now.mono);
      look_at (self, self->runtime->now.mono + WANT_PATIENCE);
    }
}

gboolean
gkv_transfer_forget_want (GkvLink *link, guint64 hash, guint32 version)
{
  GkvTransfer *transfer = gkv_conversation_of (link)->transfer;
  GkvRecordName name = { .hash = hash, .version = version };
  Want *want = NULL;

  if (transfer != NULL && g_hash_table_size (transfer->wants) > 0)
    want = g_hash_table_lookup (transfer->wants, &name);
  if (want == NULL)
    return FALSE;

  g_queue_unlink (want->sent == 0 ? &transfer->want_queue : &transfer->asked_queue, &want->link);
  if (want->sent != 0 && !want->expected)
    transfer->n_wanted--;
  if (g_hash_table_lookup (transfer->expected, &hash) == want)
    g_hash_table_remove (transfer->expected, &hash);
  g_hash_table_remove (transfer->wants, &name);
  return TRUE;
}

static Want *
add_want (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version)
{
  GkvTransfer *transfer = ensure_transfer (self, link);
  GkvRecordName name = { .hash = hash, .version = version };
  Want *want;

  if (g_hash_table_contains (transfer->wants, &name))
    return NULL;

  if (gkv_pieces_are_coming (self->pieces, hash, version))
    {
      if (!gkv_conversation_add_elsewhere (link, hash, version))
        gkv_conversation_of (link)->incomplete = TRUE;
      return NULL;
    }

  if (g_hash_table_size (transfer->wants) >= MAX_WANTS)
    {
      gkv_conversation_of (link)->incomplete = TRUE;
      return NULL;
    }

  want = g_new0 (Want, 1);
  want->name = name;
  want->link.data = want;
  g_hash_table_insert (transfer->wants, &want->name, want);
  return want;
}

void
gkv_transfer_want (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version, gboolean wins)
{
  Want *want;

  if (gkv_transfers_refuse (self, link, hash, version))
    return;

  want = add_want (self, link, hash, version);
  if (want == NULL)
    return;

  want->wins = wins;
  g_queue_push_tail_link (&gkv_conversation_of (link)->transfer->want_queue, &want->link);
  look_at (self, self->runtime->now.mono);
}

void
gkv_transfer_expect (GkvTransfers *self, GkvLink *link, guint64 hash, guint32 version)
{
  GkvTransfer *transfer;
  Want *want;

  if (gkv_transfers_refuse (self, link, hash, version))
    return;

  transfer = ensure_transfer (self, link);
  want = add_want (self, link, hash, version);
  if (want == NULL)
    return;

  want->expected = TRUE;
  want->sent = self->runtime->now.mono;
  g_queue_push_tail_link (&transfer->asked_queue, &want->link);
  g_hash_table_replace (transfer->expected, &want->name.hash, want);
  look_at (self, self->runtime->now.mono + WANT_PATIENCE);
}

/* Pulling */

static void
send_pull (GkvTransfers *self, GkvLink *link, Pull *pull)
{
  GByteArray *body = gkv_links_begin_message (self->links);

  pull->serial = ++self->next_pull;
  pull->sent = self->runtime->now.mono;
  pull->n_got = 0;

  gkv_put_u32 (body, pull->serial);
  gkv_put_range (body, pull->range);
  gkv_put_u64 (body, pull->from);
  gkv_put_u32 (body, gkv_conversation_of (link)->transfer->page_bytes);
  gkv_links_send (self->links, link, GKV_MESSAGE_PULL);
  gkv_conversation_note_asked (link, self->runtime->now.mono);
  look_at (self, self->runtime->now.mono + PAGE_PATIENCE);
}

static void
pull_more (GkvTransfers *self, GkvLink *link)
{
  GList *l = gkv_conversation_of (link)->transfer->pulls.head;

  for (guint n = 0; l != NULL && n < MAX_PAGES; l = l->next, n++)
    if (((Pull *) l->data)->sent == 0)
      send_pull (self, link, l->data);
}

static Pull *
pull_new (GkvRange range, guint64 from)
{
  Pull *pull = g_new0 (Pull, 1);

  pull->range = range;
  pull->from = from;
  return pull;
}

static gboolean
is_covered (const Pull *pull, GkvRange range)
{
  guint bits = 4 * pull->range.depth;

  return pull->range.depth <= range.depth && (bits == 0 || (pull->range.prefix ^ range.prefix) >> (64 - bits) == 0);
}

void
gkv_transfer_pull (GkvTransfers *self, GkvLink *link, GkvRange range)
{
  GkvTransfer *transfer = ensure_transfer (self, link);

  for (GList *l = transfer->pulls.head; l != NULL; l = l->next)
    if (is_covered (l->data, range))
      return;

  if (transfer->pulls.length >= MAX_PULLS)
    {
      gkv_conversation_of (link)->incomplete = TRUE;
      return;
    }

  g_queue_push_tail (&transfer->pulls, pull_new (range, range.prefix));
  pull_more (self, link);
}

/* One that takes more than a page, and is alone, becomes one for each part of what is left of its range. */
static void
split_pull (GkvTransfer *transfer, GList *place)
{
  Pull *pull = place->data;
  guint shift = 60 - 4 * pull->range.depth;
  guint first = (pull->from >> shift) & 15;

  for (guint i = 15; i > first; i--)
    {
      GkvRange part = { pull->range.prefix | (guint64) i << shift, pull->range.depth + 1 };

      g_queue_insert_after (&transfer->pulls, place, pull_new (part, part.prefix));
    }
  pull->range.prefix |= (guint64) first << shift;
  pull->range.depth++;
}

/* The pull under way whose page has this number, or would have the record of this hash. */
static GList *
find_pull (GkvTransfer *transfer, gboolean by_hash, guint64 number)
{
  GList *l = transfer->pulls.head;

  for (guint n = 0; l != NULL && n < MAX_PAGES; l = l->next, n++)
    {
      const Pull *pull = l->data;
      const GkvRange one = { number, 16 };

      if (by_hash ? is_covered (pull, one) : pull->serial == number)
        return l;
    }

  return NULL;
}

static void
handle_page (GkvTransfers *self, GkvLink *link, GkvReader *reader)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  GkvTransfer *transfer = conversation->transfer;
  guint32 serial = gkv_reader_u32 (reader);
  guint32 n_sent = gkv_reader_u32 (reader);
  gboolean more = gkv_reader_u8 (reader);
  guint64 next = gkv_reader_u64 (reader);
  GList *place = transfer != NULL ? find_pull (transfer, FALSE, serial) : NULL;
  Pull *pull;

  if (reader->failed || place == NULL)
    return;

  pull = place->data;
  self->runtime->counters.pages++;
  pull->tries = 0;
  if (pull->n_got >= n_sent)
    transfer->page_bytes = MIN (transfer->page_bytes + transfer->page_bytes / 4, PAGE_MAX);
  else
    {
      transfer->page_bytes = MAX (transfer->page_bytes / 2, PAGE_MIN);
      conversation->incomplete = TRUE;
    }

  if (more && next > pull->from)
    {
      pull->from = next;
      pull->sent = 0;
      if (transfer->pulls.length < MAX_PAGES && pull->range.depth < 16)
        split_pull (transfer, place);
    }
  else
    {
      g_free (pull);
      g_queue_delete_link (&transfer->pulls, place);
    }

  pull_more (self, link);
  self->listener.progressed (link, self->data);
}

gboolean
gkv_transfers_take (GkvTransfers *self, GkvLink *link, GkvRecord *record, gint64 left_ms, guint64 away)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  gboolean is_new;

  conversation->refused = FALSE;
  is_new = self->listener.received (link, record, left_ms, away, self->data);

  /* One that isn't taken for now was got as well. */
  if (is_new || gkv_store_lookup_version (self->runtime->store, record->hash, record->fingerprint.lo) == NULL)
    gkv_conversation_note_got (link);
  if (is_new)
    conversation->n_taken++;
  else if (conversation->refused)
    note_refused (self, link, record);
  return is_new;
}

static void
handle_record (GkvTransfers *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  guint64 away = kind == GKV_MESSAGE_OLD_RECORD ? gkv_reader_varint (reader) : 0;
  gint64 kept_ms = kind == GKV_MESSAGE_OLD_RECORD ? gkv_reader_left (reader) : -1;
  gint64 left_ms;
  g_autoptr (GkvRecord) record = gkv_runtime_read_record (self->runtime, reader, &left_ms);
  GkvTransfer *transfer = conversation->transfer;

  if (record == NULL)
    {
      self->runtime->counters.records_refused++;
      return;
    }

  conversation->stirred = self->runtime->now.mono;
  gkv_transfers_take (self, link, record, gkv_record_is_dead (record) ? kept_ms : left_ms, away);

  if (transfer == NULL)
    return;

  if (gkv_transfer_forget_want (link, record->hash, record->fingerprint.lo))
    gkv_conversation_note_got (link);
  if (transfer->pulls.length > 0)
    {
      GList *place = find_pull (transfer, TRUE, record->hash);

      if (place != NULL)
        {
          ((Pull *) place->data)->n_got++;
          gkv_conversation_note_got (link);
        }
    }
  if (transfer->want_queue.length > 0)
    want_more (self, link);
  else if (gkv_transfer_is_idle (link))
    self->listener.progressed (link, self->data);
}

/* Whether it is held, or something that wins over it. Another key of that hash may have a higher stamp: then that isn't
 * known. */
static gboolean
is_overruled (GkvTransfers *self, guint64 hash, GkvStamp stamp, guint32 version)
{
  GkvRecord *first = gkv_store_lookup_nth (self->runtime->store, hash, 0);

  return gkv_store_lookup_version (self->runtime->store, hash, version) != NULL ||
         (first != NULL && first->stamp > stamp && gkv_store_lookup_nth (self->runtime->store, hash, 1) == NULL);
}

static void
handle_none (GkvTransfers *self, GkvLink *link, GkvReader *reader)
{
  guint64 hash = gkv_reader_u64 (reader);
  guint32 version = gkv_reader_u32 (reader);
  guint n_instead = gkv_reader_u8 (reader);

  if (reader->failed || !gkv_transfer_forget_want (link, hash, version))
    return;

  for (guint i = 0; i < n_instead; i++)
    {
      GkvStamp stamp = gkv_reader_u64 (reader);
      guint32 instead = gkv_reader_u32 (reader);

      if (!reader->failed && !is_overruled (self, hash, stamp, instead))
        gkv_transfer_want (self, link, hash, instead, FALSE);
    }
  if (gkv_conversation_of (link)->transfer->want_queue.length > 0)
    want_more (self, link);
  self->listener.progressed (link, self->data);
}

/* What isn't held says nothing, and takes no memory. */
static void
handle_refused (GkvTransfers *self, GkvLink *link, GkvReader *reader)
{
  guint64 hash = gkv_reader_u64 (reader);
  guint32 version = gkv_reader_u32 (reader);

  if (reader->failed || gkv_store_lookup_version (self->runtime->store, hash, version) == NULL)
    return;

  gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
  gkv_conversation_add_refused (link, hash, version);
}

void
gkv_transfers_handle (GkvTransfers *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  switch ((int) kind)
    {
    case GKV_MESSAGE_RECORD:
    case GKV_MESSAGE_OLD_RECORD:
      handle_record (self, link, kind, reader);
      break;

    case GKV_MESSAGE_WANT:
      handle_want (self, link, reader);
      break;

    case GKV_MESSAGE_PULL:
      handle_pull (self, link, reader);
      break;

    case GKV_MESSAGE_PAGE:
      handle_page (self, link, reader);
      break;

    case GKV_MESSAGE_NONE:
      handle_none (self, link, reader);
      break;

    case GKV_MESSAGE_REFUSED:
      handle_refused (self, link, reader);
      break;

    default:
      g_assert_not_reached ();
    }
}

/* Time */

static void
tick_wants (GkvTransfers *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  GkvTransfer *transfer = conversation->transfer;
  Want *want;

  while ((want = g_queue_peek_head (&transfer->asked_queue)) != NULL &&
         self->runtime->now.mono - want->sent >= WANT_PATIENCE)
    {
      if (++want->tries >= WANT_TRIES)
        {
          gkv_transfer_forget_want (link, want->name.hash, want->name.version);
          conversation->incomplete = TRUE;
          continue;
        }

      if (!want->expected)
        transfer->n_wanted--;
      else if (g_hash_table_lookup (transfer->expected, &want->name.hash) == want)
        g_hash_table_remove (transfer->expected, &want->name.hash);
      want->expected = FALSE;
      want->sent = 0;
      g_queue_unlink (&transfer->asked_queue, &want->link);
      g_queue_push_tail_link (&transfer->want_queue, &want->link);
    }
  if (want != NULL)
    look_at (self, want->sent + WANT_PATIENCE);

  if (transfer->want_queue.length > 0)
    {
      want_more (self, link);
      look_at (self, self->runtime->now.mono + WANT_PATIENCE);
    }
}

static void
tick_pulls (GkvTransfers *self, GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  GkvTransfer *transfer = conversation->transfer;
  GList *l = transfer->pulls.head;

  for (guint n = 0; l != NULL && n < MAX_PAGES; l = l->next, n++)
    {
      Pull *pull = l->data;

      if (pull->sent == 0 || self->runtime->now.mono - pull->sent < PAGE_PATIENCE)
        {
          look_at (self, (pull->sent > 0 ? pull->sent : self->runtime->now.mono) + PAGE_PATIENCE);
          continue;
        }

      transfer->page_bytes = MAX (transfer->page_bytes / 2, PAGE_MIN);
      if (++pull->tries >= PAGE_TRIES)
        {
          g_queue_clear_full (&transfer->pulls, g_free);
          conversation->incomplete = TRUE;
          return;
        }
      send_pull (self, link, pull);
    }
}

void
gkv_transfers_tick (GkvTransfers *self)
{
  if (self->runtime->now.mono >= self->due)
    {
      self->due = G_MAXINT64;
      /* Backwards, as one that has ended leaves its place to the last. */
      for (guint i = self->transferring->len; i > 0; i--)
        {
          GkvLink *link = g_ptr_array_index (self->transferring, i - 1);
          gboolean was_idle = gkv_transfer_is_idle (link);

          tick_wants (self, link);
          tick_pulls (self, link);
          if (!gkv_transfer_is_idle (link))
            continue;

          end_transfer (self, link);
          if (!was_idle)
            self->listener.progressed (link, self->data);
        }
    }

  gkv_runtime_wake_at (self->runtime, self->due);
}
