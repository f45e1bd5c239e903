/* Link-local addresses, as each host knows them: with the number of its own interface behind a "%".
 *
 * On the wire there is no such number: what one host calls [fe80::1%2]:7000 is [fe80::1%6]:7000 to another.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What a host whose interface is @interface calls @place. */
char *sim_scopes_add (const char *place, guint interface);
/* Where a host with that interface sends for @address; NULL: it has no such interface. */
char *sim_scopes_resolve (const char *address, guint interface);

G_END_DECLS
