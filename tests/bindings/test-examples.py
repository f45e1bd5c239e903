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
EXAMPLES = {
    "C": ("c", "hello.c", [HELLO]),
    "Python": ("python", "hello.py", [sys.executable, os.path.join(TOP, "examples/hello.py")]),
    "JavaScript": ("js", "hello.js", ["gjs", os.path.join(TOP, "examples/hello.js")]),
}


class Examples(unittest.TestCase):
    def test_readme_shows_them(self):
        with open(os.path.join(TOP, "README.md"), encoding="utf-8") as readme:
            blocks = dict(re.findall(r"```(c|python|js)\n(.*?)```", readme.read(), re.DOTALL))
        for tag, name, _command in EXAMPLES.values():
            with open(os.path.join(TOP, "examples", name), encoding="utf-8") as example:
                self.assertEqual(blocks[tag], example.read(), name)

    def test_they_run(self):
        running = []
        try:
            address = None
            for language, (_tag, _name, command) in EXAMPLES.items():
                process = subprocess.Popen(
                    command + ([address] if address else []), stdout=subprocess.PIPE, text=True)
                running.append(process)
                first = process.stdout.readline()
                self.assertRegex(first, "^listening at 127.0.0.1:")
                address = address or first.split()[-1]
                # All that run see what the newest wrote; the test's own timeout ends a wait in vain.
                for one in running:
                    while one.stdout.readline().strip() != "greeting = hello from " + language:
                        self.assertIsNone(one.poll())
        finally:
            for process in running:
                process.kill()
                process.stdout.close()
                process.wait()


del sys.argv[1:]
unittest.main(verbosity=2)
