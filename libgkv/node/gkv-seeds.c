/* GkvSeeds: the seeds of a node.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-seeds.h"

/* Between two look-ups of a name: the pause doubles from the first to the last. */
#define FIRST_PAUSE_US (5 * G_USEC_PER_SEC)
#define LAST_PAUSE_US  (60 * G_USEC_PER_SEC)

typedef struct
{
  char *name;      /* as it was given */
  GStrv addresses; /* what it resolved to last */
  gboolean numeric;
  gboolean resolving;
  gboolean reported; /* that it can't be resolved */
  gint64 pause_us;
  gint64 due;
} GkvSeed;

struct _GkvSeeds
{
  GkvEngine *engine;
  GPtrArray *seeds; /* GkvSeed */
};

static void
gkv_seed_free (gpointer data)
{
  GkvSeed *seed = data;

  g_free (seed->name);
  g_strfreev (seed->addresses);
  g_free (seed);
}

GkvSeeds *
gkv_seeds_new (GkvEngine *engine)
{
  GkvSeeds *self = g_new0 (GkvSeeds, 1);

  self->engine = engine;
  self->seeds = g_ptr_array_new_with_free_func (gkv_seed_free);

  return self;
}

void
gkv_seeds_free (GkvSeeds *self)
{
  g_ptr_array_unref (self->seeds);
  g_free (self);
}

static gboolean
gkv_seeds_is_reached (GkvSeeds *self, GkvSeed *seed)
{
  for (guint i = 0; seed->addresses[i] != NULL; i++)
    if (gkv_engine_is_contact_reached (self->engine, seed->addresses[i]))
      return TRUE;

  return FALSE;
}

static void
gkv_seeds_count_unresolved (GkvSeeds *self)
{
  guint n_unresolved = 0;

  for (guint i = 0; i < self->seeds->len; i++)
    n_unresolved += ((GkvSeed *) self->seeds->pdata[i])->addresses[0] == NULL;

  gkv_engine_set_n_unresolved (self->engine, n_unresolved);
}

/* Takes what a seed resolves to now. An address that stays is left alone: to add it again would start its greetings
 * over. */
static void
gkv_seeds_take_addresses (GkvSeeds *self, GkvSeed *seed, const char *const *addresses, const GkvTime *now)
{
  g_auto (GStrv) old = seed->addresses;

  for (guint i = 0; old[i] != NULL; i++)
    if (!g_strv_contains (addresses, old[i]))
      gkv_engine_remove_contact (self->engine, old[i]);

  for (guint i = 0; addresses[i] != NULL; i++)
    if (!g_strv_contains ((const char *const *) old, addresses[i]))
      gkv_engine_add_contact (self->engine, addresses[i], now);

  seed->addresses = g_strdupv ((char **) addresses);
  gkv_seeds_count_unresolved (self);
}

void
gkv_seeds_add (GkvSeeds *self, const char *name, const char *numeric, const GkvTime *now)
{
  GkvSeed *seed = g_new0 (GkvSeed, 1);

  seed->name = g_strdup (name);
  seed->addresses = g_new0 (char *, 1);
  seed->pause_us = FIRST_PAUSE_US;
  seed->numeric = numeric != NULL;
  g_ptr_array_add (self->seeds, seed);

  if (numeric != NULL)
    gkv_seeds_take_addresses (self, seed, (const char *const[]){ numeric, NULL }, now);

  gkv_seeds_count_unresolved (self);
}

const char *
gkv_seeds_next (GkvSeeds *self, const GkvTime *now)
{
  for (guint i = 0; i < self->seeds->len; i++)
    {
      GkvSeed *seed = self->seeds->pdata[i];

      if (seed->numeric || seed->resolving || seed->due > now->mono)
        continue;

      if (gkv_seeds_is_reached (self, seed))
        {
          seed->pause_us = FIRST_PAUSE_US;
          seed->due = now->mono + LAST_PAUSE_US;
          continue;
        }

      seed->due = now->mono + seed->pause_us;
      seed->pause_us = MIN (seed->pause_us * 2, LAST_PAUSE_US);
      seed->resolving = TRUE;
      return seed->name;
    }

  return NULL;
}

gint64
gkv_seeds_get_due (GkvSeeds *self)
{
  gint64 due = G_MAXINT64;

  for (guint i = 0; i < self->seeds->len; i++)
    {
      GkvSeed *seed = self->seeds->pdata[i];

      if (!seed->numeric && !seed->resolving)
        due = MIN (due, seed->due);
    }

  return due;
}

gboolean
gkv_seeds_resolved (GkvSeeds *self, const char *name, const char *const *addresses, const GkvTime *now)
{
  for (guint i = 0; i < self->seeds->len; i++)
    {
      GkvSeed *seed = self->seeds->pdata[i];

      if (strcmp (seed->name, name) != 0)
        continue;

      seed->resolving = FALSE;
      if (addresses != NULL && addresses[0] != NULL)
        {
          gkv_seeds_take_addresses (self, seed, addresses, now);
          return FALSE;
        }

      if (seed->reported)
        return FALSE;

      seed->reported = TRUE;
      return TRUE;
    }

  return FALSE;
}

/* What is at the addresses of @seed in place of a peer. */
static const char *
gkv_seeds_describe_what_is_there (GkvSeeds *self, GkvSeed *seed)
{
  if (seed->addresses[0] == NULL)
    return " (can't be resolved)";

  for (guint i = 0; seed->addresses[i] != NULL; i++)
    switch (gkv_engine_describe_contact (self->engine, seed->addresses[i]))
      {
      case GKV_CONTACT_OTHER_CLUSTER:
        return " (a node of another cluster is there)";

      case GKV_CONTACT_OTHER_VERSION:
        return " (a node with another version of the protocol is there)";

      case GKV_CONTACT_SELF:
        return " (that is this node)";

      case GKV_CONTACT_DUPLICATE_ID:
        return " (a node with the id of this one is there)";

      case GKV_CONTACT_SILENT:
      case GKV_CONTACT_REACHED:
      default:
        break;
      }

  return "";
}

char *
gkv_seeds_describe_unreached (GkvSeeds *self)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < self->seeds->len; i++)
    {
      GkvSeed *seed = self->seeds->pdata[i];

      if (!gkv_seeds_is_reached (self, seed))
        g_string_append_printf (names, "%s%s%s", names->len > 0 ? ", " : "", seed->name,
                                gkv_seeds_describe_what_is_there (self, seed));
    }

  return g_string_free (names, FALSE);
}
