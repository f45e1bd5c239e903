/* A datagram whose messages are put anew, one by one, for a node that says something else than its engine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Puts into @out what is sent in place of a message. */
typedef void (*SimRewriteFunc) (GByteArray *out, guint8 kind, const guint8 *body, gsize len, gpointer data);

/* (transfer full): what is sent instead of @bytes; the same where that would be longer than it, and than @max. */
GBytes *sim_rewrite (GBytes *bytes, gsize max, SimRewriteFunc put, gpointer data);

G_END_DECLS
