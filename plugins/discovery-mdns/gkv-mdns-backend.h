/* What the two back ends of the discovery, the Avahi daemon and the embedded Avahi, have in common.
 *
 * A back end browses and resolves, and publishes an announcement. It decides nothing: which services are peers, and
 * what to do about a name that is taken, is the discovery's part. All runs in the context that the discovery was
 * started in. A back end may call its listener from inside Avahi's callbacks, which must not free it there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gkv.h>

#include "gkv-mdns-announcement.h"

G_BEGIN_DECLS

#define GKV_MDNS_SERVICE_TYPE "_gkv._udp"

typedef struct _GkvMdnsBackend GkvMdnsBackend;

/* What a back end reports. Protocols are Avahi's numbers: 0 for IPv4, 1 for IPv6. */
typedef struct
{
  void (*appeared) (int interface, int protocol, const char *name, const char *domain, gpointer data);
  void (*vanished) (int interface, int protocol, const char *name, gpointer data);
  void (*resolved) (int interface, const char *name, const char *host, guint16 port, GStrv txt, gpointer data);
  /* Somebody has the name that was announced. */
  void (*collided) (gpointer data);
  void (*failed) (const char *message, gpointer data);
} GkvMdnsListener;

struct _GkvMdnsBackend
{
  /* Publishes, in place of what it published before. */
  void (*announce) (GkvMdnsBackend *self, const GkvMdnsAnnouncement *announcement);

  /* Begins to resolve a service to addresses of one family; gives what cancel takes, or NULL after a failure. */
  gpointer (*resolve) (GkvMdnsBackend *self, int interface, const char *name, const char *domain, GSocketFamily family);
  void (*cancel) (GkvMdnsBackend *self, gpointer resolver);

  /* Withdraws, ends the search and every resolver. */
  void (*free) (GkvMdnsBackend *self);

  const GkvMdnsListener *listener; /* borrowed */
  gpointer data;
};

/* Tells the listener. */
void gkv_mdns_backend_fail (GkvMdnsBackend *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

G_END_DECLS
