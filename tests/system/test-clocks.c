/* Real nodes with wrong wall clocks: each is driven in its own context, and what it reads is what its machine would
 * say.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gkv.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define N       4
#define HOUR    ((gint64) 3600 * G_USEC_PER_SEC)
#define PERIOD  (2 * G_TIME_SPAN_MILLISECOND)
#define TIMEOUT (30 * G_TIME_SPAN_SECOND)

typedef struct
{
  GMainContext *context;
  GkvNode *node;
  gint64 ahead;    /* of its wall clock, in us */
  guint n_reports; /* of clocks */
  char *last;
} Machine;

/* Of the machine that does something now. */
static gint64 ahead;

/* These stand before those of the C library and of GLib. */
int
clock_gettime (clockid_t clock, struct timespec *time)
{
  int result = syscall (SYS_clock_gettime, clock, time);

  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
    time->tv_sec += ahead / G_USEC_PER_SEC;
  return result;
}

gint64
g_get_real_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_REALTIME, &time);
  return time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

static void
on_error (GkvNode *node, const GError *error, gpointer user_data)
{
  Machine *machine = user_data;

  if (!g_error_matches (error, GKV_ERROR, GKV_ERROR_CLOCK))
    return;

  machine->n_reports++;
  g_free (machine->last);
  machine->last = g_strdup (error->message);
}

static void
enter (Machine *machine)
{
  ahead = machine->ahead;
  g_main_context_push_thread_default (machine->context);
}

static void
leave (Machine *machine)
{
  g_main_context_pop_thread_default (machine->context);
  ahead = 0;
}

static void
start (Machine *machine, const char *id, const char *seed, gint64 wall_ahead)
{
  const char *seeds[] = { seed, NULL };

  machine->context = g_main_context_new ();
  machine->ahead = wall_ahead;
  enter (machine);
  machine->node = g_object_new (GKV_TYPE_NODE, "node-id", id, "bind-address", "127.0.0.1:0", "seeds", seeds,
                                "network-thread", FALSE, "gossip-interval", 100, NULL);
  g_signal_connect (machine->node, "error", G_CALLBACK (on_error), machine);
  g_assert_true (gkv_node_start (machine->node, NULL, NULL));
  leave (machine);
}

static void
turn (Machine *machines)
{
  for (guint i = 0; i < N; i++)
    {
      enter (&machines[i]);
      while (g_main_context_iteration (machines[i].context, FALSE))
        ;
      leave (&machines[i]);
    }
  g_usleep (PERIOD);
}

static gboolean
all_show (Machine *machines, const char *key, const char *value)
{
  for (guint i = 0; i < N; i++)
    {
      g_autofree char *shown = gkv_node_get_string (machines[i].node, key, NULL);

      if (g_strcmp0 (shown, value) != 0)
        return FALSE;
    }

  return TRUE;
}

static void
await (Machine *machines, const char *key, const char *value)
{
  gint64 give_up_at = g_get_monotonic_time () + TIMEOUT;

  while (!all_show (machines, key, value))
    {
      g_assert_cmpint (g_get_monotonic_time (), <, give_up_at);
      turn (machines);
    }
}

static void
set (Machine *machine, const char *key, const char *value)
{
  enter (machine);
  g_assert_true (gkv_node_set_string (machine->node, key, value, NULL));
  leave (machine);
}

static void
start_all (Machine *machines, gint64 wall_ahead)
{
  static const char *const ids[N] = { "a", "b", "c", "wrong" };

  for (guint i = 0; i < N; i++)
    start (&machines[i], ids[i], i > 0 ? gkv_node_get_local_address (machines[0].node) : NULL,
           i == N - 1 ? wall_ahead : 0);
}

static void
end_all (Machine *machines)
{
  for (guint i = 0; i < N; i++)
    {
      enter (&machines[i]);
      gkv_node_close (machines[i].node, NULL, NULL);
      g_object_unref (machines[i].node);
      leave (&machines[i]);
      g_main_context_unref (machines[i].context);
      g_free (machines[i].last);
    }
}

/* What a clock three days ahead writes isn't shown elsewhere; what others write is shown at its node, also over that.
 * It is told, at both ends, that it is the wrong one. Once it is set, all is shown, and the next write is an ordinary
 * one. */
static void
test_ahead (void)
{
  Machine machines[N] = { 0 };
  Machine *wrong = &machines[N - 1];

  start_all (machines, 72 * HOUR);
  set (&machines[1], "from-b", "value");
  await (machines, "from-b", "value");

  set (wrong, "key", "ahead");
  set (wrong, "other", "ahead");
  while (machines[0].n_reports == 0 || machines[1].n_reports == 0 || machines[2].n_reports == 0 ||
         wrong->n_reports == 0)
    turn (machines);
  g_assert_false (gkv_node_contains (machines[1].node, "key"));
  for (guint i = 0; i < N; i++)
    g_assert_nonnull (strstr (machines[i].last, i < N - 1 ? "it is the clock of \"wrong\" that is wrong"
                                                          : "it is this clock that is wrong"));
  set (&machines[1], "key", "over");
  await (machines, "key", "over");

  wrong->ahead = 0;
  await (machines, "other", "ahead");
  g_assert_true (all_show (machines, "key", "over"));
  set (wrong, "key", "right");
  await (machines, "key", "right");
  for (guint i = 0; i < N; i++)
    while (strstr (machines[i].last, i < N - 1 ? "agree again" : "was set") == NULL)
      turn (machines);
  end_all (machines);
}

/* One that is behind is told, and shows what the others write once it is set. */
static void
test_behind (void)
{
  Machine machines[N] = { 0 };
  Machine *wrong = &machines[N - 1];

  start_all (machines, -48 * HOUR);
  set (wrong, "from-it", "value");
  await (machines, "from-it", "value");
  set (&machines[0], "from-a", "value");
  while (wrong->n_reports == 0)
    turn (machines);
  g_assert_nonnull (strstr (wrong->last, "it is this clock that is wrong"));

  wrong->ahead = 0;
  await (machines, "from-a", "value");
  end_all (machines);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/clocks/ahead", test_ahead);
  g_test_add_func ("/clocks/behind", test_behind);

  return g_test_run ();
}
