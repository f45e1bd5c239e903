"""The command gkv as scripts and people use it, on the loopback only.

test-command.py GKV [TEST...]    where GKV is the program

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, Gkv  # noqa: E402

PATIENCE = 60
# An address where nobody is: the port of "discard".
NOWHERE = "127.0.0.1:9"

program = ""


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(self, arguments, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(program, [program, *arguments], env | {"TERM": "xterm"})
        self.text = ""

    def read(self):
        """Reads what comes within a moment; False at the end."""
        if not select.select([self.fd], [], [], 0.1)[0]:
            return True
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            piece = b""
        self.text += piece.decode("utf-8", "replace")
        return bool(piece)

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.text:
            if time.monotonic() > deadline or not self.read():
                raise AssertionError(f"{text!r} is not in {self.text!r}")

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        """Its exit code, after it has ended by itself."""
        while self.read():
            pass
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class Test(unittest.TestCase):
    def setUp(self):
        self.node = Gkv.Node(node_id="holder", bind_address="127.0.0.1:0")
        self.node.start()
        self.address = self.node.get_local_address()
        self.home = tempfile.TemporaryDirectory()
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("GKV_")}
        self.env |= {
            "GKV_MODULE_PATH": os.environ["GKV_MODULE_PATH"],
            "XDG_CONFIG_HOME": self.home.name,
            "LC_ALL": "C.UTF-8",
        }
        self.env_alone = dict(self.env)
        self.env["GKV_SEEDS"] = self.address

    def tearDown(self):
        try:
            self.node.close()
        except GLib.Error as error:
            # The last write has nobody where the command has left already.
            self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT), error)
        self.home.cleanup()

    def run_gkv(self, *arguments, code=0, env=None, **options):
        options = {"text": True, "env": env or self.env, "capture_output": True, "timeout": PATIENCE} | options
        done = subprocess.run([program, *arguments], **options)
        self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
        if code:
            self.assertNotEqual((done.stdout, done.stderr), ("", ""), "It says nothing of why")
        return done

    def start_gkv(self, *arguments):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([program, *arguments], env=self.env, **pipes)

    def end(self, process, signal_number=signal.SIGINT, code=0):
        process.send_signal(signal_number)
        output, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, errors), (code, ""), output)
        return output

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    # What is wrong with a line

    def test_usage(self):
        self.assertIn("--seed", self.run_gkv("get", "a", code=2, env=self.env_alone).stderr)
        self.assertIn("--cluster", self.run_gkv("--discover", "mdns", "get", "a", code=2, env=self.env_alone).stderr)
        for line in "", "frobnicate", "get", "get a b", "set a", "--nonsense", "get --nonsense a", "get a --timeout 1s", \
                "get a --timeout -1", "set a b --type nonsense", "set a b --type x", "set a b --ttl -1", \
                "get a --codec nonsense", "get a --discover nonsense --cluster c", "get a --bind nonsense":
            with self.subTest(line):
                self.run_gkv(*line.split(), code=2)

    def test_help(self):
        overview = self.run_gkv("--help", env=self.env_alone).stdout
        self.assertIn("gkv --seed 192.0.2.1:7000 set colour blue", overview)
        commands = [line.split()[0] for line in overview.split("Commands:\n")[1].split("\n\n")[0].split("\n")]
        self.assertIn("watch", commands)
        for command in commands:
            text = self.run_gkv(command, "--help", env=self.env_alone).stdout
            self.assertIn(f"gkv {command}", text)
            self.assertIn("--seed", text)
            self.assertIn("Exit codes", text)
        self.assertRegex(self.run_gkv("--version", env=self.env_alone).stdout, r"^gkv \d+\.\d+\.\d+\n$")

    def test_nobody(self):
        done = self.run_gkv("--seed", NOWHERE, "--timeout", "0.3", "get", "a", code=4, env=self.env_alone)
        self.assertIn(NOWHERE, done.stderr)

    # One key

    def test_types(self):
        for text, kind in ("blue", str), ("", str), ("grün", str), ("00123", str), ("1.10", str), \
                ("12345678901234567890", str), ("true", bool), ("42", int), ("-5", int), ("1.5", float), ("0.1", float), \
                ("[1, 2]", list):
            with self.subTest(text):
                shown = self.run_gkv("set", f"key/{text}", text).stdout
                self.assertRegex(shown, r" \(\w+\)\n$")
                self.assertIs(type(self.node[f"key/{text}"]), kind)
                self.assertEqual(self.run_gkv("get", f"key/{text}").stdout, text + "\n")

    def test_keeps_type(self):
        self.node["flag"] = "true"
        self.assertEqual(self.run_gkv("set", "flag", "42").stdout, "flag = '42' (s)\n")
        self.node["number"] = 1
        self.assertEqual(self.run_gkv("set", "number", "2").stdout, "number = 2 (x)\n")
        self.assertEqual(self.run_gkv("set", "number", "-s", "2").stdout, "number = '2' (s)\n")
        self.assertEqual(self.run_gkv("set", "number", "2", "--type", "u").stdout, "number = 2 (u)\n")

    def test_bytes(self):
        content = bytes(range(256)) * 10
        self.run_gkv("set", "photo", "-", input=content, text=False)
        self.assertEqual(bytes(self.node["photo"]), content)
        self.assertEqual(self.run_gkv("get", "photo", "--raw", text=False).stdout, content)
        self.run_gkv("set", "-s", "words", "-", input="two\nlines\n")
        self.assertEqual(self.run_gkv("get", "--raw", "words").stdout, "two\nlines\n")
        self.run_gkv("set", "number", "1")
        self.run_gkv("get", "--raw", "number", code=1)

    def test_create(self):
        self.run_gkv("set", "lock", "me", "--create", "--ttl", "1000")
        self.assertIsNotNone(self.node.get_entry("lock").get_expires())
        self.run_gkv("set", "lock", "you", "--create", code=1)
        self.assertEqual(self.node["lock"], "me")

    def test_remove(self):
        self.node["a"] = self.node["b"] = 1
        self.run_gkv("remove", "a", "b", "none", code=3)
        self.assertEqual(list(self.node), [])
        self.run_gkv("get", "a", code=3)
        self.run_gkv("remove", "a", code=3)

    def test_ephemeral(self):
        process = self.start_gkv("set", "--ephemeral", "online/me", "yes")
        self.assertEqual(process.stdout.readline(), "online/me = 'yes' (s)\n")
        self.assertTrue(self.node.get_entry("online/me").get_ephemeral())
        self.end(process)
        self.wait_until(lambda: "online/me" not in self.node)

    # Many

    def test_list(self):
        self.node.update({"a/1": "x", "a/2": 2, "b": b"bytes"})
        self.assertEqual(self.run_gkv("list", "a/").stdout, "a/1 = 'x'\na/2 = 2\n")
        self.assertEqual(self.run_gkv("list", "--keys").stdout, "a/1\na/2\nb\n")
        self.assertIn("written by holder", self.run_gkv("list", "--long").stdout)
        entries = [json.loads(line) for line in self.run_gkv("list", "--json").stdout.splitlines()]
        self.assertEqual([entry["key"] for entry in entries], ["a/1", "a/2", "b"])
        self.assertEqual([entry["value"] for entry in entries[:2]], ["x", 2])
        self.assertEqual({entry["origin"] for entry in entries}, {"holder"})

    def test_unfit_for_json(self):
        self.node["big"] = GLib.Variant("t", 2 ** 64 - 1)
        entry = json.loads(self.run_gkv("get", "big", "--json").stdout)
        self.assertEqual((entry["value"], entry["type"]), (str(2 ** 64 - 1), "t"))

    def test_other_codec(self):
        self.run_gkv("--codec", "json", "set", "a", "1")
        self.assertIn("json", self.run_gkv("list").stdout)
        self.run_gkv("get", "a", code=1)
        self.assertEqual(self.run_gkv("--codec", "json", "get", "a").stdout, "1\n")

    def test_many(self):
        self.node.update({f"key/{i}": "x" * 100 for i in range(20000)})
        self.assertEqual(len(self.run_gkv("list", "--keys").stdout.splitlines()), 20000)

    # Watching

    def test_watch(self):
        self.node["a"] = "before"
        process = self.start_gkv("watch")
        self.assertEqual(process.stdout.readline(), "a = 'before'\n")
        self.node["b"] = 1
        self.assertEqual(process.stdout.readline(), "b = 1\n")
        del self.node["b"]
        self.assertEqual(process.stdout.readline(), "b removed\n")
        self.end(process)

    def test_watch_json(self):
        self.node["a"] = "before"
        process = self.start_gkv("watch", "--json", "--only-changes", "b")
        # It says nothing when it begins to watch.
        number = 0
        while not select.select([process.stdout], [], [], 0.1)[0]:
            self.node["b"] = number = number + 1
        entry = json.loads(process.stdout.readline())
        self.assertEqual((entry["key"], entry["origin"], entry["type"]), ("b", "holder", "x"))
        del self.node["b"]
        while entry["value"] is not None:
            entry = json.loads(process.stdout.readline())
        self.assertEqual(entry, {"key": "b", "value": None, "origin": "holder"})
        self.end(process, signal.SIGTERM)

    def test_watch_closed_pipe(self):
        self.node["a"] = 1
        process = self.start_gkv("watch")
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(process.stderr.read(), "")
        process.stderr.close()

    def test_watch_on_terminal(self):
        self.node["colour"] = "blue"
        self.node["evil\033]0;owned\a"] = "\033[2Jx"
        terminal = Terminal(["watch"], self.env)
        terminal.wait_for("'blue'")
        self.node["colour"] = "green"
        terminal.wait_for("'green'")
        self.assertNotIn("\033]0", terminal.text)
        self.assertNotIn("\033[2J", terminal.text)
        terminal.type("\003")
        self.assertEqual(terminal.wait(), 0)
        self.assertIn("\033[?1049l", terminal.text)

    def test_terminal_is_safe(self):
        self.node["evil\033[2J"] = "\033[2Jx"
        for line in ["list"], ["list", "--long"], ["list", "--keys"], ["get", "evil\033[2J"]:
            terminal = Terminal(line, self.env)
            self.assertEqual(terminal.wait(), 0)
            self.assertNotIn("\033[2J", terminal.text)
            self.assertIn("\\u001b", terminal.text)

    # The cluster

    def test_peers(self):
        self.assertRegex(self.run_gkv("peers").stdout, rf"^holder +{self.address} +alive .*\n$")
        self.assertEqual(json.loads(self.run_gkv("peers", "--json").stdout)["node-id"], "holder")

    def test_status(self):
        self.node["a"] = 1
        text = self.run_gkv("status").stdout
        for line in "cluster  default\n", "peers    1\n", "keys     1\n", "synced   yes\n":
            self.assertIn(line, text)
        self.assertNotIn("wrong", text)
        self.assertEqual(json.loads(self.run_gkv("status", "--json").stdout)["wrong"], [])

    def test_status_of_another_cluster(self):
        text = self.run_gkv("--cluster", "other", "--timeout", "1", "status", code=4).stdout
        self.assertIn("another cluster", text)
        self.assertIn("synced   no\n", text)

    def test_flush(self):
        self.run_gkv("flush")
        self.assertEqual(json.loads(self.run_gkv("flush", "--json").stdout), {"confirmed": True})
        self.run_gkv("flush", "--peers", "2", "--timeout", "0.5", code=1)

    def test_stats(self):
        self.node["a"] = 1
        self.assertIn("of this command itself", self.run_gkv("stats").stdout)
        self.assertEqual(json.loads(self.run_gkv("stats", "--json").stdout)["n-keys"], 1)

    # Staying

    def test_shell(self):
        script = "set a 1", "", "set -s 'b c' 'two words'", "get a", "list --json", "remove a", "flush", "quit", "get a"
        done = self.run_gkv("shell", input="\n".join(script))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:3], ["a = 1 (x)", "b c = 'two words' (s)", "1"])
        self.assertEqual([json.loads(line)["key"] for line in lines[3:]], ["a", "b c"])
        self.assertEqual(dict(self.node), {"b c": "two words"})

    def test_shell_goes_on(self):
        lines = "get none", "frobnicate", "set a", "set a -", "'", "get a --seed 127.0.0.1:9", "shell", "set --ttl 5 a 1"
        done = self.run_gkv("shell", input="\n".join(lines), code=2)
        self.assertEqual(done.stdout, "a = 1 (x)\n")
        self.assertEqual(len(done.stderr.splitlines()), len(lines) - 1)
        self.assertIn("--ttl", self.run_gkv("shell", input="help set\n").stdout)
        self.assertIn("quit", self.run_gkv("shell", input="help\n").stdout)

    def test_shell_on_terminal(self):
        terminal = Terminal(["shell"], self.env)
        terminal.wait_for("gkv> ")
        terminal.type("set a 1\n")
        terminal.wait_for("a = 1 (x)")
        terminal.type("watch\n")
        terminal.wait_for("KEY")
        terminal.type("\003")
        terminal.wait_for("\033[?1049l")
        terminal.type("get a\n")
        terminal.wait_for("\r\n1\r\n")
        terminal.type("\004")
        self.assertEqual(terminal.wait(), 0)

    def test_bench(self):
        self.assertIn("held by all", self.run_gkv("bench", "--keys", "50").stdout)
        self.assertEqual(json.loads(self.run_gkv("bench", "--keys", "50", "--size", "10", "--json").stdout)["keys"], 50)
        self.wait_until(lambda: len(self.node) == 0)
        self.run_gkv("bench", "--keys", "-1", code=2)

    # Where options come from

    def test_config(self):
        os.mkdir(f"{self.home.name}/gkv")
        with open(f"{self.home.name}/gkv/config", "w") as file:
            file.write(f"[gkv]\nseeds={NOWHERE}, {self.address}\n")
        self.node["a"] = 1
        self.assertEqual(self.run_gkv("get", "a", env=self.env_alone).stdout, "1\n")
        # What is nearer counts: the line, then the environment, then the file.
        self.run_gkv("get", "a", "--timeout", "0.3", code=4, env=self.env_alone | {"GKV_SEEDS": NOWHERE})
        self.run_gkv("get", "a", "--seed", self.address, env=self.env_alone | {"GKV_SEEDS": NOWHERE})
        self.run_gkv("get", "a", "--timeout", "0.3", code=4, env=self.env_alone | {"GKV_CLUSTER": "other"})
        with open(f"{self.home.name}/gkv/config", "w") as file:
            file.write("nonsense\n")
        self.run_gkv("get", "a", code=2)


if __name__ == "__main__":
    program = sys.argv.pop(1)
    unittest.main()
