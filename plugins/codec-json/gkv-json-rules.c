/* The rules that the writer and the reader of JSON share: how deep a value may nest, and that a name counts once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-json.h"

#include "gkv.h"

#include <string.h>

gboolean
gkv_json_refuse_depth (GError **error)
{
  g_set_error (error, GKV_ERROR, GKV_ERROR_CODEC, "JSON nested more than %d levels deep", GKV_JSON_MAX_DEPTH);
  return FALSE;
}

typedef struct
{
  const char *base;
  const gsize *starts;
} Names;

static gint
compare_names (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const Names *names = user_data;

  return strcmp (names->base + names->starts[*(const gsize *) a], names->base + names->starts[*(const gsize *) b]);
}

gboolean *
gkv_json_find_superseded (const char *base, const gsize *starts, gsize n)
{
  Names names = { base, starts };
  g_autofree gsize *order = NULL;
  gboolean *superseded = NULL;

  if (n < 2)
    return NULL;

  order = g_new (gsize, n);
  for (gsize i = 0; i < n; i++)
    order[i] = i;
  /* It keeps the order of those that are equal. */
  g_qsort_with_data (order, n, sizeof *order, compare_names, &names);

  for (gsize i = 1; i < n; i++)
    if (compare_names (&order[i - 1], &order[i], &names) == 0)
      {
        if (superseded == NULL)
          superseded = g_new0 (gboolean, n);
        superseded[order[i - 1]] = TRUE;
      }
  return superseded;
}
