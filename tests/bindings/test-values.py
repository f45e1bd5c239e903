#!/usr/bin/python3
"""Plain values from Python: what is taken comes back equal and of the same type, and all else is refused and named.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import array
import collections
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import random
import unittest
import uuid

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, GObject, Gkv  # noqa: E402


class Color(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    pass


Point = collections.namedtuple("Point", "x y")
Float64 = type("float64", (float,), {"__module__": "numpy"})

# What can't be carried, and what the error calls its type.
UNMAPPABLE = [
    ({1, 2}, "set"),
    (frozenset(), "frozenset"),
    (datetime.datetime(2026, 1, 1), "datetime.datetime"),
    (datetime.date(2026, 1, 1), "datetime.date"),
    (datetime.timedelta(1), "datetime.timedelta"),
    (decimal.Decimal("1.5"), "decimal.Decimal"),
    (fractions.Fraction(1, 2), "fractions.Fraction"),
    (1 + 2j, "complex"),
    (uuid.UUID(int=1), "uuid.UUID"),
    (pathlib.PurePosixPath("/"), "pathlib.PurePosixPath"),
    (Color.RED, "__main__.Color"),
    (Number.ONE, "__main__.Number"),
    (Text("text"), "__main__.Text"),
    (Float64(1.5), "numpy.float64"),
    (Point(1, 2), "__main__.Point"),
    (collections.OrderedDict(a=1), "collections.OrderedDict"),
    (collections.defaultdict(int), "collections.defaultdict"),
    (collections.Counter("aa"), "collections.Counter"),
    (collections.deque(), "collections.deque"),
    (array.array("i", [1]), "array.array"),
    (bytearray(b"x"), "bytearray"),
    (memoryview(b"x"), "memoryview"),
    (range(3), "range"),
    (iter([1]), "list_iterator"),
    ((x for x in "a"), "generator"),
    ({}.keys(), "dict_keys"),
    (len, "builtin_function_or_method"),
    (lambda: None, "function"),
    (int, "type"),
    (math, "module"),
    (object(), "object"),
    (ValueError("x"), "ValueError"),
    (Ellipsis, "ellipsis"),
    (GObject.Object(), "Object"),
    (Gio.ListStore(), "ListStore"),
    (GLib.Bytes.new(b"x"), "Bytes"),
]

PLACES = [
    (lambda value: value, "value"),
    (lambda value: [0, value], "value[1]"),
    (lambda value: {"a": [0, 1, 2, value]}, "value['a'][3]"),
    (lambda value: ("x", {"b": value}), "value[1]['b']"),
]


class Values(unittest.TestCase):
    def setUp(self):
        self.node = Gkv.Node()
        self.node["key"] = "before"

    def check_refused(self, value, *words, base=Exception):
        with self.assertRaises(GLib.Error) as caught:
            self.node["key"] = value
        self.assertIsInstance(caught.exception, base)
        self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.INVALID_VALUE), caught.exception)
        for word in words:
            self.assertIn(word, caught.exception.message)
        self.assertTrue(caught.exception.message.isascii(), caught.exception.message)
        self.assertEqual(self.node["key"], "before")

    def check_same(self, got, wanted):
        """Equal, with the same types all the way down."""
        self.assertIs(type(got), type(wanted))
        if isinstance(wanted, (list, tuple)):
            self.assertEqual(len(got), len(wanted))
            for one, other in zip(got, wanted):
                self.check_same(one, other)
        elif isinstance(wanted, dict):
            self.assertEqual(list(got), list(wanted))
            for key in wanted:
                self.check_same(got[key], wanted[key])
        elif isinstance(wanted, float):
            self.assertEqual((got, math.copysign(1, got)) if got == got else "nan",
                             (wanted, math.copysign(1, wanted)) if wanted == wanted else "nan")
        else:
            self.assertEqual(got, wanted)

    def make_value(self, source, depth):
        makers = [
            lambda: source.random() < 0.5,
            lambda: source.choice([0, -1, 2**63 - 1, -2**63, source.randrange(-2**63, 2**63)]),
            lambda: source.choice([0.0, -0.0, math.inf, -math.inf, math.nan, 5.0, source.gauss(0, 1e9)]),
            lambda: "".join(chr(source.choice([1, 65, 0x7f, 0xe9, 0x43a, 0xfffe, 0x1f600])) for _ in range(source.randrange(5))),
            lambda: bytes(source.randrange(256) for _ in range(source.randrange(5))),
        ]
        if depth > 0:
            makers += [lambda: None] + 2 * [
                lambda: [self.make_value(source, depth - 1) for _ in range(source.randrange(4))],
                lambda: tuple(self.make_value(source, depth - 1) for _ in range(source.randrange(4))),
                lambda: {source.choice(["", "a", "__proto__", "ключ", "::", " "]): self.make_value(source, depth - 1)
                         for _ in range(source.randrange(4))},
            ]
        value = source.choice(makers)()
        return value

    def test_what_is_taken_comes_back(self):
        for seed in range(500):
            value = self.make_value(random.Random(seed), 5)
            if value is None:
                continue
            with self.subTest(seed=seed):
                self.node["key"] = value
                got = self.node["key"]
                self.check_same(got, value)
                # What can be read can be written back.
                self.node["key"] = got
                self.check_same(self.node["key"], value)

    def test_types(self):
        for value, kind in ((True, "b"), (1, "x"), (1.0, "d"), ("a", "s"), (b"a", "ay"), ([1], "av"), ({"a": 1}, "a{sv}"),
                            ((1, "a"), "(vv)"), ((), "()"), (GLib.Variant("q", 7), "q")):
            self.node["key"] = value
            self.assertEqual(self.node.get_value("key").get_type_string(), kind)
        self.node["key"] = [None]
        self.assertEqual(self.node.get_value("key").get_child_value(0).get_variant().get_type_string(), "mv")

    def test_what_others_write_is_read(self):
        for text, value in (("(1, 'a')", (1, "a")), ("{1: 'a'}", {1: "a"}), ("[b'a', b'bc']", [[97, 0], [98, 99, 0]]),
                            ("just 5", 5), ("@mi nothing", None), ("[just 'a', nothing]", ["a", None]), ("{'a', 1}", {"a": 1}),
                            ("<<1.5>>", 1.5), ("@as []", []), ("objectpath '/a'", "/a"), ("@t 18446744073709551615", 2**64 - 1)):
            variant = GLib.Variant.parse(None, text, None, None)
            self.node["key"] = variant
            got = self.node["key"]
            if text.startswith("[b"):
                got = [list(item) for item in got]
            self.check_same(got, value)

    def test_unmappable(self):
        for value, name in UNMAPPABLE:
            for place, path in PLACES:
                with self.subTest(name=name, path=path):
                    self.check_refused(place(value), path + " ", name, base=TypeError)
            with self.assertRaises(TypeError):
                self.node.set("key", value)
            with self.assertRaises(TypeError):
                self.node.update({"other": 1, "key": value})
            self.assertNotIn("other", self.node)

    def test_none(self):
        self.check_refused(None, "value is None", base=TypeError)

    def test_integers(self):
        for value in (2**63, -2**63 - 1, 10**5000):
            self.check_refused({"a": [value]}, "value['a'][0]", "int", base=OverflowError)

    def test_texts(self):
        for text, word in (("a\0b", "NUL"), ("\0", "NUL"), ("a\ud800", "surrogate"), ("\udcff", "surrogate")):
            for place, path in PLACES:
                self.check_refused(place(text), path + " ", word, base=ValueError)
                self.check_refused(place({text: 1}), path + " ", "key", word, base=ValueError)
            for call in (lambda: self.node.__setitem__(text, 1), lambda: self.node.set(text, 1), lambda: self.node.keys(text),
                         lambda: self.node.update({text: 1}), lambda: self.node.setdefault(text, 1),
                         lambda: self.node.watch(text, print), lambda: self.node.set_string(text, "a"),
                         lambda: self.node.get_value(text), lambda: self.node.list_keys(text)):
                with self.assertRaises(ValueError) as caught:
                    call()
                self.assertTrue(caught.exception.matches(Gkv.Error.quark(), Gkv.Error.INVALID_KEY), caught.exception)
            with self.assertRaises(ValueError):
                self.node.set_string("key", text)
            self.assertNotIn(text, self.node)
            self.assertIsNone(self.node.get(text))
            for call in (lambda: self.node[text], lambda: self.node.__delitem__(text), lambda: self.node.pop(text)):
                with self.assertRaises(KeyError):
                    call()
        self.assertEqual(list(self.node.items()), [("key", "before")])

    def test_keys_of_dicts(self):
        for key, name in ((1, "int"), (b"a", "bytes"), (None, "NoneType"), (("a",), "tuple"), (Text("a"), "Text")):
            self.check_refused([{"good": 1, key: 2}], "value[0] ", name, base=TypeError)

    def test_cycles(self):
        ring = [1]
        ring.append(ring)
        self.check_refused(ring, "value[1] ", "list", "contains itself", base=ValueError)
        loop = {}
        loop["a"] = ([loop],)
        self.check_refused(loop, "value['a'][0][0] ", "dict", "contains itself", base=ValueError)
        # The same list twice is no cycle.
        shared = [1]
        self.node["key"] = [shared, shared]
        self.assertEqual(self.node["key"], [[1], [1]])

    def test_depth(self):
        def nest(wrap, n, value=1):
            for _ in range(n):
                value = wrap(value)
            return value

        for wrap, limit in ((lambda value: [value], 63), (lambda value: (value,), 63), (lambda value: {"a": value}, 42)):
            self.check_refused(nest(wrap, limit + 1), "nested", "depth %d" % (limit + 1), "the limit is 128", base=ValueError)
            self.check_refused(nest(wrap, 100000), "nested", "the limit is 128", base=ValueError)
            for within in (b"", [], (), None, "a"):
                value = nest(wrap, limit, within)
                self.node["other"] = value
                self.check_same(self.node["other"], value)


unittest.main(verbosity=2)
