/* GkvNode: seeds. Their names are asked for again while nobody answers from what they resolved to.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-address.h"
#include "gkv-error.h"

/* Between two questions for a name: the pause doubles from the first to the last. */
#define FIRST_PAUSE_US (5 * G_USEC_PER_SEC)
#define LAST_PAUSE_US  (60 * G_USEC_PER_SEC)

typedef struct
{
  char *seed; /* as it was given */
  char *host;
  guint16 port;
  GPtrArray *addresses; /* what the name resolved to last: numeric "host:port" */
  gboolean numeric;
  gboolean asking;
  gboolean told; /* that it can't be resolved */
  gint64 pause_us;
  gint64 next_try;
} GkvContact;

typedef struct
{
  GWeakRef node;
  char *seed;
} GkvQuestion;

static void
gkv_contact_free (gpointer data)
{
  GkvContact *contact = data;

  g_free (contact->seed);
  g_free (contact->host);
  g_ptr_array_unref (contact->addresses);
  g_free (contact);
}

static void
gkv_question_free (GkvQuestion *question)
{
  g_weak_ref_clear (&question->node);
  g_free (question->seed);
  g_free (question);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvQuestion, gkv_question_free)

static GkvContact *
gkv_node_find_contact (GkvNode *self, const char *seed)
{
  for (guint i = 0; self->contacts != NULL && i < self->contacts->len; i++)
    {
      GkvContact *contact = self->contacts->pdata[i];

      if (strcmp (contact->seed, seed) == 0)
        return contact;
    }

  return NULL;
}

static gboolean
gkv_node_is_reached_locked (GkvNode *self, GkvContact *contact)
{
  for (guint i = 0; i < contact->addresses->len; i++)
    if (gkv_engine_is_contact_reached (self->engine, contact->addresses->pdata[i]))
      return TRUE;

  return FALSE;
}

static void
gkv_node_count_unresolved_locked (GkvNode *self)
{
  guint n_unresolved = 0;

  for (guint i = 0; i < self->contacts->len; i++)
    n_unresolved += ((GkvContact *) self->contacts->pdata[i])->addresses->len == 0;

  gkv_engine_set_n_unresolved (self->engine, n_unresolved);
}

/* Takes what a seed resolves to now. An address that stays is left alone: to add it again would start its greetings
 * over. */
static void
gkv_node_take_addresses (GkvNode *self, GkvContact *contact, GPtrArray *addresses)
{
  GkvTime now = gkv_node_now ();

  g_mutex_lock (&self->lock);
  for (guint i = 0; i < contact->addresses->len; i++)
    if (!g_ptr_array_find_with_equal_func (addresses, contact->addresses->pdata[i], g_str_equal, NULL))
      gkv_engine_remove_contact (self->engine, contact->addresses->pdata[i]);

  for (guint i = 0; i < addresses->len; i++)
    if (!g_ptr_array_find_with_equal_func (contact->addresses, addresses->pdata[i], g_str_equal, NULL))
      gkv_engine_add_contact (self->engine, addresses->pdata[i], &now);

  g_ptr_array_unref (contact->addresses);
  contact->addresses = g_ptr_array_ref (addresses);
  gkv_node_count_unresolved_locked (self);
  gkv_node_wake_locked (self, 0);
  g_mutex_unlock (&self->lock);
}

static void
gkv_node_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GkvQuestion) question = user_data;
  g_autoptr (GkvNode) self = g_weak_ref_get (&question->node);
  g_autoptr (GPtrArray) addresses = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  GkvContact *contact;
  GList *found;

  found = g_resolver_lookup_by_name_finish (G_RESOLVER (source), result, &error);
  contact = self != NULL && self->engine != NULL ? gkv_node_find_contact (self, question->seed) : NULL;

  if (contact != NULL)
    contact->asking = FALSE;

  for (GList *link = found; contact != NULL && link != NULL; link = link->next)
    {
      g_autofree char *host = g_inet_address_to_string (link->data);

      g_ptr_array_add (addresses, gkv_address_format (host, contact->port));
    }
  g_resolver_free_addresses (found);

  if (contact == NULL)
    return;

  if (addresses->len > 0)
    {
      gkv_node_take_addresses (self, contact, addresses);
    }
  else if (!contact->told)
    {
      g_autoptr (GError) told = NULL;

      contact->told = TRUE;
      told = g_error_new (GKV_ERROR, GKV_ERROR_FAILED, "The seed \"%s\" can't be resolved, and is tried again: %s",
                          contact->seed, error != NULL ? error->message : "there is no such name");
      gkv_node_tell_error (self, told);
    }
}

static void
gkv_node_ask (GkvNode *self, GkvContact *contact)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  GkvQuestion *question = g_new0 (GkvQuestion, 1);

  g_weak_ref_init (&question->node, self);
  question->seed = g_strdup (contact->seed);
  contact->asking = TRUE;

  if (self->resolving == NULL)
    self->resolving = g_cancellable_new ();

  g_main_context_push_thread_default (self->context);
  g_resolver_lookup_by_name_async (resolver, contact->host, self->resolving, gkv_node_answered, question);
  g_main_context_pop_thread_default (self->context);
}

/* internal */

void
gkv_node_add_contact (GkvNode *self, const char *address)
{
  GkvContact *contact = g_new0 (GkvContact, 1);

  contact->seed = g_strdup (address);
  contact->addresses = g_ptr_array_new_with_free_func (g_free);
  contact->pause_us = FIRST_PAUSE_US;
  gkv_address_parse (address, &contact->host, &contact->port, NULL); /* judged before */
  contact->numeric = gkv_address_is_numeric (contact->host);

  if (self->contacts == NULL)
    self->contacts = g_ptr_array_new_with_free_func (gkv_contact_free);
  g_ptr_array_add (self->contacts, contact);

  if (contact->numeric)
    {
      g_autoptr (GPtrArray) addresses = g_ptr_array_new_with_free_func (g_free);

      g_ptr_array_add (addresses, gkv_address_format (contact->host, contact->port));
      gkv_node_take_addresses (self, contact, addresses);
    }

  g_mutex_lock (&self->lock);
  gkv_node_count_unresolved_locked (self);
  gkv_node_wake_locked (self, 0);
  g_mutex_unlock (&self->lock);
}

gint64
gkv_node_run_contacts (GkvNode *self, gint64 mono)
{
  gint64 next = G_MAXINT64;

  for (guint i = 0; self->engine != NULL && self->contacts != NULL && i < self->contacts->len; i++)
    {
      GkvContact *contact = self->contacts->pdata[i];
      gboolean reached;

      if (contact->numeric)
        continue;

      if (contact->next_try <= mono)
        {
          g_mutex_lock (&self->lock);
          reached = gkv_node_is_reached_locked (self, contact);
          g_mutex_unlock (&self->lock);

          if (reached)
            contact->pause_us = FIRST_PAUSE_US;
          else if (!contact->asking)
            gkv_node_ask (self, contact);

          contact->next_try = mono + (reached ? LAST_PAUSE_US : contact->pause_us);
          contact->pause_us = MIN (contact->pause_us * 2, LAST_PAUSE_US);
        }

      next = MIN (next, contact->next_try);
    }

  return next;
}

void
gkv_node_close_contacts (GkvNode *self)
{
  if (self->resolving != NULL)
    g_cancellable_cancel (self->resolving);

  g_clear_object (&self->resolving);
  g_clear_pointer (&self->contacts, g_ptr_array_unref);
}

char *
gkv_node_describe_unreached (GkvNode *self)
{
  g_autoptr (GString) names = g_string_new (NULL);

  g_mutex_lock (&self->lock);
  for (guint i = 0; self->engine != NULL && self->contacts != NULL && i < self->contacts->len; i++)
    {
      GkvContact *contact = self->contacts->pdata[i];

      if (!gkv_node_is_reached_locked (self, contact))
        g_string_append_printf (names, "%s%s", names->len > 0 ? ", " : "", contact->seed);
    }
  g_mutex_unlock (&self->lock);

  return g_string_free (g_steal_pointer (&names), FALSE);
}
