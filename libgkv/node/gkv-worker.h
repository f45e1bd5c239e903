/* The worker: a thread with a main context, which all nodes of the process share for their networks. It starts when it
 * is first needed, and is never freed: a forked child has one of its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Borrowed. From any thread. */
GMainContext *gkv_worker_get_context (void);

G_END_DECLS
