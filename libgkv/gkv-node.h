/* GkvNode: a map that lives in the application and that every copy of the application shares.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#if !defined(GKV_INSIDE) && !defined(GKV_COMPILATION)
#error "Only <gkv.h> can be included directly."
#endif

#include <gio/gio.h>

#include "gkv-version-macros.h"

G_BEGIN_DECLS

#include "gkv-codec.h"
#include "gkv-discovery.h"
#include "gkv-entry.h"
#include "gkv-transport.h"

#define GKV_TYPE_NODE (gkv_node_get_type ())

/**
 * GKV_MAX_KEY_SIZE:
 *
 * The size of the largest key, in bytes.
 *
 * Since: 1.0
 */
#define GKV_MAX_KEY_SIZE (1024)

/**
 * GKV_MAX_VALUE_SIZE:
 *
 * The size of the largest value, in bytes as the codec encodes it: 16 MiB.
 *
 * Since: 1.0
 */
#define GKV_MAX_VALUE_SIZE (16777216)

GKV_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (GkvNode, gkv_node, GKV, NODE, GObject)

/**
 * GkvSetFlags:
 * @GKV_SET_NONE: no flags
 * @GKV_SET_EPHEMERAL: the key is removed everywhere when the node that writes it is closed, dies or starts anew
 * @GKV_SET_CREATE: only if the key isn't there; otherwise %GKV_ERROR_EXISTS
 *
 * How a value is set.
 *
 * Since: 1.0
 */
typedef enum
{
  GKV_SET_NONE = 0,
  GKV_SET_EPHEMERAL = 1 << 0,
  GKV_SET_CREATE = 1 << 1,
} GkvSetFlags;

#define GKV_TYPE_SET_FLAGS (gkv_set_flags_get_type ())

GKV_AVAILABLE_IN_1_0
GType gkv_set_flags_get_type (void);

/**
 * GkvWatchFlags:
 * @GKV_WATCH_NONE: no flags
 * @GKV_WATCH_INITIAL: the keys that are there are reported first, each once
 *
 * How keys are watched.
 *
 * Since: 1.0
 */
typedef enum
{
  GKV_WATCH_NONE = 0,
  GKV_WATCH_INITIAL = 1 << 0,
} GkvWatchFlags;

#define GKV_TYPE_WATCH_FLAGS (gkv_watch_flags_get_type ())

GKV_AVAILABLE_IN_1_0
GType gkv_watch_flags_get_type (void);

/**
 * GkvWatchFunc:
 * @self: the node
 * @key: the key
 * @value: (nullable): its value; %NULL when it was removed or has expired
 * @origin: the id of the node that wrote or removed it, or whose value has expired
 * @user_data: the data that was passed to [method@Gkv.Node.watch]
 *
 * Called in the node's main context when a key that is watched has changed.
 *
 * Since: 1.0
 */
typedef void (*GkvWatchFunc) (GkvNode *self, const char *key, GVariant *value, const char *origin, gpointer user_data);

/* Starting and closing */

GKV_AVAILABLE_IN_1_0
GkvNode *gkv_node_new (void);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_start (GkvNode *self, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_node_start_async (GkvNode *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_start_finish (GkvNode *self, GAsyncResult *result, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_close (GkvNode *self, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_node_close_async (GkvNode *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_close_finish (GkvNode *self, GAsyncResult *result, GError **error);

/* Options */

GKV_AVAILABLE_IN_1_0
const char *gkv_node_get_node_id (GkvNode *self);

GKV_AVAILABLE_IN_1_0
const char *gkv_node_get_cluster (GkvNode *self);

GKV_AVAILABLE_IN_1_0
const char *gkv_node_get_bind_address (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_bind_address (GkvNode *self, const char *bind_address);

GKV_AVAILABLE_IN_1_0
const char *gkv_node_get_advertise_address (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_advertise_address (GkvNode *self, const char *advertise_address);

GKV_AVAILABLE_IN_1_0
const char *gkv_node_get_local_address (GkvNode *self);

GKV_AVAILABLE_IN_1_0
const char *const *gkv_node_get_seeds (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_seeds (GkvNode *self, const char *const *seeds);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_add_seed (GkvNode *self, const char *address, GError **error);

GKV_AVAILABLE_IN_1_0
guint gkv_node_get_gossip_interval (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_gossip_interval (GkvNode *self, guint gossip_interval);

GKV_AVAILABLE_IN_1_0
GkvCodec *gkv_node_get_codec (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_codec (GkvNode *self, GkvCodec *codec);

GKV_AVAILABLE_IN_1_0
GkvTransport *gkv_node_get_transport (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_transport (GkvNode *self, GkvTransport *transport);

GKV_AVAILABLE_IN_1_0
GkvDiscovery *gkv_node_get_discovery (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_discovery (GkvNode *self, GkvDiscovery *discovery);

GKV_AVAILABLE_IN_1_0
guint gkv_node_get_remembered_removals (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_remembered_removals (GkvNode *self, guint remembered_removals);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_get_network_thread (GkvNode *self);

GKV_AVAILABLE_IN_1_0
void gkv_node_set_network_thread (GkvNode *self, gboolean network_thread);

GKV_AVAILABLE_IN_1_0
GListModel *gkv_node_get_peers (GkvNode *self);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_get_synced (GkvNode *self);

/* Data */

GKV_AVAILABLE_IN_1_0
gboolean
gkv_node_set_value (GkvNode *self, const char *key, GVariant *value, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_set_value_full (GkvNode *self,
                                  const char *key,
                                  GVariant *value,
                                  GkvSetFlags flags,
                                  GTimeSpan lifetime,
                                  GCancellable *cancellable,
                                  GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_set_values (
    GkvNode *self, GVariant *values, GkvSetFlags flags, GTimeSpan lifetime, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_compare_and_set (GkvNode *self,
                                   const char *key,
                                   GVariant *expected,
                                   GVariant *value,
                                   GkvSetFlags flags,
                                   GTimeSpan lifetime,
                                   GCancellable *cancellable,
                                   GError **error);

GKV_AVAILABLE_IN_1_0
GVariant *gkv_node_get_value (GkvNode *self, const char *key, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
GVariant *gkv_node_lookup (GkvNode *self, const char *key);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_remove (GkvNode *self, const char *key, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_contains (GkvNode *self, const char *key);

GKV_AVAILABLE_IN_1_0
char **gkv_node_list_keys (GkvNode *self, const char *prefix);

GKV_AVAILABLE_IN_1_0
guint gkv_node_get_n_keys (GkvNode *self);

GKV_AVAILABLE_IN_1_0
GkvEntry *gkv_node_get_entry (GkvNode *self, const char *key);

GKV_AVAILABLE_IN_1_0
GListModel *gkv_node_list_entries (GkvNode *self, const char *prefix);

/* Typed pairs */

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_set_string (GkvNode *self, const char *key, const char *value, GError **error);

GKV_AVAILABLE_IN_1_0
char *gkv_node_get_string (GkvNode *self, const char *key, const char *fallback);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_set_boolean (GkvNode *self, const char *key, gboolean value, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_get_boolean (GkvNode *self, const char *key, gboolean fallback);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_set_int64 (GkvNode *self, const char *key, gint64 value, GError **error);

GKV_AVAILABLE_IN_1_0
gint64 gkv_node_get_int64 (GkvNode *self, const char *key, gint64 fallback);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_set_double (GkvNode *self, const char *key, double value, GError **error);

GKV_AVAILABLE_IN_1_0
double gkv_node_get_double (GkvNode *self, const char *key, double fallback);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_set_bytes (GkvNode *self, const char *key, GBytes *value, GError **error);

GKV_AVAILABLE_IN_1_0
GBytes *gkv_node_get_bytes (GkvNode *self, const char *key, GBytes *fallback);

/* Watching */

GKV_AVAILABLE_IN_1_0
guint gkv_node_watch (GkvNode *self,
                      const char *prefix,
                      GkvWatchFlags flags,
                      GkvWatchFunc func,
                      gpointer user_data,
                      GDestroyNotify destroy);

GKV_AVAILABLE_IN_1_0
void gkv_node_unwatch (GkvNode *self, guint id);

/* The cluster */

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_flush (GkvNode *self, guint n_peers, guint timeout_ms, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_wait_synced (GkvNode *self, guint timeout_ms, GCancellable *cancellable, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_node_flush_async (GkvNode *self,
                           guint n_peers,
                           guint timeout_ms,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_flush_finish (GkvNode *self, GAsyncResult *result, GError **error);

GKV_AVAILABLE_IN_1_0
void gkv_node_wait_synced_async (
    GkvNode *self, guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);

GKV_AVAILABLE_IN_1_0
gboolean gkv_node_wait_synced_finish (GkvNode *self, GAsyncResult *result, GError **error);

GKV_AVAILABLE_IN_1_0
GVariant *gkv_node_get_stats (GkvNode *self);

G_END_DECLS
