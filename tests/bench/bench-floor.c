/* The floor of filling a node: a bare pair of UDP sockets in two processes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DATAGRAM 1200
#define BATCH    16
/* Batches under way: what a socket's buffer surely holds. */
#define WINDOW 4

static void
connect_pair (int sockets[2])
{
  struct sockaddr_in addresses[2];

  for (guint i = 0; i < 2; i++)
    {
      socklen_t len = sizeof addresses[i];

      memset (&addresses[i], 0, sizeof addresses[i]);
      addresses[i].sin_family = AF_INET;
      addresses[i].sin_addr.s_addr = htonl (INADDR_LOOPBACK);
      sockets[i] = socket (AF_INET, SOCK_DGRAM, 0);
      if (bind (sockets[i], (struct sockaddr *) &addresses[i], len) < 0 ||
          getsockname (sockets[i], (struct sockaddr *) &addresses[i], &len) < 0)
        g_error ("no socket to measure with");
    }
  for (guint i = 0; i < 2; i++)
    if (connect (sockets[i], (struct sockaddr *) &addresses[1 - i], sizeof addresses[i]) < 0)
      g_error ("no socket to measure with");
}

typedef struct
{
  char data[BATCH][DATAGRAM];
  struct iovec vectors[BATCH];
  struct mmsghdr messages[BATCH];
} Batch;

static void
batch_init (Batch *batch)
{
  memset (batch, 0, sizeof *batch);
  for (guint i = 0; i < BATCH; i++)
    {
      batch->vectors[i] = (struct iovec){ batch->data[i], DATAGRAM };
      batch->messages[i].msg_hdr.msg_iov = &batch->vectors[i];
      batch->messages[i].msg_hdr.msg_iovlen = 1;
    }
}

static int
check (int result)
{
  if (result < 0)
    g_error ("a socket to measure with failed: %s", g_strerror (errno));
  return result;
}

/* A byte back for each batch that came is credit for another. */
static void
send_all (int fd, gsize n_batches)
{
  Batch batch;
  gsize n_credited = 0;
  char credit;

  batch_init (&batch);
  for (gsize i = 0; i < n_batches; i++)
    {
      int n = 0;

      while (i - n_credited >= WINDOW && recv (fd, &credit, 1, 0) == 1)
        n_credited++;
      while (n < BATCH)
        n += check (sendmmsg (fd, batch.messages + n, BATCH - n, 0));
    }
}

static void
receive_all (int fd, gsize n_batches)
{
  Batch batch;
  gsize n_got = 0, n_credited = 0;

  batch_init (&batch);
  while (n_got < n_batches * BATCH)
    {
      n_got += check (recvmmsg (fd, batch.messages, BATCH, MSG_WAITFORONE, NULL));
      for (; n_credited < n_got / BATCH; n_credited++)
        check (send (fd, "", 1, 0));
    }
}

double
bench_floor_measure (gsize bytes)
{
  gsize n_batches = (bytes + BATCH * DATAGRAM - 1) / (BATCH * DATAGRAM);
  int sockets[2];
  gint64 start;
  pid_t child;

  connect_pair (sockets);
  start = g_get_monotonic_time ();
  child = fork ();
  if (child == 0)
    {
      send_all (sockets[1], n_batches);
      _exit (0);
    }
  receive_all (sockets[0], n_batches);
  start = g_get_monotonic_time () - start;
  waitpid (child, NULL, 0);
  close (sockets[0]);
  close (sockets[1]);

  return start / 1e6;
}
