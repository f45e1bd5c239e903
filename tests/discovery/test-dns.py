#!/usr/bin/python3
"""Discovery by DNS against a real dnsmasq, in network and mount namespaces: "test-dns.py SCENARIO PROGRAM", speaking TAP.

PROGRAM is the one made of discover.c, or of share.c for the scenario "nodes". The nodes are at addresses of one machine,
10.9.0.1 and so on, whose resolver asks the dnsmasq and nobody else.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import re
import signal
import subprocess

import stage as stages
from stage import PATIENCE, need, need_ipv6, need_success

# The names are made here, and nobody is asked for others.
CONFIG = """port=53
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
local=/example/
addn-hosts={folder}/hosts
{lines}
"""

OWN_FILES = """
mount --bind "$0/resolv.conf" /etc/resolv.conf || exit 1
[ ! -e /etc/nsswitch.conf ] || mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf || exit 1
exec "$@"
"""


class Stage(stages.Stage):
    """With nodes, and a name server whose zone changes."""

    def __init__(self, program):
        super().__init__(program)
        self.server = None
        self.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.write("nsswitch.conf", "hosts: files dns\n")
        self.own_files = ["unshare", "-m", "sh", "-c", OWN_FILES, self.folder]

    def prepare(self):
        need("dnsmasq")
        need_success([*self.own_files, "true"], "a resolv.conf of its own can't be mounted here")
        need_ipv6()
        subprocess.run(["ip", "address", "add", "fd00::1/128", "dev", "lo"], check=True)
        for i in range(1, 5):
            subprocess.run(["ip", "address", "add", f"10.9.0.{i}/32", "dev", "lo"], check=True)

    def serve(self, addresses=(), lines=()):
        """Has nodes.example stand for these addresses; @lines are further ones of the configuration."""
        self.write("hosts", "".join(f"{address} nodes.example\n" for address in addresses))
        config = self.write("dnsmasq.conf", CONFIG.format(folder=self.folder, lines="\n".join(lines)))
        if self.server is not None:
            self.server.kill()
        self.server = self.start(["sh", "-c", "PATH=$PATH:/usr/sbin exec dnsmasq --no-daemon --conf-file=\"$1\" 2>&1", "sh",
                                  config])
        self.server.wait("started, version")

    def change(self, addresses):
        """The same in place, without a moment in which nobody serves."""
        self.write("hosts", "".join(f"{address} nodes.example\n" for address in addresses))
        self.server.popen.send_signal(signal.SIGHUP)

    def discover(self, name, address, interval=200, where=None):
        process = self.start([*self.own_files, self.program, f"dns:{name}", "c", "id", address, *([where] if where else [])],
                             {"GKV_TEST_INTERVAL": str(interval)})
        process.wait("^started$")
        return process


def found(address):
    return f"^found \\? {re.escape(address)}$"


def lost(address):
    return f"^lost \\? {re.escape(address)}$"


def addresses(stage):
    """A name that stands for addresses."""
    stage.prepare()
    stage.serve(["10.9.0.1"])
    a = stage.discover("nodes.example", "10.9.0.1:7000")
    b = stage.discover("nodes.example:7001", "10.9.0.2:40000", where="moved")
    everywhere = stage.discover("nodes.example", "0.0.0.0:7000")
    both = stage.discover("nodes.example", "[::]:8000")
    b.wait(found("10.9.0.1:7001"))
    yield "the nodes are at the port that is given"

    stage.change(["10.9.0.1", "10.9.0.2", "192.0.2.1", "fd00::9", "fe80::1", "224.0.0.1", "0.0.0.0"])
    a.wait(found("10.9.0.2:7000"))
    a.wait(found("192.0.2.1:7000"))
    everywhere.wait(found("192.0.2.1:7000"))
    both.wait(found("[fd00::9]:8000"))
    both.wait(found("192.0.2.1:8000"))
    yield "a zone that changes is followed, and the default is the node's own port"

    a.never("10.9.0.1:|fd00|fe80|224|0\\.0\\.0\\.0")
    everywhere.never("found.*(10.9.0.|fd00|fe80|224|0\\.0\\.0\\.0)")
    both.never("found.*(10.9.0.|fe80|224|0\\.0\\.0\\.0)")
    yield "neither the node itself nor what no peer can have is found"

    stage.change(["10.9.0.1", "10.9.0.2"])
    a.wait(lost("192.0.2.1:7000"))
    a.say("stop")
    a.wait("^stopped$")
    a.say("start")
    a.wait(found("10.9.0.2:7000"), 2)
    a.never(lost("10.9.0.2:7000"))
    yield "what is gone from the zone is lost, and a start begins anew"

    for process in a, b, everywhere, both:
        process.never("^failed")
        process.quit()
    yield "the last reference ends it"


def services(stage):
    """A name with SRV records."""
    stage.prepare()
    stage.serve(["10.9.0.4"], ["host-record=one.example,10.9.0.1", "host-record=two.example,10.9.0.2",
                               "srv-host=_gkv._udp.nodes.example,one.example,7001,0,0",
                               "srv-host=_gkv._udp.nodes.example,two.example,7002,10,0",
                               "srv-host=_gkv._udp.nodes.example,missing.example,7003"])
    a = stage.discover("nodes.example:9999", "10.9.0.1:7001")
    b = stage.discover("nodes.example", "10.9.0.2:7002")
    a.wait(found("10.9.0.2:7002"))
    b.wait(found("10.9.0.1:7001"))
    for process in a, b:
        process.never("9999|10.9.0.4|^failed")
    yield "SRV records give hosts and ports, and come before addresses"

    stage.serve(["10.9.0.4"])
    a.wait(found("10.9.0.4:9999"))
    a.wait(lost("10.9.0.2:7002"))
    yield "without them the addresses are taken"


def failures(stage):
    """A name server that comes and goes, and a name that isn't there."""
    stage.prepare()
    stage.serve(["10.9.0.1", "10.9.0.2"])
    a = stage.discover("nodes.example", "10.9.0.1:7000")
    missing = stage.discover("nobody.example", "10.9.0.1:7000")
    a.wait(found("10.9.0.2:7000"))
    missing.wait("^failed .*nobody.example")
    yield "a name that isn't there is reported"

    stage.server.kill()
    a.wait("^failed .*nodes.example")
    stage.serve(["10.9.0.1", "10.9.0.2", "10.9.0.3"])
    a.wait(found("10.9.0.3:7000"))
    a.never("^lost")
    assert a.count("^failed") == 1 and missing.count("^failed") == 1, "a failure is reported more than once"
    yield "nothing is lost while nobody serves"

    stage.server.popen.send_signal(signal.SIGSTOP)
    stage.change(["10.9.0.1"])
    a.say("stop")
    a.wait("^stopped$")
    missing.quit()
    stage.server.popen.send_signal(signal.SIGCONT)
    yield "a look-up that hangs is dropped"

    for name in "", ":7000", "nodes.example:0", "nodes.example:x", "nodes.example:70000", "10.9.0.1:7000", "[::1]:7000":
        refused = stage.start([stage.program, f"dns:{name}", "c", "x", "10.9.0.1:7000"])
        refused.wait("^refused .*dns")
    for address in "inbox-of-b", "name.example:1001", "10.9.0.1":
        refused = stage.start([stage.program, "dns:nodes.example", "c", "x", address])
        refused.wait("^refused .*host:port")
    yield "a name or an own address that can't be used is refused"


def network(stage):
    """A network that changes."""
    stage.prepare()
    stage.serve(["10.9.0.1", "10.9.0.2"])
    processes = [stage.discover("nodes.example", "10.9.0.1:7000", interval=1000000, where=where) for where in (None, "beside")]
    for process in processes:
        process.wait(found("10.9.0.2:7000"))
    stage.change(["10.9.0.1", "10.9.0.3"])
    stage.server.wait("read .*hosts", 2)
    for process in processes:
        process.never("^lost")
    subprocess.run(["ip", "route", "add", "10.8.0.0/24", "dev", "lo"], check=True)
    for process in processes:
        process.wait(found("10.9.0.3:7000"))
        process.wait(lost("10.9.0.2:7000"))
    yield "the name is looked up at once when the network changes"


def nodes(stage):
    """Whole nodes, which know a name and no more."""
    stage.prepare()
    stage.serve(["10.9.0.1"])
    a = stage.start([*stage.own_files, stage.program, "dns:nodes.example", "c", "a", "10.9.0.1:7000"])
    a.wait("^changed a ")
    stage.change(["10.9.0.1", "10.9.0.2"])
    b = stage.start([*stage.own_files, stage.program, "dns:nodes.example", "c", "b", "10.9.0.2:7000"])
    any_port = stage.start([*stage.own_files, stage.program, "dns:nodes.example:7000", "c", "any", "10.9.0.3:0"])
    for process, others in (a, "b any"), (b, "a any"), (any_port, "a b"):
        for other in others.split():
            process.wait(f"^changed {other} hello from {other}$")
    for process in a, b, any_port:
        process.never("^error")
        process.popen.stdin.close()
        assert process.popen.wait(PATIENCE) == 0, f"{process.name}: exit {process.popen.returncode}"
    yield "nodes that know a name share their keys"


if __name__ == "__main__":
    os.environ["G_MESSAGES_DEBUG"] = "Gkv"
    stages.main(Stage, {"addresses": addresses, "services": services, "failures": failures, "network": network,
                        "nodes": nodes})
