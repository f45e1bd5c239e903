/* The floor of a pair: two bare UDP sockets and poll ().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fd;
static gboolean is_connected;

static void
check (int result)
{
  if (result < 0)
    g_error ("a socket to measure with failed: %s", g_strerror (errno));
}

static char *
udp_open (const char *peer)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl (INADDR_LOOPBACK) } };
  socklen_t len = sizeof address;

  fd = socket (AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check (bind (fd, (struct sockaddr *) &address, len));
  check (getsockname (fd, (struct sockaddr *) &address, &len));
  if (peer != NULL)
    {
      struct sockaddr_in other = address;

      other.sin_port = htons (atoi (peer));
      check (connect (fd, (struct sockaddr *) &other, sizeof other));
      is_connected = TRUE;
    }

  return g_strdup_printf ("%u", ntohs (address.sin_port));
}

static void
udp_write (const PairValue *value)
{
  /* A full buffer loses what is written without pause, as it does with UDP. */
  if (send (fd, value, sizeof *value, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
    check (-1);
}

static void
receive (void)
{
  struct sockaddr_in from;
  socklen_t len = sizeof from;
  PairValue value;

  if (recvfrom (fd, &value, sizeof value, 0, (struct sockaddr *) &from, &len) != sizeof value)
    return;
  /* The end that was opened first learns here who the other is. */
  if (!is_connected)
    {
      check (connect (fd, (struct sockaddr *) &from, len));
      is_connected = TRUE;
    }
  pair_receive (&value);
}

static void
udp_run (int timer)
{
  struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = timer, .events = POLLIN } };

  while (!pair_is_stopped ())
    {
      if (poll (fds, G_N_ELEMENTS (fds), pair_is_flooding () ? 0 : -1) < 0)
        continue;
      if (fds[0].revents != 0)
        receive ();
      if (fds[1].revents != 0)
        pair_tick (timer);
      if (pair_is_flooding ())
        pair_flood ();
    }
}

const PairLink pair_link_udp = {
  .name = "udp",
  .open = udp_open,
  .write = udp_write,
  .run = udp_run,
};
