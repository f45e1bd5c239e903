/* gkv get, set, remove: one key.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include "output.h"
#include "value.h"

#include <stdio.h>
#include <unistd.h>

static ExitCode
fail (const GError *error)
{
  session_complain ("%s", error->message);
  return g_error_matches (error, GKV_ERROR, GKV_ERROR_NOT_FOUND) ? EXIT_NOT_FOUND : EXIT_FAILED;
}

/* get */

static struct
{
  gboolean raw;
} get_values;

/* The bytes of a string or of an array of bytes, and nothing else. */
static ExitCode
print_raw (GVariant *value)
{
  gsize size = 0;
  const void *data;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    data = g_variant_get_string (value, &size);
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    data = g_variant_get_fixed_array (value, &size, 1);
  else
    {
      session_complain ("It is of type %s: --raw prints bytes and strings", g_variant_get_type_string (value));
      return EXIT_FAILED;
    }
  fwrite (data, 1, size, stdout);
  return EXIT_DONE;
}

static ExitCode
run_get (Session *session, char **arguments)
{
  GkvNode *node = session_get_node (session);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = gkv_node_get_value (node, arguments[0], NULL, &error);
  g_autoptr (GkvEntry) entry = gkv_node_get_entry (node, arguments[0]);

  if (value == NULL || entry == NULL)
    return fail (error);
  if (get_values.raw)
    return print_raw (value);
  if (session_get_options (session)->json)
    output_entry_json (entry);
  else
    output_value (entry);
  return EXIT_DONE;
}

const Command command_get = {
  .name = "get",
  .parameters = "KEY",
  .summary = "Print the value of a key",
  .description = "Examples:\n"
                 "  gkv get colour                  blue\n"
                 "  gkv get --json colour           with its type, who wrote it and when\n"
                 "  gkv get --raw photo >photo.jpg  the bytes, without a line end\n\n",
  .min_arguments = 1,
  .max_arguments = 1,
  .entries =
      (const GOptionEntry[]){
          { "raw", 'r', 0, G_OPTION_ARG_NONE, &get_values.raw, "Print the bytes of bytes or of a string", NULL },
          G_OPTION_ENTRY_NULL,
      },
  .values = &get_values,
  .values_size = sizeof get_values,
  .joins = TRUE,
  .run = run_get,
};

/* set */

static struct
{
  char *type;
  gboolean is_string;
  gboolean ephemeral;
  gboolean create;
  double ttl; /* seconds */
} set_values;

static GBytes *
read_input (GError **error)
{
  g_autoptr (GByteArray) content = g_byte_array_new ();
  guint8 piece[65536];
  gssize n;

  while ((n = read (STDIN_FILENO, piece, sizeof piece)) > 0)
    {
      g_byte_array_append (content, piece, n);
      if (content->len > GKV_MAX_VALUE_SIZE)
        {
          g_set_error (error, GKV_ERROR, GKV_ERROR_TOO_LARGE, "A value has up to %u bytes", GKV_MAX_VALUE_SIZE);
          return NULL;
        }
    }
  if (n < 0)
    {
      g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_IO, "Standard input can't be read");
      return NULL;
    }
  return g_byte_array_free_to_bytes (g_steal_pointer (&content));
}

/* The value that is meant: what was typed, or with "-" the bytes of standard input. */
static GVariant *
make_value (GkvNode *node, const char *key, const char *text, const char *type, GError **error)
{
  g_autoptr (GVariant) present = gkv_node_lookup (node, key);
  g_autoptr (GBytes) input = NULL;
  g_autofree char *typed = NULL;

  if (!g_str_equal (text, "-"))
    return value_parse (text, type, present != NULL ? g_variant_get_type (present) : NULL, error);

  input = read_input (error);
  if (input == NULL)
    return NULL;
  if (type == NULL || g_str_equal (type, "ay"))
    return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, input, TRUE));
  typed = g_strndup (g_bytes_get_data (input, NULL), g_bytes_get_size (input));
  return value_parse (typed, type, NULL, error);
}

static ExitCode
run_set (Session *session, char **arguments)
{
  GkvNode *node = session_get_node (session);
  const char *key = arguments[0];
  g_autofree char *type = g_steal_pointer (&set_values.type);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GkvEntry) entry = NULL;
  GkvSetFlags flags = GKV_SET_NONE;
  ExitCode code;

  value = make_value (node, key, arguments[1], set_values.is_string ? "s" : type, &error);
  if (value == NULL)
    {
      session_complain ("%s", error->message);
      return EXIT_USAGE;
    }
  if (!(set_values.ttl >= 0 && set_values.ttl <= 1e9))
    {
      session_complain ("A lifetime is above 0 s, and 1,000,000,000 s at most");
      return EXIT_USAGE;
    }

  if (set_values.ephemeral)
    flags |= GKV_SET_EPHEMERAL;
  if (set_values.create)
    flags |= GKV_SET_CREATE;
  if (!gkv_node_set_value_full (node, key, value, flags, set_values.ttl * G_TIME_SPAN_SECOND, NULL, &error))
    return fail (error);
  code = session_confirm (session, 1);

  /* It is read again, for a codec may have made something else of it. */
  entry = gkv_node_get_entry (node, key);
  if (code != EXIT_DONE || entry == NULL)
    return code;
  if (session_get_options (session)->json)
    output_entry_json (entry);
  else
    output_entry_typed (entry);
  fflush (stdout);

  if (set_values.ephemeral)
    session_run (session);
  return EXIT_DONE;
}

const Command command_set = {
  .name = "set",
  .parameters = "KEY VALUE|-",
  .summary = "Write a key, and wait until a node has it",
  .description =
      "The type is the one that the key has, if the text can be that. Else it is what the text looks like, if it is\n"
      "printed again as it was typed: true, 42, 1.5, \"[1, 2]\", \"{'a': <1>}\"; all else is a string, 00123 too.\n"
      "What was stored is printed, with its type.\n"
      "\n"
      "Examples:\n"
      "  gkv set colour blue                    colour = 'blue' (s)\n"
      "  gkv set size 42                        size = 42 (x)\n"
      "  gkv set -s size 42                     size = '42' (s)\n"
      "  gkv set --type u size 42               size = 42 (u)\n"
      "  gkv set --ttl 30 lock/door me          for 30 seconds\n"
      "  gkv set --ephemeral online/me yes      until Ctrl-C\n"
      "  gkv set photo - <photo.jpg             the bytes of a file\n\n",
  .min_arguments = 2,
  .max_arguments = 2,
  .entries =
      (const GOptionEntry[]){
          { "type", 't', 0, G_OPTION_ARG_STRING, &set_values.type, "GVariant type, such as s, x, d, as", "TYPE" },
          { "string", 's', 0, G_OPTION_ARG_NONE, &set_values.is_string, "It is a string", NULL },
          { "ttl", 0, 0, G_OPTION_ARG_DOUBLE, &set_values.ttl, "It ends after that time", "SECONDS" },
          { "ephemeral", 'e', 0, G_OPTION_ARG_NONE, &set_values.ephemeral, "Stay, and keep it until Ctrl-C", NULL },
          { "create", 'c', 0, G_OPTION_ARG_NONE, &set_values.create, "Fail if the key is there", NULL },
          G_OPTION_ENTRY_NULL,
      },
  .values = &set_values,
  .values_size = sizeof set_values,
  .joins = TRUE,
  .run = run_set,
};

/* remove */

static ExitCode
run_remove (Session *session, char **arguments)
{
  GkvNode *node = session_get_node (session);
  g_autoptr (GError) error = NULL;
  ExitCode code = EXIT_DONE;

  for (char **key = arguments; *key != NULL; key++)
    {
      if (!gkv_node_remove (node, *key, NULL, &error))
        {
          code = fail (error);
          g_clear_error (&error);
        }
    }
  if (code != EXIT_DONE && arguments[1] == NULL)
    return code;
  return MAX (code, session_confirm (session, 1));
}

const Command command_remove = {
  .name = "remove",
  .parameters = "KEY...",
  .summary = "Remove keys everywhere, and wait until a node has it",
  .description = "Example:\n"
                 "  gkv remove colour size\n\n",
  .min_arguments = 1,
  .max_arguments = G_MAXUINT,
  .joins = TRUE,
  .run = run_remove,
};
