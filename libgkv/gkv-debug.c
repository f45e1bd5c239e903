/* The topics of GKV_DEBUG: lines on stderr about what the library does inside.
 *
 * GLib's log has handlers, fields and locks of its own, and can end the program; the network's thread writes its lines
 * by one write () instead. Each is short enough that those of several threads and processes do not mix on a pipe.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-debug.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

/* In bytes; all of a line is below the least PIPE_BUF that POSIX allows, which is 512. */
#define MAX_NODE_ID_SIZE 40
#define MAX_TEXT_SIZE    400
#define MAX_QUOTED_SIZE  120

static const struct
{
  const char *name;
  GkvDebugTopic topic;
  const char *description;
} topics[] = {
  { "net", GKV_DEBUG_NET, "sockets, addresses, seeds, and what could not be sent" },
  { "gossip", GKV_DEBUG_GOSSIP, "members, probes, and comparing maps" },
  { "discovery", GKV_DEBUG_DISCOVERY, "what is announced and found" },
  { "modules", GKV_DEBUG_MODULES, "what is loaded, and what is refused" },
};

guint gkv_debug_topics;

static void
write_all (const char *text, gsize length)
{
  while (length > 0)
    {
      gssize written = write (STDERR_FILENO, text, length);

      if (written < 0 && errno == EINTR)
        continue;
      if (written <= 0)
        return;
      text += written;
      length -= written;
    }
}

/* Appends at most so many bytes; what could move a cursor or begin a line is written as a number. */
static void
append_escaped (GString *line, const char *text, gsize length, const char *special, gsize max_size)
{
  gsize end = line->len + max_size;

  for (gsize i = 0; i < length; i++)
    {
      const guchar c = text[i];
      gboolean is_special = c != '\0' && strchr (special, c) != NULL;
      gsize size = is_special ? 2 : g_ascii_isprint (c) ? 1 : 4;

      if (line->len + size > end)
        {
          g_string_append (line, "...");
          return;
        }
      if (is_special)
        g_string_append_printf (line, "\\%c", c);
      else if (g_ascii_isprint (c))
        g_string_append_c (line, c);
      else
        g_string_append_printf (line, "\\x%02x", c);
    }
}

void
gkv_debug_print (GkvDebugTopic topic, const char *node_id, const char *format, ...)
{
  int saved_errno = errno;
  g_autoptr (GString) line = g_string_sized_new (512);
  g_autofree char *text = NULL;
  const char *name = "?";
  struct timespec now;
  struct tm local;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  for (guint i = 0; i < G_N_ELEMENTS (topics); i++)
    if (topics[i].topic == topic)
      name = topics[i].name;

  clock_gettime (CLOCK_REALTIME, &now);
  localtime_r (&now.tv_sec, &local);
  g_string_append_printf (line, "%02d:%02d:%02d.%06ld ", local.tm_hour, local.tm_min, local.tm_sec, now.tv_nsec / 1000);
  if (node_id == NULL)
    node_id = "-";
  append_escaped (line, node_id, strlen (node_id), "", MAX_NODE_ID_SIZE);
  g_string_append_printf (line, " %s: ", name);
  append_escaped (line, text, strlen (text), "", MAX_TEXT_SIZE);
  g_string_append_c (line, '\n');
  write_all (line->str, line->len);
  errno = saved_errno;
}

char *
gkv_debug_quote (const char *text, gssize length)
{
  GString *quoted = g_string_new ("\"");

  append_escaped (quoted, text, length < 0 ? strlen (text) : (gsize) length, "\"\\", MAX_QUOTED_SIZE);
  g_string_append_c (quoted, '"');
  return g_string_free (quoted, FALSE);
}

static void
print_help (const char *unknown)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (unknown != NULL)
    {
      g_autofree char *quoted = gkv_debug_quote (unknown, -1);

      g_string_append_printf (text, "GKV_DEBUG has no topic %s.\n", quoted);
    }
  g_string_append (text, "GKV_DEBUG takes these topics, several of them separated by commas:\n");
  for (guint i = 0; i < G_N_ELEMENTS (topics); i++)
    g_string_append_printf (text, "  %-10s %s\n", topics[i].name, topics[i].description);
  g_string_append_printf (text, "  %-10s %s\n  %-10s %s\n", "all", "all of these", "help", "this list");
  write_all (text->str, text->len);
}

static void
turn_on (const char *name)
{
  if (strcmp (name, "help") == 0)
    {
      print_help (NULL);
      return;
    }
  if (strcmp (name, "all") == 0)
    {
      gkv_debug_topics = ~0u;
      return;
    }

  for (guint i = 0; i < G_N_ELEMENTS (topics); i++)
    if (strcmp (name, topics[i].name) == 0)
      {
        gkv_debug_topics |= topics[i].topic;
        return;
      }
  print_help (name);
}

/* Runs before any thread can print, so that the topics are read without a lock. */
__attribute__ ((constructor)) static void
read_environment (void)
{
  /* A user who runs a program with more rights than their own must not make it print. */
  const char *value = getauxval (AT_SECURE) ? NULL : g_getenv ("GKV_DEBUG");
  g_auto (GStrv) names = NULL;

  if (value == NULL)
    return;

  names = g_strsplit_set (value, ",:; ", -1);
  for (guint i = 0; names[i] != NULL; i++)
    if (*names[i] != '\0')
      turn_on (names[i]);
}
