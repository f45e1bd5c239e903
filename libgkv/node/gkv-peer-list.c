/* GkvPeerList: the peers that are alive or suspect, sorted by id, as a GListModel.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-peer-list.h"

struct _GkvPeerList
{
  GObject parent_instance;

  GPtrArray *peers; /* GkvPeer, by id */
};

enum
{
  PROP_0,

  PROP_ITEM_TYPE,
  PROP_N_ITEMS,

  N_PROPS
};

static GParamSpec *props[N_PROPS] = {
  NULL,
};

static void gkv_peer_list_model_iface_init (GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (GkvPeerList,
                               gkv_peer_list,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, gkv_peer_list_model_iface_init))

static void
gkv_peer_list_finalize (GObject *object)
{
  g_ptr_array_unref (GKV_PEER_LIST (object)->peers);

  G_OBJECT_CLASS (gkv_peer_list_parent_class)->finalize (object);
}

static void
gkv_peer_list_init (GkvPeerList *self)
{
  self->peers = g_ptr_array_new_with_free_func (g_object_unref);
}

static void
gkv_peer_list_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  switch (prop_id)
    {
    case PROP_ITEM_TYPE:
      g_value_set_gtype (value, GKV_TYPE_PEER);
      break;

    case PROP_N_ITEMS:
      g_value_set_uint (value, GKV_PEER_LIST (object)->peers->len);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gkv_peer_list_class_init (GkvPeerListClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = gkv_peer_list_finalize;
  object_class->get_property = gkv_peer_list_get_property;

  props[PROP_ITEM_TYPE] = g_param_spec_gtype ("item-type", NULL, NULL, G_TYPE_OBJECT, flags);
  props[PROP_N_ITEMS] = g_param_spec_uint ("n-items", NULL, NULL, 0, G_MAXUINT, 0, flags);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static GType
gkv_peer_list_get_item_type (GListModel *model)
{
  return GKV_TYPE_PEER;
}

static guint
gkv_peer_list_get_n_items (GListModel *model)
{
  return GKV_PEER_LIST (model)->peers->len;
}

static gpointer
gkv_peer_list_get_item (GListModel *model, guint position)
{
  GkvPeerList *self = GKV_PEER_LIST (model);

  return position < self->peers->len ? g_object_ref (self->peers->pdata[position]) : NULL;
}

static void
gkv_peer_list_model_iface_init (GListModelInterface *iface)
{
  iface->get_item_type = gkv_peer_list_get_item_type;
  iface->get_n_items = gkv_peer_list_get_n_items;
  iface->get_item = gkv_peer_list_get_item;
}

/* internal */

GkvPeerList *
gkv_peer_list_new (void)
{
  return g_object_new (GKV_TYPE_PEER_LIST, NULL);
}

/* TRUE: it is at @position; otherwise that is where it would be. */
static gboolean
gkv_peer_list_search (GkvPeerList *self, const char *node_id, guint *position)
{
  guint low = 0;
  guint high = self->peers->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      int order = strcmp (node_id, gkv_peer_get_node_id (self->peers->pdata[middle]));

      if (order == 0)
        {
          *position = middle;
          return TRUE;
        }

      if (order < 0)
        high = middle;
      else
        low = middle + 1;
    }

  *position = low;

  return FALSE;
}

static void
gkv_peer_list_changed (GkvPeerList *self, guint position, guint removed, guint added)
{
  g_list_model_items_changed (G_LIST_MODEL (self), position, removed, added);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_N_ITEMS]);
}

GkvPeer *
gkv_peer_list_find (GkvPeerList *self, const char *node_id)
{
  guint position;

  return gkv_peer_list_search (self, node_id, &position) ? self->peers->pdata[position] : NULL;
}

void
gkv_peer_list_add (GkvPeerList *self, GkvPeer *peer)
{
  guint position;

  gkv_peer_list_search (self, gkv_peer_get_node_id (peer), &position);
  g_ptr_array_insert (self->peers, (int) position, g_object_ref (peer));
  gkv_peer_list_changed (self, position, 0, 1);
}

void
gkv_peer_list_remove (GkvPeerList *self, GkvPeer *peer)
{
  guint position;

  if (!gkv_peer_list_search (self, gkv_peer_get_node_id (peer), &position))
    return;

  g_ptr_array_remove_index (self->peers, position);
  gkv_peer_list_changed (self, position, 1, 0);
}
