"""The stage of the tests of mDNS: nodes, a system bus, and the Avahi daemon.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os

import stage as stages
from stage import Skip, need, need_success

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
