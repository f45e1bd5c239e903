/* The links of a pair that need nothing but what libgkv itself needs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "pair.h"

G_BEGIN_DECLS

/* The floor: two bare sockets and poll (). */
extern const PairLink pair_link_udp;
/* libgkv with its defaults, and with the network in the node's main context. */
extern const PairLink pair_link_gkv;
extern const PairLink pair_link_gkv_loop;

G_END_DECLS
