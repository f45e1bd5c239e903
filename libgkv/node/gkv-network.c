/* GkvNetwork: a node's part in its cluster.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-network.h"

#include "gkv-boot-time.h"
#include "gkv-call.h"
#include "gkv-error.h"
#include "gkv-goals.h"
#include "gkv-network-debug.h"
#include "gkv-opening.h"
#include "gkv-runner.h"
#include "gkv-seeds.h"
#include "gkv-transport-private.h"
#include "gkv-unsent.h"
#include "gkv-waits.h"
#include "gkv-worker.h"
#include "gossip/gkv-engine.h"

#include <errno.h>
#include <sys/random.h>

/* What is taken out of the engine at a time. */
#define BATCH (64)
/* A dispatch begins nothing new after this, so that it ends within 10 ms. */
#define DISPATCH_US (8 * 1000)
/* Handlers get so long before what they wrote is sent, together with the acknowledgement of what they were told of. */
#define HANDLERS_US (2 * 1000)
/* A write is sent by the thread that makes it, unless it follows another within this time: then the worker gathers
 * them. */
#define BURST_US (30)
/* A close in another thread waits so long for the node's context, where the network runs there. */
#define JOIN_TIMEOUT_US (2 * G_USEC_PER_SEC)
/* A turn builds the map's index for so long. */
#define BUILD_US (1000)
/* A blocking open waits so long for name servers. */
#define OPEN_TIMEOUT_US (10 * G_USEC_PER_SEC)

typedef enum
{
  GKV_NETWORK_NEW,
  GKV_NETWORK_OPENING,
  GKV_NETWORK_OPEN,
  GKV_NETWORK_CLOSING, /* what belongs to the context is yet to be closed there */
  GKV_NETWORK_CLOSED,
} GkvNetworkState;

/* An open that the node's context is to be told of. */
typedef struct
{
  GkvNetwork *network;
  GkvNetworkOpened opened;
  gpointer data;
  GError *error;
  GCancellable *caller;
  gulong handler;
} GkvOpenCall;

struct _GkvNetwork
{
  /* the same for life */
  GkvOwner *owner;
  GkvMap *map;
  GkvEmitter *emitter;
  GParamSpec *synced_pspec;
  GkvWaits *waits;
  GkvRunner *runner;
  GkvRunner *builder; /* of the map's index */

  GMutex lock;
  GCond state_changed;
  GkvNetworkState state;
  GError *open_error; /* why the last open failed */
  GkvEngine *engine;  /* NULL: there is no network, or none any more */
  gboolean active;    /* atomic: there is an engine */
  GkvSeeds *seeds;
  gboolean synced;
  GkvUnsent *unsent;
  char *local_address;      /* NULL: none */
  GPtrArray *old_addresses; /* strings that were given out */
  GMainContext *context;    /* that it runs in */
  gint64 written_at;        /* when the last write was sent by its own thread */

  /* from opening to closing; the context's */
  gboolean threaded; /* the context is the worker's */
  GkvTransport *transport;
  GkvTransportSink sink;
  GkvDiscovery *discovery;
  GCancellable *cancellable; /* of what is under way */
  GkvOpenCall *open_call;    /* NULL: nobody is to be told */
  char *node_id;
  char *cluster;
  GStrv first_seeds;
  guint gossip_interval_ms;
  guint max_removals;
};

static GkvTime
gkv_network_now (void)
{
  GkvTime now = { g_get_monotonic_time (), g_get_real_time (), gkv_get_boot_time () };

  return now;
}

/* Has the context run the network. */
static void
gkv_network_wake_locked (GkvNetwork *self)
{
  if (!gkv_runner_is_attached (self->runner) && self->state < GKV_NETWORK_CLOSING)
    gkv_runner_attach (self->runner, self->context);

  gkv_runner_wake (self->runner);
}

/* Waiting */

static GkvGoalState
gkv_network_get_goal_state_locked (GkvNetwork *self)
{
  GkvGoalState state = { self->engine, self->seeds, self->state != GKV_NETWORK_NEW, self->synced };

  return state;
}

static gboolean
gkv_network_is_reached_locked (GkvWaitGoal *goal, gpointer data, GError **error)
{
  GkvNetwork *self = data;
  GkvGoalState state = gkv_network_get_goal_state_locked (self);
  GkvTime now = gkv_network_now ();
  gboolean begun = FALSE;
  gboolean reached = gkv_goal_is_reached (goal, &state, &now, &begun);

  if (begun)
    gkv_runner_wake (self->runner);

  if (!reached)
    {
      GError *failure = gkv_goal_fail (goal, &state);

      if (failure != NULL)
        g_propagate_error (error, failure);
    }

  return reached;
}

static GError *
gkv_network_explain (const GkvWaitGoal *goal, gpointer data)
{
  GkvNetwork *self = data;
  GkvGoalState state;
  GError *error;

  g_mutex_lock (&self->lock);
  state = gkv_network_get_goal_state_locked (self);
  error = gkv_goal_explain (goal, &state);
  g_mutex_unlock (&self->lock);

  return error;
}

static void
gkv_network_wait_ended (const GkvWaitGoal *goal, gpointer data)
{
  GkvNetwork *self = data;
  GkvGoalState state;

  g_mutex_lock (&self->lock);
  state = gkv_network_get_goal_state_locked (self);
  gkv_goal_end (goal, &state);
  g_mutex_unlock (&self->lock);
}

static const GkvWaitFuncs gkv_network_wait_funcs = {
  gkv_network_is_reached_locked,
  gkv_network_explain,
  gkv_network_wait_ended,
};

/* Has the waits looked at by the context. */
static void
gkv_network_look_at_waits (gpointer data)
{
  GkvNetwork *self = data;

  g_mutex_lock (&self->lock);
  gkv_network_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

void
gkv_network_wait_async (GkvNetwork *self, GkvGoalKind kind, guint n_peers, guint timeout_ms, GTask *task)
{
  GkvWaitGoal goal = gkv_goal_make (kind, n_peers);

  gkv_waits_add_task (self->waits, &goal, timeout_ms, task);
  gkv_network_look_at_waits (self);
}

gboolean
gkv_network_may_block (GkvNetwork *self)
{
  gboolean threaded, inside;

  g_mutex_lock (&self->lock);
  threaded = self->threaded;
  inside = g_main_context_is_owner (self->context);
  g_mutex_unlock (&self->lock);

  if (inside)
    return FALSE;

  if (threaded || !gkv_owner_enter (self->owner))
    return TRUE;

  gkv_owner_leave (self->owner);

  return FALSE;
}

gboolean
gkv_network_wait (
    GkvNetwork *self, GkvGoalKind kind, guint n_peers, guint timeout_ms, GCancellable *cancellable, GError **error)
{
  GkvWaitGoal goal = gkv_goal_make (kind, n_peers);

  if (!gkv_network_may_block (self))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
                           "The node's network runs in this thread, which would wait for itself; use the asynchronous "
                           "form");
      return FALSE;
    }

  return gkv_waits_block (self->waits, &goal, timeout_ms, gkv_network_look_at_waits, cancellable, error);
}

guint64
gkv_network_get_n_undelivered (GkvNetwork *self)
{
  guint64 n_undelivered;

  g_mutex_lock (&self->lock);
  n_undelivered =
      self->engine != NULL ? gkv_engine_get_n_unconfirmed (self->engine) + gkv_map_get_n_written (self->map) : 0;
  g_mutex_unlock (&self->lock);

  return n_undelivered;
}

/* Running the engine */

/* Hands an event of the engine over to whom it concerns. */
static void
gkv_network_take_event_locked (GkvNetwork *self, GkvEvent *event)
{
  gboolean live;

  gkv_network_debug_event (self->node_id, event);

  switch (event->kind)
    {
    case GKV_EVENT_PEER_ADDED:
    case GKV_EVENT_PEER_CHANGED:
    case GKV_EVENT_PEER_REMOVED:
      live = event->kind != GKV_EVENT_PEER_REMOVED &&
             (event->peer->state == GKV_PEER_STATE_ALIVE || event->peer->state == GKV_PEER_STATE_SUSPECT);
      gkv_emitter_post_peer (self->emitter, g_steal_pointer (&event->peer), live);
      break;

    case GKV_EVENT_ERROR:
      gkv_emitter_post_error (self->emitter, event->error);
      break;

    case GKV_EVENT_SYNCED:
      self->synced = event->synced;
      gkv_emitter_post_notify (self->emitter, self->synced_pspec);
      break;

    case GKV_EVENT_CHANGED:   /* queued already */
    case GKV_EVENT_CONFIRMED: /* the waits are looked at anyway */
    default:
      break;
    }
}

/* Takes up to a batch of what the engine reports. TRUE: there may be more. */
static gboolean
gkv_network_take_events_locked (GkvNetwork *self)
{
  GkvEvent event;
  guint n_events;

  gkv_map_lock (self->map);
  gkv_map_set_generation_locked (self->map, gkv_engine_get_generation (self->engine));
  gkv_map_unlock (self->map);

  for (n_events = 0; n_events < BATCH && gkv_engine_pop_event (self->engine, &event); n_events++)
    {
      gkv_network_take_event_locked (self, &event);
      gkv_event_clear (&event);
    }

  return n_events == BATCH;
}

/* Runs the engine once, and takes up to a batch of what it says. TRUE: there is more. */
static gboolean
gkv_network_turn_locked (GkvNetwork *self, GArray *datagrams)
{
  g_autoptr (GPtrArray) written = NULL;
  GkvTime now = gkv_network_now ();
  GkvDatagram datagram;
  gboolean more;
  gint64 next;

  gkv_runner_begin (self->runner);

  gkv_map_lock (self->map);
  written = gkv_map_take_written_locked (self->map);
  gkv_map_unlock (self->map);

  for (guint i = 0; written != NULL && i < written->len; i++)
    gkv_engine_push (self->engine, written->pdata[i], &now);

  next = gkv_engine_tick (self->engine, &now);
  gkv_runner_set_next (self->runner, MIN (next, gkv_seeds_get_due (self->seeds)));

  more = gkv_network_take_events_locked (self);
  while (datagrams->len < BATCH && gkv_engine_pop_datagram (self->engine, &datagram))
    g_array_append_val (datagrams, datagram);

  gkv_waits_check (self->waits);

  return more || datagrams->len == BATCH || next <= now.mono;
}

/* All that is to be done without a network. TRUE: there is more. */
static gboolean
gkv_network_expire_locked (GkvNetwork *self)
{
  gkv_runner_begin (self->runner);

  gkv_map_lock (self->map);
  gkv_runner_set_next (self->runner, gkv_map_expire_locked (self->map));
  gkv_map_unlock (self->map);

  gkv_waits_check (self->waits);

  return gkv_runner_get_next (self->runner) <= g_get_monotonic_time ();
}

static void
gkv_network_send_datagrams (GkvNetwork *self, GArray *datagrams, GPtrArray *errors)
{
  g_autoptr (GkvTransport) transport = g_object_ref (self->transport);

  for (guint i = 0; i < datagrams->len && self->transport != NULL; i++)
    {
      GkvDatagram *datagram = &g_array_index (datagrams, GkvDatagram, i);
      GError *error = NULL;

      if (!gkv_transport_try_send (transport, datagram->address, datagram->bytes, &error))
        g_ptr_array_add (errors, error);
    }

  for (guint i = 0; i <= datagrams->len && self->transport != NULL; i++)
    {
      GError *error = NULL;

      if (gkv_transport_try_flush (transport, &error))
        break;
      g_ptr_array_add (errors, error);
    }
}

/* A datagram could not be sent. */
static void
gkv_network_note_unsent (GkvNetwork *self, const GError *error)
{
  g_autoptr (GError) told = NULL;

  gkv_debug (GKV_DEBUG_NET, self->node_id, "%s", error->message);
  if (!gkv_unsent_note (self->unsent, error, g_get_monotonic_time ()))
    return;

  told = g_error_new_literal (GKV_ERROR, GKV_ERROR_TRANSPORT, error->message);
  gkv_emitter_post_error (self->emitter, told);
}

/* Under the lock, and without it where that has to be. A transport that belongs to the node's context can be anybody's
 * code, and may call the node, or close it; one of the worker's is never called twice at the same time. */
static void
gkv_network_send_and_relock (GkvNetwork *self, GArray *datagrams)
{
  g_autoptr (GPtrArray) errors = NULL;

  if (datagrams->len == 0)
    return;

  errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);
  if (!self->threaded)
    g_mutex_unlock (&self->lock);
  gkv_network_send_datagrams (self, datagrams, errors);
  if (!self->threaded)
    g_mutex_lock (&self->lock);

  for (guint i = 0; i < errors->len; i++)
    gkv_network_note_unsent (self, errors->pdata[i]);
}

static void gkv_network_resolve_seeds (GkvNetwork *self);

/* One turn. TRUE: there is more to do. */
static gboolean
gkv_network_run_once (GkvNetwork *self)
{
  g_autoptr (GArray) datagrams = g_array_new (FALSE, FALSE, sizeof (GkvDatagram));
  gboolean more = FALSE;

  g_array_set_clear_func (datagrams, (GDestroyNotify) gkv_datagram_clear);

  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    {
      more = gkv_network_turn_locked (self, datagrams);
      gkv_network_send_and_relock (self, datagrams);
    }
  else
    {
      more = gkv_network_expire_locked (self);
    }
  g_mutex_unlock (&self->lock);

  return more;
}

static gboolean
gkv_network_run (gpointer data)
{
  GkvNetwork *self = gkv_network_ref (data);
  gint64 until = g_get_monotonic_time () + DISPATCH_US;

  while (gkv_network_run_once (self) || gkv_runner_is_woken (self->runner))
    if (g_get_monotonic_time () >= until)
      {
        gkv_runner_wake (self->runner);
        break;
      }

  if (gkv_map_has_changes (self->map))
    gkv_emitter_wake (self->emitter);

  gkv_network_resolve_seeds (self);
  gkv_network_unref (self);

  return FALSE; /* what there is more is as urgent as this was */
}

/* Has the thread that writes send, where nobody has to be waited for: that is sooner than to wake the worker. FALSE:
 * the worker is to do it. */
static gboolean
gkv_network_send_here (GkvNetwork *self)
{
  g_autoptr (GArray) datagrams = NULL;
  gint64 now = g_get_monotonic_time ();
  gboolean more = TRUE;

  if (!g_mutex_trylock (&self->lock))
    return FALSE;

  if (self->engine != NULL && now >= self->written_at + BURST_US && gkv_runner_get_next (self->runner) > now)
    {
      datagrams = g_array_new (FALSE, FALSE, sizeof (GkvDatagram));
      g_array_set_clear_func (datagrams, (GDestroyNotify) gkv_datagram_clear);
      more = gkv_network_turn_locked (self, datagrams);
      gkv_network_send_and_relock (self, datagrams);
      more = more || gkv_runner_sleeps_beyond (self->runner, gkv_runner_get_next (self->runner));
    }
  self->written_at = now;
  g_mutex_unlock (&self->lock);

  /* The turn may have ended records, which the worker doesn't know of. */
  if (datagrams != NULL && gkv_map_has_changes (self->map))
    gkv_emitter_wake (self->emitter);

  return !more;
}

void
gkv_network_poke (GkvNetwork *self)
{
  if (gkv_runner_is_woken (self->runner) && gkv_runner_is_attached (self->runner))
    return;

  if (!self->threaded || !gkv_network_is_active (self))
    {
      g_mutex_lock (&self->lock);
      gkv_network_wake_locked (self);
      g_mutex_unlock (&self->lock);
    }
  else if (!gkv_network_send_here (self))
    {
      /* Without the lock, which the worker may have: then it looks again before it sleeps. */
      gkv_runner_wake (self->runner);
    }
}

/* Building the map's index, when there is nothing else to be done */

static gboolean
gkv_network_build (gpointer data)
{
  GkvNetwork *self = data;

  gkv_runner_begin (self->builder);

  return gkv_map_build_index (self->map, g_get_monotonic_time () + BUILD_US);
}

void
gkv_network_build_index (GkvNetwork *self)
{
  if (!gkv_map_is_index_due (self->map))
    return;

  g_mutex_lock (&self->lock);
  if (self->state < GKV_NETWORK_CLOSING)
    {
      gkv_runner_attach (self->builder, self->context);
      gkv_runner_wake (self->builder);
    }
  g_mutex_unlock (&self->lock);
}

static void
gkv_network_call (GkvNetwork *self, GMainContext *context, GDestroyNotify func, gpointer data)
{
  gkv_call (self->owner, context, "GkvNode network call", func, data);
}

/* Seeds. Looked up by the transport, in the context. */

typedef struct
{
  GkvNetwork *network;
  char *seed;
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
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) addresses = gkv_transport_resolve_finish (GKV_TRANSPORT (source), result, &error);
  GkvNetwork *self = lookup->network;
  GkvTime now = gkv_network_now ();
  gboolean report = FALSE;

  g_mutex_lock (&self->lock);
  if (self->seeds != NULL)
    {
      gkv_network_debug_seed (self->node_id, lookup->seed, (const char *const *) addresses, error);
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
  GkvLookup *lookup = g_new0 (GkvLookup, 1);

  lookup->network = gkv_network_ref (self);
  lookup->seed = g_strdup (seed);

  g_main_context_push_thread_default (self->context);
  gkv_transport_resolve_async (self->transport, seed, self->cancellable, gkv_network_seed_resolved, lookup);
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
          gkv_runner_set_next (self->runner, MIN (gkv_runner_get_next (self->runner), gkv_seeds_get_due (self->seeds)));
        }
      g_mutex_unlock (&self->lock);

      if (seed == NULL || self->transport == NULL)
        return;

      gkv_network_resolve_seed (self, seed);
    }
}

/* In the context. */
static void
gkv_network_take_seed (GkvNetwork *self, const char *seed)
{
  g_autofree char *numeric = gkv_transport_normalize (self->transport, seed, GKV_ADDRESS_USE_PEER, NULL);
  GkvTime now = gkv_network_now ();

  g_mutex_lock (&self->lock);
  if (self->seeds != NULL)
    {
      if (numeric != NULL)
        gkv_debug (GKV_DEBUG_NET, self->node_id, "the seed \"%s\" is greeted at %s", seed, numeric);
      else
        gkv_debug (GKV_DEBUG_NET, self->node_id, "the seed \"%s\" is looked up", seed);
      gkv_seeds_add (self->seeds, seed, numeric, &now);
      gkv_network_wake_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

static void
gkv_network_take_looked_up (gpointer data)
{
  g_autoptr (GkvLookup) lookup = data;

  if (lookup->network->transport != NULL)
    gkv_network_take_seed (lookup->network, lookup->seed);
}

/* Where it is still being opened, the seed is taken with the others. */
static gboolean
gkv_network_add_first_seed (GkvNetwork *self, const char *seed)
{
  gboolean added = FALSE;

  g_mutex_lock (&self->lock);
  if (self->first_seeds != NULL && self->state == GKV_NETWORK_OPENING)
    {
      guint n_seeds = g_strv_length (self->first_seeds);

      self->first_seeds = g_renew (char *, self->first_seeds, n_seeds + 2);
      self->first_seeds[n_seeds] = g_strdup (seed);
      self->first_seeds[n_seeds + 1] = NULL;
      added = TRUE;
    }
  g_mutex_unlock (&self->lock);

  return added;
}

void
gkv_network_add_seed (GkvNetwork *self, const char *seed)
{
  GkvLookup *lookup;

  if (gkv_network_add_first_seed (self, seed) || !gkv_network_is_active (self))
    return;

  lookup = g_new0 (GkvLookup, 1);
  lookup->network = gkv_network_ref (self);
  lookup->seed = g_strdup (seed);
  gkv_network_call (self, self->context, gkv_network_take_looked_up, lookup);
}

/* Events of the modules */

static void
gkv_network_received (GkvTransport *transport, const char *address, GBytes *datagram, gpointer network)
{
  GkvNetwork *self = network;
  GkvTime now = gkv_network_now ();
  gsize len;
  gconstpointer data = g_bytes_get_data (datagram, &len);

  if (len == 0)
    return;

  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    {
      gkv_engine_receive (self->engine, address, data, len, &now);
      gkv_network_wake_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

/* All that came together was received. In the node's own context handlers run first, so that one batch takes the
 * acknowledgement along with what they write. */
static void
gkv_network_drained (GkvTransport *transport, gpointer network)
{
  GkvNetwork *self = gkv_network_ref (network);

  if (!self->threaded)
    gkv_emitter_run (self->emitter, g_get_monotonic_time () + HANDLERS_US);
  else if (gkv_map_has_changes (self->map))
    gkv_emitter_wake (self->emitter); /* before anything is sent, so that both go on at once */

  gkv_network_run (self);
  gkv_network_unref (self);
}

static void
gkv_network_failed (gpointer module, const GError *error, GkvNetwork *self)
{
  if (error->domain == G_IO_ERROR && GKV_IS_TRANSPORT (module))
    {
      gkv_network_note_unsent (self, error);
      return;
    }

  gkv_debug (GKV_IS_DISCOVERY (module) ? GKV_DEBUG_DISCOVERY : GKV_DEBUG_NET, self->node_id, "%s", error->message);
  gkv_emitter_post_error (self->emitter, error);
}

/* The canonical form of an address from the discovery; NULL for what can't be used. */
static char *
gkv_network_normalize_found (GkvNetwork *self, const char *address)
{
  g_autoptr (GError) error = NULL;
  char *canonical;

  if (self->transport == NULL)
    return NULL;

  canonical = gkv_transport_normalize (self->transport, address, GKV_ADDRESS_USE_PEER, &error);
  if (error != NULL)
    {
      g_prefix_error (&error, "The discovery has found an address that can't be used: ");
      gkv_emitter_post_error (self->emitter, error);
    }

  return canonical;
}

/* Also with our own id: that of a clone is to be met, and we know ourselves. */
static void
gkv_network_found (GkvDiscovery *discovery, const char *node_id, const char *address, GkvNetwork *self)
{
  g_autofree char *canonical = gkv_network_normalize_found (self, address);
  GkvTime now = gkv_network_now ();

  gkv_network_debug_found (self->node_id, node_id, address, TRUE);
  if (canonical == NULL)
    return;

  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    {
      gkv_engine_add_contact (self->engine, canonical, &now);
      gkv_network_wake_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

static void
gkv_network_lost (GkvDiscovery *discovery, const char *node_id, const char *address, GkvNetwork *self)
{
  g_autofree char *canonical = gkv_network_normalize_found (self, address);

  gkv_network_debug_found (self->node_id, node_id, address, FALSE);
  if (canonical == NULL)
    return;

  g_mutex_lock (&self->lock);
  if (self->engine != NULL)
    gkv_engine_remove_contact (self->engine, canonical);
  g_mutex_unlock (&self->lock);
}

static void
gkv_network_connect_modules (GkvNetwork *self)
{
  self->sink = (GkvTransportSink){ gkv_network_received, gkv_network_drained, self };
  gkv_transport_set_sink (self->transport, &self->sink);
  g_signal_connect (self->transport, "failed", G_CALLBACK (gkv_network_failed), self);

  if (self->discovery == NULL)
    return;

  g_signal_connect (self->discovery, "found", G_CALLBACK (gkv_network_found), self);
  g_signal_connect (self->discovery, "lost", G_CALLBACK (gkv_network_lost), self);
  g_signal_connect (self->discovery, "failed", G_CALLBACK (gkv_network_failed), self);
}

/* Opening and closing. What belongs to the context is done there. */

/* Whether nobody on another machine can reach an address: it has the unspecified, or a loopback address. */
static gboolean
gkv_network_is_confined (const char *address)
{
  static const char *const prefixes[] = { "127.", "0.0.0.0:", "[::]:", "[::1]:" };

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    if (g_str_has_prefix (address, prefixes[i]))
      return TRUE;

  return FALSE;
}

static void
gkv_network_changed_locked (GkvRecord *record, GkvRecord *replaced, gpointer map)
{
  gkv_map_queue_change_locked (map, record, replaced);
}

static GkvEngine *
gkv_network_make_engine (GkvNetwork *self, const char *advertised)
{
  GkvEngineConfig config = {
    .node_id = self->node_id,
    .cluster = self->cluster,
    .generation = gkv_map_get_generation (self->map),
    .random_seed = g_random_int (),
    .gossip_interval_ms = self->gossip_interval_ms,
    .max_removals = self->max_removals,
    .max_datagram_size = gkv_transport_get_max_datagram_size (self->transport),
    .is_confined = gkv_network_is_confined,
    .store_lock = gkv_map_lock_after_others,
    .store_unlock = gkv_map_unlock_after_slice,
    .store_lock_data = self->map,
    .changed = gkv_network_changed_locked,
    .changed_data = self->map,
  };
  GkvTime now = gkv_network_now ();
  GkvEngine *engine;

  if (getentropy (config.secret, sizeof config.secret) != 0)
    g_error ("There are no random numbers to be had from the system: %s", g_strerror (errno));

  /* First, so that nothing which is written meanwhile is missed. */
  gkv_map_lock (self->map);
  gkv_map_set_networked_locked (self->map, TRUE);
  gkv_map_unlock (self->map);
  engine = gkv_engine_new (&config, gkv_map_get_store (self->map), &now);
  gkv_engine_set_advertise_address (engine, advertised);

  return engine;
}

/* Takes the engine out, for the caller to free. */
static GkvEngine *
gkv_network_steal_engine (GkvNetwork *self)
{
  GkvEngine *engine;

  g_mutex_lock (&self->lock);
  engine = g_steal_pointer (&self->engine);
  g_atomic_int_set (&self->active, FALSE);
  g_clear_pointer (&self->seeds, gkv_seeds_free);
  self->local_address = NULL;
  g_mutex_unlock (&self->lock);

  gkv_map_lock (self->map);
  gkv_map_set_networked_locked (self->map, FALSE);
  gkv_map_unlock (self->map);

  return engine;
}

static void
gkv_network_disconnect_modules (GkvNetwork *self)
{
  gkv_transport_set_sink (self->transport, NULL);
  g_signal_handlers_disconnect_by_data (self->transport, self);
  if (self->discovery != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->discovery, self);
      gkv_discovery_stop (self->discovery);
    }
}

/* Drops what opening took. */
static void
gkv_network_drop_modules (GkvNetwork *self)
{
  g_autoptr (GkvTransport) transport = NULL;
  g_autoptr (GkvDiscovery) discovery = NULL;
  g_autoptr (GCancellable) cancellable = NULL;

  g_mutex_lock (&self->lock);
  transport = g_steal_pointer (&self->transport);
  discovery = g_steal_pointer (&self->discovery);
  cancellable = g_steal_pointer (&self->cancellable);
  g_mutex_unlock (&self->lock);
}

/* The transport is open: the engine takes it over, and discovery starts. */
static gboolean
gkv_network_enter_cluster (GkvNetwork *self, const char *advertised, GError **error)
{
  g_auto (GStrv) seeds = NULL;
  char *local = gkv_transport_get_local_address (self->transport);
  GkvEngine *engine;

  gkv_debug (GKV_DEBUG_NET, self->node_id, "bound to %s in the cluster \"%s\", which peers reach at %s", local,
             self->cluster, advertised != NULL ? advertised : "the address that they see");
  gkv_network_connect_modules (self);

  g_mutex_lock (&self->lock);
  self->engine = gkv_network_make_engine (self, advertised);
  g_atomic_int_set (&self->active, TRUE);
  self->seeds = gkv_seeds_new (self->engine);
  seeds = g_steal_pointer (&self->first_seeds);
  self->local_address = local;
  g_ptr_array_add (self->old_addresses, local);
  gkv_network_wake_locked (self);
  g_mutex_unlock (&self->lock);

  for (guint i = 0; seeds[i] != NULL; i++)
    gkv_network_take_seed (self, seeds[i]);

  if (self->discovery == NULL || gkv_discovery_start (self->discovery, self->cluster, self->node_id,
                                                      advertised != NULL ? advertised : local, error))
    {
      if (self->discovery != NULL)
        gkv_debug (GKV_DEBUG_DISCOVERY, self->node_id, "announces the cluster \"%s\" at %s", self->cluster,
                   advertised != NULL ? advertised : local);
      return TRUE;
    }

  g_clear_object (&self->discovery); /* wasn't started here */
  engine = gkv_network_steal_engine (self);
  g_clear_pointer (&engine, gkv_engine_free);
  gkv_network_disconnect_modules (self);
  gkv_transport_close (self->transport);

  return FALSE;
}

static void gkv_network_finish_closing (gpointer data);

/* In the node's context. */
static void
gkv_network_return_open (gpointer data)
{
  GkvOpenCall *call = data;

  call->opened (call->error, call->data);

  g_cancellable_disconnect (call->caller, call->handler);
  g_clear_object (&call->caller);
  g_clear_error (&call->error);
  gkv_network_unref (call->network);
  g_free (call);
}

/* The transport was opened, or could not be. */
static void
gkv_network_end_open (GkvNetwork *self, const char *advertised, const GError *open_error)
{
  g_autoptr (GError) error = open_error != NULL ? g_error_copy (open_error) : NULL;
  GkvOpenCall *call = g_steal_pointer (&self->open_call);
  gboolean closing;

  if (error == NULL)
    gkv_network_enter_cluster (self, advertised, &error);

  if (error != NULL)
    gkv_network_drop_modules (self);

  g_mutex_lock (&self->lock);
  closing = self->state == GKV_NETWORK_CLOSING;
  if (closing)
    {
      g_clear_error (&error); /* that it was cancelled, usually */
      gkv_map_fail_closed (&error);
    }
  if (!closing)
    self->state = error == NULL ? GKV_NETWORK_OPEN : GKV_NETWORK_NEW;
  if (call != NULL)
    call->error = error != NULL ? g_error_copy (error) : NULL;
  g_clear_error (&self->open_error);
  self->open_error = g_steal_pointer (&error);
  if (self->state == GKV_NETWORK_NEW)
    gkv_network_wake_locked (self); /* what was written before is to end in time */
  g_cond_broadcast (&self->state_changed);
  g_mutex_unlock (&self->lock);

  if (call != NULL)
    gkv_network_call (self, gkv_owner_get_context (self->owner), gkv_network_return_open, call);

  /* What was being built before it was opened goes on in the context that it runs in now. */
  gkv_network_build_index (self);

  /* It was closed meanwhile, which was left to this. */
  if (closing)
    gkv_network_finish_closing (gkv_network_ref (self));
}

static void
gkv_network_transport_opened (const char *advertised, const GError *error, gpointer data)
{
  GkvNetwork *self = data;

  g_main_context_push_thread_default (self->context);
  gkv_network_end_open (self, advertised, error);
  g_main_context_pop_thread_default (self->context);
  gkv_network_unref (self);
}

typedef struct
{
  GkvNetwork *network;
  char *bind_address;
  char *advertise_address;
} GkvStart;

static void
gkv_network_start_opening (gpointer data)
{
  GkvStart *start = data;
  GkvNetwork *self = start->network;

  g_main_context_push_thread_default (self->context);
  gkv_opening_begin (self->transport, start->bind_address, start->advertise_address, self->cancellable,
                     gkv_network_transport_opened, self);
  g_main_context_pop_thread_default (self->context);

  g_free (start->bind_address);
  g_free (start->advertise_address);
  g_free (start);
}

/* Takes what opening needs, and settles where the network runs. */
static gboolean
gkv_network_prepare_open (GkvNetwork *self, const GkvNetworkConfig *config, GError **error)
{
  gboolean closed;

  g_mutex_lock (&self->lock);
  closed = self->state >= GKV_NETWORK_CLOSING;
  if (!closed)
    {
      /* With the context, so that no writer attaches them to the old one meanwhile. */
      gkv_runner_detach (self->runner);
      gkv_runner_detach (self->builder);
      self->state = GKV_NETWORK_OPENING;
      self->threaded = config->own_thread && gkv_transport_is_thread_movable (config->transport) &&
                       (config->discovery == NULL || gkv_discovery_is_thread_movable (config->discovery));
      g_main_context_unref (self->context);
      self->context =
          g_main_context_ref (self->threaded ? gkv_worker_get_context () : gkv_owner_get_context (self->owner));
      self->transport = g_object_ref (config->transport);
      self->discovery = config->discovery != NULL ? g_object_ref (config->discovery) : NULL;
      self->cancellable = g_cancellable_new ();
      self->gossip_interval_ms = config->gossip_interval_ms;
      self->max_removals = config->max_removals;
      g_free (self->node_id);
      g_free (self->cluster);
      g_strfreev (self->first_seeds);
      self->node_id = g_strdup (config->node_id);
      self->cluster = g_strdup (config->cluster);
      self->first_seeds = g_strdupv ((char **) config->seeds);
    }
  g_mutex_unlock (&self->lock);

  return closed ? gkv_map_fail_closed (error) : TRUE;
}

/* Begins to open in the context. */
static void
gkv_network_invoke_open (GkvNetwork *self, const GkvNetworkConfig *config)
{
  GkvStart *start = g_new0 (GkvStart, 1);

  start->network = gkv_network_ref (self);
  start->bind_address = g_strdup (config->bind_address);
  start->advertise_address = g_strdup (config->advertise_address);
  gkv_network_call (self, self->context, gkv_network_start_opening, start);
}

static void
gkv_network_cancel (GCancellable *cancellable, gpointer data)
{
  g_cancellable_cancel (data);
}

/* Waits until the worker has opened it. @cancellable: that of the opening; @caller: the caller's. The reason why it is
 * given up waits for that, too: either it is open then, or it is not. */
static gboolean
gkv_network_wait_open (GkvNetwork *self, GCancellable *cancellable, GCancellable *caller, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + OPEN_TIMEOUT_US;
  gulong handler =
      caller != NULL ? g_cancellable_connect (caller, G_CALLBACK (gkv_network_cancel), cancellable, NULL) : 0;
  gboolean late = FALSE;
  g_autoptr (GError) open_error = NULL;

  g_mutex_lock (&self->lock);
  while (self->state == GKV_NETWORK_OPENING)
    {
      if (late)
        {
          g_cond_wait (&self->state_changed, &self->lock);
        }
      else if (!g_cond_wait_until (&self->state_changed, &self->lock, deadline))
        {
          late = TRUE;
          g_mutex_unlock (&self->lock);
          g_cancellable_cancel (cancellable);
          g_mutex_lock (&self->lock);
        }
    }
  open_error = g_steal_pointer (&self->open_error);
  if (open_error == NULL && self->state != GKV_NETWORK_OPEN)
    gkv_map_fail_closed (&open_error);
  g_mutex_unlock (&self->lock);

  g_cancellable_disconnect (caller, handler);

  if (open_error != NULL && late)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                           "The name in bind-address or advertise-address could not be looked up in 10 seconds");
      return FALSE;
    }

  if (open_error != NULL)
    g_propagate_error (error, g_steal_pointer (&open_error));

  return open_error == NULL && (error == NULL || *error == NULL);
}

gboolean
gkv_network_open (GkvNetwork *self, const GkvNetworkConfig *config, GCancellable *cancellable, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autofree char *advertised = NULL;

  if (!gkv_network_prepare_open (self, config, error))
    return FALSE;

  if (self->threaded)
    {
      /* It may have ended before this thread looks again. */
      g_autoptr (GCancellable) opening = g_object_ref (self->cancellable);

      gkv_network_invoke_open (self, config);
      return gkv_network_wait_open (self, opening, cancellable, error);
    }

  g_main_context_push_thread_default (self->context);
  gkv_opening_now (self->transport, config->bind_address, config->advertise_address, &advertised, &failure);
  gkv_network_end_open (self, advertised, failure);
  g_main_context_pop_thread_default (self->context);

  g_mutex_lock (&self->lock);
  g_clear_error (&failure);
  failure = g_steal_pointer (&self->open_error);
  g_mutex_unlock (&self->lock);

  if (failure == NULL)
    return TRUE;

  g_propagate_error (error, g_steal_pointer (&failure));

  return FALSE;
}

void
gkv_network_begin_open (
    GkvNetwork *self, const GkvNetworkConfig *config, GCancellable *cancellable, GkvNetworkOpened opened, gpointer data)
{
  GkvOpenCall *call = g_new0 (GkvOpenCall, 1);

  call->network = gkv_network_ref (self);
  call->opened = opened;
  call->data = data;

  if (!gkv_network_prepare_open (self, config, &call->error))
    {
      gkv_network_call (self, gkv_owner_get_context (self->owner), gkv_network_return_open, call);
      return;
    }

  self->open_call = call;
  if (cancellable != NULL)
    {
      call->caller = g_object_ref (cancellable);
      call->handler = g_cancellable_connect (cancellable, G_CALLBACK (gkv_network_cancel),
                                             g_object_ref (self->cancellable), g_object_unref);
    }
  gkv_network_invoke_open (self, config);
}

static void
gkv_network_finish_closing (gpointer data)
{
  GkvNetwork *self = data;
  g_autoptr (GArray) farewell = g_array_new (FALSE, FALSE, sizeof (GkvDatagram));
  GkvEngine *engine = gkv_network_steal_engine (self);
  GkvTime now = gkv_network_now ();
  GkvDatagram datagram;
  g_autoptr (GPtrArray) errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);

  g_array_set_clear_func (farewell, (GDestroyNotify) gkv_datagram_clear);

  if (engine != NULL)
    {
      gkv_engine_leave (engine, &now);
      while (gkv_engine_pop_datagram (engine, &datagram))
        g_array_append_val (farewell, datagram);
      gkv_engine_free (engine);

      gkv_debug (GKV_DEBUG_NET, self->node_id, "leaves with %u datagrams", farewell->len);
      gkv_network_send_datagrams (self, farewell, errors);
      for (guint i = 0; i < errors->len; i++)
        gkv_network_note_unsent (self, errors->pdata[i]);
      gkv_network_disconnect_modules (self);
      gkv_transport_close (self->transport);
      g_cancellable_cancel (self->cancellable);
      gkv_network_drop_modules (self);
    }

  gkv_runner_detach (self->runner);
  gkv_runner_detach (self->builder);

  g_mutex_lock (&self->lock);
  self->state = GKV_NETWORK_CLOSED;
  g_cond_broadcast (&self->state_changed);
  g_mutex_unlock (&self->lock);

  gkv_network_unref (self);
}

/* Whether what belongs to the context can be closed by this thread. */
static gboolean
gkv_network_close_here (GkvNetwork *self)
{
  if (!gkv_owner_enter (self->owner))
    return FALSE;

  gkv_network_finish_closing (gkv_network_ref (self));
  gkv_owner_leave (self->owner);

  return TRUE;
}

void
gkv_network_close (GkvNetwork *self)
{
  g_autoptr (GCancellable) cancellable = NULL;
  GkvNetworkState old;
  gboolean threaded;

  g_mutex_lock (&self->lock);
  old = self->state;
  threaded = self->threaded;
  if (old < GKV_NETWORK_CLOSING)
    self->state = GKV_NETWORK_CLOSING;
  if (old == GKV_NETWORK_OPENING && self->cancellable != NULL)
    cancellable = g_object_ref (self->cancellable);
  g_mutex_unlock (&self->lock);

  if (old >= GKV_NETWORK_CLOSING)
    return;

  gkv_waits_close (self->waits);

  if (old == GKV_NETWORK_OPENING)
    g_cancellable_cancel (cancellable); /* its end closes */
  else if (!gkv_network_is_active (self))
    gkv_network_finish_closing (gkv_network_ref (self));
  else if (threaded || !gkv_network_close_here (self))
    gkv_network_call (self, self->context, gkv_network_finish_closing, gkv_network_ref (self));
}

void
gkv_network_join (GkvNetwork *self)
{
  gint64 deadline = g_get_monotonic_time () + JOIN_TIMEOUT_US;

  if (!gkv_network_may_block (self))
    return;

  /* The worker gets to it. Whether the node's context does isn't known: its thread may be waiting for this one. */
  g_mutex_lock (&self->lock);
  while (self->state == GKV_NETWORK_CLOSING)
    {
      if (self->threaded)
        g_cond_wait (&self->state_changed, &self->lock);
      else if (!g_cond_wait_until (&self->state_changed, &self->lock, deadline))
        break;
    }
  g_mutex_unlock (&self->lock);
}

void
gkv_network_open_local (GkvNetwork *self)
{
  g_mutex_lock (&self->lock);
  if (self->state == GKV_NETWORK_NEW)
    self->state = GKV_NETWORK_OPEN;
  self->synced = TRUE;
  gkv_waits_check (self->waits);
  g_mutex_unlock (&self->lock);
}

/* The rest */

static gpointer
gkv_network_acquire (gpointer self)
{
  return gkv_network_ref (self);
}

static void
gkv_network_release (gpointer self)
{
  gkv_network_unref (self);
}

GkvNetwork *
gkv_network_new (GkvOwner *owner, GkvMap *map, GkvEmitter *emitter, GParamSpec *synced)
{
  GkvNetwork *self = g_atomic_rc_box_new0 (GkvNetwork);

  self->owner = gkv_owner_ref (owner);
  self->map = gkv_map_ref (map);
  self->emitter = gkv_emitter_ref (emitter);
  self->synced_pspec = synced;
  self->waits = gkv_waits_new (&gkv_network_wait_funcs, self);
  self->unsent = gkv_unsent_new ();
  g_mutex_init (&self->lock);
  g_cond_init (&self->state_changed);
  self->old_addresses = g_ptr_array_new_with_free_func (g_free);
  self->context = g_main_context_ref (gkv_owner_get_context (owner));
  self->runner =
      gkv_runner_new (owner, "GkvNode network", gkv_network_run, self, gkv_network_acquire, gkv_network_release);
  self->builder =
      gkv_runner_new (owner, "GkvNode index", gkv_network_build, self, gkv_network_acquire, gkv_network_release);

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

  gkv_runner_free (self->runner);
  gkv_runner_free (self->builder);
  g_clear_error (&self->open_error);
  g_free (self->node_id);
  g_free (self->cluster);
  g_strfreev (self->first_seeds);
  g_main_context_unref (self->context);
  g_cond_clear (&self->state_changed);
  g_ptr_array_unref (self->old_addresses);
  g_mutex_clear (&self->lock);
  gkv_waits_free (self->waits);
  gkv_unsent_free (self->unsent);
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
gkv_network_set_gossip_interval (GkvNetwork *self, guint interval_ms)
{
  if (!gkv_owner_is_here (self->owner))
    return;

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
  return g_atomic_int_get (&self->active) && gkv_owner_is_here (self->owner);
}

gboolean
gkv_network_get_synced (GkvNetwork *self)
{
  gboolean synced;

  if (!gkv_owner_is_here (self->owner))
    return FALSE;

  g_mutex_lock (&self->lock);
  synced = self->synced;
  g_mutex_unlock (&self->lock);

  return synced;
}

const char *
gkv_network_get_local_address (GkvNetwork *self)
{
  const char *address;

  if (!gkv_owner_is_here (self->owner))
    return NULL;

  g_mutex_lock (&self->lock);
  address = self->local_address;
  g_mutex_unlock (&self->lock);

  return address;
}

void
gkv_network_add_stats (GkvNetwork *self, GVariantBuilder *builder)
{
  if (!gkv_owner_is_here (self->owner))
    {
      gkv_unsent_add_stats (NULL, builder);
      return;
    }

  g_mutex_lock (&self->lock);
  gkv_unsent_add_stats (self->unsent, builder);
  if (self->engine != NULL)
    gkv_engine_add_stats (self->engine, builder);
  g_mutex_unlock (&self->lock);
}
