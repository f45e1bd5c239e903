/* A node that takes part for as long as a command runs. Everything runs in the one main context, so that signals,
 * reports and progress come while the command waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "session.h"

#include "value.h"

#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

#define PROGRESS_AFTER_MS 1000
#define PROGRESS_EVERY_MS 200

struct Session
{
  GkvNode *node;
  Options options;    /* what it points to is the caller's */
  Options first;      /* as it was opened with */
  GCancellable *quit; /* by a signal, or by session_quit () */
  guint signals[3];
  GPtrArray *reports;
  gboolean shows_reports;
  gint64 waits_since;
  gboolean has_progress;
};

void
session_complain (const char *format, ...)
{
  g_autofree char *text = NULL;
  g_autofree char *escaped = NULL;
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  /* Part of it may come from others. */
  escaped = value_escape (text);
  fprintf (stderr, "gkv: %s\n", escaped);
}

GkvNode *
session_get_node (Session *self)
{
  return self->node;
}

const Options *
session_get_options (Session *self)
{
  return &self->options;
}

void
session_set_manner (Session *self, gboolean json, double timeout)
{
  self->options.json = json || self->first.json;
  self->options.timeout = timeout > 0 ? timeout : self->first.timeout;
}

GCancellable *
session_get_quit (Session *self)
{
  return self->quit;
}

GPtrArray *
session_get_reports (Session *self)
{
  return self->reports;
}

void
session_show_reports (Session *self, gboolean shown)
{
  self->shows_reports = shown;
}

static void
on_error (Session *self, const GError *error)
{
  if (g_ptr_array_find_with_equal_func (self->reports, error->message, g_str_equal, NULL))
    return;
  g_ptr_array_add (self->reports, g_strdup (error->message));
  if (self->shows_reports)
    session_complain ("%s", error->message);
}

/* Waiting */

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **done = user_data;

  *done = g_object_ref (result);
}

/* A wait of a moment shows nothing. */
static gboolean
show_progress (gpointer user_data)
{
  Session *self = user_data;
  gint64 waited = (g_get_monotonic_time () - self->waits_since) / 1000;

  if (waited < PROGRESS_AFTER_MS)
    return G_SOURCE_CONTINUE;
  if (isatty (STDERR_FILENO))
    fprintf (stderr, "\r\033[Kgkv: waiting for the network, %.0f s; %u keys", waited / 1e3,
             gkv_node_get_n_keys (self->node));
  else if (!self->has_progress)
    fprintf (stderr, "gkv: waiting for the network; %u keys\n", gkv_node_get_n_keys (self->node));
  self->has_progress = TRUE;
  return G_SOURCE_CONTINUE;
}

static GAsyncResult *
wait_for (Session *self, GAsyncResult **done)
{
  guint timer = g_timeout_add (PROGRESS_EVERY_MS, show_progress, self);

  self->waits_since = g_get_monotonic_time ();
  self->has_progress = FALSE;
  while (*done == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timer);
  if (self->has_progress && isatty (STDERR_FILENO))
    fprintf (stderr, "\r\033[K");
  return *done;
}

static guint
get_timeout_ms (Session *self)
{
  return MAX (1, self->options.timeout * 1000);
}

static guint64
get_n_peers (Session *self)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (self->node);
  guint64 n_peers = 0;

  g_variant_lookup (stats, "n-peers", "t", &n_peers);
  return n_peers;
}

ExitCode
session_join (Session *self, char **why)
{
  g_autoptr (GAsyncResult) done = NULL;
  g_autoptr (GError) error = NULL;
  gboolean synced;

  gkv_node_wait_synced_async (self->node, get_timeout_ms (self), self->quit, on_done, &done);
  synced = gkv_node_wait_synced_finish (self->node, wait_for (self, &done), &error);

  /* What the node has found out is reported before its failure. */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  if (get_n_peers (self) == 0)
    {
      *why = g_strdup (synced ? "Nobody was found" : error->message);
      return EXIT_NOBODY;
    }
  if (!synced)
    {
      *why = g_strdup (error->message);
      return EXIT_FAILED;
    }
  return EXIT_DONE;
}

ExitCode
session_confirm (Session *self, guint n_peers)
{
  g_autoptr (GAsyncResult) done = NULL;
  g_autoptr (GError) error = NULL;

  gkv_node_flush_async (self->node, n_peers, get_timeout_ms (self), self->quit, on_done, &done);
  if (gkv_node_flush_finish (self->node, wait_for (self, &done), &error))
    return EXIT_DONE;
  session_complain ("%s", error->message);
  return get_n_peers (self) == 0 ? EXIT_NOBODY : EXIT_FAILED;
}

/* Running */

static gboolean
on_signal (gpointer user_data)
{
  session_quit (user_data);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_output_closed (int fd, GIOCondition condition, gpointer user_data)
{
  session_quit (user_data);
  return G_SOURCE_CONTINUE;
}

void
session_run (Session *self)
{
  guint source = g_unix_fd_add (STDOUT_FILENO, G_IO_ERR | G_IO_HUP, on_output_closed, self);

  while (!g_cancellable_is_cancelled (self->quit))
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (source);
}

void
session_quit (Session *self)
{
  g_cancellable_cancel (self->quit);
}

static gboolean
on_time (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
  return G_SOURCE_REMOVE;
}

void
session_run_for (Session *self, guint milliseconds)
{
  gboolean is_over = FALSE;
  guint source = g_timeout_add (milliseconds, on_time, &is_over);

  while (!is_over && !g_cancellable_is_cancelled (self->quit))
    g_main_context_iteration (NULL, TRUE);
  if (!is_over)
    g_source_remove (source);
}

/* Opening and closing */

static gboolean
is_loopback (const char *address)
{
  return g_str_has_prefix (address, "127.") || g_str_has_prefix (address, "localhost:");
}

/* Where a command is bound that was not said where: seeds on this machine are reached by its loopback. */
static const char *
choose_address (const Options *options)
{
  gboolean all_v4 = options->seeds != NULL && options->discovery == NULL;
  gboolean all_v6 = all_v4;

  for (char **seed = options->seeds; seed != NULL && *seed != NULL; seed++)
    {
      all_v4 = all_v4 && is_loopback (*seed);
      all_v6 = all_v6 && g_str_has_prefix (*seed, "[::1]:");
    }
  return all_v4 ? "127.0.0.1:0" : all_v6 ? "[::1]:0" : "[::]:0";
}

static gboolean
start (GkvNode *node, const Options *options, GError **error)
{
  gboolean started;

  gkv_node_set_bind_address (node, options->bind_address != NULL ? options->bind_address : choose_address (options));
  started = gkv_node_start (node, NULL, error);
  if (!started && options->bind_address == NULL && g_error_matches (*error, GKV_ERROR, GKV_ERROR_TRANSPORT))
    {
      /* A machine without IPv6. */
      g_clear_error (error);
      gkv_node_set_bind_address (node, "0.0.0.0:0");
      started = gkv_node_start (node, NULL, error);
    }
  return started;
}

static GkvNode *
make_node (const Options *options, GError **error)
{
  g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "cluster", options->cluster, "seeds", options->seeds, NULL);

  if (options->codec != NULL)
    {
      g_autoptr (GkvCodec) codec = gkv_codec_new_for_name (options->codec, error);

      if (codec == NULL)
        return NULL;
      gkv_node_set_codec (node, codec);
    }
  if (options->discovery != NULL)
    {
      g_autoptr (GkvDiscovery) discovery = gkv_discovery_new_for_name (options->discovery, error);

      if (discovery == NULL)
        return NULL;
      gkv_node_set_discovery (node, discovery);
    }
  return g_steal_pointer (&node);
}

static void
session_free (Session *self)
{
  g_signal_handlers_disconnect_by_data (self->node, self);
  g_object_unref (self->node);
  for (guint i = 0; i < G_N_ELEMENTS (self->signals); i++)
    g_clear_handle_id (&self->signals[i], g_source_remove);
  g_object_unref (self->quit);
  g_ptr_array_unref (self->reports);
  g_free (self);
}

Session *
session_open (const Options *options, ExitCode *code)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GkvNode) node = make_node (options, &error);
  Session *self;

  if (node == NULL)
    {
      session_complain ("%s", error->message);
      *code = EXIT_USAGE;
      return NULL;
    }

  self = g_new0 (Session, 1);
  self->options = self->first = *options;
  self->node = g_steal_pointer (&node);
  self->quit = g_cancellable_new ();
  self->signals[0] = g_unix_signal_add (SIGINT, on_signal, self);
  self->signals[1] = g_unix_signal_add (SIGTERM, on_signal, self);
  self->signals[2] = g_unix_signal_add (SIGHUP, on_signal, self);
  self->reports = g_ptr_array_new_with_free_func (g_free);
  self->shows_reports = TRUE;
  g_signal_connect_swapped (self->node, "error", G_CALLBACK (on_error), self);

  if (!start (self->node, options, &error))
    {
      gboolean is_usage = g_error_matches (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION) ||
                          g_error_matches (error, GKV_ERROR, GKV_ERROR_INVALID_ADDRESS);

      session_complain ("%s", error->message);
      *code = is_usage ? EXIT_USAGE : EXIT_FAILED;
      session_free (self);
      return NULL;
    }
  return self;
}

ExitCode
session_close (Session *self)
{
  g_autoptr (GAsyncResult) done = NULL;
  g_autoptr (GError) error = NULL;
  ExitCode code = EXIT_DONE;

  gkv_node_close_async (self->node, NULL, on_done, &done);
  if (!gkv_node_close_finish (self->node, wait_for (self, &done), &error))
    {
      session_complain ("%s", error->message);
      code = EXIT_FAILED;
    }
  session_free (self);
  return code;
}
