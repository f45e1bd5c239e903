"""Whole nodes of which not each reaches each: chains, hubs, and hosts with nothing but link-local addresses.

No packet leaves the machine, and nothing is judged by how long it took; but that nobody is held dead shows only after
a while.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import json
import subprocess
import time

from machines import Machines, main, run

# Longer than a suspicion lasts: whoever is wrongly held dead is so by then, and its leases are gone.
A_WHILE = 12


def join(one, other, net):
    """A cable between two machines, with the addresses 10.9.NET.1 and 10.9.NET.2."""
    names = f"gkv{net}a", f"gkv{net}b"
    run(*one, "ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1], "netns", other[2])
    for i, machine in enumerate((one, other)):
        run(*machine, "ip", "link", "set", "lo", "up")
        run(*machine, "ip", "address", "add", f"10.9.{net}.{i + 1}/24", "dev", names[i])
        run(*machine, "ip", "link", "set", names[i], "up")


class Reach(Machines):
    def lease(self, nodes):
        """Each has a lease, which all are shown."""
        for i, node in enumerate(nodes):
            node.tell(f"lease lease-{i} x")
        for node in nodes:
            for i, other in enumerate(nodes):
                if other is not node:
                    node.wait(f"^changed lease-{i} x")

    def assert_all_stay(self, nodes):
        time.sleep(A_WHILE)
        for node in nodes:
            self.assertEqual(node.find("^changed lease-.* None"), [])

    def assert_all_reach_all(self, nodes):
        for i, node in enumerate(nodes):
            node.tell(f"set from-{i} x")
            for other in nodes:
                if other is not node:
                    other.wait(f"^changed from-{i} x")
        for node in nodes:
            node.tell("flush 0")
        for node in nodes:
            node.wait("^flushed")

    def test_chain(self):
        """Each reaches those next to it only."""
        machines = [self.add_machine() for _i in range(4)]
        nodes = []
        for i, machine in enumerate(machines):
            if i > 0:
                join(machines[i - 1], machine, i)
            nodes.append(self.start(machine, bind_address="0.0.0.0:7000", seeds=[f"10.9.{i}.1:7000"] if i > 0 else []))
        self.lease(nodes)
        self.assert_all_stay(nodes)
        self.assert_all_reach_all(nodes)

    def test_hub(self):
        """All reach the first, and no others. One of them that ends is gone for all, the others aren't."""
        hub = self.add_machine()
        nodes = [self.start(hub, bind_address="0.0.0.0:7000")]
        for i in range(1, 6):
            machine = self.add_machine()
            join(hub, machine, i)
            nodes.append(self.start(machine, bind_address="0.0.0.0:7000", seeds=[f"10.9.{i}.1:7000"]))
        self.lease(nodes)
        self.assert_all_stay(nodes)
        self.assert_all_reach_all(nodes)

        nodes[5].popen.kill()
        for node in nodes[:5]:
            node.wait("^changed lease-5 None")
            self.assertEqual(len(node.find("^changed lease-.* None")), 1, node.lines)

    def test_link_local(self):
        """Three hosts that know each other by link-local addresses of interfaces with different numbers."""
        switch = self.add_machine()
        run(*switch, "ip", "link", "add", "gkvbr", "type", "bridge")
        run(*switch, "ip", "link", "set", "gkvbr", "up")
        machines, addresses = [], []
        for i in range(3):
            machine = self.add_machine()
            # Numbers are never given again.
            for _n in range(2 * i):
                run(*machine, "ip", "link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
                run(*machine, "ip", "link", "delete", "spare0")
            run(*switch, "ip", "link", "add", f"port{i}", "type", "veth", "peer", "name", f"gkv{i}", "netns", machine[2])
            run(*switch, "ip", "link", "set", f"port{i}", "master", "gkvbr", "up")
            run(*machine, "ip", "link", "set", "lo", "up")
            run(*machine, "sh", "-c", f"echo 0 >/proc/sys/net/ipv6/conf/gkv{i}/accept_dad")
            run(*machine, "ip", "link", "set", f"gkv{i}", "up")
            machines.append(machine)
        for i, machine in enumerate(machines):
            addresses.append(self.get_link_local(machine, f"gkv{i}"))

        nodes = [self.start(machine, bind_address="[::]:7000", seeds=[f"[{addresses[0]}%gkv{i}]:7000"] if i > 0 else [])
                 for i, machine in enumerate(machines)]
        self.lease(nodes)
        nodes[0].popen.kill()
        for node in nodes[1:]:
            node.wait("^changed lease-0 None")
        time.sleep(A_WHILE)
        for node in nodes[1:]:
            self.assertEqual(len(node.find("^changed lease-.* None")), 1, node.lines)
        self.assert_all_reach_all(nodes[1:])

    def get_link_local(self, machine, name):
        while True:
            shown = subprocess.run([*machine, "ip", "-6", "-json", "address", "show", "dev", name], check=True,
                                   stdout=subprocess.PIPE, text=True).stdout
            found = [info for interface in json.loads(shown or "[]") for info in interface.get("addr_info", [])
                     if info.get("scope") == "link" and not info.get("tentative")]
            if found:
                return found[0]["local"]
            time.sleep(0.1)


main()
