/* Datagrams that could not be sent, or not at once.
 *
 * A cause is told when it begins, and not again while it lasts: a seed without a route is greeted each few seconds, and
 * one line about it is as good as a thousand.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-unsent.h"

#include <gio/gio.h>

#include <string.h>

/* It is over when nothing has failed for so long; whoever doesn't reply is greeted at least each minute. */
#define LASTS_US (150 * G_USEC_PER_SEC)

/* What is told of at a time. */
#define MAX_TOLD 64

typedef enum
{
  CAUSE_NO_ROUTE,
  CAUSE_NO_NETWORK,
  CAUSE_REFUSED,
  CAUSE_TOO_LARGE,
  CAUSE_BUSY,
  CAUSE_OTHER,
  N_CAUSES
} Cause;

static const char *const names[N_CAUSES] = {
  [CAUSE_NO_ROUTE] = "send-errors-no-route", [CAUSE_NO_NETWORK] = "send-errors-no-network",
  [CAUSE_REFUSED] = "send-errors-refused",   [CAUSE_TOO_LARGE] = "send-errors-too-large",
  [CAUSE_BUSY] = "send-errors-busy",         [CAUSE_OTHER] = "send-errors-other",
};

struct _GkvUnsent
{
  GMutex lock;
  guint64 counts[N_CAUSES];
  GHashTable *told; /* what was told → when it last failed */
};

GkvUnsent *
gkv_unsent_new (void)
{
  GkvUnsent *self = g_new0 (GkvUnsent, 1);

  g_mutex_init (&self->lock);
  self->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
gkv_unsent_free (GkvUnsent *self)
{
  g_hash_table_unref (self->told);
  g_mutex_clear (&self->lock);
  g_free (self);
}

static Cause
get_cause (const GError *error)
{
  if (error->domain != G_IO_ERROR)
    return CAUSE_OTHER;

  switch (error->code)
    {
    case G_IO_ERROR_HOST_UNREACHABLE:
      return CAUSE_NO_ROUTE;
    case G_IO_ERROR_NETWORK_UNREACHABLE:
      return CAUSE_NO_NETWORK;
    case G_IO_ERROR_PERMISSION_DENIED:
    case G_IO_ERROR_CONNECTION_REFUSED:
      return CAUSE_REFUSED;
    case G_IO_ERROR_MESSAGE_TOO_LARGE:
      return CAUSE_TOO_LARGE;
    case G_IO_ERROR_WOULD_BLOCK:
      return CAUSE_BUSY;
    default:
      return CAUSE_OTHER;
    }
}

static gboolean
is_over (gpointer key, gpointer value, gpointer user_data)
{
  return *(gint64 *) user_data - *(gint64 *) value >= LASTS_US;
}

gboolean
gkv_unsent_note (GkvUnsent *self, const GError *error, gint64 now)
{
  Cause cause = get_cause (error);
  /* Of these the address is of no interest: it is the machine that has no network, or no memory. */
  const char *what = cause == CAUSE_NO_NETWORK || cause == CAUSE_BUSY ? names[cause] : error->message;
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->lock);
  gint64 *last;

  self->counts[cause]++;
  g_hash_table_foreach_remove (self->told, is_over, &now);
  last = g_hash_table_lookup (self->told, what);
  if (last != NULL)
    {
      *last = now;
      return FALSE;
    }
  if (g_hash_table_size (self->told) >= MAX_TOLD)
    return FALSE;

  g_hash_table_insert (self->told, g_strdup (what), g_memdup2 (&now, sizeof now));
  return TRUE;
}

void
gkv_unsent_add_stats (GkvUnsent *self, GVariantBuilder *builder)
{
  guint64 counts[N_CAUSES] = { 0 };
  guint64 sum = 0;

  if (self != NULL)
    {
      g_mutex_lock (&self->lock);
      memcpy (counts, self->counts, sizeof counts);
      g_mutex_unlock (&self->lock);
    }

  for (guint i = 0; i < N_CAUSES; i++)
    {
      sum += counts[i];
      g_variant_builder_add (builder, "{sv}", names[i], g_variant_new_uint64 (counts[i]));
    }
  g_variant_builder_add (builder, "{sv}", "send-errors", g_variant_new_uint64 (sum));
}
