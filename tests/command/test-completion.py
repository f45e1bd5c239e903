"""What the shells complete, and whether the manual page has what the command has.

test-completion.py GKV DATA [TEST...]    where GKV is the program and DATA the folder of the completions

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import os
import re
import shutil
import subprocess
import sys
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gkv  # noqa: E402

PATIENCE = 60

COMMANDS = "bench flush get list peers remove set shell stats status watch".split()

BASH = """
source "$1/completions/gkv.bash"
COMP_LINE=$2 COMP_POINT=${#2}
_gkv
printf '%s\\n' "${COMPREPLY[@]}"
"""

# Without the line editor, compadd is one's own.
ZSH = """
compadd () { shift; local word; for word; do [[ $word == ${words[CURRENT]}* ]] && print -r -- $word; done; true }
words=(${(z)2})
[[ $2 != *' ' ]] || words+=('')
CURRENT=${#words}
source "$1/completions/_gkv" || true
"""

program = data = ""


def run(*arguments, **options):
    return subprocess.run(arguments, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True, **options).stdout


class Completion(unittest.TestCase):
    def setUp(self):
        self.node = Gkv.Node(bind_address="127.0.0.1:0")
        self.node.start()
        self.node.update({"a/1": 1, "a/2": 2, "b:c:1": 3, "b:c:2": 4})
        self.env = os.environ | {
            "PATH": os.path.dirname(program) + ":" + os.environ["PATH"],
            "GKV_SEEDS": self.node.get_local_address(),
            "XDG_CONFIG_HOME": "/nonexistent",
        }

    def tearDown(self):
        self.node.close()

    def complete(self, line):
        return run(*self.shell, self.script, "shell", data, line, env=self.env).split()

    def check(self):
        self.assertEqual(sorted(self.complete("gkv ")), COMMANDS)
        self.assertEqual(sorted(self.complete("gkv st")), ["stats", "status"])
        self.assertEqual(self.complete("gkv set --ep"), ["--ephemeral"])
        self.assertIn("--seed", self.complete("gkv get a --"))
        self.assertEqual(self.complete("gkv get a"), ["a/1", "a/2"])
        self.assertEqual(self.complete("gkv get a/1 "), [])
        self.assertEqual(self.complete("gkv remove a/1 a"), ["a/1", "a/2"])
        self.assertEqual(self.complete("gkv set a/1 "), [])
        self.assertEqual(self.complete("gkv peers "), [])
        self.assertEqual(self.complete("gkv get --timeout "), [])
        # Where the cluster is counts also on the line.
        address = self.env.pop("GKV_SEEDS")
        self.assertEqual(self.complete("gkv get a"), [])
        self.assertEqual(self.complete(f"gkv --seed {address} get a"), ["a/1", "a/2"])
        self.assertEqual(self.complete(f"gkv get --seed {address} a"), ["a/1", "a/2"])


@unittest.skipUnless(shutil.which("bash"), "needs bash")
class Bash(Completion):
    shell, script = ["bash", "-c"], BASH

    def test_bash(self):
        # It completes what is behind the last colon, as a colon ends a word.
        self.assertEqual(self.complete("gkv get b:c:"), ["1", "2"])
        self.check()


@unittest.skipUnless(shutil.which("zsh"), "needs zsh")
class Zsh(Completion):
    shell, script = ["zsh", "-f", "-c"], ZSH

    def test_zsh(self):
        self.assertEqual(self.complete("gkv get b:c:"), ["b:c:1", "b:c:2"])
        self.check()


class ManualPage(unittest.TestCase):
    def read(self):
        with open(f"{data}/gkv.1", encoding="utf-8") as file:
            return file.read()

    def test_is_whole(self):
        page = re.sub(r"\\f[BIR]", "", self.read()).replace("\\-", "-")
        for command in COMMANDS:
            self.assertRegex(page, rf"(?m)^(\.B )?{command}\b")
            for option in re.findall(r"(?m)^  (?:-., )?(--[a-z-]+)", run(program, command, "--help")):
                self.assertIn(option, page, command)

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_has_no_mistakes(self):
        # A sanitizer that is preloaded for our own programs would judge groff.
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z", f"{data}/gkv.1"], capture_output=True, text=True,
                              env=environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    program, data = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()
