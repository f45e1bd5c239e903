#!/usr/bin/python3
"""The library from Python: the override, errors, signals, and modules written as classes.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import asyncio
import collections.abc
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, GObject, Gkv  # noqa: E402


# A stand-in of the override is a function of Python.
HAS_BLOCKING_FORMS = not hasattr(Gkv.Node.flush_full, "__code__")


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


class Mapping(unittest.TestCase):
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

    def test_it_is_a_mutable_mapping(self):
        node = Gkv.Node()
        self.assertIsInstance(node, collections.abc.MutableMapping)
        self.assertNotEqual(node, {})
        self.assertNotEqual(node, Gkv.Node())
        self.assertEqual(len({node, Gkv.Node(), node}), 2)
        for name in dir(collections.abc.MutableMapping):
            # What is left out belongs to abstract classes alone.
            if not name.startswith("_MutableMapping") and name not in (
                    "_abc_impl", "__abstractmethods__", "__reversed__", "__class_getitem__", "__slots__"):
                self.assertTrue(hasattr(node, name), name)
        self.assertIs(type(Gkv.Node.new()), Gkv.Node)
        self.assertRegex(Gkv.Node.clear.__doc__, "^Clears the map for the whole cluster")

        node.update({"a": 1}, b=2)
        node.update([("c", 3), ("d", 4)])
        self.assertEqual(dict(node), {"a": 1, "b": 2, "c": 3, "d": 4})
        self.assertEqual({**node}, dict(node))
        self.assertEqual(node.pop("a"), 1)
        self.assertEqual(node.pop("a", 7), 7)
        self.assertIsNone(node.pop("a", None))
        with self.assertRaises(KeyError):
            node.pop("a")
        self.assertEqual(node.setdefault("b", 9), 2)
        self.assertEqual(node.setdefault("e", 5), 5)
        self.assertEqual(node["e"], 5)
        before = dict(node)
        key, value = node.popitem()
        self.assertEqual(before.pop(key), value)
        self.assertEqual(dict(node), before)
        node.clear()
        self.assertEqual((len(node), list(node)), (0, []))
        node.clear()
        with self.assertRaises(KeyError):
            node.popitem()

        other = Gkv.Node()
        other["x"] = [None]
        node.update(other)
        self.assertEqual(node["x"], [None])

    def test_keys_that_are_no_text(self):
        node = Gkv.Node()
        self.assertNotIn(5, node)
        self.assertNotIn(5, node.keys())
        for call in (lambda: node[5], lambda: node.__setitem__(5, 1), lambda: node.__delitem__(5), lambda: node.get(5),
                     lambda: node.update({5: 1}), lambda: node.set(5, 1), lambda: node.keys(5)):
            self.assertRaises(TypeError, call)

    def test_views(self):
        node = Gkv.Node()
        keys, values, items = node.keys("w/"), node.values("w/"), node.items("w/")
        self.assertEqual((len(keys), list(keys)), (0, []))
        node.update({"w/a": 1, "w/b": [2], "x": 3})
        self.assertIsInstance(keys, collections.abc.KeysView)
        self.assertIsInstance(values, collections.abc.ValuesView)
        self.assertIsInstance(items, collections.abc.ItemsView)
        self.assertEqual((len(keys), len(values), len(items)), (2, 2, 2))
        self.assertEqual(list(keys), ["w/a", "w/b"])
        self.assertEqual(list(values), [1, [2]])
        self.assertEqual(list(items), [("w/a", 1), ("w/b", [2])])
        self.assertIn("w/a", keys)
        self.assertNotIn("x", keys)
        self.assertIn([2], values)
        self.assertNotIn(3, values)
        self.assertIn(("w/b", [2]), items)
        self.assertNotIn(("x", 3), items)
        self.assertEqual(keys, {"w/a", "w/b"})
        self.assertEqual(node.keys() & {"x", "y", 5}, {"x"})
        self.assertEqual(len(node.keys()), 3)
        del node["w/a"]
        self.assertEqual(list(keys), ["w/b"])

    def test_set(self):
        node = Gkv.Node()
        node.set("a", 1)
        node.set("b", [1], ttl=1000)
        node.set("c", "x", ephemeral=True)
        self.assertEqual(dict(node), {"a": 1, "b": [1], "c": "x"})
        self.assertIsNone(node.get_entry("a").get_expires())
        self.assertIsNotNone(node.get_entry("b").get_expires())
        self.assertTrue(node.get_entry("c").get_ephemeral())
        node.set("d", 1, ttl=0.05)
        wait_until(lambda: "d" not in node)
        for ttl in (0, -1, float("nan"), float("inf"), 2**63):
            with self.assertRaises(ValueError):
                node.set("e", 1, ttl=ttl)
        for ttl in ("1", True, [1]):
            with self.assertRaises(TypeError):
                node.set("e", 1, ttl=ttl)

    def test_watch(self):
        node = Gkv.Node()
        node["w/old"] = 1
        seen, first = [], []
        watch_id = node.watch("w/", lambda n, *args: seen.append((n is node,) + args))
        node.watch(None, lambda _node, key, value, _origin: first.append((key, value)), initial=True)
        wait_until(lambda: first == [("w/old", 1)])
        node["w/a"] = {"x": [1]}
        node["v"] = 1
        del node["w/a"]
        wait_until(lambda: len(seen) == 2)
        me = node.get_node_id()
        self.assertEqual(seen, [(True, "w/a", {"x": [1]}, me), (True, "w/a", None, me)])
        node.unwatch(watch_id)
        node["w/b"] = 1
        wait_until(lambda: ("w/b", 1) in first)
        self.assertEqual(len(seen), 2)
        with self.assertRaises(TypeError):
            node.watch("w/", None)

    def test_hidden_ones(self):
        for name in ("watch", "flush", "wait_synced", "flush_async", "wait_synced_async", "close", "set_codec"):
            self.assertTrue(callable(getattr(Gkv.Node, name + "_full")), name)

    def test_errors(self):
        node = Gkv.Node()
        with self.assertRaises(GLib.Error) as caught:
            node.get_value("missing")
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.NOT_FOUND))
        with self.assertRaises(GLib.Error) as caught:
            node[""] = 1
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.INVALID_KEY))
        node.set_string("s", "text")
        node.close()
        with self.assertRaises(GLib.Error) as caught:
            node["a"] = 1
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.CLOSED))

    def test_signals(self):
        node = Gkv.Node()
        seen = []
        for key in ("a::b", "my_key", "/app/x y", "ключ"):
            node.connect("changed::" + key, lambda _node, k, v, _origin: seen.append((k, v.unpack() if v else None)))
            node[key] = 1
            del node[key]
            self.assertEqual(seen, [(key, 1), (key, None)])
            seen.clear()

    def test_lists(self):
        node = Gkv.Node()
        entries = node.list_entries("app/")
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


class Waiting(unittest.TestCase):
    """How the override waits, whatever it waits for."""

    override = sys.modules["gi.overrides.Gkv"]

    def wait_until_cancelled(self, cancellable):
        cancelled = threading.Event()
        # With GObject's connect, as the one of Gio calls back at once.
        GObject.Object.connect(cancellable, "cancelled", lambda *_args: cancelled.set())
        if not cancellable.is_cancelled():
            cancelled.wait()
        raise GLib.Error.new_literal(Gio.io_error_quark(), "cancelled", Gio.IOErrorEnum.CANCELLED)

    def test_interruptible(self):
        call = self.override._wait
        self.assertEqual(call(lambda _cancellable: 5, Gio.Cancellable()), 5)
        with self.assertRaises(ZeroDivisionError):
            call(lambda _cancellable: 1 / 0, Gio.Cancellable())

        def interrupt(cancellable):
            os.kill(os.getpid(), signal.SIGINT)
            self.wait_until_cancelled(cancellable)

        with self.assertRaises(KeyboardInterrupt):
            call(interrupt, None)

    def test_in_an_executor(self):
        call = self.override._call_in_executor
        cancellable = Gio.Cancellable()

        async def wait_in_vain():
            await call(self.wait_until_cancelled, cancellable)

        async def wait():
            self.assertEqual(await call(lambda _cancellable: 5, Gio.Cancellable()), 5)
            task = asyncio.create_task(wait_in_vain())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertTrue(cancellable.is_cancelled())

        asyncio.run(wait())
        with self.assertRaises(TypeError):
            call(lambda _cancellable: 5, cancellable)


class Modules(unittest.TestCase):
    def test_names(self):
        node = Gkv.Node(codec="string")
        self.assertEqual(node.get_codec().get_name(), "string")
        with self.assertRaises(GLib.Error) as caught:
            Gkv.Node(codec="nonsense")
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.MODULE))

        node = Gkv.Node()
        for assign in (lambda name: setattr(node.props, "codec", name), node.set_codec,
                       lambda name: node.set_property("codec", name), lambda name: node.set_properties(codec=name)):
            for name in ("string", "bytes"):
                assign(name)
                self.assertEqual(node.props.codec.get_name(), name)
        with self.assertRaises(GLib.Error):
            node.props.discovery = "nonsense"
        node.props.transport = "udp"
        node.props.discovery = None
        node.props.seeds = ["127.0.0.1:5"]
        self.assertEqual(node.props.seeds, ["127.0.0.1:5"])
        self.assertIn("codec", dir(node.props))
        self.assertEqual(Gkv.Node.props.codec.name, "codec")
        self.assertEqual({pspec.name for pspec in node.props}, {pspec.name for pspec in Gkv.Node.props})
        with self.assertRaises(AttributeError):
            node.props.nonsense = 1

    def test_debug(self):
        program = """if True:
            import gi
            gi.require_version("Gkv", "1")
            from gi.repository import GLib, Gkv
            for name in ("string", "broken"):
                try:
                    Gkv.Codec.new_for_name(name)
                except GLib.Error:
                    pass
        """
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "libgkv-codec-broken.so"), "w", encoding="ascii"):
                pass
            path = os.pathsep.join([os.environ["GKV_MODULE_PATH"], folder])
            output = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, check=True,
                                    env={**os.environ, "GKV_DEBUG": "modules", "GKV_MODULE_PATH": path}).stderr
        for pattern in ("loaded .*/libgkv-codec-string", "refused .*/libgkv-codec-broken", 'found no codec named "broken"'):
            self.assertRegex(output, r"(?m)^\d\d:\d\d:\d\d\.\d{6} - modules: " + pattern)

    def test_debug_of_network(self):
        program = """if True:
            import gi
            gi.require_version("Gkv", "1")
            from gi.repository import Gkv
            ada = Gkv.Node(node_id="ada", bind_address="127.0.0.1:0")
            ada.start()
            bela = Gkv.Node(node_id="bela", bind_address="127.0.0.1:0", seeds=[ada.get_local_address()])
            bela.start()
            bela.wait_synced(20000)
            bela.close()
            ada.close()
        """
        output = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True,
                                check=True, env={**os.environ, "GKV_DEBUG": "net,gossip"}).stderr
        address = r"127\.0\.0\.1:\d+"
        for pattern in (f'ada net: bound to {address} in the cluster "default"',
                        f'bela net: the seed "{address}" is greeted at',
                        f'bela gossip: peer "ada" at {address} was met', "bela gossip: synced", "bela net: leaves"):
            self.assertRegex(output, r"(?m)^\d\d:\d\d:\d\d\.\d{6} " + pattern)
        self.assertNotIn("modules:", output)

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

        # Who finds others by itself must say which.
        two = Gkv.Node(bind_address="10.0.0.2:1", transport=Hub(), discovery=Notice())
        with self.assertRaises(GLib.Error) as caught:
            two.start()
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.INVALID_OPTION))
        self.assertIn("cluster", caught.exception.message)

        two = Gkv.Node(bind_address="10.0.0.2:1", cluster="default", transport=Hub(), discovery=Notice())
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
        two.connect("changed::flag", lambda _node, _key, value, _origin: seen.append(value.unpack()))
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

    def test_values_of_another_codec(self):
        one = Gkv.Node(bind_address="127.0.0.1:0")
        one.start()
        two = Gkv.Node(bind_address="127.0.0.1:0", seeds=[one.get_local_address()], codec="string")
        two.start()
        one["there"] = 1
        two["here"] = "text"
        wait_until(lambda: "there" in two and "here" in one)
        for node, good, bad, value in ((two, "here", "there", "text"), (one, "there", "here", 1)):
            with self.assertRaises(GLib.Error) as caught:
                node[bad]
            self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.CODEC), caught.exception)
            self.assertRaises(GLib.Error, node.pop, bad, 5)
            self.assertRaises(GLib.Error, node.setdefault, bad, 5)
            self.assertEqual(node.get(bad, 5), 5)
            self.assertEqual(dict(node), {good: value})
            self.assertEqual(list(node), [good])
            self.assertEqual(list(node.keys()), [good])
            self.assertEqual(list(node.values()), [value])
            self.assertEqual(list(node.items()), [(good, value)])
            self.assertNotIn((bad, 5), node.items())
            # It is there all the same.
            self.assertIn(bad, node)
            self.assertEqual(len(node), 2)
            self.assertEqual(node.list_keys(""), ["here", "there"])
        # Also what can't be read can be removed.
        two.clear()
        self.assertEqual(len(two), 0)
        one.close()
        two.close()

    def test_waiting(self):
        one = Gkv.Node(bind_address="127.0.0.1:0")
        one.start()
        two = Gkv.Node(bind_address="127.0.0.1:0", seeds=[one.get_local_address()])
        two.start()
        two["key"] = 1
        self.assertTrue(two.flush(1))
        self.assertEqual(one["key"], 1)
        self.assertTrue(two.wait_synced())
        with self.assertRaises(GLib.Error) as caught:
            two.flush(5, 250)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
        done = []
        two.flush_async(1, 30000, None, lambda node, result: done.append(node.flush_finish(result)))
        wait_until(lambda: done == [True])
        with self.assertRaises(TypeError):
            two.flush_async(1)
        two.close()
        one.close()

    def test_interrupted(self):
        program = """if True:
            import gi, sys
            gi.require_version("Gkv", "1")
            from gi.repository import Gkv
            node = Gkv.Node(bind_address="127.0.0.1:0", seeds=["127.0.0.1:9"])
            node.start()
            node["key"] = 1
            try:
                print("waiting", flush=True)
                exec(sys.argv[1])
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        """
        for call in ("node.flush(3, 0)", "node.flush(0, 0)", "node.wait_synced(0)", "node.flush(3, 1000000)", "node.close()"):
            process = subprocess.Popen([sys.executable, "-c", program, call], stdout=subprocess.PIPE, text=True)
            self.assertEqual(process.stdout.readline(), "waiting\n")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.stdout.readline(), "interrupted\n")
            process.stdout.close()
            process.kill()
            process.wait()

    @unittest.skipUnless(HAS_BLOCKING_FORMS, "the library has no blocking forms yet")
    def test_asyncio(self):
        one = Gkv.Node(bind_address="127.0.0.1:0")
        one.start()
        two = Gkv.Node(bind_address="127.0.0.1:0", seeds=[one.get_local_address()])
        two.start()

        async def wait():
            two["key"] = 1
            self.assertTrue(await two.wait_synced_async())
            self.assertTrue(await two.flush_async(1))
            self.assertEqual(one["key"], 1)
            with self.assertRaises(GLib.Error) as caught:
                await two.flush_async(5, 200)
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
            cancellable = Gio.Cancellable()

            async def wait_in_vain():
                await two.flush_async(5, 0, cancellable)

            task = asyncio.create_task(wait_in_vain())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertTrue(cancellable.is_cancelled())
            self.assertTrue(await two.close_async())

        # It ends only when the executor's threads have ended, so that the cancelled call must have, too.
        asyncio.run(wait())
        one.close()

    def test_close_in_handler(self):
        node = Gkv.Node(bind_address="127.0.0.1:0")
        node.start()
        said = []

        def close(node, _key, _value, _origin):
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
