/* Clocks: steps of the own one, what those of others are, and who has to be told that one is wrong.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-clocks.h"

#include "../gkv-error.h"

#include <string.h>

/* What the wall clock differs by from what it should be, when it was set. */
#define STEP (2 * GKV_SECOND)

/* Times that are corrected are multiples of it, so that nodes whose clocks are set back together make the same of a
 * record. */
#define GRAIN_MS 10000

/* Records looked at while others can't get at the store, and in one tick. */
#define SLICE     64
#define MAX_SWEPT 4096

/* For room among those that are quarantined so long is waited. */
#define ROOM_PERIOD_MS (60 * 60 * 1000)

/* Peers that are told of a step in one tick. */
#define MAX_TOLD 64

/* So many clocks have a majority. */
#define MAJORITY 3

/* Clocks that are looked at: as many say who is right as well as all. */
#define MAX_CLOCKS 64

/* Two clocks that differ less from that of the majority are held to be as good. */
#define LEAST_ERROR (60 * GKV_SECOND)

/* Nodes that pass on to another that its clock is wrong. */
#define MAX_HOPS 16

/* A writer whose records lie ahead is told so often, while they come. */
#define TELL_PERIOD (5 * GKV_SECOND)

/* The others' clocks are looked at so often, once they have a majority. */
#define LOOK_PERIOD (GKV_SECOND / 4)

/* A record that this node has written, and that lies less far ahead of its clock, is shown by the others as well. */
#define LEAST_AHEAD_MS (60 * 1000)

struct _GkvClocks
{
  GkvRuntime *runtime;
  GkvLinks *links;
  GkvMembers *members;
  gboolean (*is_confined) (const char *address); /* nullable */
  GkvClocksListener listener;
  gpointer data;

  gint64 ahead;       /* of the clock that runs on during suspension, when it was looked at last */
  gint64 judge_at_ms; /* when the time of what was refused comes; G_MAXINT64: nothing was */

  /* Records that lie ahead */
  gboolean sweeping;
  guint64 from;       /* the next hash */
  gboolean all;       /* also those of others, and those of this node that are quarantined */
  gboolean waits;     /* there may be more of them, for when this clock isn't doubtful any more */
  gint64 back_ms;     /* by so much the clock was set back since those of others were corrected last */
  gint64 own_back_ms; /* the same for those of this node; 0: not known */
  guint n_corrected;

  gboolean was_told; /* others have said that this clock is wrong */
  guint next_told;   /* the next of the members that is told of a step; G_MAXUINT: all are */
  guint n_agree;     /* of those that were told: they are no more held to be far from this one */

  /* What the others' clocks say */
  gint64 looked_at; /* monotonic; 0: not yet */
  guint n_clocks;   /* of other hosts */
  gint64 median;    /* of them and this one, as .ahead */
  gint64 nearest;   /* how far the nearest of the others is from this one */
};

GkvClocks *
gkv_clocks_new (GkvRuntime *runtime,
                GkvLinks *links,
                GkvMembers *members,
                gboolean (*is_confined) (const char *address),
                const GkvClocksListener *listener,
                gpointer data)
{
  GkvClocks *self = g_new0 (GkvClocks, 1);

  self->runtime = runtime;
  self->links = links;
  self->members = members;
  self->is_confined = is_confined;
  self->listener = *listener;
  self->data = data;
  self->ahead = runtime->now.wall - runtime->now.boot;
  self->judge_at_ms = G_MAXINT64;
  self->next_told = G_MAXUINT;
  /* What was written here already may have been written by a clock that was set back since. */
  self->waits = TRUE;
  return self;
}

void
gkv_clocks_free (GkvClocks *self)
{
  g_free (self);
}

/* This node has written it, or an earlier run of it. */
static gboolean
is_own (GkvClocks *self, const GkvRecord *record)
{
  return strcmp (gkv_record_get_origin (record), self->runtime->id) == 0;
}

/* The others' clocks */

static int
compare (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return x < y ? -1 : x > y;
}

/* Without the port: those on one machine have one clock. Where all are on this one, and yet have clocks that differ,
 * each counts. */
static gsize
get_host_len (GkvClocks *self, const char *address)
{
  const char *colon = strrchr (address, ':');

  return colon != NULL && !(self->is_confined != NULL && self->is_confined (address)) ? (gsize) (colon - address)
                                                                                      : strlen (address);
}

/* Those of live members that have said it over their own links, one a host. */
static GArray *
gather (GkvClocks *self)
{
  g_autoptr (GHashTable) hosts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GArray *clocks = g_array_new (FALSE, FALSE, sizeof (gint64));
  guint n = gkv_members_get_n (self->members);
  guint first = n > 0 ? gkv_runtime_random (self->runtime, n) : 0;

  for (guint i = 0; i < n && clocks->len < MAX_CLOCKS; i++)
    {
      const GkvMember *member = gkv_members_get_nth (self->members, (first + i) % n);
      gint64 clock = gkv_standing_peek (member)->clock;

      gkv_runtime_breathe (self->runtime, GKV_COST_MEMBER);
      if (clock == 0 || !gkv_member_is_live (member) || member->link == NULL)
        continue;

      if (g_hash_table_add (hosts, g_strndup (member->link->address, get_host_len (self, member->link->address))))
        g_array_append_val (clocks, clock);
    }

  return clocks;
}

static void
look (GkvClocks *self)
{
  g_autoptr (GArray) clocks = NULL;

  if (self->looked_at != 0 && self->runtime->now.mono - self->looked_at < LOOK_PERIOD)
    return;

  clocks = gather (self);
  self->looked_at = MAX (self->runtime->now.mono, 1);
  self->n_clocks = clocks->len;
  self->nearest = G_MAXINT64;
  for (guint i = 0; i < clocks->len; i++)
    self->nearest = MIN (self->nearest, ABS (g_array_index (clocks, gint64, i) - self->ahead));

  g_array_append_val (clocks, self->ahead);
  g_array_sort (clocks, compare);
  self->median = g_array_index (clocks, gint64, clocks->len / 2);
}

/* It is before this was written. */
static gboolean
is_early (GkvClocks *self)
{
  return self->runtime->now.wall / 1000 < GKV_CLOCK_EARLIEST_MS;
}

gboolean
gkv_clocks_is_doubtful (GkvClocks *self)
{
  if (is_early (self))
    return TRUE;

  look (self);
  if (self->n_clocks == 0)
    return FALSE;

  return (self->n_clocks < MAJORITY ? self->nearest : ABS (self->ahead - self->median)) >
         GKV_CLOCK_DRIFT_BOUND_MS * GKV_MS;
}

/* Whether it was reported that the two are far from each other, and they aren't any more. */
static gboolean
agrees_again (GkvClocks *self, GkvStanding *standing)
{
  gboolean was_reported = standing->clock_reported;

  if (standing->clock == 0 || ABS (standing->clock - self->ahead) > GKV_CLOCK_DRIFT_BOUND_MS * GKV_MS)
    return FALSE;

  standing->clock_reported = standing->clock_objects = FALSE;
  return was_reported;
}

void
gkv_clocks_note_peer (GkvClocks *self, GkvLink *link, guint64 wall_s)
{
  gint64 wall = (gint64) MIN (wall_s, G_MAXINT64 / 2 / GKV_SECOND) * GKV_SECOND;
  GkvStanding *standing;

  if (wall == 0 || !gkv_link_is_current (link))
    return;

  standing = gkv_standing_of (link->member);
  standing->clock = wall - self->runtime->now.boot;
  if (self->n_clocks < MAJORITY)
    self->looked_at = 0;

  if (agrees_again (self, standing))
    gkv_runtime_report (self->runtime, link->member->profile->id, GKV_ERROR_CLOCK,
                        "The clocks of \"%s\" and of this machine agree again", link->member->profile->id);
}

/* Reporting */

static char *
describe_time (gint64 time)
{
  gint64 minutes = (ABS (time) + 30 * GKV_SECOND) / (60 * GKV_SECOND);

  if (minutes >= 48 * 60)
    return g_strdup_printf ("%" G_GINT64_FORMAT " days", (minutes + 12 * 60) / (24 * 60));

  return minutes >= 120 ? g_strdup_printf ("%" G_GINT64_FORMAT " hours", (minutes + 30) / 60)
                        : g_strdup_printf ("%" G_GINT64_FORMAT " minutes", minutes);
}

/* Whose clock it is, of this one and that of @other (nullable), which is @theirs, as far as it can be told: of two that
 * differ it is the one that is further from the others'. */
static char *
describe_wrong (GkvClocks *self, const GkvMember *other, gint64 theirs)
{
  gint64 my_error, their_error;
  g_autofree char *by = NULL;

  look (self);
  my_error = self->ahead - self->median;
  their_error = theirs - self->median;
  if (self->n_clocks + 1 < MAJORITY || other == NULL || ABS (ABS (my_error) - ABS (their_error)) < LEAST_ERROR)
    return g_strdup ("check the clocks of both machines");

  if (ABS (my_error) > ABS (their_error))
    {
      by = describe_time (my_error);
      return g_strdup_printf ("it is this clock that is wrong, by %s; set it", by);
    }

  by = describe_time (their_error);
  return g_strdup_printf ("it is the clock of \"%s\" that is wrong, by %s; set it", other->profile->id, by);
}

/* To whom @writer is told what concerns it: the nearest that is known. */
static void
send_on (GkvClocks *self, const GkvMember *writer, guint64 minutes, guint64 place, guint8 hops)
{
  const GkvMember *next = gkv_member_is_direct (writer) ? writer : gkv_member_get_via (writer);
  GkvLink *link = next != NULL ? gkv_member_open_link (next, self->links) : NULL;
  GByteArray *body;

  if (link == NULL || hops == 0 || !gkv_links_spend (self->links, 16))
    return;

  body = gkv_links_begin_message (self->links);
  gkv_put_varint (body, minutes);
  gkv_put_string (body, writer->profile->id);
  gkv_put_u64 (body, place);
  gkv_put_u8 (body, hops - 1);
  gkv_links_send (self->links, link, GKV_MESSAGE_CLOCK);
}

/* Its writer is to know, not who has passed it on. What tells it may get lost. */
static void
tell_writer (GkvClocks *self, GkvMember *writer, gint64 ahead)
{
  GkvStanding *standing = gkv_standing_of (writer);

  if (standing->clock_told_at != 0 && self->runtime->now.mono - standing->clock_told_at < TELL_PERIOD)
    return;

  standing->clock_told_at = MAX (self->runtime->now.mono, 1);
  send_on (self, writer, (ahead + 30 * GKV_SECOND) / (60 * GKV_SECOND), self->runtime->place, MAX_HOPS);
}

void
gkv_clocks_report (GkvClocks *self, GkvLink *from, const GkvRecord *record)
{
  const char *origin = gkv_record_get_origin (record);
  gint64 time = gkv_record_get_time_ms (record) * GKV_MS;
  gint64 ahead = time - self->runtime->now.wall;
  GkvMember *writer = gkv_members_lookup (self->members, origin);
  GkvMember *about = writer != NULL ? writer : from->member;
  g_autofree char *by = NULL;
  g_autofree char *whose = NULL;

  /* An earlier run of this node has written it, and this one corrects it when it can. */
  if (is_own (self, record))
    {
      self->waits = TRUE;
      return;
    }

  if (writer != NULL)
    tell_writer (self, writer, ahead);
  if (about == NULL || gkv_standing_peek (about)->clock_reported)
    return;

  gkv_standing_of (about)->clock_reported = TRUE;
  by = describe_time (ahead);
  /* That it is ahead may not have been said yet. */
  whose = describe_wrong (self, writer, MAX (gkv_standing_peek (about)->clock, time - self->runtime->now.boot));
  gkv_runtime_report (self->runtime, about->profile->address, GKV_ERROR_CLOCK,
                      "A record of key \"%s\", written by \"%s\", came from %s with a time %s ahead of this clock; %s",
                      gkv_record_get_key (record), origin, from->address, by, whose);
}

void
gkv_clocks_handle (GkvClocks *self, GkvLink *link, GkvReader *reader)
{
  guint64 minutes = gkv_reader_varint (reader);
  g_autofree char *origin = gkv_reader_string (reader, GKV_WIRE_MAX_ID);
  guint64 place = gkv_reader_u64 (reader);
  guint8 hops = gkv_reader_u8 (reader);
  g_autofree char *by = describe_time ((gint64) MIN (minutes, G_MAXUINT32) * 60 * GKV_SECOND);
  g_autofree char *whose = NULL;
  GkvStanding *standing;
  GkvMember *member;

  if (reader->failed || !gkv_link_is_live (link))
    return;

  if (strcmp (origin, self->runtime->id) != 0)
    {
      member = gkv_members_lookup (self->members, origin);
      if (member != NULL)
        send_on (self, member, minutes, place, MIN (hops, MAX_HOPS));
      return;
    }

  member = gkv_members_find_live (self->members, place);
  if (member == NULL)
    return;

  /* A record that is less far ahead is most often held, though not shown. */
  if (minutes > GKV_CLOCK_QUARANTINE_BOUND_MS / 60000)
    self->listener.refused (member, self->data);
  self->was_told = TRUE;
  standing = gkv_standing_of (member);
  if (standing->clock_objects)
    return;

  standing->clock_objects = TRUE;
  whose = describe_wrong (self, member, standing->clock);
  gkv_runtime_report (self->runtime, member->profile->id, GKV_ERROR_CLOCK,
                      "\"%s\" says that what this node has written has a time %s ahead of its clock; %s",
                      member->profile->id, by, whose);
}

/* What is refused */

void
gkv_clocks_note_refused (GkvClocks *self, gint64 time_ms, gboolean for_room)
{
  gint64 due_ms = time_ms - GKV_CLOCK_DRIFT_BOUND_MS;

  if (for_room)
    due_ms = MIN (due_ms, self->runtime->now.wall / GKV_MS + ROOM_PERIOD_MS);
  self->judge_at_ms = MIN (self->judge_at_ms, due_ms);
}

static void
judge_anew (GkvClocks *self)
{
  self->judge_at_ms = G_MAXINT64;
  self->listener.judge_anew (self->data);
}

/* Steps of the own clock */

gboolean
gkv_clocks_may_correct (GkvClocks *self, const GkvRecord *record)
{
  return is_own (self, record) && gkv_record_get_time_ms (record) > self->runtime->now.wall / 1000 + LEAST_AHEAD_MS &&
         !gkv_clocks_is_doubtful (self);
}

static gint64
round_ms (gint64 time_ms)
{
  return MAX (time_ms / GRAIN_MS * GRAIN_MS, 0);
}

gint64
gkv_clocks_get_time_ms (GkvClocks *self)
{
  return round_ms (self->runtime->now.wall / 1000);
}

/* A clock that was set back to where others say that it is wrong may have been right before: then nothing lies ahead
 * but by this clock. This node corrects its own records all the same, as the others may be the wrong ones, unless the
 * clock is wrong beyond doubt; with those of others it waits until it agrees with the others. */
static void
begin_sweep (GkvClocks *self)
{
  self->all = !gkv_clocks_is_doubtful (self);
  self->waits = !self->all;
  self->sweeping = !is_early (self);
  self->from = 0;
}

static void
begin_step (GkvClocks *self, gint64 step)
{
  self->looked_at = 0;
  self->back_ms = MAX (self->back_ms - step / GKV_MS, 0);
  self->own_back_ms = MAX (self->own_back_ms - step / GKV_MS, 0);
  /* Where the one before isn't through, some are corrected by too much: that does no harm. */
  if (step < 0)
    begin_sweep (self);

  self->next_told = 0;
  self->n_agree = 0;
  judge_anew (self);
}

typedef struct
{
  GkvClocks *clocks;
  GPtrArray *ahead;
  guint n;
  gboolean more;
} Sweep;

static gboolean
sweep_one (GkvRecord *record, gpointer data)
{
  Sweep *sweep = data;
  GkvClocks *self = sweep->clocks;
  GkvRecord *valid = gkv_store_get_valid (self->runtime->store, record);

  if (sweep->n++ >= SLICE && record->hash != self->from)
    {
      self->from = record->hash;
      sweep->more = TRUE;
      return FALSE;
    }

  self->from = record->hash;
  if (valid != record && self->all && is_own (self, record))
    g_ptr_array_add (sweep->ahead, gkv_record_ref (record));
  else if (valid != NULL && gkv_record_get_time_ms (valid) > self->runtime->now.wall / 1000 &&
           (is_own (self, valid) || (self->all && self->back_ms > 0)))
    g_ptr_array_add (sweep->ahead, gkv_record_ref (valid));
  return TRUE;
}

/* When a record that lies ahead was written in truth. That of a run before this one can't be known. */
static gint64
get_truth (GkvClocks *self, const GkvRecord *record)
{
  gint64 back_ms = is_own (self, record) ? self->own_back_ms : self->back_ms;

  if (back_ms == 0 || (record->flags & GKV_RECORD_QUARANTINED))
    return gkv_clocks_get_time_ms (self);

  return round_ms (gkv_record_get_time_ms (record) - back_ms);
}

static void
end_sweep (GkvClocks *self)
{
  if (self->all && self->back_ms > 0 && (self->was_told || self->n_corrected > 0))
    {
      g_autofree char *by = describe_time (MAX (self->back_ms, self->own_back_ms) * GKV_MS);

      gkv_runtime_report (self->runtime, NULL, GKV_ERROR_CLOCK,
                          "The clock of this machine was set back by %s: the times of %u records that were written "
                          "before that are corrected, and other nodes show them",
                          by, self->n_corrected);
    }

  self->own_back_ms = 0;
  if (self->all)
    {
      self->was_told = FALSE;
      self->n_corrected = 0;
      self->back_ms = 0;
    }
}

static void
sweep (GkvClocks *self)
{
  for (guint n = 0; n < MAX_SWEPT && self->sweeping; n += SLICE)
    {
      g_autoptr (GPtrArray) ahead = g_ptr_array_new_with_free_func ((GDestroyNotify) gkv_record_unref);
      Sweep sweep = { .clocks = self, .ahead = ahead };

      gkv_store_foreach (self->runtime->store, GKV_RANGE_EVERYTHING, self->from, sweep_one, &sweep);
      for (guint i = 0; i < ahead->len; i++)
        {
          GkvRecord *record = g_ptr_array_index (ahead, i);

          self->listener.lies_ahead (record, get_truth (self, record), self->data);
          self->n_corrected++;
        }
      self->sweeping = sweep.more;
      gkv_runtime_breathe (self->runtime, sweep.n * GKV_COST_MEMBER + ahead->len * 4 * GKV_COST_RECORD);
    }

  if (self->sweeping)
    gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
  else
    end_sweep (self);
}

/* The others judge by what this clock says, too, and what they say may not be known any more, where this machine was
 * paused. */
static void
tell (GkvClocks *self)
{
  guint end = MIN (gkv_members_get_n (self->members), self->next_told + MAX_TOLD);

  for (; self->next_told < end; self->next_told++)
    {
      GkvMember *member = gkv_members_get_nth (self->members, self->next_told);

      if (gkv_standing_exists (member))
        self->n_agree += agrees_again (self, gkv_standing_of (member));
      if (gkv_member_is_live (member) && gkv_member_has_link (member))
        gkv_links_send_ident (self->links, member->link, GKV_IDENT_FLAG_ANSWER);
    }

  if (end < gkv_members_get_n (self->members))
    {
      gkv_runtime_wake_at (self->runtime, self->runtime->now.mono);
      return;
    }

  self->next_told = G_MAXUINT;
  if (self->n_agree > 0)
    gkv_runtime_report (self->runtime, self->runtime->id, GKV_ERROR_CLOCK,
                        "The clock of this machine was set, and agrees again with those of %u nodes", self->n_agree);
}

void
gkv_clocks_tick (GkvClocks *self)
{
  gint64 ahead = self->runtime->now.wall - self->runtime->now.boot;
  gint64 step = ahead - self->ahead;

  self->ahead = ahead;
  if (ABS (step) >= STEP)
    begin_step (self, step);
  if (self->runtime->now.wall / GKV_MS >= self->judge_at_ms)
    judge_anew (self);
  if (self->waits && !self->sweeping && !gkv_clocks_is_doubtful (self))
    begin_sweep (self);
  if (self->sweeping)
    sweep (self);
  if (self->next_told != G_MAXUINT)
    tell (self);
}
