/* What commands print: entries and other records, as lines or as JSON.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gkv.h>

/* Prints a dictionary as a line of JSON. A "value" that JSON can't carry is printed as GVariant's text. Takes a
 * floating reference. */
void output_json (GVariant *fields);

/* Prints an entry: its value; "key = value"; that with its type, or with all that is known of it. */
void output_value (GkvEntry *entry);
void output_entry (GkvEntry *entry);
void output_entry_typed (GkvEntry *entry);
void output_entry_long (GkvEntry *entry);
void output_entry_json (GkvEntry *entry);

/* Prints that a key is gone. */
void output_removal (const char *key, const char *origin, gboolean json);
