/* The modules that are built into the library: a table that the build writes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  const char *extension_point; /* NULL at the end */
  const char *name;
  void (*enroll) (void);
} GkvBuiltin;

extern const GkvBuiltin gkv_builtins[];

G_END_DECLS
