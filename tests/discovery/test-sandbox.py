#!/usr/bin/python3
"""mDNS from inside a sandbox as Flatpak makes one: "test-sandbox.py SCENARIO PROGRAM MANIFEST", speaking TAP.

PROGRAM is the one made of discover.c. The sandbox is bubblewrap's, with process ids and mounts of its own and the network of
the machine; the system bus is there through xdg-dbus-proxy, which filters as the permissions in the manifest say.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import os
import sys

import avahi_stage
from avahi_stage import DAEMON, EMBEDDED
from stage import main, need, need_success, wait_until

SANDBOX = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
           "--tmpfs", "/run", "--die-with-parent"]
BUS = "/run/dbus/system_bus_socket"


class Stage(avahi_stage.Stage):
    """With nodes inside a sandbox."""

    def __init__(self, program):
        super().__init__(program)
        with open(sys.argv[3], encoding="utf-8") as file:
            permissions = json.load(file)["finish-args"]
        assert "--share=network" in permissions, "the manifest doesn't have the network"
        talk = [permission.replace("--system-talk-name=", "--talk=") for permission in permissions
                if permission.startswith("--system-talk-name=")]
        assert talk == ["--talk=org.freedesktop.Avahi"], f"the manifest has {talk}"
        self.talk = talk

    def prepare(self):
        need("bwrap")
        need("xdg-dbus-proxy")
        need_success([*SANDBOX, "true"], "bubblewrap can't make a sandbox here")

    def proxy(self, *permissions):
        """Gives the path of a bus that the sandbox may have."""
        path = os.path.join(self.folder, "filtered" + str(len(permissions)))
        self.start(["xdg-dbus-proxy", os.environ["DBUS_SYSTEM_BUS_ADDRESS"], path, "--filter", *permissions])
        wait_until(lambda: os.path.exists(path), "the filtered bus")
        return path

    def sandboxed(self, node_id, port, bus=None):
        """A node inside; @bus is the socket of its system bus, if it has one."""
        hidden = ["--tmpfs", self.folder]
        mounts = ["--bind", bus, BUS] if bus else []
        inside = [*SANDBOX, *mounts, *hidden, "--setenv", "DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={BUS}"]
        return self.discover("c", node_id, f"127.0.0.1:{port}", inside=inside)


def meet(*nodes, times=1):
    """Waits until all know each other: pairs of a process and its address."""
    for process, node_id, _port in nodes:
        for _other, other_id, port in nodes:
            if other_id != node_id:
                process.wait(f"^found {other_id} 127\\.0\\.0\\.1:{port}$", times)


def network(stage):
    """A sandbox that has the network and no bus."""
    stage.prepare()
    a, c = stage.sandboxed("a", 1001), stage.sandboxed("c", 1003)
    meet((a, "a", 1001), (c, "c", 1003))
    yield "two find each other where no daemon runs"

    c.quit()
    a.wait("^lost c ")
    yield "one that ends is lost"

    stage.bus()
    stage.avahi()
    b = stage.discover("c", "b", "127.0.0.1:1002")
    b.wait(DAEMON)
    c = stage.sandboxed("c", 1003)
    meet((a, "a", 1001), (b, "b", 1002))
    c.wait("^found a ")
    c.wait("^found b ")
    b.wait("^found c ")
    a.wait("^found c ", 2)
    for process in a, c:
        process.never(f"{DAEMON}|^failed")
    yield "they find, and are found by, a node outside that uses the daemon"


def filtered(stage):
    """A sandbox that has a bus without the daemon's name on it."""
    stage.prepare()
    stage.bus()
    stage.avahi()
    bus = stage.proxy()
    a, c = stage.sandboxed("a", 1001, bus), stage.sandboxed("c", 1003, bus)
    b = stage.discover("c", "b", "127.0.0.1:1002")
    meet((a, "a", 1001), (b, "b", 1002), (c, "c", 1003))
    b.wait(DAEMON)
    for process in a, c:
        process.wait(EMBEDDED)
        process.never(f"{DAEMON}|^failed")
    yield "without the permission the network is enough"


def talking(stage):
    """A sandbox that may speak to the daemon."""
    stage.prepare()
    stage.bus()
    bus = stage.proxy(*stage.talk)
    a, c = stage.sandboxed("a", 1001, bus), stage.sandboxed("c", 1003, bus)
    meet((a, "a", 1001), (c, "c", 1003))
    for process in a, c:
        process.wait(EMBEDDED)
        process.never(DAEMON)
    yield "where no daemon runs, the network is enough"

    avahi = stage.avahi()
    b = stage.discover("c", "b", "127.0.0.1:1002")
    for process in a, b, c:
        process.wait(DAEMON)
    meet((a, "a", 1001), (c, "c", 1003), times=2)
    meet((a, "a", 1001), (b, "b", 1002))
    yield "a daemon that comes is used"

    avahi.kill()
    for process in a, c:
        process.wait(EMBEDDED, 2)
        process.never("^failed")
    meet((a, "a", 1001), (c, "c", 1003), times=3)
    yield "and left when it goes"


def exclusive(stage):
    """A daemon that shares the port with nobody."""
    stage.prepare()
    stage.bus()
    stage.avahi(disallow="yes")
    bus = stage.proxy(*stage.talk)
    a, c = stage.sandboxed("a", 1001, bus), stage.sandboxed("c", 1003, bus)
    lonely = stage.sandboxed("lonely", 1009)
    meet((a, "a", 1001), (c, "c", 1003))
    for process in a, c:
        process.never(f"{EMBEDDED}|^failed")
    yield "with the permission they find each other"

    lonely.wait("^failed ")
    yield "without, it is reported"


if __name__ == "__main__":
    main(Stage, {"network": network, "filtered": filtered, "talking": talking, "exclusive": exclusive})
