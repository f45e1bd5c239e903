/* Hearsay: an engine is told of a member by a peer, as in a list.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gossip/gkv-engine-private.h"

G_BEGIN_DECLS

/* The node at @link says that there is one that lives. */
void hearsay_tell (GkvEngine *engine,
                   GkvLink *link,
                   const char *id,
                   guint64 generation,
                   const GkvIncarnation *incarnation,
                   const char *address);

G_END_DECLS
