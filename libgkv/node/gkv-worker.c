/* The worker: a thread with a main context, which all nodes of the process share for their networks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-worker.h"

#include "gkv-owner.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

/* A fork waits so long for the worker, which begins nothing new after 10 ms, but may have to wait for a processor. */
#define FORK_PATIENCE_S (1)

typedef struct
{
  guint n_forks; /* of its process */
  GMainContext *context;
} GkvWorker;

/* Replaced without a lock: one that another thread held during a fork would stay locked in the child. */
static GkvWorker *the_worker;

/* Forking. A lock that the worker holds while another thread forks stays locked in the child for ever: those of GLib's
 * signals and types, which every child needs, and which the worker takes all the time. So a fork waits until the worker
 * waits for something to do, and keeps it there meanwhile. */

static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fork_cond = PTHREAD_COND_INITIALIZER;
static gboolean is_working;
static guint n_forking;
static GPrivate is_worker;

static void
gkv_worker_begin_work (void)
{
  pthread_mutex_lock (&fork_lock);
  while (n_forking > 0)
    pthread_cond_wait (&fork_cond, &fork_lock);
  is_working = TRUE;
  pthread_mutex_unlock (&fork_lock);
}

static int
gkv_worker_poll (GPollFD *fds, guint n_fds, int timeout_ms)
{
  int n_ready;

  pthread_mutex_lock (&fork_lock);
  is_working = FALSE;
  if (n_forking > 0)
    pthread_cond_broadcast (&fork_cond);
  pthread_mutex_unlock (&fork_lock);

  n_ready = g_poll (fds, n_fds, timeout_ms);
  gkv_worker_begin_work ();

  return n_ready;
}

/* The worker may have to wait for this thread, for an interpreter's lock for instance: so there is an end to it. */
static void
gkv_worker_before_fork (void)
{
  struct timespec until;

  clock_gettime (CLOCK_REALTIME, &until);
  until.tv_sec += FORK_PATIENCE_S;

  pthread_mutex_lock (&fork_lock);
  n_forking++;
  while (is_working && g_private_get (&is_worker) == NULL)
    if (pthread_cond_timedwait (&fork_cond, &fork_lock, &until) != 0)
      break;
}

static void
gkv_worker_forked_parent (void)
{
  n_forking--;
  pthread_cond_broadcast (&fork_cond);
  pthread_mutex_unlock (&fork_lock);
}

static void
gkv_worker_forked_child (void)
{
  pthread_mutex_init (&fork_lock, NULL);
  pthread_cond_init (&fork_cond, NULL);
  n_forking = 0;
  is_working = FALSE;
}

static gpointer
gkv_worker_run (gpointer data)
{
  GMainContext *context = data;
  g_autoptr (GMainLoop) loop = g_main_loop_new (context, FALSE);

  g_private_set (&is_worker, context);
  gkv_worker_begin_work ();
  g_main_context_push_thread_default (context);
  g_main_loop_run (loop);

  return NULL;
}

/* Signals are for the application's threads. */
static void
gkv_worker_start (GkvWorker *self)
{
  static gsize watched;
  sigset_t all, old;
  GThread *thread;

  if (g_once_init_enter (&watched))
    {
      pthread_atfork (gkv_worker_before_fork, gkv_worker_forked_parent, gkv_worker_forked_child);
      g_once_init_leave (&watched, TRUE);
    }

  g_main_context_set_poll_func (self->context, gkv_worker_poll);
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  thread = g_thread_new ("gkv", gkv_worker_run, self->context);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  g_thread_unref (thread);
}

GMainContext *
gkv_worker_get_context (void)
{
  GkvWorker *worker = g_atomic_pointer_get (&the_worker);
  GkvWorker *made;

  if (worker != NULL && worker->n_forks == gkv_owner_n_forks)
    return worker->context;

  made = g_new (GkvWorker, 1);
  made->n_forks = gkv_owner_n_forks;
  made->context = g_main_context_new ();

  /* That of the parent process is left alone: its locks may be held by threads that aren't here. */
  if (g_atomic_pointer_compare_and_exchange (&the_worker, worker, made))
    {
      gkv_worker_start (made);
      return made->context;
    }

  g_main_context_unref (made->context);
  g_free (made);

  return gkv_worker_get_context ();
}
