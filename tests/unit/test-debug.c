/* GKV_DEBUG: which topics it turns on, and what a line looks like whatever is in it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gkv-debug.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define TIME "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\\.[0-9]{6}"

static const char *own_path;

/* What this program prints to stderr with a value of GKV_DEBUG, given what to do. */
static char *
run_as (const char *path, const char *value, const char *what, uid_t user)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *uid = g_strdup_printf ("--reuid=%u", (guint) user);
  char *output = NULL;

  if (value != NULL)
    g_subprocess_launcher_setenv (launcher, "GKV_DEBUG", value, TRUE);
  else
    g_subprocess_launcher_unsetenv (launcher, "GKV_DEBUG");
  if (user != 0)
    process =
        g_subprocess_launcher_spawn (launcher, &error, "setpriv", uid, "--clear-groups", path, "--child", what, NULL);
  else
    process = g_subprocess_launcher_spawn (launcher, &error, path, "--child", what, NULL);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (process, NULL, NULL, NULL, &output, &error);
  g_assert_no_error (error);
  if (!g_subprocess_get_successful (process))
    g_error ("%s failed: %s", what, output);
  return output;
}

static char *
run (const char *value, const char *what)
{
  return run_as (own_path, value, what, 0);
}

static void
assert_matches (const char *text, const char *pattern)
{
  g_autofree char *whole = g_strdup_printf ("^%s$", pattern);

  if (!g_regex_match_simple (whole, text, G_REGEX_DOLLAR_ENDONLY, 0))
    g_error ("this does not match %s:\n%s", whole, text);
}

static gpointer
print_many (gpointer data)
{
  for (guint i = 0; i < 500; i++)
    gkv_debug (GKV_DEBUG_NET, "0123456789abcdef", "%s of the thread %d %.*s", "a line", GPOINTER_TO_INT (data), 300,
               "......................................................................................................."
               ".");
  return NULL;
}

static int
evaluate (int *counter)
{
  return ++*counter;
}

static int
be_child (const char *what)
{
  if (strcmp (what, "topics") == 0)
    {
      gkv_debug (GKV_DEBUG_NET, "n", "1");
      gkv_debug (GKV_DEBUG_GOSSIP, "n", "2");
      gkv_debug (GKV_DEBUG_DISCOVERY, "n", "3");
      gkv_debug (GKV_DEBUG_MODULES, "n", "4");
    }
  else if (strcmp (what, "line") == 0)
    {
      errno = ENOENT;
      gkv_debug (GKV_DEBUG_GOSSIP, "0123456789abcdef", "%d members", 5);
      g_assert_cmpint (errno, ==, ENOENT);
      gkv_debug (GKV_DEBUG_MODULES, NULL, "loaded");
    }
  else if (strcmp (what, "hostile") == 0)
    {
      g_autofree char *quoted = gkv_debug_quote ("a\"\\\n\033[2J\0b\xff", 11);
      g_autofree char *long_text = g_strnfill (100000, 'x');
      g_autofree char *long_quoted = gkv_debug_quote (long_text, -1);

      gkv_debug (GKV_DEBUG_NET, "evil\nid", "from %s", quoted);
      gkv_debug (GKV_DEBUG_NET, "n", "forgot to quote\r\n12:00:00 n net: \xc3\xa4");
      gkv_debug (GKV_DEBUG_NET, long_text, "%s", long_text);
      gkv_debug (GKV_DEBUG_NET, "n", "%s!", long_quoted);
    }
  else if (strcmp (what, "threads") == 0)
    {
      GThread *threads[4];

      for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new (NULL, print_many, GINT_TO_POINTER (i));
      for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
        g_thread_join (threads[i]);
    }
  else if (strcmp (what, "off") == 0)
    {
      int counter = 0;

      gkv_debug (GKV_DEBUG_NET, "n", "%d", evaluate (&counter));
      g_assert_cmpint (counter, ==, 0);
    }
  else if (strcmp (what, "secure") == 0)
    {
      g_printerr ("%s", getauxval (AT_SECURE) ? "secure" : "not secure");
      gkv_debug (GKV_DEBUG_NET, "n", "1");
    }
  return 0;
}

static void
test_topics (void)
{
  static const struct
  {
    const char *value;
    const char *seen;
  } cases[] = {
    { NULL, "" },
    { "", "" },
    { "net", "1" },
    { "gossip", "2" },
    { "discovery", "3" },
    { "modules", "4" },
    { "modules,net", "14" },
    { ",net: discovery;", "13" },
    { "all", "1234" },
    { "net,all", "1234" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *output = run (cases[i].value, "topics");
      g_auto (GStrv) lines = g_strsplit (output, "\n", -1);
      g_autoptr (GString) seen = g_string_new (NULL);

      for (guint j = 0; lines[j] != NULL; j++)
        if (*lines[j] != '\0')
          g_string_append_c (seen, lines[j][strlen (lines[j]) - 1]);
      g_assert_cmpstr (seen->str, ==, cases[i].seen);
    }
}

static void
test_help (void)
{
  g_autofree char *help = run ("help", "topics");
  g_autofree char *unknown = run ("net,nonsense\033", "topics");

  for (guint i = 0; i < 5; i++)
    g_assert_nonnull (strstr (help, ((const char *[]){ "net", "gossip", "discovery", "modules", "all" })[i]));
  g_assert_null (strstr (help, "no topic"));
  g_assert_true (g_str_has_prefix (unknown, "GKV_DEBUG has no topic \"nonsense\\x1b\".\n"));
  g_assert_nonnull (strstr (unknown, "  discovery  "));
  g_assert_true (g_str_has_suffix (unknown, " n net: 1\n"));
}

static void
test_line (void)
{
  g_autofree char *output = run ("all", "line");

  assert_matches (output, TIME " 0123456789abcdef gossip: 5 members\n" TIME " - modules: loaded\n");
}

static void
test_hostile (void)
{
  g_autofree char *output = run ("net", "hostile");
  g_auto (GStrv) lines = g_strsplit (output, "\n", -1);

  g_assert_cmpuint (g_strv_length (lines), ==, 5);
  assert_matches (lines[0], TIME " evil\\\\x0aid net: from \"a\\\\\"\\\\\\\\\\\\x0a\\\\x1b\\[2J\\\\x00b\\\\xff\"");
  assert_matches (lines[1], TIME " n net: forgot to quote\\\\x0d\\\\x0a12:00:00 n net: \\\\xc3\\\\xa4");
  assert_matches (lines[2], TIME " x{40}\\.\\.\\. net: x{400}\\.\\.\\.");
  assert_matches (lines[3], TIME " n net: \"x+\\.\\.\\.\"!");
  for (guint i = 0; lines[i] != NULL; i++)
    g_assert_cmpuint (strlen (lines[i]), <, 512);
}

static void
test_threads (void)
{
  g_autofree char *output = run ("net", "threads");
  g_auto (GStrv) lines = g_strsplit (output, "\n", -1);

  g_assert_cmpuint (g_strv_length (lines), ==, 2001);
  for (guint i = 0; i < 2000; i++)
    assert_matches (lines[i], TIME " 0123456789abcdef net: a line of the thread [0-3] \\.+");
}

static void
test_off (void)
{
  g_autofree char *output = run ("gossip", "off");

  g_assert_cmpstr (output, ==, "");
}

/* A copy of this program that belongs to root and is setuid, run by somebody else. */
static void
test_secure (void)
{
  g_autofree char *folder = NULL;
  g_autofree char *path = NULL;
  g_autofree char *setpriv = g_find_program_in_path ("setpriv");
  g_autoptr (GFile) source = g_file_new_for_path (own_path);
  g_autoptr (GFile) copy = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;

  if (geteuid () != 0 || setpriv == NULL)
    {
      g_test_skip ("only root can make a setuid program, and setpriv is needed");
      return;
    }

  folder = g_dir_make_tmp ("gkv-debug-XXXXXX", &error);
  g_assert_no_error (error);
  g_chmod (folder, 0755);
  path = g_build_filename (folder, "copy", NULL);
  copy = g_file_new_for_path (path);
  g_file_copy (source, copy, G_FILE_COPY_NONE, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_chmod (path, 04755);

  output = run_as (path, "all", "secure", 65534);
  g_remove (path);
  g_rmdir (folder);
  if (g_str_has_prefix (output, "not secure"))
    g_test_skip ("setuid has no effect on this file system");
  else
    g_assert_cmpstr (output, ==, "secure");
}

int
main (int argc, char *argv[])
{
  own_path = argv[0];
  if (argc == 3 && strcmp (argv[1], "--child") == 0)
    return be_child (argv[2]);

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/debug/topics", test_topics);
  g_test_add_func ("/debug/help", test_help);
  g_test_add_func ("/debug/line", test_line);
  g_test_add_func ("/debug/hostile", test_hostile);
  g_test_add_func ("/debug/threads", test_threads);
  g_test_add_func ("/debug/off", test_off);
  g_test_add_func ("/debug/secure", test_secure);
  return g_test_run ();
}
