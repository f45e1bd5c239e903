#!/usr/bin/python3
"""The type stubs: the examples pass mypy with them, mistakes don't, and what they name is there.

Usage: test-types.py SOURCE-FOLDER TYPINGS

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import ast
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gkv  # noqa: E402

TOP, TYPINGS = sys.argv[1:3]
MYPY = shutil.which("mypy")

RIGHT = """
import gi
gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, GObject, Gkv
from typing import Any, MutableMapping

class Codec(GObject.Object, Gkv.Codec):
    def do_get_name(self) -> str:
        return "own"

def changed(node: Gkv.Node, key: str, value: Any, origin: str) -> None:
    print(node.get(key), origin)

node = Gkv.Node(codec="json", discovery=None, seeds=["a:1"], bind_address=None, gossip_interval=500)
Gkv.Node(codec=Codec())
node.props.codec = "string"
mapping: MutableMapping[str, Any] = node
node["a"] = [1, None]
node.update({"b": 1}, c=2)
node.set("a", 1, ttl=0.5, ephemeral=True)
watch_id: int = node.watch("w/", changed, initial=True)
keys = node.keys("w/") & {"a"}
length: int = len(node)
finished: bool = node.flush(1) and node.wait_synced(timeout_ms=5, cancellable=Gio.Cancellable())
node.flush_async(1, 5, None, lambda node, result: node.flush_finish(result))

async def wait() -> bool:
    return await node.flush_async(1) and await node.wait_synced_async()

try:
    node.get_value("a")
except GLib.Error as error:
    error.matches(Gkv.Error.quark(), Gkv.Error.NOT_FOUND)
"""

WRONG = [
    "Gkv.Node(codex='json')",
    "Gkv.Node(bind_address=5)",
    "node[5] = 1",
    "node.set('a', 1, ttl='5')",
    "node.set_value('a', 5)",
    "node.watch('w/', 5)",
    "node.flush('a')",
    "node.nonsense()",
    "node.props.nonsense = 1",
    "node.props.gossip_interval = 'a'",
    "Gkv.Error.NONSENSE",
    "x: str = node.get_n_keys()",
    "node.get_local_address().upper()",
]


def check(*files):
    environment = {**os.environ, "MYPYPATH": os.pathsep.join([TYPINGS, os.path.join(TOP, "tests/bindings/typings")])}
    # Its own imports are none of the library's.
    environment.pop("PYTHONPATH", None)
    environment.pop("LD_PRELOAD", None)
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [MYPY, "--no-error-summary", "--check-untyped-defs", "--warn-unused-ignores", "--cache-dir", folder, *files],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


class Types(unittest.TestCase):
    @unittest.skipIf(MYPY is None, "mypy is not installed")
    def test_examples(self):
        users = []
        for path in sorted(glob.glob(os.path.join(TOP, "examples/**/*.py"), recursive=True)):
            with open(path, encoding="utf-8") as file:
                if re.search(r"^from gi.repository import .*\bGkv\b", file.read(), re.MULTILINE):
                    users.append(path)
        self.assertIn(os.path.join(TOP, "examples/hello.py"), users)
        for path in users:
            self.assertEqual(check(path), "", path)

    @unittest.skipIf(MYPY is None, "mypy is not installed")
    def test_right_and_wrong(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "program.py")
            with open(file, "w", encoding="utf-8") as program:
                program.write(RIGHT + "\n".join(WRONG) + "\n")
            output = check(file)
        first = RIGHT.count("\n") + 1
        named = {int(line.split(":")[1]) for line in output.splitlines() if line.startswith(file) and ": error: " in line}
        self.assertEqual(named, set(range(first, first + len(WRONG))), output)

    def test_names(self):
        with open(os.path.join(TYPINGS, "gi/repository/Gkv.pyi"), encoding="utf-8") as file:
            stubs = ast.parse(file.read())
        for node in stubs.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self.assertTrue(hasattr(Gkv, node.name), node.name)
            for child in node.body if isinstance(node, ast.ClassDef) else []:
                # Virtual functions are there for those who implement them.
                if isinstance(child, ast.FunctionDef) and not child.name.startswith("do_"):
                    self.assertTrue(hasattr(getattr(Gkv, node.name), child.name), "%s.%s" % (node.name, child.name))
                elif isinstance(child, ast.ClassDef) and node.name in ("Node", "Entry", "Peer"):
                    properties = {pspec.name.replace("-", "_") for pspec in getattr(Gkv, node.name).props}
                    self.assertEqual({item.target.id for item in child.body}, properties)


del sys.argv[1:]
unittest.main(verbosity=2)
