/* Sends that the kernel has no memory for: they are tried again, counted, and told of once. Here it is a function in
 * the place of the C library's that refuses.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_DATAGRAMS 2000
#define N_KEYS      5000
#define LARGE       1000000

static int refused; /* of 1,000 calls */
static int code;
static int n_refused;

int
sendmmsg (int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
  if (g_random_int_range (0, 1000) < g_atomic_int_get (&refused))
    {
      g_atomic_int_inc (&n_refused);
      errno = code;
      return -1;
    }

  return syscall (SYS_sendmmsg, fd, messages, n, flags);
}

static void
refuse (int thousandths, int with)
{
  code = with;
  g_atomic_int_set (&n_refused, 0);
  g_atomic_int_set (&refused, thousandths);
}

/* The transport alone */

static void
on_received (GkvTransport *transport, const char *address, GBytes *datagram, GArray *log)
{
  guint number;

  memcpy (&number, g_bytes_get_data (datagram, NULL), sizeof number);
  g_array_append_val (log, number);
}

static void
on_failed (GkvTransport *transport, const GError *error, guint *n_failures)
{
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  (*n_failures)++;
}

static GkvTransport *
open_transport (void)
{
  g_autoptr (GError) error = NULL;
  GkvTransport *transport = gkv_transport_new_for_name ("udp", &error);

  g_assert_no_error (error);
  gkv_transport_open (transport, "127.0.0.1:0", &error);
  g_assert_no_error (error);
  return transport;
}

static void
send_number (GkvTransport *transport, const char *address, guint number)
{
  g_autoptr (GBytes) datagram = g_bytes_new (&number, sizeof number);
  g_autoptr (GError) error = NULL;

  gkv_transport_send (transport, address, datagram, &error);
  g_assert_no_error (error);
}

/* Nothing is lost, and the order stays. */
static void
test_again (gconstpointer data)
{
  g_autoptr (GkvTransport) one = open_transport ();
  g_autoptr (GkvTransport) other = open_transport ();
  g_autofree char *address = gkv_transport_get_local_address (other);
  g_autoptr (GArray) log = g_array_new (FALSE, FALSE, sizeof (guint));
  guint n_failures = 0;

  g_signal_connect (other, "received", G_CALLBACK (on_received), log);
  g_signal_connect (one, "failed", G_CALLBACK (on_failed), &n_failures);
  refuse (300, GPOINTER_TO_INT (data));
  for (guint i = 0; i < N_DATAGRAMS; i++)
    {
      send_number (one, address, i);
      while (!gkv_transport_flush (one, NULL))
        n_failures++;
      if (i % 100 == 99)
        while (g_main_context_iteration (NULL, FALSE))
          ;
    }
  while (log->len < N_DATAGRAMS)
    g_main_context_iteration (NULL, TRUE);
  refuse (0, 0);

  for (guint i = 0; i < N_DATAGRAMS; i++)
    g_assert_cmpuint (g_array_index (log, guint, i), ==, i);
  g_assert_cmpuint (n_failures, >, 0);
}

/* One that finds no memory for ever isn't waited for, nor is anything behind it. */
static void
test_in_vain (void)
{
  g_autoptr (GkvTransport) one = open_transport ();
  g_autoptr (GkvTransport) other = open_transport ();
  g_autofree char *address = gkv_transport_get_local_address (other);
  g_autoptr (GArray) log = g_array_new (FALSE, FALSE, sizeof (guint));

  g_signal_connect (other, "received", G_CALLBACK (on_received), log);
  refuse (1000, ENOBUFS);
  for (guint i = 0; i < 3; i++)
    send_number (one, address, i);
  gkv_transport_flush (one, NULL);
  while (g_atomic_int_get (&n_refused) < 10)
    g_main_context_iteration (NULL, TRUE);

  refuse (0, 0);
  send_number (one, address, 3);
  while (!gkv_transport_flush (one, NULL))
    ;
  while (log->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (log->len, ==, 1);
  g_assert_cmpuint (g_array_index (log, guint, 0), ==, 3);
}

/* What is said in parting leaves as well. */
static void
test_close (void)
{
  g_autoptr (GkvTransport) one = open_transport ();
  g_autoptr (GkvTransport) other = open_transport ();
  g_autofree char *address = gkv_transport_get_local_address (other);
  g_autoptr (GArray) log = g_array_new (FALSE, FALSE, sizeof (guint));

  g_signal_connect (other, "received", G_CALLBACK (on_received), log);
  refuse (300, ENOBUFS);
  for (guint i = 0; i < 20; i++)
    send_number (one, address, i);
  gkv_transport_close (one);
  refuse (0, 0);
  while (log->len < 20)
    g_main_context_iteration (NULL, TRUE);
}

/* Nodes */

static gboolean
on_wake (gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

static guint64
get_stat (GkvNode *node, const char *name)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);
  guint64 value = 0;

  g_variant_lookup (stats, name, "t", &value);
  return value;
}

static GkvNode *
start_node (const char *seed)
{
  const char *seeds[] = { seed, NULL };
  GkvNode *node = g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, NULL);
  g_autoptr (GError) error = NULL;

  gkv_node_start (node, NULL, &error);
  g_assert_no_error (error);
  return node;
}

static void
on_error (GkvNode *node, const GError *error, guint *n_told)
{
  if (error->code == GKV_ERROR_TRANSPORT)
    (*n_told)++;
}

static void
test_nodes (void)
{
  GkvNode *one = start_node (NULL);
  GkvNode *other = start_node (gkv_node_get_local_address (one));
  g_autofree guint8 *large = g_malloc0 (LARGE);
  g_autoptr (GBytes) bytes = g_bytes_new (large, LARGE);
  guint n_told = 0, wake = g_timeout_add (10, on_wake, NULL);

  g_signal_connect (one, "error", G_CALLBACK (on_error), &n_told);
  while (get_stat (one, "peers-alive") == 0 || get_stat (other, "peers-alive") == 0)
    g_main_context_iteration (NULL, TRUE);

  refuse (300, ENOBUFS);
  for (guint i = 0; i < N_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      g_assert_true (gkv_node_set_string (one, key, key, NULL));
    }
  g_assert_true (gkv_node_set_bytes (one, "large", bytes, NULL));
  while (gkv_node_get_n_keys (other) < N_KEYS + 1)
    g_main_context_iteration (NULL, TRUE);
  while (n_told == 0)
    g_main_context_iteration (NULL, TRUE);
  refuse (0, 0);

  g_assert_cmpuint (n_told, ==, 1);
  g_assert_cmpuint (get_stat (one, "send-errors-busy"), >, 0);

  g_source_remove (wake);
  g_object_unref (other);
  g_object_unref (one);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/refused/again/buffers", GINT_TO_POINTER (ENOBUFS), test_again);
  g_test_add_data_func ("/refused/again/memory", GINT_TO_POINTER (ENOMEM), test_again);
  g_test_add_func ("/refused/in-vain", test_in_vain);
  g_test_add_func ("/refused/close", test_close);
  g_test_add_func ("/refused/nodes", test_nodes);

  return g_test_run ();
}
