/* Nodes and threads: main loops that are blocked, nested, or missing; calls, ends and last references from anywhere.
 *
 * Nothing is judged by how long it took. Where a loop is blocked, all that a test waits for comes while it is.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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

  return g_object_new (GKV_TYPE_NODE, "cluster", "default", "bind-address", "127.0.0.1:0", "seeds", seeds,
                       "gossip-interval", 100, "network-thread", network_thread, NULL);
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

static gboolean
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

/* The last reference, dropped elsewhere */

typedef enum
{
  OWNER_RUNS,
  OWNER_IS_BLOCKED,
  OWNER_HAS_ENDED,
} OwnerState;

typedef enum
{
  PENDING_NOTHING,
  PENDING_FLUSH,
  PENDING_SYNC,
  PENDING_CLOSE,
} Pending;

typedef struct
{
  OwnerState owner;
  Pending pending;
  gboolean network_thread;
} DropCase;

/* What the owner's thread makes: a node that waits for a peer which never comes, where something is pending. */
typedef struct
{
  const DropCase *drop;
  GkvNode *node;
  char *address;
  int n_ended;      /* atomic */
  int n_destroyed;  /* atomic: handlers */
  gboolean blocked; /* atomic */
} Dropped;

static void
on_pending_ended (GObject *source, GAsyncResult *result, gpointer data)
{
  Dropped *dropped = data;

  g_atomic_int_inc (&dropped->n_ended);
}

static void
on_handler_destroyed (gpointer data, GClosure *closure)
{
  g_atomic_int_inc (&((Dropped *) data)->n_destroyed);
}

static void
on_any (gpointer data)
{
}

static gpointer
make_dropped (gpointer data)
{
  Dropped *dropped = data;
  GkvNode *node = start_node ("127.0.0.1:9", dropped->drop->network_thread);

  g_signal_connect_data (node, "changed", G_CALLBACK (on_any), dropped, on_handler_destroyed, G_CONNECT_SWAPPED);
  set_int (node, "key", 1);
  if (dropped->drop->pending == PENDING_FLUSH)
    gkv_node_flush_async (node, 1, 300, NULL, on_pending_ended, dropped);
  else if (dropped->drop->pending == PENDING_SYNC)
    gkv_node_wait_synced_async (node, 300, NULL, on_pending_ended, dropped);
  else if (dropped->drop->pending == PENDING_CLOSE)
    gkv_node_close_async (node, NULL, on_pending_ended, dropped);

  dropped->node = node;
  return NULL;
}

static gpointer
unref_node (gpointer data)
{
  g_object_unref (data);
  return NULL;
}

static gboolean
block_room (gpointer data)
{
  while (g_atomic_int_get ((int *) data))
    g_usleep (1000);
  return G_SOURCE_REMOVE;
}

static void
run_drop (const DropCase *drop)
{
  Room room;
  Dropped dropped = { drop, NULL, NULL, 0, 0, TRUE };
  gpointer weak;

  room_init (&room);
  room_call (&room, make_dropped, &dropped);
  dropped.address = g_strdup (gkv_node_get_local_address (dropped.node));
  weak = dropped.node;
  g_object_add_weak_pointer (G_OBJECT (dropped.node), &weak);
  if (drop->owner == OWNER_IS_BLOCKED)
    g_main_context_invoke (room.context, block_room, &dropped.blocked);
  else if (drop->owner == OWNER_HAS_ENDED)
    room_end (&room);

  g_thread_join (g_thread_new ("dropper", unref_node, dropped.node));

  /* The network has its thread: nothing else is needed. */
  if (drop->network_thread && drop->pending == PENDING_NOTHING)
    wait_blocked (is_free (dropped.address));
  if (drop->owner == OWNER_RUNS)
    wait_blocked (is_free (dropped.address));

  g_atomic_int_set (&dropped.blocked, FALSE);
  if (drop->owner == OWNER_HAS_ENDED)
    wait_in (room.context, is_free (dropped.address) && g_atomic_int_get (&dropped.n_destroyed) == 1);
  else
    room_end (&room);
  wait_in (room.context, is_free (dropped.address) && g_atomic_int_get (&dropped.n_destroyed) == 1);
  wait_in (room.context, dropped.n_ended == (drop->pending != PENDING_NOTHING));
  g_assert_null (weak);
  g_main_context_unref (room.context);
  g_free (dropped.address);
}

static void
test_drop (void)
{
  for (int owner = OWNER_RUNS; owner <= OWNER_HAS_ENDED; owner++)
    for (int pending = PENDING_NOTHING; pending <= PENDING_CLOSE; pending++)
      for (int network_thread = 0; network_thread <= 1; network_thread++)
        {
          DropCase drop = { owner, pending, network_thread };

          g_test_message ("owner %d, pending %d, network thread %d", owner, pending, network_thread);
          run_drop (&drop);
        }
}

/* Closing */

static gpointer
close_node (gpointer data)
{
  g_autoptr (GError) error = NULL;

  gkv_node_close (data, NULL, &error);
  g_assert_no_error (error);
  return NULL;
}

static gpointer
close_and_see (gpointer data)
{
  g_autofree char *address = g_strdup (gkv_node_get_local_address (data));

  gkv_node_close (data, NULL, NULL);
  return GINT_TO_POINTER (is_free (address));
}

static gpointer
start_in_room (gpointer network_thread)
{
  return start_node (NULL, GPOINTER_TO_INT (network_thread));
}

/* The address is free when it returns, in whichever thread. */
static void
test_close (gconstpointer network_thread)
{
  Room room;
  GkvNode *node;
  GThread *threads[4];

  room_init (&room);

  /* in the owner's thread */
  node = room_call (&room, start_in_room, (gpointer) network_thread);
  g_assert_true (room_call (&room, close_and_see, node));
  g_object_unref (node);

  /* in another, while the owner's loop runs */
  node = room_call (&room, start_in_room, (gpointer) network_thread);
  set_int (node, "key", 1);
  g_assert_true (close_and_see (node));
  g_object_unref (node);

  /* in several at once */
  for (guint turn = 0; turn < 20; turn++)
    {
      node = room_call (&room, start_in_room, (gpointer) network_thread);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("closer", close_node, node);
      room_call (&room, close_node, node);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_thread_join (threads[i]);
      g_object_unref (node);
    }

  room_clear (&room);
}

static void
on_close_changed (gpointer data, const char *key, GVariant *value)
{
  GkvNode **node = data;

  if (*node == NULL)
    return;

  gkv_node_close (*node, NULL, NULL);
  g_clear_object (node);
}

/* Inside a handler of its own, of a value that came from here and from a peer. */
static void
test_close_in_handler (gconstpointer network_thread)
{
  for (guint turn = 0; turn < 4; turn++)
    {
      GkvNode *node = start_node (NULL, GPOINTER_TO_INT (network_thread));
      g_autofree char *address = g_strdup (gkv_node_get_local_address (node));
      GkvNode *peer = start_node (address, TRUE);

      connect_changed (node, "changed", on_close_changed, &node);
      set_int (turn % 2 == 0 ? node : peer, "key", 1);
      wait_until (node == NULL);
      g_assert_true (is_free (address));
      stop (peer);
    }
}

/* Names that nobody resolves */

typedef GResolver SilentResolver;
typedef GResolverClass SilentResolverClass;

static GMutex silent_lock;
static GCond silent_cond;
static gboolean silent_ends;
static guint silent_n_asked;

static GType silent_resolver_get_type (void);

G_DEFINE_TYPE (SilentResolver, silent_resolver, G_TYPE_RESOLVER)

static GList *
silent_resolver_lookup_by_name (GResolver *resolver, const char *name, GCancellable *cancellable, GError **error)
{
  g_mutex_lock (&silent_lock);
  silent_n_asked++;
  g_cond_broadcast (&silent_cond);
  while (!silent_ends)
    g_cond_wait (&silent_cond, &silent_lock);
  g_mutex_unlock (&silent_lock);

  g_set_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "No such name");
  return NULL;
}

static void
silent_resolver_class_init (SilentResolverClass *klass)
{
  klass->lookup_by_name = silent_resolver_lookup_by_name;
}

static void
silent_resolver_init (SilentResolver *self)
{
}

static guint
get_n_asked (void)
{
  guint n_asked;

  g_mutex_lock (&silent_lock);
  n_asked = silent_n_asked;
  g_mutex_unlock (&silent_lock);
  return n_asked;
}

typedef struct
{
  GError *error;
  gboolean ended;
} Started;

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  Started *started = data;

  g_assert_false (started->ended);
  gkv_node_start_finish (GKV_NODE (source), result, &started->error);
  started->ended = TRUE;
}

static gpointer
cancel_soon (gpointer data)
{
  g_usleep (20 * 1000);
  g_cancellable_cancel (data);
  return NULL;
}

static gpointer
close_soon (gpointer data)
{
  g_usleep (20 * 1000);
  return close_node (data);
}

static void
test_unresolved (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  g_autoptr (GResolver) old = g_resolver_get_default ();
  g_autoptr (GResolver) silent = g_object_new (silent_resolver_get_type (), NULL);
  const char *options[] = { "bind-address", "advertise-address" };

  g_resolver_set_default (silent);
  silent_ends = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++)
    {
      /* The name differs each time: one look-up may be joined. */
      for (guint how = 0; how < 8; how++)
        {
          g_autoptr (GkvNode) node = make_node (NULL, network_thread);
          g_autoptr (GCancellable) cancellable = g_cancellable_new ();
          Started started = { NULL, FALSE };
          GThread *thread = NULL;

          g_test_message ("%s, %u", options[i], how);
          g_object_set (node, options[i], "silent.example:0", NULL);
          if (i == 1)
            g_object_set (node, "advertise-address", "silent.example:7000", NULL);

          if (how == 7)
            {
              /* the blocking form, which waits for names where the network has its thread */
              g_autoptr (GError) error = NULL;

              thread = g_thread_new ("closer", close_soon, node);
              g_assert_false (gkv_node_start (node, NULL, &error));
              if (network_thread)
                g_assert_error (error, GKV_ERROR, GKV_ERROR_CLOSED);
              else
                g_assert_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION);
              g_thread_join (thread);
              continue;
            }

          if (how == 6)
            {
              g_autoptr (GError) error = NULL;

              thread = g_thread_new ("canceller", cancel_soon, cancellable);
              g_assert_false (gkv_node_start (node, cancellable, &error));
              if (network_thread)
                g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
              else
                g_assert_error (error, GKV_ERROR, GKV_ERROR_INVALID_OPTION);
              g_thread_join (thread);
              continue;
            }

          if (how == 0)
            g_cancellable_cancel (cancellable); /* before */
          gkv_node_start_async (node, cancellable, on_started, &started);
          g_assert_false (started.ended);
          if (how == 1)
            g_cancellable_cancel (cancellable); /* at once */
          if (how >= 2)
            wait_until (get_n_asked () > 0); /* while it is looked up */
          if (how == 2)
            g_cancellable_cancel (cancellable);
          else if (how == 3)
            thread = g_thread_new ("canceller", cancel_soon, cancellable);
          else if (how == 4)
            close_node (node);
          else if (how == 5)
            thread = g_thread_new ("closer", close_node, node);

          wait_until (started.ended);
          if (how <= 3)
            g_assert_error (started.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
          else
            g_assert_error (started.error, GKV_ERROR, GKV_ERROR_CLOSED);
          g_clear_error (&started.error);
          if (thread != NULL)
            g_thread_join (thread);

          /* What was cancelled is as it was. */
          if (how <= 3)
            {
              g_autoptr (GError) error = NULL;

              g_object_set (node, "bind-address", "127.0.0.1:0", "advertise-address", NULL, NULL);
              gkv_node_start (node, NULL, &error);
              g_assert_no_error (error);
              stop (g_object_ref (node));
            }
        }
    }

  g_resolver_set_default (old);
  g_mutex_lock (&silent_lock);
  silent_ends = TRUE;
  g_cond_broadcast (&silent_cond);
  g_mutex_unlock (&silent_lock);
}

/* Cancelled when it is late: it runs, or it doesn't, and what is reported is what is. */
static void
test_cancel_late (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  guint n_started = 0;

  for (guint turn = 0; turn < 200; turn++)
    {
      g_autoptr (GkvNode) node = make_node (NULL, network_thread);
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      Started started = { NULL, FALSE };
      gint64 until = g_get_monotonic_time () + turn % 100 * 3;

      gkv_node_start_async (node, cancellable, on_started, &started);
      while (g_get_monotonic_time () < until && !started.ended)
        g_main_context_iteration (NULL, FALSE);
      g_cancellable_cancel (cancellable);
      wait_until (started.ended);

      if (started.error == NULL)
        {
          n_started++;
          g_assert_nonnull (gkv_node_get_local_address (node));
        }
      else
        {
          g_assert_error (started.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
          g_assert_null (gkv_node_get_local_address (node));
          g_clear_error (&started.error);
          gkv_node_start (node, NULL, &started.error);
          g_assert_no_error (started.error);
        }
      gkv_node_close (node, NULL, NULL);
    }
  g_test_message ("%u of 200 started", n_started);
}

/* Waiting, blocking */

typedef struct
{
  GkvNode *node;
  guint number;
  int *n_ended; /* atomic */
} Waiter;

static gpointer
flush_much (gpointer data)
{
  Waiter *waiter = data;

  for (guint i = 0; i < 50; i++)
    {
      g_autofree char *key = g_strdup_printf ("flush/%u", waiter->number);
      g_autoptr (GError) error = NULL;

      g_assert_true (gkv_node_wait_synced (waiter->node, PATIENCE / 1000, NULL, &error));
      g_assert_no_error (error);
      set_int (waiter->node, key, i);
      g_assert_true (gkv_node_flush (waiter->node, i % 2, PATIENCE / 1000, NULL, &error));
      g_assert_no_error (error);
    }
  g_atomic_int_inc (waiter->n_ended);
  return NULL;
}

static void
test_flush (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  GkvNode *node = start_node (NULL, network_thread);
  GkvNode *peer = start_node (gkv_node_get_local_address (node), TRUE);
  g_autoptr (GError) error = NULL;
  Waiter waiters[6];
  GThread *threads[6];
  int n_flushed = 0;

  if (!network_thread)
    {
      set_int (node, "key", 1);
      g_assert_false (gkv_node_flush (node, 1, 1000, NULL, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
      g_clear_error (&error);
      g_assert_false (gkv_node_wait_synced (node, 1000, NULL, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
      g_clear_error (&error);
    }

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      waiters[i] = (Waiter){ node, i, &n_flushed };
      threads[i] = g_thread_new ("flush", flush_much, &waiters[i]);
    }

  /* Where the network runs here the threads wait for this one; otherwise it runs no loop. */
  if (!network_thread)
    wait_until (g_atomic_int_get (&n_flushed) == G_N_ELEMENTS (threads));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  stop (peer);
  stop (node);
}

/* Cancelled, timed out, and closed while it waits, in several threads at once. */
static gpointer
flush_in_vain (gpointer data)
{
  Waiter *waiter = data;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  GThread *canceller = NULL;

  if (waiter->number == 0)
    canceller = g_thread_new ("canceller", cancel_soon, cancellable);
  g_assert_false (gkv_node_flush (waiter->node, 1, waiter->number == 1 ? 20 : 0, cancellable, &error));
  if (waiter->number == 0)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  else if (waiter->number == 1)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  else
    g_assert_error (error, GKV_ERROR, GKV_ERROR_CLOSED);
  if (canceller != NULL)
    g_thread_join (canceller);
  return NULL;
}

static void
test_flush_in_vain (void)
{
  GkvNode *node = start_node ("127.0.0.1:9", TRUE);
  Waiter waiters[6];
  GThread *threads[6];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      waiters[i] = (Waiter){ node, i, NULL };
      threads[i] = g_thread_new ("flush", flush_in_vain, &waiters[i]);
    }
  g_thread_join (threads[0]);
  g_thread_join (threads[1]);
  close_node (node);
  for (guint i = 2; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_object_unref (node);
}

/* Many nodes */

#define N_CROWD (20)

static gpointer
live_in_crowd (gpointer data)
{
  const char *seed = data;
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint turn = 0; turn < 5; turn++)
    {
      GkvNode *nodes[N_CROWD / 4];

      for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
        {
          int *n_changed = g_new0 (int, 1);

          nodes[i] = start_node (seed, i != 0);
          g_object_set_data_full (G_OBJECT (nodes[i]), "count", n_changed, g_free);
          connect_changed (nodes[i], "changed", ignore_change, n_changed);
        }
      for (guint i = 0; i < 200; i++)
        {
          g_autofree char *key = g_strdup_printf ("key/%d", g_random_int_range (0, 50));

          set_int (nodes[i % G_N_ELEMENTS (nodes)], key, i);
          if (i % 20 == 0)
            g_main_context_iteration (context, FALSE);
        }
      for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
        {
          if (i % 2 == 0)
            gkv_node_close (nodes[i], NULL, NULL);
          g_object_unref (nodes[i]);
        }
    }
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_crowd (void)
{
  GkvNode *seed = start_node (NULL, TRUE);
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("crowd", live_in_crowd, (char *) gkv_node_get_local_address (seed));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  stop (seed);
}

/* Order */

#define N_WRITES (20000)
#define N_KEYS   (8)

typedef struct
{
  GkvNode *node;
  const char *name;
} Writer;

/* Values rise, so that order can be seen. */
static gpointer
write_much (gpointer data)
{
  Writer *writer = data;

  for (gint64 i = 1; i <= N_WRITES; i++)
    {
      char key[32];

      g_snprintf (key, sizeof key, "%s/%d", writer->name, (int) (i % N_KEYS));
      set_int (writer->node, key, i);
    }
  return NULL;
}

typedef struct
{
  GkvNode *node;
  GHashTable *seen; /* key → last value */
  guint n_emitted;
  gboolean nests;
} Listener;

static void
on_ordered (gpointer data, const char *key, GVariant *value)
{
  Listener *listener = data;
  gint64 *last = g_hash_table_lookup (listener->seen, key);
  gint64 number = g_variant_get_int64 (value);

  listener->n_emitted++;
  if (last == NULL)
    {
      last = g_new0 (gint64, 1);
      g_hash_table_insert (listener->seen, g_strdup (key), last);
    }
  g_assert_cmpint (*last, <, number);
  *last = number;

  /* The owner writes, too, and has a loop in a handler. */
  if (listener->n_emitted % 97 == 0)
    set_int (listener->node, "owner/0", listener->n_emitted);
  if (listener->nests && listener->n_emitted % 101 == 0)
    for (guint i = 0; i < 20; i++)
      g_main_context_iteration (NULL, FALSE);
}

static void
check_seen (Listener *listener, GkvNode *node)
{
  g_auto (GStrv) keys = gkv_node_list_keys (node, NULL);

  for (guint i = 0; keys[i] != NULL; i++)
    {
      gint64 *last = g_hash_table_lookup (listener->seen, keys[i]);

      g_assert_nonnull (last);
      g_assert_cmpint (*last, ==, get_int (node, keys[i]));
    }
}

static gboolean
has_all (Listener *listener)
{
  const char *names[] = { "one", "two", "peer" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (int j = 0; j < N_KEYS; j++)
      {
        g_autofree char *key = g_strdup_printf ("%s/%d", names[i], j);
        gint64 *last = g_hash_table_lookup (listener->seen, key);

        if (last == NULL || *last != N_WRITES - (N_WRITES - j) % N_KEYS)
          return FALSE;
      }
  return TRUE;
}

static void
test_order (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  GkvNode *node = start_node (NULL, network_thread);
  GkvNode *peer = start_node (gkv_node_get_local_address (node), TRUE);
  Listener first = { node, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free), 0, TRUE };
  Listener second = { node, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free), 0, FALSE };
  Writer writers[] = { { node, "one" }, { node, "two" }, { peer, "peer" } };
  GThread *threads[3];

  connect_changed (node, "changed", on_ordered, &first);
  connect_changed (node, "changed", on_ordered, &second);
  wait_until (gkv_node_get_synced (peer));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("writer", write_much, &writers[i]);
  for (gint64 i = 1; i <= N_WRITES; i++)
    {
      set_int (node, "here", i);
      if (i % 50 == 0)
        g_main_context_iteration (NULL, FALSE);
    }
  wait_until (has_all (&first) && has_all (&second));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  for (guint i = 0; i < 100; i++)
    g_main_context_iteration (NULL, FALSE);
  check_seen (&first, node);
  check_seen (&second, node);

  g_hash_table_unref (first.seen);
  g_hash_table_unref (second.seen);
  g_signal_handlers_disconnect_matched (node, G_SIGNAL_MATCH_FUNC, 0, 0, NULL, on_ordered, NULL);
  stop (peer);
  stop (node);
}

/* A key that changes while its handlers are called, in a loop of theirs: each sees the values in order. */
typedef struct
{
  GkvNode *node;
  gint64 last;
  gboolean nests;
  gboolean nested;
} Reader;

static gpointer
write_second (gpointer data)
{
  set_int (data, "key", 2);
  return NULL;
}

static void
on_read (gpointer data, const char *key, GVariant *value)
{
  Reader *reader = data;
  gint64 number = g_variant_get_int64 (value);

  g_assert_cmpint (reader->last, <, number);
  reader->last = number;
  if (reader->nests && !reader->nested)
    {
      reader->nested = TRUE;
      g_thread_join (g_thread_new ("writer", write_second, reader->node));
      for (guint i = 0; i < 20; i++)
        g_main_context_iteration (NULL, FALSE);
    }
}

static void
test_nested_order (void)
{
  g_autoptr (GkvNode) node = gkv_node_new ();
  Reader first = { node, 0, TRUE, FALSE };
  Reader second = { node, 0, FALSE, FALSE };

  connect_changed (node, "changed::key", on_read, &first);
  connect_changed (node, "changed::key", on_read, &second);
  set_int (node, "key", 1);
  wait_until (first.last == 2 && second.last == 2);
}

/* Modules of another node */

static void
test_shared_transport (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  GkvNode *a = start_node (NULL, network_thread);
  GkvNode *peer = start_node (gkv_node_get_local_address (a), TRUE);
  g_autoptr (GkvNode) b = make_node (NULL, TRUE);
  g_autoptr (GError) error = NULL;
  g_autoptr (GkvTransport) transport = NULL;
  Started started = { NULL, FALSE };

  g_object_get (a, "transport", &transport, NULL);
  g_object_set (b, "transport", transport, NULL);
  g_assert_false (gkv_node_start (b, NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  gkv_node_start_async (b, NULL, on_started, &started);
  wait_until (started.ended);
  g_assert_error (started.error, GKV_ERROR, GKV_ERROR_TRANSPORT);
  g_clear_error (&started.error);
  gkv_node_close (b, NULL, NULL);

  set_int (a, "still", 1);
  wait_until (get_int (peer, "still") == 1);
  set_int (peer, "open", 2);
  wait_until (get_int (a, "open") == 2);
  stop (peer);
  stop (a);
}

#define TEST_TYPE_DISCOVERY (test_discovery_get_type ())
G_DECLARE_FINAL_TYPE (TestDiscovery, test_discovery, TEST, DISCOVERY, GObject)

struct _TestDiscovery
{
  GObject parent_instance;
  gboolean is_movable;
  gboolean is_started;
  GThread *thread;
  guint n_starts;
};

static void test_discovery_iface_init (GkvDiscoveryInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TestDiscovery,
                               test_discovery,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (GKV_TYPE_DISCOVERY, test_discovery_iface_init))

static gboolean
test_discovery_start (
    GkvDiscovery *discovery, const char *cluster, const char *node_id, const char *address, GError **error)
{
  TestDiscovery *self = TEST_DISCOVERY (discovery);

  if (self->is_started)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY, "It runs already");
      return FALSE;
    }
  self->thread = g_thread_self ();
  self->is_started = TRUE;
  self->n_starts++;
  return TRUE;
}

static void
test_discovery_stop (GkvDiscovery *discovery)
{
  TestDiscovery *self = TEST_DISCOVERY (discovery);

  if (self->is_started)
    g_assert_true (self->thread == g_thread_self ());
  self->is_started = FALSE;
}

static gboolean
test_discovery_is_thread_movable (GkvDiscovery *discovery)
{
  return TEST_DISCOVERY (discovery)->is_movable;
}

static void
test_discovery_iface_init (GkvDiscoveryInterface *iface)
{
  iface->start = test_discovery_start;
  iface->stop = test_discovery_stop;
  iface->is_thread_movable = test_discovery_is_thread_movable;
}

static void
test_discovery_class_init (TestDiscoveryClass *klass)
{
}

static void
test_discovery_init (TestDiscovery *self)
{
}

static void
test_shared_discovery (gconstpointer data)
{
  g_autoptr (TestDiscovery) discovery = g_object_new (TEST_TYPE_DISCOVERY, NULL);
  g_autoptr (GkvNode) a = make_node (NULL, TRUE);
  g_autoptr (GkvNode) b = make_node (NULL, TRUE);
  g_autoptr (GError) error = NULL;

  discovery->is_movable = GPOINTER_TO_INT (data);
  g_object_set (a, "discovery", discovery, NULL);
  g_object_set (b, "discovery", discovery, NULL);
  gkv_node_start (a, NULL, &error);
  g_assert_no_error (error);
  g_assert_true ((discovery->thread == g_thread_self ()) == !discovery->is_movable);

  for (guint i = 0; i < 2; i++)
    {
      g_assert_false (gkv_node_start (b, NULL, &error));
      g_assert_error (error, GKV_ERROR, GKV_ERROR_DISCOVERY);
      g_clear_error (&error);
      g_assert_null (gkv_node_get_local_address (b));
      g_assert_true (discovery->is_started);
    }

  gkv_node_close (a, NULL, NULL);
  g_assert_false (discovery->is_started);
  gkv_node_start (b, NULL, &error);
  g_assert_no_error (error);
  gkv_node_close (b, NULL, NULL);
  g_assert_cmpuint (discovery->n_starts, ==, 2);
}

/* A port that is taken: afterwards all can be changed, the thread included. */
static void
test_start_again (void)
{
  GkvNode *other = start_node (NULL, TRUE);
  GThread *writer;
  Writer writing;

  for (guint turn = 0; turn < 4; turn++)
    {
      g_autoptr (GkvNode) node = g_object_new (GKV_TYPE_NODE, "bind-address", gkv_node_get_local_address (other),
                                               "network-thread", turn % 2 == 0, NULL);
      g_autoptr (GError) error = NULL;
      Started started = { NULL, FALSE };

      /* Leases meanwhile, which have their own source until the network comes. */
      writing = (Writer){ node, "written" };
      set_lease (node, "lease", 1, 60000);
      writer = g_thread_new ("writer", write_much, &writing);
      for (guint i = 0; i < 10; i++)
        {
          g_assert_false (gkv_node_start (node, NULL, &error));
          g_assert_error (error, GKV_ERROR, GKV_ERROR_TRANSPORT);
          g_clear_error (&error);
        }
      gkv_node_start_async (node, NULL, on_started, &started);
      wait_until (started.ended);
      g_assert_error (started.error, GKV_ERROR, GKV_ERROR_TRANSPORT);
      g_clear_error (&started.error);

      g_object_set (node, "bind-address", "127.0.0.1:0", "network-thread", turn < 2, NULL);
      gkv_node_start (node, NULL, &error);
      g_assert_no_error (error);
      gkv_node_add_seed (node, gkv_node_get_local_address (other), &error);
      g_assert_no_error (error);
      g_thread_join (writer);
      wait_until (get_int (other, "written/0") == N_WRITES);
      gkv_node_close (node, NULL, NULL);
    }
  stop (other);
}

/* Forking */

#ifdef __SANITIZE_ADDRESS__
#define N_FORKS (200)
#else
#define N_FORKS (500)
#endif

/* Ends the process where anything is stuck. */
static void
be_child (void)
{
  signal (SIGALRM, SIG_DFL);
  alarm (PATIENCE / G_USEC_PER_SEC);
}

static void
reap (pid_t child)
{
  int status;

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* A process that writes all the time, so that the worker of the node at @seed has to do. */
static pid_t
fork_writer (const char *seed)
{
  pid_t child = fork ();
  GkvNode *node;

  g_assert_cmpint (child, >=, 0);
  if (child > 0)
    return child;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  node = start_node (seed, TRUE);
  for (gint64 i = 0;; i++)
    {
      g_autofree char *key = g_strdup_printf ("key/%d", (int) (i % 1000));

      set_int (node, key, i);
      if (i % 100 == 0)
        g_usleep (500);
    }
}

/* What a child finds of its parent's node, and a node of its own. */
static void
use_in_child (GkvNode *node, GMainContext *context, gboolean own)
{
  g_autoptr (GkvNode) mine = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) stats = gkv_node_get_stats (node);
  int n_changed = 0;

  g_assert_nonnull (stats);
  g_assert_false (gkv_node_set_value (node, "key", g_variant_new_int64 (1), NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CLOSED);
  g_assert_nonnull (strstr (error->message, "forked"));
  g_clear_error (&error);
  g_assert_false (gkv_node_flush (node, 1, 0, NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CLOSED);
  g_assert_nonnull (strstr (error->message, "forked"));
  g_clear_error (&error);
  g_assert_false (gkv_node_wait_synced (node, 0, NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_false (gkv_node_start (node, NULL, &error));
  g_assert_error (error, GKV_ERROR, GKV_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (get_int (node, "key/0"), ==, -1);
  g_assert_cmpuint (gkv_node_get_n_keys (node), ==, 0);
  g_assert_null (gkv_node_get_local_address (node));
  g_assert_true (gkv_node_close (node, NULL, NULL));
  g_object_unref (node);

  while (g_main_context_iteration (context, FALSE))
    ;

  mine = own ? start_node (NULL, TRUE) : gkv_node_new ();
  connect_changed (mine, "changed", ignore_change, &n_changed);
  set_int (mine, "key", 1);
  g_assert_cmpint (n_changed, ==, 1);
}

static void
test_fork (gconstpointer data)
{
  gboolean network_thread = GPOINTER_TO_INT (data);
  GkvNode *node = start_node (NULL, network_thread);
  pid_t writer = fork_writer (gkv_node_get_local_address (node));
  int n_changed = 0;
  gint64 last;

  connect_changed (node, "changed", ignore_change, &n_changed);
  wait_until (gkv_node_get_n_keys (node) == 1000);
  for (guint i = 0; i < N_FORKS; i++)
    {
      pid_t child = fork ();

      g_assert_cmpint (child, >=, 0);
      if (child == 0)
        {
          be_child ();
          use_in_child (node, NULL, i % 10 == 0);
          _exit (0);
        }
      reap (child);
      if (!network_thread)
        while (g_main_context_iteration (NULL, FALSE) && g_random_int_range (0, 100) > 0)
          ;
    }

  /* The parent is still a member, which the writer writes to. */
  last = get_int (node, "key/0");
  wait_until (get_int (node, "key/0") > last);
  g_assert_cmpuint (get_stat (node, "peers-alive"), ==, 1);
  kill (writer, SIGKILL);
  waitpid (writer, NULL, 0);
  stop (node);
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

  g_test_add_func ("/threads/drop", test_drop);
  g_test_add_data_func ("/threads/close/thread", GINT_TO_POINTER (TRUE), test_close);
  g_test_add_data_func ("/threads/close/own-context", GINT_TO_POINTER (FALSE), test_close);
  g_test_add_data_func ("/threads/close-in-handler/thread", GINT_TO_POINTER (TRUE), test_close_in_handler);
  g_test_add_data_func ("/threads/close-in-handler/own-context", GINT_TO_POINTER (FALSE), test_close_in_handler);
  g_test_add_data_func ("/threads/unresolved/thread", GINT_TO_POINTER (TRUE), test_unresolved);
  g_test_add_data_func ("/threads/unresolved/own-context", GINT_TO_POINTER (FALSE), test_unresolved);
  g_test_add_data_func ("/threads/cancel-late/thread", GINT_TO_POINTER (TRUE), test_cancel_late);
  g_test_add_data_func ("/threads/cancel-late/own-context", GINT_TO_POINTER (FALSE), test_cancel_late);
  g_test_add_data_func ("/threads/flush/thread", GINT_TO_POINTER (TRUE), test_flush);
  g_test_add_data_func ("/threads/flush/own-context", GINT_TO_POINTER (FALSE), test_flush);
  g_test_add_func ("/threads/flush-in-vain", test_flush_in_vain);
  g_test_add_func ("/threads/crowd", test_crowd);
  g_test_add_data_func ("/threads/order/thread", GINT_TO_POINTER (TRUE), test_order);
  g_test_add_data_func ("/threads/order/own-context", GINT_TO_POINTER (FALSE), test_order);
  g_test_add_func ("/threads/nested-order", test_nested_order);
  g_test_add_data_func ("/threads/shared-transport/thread", GINT_TO_POINTER (TRUE), test_shared_transport);
  g_test_add_data_func ("/threads/shared-transport/own-context", GINT_TO_POINTER (FALSE), test_shared_transport);
  g_test_add_data_func ("/threads/shared-discovery/thread", GINT_TO_POINTER (TRUE), test_shared_discovery);
  g_test_add_data_func ("/threads/shared-discovery/own-context", GINT_TO_POINTER (FALSE), test_shared_discovery);
  g_test_add_func ("/threads/start-again", test_start_again);
  g_test_add_data_func ("/threads/fork/thread", GINT_TO_POINTER (TRUE), test_fork);
  g_test_add_data_func ("/threads/fork/own-context", GINT_TO_POINTER (FALSE), test_fork);

  return g_test_run ();
}
