/* Nodes and threads: main loops that are blocked, nested, or missing; calls, ends and last references from anywhere.
 *
 * Nothing is judged by how long it took. Where a loop is blocked, all that a test waits for comes while it is.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <stdio.h>
#include <string.h>

#define PATIENCE (60 * G_USEC_PER_SEC)

/* The library's calls */

static void
set_int (GkvNode *node, const char *key, gint64 value)
{
  g_autoptr (GError) error = NULL;

  gkv_node_set_value (node, key, g_variant_new_int64 (value), NULL, &error);
  g_assert_no_error (error);
}

static void
set_lease (GkvNode *node, const char *key, gint64 value, guint lifetime_ms)
{
  g_autoptr (GError) error = NULL;

  gkv_node_set_value_full (node, key, g_variant_new_int64 (value), GKV_SET_NONE, (GTimeSpan) lifetime_ms * 1000, NULL,
                           &error);
  g_assert_no_error (error);
}

static void
set_ephemeral (GkvNode *node, const char *key, gint64 value)
{
  g_autoptr (GError) error = NULL;

  gkv_node_set_value_full (node, key, g_variant_new_int64 (value), GKV_SET_EPHEMERAL, 0, NULL, &error);
  g_assert_no_error (error);
}

/* -1: not there. */
static gint64
get_int (GkvNode *node, const char *key)
{
  g_autoptr (GVariant) value = gkv_node_lookup (node, key);

  return value != NULL ? g_variant_get_int64 (value) : -1;
}

/* @handler is given @data, the key and the value; what else there is of arguments follows. */
static void
connect_changed (GkvNode *node, const char *signal, gpointer handler, gpointer data)
{
  g_signal_connect_swapped (node, signal, handler, data);
}

static GkvNode *
make_node (const char *seed, gboolean network_thread)
{
  const char *seeds[] = { seed, NULL };

  return g_object_new (GKV_TYPE_NODE, "bind-address", "127.0.0.1:0", "seeds", seeds, "gossip-interval", 100,
                       "network-thread", network_thread, NULL);
}

static GkvNode *
start_node (const char *seed, gboolean network_thread)
{
  GkvNode *node = make_node (seed, network_thread);
  g_autoptr (GError) error = NULL;

  gkv_node_start (node, NULL, &error);
  g_assert_no_error (error);
  return node;
}

static void
stop (GkvNode *node)
{
  gkv_node_close (node, NULL, NULL);
  g_object_unref (node);
}

static guint64
get_stat (GkvNode *node, const char *name)
{
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);
  guint64 number = 0;

  g_assert_true (g_variant_lookup (stats, name, "t", &number));
  return number;
}

/* Waiting */

/* Without a main context. */
#define wait_blocked(condition) \
  G_STMT_START \
  { \
    gint64 patient_until = g_get_monotonic_time () + PATIENCE; \
    while (!(condition)) \
      { \
        if (g_get_monotonic_time () > patient_until) \
          g_error ("waited in vain for: %s", #condition); \
        g_usleep (1000); \
      } \
  } \
  G_STMT_END

#define wait_in(context, condition) \
  G_STMT_START \
  { \
    gint64 patient_until = g_get_monotonic_time () + PATIENCE; \
    while (!(condition)) \
      { \
        if (g_get_monotonic_time () > patient_until) \
          g_error ("waited in vain for: %s", #condition); \
        if (!g_main_context_iteration (context, FALSE)) \
          g_usleep (1000); \
      } \
  } \
  G_STMT_END

#define wait_until(condition) wait_in (NULL, condition)

/* A thread with a main context */

typedef struct
{
  GMainContext *context;
  GThread *thread;
  gboolean stopped; /* atomic */
} Room;

typedef struct
{
  GThreadFunc func;
  gpointer data;
  gpointer result;
  gboolean done; /* atomic */
} Call;

static gboolean
on_quit (gpointer data)
{
  g_atomic_int_set ((gboolean *) data, TRUE);
  return G_SOURCE_REMOVE;
}

static gpointer
run_room (gpointer data)
{
  Room *room = data;

  g_main_context_push_thread_default (room->context);
  while (!g_atomic_int_get (&room->stopped))
    g_main_context_iteration (room->context, TRUE);
  g_main_context_pop_thread_default (room->context);
  return NULL;
}

static void
room_init (Room *room)
{
  room->stopped = FALSE;
  room->context = g_main_context_new ();
  room->thread = g_thread_new ("room", run_room, room);
}

/* The context is left, for the caller to end. */
static void
room_end (Room *room)
{
  g_main_context_invoke (room->context, on_quit, &room->stopped);
  g_thread_join (room->thread);
}

static void
room_clear (Room *room)
{
  room_end (room);
  while (g_main_context_iteration (room->context, FALSE))
    ;
  g_main_context_unref (room->context);
}

static gboolean
on_call (gpointer data)
{
  Call *call = data;

  call->result = call->func (call->data);
  g_atomic_int_set (&call->done, TRUE);
  return G_SOURCE_REMOVE;
}

/* Runs @func there and waits, without running a context here. */
static gpointer
room_call (Room *room, GThreadFunc func, gpointer data)
{
  Call call = { func, data, NULL, FALSE };
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_callback (source, on_call, &call, NULL);
  g_source_attach (source, room->context);
  wait_blocked (g_atomic_int_get (&call.done));
  return call.result;
}

/* In a room: a node that looks at its peers all the time. */
typedef struct
{
  char *seed;
  GkvNode *node;
  int n_added;    /* atomic */
  int n_removed;  /* atomic */
  int n_suspect;  /* atomic: how many times somebody was suspected */
  int n_suspects; /* atomic: now */
  int n_dead;     /* atomic */
  gint64 suspect_since;
  gint64 longest;
} Watcher;

static void
on_peer_state (GkvPeer *peer, GParamSpec *pspec, Watcher *watcher)
{
  GkvPeerState state = gkv_peer_get_state (peer);
  gint64 now = g_get_monotonic_time ();

  if (g_getenv ("VERBOSE") != NULL)
    g_printerr ("%" G_GINT64_FORMAT ": %s is %d\n", now, gkv_peer_get_node_id (peer), state);

  if (watcher->suspect_since != 0)
    watcher->longest = MAX (watcher->longest, now - watcher->suspect_since);
  watcher->suspect_since = state == GKV_PEER_STATE_SUSPECT ? now : 0;
  g_atomic_int_set (&watcher->n_suspects, state == GKV_PEER_STATE_SUSPECT);
  if (state == GKV_PEER_STATE_SUSPECT)
    g_atomic_int_inc (&watcher->n_suspect);
  if (state == GKV_PEER_STATE_DEAD)
    g_atomic_int_inc (&watcher->n_dead);
}

static void
on_peer_added (GkvNode *node, GkvPeer *peer, Watcher *watcher)
{
  g_signal_connect (peer, "notify::state", G_CALLBACK (on_peer_state), watcher);
  g_atomic_int_inc (&watcher->n_added);
}

static void
on_peer_removed (GkvNode *node, GkvPeer *peer, Watcher *watcher)
{
  g_atomic_int_inc (&watcher->n_removed);
}

static gpointer
watcher_start (gpointer data)
{
  Watcher *watcher = data;
  g_autoptr (GError) error = NULL;

  watcher->node = make_node (watcher->seed, TRUE);
  g_signal_connect (watcher->node, "peer-added", G_CALLBACK (on_peer_added), watcher);
  g_signal_connect (watcher->node, "peer-removed", G_CALLBACK (on_peer_removed), watcher);
  gkv_node_start (watcher->node, NULL, &error);
  g_assert_no_error (error);
  return NULL;
}

static gpointer
watcher_stop (gpointer data)
{
  Watcher *watcher = data;
  GListModel *peers = gkv_node_get_peers (watcher->node);

  for (guint i = 0; i < g_list_model_get_n_items (peers); i++)
    {
      g_autoptr (GkvPeer) peer = g_list_model_get_item (peers, i);

      g_signal_handlers_disconnect_by_data (peer, watcher);
    }
  g_signal_handlers_disconnect_by_data (watcher->node, watcher);
  stop (watcher->node);
  g_free (watcher->seed);
  return NULL;
}

G_GNUC_UNUSED static gboolean
is_free (const char *address)
{
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
  g_autofree char *host = g_strndup (address, strrchr (address, ':') - address);
  g_autoptr (GSocketAddress) socket_address =
      g_inet_socket_address_new_from_string (host, g_ascii_strtoull (strrchr (address, ':') + 1, NULL, 10));

  return g_socket_bind (socket, socket_address, FALSE, NULL);
}

/* A loop that is blocked for 30 s */

static void
ignore_change (gpointer data, const char *key, GVariant *value)
{
  g_atomic_int_inc ((int *) data);
}

static void
test_blocked (void)
{
  g_auto (GStrv) keys = NULL;
  Room room;
  Watcher watcher = {
    NULL,
  };
  gint64 end = g_get_monotonic_time () + 30 * G_USEC_PER_SEC;
  int n_changed = 0;
  GkvNode *node = start_node (NULL, TRUE);

  connect_changed (node, "changed", ignore_change, &n_changed);
  watcher.seed = g_strdup (gkv_node_get_local_address (node));
  room_init (&room);
  room_call (&room, watcher_start, &watcher);

  /* Nothing below runs the default main context. */
  wait_blocked (g_atomic_int_get (&watcher.n_added) == 1);
  set_ephemeral (node, "presence/blocked", 1);
  set_ephemeral (watcher.node, "presence/watcher", 2);
  wait_blocked (get_int (node, "presence/watcher") == 2);
  wait_blocked (get_int (watcher.node, "presence/blocked") == 1);

  for (gint64 i = 0; g_get_monotonic_time () < end; i++)
    {
      set_int (watcher.node, "from-peer", i);
      wait_blocked (get_int (node, "from-peer") == i);
      set_int (node, "from-blocked", i);
      wait_blocked (get_int (watcher.node, "from-blocked") == i);

      set_lease (node, "lease/blocked", i, 300);
      set_lease (watcher.node, "lease/peer", i, 300);
      wait_blocked (get_int (watcher.node, "lease/blocked") != i - 1);
      wait_blocked (get_int (watcher.node, "lease/blocked") == -1 && get_int (node, "lease/blocked") == -1);
      wait_blocked (get_int (watcher.node, "lease/peer") == -1 && get_int (node, "lease/peer") == -1);

      g_assert_cmpint (get_int (node, "presence/watcher"), ==, 2);
      g_assert_cmpint (get_int (watcher.node, "presence/blocked"), ==, 1);
      g_assert_true (gkv_node_flush (node, 1, PATIENCE / 1000, NULL, NULL));
      g_usleep (200 * 1000);
    }

  g_assert_cmpint (g_atomic_int_get (&watcher.n_dead), ==, 0);
  g_assert_cmpint (g_atomic_int_get (&watcher.n_removed), ==, 0);
  g_assert_cmpint (g_atomic_int_get (&watcher.n_suspects), ==, 0);
  g_assert_cmpint (watcher.longest, <, 2 * G_USEC_PER_SEC);
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 4);
  keys = gkv_node_list_keys (node, "lease/");
  g_assert_cmpuint (g_strv_length (keys), ==, 0);
  n_changed = 0;
  wait_until (n_changed >= 1); /* what came meanwhile is emitted when the loop runs again */

  room_call (&room, watcher_stop, &watcher);
  wait_until (get_int (node, "presence/watcher") == -1);
  room_clear (&room);
  stop (node);
}

/* A loop in a handler */

typedef struct
{
  GkvNode *node;
  Watcher *watcher;
  GMainLoop *loop;
  gboolean nested;
  gboolean ended;
} Nested;

static gboolean
on_nested_look (gpointer data)
{
  Nested *nested = data;

  if (get_int (nested->node, "answer") != 2 || get_int (nested->node, "lease") != -1 ||
      get_int (nested->watcher->node, "from-handler") != 3)
    return G_SOURCE_CONTINUE;

  g_main_loop_quit (nested->loop);
  return G_SOURCE_REMOVE;
}

static void
on_nested_changed (gpointer data, const char *key, GVariant *value)
{
  Nested *nested = data;

  g_assert_false (nested->nested);
  nested->nested = TRUE;
  set_lease (nested->node, "lease", 1, 100);
  set_int (nested->watcher->node, "answer", 2);
  set_int (nested->node, "from-handler", 3);
  g_timeout_add (10, on_nested_look, nested);
  g_main_loop_run (nested->loop);
  nested->ended = TRUE;
}

static void
test_nested (gconstpointer network_thread)
{
  Room room;
  Watcher watcher = {
    NULL,
  };
  GkvNode *node = start_node (NULL, GPOINTER_TO_INT (network_thread));
  Nested nested = { node, &watcher, g_main_loop_new (NULL, FALSE), FALSE, FALSE };
  int n_answers = 0;

  connect_changed (node, "changed::question", on_nested_changed, &nested);
  connect_changed (node, "changed::answer", ignore_change, &n_answers);
  watcher.seed = g_strdup (gkv_node_get_local_address (node));
  room_init (&room);
  room_call (&room, watcher_start, &watcher);
  wait_until (g_atomic_int_get (&watcher.n_added) == 1);

  set_int (watcher.node, "question", 1);
  wait_until (nested.ended);
  wait_until (n_answers == 1);
  g_assert_cmpint (g_atomic_int_get (&watcher.n_suspect), ==, 0);

  room_call (&room, watcher_stop, &watcher);
  room_clear (&room);
  g_main_loop_unref (nested.loop);
  stop (node);
}

/* Memory without a loop */

#define N_LEASES (400000)

static gsize
get_resident (void)
{
  g_autofree char *text = NULL;
  gsize total = 0, resident = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%" G_GSIZE_FORMAT " %" G_GSIZE_FORMAT, &total, &resident), ==, 2);
  return resident * 4096;
}

typedef struct
{
  GkvNode *node;
  gboolean reads;
} Leasing;

static gpointer
make_leases (gpointer data)
{
  Leasing *leasing = data;

  for (guint i = 0; i < N_LEASES; i++)
    {
      char key[32];

      g_snprintf (key, sizeof key, "lease/%u", i);
      set_lease (leasing->node, key, i, 1);
      if (leasing->reads)
        get_int (leasing->node, "lease/0");
    }
  return NULL;
}

static void
on_lease (gpointer data, const char *key, GVariant *value)
{
  int *n_present = data;

  *n_present += value != NULL ? 1 : -1;
}

typedef enum
{
  LISTENED_TO = 1 << 0,
  OTHER_THREAD = 1 << 1,
  NETWORKED = 1 << 2,
} LeaseFlags;

/* Leases of 1 ms, as many as there come, and no loop. */
static void
test_leases (gconstpointer data)
{
  LeaseFlags flags = GPOINTER_TO_INT (data);
  GkvNode *node = flags & NETWORKED ? start_node (NULL, TRUE) : gkv_node_new ();
  Leasing leasing = { node, FALSE };
  g_auto (GStrv) keys = NULL;
  gsize before, after;
  int n_present = 0;

  if (flags & LISTENED_TO)
    connect_changed (node, "changed", on_lease, &n_present);
  set_int (node, "stays", 1);

  before = get_resident ();
  if (flags & OTHER_THREAD)
    g_thread_join (g_thread_new ("leases", make_leases, &leasing));
  else
    make_leases (&leasing);
  g_usleep (2000);
  after = get_resident ();
  g_test_message ("%" G_GSIZE_FORMAT " kB more", (MAX (after, before) - before) / 1024);

  wait_blocked (gkv_node_get_n_keys (node) == 1);
  keys = gkv_node_list_keys (node, NULL);
  g_assert_cmpuint (g_strv_length (keys), ==, 1);
  g_assert_cmpuint (get_stat (node, "n-keys"), ==, 1);
  if ((flags & NETWORKED) == 0)
    {
      wait_blocked (get_stat (node, "n-records") == 1);
      g_assert_cmpuint (get_stat (node, "n-tombstones"), ==, 0);
#ifndef __SANITIZE_ADDRESS__
      g_assert_cmpuint (MAX (after, before) - before, <, 16 * 1024 * 1024);
#endif
    }

  /* Each that a handler was told of is also told to have gone. */
  if (flags & LISTENED_TO)
    wait_until (n_present == 1);

  stop (node);
}

/* What has expired counts nowhere, be it ended already or not. */
static void
test_count (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();

  for (guint i = 0; i < 10000; i++)
    {
      g_autofree char *key = g_strdup_printf ("lease/%u", i);

      set_lease (node, key, i, 300000);
      set_lease (node, key, i, 1);
    }
  g_usleep (5000);
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 0);
  g_assert_cmpuint (get_stat (node, "n-keys"), ==, 0);
  g_assert_false (gkv_node_contains (node, "lease/9999"));
  g_assert_cmpint (get_int (node, "lease/9999"), ==, -1);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/threads/blocked", test_blocked);
  g_test_add_data_func ("/threads/nested/thread", GINT_TO_POINTER (TRUE), test_nested);
  g_test_add_data_func ("/threads/nested/own-context", GINT_TO_POINTER (FALSE), test_nested);

  g_test_add_data_func ("/threads/leases/unwatched", GINT_TO_POINTER (0), test_leases);
  g_test_add_data_func ("/threads/leases/watched", GINT_TO_POINTER (LISTENED_TO), test_leases);
  g_test_add_data_func ("/threads/leases/watched-thread", GINT_TO_POINTER (LISTENED_TO | OTHER_THREAD), test_leases);
  g_test_add_data_func ("/threads/leases/unwatched-network", GINT_TO_POINTER (NETWORKED), test_leases);
  g_test_add_data_func ("/threads/leases/watched-network", GINT_TO_POINTER (NETWORKED | LISTENED_TO), test_leases);
  g_test_add_func ("/threads/count", test_count);

  return g_test_run ();
}
