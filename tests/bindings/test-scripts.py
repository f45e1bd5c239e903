"""Short programs in every language: what they write arrives before they end, and they leave nothing behind.

test-scripts.py SCRIPT [GJS]    where SCRIPT is the one made of script.c

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import collections
import os
import random
import signal
import socket
import subprocess
import sys
import time
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv  # noqa: E402

PATIENCE = 60
N_KEYS = 2000

PYTHON = """
import os, sys, gi
gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv
address, way = sys.argv[1:]
node = Gkv.Node(bind_address="127.0.0.1:0", seeds=[address], network_thread=not way.startswith("own-context"))
node.start()
if way == "update":
    node.update({f"key/{i}": i for i in range(2000)})
else:
    for i in range(2000):
        node[f"key/{i}"] = i
try:
    if way == "flush":
        node.flush(0, 60000)
        os._exit(0)
    if way.endswith("asyncio"):
        import asyncio
        async def close():
            await node.close_async()
        asyncio.run(close())
    elif way.endswith("async"):
        loop = GLib.MainLoop()
        failures = []
        def on_closed(node, result):
            try:
                node.close_finish(result)
            except GLib.Error as error:
                failures.append(error)
            loop.quit()
        node.close_async(None, on_closed)
        loop.run()
        if failures:
            sys.exit(3)
    else:
        node.close()
except GLib.Error as error:
    sys.exit(3)
"""

GJS = """
const { GLib, Gkv } = imports.gi;
const System = imports.system;
const [address, way] = ARGV;
const node = new Gkv.Node({ bind_address: '127.0.0.1:0', seeds: [address],
                            network_thread: !way.startsWith('own-context') });
node.start(null);
if (way === 'update')
    node.putAll(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`key/${i}`, i])));
else
    for (let i = 0; i < 2000; i++)
        node.put(`key/${i}`, i);
let status = 0;
try {
    if (way === 'flush') {
        node.flush(0, 60000, null);
        System.exit(0);
    }
    if (way.endsWith('async')) {
        const loop = new GLib.MainLoop(null, false);
        node.close_async(null, (self, result) => {
            try {
                self.close_finish(result);
            } catch (e) {
                status = 3;
            }
            loop.quit();
        });
        loop.run();
    } else {
        node.close(null);
    }
} catch (e) {
    status = 3;
}
System.exit(status);
"""

# Ways to end that say in the end whether something has reached nobody.
WAYS = {
    "c": ("close", "async", "flush", "own-context-async"),
    "python": ("close", "async", "asyncio", "flush", "update", "own-context-async"),
    "gjs": ("close", "async", "flush", "update", "own-context-async"),
}


def make_command(language, address, way):
    return {"c": [SCRIPT, address, way],
            "python": [sys.executable, "-c", PYTHON, address, way],
            "gjs": [GJS_PROGRAM, "-c", GJS, address, way]}[language]


def find_free_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]


def start_peer(address="127.0.0.1:0"):
    node = Gkv.Node(node_id="peer", bind_address=address)
    node.start()
    return node


class Scripts(unittest.TestCase):
    def assert_arrived(self, peer, what):
        # Another test may have had this port before: whoever seeks its nodes still finds this one.
        keys = {key: value for key, value in dict(peer).items() if key.startswith("key/")}
        self.assertEqual(keys, {f"key/{i}": i for i in range(N_KEYS)}, what)

    def each(self):
        for language, ways in WAYS.items():
            if language == "gjs" and GJS_PROGRAM is None:
                continue
            for way in ways:
                yield language, way

    def test_peer_is_there(self):
        """All has arrived when the script has ended: nothing is waited for after that."""
        for language, way in self.each():
            with self.subTest(language=language, way=way):
                peer = start_peer()
                status = subprocess.run(make_command(language, peer.get_local_address(), way), timeout=PATIENCE).returncode
                self.assertEqual(status, 0)
                self.assert_arrived(peer, f"{language}, {way}")
                peer.close()

    def run_before_peer(self, language, way, pause):
        """Gives what the script says of itself, and the peer, which was started after it."""
        address = find_free_address()
        script = subprocess.Popen(make_command(language, address, way))
        time.sleep(pause)
        peer = start_peer(address)
        return script.wait(PATIENCE * 2), peer

    def test_peer_comes_later(self):
        """A flush waits for whom it can; a close waits for a while, and what it says of itself is so."""
        for language, way in self.each():
            for pause in (0, 1):
                with self.subTest(language=language, way=way, pause=pause):
                    status, peer = self.run_before_peer(language, way, pause)
                    if way == "flush":
                        self.assertEqual(status, 0)
                    self.assertIn(status, (0, 3))
                    if status == 0:
                        self.assert_arrived(peer, f"{language}, {way}, {pause}")
                    peer.close()

    def test_nobody_comes(self):
        for language, way in self.each():
            if way != "flush":
                with self.subTest(language=language, way=way):
                    status = subprocess.run(make_command(language, find_free_address(), way), timeout=PATIENCE).returncode
                    self.assertEqual(status, 3, "what has reached nobody is said to have arrived")


class Commands(unittest.TestCase):
    """A command that runs each minute. What it leaves behind at a node that lives on would add up."""

    def setUp(self):
        self.peer = start_peer()
        self.added = collections.Counter()
        self.removed = collections.defaultdict(list)
        self.peer.connect("peer-added", lambda _node, peer: self.added.update([peer.get_node_id()]))
        self.peer.connect("peer-removed",
                          lambda _node, peer: self.removed[peer.get_node_id()].append(peer.get_state()))
        self.addCleanup(self.peer.close)

    def wait(self, condition, what):
        context = GLib.MainContext.default()
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited in vain until {what}")
            if not context.iteration(False):
                time.sleep(0.002)

    def settle(self):
        """Waits until nobody is there any more, and nothing of them."""
        self.wait(lambda: self.peer.get_stats()["peers-alive"] == 0, "nobody is alive")
        self.wait(lambda: len(self.peer) == 0, "their keys have gone")
        self.wait(lambda: self.peer.get_peers().get_n_items() == 0, "nobody is listed")
        self.wait(lambda: all(len(self.removed[name]) == n for name, n in self.added.items()), "all are removed")
        self.assertEqual(self.peer.get_stats()["n-peers"], 0)

    def run_command(self, way, kill_after=None):
        process = subprocess.Popen([SCRIPT, self.peer.get_local_address(), way])
        if kill_after is not None:
            time.sleep(kill_after)
            process.send_signal(signal.SIGKILL)
        return process.wait(PATIENCE)

    def test_ends_well(self):
        for i in range(50):
            self.assertEqual(self.run_command("command" if i % 2 == 0 else "command-async"), 0)
        self.settle_without_deaths()

    def test_ends_at_once(self):
        for _i in range(200):
            self.assertEqual(self.run_command("glance"), 0)
        self.settle_without_deaths()

    def settle_without_deaths(self):
        """None is taken for dead, or greeted for ever, that has said that it leaves."""
        self.settle()
        self.assertEqual(self.peer.get_stats()["contacts"], 0, "addresses of those that have left are still greeted")
        self.assertEqual({state for states in self.removed.values() for state in states} - {Gkv.PeerState.LEFT}, set())

    def test_is_killed(self):
        for _i in range(25):
            self.run_command("linger", random.uniform(0, 0.05))
            self.assertIn(self.run_command("command", random.uniform(0, 0.02)), (0, -signal.SIGKILL))
        self.settle()
        self.assertEqual({state for states in self.removed.values() for state in states}
                         - {Gkv.PeerState.LEFT, Gkv.PeerState.DEAD}, set())


SCRIPT = os.path.abspath(sys.argv.pop(1))
GJS_PROGRAM = sys.argv.pop(1) if sys.argv[1:2] and os.path.exists(sys.argv[1]) else None

if __name__ == "__main__":
    unittest.main(verbosity=2)
