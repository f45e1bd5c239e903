/* What commands print: entries and other records, as lines or as JSON.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "output.h"

#include "value.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The same dictionary with the value as text. */
static GVariant *
make_textual (GVariant *fields)
{
  g_auto (GVariantDict) texts = G_VARIANT_DICT_INIT (fields);
  g_autoptr (GVariant) value = g_variant_lookup_value (fields, "value", NULL);
  g_autofree char *text = value != NULL ? value_show (value) : NULL;

  if (text != NULL)
    g_variant_dict_insert (&texts, "value", "s", text);
  return g_variant_dict_end (&texts);
}

void
output_json (GVariant *fields)
{
  static GkvCodec *codec;
  g_autoptr (GVariant) dictionary = g_variant_ref_sink (fields);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;

  if (codec == NULL)
    codec = gkv_codec_new_for_name ("json", &error);
  if (codec == NULL)
    {
      fprintf (stderr, "gkv: --json needs a module: %s\n", error->message);
      exit (EXIT_FAILURE);
    }

  bytes = gkv_codec_encode (codec, dictionary, NULL);
  if (bytes == NULL)
    {
      g_autoptr (GVariant) textual = g_variant_ref_sink (make_textual (dictionary));

      bytes = gkv_codec_encode (codec, textual, &error);
    }
  if (bytes == NULL)
    {
      fprintf (stderr, "gkv: %s\n", error->message);
      return;
    }
  fwrite (g_bytes_get_data (bytes, NULL), 1, g_bytes_get_size (bytes), stdout);
  putchar ('\n');
}

/* The value of an entry as text, with its type; what this command has no codec for is named. */
static char *
show_value (GkvEntry *entry, gboolean with_type)
{
  GVariant *value = gkv_entry_get_value (entry);
  g_autofree char *text = NULL;

  if (value == NULL)
    return g_strdup_printf ("(written by the codec %s)", gkv_entry_get_codec (entry));
  text = value_show (value);
  return with_type ? g_strdup_printf ("%s (%s)", text, g_variant_get_type_string (value)) : g_steal_pointer (&text);
}

void
output_value (GkvEntry *entry)
{
  g_autofree char *text = value_print (gkv_entry_get_value (entry));
  g_autofree char *escaped = isatty (STDOUT_FILENO) ? value_escape (text) : NULL;

  puts (escaped != NULL ? escaped : text);
}

static void
print_entry (GkvEntry *entry, gboolean with_type)
{
  g_autofree char *key = value_escape (gkv_entry_get_key (entry));
  g_autofree char *value = show_value (entry, with_type);

  printf ("%s = %s\n", key, value);
}

void
output_entry (GkvEntry *entry)
{
  print_entry (entry, FALSE);
}

void
output_entry_typed (GkvEntry *entry)
{
  print_entry (entry, TRUE);
}

static char *
format_time (GDateTime *time)
{
  g_autoptr (GDateTime) local = g_date_time_to_local (time);

  return g_date_time_format (local, "%Y-%m-%d %H:%M:%S");
}

void
output_entry_long (GkvEntry *entry)
{
  g_autofree char *origin = value_escape (gkv_entry_get_origin (entry));
  g_autofree char *modified = format_time (gkv_entry_get_modified (entry));
  GDateTime *end = gkv_entry_get_expires (entry);
  g_autofree char *expires = end != NULL ? format_time (end) : NULL;

  print_entry (entry, TRUE);
  printf ("  written by %s, %s", origin, modified);
  if (expires != NULL)
    printf ("; ends %s", expires);
  if (gkv_entry_get_ephemeral (entry))
    printf ("; as long as that node lives");
  putchar ('\n');
}

void
output_entry_json (GkvEntry *entry)
{
  g_auto (GVariantBuilder) fields = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  GVariant *value = gkv_entry_get_value (entry);
  g_autofree char *modified = g_date_time_format_iso8601 (gkv_entry_get_modified (entry));
  GDateTime *end = gkv_entry_get_expires (entry);

  g_variant_builder_add_parsed (&fields, "{'key', <%s>}", gkv_entry_get_key (entry));
  if (value != NULL)
    {
      g_variant_builder_add (&fields, "{sv}", "value", value);
      g_variant_builder_add_parsed (&fields, "{'type', <%s>}", g_variant_get_type_string (value));
    }
  else
    g_variant_builder_add_parsed (&fields, "{'value', <@ms nothing>}");
  g_variant_builder_add_parsed (&fields, "{'codec', <%s>}", gkv_entry_get_codec (entry));
  g_variant_builder_add_parsed (&fields, "{'origin', <%s>}", gkv_entry_get_origin (entry));
  g_variant_builder_add_parsed (&fields, "{'modified', <%s>}", modified);
  if (end != NULL)
    {
      g_autofree char *expires = g_date_time_format_iso8601 (end);

      g_variant_builder_add_parsed (&fields, "{'expires', <%s>}", expires);
    }
  g_variant_builder_add_parsed (&fields, "{'ephemeral', <%b>}", gkv_entry_get_ephemeral (entry));
  output_json (g_variant_builder_end (&fields));
}

void
output_removal (const char *key, const char *origin, gboolean json)
{
  g_autofree char *escaped = value_escape (key);

  if (json)
    output_json (g_variant_new_parsed ("{'key': <%s>, 'value': <@ms nothing>, 'origin': <%s>}", key, origin));
  else
    printf ("%s removed\n", escaped);
}
