/* One run of a pair: two processes on loopback that write values of 64 bytes to each other, handler to handler, over
 * whatever link a driver brings. The protocol of tests/bench/peers/README.md tells what they print.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What travels. All processes of a machine share the monotonic clock, so a stamp means the same on both sides. */
typedef struct
{
  guint32 kind;
  guint32 serial;
  gint64 stamp; /* ns */
  guint8 filling[48];
} PairValue;

G_STATIC_ASSERT (sizeof (PairValue) == 64);

/* A process has one link and one end of it, so a link keeps what it needs in static variables. */
typedef struct
{
  const char *name;
  /* Why this link can't be had here, or NULL. Nullable: it can always be had. */
  const char *(*get_lack) (void);
  /* Opens this end. @peer: what open () of the other end returned, or NULL for the end that is opened first. */
  char *(*open) (const char *peer);
  /* Called in the thread of run (), or by a handler that called pair_receive (). */
  void (*write) (const PairValue *value);
  /* Until pair_is_stopped (): calls pair_receive () for each value that arrives, in any one thread, pair_tick () when
   * @timer can be read, and pair_flood () without pause while pair_is_flooding (). */
  void (*run) (int timer);
} PairLink;

/* The main function of a driver that has these links; the option --link chooses, the first is the default. */
int pair_main (const PairLink *const *links, int argc, char *argv[]);

/* For links only. */
void pair_receive (const PairValue *value);
void pair_tick (int timer);
void pair_flood (void);
gboolean pair_is_flooding (void);
gboolean pair_is_stopped (void);

G_END_DECLS
