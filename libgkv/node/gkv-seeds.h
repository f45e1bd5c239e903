/* GkvSeeds: the seeds of a node: which addresses each of them resolved to, and when a name is to be resolved again.
 * Names are resolved anew while nobody is reached at what they resolved to last.
 *
 * It resolves nothing itself: it says what is to be resolved, and is passed the results. Not thread-safe: the network's
 * lock guards it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include "gossip/gkv-engine.h"

typedef struct _GkvSeeds GkvSeeds;

/* @engine is borrowed. It greets the addresses. */
GkvSeeds *gkv_seeds_new (GkvEngine *engine);
void gkv_seeds_free (GkvSeeds *self);

/* @numeric: the address, where @seed is no name. */
void gkv_seeds_add (GkvSeeds *self, const char *seed, const char *numeric, const GkvTime *now);

/* The next seed to be resolved now, or NULL; it is to be followed by gkv_seeds_resolved () in the end. */
const char *gkv_seeds_next (GkvSeeds *self, const GkvTime *now);
/* When there will be one, on the monotonic clock; G_MAXINT64 for never. */
gint64 gkv_seeds_get_due (GkvSeeds *self);

/* What @seed resolved to: canonical addresses, or none. TRUE when that it can't be resolved is to be reported, which is
 * so once a seed. */
gboolean gkv_seeds_resolved (GkvSeeds *self, const char *seed, const char *const *addresses, const GkvTime *now);

/* The seeds where no peer that is alive has replied, for people; "" for none. */
char *gkv_seeds_describe_unreached (GkvSeeds *self);

G_END_DECLS
