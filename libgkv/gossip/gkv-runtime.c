/* GkvRuntime: what each part of an engine is given.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-runtime.h"

#include <string.h>

/* The same thing is reported once in this time. */
/* What comes back of a budget is counted for so long, so that the product doesn't overflow. */
#define MAX_REFILL (60 * GKV_SECOND)

#define REPORT_PERIOD (60 * GKV_SECOND)
#define MAX_REPORTS   256

/* So much work is done before others may get at the store: that of 32 records. */
#define MAX_WORK (32 * GKV_COST_RECORD)

GkvRuntime *
gkv_runtime_new (GkvStore *store, GkvEvents *events, guint32 random_seed, const GkvTime *now)
{
  GkvRuntime *self = g_new0 (GkvRuntime, 1);

  self->store = store;
  self->events = events;
  self->rand = g_rand_new_with_seed (random_seed);
  self->now = *now;
  self->wake = now->mono;
  self->reports = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
gkv_runtime_free (GkvRuntime *self)
{
  g_hash_table_unref (self->reports);
  g_clear_pointer (&self->last_writer, gkv_writer_unref);
  g_rand_free (self->rand);
  gkv_events_free (self->events);
  g_free (self->advertise);
  g_free (self->cluster);
  g_ref_string_release (self->id);
  g_free (self);
}

void
gkv_runtime_set_store_lock (GkvRuntime *self,
                            void (*lock) (gpointer data),
                            void (*unlock) (gpointer data),
                            gpointer data)
{
  self->store_lock = lock;
  self->store_unlock = unlock;
  self->store_lock_data = data;
}

void
gkv_runtime_wake_at (GkvRuntime *self, gint64 mono)
{
  self->wake = MIN (self->wake, mono);
}

void
gkv_runtime_wake_at_boot (GkvRuntime *self, gint64 boot)
{
  gkv_runtime_wake_at (self, self->now.mono + MAX (boot - self->now.boot, 0));
}

gsize
gkv_runtime_refill (GkvRuntime *self, GkvBudget *budget, gsize a_second, gsize most)
{
  gint64 more = MIN (self->now.mono - budget->at, MAX_REFILL) * (gint64) a_second / GKV_SECOND;

  if (more > 0)
    {
      budget->left = MIN (budget->left + more, most);
      budget->at = self->now.mono;
    }
  return budget->left;
}

guint32
gkv_runtime_random (GkvRuntime *self, guint32 below)
{
  return below > 1 ? (guint32) g_rand_int_range (self->rand, 0, below) : 0;
}

void
gkv_runtime_set_synced (GkvRuntime *self, gboolean synced)
{
  if (self->synced == synced)
    return;

  self->synced = synced;
  self->was_synced |= synced;
  gkv_events_add_synced (self->events, synced);
}

guint64
gkv_runtime_hash_id (GkvRuntime *self, const char *id)
{
  return gkv_hash_64 (gkv_store_get_hash_key (self->store), id, strlen (id));
}

guint64
gkv_runtime_hash_text (GkvRuntime *self, const char *text)
{
  return gkv_hash_64 (&self->secret, text, strlen (text));
}

void
gkv_runtime_report (GkvRuntime *self, const char *address, int code, const char *format, ...)
{
  g_autofree char *message = NULL;
  g_autofree char *name = g_strdup_printf ("%d %s", code, address != NULL ? address : "");
  gint64 *reported = g_hash_table_lookup (self->reports, name);
  va_list args;

  if (reported != NULL && self->now.mono - *reported < REPORT_PERIOD)
    return;

  if (g_hash_table_size (self->reports) >= MAX_REPORTS)
    g_hash_table_remove_all (self->reports);
  reported = g_new (gint64, 1);
  *reported = self->now.mono;
  g_hash_table_replace (self->reports, g_steal_pointer (&name), reported);

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  gkv_events_add_error (self->events, code, message);
}

guint
gkv_runtime_get_n_reports (GkvRuntime *self)
{
  return g_hash_table_size (self->reports);
}

void
gkv_runtime_lock_store (GkvRuntime *self)
{
  self->work = 0;
  if (self->store_lock != NULL)
    self->store_lock (self->store_lock_data);
}

void
gkv_runtime_unlock_store (GkvRuntime *self)
{
  if (self->store_unlock != NULL)
    self->store_unlock (self->store_lock_data);
}

void
gkv_runtime_breathe (GkvRuntime *self, guint cost)
{
  self->work += cost;
  if (self->work < MAX_WORK)
    return;

  gkv_runtime_unlock_store (self);
  gkv_runtime_lock_store (self);
}

GkvRecord *
gkv_runtime_read_record (GkvRuntime *self, GkvReader *reader, gint64 *left_ms)
{
  return gkv_reader_record (reader, gkv_store_get_hash_key (self->store), &self->last_writer, left_ms);
}

gint64
gkv_runtime_get_left_ms (GkvRuntime *self, GkvRecord *record)
{
  gint64 deadline;

  if (gkv_record_is_dead (record))
    return -1;

  deadline = gkv_store_get_deadline (self->store, record);
  return deadline < 0 ? -1 : MAX (deadline - self->now.boot, 0) / 1000;
}

gint64
gkv_runtime_get_kept_ms (GkvRuntime *self, GkvRecord *record)
{
  gint64 deadline = gkv_record_is_dead (record) ? gkv_store_get_dead_deadline (self->store, record) : -1;

  return deadline < 0 ? -1 : MAX (deadline - self->now.boot, 0) / 1000;
}
