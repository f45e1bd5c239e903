#!/usr/bin/python3
"""The examples of the README and of docs/, run as they stand there: each sees what the next one writes.

Usage: test-examples.py SOURCE-FOLDER HELLO-IN-C

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

TOP, HELLO = sys.argv[1:3]
SHOWN = {
    "README.md": {"hello.c": "c", "hello.py": "python", "hello.js": "js", "nearby.py": "python"},
    "docs/application-guide.md": {"workers.py": "python", "two-leaders.py": "python"},
    "docs/python.md": {"hello-asyncio.py": "python"},
}
# The pages whose programs in Python and JavaScript end by themselves, with those that don't.
PAGES = {
    "docs/application-guide.md": (), "docs/debugging.md": (), "docs/javascript.md": (), "docs/modules.md": (),
    "docs/python.md": ("hello-asyncio.py",),
}
IN_NAMESPACE = os.path.join(TOP, "tests/discovery/in-namespace")
# An address that others could reach, on a cable that leads nowhere.
CABLE = ("ip link add gkv0 type veth peer name gkv1 && ip link set gkv1 up && "
         "ip address add 10.9.0.1/24 dev gkv0 && ip link set gkv0 up")


def get_path(name):
    return os.path.join(TOP, "examples", name)


HELLOS = {
    "C": [HELLO],
    "Python": [sys.executable, get_path("hello.py")],
    "JavaScript": ["gjs", get_path("hello.js")],
    "asyncio": [sys.executable, get_path("hello-asyncio.py")],
}

# Another node, which writes what the examples don't expect.
WRITER = """if True:
    import sys
    import gi
    gi.require_version("Gkv", "1")
    from gi.repository import Gkv
    node = Gkv.Node(bind_address="127.0.0.1:0", seeds=sys.argv[1:2])
    node.start()
    node.wait_synced(60000)
    if sys.argv[2] == "remove":
        del node["greeting"]
    else:
        node["greeting"] = 5
    node.flush(1, 60000)
    node.close()
"""


def read_file(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def read_blocks(page):
    return re.findall(r"```(c|python|js)\n(.*?)```", read_file(os.path.join(TOP, page)), re.DOTALL)


class Examples(unittest.TestCase):
    def test_pages_show_them(self):
        for page, examples in SHOWN.items():
            blocks = read_blocks(page)
            for name, tag in examples.items():
                self.assertIn((tag, read_file(get_path(name))), blocks, name)

    def test_samples_of_pages(self):
        try:
            import gbulb  # noqa: F401
            without = None
        except ImportError:
            without = "import gbulb"
        for page, endless in PAGES.items():
            left_out = [read_file(get_path(name)) for name in endless]
            for number, (tag, code) in enumerate(read_blocks(page)):
                if tag == "c" or code in left_out or (without is not None and without in code):
                    continue
                with self.subTest(page=page, number=number), tempfile.TemporaryDirectory() as folder:
                    path = os.path.join(folder, "sample")
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(code)
                    command = [sys.executable] if tag == "python" else ["gjs"] + ["-m"] * code.startswith("import ")
                    process = subprocess.run([*command, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                             check=False)
                    self.assertEqual((process.returncode, process.stderr), (0, ""), code)

    def end(self, process):
        process.kill()
        process.stdout.close()
        process.wait()

    def await_line(self, process, wanted):
        """The test's own timeout ends a wait in vain."""
        while process.stdout.readline().strip() != wanted:
            self.assertIsNone(process.poll())

    def write(self, address, what):
        subprocess.run([sys.executable, "-c", WRITER, address, what], check=True)

    def test_hellos(self):
        running = []
        address = None
        for language, command in HELLOS.items():
            process = subprocess.Popen(command + ([address] if address else []), stdout=subprocess.PIPE, text=True)
            self.addCleanup(self.end, process)
            running.append(process)
            first = process.stdout.readline()
            self.assertRegex(first, "^listening at 127.0.0.1:")
            address = address or first.split()[-1]
            # All that run see what the newest wrote.
            for one in running:
                self.await_line(one, "greeting = hello from " + language)

        self.write(address, "number")
        for one, language in zip(running, HELLOS):
            self.await_line(one, "greeting = " + ("not a text" if language == "C" else "5"))
        self.write(address, "remove")
        for one, language in zip(running, HELLOS):
            self.await_line(one, "greeting = " + ("None" if language == "asyncio" else "nothing"))

        # Ctrl-C has each of them close its node and end well.
        for one in running:
            one.send_signal(signal.SIGINT)
            self.assertEqual(one.wait(), 0)

    def test_nearby(self):
        # Lines that come at once must not mix: grep writes each in one piece.
        lines = "grep --line-buffered ."
        script = f'{CABLE} && {{ "$@" ada | {lines} & "$@" bela | {lines} & wait; }}'
        check = subprocess.run([IN_NAMESPACE, "sh", "-c", CABLE], stderr=subprocess.PIPE, text=True, check=False)
        if check.returncode != 0:
            self.skipTest(check.stderr.strip())
        process = subprocess.Popen(
            [IN_NAMESPACE, "unshare", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh",
             sys.executable, get_path("nearby.py")], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        missing = ["ada is here", "bela is here"] * 2
        while missing:
            line = process.stdout.readline().strip()
            self.assertIn(line, missing)
            missing.remove(line)


del sys.argv[1:]
unittest.main(verbosity=2)
