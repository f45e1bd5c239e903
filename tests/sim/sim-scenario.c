/* SimScenario: a run written down, as text: a seed, options, and events, each at its time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "sim-scenario.h"

#include <gio/gio.h>
#include <string.h>

#define SECOND G_GINT64_CONSTANT (1000000)

static void
step_free (SimStep *step)
{
  g_strfreev (step->words);
  g_free (step);
}

SimScenario *
sim_scenario_new (guint64 seed)
{
  SimScenario *self = g_new0 (SimScenario, 1);

  self->seed = seed;
  self->steps = g_ptr_array_new_with_free_func ((GDestroyNotify) step_free);

  return self;
}

void
sim_scenario_free (SimScenario *self)
{
  g_ptr_array_unref (self->steps);
  g_free (self);
}

gboolean
sim_scenario_parse_time (const char *word, gint64 *time)
{
  static const struct
  {
    const char *name;
    gint64 us;
  } units[] = {
    { "", SECOND },          { "us", 1 }, { "ms", 1000 }, { "s", SECOND }, { "m", 60 * SECOND }, { "h", 3600 * SECOND },
    { "d", 86400 * SECOND },
  };
  char *end;
  double number = g_ascii_strtod (word, &end);

  for (guint i = 0; end != word && i < G_N_ELEMENTS (units); i++)
    if (strcmp (end, units[i].name) == 0)
      {
        *time = (gint64) (number * units[i].us + (number < 0 ? -0.5 : 0.5));
        return TRUE;
      }

  return FALSE;
}

static char **
split (const char *line)
{
  g_autofree char *copy = g_strdup (line);
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  char *rest = NULL;

  for (char *word = strtok_r (copy, " \t", &rest); word != NULL; word = strtok_r (NULL, " \t", &rest))
    g_ptr_array_add (words, g_strdup (word));
  g_ptr_array_add (words, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&words), FALSE);
}

static void
add_words (SimScenario *self, gint64 at, char **words)
{
  SimStep *step = g_new0 (SimStep, 1);

  step->at = at;
  step->words = words;
  g_ptr_array_add (self->steps, step);
}

void
sim_scenario_add (SimScenario *self, gint64 at, const char *format, ...)
{
  g_autofree char *line = NULL;
  va_list args;

  va_start (args, format);
  line = g_strdup_vprintf (format, args);
  va_end (args);
  add_words (self, at, split (line));
}

static int
compare_steps (gconstpointer a, gconstpointer b)
{
  const SimStep *x = *(SimStep *const *) a, *y = *(SimStep *const *) b;

  return (x->at > y->at) - (x->at < y->at);
}

void
sim_scenario_sort (SimScenario *self)
{
  g_ptr_array_sort (self->steps, compare_steps);
}

/* every PERIOD for DURATION WORDS…: as many steps; in each a "%" stands for its number. */
static gboolean
add_repeated (SimScenario *self, gint64 at, char **words)
{
  gint64 period, duration;
  guint n = 0;

  if (g_strv_length (words) < 5 || strcmp (words[2], "for") != 0 || !sim_scenario_parse_time (words[1], &period) ||
      !sim_scenario_parse_time (words[3], &duration) || period <= 0)
    return FALSE;

  for (gint64 passed = 0; passed < duration; passed += period)
    {
      g_autofree char *number = g_strdup_printf ("%u", n++);
      char **copy = g_strdupv (words + 4);

      for (guint i = 0; copy[i] != NULL; i++)
        {
          g_auto (GStrv) parts = g_strsplit (copy[i], "%", -1);

          g_free (copy[i]);
          copy[i] = g_strjoinv (number, parts);
        }
      add_words (self, at + passed, copy);
    }

  return TRUE;
}

static gboolean
add_line (SimScenario *self, const char *line, gint64 *at)
{
  g_auto (GStrv) words = split (line);
  gint64 time;

  if (words[0] == NULL || words[0][0] == '#')
    return TRUE;

  if (strcmp (words[0], "seed") == 0)
    return words[1] != NULL && g_ascii_string_to_unsigned (words[1], 10, 0, G_MAXUINT64, &self->seed, NULL);

  if (!g_ascii_isdigit (words[0][0]) && words[0][0] != '+')
    {
      add_words (self, SIM_BEFORE, g_strdupv (words));
      return TRUE;
    }

  if (words[1] == NULL || !sim_scenario_parse_time (words[0], &time))
    return FALSE;

  *at = words[0][0] == '+' ? *at + time : time;
  if (strcmp (words[1], "every") == 0)
    return add_repeated (self, *at, words + 1);

  add_words (self, *at, g_strdupv (words + 1));
  return TRUE;
}

SimScenario *
sim_scenario_load (const char *path, GError **error)
{
  g_autoptr (SimScenario) self = sim_scenario_new (1);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  gint64 at = 0;

  if (!g_file_get_contents (path, &text, NULL, error))
    return NULL;

  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    if (!add_line (self, lines[i], &at))
      {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s:%u: can't be read: %s", path, i + 1, lines[i]);
        return NULL;
      }

  sim_scenario_sort (self);
  return g_steal_pointer (&self);
}

char *
sim_scenario_print (SimScenario *self)
{
  GString *text = g_string_new (NULL);

  g_string_append_printf (text, "seed %" G_GUINT64_FORMAT "\n", self->seed);
  for (guint i = 0; i < self->steps->len; i++)
    {
      const SimStep *step = g_ptr_array_index (self->steps, i);
      g_autofree char *line = g_strjoinv (" ", step->words);

      if (step->at == SIM_BEFORE)
        g_string_append_printf (text, "%s\n", line);
      else
        g_string_append_printf (text, "%" G_GINT64_FORMAT ".%06u %s\n", step->at / SECOND, (guint) (step->at % SECOND),
                                line);
    }

  return g_string_free (text, FALSE);
}
