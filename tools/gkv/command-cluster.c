/* gkv peers, status, flush: the cluster as the command's node sees it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "command.h"

#include "output.h"
#include "value.h"

#include <stdio.h>

/* Members become known one after the other. The list is taken as whole once none has come for so long. */
#define SETTLED_MS         100
#define SETTLED_AT_LAST_MS 1000

static void
wait_for_members (Session *session)
{
  GListModel *peers = gkv_node_get_peers (session_get_node (session));

  for (guint waited = 0; waited < SETTLED_AT_LAST_MS; waited += SETTLED_MS)
    {
      guint before = g_list_model_get_n_items (peers);

      session_run_for (session, SETTLED_MS);
      if (g_list_model_get_n_items (peers) == before)
        return;
    }
}

/* peers */

static const char *
get_state_nick (GkvPeer *peer)
{
  g_autoptr (GEnumClass) states = g_type_class_ref (GKV_TYPE_PEER_STATE);

  return g_enum_get_value (states, gkv_peer_get_state (peer))->value_nick;
}

static void
print_peer (GkvPeer *peer)
{
  g_autofree char *node_id = value_escape (gkv_peer_get_node_id (peer));
  const char *address = gkv_peer_get_address (peer);
  gint64 time = gkv_peer_get_round_trip_time (peer);
  g_autofree char *milliseconds = time >= 0 ? g_strdup_printf ("%.2f ms", time / 1e3) : g_strdup ("-");

  printf ("%-18s %-24s %-8s %s\n", node_id, address != NULL ? address : "-", get_state_nick (peer), milliseconds);
}

static void
print_peer_json (GkvPeer *peer)
{
  g_auto (GVariantBuilder) fields = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  const char *address = gkv_peer_get_address (peer);
  gint64 time = gkv_peer_get_round_trip_time (peer);

  g_variant_builder_add_parsed (&fields, "{'node-id', <%s>}", gkv_peer_get_node_id (peer));
  g_variant_builder_add_parsed (&fields, "{'state', <%s>}", get_state_nick (peer));
  if (address != NULL)
    g_variant_builder_add_parsed (&fields, "{'address', <%s>}", address);
  if (time >= 0)
    g_variant_builder_add_parsed (&fields, "{'round-trip-seconds', <%d>}", time / 1e6);
  output_json (g_variant_builder_end (&fields));
}

static ExitCode
run_peers (Session *session, char **arguments)
{
  GListModel *peers = gkv_node_get_peers (session_get_node (session));
  gboolean json = session_get_options (session)->json;

  wait_for_members (session);
  for (guint i = 0; i < g_list_model_get_n_items (peers); i++)
    {
      g_autoptr (GkvPeer) peer = g_list_model_get_item (peers, i);

      if (json)
        print_peer_json (peer);
      else
        print_peer (peer);
    }
  return EXIT_DONE;
}

const Command command_peers = {
  .name = "peers",
  .parameters = "",
  .summary = "List the nodes that live",
  .description =
      "A line has the id, the address, the state, and the round-trip time where the command has met the node\n"
      "itself. The command's own node is not listed.\n\n",
  .min_arguments = 0,
  .max_arguments = 0,
  .joins = TRUE,
  .run = run_peers,
};

/* status */

typedef struct
{
  const char *cluster;
  guint n_peers;
  gboolean synced;
  GPtrArray *wrong;
} Status;

static void
print_status (GkvNode *node, const Status *status)
{
  printf ("cluster  %s\n", status->cluster);
  printf ("node     %s at %s\n", gkv_node_get_node_id (node), gkv_node_get_local_address (node));
  printf ("peers    %u\n", status->n_peers);
  printf ("keys     %u\n", gkv_node_get_n_keys (node));
  printf ("synced   %s\n", status->synced ? "yes" : "no");
  for (guint i = 0; i < status->wrong->len; i++)
    {
      g_autofree char *text = value_escape (status->wrong->pdata[i]);

      printf ("wrong    %s\n", text);
    }
}

static void
print_status_json (GkvNode *node, const Status *status)
{
  GVariant *wrong = g_variant_new_strv ((const char *const *) status->wrong->pdata, status->wrong->len);

  output_json (g_variant_new_parsed ("{'cluster': <%s>, 'node-id': <%s>, 'address': <%s>, 'peers': <%u>, 'keys': <%u>,"
                                     " 'synced': <%b>, 'wrong': %v}",
                                     status->cluster, gkv_node_get_node_id (node), gkv_node_get_local_address (node),
                                     status->n_peers, gkv_node_get_n_keys (node), status->synced, wrong));
}

static ExitCode
run_status (Session *session, char **arguments)
{
  GkvNode *node = session_get_node (session);
  const char *cluster = gkv_node_get_cluster (node);
  Status status = { .cluster = cluster != NULL ? cluster : "default", .wrong = session_get_reports (session) };
  g_autofree char *why = NULL;
  ExitCode code;

  session_show_reports (session, FALSE);
  code = session_join (session, &why);
  if (code == EXIT_DONE)
    wait_for_members (session);
  session_show_reports (session, TRUE);

  if (why != NULL)
    g_ptr_array_add (status.wrong, g_strdup (why));
  status.n_peers = g_list_model_get_n_items (gkv_node_get_peers (node));
  status.synced = code == EXIT_DONE;
  if (session_get_options (session)->json)
    print_status_json (node, &status);
  else
    print_status (node, &status);
  return code == EXIT_DONE && status.wrong->len > 0 ? EXIT_FAILED : code;
}

const Command command_status = {
  .name = "status",
  .parameters = "",
  .summary = "Say in words whether all is well, and what is not",
  .description =
      "It fails if something is wrong: nobody is found, the seed belongs to another cluster, a clock is off,\n"
      "an id is taken, there is no route.\n\n",
  .min_arguments = 0,
  .max_arguments = 0,
  .run = run_status,
};

/* flush */

static struct
{
  int n_peers;
} flush_values;

static ExitCode
run_flush (Session *session, char **arguments)
{
  ExitCode code;

  if (flush_values.n_peers < 0)
    {
      session_complain ("A number of peers is 0 or more");
      return EXIT_USAGE;
    }
  code = session_confirm (session, flush_values.n_peers);
  if (code == EXIT_DONE && session_get_options (session)->json)
    output_json (g_variant_new_parsed ("{'confirmed': <true>}"));
  return code;
}

const Command command_flush = {
  .name = "flush",
  .parameters = "",
  .summary = "Wait until all nodes confirm that they have the map's writes",
  .description =
      "In \"gkv shell\" it waits for what was written there. By itself it shows that the nodes can be reached.\n"
      "\n"
      "Example:\n"
      "  gkv flush --peers 2       two are enough\n\n",
  .min_arguments = 0,
  .max_arguments = 0,
  .entries =
      (const GOptionEntry[]){
          { "peers", 'n', 0, G_OPTION_ARG_INT, &flush_values.n_peers, "How many; 0, the default: all that live", "N" },
          G_OPTION_ENTRY_NULL,
      },
  .values = &flush_values,
  .values_size = sizeof flush_values,
  .joins = TRUE,
  .run = run_flush,
};
