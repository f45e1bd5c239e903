/* What UDP takes of the system beyond POSIX, with what does the same elsewhere.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

#include <sys/socket.h>

G_BEGIN_DECLS

/* GKV_PORTABLE has the library do without, to test that. */
#if defined GKV_HAVE_MMSG && !defined GKV_PORTABLE
#define GKV_UDP_USE_MMSG
typedef struct mmsghdr GkvUdpMessage;
#else
typedef struct
{
  struct msghdr msg_hdr;
  unsigned int msg_len;
} GkvUdpMessage;
#endif

/* A socket that doesn't block, and that other programs don't inherit. */
int gkv_udp_system_open_socket (int family);
/* How many messages were sent or received, in one system call where there is such a one; -1 with errno: not the first.
 */
int gkv_udp_system_send (int fd, GkvUdpMessage *messages, guint n_messages);
int gkv_udp_system_receive (int fd, GkvUdpMessage *messages, guint n_messages);

G_END_DECLS
