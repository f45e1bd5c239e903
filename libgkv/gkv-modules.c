/* Where modules are looked for, and loading them.
 *
 * The codec "json" is looked for as libgkv-codec-json.so in the folders of GKV_MODULE_PATH and then in the compiled-in
 * one; the first file of a name counts. Where there is none, every other module is loaded, for it may be in one of
 * another name; and then what is built into the library is used. GIO would print what is wrong with a file to stderr,
 * so each is tried here first, and what is wrong is kept for the error.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-modules.h"

#include "gkv-builtins.h"
#include "gkv-codec.h"
#include "gkv-debug.h"
#include "gkv-discovery.h"
#include "gkv-error.h"
#include "gkv-module.h"
#include "gkv-transport.h"

#include <string.h>
#include <sys/auxv.h>

#define FILE_PREFIX "libgkv-"
#define FILE_SUFFIX "." G_MODULE_SUFFIX

/* All below is guarded by the lock, and never freed. */
static GMutex lock;
static GPtrArray *folders;
static GHashTable *seen;     /* basenames of files that were tried */
static GPtrArray *problems;  /* what was wrong with those that failed */
static GHashTable *builtins; /* those in use: "extension point/name" */
static gboolean all_loaded;

static void
register_extension_points (void)
{
  g_io_extension_point_set_required_type (g_io_extension_point_register (GKV_CODEC_EXTENSION_POINT_NAME),
                                          GKV_TYPE_CODEC);
  g_io_extension_point_set_required_type (g_io_extension_point_register (GKV_TRANSPORT_EXTENSION_POINT_NAME),
                                          GKV_TYPE_TRANSPORT);
  g_io_extension_point_set_required_type (g_io_extension_point_register (GKV_DISCOVERY_EXTENSION_POINT_NAME),
                                          GKV_TYPE_DISCOVERY);
}

static void
ensure_set_up (void)
{
  const char *path = getauxval (AT_SECURE) ? NULL : g_getenv ("GKV_MODULE_PATH");

  if (folders != NULL)
    return;

  register_extension_points ();
  folders = g_ptr_array_new_with_free_func (g_free);
  problems = g_ptr_array_new_with_free_func (g_free);
  seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  builtins = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (path != NULL)
    {
      g_auto (GStrv) parts = g_strsplit (path, G_SEARCHPATH_SEPARATOR_S, -1);

      for (guint i = 0; parts[i] != NULL; i++)
        if (*parts[i] != '\0')
          g_ptr_array_add (folders, g_strdup (parts[i]));
    }
  g_ptr_array_add (folders, g_strdup (GKV_MODULE_DIR));
}

/* Whether a file is a module for this library; says what is wrong with it otherwise. */
static gboolean
check_file (const char *path, const char *basename, GError **error)
{
  g_autofree char *name =
      g_strndup (basename + strlen (FILE_PREFIX), strlen (basename) - strlen (FILE_PREFIX) - strlen (FILE_SUFFIX));
  g_autofree char *symbol = NULL;
  GModule *module = g_module_open_full (path, G_MODULE_BIND_LOCAL | G_MODULE_BIND_LAZY, error);
  gpointer version;
  gpointer load;
  gboolean good = FALSE;

  if (module == NULL)
    return FALSE;

  symbol = g_strdelimit (g_strdup_printf ("g_io_gkv_%s_load", name), "-", '_');
  if (!g_module_symbol (module, "gkv_module_api_version", &version))
    g_set_error_literal (error, GKV_ERROR, GKV_ERROR_MODULE,
                         "it doesn't say which version it was made for; define it with GKV_MODULE_DEFINE");
  else if (*(const guint *) version != GKV_MODULE_API_VERSION)
    g_set_error (error, GKV_ERROR, GKV_ERROR_MODULE,
                 "it was made for version %u of the interfaces, this is version %u; build it anew",
                 *(const guint *) version, (guint) GKV_MODULE_API_VERSION);
  else if (!g_module_symbol (module, symbol, &load))
    g_set_error (error, GKV_ERROR, GKV_ERROR_MODULE, "it has no function %s ()", symbol);
  else
    good = TRUE;

  g_module_close (module);
  return good;
}

static void
load_file (const char *folder, const char *basename)
{
  g_autofree char *path = g_build_filename (folder, basename, NULL);
  g_autoptr (GError) error = NULL;
  GIOModule *module;

  if (g_hash_table_contains (seen, basename) || !g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return;

  if (!check_file (path, basename, &error))
    {
      gkv_debug (GKV_DEBUG_MODULES, NULL, "refused %s: %s", path, error->message);
      g_ptr_array_add (problems, g_strdup_printf ("%s: %s", path, error->message));
      return;
    }

  /* It stays for good: a type can't be registered twice. */
  module = g_io_module_new (path);
  g_hash_table_insert (seen, g_strdup (basename), module);
  if (g_type_module_use (G_TYPE_MODULE (module)))
    gkv_debug (GKV_DEBUG_MODULES, NULL, "loaded %s", path);
}

static void
load_named (const char *what, const char *name)
{
  g_autofree char *basename = g_strdup_printf (FILE_PREFIX "%s-%s" FILE_SUFFIX, what, name);

  if (strchr (name, G_DIR_SEPARATOR) != NULL)
    return;

  for (guint i = 0; i < folders->len; i++)
    load_file (g_ptr_array_index (folders, i), basename);
}

static void
load_all (void)
{
  if (all_loaded)
    return;

  all_loaded = TRUE;
  g_ptr_array_set_size (problems, 0);
  for (guint i = 0; i < folders->len; i++)
    {
      g_autoptr (GDir) dir = g_dir_open (g_ptr_array_index (folders, i), 0, NULL);
      g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
      const char *basename;

      while (dir != NULL && (basename = g_dir_read_name (dir)) != NULL)
        if (g_str_has_prefix (basename, FILE_PREFIX) && g_str_has_suffix (basename, FILE_SUFFIX) &&
            strlen (basename) > strlen (FILE_PREFIX FILE_SUFFIX))
          g_ptr_array_add (names, g_strdup (basename));

      for (guint j = 0; j < names->len; j++)
        load_file (g_ptr_array_index (folders, i), g_ptr_array_index (names, j));
    }
}

static GIOExtension *
find_builtin (GIOExtensionPoint *point, const char *extension_point, const char *name)
{
  for (const GkvBuiltin *builtin = gkv_builtins; builtin->extension_point != NULL; builtin++)
    if (strcmp (builtin->extension_point, extension_point) == 0 && strcmp (builtin->name, name) == 0)
      {
        builtin->enroll ();
        gkv_debug (GKV_DEBUG_MODULES, NULL, "found no file of %s \"%s\"; the one built into the library is used",
                   extension_point, name);
        g_hash_table_add (builtins, g_strdup_printf ("%s/%s", extension_point, name));
        return g_io_extension_point_get_extension_by_name (point, name);
      }

  return NULL;
}

static GIOExtension *
find_extension (const char *extension_point, const char *what, const char *name)
{
  GIOExtensionPoint *point = g_io_extension_point_lookup (extension_point);
  GIOExtension *extension = g_io_extension_point_get_extension_by_name (point, name);

  if (extension == NULL)
    {
      load_named (what, name);
      extension = g_io_extension_point_get_extension_by_name (point, name);
    }
  if (extension == NULL)
    {
      load_all ();
      extension = g_io_extension_point_get_extension_by_name (point, name);
    }

  return extension != NULL ? extension : find_builtin (point, extension_point, name);
}

static char *
join (GPtrArray *strings, const char *separator)
{
  GString *joined = g_string_new (NULL);

  for (guint i = 0; i < strings->len; i++)
    g_string_append_printf (joined, "%s%s", i > 0 ? separator : "", (const char *) g_ptr_array_index (strings, i));
  return g_string_free (joined, FALSE);
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char **) a, *(const char **) b);
}

/* The names of all implementations, sorted. */
static GPtrArray *
collect_names (const char *extension_point)
{
  GIOExtensionPoint *point = g_io_extension_point_lookup (extension_point);
  GPtrArray *names = g_ptr_array_new ();

  for (GList *l = g_io_extension_point_get_extensions (point); l != NULL; l = l->next)
    g_ptr_array_add (names, (char *) g_io_extension_get_name (l->data));
  for (const GkvBuiltin *builtin = gkv_builtins; builtin->extension_point != NULL; builtin++)
    if (strcmp (builtin->extension_point, extension_point) == 0 &&
        g_io_extension_point_get_extension_by_name (point, builtin->name) == NULL)
      g_ptr_array_add (names, (char *) builtin->name);

  g_ptr_array_sort (names, compare_strings);
  return names;
}

/* The part of "name:argument" that names the implementation. */
static char *
get_base_name (const char *name)
{
  return g_strndup (name, strcspn (name, ":"));
}

static GObject *
make_object (GType type, const char *what, const char *name, GError **error)
{
  g_autofree char *base = get_base_name (name);
  const char *argument = strchr (name, ':');
  g_autoptr (GTypeClass) klass = NULL;
  GParamSpec *pspec;

  if (argument == NULL)
    return g_object_new (type, NULL);

  klass = g_type_class_ref (type);
  pspec = g_object_class_find_property (G_OBJECT_CLASS (klass), "argument");
  if (pspec == NULL || !(pspec->flags & G_PARAM_WRITABLE) || G_PARAM_SPEC_VALUE_TYPE (pspec) != G_TYPE_STRING)
    {
      g_set_error (error, GKV_ERROR, GKV_ERROR_MODULE,
                   "The %s \"%s\" takes no argument, and \"%s\" gives it one: write \"%s\"", what, base, name, base);
      return NULL;
    }

  return g_object_new (type, "argument", argument + 1, NULL);
}

GObject *
gkv_modules_new_object (const char *extension_point, const char *what, const char *name, GError **error)
{
  g_autofree char *base = get_base_name (name);
  GIOExtension *extension;

  g_mutex_lock (&lock);
  ensure_set_up ();
  extension = find_extension (extension_point, what, base);
  if (extension == NULL)
    {
      g_autoptr (GPtrArray) names = collect_names (extension_point);
      g_autofree char *listed = names->len > 0 ? join (names, ", ") : g_strdup ("none at all");
      g_autofree char *searched = join (folders, ", ");
      g_autofree char *wrong = join (problems, "; ");

      gkv_debug (GKV_DEBUG_MODULES, NULL, "found no %s named \"%s\" in %s", what, name, searched);
      g_set_error (error, GKV_ERROR, GKV_ERROR_MODULE, "There is no %s named \"%s\"; there are: %s. Searched: %s%s%s",
                   what, base, listed, searched, problems->len > 0 ? ". Could not be used: " : "", wrong);
    }
  g_mutex_unlock (&lock);

  return extension != NULL ? make_object (g_io_extension_get_type (extension), what, name, error) : NULL;
}

char **
gkv_modules_list_names (const char *extension_point)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autoptr (GPtrArray) names = NULL;

  g_mutex_lock (&lock);
  ensure_set_up ();
  load_all ();
  names = collect_names (extension_point);
  for (guint i = 0; i < names->len; i++)
    g_strv_builder_add (builder, g_ptr_array_index (names, i));
  g_mutex_unlock (&lock);

  return g_strv_builder_end (builder);
}

char *
gkv_modules_describe_fallback (const char *extension_point, const char *name)
{
  g_autofree char *base = get_base_name (name);
  g_autofree char *key = g_strdup_printf ("%s/%s", extension_point, base);
  char *message = NULL;

  g_mutex_lock (&lock);
  ensure_set_up ();
  if (g_hash_table_contains (builtins, key))
    {
      g_autofree char *searched = join (folders, ", ");

      message = g_strdup_printf ("No module of \"%s\" was found in %s; the one built into the library is used", base,
                                 searched);
    }
  g_mutex_unlock (&lock);

  return message;
}

gboolean
gkv_modules_fail (GError **error, int code, const char *who, const char *what, GError *cause)
{
  g_autoptr (GError) owned = cause;

  if (owned != NULL && owned->domain == GKV_ERROR)
    g_propagate_error (error, g_steal_pointer (&owned));
  else
    g_set_error (error, GKV_ERROR, code, "%s %s%s%s", who, what, owned != NULL ? ": " : " and gave no reason",
                 owned != NULL ? owned->message : "");
  return FALSE;
}
