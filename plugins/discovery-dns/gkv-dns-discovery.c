/* GkvDnsDiscovery: finds the nodes that a DNS name stands for, as containers and clouds have it.
 *
 * The name is looked up again and again, since the resolver doesn't tell how long an answer is valid; and at once when
 * the network changes. An answer that fails takes nothing away: what was found stays until DNS says that it is gone.
 *
 * All runs in the context that the discovery was started in, but for the network monitor, whose signal comes in the
 * context of its own. It only makes a source ready, which any thread may do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-dns-discovery.h"

#include "gkv-dns-lookup.h"
#include "gkv-dns-self.h"

#include <string.h>

/* Between two look-ups while nobody is found, in ms. */
#define SEARCH_INTERVAL  5000
#define DEFAULT_INTERVAL 30000

/* Nodes that started together are to ask at different times. */
#define JITTER 0.25

/* A look-up that is under way for so long when the network changes may never end: it is begun anew, in us. */
#define PATIENCE G_USEC_PER_SEC

/* In a cloud the first node is there before its name: that there is nothing is reported only when it stays so. */
#define N_TRIES_UNTIL_TOLD 3

static void gkv_dns_discovery_iface_init (GkvDiscoveryInterface *iface);

struct _GkvDnsDiscovery
{
  GObject parent;

  char *argument;
  char *given_address;
  guint interval_ms;
  GNetworkMonitor *monitor;

  /* from start to stop */
  char *name;
  guint16 port;
  GInetSocketAddress *own;
  GSource *timer; /* NULL: not started */
  gulong network_changed;
  GkvDnsLookup *lookup; /* NULL: none is under way */
  gint64 lookup_began;
  gboolean look_up_again;
  GHashTable *found; /* addresses as text */
  guint n_failures;  /* since somebody was found */
};

enum
{
  PROP_ARGUMENT = 1,
  PROP_GIVEN_ADDRESS,
  PROP_INTERVAL,
  N_PROPS
};

static GParamSpec *props[N_PROPS];

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvDnsDiscovery,
                               gkv_dns_discovery,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_DISCOVERY, gkv_dns_discovery_iface_init))

static void discovery_stop (GkvDnsDiscovery *self);

static void
gkv_dns_discovery_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  GkvDnsDiscovery *self = GKV_DNS_DISCOVERY (object);

  switch (prop_id)
    {
    case PROP_ARGUMENT:
      g_free (self->argument);
      self->argument = g_value_dup_string (value);
      break;

    case PROP_GIVEN_ADDRESS:
      g_free (self->given_address);
      self->given_address = g_value_dup_string (value);
      break;

    case PROP_INTERVAL:
      self->interval_ms = g_value_get_uint (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
gkv_dns_discovery_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GkvDnsDiscovery *self = GKV_DNS_DISCOVERY (object);

  switch (prop_id)
    {
    case PROP_ARGUMENT:
      g_value_set_string (value, self->argument);
      break;

    case PROP_GIVEN_ADDRESS:
      g_value_set_string (value, self->given_address);
      break;

    case PROP_INTERVAL:
      g_value_set_uint (value, self->interval_ms);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
gkv_dns_discovery_dispose (GObject *object)
{
  GkvDnsDiscovery *self = GKV_DNS_DISCOVERY (object);

  discovery_stop (self);
  g_clear_object (&self->monitor);

  G_OBJECT_CLASS (gkv_dns_discovery_parent_class)->dispose (object);
}

static void
gkv_dns_discovery_finalize (GObject *object)
{
  GkvDnsDiscovery *self = GKV_DNS_DISCOVERY (object);

  g_free (self->argument);
  g_free (self->given_address);
  g_hash_table_unref (self->found);

  G_OBJECT_CLASS (gkv_dns_discovery_parent_class)->finalize (object);
}

static void
gkv_dns_discovery_init (GkvDnsDiscovery *self)
{
  self->interval_ms = DEFAULT_INTERVAL;
  self->found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  /* There is one in the process, and it belongs to the context that asks first. That is to be one of the application's,
   * where this is made, and not that of the thread where the node's network runs, as it may end. */
  self->monitor = g_object_ref (g_network_monitor_get_default ());
}

static void
gkv_dns_discovery_class_init (GkvDnsDiscoveryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;

  object_class->set_property = gkv_dns_discovery_set_property;
  object_class->get_property = gkv_dns_discovery_get_property;
  object_class->dispose = gkv_dns_discovery_dispose;
  object_class->finalize = gkv_dns_discovery_finalize;

  /* The name to look up, and after a colon the port of the nodes that it stands for. */
  props[PROP_ARGUMENT] = g_param_spec_string ("argument", NULL, NULL, NULL, flags);
  /* What the application has given for this node's own address: a node sets it before it starts the discovery. */
  props[PROP_GIVEN_ADDRESS] = g_param_spec_string ("given-address", NULL, NULL, NULL, flags);
  /* How many milliseconds are between two look-ups. */
  props[PROP_INTERVAL] = g_param_spec_uint ("interval", NULL, NULL, 100, G_MAXINT, DEFAULT_INTERVAL, flags);
  g_object_class_install_properties (object_class, N_PROPS, props);
}

/* internal methods: what was found */

/* The addresses of @from that aren't in @others. */
static GPtrArray *
list_difference (GHashTable *from, GHashTable *others)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer address;

  g_hash_table_iter_init (&iter, from);
  while (g_hash_table_iter_next (&iter, &address, NULL))
    if (!g_hash_table_contains (others, address))
      g_ptr_array_add (list, g_strdup (address));

  return list;
}

static void
discovery_schedule (GkvDnsDiscovery *self)
{
  gboolean alone = g_hash_table_size (self->found) == 0;
  guint interval_ms = alone ? MIN (SEARCH_INTERVAL, self->interval_ms) : self->interval_ms;

  if (self->look_up_again)
    interval_ms = 0;
  self->look_up_again = FALSE;

  g_source_set_ready_time (self->timer,
                           g_get_monotonic_time () +
                               (gint64) (interval_ms * 1000.0 * g_random_double_range (1 - JITTER, 1 + JITTER)));
}

/* Why it failed, where that is to be reported now. */
static GError *
discovery_note_failure (GkvDnsDiscovery *self, gboolean is_empty, const GError *cause)
{
  if (cause == NULL && !is_empty)
    {
      self->n_failures = 0;
      return NULL;
    }

  if (++self->n_failures != N_TRIES_UNTIL_TOLD)
    return NULL;

  if (cause != NULL)
    return g_error_new (GKV_ERROR, GKV_ERROR_DISCOVERY, "The name \"%s\" can't be looked up: %s", self->name,
                        cause->message);

  return g_error_new (GKV_ERROR, GKV_ERROR_DISCOVERY,
                      "DNS knows nobody by the name \"%s\": neither SRV records of \"_gkv._udp.%s\" nor addresses",
                      self->name, self->name);
}

static void
looked_up_cb (GHashTable *addresses, const GError *cause, gpointer user_data)
{
  g_autoptr (GkvDnsDiscovery) self = g_object_ref (GKV_DNS_DISCOVERY (user_data));
  GkvDiscovery *discovery = GKV_DISCOVERY (self);
  g_autoptr (GSource) timer = g_source_ref (self->timer);
  g_autoptr (GHashTable) peers = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) lost = NULL;
  g_autoptr (GPtrArray) found = NULL;
  g_autoptr (GError) error = NULL;
  GHashTableIter iter;
  gpointer text, address;

  self->lookup = NULL;

  g_hash_table_iter_init (&iter, addresses);
  while (g_hash_table_iter_next (&iter, &text, &address))
    if (gkv_dns_self_may_meet (self->own, address))
      g_hash_table_add (peers, text);

  lost = cause == NULL ? list_difference (self->found, peers) : g_ptr_array_new ();
  found = list_difference (peers, self->found);
  for (guint i = 0; i < lost->len; i++)
    g_hash_table_remove (self->found, lost->pdata[i]);
  for (guint i = 0; i < found->len; i++)
    g_hash_table_add (self->found, g_strdup (found->pdata[i]));

  error = discovery_note_failure (self, g_hash_table_size (addresses) == 0, cause);
  discovery_schedule (self);

  /* A handler may stop the discovery, and start it again. Found comes first, so that a node that moves is not left
   * without anybody. */
  for (guint i = 0; i < found->len && self->timer == timer; i++)
    gkv_discovery_emit_found (discovery, NULL, found->pdata[i]);
  for (guint i = 0; i < lost->len && self->timer == timer; i++)
    gkv_discovery_emit_lost (discovery, NULL, lost->pdata[i]);
  if (error != NULL && self->timer == timer)
    gkv_discovery_emit_failed (discovery, error);
}

/* internal methods: when to look */

static gboolean
timer_cb (gpointer user_data)
{
  GkvDnsDiscovery *self = GKV_DNS_DISCOVERY (user_data);
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (g_source_get_context (self->timer));

  gint64 now = g_get_monotonic_time ();

  g_source_set_ready_time (self->timer, -1);

  if (self->lookup != NULL && now - self->lookup_began < PATIENCE)
    {
      self->look_up_again = TRUE;
      return G_SOURCE_CONTINUE;
    }

  g_clear_pointer (&self->lookup, gkv_dns_lookup_cancel);
  self->lookup_began = now;
  self->lookup = gkv_dns_lookup_begin (self->name, self->port, looked_up_cb, self);

  return G_SOURCE_CONTINUE;
}

static gboolean
timer_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  return callback (user_data);
}

static GSourceFuncs timer_funcs = {
  .dispatch = timer_dispatch,
};

/* In any thread, at any time, also after the timer has ended. */
static void
network_changed_cb (GNetworkMonitor *monitor, gboolean available, gpointer timer)
{
  g_source_set_ready_time (timer, 0);
}

static void
unref_timer (gpointer timer, GClosure *closure)
{
  g_source_unref (timer);
}

static void
discovery_stop (GkvDnsDiscovery *self)
{
  if (self->timer == NULL)
    return;

  g_clear_signal_handler (&self->network_changed, self->monitor);
  g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
  g_clear_pointer (&self->lookup, gkv_dns_lookup_cancel);
  g_clear_pointer (&self->name, g_free);
  g_clear_object (&self->own);
  g_hash_table_remove_all (self->found);
  self->look_up_again = FALSE;
  self->n_failures = 0;
}

/* internal methods: what it is given */

static gboolean
fail (GError **error, const char *message)
{
  g_set_error_literal (error, GKV_ERROR, GKV_ERROR_DISCOVERY, message);
  return FALSE;
}

/* Takes the argument apart. The port stays 0 where none is given. */
static gboolean
discovery_take_argument (GkvDnsDiscovery *self, GError **error)
{
  const char *colon = self->argument != NULL ? strchr (self->argument, ':') : NULL;
  guint64 port = 0;

  if (self->argument == NULL || *self->argument == '\0')
    return fail (error, "The discovery \"dns\" needs the name to look up: \"dns:nodes.example\", or "
                        "\"dns:nodes.example:7000\" with the port of the nodes");

  if (colon != NULL && !g_ascii_string_to_unsigned (colon + 1, 10, 1, G_MAXUINT16, &port, NULL))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                   "The port in \"dns:%s\" must be a number from 1 to 65535, as in \"dns:nodes.example:7000\"",
                   self->argument);
      return FALSE;
    }

  self->port = (guint16) port;
  self->name = colon != NULL ? g_strndup (self->argument, colon - self->argument) : g_strdup (self->argument);
  if (*self->name == '\0' || g_hostname_is_ip_address (self->name))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                   "\"dns:%s\" has no name to look up; an address is given as a seed", self->argument);
      g_clear_pointer (&self->name, g_free);
    }

  return self->name != NULL;
}

/* The others are at the port that this node is at, unless the argument says so: one that the kernel has picked is this
 * node's alone. */
static gboolean
discovery_settle_port (GkvDnsDiscovery *self, GError **error)
{
  if (self->port != 0)
    return TRUE;

  if (self->given_address != NULL && g_str_has_suffix (self->given_address, ":0"))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                   "\"dns:%s\" doesn't say at which port the nodes are, and \"%s\" has none to go by: write "
                   "\"dns:%s:7000\", or give bind-address that port",
                   self->argument, self->given_address, self->argument);
      return FALSE;
    }

  self->port = g_inet_socket_address_get_port (self->own);
  return TRUE;
}

/* GkvDiscovery */

static gboolean
gkv_dns_discovery_start (
    GkvDiscovery *discovery, const char *cluster, const char *node_id, const char *address, GError **error)
{
  GkvDnsDiscovery *self = GKV_DNS_DISCOVERY (discovery);

  if (self->timer != NULL)
    return fail (error, "This DNS discovery has been started already: each node needs its own");

  if (!discovery_take_argument (self, error))
    return FALSE;

  self->own = gkv_dns_self_parse (address);
  if (self->own == NULL)
    g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY,
                 "DNS finds numeric \"host:port\" addresses, and that of this node is \"%s\"", address);
  if (self->own == NULL || !discovery_settle_port (self, error))
    {
      g_clear_pointer (&self->name, g_free);
      g_clear_object (&self->own);
      return FALSE;
    }

  self->timer = g_source_new (&timer_funcs, sizeof (GSource));
  g_source_set_callback (self->timer, timer_cb, self, NULL);
  g_source_set_static_name (self->timer, "[gkv] DNS look-up");
  g_source_set_ready_time (self->timer, 0);
  g_source_attach (self->timer, g_main_context_get_thread_default ());
  self->network_changed = g_signal_connect_data (self->monitor, "network-changed", G_CALLBACK (network_changed_cb),
                                                 g_source_ref (self->timer), unref_timer, 0);

  return TRUE;
}

static void
gkv_dns_discovery_stop (GkvDiscovery *discovery)
{
  discovery_stop (GKV_DNS_DISCOVERY (discovery));
}

static gboolean
gkv_dns_discovery_is_thread_movable (GkvDiscovery *discovery)
{
  return TRUE;
}

static void
gkv_dns_discovery_iface_init (GkvDiscoveryInterface *iface)
{
  iface->start = gkv_dns_discovery_start;
  iface->stop = gkv_dns_discovery_stop;
  iface->is_thread_movable = gkv_dns_discovery_is_thread_movable;
}
