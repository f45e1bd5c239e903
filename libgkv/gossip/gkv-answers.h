/* GkvAnswers: the messages of anti-entropy: what is said to a query, and what follows from the reply.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gkv-flushes.h"
#include "gkv-sketches.h"

G_BEGIN_DECLS

typedef struct _GkvAnswers GkvAnswers;

GkvAnswers *gkv_answers_new (GkvRuntime *runtime,
                             GkvLinks *links,
                             GkvTransfers *transfers,
                             GkvOffers *offers,
                             GkvExchanges *exchanges,
                             GkvSketches *sketches,
                             GkvFlushes *flushes);
void gkv_answers_free (GkvAnswers *self);
void gkv_answers_handle (GkvAnswers *self, GkvLink *link, GkvMessageKind kind, GkvReader *reader);

G_END_DECLS
