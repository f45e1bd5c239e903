/* The transport "udp": a socket on the main context, datagrams in batches.
 *
 * What is sent is queued until it is flushed, and leaves by sendmmsg (); what comes is read by recvmmsg (), a
 * batch in each dispatch. No error of a single datagram ends anything: UDP may lose
 * it as well.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv.h"

#include <string.h>
#include <sys/socket.h>

#define DEFAULT_MAX_DATAGRAM_SIZE 1200
#define MAX_DATAGRAM_SIZE         65000

/* Datagrams of one system call. */
#define BATCH 32

/* What waits while the socket is full; then the oldest is dropped, as UDP may. */
#define MAX_QUEUED 4096

/* Asked of the kernel, which may give less. */
#define BUFFER_SIZE (4 * 1024 * 1024)

/* Addresses whose two forms are remembered. */
#define MAX_CACHED 4096

#define GKV_TYPE_UDP_TRANSPORT (gkv_udp_transport_get_type ())
G_DECLARE_FINAL_TYPE (GkvUdpTransport, gkv_udp_transport, GKV, UDP_TRANSPORT, GObject)

typedef struct
{
  GSocketAddress *address;
  GBytes *datagram;
} Outgoing;

struct _GkvUdpTransport
{
  GObject parent_instance;

  guint max_datagram_size;

  GSocket *socket; /* NULL: not open */
  GMainContext *context;
  GSource *in_source;
  GSource *out_source; /* NULL: the socket takes what it is given */
  GQueue queue;        /* Outgoing */

  guint8 *buffers; /* BATCH times buffer_size */
  gsize buffer_size;

  GHashTable *by_name; /* "host:port" → GSocketAddress */
  GHashTable *names;   /* GBytes of the native address → "host:port" */
};

enum
{
  PROP_0,
  PROP_MAX_DATAGRAM_SIZE,
  N_PROPS
};

static GParamSpec *props[N_PROPS];

static void transport_iface_init (GkvTransportInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvUdpTransport,
                               gkv_udp_transport,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_TRANSPORT, transport_iface_init))

static void
outgoing_free (Outgoing *outgoing)
{
  g_object_unref (outgoing->address);
  g_bytes_unref (outgoing->datagram);
  g_free (outgoing);
}

/* Addresses */

static GSocketAddress *
parse_address (const char *text, GError **error)
{
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (text, 0, NULL);
  GSocketAddress *address = NULL;

  if (parsed != NULL)
    address = g_inet_socket_address_new_from_string (g_network_address_get_hostname (G_NETWORK_ADDRESS (parsed)),
                                                     g_network_address_get_port (G_NETWORK_ADDRESS (parsed)));
  if (address == NULL)
    g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
                 "\"%s\" is not a numeric address of the form \"host:port\" or \"[v6]:port\"", text);
  return address;
}

static char *
format_address (GInetSocketAddress *address)
{
  GInetAddress *host = g_inet_socket_address_get_address (address);
  g_autoptr (GInetAddress) plain = NULL;
  g_autofree char *text = NULL;
  guint16 port = g_inet_socket_address_get_port (address);
  guint32 scope = 0;

  /* What comes in by IPv4 on a socket of both kinds is shown as what it is. */
  if (g_inet_address_get_family (host) == G_SOCKET_FAMILY_IPV6)
    {
      const guint8 *bytes = g_inet_address_to_bytes (host);
      static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };

      if (memcmp (bytes, mapped, sizeof mapped) == 0)
        host = plain = g_inet_address_new_from_bytes (bytes + sizeof mapped, G_SOCKET_FAMILY_IPV4);
      else
        scope = g_inet_socket_address_get_scope_id (address);
    }

  text = g_inet_address_to_string (host);
  if (g_inet_address_get_family (host) == G_SOCKET_FAMILY_IPV4)
    return g_strdup_printf ("%s:%u", text, port);
  if (scope != 0)
    return g_strdup_printf ("[%s%%%u]:%u", text, scope, port);
  return g_strdup_printf ("[%s]:%u", text, port);
}

/* The form that this socket can send to. */
static GSocketAddress *
map_address (GkvUdpTransport *self, GSocketAddress *address)
{
  GInetAddress *host = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address));
  g_autoptr (GInetAddress) mapped = NULL;
  guint8 bytes[16] = { [10] = 0xff, [11] = 0xff };

  if (g_socket_get_family (self->socket) != G_SOCKET_FAMILY_IPV6 ||
      g_inet_address_get_family (host) != G_SOCKET_FAMILY_IPV4)
    return g_object_ref (address);

  memcpy (bytes + 12, g_inet_address_to_bytes (host), 4);
  mapped = g_inet_address_new_from_bytes (bytes, G_SOCKET_FAMILY_IPV6);
  return g_inet_socket_address_new (mapped, g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)));
}

static GSocketAddress *
lookup_address (GkvUdpTransport *self, const char *text, GError **error)
{
  GSocketAddress *address = g_hash_table_lookup (self->by_name, text);
  g_autoptr (GSocketAddress) parsed = NULL;

  if (address != NULL)
    return address;

  parsed = parse_address (text, error);
  if (parsed == NULL)
    return NULL;

  if (g_hash_table_size (self->by_name) >= MAX_CACHED)
    g_hash_table_remove_all (self->by_name);
  address = map_address (self, parsed);
  g_hash_table_insert (self->by_name, g_strdup (text), address);
  return address;
}

static const char *
lookup_name (GkvUdpTransport *self, GSocketAddress *address)
{
  guint8 native[sizeof (struct sockaddr_storage)];
  gssize size = g_socket_address_get_native_size (address);
  g_autoptr (GBytes) key = NULL;
  const char *name;

  if (!G_IS_INET_SOCKET_ADDRESS (address) || size <= 0 ||
      !g_socket_address_to_native (address, native, sizeof native, NULL))
    return NULL;

  key = g_bytes_new (native, size);
  name = g_hash_table_lookup (self->names, key);
  if (name == NULL)
    {
      if (g_hash_table_size (self->names) >= MAX_CACHED)
        g_hash_table_remove_all (self->names);
      name = format_address (G_INET_SOCKET_ADDRESS (address));
      g_hash_table_insert (self->names, g_steal_pointer (&key), (char *) name);
    }
  return name;
}

/* Receiving */

/* One system call. */
static void
receive_batch (GkvUdpTransport *self)
{
  GInputVector vectors[BATCH];
  GInputMessage messages[BATCH];
  GSocketAddress *addresses[BATCH] = { NULL };
  g_autoptr (GError) error = NULL;
  int n;

  for (guint i = 0; i < BATCH; i++)
    {
      vectors[i] = (GInputVector){ self->buffers + i * self->buffer_size, self->buffer_size };
      messages[i] = (GInputMessage){ .address = &addresses[i], .vectors = &vectors[i], .num_vectors = 1 };
    }

  n = g_socket_receive_messages (self->socket, messages, BATCH, 0, NULL, &error);
  if (n < 0)
    return;

  for (int i = 0; i < n; i++)
    {
      g_autoptr (GSocketAddress) address = addresses[i];
      g_autoptr (GBytes) datagram = NULL;
      const char *name;

      /* A handler may have closed us. */
      if (self->socket == NULL || (messages[i].flags & MSG_TRUNC) || messages[i].bytes_received == 0 || address == NULL)
        continue;

      name = lookup_name (self, address);
      if (name == NULL)
        continue;

      datagram = g_bytes_new (vectors[i].buffer, messages[i].bytes_received);
      gkv_transport_emit_received (GKV_TRANSPORT (self), name, datagram);
    }
}

static gboolean
on_readable (GSocket *socket, GIOCondition condition, gpointer user_data)
{
  g_autoptr (GkvUdpTransport) self = g_object_ref (user_data);

  /* One batch a dispatch, so that what is to be said about it is said before the next is read. An error that the
   * network sent back about an earlier datagram comes once, and is of no interest. */
  receive_batch (self);

  return self->socket == socket ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Sending */

static gboolean on_writable (GSocket *socket, GIOCondition condition, gpointer user_data);

static void
wait_until_writable (GkvUdpTransport *self)
{
  if (self->out_source != NULL)
    return;

  self->out_source = g_socket_create_source (self->socket, G_IO_OUT, NULL);
  g_source_set_static_name (self->out_source, "[gkv] UDP send");
  g_source_set_callback (self->out_source, G_SOURCE_FUNC (on_writable), self, NULL);
  g_source_attach (self->out_source, self->context);
}

/* One system call. FALSE: the socket is full. */
static gboolean
send_batch (GkvUdpTransport *self)
{
  GOutputMessage messages[BATCH] = { 0 };
  GOutputVector vectors[BATCH];
  g_autoptr (GError) error = NULL;
  guint n_messages = 0;
  int n;

  for (GList *l = self->queue.head; l != NULL && n_messages < BATCH; l = l->next, n_messages++)
    {
      Outgoing *outgoing = l->data;
      gsize size;

      vectors[n_messages].buffer = g_bytes_get_data (outgoing->datagram, &size);
      vectors[n_messages].size = size;
      messages[n_messages] =
          (GOutputMessage){ .address = outgoing->address, .vectors = &vectors[n_messages], .num_vectors = 1 };
    }

  n = g_socket_send_messages (self->socket, messages, n_messages, 0, NULL, &error);
  if (n < 0 && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return FALSE;

  /* The first that failed is dropped: nobody listens there, or there is no way to it now. */
  if (n < 0)
    {
      g_debug ("a datagram could not be sent: %s", error->message);
      n = 1;
    }
  while (n-- > 0)
    outgoing_free (g_queue_pop_head (&self->queue));
  return TRUE;
}

static void
send_queued (GkvUdpTransport *self)
{
  while (self->queue.length > 0)
    if (!send_batch (self))
      {
        wait_until_writable (self);
        return;
      }
}

static gboolean
on_writable (GSocket *socket, GIOCondition condition, gpointer user_data)
{
  GkvUdpTransport *self = user_data;

  while (self->queue.length > 0)
    if (!send_batch (self))
      return G_SOURCE_CONTINUE;

  g_clear_pointer (&self->out_source, g_source_unref);
  return G_SOURCE_REMOVE;
}

/* GkvTransport */

static gboolean
gkv_udp_transport_open (GkvTransport *transport, const char *bind_address, GError **error)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) cause = NULL;

  if (self->socket != NULL)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_TRANSPORT, "The transport is open already");
      return FALSE;
    }

  address = parse_address (bind_address, error);
  if (address == NULL)
    return FALSE;

  socket = g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, &cause);
  if (socket == NULL || !g_socket_bind (socket, address, FALSE, &cause))
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT, "%s; %s", cause->message,
                   g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE)
                       ? "give another port, or 0 for any"
                       : "is it an address of this machine? \"0.0.0.0\" stands for all of them");
      return FALSE;
    }

  g_socket_set_blocking (socket, FALSE);
  g_socket_set_option (socket, SOL_SOCKET, SO_RCVBUF, BUFFER_SIZE, NULL);
  g_socket_set_option (socket, SOL_SOCKET, SO_SNDBUF, BUFFER_SIZE, NULL);

  self->socket = g_steal_pointer (&socket);
  self->context = g_main_context_ref_thread_default ();
  self->buffer_size = MAX (self->max_datagram_size, 2048);
  self->buffers = g_malloc (BATCH * self->buffer_size);
  self->in_source = g_socket_create_source (self->socket, G_IO_IN, NULL);
  g_source_set_static_name (self->in_source, "[gkv] UDP receive");
  g_source_set_callback (self->in_source, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->in_source, self->context);
  return TRUE;
}

static void
destroy_source (GSource **source)
{
  if (*source == NULL)
    return;

  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
gkv_udp_transport_close (GkvTransport *transport)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);

  if (self->socket == NULL)
    return;

  while (self->queue.length > 0 && send_batch (self))
    ;

  destroy_source (&self->in_source);
  destroy_source (&self->out_source);
  g_socket_close (self->socket, NULL);
  g_clear_object (&self->socket);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_queue_clear_full (&self->queue, (GDestroyNotify) outgoing_free);
  g_hash_table_remove_all (self->by_name);
  g_clear_pointer (&self->buffers, g_free);
}

static char *
gkv_udp_transport_get_local_address (GkvTransport *transport)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autoptr (GSocketAddress) address = NULL;

  if (self->socket != NULL)
    address = g_socket_get_local_address (self->socket, NULL);
  return address != NULL ? format_address (G_INET_SOCKET_ADDRESS (address)) : NULL;
}

static guint
gkv_udp_transport_get_max_datagram_size (GkvTransport *transport)
{
  return GKV_UDP_TRANSPORT (transport)->max_datagram_size;
}

static gboolean
gkv_udp_transport_send (GkvTransport *transport, const char *text, GBytes *datagram, GError **error)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  GSocketAddress *address;
  Outgoing *outgoing;

  if (self->socket == NULL)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_TRANSPORT, "The transport isn't open");
      return FALSE;
    }

  address = lookup_address (self, text, error);
  if (address == NULL)
    return FALSE;

  if (self->queue.length >= MAX_QUEUED)
    outgoing_free (g_queue_pop_head (&self->queue));
  outgoing = g_new (Outgoing, 1);
  outgoing->address = g_object_ref (address);
  outgoing->datagram = g_bytes_ref (datagram);
  g_queue_push_tail (&self->queue, outgoing);

  if (self->queue.length >= BATCH && self->out_source == NULL)
    send_queued (self);
  return TRUE;
}

static gboolean
gkv_udp_transport_flush (GkvTransport *transport, GError **error)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);

  if (self->socket != NULL && self->out_source == NULL)
    send_queued (self);
  return TRUE;
}

static void
transport_iface_init (GkvTransportInterface *iface)
{
  iface->open = gkv_udp_transport_open;
  iface->close = gkv_udp_transport_close;
  iface->get_local_address = gkv_udp_transport_get_local_address;
  iface->get_max_datagram_size = gkv_udp_transport_get_max_datagram_size;
  iface->send = gkv_udp_transport_send;
  iface->flush = gkv_udp_transport_flush;
}

/* GObject */

static void
gkv_udp_transport_finalize (GObject *object)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (object);

  gkv_udp_transport_close (GKV_TRANSPORT (self));
  g_hash_table_unref (self->by_name);
  g_hash_table_unref (self->names);

  G_OBJECT_CLASS (gkv_udp_transport_parent_class)->finalize (object);
}

static void
gkv_udp_transport_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (object);

  switch (prop_id)
    {
    case PROP_MAX_DATAGRAM_SIZE:
      g_value_set_uint (value, self->max_datagram_size);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_udp_transport_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (object);

  switch (prop_id)
    {
    case PROP_MAX_DATAGRAM_SIZE:
      if (self->socket == NULL && self->max_datagram_size != g_value_get_uint (value))
        {
          self->max_datagram_size = g_value_get_uint (value);
          g_object_notify_by_pspec (object, pspec);
        }
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_udp_transport_class_init (GkvUdpTransportClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = gkv_udp_transport_finalize;
  object_class->get_property = gkv_udp_transport_get_property;
  object_class->set_property = gkv_udp_transport_set_property;

  /* The largest datagram that is sent, in bytes; writable until the transport is opened. */
  props[PROP_MAX_DATAGRAM_SIZE] =
      g_param_spec_uint ("max-datagram-size", NULL, NULL, 640, MAX_DATAGRAM_SIZE, DEFAULT_MAX_DATAGRAM_SIZE,
                         G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
gkv_udp_transport_init (GkvUdpTransport *self)
{
  self->max_datagram_size = DEFAULT_MAX_DATAGRAM_SIZE;
  g_queue_init (&self->queue);
  self->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  self->names = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, g_free);
}

GKV_MODULE_DEFINE (transport_udp, GKV_TRANSPORT_EXTENSION_POINT_NAME, GKV_TYPE_UDP_TRANSPORT, "udp")
