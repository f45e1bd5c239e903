/* GkvNode: the network: the transport and discovery, with the engine between them and the map.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node-private.h"

#include "gkv-address.h"
#include "gkv-error.h"
#include "gkv-modules.h"

#include <sys/random.h>

/* What is taken out of the engine at a time. */
#define BATCH (64)

/* What belongs to the owner's thread, and may have to be sent there when the last reference goes elsewhere. */
struct _GkvNetwork
{
  GWeakRef node;
  GMainContext *context;
  GkvTransport *transport;
  GkvDiscovery *discovery;
  GArray *farewell; /* GkvDatagram, to be sent before closing */
};

static GkvNetwork *
gkv_network_new (GkvNode *node, GkvTransport *transport, GkvDiscovery *discovery)
{
  GkvNetwork *self = g_new0 (GkvNetwork, 1);

  g_weak_ref_init (&self->node, node);
  self->context = g_main_context_ref (node->context);
  self->transport = g_object_ref (transport);
  self->discovery = discovery != NULL ? g_object_ref (discovery) : NULL;
  self->farewell = g_array_new (FALSE, FALSE, sizeof (GkvDatagram));
  g_array_set_clear_func (self->farewell, (GDestroyNotify) gkv_datagram_clear);

  return self;
}

static void
gkv_network_close (GkvNetwork *self)
{
  g_signal_handlers_disconnect_by_data (self->transport, self);
  if (self->discovery != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->discovery, self);
      gkv_discovery_stop (self->discovery);
    }

  for (guint i = 0; i < self->farewell->len; i++)
    {
      GkvDatagram *datagram = &g_array_index (self->farewell, GkvDatagram, i);

      gkv_transport_send (self->transport, datagram->address, datagram->bytes, NULL);
    }
  gkv_transport_flush (self->transport, NULL);
  gkv_transport_close (self->transport);

  g_array_unref (self->farewell);
  g_clear_object (&self->discovery);
  g_clear_object (&self->transport);
  g_main_context_unref (self->context);
  g_weak_ref_clear (&self->node);
  g_free (self);
}

/* Events of the modules. Each holds the node while it is at it, if there still is one. */

static void
gkv_network_received (GkvTransport *transport, const char *address, GBytes *datagram, GkvNetwork *self)
{
  g_autoptr (GkvNode) node = g_weak_ref_get (&self->node);
  GkvTime now = gkv_node_now ();
  gconstpointer data;
  gsize len;

  if (node == NULL)
    return;

  data = g_bytes_get_data (datagram, &len);

  g_mutex_lock (&node->lock);
  if (node->engine != NULL && len > 0)
    {
      gkv_engine_receive (node->engine, address, data, len, &now);
      gkv_node_wake_locked (node, 0);
    }
  g_mutex_unlock (&node->lock);
}

static void
gkv_network_failed (gpointer module, const GError *error, GkvNetwork *self)
{
  g_autoptr (GkvNode) node = g_weak_ref_get (&self->node);

  if (node != NULL)
    gkv_node_tell_error (node, error);
}

static void
gkv_network_found (GkvDiscovery *discovery, const char *node_id, const char *address, GkvNetwork *self)
{
  g_autoptr (GkvNode) node = g_weak_ref_get (&self->node);
  GkvTime now = gkv_node_now ();

  if (node == NULL || g_strcmp0 (node_id, node->node_id) == 0)
    return;

  g_mutex_lock (&node->lock);
  if (node->engine != NULL)
    {
      gkv_engine_add_contact (node->engine, address, &now);
      gkv_node_wake_locked (node, 0);
    }
  g_mutex_unlock (&node->lock);
}

static void
gkv_network_lost (GkvDiscovery *discovery, const char *node_id, const char *address, GkvNetwork *self)
{
  g_autoptr (GkvNode) node = g_weak_ref_get (&self->node);

  if (node == NULL || g_strcmp0 (node_id, node->node_id) == 0)
    return;

  g_mutex_lock (&node->lock);
  if (node->engine != NULL)
    gkv_engine_remove_contact (node->engine, address);
  g_mutex_unlock (&node->lock);
}

/* Events of the engine */

static void
gkv_node_count_peers (GkvNode *self)
{
  g_mutex_lock (&self->lock);
  self->n_peers = g_hash_table_size (self->peers_by_id);
  g_mutex_unlock (&self->lock);
}

static void
gkv_node_peer_added (GkvNode *self, const GkvPeerInfo *info)
{
  g_autoptr (GkvPeer) peer = gkv_peer_new (info);

  g_hash_table_insert (self->peers_by_id, g_strdup (info->node_id), g_object_ref (peer));
  g_list_store_append (self->peers, peer);

  gkv_node_count_peers (self);
  if (self->state == GKV_NODE_STARTED)
    g_signal_emit (self, gkv_node_signal_peer_added, 0, peer);
}

static void
gkv_node_peer_removed (GkvNode *self, const GkvPeerInfo *info)
{
  g_autoptr (GkvPeer) peer = g_hash_table_lookup (self->peers_by_id, info->node_id);
  guint position;

  if (peer == NULL)
    return;

  g_object_ref (peer);
  gkv_peer_update (peer, info);
  g_hash_table_remove (self->peers_by_id, info->node_id);
  if (g_list_store_find (self->peers, peer, &position))
    g_list_store_remove (self->peers, position);

  gkv_node_count_peers (self);
  if (self->state == GKV_NODE_STARTED)
    g_signal_emit (self, gkv_node_signal_peer_removed, 0, peer);
}

static void
gkv_node_set_synced (GkvNode *self, gboolean synced)
{
  if (self->synced == synced)
    return;

  self->synced = synced;
  gkv_node_notify_synced (self);
}

static void
gkv_node_handle_event (GkvNode *self, const GkvEvent *event)
{
  GkvPeer *peer;

  switch (event->kind)
    {
    case GKV_EVENT_PEER_ADDED:
    case GKV_EVENT_PEER_CHANGED:
      peer = g_hash_table_lookup (self->peers_by_id, event->peer->node_id);
      if (peer != NULL)
        gkv_peer_update (peer, event->peer);
      else
        gkv_node_peer_added (self, event->peer);
      break;

    case GKV_EVENT_PEER_REMOVED:
      gkv_node_peer_removed (self, event->peer);
      break;

    case GKV_EVENT_ERROR:
      gkv_node_tell_error (self, event->error);
      break;

    case GKV_EVENT_SYNCED:
      gkv_node_set_synced (self, event->synced);
      break;

    case GKV_EVENT_CONFIRMED: /* the waits look for themselves */
    case GKV_EVENT_CHANGED:   /* queued already */
    default:
      break;
    }
}

/* Driving the engine */

GkvTime
gkv_node_now (void)
{
  GkvTime now = { g_get_monotonic_time (), g_get_real_time () };

  return now;
}

/* @audience: whether changes have anybody to be told to. */
static void
gkv_node_drain_locked (GkvNode *self, GArray *datagrams, GArray *events, gboolean audience)
{
  GkvDatagram datagram;
  GkvEvent event;

  while (datagrams->len < BATCH && gkv_engine_pop_datagram (self->engine, &datagram))
    g_array_append_val (datagrams, datagram);

  for (guint n = 0; n < BATCH && gkv_engine_pop_event (self->engine, &event); n++)
    {
      if (event.kind == GKV_EVENT_CHANGED)
        gkv_node_queue_change_locked (self, event.record, event.replaced, audience);

      g_array_append_val (events, event);
    }
}

static void
gkv_node_send (GkvNode *self, GArray *datagrams)
{
  g_autoptr (GkvTransport) transport = g_object_ref (self->network->transport);

  for (guint i = 0; i < datagrams->len; i++)
    {
      GkvDatagram *datagram = &g_array_index (datagrams, GkvDatagram, i);
      g_autoptr (GError) error = NULL;

      if (self->network == NULL)
        return;

      if (!gkv_transport_send (transport, datagram->address, datagram->bytes, &error))
        {
          g_mutex_lock (&self->lock);
          self->n_send_errors++;
          g_mutex_unlock (&self->lock);
          gkv_node_tell_error (self, error);
        }
    }

  if (datagrams->len > 0 && self->network != NULL)
    {
      g_autoptr (GError) error = NULL;

      if (!gkv_transport_flush (transport, &error))
        gkv_node_tell_error (self, error);
    }
}

gint64
gkv_node_run_network (GkvNode *self, gint64 until, gboolean *more)
{
  gint64 next = G_MAXINT64;

  *more = FALSE;

  while (self->network != NULL)
    {
      g_autoptr (GArray) datagrams = g_array_new (FALSE, FALSE, sizeof (GkvDatagram));
      g_autoptr (GArray) events = g_array_new (FALSE, FALSE, sizeof (GkvEvent));
      GkvTime now = gkv_node_now ();
      gboolean audience = gkv_node_has_audience (self);

      g_array_set_clear_func (datagrams, (GDestroyNotify) gkv_datagram_clear);
      g_array_set_clear_func (events, (GDestroyNotify) gkv_event_clear);

      g_mutex_lock (&self->lock);
      next = gkv_engine_tick (self->engine, &now);
      gkv_node_drain_locked (self, datagrams, events, audience);
      g_mutex_unlock (&self->lock);

      gkv_node_send (self, datagrams);

      /* A handler may close the node: then there is nothing more to tell. */
      for (guint i = 0; i < events->len && self->network != NULL; i++)
        gkv_node_handle_event (self, &g_array_index (events, GkvEvent, i));

      *more = datagrams->len == BATCH || events->len == BATCH || next <= now.mono;
      if (!*more || g_get_monotonic_time () >= until)
        break;
    }

  return self->network != NULL ? next : G_MAXINT64;
}

/* Opening and closing */

static gboolean
gkv_node_open_transport (GkvNode *self, GkvTransport *transport, const char *const *addresses, GError **error)
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
gkv_node_find_advertised (GkvNode *self, const char *local, char **advertised, GError **error)
{
  g_autofree char *host = NULL;
  g_autofree char *numeric = NULL;
  guint16 port;

  if (self->advertise_address == NULL)
    {
      *advertised = gkv_address_is_unspecified (local) ? NULL : g_strdup (local);
      return TRUE;
    }

  if (!gkv_address_parse (self->advertise_address, &host, &port, error))
    return FALSE;

  numeric = gkv_address_lookup_local (host);
  if (numeric == NULL)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION,
                   "The option advertise-address: \"%s\" is a name that this machine doesn't know; peers need a "
                   "numeric "
                   "address",
                   host);
      return FALSE;
    }

  *advertised = gkv_address_format (numeric, port);

  return TRUE;
}

static GkvEngine *
gkv_node_make_engine_locked (GkvNode *self, guint max_datagram_size, const char *advertised, const GkvTime *now)
{
  GkvEngineConfig config = {
    0,
  };
  GkvEngine *engine;

  config.node_id = self->node_id;
  config.cluster = self->cluster;
  config.life = self->life;
  config.random_seed = g_random_int ();
  config.gossip_interval_ms = self->gossip_interval;
  config.max_datagram_size = max_datagram_size;
  if (getrandom (config.secret, sizeof config.secret, 0) != sizeof config.secret)
    g_error ("There are no random numbers to be had from the system: %s", g_strerror (errno));

  engine = gkv_engine_new (&config, self->store, &self->clock, now);
  gkv_engine_set_advertise_address (engine, advertised);

  return engine;
}

static GkvTransport *
gkv_node_dup_transport (GkvNode *self, GError **error)
{
  g_autofree char *message = NULL;
  g_autoptr (GkvTransport) transport = NULL;

  if (self->transport != NULL)
    return g_object_ref (self->transport);

  transport = gkv_transport_new_for_name ("udp", error);
  if (transport == NULL)
    return NULL;

  message = gkv_modules_describe_fallback (GKV_TRANSPORT_EXTENSION_POINT_NAME, "udp");
  if (message != NULL)
    g_info ("%s", message);

  return g_steal_pointer (&transport);
}

static gboolean
gkv_node_start_discovery (GkvNode *self, const char *address, GError **error)
{
  if (self->discovery == NULL)
    return TRUE;

  return gkv_discovery_start (self->discovery, self->cluster, self->node_id, address, error);
}

gboolean
gkv_node_open_network (GkvNode *self, const char *const *addresses, GError **error)
{
  g_autoptr (GkvTransport) transport = gkv_node_dup_transport (self, error);
  g_autofree char *local = NULL;
  g_autofree char *advertised = NULL;
  GkvTime now = gkv_node_now ();
  GkvNetwork *network;
  guint max_datagram_size = 0;
  gboolean ok;

  if (transport == NULL)
    return FALSE;

  network = gkv_network_new (self, transport, self->discovery);

  /* The modules attach their sources to the thread's default context. */
  g_main_context_push_thread_default (self->context);
  ok = gkv_node_open_transport (self, transport, addresses, error);
  if (ok)
    {
      local = gkv_transport_get_local_address (transport);
      max_datagram_size = gkv_transport_get_max_datagram_size (transport);
      ok = gkv_node_find_advertised (self, local, &advertised, error);
    }
  if (ok)
    {
      g_signal_connect (transport, "received", G_CALLBACK (gkv_network_received), network);
      g_signal_connect (transport, "failed", G_CALLBACK (gkv_network_failed), network);
    }
  if (ok && self->discovery != NULL)
    {
      g_signal_connect (self->discovery, "found", G_CALLBACK (gkv_network_found), network);
      g_signal_connect (self->discovery, "lost", G_CALLBACK (gkv_network_lost), network);
      g_signal_connect (self->discovery, "failed", G_CALLBACK (gkv_network_failed), network);
    }
  if (ok)
    {
      g_mutex_lock (&self->lock);
      self->engine = gkv_node_make_engine_locked (self, max_datagram_size, advertised, &now);
      g_mutex_unlock (&self->lock);
      ok = gkv_node_start_discovery (self, advertised != NULL ? advertised : local, error);
    }
  g_main_context_pop_thread_default (self->context);

  if (!ok)
    {
      GkvEngine *engine;

      g_mutex_lock (&self->lock);
      engine = g_steal_pointer (&self->engine);
      g_mutex_unlock (&self->lock);
      g_clear_pointer (&engine, gkv_engine_free);
      gkv_network_close (network);
      return FALSE;
    }

  self->network = network;
  self->local_address = g_steal_pointer (&local);
  if (self->transport == NULL)
    {
      self->transport = g_steal_pointer (&transport);
      gkv_node_notify_transport (self);
    }
  for (guint i = 0; self->seeds[i] != NULL; i++)
    gkv_node_add_contact (self, self->seeds[i]);

  return TRUE;
}

static gboolean
gkv_network_do_nothing (gpointer data)
{
  return G_SOURCE_REMOVE;
}

static void
gkv_network_close_later (gpointer data)
{
  gkv_network_close (data);
}

void
gkv_node_close_network (GkvNode *self, gboolean in_context)
{
  GkvNetwork *network = g_steal_pointer (&self->network);
  GkvEngine *engine;
  GkvDatagram datagram;
  GkvTime now = gkv_node_now ();

  g_mutex_lock (&self->lock);
  engine = g_steal_pointer (&self->engine);
  g_mutex_unlock (&self->lock);

  if (engine == NULL || network == NULL)
    return;

  gkv_engine_leave (engine, &now);
  while (gkv_engine_pop_datagram (engine, &datagram))
    g_array_append_val (network->farewell, datagram);
  gkv_engine_free (engine);

  if (in_context)
    {
      gkv_network_close (network);
    }
  else
    {
      g_autoptr (GSource) source = g_idle_source_new ();

      /* The destroy notify does it: it runs also when the context goes without having run the source. */
      g_source_set_priority (source, G_PRIORITY_DEFAULT);
      g_source_set_callback (source, gkv_network_do_nothing, network, gkv_network_close_later);
      g_source_attach (source, network->context);
    }
}
