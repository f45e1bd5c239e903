/* The clock of remaining lifetimes, which runs on while the machine is suspended; the monotonic clock of GLib stands
 * still then.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* In microseconds since any fixed point, never going back. Any thread. */
gint64 gkv_get_boot_time (void);

G_END_DECLS
