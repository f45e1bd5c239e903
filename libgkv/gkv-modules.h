/* Where modules are looked for, and loading them: GIOModule and GIOExtensionPoint, with errors that say what is wrong.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#include <gio/gio.h>

/* Registers the three extension points and loads the modules of GKV_MODULE_PATH and of the compiled-in folder, once a
 * process; any thread. */
void gkv_modules_ensure_loaded (void);

/* Makes an object of the implementation named @name of an extension point. The error (GKV_ERROR_MODULE) names it, the
 * names that there are, the folders searched, and what was wrong with each file that could be meant.
 * @what: "codec", "transport" or "discovery", for people. */
GObject *gkv_modules_new_object (const char *extension_point, const char *what, const char *name, GError **error);

/* A message to be shown once where a built-in fallback is used because no module of that name was found ("udp",
 * "variant"); NULL when a module was found. */
char *gkv_modules_describe_fallback (const char *extension_point, const char *name);

G_END_DECLS
