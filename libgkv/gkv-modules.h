/* Where modules are looked for, and loading them: GIOModule and GIOExtensionPoint, with errors that say what is wrong.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Creates an object of the implementation named @name of an extension point; from any thread. What follows a colon in
 * the name goes to the object's property "argument". The error (GKV_ERROR_MODULE) names it, the names that there are,
 * the folders searched, and what was wrong with each file that could not be used. @what: "codec", "transport" or
 * "discovery", in file names and for people. */
GObject *gkv_modules_new_object (const char *extension_point, const char *what, const char *name, GError **error);

/* The names of all implementations, sorted. Loads every module. From any thread. */
char **gkv_modules_list_names (const char *extension_point);

/* A message for people where a built-in is used because no module of that name was found; NULL otherwise. */
char *gkv_modules_describe_fallback (const char *extension_point, const char *name);

/* Brings an error of an implementation into our domain: ensures that there is one, of @code, that says what failed.
 * Takes @cause, which may be NULL. Returns FALSE, so that it can end a wrapper. */
gboolean gkv_modules_fail (GError **error, int code, const char *who, const char *what, GError *cause);

G_END_DECLS
