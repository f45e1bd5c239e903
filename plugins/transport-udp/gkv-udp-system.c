/* What UDP takes of the system beyond POSIX, with what does the same elsewhere.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-udp-system.h"

#include <fcntl.h>
#include <netinet/in.h>

/* Where it lacks, sending on a socket of datagrams raises no signal either. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#ifdef GKV_UDP_USE_MMSG

int
gkv_udp_system_open_socket (int family)
{
  return socket (family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
}

int
gkv_udp_system_send (int fd, GkvUdpMessage *messages, guint n_messages)
{
  return sendmmsg (fd, messages, n_messages, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int
gkv_udp_system_receive (int fd, GkvUdpMessage *messages, guint n_messages)
{
  return recvmmsg (fd, messages, n_messages, MSG_DONTWAIT, NULL);
}

#else

int
gkv_udp_system_open_socket (int family)
{
  int fd = socket (family, SOCK_DGRAM, IPPROTO_UDP);

  if (fd >= 0)
    {
      fcntl (fd, F_SETFD, FD_CLOEXEC);
      fcntl (fd, F_SETFL, O_NONBLOCK);
    }

  return fd;
}

int
gkv_udp_system_send (int fd, GkvUdpMessage *messages, guint n_messages)
{
  guint n = 0;

  while (n < n_messages && sendmsg (fd, &messages[n].msg_hdr, MSG_NOSIGNAL) >= 0)
    n++;

  return n > 0 ? (int) n : -1;
}

int
gkv_udp_system_receive (int fd, GkvUdpMessage *messages, guint n_messages)
{
  guint n = 0;

  for (; n < n_messages; n++)
    {
      ssize_t size = recvmsg (fd, &messages[n].msg_hdr, 0);

      if (size < 0)
        break;
      messages[n].msg_len = (unsigned int) size;
    }

  return n > 0 ? (int) n : -1;
}

#endif
