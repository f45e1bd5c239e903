#!/usr/bin/python3
"""The examples of the README, run as they stand there: each hears of what the next one writes.

Usage: test-examples.py SOURCE-FOLDER HELLO-IN-C

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import os
import re
import subprocess
import sys
import unittest

TOP, HELLO = sys.argv[1:3]
SHOWN = {"hello.c": "c", "hello.py": "python", "hello.js": "js", "nearby.py": "python"}
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
}


class Examples(unittest.TestCase):
    def test_readme_shows_them(self):
        with open(os.path.join(TOP, "README.md"), encoding="utf-8") as readme:
            blocks = re.findall(r"```(c|python|js)\n(.*?)```", readme.read(), re.DOTALL)
        for name, tag in SHOWN.items():
            with open(get_path(name), encoding="utf-8") as example:
                self.assertIn((tag, example.read()), blocks, name)

    def end(self, process):
        process.kill()
        process.stdout.close()
        process.wait()

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
            # All that run see what the newest wrote; the test's own timeout ends a wait in vain.
            for one in running:
                while one.stdout.readline().strip() != "greeting = hello from " + language:
                    self.assertIsNone(one.poll())

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
