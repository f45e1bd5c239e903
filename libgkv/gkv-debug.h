/* The topics of GKV_DEBUG: lines on stderr about what the library does inside.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  GKV_DEBUG_NET = 1 << 0,
  GKV_DEBUG_GOSSIP = 1 << 1,
  GKV_DEBUG_DISCOVERY = 1 << 2,
  GKV_DEBUG_MODULES = 1 << 3,
} GkvDebugTopic;

/* The topics that are on, set before main () and never changed. Use gkv_debug () instead. */
extern guint gkv_debug_topics;

/* Whether a topic is on, for what costs something to prepare. */
#define GKV_DEBUG_IS_ON(topic) G_UNLIKELY ((gkv_debug_topics & (topic)) != 0)

/* Prints one line if the topic is on; else it costs a load and a branch, and the arguments are not evaluated. @node_id
 * may be NULL where no node is concerned. Any thread may print. Text that a stranger wrote goes through
 * gkv_debug_quote (). */
#define gkv_debug(topic, node_id, ...) \
  G_STMT_START \
  { \
    if (GKV_DEBUG_IS_ON (topic)) \
      gkv_debug_print ((topic), (node_id), __VA_ARGS__); \
  } \
  G_STMT_END

void gkv_debug_print (GkvDebugTopic topic, const char *node_id, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* A text in quotes and in ASCII, shortened where it is long; @length is -1 where it ends with a NUL. Take it by
 * g_autofree. */
char *gkv_debug_quote (const char *text, gssize length);

G_END_DECLS
