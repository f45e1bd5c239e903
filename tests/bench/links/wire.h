/* A network for a bench: hosts that are network namespaces, and a wire between them with rates, queues, delays and
 * loss.
 *
 * Each host has a TUN device, and the wire is a process that carries packets from one to the other: so UDP and TCP fare
 * alike, on any kernel, without netem, and not a packet leaves the machine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define WIRE_MAX_HOSTS 3

/* What joins a host with the others, in each direction. It may be changed at any time. */
typedef struct
{
  guint bytes_a_second; /* with the headers of IP; 0: any number */
  guint max_queue;      /* bytes that may wait; what comes then is lost */
  guint delay;          /* µs */
  guint loss;           /* of 1,000 */
} WireLine;

/* In memory that all processes share. */
typedef struct
{
  WireLine lines[WIRE_MAX_HOSTS];
  gboolean cut;                  /* nothing passes between the hosts 0 and 1 */
  guint64 bytes[WIRE_MAX_HOSTS]; /* that were to pass the line of that host, either way, lost or not */
} WireState;

typedef struct _Wire Wire;

/* To be called once, before anything else. What is wrong, or NULL. */
const char *wire_find_lack (void);

/* @state: see wire_new_shared (). This process must have no other thread. */
Wire *wire_new (guint n_hosts, WireState *state);
/* Ends all that runs on its hosts. */
void wire_free (Wire *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Wire, wire_free)

/* A process on @host that runs @func. It dies with this one. */
typedef void (*WireFunc) (guint host, gpointer data);
GPid wire_spawn (Wire *self, guint host, WireFunc func, gpointer data);
void wire_kill (Wire *self, GPid pid);

/* "10.9.0.1" for host 0. */
char *wire_get_address (guint host);

/* Zeros that all processes made later share. */
gpointer wire_new_shared (gsize size);

G_END_DECLS
