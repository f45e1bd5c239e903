/* GkvNotices: what waits to be emitted and is no change of a key.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-notices.h"

#include "store/gkv-hash.h"

/* The most errors that wait. */
#define MAX_ERRORS (64)

struct _GkvNotices
{
  GQueue queue;        /* GkvNotice */
  GHashTable *by_peer; /* node id → the last GkvNotice of that peer */
  guint n_errors;
};

void
gkv_notice_free (GkvNotice *notice)
{
  g_clear_pointer (&notice->peer, gkv_peer_info_free);
  g_clear_error (&notice->error);
  g_free (notice);
}

GkvNotices *
gkv_notices_new (void)
{
  GkvNotices *self = g_new0 (GkvNotices, 1);

  g_queue_init (&self->queue);
  self->by_peer = g_hash_table_new (gkv_hash_string, g_str_equal);

  return self;
}

void
gkv_notices_free (GkvNotices *self)
{
  gkv_notices_drop (self);
  g_hash_table_unref (self->by_peer);
  g_free (self);
}

static GkvNotice *
gkv_notices_append (GkvNotices *self)
{
  GkvNotice *notice = g_new0 (GkvNotice, 1);

  notice->link.data = notice;
  g_queue_push_tail_link (&self->queue, &notice->link);

  return notice;
}

/* Takes @notice out of the queue, for the caller to free. */
static void
gkv_notices_unlink (GkvNotices *self, GkvNotice *notice)
{
  GkvNotice *last = notice->peer != NULL ? g_hash_table_lookup (self->by_peer, notice->peer->node_id) : NULL;

  g_queue_unlink (&self->queue, &notice->link);

  if (notice->error != NULL)
    self->n_errors--;
  else if (last == notice && notice->removal != NULL)
    g_hash_table_replace (self->by_peer, notice->removal->peer->node_id, notice->removal);
  else if (last == notice)
    g_hash_table_remove (self->by_peer, notice->peer->node_id);
  else if (last != NULL && last->removal == notice)
    last->removal = NULL;
}

/* Whether @info adds nothing but to @last, which waits. */
static gboolean
gkv_notices_update_peer (GkvNotices *self, GkvNotice *last, GkvPeerInfo *info, gboolean live)
{
  if (last == NULL || (!last->live && live))
    return FALSE;

  if (!live && (!last->live || last->removal != NULL))
    {
      if (last->live) /* it came and went after a removal that waits */
        {
          gkv_notices_unlink (self, last);
          gkv_notice_free (last);
        }
      gkv_peer_info_free (info);
      return TRUE;
    }

  g_hash_table_replace (self->by_peer, info->node_id, last);
  gkv_peer_info_free (last->peer);
  last->peer = info;
  last->live = live;

  return TRUE;
}

void
gkv_notices_add_peer (GkvNotices *self, GkvPeerInfo *info, gboolean live)
{
  GkvNotice *last = g_hash_table_lookup (self->by_peer, info->node_id);
  GkvNotice *notice;

  if (gkv_notices_update_peer (self, last, info, live))
    return;

  notice = gkv_notices_append (self);
  notice->peer = info;
  notice->live = live;
  notice->removal = last;
  g_hash_table_replace (self->by_peer, info->node_id, notice);
}

void
gkv_notices_add_error (GkvNotices *self, const GError *error)
{
  if (self->n_errors >= MAX_ERRORS)
    return;

  gkv_notices_append (self)->error = g_error_copy (error);
  self->n_errors++;
}

void
gkv_notices_add_notify (GkvNotices *self, GParamSpec *pspec)
{
  for (GList *link = self->queue.head; link != NULL; link = link->next)
    if (((GkvNotice *) link->data)->pspec == pspec)
      return;

  gkv_notices_append (self)->pspec = pspec;
}

GkvNotice *
gkv_notices_pop (GkvNotices *self)
{
  GkvNotice *notice = g_queue_peek_head (&self->queue);

  if (notice != NULL)
    gkv_notices_unlink (self, notice);

  return notice;
}

void
gkv_notices_drop (GkvNotices *self)
{
  GkvNotice *notice;

  while ((notice = gkv_notices_pop (self)) != NULL)
    gkv_notice_free (notice);
}
