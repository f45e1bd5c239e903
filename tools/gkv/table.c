/* The live table of keys on a terminal. It is drawn anew at most ten times a second, on the terminal's other screen, so
 * that what was there before comes back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "table.h"

#include "value.h"

#include <glib-unix.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAW_EVERY_MS 100
#define ENTER         "\033[?1049h\033[?25l"
#define LEAVE         "\033[?25h\033[?1049l"
#define HOME          "\033[H"
#define END_OF_LINE   "\033[K\n"
#define CLEAR_BELOW   "\033[J"
#define BOLD          "\033[1m"
#define PLAIN         "\033[0m"

typedef struct
{
  Session *session;
  GListModel *entries;
  guint drawing; /* the source of the next draw */
} Table;

char *
table_fit (const char *text, guint columns)
{
  g_autofree char *escaped = value_escape (text);
  GString *fitted = g_string_new (NULL);
  guint used = 0;

  for (const char *c = escaped; *c != '\0'; c = g_utf8_next_char (c))
    {
      gunichar character = g_utf8_get_char (c);
      guint width = g_unichar_iszerowidth (character) ? 0 : g_unichar_iswide (character) ? 2 : 1;

      if (used + width > columns)
        break;
      g_string_append_unichar (fitted, character);
      used += width;
    }
  while (used++ < columns)
    g_string_append_c (fitted, ' ');
  return g_string_free (fitted, FALSE);
}

static char *
format_age (GDateTime *modified)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  gint64 seconds = MAX (0, g_date_time_difference (now, modified) / G_TIME_SPAN_SECOND);

  if (seconds < 120)
    return g_strdup_printf ("%d s", (int) seconds);
  if (seconds < 7200)
    return g_strdup_printf ("%d min", (int) (seconds / 60));
  if (seconds < 172800)
    return g_strdup_printf ("%d h", (int) (seconds / 3600));
  return g_strdup_printf ("%d d", (int) (seconds / 86400));
}

static void
draw_row (const char *key, const char *value, const char *origin, const char *age, guint columns)
{
  guint key_columns = CLAMP (columns / 3, 8, 40);
  guint origin_columns = columns > 70 ? 16 : 0;
  guint rest = key_columns + origin_columns + 8 + 4;
  g_autofree char *fitted_key = table_fit (key, key_columns);
  g_autofree char *fitted_value = table_fit (value, columns > rest ? columns - rest : 8);
  g_autofree char *fitted_origin = table_fit (origin, origin_columns);
  g_autofree char *fitted_age = table_fit (age, 8);

  printf ("%s  %s  %s  %s", fitted_key, fitted_value, fitted_origin, fitted_age);
}

static gboolean
draw (gpointer user_data)
{
  Table *self = user_data;
  GkvNode *node = session_get_node (self->session);
  GPtrArray *reports = session_get_reports (self->session);
  guint n = g_list_model_get_n_items (self->entries);
  guint n_peers = g_list_model_get_n_items (gkv_node_get_peers (node));
  struct winsize size = { .ws_row = 24, .ws_col = 80 };
  guint rows;

  ioctl (STDOUT_FILENO, TIOCGWINSZ, &size);
  rows = MAX (size.ws_row, 5) - 4;

  printf (HOME BOLD);
  draw_row ("KEY", "VALUE", "WRITTEN BY", "AGE", size.ws_col);
  printf (PLAIN END_OF_LINE);
  for (guint i = 0; i < MIN (n, rows); i++)
    {
      g_autoptr (GkvEntry) entry = g_list_model_get_item (self->entries, i);
      g_autofree char *age = format_age (gkv_entry_get_modified (entry));

      draw_row (gkv_entry_get_key (entry), gkv_entry_get_text (entry), gkv_entry_get_origin (entry), age, size.ws_col);
      printf (END_OF_LINE);
    }
  printf (CLEAR_BELOW "\n%u of %u keys, %u peers; Ctrl-C ends", MIN (n, rows), n, n_peers);
  if (reports->len > 0)
    {
      g_autofree char *report = table_fit (reports->pdata[reports->len - 1], MAX (size.ws_col, 2) - 1);

      printf ("\n%s", report);
    }
  if (fflush (stdout) != 0)
    session_quit (self->session);

  self->drawing = 0;
  return G_SOURCE_REMOVE;
}

static void
draw_soon (Table *self)
{
  if (self->drawing == 0)
    self->drawing = g_timeout_add (DRAW_EVERY_MS, draw, self);
}

static void
on_changed (GkvNode *node, const char *key, GVariant *value, const char *origin, gpointer user_data)
{
  draw_soon (user_data);
}

static gboolean
on_tick (gpointer user_data)
{
  draw_soon (user_data);
  return G_SOURCE_CONTINUE;
}

void
table_run (Session *session, const char *prefix)
{
  GkvNode *node = session_get_node (session);
  g_autoptr (GListModel) entries = gkv_node_list_entries (node, prefix);
  Table self = { .session = session, .entries = entries };
  guint watch = gkv_node_watch (node, prefix, GKV_WATCH_NONE, on_changed, &self, NULL);
  guint tick = g_timeout_add_seconds (1, on_tick, &self);
  guint resized = g_unix_signal_add (SIGWINCH, on_tick, &self);

  session_show_reports (session, FALSE);
  printf (ENTER);
  draw (&self);
  session_run (session);
  printf (LEAVE);
  fflush (stdout);

  gkv_node_unwatch (node, watch);
  g_source_remove (tick);
  g_source_remove (resized);
  g_clear_handle_id (&self.drawing, g_source_remove);
  session_show_reports (session, TRUE);
}
