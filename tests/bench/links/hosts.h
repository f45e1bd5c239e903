/* What runs on the hosts of a wire: nodes of libgkv, and TCP as the floor beside them.
 *
 * All that they are told, and all that they tell, is in memory that all processes share; so are the times, as there is
 * one monotonic clock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "wire.h"

G_BEGIN_DECLS

/* Keys to write: as many values, of sizes between two. */
typedef struct
{
  guint host; /* who writes them */
  guint n;
  guint least, most; /* bytes */
  gint64 period;     /* µs: each is written anew so often; 0: once */
  gint64 lifetime;   /* µs; 0: none */
} HostsOrder;

/* What a node tells. */
typedef struct
{
  gboolean started;
  guint n_alive; /* peers */
  gboolean synced;
  guint n_told;    /* changes by others since the last order */
  gint64 told_at;  /* the last of them */
  guint n_gone;    /* removals */
  gint64 gone_at;  /* the last of them */
  gint64 longest;  /* µs that a key has lagged, of those that are written anew */
  gint64 late;     /* µs: the longest that one lags now */
  guint n_missing; /* keys that never came */
  guint n_errors;  /* since the last order */
} HostsNode;

typedef struct
{
  WireState wire;
  guint refused; /* of 1,000 calls of sendmmsg () */
  HostsOrder order;
  gint64 ordered_at; /* the order counts from then on */
  guint n_orders;    /* rises with each */
  HostsNode nodes[WIRE_MAX_HOSTS];

  guint64 tcp_wanted;
  guint64 tcp_received;
  gint64 tcp_done_at;
  gboolean tcp_listens, tcp_connected, tcp_goes;
} HostsShared;

/* The memory, of which there is one. */
extern HostsShared *hosts_shared;

/* How large the value of the key with that number is, and all of them. */
gsize hosts_get_size (const HostsOrder *order, guint number);
guint64 hosts_get_total (const HostsOrder *order);

/* What wire_spawn () runs. A node has the first two hosts as its seeds. */
void hosts_be_node (guint host, gpointer data);
/* Receives .tcp_wanted bytes. */
void hosts_be_sink (guint host, gpointer data);
/* Connects with the sink, which is on the host that @data points to, a guint, and sends .tcp_wanted bytes once
 * .tcp_goes.
 */
void hosts_be_source (guint host, gpointer data);

G_END_DECLS
