#!/usr/bin/python3
"""Real mDNS between processes, in network namespaces: "test-mdns.py SCENARIO PROGRAM", speaking TAP.

PROGRAM is the one made of discover.c, or of share.c for the scenario "nodes".

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import re
import subprocess

import stage as stages
from stage import PATIENCE, Skip, need, need_ipv6, need_success

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""

AVAHI_CONFIG = """[server]
host-name=daemon
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
disallow-other-stacks={disallow}
[publish]
publish-hinfo=no
publish-workstation=no
"""

EMBEDDED = "with Avahi inside this process"
DAEMON = "through the Avahi daemon"


class Stage(stages.Stage):
    """With nodes, a system bus, and the daemon."""

    def discover(self, cluster, node_id, address, bus=True, inside=(), moved=False):
        environment = {"G_MESSAGES_DEBUG": "Gkv"}
        if not bus:
            environment["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent/bus"
        process = self.start([*inside, self.program, "mdns", cluster, node_id, address, *(["moved"] if moved else [])], environment)
        process.wait("^started$")
        return process

    def bus(self):
        need("dbus-daemon")
        config = self.write("bus.conf", BUS_CONFIG.format(folder=self.folder))
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={self.folder}/bus"
        process = self.start(["dbus-daemon", "--nofork", "--print-address", f"--config-file={config}"])
        process.wait("^unix:")
        return process

    def avahi(self, disallow="no"):
        """The daemon, with a /run of its own, as it allows one on a machine."""
        need("avahi-daemon")
        if os.path.exists("/proc/self/uid_map"):
            with open("/proc/self/uid_map", encoding="ascii") as file:
                if file.read().split()[2] != "4294967295":
                    raise Skip("avahi-daemon runs for root only, as it changes owners")
        own_run = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /run && exec \"$@\"", "sh"]
        need_success([*own_run, "true"], "avahi-daemon needs a /run of its own, which can't be mounted here")
        config = self.write("avahi.conf", AVAHI_CONFIG.format(disallow=disallow))
        process = self.start([*own_run, "sh", "-c", "exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f \"$1\" 2>&1",
                              "sh", config])
        process.wait("Server startup complete")
        return process


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


def veth(stage):
    """Two machines, each a namespace, and a cable."""
    need_ipv6()
    other = stage.start(["unshare", "-n", "sh", "-c", "echo here; exec sleep 10000"])
    other.wait("^here$")
    inside = ["nsenter", "-t", str(other.popen.pid), "-n"]

    def ip(*arguments, there=False):
        subprocess.run([*(inside if there else []), "ip", *arguments], check=True)

    need_success([*inside, "true"], "a second machine can't be entered here")
    need_success(["ip", "link", "add", "gkv0", "type", "veth", "peer", "name", "gkv1", "netns", str(other.popen.pid)],
                 "two machines can't be joined here")
    ip("address", "add", "10.9.0.1/24", "dev", "gkv0")
    ip("link", "set", "gkv0", "up")
    ip("address", "add", "10.9.0.2/24", "dev", "gkv1", there=True)
    ip("link", "set", "gkv1", "up", there=True)
    ip("link", "set", "lo", "up", there=True)

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
    stages.main(Stage, {"embedded": embedded, "names": names, "veth": veth, "daemon": daemon, "mixed": mixed, "nodes": nodes})
