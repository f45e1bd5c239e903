/* GkvNetwork: a node's part in its cluster.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-network.h"

#include "gkv-address.h"
#include "gkv-error.h"
#include "gkv-modules.h"
#include "gkv-seeds.h"
#include "gkv-waits.h"
#include "gossip/gkv-engine.h"

#include <errno.h>
#include <sys/random.h>

/* What is taken out of the engine at a time. */
#define BATCH (64)
/* A dispatch begins nothing new after this, so that it ends within 10 ms. */
#define DISPATCH_US (8 * 1000)

typedef enum
{
  GKV_NETWORK_NEW,
  GKV_NETWORK_OPEN,
  GKV_NETWORK_CLOSED,
} GkvNetworkState;

typedef struct
{
  GSource source;
  GkvNetwork *network;
} GkvNetworkSource;

struct _GkvNetwork
{
  /* the same for life */
  GkvOwner *owner;
  GkvMap *map;
  GkvEmitter *emitter;
  GParamSpec *synced_pspec;
  GkvWaits *waits;

  GMutex lock;
  GkvNetworkState state;
  GkvEngine *engine; /* NULL: there is no network, or none any more */
  gboolean active;   /* atomic: there is an engine */
  GkvSeeds *seeds;
  gboolean synced;
  guint64 n_send_errors;
  char *local_address;      /* NULL: none */
  GPtrArray *old_addresses; /* strings that were given out */
  gboolean dirty;           /* there is something to be done now */
  gboolean sleeping;        /* the context may be waiting for something to be done */
  gint64 next;              /* when there will be */

  /* the context's */
  GMainContext *context;
  GSource *source;
  GkvTransport *transport;
  GkvDiscovery *discovery;
  GCancellable *resolving;
};

static GkvTime
gkv_network_now (void)
{
  GkvTime now = { g_get_monotonic_time (), g_get_real_time () };

  return now;
}

static void gkv_network_attach_source_locked (GkvNetwork *self);

/* Has the context run the network. */
static void
gkv_network_wake_locked (GkvNetwork *self)
{
  self->dirty = TRUE;

  if (self->source == NULL && self->state != GKV_NETWORK_CLOSED)
    gkv_network_attach_source_locked (self);

  if (self->sleeping)
    {
      self->sleeping = FALSE;
      g_main_context_wakeup (self->context);
    }
}

/* Waiting */

static gboolean
gkv_network_reached_locked (GkvWaitGoal *goal, gpointer data, GError **error)
{
  GkvNetwork *self = data;
  GkvFlushState flush;
  GkvTime now;

  if (goal->kind == GKV_WAIT_SYNCED)
    return self->synced;

  if (self->engine == NULL)
    return FALSE;

  if (goal->ticket == 0)
    {
      now = gkv_network_now ();
      goal->ticket = gkv_engine_begin_flush (self->engine, goal->n_peers, &now);
      self->dirty = TRUE;
    }

  gkv_engine_get_flush (self->engine, goal->ticket, &flush);
  if (flush.done)
    gkv_engine_end_flush (self->engine, goal->ticket);

  return flush.done;
}

static GError *
gkv_network_explain_flush (GkvNetwork *self, const GkvWaitGoal *goal)
{
  GkvFlushState flush = {
    0,
  };

  g_mutex_lock (&self->lock);
  if (self->engine != NULL && goal->ticket != 0)
    gkv_engine_get_flush (self->engine, goal->ticket, &flush);
  g_mutex_unlock (&self->lock);

  if (flush.n_wanted == 0)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                "Nobody has confirmed what was written: no peer was met in time");

  return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                      "Of the %u peers that were to confirm what was written, %u have in time%s", flush.n_wanted,
                      flush.n_confirmed,
                      flush.n_refused > 0 ? "; some refuse it, as the clocks differ by more than an hour" : "");
}

static GError *
gkv_network_explain (const GkvWaitGoal *goal, gpointer data)
{
  GkvNetwork *self = data;
  g_autofree char *unreached = NULL;
  GkvNetworkState state;

  if (goal->kind == GKV_WAIT_FLUSH)
    return gkv_network_explain_flush (self, goal);

  g_mutex_lock (&self->lock);
  state = self->state;
  if (self->seeds != NULL)
    unreached = gkv_seeds_describe_unreached (self->seeds);
  g_mutex_unlock (&self->lock);

  if (state == GKV_NETWORK_NEW)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The node isn't synced: it was not started");

  if (unreached != NULL && *unreached != '\0')
    return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "The node is not synced in time; these seeds did not answer: %s", unreached);

  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                              "The node is not synced in time; its peers still have what it lacks");
}

static void
gkv_network_wait_ended (const GkvWaitGoal *goal, gpointer data)
{
  GkvNetwork *self = data;

  if (goal->ticket == 0)
    return;

  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    gkv_engine_end_flush (self->engine, goal->ticket);
  g_mutex_unlock (&self->lock);
}

static const GkvWaitFuncs gkv_network_wait_funcs = {
  gkv_network_reached_locked,
  gkv_network_explain,
  gkv_network_wait_ended,
};

static void
gkv_network_begin_wait (GkvNetwork *self, const GkvWaitGoal *goal, guint timeout_ms, GTask *task)
{
  gkv_waits_add_task (self->waits, goal, timeout_ms, task);
  gkv_network_poke (self);
}

void
gkv_network_wait_synced (GkvNetwork *self, guint timeout_ms, GTask *task)
{
  GkvWaitGoal goal = { GKV_WAIT_SYNCED, 0, 0 };

  gkv_network_begin_wait (self, &goal, timeout_ms, task);
}

void
gkv_network_flush (GkvNetwork *self, guint n_peers, guint timeout_ms, GTask *task)
{
  GkvWaitGoal goal = { GKV_WAIT_FLUSH, 0, n_peers };

  gkv_network_begin_wait (self, &goal, timeout_ms, task);
}

/* Running the engine */

/* Hands an event of the engine over to whom it concerns. */
static void
gkv_network_take_event_locked (GkvNetwork *self, GkvEvent *event)
{
  switch (event->kind)
    {
    case GKV_EVENT_CHANGED:
      gkv_map_queue_change_locked (self->map, event->record, event->replaced);
      break;

    case GKV_EVENT_PEER_ADDED:
    case GKV_EVENT_PEER_CHANGED:
    case GKV_EVENT_PEER_REMOVED:
      gkv_emitter_post_peer (self->emitter, g_steal_pointer (&event->peer), event->kind == GKV_EVENT_PEER_REMOVED);
      break;

    case GKV_EVENT_ERROR:
      gkv_emitter_post_error (self->emitter, event->error);
      break;

    case GKV_EVENT_SYNCED:
      self->synced = event->synced;
      gkv_emitter_post_notify (self->emitter, self->synced_pspec);
      break;

    case GKV_EVENT_CONFIRMED: /* the waits are looked at anyway */
    default:
      break;
    }
}

/* Runs the engine once, and takes up to a batch of what it says. TRUE: there is more. */
static gboolean
gkv_network_turn_locked (GkvNetwork *self, GArray *datagrams)
{
  g_autoptr (GPtrArray) written = NULL;
  GkvTime now = gkv_network_now ();
  GkvDatagram datagram;
  GkvEvent event;
  guint n_events;

  self->dirty = FALSE;

  gkv_map_lock (self->map);
  written = gkv_map_take_written_locked (self->map);
  for (guint i = 0; written != NULL && i < written->len; i++)
    gkv_engine_push (self->engine, written->pdata[i], &now);

  self->next = gkv_engine_tick (self->engine, &now);
  gkv_map_set_generation_locked (self->map, gkv_engine_get_life (self->engine));

  for (n_events = 0; n_events < BATCH && gkv_engine_pop_event (self->engine, &event); n_events++)
    {
      gkv_network_take_event_locked (self, &event);
      gkv_event_clear (&event);
    }
  gkv_map_unlock (self->map);

  while (datagrams->len < BATCH && gkv_engine_pop_datagram (self->engine, &datagram))
    g_array_append_val (datagrams, datagram);

  gkv_waits_check (self->waits);

  return n_events == BATCH || datagrams->len == BATCH || self->next <= now.mono;
}

/* All that is to be done without a network. TRUE: there is more. */
static gboolean
gkv_network_expire_locked (GkvNetwork *self)
{
  self->dirty = FALSE;

  gkv_map_lock (self->map);
  self->next = gkv_map_expire_locked (self->map);
  gkv_map_unlock (self->map);

  gkv_waits_check (self->waits);

  return self->next <= g_get_monotonic_time ();
}

static void
gkv_network_report_send_error (GkvNetwork *self, const GError *error)
{
  g_mutex_lock (&self->lock);
  self->n_send_errors++;
  g_mutex_unlock (&self->lock);

  gkv_emitter_post_error (self->emitter, error);
}

/* A module may close the node while it is called. */
static void
gkv_network_send (GkvNetwork *self, GArray *datagrams)
{
  g_autoptr (GkvTransport) transport = g_object_ref (self->transport);
  g_autoptr (GError) flush_error = NULL;

  for (guint i = 0; i < datagrams->len && self->transport != NULL; i++)
    {
      GkvDatagram *datagram = &g_array_index (datagrams, GkvDatagram, i);
      g_autoptr (GError) error = NULL;

      if (!gkv_transport_send (transport, datagram->address, datagram->bytes, &error))
        gkv_network_report_send_error (self, error);
    }

  if (datagrams->len > 0 && self->transport != NULL && !gkv_transport_flush (transport, &flush_error))
    gkv_network_report_send_error (self, flush_error);
}

static void gkv_network_resolve_seeds (GkvNetwork *self);

static void
gkv_network_run (GkvNetwork *self, gint64 until)
{
  gboolean more = TRUE;

  while (more)
    {
      g_autoptr (GArray) datagrams = g_array_new (FALSE, FALSE, sizeof (GkvDatagram));

      g_array_set_clear_func (datagrams, (GDestroyNotify) gkv_datagram_clear);

      g_mutex_lock (&self->lock);
      more = self->engine != NULL ? gkv_network_turn_locked (self, datagrams) : gkv_network_expire_locked (self);
      g_mutex_unlock (&self->lock);

      if (datagrams->len > 0)
        gkv_network_send (self, datagrams);

      if (more && g_get_monotonic_time () >= until)
        {
          g_mutex_lock (&self->lock);
          gkv_network_wake_locked (self);
          g_mutex_unlock (&self->lock);
          break;
        }
    }

  if (gkv_map_has_changes (self->map))
    gkv_emitter_wake (self->emitter);

  gkv_network_resolve_seeds (self);
}

/* The source */

static gboolean
gkv_network_source_prepare (GSource *source, int *timeout_ms)
{
  GkvNetwork *self = ((GkvNetworkSource *) source)->network;
  gint64 left_us;

  g_mutex_lock (&self->lock);
  self->sleeping = !self->dirty;
  left_us = self->dirty ? 0 : self->next == G_MAXINT64 ? -1 : MAX (self->next - g_source_get_time (source), 0);
  g_mutex_unlock (&self->lock);

  *timeout_ms = left_us < 0 ? -1 : (int) MIN ((left_us + 999) / 1000, G_MAXINT);

  return left_us == 0;
}

static gboolean
gkv_network_source_check (GSource *source)
{
  GkvNetwork *self = ((GkvNetworkSource *) source)->network;
  gboolean due;

  g_mutex_lock (&self->lock);
  self->sleeping = FALSE;
  due = self->dirty || self->next <= g_source_get_time (source);
  g_mutex_unlock (&self->lock);

  return due;
}

static gboolean
gkv_network_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  GkvNetwork *self = gkv_network_ref (((GkvNetworkSource *) source)->network);

  gkv_network_run (self, g_get_monotonic_time () + DISPATCH_US);
  gkv_network_unref (self);

  return G_SOURCE_CONTINUE;
}

static void
gkv_network_source_finalize (GSource *source)
{
  gkv_network_unref (((GkvNetworkSource *) source)->network);
}

static GSourceFuncs gkv_network_source_funcs = {
  .prepare = gkv_network_source_prepare,
  .check = gkv_network_source_check,
  .dispatch = gkv_network_source_dispatch,
  .finalize = gkv_network_source_finalize,
};

static void
gkv_network_attach_source_locked (GkvNetwork *self)
{
  self->source = g_source_new (&gkv_network_source_funcs, sizeof (GkvNetworkSource));
  g_source_set_static_name (self->source, "GkvNode network");
  ((GkvNetworkSource *) self->source)->network = gkv_network_ref (self);
  g_source_attach (self->source, self->context);
}

/* It holds a reference, and has to go for the network to end. */
static void
gkv_network_destroy_source (GkvNetwork *self)
{
  g_autoptr (GSource) source = NULL;

  g_mutex_lock (&self->lock);
  source = g_steal_pointer (&self->source);
  g_mutex_unlock (&self->lock);

  if (source != NULL)
    g_source_destroy (source);
}

/* Seeds */

typedef struct
{
  GkvNetwork *network;
  char *seed;
  guint16 port;
} GkvLookup;

static void
gkv_lookup_free (GkvLookup *lookup)
{
  gkv_network_unref (lookup->network);
  g_free (lookup->seed);
  g_free (lookup);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GkvLookup, gkv_lookup_free)

static void
gkv_network_seed_resolved (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GkvLookup) lookup = user_data;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) addresses = NULL;
  GkvNetwork *self = lookup->network;
  GkvTime now = gkv_network_now ();
  gboolean report = FALSE;
  GList *found;

  found = g_resolver_lookup_by_name_finish (G_RESOLVER (source), result, &error);
  for (GList *link = found; link != NULL; link = link->next)
    {
      g_autofree char *host = g_inet_address_to_string (link->data);
      g_autofree char *address = gkv_address_format (host, lookup->port);

      g_strv_builder_add (builder, address);
    }
  g_resolver_free_addresses (found);
  addresses = g_strv_builder_end (builder);

  g_mutex_lock (&self->lock);
  if (self->seeds != NULL)
    {
      report = gkv_seeds_resolved (self->seeds, lookup->seed, (const char *const *) addresses, &now);
      gkv_network_wake_locked (self);
    }
  g_mutex_unlock (&self->lock);

  if (report)
    {
      g_autoptr (GError) reported =
          g_error_new (GKV_ERROR, GKV_ERROR_FAILED, "The seed \"%s\" can't be resolved, and is tried again: %s",
                       lookup->seed, error != NULL ? error->message : "there is no such name");

      gkv_emitter_post_error (self->emitter, reported);
    }
}

static void
gkv_network_resolve_seed (GkvNetwork *self, const char *seed)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  g_autofree char *host = NULL;
  GkvLookup *lookup = g_new0 (GkvLookup, 1);

  lookup->network = gkv_network_ref (self);
  lookup->seed = g_strdup (seed);
  gkv_address_parse (seed, &host, &lookup->port, NULL); /* validated before */

  g_main_context_push_thread_default (self->context);
  g_resolver_lookup_by_name_async (resolver, host, self->resolving, gkv_network_seed_resolved, lookup);
  g_main_context_pop_thread_default (self->context);
}

static void
gkv_network_resolve_seeds (GkvNetwork *self)
{
  GkvTime now = gkv_network_now ();

  while (TRUE)
    {
      g_autofree char *seed = NULL;

      g_mutex_lock (&self->lock);
      if (self->seeds != NULL)
        {
          seed = g_strdup (gkv_seeds_next (self->seeds, &now));
          self->next = MIN (self->next, gkv_seeds_get_due (self->seeds));
        }
      g_mutex_unlock (&self->lock);

      if (seed == NULL)
        return;

      gkv_network_resolve_seed (self, seed);
    }
}

static void
gkv_network_add_seed_locked (GkvNetwork *self, const char *seed)
{
  g_autofree char *host = NULL;
  g_autofree char *numeric = NULL;
  GkvTime now = gkv_network_now ();
  guint16 port;

  gkv_address_parse (seed, &host, &port, NULL); /* validated before */
  if (gkv_address_is_numeric (host))
    numeric = gkv_address_format (host, port);

  gkv_seeds_add (self->seeds, seed, numeric, &now);
  gkv_network_wake_locked (self);
}

void
gkv_network_add_seed (GkvNetwork *self, const char *seed)
{
  g_mutex_lock (&self->lock);
  if (self->seeds != NULL)
    gkv_network_add_seed_locked (self, seed);
  g_mutex_unlock (&self->lock);
}

/* Events of the modules */

static void
gkv_network_received (GkvTransport *transport, const char *address, GBytes *datagram, GkvNetwork *self)
{
  GkvTime now = gkv_network_now ();
  gsize len;
  gconstpointer data = g_bytes_get_data (datagram, &len);

  g_mutex_lock (&self->lock);
  if (self->engine != NULL && len > 0)
    {
      gkv_map_lock (self->map);
      gkv_engine_receive (self->engine, address, data, len, &now);
      gkv_map_unlock (self->map);
      gkv_network_wake_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

static void
gkv_network_failed (gpointer module, const GError *error, GkvNetwork *self)
{
  gkv_emitter_post_error (self->emitter, error);
}

static void
gkv_network_found (GkvDiscovery *discovery, const char *node_id, const char *address, GkvNetwork *self)
{
  GkvTime now = gkv_network_now ();

  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    {
      gkv_engine_add_contact (self->engine, address, &now);
      gkv_network_wake_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

static void
gkv_network_lost (GkvDiscovery *discovery, const char *node_id, const char *address, GkvNetwork *self)
{
  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    gkv_engine_remove_contact (self->engine, address);
  g_mutex_unlock (&self->lock);
}

static void
gkv_network_connect_modules (GkvNetwork *self)
{
  g_signal_connect (self->transport, "received", G_CALLBACK (gkv_network_received), self);
  g_signal_connect (self->transport, "failed", G_CALLBACK (gkv_network_failed), self);

  if (self->discovery == NULL)
    return;

  g_signal_connect (self->discovery, "found", G_CALLBACK (gkv_network_found), self);
  g_signal_connect (self->discovery, "lost", G_CALLBACK (gkv_network_lost), self);
  g_signal_connect (self->discovery, "failed", G_CALLBACK (gkv_network_failed), self);
}

/* Opening */

static gboolean
gkv_network_open_transport (GkvTransport *transport, const char *const *addresses, GError **error)
{
  for (guint i = 0; addresses[i] != NULL; i++)
    {
      g_clear_error (error);
      if (gkv_transport_open (transport, addresses[i], error))
        return TRUE;
    }

  return FALSE;
}

/* What peers are told to use, NULL for what they see. */
static gboolean
gkv_network_find_advertised (const char *advertise, const char *local, char **advertised, GError **error)
{
  g_autofree char *host = NULL;
  g_autofree char *numeric = NULL;
  guint16 port;

  if (advertise == NULL)
    {
      *advertised = gkv_address_is_unspecified (local) ? NULL : g_strdup (local);
      return TRUE;
    }

  if (!gkv_address_parse (advertise, &host, &port, error))
    return FALSE;

  numeric = gkv_address_lookup_local (host);
  if (numeric == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                   "The option advertise-address: \"%s\" is a name that this machine doesn't know; peers need a "
                   "numeric address",
                   host);
      return FALSE;
    }

  *advertised = gkv_address_format (numeric, port);

  return TRUE;
}

static GkvEngine *
gkv_network_make_engine (GkvNetwork *self, const GkvNetworkConfig *config, const char *advertised)
{
  GkvEngineConfig engine_config = {
    0,
  };
  GkvTime now = gkv_network_now ();
  GkvEngine *engine;

  engine_config.node_id = config->node_id;
  engine_config.cluster = config->cluster;
  engine_config.life = gkv_map_get_generation (self->map);
  engine_config.random_seed = g_random_int ();
  engine_config.gossip_interval_ms = config->gossip_interval_ms;
  engine_config.max_datagram_size = gkv_transport_get_max_datagram_size (config->transport);
  if (getrandom (engine_config.secret, sizeof engine_config.secret, 0) != sizeof engine_config.secret)
    g_error ("There are no random numbers to be had from the system: %s", g_strerror (errno));

  gkv_map_lock (self->map);
  engine = gkv_engine_new (&engine_config, gkv_map_get_store (self->map), gkv_map_get_clock (self->map), &now);
  gkv_map_set_networked_locked (self->map, TRUE);
  gkv_map_unlock (self->map);
  gkv_engine_set_advertise_address (engine, advertised);

  return engine;
}

/* Takes the engine out. */
static GkvEngine *
gkv_network_steal_engine (GkvNetwork *self)
{
  GkvEngine *engine;

  g_mutex_lock (&self->lock);
  engine = g_steal_pointer (&self->engine);
  g_atomic_int_set (&self->active, FALSE);
  g_clear_pointer (&self->seeds, gkv_seeds_free);
  g_mutex_unlock (&self->lock);

  gkv_map_lock (self->map);
  gkv_map_set_networked_locked (self->map, FALSE);
  gkv_map_unlock (self->map);

  return engine;
}

static void
gkv_network_close_modules (GkvNetwork *self)
{
  g_autoptr (GkvTransport) transport = g_steal_pointer (&self->transport);
  g_autoptr (GkvDiscovery) discovery = g_steal_pointer (&self->discovery);

  g_signal_handlers_disconnect_by_data (transport, self);
  if (discovery != NULL)
    {
      g_signal_handlers_disconnect_by_data (discovery, self);
      gkv_discovery_stop (discovery);
    }
  gkv_transport_close (transport);
}

static gboolean
gkv_network_open_modules (GkvNetwork *self, const GkvNetworkConfig *config, GError **error)
{
  g_autofree char *advertised = NULL;
  char *local;

  if (!gkv_network_open_transport (self->transport, config->bind_addresses, error))
    return FALSE;

  local = gkv_transport_get_local_address (self->transport);
  if (!gkv_network_find_advertised (config->advertise_address, local, &advertised, error))
    {
      g_free (local);
      return FALSE;
    }

  gkv_network_connect_modules (self);

  g_mutex_lock (&self->lock);
  self->engine = gkv_network_make_engine (self, config, advertised);
  g_atomic_int_set (&self->active, TRUE);
  self->seeds = gkv_seeds_new (self->engine);
  self->local_address = local;
  g_ptr_array_add (self->old_addresses, local);
  for (guint i = 0; config->seeds[i] != NULL; i++)
    gkv_network_add_seed_locked (self, config->seeds[i]);
  gkv_network_wake_locked (self);
  g_mutex_unlock (&self->lock);

  return self->discovery == NULL || gkv_discovery_start (self->discovery, config->cluster, config->node_id,
                                                         advertised != NULL ? advertised : local, error);
}

static gboolean
gkv_network_open_on (GkvNetwork *self, const GkvNetworkConfig *config, GError **error)
{
  GkvEngine *engine;
  gboolean ok;

  self->transport = g_object_ref (config->transport);
  self->discovery = config->discovery != NULL ? g_object_ref (config->discovery) : NULL;
  self->resolving = g_cancellable_new ();

  /* The modules attach their sources to the thread's default context. */
  g_main_context_push_thread_default (self->context);
  ok = gkv_network_open_modules (self, config, error);
  g_main_context_pop_thread_default (self->context);

  if (ok)
    return TRUE;

  engine = gkv_network_steal_engine (self);
  g_clear_pointer (&engine, gkv_engine_free);
  self->local_address = NULL;
  gkv_network_close_modules (self);

  return FALSE;
}

gboolean
gkv_network_open (GkvNetwork *self, const GkvNetworkConfig *config, GError **error)
{
  if (config != NULL && !gkv_network_open_on (self, config, error))
    return FALSE;

  g_mutex_lock (&self->lock);
  self->state = GKV_NETWORK_OPEN;
  if (config == NULL)
    self->synced = TRUE;
  g_mutex_unlock (&self->lock);

  gkv_waits_check (self->waits);

  return TRUE;
}

/* Closing */

/* What belongs to the context, and may have to be sent there. */
typedef struct
{
  GkvNetwork *network;
  GArray *farewell; /* GkvDatagram, to be sent before closing */
} GkvClosing;

static void
gkv_network_finish_closing (gpointer data)
{
  GkvClosing *closing = data;
  GkvNetwork *self = closing->network;

  gkv_network_send (self, closing->farewell);
  gkv_network_close_modules (self);

  gkv_network_destroy_source (self);
  g_cancellable_cancel (self->resolving);

  g_array_unref (closing->farewell);
  gkv_network_unref (self);
  g_free (closing);
}

static gboolean
gkv_network_do_nothing (gpointer data)
{
  return G_SOURCE_REMOVE;
}

void
gkv_network_close (GkvNetwork *self)
{
  GkvClosing *closing;
  GkvEngine *engine;
  GkvDatagram datagram;
  GkvTime now = gkv_network_now ();

  g_mutex_lock (&self->lock);
  self->state = GKV_NETWORK_CLOSED;
  g_mutex_unlock (&self->lock);

  gkv_waits_close (self->waits);

  engine = gkv_network_steal_engine (self);
  if (engine == NULL)
    {
      gkv_network_destroy_source (self);
      return;
    }

  closing = g_new0 (GkvClosing, 1);
  closing->network = gkv_network_ref (self);
  closing->farewell = g_array_new (FALSE, FALSE, sizeof (GkvDatagram));
  g_array_set_clear_func (closing->farewell, (GDestroyNotify) gkv_datagram_clear);

  gkv_map_lock (self->map);
  gkv_engine_leave (engine, &now);
  while (gkv_engine_pop_datagram (engine, &datagram))
    g_array_append_val (closing->farewell, datagram);
  gkv_engine_free (engine);
  gkv_map_unlock (self->map);

  if (gkv_owner_enter (self->owner))
    {
      gkv_network_finish_closing (closing);
      gkv_owner_leave (self->owner);
    }
  else
    {
      g_autoptr (GSource) source = g_idle_source_new ();

      /* The destroy notify does it: it runs also when the context goes without having run the source. */
      g_source_set_priority (source, G_PRIORITY_DEFAULT);
      g_source_set_callback (source, gkv_network_do_nothing, closing, gkv_network_finish_closing);
      g_source_attach (source, self->context);
    }
}

/* The rest */

GkvNetwork *
gkv_network_new (GkvOwner *owner, GkvMap *map, GkvEmitter *emitter, GParamSpec *synced)
{
  GkvNetwork *self = g_atomic_rc_box_new0 (GkvNetwork);

  self->owner = gkv_owner_ref (owner);
  self->map = gkv_map_ref (map);
  self->emitter = gkv_emitter_ref (emitter);
  self->synced_pspec = synced;
  self->waits = gkv_waits_new (&gkv_network_wait_funcs, self);
  g_mutex_init (&self->lock);
  self->old_addresses = g_ptr_array_new_with_free_func (g_free);
  self->next = G_MAXINT64;
  self->context = g_main_context_ref (gkv_owner_get_context (owner));

  return self;
}

GkvNetwork *
gkv_network_ref (GkvNetwork *self)
{
  return g_atomic_rc_box_acquire (self);
}

static void
gkv_network_clear (gpointer data)
{
  GkvNetwork *self = data;

  g_clear_object (&self->resolving);
  g_main_context_unref (self->context);
  g_ptr_array_unref (self->old_addresses);
  g_mutex_clear (&self->lock);
  gkv_waits_free (self->waits);
  gkv_emitter_unref (self->emitter);
  gkv_map_unref (self->map);
  gkv_owner_unref (self->owner);
}

void
gkv_network_unref (GkvNetwork *self)
{
  g_atomic_rc_box_release_full (self, gkv_network_clear);
}

void
gkv_network_poke (GkvNetwork *self)
{
  g_mutex_lock (&self->lock);
  if (!self->dirty)
    gkv_network_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

void
gkv_network_set_gossip_interval (GkvNetwork *self, guint interval_ms)
{
  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    {
      gkv_engine_set_gossip_interval (self->engine, interval_ms);
      gkv_network_wake_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

gboolean
gkv_network_is_active (GkvNetwork *self)
{
  return g_atomic_int_get (&self->active);
}

gboolean
gkv_network_get_synced (GkvNetwork *self)
{
  gboolean synced;

  g_mutex_lock (&self->lock);
  synced = self->synced;
  g_mutex_unlock (&self->lock);

  return synced;
}

const char *
gkv_network_get_local_address (GkvNetwork *self)
{
  const char *address;

  g_mutex_lock (&self->lock);
  address = self->local_address;
  g_mutex_unlock (&self->lock);

  return address;
}

void
gkv_network_add_stats (GkvNetwork *self, GVariantBuilder *builder)
{
  g_mutex_lock (&self->lock);
  g_variant_builder_add (builder, "{sv}", "send-errors", g_variant_new_uint64 (self->n_send_errors));
  if (self->engine != NULL)
    gkv_engine_add_stats (self->engine, builder);
  g_mutex_unlock (&self->lock);
}
