#!/usr/bin/python3
"""Everything public is called from Python: a name that the GIR has and the table here has not is a failure.

Usage: test-typelib.py GIR-FILE

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import sys
import xml.etree.ElementTree as ET

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, GObject, Gkv  # noqa: E402

CORE = "{http://www.gtk.org/introspection/core/1.0}"
C = "{http://www.gtk.org/introspection/c/1.0}"


class Transport(GObject.Object, Gkv.Transport):
    """A transport that takes everything and brings nothing."""

    def do_open(self, address):
        return True

    def do_close(self):
        pass

    def do_get_local_address(self):
        return "127.0.0.1:1"

    def do_send(self, address, datagram):
        return True


class Discovery(GObject.Object, Gkv.Discovery):
    """A discovery that finds nothing."""

    def do_start(self, cluster, node_id, address):
        return True

    def do_stop(self):
        pass


def finish_async(begin, finish):
    """Runs an asynchronous call to its end."""
    results = []
    begin(lambda source, result: results.append(result))
    while not results:
        GLib.MainContext.default().iteration(True)
    return finish(results[0])


def heard(instance, signal, emit):
    """What the signal brought."""
    got = []
    instance.connect(signal, lambda _instance, *args: got.append(args))
    emit()
    assert len(got) == 1, (signal, got)
    return got[0]


node = Gkv.Node(bind_address="127.0.0.1:0")
node.start(None)
peer_node = Gkv.Node(bind_address="127.0.0.1:0", seeds=[node.get_local_address()])
peer_node.start(None)
while len(node.get_peers()) == 0:
    GLib.MainContext.default().iteration(True)
peer = node.get_peers()[0]
node.set_value("entry", GLib.Variant("s", "x"), None)
entry = node.get_entry("entry")
codec = Gkv.Codec.new_for_name("variant")
transport = Transport()
discovery = Discovery()
fresh = Gkv.Node()
closing = Gkv.Node(bind_address="127.0.0.1:0")
closing.start(None)
error = GLib.Error.new_literal(Gkv.Error.quark(), "broken", Gkv.Error.FAILED)


def is_true(value):
    assert value is True, value


def equals(expected):
    def check(value):
        assert value == expected, (value, expected)
    return check


def anything(_value):
    pass


def not_none(value):
    assert value is not None


# What is called, and what it has to give.
CALLS = {
    "gkv_get_major_version": (lambda: Gkv.get_major_version(), equals(Gkv.MAJOR_VERSION)),
    "gkv_get_minor_version": (lambda: Gkv.get_minor_version(), equals(Gkv.MINOR_VERSION)),
    "gkv_get_micro_version": (lambda: Gkv.get_micro_version(), equals(Gkv.MICRO_VERSION)),
    "gkv_error_quark": (lambda: GLib.quark_to_string(Gkv.Error.quark()), equals("gkv-error-quark")),
    "gkv_codec_new_for_name": (lambda: Gkv.Codec.new_for_name("string").get_name(), equals("string")),
    "gkv_codec_get_name": (lambda: codec.get_name(), equals("variant")),
    "gkv_codec_encode": (lambda: codec.encode(GLib.Variant("y", 7)).get_size(), equals(3)),
    "gkv_codec_decode": (lambda: codec.decode(codec.encode(GLib.Variant("i", 7))).unpack(), equals(7)),
    "gkv_codec_is_thread_safe": (lambda: codec.is_thread_safe(), is_true),
    "gkv_codec_is_lossless": (lambda: codec.is_lossless(), is_true),
    "gkv_transport_new_for_name": (lambda: Gkv.Transport.new_for_name("udp"), not_none),
    "gkv_codec_list_names": (lambda: "variant" in Gkv.Codec.list_names(), is_true),
    "gkv_transport_list_names": (lambda: "udp" in Gkv.Transport.list_names(), is_true),
    "gkv_discovery_list_names": (lambda: type(Gkv.Discovery.list_names()), equals(list)),
    "gkv_transport_open_async": (
        lambda: finish_async(lambda done: transport.open_async("127.0.0.1:0", None, done), transport.open_finish),
        is_true),
    "gkv_transport_open_finish": (lambda: transport.get_local_address(), equals("127.0.0.1:1")),
    "gkv_transport_opened": (lambda: transport.opened(), anything),
    "gkv_transport_open_failed": (lambda: transport.open_failed(error), anything),
    "gkv_transport_normalize": (lambda: transport.normalize("x", Gkv.AddressUse.PEER), equals("x")),
    "gkv_transport_resolve_async": (
        lambda: finish_async(lambda done: transport.resolve_async("x", None, done), transport.resolve_finish),
        equals(["x"])),
    "gkv_transport_resolve_finish": (lambda: transport.get_local_address(), equals("127.0.0.1:1")),
    "gkv_transport_resolved": (lambda: transport.resolved(77, ["x"]), anything),
    "gkv_transport_resolve_failed": (lambda: transport.resolve_failed(77, error), anything),
    "gkv_transport_is_thread_movable": (lambda: transport.is_thread_movable(), equals(False)),
    "gkv_transport_emit_drained": (lambda: heard(transport, "drained", transport.emit_drained), equals(())),
    "gkv_discovery_is_thread_movable": (lambda: discovery.is_thread_movable(), equals(False)),
    "gkv_transport_open": (lambda: transport.open("127.0.0.1:0"), is_true),
    "gkv_transport_close": (lambda: transport.close(), anything),
    "gkv_transport_get_local_address": (lambda: transport.get_local_address(), equals("127.0.0.1:1")),
    "gkv_transport_get_max_datagram_size": (lambda: transport.get_max_datagram_size(), equals(1200)),
    "gkv_transport_send": (lambda: transport.send("127.0.0.1:2", GLib.Bytes.new(b"x")), is_true),
    "gkv_transport_flush": (lambda: transport.flush(), is_true),
    "gkv_transport_emit_received": (
        lambda: heard(transport, "received", lambda: transport.emit_received("a:1", GLib.Bytes.new(b"x")))[0],
        equals("a:1")),
    "gkv_transport_emit_failed": (
        lambda: heard(transport, "failed", lambda: transport.emit_failed(error))[0].message, equals("broken")),
    "gkv_discovery_new_for_name": (lambda: Gkv.Discovery.new_for_name("mdns"), not_none),
    "gkv_discovery_start": (lambda: discovery.start("default", "id", "127.0.0.1:1"), is_true),
    "gkv_discovery_stop": (lambda: discovery.stop(), anything),
    "gkv_discovery_emit_found": (
        lambda: heard(discovery, "found", lambda: discovery.emit_found("id", "a:1")), equals(("id", "a:1"))),
    "gkv_discovery_emit_lost": (
        lambda: heard(discovery, "lost", lambda: discovery.emit_lost("id", "a:1")), equals(("id", "a:1"))),
    "gkv_discovery_emit_failed": (
        lambda: heard(discovery, "failed", lambda: discovery.emit_failed(error))[0].message, equals("broken")),
    "gkv_entry_get_key": (lambda: entry.get_key(), equals("entry")),
    "gkv_entry_get_value": (lambda: entry.get_value().unpack(), equals("x")),
    "gkv_entry_get_codec": (lambda: entry.get_codec(), equals("variant")),
    "gkv_entry_get_text": (lambda: entry.get_text(), equals("'x'")),
    "gkv_entry_get_origin": (lambda: entry.get_origin(), equals(node.get_node_id())),
    "gkv_entry_get_modified": (lambda: entry.get_modified().get_year() >= 2020, is_true),
    "gkv_entry_get_expires": (lambda: entry.get_expires(), equals(None)),
    "gkv_entry_get_ephemeral": (lambda: entry.get_ephemeral(), equals(False)),
    "gkv_peer_get_node_id": (lambda: peer.get_node_id(), equals(peer_node.get_node_id())),
    "gkv_peer_get_address": (lambda: peer.get_address(), equals(peer_node.get_local_address())),
    "gkv_peer_get_state": (lambda: peer.get_state(), equals(Gkv.PeerState.ALIVE)),
    "gkv_peer_get_round_trip_time": (lambda: peer.get_round_trip_time() >= -1, is_true),
    "gkv_peer_get_last_seen": (lambda: peer.get_last_seen(), not_none),
    "gkv_node_new": (lambda: Gkv.Node.new(), not_none),
    "gkv_node_start": (lambda: Gkv.Node().start(None), is_true),
    "gkv_node_start_async": (
        lambda: finish_async(lambda done: fresh.start_async(None, done), fresh.start_finish), is_true),
    "gkv_node_start_finish": (lambda: fresh.get_synced(), is_true),
    "gkv_node_close": (lambda: Gkv.Node().close(None), is_true),
    "gkv_node_close_async": (
        lambda: finish_async(lambda done: closing.close_async(None, done), closing.close_finish), is_true),
    "gkv_node_close_finish": (lambda: closing.get_local_address(), equals(None)),
    "gkv_node_set_network_thread": (lambda: Gkv.Node().set_network_thread(False), anything),
    "gkv_node_set_remembered_removals": (lambda: Gkv.Node().set_remembered_removals(10), anything),
    "gkv_node_get_remembered_removals": (lambda: Gkv.Node(remembered_removals=10).get_remembered_removals(), equals(10)),
    "gkv_node_get_network_thread": (lambda: Gkv.Node(network_thread=False).get_network_thread(), equals(False)),
    "gkv_node_get_node_id": (lambda: len(node.get_node_id()), equals(16)),
    "gkv_node_get_cluster": (lambda: (node.get_cluster(), Gkv.Node(cluster="c").get_cluster()), equals((None, "c"))),
    "gkv_node_set_bind_address": (lambda: Gkv.Node().set_bind_address("127.0.0.1:0"), anything),
    "gkv_node_get_bind_address": (lambda: node.get_bind_address(), equals("127.0.0.1:0")),
    "gkv_node_set_advertise_address": (lambda: Gkv.Node().set_advertise_address("127.0.0.1:5"), anything),
    "gkv_node_get_advertise_address": (lambda: Gkv.Node(advertise_address="h:5").get_advertise_address(), equals("h:5")),
    "gkv_node_get_local_address": (lambda: node.get_local_address().startswith("127.0.0.1:"), is_true),
    "gkv_node_set_seeds": (lambda: Gkv.Node().set_seeds(["127.0.0.1:5"]), anything),
    "gkv_node_get_seeds": (lambda: peer_node.get_seeds(), equals([node.get_local_address()])),
    "gkv_node_add_seed": (lambda: node.add_seed(peer_node.get_local_address()), is_true),
    "gkv_node_set_gossip_interval": (lambda: node.set_gossip_interval(500), anything),
    "gkv_node_get_gossip_interval": (lambda: peer_node.get_gossip_interval(), equals(2000)),
    "gkv_node_set_codec": (lambda: Gkv.Node().set_codec(codec), anything),
    "gkv_node_get_codec": (lambda: Gkv.Node(codec=codec).get_codec(), equals(codec)),
    "gkv_node_set_transport": (lambda: Gkv.Node().set_transport(transport), anything),
    "gkv_node_get_transport": (lambda: Gkv.Node(transport=transport).get_transport(), equals(transport)),
    "gkv_node_set_discovery": (lambda: Gkv.Node().set_discovery(discovery), anything),
    "gkv_node_get_discovery": (lambda: Gkv.Node(discovery=discovery).get_discovery(), equals(discovery)),
    "gkv_node_get_peers": (lambda: len(node.get_peers()), equals(1)),
    "gkv_node_get_synced": (lambda: fresh.get_synced(), is_true),
    "gkv_node_set_value": (lambda: node.set_value("v", GLib.Variant("i", 1), None), is_true),
    "gkv_node_get_value": (lambda: node.get_value("v", None).unpack(), equals(1)),
    "gkv_node_set_value_full": (
        lambda: node.set_value_full("t", GLib.Variant("i", 1), Gkv.SetFlags.EPHEMERAL, 10**8, None), is_true),
    "gkv_node_set_values": (lambda: node.set_values(GLib.Variant("a{smv}", {"many": GLib.Variant("i", 1)}), 0, 0, None), is_true),
    "gkv_node_compare_and_set": (
        lambda: node.compare_and_set("t", GLib.Variant("i", 1), GLib.Variant("i", 2), 0, 0, None), is_true),
    "gkv_node_watch": (lambda: node.unwatch(node.watch_full("w", 0, lambda *words: None)), anything),
    "gkv_node_unwatch": (lambda: node.unwatch(node.watch_full("w", 0, lambda *words: None)), anything),
    "gkv_node_lookup": (lambda: (node.lookup("v").unpack(), node.lookup("missing")), equals((1, None))),
    "gkv_node_contains": (lambda: node.contains("v"), is_true),
    "gkv_node_list_keys": (lambda: node.list_keys("entr"), equals(["entry"])),
    "gkv_node_get_n_keys": (lambda: node.get_n_keys() >= 2, is_true),
    "gkv_node_get_entry": (lambda: (node.get_entry("v").get_key(), node.get_entry("missing")), equals(("v", None))),
    "gkv_node_list_entries": (lambda: len(node.list_entries("entr")), equals(1)),
    "gkv_node_set_string": (lambda: node.set_string("s", "x"), is_true),
    "gkv_node_get_string": (lambda: node.get_string("s", None), equals("x")),
    "gkv_node_set_boolean": (lambda: node.set_boolean("b", True), is_true),
    "gkv_node_get_boolean": (lambda: node.get_boolean("b", False), is_true),
    "gkv_node_set_int64": (lambda: node.set_int64("x", 2**62), is_true),
    "gkv_node_get_int64": (lambda: node.get_int64("x", 0), equals(2**62)),
    "gkv_node_set_double": (lambda: node.set_double("d", 1.5), is_true),
    "gkv_node_get_double": (lambda: node.get_double("d", 0.0), equals(1.5)),
    "gkv_node_set_bytes": (lambda: node.set_bytes("ay", GLib.Bytes.new(b"\0x")), is_true),
    "gkv_node_get_bytes": (lambda: node.get_bytes("ay", None).get_data(), equals(b"\0x")),
    "gkv_node_remove": (lambda: node.remove("v", None), is_true),
    "gkv_node_flush": (lambda: node.flush(1, 30000, None), is_true),
    "gkv_node_wait_synced": (lambda: node.wait_synced(30000, None), is_true),
    "gkv_node_flush_async": (
        lambda: finish_async(lambda done: node.flush_async(1, 30000, None, done), node.flush_finish), is_true),
    "gkv_node_flush_finish": (lambda: peer_node.contains("s"), is_true),
    "gkv_node_wait_synced_async": (
        lambda: finish_async(lambda done: node.wait_synced_async(30000, None, done), node.wait_synced_finish), is_true),
    "gkv_node_wait_synced_finish": (lambda: node.get_synced(), is_true),
    "gkv_node_get_stats": (lambda: node.get_stats().unpack()["n-keys"] > 0, is_true),
}


def list_public(gir):
    """The C names of all that a binding can call."""
    names = []
    for kind in ("function", "method", "constructor"):
        for element in ET.parse(gir).iter(CORE + kind):
            if element.get("introspectable") != "0":
                names.append(element.get(C + "identifier"))
    return names


def main():
    names = list_public(sys.argv[1])
    calls = list(CALLS) + sorted(set(names) - set(CALLS))
    failed = 0
    print("1..%d" % len(calls))
    for number, name in enumerate(calls, 1):
        problem = None
        if name not in names:
            problem = "isn't in the GIR"
        elif name not in CALLS:
            problem = "isn't called here"
        else:
            call, check = CALLS[name]
            try:
                check(call())
            except Exception as exception:  # every failure is one of the call
                problem = "%s: %s" % (type(exception).__name__, exception)
        failed += problem is not None
        print("%sok %d %s%s" % ("not " if problem else "", number, name, " " + problem if problem else ""), flush=True)
    node.close(None)
    peer_node.close(None)
    return 1 if failed else 0


sys.exit(main())
