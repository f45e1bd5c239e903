/* SimLies: a member that lies: what its engine sends is altered on its way out, but for records, which a member may
 * write as it likes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sim-chance.h"

G_BEGIN_DECLS

typedef struct _SimLies SimLies;

/* Of each message @chance in 1,000 is altered. */
SimLies *sim_lies_new (guint64 seed, guint chance);
void sim_lies_free (SimLies *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimLies, sim_lies_free)

/* (transfer full): what is sent instead of @bytes: a datagram that is well formed, as far as messages go, and no longer
 * than @max bytes if @bytes isn't. */
GBytes *sim_lies_alter (SimLies *self, GBytes *bytes, gsize max);

G_END_DECLS
