/* The worker: a thread with a main context, which all nodes of the process share for their networks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-worker.h"

#include <signal.h>
#include <unistd.h>

typedef struct
{
  pid_t process;
  GMainContext *context;
} GkvWorker;

/* Replaced without a lock: one that another thread held during a fork would stay locked in the child. */
static GkvWorker *the_worker;

static gpointer
gkv_worker_run (gpointer data)
{
  GMainContext *context = data;
  g_autoptr (GMainLoop) loop = g_main_loop_new (context, FALSE);

  g_main_context_push_thread_default (context);
  g_main_loop_run (loop);

  return NULL;
}

/* Signals are for the application's threads. */
static void
gkv_worker_start (GkvWorker *self)
{
  sigset_t all, old;
  GThread *thread;

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

  if (worker != NULL && worker->process == getpid ())
    return worker->context;

  made = g_new (GkvWorker, 1);
  made->process = getpid ();
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
