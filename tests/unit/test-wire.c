/* The wire format: what is written is read back, and hostile bytes are refused without harm.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gossip/gkv-wire.h"

#include <string.h>

static GkvHashKey
make_hash_key (void)
{
  return gkv_hash_key_for_cluster ("test");
}

static GkvWriter *
make_writer (GkvRecordFlags flags)
{
  return gkv_writer_intern ("node", -1, flags & GKV_RECORD_DEAD ? "" : "variant", -1);
}

static void
test_numbers (void)
{
  const guint64 varints[] = { 0, 1, 127, 128, 300, G_MAXUINT32, G_MAXUINT64 };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  GkvReader reader;

  gkv_put_u8 (out, 0xab);
  gkv_put_u16 (out, 0x1234);
  gkv_put_u32 (out, 0xdeadbeef);
  gkv_put_u64 (out, G_GUINT64_CONSTANT (0x0123456789abcdef));
  for (guint i = 0; i < G_N_ELEMENTS (varints); i++)
    gkv_put_varint (out, varints[i]);

  /* Little-endian, whatever the machine. */
  g_assert_cmpuint (out->data[1], ==, 0x34);

  gkv_reader_init (&reader, out->data, out->len);
  g_assert_cmphex (gkv_reader_u8 (&reader), ==, 0xab);
  g_assert_cmphex (gkv_reader_u16 (&reader), ==, 0x1234);
  g_assert_cmphex (gkv_reader_u32 (&reader), ==, 0xdeadbeef);
  g_assert_cmphex (gkv_reader_u64 (&reader), ==, G_GUINT64_CONSTANT (0x0123456789abcdef));
  for (guint i = 0; i < G_N_ELEMENTS (varints); i++)
    g_assert_cmpuint (gkv_reader_varint (&reader), ==, varints[i]);
  g_assert_false (reader.failed);
  g_assert_cmpuint (gkv_reader_get_left (&reader), ==, 0);

  g_assert_cmpuint (gkv_reader_u32 (&reader), ==, 0);
  g_assert_true (reader.failed);
}

static void
test_strings (void)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autofree char *string = NULL;
  GkvReader reader;

  gkv_put_string (out, "ключ");
  gkv_reader_init (&reader, out->data, out->len);
  string = gkv_reader_string (&reader, 255);
  g_assert_cmpstr (string, ==, "ключ");

  gkv_reader_init (&reader, out->data, out->len);
  g_assert_null (gkv_reader_string (&reader, 3));
  g_assert_true (reader.failed);

  gkv_reader_init (&reader, "\x02\xff\xfe", 3);
  g_assert_null (gkv_reader_string (&reader, 255));

  gkv_reader_init (&reader, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01zz", 12);
  g_assert_null (gkv_reader_string (&reader, 255));
}

static void
test_ranges (void)
{
  const GkvRange ranges[] = { { 0, 0 }, { G_GUINT64_CONSTANT (0xa) << 60, 1 }, { G_MAXUINT64, 16 } };

  for (guint i = 0; i < G_N_ELEMENTS (ranges); i++)
    {
      g_autoptr (GByteArray) out = g_byte_array_new ();
      GkvReader reader;
      GkvRange range;

      gkv_put_range (out, ranges[i]);
      gkv_reader_init (&reader, out->data, out->len);
      range = gkv_reader_range (&reader);
      g_assert_false (reader.failed);
      g_assert_cmphex (range.prefix, ==, ranges[i].prefix);
      g_assert_cmpuint (range.depth, ==, ranges[i].depth);
    }

  /* Bits below the depth don't count, and no range is deeper than a hash. */
  {
    GkvReader reader;
    GkvRange range;

    gkv_reader_init (&reader, "\x01\xff\xff\xff\xff\xff\xff\xff\xaf", 9);
    range = gkv_reader_range (&reader);
    g_assert_cmphex (range.prefix, ==, G_GUINT64_CONSTANT (0xa) << 60);

    gkv_reader_init (&reader, "\x11\xff\xff\xff\xff\xff\xff\xff\xaf", 9);
    gkv_reader_range (&reader);
    g_assert_true (reader.failed);
  }
}

static void
test_records (void)
{
  const struct
  {
    GkvRecordFlags flags;
    gint64 left_ms;
    const char *content;
  } cases[] = {
    { 0, -1, "content" },
    { 0, -1, "" },
    { GKV_RECORD_TTL, 0, "brief" },
    { GKV_RECORD_TTL, 123456, "brief" },
    { GKV_RECORD_TTL, -1, "brief" },
    { GKV_RECORD_TIMED, -1, "ahead" },
    { GKV_RECORD_EPHEMERAL, -1, "mine" },
    { GKV_RECORD_EPHEMERAL | GKV_RECORD_TTL | GKV_RECORD_TIMED, 7, "mine" },
    { GKV_RECORD_DEAD, -1, "" },
    { GKV_RECORD_DEAD | GKV_RECORD_EPHEMERAL, -1, "" },
    { GKV_RECORD_DEAD | GKV_RECORD_TTL | GKV_RECORD_TIMED, -1, "" },
  };
  const GkvRecordParts parts = { .generation = 99, .life_ms = 200000, .time_ms = 41 };
  GkvHashKey hash_key = make_hash_key ();
  g_autoptr (GkvWriter) last = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GkvWriter) writer = make_writer (cases[i].flags);
      g_autoptr (GkvRecord) record = gkv_record_new_with_parts (&hash_key, writer, "key", 3, cases[i].flags, 42 << 16,
                                                                cases[i].content, strlen (cases[i].content), &parts);
      g_autoptr (GByteArray) out = g_byte_array_new ();
      g_autoptr (GkvRecord) copy = NULL;
      GkvReader reader;
      gint64 left_ms;

      gkv_put_record (out, record, cases[i].left_ms);
      g_assert_cmpuint (out->len, <=, gkv_record_get_wire_size (record));

      gkv_reader_init (&reader, out->data, out->len);
      copy = gkv_reader_record (&reader, &hash_key, &last, &left_ms);
      g_assert_nonnull (copy);
      g_assert_cmpint (gkv_record_compare (record, copy), ==, 0);
      g_assert_true (gkv_fingerprint_equal (&record->fingerprint, &copy->fingerprint));
      g_assert_cmpint (left_ms, ==, cases[i].left_ms);
      g_assert_cmpuint (gkv_record_get_generation (copy), ==, cases[i].flags & GKV_RECORD_EPHEMERAL ? 99 : 0);
      g_assert_cmpuint (gkv_record_get_life_ms (copy), ==, cases[i].flags & GKV_RECORD_TTL ? 200000 : 0);
      g_assert_cmpint (gkv_record_get_time_ms (copy), ==, cases[i].flags & GKV_RECORD_TIMED ? 41 : 42);
    }
}

/* What a later version has put into a record goes on to the next as it came: its flags and its fields. The mark of such
 * a record has the flags. */
static void
test_unknown_fields (void)
{
  const GkvRecordFlags flags[] = { 0, GKV_RECORD_EPHEMERAL, GKV_RECORD_DEAD, GKV_RECORD_DEAD | GKV_RECORD_EPHEMERAL };
  const guint64 more[] = { 0, 1 << 4, 1 << 9, G_GUINT64_CONSTANT (1) << 63 };
  GkvHashKey hash_key = make_hash_key ();
  g_autoptr (GkvWriter) last = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (flags); i++)
    {
      g_autoptr (GkvWriter) writer = make_writer (flags[i]);
      g_autoptr (GkvRecord) plain = gkv_record_new (&hash_key, writer, "key", 3, flags[i], 42 << 16, 99, "content", 7);
      const GkvRecordParts parts = { .generation = 99, .more_flags = more[i], .fields = "later", .fields_len = 5 };
      g_autoptr (GkvRecord) record =
          gkv_record_new_with_parts (&hash_key, writer, "key", 3, flags[i], 42 << 16, "content", 7, &parts);
      GkvRecordParts copied;
      g_autoptr (GkvRecord) copy = NULL;
      g_autoptr (GkvRecord) dead = NULL;
      g_autoptr (GByteArray) out = g_byte_array_new ();
      GkvReader reader;
      gint64 left_ms;

      gkv_put_record (out, record, -1);
      g_assert_cmpuint (out->len, <=, gkv_record_get_wire_size (record));
      gkv_reader_init (&reader, out->data, out->len);
      copy = gkv_reader_record (&reader, &hash_key, &last, &left_ms);

      gkv_record_get_parts (copy, &copied);
      g_assert_cmpmem (copied.fields, copied.fields_len, "later", 5);
      g_assert_cmpuint (copied.more_flags, ==, more[i]);
      g_assert_cmpuint (gkv_record_get_generation (copy), ==, flags[i] & GKV_RECORD_EPHEMERAL ? 99 : 0);
      g_assert_cmpint (gkv_record_compare (record, copy), ==, 0);
      g_assert_true (gkv_fingerprint_equal (&record->fingerprint, &copy->fingerprint));
      g_assert_cmpint (gkv_record_compare (record, plain), >, 0);
      g_assert_false (gkv_fingerprint_equal (&record->fingerprint, &plain->fingerprint));

      dead = gkv_record_new_dead (&hash_key, copy);
      gkv_record_get_parts (dead, &copied);
      g_assert_cmpuint (copied.fields_len, ==, 0);
      g_assert_cmpuint (copied.more_flags, ==, more[i]);
    }
}

/* A lifetime of nothing or of more than for ever, and a time after the stamp, are no record's. */
static void
test_impossible_records (void)
{
  const GkvRecordParts parts[] = {
    { .life_ms = 1, .time_ms = 42 },
    { .life_ms = 0, .time_ms = 42 },
    { .life_ms = GKV_RECORD_MAX_LIFE_MS + 1, .time_ms = 42 },
    { .life_ms = 1, .time_ms = 43 },
    { .life_ms = 1, .time_ms = G_MAXUINT64 },
  };
  GkvHashKey hash_key = make_hash_key ();
  g_autoptr (GkvWriter) last = NULL;
  g_autoptr (GkvWriter) writer = make_writer (0);

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autoptr (GkvRecord) record =
          gkv_record_new_with_parts (&hash_key, writer, "key", 3, GKV_RECORD_TTL | GKV_RECORD_TIMED, 42 << 16,
                                     "content", 7, &parts[i]);
      g_autoptr (GkvRecord) copy = NULL;
      g_autoptr (GByteArray) out = g_byte_array_new ();
      GkvReader reader;
      gint64 left_ms;

      gkv_put_record (out, record, 1);
      gkv_reader_init (&reader, out->data, out->len);
      copy = gkv_reader_record (&reader, &hash_key, &last, &left_ms);
      g_assert_true ((copy != NULL) == (i == 0));
    }
}

static void
test_hostile_records (void)
{
  GkvHashKey hash_key = make_hash_key ();
  g_autoptr (GkvWriter) last = NULL;
  g_autoptr (GkvWriter) writer = make_writer (0);
  g_autoptr (GkvRecord) record =
      gkv_record_new (&hash_key, writer, "key", 3, GKV_RECORD_EPHEMERAL, 42, 99, "content", 7);
  g_autoptr (GByteArray) out = g_byte_array_new ();

  gkv_put_record (out, record, 500);

  /* Cut short anywhere before its content. */
  for (guint len = 0; len < out->len - 7; len++)
    {
      g_autofree guint8 *exact = g_memdup2 (out->data, len);
      GkvReader reader;
      gint64 left_ms;

      gkv_reader_init (&reader, exact, len);
      g_assert_null (gkv_reader_record (&reader, &hash_key, &last, &left_ms));
    }

  /* Any bytes at all. */
  for (guint n = 0; n < 20000; n++)
    {
      gsize len = g_test_rand_int_range (0, 64);
      g_autofree guint8 *noise = g_malloc (len);
      g_autoptr (GkvRecord) result = NULL;
      GkvReader reader;
      gint64 left_ms;

      for (gsize i = 0; i < len; i++)
        noise[i] = i < out->len && g_test_rand_bit () ? out->data[i] : g_test_rand_int_range (0, 256);
      gkv_reader_init (&reader, noise, len);
      result = gkv_reader_record (&reader, &hash_key, &last, &left_ms);
      if (result != NULL)
        g_assert_cmpuint (result->key_len, >, 0);
    }
}

static void
test_addresses (void)
{
  static const struct
  {
    const char *address;
    const char *teller;
    guint size;
    const char *received; /* NULL: as it was sent */
  } cases[] = {
    { "", "", 1, NULL },
    { "192.0.2.1:7000", "", 7, NULL },
    { "0.0.0.0:0", "", 7, NULL },
    { "[2001:db8::1]:65535", "", 19, NULL },
    { "[::1]:7000", "", 19, NULL },
    { "[::]:7000", "", 19, NULL },
    { "[::102:304]:7000", "", 19, NULL },
    /* The receiver knows its own interfaces only. */
    { "[fe80::1%2]:7000", "[fe80::2%6]:7000", 19, "[fe80::1%6]:7000" },
    { "[fe80::1]:7000", "[fe80::2%6]:7000", 19, "[fe80::1%6]:7000" },
    { "[fe80::1%2]:7000", "192.0.2.1:7000", 19, "" },
    { "[fe80::1%2]:7000", "[2001:db8::1]:7000", 19, "" },
    { "[2001:db8::1]:7000", "[fe80::2%6]:7000", 19, NULL },
    /* Not as the transport "udp" writes them, or of another one. */
    { "192.0.2.01:7000", "", 2 + 15, NULL },
    { "192.0.2.1:07000", "", 2 + 14, NULL },
    { "192.0.2.1:70000", "", 2 + 14, NULL },
    { "[2001:DB8::1]:7000", "", 1 + 18, NULL },
    { "[2001:db8::1%2]:7000", "", 1 + 20, NULL },
    { "[::ffff:192.0.2.1]:7000", "", 1 + 23, NULL },
    { "[::1.2.3.4]:7000", "", 1 + 16, NULL },
    { "[]:1", "", 1 + 4, NULL },
    { "[", "", 1 + 1, NULL },
    { ":", "", 1 + 1, NULL },
    { "box:1", "", 1 + 5, NULL },
    { "n\303\266rd %3]", "[fe80::2%6]:7000", 1 + 9, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GByteArray) out = g_byte_array_new ();
      g_autofree char *received = NULL;
      GkvReader reader;

      gkv_put_address (out, cases[i].address);
      g_test_message ("%s", cases[i].address);
      g_assert_cmpuint (out->len, <=, cases[i].size);
      g_assert_cmpuint (out->len + 1, >=, cases[i].size);
      gkv_reader_init (&reader, out->data, out->len);
      received = gkv_reader_address (&reader, cases[i].teller);
      g_assert_cmpstr (received, ==, cases[i].received != NULL ? cases[i].received : cases[i].address);
      g_assert_false (reader.failed);
      g_assert_cmpuint (gkv_reader_get_left (&reader), ==, 0);
    }
}

static void
test_hostile_addresses (void)
{
  static const struct
  {
    const char *bytes;
    gsize len;
    const char *address; /* NULL: none */
  } cases[] = {
    { "", 0, NULL },
    { "\x0c\xc0\x00\x02\x01\x1b", 6, NULL },
    { "\x0a\xc0\x00\x02\x01\x1b", 6, NULL },
    { "\x0e\xc0\x00\x02\x01\x1b\x58\x00", 8, NULL },
    { "\x05\xff\xff", 3, NULL },
    { "\x05x\x00", 3, NULL },
    { "\x83\x02", 2, NULL },
    { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, NULL },
    { "\x01", 1, "" },
    { "\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\x1b\x58", 19, "192.0.2.1:7000" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *address = NULL;
      GkvReader reader;

      gkv_reader_init (&reader, cases[i].bytes, cases[i].len);
      address = gkv_reader_address (&reader, "[fe80::2%6]:7000");
      g_assert_cmpstr (address, ==, cases[i].address);
      g_assert_true (reader.failed == (cases[i].address == NULL));
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/wire/numbers", test_numbers);
  g_test_add_func ("/wire/strings", test_strings);
  g_test_add_func ("/wire/addresses", test_addresses);
  g_test_add_func ("/wire/addresses/hostile", test_hostile_addresses);
  g_test_add_func ("/wire/ranges", test_ranges);
  g_test_add_func ("/wire/records", test_records);
  g_test_add_func ("/wire/unknown-fields", test_unknown_fields);
  g_test_add_func ("/wire/records/hostile", test_hostile_records);
  g_test_add_func ("/wire/records/impossible", test_impossible_records);

  return g_test_run ();
}
