/* Looking up host names, a few at a time in the whole process.
 *
 * A resolver queries as many names at once as it is given, on the threads that all of GIO shares: where no name server
 * replies, an application that reads a file would wait until the last seed has timed out. So names wait here in a
 * queue, for one of a few threads of our own. They are ended when the queue is empty.
 *
 * A name is queried once, however many wait for it. A look-up that nobody waits for any more is dropped while it is in
 * the queue; one that is under way goes on, since cancelling it would free nothing but our view of it, and a retry of
 * the same name joins it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-udp-lookup.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define MAX_THREADS 4

/* A name that is looked up, or waits for that. */
typedef struct
{
  char *host;
  GPtrArray *waiting; /* GkvUdpLookup */
} Job;

struct _GkvUdpLookup
{
  GMainContext *context;
  GkvUdpLookupFunc func;
  gpointer user_data;

  Job *job;        /* NULL: it has been looked up */
  GSource *source; /* which hands the result over */
  GList *addresses;
  GError *error;
};

/* All below is guarded by the lock, and so is what jobs and lookups have in them until the result is handed over. */
static GMutex lock;
static GHashTable *jobs; /* host → Job, waiting and under way */
static GQueue *waiting;  /* Job */
static guint n_threads;
static pid_t owner; /* the process that the threads belong to */

static void
lookup_free (gpointer data)
{
  GkvUdpLookup *self = data;

  g_main_context_unref (self->context);
  g_clear_pointer (&self->source, g_source_unref);
  g_list_free_full (self->addresses, g_object_unref);
  g_clear_error (&self->error);
  g_free (self);
}

static void
job_free (Job *job)
{
  g_free (job->host);
  g_ptr_array_unref (job->waiting);
  g_free (job);
}

static gboolean
hand_over (gpointer user_data)
{
  GkvUdpLookup *self = user_data;

  self->func (self->addresses, self->error, self->user_data);

  return G_SOURCE_REMOVE;
}

/* Takes the job that has been looked up from all that wait for it. */
static void
job_end_locked (Job *job, GList *addresses, const GError *error)
{
  g_hash_table_remove (jobs, job->host);

  for (guint i = 0; i < job->waiting->len; i++)
    {
      GkvUdpLookup *lookup = g_ptr_array_index (job->waiting, i);

      lookup->job = NULL;
      lookup->addresses = g_list_copy_deep (addresses, (GCopyFunc) (GCallback) g_object_ref, NULL);
      lookup->error = error != NULL ? g_error_copy (error) : NULL;
      lookup->source = g_idle_source_new ();
      g_source_set_priority (lookup->source, G_PRIORITY_DEFAULT);
      g_source_set_static_name (lookup->source, "[gkv] UDP look-up");
      g_source_set_callback (lookup->source, hand_over, lookup, lookup_free);
      g_source_attach (lookup->source, lookup->context);
    }
  job_free (job);
}

/* The next name that somebody waits for. */
static Job *
pop_job_locked (void)
{
  Job *job;

  while ((job = g_queue_pop_head (waiting)) != NULL)
    {
      if (job->waiting->len > 0)
        return job;

      g_hash_table_remove (jobs, job->host);
      job_free (job);
    }

  return NULL;
}

static gpointer
run (gpointer data)
{
  Job *job;

  g_mutex_lock (&lock);
  while ((job = pop_job_locked ()) != NULL)
    {
      g_autoptr (GResolver) resolver = NULL;
      g_autoptr (GError) error = NULL;
      GList *addresses;

      g_mutex_unlock (&lock);
      resolver = g_resolver_get_default ();
      addresses = g_resolver_lookup_by_name (resolver, job->host, NULL, &error);
      g_mutex_lock (&lock);

      job_end_locked (job, addresses, error);
      g_list_free_full (addresses, g_object_unref);
    }
  n_threads--;
  g_mutex_unlock (&lock);

  return NULL;
}

/* A signal of the application must not be handled on a thread that it doesn't know of. */
static void
start_thread_locked (void)
{
  g_autoptr (GError) error = NULL;
  GThread *thread;
  sigset_t all, before;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  thread = g_thread_try_new ("gkv-lookup", run, NULL, &error);
  pthread_sigmask (SIG_SETMASK, &before, NULL);

  if (thread != NULL)
    {
      n_threads++;
      g_thread_unref (thread);
      return;
    }

  /* Otherwise the threads that there are will come to it. */
  if (n_threads == 0)
    {
      Job *job;

      while ((job = pop_job_locked ()) != NULL)
        job_end_locked (job, NULL, error);
    }
}

/* The threads of the process that this one was forked from aren't here. */
static void
ensure_owner_locked (void)
{
  if (owner == getpid ())
    return;

  owner = getpid ();
  n_threads = 0;
  jobs = g_hash_table_new (g_str_hash, g_str_equal);
  waiting = g_queue_new ();
}

GkvUdpLookup *
gkv_udp_lookup_begin (const char *host, GkvUdpLookupFunc func, gpointer user_data)
{
  GkvUdpLookup *self = g_new0 (GkvUdpLookup, 1);

  self->context = g_main_context_ref_thread_default ();
  self->func = func;
  self->user_data = user_data;

  g_mutex_lock (&lock);
  ensure_owner_locked ();
  self->job = g_hash_table_lookup (jobs, host);
  if (self->job == NULL)
    {
      self->job = g_new0 (Job, 1);
      self->job->host = g_strdup (host);
      self->job->waiting = g_ptr_array_new ();
      g_hash_table_insert (jobs, self->job->host, self->job);
      g_queue_push_tail (waiting, self->job);
    }
  g_ptr_array_add (self->job->waiting, self);
  if (n_threads < MAX_THREADS && !g_queue_is_empty (waiting))
    start_thread_locked ();
  g_mutex_unlock (&lock);

  return self;
}

void
gkv_udp_lookup_cancel (GkvUdpLookup *self)
{
  g_autoptr (GSource) source = NULL;

  g_mutex_lock (&lock);
  ensure_owner_locked ();
  if (self->job != NULL)
    {
      g_ptr_array_remove_fast (self->job->waiting, self);
      lookup_free (self);
    }
  else
    source = g_source_ref (self->source);
  g_mutex_unlock (&lock);

  /* It frees the lookup. */
  if (source != NULL)
    g_source_destroy (source);
}
