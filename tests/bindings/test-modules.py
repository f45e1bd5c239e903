#!/usr/bin/python3
"""Modules written in Python: every method of every interface is implemented here and called through the library.

Usage: test-modules.py GIR-FILE

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import sys
import unittest
import xml.etree.ElementTree as ET

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, GObject, Gkv  # noqa: E402

CORE = "{http://www.gtk.org/introspection/core/1.0}"
GIR = sys.argv.pop(1)


def later(function, *arguments):
    """Calls it in some later turn of the main loop."""
    GLib.timeout_add(1, lambda: function(*arguments) and False)


def failure(code, message):
    return GLib.Error.new_literal(Gkv.Error.quark(), message, code)


def finish_async(begin, finish):
    """Runs an asynchronous call to its end."""
    results = []
    begin(lambda source, result: results.append(result))
    while not results:
        GLib.MainContext.default().iteration(True)
    return finish(results[0])


class Codec(GObject.Object, Gkv.Codec):
    """Texts, as UTF-16."""

    def do_get_name(self):
        return "utf16"

    def do_encode(self, value):
        if value.get_type_string() != "s":
            raise failure(Gkv.Error.CODEC, "only texts")
        return GLib.Bytes.new(value.get_string().encode("utf-16-le"))

    def do_decode(self, data):
        return GLib.Variant("s", data.get_data().decode("utf-16-le"))

    def do_is_thread_safe(self):
        return True

    def do_is_lossless(self):
        return True


class Transport(GObject.Object, Gkv.Transport):
    """Mailboxes within this process; names have to be looked up, and all that may takes its time."""

    names = {"home": ["box:1"], "both": ["box:1", "box:2"]}

    def __init__(self):
        super().__init__()
        self.address = None
        self.queue = []
        self.cancelled = []
        self.silent = False

    def do_open(self, bind_address):
        if not bind_address.startswith("box:"):
            raise failure(Gkv.Error.TRANSPORT, "no such box")
        self.address = bind_address
        return True

    def do_close(self):
        self.address = None

    def do_get_local_address(self):
        return self.address

    def do_get_max_datagram_size(self):
        return 4000

    def do_send(self, address, datagram):
        if self.address is None:
            raise failure(Gkv.Error.TRANSPORT, "closed")
        self.queue.append((address, datagram))
        return True

    def do_flush(self):
        sent, self.queue = self.queue, []
        if any(address == "box:nowhere" for address, _ in sent):
            raise failure(Gkv.Error.TRANSPORT, "no way there")
        for _, datagram in sent:
            self.emit_received(self.address, datagram)
        self.emit_drained()
        return True

    def do_begin_open(self, bind_address):
        def answer():
            try:
                self.do_open(bind_address)
            except GLib.Error as error:
                self.open_failed(error)
            else:
                self.opened()
        if not self.silent:
            later(answer)

    def do_begin_resolve(self, address, request):
        def answer():
            if address in self.names:
                self.resolved(request, self.names[address])
            else:
                self.resolve_failed(request, failure(Gkv.Error.TRANSPORT, "nobody knows " + address))
        if not self.silent:
            later(answer)

    def do_cancel_resolve(self, request):
        self.cancelled.append(request)

    def do_normalize(self, address, use):
        if address == "":
            raise failure(Gkv.Error.FAILED, "empty")
        if address == "box:0" and use == Gkv.AddressUse.PEER:
            raise failure(Gkv.Error.INVALID_ADDRESS, "nobody lives in box:0")
        return address if address.startswith("box:") else "box:%d" % int(address) if address.isdigit() else None

    def do_is_thread_movable(self):
        return True


class Discovery(GObject.Object, Gkv.Discovery):
    """Finds one node."""

    def do_start(self, cluster, node_id, address):
        if not address.startswith("box:"):
            raise GLib.Error.new_literal(Gio.io_error_quark(), "no box", Gio.IOErrorEnum.FAILED)
        later(self.emit_found, "friend", "box:9")
        return True

    def do_stop(self):
        self.emit_lost("friend", "box:9")

    def do_is_thread_movable(self):
        return True


class Bare(GObject.Object, Gkv.Codec, Gkv.Transport, Gkv.Discovery):
    """Implements nothing."""


class Broken(GObject.Object, Gkv.Transport):
    """Begins, and gives nothing."""

    def do_begin_resolve(self, address, request):
        self.resolved(request, [])


class Modules(unittest.TestCase):
    def assert_fails(self, code, call, *arguments):
        with self.assertRaises(GLib.Error) as caught:
            call(*arguments)
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), code), caught.exception)
        return caught.exception.message

    def open(self, transport, address, cancellable=None):
        return finish_async(lambda done: transport.open_async(address, cancellable, done), transport.open_finish)

    def resolve(self, transport, address, cancellable=None):
        return finish_async(lambda done: transport.resolve_async(address, cancellable, done), transport.resolve_finish)

    def test_all_is_implemented(self):
        for interface, implementation in ("Codec", Codec), ("Transport", Transport), ("Discovery", Discovery):
            element = next(e for e in ET.parse(GIR).iter(CORE + "interface") if e.get("name") == interface)
            methods = {"do_" + e.get("name") for e in element.findall(CORE + "virtual-method")}
            self.assertEqual(methods, {name for name in vars(implementation) if name.startswith("do_")}, interface)

    def test_codec(self):
        codec = Codec()
        data = codec.encode(GLib.Variant("s", "é"))
        self.assertEqual((codec.get_name(), data.get_size()), ("utf16", 2))
        self.assertEqual(codec.decode(data).unpack(), "é")
        self.assertTrue(codec.is_thread_safe())
        self.assertTrue(codec.is_lossless())
        self.assertIn("only texts", self.assert_fails(Gkv.Error.CODEC, codec.encode, GLib.Variant("i", 1)))
        # What isn't a GLib.Error fails, too, but PyGObject prints it and loses what it says.
        self.assertIn("no reason", self.assert_fails(Gkv.Error.CODEC, codec.decode, GLib.Bytes.new(b"x")))

    def test_transport(self):
        transport = Transport()
        brought = []
        transport.connect("received", lambda _, address, datagram: brought.append((address, datagram.get_data())))
        transport.connect("drained", lambda _: brought.append("drained"))
        transport.connect("failed", lambda _, error: brought.append(error.message))

        self.assertTrue(self.open(transport, "box:1"))
        self.assertEqual(transport.get_local_address(), "box:1")
        self.assertEqual(transport.get_max_datagram_size(), 4000)
        self.assertTrue(transport.is_thread_movable())
        self.assertTrue(transport.send("box:2", GLib.Bytes.new(b"a")))
        self.assertTrue(transport.send("box:2", GLib.Bytes.new(b"b")))
        self.assertTrue(transport.flush())
        transport.emit_failed(failure(Gkv.Error.TRANSPORT, "rain"))
        self.assertEqual(brought, [("box:1", b"a"), ("box:1", b"b"), "drained", "rain"])

        transport.send("box:nowhere", GLib.Bytes.new(b"c"))
        self.assertEqual(self.assert_fails(Gkv.Error.TRANSPORT, transport.flush), "no way there")
        transport.close()
        self.assertIsNone(transport.get_local_address())
        self.assertIn("closed", self.assert_fails(Gkv.Error.TRANSPORT, transport.send, "box:2", GLib.Bytes.new(b"d")))
        self.assertTrue(transport.open("box:3"))
        self.assert_fails(Gkv.Error.TRANSPORT, transport.open, "street")

    def test_normalize(self):
        transport = Transport()
        self.assertEqual(transport.normalize("007", Gkv.AddressUse.PEER), "box:7")
        self.assertIsNone(transport.normalize("home", Gkv.AddressUse.PEER))
        self.assertEqual(transport.normalize("box:0", Gkv.AddressUse.BIND), "box:0")
        self.assert_fails(Gkv.Error.INVALID_ADDRESS, transport.normalize, "box:0", Gkv.AddressUse.PEER)
        self.assert_fails(Gkv.Error.FAILED, transport.normalize, "", Gkv.AddressUse.BIND)

    def test_open_later(self):
        transport = Transport()
        self.assertEqual(self.assert_fails(Gkv.Error.TRANSPORT, self.open, transport, "street"), "no such box")

        # Closed, or cancelled, while the transport is at it: what it says then is of no interest.
        transport.silent = True
        later(transport.close)
        self.assert_fails(Gkv.Error.TRANSPORT, self.open, transport, "box:1")
        transport.opened()
        cancellable = Gio.Cancellable()
        later(cancellable.cancel)
        with self.assertRaises(GLib.Error) as caught:
            self.open(transport, "box:1", cancellable)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        transport.opened()

        # One at a time.
        results = []
        transport.open_async("box:1", None, lambda source, result: results.append(result))
        self.assert_fails(Gkv.Error.TRANSPORT, self.open, transport, "box:1")
        transport.opened()
        while not results:
            GLib.MainContext.default().iteration(True)
        self.assertTrue(transport.open_finish(results[0]))

    def test_resolve_later(self):
        transport = Transport()
        self.assertEqual(self.resolve(transport, "home"), ["box:1"])
        self.assertEqual(self.resolve(transport, "both"), ["box:1", "box:2"])
        self.assertIn("nobody", self.assert_fails(Gkv.Error.TRANSPORT, self.resolve, transport, "moon"))

        transport.silent = True
        cancellable = Gio.Cancellable()
        later(cancellable.cancel)
        with self.assertRaises(GLib.Error) as caught:
            self.resolve(transport, "home", cancellable)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        self.assertEqual(len(transport.cancelled), 1)
        transport.resolved(transport.cancelled[0], ["box:1"])
        with self.assertRaises(GLib.Error) as caught:
            self.resolve(transport, "home", cancellable)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        self.assertEqual(len(transport.cancelled), 1)

        self.assertIn("moon", self.assert_fails(Gkv.Error.TRANSPORT, self.resolve, Broken(), "moon"))

    def test_discovery(self):
        discovery = Discovery()
        brought = []
        discovery.connect("found", lambda _, *arguments: brought.append(("found", *arguments)))
        discovery.connect("lost", lambda _, *arguments: brought.append(("lost", *arguments)))
        discovery.connect("failed", lambda _, error: brought.append(error.message))
        self.assertTrue(discovery.is_thread_movable())
        self.assertTrue(discovery.start("cluster", "id", "box:1"))
        while not brought:
            GLib.MainContext.default().iteration(True)
        discovery.emit_failed(failure(Gkv.Error.DISCOVERY, "fog"))
        discovery.stop()
        self.assertEqual(brought, [("found", "friend", "box:9"), "fog", ("lost", "friend", "box:9")])
        self.assertIn("no box", self.assert_fails(Gkv.Error.DISCOVERY, discovery.start, "cluster", "id", "1.2.3.4:5"))

    def test_nothing_implemented(self):
        bare = Bare()
        datagram = GLib.Bytes.new(b"x")
        self.assertIn("Bare", Gkv.Codec.get_name(bare))
        self.assert_fails(Gkv.Error.CODEC, Gkv.Codec.encode, bare, GLib.Variant("i", 1))
        self.assert_fails(Gkv.Error.CODEC, Gkv.Codec.decode, bare, datagram)
        self.assertFalse(Gkv.Codec.is_thread_safe(bare))
        self.assertFalse(Gkv.Codec.is_lossless(bare))

        self.assert_fails(Gkv.Error.TRANSPORT, Gkv.Transport.open, bare, "x")
        self.assert_fails(Gkv.Error.TRANSPORT, self.open, bare, "x")
        self.assert_fails(Gkv.Error.TRANSPORT, Gkv.Transport.send, bare, "x", datagram)
        self.assertTrue(Gkv.Transport.flush(bare))
        self.assertIsNone(Gkv.Transport.get_local_address(bare))
        self.assertEqual(Gkv.Transport.get_max_datagram_size(bare), 1200)
        self.assertEqual(Gkv.Transport.normalize(bare, "x", Gkv.AddressUse.PEER), "x")
        self.assertEqual(self.resolve(bare, "x"), ["x"])
        self.assertFalse(Gkv.Transport.is_thread_movable(bare))
        Gkv.Transport.close(bare)

        self.assert_fails(Gkv.Error.DISCOVERY, Gkv.Discovery.start, bare, "cluster", "id", "x")
        self.assertFalse(Gkv.Discovery.is_thread_movable(bare))
        Gkv.Discovery.stop(bare)


unittest.main()
