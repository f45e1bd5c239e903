/* What is under way with the node at a link.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-conversation.h"

/* A reply takes no longer than that. */
#define REPLY_PATIENCE (200 * GKV_MS)

/* So many questions in a row may have got lost, or their replies; and so many have not, at 30 % loss each way but once
 * in a million times. */
#define MANY_REFUSALS 5
#define ALL_REFUSALS  20

/* As many as records may come in pieces at once. */
#define MAX_ELSEWHERE 4096

/* Names of what the node there refuses. */
#define MAX_REFUSED 16384

void
gkv_conversation_init (GkvLink *link)
{
  link->of_repair = g_new0 (GkvConversation, 1);
}

void
gkv_conversation_clear (GkvLink *link)
{
  g_clear_pointer (&gkv_conversation_of (link)->elsewhere, g_array_unref);
  g_clear_pointer (&gkv_conversation_of (link)->awaited, g_array_unref);
  g_clear_pointer (&gkv_conversation_of (link)->refused_there, gkv_names_free);
  g_clear_pointer (&link->of_repair, g_free);
}

void
gkv_conversation_note_asked (GkvLink *link, gint64 now)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  if (conversation->asked_since == 0)
    conversation->asked_since = now;
  if (conversation->asked_at == 0)
    conversation->asked_at = now;
}

void
gkv_conversation_note_received (GkvLink *link, gint64 now)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  if (conversation->asked_at == 0 || now - conversation->asked_at < REPLY_PATIENCE)
    return;

  conversation->n_refusals++;
  conversation->asked_at = 0;
}

void
gkv_conversation_note_got (GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  conversation->asked_since = conversation->asked_at = 0;
  conversation->n_refusals = 0;
}

gboolean
gkv_conversation_withholds (const GkvLink *link, gint64 now, gint64 patience)
{
  const GkvConversation *conversation = gkv_conversation_of (link);

  return conversation->n_refusals >= MANY_REFUSALS && now - conversation->asked_since > patience;
}

gboolean
gkv_conversation_withholds_all (const GkvLink *link)
{
  return gkv_conversation_of (link)->n_refusals >= ALL_REFUSALS;
}

gboolean
gkv_conversation_add_elsewhere (GkvLink *link, guint64 hash, guint32 version)
{
  GkvConversation *conversation = gkv_conversation_of (link);
  GkvRecordName name = { .hash = hash, .version = version };

  if (conversation->elsewhere == NULL)
    conversation->elsewhere = g_array_new (FALSE, FALSE, sizeof (GkvRecordName));
  if (conversation->elsewhere->len >= MAX_ELSEWHERE)
    return FALSE;

  g_array_append_val (conversation->elsewhere, name);
  return TRUE;
}

void
gkv_conversation_add_refused (GkvLink *link, guint64 hash, guint32 version)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  if (conversation->refused_there == NULL)
    conversation->refused_there = gkv_names_new (MAX_REFUSED);
  gkv_names_add (conversation->refused_there, hash, version, 0);
}

gboolean
gkv_conversation_is_refused (const GkvLink *link, guint64 hash, guint32 version)
{
  const GkvConversation *conversation = gkv_conversation_of (link);

  return conversation->refused_there != NULL && gkv_names_find (conversation->refused_there, hash, version) != NULL;
}

void
gkv_conversation_accept (GkvLink *link, const GkvFingerprint *difference, gboolean here)
{
  gkv_conversation_of (link)->accepted = *difference;
  gkv_conversation_of (link)->accepted_here = here;
}

void
gkv_conversation_forget_refused (GkvLink *link)
{
  const GkvFingerprint none = { 0, 0 };

  gkv_conversation_of (link)->has_refused = FALSE;
  g_clear_pointer (&gkv_conversation_of (link)->refused_there, gkv_names_free);
  gkv_conversation_accept (link, &none, FALSE);
}

void
gkv_conversation_forget_repeats (GkvLink *link)
{
  GkvConversation *conversation = gkv_conversation_of (link);

  conversation->n_repeats = 0;
  conversation->full_interval = conversation->full_due = 0;
}
