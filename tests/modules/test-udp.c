/* The transport "udp": its addresses, what it says when something fails, its batches, its threads, its look-ups.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child process that can't do its test exits with. */
#define SKIPPED 77

#define N_NAMES     30
#define MAX_LOOKUPS 4

static GkvTransport *
make_transport (void)
{
  g_autoptr (GError) error = NULL;
  GkvTransport *transport = gkv_transport_new_for_name ("udp", &error);

  g_assert_no_error (error);
  return transport;
}

static GkvTransport *
open_transport (const char *bind_address)
{
  g_autoptr (GError) error = NULL;
  GkvTransport *transport = make_transport ();

  gkv_transport_open (transport, bind_address, &error);
  g_assert_no_error (error);
  return transport;
}

static void
send_text (GkvTransport *transport, const char *address, const char *text)
{
  g_autoptr (GBytes) datagram = g_bytes_new (text, strlen (text));
  g_autoptr (GError) error = NULL;

  gkv_transport_send (transport, address, datagram, &error);
  g_assert_no_error (error);
}

static void
flush (GkvTransport *transport)
{
  g_autoptr (GError) error = NULL;

  gkv_transport_flush (transport, &error);
  g_assert_no_error (error);
}

/* What a transport brings: the texts, each with who sent it, and a "." for each `drained`. */

static void
on_received (GkvTransport *transport, const char *address, GBytes *datagram, GPtrArray *log)
{
  gsize size;
  const char *data = g_bytes_get_data (datagram, &size);

  g_ptr_array_add (log, g_strdup_printf ("%.*s", (int) size, data));
  g_object_set_data_full (G_OBJECT (transport), "from", g_strdup (address), g_free);
}

static void
on_drained (GkvTransport *transport, GPtrArray *log)
{
  g_ptr_array_add (log, g_strdup ("."));
}

static GPtrArray *
log_new (GkvTransport *transport)
{
  GPtrArray *log = g_ptr_array_new_with_free_func (g_free);

  g_signal_connect (transport, "received", G_CALLBACK (on_received), log);
  g_signal_connect (transport, "drained", G_CALLBACK (on_drained), log);
  return log;
}

static void
wait_for (GPtrArray *log, guint n)
{
  while (log->len < n)
    g_main_context_iteration (NULL, TRUE);
}

/* Addresses */

typedef struct
{
  const char *text;
  const char *bind; /* "": an error, NULL: to be looked up */
  const char *advertise;
  const char *peer;
} AddressCase;

static const AddressCase address_cases[] = {
  { "127.0.0.1:7", "127.0.0.1:7", "127.0.0.1:7", "127.0.0.1:7" },
  { "127.0.0.1:007", "127.0.0.1:7", "127.0.0.1:7", "127.0.0.1:7" },
  { "127.0.0.1:0", "127.0.0.1:0", "", "" },
  { "0.0.0.0:7", "0.0.0.0:7", "", "" },
  { "[::]:7", "[::]:7", "", "" },
  { "[::0]:7", "[::]:7", "", "" },
  { "[::ffff:0.0.0.0]:7", "0.0.0.0:7", "", "" },
  { "[::ffff:10.0.0.1]:7", "10.0.0.1:7", "10.0.0.1:7", "10.0.0.1:7" },
  { "[::FFFF:a00:1]:7", "10.0.0.1:7", "10.0.0.1:7", "10.0.0.1:7" },
  { "[2001:DB8:0:0:0:0:0:1]:7", "[2001:db8::1]:7", "[2001:db8::1]:7", "[2001:db8::1]:7" },
  { "[2001:db8:0:1:1:1:1:1]:7", "[2001:db8:0:1:1:1:1:1]:7", "[2001:db8:0:1:1:1:1:1]:7", "[2001:db8:0:1:1:1:1:1]:7" },
  { "[2001:0:0:1:0:0:0:1]:7", "[2001:0:0:1::1]:7", "[2001:0:0:1::1]:7", "[2001:0:0:1::1]:7" },
  { "[::1.2.3.4]:7", "[::102:304]:7", "[::102:304]:7", "[::102:304]:7" },
  { "[::1]:7", "[::1]:7", "[::1]:7", "[::1]:7" },
  { "[2001:db8::1%1]:7", "[2001:db8::1]:7", "[2001:db8::1]:7", "[2001:db8::1]:7" },
  { "[fe80::1%1]:7", "[fe80::1%1]:7", "[fe80::1%1]:7", "[fe80::1%1]:7" },
  { "[fe80::1%lo]:7", "[fe80::1%1]:7", "[fe80::1%1]:7", "[fe80::1%1]:7" },
  { "[fe80::1%nowhere]:7", "", "", "" },
  { "[fe80::1%]:7", "", "", "" },
  { "[fe80::1]:7", "", "[fe80::1]:7", "" },
  { "224.0.0.251:7", "", "", "" },
  { "[ff02::fb%1]:7", "", "", "" },
  { "255.255.255.255:7", "", "", "" },
  { "name.example:7", NULL, NULL, NULL },
  { "localhost:7", NULL, NULL, NULL },
  { "name.example:0", NULL, "", "" },
  { "name.example", "", "", "" },
  { "name.example:65536", "", "", "" },
  { "name.example:-1", "", "", "" },
  { "300.0.0.1:7", "", "", "" },
  { "::1:7", "", "", "" },
  { "[::1]7", "", "", "" },
  { "[name]:7", "", "", "" },
  { ":7", "", "", "" },
  { "", "", "", "" },
  { "a b:7", "", "", "" },
  { "\xff:7", "", "", "" },
};

static void
test_addresses (void)
{
  g_autoptr (GkvTransport) transport = make_transport ();

  for (guint i = 0; i < G_N_ELEMENTS (address_cases); i++)
    {
      const AddressCase *test = &address_cases[i];
      const char *expected[] = { test->bind, test->advertise, test->peer };

      for (GkvAddressUse use = GKV_ADDRESS_USE_BIND; use <= GKV_ADDRESS_USE_PEER; use++)
        {
          g_autoptr (GError) error = NULL;
          g_autofree char *canonical = gkv_transport_normalize (transport, test->text, use, &error);

          if (g_strcmp0 (expected[use], "") == 0)
            {
              g_assert_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS);
              g_assert_null (canonical);
              continue;
            }
          g_assert_no_error (error);
          g_assert_cmpstr (canonical, ==, expected[use]);
        }
    }
}

/* Failures to open: each has the hint of its own cause, and no other. */

static void
assert_open_fails (const char *bind_address, const char *hint)
{
  g_autoptr (GkvTransport) transport = make_transport ();
  g_autoptr (GError) error = NULL;

  g_assert_false (gkv_transport_open (transport, bind_address, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  if (strstr (error->message, bind_address) == NULL || strstr (error->message, hint) == NULL)
    g_error ("\"%s\" or \"%s\" isn't in: %s", bind_address, hint, error->message);
  if (!g_str_equal (hint, "not an address of this machine") &&
      strstr (error->message, "address of this machine") != NULL)
    g_error ("this is another cause: %s", error->message);
  g_assert_null (gkv_transport_get_local_address (transport));
}

static void
test_open_fails (void)
{
  g_autoptr (GkvTransport) other = open_transport ("127.0.0.1:0");
  g_autofree char *taken = gkv_transport_get_local_address (other);

  assert_open_fails (taken, "another port");
  assert_open_fails ("192.0.2.1:0", "not an address of this machine");
}

/* Runs a test in a process of its own, which may change what it likes. */
static void
run_apart (void (*test) (void))
{
  pid_t child = fork ();
  int status;

  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    {
      test ();
      _exit (0);
    }

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  if (WIFEXITED (status) && WEXITSTATUS (status) == SKIPPED)
    g_test_skip ("the system doesn't let this process set up what the test needs");
  else
    g_assert_cmpint (status, ==, 0);
}

static void
open_without_descriptors (void)
{
  g_autoptr (GkvTransport) transport G_GNUC_UNUSED = make_transport (); /* loads the module */
  int lowest = dup (0);
  struct rlimit limit = { lowest, lowest };

  close (lowest);
  if (setrlimit (RLIMIT_NOFILE, &limit) != 0)
    _exit (SKIPPED);
  assert_open_fails ("127.0.0.1:0", "oo many open files");
}

static void
test_open_without_descriptors (void)
{
  run_apart (open_without_descriptors);
}

static void
open_without_privilege (void)
{
  g_autofree char *first = NULL;
  g_autoptr (GkvTransport) transport G_GNUC_UNUSED = make_transport (); /* loads the module */

  if (!g_file_get_contents ("/proc/sys/net/ipv4/ip_unprivileged_port_start", &first, NULL, NULL) || atoi (first) < 1024)
    _exit (SKIPPED);
  if (geteuid () == 0 && seteuid (65534) != 0)
    _exit (SKIPPED);
  assert_open_fails ("127.0.0.1:7", "below 1024");
}

static void
test_open_without_privilege (void)
{
  run_apart (open_without_privilege);
}

/* Batches */

static void
test_exchange (gconstpointer data)
{
  const char *bind_address = data;
  g_autoptr (GkvTransport) one = open_transport (bind_address);
  g_autoptr (GkvTransport) other = open_transport (bind_address);
  g_autofree char *one_address = gkv_transport_get_local_address (one);
  g_autofree char *other_address = gkv_transport_get_local_address (other);
  g_autofree char *canonical = gkv_transport_normalize (one, one_address, GKV_ADDRESS_USE_PEER, NULL);
  g_autoptr (GPtrArray) log = log_new (other);

  g_assert_cmpstr (canonical, ==, one_address);

  send_text (one, other_address, "a");
  send_text (one, other_address, "b");
  g_assert_cmpuint (log->len, ==, 0);
  flush (one);
  wait_for (log, 3);

  /* They came together, and are said to be complete once. */
  g_assert_cmpstr (log->pdata[0], ==, "a");
  g_assert_cmpstr (log->pdata[1], ==, "b");
  g_assert_cmpstr (log->pdata[2], ==, ".");
  g_assert_cmpstr (g_object_get_data (G_OBJECT (other), "from"), ==, one_address);
}

static void
test_many (void)
{
  g_autoptr (GkvTransport) one = open_transport ("127.0.0.1:0");
  g_autoptr (GkvTransport) other = open_transport ("127.0.0.1:0");
  g_autofree char *address = gkv_transport_get_local_address (other);
  g_autoptr (GPtrArray) log = log_new (other);
  guint n = 0;

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      send_text (one, address, text);
      if (i % 100 == 99)
        {
          flush (one);
          while (g_main_context_iteration (NULL, FALSE))
            ;
        }
    }
  while (log->len == 0 || !g_str_equal (log->pdata[log->len - 1], ".") || n < 1000)
    {
      n = 0;
      for (guint i = 0; i < log->len; i++)
        if (!g_str_equal (log->pdata[i], "."))
          {
            g_autofree char *expected = g_strdup_printf ("%u", n++);

            g_assert_cmpstr (log->pdata[i], ==, expected);
          }
      if (n < 1000)
        g_main_context_iteration (NULL, TRUE);
    }
}

/* Runs a main loop in the first handler until all has come: nothing is lost, nothing comes twice, the order stays. */
static void
on_received_iterate (GkvTransport *transport, const char *address, GBytes *datagram, GPtrArray *log)
{
  if (log->len == 1)
    wait_for (log, 5);
}

static void
test_nested (void)
{
  g_autoptr (GkvTransport) one = open_transport ("127.0.0.1:0");
  g_autoptr (GkvTransport) other = open_transport ("127.0.0.1:0");
  g_autofree char *address = gkv_transport_get_local_address (other);
  g_autoptr (GPtrArray) log = log_new (other);
  g_autoptr (GString) all = g_string_new (NULL);

  g_signal_connect (other, "received", G_CALLBACK (on_received_iterate), log);
  send_text (one, address, "a");
  send_text (one, address, "b");
  send_text (one, address, "c");
  flush (one);
  send_text (one, address, "d");
  flush (one);
  wait_for (log, 5);
  while (g_main_context_iteration (NULL, FALSE))
    ;

  for (guint i = 0; i < log->len; i++)
    if (!g_str_equal (log->pdata[i], "."))
      g_string_append (all, log->pdata[i]);
  g_assert_cmpstr (all->str, ==, "abcd");
}

static void
on_received_close (GkvTransport *transport, const char *address, GBytes *datagram, GPtrArray *log)
{
  gkv_transport_close (transport);
  g_assert_cmpstr (address, !=, "");
}

static void
test_close_in_handler (void)
{
  g_autoptr (GkvTransport) one = open_transport ("127.0.0.1:0");
  g_autoptr (GkvTransport) other = open_transport ("127.0.0.1:0");
  g_autofree char *address = gkv_transport_get_local_address (other);
  g_autoptr (GPtrArray) log = log_new (other);

  g_signal_connect (other, "received", G_CALLBACK (on_received_close), log);
  send_text (one, address, "a");
  send_text (one, address, "b");
  flush (one);
  wait_for (log, 1);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (log->len, ==, 1);
  g_assert_null (gkv_transport_get_local_address (other));

  /* It can be opened again. */
  g_assert_true (gkv_transport_open (other, "127.0.0.1:0", NULL));
}

/* Networks of one's own */

/* Gives this process an empty network with loopback up. */
static void
enter_namespace (void)
{
  struct ifreq request = { .ifr_name = "lo" };
  int fd;

  if (unshare (CLONE_NEWNET) != 0 && unshare (CLONE_NEWUSER | CLONE_NEWNET) != 0)
    _exit (SKIPPED);

  fd = socket (AF_INET, SOCK_DGRAM, 0);
  if (ioctl (fd, SIOCGIFFLAGS, &request) != 0)
    _exit (SKIPPED);
  request.ifr_flags |= IFF_UP;
  if (ioctl (fd, SIOCSIFFLAGS, &request) != 0)
    _exit (SKIPPED);
  close (fd);
}

static void
send_without_route (void)
{
  g_autoptr (GkvTransport) one = NULL;
  g_autoptr (GkvTransport) other = NULL;
  g_autoptr (GPtrArray) log = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *address = NULL;

  enter_namespace ();
  one = open_transport ("0.0.0.0:0");
  other = open_transport ("127.0.0.1:0");
  address = gkv_transport_get_local_address (other);
  log = log_new (other);

  send_text (one, address, "a");
  send_text (one, "192.0.2.1:7", "lost");
  send_text (one, address, "b");
  g_assert_false (gkv_transport_flush (one, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  g_assert_nonnull (strstr (error->message, "192.0.2.1:7"));
  g_assert_nonnull (strstr (error->message, g_strerror (ENETUNREACH)));

  /* The others have left, and it is reported once. */
  wait_for (log, 2);
  g_assert_cmpstr (log->pdata[0], ==, "a");
  g_assert_cmpstr (log->pdata[1], ==, "b");
  flush (one);
}

static void
test_without_route (void)
{
  run_apart (send_without_route);
}

/* Has what loopback carries wait in the kernel, so that a socket becomes full. */
static void
slow_loopback_down (void)
{
  int status = -1;

  if (!g_spawn_command_line_sync ("tc qdisc add dev lo root tbf rate 40mbit burst 64k latency 100s", NULL, NULL,
                                  &status, NULL) ||
      status != 0)
    _exit (SKIPPED);
}

#define WAITING_SIZE 8000

/* More than a socket takes, whose buffer is of 4 MB at the most, and counts double. */
static guint
count_waiting (void)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents ("/proc/sys/net/core/wmem_max", &text, NULL, NULL))
    _exit (SKIPPED);
  return MIN (atoi (text), 4 * 1024 * 1024) * 2 / WAITING_SIZE + 100;
}

static void
send_while_full (void)
{
  g_autoptr (GkvTransport) one = NULL;
  g_autoptr (GkvTransport) other = NULL;
  g_autoptr (GPtrArray) log = NULL;
  g_autofree char *address = NULL;
  guint n_waiting = count_waiting (), n = 0;

  enter_namespace ();
  slow_loopback_down ();
  one = open_transport ("127.0.0.1:0");
  other = make_transport ();
  g_object_set (other, "max-datagram-size", WAITING_SIZE, NULL);
  g_assert_true (gkv_transport_open (other, "127.0.0.1:0", NULL));
  address = gkv_transport_get_local_address (other);
  log = log_new (other);

  /* The socket takes some of them. The rest waits, and nothing of it is lost or comes twice. */
  for (guint i = 0; i < n_waiting; i++)
    {
      g_autofree char *text = g_strdup_printf ("%0*u", WAITING_SIZE, i);

      send_text (one, address, text);
    }
  flush (one);
  while (n < n_waiting)
    {
      wait_for (log, log->len + 1);
      for (guint i = 0; i < log->len; i++)
        if (!g_str_equal (log->pdata[i], "."))
          g_assert_cmpint (atoi (log->pdata[i]), ==, n++);
      g_ptr_array_set_size (log, 0);
    }
}

static void
test_full (void)
{
  run_apart (send_while_full);
}

static void
on_failed (GkvTransport *transport, const GError *error, GPtrArray *log)
{
  g_ptr_array_add (log, g_strdup (error->message));
}

static void
fail_while_full (void)
{
  g_autoptr (GkvTransport) one = NULL;
  g_autoptr (GPtrArray) log = g_ptr_array_new_with_free_func (g_free);
  guint n_waiting = count_waiting ();
  int status = -1;

  enter_namespace ();
  slow_loopback_down ();
  one = open_transport ("127.0.0.1:0");
  g_signal_connect (one, "failed", G_CALLBACK (on_failed), log);
  for (guint i = 0; i < n_waiting; i++)
    {
      g_autofree char *text = g_strdup_printf ("%0*u", WAITING_SIZE, i);

      send_text (one, "127.0.0.2:7", text);
    }
  flush (one);

  /* The network goes while they wait. No call is there to fail. */
  g_assert_true (g_spawn_command_line_sync ("ip address flush dev lo", NULL, NULL, &status, NULL));
  g_assert_true (g_spawn_command_line_sync ("ip link set lo down", NULL, NULL, &status, NULL));
  wait_for (log, 1);
  g_assert_nonnull (strstr (log->pdata[0], "127.0.0.2:7"));
}

static void
test_fails_while_full (void)
{
  run_apart (fail_while_full);
}

/* That nobody listens at one address concerns nobody else. */
static void
test_nobody_there (void)
{
  g_autoptr (GkvTransport) one = open_transport ("127.0.0.1:0");
  g_autoptr (GkvTransport) gone = open_transport ("127.0.0.1:0");
  g_autofree char *address = gkv_transport_get_local_address (gone);

  gkv_transport_close (gone);
  for (guint i = 0; i < 10; i++)
    {
      send_text (one, address, "x");
      flush (one);
      g_main_context_iteration (NULL, FALSE);
    }
}

static void
bind_on_v6only_host (void)
{
  g_autoptr (GkvTransport) six = NULL;
  g_autoptr (GkvTransport) four = NULL;
  g_autoptr (GPtrArray) log = NULL;
  g_autofree char *bound = NULL;
  g_autofree char *address = NULL;
  g_autofree char *four_address = NULL;

  enter_namespace ();
  if (!g_file_set_contents_full ("/proc/sys/net/ipv6/bindv6only", "1", 1, G_FILE_SET_CONTENTS_NONE, 0644, NULL))
    _exit (SKIPPED);

  six = open_transport ("[::]:0");
  four = open_transport ("127.0.0.1:0");
  log = log_new (six);
  bound = gkv_transport_get_local_address (six);
  address = g_strdup_printf ("127.0.0.1%s", strrchr (bound, ':'));
  four_address = gkv_transport_get_local_address (four);

  send_text (four, address, "a");
  flush (four);
  wait_for (log, 1);
  g_assert_cmpstr (g_object_get_data (G_OBJECT (six), "from"), ==, four_address);
}

static void
test_v6only (void)
{
  run_apart (bind_on_v6only_host);
}

static void
test_wrong_family (void)
{
  g_autoptr (GkvTransport) transport = open_transport ("127.0.0.1:0");
  g_autoptr (GBytes) datagram = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;

  g_assert_false (gkv_transport_send (transport, "[::1]:7", datagram, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
}

/* Threads: opened, dispatched and closed in one, while others send. */

typedef struct
{
  GMutex lock; /* as a node's: held in handlers, and by who sends */
  GCond cond;
  GkvTransport *transport;
  GMainContext *context;
  char *address;
  guint n_received;
  gboolean stop;
} Moved;

static void
on_moved_received (GkvTransport *transport, const char *address, GBytes *datagram, Moved *moved)
{
  g_mutex_lock (&moved->lock);
  moved->n_received++;
  g_cond_broadcast (&moved->cond);
  g_mutex_unlock (&moved->lock);
}

static gpointer
run_moved (gpointer data)
{
  Moved *moved = data;

  g_main_context_push_thread_default (moved->context);
  g_assert_true (gkv_transport_open (moved->transport, "127.0.0.1:0", NULL));
  g_mutex_lock (&moved->lock);
  moved->address = gkv_transport_get_local_address (moved->transport);
  g_cond_broadcast (&moved->cond);
  while (!moved->stop)
    {
      g_mutex_unlock (&moved->lock);
      g_main_context_iteration (moved->context, TRUE);
      g_mutex_lock (&moved->lock);
    }
  gkv_transport_close (moved->transport);
  g_mutex_unlock (&moved->lock);
  g_main_context_pop_thread_default (moved->context);

  return NULL;
}

static void
test_moved (void)
{
  Moved moved = { .transport = make_transport (), .context = g_main_context_new () };
  GThread *thread;

  g_mutex_init (&moved.lock);
  g_cond_init (&moved.cond);
  g_assert_true (gkv_transport_is_thread_movable (moved.transport));
  g_signal_connect (moved.transport, "received", G_CALLBACK (on_moved_received), &moved);
  thread = g_thread_new ("moved", run_moved, &moved);

  g_mutex_lock (&moved.lock);
  while (moved.address == NULL)
    g_cond_wait (&moved.cond, &moved.lock);
  for (guint i = 0; i < 5000; i++)
    {
      /* To itself, from here; never more than its buffer takes. */
      while (i >= moved.n_received + 100)
        g_cond_wait (&moved.cond, &moved.lock);
      send_text (moved.transport, moved.address, "x");
      flush (moved.transport);
      if (i % 7 == 0)
        {
          g_mutex_unlock (&moved.lock);
          g_mutex_lock (&moved.lock);
        }
    }
  while (moved.n_received < 5000)
    g_cond_wait (&moved.cond, &moved.lock);
  moved.stop = TRUE;
  g_mutex_unlock (&moved.lock);
  g_main_context_wakeup (moved.context);
  g_thread_join (thread);

  g_assert_null (gkv_transport_get_local_address (moved.transport));
  g_object_unref (moved.transport);
  g_main_context_unref (moved.context);
  g_free (moved.address);
  g_cond_clear (&moved.cond);
  g_mutex_clear (&moved.lock);
}

/* Look-ups. A resolver whose name server doesn't reply until it is let. */

typedef GResolver SlowResolver;
typedef GResolverClass SlowResolverClass;

static GMutex slow_lock;
static GCond slow_cond;
static gboolean slow_replies;
static guint slow_n_under_way;
static guint slow_n_most;
static guint slow_n_asked;

static GType slow_resolver_get_type (void);

G_DEFINE_TYPE (SlowResolver, slow_resolver, G_TYPE_RESOLVER)

static GList *
slow_resolver_lookup_by_name (GResolver *resolver, const char *name, GCancellable *cancellable, GError **error)
{
  g_mutex_lock (&slow_lock);
  slow_n_asked++;
  slow_n_under_way++;
  slow_n_most = MAX (slow_n_most, slow_n_under_way);
  g_cond_broadcast (&slow_cond);
  while (!slow_replies)
    g_cond_wait (&slow_cond, &slow_lock);
  slow_n_under_way--;
  g_mutex_unlock (&slow_lock);

  if (g_str_has_prefix (name, "unknown"))
    {
      g_set_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "No such name");
      return NULL;
    }
  if (g_str_has_prefix (name, "own"))
    return g_list_append (NULL, g_inet_address_new_from_string ("127.0.1.1"));
  return g_list_append (g_list_append (NULL, g_inet_address_new_from_string ("2001:db8::7")),
                        g_inet_address_new_from_string ("192.0.2.7"));
}

/* As GIO's own does it: on the threads that all share. */
static void
slow_resolver_run (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  GList *addresses = slow_resolver_lookup_by_name (source, data, cancellable, &error);

  if (addresses != NULL)
    g_task_return_pointer (task, addresses, NULL);
  else
    g_task_return_error (task, error);
}

static void
slow_resolver_lookup_by_name_async (
    GResolver *resolver, const char *name, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (resolver, cancellable, callback, user_data);

  g_task_set_task_data (task, g_strdup (name), g_free);
  g_task_run_in_thread (task, slow_resolver_run);
}

static GList *
slow_resolver_lookup_by_name_finish (GResolver *resolver, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
slow_resolver_class_init (SlowResolverClass *klass)
{
  klass->lookup_by_name = slow_resolver_lookup_by_name;
  klass->lookup_by_name_async = slow_resolver_lookup_by_name_async;
  klass->lookup_by_name_finish = slow_resolver_lookup_by_name_finish;
}

static void
slow_resolver_init (SlowResolver *self)
{
}

static void
set_replies (gboolean replies)
{
  g_mutex_lock (&slow_lock);
  slow_replies = replies;
  slow_n_asked = slow_n_most = 0;
  g_cond_broadcast (&slow_cond);
  g_mutex_unlock (&slow_lock);
}

static void
use_slow_resolver (void)
{
  g_autoptr (GResolver) resolver = g_object_new (slow_resolver_get_type (), NULL);

  g_resolver_set_default (resolver);
  set_replies (FALSE);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_ptr_array_add (user_data, g_object_ref (result));
}

static void
test_lookups (void)
{
  g_autoptr (GkvTransport) transport = make_transport ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) resolved = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) read = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GFile) file = g_file_new_for_path ("/proc/self/status");

  use_slow_resolver ();
  for (guint i = 0; i < N_NAMES; i++)
    {
      g_autofree char *address = g_strdup_printf ("name%u.example:7", i);

      gkv_transport_resolve_async (transport, address, i % 2 == 0 ? cancellable : NULL, on_done, resolved);
    }

  /* A few are asked for, and what else the process does isn't held up by the rest. */
  g_mutex_lock (&slow_lock);
  while (slow_n_under_way < MAX_LOOKUPS)
    g_cond_wait (&slow_cond, &slow_lock);
  g_mutex_unlock (&slow_lock);
  g_file_load_contents_async (file, NULL, on_done, read);
  wait_for (read, 1);
  g_assert_cmpuint (resolved->len, ==, 0);

  /* To try again asks for nothing anew. */
  g_cancellable_cancel (cancellable);
  wait_for (resolved, N_NAMES / 2);
  for (guint i = 0; i < resolved->len; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (gkv_transport_resolve_finish (transport, resolved->pdata[i], &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
  for (guint i = 0; i < N_NAMES; i++)
    {
      g_autofree char *address = g_strdup_printf ("name%u.example:7", i);

      gkv_transport_resolve_async (transport, address, NULL, on_done, resolved);
    }
  g_mutex_lock (&slow_lock);
  g_assert_cmpuint (slow_n_asked, ==, MAX_LOOKUPS);
  slow_replies = TRUE;
  g_cond_broadcast (&slow_cond);
  g_mutex_unlock (&slow_lock);

  wait_for (resolved, 2 * N_NAMES);
  for (guint i = N_NAMES / 2; i < resolved->len; i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (GStrv) addresses = gkv_transport_resolve_finish (transport, resolved->pdata[i], &error);

      g_assert_no_error (error);
      g_assert_cmpuint (g_strv_length (addresses), ==, 2);
      g_assert_cmpstr (addresses[0], ==, "[2001:db8::7]:7");
      g_assert_cmpstr (addresses[1], ==, "192.0.2.7:7");
    }
  g_mutex_lock (&slow_lock);
  g_assert_cmpuint (slow_n_asked, ==, N_NAMES);
  g_assert_cmpuint (slow_n_most, ==, MAX_LOOKUPS);
  g_mutex_unlock (&slow_lock);
}

/* Dropped while it waits for names: nothing of it is touched when they come. */
static void
test_lookups_dropped (void)
{
  g_autoptr (GkvTransport) transport = make_transport ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) done = g_ptr_array_new_with_free_func (g_object_unref);

  use_slow_resolver ();
  for (guint i = 0; i < N_NAMES; i++)
    {
      g_autofree char *address = g_strdup_printf ("dropped%u.example:7", i);

      gkv_transport_resolve_async (transport, address, cancellable, on_done, done);
    }
  gkv_transport_open_async (transport, "dropped.example:0", cancellable, on_done, done);
  g_cancellable_cancel (cancellable);
  wait_for (done, N_NAMES + 1);
  g_ptr_array_set_size (done, 0);
  g_object_add_weak_pointer (G_OBJECT (transport), (gpointer *) &transport);
  g_object_unref (transport);
  g_assert_null (transport);

  set_replies (TRUE);
  g_mutex_lock (&slow_lock);
  while (slow_n_under_way > 0)
    g_cond_wait_until (&slow_cond, &slow_lock, g_get_monotonic_time () + 1000);
  g_mutex_unlock (&slow_lock);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static GStrv
resolve (GkvTransport *transport, const char *address, GError **error)
{
  g_autoptr (GPtrArray) done = g_ptr_array_new_with_free_func (g_object_unref);

  gkv_transport_resolve_async (transport, address, NULL, on_done, done);
  wait_for (done, 1);
  return gkv_transport_resolve_finish (transport, done->pdata[0], error);
}

static gboolean
open_by_name (GkvTransport *transport, const char *address, GError **error)
{
  g_autoptr (GPtrArray) done = g_ptr_array_new_with_free_func (g_object_unref);

  gkv_transport_open_async (transport, address, NULL, on_done, done);
  wait_for (done, 1);
  return gkv_transport_open_finish (transport, done->pdata[0], error);
}

static void
test_names (void)
{
  g_autoptr (GkvTransport) transport = make_transport ();
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) numeric = NULL;
  g_auto (GStrv) here = NULL;
  g_auto (GStrv) reachable = NULL;
  g_autofree char *local = NULL;
  g_autofree char *still = NULL;

  use_slow_resolver ();
  set_replies (TRUE);

  g_assert_null (resolve (transport, "unknown.example:7", &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  g_assert_nonnull (strstr (error->message, "unknown.example:7"));
  g_clear_error (&error);
  g_assert_null (resolve (transport, "no port", &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS);
  g_clear_error (&error);

  numeric = resolve (transport, "[::ffff:192.0.2.9]:7", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (numeric[0], ==, "192.0.2.9:7");
  g_assert_cmpuint (slow_n_asked, ==, 1);

  /* To bind by a name, too: of several addresses the first that works. */
  g_assert_false (open_by_name (transport, "elsewhere.example:0", &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  g_clear_error (&error);
  g_assert_false (open_by_name (transport, "unknown.example:0", &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  g_clear_error (&error);
  g_assert_true (open_by_name (transport, "localhost:0", &error));
  g_assert_no_error (error);
  local = gkv_transport_get_local_address (transport);
  g_assert_true (g_str_has_prefix (local, "127.0.0.1:"));
  g_assert_false (open_by_name (transport, "localhost:0", &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  g_clear_error (&error);
  still = gkv_transport_get_local_address (transport);
  g_assert_cmpstr (still, ==, local);

  /* Bound to IPv4, it gives what it can send to. */
  here = resolve (transport, "localhost:7", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (here[0], ==, "127.0.0.1:7");
  g_assert_null (here[1]);
  reachable = resolve (transport, "other.example:7", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (reachable[0], ==, "192.0.2.7:7");
  g_assert_null (reachable[1]);
}

/* As Debian's installer writes the hosts file: the machine's own name is 127.0.1.1, which no other machine reaches. */
static void
test_own_name (void)
{
  g_autoptr (GkvTransport) transport = make_transport ();
  g_autoptr (GPtrArray) log = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *local = NULL;

  use_slow_resolver ();
  set_replies (TRUE);
  g_signal_connect (transport, "failed", G_CALLBACK (on_failed), log);
  g_assert_true (open_by_name (transport, "localhost:0", NULL));
  g_assert_cmpuint (log->len, ==, 0);
  gkv_transport_close (transport);

  g_assert_true (open_by_name (transport, "own.example:0", NULL));
  local = gkv_transport_get_local_address (transport);
  g_assert_true (g_str_has_prefix (local, "127.0.1.1:"));
  g_assert_cmpuint (log->len, ==, 1);
  g_assert_nonnull (strstr (log->pdata[0], "own.example"));
  g_assert_nonnull (strstr (log->pdata[0], local));
}

static gboolean
has_ipv6 (void)
{
  g_autoptr (GkvTransport) transport = make_transport ();

  return gkv_transport_open (transport, "[::1]:0", NULL);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/udp/addresses", test_addresses);
  g_test_add_func ("/udp/open/fails", test_open_fails);
  g_test_add_func ("/udp/open/no-descriptors", test_open_without_descriptors);
  g_test_add_func ("/udp/open/no-privilege", test_open_without_privilege);
  g_test_add_func ("/udp/open/v6only", test_v6only);
  g_test_add_data_func ("/udp/exchange/ipv4", "127.0.0.1:0", test_exchange);
  if (has_ipv6 ())
    g_test_add_data_func ("/udp/exchange/ipv6", "[::1]:0", test_exchange);
  g_test_add_func ("/udp/many", test_many);
  g_test_add_func ("/udp/nested", test_nested);
  g_test_add_func ("/udp/close-in-handler", test_close_in_handler);
  g_test_add_func ("/udp/send/no-route", test_without_route);
  g_test_add_func ("/udp/send/full", test_full);
  g_test_add_func ("/udp/send/fails-while-full", test_fails_while_full);
  g_test_add_func ("/udp/send/nobody-there", test_nobody_there);
  g_test_add_func ("/udp/send/wrong-family", test_wrong_family);
  g_test_add_func ("/udp/moved", test_moved);
  g_test_add_func ("/udp/names", test_names);
  g_test_add_func ("/udp/names/own", test_own_name);
  g_test_add_func ("/udp/lookups", test_lookups);
  g_test_add_func ("/udp/lookups/dropped", test_lookups_dropped);

  return g_test_run ();
}
