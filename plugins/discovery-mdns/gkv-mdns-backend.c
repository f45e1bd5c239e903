/* What the back ends of the discovery have in common.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-mdns-backend.h"

void
gkv_mdns_backend_fail (GkvMdnsBackend *self, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);

  self->listener->failed (message, self->data);
}
