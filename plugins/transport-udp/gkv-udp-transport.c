/* The transport "udp": a socket on a main context, datagrams in batches.
 *
 * What is sent is queued until it is flushed, and leaves by sendmmsg (); what comes is read by recvmmsg (), a batch in
 * each dispatch. No error of a single datagram ends anything: UDP may lose it as well. Addresses are cached in both
 * forms, so that the usual datagram needs no look at a text.
 *
 * It is used in one thread, but for `send` and `flush`, which others may call while the node sees to it that no handler
 * runs. So the lock guards what these share with the dispatches, which are no handlers: the socket, the queue, and the
 * addresses to send to. It is never held while a signal is emitted.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-udp-address.h"
#include "gkv-udp-lookup.h"
#include "gkv-udp-system.h"

#include <gkv.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MAX_DATAGRAM_SIZE 1200
#define MAX_DATAGRAM_SIZE         65000

/* What comes in may be as large as UDP carries it, whatever is sent here. Memory that nothing is written to costs none.
 */
#define RECEIVED_SIZE 65536

/* Datagrams of one system call. */
#define BATCH 32

/* The most that waits while the socket is full; then the oldest is dropped, as UDP may. */
#define MAX_QUEUED 4096

/* Failures that wait to be reported. */
#define MAX_ERRORS 64

/* A datagram that the kernel had no memory for is tried again at once, then after 1 ms, and each time after twice as
 * long. After so many tries it is dropped, and so is any behind it at its first try, until one leaves. */
#define MAX_REFUSALS 8

/* What the kernel is requested to give; it may give less. */
#define BUFFER_SIZE (4 * 1024 * 1024)

/* Addresses whose two forms are remembered. */
#define MAX_CACHED 4096

#define GKV_TYPE_UDP_TRANSPORT (gkv_udp_transport_get_type ())
G_DECLARE_FINAL_TYPE (GkvUdpTransport, gkv_udp_transport, GKV, UDP_TRANSPORT, GObject)

typedef enum
{
  WAITS_FOR_NOTHING,
  WAITS_FOR_ROOM,   /* the socket is full: poll () tells when it takes something again */
  WAITS_FOR_MEMORY, /* the kernel has none for it now, and doesn't tell when it has */
} WaitsFor;

/* In the form that the socket sends to. */
typedef struct
{
  GkvUdpAddress address;
  GBytes *datagram;
} Outgoing;

/* Where a batch is received. */
typedef struct
{
  GkvUdpMessage messages[BATCH];
  struct iovec vectors[BATCH];
  GkvUdpAddress addresses[BATCH];
  gsize buffer_size;
  guint8 buffers[]; /* BATCH times buffer_size */
} Inbox;

/* A look-up for the node. */
typedef struct
{
  GkvUdpTransport *transport;
  guint request; /* 0: for opening */
  char *host;
  guint16 port;
  GkvUdpLookup *lookup;
} Request;

typedef struct
{
  GSource parent;
  GkvUdpTransport *transport;
  gpointer tag;
} UdpSource;

struct _GkvUdpTransport
{
  GObject parent_instance;

  guint max_datagram_size;

  GList open; /* among those that are */

  GMutex lock;
  int fd; /* -1: not open */
  GkvUdpAddress local;
  UdpSource *source;
  WaitsFor waits_for;  /* before what is queued leaves */
  guint n_refusals;    /* tries in a row that the kernel had no memory for */
  GArray *queue;       /* Outgoing */
  guint n_sent;        /* of the queue, at its beginning */
  GHashTable *by_text; /* canonical form → GkvUdpAddress */
  GQueue send_errors;  /* GError: each for a flush */

  Inbox *inbox;        /* NULL: not open */
  guint n_received;    /* the batch that is being handed over */
  guint n_handed_over; /* of it */
  GHashTable *texts;   /* GkvUdpAddress as received → canonical form, a GRefString */
  GkvUdpAddress last;  /* the sender of the last datagram */
  char *last_text;     /* its canonical form, a GRefString */

  Request *opening;     /* NULL: none */
  GHashTable *requests; /* number → Request */
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

/* Forking. A child has the sockets as well: the port would stay taken until the child ends, and where it runs the main
 * context that it was forked with, it would receive what is for its parent. So they are closed there. */

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static GQueue open_transports = G_QUEUE_INIT;

static void
on_fork (void)
{
  pthread_mutex_lock (&open_lock);
}

static void
on_forked_parent (void)
{
  pthread_mutex_unlock (&open_lock);
}

static void
on_forked_child (void)
{
  for (GList *link = open_transports.head; link != NULL; link = link->next)
    {
      GkvUdpTransport *self = link->data;

      close (self->fd);
      self->fd = -1;
    }
  g_queue_init (&open_transports);
  pthread_mutex_unlock (&open_lock);
}

static void
note_open (GkvUdpTransport *self)
{
  static gsize watched;

  if (g_once_init_enter (&watched))
    {
      pthread_atfork (on_fork, on_forked_parent, on_forked_child);
      g_once_init_leave (&watched, TRUE);
    }

  pthread_mutex_lock (&open_lock);
  self->open.data = self;
  g_queue_push_tail_link (&open_transports, &self->open);
  pthread_mutex_unlock (&open_lock);
}

static void
note_closed (GkvUdpTransport *self)
{
  pthread_mutex_lock (&open_lock);
  g_queue_unlink (&open_transports, &self->open);
  pthread_mutex_unlock (&open_lock);
}

/* Sending */

static void
set_waits_for_locked (GkvUdpTransport *self, WaitsFor waits_for)
{
  GSource *source = &self->source->parent;

  if (waits_for == WAITS_FOR_MEMORY)
    g_source_set_ready_time (source, g_get_monotonic_time () + (G_TIME_SPAN_MILLISECOND << (self->n_refusals - 2)));
  else if (self->waits_for == WAITS_FOR_MEMORY)
    g_source_set_ready_time (source, -1);

  if ((waits_for == WAITS_FOR_ROOM) != (self->waits_for == WAITS_FOR_ROOM))
    g_source_modify_unix_fd (source, self->source->tag, waits_for == WAITS_FOR_ROOM ? G_IO_IN | G_IO_OUT : G_IO_IN);
  self->waits_for = waits_for;
}

/* Takes the first @n away that wait. */
static void
drop_locked (GkvUdpTransport *self, guint n)
{
  for (guint i = 0; i < n; i++)
    g_bytes_unref (g_array_index (self->queue, Outgoing, self->n_sent + i).datagram);
  self->n_sent += n;

  if (self->n_sent == self->queue->len || self->n_sent >= MAX_QUEUED)
    {
      g_array_remove_range (self->queue, 0, self->n_sent);
      self->n_sent = 0;
    }
}

static guint
count_queued_locked (GkvUdpTransport *self)
{
  return self->queue->len - self->n_sent;
}

static gboolean
is_no_memory (int code)
{
  return code == ENOBUFS || code == ENOMEM;
}

/* In the domain of GIO, so that the node can count it. */
static int
get_cause (int code)
{
  if (is_no_memory (code))
    return G_IO_ERROR_WOULD_BLOCK;

  return code == ENETDOWN || code == EADDRNOTAVAIL ? G_IO_ERROR_NETWORK_UNREACHABLE
                                                   : (int) g_io_error_from_errno (code);
}

/* The first that waits could not be sent. That nobody listens there is what UDP may do to any datagram; all else
 * concerns the network, and is kept for the next flush. */
static void
take_error_locked (GkvUdpTransport *self, int code)
{
  g_autofree char *text = NULL;
  GkvUdpAddress address;

  if (code == ECONNREFUSED || self->send_errors.length >= MAX_ERRORS)
    return;

  address = g_array_index (self->queue, Outgoing, self->n_sent).address;
  gkv_udp_address_unmap (&address);
  text = gkv_udp_address_format (&address);
  g_queue_push_tail (&self->send_errors,
                     g_error_new (G_IO_ERROR, get_cause (code), "A datagram to %s could not be sent%s: %s", text,
                                  is_no_memory (code) ? " yet" : "", g_strerror (code)));
}

/* The kernel had no memory for the first that waits. */
static WaitsFor
take_refusal_locked (GkvUdpTransport *self)
{
  self->n_refusals++;
  if (self->n_refusals == 1)
    return WAITS_FOR_NOTHING;
  if (self->n_refusals < MAX_REFUSALS)
    return WAITS_FOR_MEMORY;

  drop_locked (self, 1);
  return WAITS_FOR_NOTHING;
}

/* One system call. */
static WaitsFor
send_batch_locked (GkvUdpTransport *self)
{
  GkvUdpMessage messages[BATCH];
  struct iovec vectors[BATCH];
  guint n_messages = MIN (count_queued_locked (self), BATCH);
  int n;

  for (guint i = 0; i < n_messages; i++)
    {
      Outgoing *outgoing = &g_array_index (self->queue, Outgoing, self->n_sent + i);

      vectors[i].iov_base = (gpointer) g_bytes_get_data (outgoing->datagram, &vectors[i].iov_len);
      messages[i].msg_hdr = (struct msghdr){ .msg_name = &outgoing->address,
                                             .msg_namelen = gkv_udp_address_get_size (&outgoing->address),
                                             .msg_iov = &vectors[i],
                                             .msg_iovlen = 1 };
    }

  do
    n = gkv_udp_system_send (self->fd, messages, n_messages);
  while (n < 0 && errno == EINTR);

  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return WAITS_FOR_ROOM;

  if (n <= 0)
    {
      int code = errno;

      take_error_locked (self, code);
      if (is_no_memory (code))
        return take_refusal_locked (self);
      n = 1;
    }
  else
    {
      self->n_refusals = 0;
    }
  drop_locked (self, n);
  return WAITS_FOR_NOTHING;
}

static void
send_queued_locked (GkvUdpTransport *self)
{
  WaitsFor waits_for = WAITS_FOR_NOTHING;

  while (waits_for == WAITS_FOR_NOTHING && count_queued_locked (self) > 0)
    waits_for = send_batch_locked (self);
  set_waits_for_locked (self, waits_for);
}

/* The form that the socket sends to. */
static const GkvUdpAddress *
lookup_address_locked (GkvUdpTransport *self, const char *text, GError **error)
{
  GkvUdpAddress *address = g_hash_table_lookup (self->by_text, text);
  GkvUdpAddress parsed;

  if (address != NULL)
    return address;
  if (!gkv_udp_address_parse (&parsed, text, error))
    return NULL;

  if (self->local.any.sa_family == AF_INET && parsed.any.sa_family == AF_INET6)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT,
                   "\"%s\" is an IPv6 address, and this node is bound to an IPv4 one: bind to \"[::]\" for both", text);
      return NULL;
    }
  if (self->local.any.sa_family == AF_INET6)
    gkv_udp_address_map (&parsed);

  if (g_hash_table_size (self->by_text) >= MAX_CACHED)
    g_hash_table_remove_all (self->by_text);
  address = g_memdup2 (&parsed, sizeof parsed);
  g_hash_table_insert (self->by_text, g_strdup (text), address);
  return address;
}

static gboolean
gkv_udp_transport_send (GkvTransport *transport, const char *text, GBytes *datagram, GError **error)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->lock);
  const GkvUdpAddress *address;
  Outgoing outgoing;

  if (self->fd < 0)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_TRANSPORT, "The transport isn't open; open it before sending");
      return FALSE;
    }

  address = lookup_address_locked (self, text, error);
  if (address == NULL)
    return FALSE;

  if (count_queued_locked (self) >= MAX_QUEUED)
    drop_locked (self, 1);
  outgoing = (Outgoing){ *address, g_bytes_ref (datagram) };
  g_array_append_val (self->queue, outgoing);

  if (count_queued_locked (self) >= BATCH && self->waits_for == WAITS_FOR_NOTHING)
    send_queued_locked (self);
  return TRUE;
}

static gboolean
gkv_udp_transport_flush (GkvTransport *transport, GError **error)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->lock);

  if (self->fd >= 0 && self->waits_for == WAITS_FOR_NOTHING)
    send_queued_locked (self);
  if (self->send_errors.length == 0)
    return TRUE;

  g_propagate_error (error, g_queue_pop_head (&self->send_errors));
  return FALSE;
}

static void
send_waiting (GkvUdpTransport *self)
{
  GQueue errors;
  GError *error;

  g_mutex_lock (&self->lock);
  send_queued_locked (self);
  errors = self->send_errors;
  g_queue_init (&self->send_errors);
  g_mutex_unlock (&self->lock);

  while ((error = g_queue_pop_head (&errors)) != NULL)
    {
      gkv_transport_emit_failed (GKV_TRANSPORT (self), error);
      g_error_free (error);
    }
}

/* Receiving */

/* The canonical form of the sender's address, a GRefString. */
static char *
lookup_text (GkvUdpTransport *self, GkvUdpAddress *address)
{
  char *text;

  gkv_udp_address_unmap (address);
  if (self->last_text != NULL && gkv_udp_address_equal (address, &self->last))
    return self->last_text;

  text = g_hash_table_lookup (self->texts, address);
  if (text == NULL)
    {
      g_autofree char *formatted = gkv_udp_address_format (address);

      if (g_hash_table_size (self->texts) >= MAX_CACHED)
        g_hash_table_remove_all (self->texts);
      text = g_ref_string_new (formatted);
      g_hash_table_insert (self->texts, g_memdup2 (address, sizeof *address), text);
    }

  g_clear_pointer (&self->last_text, g_ref_string_release);
  self->last = *address;
  self->last_text = g_ref_string_acquire (text);
  return text;
}

/* One system call. A second one would only find that there is nothing more, which the next dispatch finds, too. */
static void
receive_batch (GkvUdpTransport *self)
{
  g_autoptr (GError) error = NULL;
  int n;

  for (guint i = 0; i < BATCH; i++)
    {
      self->inbox->messages[i].msg_hdr.msg_namelen = sizeof self->inbox->addresses[i];
      self->inbox->messages[i].msg_hdr.msg_flags = 0;
    }

  n = gkv_udp_system_receive (self->fd, self->inbox->messages, BATCH);
  self->n_received = MAX (n, 0);
  self->n_handed_over = 0;

  /* An error that the network sent back about an earlier datagram comes once, and is of no interest. */
  if (n < 0 && (errno == EBADF || errno == ENOTSOCK || errno == EINVAL || errno == EFAULT || errno == ENOMEM))
    {
      error = g_error_new (GKV_ERROR, GKV_ERROR_TRANSPORT, "Nothing can be received: %s", g_strerror (errno));
      gkv_transport_emit_failed (GKV_TRANSPORT (self), error);
    }
}

static void
hand_over (GkvUdpTransport *self, guint i)
{
  GkvUdpMessage *message = &self->inbox->messages[i];
  GkvUdpAddress *address = &self->inbox->addresses[i];
  g_autoptr (GBytes) datagram = NULL;
  char *text;

  if ((message->msg_hdr.msg_flags & MSG_TRUNC) || message->msg_len == 0 ||
      (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6))
    return;

  /* A handler may close the transport, or run a main loop in which others send. */
  text = g_ref_string_acquire (lookup_text (self, address));
  datagram = g_bytes_new (self->inbox->vectors[i].iov_base, message->msg_len);
  gkv_transport_emit_received (GKV_TRANSPORT (self), text, datagram);
  g_ref_string_release (text);
}

/* A handler may run a main loop, and so come here again: then the rest of the batch is handed over there. */
static void
receive (GkvUdpTransport *self)
{
  gboolean any = FALSE;

  if (self->n_handed_over == self->n_received)
    receive_batch (self);

  while (self->n_handed_over < self->n_received)
    {
      any = TRUE;
      hand_over (self, self->n_handed_over++);
    }

  if (any && self->inbox != NULL)
    gkv_transport_emit_drained (GKV_TRANSPORT (self));
}

/* Whether what waits may be sent now. */
static gboolean
is_due (GkvUdpTransport *self, GIOCondition condition)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->lock);

  if (self->waits_for != WAITS_FOR_MEMORY)
    return (condition & G_IO_OUT) != 0;

  return g_source_get_ready_time (&self->source->parent) <= g_source_get_time (&self->source->parent);
}

/* The source. It can recurse so that it stays in the poll set while it is dispatched: to be taken out and put back
 * costs more system calls than to receive. */

static gboolean
has_rest (GkvUdpTransport *self)
{
  return self->n_handed_over < self->n_received;
}

static gboolean
udp_source_prepare (GSource *source, int *timeout)
{
  *timeout = -1;
  return has_rest (((UdpSource *) source)->transport);
}

static gboolean
udp_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  UdpSource *self = (UdpSource *) source;
  g_autoptr (GkvUdpTransport) transport = NULL;
  GIOCondition condition = g_source_query_unix_fd (source, self->tag);

  /* In a forked child. */
  if (self->transport->fd < 0)
    return G_SOURCE_REMOVE;

  transport = g_object_ref (self->transport);
  if (has_rest (transport) || (condition & ~G_IO_OUT) != 0)
    receive (transport);
  if (!g_source_is_destroyed (source) && is_due (transport, condition))
    send_waiting (transport);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs udp_source_funcs = {
  .prepare = udp_source_prepare,
  .dispatch = udp_source_dispatch,
};

static UdpSource *
udp_source_new (GkvUdpTransport *transport, int fd)
{
  GSource *source = g_source_new (&udp_source_funcs, sizeof (UdpSource));
  UdpSource *self = (UdpSource *) source;

  g_source_set_static_name (source, "[gkv] UDP");
  g_source_set_can_recurse (source, TRUE);
  self->transport = transport;
  self->tag = g_source_add_unix_fd (source, fd, G_IO_IN);
  return self;
}

/* Looking up names */

static void
request_free (Request *self)
{
  g_clear_pointer (&self->lookup, gkv_udp_lookup_cancel);
  g_free (self->host);
  g_free (self);
}

static Request *
request_new (GkvUdpTransport *transport, guint number, const char *host, guint16 port, GkvUdpLookupFunc func)
{
  Request *self = g_new0 (Request, 1);

  self->transport = transport;
  self->request = number;
  self->host = g_strdup (host);
  self->port = port;
  self->lookup = gkv_udp_lookup_begin (host, func, self);
  return self;
}

/* Whether the socket can send there; without a socket, any may do. */
static gboolean
can_reach (GkvUdpTransport *self, const GkvUdpAddress *address)
{
  if (self->fd < 0 || self->local.any.sa_family == address->any.sa_family)
    return TRUE;

  return self->local.any.sa_family == AF_INET6 && gkv_udp_address_is_unspecified (&self->local);
}

static void
on_resolved (GList *addresses, const GError *error, gpointer user_data)
{
  Request *request = user_data;
  g_autoptr (GkvUdpTransport) self = g_object_ref (request->transport);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GError) unreachable = NULL;
  g_auto (GStrv) texts = NULL;
  guint number = request->request;

  for (GList *link = addresses; link != NULL; link = link->next)
    {
      GkvUdpAddress address;
      char *text;

      gkv_udp_address_from_inet (&address, link->data, request->port);
      if (!can_reach (self, &address))
        continue;

      text = gkv_udp_address_format (&address);
      if (!g_hash_table_contains (seen, text))
        g_strv_builder_add (builder, text);
      g_hash_table_add (seen, text);
    }
  texts = g_strv_builder_end (builder);

  request->lookup = NULL;
  g_hash_table_remove (self->requests, GUINT_TO_POINTER (number));

  if (addresses != NULL && texts[0] == NULL)
    error = unreachable = g_error_new (GKV_ERROR, GKV_ERROR_TRANSPORT,
                                       "The name has no address of the family that this node is bound to, %s",
                                       self->local.any.sa_family == AF_INET ? "IPv4" : "IPv6");
  if (error != NULL)
    gkv_transport_resolve_failed (GKV_TRANSPORT (self), number, error);
  else
    gkv_transport_resolved (GKV_TRANSPORT (self), number, (const char *const *) texts);
}

static void
gkv_udp_transport_begin_resolve (GkvTransport *transport, const char *text, guint number)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autofree char *host = NULL;
  g_autoptr (GError) error = NULL;
  GkvUdpAddress address;
  guint16 port;

  if (gkv_udp_address_split (text, &host, &port, &error) && gkv_udp_address_from_host (&address, host, port, &error))
    {
      g_autofree char *canonical = gkv_udp_address_format (&address);
      const char *addresses[] = { canonical, NULL };

      gkv_transport_resolved (transport, number, addresses);
    }
  else if (error != NULL)
    gkv_transport_resolve_failed (transport, number, error);
  else
    g_hash_table_insert (self->requests, GUINT_TO_POINTER (number),
                         request_new (self, number, host, port, on_resolved));
}

static void
gkv_udp_transport_cancel_resolve (GkvTransport *transport, guint number)
{
  g_hash_table_remove (GKV_UDP_TRANSPORT (transport)->requests, GUINT_TO_POINTER (number));
}

static char *
gkv_udp_transport_normalize (GkvTransport *transport, const char *text, GkvAddressUse use, GError **error)
{
  g_autofree char *host = NULL;
  GError *cause = NULL;
  GkvUdpAddress address;
  guint16 port;

  if (!gkv_udp_address_split (text, &host, &port, error))
    return NULL;

  if (gkv_udp_address_from_host (&address, host, port, &cause))
    return gkv_udp_address_check_use (&address, text, use, error) ? gkv_udp_address_format (&address) : NULL;

  if (cause != NULL)
    g_propagate_error (error, cause);
  else if (port == 0 && use != GKV_ADDRESS_USE_BIND)
    g_set_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS,
                 "The address \"%s\" has the port 0; give the one that the peer is bound to", text);
  return NULL;
}

/* Opening and closing */

static void
fail_open (const char *text, int code, guint16 port, GError **error)
{
  const char *hint = NULL;

  if (code == EADDRINUSE)
    hint = "give another port, or 0 for any";
  else if (code == EADDRNOTAVAIL)
    hint = "it is not an address of this machine; \"0.0.0.0\" stands for all of them";
  else if (code == EMFILE || code == ENFILE)
    hint = "close some files, or raise the limit of open files";
  else if (code == EACCES && port > 0 && port < IPPORT_RESERVED)
    hint = "ports below 1024 need privilege; give a higher one, or 0 for any";

  g_set_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT, "The transport could not be opened on \"%s\": %s%s%s", text,
               g_strerror (code), hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

static int
open_socket (const GkvUdpAddress *address, const char *text, GError **error)
{
  int family = address->any.sa_family;
  int fd = gkv_udp_system_open_socket (family);
  const int buffer_size = BUFFER_SIZE, off = 0;

  /* The port is at the same place in both families. */
  if (fd < 0)
    {
      fail_open (text, errno, ntohs (address->in.sin_port), error);
      return -1;
    }

  /* A host may have it otherwise by default, and "[::]" would not be reached by IPv4. */
  if (family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &buffer_size, sizeof buffer_size);
  setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof buffer_size);

  if (bind (fd, &address->any, gkv_udp_address_get_size (address)) < 0)
    {
      fail_open (text, errno, ntohs (address->in.sin_port), error);
      close (fd);
      return -1;
    }

  return fd;
}

static Inbox *
inbox_new (gsize buffer_size)
{
  Inbox *self = g_malloc0 (sizeof (Inbox) + BATCH * buffer_size);

  self->buffer_size = buffer_size;
  for (guint i = 0; i < BATCH; i++)
    {
      self->vectors[i] = (struct iovec){ self->buffers + i * buffer_size, buffer_size };
      self->messages[i].msg_hdr.msg_name = &self->addresses[i];
      self->messages[i].msg_hdr.msg_iov = &self->vectors[i];
      self->messages[i].msg_hdr.msg_iovlen = 1;
    }

  return self;
}

static gboolean
gkv_udp_transport_open (GkvTransport *transport, const char *bind_address, GError **error)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  socklen_t size = sizeof self->local;
  GkvUdpAddress address;
  int fd;

  if (self->fd >= 0)
    {
      g_set_error_literal (error, GKV_ERROR, GKV_ERROR_TRANSPORT, "The transport is open already; close it first");
      return FALSE;
    }

  if (!gkv_udp_address_parse (&address, bind_address, error) ||
      !gkv_udp_address_check_use (&address, bind_address, GKV_ADDRESS_USE_BIND, error))
    return FALSE;

  fd = open_socket (&address, bind_address, error);
  if (fd < 0)
    return FALSE;

  g_mutex_lock (&self->lock);
  self->fd = fd;
  self->local = address;
  getsockname (fd, &self->local.any, &size);
  self->inbox = inbox_new (RECEIVED_SIZE);
  self->source = udp_source_new (self, fd);
  g_mutex_unlock (&self->lock);
  note_open (self);

  g_source_attach (&self->source->parent, context);
  return TRUE;
}

/* IPv4 first, so that "localhost" is 127.0.0.1 to a node that binds to it. */
static int
compare_families (gconstpointer one, gconstpointer other)
{
  return (g_inet_address_get_family ((GInetAddress *) one) == G_SOCKET_FAMILY_IPV6) -
         (g_inet_address_get_family ((GInetAddress *) other) == G_SOCKET_FAMILY_IPV6);
}

/* Many a machine has its own name in its hosts file as 127.0.1.1. A node that is bound to that name can't be reached by
 * any other machine, and nothing else would report it. */
static void
warn_of_loopback (GkvUdpTransport *self, const char *host, GList *addresses)
{
  g_autofree char *local = gkv_udp_address_format (&self->local);
  g_autoptr (GError) error = NULL;

  if (g_ascii_strcasecmp (host, "localhost") == 0 || g_str_has_suffix (host, ".localhost"))
    return;
  for (GList *link = addresses; link != NULL; link = link->next)
    if (!g_inet_address_get_is_loopback (link->data))
      return;

  error = g_error_new (GKV_ERROR, GKV_ERROR_TRANSPORT,
                       "The name \"%s\" stands for this machine's loopback here, so that no other machine reaches %s: "
                       "bind to \"0.0.0.0\", or give the name its address in the hosts file",
                       host, local);
  gkv_transport_emit_failed (GKV_TRANSPORT (self), error);
}

static void
on_bind_address_resolved (GList *addresses, const GError *error, gpointer user_data)
{
  Request *request = user_data;
  g_autoptr (GkvUdpTransport) self = g_object_ref (request->transport);
  g_autoptr (GList) sorted = g_list_sort (g_list_copy (addresses), compare_families);
  g_autoptr (GError) failure = error != NULL ? g_error_copy (error) : NULL;
  g_autofree char *host = g_steal_pointer (&request->host);
  guint16 port = request->port;

  request->lookup = NULL;
  g_clear_pointer (&self->opening, request_free);

  for (GList *link = sorted; link != NULL; link = link->next)
    {
      g_autofree char *text = NULL;
      GkvUdpAddress address;

      gkv_udp_address_from_inet (&address, link->data, port);
      text = gkv_udp_address_format (&address);
      g_clear_error (&failure);
      if (gkv_udp_transport_open (GKV_TRANSPORT (self), text, &failure))
        {
          gkv_transport_opened (GKV_TRANSPORT (self));
          warn_of_loopback (self, host, addresses);
          return;
        }
    }

  gkv_transport_open_failed (GKV_TRANSPORT (self), failure);
}

static void
gkv_udp_transport_begin_open (GkvTransport *transport, const char *bind_address)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autofree char *host = NULL;
  g_autoptr (GError) error = NULL;
  GkvUdpAddress address;
  gboolean numeric = FALSE;
  guint16 port;

  if (gkv_udp_address_split (bind_address, &host, &port, &error))
    numeric = gkv_udp_address_from_host (&address, host, port, &error);

  if (error == NULL && !numeric && self->fd < 0)
    {
      self->opening = request_new (self, 0, host, port, on_bind_address_resolved);
      return;
    }

  if (error == NULL && gkv_udp_transport_open (transport, bind_address, &error))
    gkv_transport_opened (transport);
  else
    gkv_transport_open_failed (transport, error);
}

static void
gkv_udp_transport_close (GkvTransport *transport)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);

  g_clear_pointer (&self->opening, request_free);
  if (self->fd < 0)
    return;

  note_closed (self);
  g_mutex_lock (&self->lock);
  while (count_queued_locked (self) > 0 && send_batch_locked (self) != WAITS_FOR_ROOM)
    ;
  drop_locked (self, count_queued_locked (self));
  g_source_destroy (&self->source->parent);
  g_source_unref (&self->source->parent);
  self->source = NULL;
  self->waits_for = WAITS_FOR_NOTHING;
  self->n_refusals = 0;
  close (self->fd);
  self->fd = -1;
  g_hash_table_remove_all (self->by_text);
  g_queue_clear_full (&self->send_errors, (GDestroyNotify) g_error_free);
  g_mutex_unlock (&self->lock);

  g_clear_pointer (&self->inbox, g_free);
  self->n_received = self->n_handed_over = 0;
}

static char *
gkv_udp_transport_get_local_address (GkvTransport *transport)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (transport);
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->lock);

  return self->fd >= 0 ? gkv_udp_address_format (&self->local) : NULL;
}

static guint
gkv_udp_transport_get_max_datagram_size (GkvTransport *transport)
{
  return GKV_UDP_TRANSPORT (transport)->max_datagram_size;
}

static gboolean
gkv_udp_transport_is_thread_movable (GkvTransport *transport)
{
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
  iface->begin_open = gkv_udp_transport_begin_open;
  iface->begin_resolve = gkv_udp_transport_begin_resolve;
  iface->cancel_resolve = gkv_udp_transport_cancel_resolve;
  iface->normalize = gkv_udp_transport_normalize;
  iface->is_thread_movable = gkv_udp_transport_is_thread_movable;
}

/* GObject */

static void
gkv_udp_transport_finalize (GObject *object)
{
  GkvUdpTransport *self = GKV_UDP_TRANSPORT (object);

  gkv_udp_transport_close (GKV_TRANSPORT (self));
  g_hash_table_unref (self->requests);
  g_hash_table_unref (self->by_text);
  g_hash_table_unref (self->texts);
  g_clear_pointer (&self->last_text, g_ref_string_release);
  g_array_unref (self->queue);
  g_mutex_clear (&self->lock);

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
      if (self->fd < 0 && self->max_datagram_size != g_value_get_uint (value))
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
  self->fd = -1;
  g_mutex_init (&self->lock);
  self->queue = g_array_new (FALSE, FALSE, sizeof (Outgoing));
  self->by_text = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->texts = g_hash_table_new_full (gkv_udp_address_hash, gkv_udp_address_equal, g_free,
                                       (GDestroyNotify) g_ref_string_release);
  self->requests = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) request_free);
}

GKV_MODULE_DEFINE (transport_udp, GKV_TRANSPORT_EXTENSION_POINT_NAME, GKV_TYPE_UDP_TRANSPORT, "udp")
