/* What a GkvEngine is composed of; for the engine itself, and for tests that look inside.
 *
 * From top to bottom, each of which knows only those below it:
 *
 *   gkv-records      what comes into the store, and what follows from it
 *   gkv-answers      anti-entropy: what is said to a query, and what follows from the reply
 *   gkv-synced       whether this node holds what the cluster held when it came
 *   gkv-flushes      which peers hold what was written here
 *   gkv-confirmations telling others that this node holds what they have written
 *   gkv-sketches     finding what differs all at once, where that is little,
 *   gkv-exchange     or range by range
 *   gkv-offers       giving what the other lacks
 *   gkv-transfer     getting what was found to be missing
 *   gkv-pieces       getting a record that doesn't fit a datagram
 *   gkv-inheritance  taking over the removals that another node remembers
 *   gkv-tombstones   garbage collection of tombstones
 *   gkv-ephemerals   records that end with their owners
 *   gkv-partings     what was held before this node was parted from others
 *   gkv-rumours      dissemination: new records are sent on at once
 *   gkv-neighbours   the members that links are kept to
 *   gkv-ring         the order in which rumours are passed on
 *   gkv-identities   who is at the other end of a link
 *   gkv-moves        members that are heard at another address than before
 *   gkv-membership   which nodes are alive, as far as is known
 *   gkv-probes       probing members, directly and through others
 *   gkv-updates      membership updates, which are piggybacked
 *   gkv-roster       the anti-entropy of members
 *   gkv-members      the table of members
 *   gkv-contacts     addresses where a peer may be: greeting them
 *   gkv-links        proved addresses, and sending datagrams there
 *   gkv-runtime      what each of these is given
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-answers.h"
#include "gkv-engine.h"
#include "gkv-identities.h"
#include "gkv-inheritance.h"
#include "gkv-neighbours.h"
#include "gkv-records.h"
#include "gkv-synced.h"

G_BEGIN_DECLS

struct _GkvEngine
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvContacts *contacts;
  GkvMembers *members;
  GkvRoster *roster;
  GkvUpdates *updates;
  GkvProbes *probes;
  GkvMembership *membership;
  GkvMoves *moves;
  GkvIdentities *identities;
  GkvRing *ring;
  GkvNeighbours *neighbours;
  GkvRumours *rumours;
  GkvEphemerals *ephemerals;
  GkvTombstones *tombstones;
  GkvPartings *partings;
  GkvInheritance *inheritance;
  GkvPieces *pieces;
  GkvTransfers *transfers;
  GkvOffers *offers;
  GkvExchanges *exchanges;
  GkvSketches *sketches;
  GkvSynced *synced;
  GkvFlushes *flushes;
  GkvConfirmations *confirmations;
  GkvAnswers *answers;
  GkvClocks *clocks;
  GkvRecords *records;

  gint64 suspended; /* for how long the machine was, in all */
};

G_END_DECLS
