/* Identities: who is at the other end of a link, which it says in an IDENT; and where a node is to be spoken with that
 * is seen at several addresses, or states one where it can't be reached. Two nodes of one id are found out here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-identities.h"

#include "../gkv-error.h"

#include <string.h>

/* A node that was received from so lately speaks at that address still. */
#define LATELY (3 * GKV_SECOND)

/* A member that speaks from another address than it states is greeted there for so long. */
#define ADDRESS_PATIENCE (10 * GKV_SECOND)

/* What was sent before a node was asked whether it is still there may come in so much later. */
#define UNDER_WAY (GKV_SECOND / 4)

/* Two nodes that have one id are notified so often, and have nothing to say to each other for this long. */
#define DUPLICATE_PERIOD (60 * GKV_SECOND)
#define DUPLICATE_QUIET  (60 * GKV_SECOND)

/* The other one is a copy of your process, in the same run. */
#define DUPLICATE_FLAG_COPY 1

struct _GkvIdentities
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvContacts *contacts;
  GkvMembers *members;
  GkvRoster *roster;
  GkvUpdates *updates;
  GkvProbes *probes;
  GkvMembership *membership;
  GkvMoves *moves;
  GkvIdentitiesListener listener;
  gpointer data;
};

GkvIdentities *
gkv_identities_new (GkvRuntime *runtime,
                    GkvLinks *links,
                    GkvContacts *contacts,
                    GkvMembers *members,
                    GkvRoster *roster,
                    GkvUpdates *updates,
                    GkvProbes *probes,
                    GkvMembership *membership,
                    GkvMoves *moves,
                    const GkvIdentitiesListener *listener,
                    gpointer data)
{
  GkvIdentities *self = g_new0 (GkvIdentities, 1);

  self->runtime = runtime;
  self->links = links;
  self->contacts = contacts;
  self->members = members;
  self->roster = roster;
  self->updates = updates;
  self->probes = probes;
  self->membership = membership;
  self->moves = moves;
  self->listener = *listener;
  self->data = data;
  return self;
}

void
gkv_identities_free (GkvIdentities *self)
{
  g_free (self);
}

static void
notify_both (GkvIdentities *self, GkvMember *member, GkvLink *one, GkvLink *other, guint8 flags)
{
  GByteArray *body;

  GkvMemberExtra *extra = gkv_member_extra (member);

  if (extra->last_duplicate != 0 && self->runtime->now.mono - extra->last_duplicate < DUPLICATE_PERIOD)
    return;

  extra->last_duplicate = self->runtime->now.mono;
  body = gkv_links_begin_message (self->links);
  gkv_put_address (body, other->address);
  gkv_put_u8 (body, flags);
  gkv_links_send (self->links, one, GKV_MESSAGE_DUPLICATE);
  body = gkv_links_begin_message (self->links);
  gkv_put_address (body, one->address);
  gkv_put_u8 (body, flags);
  gkv_links_send (self->links, other, GKV_MESSAGE_DUPLICATE);
}

static void
notify_duplicate (GkvIdentities *self, GkvMember *member, GkvLink *other)
{
  notify_both (self, member, member->link, other, 0);
}

void
gkv_identities_note_copied (GkvIdentities *self, GkvMember *member, GkvLink *one, GkvLink *other)
{
  notify_both (self, member, one, other, DUPLICATE_FLAG_COPY);
}

/* Another run of a member speaks at @link. Whether the one that we know has replied since that was first seen. */
static gboolean
is_contested (GkvIdentities *self, const GkvMember *member, const GkvLink *link)
{
  gint64 since = MAX (link->contested_since, gkv_member_get_generation_since (member)) + UNDER_WAY;

  return gkv_member_is_live (member) && member->link != NULL && member->link != link && link->contested_since != 0 &&
         member->link->last_received > since && self->runtime->now.mono - member->link->last_received < LATELY;
}

/* Whether it is spoken with, or was last known, at another address. That there is no link says nothing. */
static gboolean
lives_elsewhere (const GkvMember *member, const GkvLink *link)
{
  return member->link != NULL ? member->link != link : g_strcmp0 (member->profile->address, link->address) != 0;
}

/* Somebody speaks there in another run than we know of, and not in a later one. Either there are two, or the clock was
 * set back before it was started again: then the one that we know has ended. It is asked. */
static gboolean
identify_earlier (GkvIdentities *self, GkvLink *link)
{
  GkvMember *member = link->member;

  if (gkv_member_is_live (member) && lives_elsewhere (member, link))
    {
      if (is_contested (self, member, link))
        {
          notify_duplicate (self, member, link);
          link->quiet_until = self->runtime->now.mono + 2 * LATELY;
          return TRUE;
        }

      /* The one that speaks here tries again. */
      if (link->contested_since == 0)
        link->contested_since = self->runtime->now.mono;
      if (gkv_member_has_link (member))
        gkv_probes_ask (self->probes, member->link);
      else if (member->link == NULL)
        gkv_member_open_link (member, self->links);
      if (self->runtime->now.mono - link->contested_since > GKV_SECOND &&
          (member->link == NULL || member->link->last_received < link->contested_since + UNDER_WAY))
        gkv_membership_suspect (self->membership, member);
      link->quiet_until = self->runtime->now.mono + GKV_SECOND / 2;
      return FALSE;
    }

  if (gkv_member_is_live (member))
    gkv_membership_set_status (self->membership, member, GKV_PEER_STATE_DEAD);
  link->quiet_until = self->runtime->now.mono + GKV_SECOND;
  gkv_links_send_ident (self->links, link, 0);
  gkv_membership_notify (self->membership, member, link);
  return FALSE;
}

/* Whether it is to be spoken with at @link, where it speaks now. What works is kept: a node may be seen at several
 * addresses. */
static gboolean
needs_link (GkvIdentities *self, const GkvMember *member, const GkvLink *link)
{
  const GkvLink *past = member->link;

  return past == NULL || past->generation != member->profile->generation || !gkv_link_is_usable (past) ||
         !gkv_member_is_live (member) ||
         (self->runtime->now.mono < link->same_until && self->runtime->now.mono - past->last_received > LATELY);
}

/* From here on it is at the address where it speaks, for us and for those that we report it to. */
static void
refuse_address (GkvIdentities *self, GkvMember *member, GkvLink *link, const char *stated)
{
  GkvMemberExtra *extra = gkv_member_extra (member);

  if (g_strcmp0 (extra->unreached, stated) != 0)
    {
      g_free (extra->unreached);
      extra->unreached = g_strdup (stated);
      gkv_runtime_report (self->runtime, link->address, GKV_ERROR_TRANSPORT,
                          "The node \"%s\" is seen at %s, and states the address %s, where it can't be reached from "
                          "here; "
                          "give it an advertise-address that others can reach",
                          member->profile->id, link->address, stated);
    }
  gkv_membership_set_address (self->membership, member, link->address);
}

void
gkv_identities_check_address (GkvIdentities *self, GkvMember *member)
{
  GkvMemberExtra *extra;
  GkvLink *stated;

  if (member->link == NULL || !gkv_link_is_usable (member->link) || member->profile->address == NULL ||
      strcmp (member->profile->address, member->link->address) == 0)
    return;

  extra = gkv_member_extra (member);
  if (extra->address_good)
    return;

  stated = gkv_links_lookup (self->links, member->profile->address);
  if ((stated != NULL && stated->member == member && gkv_link_is_usable (stated)) ||
      gkv_contacts_speaks_from (self->contacts, member->profile->address, member->link))
    {
      extra->address_good = TRUE;
    }
  else if (extra->address_asked == 0)
    {
      extra->address_asked = self->runtime->now.mono;
      gkv_contacts_add (self->contacts, member->profile->address, FALSE);
    }
  else if (self->runtime->now.mono - extra->address_asked >= ADDRESS_PATIENCE)
    {
      g_autofree char *address = g_strdup (member->profile->address);

      extra->address_asked = 0;
      refuse_address (self, member, member->link, address);
    }
}

/* The generation to note for a link: none where the number is that of the member, but the run isn't. */
static guint64
get_run (GkvMember *member, guint64 generation, const GkvIncarnation *incarnation)
{
  gboolean other = generation == member->profile->generation &&
                   gkv_incarnation_compare (&member->profile->incarnation, incarnation) == GKV_INCARNATION_ALIEN;

  return other ? 0 : generation;
}

/* What the node itself shows on its own link is to be believed, also of the chain: what was known of it may have been
 * hearsay. */
static void
take_incarnation (GkvIdentities *self, GkvMember *member, const GkvIncarnation *incarnation)
{
  const GkvIncarnation *known = &member->profile->incarnation;

  if (incarnation->place != known->place || memcmp (incarnation->proof, known->proof, GKV_PROOF_SIZE) != 0)
    if (gkv_incarnation_compare (known, incarnation) != GKV_INCARNATION_EARLIER)
      gkv_members_state (self->members, member, member->profile->generation, incarnation, member->profile->address);
}

void
gkv_identities_note_address (GkvIdentities *self, const char *address, GkvLink *link)
{
  if (gkv_link_is_current (link) && g_strcmp0 (link->member->profile->address, address) == 0)
    gkv_member_extra (link->member)->address_good = TRUE;
}

gboolean
gkv_identities_identify (GkvIdentities *self,
                         GkvLink *link,
                         const char *id,
                         guint64 generation,
                         const GkvIncarnation *incarnation,
                         const char *advertise,
                         guint64 past_token)
{
  const char *address = *advertise != '\0' ? advertise : link->address;
  GkvMember *member = gkv_members_lookup (self->members, id);

  /* The one that spoke there before is gone, even if there is no room for the one that speaks there now. */
  if (member == NULL || link->member != member || link->generation != generation)
    gkv_membership_forget_link (self->membership, link);

  if (member == NULL)
    {
      gkv_membership_make_room (self->membership);
      member = gkv_membership_add (self->membership, id, generation, incarnation, address);
      if (member == NULL)
        return FALSE;
    }
  link->member = member;
  link->generation = generation;
  if (member->link != NULL)
    link->generation = get_run (member, generation, incarnation);

  if (link->generation < member->profile->generation)
    return identify_earlier (self, link);

  /* It left, and this comes in late. */
  if (generation == member->profile->generation && member->status == GKV_PEER_STATE_LEFT)
    {
      if (self->runtime->now.mono - gkv_member_peek (member)->last_notified >= GKV_NOTIFY_PERIOD)
        gkv_membership_notify (self->membership, member, link);
      return FALSE;
    }

  if (generation > member->profile->generation)
    gkv_membership_begin_generation (self->membership, member, generation, incarnation);
  else
    take_incarnation (self, member, incarnation);
  link->contested_since = 0;
  gkv_members_note_heard (self->members, member, NULL);

  if (needs_link (self, member, link))
    {
      gkv_members_set_link (self->members, member, link);
      gkv_members_set_indirect (self->members, member, FALSE);
    }
  else if (member->link != link)
    {
      GkvLink *past = member->link;
      gboolean is_shown = gkv_links_is_token (self->links, past, past_token);

      gkv_moves_begin (self->moves, member, past, link, is_shown);
      if (is_shown)
        gkv_membership_move (self->membership, member, link);
    }
  if (member->link == link && gkv_membership_is_confined (self->membership, advertise, link->address))
    {
      refuse_address (self, member, link, advertise);
    }
  else if (member->link == link && g_strcmp0 (gkv_member_peek (member)->unreached, address) != 0)
    {
      if (g_strcmp0 (member->profile->address, address) != 0)
        {
          gkv_member_extra (member)->address_good = FALSE;
          member->extra->address_asked = 0;
        }
      gkv_membership_set_address (self->membership, member, address);
    }

  if (!gkv_member_is_live (member))
    gkv_membership_set_status (self->membership, member, GKV_PEER_STATE_ALIVE);
  return TRUE;
}

/* One that left before it was known is remembered all the same: what it said before may come in late, and others may
 * still report it. */
static void
remember_left (
    GkvIdentities *self, const char *id, guint64 generation, const GkvIncarnation *incarnation, const char *address)
{
  GkvMember *member;

  if (gkv_members_are_full (self->members))
    return;

  member = gkv_members_insert (self->members, id, generation, incarnation, GKV_PEER_STATE_LEFT, address);
  member->hidden = TRUE;
  gkv_member_extra (member)->last_notified = self->runtime->now.mono;
  gkv_contacts_drop_hearsay (self->contacts, address);
}

void
gkv_identities_note_left (
    GkvIdentities *self, GkvLink *link, const char *id, guint64 generation, const GkvIncarnation *incarnation)
{
  GkvMember *member = gkv_members_lookup (self->members, id);
  gboolean is_proved;

  if (member == NULL)
    {
      gkv_membership_forget_link (self->membership, link);
      link->last_ident = self->runtime->now.mono;
      remember_left (self, id, generation, incarnation, link->address);
      link->member = gkv_members_lookup (self->members, id);
      link->generation = generation;
      return;
    }

  if (generation < member->profile->generation)
    return;

  /* The last value of the chain proves it. Without that, a node that is received where it is spoken with says so there
   * as well. */
  is_proved = generation == member->profile->generation && incarnation->place == 0 &&
              gkv_incarnation_compare (&member->profile->incarnation, incarnation) >= GKV_INCARNATION_SAME;
  if (!is_proved && member->link != NULL && member->link != link && gkv_member_is_live (member) &&
      self->runtime->now.mono - member->link->last_received < LATELY)
    return;

  if (link->member != member || link->generation != generation)
    gkv_membership_forget_link (self->membership, link);
  link->member = member;
  link->generation = generation;
  link->last_ident = self->runtime->now.mono;
  if (generation > member->profile->generation)
    gkv_membership_begin_generation (self->membership, member, generation, incarnation);
  else
    take_incarnation (self, member, incarnation);
  gkv_contacts_drop_hearsay (self->contacts, link->address);
  gkv_member_extra (member)->last_notified = self->runtime->now.mono;
  if (member->status == GKV_PEER_STATE_LEFT)
    return;

  gkv_membership_set_status (self->membership, member, GKV_PEER_STATE_LEFT);
  gkv_updates_flood (self->updates, member, member);
}

static void
introduce (GkvIdentities *self, GkvLink *link, guint32 sum, guint64 n_known)
{
  if (link->introduced)
    return;
  link->introduced = TRUE;

  gkv_roster_meet (self->roster, link, sum + gkv_member_get_term (link->member), n_known);

  /* Both are new to each other; one of them asks what differs. */
  if (strcmp (self->runtime->id, link->member->profile->id) < 0)
    self->listener.introduced (link, self->data);
}

static void
note_received (GkvIdentities *self, GkvLink *link)
{
  GkvMember *member = link->member;

  if (!gkv_link_is_current (link))
    {
      /* An earlier generation that goes on speaking is no restart: two nodes have this id. */
      if (link->contested_since == 0)
        link->contested_since = self->runtime->now.mono;
      else if (is_contested (self, member, link) &&
               self->runtime->now.mono - gkv_member_get_generation_since (member) > LATELY)
        notify_duplicate (self, member, link);
      return;
    }

  gkv_member_extra (member)->last_seen = self->runtime->now.mono;
  member->extra->last_seen_wall = self->runtime->now.wall;
  gkv_members_note_heard (self->members, member, NULL);

  /* It has moved without a new start, or another is at the address where it was. It may have another address
   * reported to others than where it is seen: that is asked. */
  if (gkv_link_is_usable (link) && member->link != link && !needs_link (self, member, link))
    {
      gkv_moves_begin (self->moves, member, member->link, link, FALSE);
    }
  else if (gkv_link_is_usable (link) && member->link != link)
    {
      gkv_members_set_link (self->members, member, link);
      gkv_members_set_indirect (self->members, member, FALSE);
      link->last_ident = 0;
      gkv_membership_set_address (self->membership, member, link->address);
    }

  if (member->status != GKV_PEER_STATE_ALIVE && gkv_link_is_usable (link) &&
      self->runtime->now.mono - gkv_member_peek (member)->last_notified >= GKV_NOTIFY_PERIOD)
    gkv_membership_notify (self->membership, member, link);

  /* Others may still suspect it: that is for itself to refute. */
  gkv_membership_note_heard (self->membership, member);
}

static void
handle_ident (GkvIdentities *self, GkvLink *link, GkvReader *reader)
{
  guint64 generation = gkv_reader_u64 (reader);
  GkvIncarnation incarnation = gkv_reader_incarnation (reader);
  guint64 cluster_hash = gkv_reader_u64 (reader);
  guint8 flags = gkv_reader_u8 (reader);
  g_autofree char *id = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
  g_autofree char *advertise = gkv_reader_address (reader, link->address);
  /* Not said by the first versions. */
  guint64 n_known = gkv_reader_get_left (reader) > 0 ? gkv_reader_varint (reader) : 0;
  guint32 sum = gkv_reader_get_left (reader) > 0 ? gkv_reader_u32 (reader) : 0;
  guint64 wanted = gkv_reader_get_left (reader) > 0 ? gkv_reader_varint (reader) : 0;
  guint64 n_records = gkv_reader_get_left (reader) > 0 ? gkv_reader_varint (reader) : 0;
  guint64 wall_s = gkv_reader_get_left (reader) > 0 ? gkv_reader_varint (reader) : 0;
  guint64 past_token = gkv_reader_get_left (reader) > 0 ? gkv_reader_u64 (reader) : 0;
  const GkvLink *past;
  GkvMember *member;
  gboolean has_moved;

  if (reader->failed || *id == '\0' || cluster_hash != self->runtime->cluster_hash)
    return;

  if (strcmp (id, self->runtime->id) == 0)
    {
      gkv_membership_forget_link (self->membership, link);
      if (gkv_membership_is_own_run (self->membership, generation, &incarnation))
        {
          gkv_contacts_add_own (self->contacts, link->address);
        }
      else
        {
          if (gkv_contacts_note (self->contacts, link->address, GKV_CONTACT_DUPLICATE_ID))
            gkv_runtime_report (self->runtime, link->address, GKV_ERROR_DUPLICATE_ID,
                                "Another live node, at %s, has this node's id \"%s\"; give each node an id of its own",
                                link->address, self->runtime->id);
          if (flags & GKV_IDENT_FLAG_ANSWER)
            gkv_links_send_ident (self->links, link, 0);
          link->quiet_until = self->runtime->now.mono + DUPLICATE_QUIET;
        }
      return;
    }

  gkv_links_set_wanted (self->links, link, wanted);
  gkv_contacts_remove_own (self->contacts, link->address);
  if (flags & GKV_IDENT_FLAG_LEAVING)
    {
      gkv_identities_note_left (self, link, id, generation, &incarnation);
      return;
    }

  member = gkv_members_lookup (self->members, id);
  past = member != NULL ? member->link : NULL;
  if (!gkv_identities_identify (self, link, id, generation, &incarnation, advertise, past_token))
    return;

  self->listener.stated (link, (flags & GKV_IDENT_FLAG_SYNCED) != 0, n_records, wall_s, self->data);
  has_moved = past != NULL && past != link && link->member->link == link;
  if ((flags & GKV_IDENT_FLAG_ANSWER) || has_moved)
    gkv_links_send_ident (self->links, link, has_moved ? GKV_IDENT_FLAG_MOVED : 0);
  if (flags & GKV_IDENT_FLAG_MOVED)
    {
      gkv_contacts_forget_own (self->contacts);
      gkv_membership_note_moved (self->membership);
    }
  introduce (self, link, sum, n_known);
}

static void
handle_duplicate (GkvIdentities *self, GkvLink *link, GkvReader *reader)
{
  g_autofree char *address = gkv_reader_address (reader, link->address);
  guint8 flags = gkv_reader_get_left (reader) > 0 ? gkv_reader_u8 (reader) : 0;

  if (address == NULL)
    return;
  if (flags & DUPLICATE_FLAG_COPY)
    gkv_membership_renew (self->membership, address);

  gkv_runtime_report (self->runtime, link->address, GKV_ERROR_DUPLICATE_ID,
                      "%s says that another live node, at %s, has this node's id \"%s\"; give each node an id of its "
                      "own",
                      link->address, address, self->runtime->id);
}

/* A node that doesn't know us, or that we don't know as it is now, gets our IDENT and is asked for its own. */
static void
consider_ident (GkvIdentities *self, GkvLink *link)
{
  const GkvMember *member = link->member;
  gboolean current = gkv_link_is_current (link);
  gboolean known = current && gkv_member_is_live (member);

  /* One that has said that it leaves, and speaks all the same, is notified (note_received); but with another token than
   * before it is a node that began anew. */
  if (current && member->status == GKV_PEER_STATE_LEFT && link->last_ident != 0)
    return;

  if (link->their_token == 0 || gkv_contacts_is_own (self->contacts, link->address))
    return;

  if (link->last_ident != 0 && (known || self->runtime->now.mono < link->quiet_until ||
                                self->runtime->now.mono - link->last_ident < GKV_IDENT_PERIOD))
    return;

  gkv_links_send_ident (self->links, link, GKV_IDENT_FLAG_ANSWER);

  /* It may get lost. */
  if (!known)
    {
      gkv_contacts_add (self->contacts, link->address, FALSE);
      gkv_contacts_hasten (self->contacts, link->address);
    }
}

/* Also to those whose names aren't known here yet: they may have learnt ours already, or learn it from a datagram that
 * is under way. */
void
gkv_identities_leave (GkvIdentities *self)
{
  GHashTableIter iter;
  GkvLink *link;

  gkv_membership_leave (self->membership);
  gkv_links_init_iter (self->links, &iter);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &link))
    {
      if (!gkv_link_is_usable (link) || gkv_contacts_is_own (self->contacts, link->address))
        continue;

      gkv_links_send_ident (self->links, link, GKV_IDENT_FLAG_LEAVING);
      gkv_updates_send_self (self->updates, link, GKV_PEER_STATE_LEFT);
    }
}

void
gkv_identities_handle (GkvIdentities *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader)
{
  if (kind == GKV_MESSAGE_TOKEN)
    gkv_links_handle_token (link, reader);
  else if (kind == GKV_MESSAGE_IDENT)
    handle_ident (self, link, reader);
  else
    handle_duplicate (self, link, reader);
}

void
gkv_identities_end_datagram (GkvIdentities *self, GkvLink *link)
{
  if (link->member != NULL)
    note_received (self, link);

  consider_ident (self, link);
}
