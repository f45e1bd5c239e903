/* What the two halves of GkvTransport's wrapper share: gkv-transport.c and gkv-transport-async.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-modules.h"
#include "gkv-transport.h"

G_BEGIN_DECLS

/* Makes sure that there is an error of this library, which says what the transport could not do; takes @cause, which
 * may be NULL. Returns FALSE. */
static inline gboolean
gkv_transport_fail (GkvTransport *self, int code, const char *what, GError *cause, GError **error)
{
  g_autofree char *who = g_strdup_printf ("The transport %s", G_OBJECT_TYPE_NAME (self));

  return gkv_modules_fail (error, code, who, what, cause);
}

/* Ends an asynchronous open that is under way in an error, as the transport was closed. */
void gkv_transport_end_opening (GkvTransport *self);

G_END_DECLS
