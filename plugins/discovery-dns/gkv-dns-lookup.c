/* Looking up where the nodes behind a name are: by its SRV records, or else at its addresses.
 *
 * The SRV records of "_gkv._udp.NAME" give hosts with their ports, and each host is looked up. A name that has none is
 * a host itself. A few hosts are looked up at once, since the resolver uses the threads that all of GIO shares.
 *
 * That there is nothing is a result. Any other failure makes the result incomplete: what isn't in it may be there
 * nevertheless.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-dns-lookup.h"

#include <stdlib.h>
#include <string.h>

#define MAX_AT_ONCE 4

/* A name with more is served in part. The first in order are taken, so that they are the same each time. */
#define MAX_HOSTS     1024
#define MAX_ADDRESSES 1024

typedef struct
{
  char *name;
  guint16 port;
} Host;

/* One query under way. It outlives a lookup that is cancelled. */
typedef struct
{
  GkvDnsLookup *lookup;
  GCancellable *cancellable;
  guint16 port; /* of the host that was queried */
} Query;

struct _GkvDnsLookup
{
  char *name;
  guint16 port;
  GkvDnsLookupFunc func;
  gpointer user_data;

  GResolver *resolver;
  GCancellable *cancellable;
  GPtrArray *hosts; /* Host */
  guint n_begun;    /* of them */
  guint n_running;
  GHashTable *addresses; /* text → GInetSocketAddress */
  GError *error;
};

static void
host_free (gpointer data)
{
  Host *host = data;

  g_free (host->name);
  g_free (host);
}

static int
host_compare (gconstpointer a, gconstpointer b)
{
  const Host *one = *(Host *const *) a;
  const Host *other = *(Host *const *) b;
  int order = g_strcmp0 (one->name, other->name);

  return order != 0 ? order : (int) one->port - other->port;
}

static Query *
query_new (GkvDnsLookup *lookup, guint16 port)
{
  Query *self = g_new0 (Query, 1);

  self->lookup = lookup;
  self->cancellable = g_object_ref (lookup->cancellable);
  self->port = port;
  lookup->n_running++;

  return self;
}

static void
query_free (Query *self)
{
  g_object_unref (self->cancellable);
  g_free (self);
}

/* The lookup that the query belongs to; NULL: it was cancelled, and is gone. */
static GkvDnsLookup *
query_end (Query *self)
{
  GkvDnsLookup *lookup = g_cancellable_is_cancelled (self->cancellable) ? NULL : self->lookup;

  if (lookup != NULL)
    lookup->n_running--;
  query_free (self);

  return lookup;
}

static void
lookup_free (GkvDnsLookup *self)
{
  g_free (self->name);
  g_object_unref (self->resolver);
  g_object_unref (self->cancellable);
  g_ptr_array_unref (self->hosts);
  g_hash_table_unref (self->addresses);
  g_clear_error (&self->error);
  g_free (self);
}

static void
lookup_add_host (GkvDnsLookup *self, const char *name, guint16 port)
{
  Host *host = g_new0 (Host, 1);

  host->name = g_strdup (name);
  host->port = port;
  g_ptr_array_add (self->hosts, host);
}

/* The first failure is kept. */
static void
lookup_note_error (GkvDnsLookup *self, const GError *error)
{
  if (self->error == NULL && !g_error_matches (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND))
    self->error = g_error_copy (error);
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
lookup_limit_addresses (GkvDnsLookup *self)
{
  g_autofree gpointer *texts = NULL;
  guint n_texts;

  if (g_hash_table_size (self->addresses) <= MAX_ADDRESSES)
    return;

  texts = g_hash_table_get_keys_as_array (self->addresses, &n_texts);
  qsort (texts, n_texts, sizeof *texts, compare_strings);
  for (guint i = MAX_ADDRESSES; i < n_texts; i++)
    g_hash_table_remove (self->addresses, texts[i]);
}

static void
lookup_finish (GkvDnsLookup *self)
{
  lookup_limit_addresses (self);
  self->func (self->addresses, self->error, self->user_data);
  lookup_free (self);
}

static void lookup_go_on (GkvDnsLookup *self);

static void
host_looked_up_cb (GObject *resolver, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GList *addresses = g_resolver_lookup_by_name_finish (G_RESOLVER (resolver), result, &error);
  guint16 port = ((Query *) data)->port;
  GkvDnsLookup *self = query_end (data);

  if (self != NULL)
    {
      if (error != NULL)
        lookup_note_error (self, error);

      for (GList *item = addresses; item != NULL; item = item->next)
        {
          GSocketAddress *address = g_inet_socket_address_new (item->data, port);

          g_hash_table_replace (self->addresses, g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address)),
                                address);
        }

      lookup_go_on (self);
    }

  g_resolver_free_addresses (addresses);
}

static void
lookup_go_on (GkvDnsLookup *self)
{
  while (self->n_begun < self->hosts->len && self->n_running < MAX_AT_ONCE)
    {
      Host *host = g_ptr_array_index (self->hosts, self->n_begun++);

      g_resolver_lookup_by_name_async (self->resolver, host->name, self->cancellable, host_looked_up_cb,
                                       query_new (self, host->port));
    }

  if (self->n_running == 0)
    lookup_finish (self);
}

static void
service_looked_up_cb (GObject *resolver, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GList *targets = g_resolver_lookup_service_finish (G_RESOLVER (resolver), result, &error);
  GkvDnsLookup *self = query_end (data);

  if (self != NULL)
    {
      /* Where a name server refuses to be asked for SRV records, the name's own addresses are better than nothing. */
      if (error != NULL)
        lookup_note_error (self, error);

      for (GList *item = targets; item != NULL; item = item->next)
        if (g_srv_target_get_port (item->data) != 0)
          lookup_add_host (self, g_srv_target_get_hostname (item->data), g_srv_target_get_port (item->data));

      if (targets == NULL)
        lookup_add_host (self, self->name, self->port);

      g_ptr_array_sort (self->hosts, host_compare);
      g_ptr_array_set_size (self->hosts, MIN (self->hosts->len, MAX_HOSTS));
      lookup_go_on (self);
    }

  g_resolver_free_targets (targets);
}

GkvDnsLookup *
gkv_dns_lookup_begin (const char *name, guint16 port, GkvDnsLookupFunc func, gpointer user_data)
{
  GkvDnsLookup *self = g_new0 (GkvDnsLookup, 1);

  self->name = g_strdup (name);
  self->port = port;
  self->func = func;
  self->user_data = user_data;
  self->resolver = g_resolver_get_default ();
  self->cancellable = g_cancellable_new ();
  self->hosts = g_ptr_array_new_with_free_func (host_free);
  self->addresses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);

  g_resolver_lookup_service_async (self->resolver, "gkv", "udp", name, self->cancellable, service_looked_up_cb,
                                   query_new (self, port));

  return self;
}

void
gkv_dns_lookup_cancel (GkvDnsLookup *self)
{
  g_cancellable_cancel (self->cancellable);
  lookup_free (self);
}
