#!/usr/bin/python3
"""The library from Python: the override, errors, signals, and modules written as classes.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import gc
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, GObject, Gkv  # noqa: E402


def wait_until(condition, seconds=60):
    context = GLib.MainContext.default()
    end = GLib.get_monotonic_time() + seconds * 1000000
    GLib.timeout_add(20, lambda: GLib.get_monotonic_time() < end)
    while not condition():
        if GLib.get_monotonic_time() > end:
            raise AssertionError("waited in vain")
        context.iteration(True)


class Rot13(GObject.Object, Gkv.Codec):
    """A codec as an application would write it."""

    def do_get_name(self):
        return "rot13"

    def do_encode(self, value):
        if value.get_type_string() != "s":
            raise ValueError("only strings can be turned")
        return GLib.Bytes.new(self.turn(value.get_string()).encode())

    def do_decode(self, data):
        return GLib.Variant("s", self.turn(data.get_data().decode()))

    @staticmethod
    def turn(text):
        return "".join(chr((ord(c) - 97 + 13) % 26 + 97) if "a" <= c <= "z" else c for c in text)


class Nameless(GObject.Object, Gkv.Codec):
    """A codec that does nothing at all."""


class Hub(GObject.Object, Gkv.Transport):
    """A transport within this process."""

    open_ones = {}

    def do_open(self, bind_address):
        self.address = bind_address
        Hub.open_ones[bind_address] = self
        return True

    def do_close(self):
        Hub.open_ones.pop(getattr(self, "address", None), None)

    def do_get_local_address(self):
        return self.address

    def do_send(self, address, datagram):
        def deliver():
            if address in Hub.open_ones:
                Hub.open_ones[address].emit_received(self.address, datagram)
        GLib.idle_add(deliver)
        return True


class Notice(GObject.Object, Gkv.Discovery):
    """A discovery that knows one address."""

    known = None

    def do_start(self, cluster, node_id, address):
        GLib.idle_add(lambda: self.emit_found("somebody", Notice.known))
        return True

    def do_stop(self):
        pass


class Values(unittest.TestCase):
    def test_round_trips(self):
        node = Gkv.Node()
        for value in (True, False, 0, 5, -2**63, 2**63 - 1, 1.5, "", "ключ", b"", b"\0xy", [], [1, "a", [True]], {},
                      {"a": 1, "b": {"c": b"z"}}):
            node["key"] = value
            self.assertEqual(node["key"], value)
            self.assertIs(type(node["key"]), type(value))

    def test_variants_stay(self):
        node = Gkv.Node()
        node["key"] = GLib.Variant("(iu)", (1, 2))
        self.assertEqual(node.get_value("key").get_type_string(), "(iu)")
        self.assertEqual(node["key"], (1, 2))

    def test_refused(self):
        node = Gkv.Node()
        node["key"] = 1
        with self.assertRaises(OverflowError):
            node["key"] = 2**63
        with self.assertRaises(TypeError):
            node["key"] = {1: 2}
        with self.assertRaises(GLib.Error) as caught:
            node["key"] = None
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.INVALID_VALUE))
        self.assertEqual(node["key"], 1)

    def test_mapping(self):
        node = Gkv.Node()
        self.assertTrue(node)
        self.assertEqual(len(node), 0)
        node["b"] = 2
        node["a"] = 1
        self.assertIn("a", node)
        self.assertNotIn("c", node)
        self.assertEqual(list(node), ["a", "b"])
        self.assertEqual(list(node.keys()), ["a", "b"])
        self.assertEqual(list(node.values()), [1, 2])
        self.assertEqual(dict(node.items()), {"a": 1, "b": 2})
        self.assertEqual(node.get("c", 3), 3)
        self.assertIsNone(node.get("c"))
        del node["a"]
        with self.assertRaises(KeyError):
            node["a"]
        with self.assertRaises(KeyError):
            del node["a"]

    def test_errors(self):
        node = Gkv.Node()
        with self.assertRaises(GLib.Error) as caught:
            node.get_value("missing")
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.NOT_FOUND))
        with self.assertRaises(GLib.Error) as caught:
            node[""] = 1
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.INVALID_KEY))
        node.set_string("s", "text")
        with self.assertRaises(GLib.Error) as caught:
            node.get_int64("s")
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.WRONG_TYPE))
        node.close()
        with self.assertRaises(GLib.Error) as caught:
            node["a"] = 1
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.CLOSED))

    def test_signals(self):
        node = Gkv.Node()
        seen = []
        for key in ("a::b", "my_key", "/app/x y", "ключ"):
            node.connect("changed::" + key, lambda _node, k, v: seen.append((k, v.unpack() if v else None)))
            node[key] = 1
            del node[key]
            self.assertEqual(seen, [(key, 1), (key, None)])
            seen.clear()

    def test_lists(self):
        node = Gkv.Node()
        entries = node.list("app/")
        node["app/b"] = 2
        node["app/a"] = 1
        node["other"] = 3
        self.assertEqual([entry.get_key() for entry in entries], ["app/a", "app/b"])
        self.assertEqual(entries[0].get_origin(), node.get_node_id())
        del node["app/a"]
        self.assertEqual(len(entries), 1)

    def test_collected(self):
        node = Gkv.Node(bind_address="127.0.0.1:0")
        node.start()
        address = node.get_local_address()
        node.connect("changed", lambda *args: None)
        node = None
        gc.collect()
        again = Gkv.Node(bind_address=address)
        again.start()
        again.close()


class Modules(unittest.TestCase):
    def test_names(self):
        node = Gkv.Node(codec="string")
        self.assertEqual(node.get_codec().get_name(), "string")
        with self.assertRaises(GLib.Error) as caught:
            Gkv.Node(codec="nonsense")
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.MODULE))

    def test_codec(self):
        node = Gkv.Node(codec=Rot13())
        node["key"] = "hello"
        self.assertEqual(node["key"], "hello")
        with self.assertRaises(GLib.Error) as caught:
            node["key"] = 5
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.CODEC), caught.exception.message)
        self.assertEqual(node["key"], "hello")

    def test_codec_without_methods(self):
        node = Gkv.Node(codec=Nameless())
        with self.assertRaises(GLib.Error) as caught:
            node["key"] = "hello"
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.CODEC), caught.exception.message)

    def test_transport_and_discovery(self):
        one = Gkv.Node(bind_address="10.0.0.1:1", transport=Hub())
        one.start()
        Notice.known = one.get_local_address()
        two = Gkv.Node(bind_address="10.0.0.2:1", transport=Hub(), discovery=Notice())
        two.start()
        one["key"] = "over the hub"
        wait_until(lambda: "key" in two)
        self.assertEqual(two["key"], "over the hub")

        # The network runs in this thread, which can't wait for itself.
        two["key"] = "and back"
        for node in (two, one):
            closed = []
            node.close_async(None, lambda node, result: closed.append(node.close_finish(result)))
            wait_until(lambda: closed == [True])
        self.assertEqual(Hub.open_ones, {})


class Cluster(unittest.TestCase):
    def test_two(self):
        one = Gkv.Node(bind_address="127.0.0.1:0")
        one.start()
        two = Gkv.Node(bind_address="127.0.0.1:0", seeds=[one.get_local_address()])
        two.start()
        seen = []
        two.connect("changed::flag", lambda _node, _key, value: seen.append(value.unpack()))
        one["flag"] = True
        wait_until(lambda: seen == [True])
        wait_until(lambda: len(one.get_peers()) == 1)
        self.assertEqual(one.get_peers()[0].get_node_id(), two.get_node_id())

        waited = []
        two.wait_synced_async(30000, None, lambda node, result: waited.append(node.wait_synced_finish(result)))
        wait_until(lambda: waited == [True])

        closed = []
        for node in (one, two):
            node.close_async(None, lambda n, result: closed.append(n.close_finish(result)))
        wait_until(lambda: len(closed) == 2)

    def test_close_in_handler(self):
        node = Gkv.Node(bind_address="127.0.0.1:0")
        node.start()
        said = []

        def close(node, _key, _value):
            try:
                node.close()
            except GLib.Error as error:
                said.append(error)

        node.connect("changed", close)
        node["key"] = 1
        self.assertTrue(said[0].matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
        with self.assertRaises(GLib.Error):
            node["key"] = 2

    def test_cancelled(self):
        node = Gkv.Node()
        cancellable = Gio.Cancellable()
        cancellable.cancel()
        with self.assertRaises(GLib.Error) as caught:
            node.set_value("key", GLib.Variant("i", 1), cancellable)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))


unittest.main(verbosity=2)
