/* Horizons: when a tombstone may be collected, and which side is right about a record that only one has.
 *
 * A tombstone is kept for a day, and until every peer that isn't forgotten has held it. Then it is collected, and the
 * horizon, the highest stamp collected, rises; it travels with exchanges. A record that one side has and the other has
 * not, and that is not above the other's horizon, may have been deleted there. Its holder can tell: what it held when
 * both last held the same is known to the other, so it was deleted; what came later, while the two still spoke, or
 * after they had lost each other, is new. Only what came between the last agreement and the loss can't be told: there
 * the deletion stands.
 *
 * What came when is told by the epochs of the store, not by stamps: a record with an old stamp may come late, from a
 * third node that was cut off.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-horizons.h"

#include "../gkv-error.h"

#include <string.h>

#define TOMBSTONE_LIFE (24 * 60 * 60 * GKV_SECOND)
#define MAX_TOMBSTONES 262144

/* So many node ids are remembered after their peers were forgotten. */
#define MAX_COMMONS 16384

/* Tombstones go in batches, this many to a life, so that exchanges find them gone everywhere at once. */
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

/* What we had in common with one life of a node, in epochs of our store; 0: never. A later life knows nothing of it. */
typedef struct
{
  guint64 life;
  guint32 agreed;
  guint32 parted;
  gint64 agreed_at;

  /* Earlier agreements, each older than the one above by STALE at least. */
  guint32 before, long_before;
  gint64 before_at;
} Common;

struct _GkvHorizons
{
  GkvStamp stamp;
  gint64 life;
  guint max_tombstones;
  GkvStamp heard;      /* the highest of others */
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

void
gkv_horizons_init (GkvEngine *self, const GkvEngineConfig *config)
{
  GkvHorizons *horizons = g_new0 (GkvHorizons, 1);

  horizons->life = config->tombstone_life_ms > 0 ? config->tombstone_life_ms * GKV_MS : TOMBSTONE_LIFE;
  horizons->max_tombstones = config->max_tombstones > 0 ? config->max_tombstones : MAX_TOMBSTONES;
  horizons->commons = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  horizons->deleted = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  horizons->due = self->now.mono + horizons->life / BATCHES;
  g_queue_init (&horizons->tombstones);
  self->horizons = horizons;
}

void
gkv_horizons_clear (GkvEngine *self)
{
  GkvHorizons *horizons = g_steal_pointer (&self->horizons);

  g_queue_clear_full (&horizons->tombstones, (GDestroyNotify) tombstone_free);
  g_hash_table_unref (horizons->commons);
  g_ptr_array_unref (horizons->deleted);
  g_free (horizons);
}

static gboolean
is_held (GkvEngine *self, const GkvRecord *record)
{
  return gkv_store_lookup_hash (self->store, record->hash) == record;
}

static void
take_first (GkvHorizons *horizons)
{
  if (horizons->sweep == horizons->tombstones.head)
    horizons->sweep = horizons->sweep->next;
  tombstone_free (g_queue_pop_head (&horizons->tombstones));
}

/* A few at a time, so that keys that are deleted and written again and again leave nothing behind. */
static void
sweep_replaced (GkvEngine *self)
{
  GkvHorizons *horizons = self->horizons;

  for (guint n = 0; n < 2 && horizons->tombstones.length > 0; n++)
    {
      GList *place = horizons->sweep != NULL ? horizons->sweep : horizons->tombstones.head;
      Tombstone *tombstone = place->data;

      horizons->sweep = place->next;
      if (!is_held (self, tombstone->record))
        {
          tombstone_free (tombstone);
          g_queue_delete_link (&horizons->tombstones, place);
        }
    }
}

void
gkv_horizons_entomb (GkvEngine *self, GkvRecord *record)
{
  GkvHorizons *horizons = self->horizons;
  Tombstone *tombstone = g_new (Tombstone, 1);

  sweep_replaced (self);
  tombstone->record = gkv_record_ref (record);
  tombstone->since = self->now.mono;
  g_queue_push_tail (&horizons->tombstones, tombstone);
  if (gkv_store_get_n_tombstones (self->store) > horizons->max_tombstones)
    {
      horizons->due = MIN (horizons->due, self->now.mono + GKV_SECOND);
      gkv_engine_wake_at (self, horizons->due);
    }
}

GkvStamp
gkv_horizons_get (GkvEngine *self)
{
  return self->horizons->stamp;
}

guint
gkv_horizons_get_n_kept (GkvEngine *self)
{
  return self->horizons->tombstones.length;
}

void
gkv_horizons_hear (GkvEngine *self, GkvLink *link, GkvStamp stamp)
{
  if (link->life != link->member->life || gkv_stamp_get_ahead_ms (stamp, self->now.wall) > GKV_CLOCK_DRIFT_BOUND_MS)
    return;

  /* They have just collected: so do we, before we find that we differ. */
  if (stamp > self->horizons->stamp && stamp > self->horizons->heard)
    {
      self->horizons->heard = stamp;
      self->horizons->due = MIN (self->horizons->due, self->now.mono);
      gkv_engine_wake_at (self, self->now.mono);
    }
  link->member->horizon = stamp;
}

/* Agreeing */

static Common *
lookup_common (GkvEngine *self, const GkvMember *member)
{
  Common *common = g_hash_table_lookup (self->horizons->commons, member->id);

  return common != NULL && common->life == member->life ? common : NULL;
}

static Common *
ensure_common (GkvEngine *self, const GkvMember *member)
{
  GHashTable *commons = self->horizons->commons;
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
      common->life = member->life;
      g_hash_table_insert (commons, g_strdup (member->id), common);
    }

  return common;
}

void
gkv_horizons_agree (GkvEngine *self, const GkvMember *member, guint32 epoch)
{
  Common *common = ensure_common (self, member);

  if (self->now.mono - common->before_at >= STALE)
    {
      common->long_before = common->before;
      common->before = common->agreed;
      common->before_at = common->agreed_at;
    }
  common->agreed = MAX (common->agreed, epoch);
  common->agreed_at = self->now.mono;
  self->horizons->stamp = MAX (self->horizons->stamp, member->horizon);
}

void
gkv_horizons_part (GkvEngine *self, const GkvMember *member)
{
  Common *common = lookup_common (self, member);

  if (common != NULL)
    common->parted = gkv_store_end_epoch (self->store);
}

/* Judging */

/* What was agreed before anything that is under way now was said. */
static guint32
get_settled (GkvEngine *self, const Common *common)
{
  if (self->now.mono - common->agreed_at >= STALE)
    return common->agreed;

  return self->now.mono - common->before_at >= STALE ? common->before : common->long_before;
}

gboolean
gkv_horizons_stands (GkvEngine *self, GkvLink *link, GkvRecord *record)
{
  const Common *common;

  /* The horizon, and what was agreed upon, are of one life: nothing is known of what another one deleted. */
  if (link->member == NULL || link->life != link->member->life || link->member->horizon == 0 ||
      record->stamp > link->member->horizon)
    return TRUE;

  common = lookup_common (self, link->member);
  if (!gkv_record_is_dead (record) && (common == NULL || record->epoch > get_settled (self, common)))
    {
      if (common != NULL && (common->agreed >= common->parted || record->epoch > common->parted))
        return TRUE;

      /* It can't be told. With one whom we never met, others may decide it, who did. */
      if (common == NULL && link->n_repeats < PATIENT_REPEATS)
        return FALSE;

      self->counters.records_doubted++;
      gkv_engine_report (self, link, GKV_ERROR_FAILED,
                         "\"%s\", written by \"%s\", may have been deleted by the nodes of %s while they were out of "
                         "reach, and was dropped here, as were others perhaps; if it is still needed, write it again",
                         gkv_record_get_key (record), gkv_record_get_origin (record), link->address);
    }

  g_ptr_array_add (self->horizons->deleted, gkv_record_ref (record));
  gkv_engine_wake_at (self, self->now.mono);
  return FALSE;
}

/* Collecting */

static void
drop_deleted (GkvEngine *self)
{
  GkvHorizons *horizons = self->horizons;

  for (guint n = 0; n < MAX_COLLECTED && horizons->deleted->len > 0; n++)
    {
      g_autoptr (GkvRecord) record = g_ptr_array_steal_index_fast (horizons->deleted, horizons->deleted->len - 1);
      GkvRecord *visible;

      gkv_engine_breathe (self, 2 * GKV_COST_RECORD);
      if (!is_held (self, record))
        continue;

      visible = gkv_store_get_visible (self->store, record);
      if (visible != NULL)
        gkv_record_ref (visible);
      self->counters.records_dropped += !gkv_record_is_dead (record);
      horizons->stamp = MAX (horizons->stamp, record->stamp);
      gkv_store_remove (self->store, record);
      gkv_ephemerals_forget (self, record->hash);
      if (visible != NULL)
        gkv_engine_add_removed_event (self, record, visible);
    }

  if (horizons->deleted->len > 0)
    gkv_engine_wake_at (self, self->now.mono + GKV_MS);
}

/* Up to which epoch everything is known to be held by all peers, or by all live ones. */
static guint32
get_confirmed (GkvEngine *self, gboolean by_the_dead)
{
  guint32 confirmed = G_MAXUINT32;
  GHashTableIter iter;
  GkvMember *member;

  g_hash_table_iter_init (&iter, self->members);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &member))
    {
      const Common *common = lookup_common (self, member);

      gkv_engine_breathe (self, GKV_COST_MEMBER);
      if (member->status == GKV_PEER_STATE_LEFT || (!by_the_dead && !gkv_member_is_live (member)))
        continue;

      confirmed = MIN (confirmed, common != NULL ? common->agreed : 0);
    }

  return confirmed;
}

/* The oldest first; they came in the order of epochs, so the first that can't go is before all others that can't. */
static void
collect (GkvEngine *self)
{
  GkvHorizons *horizons = self->horizons;
  guint32 by_all = get_confirmed (self, TRUE);
  guint32 by_live = get_confirmed (self, FALSE);
  gint64 batch = horizons->life / BATCHES;

  for (guint n = 0; n < MAX_COLLECTED && horizons->tombstones.length > 0; n++)
    {
      Tombstone *tombstone = horizons->tombstones.head->data;
      GkvRecord *record = tombstone->record;
      gint64 life = horizons->life - (record->stamp <= horizons->heard ? 2 * batch : 0);
      guint64 n_held = gkv_store_get_n_tombstones (self->store);
      gboolean held = is_held (self, record);
      gboolean old = record->epoch <= by_all && self->now.mono - tombstone->since >= life;
      gboolean crowded = n_held > horizons->max_tombstones &&
                         (record->epoch <= by_live || n_held > 2 * (guint64) horizons->max_tombstones);

      if (held && !old && !crowded)
        {
          horizons->due = self->now.mono + (n_held > horizons->max_tombstones ? MIN (GKV_SECOND, batch) : batch);
          return;
        }

      if (held)
        {
          horizons->stamp = MAX (horizons->stamp, record->stamp);
          gkv_store_remove (self->store, record);
          self->counters.tombstones_collected++;
        }
      take_first (horizons);
      gkv_engine_breathe (self, GKV_COST_RECORD);
    }

  horizons->due = self->now.mono + (horizons->tombstones.length > 0 ? GKV_MS : batch);
}

void
gkv_horizons_tick (GkvEngine *self)
{
  drop_deleted (self);
  if (self->now.mono >= self->horizons->due)
    collect (self);
  gkv_engine_wake_at (self, self->horizons->due);
}
