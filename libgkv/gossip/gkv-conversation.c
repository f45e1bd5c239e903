/* What is under way with the node at a link.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-conversation.h"

void
gkv_conversation_init (GkvLink *link)
{
  link->of_repair = g_new0 (GkvConversation, 1);
}

void
gkv_conversation_clear (GkvLink *link)
{
  g_clear_pointer (&link->of_repair, g_free);
}

void
gkv_conversation_forget_repeats (GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  conversation->n_repeats = 0;
  conversation->full_interval = conversation->full_due = 0;
}
