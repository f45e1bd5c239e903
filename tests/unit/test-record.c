/* Records: a total order in which two that differ never tie, and death that makes the same bytes everywhere.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "store/gkv-record.h"

#include <string.h>

static GkvHashKey hash_key;

static GkvRecord *
make (GkvRecordFlags flags, GkvStamp stamp, const char *origin, const char *codec, guint64 life, const char *content)
{
  g_autoptr (GkvWriter) writer = gkv_writer_intern (origin, -1, flags & GKV_RECORD_DEAD ? "" : codec, -1);

  return gkv_record_new (&hash_key, writer, "key", 3, flags, stamp, life, content, strlen (content));
}

static int
get_sign (int number)
{
  return (number > 0) - (number < 0);
}

/* All that a record can differ in, against all else. */
static void
test_order (void)
{
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);

  for (guint stamp = 1; stamp <= 2; stamp++)
    for (guint origin = 0; origin < 2; origin++)
      for (guint life = 0; life < 3; life++)
        {
          GkvRecordFlags flags = life > 0 ? GKV_RECORD_EPHEMERAL : 0;
          const char *id = origin ? "a" : "b";

          g_ptr_array_add (records, make (flags | GKV_RECORD_DEAD, stamp, id, "", life, ""));
          g_ptr_array_add (records, make (flags, stamp, id, "variant", life, "x"));
          g_ptr_array_add (records, make (flags, stamp, id, "variant", life, "xy"));
          g_ptr_array_add (records, make (flags, stamp, id, "variant", life, "y"));
          g_ptr_array_add (records, make (flags, stamp, id, "json", life, "x"));

          for (guint more = 1; more < 8; more++)
            {
              const GkvRecordParts parts = {
                .generation = life, .life_ms = more, .time_ms = 0, .more_flags = more & 4 ? 16 * more : 0
              };
              GkvRecordFlags others = (more & 1 ? GKV_RECORD_TTL : 0) | (more & 2 ? GKV_RECORD_TIMED : 0);
              g_autoptr (GkvWriter) writer = gkv_writer_intern (id, -1, "variant", -1);
              GkvRecord *record =
                  gkv_record_new_with_parts (&hash_key, writer, "key", 3, flags | others, stamp, "x", 1, &parts);

              g_ptr_array_add (records, record);
              g_ptr_array_add (records, gkv_record_new_dead (&hash_key, record));
            }
        }

  for (guint i = 0; i < records->len; i++)
    for (guint j = 0; j < records->len; j++)
      {
        GkvRecord *a = records->pdata[i], *b = records->pdata[j];
        int order = get_sign (gkv_record_compare (a, b));

        g_assert_cmpint (order, ==, -get_sign (gkv_record_compare (b, a)));
        g_assert_true ((order == 0) == (i == j));
        g_assert_true (gkv_fingerprint_equal (&a->fingerprint, &b->fingerprint) == (i == j));

        for (guint k = 0; k < records->len; k++)
          if (order < 0 && gkv_record_compare (b, records->pdata[k]) < 0)
            g_assert_cmpint (gkv_record_compare (a, records->pdata[k]), <, 0);
      }
}

static void
test_precedence (void)
{
  g_autoptr (GkvRecord) live = make (0, 5, "a", "variant", 0, "zzz");
  g_autoptr (GkvRecord) later = make (0, 6, "a", "variant", 0, "");
  g_autoptr (GkvRecord) other = make (0, 5, "b", "variant", 0, "");
  g_autoptr (GkvRecord) dead = gkv_record_new_dead (&hash_key, live);

  g_assert_cmpint (gkv_record_compare (later, live), >, 0);
  g_assert_cmpint (gkv_record_compare (other, live), >, 0);
  g_assert_cmpint (gkv_record_compare (dead, live), >, 0);
  g_assert_cmpint (gkv_record_compare (later, dead), >, 0);
}

/* Of two that are equal but for the time the earlier one wins, and one that doesn't say counts as its stamp. */
static void
test_time (void)
{
  g_autoptr (GkvRecord) record = make (0, 5000 << 16, "a", "variant", 0, "one");
  g_autoptr (GkvRecord) earlier = gkv_record_new_timed (&hash_key, record, 3000);
  g_autoptr (GkvRecord) earliest = gkv_record_new_timed (&hash_key, earlier, 10);
  g_autoptr (GkvRecord) dead = gkv_record_new_dead (&hash_key, record);
  g_autoptr (GkvRecord) dead_earlier = gkv_record_new_dead (&hash_key, earlier);

  g_assert_cmpint (gkv_record_get_time_ms (record), ==, 5000);
  g_assert_cmpint (gkv_record_get_time_ms (earliest), ==, 10);
  g_assert_cmpint (gkv_record_get_time_ms (dead_earlier), ==, 3000);
  g_assert_cmpint (gkv_record_compare (earlier, record), >, 0);
  g_assert_cmpint (gkv_record_compare (earliest, earlier), >, 0);
  g_assert_cmpint (gkv_record_compare (dead, earliest), >, 0);
  g_assert_cmpint (gkv_record_compare (dead_earlier, dead), >, 0);
  g_assert_true (gkv_record_same_value (earliest, record));
  g_assert_true (gkv_record_is_version_of (earliest, dead));
}

static void
test_death (void)
{
  g_autoptr (GkvRecord) brief = make (GKV_RECORD_EPHEMERAL, 5, "a", "variant", 7, "one");
  g_autoptr (GkvRecord) copy = make (GKV_RECORD_EPHEMERAL, 5, "a", "variant", 7, "one");
  g_autoptr (GkvRecord) dead = gkv_record_new_dead (&hash_key, brief);
  g_autoptr (GkvRecord) dead_copy = gkv_record_new_dead (&hash_key, copy);

  g_assert_true (gkv_record_is_dead (dead));
  g_assert_cmpuint (dead->content_len, ==, 0);
  g_assert_cmpuint (dead->stamp, ==, brief->stamp);
  g_assert_cmpstr (gkv_record_get_origin (dead), ==, "a");
  g_assert_cmpuint (gkv_record_get_generation (dead), ==, 7);
  g_assert_cmpint (gkv_record_compare (dead, dead_copy), ==, 0);
  g_assert_true (gkv_fingerprint_equal (&dead->fingerprint, &dead_copy->fingerprint));
}

static void
test_copies (void)
{
  char content[] = "before";
  g_autoptr (GkvRecord) record = make (0, 1, "a", "string", 0, content);

  /* What the caller does to its buffer afterwards changes nothing. */
  memcpy (content, "after!", 6);
  g_assert_cmpmem (gkv_record_get_content (record), record->content_len, "before", 6);
  g_assert_cmpstr (gkv_record_get_key (record), ==, "key");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  hash_key = gkv_hash_key_for_cluster ("test");

  g_test_add_func ("/record/order", test_order);
  g_test_add_func ("/record/precedence", test_precedence);
  g_test_add_func ("/record/time", test_time);
  g_test_add_func ("/record/death", test_death);
  g_test_add_func ("/record/copies", test_copies);

  return g_test_run ();
}
