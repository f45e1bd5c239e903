/* Contacts: addresses where a peer may be, and greeting them until it replies.
 *
 * The application names them, or discovery, or a peer that is proved. One that only peers have named is done with once
 * somebody answers there; a lost peer's address is greeted again, so a healed network joins up by itself.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-contacts.h"

#include "../gkv-error.h"
#include "../store/gkv-deadlines.h"

/* An address that doesn't answer is greeted at intervals that grow from the first to the last: slowly where the
 * application has named it, as half of all greetings may get lost. */
#define GREET_FIRST        (200 * GKV_MS)
#define GREET_LAST         (5 * GKV_SECOND)
#define GREET_LAST_HEARSAY (60 * GKV_SECOND)

/* Where a peer answers, an address that the application has named is looked at now and then. */
#define REACHED_PERIOD GKV_SECOND

/* Greetings a second at the most, whatever asks for them; and as many replies to nodes of other clusters. */
#define MAX_GREETINGS 64

/* A finding about an address counts for so long when nothing more comes from there. Of another node with our
 * id there may be nothing for a minute. */
#define FOUND_LASTS (150 * GKV_SECOND)

/* What is at an address may be another node after so long, and is greeted again, unless it is spoken with there. An own
 * address is greeted some more times before it is held to be a former one. */
#define HEARD_LASTS (60 * GKV_SECOND)
#define OWN_LASTS   (90 * GKV_SECOND)
#define OWN_REPEAT  (5 * GKV_SECOND)

#define MAX_CONTACTS      16384
#define MAX_OWN_ADDRESSES 256

/* A node that was received from no longer ago is there, and didn't get it. */
#define LOST_IDENT (2 * GKV_SECOND)

typedef struct
{
  char *address;
  guint64 hash;  /* of it (gkv_runtime_hash_text) */
  guint64 token; /* for it, when it was greeted last; 0: it wasn't */
  char *seen_at; /* where the reply came from, where that is another address; NULL: nowhere */
  gint64 seen;
  gboolean by_application;
  gboolean reached; /* when it was looked at last */
  guint64 place;    /* of the member that was heard there last; 0: none was */
  gint64 interval;
  GkvContactState found; /* what it is instead of a peer; SILENT: that isn't known */
  gint64 found_at;
  GkvContactState reported; /* of these, what was reported to the application last */
} GkvContact;

struct _GkvContacts
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvContactsListener listener;
  gpointer data;
  GHashTable *contacts;      /* hash of the address → GkvContact, owned */
  GHashTable *by_token;      /* token → GkvContact */
  GkvDeadlines *due;         /* GkvContact: when it is looked at again */
  GHashTable *own_addresses; /* where we have met ourselves → when */
  gint64 greetings_at;       /* the second that n_greetings and n_refusals count */
  guint n_greetings;
  guint n_refusals; /* of nodes of other clusters */
};

static void
contact_free (GkvContact *contact)
{
  g_free (contact->seen_at);
  g_free (contact->address);
  g_free (contact);
}

GkvContacts *
gkv_contacts_new (GkvRuntime *runtime, GkvLinks *links, const GkvContactsListener *listener, gpointer data)
{
  GkvContacts *self = g_new0 (GkvContacts, 1);

  self->runtime = runtime;
  self->links = links;
  self->listener = *listener;
  self->data = data;
  self->due = gkv_deadlines_new ();
  self->contacts = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) contact_free);
  self->by_token = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->own_addresses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
gkv_contacts_free (GkvContacts *self)
{
  g_hash_table_unref (self->own_addresses);
  g_hash_table_unref (self->by_token);
  g_hash_table_unref (self->contacts);
  gkv_deadlines_free (self->due);
  g_free (self);
}

guint
gkv_contacts_get_n (GkvContacts *self)
{
  return g_hash_table_size (self->contacts);
}

/* Own addresses */

void
gkv_contacts_add_own (GkvContacts *self, const char *address)
{
  /* One forgotten is met again. */
  if (g_hash_table_size (self->own_addresses) >= MAX_OWN_ADDRESSES)
    g_hash_table_remove_all (self->own_addresses);
  g_hash_table_replace (self->own_addresses, g_strdup (address),
                        g_memdup2 (&self->runtime->now.mono, sizeof self->runtime->now.mono));
}

void
gkv_contacts_remove_own (GkvContacts *self, const char *address)
{
  g_hash_table_remove (self->own_addresses, address);
}

void
gkv_contacts_forget_own (GkvContacts *self)
{
  g_hash_table_remove_all (self->own_addresses);
}

/* How long it is since this node met itself there; G_MAXINT64: it hasn't. */
static gint64
get_own_age (GkvContacts *self, const char *address)
{
  const gint64 *met = g_hash_table_lookup (self->own_addresses, address);

  return met != NULL ? self->runtime->now.mono - *met : G_MAXINT64;
}

gboolean
gkv_contacts_is_own (GkvContacts *self, const char *address)
{
  return get_own_age (self, address) < OWN_LASTS;
}

guint
gkv_contacts_get_n_own (GkvContacts *self)
{
  return g_hash_table_size (self->own_addresses);
}

/* Contacts */

static GkvContact *
lookup (GkvContacts *self, const char *address)
{
  guint64 hash = gkv_runtime_hash_text (self->runtime, address);

  return g_hash_table_lookup (self->contacts, &hash);
}

static gboolean
is_heard_at (GkvContacts *self, const char *address)
{
  const GkvLink *link = gkv_links_lookup (self->links, address);

  return link != NULL && gkv_link_is_usable (link) && self->listener.is_peer (link, self->data) &&
         (self->runtime->now.mono - link->last_received < HEARD_LASTS ||
          self->listener.is_spoken_with (link, self->data));
}

static gboolean
is_reached (GkvContacts *self, const char *address)
{
  const GkvContact *contact;

  if (is_heard_at (self, address))
    return TRUE;

  contact = lookup (self, address);
  if (contact != NULL && contact->place != 0 && self->listener.lives_at (contact->place, address, self->data))
    return TRUE;

  return contact != NULL && contact->seen_at != NULL && self->runtime->now.mono - contact->seen < HEARD_LASTS &&
         is_heard_at (self, contact->seen_at);
}

static void
look_at (GkvContacts *self, GkvContact *contact, gint64 when)
{
  gkv_deadlines_remove (self->due, contact);
  gkv_deadlines_set (self->due, contact, when);
  gkv_runtime_wake_at (self->runtime, when);
}

static void
look_sooner (GkvContacts *self, GkvContact *contact, gint64 when)
{
  gkv_deadlines_set (self->due, contact, when);
  gkv_runtime_wake_at (self->runtime, when);
}

static void
remove_contact (GkvContacts *self, GkvContact *contact)
{
  gkv_deadlines_remove (self->due, contact);
  g_hash_table_remove (self->by_token, &contact->token);
  g_hash_table_remove (self->contacts, &contact->hash);
}

void
gkv_contacts_add (GkvContacts *self, const char *address, gboolean by_application)
{
  GkvContact *contact = lookup (self, address);

  if (gkv_contacts_is_own (self, address) && !by_application)
    return;

  if (by_application)
    gkv_contacts_remove_own (self, address);

  if (contact == NULL)
    {
      if (g_hash_table_size (self->contacts) >= MAX_CONTACTS && !by_application)
        return;

      contact = g_new0 (GkvContact, 1);
      contact->address = g_strdup (address);
      contact->hash = gkv_runtime_hash_text (self->runtime, address);
      g_hash_table_insert (self->contacts, &contact->hash, contact);
      contact->interval = GREET_FIRST;
      look_at (self, contact, self->runtime->now.mono);
    }
  else if (contact->reached)
    {
      contact->reached = FALSE;
      look_sooner (self, contact, self->runtime->now.mono);
    }
  else if (by_application)
    {
      contact->interval = GREET_FIRST;
      look_sooner (self, contact, self->runtime->now.mono + GREET_FIRST);
    }

  contact->by_application |= by_application;
}

gboolean
gkv_contacts_is_named (GkvContacts *self, const char *address)
{
  const GkvContact *contact = lookup (self, address);

  return contact != NULL && contact->by_application;
}

gboolean
gkv_contacts_have_unreached (GkvContacts *self)
{
  GHashTableIter iter;
  GkvContact *contact;

  g_hash_table_iter_init (&iter, self->contacts);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &contact))
    if (contact->by_application && !is_reached (self, contact->address) &&
        !gkv_contacts_is_own (self, contact->address))
      return TRUE;

  return FALSE;
}

/* Nobody is expected there any more, unless the application said so. */
void
gkv_contacts_drop_hearsay (GkvContacts *self, const char *address)
{
  GkvContact *contact = address != NULL ? lookup (self, address) : NULL;

  if (contact != NULL && !contact->by_application)
    remove_contact (self, contact);
}

static void
count_greeting (GkvContacts *self)
{
  self->n_greetings++;
  self->runtime->counters.greetings++;
}

/* The token is remembered: it may come back from elsewhere. */
static void
send_greeting (GkvContacts *self, GkvContact *contact)
{
  count_greeting (self);
  g_hash_table_remove (self->by_token, &contact->token);
  contact->token = gkv_links_get_token (self->links, contact->address);
  g_hash_table_replace (self->by_token, &contact->token, contact);
  gkv_links_send_token (self->links, contact->address, 0);
}

gboolean
gkv_contacts_speaks_from (GkvContacts *self, const char *address, const GkvLink *link)
{
  const GkvContact *contact = lookup (self, address);

  return contact != NULL && g_strcmp0 (contact->seen_at, link->address) == 0;
}

/* The reply to a greeting may come from elsewhere, and a greeting may come to this node itself. */
gboolean
gkv_contacts_handle_unproved (GkvContacts *self, const char *address, guint64 echo, guint64 token)
{
  GkvContact *contact = g_hash_table_lookup (self->by_token, &token);
  GkvLink *link;

  if (contact != NULL)
    {
      gkv_contacts_add_own (self, contact->address);
      return FALSE;
    }

  contact = g_hash_table_lookup (self->by_token, &echo);
  if (contact == NULL)
    return TRUE;

  g_free (contact->seen_at);
  contact->seen_at = g_strdup (address);
  contact->seen = self->runtime->now.mono;
  link = gkv_links_lookup (self->links, address);
  if (link != NULL && gkv_link_is_usable (link))
    self->listener.speaks_from (contact->address, link, self->data);
  return TRUE;
}

static void
greet (GkvContacts *self, GkvContact *contact)
{
  GkvLink *link;

  link = gkv_links_lookup (self->links, contact->address);
  if (link != NULL && gkv_link_is_usable (link) && self->runtime->now.mono >= link->quiet_until &&
      self->runtime->now.mono - link->last_received < LOST_IDENT)
    {
      /* It has answered with its token; what got lost is our IDENT, or its own. */
      count_greeting (self);
      gkv_links_send_ident (self->links, link, GKV_IDENT_FLAG_ANSWER);
      look_at (self, contact, self->runtime->now.mono + GKV_IDENT_PERIOD);
      return;
    }
  send_greeting (self, contact);

  look_at (self, contact,
           self->runtime->now.mono + contact->interval +
               contact->interval * gkv_runtime_random (self->runtime, 20) / 100);
  contact->interval = contact->by_application ? MIN (contact->interval * 6 / 5, GREET_LAST)
                                              : MIN (contact->interval * 2, GREET_LAST_HEARSAY);
}

/* Findings: what is at an address that isn't a peer */

gboolean
gkv_contacts_note (GkvContacts *self, const char *address, GkvContactState state)
{
  GkvContact *contact = lookup (self, address);

  if (contact == NULL)
    return TRUE;

  contact->found = state;
  contact->found_at = self->runtime->now.mono;
  if (!contact->by_application)
    return TRUE;
  if (contact->reported == state)
    return FALSE;

  contact->reported = state;
  return TRUE;
}

void
gkv_contacts_note_other_version (GkvContacts *self, const char *address, guint version)
{
  if (gkv_contacts_note (self, address, GKV_CONTACT_OTHER_VERSION))
    gkv_runtime_report (self->runtime, address, GKV_ERROR_TRANSPORT,
                        "The node at %s speaks version %u of the protocol, this one version %u; "
                        "both need the same major version of the library",
                        address, version, GKV_WIRE_VERSION);
}

void
gkv_contacts_note_other_cluster (GkvContacts *self, const char *address)
{
  const GkvContact *contact = lookup (self, address);

  if (contact == NULL || !contact->by_application || !gkv_contacts_note (self, address, GKV_CONTACT_OTHER_CLUSTER))
    return;

  gkv_runtime_report (self->runtime, address, GKV_ERROR_FAILED,
                      "The node at %s belongs to another cluster than this one, \"%s\"; give both the same cluster, or "
                      "don't name that address to this node",
                      address, self->runtime->cluster);
}

void
gkv_contacts_handle_other_cluster (GkvContacts *self, const char *address, const guint8 *header, guint64 token)
{
  gkv_contacts_note_other_cluster (self, address);
  if (token != 0 && self->n_refusals++ < MAX_GREETINGS)
    gkv_links_send_refusal (self->links, address, header, token);
}

/* A finding doesn't last for ever. After it is over, it is reported again when it comes back. */
static void
forget_found (GkvContacts *self, GkvContact *contact)
{
  if (contact->found != GKV_CONTACT_SILENT &&
      (contact->reached || self->runtime->now.mono - contact->found_at >= FOUND_LASTS))
    contact->found = contact->reported = GKV_CONTACT_SILENT;
}

/* It is nothing to speak of, unless nobody else is found: nodes may all have the same seeds. */
static void
meet_self (GkvContacts *self, GkvContact *contact)
{
  if (contact->found != GKV_CONTACT_SELF)
    {
      contact->found = GKV_CONTACT_SELF;
      contact->found_at = self->runtime->now.mono;
    }

  if (self->runtime->n_alive > 0 || contact->reported == GKV_CONTACT_SELF ||
      self->runtime->now.mono - contact->found_at < GKV_ALONE_AFTER)
    return;

  contact->reported = GKV_CONTACT_SELF;
  gkv_runtime_report (self->runtime, contact->address, GKV_ERROR_FAILED,
                      "%s is this node's own address, and no other node was found; name an address of another node of "
                      "the cluster \"%s\"",
                      contact->address, self->runtime->cluster);
}

static void
look (GkvContacts *self, GkvContact *contact)
{
  gboolean own = gkv_contacts_is_own (self, contact->address);

  contact->reached = is_reached (self, contact->address);
  if (is_heard_at (self, contact->address))
    contact->place = self->listener.get_place (gkv_links_lookup (self->links, contact->address), self->data);
  if (!own)
    forget_found (self, contact);

  if ((contact->reached || own) && contact->by_application)
    {
      /* When the peer is lost it starts over. */
      contact->interval = GREET_FIRST;
      if (own && get_own_age (self, contact->address) >= HEARD_LASTS)
        {
          send_greeting (self, contact);
          look_at (self, contact, self->runtime->now.mono + OWN_REPEAT);
        }
      else
        {
          look_at (self, contact, self->runtime->now.mono + REACHED_PERIOD);
        }
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

static void
begin_second (GkvContacts *self)
{
  if (self->runtime->now.mono - self->greetings_at < GKV_SECOND)
    return;

  self->greetings_at = self->runtime->now.mono;
  self->n_greetings = self->n_refusals = 0;
}

void
gkv_contacts_greet (GkvContacts *self, const char *address)
{
  begin_second (self);
  if (self->n_greetings >= MAX_GREETINGS || gkv_contacts_is_own (self, address))
    return;

  count_greeting (self);
  gkv_links_send_token (self->links, address, 0);
}

void
gkv_contacts_tick (GkvContacts *self)
{
  GkvContact *contact;
  gint64 due;

  begin_second (self);

  while ((contact = gkv_deadlines_peek (self->due, &due)) != NULL)
    {
      /* The others wait for the next second. */
      if (self->n_greetings >= MAX_GREETINGS)
        due = MAX (due, self->greetings_at + GKV_SECOND);

      if (due > self->runtime->now.mono)
        {
          gkv_runtime_wake_at (self->runtime, due);
          return;
        }

      look (self, contact);
    }
}

void
gkv_contacts_hasten (GkvContacts *self, const char *address)
{
  GkvContact *contact = lookup (self, address);

  if (contact == NULL)
    return;

  look_sooner (self, contact, self->runtime->now.mono + GKV_IDENT_PERIOD);
}

void
gkv_contacts_remove (GkvContacts *self, const char *address)
{
  GkvContact *contact = lookup (self, address);

  if (contact != NULL)
    remove_contact (self, contact);
}

gboolean
gkv_contacts_is_reached (GkvContacts *self, const char *address)
{
  return is_reached (self, address) || gkv_contacts_is_own (self, address);
}

GkvContactState
gkv_contacts_describe (GkvContacts *self, const char *address)
{
  const GkvContact *contact = lookup (self, address);

  if (is_reached (self, address))
    return GKV_CONTACT_REACHED;
  if (gkv_contacts_is_own (self, address))
    return GKV_CONTACT_SELF;
  if (contact == NULL || self->runtime->now.mono - contact->found_at >= FOUND_LASTS)
    return GKV_CONTACT_SILENT;

  return contact->found;
}
