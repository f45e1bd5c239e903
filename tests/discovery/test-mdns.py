#!/usr/bin/python3
"""Real mDNS between processes, in network namespaces: "test-mdns.py SCENARIO PROGRAM", speaking TAP.

PROGRAM is the one made of discover.c, or of share.c for the scenario "nodes".

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import re
import subprocess

from avahi_stage import DAEMON, EMBEDDED, Stage
from stage import PATIENCE, main, need_ipv6, need_success


def embedded(stage):
    """No bus, no daemon: nodes of one cluster find each other, and no other."""
    need_ipv6()
    a = stage.discover("c", "a", "127.0.0.1:1001")
    b = stage.discover("c", "b", "127.0.0.1:1002", moved=True)
    c = stage.discover("c", "c", "[::1]:1003")
    other = stage.discover("other", "other", "127.0.0.1:1004")
    a.wait(r"^found b 127\.0\.0\.1:1002$")
    a.wait(r"^found c \[::1\]:1003$")
    b.wait(r"^found a 127\.0\.0\.1:1001$")
    b.wait(r"^found c \[::1\]:1003$")
    c.wait(r"^found a 127\.0\.0\.1:1001$")
    c.wait(r"^found b 127\.0\.0\.1:1002$")
    a.wait(EMBEDDED)
    yield "three nodes find each other"

    b.say("stop")
    a.wait("^lost b ")
    c.wait("^lost b ")
    yield "a node that stops is lost"

    b.say("start")
    a.wait("^found b ", 2)
    b.wait("^found a ", 2)
    yield "a node that starts again is found again"

    b.quit()
    a.wait("^lost b ", 2)
    yield "dropping the last reference withdraws"

    late = stage.discover("other", "late", "127.0.0.1:1005")
    late.wait("^found other ")
    other.wait("^found late ")
    for process in a, c:
        process.never("^found (other|late) ")
    for process in other, late:
        process.never("^found [abc] ")
    a.never("^failed|^found a ")
    c.never("^failed|^found c ")
    yield "clusters don't see each other"


def names(stage):
    """Node ids and clusters that are no DNS names."""
    cluster = "K" * 300
    ids = ["i" * 1000, "é=“.local” 日本", "é=“.local”"]
    processes = [stage.discover(cluster, node_id, f"127.0.0.1:{1001 + i}") for i, node_id in enumerate(ids)]
    stage.discover(cluster + "K", "stranger", "127.0.0.1:1010")
    for process in processes:
        for i, node_id in enumerate(ids):
            if process is not processes[i]:
                process.wait(f"^found {re.escape(node_id)} 127\\.0\\.0\\.1:{1001 + i}$")
        process.never("stranger")
    yield "long and odd names arrive whole"

    twins = [stage.discover("twins", "same", f"127.0.0.1:{1021 + i}") for i in range(2)]
    watcher = stage.discover("twins", "watcher", "127.0.0.1:1030")
    watcher.wait("^found same 127.0.0.1:1021$")
    watcher.wait("^found same 127.0.0.1:1022$")
    watcher.never("^lost")
    yield "two nodes of one id are both found by a third"

    for process, own, others in (twins[0], 1021, 1022), (twins[1], 1022, 1021):
        process.wait(f"^found same 127.0.0.1:{others}$")
        process.never(f"^found same 127.0.0.1:{own}$")
    yield "two nodes of one id find each other, and not themselves"

    for address in "inbox-of-b", "name.example:1001", "127.0.0.1:0", "127.0.0.1":
        refused = stage.start([stage.program, "mdns", "c", "x", address])
        refused.wait("^refused .*host:port")
    yield "an address that isn't host:port is refused"


def join_machine(stage):
    """A second machine, which is a namespace: what to run there with, and functions for "ip" and for a cable between both."""
    other = stage.start(["unshare", "-n", "sh", "-c", "echo here; exec sleep 10000"])
    other.wait("^here$")
    inside = ["nsenter", "-t", str(other.popen.pid), "-n"]
    need_success([*inside, "true"], "a second machine can't be entered here")

    def ip(*arguments, there=False):
        subprocess.run([*(inside if there else []), "ip", *arguments], check=True)

    def lay_cable(here, there, network):
        need_success(["ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", str(other.popen.pid)],
                     "two machines can't be joined here")
        ip("address", "add", f"{network}.1/24", "dev", here)
        ip("link", "set", here, "up")
        ip("address", "add", f"{network}.2/24", "dev", there, there=True)
        ip("link", "set", there, "up", there=True)

    ip("link", "set", "lo", "up", there=True)
    return inside, ip, lay_cable


def veth(stage):
    """Two machines, each a namespace, and a cable."""
    need_ipv6()
    inside, ip, lay_cable = join_machine(stage)
    lay_cable("gkv0", "gkv1", "10.9.0")

    a = stage.discover("c", "a", "0.0.0.0:1001")
    b = stage.discover("c", "b", "[::]:1002", inside=inside)
    local = stage.discover("c", "local", "127.0.0.1:1003", inside=inside)
    a.wait(r"^found b 10\.9\.0\.2:1002$")
    a.wait(r"^found b \[fe80:.*%\d+\]:1002$")
    b.wait(r"^found a 10\.9\.0\.1:1001$")
    b.wait(r"^found local 127\.0\.0\.1:1003$")
    local.wait(r"^found b 10\.9\.0\.2:1002$")
    yield "an unspecified host stands for the addresses that others reach"

    b.never(r"^found a .*(127\.|fe80)")
    a.never(r"^found b .*127\.")
    local.never(r"^found b .*(127\.|::1\])")
    a.never("^found local ")
    yield "only what is bound is announced, and only where it is"

    ip("address", "del", "10.9.0.2/24", "dev", "gkv1", there=True)
    ip("address", "add", "10.9.0.22/24", "dev", "gkv1", there=True)
    a.wait(r"^found b 10\.9\.0\.22:1002$")
    a.wait(r"^lost b 10\.9\.0\.2:1002$")
    yield "a change of addresses is followed"

    clones = [stage.discover("clones", "same", "0.0.0.0:1011"),
              stage.discover("clones", "same", "0.0.0.0:1011", inside=inside)]
    clones[0].wait(r"^found same 10\.9\.0\.22:1011$")
    clones[1].wait(r"^found same 10\.9\.0\.1:1011$")
    clones[0].never(r"^found same 10\.9\.0\.1:")
    clones[1].never(r"^found same 10\.9\.0\.22:")
    yield "two machines with one node id find each other"

    local.quit()
    a.quit()
    b.wait("^lost a ")
    yield "a node of another machine is lost"


def interfaces(stage):
    """Interfaces that come and go, below two nodes that are bound to all of their machines."""
    inside, ip, lay_cable = join_machine(stage)
    a = stage.discover("c", "a", "0.0.0.0:1001")
    beside = stage.discover("c", "beside", "0.0.0.0:1003")
    b = stage.discover("c", "b", "0.0.0.0:1002", inside=inside)
    a.wait(r"^found beside 127\.0\.0\.1:1003$")
    b.never("^found a ")
    yield "where there is no network, the machine is enough"

    lay_cable("gkv0", "gkv1", "10.9.1")
    a.wait(r"^found b 10\.9\.1\.2:1002$")
    b.wait(r"^found a 10\.9\.1\.1:1001$")
    a.wait(r"^found beside 10\.9\.1\.1:1003$")
    yield "an interface that comes is used"

    ip("link", "set", "gkv1", "down", there=True)
    b.wait(r"^lost a 10\.9\.1\.1:")
    ip("link", "set", "gkv1", "up", there=True)
    b.wait(r"^found a 10\.9\.1\.1:1001$", 2)
    yield "one that goes down and up again is used again"

    ip("link", "delete", "gkv0")
    a.wait(r"^lost b 10\.9\.1\.2:")
    b.wait(r"^lost a 10\.9\.1\.1:", 2)
    lay_cable("gkv2", "gkv3", "10.9.2")
    a.wait(r"^found b 10\.9\.2\.2:1002$")
    b.wait(r"^found a 10\.9\.2\.1:1001$")
    yield "another takes its place"

    lay_cable("gkv4", "gkv5", "10.9.3")
    a.wait(r"^found b 10\.9\.3\.2:1002$")
    b.wait(r"^found a 10\.9\.3\.1:1001$")
    ip("link", "delete", "gkv2")
    for line in "lost b 10.9.2.2:1002", "found b 10.9.3.2:1002":
        a.wait_last(line)
    for line in "lost a 10.9.2.1:1001", "found a 10.9.3.1:1001":
        b.wait_last(line)
    yield "of two, the one that goes is lost"

    for process in a, b, beside:
        process.never("^failed")
        process.quit()
    yield "nothing failed"


def daemon(stage):
    """The daemon is used while there is one."""
    bus = stage.bus()
    avahi = stage.avahi(disallow="yes")
    a = stage.discover("c", "a", "127.0.0.1:1001")
    b = stage.discover("c", "b", "127.0.0.1:1002", moved=True)
    other = stage.discover("other", "other", "127.0.0.1:1003")
    a.wait(r"^found b 127\.0\.0\.1:1002$")
    b.wait(r"^found a 127\.0\.0\.1:1001$")
    a.wait(DAEMON)
    a.never(EMBEDDED)
    b.never(EMBEDDED)
    yield "two nodes find each other through the daemon"

    b.say("stop")
    a.wait("^lost b ")
    b.say("start")
    a.wait("^found b ", 2)
    b.wait("^found a ", 2)
    yield "stopping and starting again is seen"

    avahi.kill()
    a.wait(EMBEDDED)
    b.wait(EMBEDDED)
    a.wait("^found b ", 3)
    b.wait("^found a ", 3)
    yield "when the daemon goes, they find each other without"

    stage.avahi()
    a.wait(DAEMON, 2)
    b.wait(DAEMON, 3)
    a.wait("^found b ", 4)
    b.wait("^found a ", 4)
    yield "when it comes back, through it again"

    bus.kill()
    a.wait(EMBEDDED, 2)
    b.wait(EMBEDDED, 2)
    a.wait("^found b ", 5)
    b.wait("^found a ", 5)
    yield "when the bus goes with all on it, without again"

    b.quit()
    a.wait("^lost b ", 5)
    for process in a, other:
        process.never("^failed")
    other.never("^found [ab] ")
    yield "nothing failed, and the clusters did not mix"


def nodes(stage):
    """Whole nodes, which know no address of each other."""
    a = stage.start([stage.program, "mdns", "c", "a", "127.0.0.1:0"])
    b = stage.start([stage.program, "mdns", "c", "b", "127.0.0.1:0"])
    other = stage.start([stage.program, "mdns", "other", "other", "127.0.0.1:0"])
    a.wait("^changed b hello from b$")
    b.wait("^changed a hello from a$")
    other.wait("^changed other hello from other$")
    yield "two nodes without seeds share their keys"

    a.never("^changed other |^error")
    b.never("^changed other |^error")
    other.never("^changed [ab] |^error")
    yield "clusters share nothing"

    for process in a, b, other:
        process.popen.stdin.close()
        assert process.popen.wait(PATIENCE) == 0, f"{process.name}: exit {process.popen.returncode}"
    yield "nodes close in peace"


def mixed(stage):
    """One node with a daemon, one without, on one machine."""
    stage.bus()
    stage.avahi()
    a = stage.discover("c", "a", "127.0.0.1:1001")
    b = stage.discover("c", "b", "127.0.0.1:1002", bus=False)
    a.wait(DAEMON)
    b.wait(EMBEDDED)
    a.wait(r"^found b 127\.0\.0\.1:1002$")
    b.wait(r"^found a 127\.0\.0\.1:1001$")
    yield "they find each other"

    b.quit()
    a.wait("^lost b ")
    b = stage.discover("c", "b", "127.0.0.1:1002", bus=False)
    b.wait("^found a ")
    a.quit()
    b.wait("^lost a ")
    b.never("^failed")
    yield "each sees the other go"


if __name__ == "__main__":
    main(Stage, {"embedded": embedded, "names": names, "veth": veth, "interfaces": interfaces, "daemon": daemon,
                 "mixed": mixed, "nodes": nodes})
