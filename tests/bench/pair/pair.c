/* One run of a pair: the work, the stamps and the figures, the same for every link.
 *
 * The first end is the parent. It says hello until the other says hello, bounces a value between the handlers of both
 * (half a round trip is the latency), then writes 1,000 values a second, whose age the other end's handler takes. Or,
 * as the workload "hot", it writes one key without pause, and the other end counts what it is told.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pair.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS       ((gint64) 1000 * 1000)
#define N_WARMING       200
#define WRITES_A_SECOND 1000
/* What the writer of a hot key writes before it lets its link turn. */
#define BURST      16
#define PATIENCE_S 30

enum
{
  HELLO = 1,
  PING,
  ONE_WAY,
  HOT,
  END,
};

static char *option_link;
static int option_trials = 10000;
static int option_seconds = 3;
static int option_cores = 0;

static const GOptionEntry options[] = {
  { "link", 0, 0, G_OPTION_ARG_STRING, &option_link, "what carries the values", "NAME" },
  { "trials", 0, 0, G_OPTION_ARG_INT, &option_trials, "round trips to take", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_INT, &option_seconds, "how long to write one way, or without pause", "S" },
  { "cores", 0, 0, G_OPTION_ARG_INT, &option_cores, "1: both ends on one core, 2: a core for each; 0: as it comes",
    "N" },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

static const PairLink *used;
static gboolean is_first, is_hot;
static int timer_fd;
static pid_t child;

/* What the first end does now; its timer's thread and that of its handler both look at it. */
static int phase;
static int stopped;

static gint64 *ages; /* ns, of round trips or of values that went one way */
static guint n_ages;
static guint serial, last_received;
static guint64 n_hot;
static gint64 started, cpu_started, last_hot, deadline;

static gint64
get_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

/* Processor time of all threads of this process. */
static gint64
get_cpu_us (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * (gint64) G_USEC_PER_SEC + usage.ru_utime.tv_usec +
         usage.ru_stime.tv_usec;
}

/* --- What it says */

static void
say (const char *row, double value)
{
  printf ("{\"row\": \"%s\", \"value\": %.4f}\n", row, value);
  fflush (stdout);
}

static void
say_cannot (const char *why)
{
  printf ("{\"cannot\": \"%s\"}\n", why);
  fflush (stdout);
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return (x > y) - (x < y);
}

static void
say_ages (const char *name, double unit)
{
  static const struct
  {
    const char *name;
    double part;
  } quantiles[] = { { "median", 0.5 }, { "99", 0.99 }, { "99.9", 0.999 }, { "max", 1 } };

  if (n_ages == 0)
    return;

  qsort (ages, n_ages, sizeof *ages, compare_times);
  for (guint i = 0; i < G_N_ELEMENTS (quantiles); i++)
    {
      g_autofree char *row = g_strdup_printf ("%s-%s", name, quantiles[i].name);

      say (row, ages[MIN ((guint) (quantiles[i].part * n_ages), n_ages - 1)] / unit);
    }
}

/* --- What both ends do */

static void
set_timer (gint64 first_ns, gint64 every_ns)
{
  const struct itimerspec spec = {
    .it_interval = { every_ns / 1000000000, every_ns % 1000000000 },
    .it_value = { first_ns / 1000000000, first_ns % 1000000000 },
  };

  timerfd_settime (timer_fd, 0, &spec, NULL);
}

static void
stop (void)
{
  g_atomic_int_set (&stopped, TRUE);
  /* Whoever waits for the timer is to look. */
  set_timer (1, 0);
}

static void
write_value (guint32 kind, guint32 number)
{
  PairValue value = { .kind = kind, .serial = number, .stamp = get_ns () };

  memset (value.filling, 'x', sizeof value.filling);
  used->write (&value);
}

gboolean
pair_is_stopped (void)
{
  return g_atomic_int_get (&stopped);
}

gboolean
pair_is_flooding (void)
{
  return is_first && g_atomic_int_get (&phase) == HOT;
}

/* --- The first end */

static void
enter (int new_phase)
{
  serial = 0;
  started = get_ns ();
  cpu_started = get_cpu_us ();
  g_atomic_int_set (&phase, new_phase);

  switch (new_phase)
    {
    case PING:
      /* No timer disturbs the round trips; this one only ends a run whose value got lost. */
      set_timer (PATIENCE_S * 1000 * NS_PER_MS, 0);
      write_value (PING, serial);
      break;

    case ONE_WAY:
      set_timer (200 * NS_PER_MS, 1000 * NS_PER_MS / WRITES_A_SECOND);
      break;

    case HOT:
      set_timer (option_seconds * 1000 * NS_PER_MS, 0);
      break;

    default:
      set_timer (100 * NS_PER_MS, 10 * NS_PER_MS);
    }
}

static void
receive_first (const PairValue *value)
{
  if (value->kind != PING || value->serial != serial || g_atomic_int_get (&phase) != PING)
    return;

  if (serial >= N_WARMING)
    ages[n_ages++] = get_ns () - started;
  serial++;
  if (serial == N_WARMING)
    cpu_started = get_cpu_us ();
  if (serial < N_WARMING + (guint) option_trials)
    {
      started = get_ns ();
      write_value (PING, serial);
      return;
    }

  say ("cpu", (double) (get_cpu_us () - cpu_started) / option_trials);
  say_ages ("half", 2 * 1000.0);
  enter (option_seconds > 0 ? ONE_WAY : END);
}

static void
tick_first (void)
{
  switch (g_atomic_int_get (&phase))
    {
    case HELLO:
      if (get_ns () > deadline)
        {
          say_cannot ("the two ends didn't find each other");
          stop ();
        }
      else if (g_atomic_int_get (&last_received) == HELLO)
        enter (is_hot ? HOT : PING);
      else
        write_value (HELLO, serial++);
      break;

    case PING:
      say_cannot ("a value got lost");
      stop ();
      break;

    case ONE_WAY:
      write_value (ONE_WAY, serial++);
      if (serial == (guint) option_seconds * WRITES_A_SECOND)
        enter (END);
      break;

    case HOT:
      say ("hot-written", serial * 1e9 / (get_ns () - started));
      enter (END);
      break;

    case END:
      /* It is said until the other end has understood it and is gone. */
      if (waitpid (child, NULL, WNOHANG) == child)
        {
          child = 0;
          stop ();
        }
      else
        write_value (END, serial++);
      break;

    default:
      break;
    }
}

/* --- The other end */

static void
receive_other (const PairValue *value)
{
  static guint32 last_kind;
  gint64 now = get_ns ();

  if (value->kind != last_kind && last_kind == PING)
    say ("cpu", (double) (get_cpu_us () - cpu_started) / option_trials);

  switch (value->kind)
    {
    case HELLO:
      write_value (HELLO, value->serial);
      break;

    case PING:
      if (value->serial == N_WARMING)
        cpu_started = get_cpu_us ();
      write_value (PING, value->serial);
      break;

    case ONE_WAY:
      if (n_ages < (guint) option_seconds * WRITES_A_SECOND)
        ages[n_ages++] = now - value->stamp;
      break;

    case HOT:
      if (n_hot++ == 0)
        {
          started = now;
          cpu_started = get_cpu_us ();
        }
      last_hot = now;
      break;

    case END:
      if (last_kind == END)
        return;
      if (is_hot)
        {
          /* What came after the writer's last moment had waited. */
          double taken = MAX (MAX (last_hot, value->stamp) - started, 1);

          say ("hot-told", n_hot * 1e9 / taken);
          say ("hot-cpu", n_hot == 0 ? 0 : 100 * 1000.0 * (get_cpu_us () - cpu_started) / (now - started));
        }
      else if (option_seconds > 0)
        {
          /* A map may merge writes, and then the ages are those of the rest. */
          say ("one-way-received", 100.0 * n_ages / (option_seconds * WRITES_A_SECOND));
          say_ages ("one-way", 1000.0);
        }
      stop ();
      break;

    default:
      break;
    }
  last_kind = value->kind;
}

/* --- For links */

void
pair_receive (const PairValue *value)
{
  if (is_first)
    {
      if (value->kind == HELLO)
        g_atomic_int_set (&last_received, HELLO);
      receive_first (value);
    }
  else
    {
      receive_other (value);
    }
}

void
pair_tick (int timer)
{
  guint64 n;

  if (read (timer, &n, sizeof n) == sizeof n && is_first && !pair_is_stopped ())
    tick_first ();
}

void
pair_flood (void)
{
  for (guint i = 0; i < BURST; i++)
    write_value (HOT, serial++);
}

/* --- The driver */

/* Before any thread is started, so that all of this end stay where it is. */
static void
choose_core (void)
{
  cpu_set_t allowed, own;
  int n_left = option_cores == 2 && !is_first ? 1 : 0;

  if (option_cores == 0 || sched_getaffinity (0, sizeof allowed, &allowed) < 0)
    return;

  CPU_ZERO (&own);
  for (int core = 0; core < CPU_SETSIZE; core++)
    if (CPU_ISSET (core, &allowed) && n_left-- == 0)
      CPU_SET (core, &own);
  /* Where there is one core only, all stays as it is. */
  if (CPU_COUNT (&own) == 1)
    sched_setaffinity (0, sizeof own, &own);
}

static int
run (void)
{
  g_autofree char *peer = NULL;
  g_autofree char *address = NULL;
  char text[256];
  gssize n = 0;
  int fds[2];

  ages = g_new (gint64, MAX (option_trials, option_seconds * WRITES_A_SECOND) + 1);
  if (pipe (fds) < 0 || (child = fork ()) < 0)
    g_error ("no second process: %s", g_strerror (errno));
  is_first = child != 0;

  if (is_first)
    {
      close (fds[1]);
      n = read (fds[0], text, sizeof text);
      if (n <= 0)
        g_error ("the other end didn't open");
      peer = g_strndup (text, n);
    }
  else
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
    }

  choose_core ();
  timer_fd = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  address = used->open (peer);
  if (is_first)
    {
      deadline = get_ns () + PATIENCE_S * 1000 * NS_PER_MS;
      phase = HELLO;
      set_timer (10 * NS_PER_MS, 10 * NS_PER_MS);
    }
  else if (write (fds[1], address, strlen (address)) < 0)
    {
      g_error ("no pipe: %s", g_strerror (errno));
    }

  used->run (timer_fd);
  if (!is_first)
    _exit (0);
  if (child != 0)
    kill (child, SIGKILL);
  printf ("{\"done\": true}\n");
  fflush (stdout);
  /* Closing is no part of the figures. */
  _exit (child != 0);
}

int
pair_main (const PairLink *const *links, int argc, char *argv[])
{
  g_autoptr (GOptionContext) context = g_option_context_new ("pair|hot");
  g_autoptr (GError) error = NULL;
  const char *lack;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc != 2)
    {
      g_printerr ("%s\n", error != NULL ? error->message : "A workload is needed, pair or hot.");
      return 2;
    }

  for (guint i = 0; links[i] != NULL && used == NULL; i++)
    if (option_link == NULL || strcmp (links[i]->name, option_link) == 0)
      used = links[i];
  if (used == NULL)
    {
      g_printerr ("There is no link named %s.\n", option_link);
      return 2;
    }
  is_hot = strcmp (argv[1], "hot") == 0;
  if (!is_hot && strcmp (argv[1], "pair") != 0)
    lack = "no such workload";
  else
    lack = used->get_lack != NULL ? used->get_lack () : NULL;
  if (lack != NULL)
    {
      say_cannot (lack);
      return 0;
    }

  return run ();
}
