/* GkvNotices: what waits to be emitted and is no change of a key: peers, errors, and properties that have changed.
 *
 * It is bounded, however long nobody takes from it: of each peer the last state waits, and at most that it was removed
 * before; of errors a number; each property once. Not thread-safe: the emitter's lock guards it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

#include "gossip/gkv-engine.h"

typedef struct _GkvNotice GkvNotice;
typedef struct _GkvNotices GkvNotices;

/* One of a peer, an error and a property. */
struct _GkvNotice
{
  GkvPeerInfo *peer;
  gboolean live; /* whether the peer is alive or suspect */
  GError *error;
  GParamSpec *pspec;

  /*< private >*/
  GList link;
  GkvNotice *removal; /* of the same peer, waiting before this one */
};

GkvNotices *gkv_notices_new (void);
void gkv_notices_free (GkvNotices *self);

/* Takes @info. */
void gkv_notices_add_peer (GkvNotices *self, GkvPeerInfo *info, gboolean live);
void gkv_notices_add_error (GkvNotices *self, const GError *error);
void gkv_notices_add_notify (GkvNotices *self, GParamSpec *pspec);

/* Takes the first; NULL when there is none. */
GkvNotice *gkv_notices_pop (GkvNotices *self);
void gkv_notice_free (GkvNotice *notice);
void gkv_notices_drop (GkvNotices *self);

G_END_DECLS
