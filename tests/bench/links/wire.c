/* A network for a bench: hosts that are network namespaces, and a wire between them with rates, queues, delays and
 * loss.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MTU 1500

/* Packets that are read from one host before the others have their turn. */
#define BATCH 64

typedef enum
{
  AWAY,
  TOWARDS,
} Direction;

typedef struct
{
  gint64 due; /* ns */
  guint to;
  gsize len;
  guint8 data[];
} Packet;

/* One direction of a line. As its delay is the same for all, packets leave it in the order in which they came. */
typedef struct
{
  GQueue packets;
  gint64 idle_at; /* ns: when all that waits has passed */
} Way;

struct _Wire
{
  WireState *state;
  guint n_hosts;
  int tuns[WIRE_MAX_HOSTS];
  int namespaces[WIRE_MAX_HOSTS];
  GArray *pids;

  /* Of the process that is the wire */
  Way ways[WIRE_MAX_HOSTS][2];
  GRand *chance;
};

gpointer
wire_new_shared (gsize size)
{
  return mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

char *
wire_get_address (guint host)
{
  return g_strdup_printf ("10.9.0.%u", host + 1);
}

/* --- Hosts */

static void
write_file (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY);

  if (fd < 0 || write (fd, text, strlen (text)) < 0)
    g_debug ("%s: %s", path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
}

/* Who isn't root becomes that of a user namespace. */
static gboolean
become_root (void)
{
  g_autofree char *users = g_strdup_printf ("0 %u 1", getuid ());

  if (unshare (CLONE_NEWNET) == 0)
    return TRUE;
  if (unshare (CLONE_NEWUSER | CLONE_NEWNET) < 0)
    return FALSE;
  write_file ("/proc/self/uid_map", users);
  return TRUE;
}

/* The device of the namespace that this process is in; -1: there can't be one. */
static int
open_tun (guint host)
{
  g_autofree char *address = wire_get_address (host);
  struct ifreq request = { .ifr_name = "gkv", .ifr_flags = IFF_TUN | IFF_NO_PI };
  struct sockaddr_in in = { .sin_family = AF_INET };
  int fd = open ("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  int control = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  gboolean done = fd >= 0 && ioctl (fd, TUNSETIFF, &request) == 0;

  inet_pton (AF_INET, address, &in.sin_addr);
  memcpy (&request.ifr_addr, &in, sizeof in);
  done = done && ioctl (control, SIOCSIFADDR, &request) == 0;
  inet_pton (AF_INET, "255.255.255.0", &in.sin_addr);
  memcpy (&request.ifr_netmask, &in, sizeof in);
  done = done && ioctl (control, SIOCSIFNETMASK, &request) == 0;
  request.ifr_flags = IFF_UP;
  done = done && ioctl (control, SIOCSIFFLAGS, &request) == 0;
  strcpy (request.ifr_name, "lo");
  done = done && ioctl (control, SIOCSIFFLAGS, &request) == 0;

  close (control);
  if (!done && fd >= 0)
    {
      close (fd);
      return -1;
    }
  return fd;
}

const char *
wire_find_lack (void)
{
  int fd;

  if (!become_root ())
    return "a network namespace can't be made: it takes root, or unprivileged user namespaces";

  fd = open_tun (0);
  if (fd < 0)
    return "a TUN device can't be made: it takes /dev/net/tun, and the right to open it";

  close (fd);
  return NULL;
}

/* --- The wire: a process of its own */

static gint64
get_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

/* @packet comes to the line of @host. */
static void
enter (Wire *self, guint host, Direction direction, Packet *packet, gint64 now)
{
  const WireLine *line = &self->state->lines[host];
  Way *way = &self->ways[host][direction];
  gint64 rate = line->bytes_a_second;
  gint64 begin = MAX (way->idle_at, now);

  self->state->bytes[host] += packet->len;
  if ((line->loss > 0 && g_rand_int_range (self->chance, 0, 1000) < (int) line->loss) ||
      (rate > 0 && (begin - now) / 1000 * rate / 1000000 + (gint64) packet->len > line->max_queue))
    {
      g_free (packet);
      return;
    }

  if (rate > 0)
    begin = way->idle_at = begin + (gint64) packet->len * 1000000000 / rate;
  packet->due = begin + line->delay * G_GINT64_CONSTANT (1000);
  g_queue_push_tail (&way->packets, packet);
}

static void
read_packets (Wire *self, guint host, gint64 now)
{
  for (guint i = 0; i < BATCH; i++)
    {
      guint8 data[MTU];
      gssize len = read (self->tuns[host], data, sizeof data);
      guint to = len >= 20 ? data[19] - 1u : G_MAXUINT;
      Packet *packet;

      if (len <= 0)
        return;
      /* IPv4, to one of the hosts, and no broadcast */
      if (data[0] >> 4 != 4 || data[16] != 10 || to >= self->n_hosts || (self->state->cut && host < 2 && to < 2))
        continue;

      packet = g_malloc (sizeof *packet + len);
      packet->to = to;
      packet->len = len;
      memcpy (packet->data, data, len);
      enter (self, host, AWAY, packet, now);
    }
}

/* Lets those through that are due. When the next one is, or G_MAXINT64. */
static gint64
pass (Wire *self, Direction direction, gint64 now)
{
  gint64 next = G_MAXINT64;

  for (guint host = 0; host < self->n_hosts; host++)
    {
      GQueue *packets = &self->ways[host][direction].packets;

      while (packets->length > 0 && ((Packet *) packets->head->data)->due <= now)
        {
          Packet *packet = g_queue_pop_head (packets);

          if (direction == AWAY)
            {
              enter (self, packet->to, TOWARDS, packet, now);
              continue;
            }
          if (write (self->tuns[host], packet->data, packet->len) < 0)
            g_debug ("host %u: %s", host, g_strerror (errno));
          g_free (packet);
        }
      if (packets->length > 0)
        next = MIN (next, ((Packet *) packets->head->data)->due);
    }

  return next;
}

static void
be_wire (Wire *self)
{
  struct pollfd fds[WIRE_MAX_HOSTS];

  prctl (PR_SET_TIMERSLACK, 1);
  self->chance = g_rand_new_with_seed (1);
  for (guint i = 0; i < self->n_hosts; i++)
    fds[i] = (struct pollfd){ self->tuns[i], POLLIN, 0 };

  while (TRUE)
    {
      gint64 now = get_now ();
      gint64 next = pass (self, AWAY, now);
      struct timespec wait;

      next = MIN (next, pass (self, TOWARDS, now));
      next = MAX (MIN (next - now, 1000000000), 0);
      wait = (struct timespec){ next / 1000000000, next % 1000000000 };
      if (ppoll (fds, self->n_hosts, &wait, NULL) <= 0)
        continue;

      now = get_now ();
      for (guint i = 0; i < self->n_hosts; i++)
        if (fds[i].revents != 0)
          read_packets (self, i, now);
    }
}

/* --- All of it */

GPid
wire_spawn (Wire *self, guint host, WireFunc func, gpointer data)
{
  GPid pid;

  fflush (stdout);
  pid = fork ();
  if (pid < 0)
    g_error ("fork: %s", g_strerror (errno));
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (setns (self->namespaces[host], CLONE_NEWNET) < 0)
        g_error ("setns: %s", g_strerror (errno));
      func (host, data);
      _exit (0);
    }

  g_array_append_val (self->pids, pid);
  return pid;
}

void
wire_kill (Wire *self, GPid pid)
{
  for (guint i = 0; i < self->pids->len; i++)
    if (g_array_index (self->pids, GPid, i) == pid)
      {
        kill (pid, SIGKILL);
        waitpid (pid, NULL, 0);
        g_array_remove_index_fast (self->pids, i);
        return;
      }
}

static void
run_wire (guint host, gpointer data)
{
  be_wire (data);
}

Wire *
wire_new (guint n_hosts, WireState *state)
{
  Wire *self = g_new0 (Wire, 1);

  self->state = state;
  self->n_hosts = n_hosts;
  self->pids = g_array_new (FALSE, FALSE, sizeof (GPid));
  for (guint i = 0; i < n_hosts; i++)
    {
      if (unshare (CLONE_NEWNET) < 0)
        g_error ("unshare: %s", g_strerror (errno));
      self->tuns[i] = open_tun (i);
      self->namespaces[i] = open ("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
      if (self->tuns[i] < 0 || self->namespaces[i] < 0)
        g_error ("host %u can't be made: %s", i, g_strerror (errno));
    }
  wire_spawn (self, 0, run_wire, self);

  return self;
}

void
wire_free (Wire *self)
{
  while (self->pids->len > 0)
    wire_kill (self, g_array_index (self->pids, GPid, self->pids->len - 1));
  for (guint i = 0; i < self->n_hosts; i++)
    {
      close (self->tuns[i]);
      close (self->namespaces[i]);
    }
  g_array_unref (self->pids);
  g_free (self);
}
