/* GkvUnsent: datagrams that could not be sent: how many for which cause, and what of that the application hears.
 *
 * It may be used in any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _GkvUnsent GkvUnsent;

GkvUnsent *gkv_unsent_new (void);
void gkv_unsent_free (GkvUnsent *self);

/* One has failed with @error. TRUE: that is new, or was over for a while, and is to be told. */
gboolean gkv_unsent_note (GkvUnsent *self, const GError *error, gint64 now);
/* Adds what there is to a vardict. @self: nullable. */
void gkv_unsent_add_stats (GkvUnsent *self, GVariantBuilder *builder);

G_END_DECLS
