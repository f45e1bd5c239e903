/* Contacts: addresses where a peer may be, and greeting them until it replies.
 *
 * The application names them, or discovery, or a peer that is proved. One that only peers have named is done with once
 * somebody answers there; a lost peer's address is greeted again, so a healed network joins up by itself.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-engine-private.h"

#include "../gkv-error.h"

/* An address that doesn't answer is greeted at intervals that grow from the first to the last: slowly where the
 * application has named it, as half of all greetings may get lost. */
#define GREET_FIRST        (200 * GKV_MS)
#define GREET_LAST         (5 * GKV_SECOND)
#define GREET_LAST_HEARSAY (60 * GKV_SECOND)

/* Where a peer answers, an address that the application has named is looked at now and then. */
#define REACHED_PERIOD GKV_SECOND

/* Greetings a second at the most, whoever asks for them; and as many answers to those of other clusters. */
#define MAX_GREETINGS 64

/* What was found out about an address counts for so long when nothing more comes from there. Of another node with our
 * id there may be nothing for a minute. */
#define FOUND_LASTS (150 * GKV_SECOND)

#define MAX_CONTACTS 16384

/* Whoever was heard no longer ago is there, and didn't get it. */
#define LOST_IDENT (2 * GKV_SECOND)

struct _GkvContact
{
  char *address;
  gboolean by_application;
  gboolean reached; /* when it was looked at last */
  gint64 interval;
  GkvContactState found; /* what it is instead of a peer; SILENT: that isn't known */
  gint64 found_at;
  GkvContactState told; /* of these, what the application was told last */
};

static void
contact_free (GkvContact *contact)
{
  g_free (contact->address);
  g_free (contact);
}

void
gkv_contacts_init (GkvEngine *self)
{
  self->contacts_due = gkv_deadlines_new ();
  self->contacts = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) contact_free);
}

void
gkv_contacts_clear (GkvEngine *self)
{
  g_hash_table_unref (self->contacts);
  gkv_deadlines_free (self->contacts_due);
}

static gboolean
is_reached (GkvEngine *self, const char *address)
{
  GkvLink *link = gkv_links_lookup (self, address);

  return link != NULL && gkv_link_is_usable (link) && link->member != NULL && link->life == link->member->life &&
         gkv_member_is_live (link->member);
}

static gboolean
is_own (GkvEngine *self, const char *address)
{
  return g_hash_table_contains (self->own_addresses, address);
}

static void
look_at (GkvEngine *self, GkvContact *contact, gint64 when)
{
  gkv_deadlines_remove (self->contacts_due, contact);
  gkv_deadlines_set (self->contacts_due, contact, when);
  gkv_engine_wake_at (self, when);
}

static void
look_sooner (GkvEngine *self, GkvContact *contact, gint64 when)
{
  gkv_deadlines_set (self->contacts_due, contact, when);
  gkv_engine_wake_at (self, when);
}

static void
remove_contact (GkvEngine *self, GkvContact *contact)
{
  gkv_deadlines_remove (self->contacts_due, contact);
  g_hash_table_remove (self->contacts, contact->address);
}

void
gkv_contacts_add (GkvEngine *self, const char *address, gboolean by_application)
{
  GkvContact *contact = g_hash_table_lookup (self->contacts, address);

  if (is_own (self, address) && !by_application)
    return;

  if (contact == NULL)
    {
      if (g_hash_table_size (self->contacts) >= MAX_CONTACTS && !by_application)
        return;

      contact = g_new0 (GkvContact, 1);
      contact->address = g_strdup (address);
      g_hash_table_insert (self->contacts, contact->address, contact);
      contact->interval = GREET_FIRST;
      look_at (self, contact, self->now.mono);
    }
  else if (contact->reached)
    {
      contact->reached = FALSE;
      look_sooner (self, contact, self->now.mono);
    }
  else if (by_application)
    {
      contact->interval = GREET_FIRST;
      look_sooner (self, contact, self->now.mono + GREET_FIRST);
    }

  contact->by_application |= by_application;
}

gboolean
gkv_contacts_have_unreached (GkvEngine *self)
{
  GHashTableIter iter;
  GkvContact *contact;

  g_hash_table_iter_init (&iter, self->contacts);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &contact))
    if (contact->by_application && !is_reached (self, contact->address) && !is_own (self, contact->address))
      return TRUE;

  return FALSE;
}

/* Nobody is expected there any more, unless the application said so. */
void
gkv_contacts_drop_hearsay (GkvEngine *self, const char *address)
{
  GkvContact *contact = address != NULL ? g_hash_table_lookup (self->contacts, address) : NULL;

  if (contact != NULL && !contact->by_application)
    remove_contact (self, contact);
}

static void
greet (GkvEngine *self, GkvContact *contact)
{
  GkvLink *link;

  self->n_greetings++;
  self->counters.greetings++;
  link = gkv_links_lookup (self, contact->address);
  if (link != NULL && gkv_link_is_usable (link) && self->now.mono >= link->quiet_until &&
      self->now.mono - link->last_heard < LOST_IDENT)
    {
      /* It has answered with its token; what got lost is who we are, or they. */
      gkv_links_send_ident (self, link, TRUE);
      look_at (self, contact, self->now.mono + GKV_IDENT_PERIOD);
      return;
    }
  gkv_links_send_token (self, contact->address, 0);

  look_at (self, contact, self->now.mono + contact->interval + contact->interval * gkv_engine_random (self, 20) / 100);
  contact->interval = contact->by_application ? MIN (contact->interval * 6 / 5, GREET_LAST)
                                              : MIN (contact->interval * 2, GREET_LAST_HEARSAY);
}

/* What is there */

gboolean
gkv_contacts_is_named (GkvEngine *self, const char *address)
{
  GkvContact *contact = g_hash_table_lookup (self->contacts, address);

  return contact != NULL && contact->by_application;
}

gboolean
gkv_contacts_note (GkvEngine *self, const char *address, GkvContactState state)
{
  GkvContact *contact = g_hash_table_lookup (self->contacts, address);

  if (contact == NULL)
    return TRUE;

  contact->found = state;
  contact->found_at = self->now.mono;
  if (!contact->by_application)
    return TRUE;
  if (contact->told == state)
    return FALSE;

  contact->told = state;
  return TRUE;
}

/* What was found doesn't last for ever. When it is over, it is told again when it comes back. */
static void
forget_found (GkvEngine *self, GkvContact *contact)
{
  if (contact->found != GKV_CONTACT_SILENT && (contact->reached || self->now.mono - contact->found_at >= FOUND_LASTS))
    contact->found = contact->told = GKV_CONTACT_SILENT;
}

/* It is nothing to speak of, unless nobody else is found: nodes may all have the same seeds. */
static void
meet_self (GkvEngine *self, GkvContact *contact)
{
  GkvLink about = { .address = contact->address };

  if (contact->found != GKV_CONTACT_SELF)
    {
      contact->found = GKV_CONTACT_SELF;
      contact->found_at = self->now.mono;
    }

  if (self->n_alive > 0 || contact->told == GKV_CONTACT_SELF || self->now.mono - contact->found_at < GKV_ALONE_AFTER)
    return;

  contact->told = GKV_CONTACT_SELF;
  gkv_engine_report (self, &about, GKV_ERROR_FAILED,
                     "%s is this node's own address, and no other node was found; name an address of another node of "
                     "the cluster \"%s\"",
                     contact->address, self->cluster);
}

gboolean
gkv_contacts_may_refuse (GkvEngine *self)
{
  return self->n_refusals++ < MAX_GREETINGS;
}

static void
look (GkvEngine *self, GkvContact *contact)
{
  gboolean own = is_own (self, contact->address);

  contact->reached = is_reached (self, contact->address);
  if (!own)
    forget_found (self, contact);

  if ((contact->reached || own) && contact->by_application)
    {
      /* When the peer is lost it starts over. */
      contact->interval = GREET_FIRST;
      look_at (self, contact, self->now.mono + REACHED_PERIOD);
      if (own)
        meet_self (self, contact);
    }
  else if (contact->reached || own)
    {
      remove_contact (self, contact);
    }
  else
    {
      greet (self, contact);
    }
}

void
gkv_contacts_tick (GkvEngine *self)
{
  GkvContact *contact;
  gint64 due;

  if (self->now.mono - self->greetings_at >= GKV_SECOND)
    {
      self->greetings_at = self->now.mono;
      self->n_greetings = self->n_refusals = 0;
    }

  while ((contact = gkv_deadlines_peek (self->contacts_due, &due)) != NULL)
    {
      /* The others wait for the next second. */
      if (self->n_greetings >= MAX_GREETINGS)
        due = MAX (due, self->greetings_at + GKV_SECOND);

      if (due > self->now.mono)
        {
          gkv_engine_wake_at (self, due);
          return;
        }

      look (self, contact);
    }
}

void
gkv_contacts_hasten (GkvEngine *self, const char *address)
{
  GkvContact *contact = g_hash_table_lookup (self->contacts, address);

  if (contact == NULL)
    return;

  look_sooner (self, contact, self->now.mono + GKV_IDENT_PERIOD);
}

/* Public */

void
gkv_engine_add_contact (GkvEngine *self, const char *address, const GkvTime *now)
{
  self->now = *now;
  gkv_contacts_add (self, address, TRUE);
}

void
gkv_engine_remove_contact (GkvEngine *self, const char *address)
{
  GkvContact *contact = g_hash_table_lookup (self->contacts, address);

  if (contact != NULL)
    remove_contact (self, contact);
}

gboolean
gkv_engine_is_contact_reached (GkvEngine *self, const char *address)
{
  return is_reached (self, address) || is_own (self, address);
}

GkvContactState
gkv_engine_describe_contact (GkvEngine *self, const char *address)
{
  const GkvContact *contact = g_hash_table_lookup (self->contacts, address);

  if (is_reached (self, address))
    return GKV_CONTACT_REACHED;
  if (is_own (self, address))
    return GKV_CONTACT_SELF;
  if (contact == NULL || self->now.mono - contact->found_at >= FOUND_LASTS)
    return GKV_CONTACT_SILENT;

  return contact->found;
}
