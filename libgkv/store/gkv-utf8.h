/* Validating UTF-8, fast where it is ASCII, as keys most often are.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

/* TRUE when all eight bytes of @word are ASCII, and none is NUL. */
static inline gboolean
gkv_utf8_is_plain (guint64 word)
{
  const guint64 lows = G_GUINT64_CONSTANT (0x0101010101010101);
  const guint64 highs = G_GUINT64_CONSTANT (0x8080808080808080);

  return ((word | (word - lows)) & highs) == 0;
}

/* As g_utf8_validate_len (): FALSE for a NUL, too. */
static inline gboolean
gkv_utf8_validate (const char *text, gsize len)
{
  gboolean plain = len >= 8;
  guint64 word;

  for (gsize i = 0; plain && i + 8 <= len; i += 8)
    {
      memcpy (&word, text + i, sizeof word);
      plain = gkv_utf8_is_plain (word);
    }
  if (plain)
    {
      memcpy (&word, text + len - 8, sizeof word);
      plain = gkv_utf8_is_plain (word);
    }

  return plain || g_utf8_validate_len (text, len, NULL);
}

G_END_DECLS
