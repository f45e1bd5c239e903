"""Whole nodes on machines whose network is not as it should be.

No packet leaves the machine, and nothing is judged by how long it took.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import re
import subprocess
import time
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gkv  # noqa: E402

from machines import Machines, PATIENCE, main, run  # noqa: E402


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
        stats = node.get_stats()
        self.assertEqual(stats["send-errors-no-network"] + stats["send-errors-no-route"], stats["send-errors"])

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


main()
