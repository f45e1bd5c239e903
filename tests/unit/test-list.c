/* GkvList: what its signals say is what it shows, whatever is done inside them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-entry.h"
#include "node/gkv-list.h"

#include <string.h>

static GkvHashKey hash_key;
static GkvWriter *writer, *other_writer;
static GkvStamp stamp;

/* A list whose values are strings. */

typedef struct
{
  GkvPrefixes *prefixes;
  GkvList *list;
  guint n_decoded;
  gboolean is_freed;
} Fixture;

static GkvRecord *
make_record (GkvWriter *by, const char *key, const char *value)
{
  return gkv_record_new (&hash_key, by, key, strlen (key), 0, ++stamp << 16, 0, value, strlen (value));
}

static GVariant *
decode (gpointer data, GkvRecord *record, GError **error)
{
  Fixture *fixture = data;

  fixture->n_decoded++;
  if (record->writer != writer)
    return NULL;

  return g_variant_ref_sink (
      g_variant_new_take_string (g_strndup ((const char *) gkv_record_get_content (record), record->content_len)));
}

static gint64
get_expires_us (gpointer data, GkvRecord *record)
{
  return -1;
}

static void
free_source (gpointer data)
{
  Fixture *fixture = data;

  fixture->is_freed = TRUE;
}

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  GkvListSource source = { decode, get_expires_us, fixture, free_source };

  fixture->prefixes = gkv_prefixes_new (g_object_ref);
  fixture->list = gkv_list_new ("", fixture->prefixes, &source);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_object (&fixture->list);
  g_assert_true (fixture->is_freed);
  g_assert_true (gkv_prefixes_is_empty (fixture->prefixes));
  gkv_prefixes_unref (fixture->prefixes);
}

/* @changes: keys, each with a '+' or a '-' before it, with a space between. */
static void
apply (GkvList *list, const char *text)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  g_autoptr (GArray) changes = g_array_new (FALSE, FALSE, sizeof (GkvListChange));
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);

  for (guint i = 0; words[i] != NULL; i++)
    {
      GkvListChange change = { words[i] + 1, NULL };

      if (words[i][0] == '+')
        {
          change.record = make_record (writer, change.key, "x");
          g_ptr_array_add (records, change.record);
        }
      g_array_append_val (changes, change);
    }

  gkv_list_apply (list, (const GkvListChange *) changes->data, changes->len);
}

static void
set (GkvList *list, GkvWriter *by, const char *key, const char *value)
{
  g_autoptr (GkvRecord) record = make_record (by, key, value);
  GkvListChange change = { key, record };

  gkv_list_apply (list, &change, 1);
}

static char *
dup_key (GkvList *list, guint position)
{
  g_autoptr (GkvEntry) entry = g_list_model_get_item (G_LIST_MODEL (list), position);

  return entry != NULL ? g_strdup (gkv_entry_get_key (entry)) : NULL;
}

/* Copy: the list as a listener to items-changed knows it by that alone. */

typedef struct
{
  GPtrArray *keys;
  guint n_notifies;
  GString *log; /* "position-removed+added", with a space between */
} Copy;

static void
on_items_changed_copy (GkvList *list, guint position, guint n_removed, guint n_added, gpointer user_data)
{
  Copy *copy = user_data;

  g_string_append_printf (copy->log, "%s%u-%u+%u", copy->log->len > 0 ? " " : "", position, n_removed, n_added);

  g_assert_cmpuint (position + n_removed, <=, copy->keys->len);
  if (n_removed > 0)
    g_ptr_array_remove_range (copy->keys, position, n_removed);
  for (guint i = 0; i < n_added; i++)
    g_ptr_array_insert (copy->keys, (int) (position + i), dup_key (list, position + i));

  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (list)), ==, copy->keys->len);
  for (guint i = 0; i < copy->keys->len; i++)
    {
      g_autofree char *key = dup_key (list, i);

      g_assert_cmpstr (copy->keys->pdata[i], ==, key);
    }
}

static void
copy_init (Copy *copy, GkvList *list)
{
  copy->keys = g_ptr_array_new_with_free_func (g_free);
  copy->n_notifies = 0;
  copy->log = g_string_new (NULL);
  for (guint i = 0; i < g_list_model_get_n_items (G_LIST_MODEL (list)); i++)
    g_ptr_array_add (copy->keys, dup_key (list, i));
  g_signal_connect (list, "items-changed", G_CALLBACK (on_items_changed_copy), copy);
}

static void
copy_clear (Copy *copy)
{
  g_ptr_array_unref (copy->keys);
  g_string_free (copy->log, TRUE);
}

static void
assert_copy (Copy *copy, const char *keys)
{
  g_autoptr (GString) found = g_string_new (NULL);

  for (guint i = 0; i < copy->keys->len; i++)
    g_string_append_printf (found, "%s%s", i > 0 ? " " : "", (const char *) copy->keys->pdata[i]);
  g_assert_cmpstr (found->str, ==, keys);
}

static void
assert_log (Copy *copy, const char *log)
{
  g_assert_cmpstr (copy->log->str, ==, log);
  g_string_truncate (copy->log, 0);
}

/* Runs */

static void
test_runs (Fixture *fixture, gconstpointer data)
{
  Copy copy;

  copy_init (&copy, fixture->list);
  apply (fixture->list, "+e +a +c");
  assert_log (&copy, "0-0+3");

  /* Keys that come and go side by side are one signal, */
  apply (fixture->list, "+b -c +d");
  assert_log (&copy, "1-1+2");
  assert_copy (&copy, "a b d e");

  /* a key that stays lies between two, */
  apply (fixture->list, "-a +c -e +f");
  assert_log (&copy, "0-1+0 1-0+1 3-1+1");
  assert_copy (&copy, "b c d f");

  /* a new value is none, */
  apply (fixture->list, "+b +c");
  assert_log (&copy, "");

  /* nor does it part those beside it from each other more than it must, */
  apply (fixture->list, "-b +c -d");
  assert_log (&copy, "0-1+0 1-1+0");

  /* and of each key the last counts. */
  apply (fixture->list, "+x -x -c +c -f +f +y -y +y -z");
  assert_log (&copy, "2-0+1");
  assert_copy (&copy, "c f y");

  copy_clear (&copy);
}

static void
test_fill (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
  Copy copy;

  for (guint i = 0; i < 300; i++)
    {
      g_autofree char *key = g_strdup_printf ("%03u", i);

      g_ptr_array_add (records, make_record (writer, key, "x"));
    }

  copy_init (&copy, fixture->list);
  gkv_list_fill (fixture->list, (GkvRecord *const *) records->pdata, 100);
  apply (fixture->list, "+200 -050");
  gkv_list_fill (fixture->list, (GkvRecord *const *) records->pdata + 100, 200);
  assert_log (&copy, "0-0+100 50-1+0 99-0+1 99-0+100 200-0+99");
  g_assert_cmpuint (copy.keys->len, ==, 299);
  g_assert_cmpuint (fixture->n_decoded, >, 0);
  copy_clear (&copy);
}

static void
on_notify (GObject *object, GParamSpec *pspec, gpointer user_data)
{
  GString *log = user_data;
  gboolean pending;
  guint n_items;

  g_object_get (object, "pending", &pending, "n-items", &n_items, NULL);
  g_string_append_printf (log, " %s:%d/%u", pspec->name, pending, n_items);
}

static void
test_properties (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) log = g_string_new (NULL);
  GType item_type = G_TYPE_INVALID;
  gboolean pending = TRUE;

  g_object_get (fixture->list, "item-type", &item_type, "pending", &pending, NULL);
  g_assert_true (item_type == GKV_TYPE_ENTRY);
  g_assert_true (g_list_model_get_item_type (G_LIST_MODEL (fixture->list)) == GKV_TYPE_ENTRY);
  g_assert_false (pending);

  g_signal_connect (fixture->list, "notify", G_CALLBACK (on_notify), log);
  gkv_list_set_pending (fixture->list, TRUE);
  gkv_list_set_pending (fixture->list, TRUE);
  apply (fixture->list, "+a +c");
  apply (fixture->list, "-a +b");
  gkv_list_set_pending (fixture->list, FALSE);
  g_assert_cmpstr (log->str, ==, " pending:1/0 n-items:1/2 pending:0/2");
}

/* Entries */

static void
test_entries (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GkvEntry) entry = NULL;
  g_autoptr (GkvEntry) again = NULL;
  g_autoptr (GkvEntry) other = NULL;
  GkvEntry *gone;

  apply (fixture->list, "+a +b +c");
  apply (fixture->list, "+a");
  g_assert_cmpuint (fixture->n_decoded, ==, 0);

  /* It is made when somebody gets it, and is the same while somebody holds it. */
  entry = g_list_model_get_item (G_LIST_MODEL (fixture->list), 1);
  again = g_list_model_get_item (G_LIST_MODEL (fixture->list), 1);
  g_assert_true (entry == again);
  g_assert_cmpuint (fixture->n_decoded, ==, 1);
  g_assert_cmpstr (gkv_entry_get_text (entry), ==, "'x'");

  set (fixture->list, writer, "b", "y");
  g_assert_cmpuint (fixture->n_decoded, ==, 2);
  g_assert_cmpstr (g_variant_get_string (gkv_entry_get_value (entry), NULL), ==, "y");
  g_assert_cmpstr (gkv_entry_get_text (entry), ==, "'y'");

  /* A value that can't be decoded here. */
  set (fixture->list, other_writer, "b", "z");
  g_assert_null (gkv_entry_get_value (entry));
  g_assert_cmpstr (gkv_entry_get_codec (entry), ==, "other");
  g_assert_cmpstr (gkv_entry_get_origin (entry), ==, "another");
  g_assert_cmpstr (gkv_entry_get_text (entry), ==, "");

  /* Its key goes and comes again. */
  apply (fixture->list, "-b -c");
  g_assert_null (g_list_model_get_item (G_LIST_MODEL (fixture->list), 1));
  set (fixture->list, writer, "b", "back");
  g_clear_object (&again);
  again = g_list_model_get_item (G_LIST_MODEL (fixture->list), 1);
  g_assert_true (entry == again);
  g_assert_cmpstr (g_variant_get_string (gkv_entry_get_value (entry), NULL), ==, "back");

  /* Nobody holds it any more. */
  gone = entry;
  g_object_add_weak_pointer (G_OBJECT (gone), (gpointer *) &gone);
  g_clear_object (&entry);
  g_clear_object (&again);
  g_assert_null (gone);
  fixture->n_decoded = 0;
  set (fixture->list, writer, "b", "later");
  g_assert_cmpuint (fixture->n_decoded, ==, 0);
  other = g_list_model_get_item (G_LIST_MODEL (fixture->list), 1);
  g_assert_cmpstr (gkv_entry_get_text (other), ==, "'later'");

  /* It may outlive the list. */
  g_clear_object (&fixture->list);
  g_assert_cmpstr (gkv_entry_get_key (other), ==, "b");
}

static gpointer
drop (gpointer data)
{
  g_object_unref (data);

  return NULL;
}

/* A garbage collector drops entries where it happens to run. */
static void
test_drop_elsewhere (Fixture *fixture, gconstpointer data)
{
  apply (fixture->list, "+a");
  for (guint i = 0; i < 300; i++)
    {
      GkvEntry *entry = g_list_model_get_item (G_LIST_MODEL (fixture->list), 0);
      g_autoptr (GThread) thread = g_thread_new ("collector", drop, entry);
      g_autoptr (GkvEntry) next = g_list_model_get_item (G_LIST_MODEL (fixture->list), 0);
      g_autoptr (GkvEntry) same = NULL;

      apply (fixture->list, "+a");
      g_thread_join (g_steal_pointer (&thread));
      same = g_list_model_get_item (G_LIST_MODEL (fixture->list), 0);
      g_assert_true (next == same);
    }
}

/* Changes inside of signals */

static void
on_items_changed_add (GkvList *list, guint position, guint n_removed, guint n_added, gpointer user_data)
{
  guint *n_left = user_data;

  if (*n_left == 0)
    return;

  (*n_left)--;
  apply (list, "-b +a +d");
  apply (list, "+b +e -a");
}

static void
test_inside_items_changed (Fixture *fixture, gconstpointer data)
{
  guint n_left = 2;
  Copy copy;

  /* This one is called before the copy hears of the change. */
  g_signal_connect (fixture->list, "items-changed", G_CALLBACK (on_items_changed_add), &n_left);
  copy_init (&copy, fixture->list);
  apply (fixture->list, "+b +c");
  g_assert_cmpuint (n_left, ==, 0);
  assert_log (&copy, "0-0+2 2-0+2");
  assert_copy (&copy, "b c d e");
  copy_clear (&copy);
}

static void
on_notify_value (GkvEntry *entry, GParamSpec *pspec, gpointer user_data)
{
  Copy *copy = user_data;
  GkvList *list = g_object_get_data (G_OBJECT (entry), "list");

  /* The list is as it has reported itself, though it has more to do. */
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (list)), ==, copy->keys->len);
  if (copy->n_notifies++ < 5)
    apply (list, "-a +c +q");
}

static void
test_inside_notify (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GkvEntry) entry = NULL;
  Copy copy;

  apply (fixture->list, "+a +b +c");
  copy_init (&copy, fixture->list);
  entry = g_list_model_get_item (G_LIST_MODEL (fixture->list), 2);
  g_object_set_data (G_OBJECT (entry), "list", fixture->list);
  g_signal_connect (entry, "notify::modified", G_CALLBACK (on_notify_value), &copy);
  apply (fixture->list, "-b +c +d");
  g_assert_cmpuint (copy.n_notifies, ==, 6);
  assert_copy (&copy, "c d q");
  copy_clear (&copy);
}

static void
on_items_changed_drop (GkvList *list, guint position, guint n_removed, guint n_added, gpointer user_data)
{
  Fixture *fixture = user_data;

  g_clear_object (&fixture->list);
}

static void
test_drop_inside (Fixture *fixture, gconstpointer data)
{
  apply (fixture->list, "+b");
  g_signal_connect (fixture->list, "items-changed", G_CALLBACK (on_items_changed_drop), fixture);
  apply (fixture->list, "+a +c");
  g_assert_null (fixture->list);
}

/* At random, with handlers that hold entries and change the list, against a set of keys. */

typedef struct
{
  GkvList *list;
  GHashTable *keys;
  GPtrArray *held;
  guint depth;
} Chaos;

static void
chaos_change (Chaos *self)
{
  guint n = (guint) g_test_rand_int_range (1, 20);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("%d", g_test_rand_int_range (0, 60));
      gboolean there = g_test_rand_bit ();

      g_string_append_printf (text, "%s%c%s", i > 0 ? " " : "", there ? '+' : '-', key);
      if (there)
        g_hash_table_add (self->keys, g_steal_pointer (&key));
      else
        g_hash_table_remove (self->keys, key);
    }

  apply (self->list, text->str);
}

static void
chaos_meddle (Chaos *self)
{
  guint n_items = g_list_model_get_n_items (G_LIST_MODEL (self->list));

  if (n_items > 0)
    g_ptr_array_add (self->held, g_list_model_get_item (G_LIST_MODEL (self->list),
                                                        (guint) g_test_rand_int_range (0, (gint32) n_items)));
  if (self->held->len > 20)
    g_ptr_array_remove_index_fast (self->held, 0);

  if (self->depth < 3 && g_test_rand_int_range (0, 4) == 0)
    {
      self->depth++;
      chaos_change (self);
      self->depth--;
    }
}

static void
on_items_changed_meddle (GkvList *list, guint position, guint n_removed, guint n_added, gpointer user_data)
{
  chaos_meddle (user_data);
}

static void
on_entry_meddle (GkvEntry *entry, GParamSpec *pspec, gpointer user_data)
{
  chaos_meddle (user_data);
}

static void
test_random (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GHashTable) keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) held = g_ptr_array_new_with_free_func (g_object_unref);
  Chaos chaos = { fixture->list, keys, held, 0 };
  Copy first, last;

  copy_init (&first, fixture->list);
  g_signal_connect (fixture->list, "items-changed", G_CALLBACK (on_items_changed_meddle), &chaos);
  copy_init (&last, fixture->list);

  for (guint round = 0; round < 300; round++)
    {
      if (held->len > 0)
        g_signal_connect (held->pdata[held->len - 1], "notify::modified", G_CALLBACK (on_entry_meddle), &chaos);

      chaos_change (&chaos);
      g_assert_cmpuint (last.keys->len, ==, g_hash_table_size (keys));
      for (guint i = 0; i < last.keys->len; i++)
        {
          g_assert_true (g_hash_table_contains (keys, last.keys->pdata[i]));
          g_assert_cmpstr (first.keys->pdata[i], ==, last.keys->pdata[i]);
          g_assert_true (i == 0 || strcmp (last.keys->pdata[i - 1], last.keys->pdata[i]) < 0);
        }
    }

  copy_clear (&first);
  copy_clear (&last);
}

static void
add_test (const char *path, void (*test) (Fixture *fixture, gconstpointer data))
{
  g_test_add (path, Fixture, NULL, fixture_set_up, test, fixture_tear_down);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  writer = gkv_writer_intern ("node", -1, "variant", -1);
  other_writer = gkv_writer_intern ("another", -1, "other", -1);

  add_test ("/list/runs", test_runs);
  add_test ("/list/fill", test_fill);
  add_test ("/list/properties", test_properties);
  add_test ("/list/entries", test_entries);
  add_test ("/list/drop-elsewhere", test_drop_elsewhere);
  add_test ("/list/inside-items-changed", test_inside_items_changed);
  add_test ("/list/inside-notify", test_inside_notify);
  add_test ("/list/drop-inside", test_drop_inside);
  add_test ("/list/random", test_random);

  return g_test_run ();
}
