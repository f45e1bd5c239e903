/* The store against a plain model: every look-up, count and fingerprint, while it grows and shrinks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "store/gkv-expiry.h"
#include "store/gkv-store.h"

#include <string.h>

static GkvHashKey hash_key;

static GkvRecord *
make (const char *key, GkvRecordFlags flags, GkvStamp stamp, const char *content)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern ("node", -1, flags & GKV_RECORD_DEAD ? "" : "variant", -1);

  return gkv_record_new (&hash_key, writer, key, strlen (key), flags, stamp, 0, content, strlen (content));
}

static GkvStoreResult
put (GkvStore *store, const char *key, GkvRecordFlags flags, GkvStamp stamp, const char *content)
{
  g_autoptr (GkvRecord) record = make (key, flags, stamp, content);

  return gkv_store_put (store, record, NULL);
}

static gboolean
is_in_range (guint64 hash, GkvRange range)
{
  return range.depth == 0 || (hash ^ range.prefix) >> (64 - 4 * range.depth) == 0;
}

typedef struct
{
  guint64 last;
  guint64 n;
  GkvFingerprint sum;
} Walk;

static gboolean
on_walked (GkvRecord *record, gpointer user_data)
{
  Walk *walk = user_data;

  g_assert_true (walk->n == 0 || record->hash >= walk->last);
  walk->last = record->hash;
  walk->n++;
  gkv_fingerprint_add (&walk->sum, &record->fingerprint);
  return TRUE;
}

static void
check_range (GkvStore *store, GHashTable *model, GkvRange range)
{
  GkvSummary expected = { 0 }, summary;
  GHashTableIter iter;
  GkvRecord *record;
  Walk walk = { 0 };

  g_hash_table_iter_init (&iter, model);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &record))
    if (is_in_range (record->hash, range))
      {
        expected.count++;
        gkv_fingerprint_add (&expected.fingerprint, &record->fingerprint);
      }

  gkv_store_summarise (store, range, &summary);
  g_assert_cmpuint (summary.count, ==, expected.count);
  g_assert_true (gkv_fingerprint_equal (&summary.fingerprint, &expected.fingerprint));

  gkv_store_foreach (store, range, 0, on_walked, &walk);
  g_assert_cmpuint (walk.n, ==, expected.count);
  g_assert_true (gkv_fingerprint_equal (&walk.sum, &expected.fingerprint));
}

static void
check_counts (GkvStore *store, GHashTable *model)
{
  guint64 n_visible = 0, n_tombstones = 0, n_bytes = 0;
  GHashTableIter iter;
  GkvRecord *record;
  const char *key;

  g_hash_table_iter_init (&iter, model);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &record))
    {
      g_assert_true (gkv_store_lookup (store, key, strlen (key)) == record);
      g_assert_true (gkv_store_lookup_nth (store, record->hash, 0) == record);
      g_assert_true (gkv_store_lookup_visible (store, key, strlen (key)) ==
                     (gkv_record_is_dead (record) ? NULL : record));
      n_visible += !gkv_record_is_dead (record);
      n_tombstones += gkv_record_is_dead (record);
      n_bytes += record->key_len + record->content_len;
    }

  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, n_visible);
  g_assert_cmpuint (gkv_store_get_n_tombstones (store), ==, n_tombstones);
  g_assert_cmpuint (gkv_store_get_n_bytes (store), ==, n_bytes);
  g_assert_null (gkv_store_lookup (store, "no such key", 11));
}

static void
test_model (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  g_autoptr (GHashTable) model =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) gkv_record_unref);

  for (guint step = 0; step < 30000; step++)
    {
      g_autofree char *key = g_strdup_printf ("key-%d", g_test_rand_int_range (0, 4000));
      GkvRecord *held = g_hash_table_lookup (model, key);

      /* It grows, and in the second half it shrinks. */
      if (held != NULL && g_test_rand_int_range (0, 30000) < (int) step)
        {
          g_assert_true (gkv_store_remove (store, held));
          g_hash_table_remove (model, key);
        }
      else
        {
          g_autoptr (GkvRecord) record = make (key, g_test_rand_int_range (0, 8) == 0 ? GKV_RECORD_DEAD : 0,
                                               g_test_rand_int_range (1, 1000), "content");
          g_autoptr (GkvRecord) replaced = NULL;
          gboolean wins = held == NULL || gkv_record_compare (record, held) > 0;

          g_assert_cmpint (gkv_store_put (store, record, &replaced), ==, wins ? GKV_STORE_TAKEN : GKV_STORE_KEPT);
          if (wins)
            {
              g_assert_true (replaced == (held != NULL && !gkv_record_is_dead (held) ? held : NULL));
              g_hash_table_replace (model, g_steal_pointer (&key), g_steal_pointer (&record));
            }
        }

      if (step % 3000 == 2999)
        {
          check_counts (store, model);
          for (guint depth = 0; depth <= 16; depth++)
            {
              GkvRecord *any = NULL;
              GHashTableIter iter;
              GkvRange range = { 0, depth };

              g_hash_table_iter_init (&iter, model);
              g_hash_table_iter_next (&iter, NULL, (gpointer *) &any);
              if (depth > 0 && any != NULL)
                range.prefix = depth == 16 ? any->hash : any->hash & ~(G_MAXUINT64 >> (4 * depth));
              check_range (store, model, range);
            }
        }
    }
}

/* Everything that a store can do, in any order, on hashes that are alike: tries that are deep, and leaves in which all
 * have the same hash. */

#define N_KEYS 400

typedef struct
{
  GkvRecord *held;
  GkvRecord *below; /* the valid one, while the one held is quarantined */
  gint64 deadline;  /* of the one held; -1: none */
  gint64 below_deadline;
} Slot;

typedef struct
{
  GkvStore *store;
  Slot slots[N_KEYS];
} Model;

static guint64
get_coarse_hash (guint i)
{
  if (i < 50)
    return 1;

  return (guint64) (i % 7) << 60 | (guint64) (i / 7 % 5) << 30 | (i / 35 % 5);
}

static gboolean
is_quarantined (const GkvRecord *record)
{
  return record != NULL && (record->flags & GKV_RECORD_QUARANTINED);
}

static GkvRecord *
get_visible (const Slot *slot)
{
  GkvRecord *record = is_quarantined (slot->held) ? slot->below : slot->held;

  return record != NULL && !gkv_record_is_dead (record) ? record : NULL;
}

/* The valid record leaves the slot. */
static GkvRecord *
slot_steal_valid (Slot *slot, gint64 *deadline)
{
  *deadline = is_quarantined (slot->held) ? slot->below_deadline : slot->deadline;
  if (!is_quarantined (slot->held))
    return g_steal_pointer (&slot->held);

  g_clear_pointer (&slot->held, gkv_record_unref);
  return g_steal_pointer (&slot->below);
}

/* @record wins over the one held. */
static void
slot_take (Slot *slot, GkvRecord *record)
{
  gint64 deadline;
  g_autoptr (GkvRecord) valid = slot_steal_valid (slot, &deadline);

  slot->held = gkv_record_ref (record);
  slot->deadline = slot->below_deadline = -1;
  if (is_quarantined (record) && valid != NULL)
    {
      slot->below = g_steal_pointer (&valid);
      slot->below_deadline = deadline;
    }
}

static void
slot_take_below (Slot *slot, GkvRecord *record)
{
  g_clear_pointer (&slot->below, gkv_record_unref);
  slot->below = gkv_record_ref (record);
  slot->below_deadline = -1;
}

/* The one held goes: the one below it takes its place. */
static void
slot_remove (Slot *slot)
{
  g_clear_pointer (&slot->held, gkv_record_unref);
  slot->held = g_steal_pointer (&slot->below);
  slot->deadline = slot->held != NULL ? slot->below_deadline : -1;
  slot->below_deadline = -1;
}

static Slot *
find_slot (Model *model, GkvRecord *record)
{
  return &model->slots[g_ascii_strtoull (gkv_record_get_key (record), NULL, 10)];
}

static void
on_model_released (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  Slot *slot = find_slot (user_data, record);

  g_assert_true (record == slot->held);
  g_assert_true (replaced == (slot->below != NULL && !gkv_record_is_dead (slot->below) ? slot->below : NULL));
  g_clear_pointer (&slot->below, gkv_record_unref);
  slot->below_deadline = -1;
}

static void
change_model (Model *model)
{
  guint i = g_test_rand_int_range (0, N_KEYS);
  Slot *slot = &model->slots[i];
  g_autofree char *key = g_strdup_printf ("%u", i);
  g_autoptr (GkvRecord) record = NULL;
  g_autoptr (GkvRecord) replaced = NULL;
  guint what = g_test_rand_int_range (0, 100);
  GkvRecordFlags flags = (what % 8 == 0 ? GKV_RECORD_DEAD : 0) | (what % 9 == 0 ? GKV_RECORD_QUARANTINED : 0) |
                         (what % 5 == 0 ? GKV_RECORD_EPHEMERAL : 0);
  gboolean wins, below;

  if (what == 0)
    {
      gint64 deadline;
      GkvRecord *first = gkv_store_peek_deadline (model->store, &deadline);

      Slot *due = first != NULL ? find_slot (model, first) : NULL;

      if (due != NULL && due->held == first)
        {
          g_assert_cmpint (due->deadline, ==, deadline);
          g_assert_true (gkv_store_remove (model->store, first));
          slot_remove (due);
        }
      else if (due != NULL)
        {
          g_assert_true (due->below == first);
          g_assert_cmpint (due->below_deadline, ==, deadline);
          g_assert_true (gkv_store_remove (model->store, first));
          g_clear_pointer (&due->below, gkv_record_unref);
          due->below_deadline = -1;
        }
    }
  else if (what == 1)
    {
      gkv_store_release_quarantined (model->store, g_test_rand_int_range (0, 1000), 1000, on_model_released, model);
    }
  else if (what < 40 && slot->held != NULL)
    {
      record = gkv_record_ref (slot->held);
      g_assert_true (gkv_store_remove (model->store, record));
      g_assert_false (gkv_store_remove (model->store, record));
      slot_remove (slot);
    }
  else if (what < 50 && slot->held != NULL && !gkv_record_is_dead (slot->held))
    {
      gint64 deadline = g_test_rand_int_range (0, 1000);

      gkv_store_set_deadline (model->store, slot->held, deadline);
      slot->deadline = slot->deadline < 0 ? deadline : MIN (slot->deadline, deadline);
    }
  else
    {
      record =
          make (key, flags, (GkvStamp) g_test_rand_int_range (1, 1000) << 16, flags & GKV_RECORD_DEAD ? "" : "content");
      record->hash = get_coarse_hash (i);
      wins = slot->held == NULL || gkv_record_compare (record, slot->held) > 0;
      below = !wins && !is_quarantined (record) && is_quarantined (slot->held) &&
              (gkv_record_compare (record, slot->held) < 0 || gkv_record_is_dead (record)) &&
              (slot->below == NULL || gkv_record_compare (record, slot->below) > 0);
      g_assert_cmpint (gkv_store_put (model->store, record, &replaced), ==,
                       wins || below ? GKV_STORE_TAKEN : GKV_STORE_KEPT);
      g_assert_true (replaced == (wins || below ? get_visible (slot) : NULL));
      if (wins)
        slot_take (slot, record);
      else if (below)
        slot_take_below (slot, record);
    }
}

static gboolean
on_model_walked (GkvRecord *record, gpointer user_data)
{
  g_ptr_array_add (user_data, record);
  return TRUE;
}

static void
check_model_range (Model *model, GkvRange range, guint64 from)
{
  g_autoptr (GPtrArray) walked = g_ptr_array_new ();
  GkvSummary expected = { 0 }, summary;
  guint n_walked = 0;

  for (guint i = 0; i < N_KEYS; i++)
    if (model->slots[i].held != NULL && is_in_range (model->slots[i].held->hash, range))
      {
        expected.count++;
        gkv_fingerprint_add (&expected.fingerprint, &model->slots[i].held->fingerprint);
        n_walked += model->slots[i].held->hash >= from;
      }

  gkv_store_summarise (model->store, range, &summary);
  g_assert_cmpuint (summary.count, ==, expected.count);
  g_assert_true (gkv_fingerprint_equal (&summary.fingerprint, &expected.fingerprint));

  gkv_store_foreach (model->store, range, from, on_model_walked, walked);
  g_assert_cmpuint (walked->len, ==, n_walked);
  for (guint i = 0; i < walked->len; i++)
    {
      GkvRecord *record = walked->pdata[i];
      GkvRecord *before = i > 0 ? walked->pdata[i - 1] : NULL;

      g_assert_true (find_slot (model, record)->held == record);
      g_assert_true (
          before == NULL || before->hash < record->hash ||
          (before->hash == record->hash && strcmp (gkv_record_get_key (before), gkv_record_get_key (record)) < 0));
    }
}

static void
check_model (Model *model)
{
  guint64 n_visible = 0, n_tombstones = 0, n_bytes = 0, n_quarantined = 0;
  gint64 first = G_MAXINT64, deadline = G_MAXINT64;
  g_autofree GkvSketch *sketch = g_new0 (GkvSketch, 1);

  for (guint i = 0; i < N_KEYS; i++)
    {
      const Slot *slot = &model->slots[i];
      GkvRecord *found = gkv_store_lookup_nth (model->store, get_coarse_hash (i), 0);

      if (slot->held == NULL)
        continue;

      g_assert_nonnull (found);
      g_assert_true (gkv_store_get_visible (model->store, slot->held) == get_visible (slot));
      g_assert_cmpint (gkv_store_get_deadline (model->store, slot->held), ==, slot->deadline);
      n_visible += get_visible (slot) != NULL;
      n_tombstones += gkv_record_is_dead (slot->held) + (slot->below != NULL && gkv_record_is_dead (slot->below));
      n_bytes += slot->held->key_len + slot->held->content_len;
      if (slot->below != NULL)
        n_bytes += slot->below->key_len + slot->below->content_len;
      if (slot->below != NULL)
        g_assert_cmpint (gkv_store_get_deadline (model->store, slot->below), ==, slot->below_deadline);
      n_quarantined += (slot->held->flags & GKV_RECORD_QUARANTINED) != 0;
      if (slot->deadline >= 0)
        first = MIN (first, slot->deadline);
      if (slot->below_deadline >= 0)
        first = MIN (first, slot->below_deadline);
      gkv_sketch_add (sketch, slot->held->hash, slot->held->fingerprint.lo);
    }

  g_assert_cmpuint (gkv_store_get_n_visible (model->store), ==, n_visible);
  g_assert_cmpuint (gkv_store_get_n_tombstones (model->store), ==, n_tombstones);
  g_assert_cmpuint (gkv_store_get_n_bytes (model->store), ==, n_bytes);
  g_assert_cmpuint (gkv_store_get_n_quarantined (model->store), ==, n_quarantined);
  gkv_store_peek_deadline (model->store, &deadline);
  g_assert_cmpint (deadline, ==, first);
  g_assert_cmpmem (gkv_store_get_sketch (model->store), sizeof *sketch, sketch, sizeof *sketch);

  for (guint n = 0; n < 20; n++)
    {
      guint64 hash = get_coarse_hash (g_test_rand_int_range (0, N_KEYS));
      GkvRange range = { .depth = g_test_rand_int_range (0, 17) };

      if (range.depth > 0)
        range.prefix = range.depth == 16 ? hash : hash & ~(G_MAXUINT64 >> (4 * range.depth));
      check_model_range (model, range, n % 2 == 0 ? 0 : get_coarse_hash (g_test_rand_int_range (0, N_KEYS)));
    }
}

static void
test_alike (void)
{
  Model model = { .store = gkv_store_new (&hash_key) };

  for (guint i = 0; i < N_KEYS; i++)
    model.slots[i].deadline = model.slots[i].below_deadline = -1;
  gkv_store_keep_sketch (model.store);

  for (guint step = 0; step < 200000; step++)
    {
      change_model (&model);
      if (step % 500 == 0)
        check_model (&model);
    }

  for (guint i = 0; i < N_KEYS; i++)
    {
      slot_remove (&model.slots[i]);
      slot_remove (&model.slots[i]);
    }
  gkv_store_free (model.store);
}

static gboolean
sketch_each (GkvRecord *record, gpointer user_data)
{
  gkv_sketch_add (user_data, record->hash, record->fingerprint.lo);
  return TRUE;
}

/* A sketch that is made in slices, while the store changes, is the one that is made at once in the end. */
static void
test_sketch_in_slices (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  g_autofree GkvSketch *sketch = NULL;
  const GkvRange everything = { 0, 0 };
  GkvStamp stamp = 1;

  for (guint i = 0; i < 3000; i++)
    {
      g_autofree char *key = g_strdup_printf ("%u", i);

      put (store, key, 0, stamp++, "");
    }

  while (!gkv_store_keep_sketch_of (store, g_test_rand_int_range (1, 100)))
    for (guint i = 0; i < 50; i++)
      {
        g_autofree char *key = g_strdup_printf ("%d", g_test_rand_int_range (0, 4000));
        GkvRecord *held = gkv_store_lookup (store, key, strlen (key));

        g_assert_null (gkv_store_get_sketch (store));
        if (held != NULL && g_test_rand_bit ())
          gkv_store_remove (store, held);
        else
          put (store, key, 0, stamp++, "");
      }

  sketch = g_new0 (GkvSketch, 1);
  gkv_store_foreach (store, everything, 0, sketch_each, sketch);
  g_assert_cmpmem (sketch, sizeof *sketch, gkv_store_get_sketch (store), sizeof *sketch);
}

static gboolean
stop_after_three (GkvRecord *record, gpointer user_data)
{
  guint *n = user_data;

  return ++*n < 3;
}

static void
test_walk (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  const GkvRange everything = { 0, 0 };
  Walk all = { 0 }, rest = { 0 };
  GkvRecord *middle;
  guint n = 0;

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *key = g_strdup_printf ("%u", i);

      put (store, key, 0, 1, "");
    }

  gkv_store_foreach (store, everything, 0, stop_after_three, &n);
  g_assert_cmpuint (n, ==, 3);

  middle = gkv_store_lookup (store, "500", 3);
  gkv_store_foreach (store, everything, 0, on_walked, &all);
  gkv_store_foreach (store, everything, middle->hash, on_walked, &rest);
  g_assert_cmpuint (all.n, ==, 1000);
  g_assert_cmpuint (rest.n, <, 1000);
  g_assert_cmpuint (rest.n, >, 0);
}

static void
on_released (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  guint *n = user_data;

  g_assert_cmpstr (gkv_record_get_key (record), ==, "key");
  g_assert_nonnull (replaced);
  *n += 1;
}

/* A stamp, by its milliseconds. */
#define AT(ms) ((GkvStamp) (ms) << 16)

static void
test_quarantined (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  GkvSummary before, after;
  guint n = 0;

  put (store, "key", 0, AT (1), "now");
  g_assert_cmpint (put (store, "key", GKV_RECORD_QUARANTINED, AT (100), "later"), ==, GKV_STORE_TAKEN);
  g_assert_cmpuint (gkv_store_get_n_quarantined (store), ==, 1);
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
  g_assert_cmpuint (gkv_store_lookup_visible (store, "key", 3)->stamp, ==, AT (1));
  g_assert_cmpuint (gkv_store_lookup (store, "key", 3)->stamp, ==, AT (100));

  /* What is valid is replaced below it, and isn't counted. */
  gkv_store_summarise (store, GKV_RANGE_EVERYTHING, &before);
  g_assert_cmpint (put (store, "key", 0, AT (1), "now"), ==, GKV_STORE_KEPT);
  g_assert_cmpint (put (store, "key", 0, AT (2), "then"), ==, GKV_STORE_TAKEN);
  g_assert_cmpuint (gkv_store_lookup_visible (store, "key", 3)->stamp, ==, AT (2));
  g_assert_cmpint (put (store, "key", GKV_RECORD_DEAD, AT (3), ""), ==, GKV_STORE_TAKEN);
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 0);
  g_assert_cmpint (put (store, "key", 0, AT (4), "again"), ==, GKV_STORE_TAKEN);
  gkv_store_summarise (store, GKV_RANGE_EVERYTHING, &after);
  g_assert_cmpmem (&before, sizeof before, &after, sizeof after);

  /* The same one, where its time has come, isn't put below itself. */
  g_assert_cmpint (put (store, "key", 0, AT (100), "later"), ==, GKV_STORE_KEPT);
  g_assert_cmpuint (gkv_store_lookup_visible (store, "key", 3)->stamp, ==, AT (4));

  gkv_store_release_quarantined (store, 99, 10, on_released, &n);
  g_assert_cmpuint (n, ==, 0);
  gkv_store_release_quarantined (store, 100, 10, on_released, &n);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpuint (gkv_store_get_n_quarantined (store), ==, 0);
  g_assert_cmpuint (gkv_store_lookup_visible (store, "key", 3)->stamp, ==, AT (100));

  /* One that nothing stands behind isn't seen at all. */
  put (store, "other", GKV_RECORD_QUARANTINED, AT (100), "later");
  g_assert_null (gkv_store_lookup_visible (store, "other", 5));
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
}

static void
on_ended (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  g_assert_true (gkv_record_is_dead (record));
  g_assert_cmpuint (record->stamp, ==, AT (1));
  g_assert_cmpuint (replaced->stamp, ==, AT (1));
  *(guint *) user_data += 1;
}

/* What is visible while another version is quarantined has the lifetime that it had. */
static void
test_quarantined_expiry (void)
{
  for (guint how = 0; how < 5; how++)
    {
      g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
      gint64 deadline;
      guint n = 0;

      put (store, "key", 0, AT (1), "now");
      gkv_store_set_deadline (store, gkv_store_lookup (store, "key", 3), 500);
      put (store, "key", GKV_RECORD_QUARANTINED, AT (100), "later");
      g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
      g_assert_cmpint (gkv_store_get_deadline (store, gkv_store_lookup_visible (store, "key", 3)), ==, 500);

      if (how == 0)
        {
          g_assert_cmpuint (gkv_store_expire_due (store, 499, 10, on_ended, &n), ==, 0);
          g_assert_cmpuint (gkv_store_expire_due (store, 500, 10, on_ended, &n), ==, 1);
          g_assert_cmpuint (n, ==, 1);
          g_assert_null (gkv_store_lookup_visible (store, "key", 3));
          g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 0);
          g_assert_cmpuint (gkv_store_get_n_quarantined (store), ==, 1);
        }
      else if (how == 1)
        {
          gkv_store_release_quarantined (store, 100, 10, on_released, &n);
          g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
        }
      else if (how == 2)
        {
          put (store, "key", GKV_RECORD_QUARANTINED, AT (101), "later still");
          g_assert_cmpint (gkv_store_get_deadline (store, gkv_store_lookup_visible (store, "key", 3)), ==, 500);
          put (store, "key", 0, AT (102), "now");
        }
      else if (how == 3)
        {
          /* What it stood above is the one that is held again. */
          g_assert_true (gkv_store_remove (store, gkv_store_lookup (store, "key", 3)));
          g_assert_cmpuint (gkv_store_lookup (store, "key", 3)->stamp, ==, AT (1));
          g_assert_cmpint (gkv_store_get_deadline (store, gkv_store_lookup (store, "key", 3)), ==, 500);
          g_assert_true (gkv_store_remove (store, gkv_store_lookup (store, "key", 3)));
        }
      else
        {
          g_assert_true (gkv_store_remove (store, gkv_store_lookup_visible (store, "key", 3)));
          g_assert_null (gkv_store_lookup_visible (store, "key", 3));
        }

      g_assert_null (gkv_store_peek_deadline (store, &deadline));
    }
}

static void
on_expired (GkvRecord *record, GkvRecord *replaced, gpointer user_data)
{
  GString *order = user_data;

  g_assert_true (gkv_record_is_dead (record));
  g_string_append (order, gkv_record_get_key (record));
}

static void
test_expiry (void)
{
  g_autoptr (GkvStore) store = gkv_store_new (&hash_key);
  g_autoptr (GString) order = g_string_new (NULL);
  gint64 deadline;

  for (guint i = 0; i < 10; i++)
    {
      const char key[] = { '0' + i, '\0' };
      GkvRecord *record;

      put (store, key, 0, 1, "x");
      record = gkv_store_lookup (store, key, 1);
      gkv_store_set_deadline (store, record, 100 + 37 * i % 10);
      /* A later one doesn't lengthen a lifetime. */
      gkv_store_set_deadline (store, record, 5000);
      g_assert_cmpint (gkv_store_get_deadline (store, record), ==, 100 + 37 * i % 10);
    }

  /* Written anew without a lifetime: it stays. */
  put (store, "0", 0, 2, "x");
  g_assert_cmpint (gkv_store_get_deadline (store, gkv_store_lookup (store, "0", 1)), ==, -1);

  g_assert_nonnull (gkv_store_peek_deadline (store, &deadline));
  g_assert_cmpint (deadline, ==, 101);
  g_assert_cmpuint (gkv_store_expire_due (store, 100, 100, on_expired, order), ==, 0);
  g_assert_cmpuint (gkv_store_expire_due (store, 1000, 4, on_expired, order), ==, 4);
  g_assert_cmpuint (gkv_store_expire_due (store, 1000, 100, on_expired, order), ==, 5);
  g_assert_cmpstr (order->str, ==, "369258147");
  g_assert_null (gkv_store_peek_deadline (store, &deadline));
  g_assert_cmpuint (gkv_store_get_n_visible (store), ==, 1);
  g_assert_cmpuint (gkv_store_get_n_tombstones (store), ==, 9);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  hash_key = gkv_hash_key_for_cluster ("test");

  g_test_add_func ("/store/model", test_model);
  g_test_add_func ("/store/alike", test_alike);
  g_test_add_func ("/store/walk", test_walk);
  g_test_add_func ("/store/quarantined", test_quarantined);
  g_test_add_func ("/store/quarantined-expiry", test_quarantined_expiry);
  g_test_add_func ("/store/expiry", test_expiry);

  g_test_add_func ("/store/sketch-in-slices", test_sketch_in_slices);

  return g_test_run ();
}
