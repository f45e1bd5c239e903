/* What runs on the hosts of a wire: nodes of libgkv, and TCP as the floor beside them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "hosts.h"

#include "gkv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODE_PORT 7700
#define TCP_PORT  7701

#define TICK_MS 1
#define KEY     "key-"

HostsShared *hosts_shared;

/* --- Sends that the kernel refuses: this takes the place of the C library's function */

int
sendmmsg (int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
  if (hosts_shared != NULL && hosts_shared->refused > 0 && g_random_int_range (0, 1000) < (int) hosts_shared->refused)
    {
      errno = ENOBUFS;
      return -1;
    }

  return syscall (SYS_sendmmsg, fd, messages, n, flags);
}

/* --- Keys */

gsize
hosts_get_size (const HostsOrder *order, guint number)
{
  return order->least + number * 7919u % (order->most - order->least + 1);
}

guint64
hosts_get_total (const HostsOrder *order)
{
  guint64 total = 0;

  for (guint i = 0; i < order->n; i++)
    total += hosts_get_size (order, i) + snprintf (NULL, 0, KEY "%u", i);

  return total;
}

/* --- Nodes: one a process */

typedef struct
{
  GkvNode *node;
  guint host;
  HostsNode *told;
  guint n_orders;
  gint64 *shown; /* when the version of each key was written that this node shows */
  guint n_written;
} Node;

/* The first bytes of each value tell when it was written. */
static void
write_value (Node *self, guint number)
{
  const HostsOrder *order = &hosts_shared->order;
  gsize size = hosts_get_size (order, number);
  guint8 *data = g_malloc0 (size);
  gint64 now = g_get_monotonic_time ();
  g_autofree char *key = g_strdup_printf (KEY "%u", number);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  gboolean done;

  memcpy (data, &now, MIN (size, sizeof now));
  bytes = g_bytes_new_take (data, size);
  if (order->lifetime > 0)
    done = gkv_node_set_value_full (self->node, key, g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE),
                                    GKV_SET_NONE, order->lifetime, NULL, &error);
  else
    done = gkv_node_set_bytes (self->node, key, bytes, &error);
  if (!done)
    g_error ("%s", error->message);
}

static void
take_version (Node *self, guint number, gint64 written_at, gint64 now)
{
  const HostsOrder *order = &hosts_shared->order;

  if (number >= order->n || written_at < hosts_shared->ordered_at)
    return;

  /* It lags from when the one was written that came after what was shown. */
  self->told->longest = MAX (self->told->longest, now - self->shown[number] - order->period);
  self->shown[number] = MAX (self->shown[number], written_at);
}

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  Node *self = user_data;
  gint64 now = g_get_monotonic_time ();
  gint64 written_at = 0;
  gconstpointer data;
  gsize size;

  if (value == NULL)
    {
      self->told->n_gone++;
      self->told->gone_at = now;
      return;
    }
  if (strcmp (origin, gkv_node_get_node_id (node)) == 0)
    return;

  data = g_variant_get_fixed_array (value, &size, 1);
  memcpy (&written_at, data, MIN (size, sizeof written_at));
  if (self->shown != NULL)
    take_version (self, strtoul (key + strlen (KEY), NULL, 10), written_at, now);
  self->told->n_told++;
  self->told->told_at = now;
}

static void
on_error (GkvNode *node, const GError *error, gpointer user_data)
{
  Node *self = user_data;

  self->told->n_errors++;
}

static void
begin_order (Node *self)
{
  const HostsOrder *order = &hosts_shared->order;

  self->n_orders = hosts_shared->n_orders;
  self->n_written = 0;
  self->told->n_told = self->told->n_errors = 0;
  self->told->longest = 0;
  self->shown = g_renew (gint64, self->shown, order->n);
  for (guint i = 0; i < order->n; i++)
    self->shown[i] = hosts_shared->ordered_at - order->period;
}

/* Those that are due: they take turns. */
static void
write_due (Node *self, gint64 now)
{
  const HostsOrder *order = &hosts_shared->order;
  guint64 due = order->n;

  if (order->period > 0)
    due = (now - hosts_shared->ordered_at) * order->n / order->period + 1;
  for (; self->n_written < due; self->n_written++)
    write_value (self, self->n_written % order->n);
}

static void
look_at_versions (Node *self, gint64 now)
{
  const HostsOrder *order = &hosts_shared->order;
  gint64 late = 0;
  guint n_missing = 0;

  for (guint i = 0; i < order->n; i++)
    {
      late = MAX (late, now - self->shown[i] - order->period);
      n_missing += self->shown[i] < hosts_shared->ordered_at;
    }
  self->told->late = late;
  self->told->n_missing = n_missing;
}

static gboolean
on_tick (gpointer user_data)
{
  Node *self = user_data;
  gint64 now = g_get_monotonic_time ();
  g_autoptr (GVariant) stats = gkv_node_get_stats (self->node);
  guint64 n_alive = 0;

  g_variant_lookup (stats, "peers-alive", "t", &n_alive);
  self->told->n_alive = n_alive;
  self->told->synced = gkv_node_get_synced (self->node);

  if (self->n_orders != hosts_shared->n_orders)
    begin_order (self);
  if (hosts_shared->n_orders == 0 || hosts_shared->ordered_at > now)
    return G_SOURCE_CONTINUE;
  if (hosts_shared->order.host == self->host)
    write_due (self, now);
  else if (hosts_shared->order.period > 0)
    look_at_versions (self, now);

  return G_SOURCE_CONTINUE;
}

void
hosts_be_node (guint host, gpointer data)
{
  g_autofree char *address = wire_get_address (host);
  g_autofree char *bind_address = g_strdup_printf ("%s:%u", address, NODE_PORT);
  g_autofree char *first = wire_get_address (0);
  g_autofree char *second = wire_get_address (1);
  g_autofree char *first_seed = g_strdup_printf ("%s:%u", first, NODE_PORT);
  g_autofree char *second_seed = g_strdup_printf ("%s:%u", second, NODE_PORT);
  const char *seeds[] = { first_seed, second_seed, NULL };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  Node self = { .host = host, .told = &hosts_shared->nodes[host] };

  self.node = g_object_new (GKV_TYPE_NODE, "bind-address", bind_address, "seeds", seeds, NULL);
  g_signal_connect (self.node, "changed", G_CALLBACK (on_changed), &self);
  g_signal_connect (self.node, "error", G_CALLBACK (on_error), &self);
  if (!gkv_node_start (self.node, NULL, &error))
    g_error ("%s", error->message);
  self.told->started = TRUE;
  g_timeout_add (TICK_MS, on_tick, &self);
  g_main_loop_run (loop);
}

/* --- TCP */

/* The usual one, whatever this machine has chosen. */
static int
make_socket (void)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int yes = 1;

  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt (fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen ("cubic"));
  return fd;
}

static struct sockaddr_in
get_sink_address (guint host)
{
  g_autofree char *text = wire_get_address (host);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons (TCP_PORT) };

  inet_pton (AF_INET, text, &address.sin_addr);
  return address;
}

void
hosts_be_sink (guint host, gpointer data)
{
  struct sockaddr_in address = get_sink_address (host);
  int listener = make_socket ();
  char buffer[65536];
  gssize len;
  int fd;

  if (bind (listener, (struct sockaddr *) &address, sizeof address) < 0 || listen (listener, 1) < 0)
    g_error ("listen: %s", g_strerror (errno));
  hosts_shared->tcp_listens = TRUE;
  fd = accept (listener, NULL, NULL);
  while (hosts_shared->tcp_received < hosts_shared->tcp_wanted && (len = read (fd, buffer, sizeof buffer)) > 0)
    hosts_shared->tcp_received += len;
  hosts_shared->tcp_done_at = g_get_monotonic_time ();
}

void
hosts_be_source (guint host, gpointer data)
{
  struct sockaddr_in address = get_sink_address (*(guint *) data);
  static char buffer[65536];
  int fd = make_socket ();
  guint64 left = hosts_shared->tcp_wanted;
  gssize len;

  if (connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
    g_error ("connect: %s", g_strerror (errno));
  hosts_shared->tcp_connected = TRUE;
  while (!hosts_shared->tcp_goes)
    g_usleep (100);
  while (left > 0 && (len = write (fd, buffer, MIN (left, sizeof buffer))) > 0)
    left -= len;
  /* Until it is ended. */
  pause ();
}
