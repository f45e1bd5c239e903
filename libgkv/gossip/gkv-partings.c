/* Partings: when this node was parted from others, and what it held before.
 *
 * A node is parted from all others when its own time has a gap: its machine was suspended, or its process stopped; or
 * when it has lost everybody. A virtual machine that was stopped shows no gap of its own. But a member that is back
 * after it was held dead is told for how long it was silent: what is longer than the time for which it knows of no
 * answer is the gap, and is taken off all remaining lifetimes. As one member may lie, two have to say so where there
 * are two.
 *
 * What a node gives that it has held since before travels with the time for which it was away: it may have been removed
 * meanwhile, and where not all removals of that time are remembered, that is all that is known. It ends when an
 * exchange has shown that nothing of it is lacking elsewhere.
 *
 * Times are of two kinds: as the clock of remaining lifetimes has them, and real: with the gaps that it didn't show.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-partings.h"

/* Members that were forgotten, and may come back. */
#define MAX_FORGOTTEN 16384

/* Two that say that this node was silent mean the same silence. */
#define SAME_SILENCE (10 * GKV_SECOND)

/* An answer that is no older may be to what has ended the silence; and of those that are older one is enough for this
 * time. */
#define ANSWER_AGE    GKV_SECOND
#define ANSWER_PERIOD (GKV_SECOND / 2)

/* When a member that is known no more was heard last. */
typedef struct
{
  guint64 hash; /* of its id */
  guint64 generation;
  gint64 heard;
} Forgotten;

struct _GkvPartings
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  GkvPartingsListener listener;
  gpointer data;
  gint64 mono, boot; /* the latest */
  gint64 hidden;     /* gaps that the clocks didn't show */
  gint64 gap_ended;  /* the last gap of the own time; a real time */

  /* What is held since .until was held before a parting, of which the first began at .since, a real time; -1: none. */
  gint64 since;
  guint32 until;
  gboolean checked; /* all removals of that time are remembered here */

  /* A gap that one member alone has told of */
  guint64 told_by;
  gint64 told_at;
  gint64 told;

  GHashTable *forgotten; /* hash* → Forgotten, owned */
};

GkvPartings *
gkv_partings_new (
    GkvRuntime *runtime, GkvLinks *links, GkvMembers *members, const GkvPartingsListener *listener, gpointer data)
{
  GkvPartings *self = g_new0 (GkvPartings, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->listener = *listener;
  self->data = data;
  self->mono = runtime->now.mono;
  self->boot = runtime->now.boot;
  self->since = -1;
  self->checked = TRUE;
  self->forgotten = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  return self;
}

void
gkv_partings_free (GkvPartings *self)
{
  g_hash_table_unref (self->forgotten);
  g_free (self);
}

static guint32
get_second (gint64 boot)
{
  return (guint32) (MAX (boot, 0) / GKV_SECOND);
}

static gint64
get_real (GkvPartings *self)
{
  return self->runtime->now.boot + self->hidden;
}

/* @since: a real time; @until: on the clock of remaining lifetimes. */
static void
part (GkvPartings *self, gint64 since, gint64 until)
{
  if (self->since < 0 || since < self->since)
    self->since = since;
  self->until = MAX (self->until, get_second (until) + 1);
}

/* The same by a gap in the own time, in which others may have made removals. One that never met anybody is parted from
 * nobody. */
static void
part_by_gap (GkvPartings *self, gint64 since, gint64 until)
{
  if (gkv_members_get_n (self->members) == 0)
    return;

  part (self, since, until);
  self->checked = FALSE;
  self->listener.parted (until, self->data);
}

/* Time */

void
gkv_partings_note_time (GkvPartings *self, const GkvTime *now, gint64 due)
{
  gint64 suspended = (now->boot - self->boot) - (now->mono - self->mono);
  gint64 stopped = now->mono - MAX (self->mono, due);
  gint64 last = self->boot;

  self->mono = now->mono;
  self->boot = now->boot;
  if (suspended > GKV_PARTING_LEAST || stopped > GKV_PARTING_LEAST)
    {
      self->gap_ended = now->boot + self->hidden;
      part_by_gap (self, last + self->hidden, last);
    }
}

void
gkv_partings_begin_turn (GkvPartings *self)
{
  gkv_store_set_arrival (self->runtime->store, get_second (self->runtime->now.boot) + 1);
}

/* Members */

void
gkv_partings_add_member (GkvPartings *self, GkvMember *member)
{
  guint64 hash = gkv_runtime_hash_id (self->runtime, member->profile->id);
  const Forgotten *forgotten = g_hash_table_lookup (self->forgotten, &hash);

  if (forgotten != NULL && forgotten->generation == member->profile->generation)
    gkv_standing_of (member)->lost_at = gkv_standing_of (member)->parted_at = forgotten->heard;
  if (forgotten != NULL)
    g_hash_table_remove (self->forgotten, &hash);
}

void
gkv_partings_remove_member (GkvPartings *self, GkvMember *member)
{
  Forgotten *forgotten;

  if (gkv_standing_peek (member)->lost_at == 0)
    return;

  if (g_hash_table_size (self->forgotten) >= MAX_FORGOTTEN)
    g_hash_table_remove_all (self->forgotten);
  forgotten = g_new (Forgotten, 1);
  *forgotten = (Forgotten){ .hash = gkv_runtime_hash_id (self->runtime, member->profile->id),
                            .generation = member->profile->generation,
                            .heard = gkv_standing_of (member)->lost_at };
  g_hash_table_replace (self->forgotten, &forgotten->hash, forgotten);
}

void
gkv_partings_lose (GkvPartings *self, GkvMember *member)
{
  GkvStanding *standing = gkv_standing_of (member);
  gint64 last_seen = gkv_member_extra (member)->last_seen;
  gint64 ago = last_seen > 0 ? self->runtime->now.mono - last_seen : 0;

  /* One that leaves has given what it held. */
  if (member->status == GKV_PEER_STATE_LEFT)
    return;

  standing->lost_at = MAX (get_real (self) - ago, 1);
  if (standing->parted_at == 0)
    standing->parted_at = standing->lost_at;
  if (self->runtime->n_alive == 0)
    part (self, get_real (self) - ago, self->runtime->now.boot - ago);
}

void
gkv_partings_hear (GkvPartings *self, GkvLink *link)
{
  GkvStanding *standing = gkv_standing_of (link->member);

  if (standing->lost_at == 0)
    return;

  /* What this node has slept through was no silence. */
  if (standing->lost_at > self->gap_ended)
    {
      gkv_put_varint (gkv_links_begin_message (self->links), (get_real (self) - standing->lost_at) / GKV_MS);
      gkv_links_send (self->links, link, GKV_MESSAGE_SILENT);
      standing->told_at = self->runtime->now.mono;
    }
  self->listener.returned (link, standing->lost_at - self->hidden, self->data);
  standing->lost_at = 0;
}

void
gkv_partings_note_heard (GkvPartings *self, GkvLink *link)
{
  gint64 *heard_at = gkv_conversation_of (link)->heard_at;

  if (heard_at[0] != 0 && get_real (self) - heard_at[0] < ANSWER_PERIOD)
    return;

  heard_at[2] = heard_at[1];
  heard_at[1] = heard_at[0];
  heard_at[0] = get_real (self);
}

/* The last answer that can't be to what has ended a silence; 0: there was none. */
static gint64
get_last_answer (GkvPartings *self, const GkvLink *link)
{
  const gint64 *heard_at = gkv_conversation_of (link)->heard_at;

  for (guint i = 0; i < G_N_ELEMENTS (gkv_conversation_of (link)->heard_at); i++)
    if (get_real (self) - heard_at[i] >= ANSWER_AGE)
      return heard_at[i];
  return 0;
}

/* The clock of remaining lifetimes has stood still for so long. */
static void
note_gap (GkvPartings *self, gint64 gap, gint64 since)
{
  gint64 before = self->hidden;

  self->hidden += gap;
  gkv_store_shift_deadlines (self->runtime->store, gap, get_second (since - before) + 1);
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
  part_by_gap (self, since, since - before);
}

void
gkv_partings_handle (GkvPartings *self, GkvLink *link, GkvReader *reader)
{
  guint64 silent_ms = gkv_reader_varint (reader);
  gint64 heard_at = get_last_answer (self, link);
  guint64 hash = gkv_runtime_hash_id (self->runtime, link->member->profile->id);
  gint64 gap;

  if (reader->failed || heard_at == 0 || !gkv_link_is_current (link))
    return;

  gap = (gint64) MIN (silent_ms, G_MAXINT64 / 4 / GKV_MS) * GKV_MS - (get_real (self) - heard_at);
  if (gap <= GKV_PARTING_LEAST)
    return;

  if (self->runtime->n_alive > 1 &&
      (self->told == 0 || self->told_by == hash || get_real (self) - self->told_at > SAME_SILENCE))
    {
      self->told = gap;
      self->told_by = hash;
      self->told_at = get_real (self);
      return;
    }

  if (self->told != 0 && self->told_by != hash)
    gap = MIN (gap, self->told);
  self->told = 0;
  note_gap (self, gap, heard_at);
}

/* What was held before */

static void
give (GkvPartings *self, GkvLink *link, GkvRecord *record)
{
  const GkvStanding *standing = gkv_standing_of (link->member);
  gint64 since = G_MAXINT64;

  if (self->since >= 0 && record->arrived <= self->until)
    since = self->since;
  if (standing->parted_at > 0 && record->arrived <= get_second (standing->parted_at - self->hidden) + 1)
    since = MIN (since, standing->parted_at);

  if (since == G_MAXINT64)
    {
      gkv_links_give_record (self->links, link, record, 0);
      return;
    }

  gkv_conversation_of (link)->gave_old = TRUE;
  gkv_links_give_record (self->links, link, record,
                         GKV_AWAY_MAKE (MAX ((get_real (self) - since) / GKV_SECOND, 0), self->checked));
}

void
gkv_partings_give (GkvPartings *self, GkvLink *link, GkvRecord *record)
{
  GkvRecord *valid = gkv_store_get_valid (self->runtime->store, record);

  if (valid != NULL && valid != record)
    give (self, link, valid);
  give (self, link, record);
}

void
gkv_partings_note_inherited (GkvPartings *self)
{
  self->checked = TRUE;
}

void
gkv_partings_settle (GkvPartings *self, GkvMember *member, gboolean remembers)
{
  gkv_standing_of (member)->parted_at = 0;
  if (remembers)
    self->since = -1;
}
