"""Machines, each a network namespace, and whole nodes on them: what tests of networks are made of.

A test is run as TEST IN-NAMESPACE, below the in-namespace of the tests of discovery. As TEST --node OPTIONS it is a node,
which prints what happens to it, and does what it is told, a line each.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, Gkv  # noqa: E402

PATIENCE = 60

# What a machine is called, and is told in its hosts file: as Debian's installer does it.
HOSTS = "127.0.0.1 localhost\n127.0.1.1 debian\n"


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def be_node(options):
    node = Gkv.Node(**options)
    node.connect("error", lambda _node, error: say(f"error {error.message}"))
    node.connect("changed", lambda _node, key, value, _origin: say(f"changed {key} {value.unpack() if value is not None else None}"))
    loop = GLib.MainLoop()

    def on_waited(_node, result):
        try:
            node.wait_synced_finish(result)
            say("synced")
        except GLib.Error as error:
            say(f"waited {error.message}")

    def on_flushed(_node, result):
        try:
            node.flush_finish(result)
            say("flushed")
        except GLib.Error as error:
            say(f"not flushed {error.message}")

    def on_line(stream, result):
        line, _length = stream.read_line_finish_utf8(result)
        words = line.split() if line is not None else ["quit"]
        if words[0] == "quit":
            loop.quit()
            return
        if words[0] == "set":
            node[words[1]] = words[2]
        elif words[0] == "lease":
            node.set(words[1], words[2], ephemeral=True)
        elif words[0] == "flush":
            node.flush_async(int(words[1]), 0, None, on_flushed)
        elif words[0] == "wait":
            node.wait_synced_async(int(words[1]), None, on_waited)
        elif words[0] == "stats":
            say("stats " + json.dumps(dict(node.get_stats())))
        stream.read_line_async(GLib.PRIORITY_DEFAULT, None, on_line)

    def on_started(_node, result):
        try:
            node.start_finish(result)
        except GLib.Error as error:
            say(f"refused {error.message}")
            loop.quit()
            return
        say(f"started {node.get_local_address()}")

    node.start_async(None, on_started)
    stream = Gio.DataInputStream.new(Gio.UnixInputStream.new(0, False))
    stream.read_line_async(GLib.PRIORITY_DEFAULT, None, on_line)
    loop.run()


class Process:
    """A node on a machine."""

    def __init__(self, machine, options):
        self.lines = []
        self.changed = threading.Condition()
        self.popen = subprocess.Popen([*machine, sys.executable, sys.argv[0], "--node", json.dumps(options)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.popen.stdout:
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify_all()

    def find(self, pattern):
        return [line for line in self.lines if re.search(pattern, line)]

    def wait(self, pattern, times=1):
        """Gives the last line that matches, when there are so many."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.find(pattern)) >= times, PATIENCE):
                raise AssertionError(f"no '{pattern}' (times {times}) in {self.lines}")
            return self.find(pattern)[-1]

    def tell(self, line):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def get_stats(self):
        n = len(self.find("^stats "))
        self.tell("stats")
        return json.loads(self.wait("^stats ", n + 1).split(" ", 1)[1])

    def end(self):
        self.popen.stdin.close()
        try:
            self.popen.wait(PATIENCE)
        finally:
            self.popen.kill()
            self.reader.join()
            self.popen.stdout.close()


def run(*command):
    subprocess.run(command, check=True)


class Machines(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gkv-networks-")
        self.addCleanup(self.folder.cleanup)

    def add_machine(self):
        """Gives what runs a command on a machine of its own, without any network that is up."""
        process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo here; exec sleep 10000"], stdout=subprocess.PIPE,
                                   text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        if process.stdout.readline() != "here\n":
            self.skipTest("a second machine can't be had here")
        machine = ["nsenter", "-t", str(process.pid), "-n"]
        if subprocess.run([*machine, "true"], check=False).returncode != 0:
            self.skipTest("a second machine can't be entered here")
        return machine

    def add_pair(self):
        """Gives two machines that a cable joins: 10.9.0.1 and 10.9.0.2."""
        machines = self.add_machine(), self.add_machine()
        run(*machines[0], "ip", "link", "add", "gkv0", "type", "veth", "peer", "name", "gkv1", "netns", machines[1][2])
        for i, machine in enumerate(machines):
            run(*machine, "ip", "link", "set", "lo", "up")
            run(*machine, "ip", "address", "add", f"10.9.0.{i + 1}/24", "dev", f"gkv{i}")
            run(*machine, "ip", "link", "set", f"gkv{i}", "up")
            run(*machine, "ip", "route", "add", "224.0.0.0/4", "dev", f"gkv{i}")
        return machines

    def with_hosts(self, machine):
        """The machine with a hosts file of its own, seen by what is run there only."""
        path = os.path.join(self.folder.name, "hosts")
        with open(path, "w", encoding="utf-8") as file:
            file.write(HOSTS)
        with_hosts = [*machine, "unshare", "--mount", "--propagation", "private", "sh", "-c",
                      "mount --bind \"$0\" /etc/hosts && exec \"$@\"", path]
        if subprocess.run([*with_hosts, "true"], check=False).returncode != 0:
            self.skipTest("a hosts file of one's own can't be mounted here")
        return with_hosts

    def start(self, machine, started=True, **options):
        options.setdefault("bind_address", "127.0.0.1:0")
        options.setdefault("gossip_interval", 100)
        process = Process(machine, options)
        self.addCleanup(process.end)
        if started:
            process.address = process.wait("^started ").split()[1]
        return process

    def assert_meet(self, one, other, name=""):
        one.tell(f"set of-one{name} x")
        other.tell(f"set of-other{name} x")
        one.wait(f"^changed of-other{name} x")
        other.wait(f"^changed of-one{name} x")


def main():
    if sys.argv[1:2] == ["--node"]:
        be_node(json.loads(sys.argv[2]))
        return

    in_namespace = sys.argv.pop(1)
    if "GKV_TEST_INSIDE" not in os.environ:
        check = subprocess.run([in_namespace, "--check"], stderr=subprocess.PIPE, text=True, check=False)
        if check.returncode != 0:
            print(check.stderr.strip())
            sys.exit(77)
        os.environ["GKV_TEST_INSIDE"] = "1"
        os.execv(in_namespace, [in_namespace, sys.executable, sys.argv[0], in_namespace, *sys.argv[1:]])
    unittest.main(verbosity=2)
