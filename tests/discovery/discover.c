/* One node's discovery as a process, for the tests to drive: "discover NAME CLUSTER NODE-ID ADDRESS [moved|beside]".
 *
 * NAME is that of the discovery. With "moved" it runs in another thread than the one that made it, in a context that
 * isn't the thread's default. GKV_TEST_INTERVAL is for its property "interval". It says on its standard output, a line
 * each, what it found, lost, or failed in. On its standard input it takes "stop", "start" and "quit"; quit, or the end
 * of the input, drops the last reference.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <glib-unix.h>

#include <stdio.h>

typedef struct
{
  GkvDiscovery *discovery;
  const char *cluster;
  const char *node_id;
  const char *address;
  GMainContext *context;
  GMainLoop *loop;
  int ended;
} Discover;

static void G_GNUC_PRINTF (1, 2) say (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vprintf (format, args);
  va_end (args);
  fputc ('\n', stdout);
  fflush (stdout);
}

static void
found_cb (GkvDiscovery *discovery, const char *node_id, const char *address, gpointer user_data)
{
  say ("found %s %s", node_id != NULL ? node_id : "?", address);
}

static void
lost_cb (GkvDiscovery *discovery, const char *node_id, const char *address, gpointer user_data)
{
  say ("lost %s %s", node_id != NULL ? node_id : "?", address);
}

static void
failed_cb (GkvDiscovery *discovery, const GError *error, gpointer user_data)
{
  say ("failed %s", error->message);
}

static gboolean
start (Discover *self)
{
  g_autoptr (GMainContextPusher) pusher G_GNUC_UNUSED = g_main_context_pusher_new (self->context);
  g_autoptr (GError) error = NULL;

  if (!gkv_discovery_start (self->discovery, self->cluster, self->node_id, self->address, &error))
    {
      say ("refused %s", error->message);
      return FALSE;
    }

  say ("started");
  return TRUE;
}

static gboolean
input_cb (GIOChannel *channel, GIOCondition condition, gpointer user_data)
{
  g_autofree char *line = NULL;
  gsize end = 0;
  Discover *self = user_data;

  if (g_io_channel_read_line (channel, &line, NULL, &end, NULL) != G_IO_STATUS_NORMAL)
    {
      g_main_loop_quit (self->loop);
      return G_SOURCE_REMOVE;
    }

  line[end] = '\0';
  if (g_str_equal (line, "start"))
    {
      start (self);
    }
  else if (g_str_equal (line, "stop"))
    {
      gkv_discovery_stop (self->discovery);
      say ("stopped");
    }
  else if (g_str_equal (line, "quit"))
    {
      g_main_loop_quit (self->loop);
      return G_SOURCE_REMOVE;
    }

  return G_SOURCE_CONTINUE;
}

static gpointer
run_to_end (Discover *self)
{
  g_autoptr (GIOChannel) input = g_io_channel_unix_new (STDIN_FILENO);
  g_autoptr (GSource) source = g_io_create_watch (input, G_IO_IN | G_IO_HUP);

  if (!start (self))
    return self;

  g_source_set_callback (source, G_SOURCE_FUNC (input_cb), self, NULL);
  g_source_attach (source, self->context);
  g_main_loop_run (self->loop);

  /* Otherwise the last reference ends it, here and now. */
  if (self->context != g_main_context_default ())
    gkv_discovery_stop (self->discovery);
  return NULL;
}

static gpointer
run (gpointer user_data)
{
  Discover *self = user_data;
  gpointer failed = run_to_end (self);

  g_atomic_int_set (&self->ended, TRUE);
  g_main_context_wakeup (NULL);
  return failed;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  gboolean beside = argc == 6 && g_str_equal (argv[5], "beside");
  gboolean moved = beside || (argc == 6 && g_str_equal (argv[5], "moved"));
  g_autoptr (GMainContext) context = moved ? g_main_context_new () : g_main_context_ref (g_main_context_default ());
  g_autoptr (GMainLoop) loop = g_main_loop_new (context, FALSE);
  g_autoptr (GkvDiscovery) discovery = gkv_discovery_new_for_name (argv[1], &error);
  Discover self = { discovery, argv[2], argv[3], argv[4], context, loop };
  gpointer last = discovery;
  GThread *thread = NULL;

  if (argc != 5 && !moved)
    g_error ("usage: discover NAME CLUSTER NODE-ID ADDRESS [moved|beside]");
  if (discovery == NULL)
    g_error ("%s", error->message);

  if (g_getenv ("GKV_TEST_INTERVAL") != NULL)
    g_object_set (discovery, "interval", (guint) g_ascii_strtoull (g_getenv ("GKV_TEST_INTERVAL"), NULL, 10), NULL);

  g_signal_connect (discovery, "found", G_CALLBACK (found_cb), NULL);
  g_signal_connect (discovery, "lost", G_CALLBACK (lost_cb), NULL);
  g_signal_connect (discovery, "failed", G_CALLBACK (failed_cb), NULL);
  g_object_add_weak_pointer (G_OBJECT (discovery), &last);
  g_assert_true (gkv_discovery_is_thread_movable (discovery));

  if (moved)
    thread = g_thread_new ("moved", run, &self);
  while (beside && !g_atomic_int_get (&self.ended))
    g_main_context_iteration (NULL, TRUE);
  if ((moved ? g_thread_join (thread) : run (&self)) != NULL)
    return 1;

  g_clear_object (&discovery);
  say (last == NULL ? "ended" : "leaked");
  return last == NULL ? 0 : 1;
}
