"""Writes the type stubs of the library for Python: what its GIR says, and over it what the override says.

Usage: make-stubs.py GIR-FILE OVERRIDE-FILE OUTPUT

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import ast
import keyword
import sys
import xml.etree.ElementTree as ET

CORE = "{http://www.gtk.org/introspection/core/1.0}"
C = "{http://www.gtk.org/introspection/c/1.0}"
GLIB = "{http://www.gtk.org/introspection/glib/1.0}"

PLAIN = {
    "none": "None", "utf8": "str", "filename": "str", "gboolean": "bool", "gdouble": "float", "gfloat": "float",
    "gpointer": "Any", "GType": "GObject.GType", "GLib.Quark": "int", "GLib.TimeSpan": "int",
    "Gio.AsyncReadyCallback": "Callable[..., object]", "GLib.DestroyNotify": "Callable[..., object]",
}
INTEGERS = ("gint", "guint", "glong", "gulong", "gsize", "gssize", "guint8", "gint8", "guint16", "gint16", "gint32", "guint32",
            "gint64", "guint64")

HEADER = '''# The types of Gkv for checkers of Python programs; made from the library's GIR and its override.
#
# SPDX-License-Identifier: LGPL-2.1-or-later
from typing import Any, Awaitable, Callable, ItemsView, Iterator, KeysView, List, MutableMapping, Optional, Sequence, Tuple, \\
    Union, ValuesView

from gi.repository import Gio, GLib, GObject
'''


class Stubs:
    def __init__(self, gir, override):
        self.namespace = ET.parse(gir).getroot().find(CORE + "namespace")
        with open(override, encoding="utf-8") as file:
            self.override = ast.parse(file.read())
        self.callbacks = {child.get("name") for child in self.namespace.findall(CORE + "callback")}
        self.lines = []

    # Types

    def get_type(self, element, is_given):
        """The type of a parameter, which takes more than a result is known to be, or of a result or a property."""
        for child in element:
            if child.tag == CORE + "array":
                inner = self.get_type(child, is_given)
                if inner == "guint8":
                    return "bytes"
                return ("Sequence[%s]" if is_given else "List[%s]") % inner
            if child.tag == CORE + "type":
                name = child.get("name")
                if name in INTEGERS:
                    return "int"
                if name in self.callbacks:
                    return "Callable[..., object]"
                return PLAIN.get(name, name)
        return "Any"

    def describe(self, element, is_given):
        kind = self.get_type(element, is_given)
        is_nullable = element.get("nullable") == "1" or element.get("allow-none") == "1"
        return "Optional[%s]" % kind if is_nullable and kind not in ("Any", "None") else kind

    # Functions

    def list_parameters(self, element):
        """The parameters as Python has them, and the types of those that come back."""
        found = element.find(CORE + "parameters")
        parameters = [] if found is None else found.findall(CORE + "parameter")
        hidden = {int(parameter.get(key)) for parameter in parameters for key in ("closure", "destroy") if parameter.get(key)}
        given, returned = [], []
        for index, parameter in enumerate(parameters):
            if index in hidden or parameter.find(CORE + "varargs") is not None:
                continue
            if parameter.get("direction") == "out":
                returned.append(self.describe(parameter, False))
            else:
                given.append((parameter.get("name"), self.describe(parameter, True),
                              parameter.get("nullable") == "1" or parameter.get("allow-none") == "1"))

        texts = []
        may_be_left_out = True
        for name, kind, is_nullable in reversed(given):
            may_be_left_out = may_be_left_out and is_nullable
            name += "_" if keyword.iskeyword(name) else ""
            texts.insert(0, "%s: %s%s" % (name, kind, " = None" if may_be_left_out else ""))
        if any(parameter.get("closure") for parameter in parameters):
            texts.append("*user_data: Any")
        return texts, returned

    def get_result(self, element, returned):
        result = element.find(CORE + "return-value")
        kinds = ([] if self.get_type(result, False) == "None" and returned else [self.describe(result, False)]) + returned
        return kinds[0] if len(kinds) == 1 else "Tuple[%s]" % ", ".join(kinds)

    def write_function(self, element, name, indent="", is_method=False):
        texts, returned = self.list_parameters(element)
        if indent and not is_method:
            self.lines.append(indent + "@staticmethod")
        self.lines.append("%sdef %s(%s) -> %s: ..." % (
            indent, name, ", ".join((["self"] if is_method else []) + texts), self.get_result(element, returned)))

    # The override

    def find_override(self, name):
        """The methods that the override gives to a class; those without types are for itself."""
        for node in self.override.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return [child for child in node.body if isinstance(child, ast.FunctionDef) and child.returns is not None]
        return []

    def is_mapping(self, name):
        """Whether the override registers a class as a mapping."""
        return "collections.abc.MutableMapping.register(%s)" % name in map(ast.unparse, self.override.body)

    def write_override(self, function):
        arguments = function.args
        for index, default in enumerate(arguments.defaults):
            # What it is by default is told where it is a plain value.
            if not isinstance(default, ast.Constant):
                arguments.defaults[index] = ast.Constant(value=...)
        self.lines.append("    def %s(%s) -> %s: ..." % (
            function.name, ast.unparse(arguments).replace("Gkv.", ""), ast.unparse(function.returns).replace("Gkv.", "")))

    # What is in the namespace

    def write_properties(self, element, overridden):
        properties = element.findall(CORE + "property")
        getters = {method.get("name"): method for method in element.findall(CORE + "method")}
        writable = []
        self.lines.append("    class Props:")
        for child in properties:
            name = child.get("name").replace("-", "_")
            getter = getters.get(child.get("getter") or "get_" + name)
            kind = self.get_type(child, False)
            if getter is not None and getter.find(CORE + "return-value").get("nullable") == "1":
                kind = "Optional[%s]" % kind
            # Its setter takes more than is read: a name.
            by_name = "set_" + name in overridden
            self.lines.append("        %s: %s" % (name, "Any" if by_name else kind))
            if child.get("writable") == "1":
                given = self.get_type(child, True)
                if by_name:
                    given = "Union[%s, str, None]" % given
                elif given not in ("int", "bool"):
                    given = "Optional[%s]" % given
                writable.append("%s: %s = ..." % (name, given))
        if not properties:
            self.lines.append("        ...")
        self.lines.append("    props: Props  # type: ignore[assignment]")
        return writable

    def write_class(self, element, base):
        name = element.get("name")
        functions = self.find_override(name)
        overridden = {function.name for function in functions}
        bases = [base] + (["MutableMapping[str, Any]"] if self.is_mapping(name) else [])
        self.lines += ["", "class %s(%s):" % (name, ", ".join(bases))]
        if base == "GObject.Object":
            writable = self.write_properties(element, overridden)
            self.lines.append("    def __init__(self%s) -> None: ..." % (", *, " + ", ".join(writable) if writable else ""))
        for child in element:
            kind = child.tag[len(CORE):]
            child_name = child.get("name")
            if child.get("introspectable") == "0":
                continue
            if kind in ("method", "virtual-method"):
                child_name = "do_" + child_name if kind == "virtual-method" else child_name
                self.write_function(child, child_name + ("_full" if child_name in overridden else ""), "    ", True)
            elif kind in ("constructor", "function"):
                self.write_function(child, child_name, "    ")
        for function in functions:
            if function.name != "__init__":
                self.write_override(function)

    def write_enumeration(self, element, base):
        name = element.get("name")
        self.lines += ["", "class %s(%s):" % (name, base)]
        for member in element.findall(CORE + "member"):
            self.lines.append("    %s: %s" % (member.get("name").upper(), name))
        for function in element.findall(CORE + "function"):
            self.write_function(function, function.get("name"), "    ")
        if element.get(GLIB + "error-domain") and element.find(CORE + "function[@name='quark']") is None:
            self.lines += ["    @staticmethod", "    def quark() -> int: ..."]

    def write(self):
        functions = []
        for element in self.namespace:
            kind = element.tag[len(CORE):]
            if element.get("introspectable") == "0":
                continue
            if kind == "class":
                self.write_class(element, "GObject.Object")
            elif kind == "interface":
                self.write_class(element, "GObject.GInterface")
            elif kind == "enumeration":
                self.write_enumeration(element, "GObject.GEnum")
            elif kind == "bitfield":
                self.write_enumeration(element, "GObject.GFlags")
            elif kind == "constant":
                self.lines.append("%s: %s" % (element.get("name"), self.get_type(element, False)))
            elif kind == "function" and not element.get("moved-to"):
                functions.append(element)
        self.lines.append("")
        for function in functions:
            self.write_function(function, function.get("name"))
        return HEADER + "\n" + "\n".join(self.lines) + "\n"


def main():
    gir, override, output = sys.argv[1:]
    text = Stubs(gir, override).write()
    ast.parse(text)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)


main()
