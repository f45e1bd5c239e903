"""Whole nodes on machines whose network is not as it should be, each machine a network namespace.

test-networks.py IN-NAMESPACE            runs the test, below the in-namespace of the tests of discovery
test-networks.py --node OPTIONS          is a node: prints what happens to it, and does what it is told, a line each

No packet leaves the machine, and nothing is judged by how long it took.

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
    node.connect("changed", lambda _node, key, value, _origin: say(f"changed {key} {value.unpack()}"))
    loop = GLib.MainLoop()

    def on_waited(_node, result):
        try:
            node.wait_synced_finish(result)
            say("synced")
        except GLib.Error as error:
            say(f"waited {error.message}")

    def on_line(stream, result):
        line, _length = stream.read_line_finish_utf8(result)
        words = line.split() if line is not None else ["quit"]
        if words[0] == "quit":
            loop.quit()
            return
        if words[0] == "set":
            node[words[1]] = words[2]
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
        self.popen = subprocess.Popen([*machine, sys.executable, __file__, "--node", json.dumps(options)],
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


class NoNetwork(Machines):
    def wait_for_send_errors(self, node, n):
        end = time.monotonic() + PATIENCE
        while node.get_stats()["send-errors"] < n:
            self.assertLess(time.monotonic(), end, "what could not be sent is not counted")
            time.sleep(0.01)

    def assert_told_once(self, node, address):
        node.wait(f"^error .*{re.escape(address)} could not be sent")
        self.wait_for_send_errors(node, 4)
        self.assertEqual(len(node.find("^error ")), 1, node.lines)

    def test_without(self):
        """Nothing is up, or loopback only."""
        for lo_is_up in False, True:
            for threaded in True, False:
                for bind, seed in ("0.0.0.0:0", "192.0.2.1:7000"), ("[::]:0", "[2001:db8::1]:7000"):
                    with self.subTest(lo_is_up=lo_is_up, threaded=threaded, seed=seed):
                        machine = self.add_machine()
                        if lo_is_up:
                            run(*machine, "ip", "link", "set", "lo", "up")
                        node = self.start(machine, bind_address=bind, seeds=[seed], network_thread=threaded)
                        self.assert_told_once(node, seed)
                        node.tell("wait 100")
                        self.assertIn(seed, node.wait("^waited "))

    def test_comes_and_goes(self):
        """A network that comes is used; while it is away that is told, and peers meet when it is back."""
        one, other = self.add_pair()
        run(*one, "ip", "link", "set", "gkv0", "down")
        node = self.start(one, bind_address="0.0.0.0:0", seeds=["10.9.0.2:7000"])
        self.assert_told_once(node, "10.9.0.2:7000")
        peer = self.start(other, bind_address="10.9.0.2:7000")
        run(*one, "ip", "link", "set", "gkv0", "up")
        self.assert_meet(node, peer)
        sent = node.get_stats()["send-errors"]
        run(*one, "ip", "link", "set", "gkv0", "down")
        node.tell("set while-away x")
        self.wait_for_send_errors(node, sent + 1)
        run(*one, "ip", "link", "set", "gkv0", "up")
        peer.wait("^changed while-away x")
        self.assert_meet(node, peer, "-again")


class Seeds(Machines):
    def test_what_is_there(self):
        """What waiting for the cluster says of seeds where something else is."""
        machine = self.add_machine()
        run(*machine, "ip", "link", "set", "lo", "up")
        other = self.start(machine, cluster="other")
        clone = self.start(machine, node_id="same")
        address = "127.0.0.9:7000"
        node = self.start(machine, node_id="same", bind_address=address,
                          seeds=[other.address, clone.address, "127.0.0.1:9", address, "nowhere.invalid:7000"])
        node.wait(f"^error .*{re.escape(other.address)}.*cluster")
        node.wait(f"^error .*{re.escape(clone.address)}")
        clone.wait(f"^error .*{re.escape(address)}")
        node.tell("wait 1000")
        told = node.wait("^waited ")
        self.assertIn(f"{other.address} (a node of another cluster is there)", told)
        self.assertIn(f"{clone.address} (a node with the id of this one is there)", told)
        self.assertRegex(told, r"127\.0\.0\.1:9(,|$)")
        self.assertIn("nowhere.invalid:7000 (can't be resolved)", told)
        self.assertNotIn(f"{address} (", told.replace("that is this node", ""))

    def test_own(self):
        """A node whose only seed is itself is told so."""
        machine = self.add_machine()
        run(*machine, "ip", "link", "set", "lo", "up")
        for address in "127.0.0.1:7000", "0.0.0.0:7001":
            seed = address.replace("0.0.0.0", "127.0.0.1")
            node = self.start(machine, bind_address=address, seeds=[seed])
            node.wait(f"^error .*{re.escape(seed)} is this node's own address")


class Addresses(Machines):
    def test_own_name(self):
        """The machine's own name is 127.0.1.1 in its hosts file. To bind to it is told, where it is done."""
        one, other = self.add_pair()
        node = self.start(self.with_hosts(one), bind_address="debian:7000", seeds=["10.9.0.2:7000"])
        self.assertTrue(node.address.startswith("127.0.1.1:"))
        node.wait("^error .*debian.*127\\.0\\.1\\.1")

        # Nor can it send to others.
        self.start(other, bind_address="10.9.0.2:7000")
        node.wait("^error .*10\\.9\\.0\\.2:7000")
        node.tell("wait 100")
        self.assertIn("10.9.0.2:7000", node.wait("^waited "))

    def test_own_name_is_advertised(self):
        """Whoever is told such an address says so, and uses the one that is seen."""
        one, other = self.add_pair()
        node = self.start(self.with_hosts(one), bind_address="0.0.0.0:7000", advertise_address="debian:7000",
                          seeds=["10.9.0.2:7000"])
        peer = self.start(other, bind_address="10.9.0.2:7000")
        self.assert_meet(node, peer)
        peer.wait("^error .*127\\.0\\.1\\.1:7000")

    def test_own_name_as_seed(self):
        """Where the seed's name means one's own machine, nobody answers."""
        one, _other = self.add_pair()
        node = self.start(self.with_hosts(one), bind_address="0.0.0.0:0", seeds=["debian:7000"])
        node.tell("wait 1000")
        self.assertIn("debian:7000", node.wait("^waited "))

    def test_v6only(self):
        """A host on which IPv6 sockets are for IPv6 only, unless they say otherwise."""
        machine = self.add_machine()
        run(*machine, "ip", "link", "set", "lo", "up")
        try:
            run(*machine, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/bindv6only")
        except subprocess.CalledProcessError:
            self.skipTest("net.ipv6.bindv6only can't be set here")
        peer = self.start(machine, bind_address="127.0.0.1:0")
        node = self.start(machine, bind_address="[::]:0", seeds=[peer.address])
        self.assert_meet(node, peer)
        # And the other way round: the IPv4 node knows the seed.
        port = node.address.rsplit(":", 1)[1]
        third = self.start(machine, bind_address="127.0.0.1:0", seeds=[f"127.0.0.1:{port}"])
        self.assert_meet(third, node, "-third")


@unittest.skipUnless("mdns" in Gkv.Discovery.list_names(), "needs the discovery by mDNS")
class Clones(Machines):
    """Nodes of one id that have only mDNS to meet."""

    def assert_told(self, nodes):
        for node in nodes:
            node.wait("^error .*same")
        for node, other in nodes, nodes[::-1]:
            port = other.address.rsplit(":", 1)[1]
            self.assertTrue(node.find(f"^error .*:{port}"), node.lines)
            node.tell("set own x")
            node.wait("^changed own x")

    def test_one_machine(self):
        self.assert_told([self.start([], node_id="same", cluster="c", discovery="mdns") for _i in range(2)])

    def test_two_machines(self):
        """A machine that was cloned: the same port, too."""
        machines = self.add_pair()
        self.assert_told([self.start(machine, node_id="same", cluster="c", discovery="mdns", bind_address="0.0.0.0:7000")
                          for machine in machines])


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
        os.execv(in_namespace, [in_namespace, sys.executable, __file__, in_namespace, *sys.argv[1:]])
    unittest.main(verbosity=2)


main()
