/* Nodes that write more than all of them together can take: many processes on one core, over loopback.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

#include "wire.h"

G_BEGIN_DECLS

#define CROWD_N_NODES 40

typedef struct
{
  double rate;    /* updates a second, of all nodes */
  double at_once; /* of all that were to come, so much came within 100 ms */
  double told;    /* so much came at all; others may have been overtaken by later ones */
  guint n_behind; /* pairs of a node and a key whose last version hadn't come when all should have */
  guint n_suspected;
  double cost; /* datagrams for each update and receiver */
} CrowdFigure;

/* @wire: one of its hosts is where they live. Returns when they have met. */
void crowd_start (Wire *wire);
/* @duration, @patience: µs, how long they write, and how long what is late may take. */
CrowdFigure crowd_measure (double rate, gint64 duration, gint64 patience);

G_END_DECLS
