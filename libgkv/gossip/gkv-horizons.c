/* Horizons: when a tombstone may be collected, and which side is right about a record that only one has.
 *
 * A tombstone is kept for a day, and until every peer that isn't forgotten has held it. Then it is collected, and the
 * horizon, the highest stamp collected, rises; it travels with exchanges. A record that one side has and the other has
 * not, and that is not above the other's horizon, may have been deleted there. Its holder can decide: what it held when
 * both last held the same is known to the other, so it was deleted; what came later, while the two still spoke, or
 * after they had lost each other, is new. Only what came between the last agreement and the loss can't be decided:
 * there the deletion stands.
 *
 * The order of arrival is known by the epochs of the store, not by stamps: a record with an old stamp may come late,
 * from a third node that was cut off.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-horizons.h"

#include "gkv-conversation.h"
#include "gkv-standing.h"

#include "../gkv-error.h"

#include <string.h>

#define TOMBSTONE_LIFE (24 * 60 * 60 * GKV_SECOND)
#define MAX_TOMBSTONES 262144

/* So many node ids are remembered after their peers were forgotten. */
#define MAX_COMMONS 16384

/* Tombstones go in batches, this many to a lifetime, so that exchanges find them gone everywhere at once. */
#define BATCHES 24

/* Nothing that is under way is older. A question from before an agreement may come after it, and says nothing then. */
#define STALE (10 * GKV_SECOND)

/* So many exchanges with a stranger leave a doubtful record where it is. */
#define PATIENT_REPEATS 3

/* Collected, or dropped, in one turn. */
#define MAX_COLLECTED 1024

typedef struct
{
  GkvRecord *record;
  gint64 since;
} Tombstone;

/* The records held in common with one generation of a node, in epochs of our store; 0: never. A later one knows nothing
 * of it. */
typedef struct
{
  guint64 generation;
  guint32 agreed;
  guint32 parted;
  gint64 agreed_at;

  /* Earlier agreements, each older than the one above by STALE at least. */
  guint32 before, long_before;
  gint64 before_at;
} Common;

struct _GkvHorizons
{
  GkvRuntime *runtime;
  GkvMembers *members;
  GkvEphemerals *ephemerals;
  GkvStamp stamp;
  gint64 tombstone_life;
  guint max_tombstones;
  GkvStamp highest;    /* of others */
  GQueue tombstones;   /* Tombstone*, oldest first; those whose record has been replaced are skipped */
  GList *sweep;        /* in it: where to look next for those; NULL: at its head */
  GHashTable *commons; /* id → Common, both owned */
  GPtrArray *deleted;  /* GkvRecord*, to be taken out of the store */
  gint64 due;
};

static void
tombstone_free (Tombstone *tombstone)
{
  gkv_record_unref (tombstone->record);
  g_free (tombstone);
}

GkvHorizons *
gkv_horizons_new (
    GkvRuntime *runtime, GkvMembers *members, GkvEphemerals *ephemerals, gint64 tombstone_life, guint max_tombstones)
{
  GkvHorizons *self = g_new0 (GkvHorizons, 1);

  self->runtime = runtime;
  self->members = members;
  self->ephemerals = ephemerals;
  self->tombstone_life = tombstone_life > 0 ? tombstone_life : TOMBSTONE_LIFE;
  self->max_tombstones = max_tombstones > 0 ? max_tombstones : MAX_TOMBSTONES;
  self->commons = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->deleted = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  self->due = runtime->now.mono + self->tombstone_life / BATCHES;
  g_queue_init (&self->tombstones);
  return self;
}

void
gkv_horizons_free (GkvHorizons *self)
{
  g_queue_clear_full (&self->tombstones, (GDestroyNotify) tombstone_free);
  g_hash_table_unref (self->commons);
  g_ptr_array_unref (self->deleted);
  g_free (self);
}

static gboolean
is_held (GkvHorizons *self, const GkvRecord *record)
{
  return gkv_store_lookup_hash (self->runtime->store, record->hash) == record;
}

static void
take_first (GkvHorizons *self)
{
  if (self->sweep == self->tombstones.head)
    self->sweep = self->sweep->next;
  tombstone_free (g_queue_pop_head (&self->tombstones));
}

/* A few at a time, so that keys that are deleted and written again and again leave nothing behind. */
static void
sweep_replaced (GkvHorizons *self)
{
  for (guint n = 0; n < 2 && self->tombstones.length > 0; n++)
    {
      GList *place = self->sweep != NULL ? self->sweep : self->tombstones.head;
      Tombstone *tombstone = place->data;

      self->sweep = place->next;
      if (!is_held (self, tombstone->record))
        {
          tombstone_free (tombstone);
          g_queue_delete_link (&self->tombstones, place);
        }
    }
}

void
gkv_horizons_entomb (GkvHorizons *self, GkvRecord *record)
{
  Tombstone *tombstone = g_new (Tombstone, 1);

  sweep_replaced (self);
  tombstone->record = gkv_record_ref (record);
  tombstone->since = self->runtime->now.mono;
  g_queue_push_tail (&self->tombstones, tombstone);
  if (gkv_store_get_n_tombstones (self->runtime->store) > self->max_tombstones)
    {
      self->due = MIN (self->due, self->runtime->now.mono + GKV_SECOND);
      gkv_runtime_wake_at (self->runtime, self->due);
    }
}

GkvStamp
gkv_horizons_get (GkvHorizons *self)
{
  return self->stamp;
}

guint
gkv_horizons_get_n_kept (GkvHorizons *self)
{
  return self->tombstones.length;
}

void
gkv_horizons_receive (GkvHorizons *self, GkvLink *link, GkvStamp stamp)
{
  if (!gkv_link_is_current (link) || gkv_stamp_get_ahead_ms (stamp, self->runtime->now.wall) > GKV_CLOCK_DRIFT_BOUND_MS)
    return;

  /* They have just collected: so do we, before we find that we differ. */
  if (stamp > self->stamp && stamp > self->highest)
    {
      self->highest = stamp;
      self->due = MIN (self->due, self->runtime->now.mono);
      gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
    }
  gkv_standing_of (link->member)->horizon = stamp;
}

/* Agreeing */

static Common *
lookup_common (GkvHorizons *self, const GkvMember *member)
{
  Common *common = g_hash_table_lookup (self->commons, member->id);

  return common != NULL && common->generation == member->generation ? common : NULL;
}

static Common *
ensure_common (GkvHorizons *self, const GkvMember *member)
{
  GHashTable *commons = self->commons;
  Common *common = lookup_common (self, member);

  if (common == NULL)
    {
      g_hash_table_remove (commons, member->id);
      if (g_hash_table_size (commons) >= MAX_COMMONS)
        {
          const char *oldest = NULL;
          guint32 epoch = G_MAXUINT32;
          GHashTableIter iter;
          const char *other;

          g_hash_table_iter_init (&iter, commons);
          while (g_hash_table_iter_next (&iter, (gpointer *) &other, (gpointer *) &common))
            if (common->agreed < epoch)
              {
                epoch = common->agreed;
                oldest = other;
              }
          if (oldest != NULL)
            g_hash_table_remove (commons, oldest);
        }

      common = g_new0 (Common, 1);
      common->generation = member->generation;
      g_hash_table_insert (commons, g_strdup (member->id), common);
    }

  return common;
}

void
gkv_horizons_agree (GkvHorizons *self, const GkvMember *member, guint32 epoch)
{
  Common *common = ensure_common (self, member);

  if (self->runtime->now.mono - common->before_at >= STALE)
    {
      common->long_before = common->before;
      common->before = common->agreed;
      common->before_at = common->agreed_at;
    }
  common->agreed = MAX (common->agreed, epoch);
  common->agreed_at = self->runtime->now.mono;
  self->stamp = MAX (self->stamp, gkv_standing_of (member)->horizon);
}

void
gkv_horizons_part (GkvHorizons *self, const GkvMember *member)
{
  Common *common = lookup_common (self, member);

  if (common != NULL)
    common->parted = gkv_store_end_epoch (self->runtime->store);
}

/* Deciding */

/* The epoch that was agreed upon before anything that is under way now was sent. */
static guint32
get_settled (GkvHorizons *self, const Common *common)
{
  if (self->runtime->now.mono - common->agreed_at >= STALE)
    return common->agreed;

  return self->runtime->now.mono - common->before_at >= STALE ? common->before : common->long_before;
}

gboolean
gkv_horizons_stands (GkvHorizons *self, GkvLink *link, GkvRecord *record)
{
  const Common *common;

  /* The horizon, and what was agreed upon, are of one generation: nothing is known of what another one deleted. */
  if (!gkv_link_is_current (link) || gkv_standing_of (link->member)->horizon == 0 ||
      record->stamp > gkv_standing_of (link->member)->horizon)
    return TRUE;

  common = lookup_common (self, link->member);
  if (!gkv_record_is_dead (record) && (common == NULL || record->epoch > get_settled (self, common)))
    {
      if (common != NULL && (common->agreed >= common->parted || record->epoch > common->parted))
        return TRUE;

      /* It can't be decided. With one that we never met, others that did may decide it. */
      if (common == NULL && gkv_conversation_of (link)->n_repeats < PATIENT_REPEATS)
        return FALSE;

      self->runtime->counters.records_doubted++;
      gkv_runtime_report (self->runtime, link->address, GKV_ERROR_FAILED,
                          "\"%s\", written by \"%s\", may have been deleted by the nodes of %s while they were out of "
                          "reach, and was dropped here, as were others perhaps; if it is still needed, write it again",
                          gkv_record_get_key (record), gkv_record_get_origin (record), link->address);
    }

  g_ptr_array_add (self->deleted, gkv_record_ref (record));
  gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
  return FALSE;
}

/* Collecting */

static void
drop_deleted (GkvHorizons *self)
{
  for (guint n = 0; n < MAX_COLLECTED && self->deleted->len > 0; n++)
    {
      g_autoptr (GkvRecord) record = g_ptr_array_steal_index_fast (self->deleted, self->deleted->len - 1);
      GkvRecord *visible;

      gkv_runtime_breathe (self->runtime, 2 * GKV_COST_RECORD);
      if (!is_held (self, record))
        continue;

      visible = gkv_store_get_visible (self->runtime->store, record);
      if (visible != NULL)
        gkv_record_ref (visible);
      self->runtime->counters.records_dropped += !gkv_record_is_dead (record);
      self->stamp = MAX (self->stamp, record->stamp);
      gkv_store_remove (self->runtime->store, record);
      gkv_ephemerals_forget (self->ephemerals, record->hash);
      if (visible != NULL)
        {
          g_autoptr (GkvRecord) dead = gkv_record_new_dead (gkv_store_get_hash_key (self->runtime->store), record);

          gkv_events_add_changed (self->runtime->events, dead, visible);
        }
    }

  if (self->deleted->len > 0)
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono + GKV_MS);
}

/* Up to which epoch everything is known to be held by all peers, or by all live ones. */
static guint32
get_confirmed (GkvHorizons *self, gboolean by_the_dead)
{
  guint32 confirmed = G_MAXUINT32;
  GHashTableIter iter;
  GkvMember *member;

  gkv_members_init_iter (self->members, &iter);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      const Common *common = lookup_common (self, member);

      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (member->status == GKV_PEER_STATE_LEFT || (!by_the_dead && !gkv_member_is_live (member)))
        continue;

      confirmed = MIN (confirmed, common != NULL ? common->agreed : 0);
    }

  return confirmed;
}

/* The oldest first; they came in the order of epochs, so the first that can't go is before all others that can't. */
static void
collect (GkvHorizons *self)
{
  guint32 by_all = get_confirmed (self, TRUE);
  guint32 by_live = get_confirmed (self, FALSE);
  gint64 batch = self->tombstone_life / BATCHES;

  for (guint n = 0; n < MAX_COLLECTED && self->tombstones.length > 0; n++)
    {
      Tombstone *tombstone = self->tombstones.head->data;
      GkvRecord *record = tombstone->record;
      gint64 lifetime = self->tombstone_life - (record->stamp <= self->highest ? 2 * batch : 0);
      guint64 n_held = gkv_store_get_n_tombstones (self->runtime->store);
      gboolean held = is_held (self, record);
      gboolean old = record->epoch <= by_all && self->runtime->now.mono - tombstone->since >= lifetime;
      gboolean crowded =
          n_held > self->max_tombstones && (record->epoch <= by_live || n_held > 2 * (guint64) self->max_tombstones);

      if (held && !old && !crowded)
        {
          self->due = self->runtime->now.mono + (n_held > self->max_tombstones ? MIN (GKV_SECOND, batch) : batch);
          return;
        }

      if (held)
        {
          self->stamp = MAX (self->stamp, record->stamp);
          gkv_store_remove (self->runtime->store, record);
          self->runtime->counters.tombstones_collected++;
        }
      take_first (self);
      gkv_runtime_breathe (self->runtime, GKV_COST_RECORD);
    }

  self->due = self->runtime->now.mono + (self->tombstones.length > 0 ? GKV_MS : batch);
}

void
gkv_horizons_tick (GkvHorizons *self)
{
  drop_deleted (self);
  if (self->runtime->now.mono >= self->due)
    collect (self);
  gkv_runtime_wake_at (self->runtime, self->due);
}
