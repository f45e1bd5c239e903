/* Where modules are looked for, and loading them: GIOModule and GIOExtensionPoint, with errors that say what is wrong.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Makes an object of the implementation named @name of an extension point; from any thread. What follows a colon in the
 * name goes to the object's property "argument". The error
 * (GKV_ERROR_MODULE) names it, the names that there are, the folders searched, and what was wrong with each file that
 * could not be used. @what: "codec", "transport" or "discovery", in file names and for people. */
GObject *gkv_modules_new_object (const char *extension_point, const char *what, const char *name, GError **error);

/* The names that can be asked for, sorted; every module is loaded to learn of them. From any thread. */
char **gkv_modules_list_names (const char *extension_point);

/* What to tell people where a built-in is used because no module of that name was found; NULL when it isn't so. */
char *gkv_modules_describe_fallback (const char *extension_point, const char *name);

/* Errors of what others wrote, brought into our domain: makes sure that there is one, of @code, that says who failed.
 * Returns FALSE, so that it can end a wrapper. */
gboolean gkv_modules_fail (GError **error, int code, const char *who, const char *what, GError *cause);

G_END_DECLS
