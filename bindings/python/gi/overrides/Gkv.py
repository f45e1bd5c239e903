"""What makes a Gkv.Node feel at home in Python: it is used as a dict is, with plain values.

    node["flag"] = True
    if "flag" in node:
        del node["flag"]
    for key, value in node.items():
        print(key, value)
    node.set("here", True, ttl=30)
    node.watch("w/", lambda node, key, value, origin: print(key, value))

bool becomes b, int x, float d, str s, bytes ay, a list av, a dict with string keys a{sv}, a tuple a tuple of variants,
and None within one of these an empty mv. A GLib.Variant is taken as it is. What is read comes back as Python's own
types. What would come back as something else is refused, with an error that names its type and its place: subclasses
of these types (an IntEnum, an OrderedDict, numpy's float64), sets, dates, text with a NUL or a lone surrogate. The
errors are GLib.Error with Gkv.Error.INVALID_VALUE, and the TypeError, ValueError or OverflowError as well that Python
programmers expect.

Where a method has the name of one of the library and does more, that of the library is called `<name>_full`.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
from __future__ import annotations

import collections.abc
import math
import threading
from typing import Any, Awaitable, Callable, ItemsView, Iterator, KeysView, Optional, Tuple, Union, ValuesView

from gi.module import get_introspection_module
from gi.overrides import override
from gi.repository import Gio, GLib

Gkv = get_introspection_module("Gkv")

# The class as the library has it, whose calls check nothing more.
_Library = Gkv.Node

__all__ = []

# How many seconds a blocking call waits before Python's signal handlers get a turn.
_SLICE = 0.1

_DEFAULT_TIMEOUT_MS = 10000


# Errors

_error_classes = {}


def _make_error(base, code, message):
    """An error of the library that is also one of Python's."""
    if base not in _error_classes:
        _error_classes[base] = type(base.__name__, (GLib.Error, base), {"__module__": __name__})
    return _error_classes[base](message, GLib.quark_to_string(Gkv.Error.quark()), int(code))


def _matches(error, *codes):
    return any(error.matches(Gkv.Error.quark(), code) for code in codes)


def _get_text_problem(text):
    """What keeps a text from being carried, or None."""
    if "\0" in text:
        return "has a NUL character, where C ends a text"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has a lone surrogate, which UTF-8 doesn't have"
    return None


# From Python to GVariant

# GVariant refuses what is nested deeper. A list takes two levels, the array and the variant of the element, and a dict
# has the entry between them. The innermost value takes up to two, as bytes do.
_MAX_LEVELS = 128
_LEVELS = {list: 2, tuple: 2, dict: 3}
_LEVELS_WITHIN = 2

_INT64 = range(-(2**63), 2**63)

_VARIANT_TYPE = GLib.VariantType.new("v")
_ENTRY_TYPE = GLib.VariantType.new("{sv}")
_BYTES_TYPE = GLib.VariantType.new("ay")

_HINTS = {bool: "bool (…)", int: "int (…)", float: "float (…)", str: "str (…)", bytes: "bytes (…)", list: "list (…)",
          tuple: "tuple (…)", dict: "dict (…)"}


def _describe_type(value):
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else "%s.%s" % (kind.__module__, kind.__qualname__)


def _shorten(text):
    return text if len(text) <= 60 else text[:57] + "..."


def _describe_place(path):
    return "value" + "".join("[%s]" % _shorten(ascii(step)) for _container, step in path)


def _refuse(path, problem, base=TypeError):
    return _make_error(base, Gkv.Error.INVALID_VALUE, "%s %s" % (_describe_place(path), problem))


def _refuse_type(path, value):
    """The error for a value of a type that isn't carried, with a way out where there is one."""
    hint = "make plain values of it, or a GLib.Variant"
    for base, conversion in _HINTS.items():
        if isinstance(value, base):
            hint = "use %s for a plain %s" % (conversion.replace("…", "..."), base.__name__)
            break
    if isinstance(value, (bytearray, memoryview)):
        hint = "use bytes (...)"
    elif isinstance(value, (set, frozenset)):
        hint = "use sorted (...) or list (...)"
    return _refuse(path, "is of the type %s, which can't be carried without loss; %s" % (_describe_type(value), hint))


def _check_text(text, path, what="is a text that"):
    problem = _get_text_problem(text)
    if problem is not None:
        raise _refuse(path, "%s %s" % (what, problem), ValueError)


def _int_to_variant(value, path):
    if value not in _INT64:
        raise _refuse(path, "is an int that doesn't fit into 64 bits; use a GLib.Variant of another type", OverflowError)
    return GLib.Variant.new_int64(value)


def _str_to_variant(value, path):
    _check_text(value, path)
    return GLib.Variant.new_string(value)


def _bytes_to_variant(value, _path):
    return GLib.Variant.new_from_bytes(_BYTES_TYPE, GLib.Bytes.new(value), True)


def _enter(value, path):
    """Refuses a container that holds itself, or lies too deep."""
    if any(container is value for container, _step in path):
        raise _refuse(path, "is a %s that contains itself" % type(value).__name__, ValueError)
    levels = _LEVELS[type(value)] + sum(_LEVELS[type(container)] for container, _step in path)
    levels += _LEVELS_WITHIN if value else 0
    if levels > _MAX_LEVELS:
        raise _make_error(ValueError, Gkv.Error.INVALID_VALUE,
                          "%s... is nested too deep: the %s at depth %d takes %d levels of GVariant, and the limit is %d"
                          % (_describe_place(path[:3]), type(value).__name__, len(path) + 1, levels, _MAX_LEVELS))


def _list_to_variant(value, path):
    _enter(value, path)
    return GLib.Variant.new_array(_VARIANT_TYPE, [
        GLib.Variant.new_variant(_to_variant(item, path + ((value, i),))) for i, item in enumerate(value)])


def _tuple_to_variant(value, path):
    _enter(value, path)
    return GLib.Variant.new_tuple(*[
        GLib.Variant.new_variant(_to_variant(item, path + ((value, i),))) for i, item in enumerate(value)])


def _dict_to_variant(value, path):
    _enter(value, path)
    entries = []
    for key, item in value.items():
        if type(key) is not str:
            raise _refuse(path, "has the key %s of the type %s; keys are str"
                          % (_shorten(ascii(key)), _describe_type(key)))
        _check_text(key, path, "has the key %s, which" % _shorten(ascii(key)))
        entries.append(GLib.Variant.new_dict_entry(
            GLib.Variant.new_string(key), GLib.Variant.new_variant(_to_variant(item, path + ((value, key),)))))
    return GLib.Variant.new_array(_ENTRY_TYPE, entries)


def _none_to_variant(_value, path):
    if not path:
        raise _refuse(path, "is None, which can't be kept; to remove a key, delete it")
    return GLib.Variant.new_maybe(_VARIANT_TYPE, None)


_WRITERS = {
    bool: lambda value, _path: GLib.Variant.new_boolean(value),
    int: _int_to_variant,
    float: lambda value, _path: GLib.Variant.new_double(value),
    str: _str_to_variant,
    bytes: _bytes_to_variant,
    list: _list_to_variant,
    tuple: _tuple_to_variant,
    dict: _dict_to_variant,
    type(None): _none_to_variant,
}


def _to_variant(value, path=()):
    """The GVariant of a value; path has the containers around it, each with its index or key in there."""
    # The type itself counts: a subclass would come back as its base.
    writer = _WRITERS.get(type(value))
    if writer is not None:
        return writer(value, path)
    if isinstance(value, GLib.Variant):
        return value
    raise _refuse_type(path, value)


# From GVariant to Python

def _from_variant(variant):
    kind = variant.get_type_string()
    if kind == "ay":
        return variant.get_data_as_bytes().get_data() or b""
    if kind == "v":
        return _from_variant(variant.get_variant())
    if kind[0] not in "am({":
        return variant.unpack()

    children = [variant.get_child_value(i) for i in range(variant.n_children())]
    if kind[0] == "m":
        return _from_variant(children[0]) if children else None
    if kind[0] == "{":
        children, kind = [variant], "a{"
    if kind[:2] == "a{":
        return {_from_variant(entry.get_child_value(0)): _from_variant(entry.get_child_value(1)) for entry in children}
    values = [_from_variant(child) for child in children]
    return tuple(values) if kind[0] == "(" else values


# Keys

def _check_key(key):
    """Refuses a key that the library would not get whole."""
    if not isinstance(key, str):
        raise TypeError("A key is a str, not %s" % _describe_type(key))
    problem = _get_text_problem(key)
    if problem is not None:
        raise _make_error(ValueError, Gkv.Error.INVALID_KEY, "The key %s %s" % (_shorten(ascii(key)), problem))


def _can_be_there(key):
    return isinstance(key, str) and _get_text_problem(key) is None


def _lookup(node, key):
    """The plain value of a key; KeyError where it is missing, or can't be one."""
    if not isinstance(key, str):
        raise TypeError("A key is a str, not %s" % _describe_type(key))
    if _get_text_problem(key) is not None:
        raise KeyError(key)
    try:
        return _from_variant(_Library.get_value(node, key, None))
    except GLib.Error as error:
        if _matches(error, Gkv.Error.NOT_FOUND, Gkv.Error.INVALID_KEY, Gkv.Error.TOO_LARGE):
            raise KeyError(key) from None
        raise


def _iterate(node, prefix):
    """Gives the keys and values that can be read here; the others are skipped."""
    _check_key(prefix)
    for key in _Library.list_keys(node, prefix):
        # It may have gone since the keys were listed, or be of a codec that this node doesn't have.
        variant = _Library.lookup(node, key)
        if variant is not None:
            yield key, _from_variant(variant)


def _iterate_keys(node, prefix):
    _check_key(prefix)
    return (key for key in _Library.list_keys(node, prefix) if _Library.lookup(node, key) is not None)


# Views

class _View:
    """What the three views have in common: a node, and the prefix of the keys that they show."""

    def __init__(self, node, prefix):
        _check_key(prefix)
        self._mapping = node
        self._prefix = prefix

    def __len__(self):
        return len(_Library.list_keys(self._mapping, self._prefix)) if self._prefix else len(self._mapping)

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__.lstrip("_"), list(self))


class _Keys(_View, collections.abc.KeysView):
    def __contains__(self, key):
        return isinstance(key, str) and key.startswith(self._prefix) and key in self._mapping

    def __iter__(self):
        return _iterate_keys(self._mapping, self._prefix)


class _Values(_View, collections.abc.ValuesView):
    def __contains__(self, value):
        return any(item is value or item == value for item in self)

    def __iter__(self):
        return (value for _key, value in _iterate(self._mapping, self._prefix))


class _Items(_View, collections.abc.ItemsView):
    def __contains__(self, item):
        if not isinstance(item, tuple) or len(item) != 2 or not _can_be_there(item[0]):
            return False
        key, value = item
        variant = _Library.lookup(self._mapping, key) if key.startswith(self._prefix) else None
        return variant is not None and _from_variant(variant) == value

    def __iter__(self):
        return _iterate(self._mapping, self._prefix)


# Names of modules

_MAKERS = {
    "codec": lambda name: Gkv.Codec.new_for_name(name),
    "transport": lambda name: Gkv.Transport.new_for_name(name),
    "discovery": lambda name: Gkv.Discovery.new_for_name(name),
}


def _make_module(kind, value):
    """What may be given as the name of a module, as the module."""
    return _MAKERS[kind](value) if kind in _MAKERS and isinstance(value, str) else value


class _Properties:
    """The properties of a node, where names stand for modules."""

    def __init__(self, properties):
        object.__setattr__(self, "_properties", properties)

    def __getattr__(self, name):
        return getattr(self._properties, name)

    def __setattr__(self, name, value):
        # PyGObject wants an object that is set to have a reference beside the one of the call.
        module = _make_module(name, value)
        setattr(self._properties, name, module)

    def __iter__(self):
        return iter(self._properties)

    def __dir__(self):
        return dir(self._properties)

    def __repr__(self):
        return repr(self._properties)


class _PropertiesDescriptor:
    def __init__(self, original):
        self._original = original

    def __get__(self, node, owner=None):
        properties = self._original.__get__(node, owner)
        return properties if node is None else _Properties(properties)

    def __set__(self, node, value):
        raise AttributeError("props can't be replaced; assign to its attributes")


# Waiting

def _has_worker(node):
    """Whether the network of a node has a thread of its own, so that closing may wait for it."""
    return getattr(node.props, "network_thread", False) and all(
        module is None or module.is_thread_movable() for module in (node.get_transport(), node.get_discovery()))


def _wait(call, cancellable):
    """Makes a blocking call, which is given a cancellable, so that Ctrl-C interrupts it.

    Python's signal handlers run in the main thread only, and never while C waits there. They do run while PyGObject makes
    an exception of an error, and what they raise is lost in there. So the call is made in another thread meanwhile.
    """
    cancellable = cancellable or Gio.Cancellable()
    if threading.current_thread() is not threading.main_thread():
        return call(cancellable)

    outcome = []
    ended = threading.Event()

    def run():
        try:
            outcome.append((call(cancellable), None))
        except BaseException as error:  # it is raised where the call was made
            outcome.append((None, error))
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        while not ended.wait(_SLICE):
            pass
    except BaseException:
        cancellable.cancel()
        if thread.is_alive():
            ended.wait()
        raise
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def _call_in_executor(call, cancellable):
    """A future of a blocking call, which runs in the executor of the asyncio loop that runs here."""
    import asyncio  # few programs need it, and it is large

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise TypeError("No asyncio loop runs in this thread; give a callback, or call the blocking form") from None
    future = loop.run_in_executor(None, call, cancellable)
    future.add_done_callback(lambda ended: cancellable.cancel() if ended.cancelled() else None)
    return future


def _to_lifetime(ttl):
    """Microseconds of a ttl in seconds; 0 is for ever."""
    if ttl is None:
        return 0
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise _make_error(TypeError, Gkv.Error.INVALID_VALUE, "ttl is a number of seconds, not %s" % _describe_type(ttl))
    if not 0 < ttl < 2**63 / 1e6:
        raise _make_error(ValueError, Gkv.Error.INVALID_VALUE,
                          "ttl is a number of seconds above 0, or None for ever; it can't be %r" % ttl)
    return math.ceil(ttl * 1000000)


_MISSING = object()


class Node(_Library):
    """A map that every copy of the application shares; beside the methods of the library it has those of a dict.

    It is a collections.abc.MutableMapping. A node is true also when it is empty, and equal only to itself. A missing
    key raises KeyError. A value that this node can't decode, as it lacks the codec, is skipped where the node is
    iterated over, and an error where it is asked for as node[key]; len (node) counts it, and list_keys () has it.
    """

    props = _PropertiesDescriptor(next(
        kind.__dict__["props"] for kind in _Library.__mro__ if "props" in kind.__dict__))

    def __init__(self, *args: Any, **properties: Any) -> None:
        """Makes a node; a name may stand for a codec, a transport or a discovery."""
        super().__init__(*args, **{name: _make_module(name, value) for name, value in properties.items()})

    # A mapping

    def __getitem__(self, key: str) -> Any:
        return _lookup(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        _check_key(key)
        _Library.set_value(self, key, _to_variant(value), None)

    def __delitem__(self, key: str) -> None:
        if not isinstance(key, str):
            raise TypeError("A key is a str, not %s" % _describe_type(key))
        if not _can_be_there(key):
            raise KeyError(key)
        try:
            _Library.remove(self, key, None)
        except GLib.Error as error:
            if _matches(error, Gkv.Error.NOT_FOUND, Gkv.Error.INVALID_KEY, Gkv.Error.TOO_LARGE):
                raise KeyError(key) from None
            raise

    def __contains__(self, key: object) -> bool:
        return _can_be_there(key) and _Library.contains(self, key)

    def __len__(self) -> int:
        return _Library.get_n_keys(self)

    def __iter__(self) -> Iterator[str]:
        return _iterate_keys(self, "")

    def __bool__(self) -> bool:
        return True

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default where the key is missing or this node can't decode its value."""
        try:
            return _lookup(self, key)
        except KeyError:
            return default
        except GLib.Error as error:
            if _matches(error, Gkv.Error.CODEC):
                return default
            raise

    def pop(self, key: str, default: Any = _MISSING) -> Any:
        """Removes a key, and gives its value; the default, or KeyError, where it is missing."""
        try:
            value = _lookup(self, key)
            del self[key]
        except KeyError:
            if default is _MISSING:
                raise
            return default
        return value

    def popitem(self) -> Tuple[str, Any]:
        """Removes one key, and gives it with its value; KeyError where there is none."""
        for key, value in _iterate(self, ""):
            del self[key]
            return key, value
        raise KeyError("popitem (): the node has no key whose value can be read here")

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key; where it is missing, it is set to the default first."""
        while True:
            try:
                return _lookup(self, key)
            except KeyError:
                pass
            _check_key(key)
            try:
                _Library.set_value_full(self, key, _to_variant(default), Gkv.SetFlags.CREATE, 0, None)
            except GLib.Error as error:
                # Somebody was faster.
                if _matches(error, Gkv.Error.EXISTS):
                    continue
                raise
            return default

    def update(self, other: Any = (), /, **values: Any) -> None:
        """Sets many keys by one call: all are checked first, and all or none are set.

        Takes what a dict takes: a mapping, pairs, and keyword arguments.
        """
        values = {**dict(other), **values}
        for key in values:
            _check_key(key)
        self._set_values({key: _to_variant(value, (({}, key),)) for key, value in values.items()})

    def clear(self) -> None:
        """Clears the map for the whole cluster: every key is removed, at every node."""
        self._set_values(dict.fromkeys(_Library.list_keys(self, "")))

    def _set_values(self, variants):
        """Sets each key to its variant, or removes it where that is None."""
        if not variants:
            return
        entries = [GLib.Variant.new_dict_entry(
            GLib.Variant.new_string(key),
            GLib.Variant.new_maybe(_VARIANT_TYPE, None if variant is None else GLib.Variant.new_variant(variant)))
                   for key, variant in variants.items()]
        _Library.set_values(self, GLib.Variant.new_array(GLib.VariantType.new("{smv}"), entries), 0, 0, None)

    def keys(self, prefix: str = "") -> KeysView[str]:
        """A live view of the keys that begin with a prefix."""
        return _Keys(self, prefix)

    def values(self, prefix: str = "") -> ValuesView[Any]:
        """A live view of the values whose keys begin with a prefix."""
        return _Values(self, prefix)

    def items(self, prefix: str = "") -> ItemsView[str, Any]:
        """A live view of the keys and values whose keys begin with a prefix."""
        return _Items(self, prefix)

    # With plain values

    def set(self, key: str, value: Any, ttl: Optional[float] = None, ephemeral: bool = False) -> None:
        """Sets a key; it ends by itself after ttl seconds, or, if it is ephemeral, when this node leaves."""
        _check_key(key)
        flags = Gkv.SetFlags.EPHEMERAL if ephemeral else Gkv.SetFlags.NONE
        _Library.set_value_full(self, key, _to_variant(value), flags, _to_lifetime(ttl), None)

    def watch(self, prefix: Optional[str], callback: Callable[[Node, str, Any, str], object],
              initial: bool = False) -> int:
        """Calls back as callback (node, key, value, origin) when a key that begins with a prefix changes.

        The value is None when the key is removed or has expired; the origin is the node id of the writer. With
        initial, what is there comes first. None is a prefix of every key. Gives the id for unwatch ().
        """
        if not callable(callback):
            raise TypeError("The callback of a watch is a function, not %s" % _describe_type(callback))
        if prefix is not None:
            _check_key(prefix)

        def changed(node, key, value, origin, *_data):
            callback(node, key, None if value is None else _from_variant(value), origin)

        flags = Gkv.WatchFlags.INITIAL if initial else Gkv.WatchFlags.NONE
        return _Library.watch(self, prefix, flags, changed)

    # Modules by name

    def set_codec(self, codec: Union[Gkv.Codec, str, None]) -> None:
        """Sets the codec, given as an object or by its name; None is the default one."""
        _Library.set_codec(self, _make_module("codec", codec))

    def set_transport(self, transport: Union[Gkv.Transport, str, None]) -> None:
        """Sets the transport, given as an object or by its name; None is the default one."""
        _Library.set_transport(self, _make_module("transport", transport))

    def set_discovery(self, discovery: Union[Gkv.Discovery, str, None]) -> None:
        """Sets the discovery, given as an object or by its name; None is none."""
        _Library.set_discovery(self, _make_module("discovery", discovery))

    def set_property(self, name: str, value: Any) -> None:
        """Sets a property; a name may stand for a module."""
        module = _make_module(name, value)
        super().set_property(name, module)

    def set_properties(self, **properties: Any) -> None:
        """Sets several properties; names may stand for modules."""
        modules = {name: _make_module(name, value) for name, value in properties.items()}
        super().set_properties(**modules)

    # Waiting. Timeouts are milliseconds; 0 is for ever.

    def flush(self, n_peers: int = 0, timeout_ms: int = _DEFAULT_TIMEOUT_MS,
              cancellable: Optional[Gio.Cancellable] = None) -> bool:
        """Waits until so many peers (0: all) have what was written here. Ctrl-C interrupts it."""
        return _wait(lambda own: _Library.flush(self, n_peers, timeout_ms, own), cancellable)

    def wait_synced(self, timeout_ms: int = _DEFAULT_TIMEOUT_MS, cancellable: Optional[Gio.Cancellable] = None) -> bool:
        """Waits until this node has what its peers have. Ctrl-C interrupts it."""
        return _wait(lambda own: _Library.wait_synced(self, timeout_ms, own), cancellable)

    def close(self, cancellable: Optional[Gio.Cancellable] = None) -> bool:
        """Closes the node; what is unconfirmed gets a moment to reach a peer. Ctrl-C interrupts the wait."""
        # Without a worker it waits for nothing, and closes at once only in its own context.
        if not _has_worker(self):
            return _Library.close(self, cancellable)
        return _wait(lambda own: _Library.close(self, own), cancellable)

    def flush_async(self, n_peers: int = 0, timeout_ms: int = _DEFAULT_TIMEOUT_MS,
                    cancellable: Optional[Gio.Cancellable] = None, callback: Optional[Callable[..., object]] = None,
                    *data: Any) -> Awaitable[bool]:
        """As flush (), to be awaited in asyncio, or with a callback, which ends it by flush_finish ()."""
        if callback is not None:
            return _Library.flush_async(self, n_peers, timeout_ms, cancellable, callback, *data)
        return _call_in_executor(lambda own: _Library.flush(self, n_peers, timeout_ms, own),
                                 cancellable or Gio.Cancellable())

    def wait_synced_async(self, timeout_ms: int = _DEFAULT_TIMEOUT_MS, cancellable: Optional[Gio.Cancellable] = None,
                          callback: Optional[Callable[..., object]] = None, *data: Any) -> Awaitable[bool]:
        """As wait_synced (), to be awaited in asyncio, or with a callback, which ends it by wait_synced_finish ()."""
        if callback is not None:
            return _Library.wait_synced_async(self, timeout_ms, cancellable, callback, *data)
        return _call_in_executor(lambda own: _Library.wait_synced(self, timeout_ms, own),
                                 cancellable or Gio.Cancellable())

    def close_async(self, cancellable: Optional[Gio.Cancellable] = None,
                    callback: Optional[Callable[..., object]] = None, *data: Any) -> Awaitable[bool]:
        """As close (), to be awaited in asyncio, or with a callback, which ends it by close_finish ()."""
        if callback is not None:
            return _Library.close_async(self, cancellable, callback, *data)
        return _call_in_executor(lambda own: _Library.close(self, own), cancellable or Gio.Cancellable())


def _check_texts(method):
    """A method of the library that refuses texts which it would not get whole."""
    def checked(self, key, *args, **named):
        if key is not None:
            _check_key(key)
        for value in args:
            if isinstance(value, str):
                _check_text(value, ())
        return method(self, key, *args, **named)

    checked.__name__ = method.__name__
    checked.__doc__ = method.__doc__
    return checked


# Each takes a key, or a prefix, first.
for _name in ("set_value", "set_value_full", "compare_and_set", "get_value", "lookup", "remove", "contains", "list_keys",
              "get_entry", "list_entries", "get_string", "set_string", "get_boolean", "set_boolean", "get_int64",
              "set_int64", "get_double", "set_double", "get_bytes", "set_bytes"):
    if hasattr(_Library, _name):
        setattr(Node, _name, _check_texts(getattr(_Library, _name)))

# What is hidden above, as the library has it.
for _name in ("watch", "flush", "flush_async", "wait_synced", "wait_synced_async", "close", "close_async", "set_codec",
              "set_transport", "set_discovery"):
    setattr(Node, _name + "_full", getattr(_Library, _name))

collections.abc.MutableMapping.register(Node)
Node = override(Node)
__all__.append("Node")
