/* The driver of Eclipse Cyclone DDS for the comparison with other systems; tests/bench/peers/README.md has the
 * protocol.
 *
 * Two topics, one for each direction; reliable, and of what isn't read yet the newest is kept, as a map does. All else
 * is as it comes, but that it speaks with this host alone, over loopback and without multicast.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "../../pair/pair.h"

#include "value.h"

#include <dds/dds.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ports follow from the number of the domain. */
#define N_DOMAINS 200

static const char config[] =
    "<General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast></General>"
    "<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address='localhost'/></Peers></Discovery>";

static dds_entity_t reader, writer;

static void
check (dds_return_t result)
{
  if (result < 0)
    g_error ("Cyclone DDS: %s", dds_strretcode (result));
}

/* In a thread of Cyclone's. */
static void
on_data (dds_entity_t entity, void *user_data)
{
  static DdsValue value;
  void *samples[] = { &value };
  dds_sample_info_t info;
  PairValue received;

  while (dds_take (entity, samples, &info, 1, 1) > 0)
    if (info.valid_data)
      {
        memcpy (&received, value.bytes, sizeof received);
        pair_receive (&received);
      }
}

static char *
dds_open (const char *peer)
{
  dds_domainid_t domain = peer != NULL ? (dds_domainid_t) atoi (peer) : (dds_domainid_t) (getpid () % N_DOMAINS);
  const char *own = peer != NULL ? "first" : "other", *other = peer != NULL ? "other" : "first";
  dds_listener_t *listener = dds_create_listener (NULL);
  dds_qos_t *qos = dds_create_qos ();
  dds_entity_t participant;

  dds_qset_reliability (qos, DDS_RELIABILITY_RELIABLE, DDS_SECS (10));
  dds_qset_history (qos, DDS_HISTORY_KEEP_LAST, 1);
  dds_lset_data_available (listener, on_data);

  check (dds_create_domain (domain, config));
  check (participant = dds_create_participant (domain, NULL, NULL));
  check (writer = dds_create_writer (participant, dds_create_topic (participant, &DdsValue_desc, own, NULL, NULL), qos,
                                     NULL));
  check (reader = dds_create_reader (participant, dds_create_topic (participant, &DdsValue_desc, other, NULL, NULL),
                                     qos, listener));
  dds_delete_qos (qos);
  dds_delete_listener (listener);

  return g_strdup_printf ("%u", domain);
}

static void
write_sample (const PairValue *value)
{
  DdsValue sample;

  memcpy (sample.bytes, value, sizeof sample.bytes);
  check (dds_write (writer, &sample));
}

static void
dds_run (int timer)
{
  struct pollfd fd = { .fd = timer, .events = POLLIN };

  while (!pair_is_stopped ())
    {
      if (poll (&fd, 1, pair_is_flooding () ? 0 : -1) > 0)
        pair_tick (timer);
      if (pair_is_flooding ())
        pair_flood ();
    }
}

static const PairLink link_dds = {
  .name = "dds",
  .open = dds_open,
  .write = write_sample,
  .run = dds_run,
};

int
main (int argc, char *argv[])
{
  static const PairLink *const links[] = { &link_dds, NULL };

  return pair_main (links, argc, argv);
}
