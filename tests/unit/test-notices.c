/* What waits for a main context that doesn't run: of peers the last state, of errors a few.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-error.h"
#include "gkv-node.h"
#include "gkv-peer.h"
#include "node/gkv-emitter.h"

typedef struct
{
  GkvOwner *owner;
  GkvMap *map;
  GkvNode *node;
  GkvEmitter *emitter;
  GString *told; /* of each signal and notification */
} Fixture;

static void
on_notify (GkvPeer *peer, GParamSpec *pspec, GString *told)
{
  g_string_append_printf (told, "%s=%d ", pspec->name, (int) gkv_peer_get_round_trip_time (peer));
}

static void
on_peer_added (GkvNode *node, GkvPeer *peer, GString *told)
{
  g_string_append_printf (told, "+%s ", gkv_peer_get_node_id (peer));
  g_signal_connect (peer, "notify::round-trip-time", G_CALLBACK (on_notify), told);
}

static void
on_peer_removed (GkvNode *node, GkvPeer *peer, GString *told)
{
  g_string_append_printf (told, "-%s ", gkv_peer_get_node_id (peer));
  g_signal_handlers_disconnect_by_data (peer, told);
}

static void
on_error (GkvNode *node, const GError *error, GString *told)
{
  g_string_append (told, "! ");
}

static void
set_up (Fixture *f, gconstpointer data)
{
  GkvEmitterSignals signals = {
    g_signal_lookup ("changed", GKV_TYPE_NODE),
    g_signal_lookup ("peer-added", GKV_TYPE_NODE),
    g_signal_lookup ("peer-removed", GKV_TYPE_NODE),
    g_signal_lookup ("error", GKV_TYPE_NODE),
  };

  f->node = gkv_node_new ();
  f->owner = gkv_owner_new ();
  f->map = gkv_map_new (f->owner, "own", "cluster", 1);
  f->emitter = gkv_emitter_new (f->owner, f->map, &signals);
  f->told = g_string_new (NULL);
  gkv_emitter_set_node (f->emitter, G_OBJECT (f->node));
  g_signal_connect (f->node, "peer-added", G_CALLBACK (on_peer_added), f->told);
  g_signal_connect (f->node, "peer-removed", G_CALLBACK (on_peer_removed), f->told);
  g_signal_connect (f->node, "error", G_CALLBACK (on_error), f->told);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gkv_emitter_close (f->emitter);
  gkv_emitter_unref (f->emitter);
  g_object_unref (f->node);
  gkv_map_unref (f->map);
  gkv_owner_unref (f->owner);
  g_string_free (f->told, TRUE);
}

static void
post (Fixture *f, const char *node_id, int round_trip_us, gboolean removed)
{
  GkvPeerInfo *info = g_new0 (GkvPeerInfo, 1);

  info->node_id = g_strdup (node_id);
  info->address = g_strdup ("127.0.0.1:7000");
  info->round_trip_us = round_trip_us;
  gkv_emitter_post_peer (f->emitter, info, !removed);
}

static void
expect (Fixture *f, const char *told)
{
  while (gkv_emitter_run (f->emitter, G_MAXINT64))
    ;
  g_assert_cmpstr (f->told->str, ==, told);
  g_string_truncate (f->told, 0);
}

static void
test_peers (Fixture *f, gconstpointer data)
{
  post (f, "a", 1, FALSE);
  expect (f, "+a ");
  for (int i = 2; i <= 1000; i++)
    post (f, "a", i, FALSE);
  expect (f, "round-trip-time=1000 ");

  /* New, and gone again: nobody is told. */
  post (f, "b", 1, FALSE);
  post (f, "b", 2, FALSE);
  post (f, "b", 2, TRUE);
  expect (f, "");

  /* Gone, and back: another object, however often. */
  for (int i = 0; i < 1000; i++)
    {
      post (f, "a", i, TRUE);
      post (f, "a", 2 * i, FALSE);
    }
  expect (f, "round-trip-time=0 -a +a ");
  post (f, "a", 5, FALSE);
  post (f, "a", 5, TRUE);
  post (f, "a", 6, FALSE);
  post (f, "a", 6, TRUE);
  post (f, "a", 6, TRUE);
  expect (f, "round-trip-time=5 -a ");
}

static void
test_errors (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr (GError) error = g_error_new (GKV_ERROR, GKV_ERROR_FAILED, "It is the %uth", i);

      gkv_emitter_post_error (f->emitter, error);
    }
  while (gkv_emitter_run (f->emitter, G_MAXINT64))
    ;
  g_assert_cmpuint (f->told->len, <=, 2 * 64);
  g_assert_cmpuint (f->told->len, >, 0);
}

/* What waits when it ends is dropped. */
static void
test_end (Fixture *f, gconstpointer data)
{
  test_peers (f, data);
  post (f, "c", 1, FALSE);
  post (f, "d", 1, FALSE);
  post (f, "d", 1, TRUE);
  gkv_emitter_close (f->emitter);
  post (f, "c", 1, FALSE);
  post (f, "e", 1, FALSE);
  expect (f, "");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_type_ensure (GKV_TYPE_NODE);
  g_type_class_unref (g_type_class_ref (GKV_TYPE_NODE));
  g_test_add ("/notices/peers", Fixture, NULL, set_up, test_peers, tear_down);
  g_test_add ("/notices/errors", Fixture, NULL, set_up, test_errors, tear_down);
  g_test_add ("/notices/end", Fixture, NULL, set_up, test_end, tear_down);
  return g_test_run ();
}
