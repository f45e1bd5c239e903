/* Values as people type and read them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

/* The value of what was typed: of @type; else of @present, the type that the key has, if the text parses as that; else
 * of the type that the text looks like. What would not be printed as it was typed is a string. Returns a
 * reference that is the caller's. */
GVariant *value_parse (const char *text, const char *type, const GVariantType *present, GError **error);

/* As it would be typed: a string without quotes. */
char *value_print (GVariant *value);

/* The same, of which no character does anything to a terminal. */
char *value_escape (const char *text);

/* In one line with other text: a string in quotes. */
char *value_show (GVariant *value);
