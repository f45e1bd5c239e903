/* GkvEngine: the whole protocol of one node: time and datagrams in, datagrams and events out.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include <string.h>

/* Records that the sketch takes in at a time. */
#define SKETCH_SLICE 64

/* A process, or a machine, that slept for so long decides about nobody by the replies that it slept through. */
#define SLEPT (GKV_SECOND / 4)

/* What the parts report to each other, in the order of the layers */

static void
on_link_added (GkvLink *link, gpointer data)
{
  gkv_conversation_init (link);
}

static void
on_link_removed (GkvLink *link, gpointer data)
{
  GkvEngine *self = data;

  gkv_inheritance_drop_link (self->inheritance, link);
  gkv_membership_forget_link (self->membership, link);
  gkv_conversation_clear (link);
}

static gboolean
is_link_in_use (const GkvLink *link, gpointer data)
{
  const GkvConversation *conversation = gkv_conversation_of (link);

  return conversation->exchange != NULL || conversation->awaited != NULL || !gkv_transfer_is_idle ((GkvLink *) link) ||
         (link->member != NULL && link->member->link == link && link->member->status == GKV_PEER_STATE_SUSPECT);
}

/* It may be reached through others. */
static void
on_unreached (GkvLink *link, gpointer data)
{
  GkvEngine *self = data;
  GkvMember *member = link->place != 0 ? gkv_members_find_live (self->members, link->place) : NULL;

  if (member != NULL && !gkv_member_has_link (member))
    gkv_members_set_indirect (self->members, member, TRUE);
}

static gboolean
is_peer (const GkvLink *link, gpointer data)
{
  return gkv_link_is_live (link);
}

static gboolean
is_spoken_with (const GkvLink *link, gpointer data)
{
  return link->member->link == link && gkv_member_is_direct (link->member);
}

static guint64
get_place (const GkvLink *link, gpointer data)
{
  return link->member->profile->place;
}

static gboolean
lives_at (guint64 place, const char *address, gpointer data)
{
  const GkvMember *member = gkv_members_find_live (((GkvEngine *) data)->members, place);

  return member != NULL && gkv_member_is_direct (member) &&
         (g_strcmp0 (member->profile->address, address) == 0 ||
          (member->link != NULL && strcmp (member->link->address, address) == 0));
}

static void
on_speaks_from (const char *address, GkvLink *link, gpointer data)
{
  gkv_identities_note_address (((GkvEngine *) data)->identities, address, link);
}

static gboolean
on_unproved (const char *address, guint64 echo, guint64 token, guint32 run, gpointer data)
{
  return !gkv_probes_handle_unproved (((GkvEngine *) data)->probes, address, echo, run) &&
         gkv_contacts_handle_unproved (((GkvEngine *) data)->contacts, address, echo, token);
}

static void
on_datagram_begins (GkvLink *link, gpointer data)
{
  GkvEngine *self = data;

  gkv_runtime_lock_store (self->runtime);
  gkv_partings_begin_turn (self->partings);
  if (gkv_link_is_current (link) && gkv_link_is_usable (link))
    gkv_partings_hear (self->partings, link);
  gkv_rumours_begin_datagram (self->rumours);
}

static void
on_datagram_ended (GkvLink *link, gpointer data)
{
  GkvEngine *self = data;

  gkv_identities_end_datagram (self->identities, link);
  gkv_conversation_note_received (link, self->runtime->now.mono);
  gkv_runtime_unlock_store (self->runtime);
}

static void
on_received (GkvLink *link, GkvMessageKind kind, GkvReader *body, gpointer data)
{
  GkvEngine *self = data;

  if (link->member == NULL && kind > GKV_MESSAGE_DUPLICATE)
    return;

  if (kind == GKV_MESSAGE_ACK || kind == GKV_MESSAGE_SPREAD_ACK)
    gkv_partings_note_heard (self->partings, link);

  switch (kind)
    {
    case GKV_MESSAGE_TOKEN:
    case GKV_MESSAGE_IDENT:
    case GKV_MESSAGE_DUPLICATE:
      gkv_identities_handle (self->identities, link, kind, body);
      break;

    case GKV_MESSAGE_CLOCK:
      gkv_clocks_handle (self->clocks, link, body);
      break;

    case GKV_MESSAGE_WHO:
    case GKV_MESSAGE_HERE:
      gkv_moves_handle (self->moves, link, kind, body);
      break;

    case GKV_MESSAGE_MEMBERS:
    case GKV_MESSAGE_LISTING:
      gkv_membership_handle (self->membership, link, body, kind == GKV_MESSAGE_LISTING);
      break;

    case GKV_MESSAGE_LACKING:
    case GKV_MESSAGE_LISTED:
      gkv_roster_handle (self->roster, link, kind, body);
      break;

    case GKV_MESSAGE_PING:
    case GKV_MESSAGE_ACK:
    case GKV_MESSAGE_PROBE:
      gkv_probes_handle (self->probes, link, kind, body);
      break;

    case GKV_MESSAGE_RUMOUR:
    case GKV_MESSAGE_SPREAD:
    case GKV_MESSAGE_SPREAD_ACK:
      gkv_rumours_handle (self->rumours, link, kind, body);
      break;

    case GKV_MESSAGE_ASK:
    case GKV_MESSAGE_SAME:
    case GKV_MESSAGE_RANGE:
    case GKV_MESSAGE_ITEMS:
    case GKV_MESSAGE_OFFER:
    case GKV_MESSAGE_INVITE:
    case GKV_MESSAGE_SKETCH:
    case GKV_MESSAGE_ASK_CHUNK:
      gkv_answers_handle (self->answers, link, kind, body);
      break;

    case GKV_MESSAGE_RECORD:
    case GKV_MESSAGE_OLD_RECORD:
    case GKV_MESSAGE_WANT:
    case GKV_MESSAGE_PULL:
    case GKV_MESSAGE_PAGE:
    case GKV_MESSAGE_NONE:
    case GKV_MESSAGE_REFUSED:
      gkv_transfers_handle (self->transfers, link, kind, body);
      break;

    case GKV_MESSAGE_LARGE:
    case GKV_MESSAGE_GET:
    case GKV_MESSAGE_DATA:
      gkv_pieces_handle (self->pieces, link, kind, body);
      break;

    case GKV_MESSAGE_FLUSH:
      gkv_confirmations_handle (self->confirmations, link, kind, body);
      break;

    case GKV_MESSAGE_FLUSHED:
      if (!gkv_flushes_handle (self->flushes, link, body))
        gkv_confirmations_handle (self->confirmations, link, kind, body);
      break;

    case GKV_MESSAGE_COLLECTED:
      gkv_tombstones_handle (self->tombstones, body);
      break;

    case GKV_MESSAGE_SILENT:
      gkv_partings_handle (self->partings, link, body);
      break;

    case GKV_MESSAGE_RECALL:
    case GKV_MESSAGE_REMEMBERED:
      gkv_inheritance_handle (self->inheritance, link, kind, body);
      break;

    default:
      /* Of a later version: skipped. */
      break;
    }
}

static void
on_other_version (const char *address, guint version, gpointer data)
{
  gkv_contacts_note_other_version (((GkvEngine *) data)->contacts, address, version);
}

static void
on_other_cluster (const char *address, const guint8 *header, guint64 token, gpointer data)
{
  gkv_contacts_handle_other_cluster (((GkvEngine *) data)->contacts, address, header, token);
}

static void
on_refused (const char *address, gpointer data)
{
  gkv_contacts_note_other_cluster (((GkvEngine *) data)->contacts, address);
}

static void
on_member_added (GkvMember *member, gpointer data)
{
  gkv_partings_add_member (((GkvEngine *) data)->partings, member);
}

static void
on_member_removed (GkvMember *member, gpointer data)
{
  gkv_partings_remove_member (((GkvEngine *) data)->partings, member);
  gkv_standing_clear (member);
}

static gboolean
on_member_fades (GkvMember *member, gpointer data)
{
  if (gkv_standing_is_needed (member) || gkv_rumours_is_delegated (member))
    return FALSE;

  gkv_standing_clear (member);
  return TRUE;
}

static GkvMember *
on_next_probe (GkvTurn *turn, gpointer data)
{
  return gkv_neighbours_next (((GkvEngine *) data)->neighbours, turn);
}

static void
on_probe_begins (GkvMember *member, gpointer data)
{
  gkv_identities_check_address (((GkvEngine *) data)->identities, member);
}

static void
on_pinged (GkvMember *member, gpointer data)
{
  gkv_exchanges_ride (((GkvEngine *) data)->exchanges, member);
}

static void
on_replied (GkvMember *member, gint64 round_trip_us, gpointer data)
{
  gkv_membership_note_round_trip (((GkvEngine *) data)->membership, member, round_trip_us);
}

static void
on_answered (GkvMember *member, gpointer data)
{
  gkv_membership_note_heard (((GkvEngine *) data)->membership, member);
}

static void
on_relayed (GkvMember *member, gpointer data)
{
  gkv_membership_note_relayed (((GkvEngine *) data)->membership, member);
}

static void
on_remembers (GkvMember *member, gpointer data)
{
  gkv_membership_remember (((GkvEngine *) data)->membership, member);
}

static void
on_probe_failed (GkvMember *member, gpointer data)
{
  gkv_membership_suspect (((GkvEngine *) data)->membership, member);
}

static void
on_liveness_changed (GkvMember *member, gpointer data)
{
  GkvEngine *self = data;

  if (gkv_standing_exists (member))
    gkv_standing_of (member)->live_since = self->runtime->now.mono;
  gkv_flushes_note_liveness (self->flushes, member);
}

static void
on_member_lost (GkvMember *member, gpointer data)
{
  GkvEngine *self = data;

  gkv_standing_end (member);
  gkv_partings_lose (self->partings, member);
  gkv_ephemerals_hasten (self->ephemerals);
  if (member->link != NULL)
    gkv_exchange_end_all (self->exchanges, member->link);
}

static void
on_generation_began (GkvMember *member, gpointer data)
{
  gkv_standing_reset (member);
  gkv_ephemerals_hasten (((GkvEngine *) data)->ephemerals);
}

static void
on_member_forgotten (GkvMember *member, gpointer data)
{
  gkv_rumours_forget_member (((GkvEngine *) data)->rumours, member);
}

/* With the next generation what is under way would be held to be got although some of it got lost before. */
static void
on_conversation_ended (GkvLink *link, gpointer data)
{
  GkvEngine *self = data;

  gkv_exchange_end_all (self->exchanges, link);
  gkv_transfer_end (self->transfers, link);
  gkv_conversation_forget_refused (link);
  gkv_confirmations_forget_link (self->confirmations, link);
}

static void
on_link_forgotten (GkvLink *link, gpointer data)
{
  gkv_roster_forget_link (((GkvEngine *) data)->roster, link);
  gkv_conversation_forget_repeats (link);
}

static void
on_generation_raised (gpointer data)
{
  gkv_ephemerals_hasten (((GkvEngine *) data)->ephemerals);
}

static void
on_stated (GkvLink *link, gboolean synced, guint64 n_records, guint64 wall_s, gpointer data)
{
  gkv_synced_note_statement (((GkvEngine *) data)->synced, link, synced, n_records);
  gkv_clocks_note_peer (((GkvEngine *) data)->clocks, link, wall_s);
}

static void
on_judge_anew (gpointer data)
{
  GkvEngine *self = data;

  gkv_confirmations_judge_anew (self->confirmations);
  gkv_exchanges_begin_anew (self->exchanges);
}

static void
on_lies_ahead (GkvRecord *record, gint64 time_ms, gpointer data)
{
  gkv_records_correct_time (((GkvEngine *) data)->records, record, time_ms);
}

static void
on_clock_refused (GkvMember *member, gpointer data)
{
  gkv_flushes_note_refusal (((GkvEngine *) data)->flushes, member);
}

static void
on_copied (GkvMember *member, GkvLink *one, GkvLink *other, gpointer data)
{
  gkv_identities_note_copied (((GkvEngine *) data)->identities, member, one, other);
}

static void
on_introduced (GkvLink *link, gpointer data)
{
  gkv_exchange_begin (((GkvEngine *) data)->exchanges, link);
}

static gboolean
on_record (GkvLink *link, GkvRecord *record, gint64 left_ms, guint64 away, gpointer data)
{
  GkvEngine *self = data;

  return gkv_records_apply (self->records, link, record, left_ms, away, FALSE);
}

static gboolean
on_rumour (GkvLink *link, GkvRecord *record, gint64 left_ms, gpointer data)
{
  GkvEngine *self = data;

  return gkv_records_apply (self->records, link, record, gkv_record_is_dead (record) ? -1 : left_ms, 0, TRUE);
}

static void
on_acknowledged (GkvMember *member, GPtrArray *records, gpointer data)
{
  gkv_flushes_acknowledge (((GkvEngine *) data)->flushes, member, records);
}

static void
on_rumour_dropped (gpointer data)
{
  gkv_exchanges_hasten (((GkvEngine *) data)->exchanges);
}

static void
on_ephemeral_ended (GkvRecord *record, gpointer data)
{
  gkv_records_mark_dead (((GkvEngine *) data)->records, record);
}

static void
on_ephemeral_past (GkvRecord *record, gpointer data)
{
  gkv_records_write_again (((GkvEngine *) data)->records, record);
}

static gboolean
on_pieces (GkvLink *link, GkvRecord *record, gint64 left_ms, guint64 away, gpointer data)
{
  return gkv_transfers_take (((GkvEngine *) data)->transfers, link, record, left_ms, away);
}

static gboolean
on_offered (GkvLink *link, guint64 hash, guint32 version, guint64 away, gpointer data)
{
  GkvEngine *self = data;

  return gkv_records_refuse (self->records, link, hash, away) ||
         gkv_transfers_refuse (self->transfers, link, hash, version);
}

static void
on_announced (GkvLink *link, guint64 hash, guint32 version, gpointer data)
{
  gkv_transfer_forget_want (link, hash, version);
}

static void
on_postponed (GkvLink *link, guint64 hash, guint32 version, gpointer data)
{
  gkv_transfer_expect (((GkvEngine *) data)->transfers, link, hash, version);
}

static void
on_has_room (gpointer data)
{
  gkv_transfers_hasten (((GkvEngine *) data)->transfers);
}

static void
on_pieces_ended (guint64 hash, guint32 version, gboolean got, gpointer data)
{
  gkv_exchanges_end_pieces (((GkvEngine *) data)->exchanges, hash, version, got);
}

static void
on_progressed (GkvLink *link, gpointer data)
{
  gkv_exchange_consider_end (((GkvEngine *) data)->exchanges, link);
}

static guint64
on_exchange_began (GkvLink *link, gpointer data)
{
  return gkv_flushes_begin_exchange (((GkvEngine *) data)->flushes);
}

static void
on_exchange_ended (GkvLink *link, guint64 mark, gpointer data)
{
  gkv_flushes_settle (((GkvEngine *) data)->flushes, link, mark);
}

static void
on_repeats (GkvLink *link, gpointer data)
{
  gkv_probes_ask (((GkvEngine *) data)->probes, link);
}

static void
on_matched (GkvLink *link, guint64 number, gboolean refused, gpointer data)
{
  GkvEngine *self = data;

  gkv_confirmations_note_matched (self->confirmations, link, number, refused);
  if (!gkv_conversation_of (link)->gave_old)
    gkv_partings_settle (self->partings, link->member,
                         gkv_standing_of (link->member)->remembers && gkv_inheritance_is_complete (self->inheritance));
  gkv_synced_consider (self->synced);
}

static void
on_parted (gint64 since, gpointer data)
{
  GkvEngine *self = data;

  gkv_synced_part (self->synced);
  gkv_inheritance_begin (self->inheritance, since);
}

static void
on_returned (GkvLink *link, gint64 since, gpointer data)
{
  gkv_inheritance_ask (((GkvEngine *) data)->inheritance, link, since);
}

/* What was not taken while it was missing is to be given again. */
static void
on_inherited (GkvLink *from, gpointer data)
{
  GkvEngine *self = data;

  gkv_partings_note_inherited (self->partings);
  gkv_exchanges_hasten (self->exchanges);
}

static const GkvLinksListener links_listener = {
  .added = on_link_added,
  .removed = on_link_removed,
  .is_in_use = is_link_in_use,
  .unreached = on_unreached,
  .begins = on_datagram_begins,
  .received = on_received,
  .ended = on_datagram_ended,
  .other_version = on_other_version,
  .other_cluster = on_other_cluster,
  .refused = on_refused,
  .unproved = on_unproved,
};
static const GkvContactsListener contacts_listener = {
  .is_peer = is_peer,
  .is_spoken_with = is_spoken_with,
  .get_place = get_place,
  .lives_at = lives_at,
  .speaks_from = on_speaks_from,
};
static const GkvMembersListener members_listener = {
  .added = on_member_added,
  .removed = on_member_removed,
  .fades = on_member_fades,
};
static const GkvProbesListener probes_listener = {
  .next = on_next_probe,
  .begins = on_probe_begins,
  .pinged = on_pinged,
  .replied = on_replied,
  .answered = on_answered,
  .relayed = on_relayed,
  .failed = on_probe_failed,
  .remembers = on_remembers,
};
static const GkvMembershipListener membership_listener = {
  .liveness_changed = on_liveness_changed,
  .lost = on_member_lost,
  .generation_began = on_generation_began,
  .forgotten = on_member_forgotten,
  .conversation_ended = on_conversation_ended,
  .link_forgotten = on_link_forgotten,
  .generation_raised = on_generation_raised,
};
static const GkvMovesListener moves_listener = { .copied = on_copied };
static const GkvIdentitiesListener identities_listener = { .introduced = on_introduced, .stated = on_stated };
static const GkvRumoursListener rumours_listener = {
  .received = on_rumour,
  .acknowledged = on_acknowledged,
  .dropped = on_rumour_dropped,
};
static const GkvEphemeralsListener ephemerals_listener = {
  .ended = on_ephemeral_ended,
  .is_past = on_ephemeral_past,
};
static const GkvClocksListener clocks_listener = {
  .judge_anew = on_judge_anew,
  .lies_ahead = on_lies_ahead,
  .refused = on_clock_refused,
};
static const GkvPartingsListener partings_listener = { .parted = on_parted, .returned = on_returned };
static const GkvInheritanceListener inheritance_listener = { .completed = on_inherited };
static const GkvPiecesListener pieces_listener = {
  .received = on_pieces,
  .refuses = on_offered,
  .announced = on_announced,
  .postponed = on_postponed,
  .has_room = on_has_room,
  .ended = on_pieces_ended,
  .progressed = on_progressed,
};
static const GkvTransfersListener transfers_listener = { .received = on_record, .progressed = on_progressed };
static const GkvExchangesListener exchanges_listener = {
  .began = on_exchange_began,
  .ended = on_exchange_ended,
  .repeats = on_repeats,
  .matched = on_matched,
};

/* Public */

static void
set_time (GkvEngine *self, const GkvTime *now)
{
  if (!self->runtime->leaving)
    gkv_partings_note_time (self->partings, now, self->runtime->wake);
  self->runtime->now = *now;
}

static GkvRuntime *
make_runtime (const GkvEngineConfig *config, GkvStore *store, const GkvTime *now)
{
  GkvRuntime *runtime =
      gkv_runtime_new (store, gkv_events_new (config->changed, config->changed_data), config->random_seed, now);
  GkvHashKey zero = { 0, 0 };

  runtime->id = g_ref_string_new_intern (config->node_id);
  runtime->place = gkv_runtime_hash_id (runtime, runtime->id);
  runtime->cluster = g_strdup (config->cluster);
  runtime->cluster_hash = gkv_hash_64 (&zero, config->cluster, strlen (config->cluster));
  runtime->generation = config->generation;
  runtime->secret = (GkvHashKey){ config->secret[0], config->secret[1] };
  runtime->max_datagram = CLAMP (config->max_datagram_size, GKV_WIRE_MIN_DATAGRAM, GKV_WIRE_MAX_DATAGRAM);
  gkv_runtime_set_store_lock (runtime, config->store_lock, config->store_unlock, config->store_lock_data);
  return runtime;
}

GkvEngine *
gkv_engine_new (const GkvEngineConfig *config, GkvStore *store, const GkvTime *now)
{
  GkvEngine *self = g_new0 (GkvEngine, 1);
  GkvRuntime *runtime = make_runtime (config, store, now);
  guint max_removals = config->max_removals > 0 ? config->max_removals : GKV_MAX_REMOVALS;

  self->runtime = runtime;
  self->suspended = now->boot - now->mono;
  self->links = gkv_links_new (runtime, &links_listener, self);
  self->contacts = gkv_contacts_new (runtime, self->links, &contacts_listener, self);
  self->members = gkv_members_new (runtime, config->profiles, &members_listener, self);
  self->roster = gkv_roster_new (runtime, self->links, self->contacts, self->members);
  self->updates = gkv_updates_new (runtime, self->links, self->members, self->roster);
  self->probes = gkv_probes_new (runtime, self->links, self->contacts, self->members, self->roster, self->updates,
                                 &probes_listener, self);
  self->membership = gkv_membership_new (runtime, self->links, self->contacts, self->members, self->updates,
                                         self->probes, config->forget_dead_ms * GKV_MS, config->chain_length,
                                         config->suspect_questions, config->is_confined, &membership_listener, self);
  self->moves = gkv_moves_new (runtime, self->links, self->members, self->membership, &moves_listener, self);
  self->identities =
      gkv_identities_new (runtime, self->links, self->contacts, self->members, self->roster, self->updates,
                          self->probes, self->membership, self->moves, &identities_listener, self);
  self->ring = gkv_ring_new (runtime, self->members);
  self->neighbours = gkv_neighbours_new (runtime, self->links, self->members, self->ring);
  self->rumours = gkv_rumours_new (runtime, self->links, self->members, self->ring, &rumours_listener, self);
  self->ephemerals = gkv_ephemerals_new (runtime, self->members, self->membership, &ephemerals_listener, self);
  self->tombstones =
      gkv_tombstones_new (runtime, self->links, config->tombstone_life_ms * GKV_MS, config->max_tombstones);
  self->partings = gkv_partings_new (runtime, self->links, self->members, &partings_listener, self);
  self->inheritance =
      gkv_inheritance_new (runtime, self->links, self->members, max_removals, &inheritance_listener, self);
  self->pieces = gkv_pieces_new (runtime, self->links, self->partings, self->rumours, &pieces_listener, self);
  self->transfers = gkv_transfers_new (runtime, self->links, self->partings, self->pieces, &transfers_listener, self);
  self->offers = gkv_offers_new (runtime, self->links, self->partings, self->transfers);
  self->exchanges =
      gkv_exchanges_new (runtime, self->links, self->members, self->membership, self->pieces, self->transfers,
                         MAX (config->gossip_interval_ms, 1) * GKV_MS, &exchanges_listener, self);
  self->sketches = gkv_sketches_new (runtime, self->links, self->transfers, self->offers, self->exchanges);
  self->synced = gkv_synced_new (runtime, self->contacts, self->members, self->membership);
  self->flushes = gkv_flushes_new (runtime, self->links, self->members, self->membership);
  self->confirmations = gkv_confirmations_new (runtime, self->links, self->members, self->exchanges);
  self->answers = gkv_answers_new (runtime, self->links, self->transfers, self->offers, self->exchanges, self->sketches,
                                   self->flushes);
  self->clocks = gkv_clocks_new (runtime, self->links, self->members, config->is_confined, &clocks_listener, self);
  self->records = gkv_records_new (runtime, self->links, self->rumours, self->ephemerals, self->tombstones,
                                   self->inheritance, self->flushes, self->confirmations, self->clocks);

  gkv_runtime_lock_store (runtime);
  gkv_store_remember_removals (store, max_removals);
  while (!gkv_store_keep_sketch_of (store, SKETCH_SLICE))
    gkv_runtime_breathe (runtime, SKETCH_SLICE * GKV_COST_RECORD / 2);
  gkv_records_take_in (self->records);
  gkv_runtime_unlock_store (runtime);

  return self;
}

void
gkv_engine_free (GkvEngine *self)
{
  /* What is under way refers to members, and ends with its link. */
  gkv_rumours_free (self->rumours);
  gkv_links_free (self->links);

  gkv_records_free (self->records);
  gkv_clocks_free (self->clocks);
  gkv_answers_free (self->answers);
  gkv_confirmations_free (self->confirmations);
  gkv_flushes_free (self->flushes);
  gkv_synced_free (self->synced);
  gkv_sketches_free (self->sketches);
  gkv_exchanges_free (self->exchanges);
  gkv_offers_free (self->offers);
  gkv_transfers_free (self->transfers);
  gkv_pieces_free (self->pieces);
  gkv_tombstones_free (self->tombstones);
  gkv_ephemerals_free (self->ephemerals);
  gkv_neighbours_free (self->neighbours);
  gkv_ring_free (self->ring);
  gkv_identities_free (self->identities);
  gkv_moves_free (self->moves);
  gkv_membership_free (self->membership);
  gkv_probes_free (self->probes);
  gkv_updates_free (self->updates);
  gkv_roster_free (self->roster);
  gkv_members_free (self->members);
  gkv_inheritance_free (self->inheritance);
  gkv_partings_free (self->partings);
  gkv_contacts_free (self->contacts);
  gkv_runtime_free (self->runtime);
  g_free (self);
}

guint64
gkv_engine_get_generation (GkvEngine *self)
{
  return self->runtime->generation;
}

void
gkv_engine_set_gossip_interval (GkvEngine *self, guint interval_ms)
{
  gkv_exchanges_set_interval (self->exchanges, MAX (interval_ms, 1) * GKV_MS);
}

void
gkv_engine_set_advertise_address (GkvEngine *self, const char *address)
{
  g_free (self->runtime->advertise);
  self->runtime->advertise = g_strdup (address);
}

void
gkv_engine_set_n_unresolved (GkvEngine *self, guint n_unresolved)
{
  gkv_synced_set_n_unresolved (self->synced, n_unresolved);
}

void
gkv_engine_add_contact (GkvEngine *self, const char *address, const GkvTime *now)
{
  set_time (self, now);
  gkv_contacts_add (self->contacts, address, TRUE);
}

void
gkv_engine_remove_contact (GkvEngine *self, const char *address)
{
  gkv_contacts_remove (self->contacts, address);
}

gboolean
gkv_engine_is_contact_reached (GkvEngine *self, const char *address)
{
  return gkv_contacts_is_reached (self->contacts, address);
}

GkvContactState
gkv_engine_describe_contact (GkvEngine *self, const char *address)
{
  return gkv_contacts_describe (self->contacts, address);
}

void
gkv_engine_receive (GkvEngine *self, const char *address, gconstpointer data, gsize len, const GkvTime *now)
{
  set_time (self, now);
  gkv_links_receive (self->links, address, data, len);
}

void
gkv_engine_push (GkvEngine *self, GkvRecord *record, const GkvTime *now)
{
  set_time (self, now);
  gkv_runtime_lock_store (self->runtime);
  gkv_partings_begin_turn (self->partings);
  gkv_records_push (self->records, record);
  gkv_runtime_unlock_store (self->runtime);
  gkv_runtime_wake_at (self->runtime, now->mono);
}

gint64
gkv_engine_tick (GkvEngine *self, const GkvTime *now)
{
  GkvRuntime *runtime = self->runtime;
  gboolean due = now->mono >= runtime->wake && !runtime->leaving;

  set_time (self, now);
  if (due)
    {
      gint64 slept = MAX (now->mono - runtime->wake, now->boot - now->mono - self->suspended);

      if (slept > SLEPT)
        {
          gkv_probes_cancel (self->probes, NULL);
          gkv_membership_note_slept (self->membership, slept);
          gkv_synced_note_slept (self->synced);
        }
      self->suspended = now->boot - now->mono;
      runtime->wake = G_MAXINT64;
    }

  gkv_runtime_lock_store (runtime);
  gkv_partings_begin_turn (self->partings);
  gkv_rumours_tick (self->rumours);
  if (due)
    {
      gkv_clocks_tick (self->clocks);
      gkv_links_tick (self->links);
      gkv_contacts_tick (self->contacts);
      gkv_membership_tick (self->membership);
      gkv_roster_tick (self->roster);
      gkv_moves_tick (self->moves);
      gkv_neighbours_tick (self->neighbours);
      gkv_probes_tick (self->probes);
      gkv_exchanges_tick (self->exchanges);
      gkv_flushes_tick (self->flushes);
      gkv_confirmations_tick (self->confirmations);
      gkv_transfers_tick (self->transfers);
      gkv_pieces_tick (self->pieces);
      gkv_records_tick (self->records);
      gkv_ephemerals_tick (self->ephemerals);
      gkv_tombstones_tick (self->tombstones);
      gkv_inheritance_tick (self->inheritance);
      if (gkv_store_get_n_quarantined (runtime->store) == 0 || !gkv_clocks_is_doubtful (self->clocks))
        gkv_synced_consider (self->synced);
    }
  gkv_runtime_unlock_store (runtime);

  gkv_links_flush (self->links);
  return runtime->leaving ? G_MAXINT64 : runtime->wake;
}

void
gkv_engine_leave (GkvEngine *self, const GkvTime *now)
{
  set_time (self, now);
  gkv_runtime_lock_store (self->runtime);
  gkv_rumours_tick (self->rumours);
  gkv_runtime_unlock_store (self->runtime);
  gkv_identities_leave (self->identities);
  gkv_links_flush (self->links);
  self->runtime->leaving = TRUE;
}

gboolean
gkv_engine_pop_datagram (GkvEngine *self, GkvDatagram *datagram)
{
  return gkv_links_pop_datagram (self->links, datagram);
}

gboolean
gkv_engine_pop_event (GkvEngine *self, GkvEvent *event)
{
  return gkv_events_pop (self->runtime->events, event);
}

guint64
gkv_engine_begin_flush (GkvEngine *self, guint n_peers, const GkvTime *now)
{
  set_time (self, now);
  return gkv_flushes_begin (self->flushes, n_peers);
}

void
gkv_engine_get_flush (GkvEngine *self, guint64 ticket, GkvFlushState *state)
{
  gkv_flushes_get_state (self->flushes, ticket, state);
}

char *
gkv_engine_describe_refusers (GkvEngine *self)
{
  return gkv_flushes_describe_refusers (self->flushes);
}

void
gkv_engine_end_flush (GkvEngine *self, guint64 ticket)
{
  gkv_flushes_end (self->flushes, ticket);
}

guint64
gkv_engine_get_n_unconfirmed (GkvEngine *self)
{
  return gkv_flushes_get_n_unconfirmed (self->flushes);
}

gboolean
gkv_engine_get_synced (GkvEngine *self)
{
  return self->runtime->synced;
}

void
gkv_engine_add_stats (GkvEngine *self, GVariantBuilder *builder)
{
  const GkvCounters *counters = &self->runtime->counters;
  const struct
  {
    const char *name;
    guint64 value;
  } stats[] = {
    { "peers-alive", self->runtime->n_alive },
    { "peers-known", gkv_members_get_n (self->members) },
    { "links", gkv_links_get_n (self->links) },
    { "contacts", gkv_contacts_get_n (self->contacts) },
    { "ephemerals", gkv_ephemerals_get_n (self->ephemerals) },
    { "datagrams-sent", counters->datagrams_sent },
    { "datagrams-received", counters->datagrams_received },
    { "datagrams-refused", counters->datagrams_refused },
    { "bytes-sent", counters->bytes_sent },
    { "bytes-received", counters->bytes_received },
    { "greetings-sent", counters->greetings },
    { "probes-sent", counters->probes },
    { "probes-failed", counters->probes_failed },
    { "rumours-sent", counters->rumours_sent },
    { "rumours-received", counters->rumours_received },
    { "rumours-new", counters->rumours_new },
    { "rumours-dropped", counters->rumours_dropped },
    { "rumours-given-up", counters->rumours_given_up },
    { "records-sent", counters->records_sent },
    { "records-received", counters->records_received },
    { "records-taken", counters->records_taken },
    { "records-refused", counters->records_refused },
    { "records-too-new", counters->records_too_new },
    { "records-doubted", counters->records_doubted },
    { "tombstones-collected", counters->tombstones_collected },
    { "removals-remembered", gkv_removals_get_n (gkv_store_get_removals (self->runtime->store)) },
    { "exchanges", counters->exchanges },
    { "exchanges-repeated", counters->exchanges_repeated },
    { "exchanges-full", counters->exchanges_full },
    { "pages-received", counters->pages },
  };

  for (guint i = 0; i < G_N_ELEMENTS (stats); i++)
    g_variant_builder_add (builder, "{sv}", stats[i].name, g_variant_new_uint64 (stats[i].value));
}
