"""What makes a Gkv.Node feel at home in Python: it is used as a dict is, with plain values.

    node["flag"] = True
    if "flag" in node:
        del node["flag"]
    for key, value in node.items():
        print(key, value)

bool becomes b, int x, float d, str s, bytes ay, a list or tuple av, a dict with string keys a{sv}; a GLib.Variant is
taken as it is. What is read comes back as Python's own types.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
from gi.module import get_introspection_module
from gi.repository import GLib

Gkv = get_introspection_module("Gkv")

__all__ = []

_INT64 = range(-(2**63), 2**63)


def _to_variant(value):
    if isinstance(value, GLib.Variant):
        return value
    if value is None:
        raise GLib.Error.new_literal(
            Gkv.Error.quark(), "None can't be kept; to take a key away, delete it", Gkv.Error.INVALID_VALUE)
    if isinstance(value, bool):
        return GLib.Variant("b", value)
    if isinstance(value, int):
        if value not in _INT64:
            raise OverflowError("%d doesn't fit into 64 bits; use a GLib.Variant of another type" % value)
        return GLib.Variant("x", value)
    if isinstance(value, float):
        return GLib.Variant("d", value)
    if isinstance(value, str):
        return GLib.Variant("s", value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return GLib.Variant.new_from_bytes(GLib.VariantType("ay"), GLib.Bytes.new(bytes(value)), True)
    if isinstance(value, (list, tuple)):
        return GLib.Variant("av", [_to_variant(item) for item in value])
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError("The keys of a dict must be strings, not %s" % type(key).__name__)
        return GLib.Variant("a{sv}", {key: _to_variant(item) for key, item in value.items()})
    raise TypeError("%s can't be kept; use a GLib.Variant" % type(value).__name__)


def _from_variant(variant):
    kind = variant.get_type_string()
    if kind == "ay":
        return variant.get_data_as_bytes().get_data() or b""
    if kind == "v":
        return _from_variant(variant.get_variant())
    if kind[0] == "a" and kind[1] != "{":
        return [_from_variant(variant.get_child_value(i)) for i in range(variant.n_children())]
    if kind[0] == "a":
        return {
            _from_variant(entry.get_child_value(0)): _from_variant(entry.get_child_value(1))
            for entry in (variant.get_child_value(i) for i in range(variant.n_children()))
        }
    if kind[0] == "(":
        return tuple(_from_variant(variant.get_child_value(i)) for i in range(variant.n_children()))
    return variant.unpack()


def _lookup(self, key):
    """The value, or None; an error that isn't about the key's absence is raised."""
    try:
        return self.get_value(key, None)
    except GLib.Error as error:
        if error.matches(Gkv.Error.quark(), Gkv.Error.NOT_FOUND):
            return None
        raise


def _getitem(self, key):
    variant = _lookup(self, key)
    if variant is None:
        raise KeyError(key)
    return _from_variant(variant)


def _setitem(self, key, value):
    self.set_value(key, _to_variant(value), None)


def _delitem(self, key):
    try:
        self.delete(key, None)
    except GLib.Error as error:
        if error.matches(Gkv.Error.quark(), Gkv.Error.NOT_FOUND):
            raise KeyError(key) from None
        raise


def _get(self, key, default=None):
    variant = _lookup(self, key)
    return default if variant is None else _from_variant(variant)


def _items(self):
    for key in self.list_keys(""):
        variant = _lookup(self, key)
        # It may have gone since the keys were listed.
        if variant is not None:
            yield key, _from_variant(variant)


def _values(self):
    for _key, value in _items(self):
        yield value


_MAKERS = {
    "codec": Gkv.Codec.new_for_name,
    "transport": Gkv.Transport.new_for_name,
    "discovery": Gkv.Discovery.new_for_name,
}


def _patch_init(node):
    """Lets codec, transport and discovery be given by name."""
    original = node.__init__

    def __init__(self, *args, **properties):
        for name, make in _MAKERS.items():
            if isinstance(properties.get(name), str):
                properties[name] = make(properties[name])
        original(self, *args, **properties)

    node.__init__ = __init__


def _patch(node):
    node.__getitem__ = _getitem
    node.__setitem__ = _setitem
    node.__delitem__ = _delitem
    node.__contains__ = lambda self, key: self.contains(key)
    node.__len__ = lambda self: self.get_n_keys()
    node.__iter__ = lambda self: iter(self.list_keys(""))
    # An empty node is a node all the same.
    node.__bool__ = lambda self: True
    node.get = _get
    node.keys = lambda self: self.list_keys("")
    node.values = _values
    node.items = _items
    _patch_init(node)


_patch(Gkv.Node)
